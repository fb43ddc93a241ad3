"""Units beside a value: their one name, and the factors by which one quantity is written in two units.

Not here: values.
"""

from __future__ import annotations

import re
from fractions import Fraction

# Units of measure, and nouns that are counted. Words in no list are no unit: "2 ab" is a product, "3 million"
# a number, "5 or more" neither. Single letters keep their case and count only inside \text{}, because 5 m may
# be a product.
_UNIT_LETTERS = frozenset("m g s h L l N J W V K".split())
_UNITS = frozenset(
    """mm cm dm km in inch inches foot feet ft yard yd mile mg kg ton tonne gram kilogram pound lb ounce oz
    meter metre centimeter centimetre millimeter millimetre kilometer kilometre sec second minute min hr hour
    day week month year ms ml liter litre gallon dollar cent euro yen usd radian rad degree deg unit newton
    joule watt
    volt ohm hz mol mole mph kph kmph byte bit acre hectare rupee rs rupees franc peso pence penny pennies
    way person people man men woman women student child children boy girl player friend worker apple orange
    coin ball book candy marble card ticket page question problem point line edge vertex vertices face side
    diagonal triangle rectangle circle region element subgroup group root solution term digit number integer
    permutation combination arrangement subset function value divisor factor class conjugacy-class step trial
    game team room seat chair tile stamp bottle car tree fish dog cat bird egg cake cookie box boxes flower
    letter word path sequence string graph orbit automorphism homomorphism generator prime bag pen pencil time
    pair choice outcome case square cube row column turn move guest member adult animal chicken cow sheep
    horse
    pizza slice piece cup hat shirt sock shoe vote handshake""".split()
)
_UNIT_SIGNS = frozenset(
    "個 通り 円 人 回 本 枚 点 秒 分 時間 日 年 冊 匹 歳 才 台 頭 羽 組 箱 袋 杯 脚 問 題 種類 週 週間"
    " か月 ヶ月"
    " 日間 年間 分間 秒間 ページ 組 つ 元 个 名 章 段 社 軒 足 着 束 玉 粒 倍".split()
)
_KANA_UNITS = {
    "ミリメートル": "mm",
    "センチメートル": "cm",
    "センチ": "cm",
    "メートル": "m",
    "キロメートル": "km",
    "キロ": "km",
    "ミリグラム": "mg",
    "グラム": "g",
    "キログラム": "kg",
    "ミリリットル": "ml",
    "リットル": "L",
    "トン": "tonne",
    "ドル": "dollar",
    "ユーロ": "euro",
    "セント": "cent",
}
_SHORT = frozenset("cm mm km kg mg ft yd lb oz".split())  # no product of two letters
_KANA = re.compile(rf"(?P<power>平方|立方)?(?P<unit>{'|'.join(_KANA_UNITS)})")
_ASPECT = re.compile(
    r"(?<=[a-z]) (?:old|of age|long|tall|high|wide|deep|away|apart|each|in total|left"
    r"|remaining|Celsius|Fahrenheit)$"
)
_ADJECTIVE = re.compile(r"^(?:possible|different|distinct|total|more|additional) ")
# Of each unit that has others beside it: what it measures, and how many of the first unit it is
_FACTORS = {
    "length": {
        **dict.fromkeys("m meter metre".split(), "1"),
        **dict.fromkeys("cm centimeter centimetre".split(), "1/100"),
        **dict.fromkeys("mm millimeter millimetre".split(), "1/1000"),
        **dict.fromkeys("km kilometer kilometre".split(), "1000"),
        **dict.fromkeys("foot feet ft".split(), "3048/10000"),
        **dict.fromkeys("yard yd".split(), "9144/10000"),
        "dm": "1/10",
        **dict.fromkeys("in inch inches".split(), "254/10000"),
        "mile": "1609344/1000",
    },
    "mass": {
        **dict.fromkeys("g gram".split(), "1"),
        **dict.fromkeys("kg kilogram".split(), "1000"),
        "mg": "1/1000",
        "tonne": "1000000",
        **dict.fromkeys("pound lb".split(), "45359237/100000"),
        **dict.fromkeys("ounce oz".split(), "45359237/1600000"),
    },
    "time": {
        **dict.fromkeys("s sec second 秒 秒間".split(), "1"),
        **dict.fromkeys("min minute 分 分間".split(), "60"),
        **dict.fromkeys("h hr hour 時間".split(), "3600"),
        **dict.fromkeys("day 日間".split(), "86400"),
        **dict.fromkeys("week 週間".split(), "604800"),
        "ms": "1/1000",
    },
    "money": {"dollar": "1", "$": "1", "usd": "1", "cent": "1/100"},
    "euro": {"euro": "1"},
    "£": {"£": "1"},
    "volume": {**dict.fromkeys("L l liter litre".split(), "1"), "ml": "1/1000"},
}
_MEASURES = {
    unit: (kind, Fraction(factor)) for kind, table in _FACTORS.items() for unit, factor in table.items()
}


def known_unit(text: str) -> str | None:
    r"""The unit's one name ("year" of "\text{ years}"); None where the text is more than a known unit."""
    bare = re.sub(r"\\text|[{}]", "", text).strip()
    if bare in _UNIT_SIGNS:
        return bare
    if found := _KANA.fullmatch(bare):
        return _KANA_UNITS[found["unit"]] + {"平方": "2", "立方": "3", None: ""}[found["power"]]
    bare = _ASPECT.sub("", bare)
    is_text = r"\text" in text
    bare = " ".join(re.sub(r"(?<=[a-z])\.", " ", bare).split())  # sq. ft.
    sides = re.split(r" ?/ ?| per ", _ADJECTIVE.sub("", re.sub(r"^U\.?S\.? (?=dollar)", "", bare)))
    names = [_unit_named(side, is_text or (len(sides) == 2 and side == "h")) for side in sides]
    return "/".join(filter(None, names)) if len(names) <= 2 and all(names) else None


def measure(unit: str) -> tuple[str, Fraction] | None:
    """What a unit measures, and its factor; None where it has no other unit beside it."""
    if unit in ("mph", "kph", "kmph"):
        unit = {"mph": "mile/hour"}.get(unit, "km/hour")
    kinds, whole = [], Fraction(1)
    for place, side in enumerate(unit.split("/")):
        power = int(side[-1]) if side[-1] in "23" else 1
        if (found := _MEASURES.get(side.rstrip("23"))) is None:
            return None
        kinds.append(f"{found[0]}{power}")
        whole *= found[1] ** (-power if place else power)
    return "/".join(kinds), whole


def _unit_named(text: str, is_text: bool) -> str | None:
    found = re.fullmatch(
        r"(?:(sq|square|cubic|cu) )?([A-Za-z]+|conjugacy classes|conjugacy class) ?(?:\^?([23]))?", text
    )
    if found is None or (found[1] and found[3]):
        return None
    power = found[3] or {"cubic": "3", "cu": "3", None: ""}.get(found[1], "2")
    word = found[2].replace(" ", "-")
    if len(word) == 1:
        return word + power if is_text and word in _UNIT_LETTERS else None
    word = word.lower()
    singular = next(
        (one for one in (word, word.removesuffix("s"), word.removesuffix("es")) if one in _UNITS), None
    )
    is_product = len(word) == 2 and not is_text and word not in _SHORT
    if singular is None or is_product:
        return None
    return r"^\circ" if singular in ("degree", "deg") and not power else singular + power
