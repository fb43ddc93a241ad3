r"""Units of measure and nouns that may stand behind a value: "5 cm", "12 ways". Not here: how values with units compare.

What is in no list here is no unit: "2 ab" is a product, "3 million" a number, "5 or more" a condition.
"""

from __future__ import annotations

import re

# Single letters keep their case, and count only inside of \text{}: 5 m may be a product.
_LETTERS = frozenset("m g s h L l N J W V K".split())
_WORDS = frozenset(
    """mm cm dm km inch inches foot feet ft yard yd mile mg kg ton tonne gram kilogram pound lb ounce oz meter metre centimeter centimetre
    millimeter millimetre kilometer kilometre sec second minute min hr hour day week month year ms ml liter litre gallon dollar cent euro
    yen usd radian rad degree unit newton joule watt volt ohm hz mol mole mph kph byte bit acre
    way person people man men woman women student child children boy girl player friend worker apple orange coin ball book candy marble card
    ticket page question problem point line edge vertex vertices face side diagonal triangle rectangle circle region element subgroup group
    root solution term digit number integer permutation combination arrangement subset function value divisor factor class conjugacy-class
    step trial game team room seat chair tile stamp bottle car tree fish dog cat bird egg cake cookie box boxes flower letter word path
    sequence string graph orbit automorphism homomorphism generator prime""".split()
)
_SIGNS = frozenset("個 通り 円 人 回 本 枚 点 秒 分 時間 日 年".split())
_ADJECTIVE = re.compile(r"^(?:possible|different|distinct|total) ")


def known(text: str) -> str | None:
    """The unit's one name ("year" of "\\text{ years}"), where the text is nothing but a known unit; else None."""
    bare = re.sub(r"\\text|[{}]", "", text).strip()
    if bare in _SIGNS:
        return bare
    is_text = r"\text" in text
    sides = re.split(r" ?/ ?| per ", _ADJECTIVE.sub("", re.sub(r"\s+", " ", bare)))
    names = [_named(side, is_text) for side in sides]
    return "/".join(filter(None, names)) if len(names) <= 2 and all(names) else None


def _named(text: str, is_text: bool) -> str | None:
    found = re.fullmatch(r"(?:(sq|square|cubic) )?([A-Za-z]+|conjugacy classes|conjugacy class) ?(?:\^?([23]))?", text)
    if found is None or (found[1] and found[3]):
        return None
    power = found[3] or {"cubic": "3", None: ""}.get(found[1], "2")
    word = found[2].replace(" ", "-")
    if len(word) == 1:
        return word + power if is_text and word in _LETTERS else None
    word = word.lower()
    singular = next((one for one in (word, word.removesuffix("s"), word.removesuffix("es")) if one in _WORDS), None)
    is_product = len(word) == 2 and not is_text and word not in ("cm", "mm", "km", "kg")
    if singular is None or is_product:
        return None
    return r"^\circ" if singular == "degree" and not power else singular + power
