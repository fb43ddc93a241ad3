"""Answers in words: "yes", "converges", "Monday"; and words that can be a value's unit.

Not here: values.
"""

from __future__ import annotations

import re

EQUAL, DIFFERENT, UNKNOWN = "equal", "different", "unknown"

# A family is a list of groups. Words of one group are equal; words of two groups of one family exclude each
# other.
_FAMILIES = (
    ("yes true correct", "no false incorrect"),
    ("converges convergent converge", "diverges divergent diverge"),
    ("even", "odd"),
    ("rational", "irrational"),
    ("prime", "composite"),
    ("increasing", "decreasing"),
    ("continuous", "discontinuous"),
    ("dependent", "independent"),
    ("positive", "negative", "zero"),
    ("injective one-to-one", "not_injective"),
    ("always", "sometimes", "never"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("no_solution no_solutions",),
    ("does_not_exist dne",),
    ("left", "right"),
    ("acute", "right", "obtuse"),
    ("maximum", "minimum"),
    ("clockwise", "counterclockwise anticlockwise"),
)
_GROUPS = [[frozenset(group.replace("_", "-").split()) for group in family] for family in _FAMILIES]
_LISTED = frozenset(
    word for family in _GROUPS for group in family for whole in group for word in whole.split("-")
) | {"not"}
# Names of functions, and words between symbols: "max a" and "a and b" are not answers in words.
_SYMBOLIC = frozenset(
    "and mod det dim ker gcd lcm max min arg deg sin cos tan log exp sqrt rank span diag trace".split()
)
_FILLER = re.compile(
    r"^(?:it|this|that|the (?:statement|series|integral|sequence|function|answer)|they)"
    r" (?:is|are)?\s*|^(?:is|are|a|an|the) ",
    re.IGNORECASE,
)


def words(text: str) -> str | None:
    """The answer as plain words; None for symbols: f g, abc, A'B and n m! are products."""
    bare = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    bare = " ".join(re.sub(r"[.\"]|[,!]$", " ", bare).split())
    if (
        not re.fullmatch(r"[A-Za-z][A-Za-z -]*", bare)
        or len(bare) < 2
        or len(bare) > 80
        or re.search(r"[A-Za-z]!", text)
    ):
        return None
    parts = bare.split()
    is_text = r"\text{" in text and any(len(part) > 1 for part in parts)
    if not (is_text or any(map(_is_word, parts))):
        return None
    return " ".join(map(_lowered, _FILLER.sub("", bare).split())) or None


def _is_word(part: str) -> bool:
    r"""Whether letters without \text are a word: listed, or at least four letters with a vowel."""
    lower = part.lower()
    return (lower in _LISTED and len(part) > 1) or (
        len(part) > 3 and lower not in _SYMBOLIC and re.search("[aeiouy]", lower) is not None
    )


def _lowered(part: str) -> str:
    """The part in lower case, except where N and n, or ABCD and abcd, are two things."""
    return (
        part.lower()
        if part.lower() in _LISTED or (len(part) > 1 and (part.istitle() or part.islower()))
        else part
    )


def choice(text: str) -> str | None:
    r"""The letter of a multiple-choice answer: A, (B), \text{C}, D)."""
    found = re.fullmatch(r"(?:\\text\{)?\s*\(?([A-H])[).]*\s*\}?\)?", text)
    return found[1] if found else None


def compare_words(one: str, other: str) -> str | None:
    """EQUAL or DIFFERENT for two answers in words, or two choices; None where words cannot decide."""
    letters = choice(one), choice(other)
    if letters[0] and letters[1]:
        return EQUAL if letters[0] == letters[1] else DIFFERENT
    first, second = words(one), words(other)
    if first is None or second is None:
        return None
    if first == second:
        return EQUAL
    first, second = first.replace(" ", "-"), second.replace(" ", "-")
    verdict = None
    for family in _GROUPS:
        places = [[place for place, group in enumerate(family) if word in group] for word in (first, second)]
        if places[0] and places[1]:
            verdict = EQUAL if places[0] == places[1] else DIFFERENT
    return verdict


def is_wordy(text: str) -> bool:
    """Whether the answer is words, so that its letters are no symbols."""
    return words(text) is not None


# --- units --------------------------------------------------------------------------------------------------

# Units of measure, and nouns that are counted. Words in no list are no unit: "2 ab" is a product, "3 million"
# a number, "5 or more" neither. Single letters keep their case and count only inside \text{}, because 5 m may
# be a product.
_UNIT_LETTERS = frozenset("m g s h L l N J W V K".split())
_UNITS = frozenset(
    """mm cm dm km inch inches foot feet ft yard yd mile mg kg ton tonne gram kilogram pound lb ounce oz meter
    metre centimeter centimetre millimeter millimetre kilometer kilometre sec second minute min hr hour day
    week month year ms ml liter litre gallon dollar cent euro yen usd radian rad degree unit newton joule watt
    volt ohm hz mol mole mph kph byte bit acre
    way person people man men woman women student child children boy girl player friend worker apple orange
    coin ball book candy marble card ticket page question problem point line edge vertex vertices face side
    diagonal triangle rectangle circle region element subgroup group root solution term digit number integer
    permutation combination arrangement subset function value divisor factor class conjugacy-class step trial
    game team room seat chair tile stamp bottle car tree fish dog cat bird egg cake cookie box boxes flower
    letter word path sequence string graph orbit automorphism homomorphism generator prime""".split()
)
_UNIT_SIGNS = frozenset("個 通り 円 人 回 本 枚 点 秒 分 時間 日 年".split())
_ADJECTIVE = re.compile(r"^(?:possible|different|distinct|total) ")


def known_unit(text: str) -> str | None:
    r"""The unit's one name ("year" of "\text{ years}"); None where the text is more than a known unit."""
    bare = re.sub(r"\\text|[{}]", "", text).strip()
    if bare in _UNIT_SIGNS:
        return bare
    is_text = r"\text" in text
    sides = re.split(r" ?/ ?| per ", _ADJECTIVE.sub("", re.sub(r"\s+", " ", bare)))
    names = [_unit_named(side, is_text) for side in sides]
    return "/".join(filter(None, names)) if len(names) <= 2 and all(names) else None


def _unit_named(text: str, is_text: bool) -> str | None:
    found = re.fullmatch(
        r"(?:(sq|square|cubic) )?([A-Za-z]+|conjugacy classes|conjugacy class) ?(?:\^?([23]))?", text
    )
    if found is None or (found[1] and found[3]):
        return None
    power = found[3] or {"cubic": "3", None: ""}.get(found[1], "2")
    word = found[2].replace(" ", "-")
    if len(word) == 1:
        return word + power if is_text and word in _UNIT_LETTERS else None
    word = word.lower()
    singular = next(
        (one for one in (word, word.removesuffix("s"), word.removesuffix("es")) if one in _UNITS), None
    )
    is_product = len(word) == 2 and not is_text and word not in ("cm", "mm", "km", "kg")
    if singular is None or is_product:
        return None
    return r"^\circ" if singular == "degree" and not power else singular + power
