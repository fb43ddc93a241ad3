"""The relation of two single values: quantities with units, residues, expressions.

Not here: lists, sets, equations and regions (equality.py), and how math-verify reads a text (reading.py).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sympy
from sympy.logic.boolalg import Boolean

from magpie_hf.answers.notation import split
from magpie_hf.answers.reading import is_read, proven, value_of
from magpie_hf.answers.units import known_unit, measure
from magpie_hf.answers.values import APART, SAME, constant, evidence, number
from magpie_hf.answers.words import DIFFERENT, EQUAL, UNKNOWN

_UNIT = re.compile(
    r"^(?P<value>.*?(?:[\d}\])]|\\pi|\\infty))"
    r"(?P<unit>%|\\?\$|\^\\circ| ?\\text\{.*| [A-Za-z]{2,}.*|(?<=\d)(?:cm|mm|km|kg)(?:\^.*)?|[^\x00-\x7f]+)$"
)
_CURRENCY = re.compile(r"(?P<sign>-?)\\?(?P<name>[$£€¥₹]) ?(?P<value>.+)")
_CURRENCIES = {"$": "dollar", "€": "euro", "¥": "yen", "円": "yen", "£": "£", "₹": "rupee"}
_COMPOUND = re.compile(  # 3 hours 30 minutes, 3時間30分
    r"(?P<many>\d{1,6}) ?(?P<large>\\text ?\{[^{}\d]+\}|[^\W\d]+) ?,? ?(?P<few>\d+(?:\.\d+)?) ?"
    r"(?P<small>\\text ?\{[^{}\d]+\}|[^\W\d]+)"
)
_RADIANS = ("rad", "radian")
MODULUS = re.compile(r"^(?:\w+\s*\\equiv\s*)?(?P<residue>.+?)\s*\\pmod\s*\{?(?P<modulus>\d+)\}?$")
_CONSTANT = re.compile(r"(?P<rest>.+?) ?\+ ?(?:[CcKk](?:_[01])?|\\text ?\{ ?(?:C|const(?:ant)?\.?) ?\})")
_ENDLESS = re.compile(r"(?P<sign>-?)(?P<whole>\d*)\.(?P<digits>\d+) ?\\ldots")
_DIVISOR = re.compile(r"\\(?P<name>gcd|text\{lcm\}|lcm) ?\((?P<of>[^()]*)\)")
_PERMUTATIONS = re.compile(r"P ?\((\d+), ?(\d+)\)")
# A product whose factors may not commute: of capital letters, of vectors, of a letter that comes again (xyx)
_LETTER = r"[A-Za-z](?:\^(?:\{[^{}]*\}|-?\w))?"
_MATRICES = re.compile(r"[A-Z](?:\^(?:\{[^{}]*\}|-?\w))? ?(?:\\cdot|\\times)? ?[A-Z(]|\)(?:\^|\()")
_CROSS = re.compile(r"[A-Za-z}] ?\\times ?(?:[A-Za-z]|\\(?:vec|text|hat))")
_VECTORS = re.compile(r"\\(?:vec|text|hat|overrightarrow) ?\{ ?\w ?\} ?\\times")
_RUN = re.compile(rf"{_LETTER}(?: ?{_LETTER})+")
_IDENTITIES = ({"e", "1"}, {"e", "0"})  # e may be the identity of a group
_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\^\\circ")
_BARE_LOG = re.compile(r"\\log(?![A-Za-z_])")


@dataclass(frozen=True)
class Quantity:
    r"""A value with its unit and modulus.

    unit: "" for none, "%", "^\circ" or a word.
    modulus: "" for none.
    """

    value: str
    unit: str = ""
    modulus: str = ""


def quantity_of(text: str) -> Quantity:
    if _ANGLE.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    if found := _CURRENCY.fullmatch(text):
        return Quantity(found["sign"] + found["value"].strip(), _CURRENCIES[found["name"]])
    if (found := _COMPOUND.fullmatch(text)) and (whole := _sum_of(found)):
        return whole
    if found := MODULUS.match(text):
        return Quantity(found["residue"], modulus=found["modulus"])
    if found := _UNIT.match(text):
        sign = found["unit"].strip().lstrip("\\")
        unit = found["unit"] if found["unit"] in ("%", r"^\circ") else _CURRENCIES.get(sign)
        unit = unit or known_unit(found["unit"])
        if unit:
            return Quantity(found["value"].strip(), "" if unit in _RADIANS else unit)
    return Quantity(text)


def _sum_of(found: re.Match[str]) -> Quantity | None:
    """3 hours 30 minutes in the smaller unit."""
    units = [known_unit(found[name]) for name in ("large", "small")]
    measures = [measure(unit) if unit else None for unit in units]
    if measures[0] is None or measures[1] is None or measures[0][0] != measures[1][0]:
        return None
    factor = measures[0][1] / measures[1][1]
    if factor <= 1 or factor.denominator > 1:
        return None
    return Quantity(f"{factor.numerator * int(found['many'])}+{found['few']}", units[1] or "")


def compare_quantities(one: Quantity, other: Quantity) -> str:
    if one.modulus or other.modulus:
        return _residues(one, other)
    beside = {one.unit, other.unit}
    if len(beside) == 1 or beside == {"pound", "£"}:  # a price, whatever else a pound may be
        return compare_expressions(one.value, other.value)
    if beside == {"", "%"}:
        exact = compare_expressions(*(_percent(side) for side in (one, other)))
        bare = compare_expressions(one.value, other.value)
        return exact if exact == EQUAL or bare == DIFFERENT else UNKNOWN
    if beside == {"", r"^\circ"}:
        readings = [
            compare_expressions(*(_radians(side) for side in (one, other))),
            compare_expressions(one.value, other.value),
        ]
        return EQUAL if EQUAL in readings else DIFFERENT if set(readings) == {DIFFERENT} else UNKNOWN
    if "" not in beside:
        measures = [measure(side.unit) for side in (one, other)]
        if measures[0] is None or measures[1] is None or measures[0][0] != measures[1][0]:
            return UNKNOWN
        return compare_expressions(
            *(
                rf"{factor.numerator}\cdot\frac{{{side.value}}}{{{factor.denominator}}}"
                for side, (_, factor) in zip((one, other), filter(None, measures), strict=True)
            )
        )
    same = compare_expressions(one.value, other.value)
    if "" in beside:
        # A unit beside one of them: 5 cm equals 5, not 6; but 3 million may be 3,000,000, and 0.5 m may be
        # 50.
        is_counted = measure(one.unit or other.unit) is None
        return same if same == EQUAL or is_counted or not _scaled(one.value, other.value) else UNKNOWN
    return UNKNOWN


def _percent(side: Quantity) -> str:
    return rf"\frac{{{side.value}}}{{100}}" if side.unit else side.value


def _radians(side: Quantity) -> str:
    return rf"\frac{{({side.value})\pi}}{{180}}" if side.unit else side.value


def _residues(one: Quantity, other: Quantity) -> str:
    if one.modulus and other.modulus and one.modulus != other.modulus:
        return UNKNOWN
    try:
        apart = int(one.value) - int(other.value)
    except ValueError:
        return EQUAL if one.value == other.value else UNKNOWN
    if one.modulus == other.modulus:
        return EQUAL if apart % int(one.modulus) == 0 else DIFFERENT
    return EQUAL if apart == 0 else UNKNOWN


def _scaled(one: str, other: str) -> bool:
    """Whether two numbers differ by a power of ten or of sixty, as one quantity in two units does."""
    scales = [rf"\frac{{{one}}}{{{other}}}", rf"\frac{{{other}}}{{{one}}}"]
    powers = [*(10**power for power in range(1, 13)), 60, 3600, 24, 7, 12]
    return any(compare_expressions(scale, str(power)) == EQUAL for scale in scales for power in powers)


def compare_expressions(one: str, other: str) -> str:
    one, other = _counted(one), _counted(other)
    if one == other:
        return EQUAL
    if _ENDLESS.fullmatch(one) or _ENDLESS.fullmatch(other):
        return _endless(one, other)
    integrals = _CONSTANT.fullmatch(one), _CONSTANT.fullmatch(other)
    if integrals[0] and integrals[1]:
        return _up_to_a_constant(integrals[0]["rest"], integrals[1]["rest"])
    if not (is_read(one) and is_read(other)) or {one, other} in _IDENTITIES:
        return UNKNOWN
    if _BARE_LOG.search(one) or _BARE_LOG.search(other):
        return _with_logarithms(one, other)
    return _parsed(one, other)


def _counted(text: str) -> str:
    """The text with P(5, 2) written out, and with the divisors of numbers found.

    math-verify reads gcd(10^{20}, 1000) as the divisor of 10 and 1000.
    """
    if found := _PERMUTATIONS.fullmatch(text):
        n, k = int(found[1]), int(found[2])
        return rf"\frac{{{n}!}}{{{n - k}!}}" if k <= n else text

    def divisor(found: re.Match[str]) -> str:
        numbers = [value_of(part) if is_read(part) else None for part in split(found["of"], ",")]
        whole = [number.doit() for number in numbers if isinstance(number, sympy.Expr)]
        if len(whole) < max(2, len(numbers)) or not all(number.is_Integer for number in whole):
            return found[0]
        return str(sympy.gcd(whole) if found["name"] == "gcd" else sympy.lcm(whole))

    return _DIVISOR.sub(divisor, text)


def _endless(one: str, other: str) -> str:
    """0.333... beside another value: its repetition, if it is one, or any value that begins so."""
    if _ENDLESS.fullmatch(one) is None:
        one, other = other, one
    found = _ENDLESS.fullmatch(one)
    parsed = value_of(other) if is_read(other) else None
    if found is None or not isinstance(parsed, sympy.Expr) or parsed.free_symbols:
        return UNKNOWN
    value = number(parsed)
    if value is None or not value.is_real:
        return UNKNOWN
    size = sympy.Rational(1, 10 ** len(found["digits"]))
    least = sympy.Rational((found["whole"] or "0") + "." + found["digits"])
    # The least tail that is said three times, or twice where nothing stands before it
    repeated = re.fullmatch(r"\d*?(\d+?)\1\1+|\d?(\d)\2|(\d+)\3", found["digits"])
    if repeated:
        period = next(filter(None, repeated.groups()))
        whole = least + size * sympy.Rational(int(period), 10 ** len(period) - 1)
        if parsed.equals(-whole if found["sign"] else whole):
            return EQUAL
    value = -value if found["sign"] else value
    return UNKNOWN if least <= value <= least + size else DIFFERENT


def _up_to_a_constant(one: str, other: str) -> str:
    """x^2 + C and x^2 + 1 + c are the same family of functions."""
    letters = re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", one + other))
    if not letters or not set(letters) <= set("xtuyzes"):
        return UNKNOWN
    same = compare_expressions(one, other)
    if same != DIFFERENT:
        return same
    first, second = value_of(one), value_of(other)
    if not isinstance(first, sympy.Expr) or not isinstance(second, sympy.Expr):
        return UNKNOWN
    return {SAME: EQUAL, APART: DIFFERENT, None: UNKNOWN}[constant(first - second)]


def _with_logarithms(one: str, other: str) -> str:
    """The relation under both readings of log without a base, natural and decimal.

    Different only if it is so under both.
    """
    natural, decimal = (
        _parsed(_BARE_LOG.sub(log, one), _BARE_LOG.sub(log, other)) for log in (r"\\ln ", r"\\log_{10}")
    )
    return natural if natural in (EQUAL, decimal) else UNKNOWN


def _parsed(one: str, other: str) -> str:
    first, second = value_of(one), value_of(other)
    if first is None or second is None or _holds_points(first) != _holds_points(second):
        return UNKNOWN
    shown = evidence(first, second, (one, other))
    if shown == APART:
        return UNKNOWN if is_unsure(one, other) else DIFFERENT
    if has_both_cases(one + other) or order_matters(one, other):
        return UNKNOWN
    return EQUAL if shown == SAME or proven(first, second) or proven(second, first) else UNKNOWN


def _holds_points(parsed: Any) -> bool:
    """Whether it is a set or a relation, and no value; math-verify takes a relation for its right side."""
    return isinstance(parsed, (sympy.Set, Boolean)) and not isinstance(parsed, sympy.Expr)


def order_matters(one: str, other: str) -> bool:
    """Whether the two may differ by the order of factors alone: AB and BA, u x v and v x u.

    math-verify lets all letters commute.
    """
    letters = [re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)) for text in (one, other)]
    capitals = [[letter for letter in side if letter.isupper()] for side in letters]
    if re.search(r"\\(?:frac|sqrt)\{[^{}]*[A-Z]|\\frac\{[^{}]*\}\{[^{}]*[A-Z]|[A-Z]/|/[A-Z]", one + other):
        capitals = [[], []]  # no matrix stands in a fraction
    both = one + " | " + other
    if _MATRICES.search(both) and capitals[0] != capitals[1] and len(set(capitals[0] + capitals[1])) > 1:
        return True
    is_power = [re.search(r"\([^()]*[A-Z][^()]*\)\^", text) is not None for text in (one, other)]
    if is_power[0] != is_power[1] and len(set(capitals[0])) > 1:
        return True
    if bool(_VECTORS.search(one)) != bool(_VECTORS.search(other)):
        return True  # a cross product and another one
    if letters[0] != letters[1] and (_CROSS.search(both) or set(letters[0]) in ({"r", "s"}, {"g", "h"})):
        return True
    return any(_comes_again(run) for run in _RUN.findall(re.sub(r"\\[A-Za-z]+", "|", both)))


def _comes_again(run: str) -> bool:
    """Whether a letter of a product stands in it twice, with another between: aba, xyx^{-1}y^{-1}."""
    letters = [key for key, _ in groupby(re.findall(r"[A-Za-z]", re.sub(r"\^(?:\{[^{}]*\}|-?\w)", "", run)))]
    return any(count > 1 for letter, count in Counter(letters).items() if letter not in "eid")


def is_unsure(one: str, other: str) -> bool:
    """Whether values that differ prove nothing.

    So it is with an arbitrary constant, and with a letter in front of brackets, which may be a function.
    """
    both = one + " " + other
    arbitrary = r"(?<![A-Za-z\\])(?:[ABCDK](?![A-Za-z])|c_)"
    return re.search(rf"{arbitrary}|(?<![A-Za-z\\])[fghA-Z]\s*\(", both) is not None or has_both_cases(both)


def has_both_cases(text: str) -> bool:
    """Whether a letter stands in both cases, which math-verify reads as one."""
    letters = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)))
    return any(letter.lower() in letters for letter in letters if letter.isupper())
