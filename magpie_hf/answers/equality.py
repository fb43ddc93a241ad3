"""Equality of two final answers, over math-verify. Runs in a worker, where it may hang.

Not here: limits, caches, processes.

math-verify's False means "not proven equal". Here two answers are different only where something shows it:
values that differ, a set with an element that has no partner, words that exclude each other. All else is
unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from magpie_hf.answers.forms import compare_forms, rewritten, vector
from magpie_hf.answers.notation import Shape, assignment, braced, normalise, readings, shape, split
from magpie_hf.answers.units import known_unit, measure
from magpie_hf.answers.values import (
    APART,
    NO_VALUE,
    SAME,
    constant,
    equations,
    evidence,
    number,
    prepared,
    vanishes,
)
from magpie_hf.answers.words import DIFFERENT, EQUAL, UNKNOWN, compare_words, is_wordy, number_of

# The commands that math-verify reads correctly. It silently drops or misreads others: x' is x to it,
# \mathbb{Z}_2 nothing, 7_{10} is 7.
_COMMANDS = frozenset(
    r"""frac sqrt pi cdot times div infty cup cap setminus le ge ne ln log exp sin cos tan cot sec
    csc arcsin arccos arctan arcsinh arccosh arctanh sinh cosh tanh binom sum int prod lim to lfloor rfloor
    lceil rceil max
    min gcd emptyset alpha beta gamma delta epsilon varepsilon theta lambda mu nu rho sigma tau
    zeta phi varphi psi omega eta kappa xi Delta Omega Gamma vec overline bar hat begin end""".split()
)
_FOREIGN = re.compile(
    r"'|\^[^{}\\]\^|/(?:\d+|[A-Za-z])(?:[A-Za-z(]|\\(?:pi|sqrt|frac|sin|cos|ln))"  # x', 2^3^2, 1/2x
    r"|\\ldots|\\cdots|\.\.\.|:|\\mid|(?<![a-z])\d_|(?<![_\d{])\d+\s+\d"  # {x : x > 1}, 1010_2, (1 2 3)
    r"|\\text|\\\{|\\langle|&&|[?\"#@%$]|\\circ|\\pm|\\mp|\\equiv|\\pmod|=>|\{, \}"
    # A transpose, a repeating decimal, any character that is not ASCII
    r"|\^(?:T|\{[^{}]*T|-)|\d\.\d*(?:\\bar|\\hat|\()|[^\x00-\x7f]"
    r"|\\log_\d\d|\d(?:st|nd|rd|th)(?![a-z])|(?<![A-Za-z])e\^\d[A-Za-z]|\|\||\\(?:sin|cos|tan|ln)"
    r" ?(?:\\?\w+/|[a-z] [a-z])"
    r"|(?<![\w{}])\(\d{2,}\)|\(\d+\)\(\d+\)"  # permutations: (12), (12)(34)
)
_MATRIX = re.compile(r"\\begin\{[bpvB]?matrix\}|\\end\{[bpvB]?matrix\}|\\\\|&")
_NUMBER_SETS = re.compile(r"\\mathbb\{[RZNQC]\}")
_CYCLES = re.compile(r"\(\d{2,}\)|(?:\(\d+\)){2,}")
_BRACKETED = re.compile(r"[\[(][^\[\]()]*,[^\[\]()]*[\])]|\\sqrt\[[^\[\]]*\]")
_UNIT = re.compile(
    r"^(?P<value>.*?(?:[\d}\])]|\\pi|\\infty))"
    r"(?P<unit>%|\\?\$|\^\\circ| ?\\text\{.*| [A-Za-z]{2,}.*|(?<=\d)(?:cm|mm|km|kg)(?:\^.*)?|[^\x00-\x7f]+)$"
)
_CURRENCY = re.compile(r"(?P<sign>-?)\\?(?P<name>[$£€¥]) ?(?P<value>.+)")
_CURRENCIES = {"$": "dollar", "€": "euro", "¥": "yen", "円": "yen", "£": "£"}
_RADIANS = ("rad", "radian")
_MODULUS = re.compile(r"^(?:\w+\s*\\equiv\s*)?(?P<residue>.+?)\s*\\pmod\s*\{?(?P<modulus>\d+)\}?$")
_IMPLIED = re.compile(
    r"^[^,;]*\\(?:implies|Rightarrow|Longrightarrow|therefore)(?![A-Za-z]) ?(?=[A-Za-z]\w{0,2} ?=)"
)
_WHEN = re.compile(
    r" ?\\text ?\{ ?\(? ?(?:and (?:hence|so|then|thus)|when|if|for|with|so|since|where|as|because|at|"
    r"given|provided|then)(?![a-z])[^{}]*\} ?"
    r"| (?:when|if|for|with|so|since|where) "
)
_JOINED = re.compile(
    r"\\text ?\{ ?(and|or) ?\}|(?<![A-Za-z\\])(and|or)(?![A-Za-z])|\\(lor|land|vee|wedge)(?![A-Za-z])|(,)"
)
_TURNED = re.compile(
    r"[-+]\d*[\[(][^\[\]()]*,[^\[\]()]*[\])]|\d*(?:\[[^\[\]()]*,[^\[\]()]*\)|\([^\[\]()]*,[^\[\]()]*\])"
)  # -[0, 1)
_CONSTANT = re.compile(r"(?P<rest>.+?) ?\+ ?(?:[CcKk](?:_[01])?|\\text ?\{ ?(?:C|const(?:ant)?\.?) ?\})")
_ENDLESS = re.compile(r"(?P<sign>-?)(?P<whole>\d*)\.(?P<digits>\d+) ?\\ldots")
_DIVISOR = re.compile(r"\\(?P<name>gcd|text\{lcm\}|lcm) ?\((?P<of>[^()]*)\)")
_PERMUTATIONS = re.compile(r"P ?\((\d+), ?(\d+)\)")
# A product whose factors may not commute: of capital letters, of vectors, of a letter that comes again (xyx)
_LETTER = r"[A-Za-z](?:\^(?:\{[^{}]*\}|-?\w))?"
_MATRICES = re.compile(r"[A-Z](?:\^(?:\{[^{}]*\}|-?\w))? ?(?:\\cdot|\\times)? ?[A-Z(]|\)(?:\^|\()")
_CROSS = re.compile(r"[A-Za-z}] ?\\times ?(?:[A-Za-z]|\\(?:vec|text|hat))")
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


def readable(answer: str) -> bool:
    """Whether a reward can check this answer in a box.

    math-verify must read every sign of it, as a value, and find it equal to itself, also as TRL's reward
    reads a completion. Words, open brackets and fields such as Q(sqrt 2) are misread or compared as strings
    only.
    """
    text = normalise(answer)
    if not all(_is_read(assignment(part)[1]) for part in shape(text).parts) or re.search(
        r"\\mathbb|\\ldots", text
    ):
        return False
    if sum(map(text.count, "([")) != sum(map(text.count, ")]")):
        return False
    boxed = f"$\\boxed{{{braced(answer)}}}$"
    gold = parse(boxed, parsing_timeout=None)
    said = parse(boxed, _TRL, extraction_mode="first_match", parsing_timeout=None)
    # What it is meant as: \ln 2 \cdot 3 is \ln 6 to math-verify
    meant = parse(f"$\\boxed{{{braced(text)}}}$", parsing_timeout=None)
    if not gold or not meant or isinstance(gold[0], str):
        return False
    return all(_proven(gold, one) for one in (gold, said, meant))


def relation(one: str, other: str) -> str:
    """The relation of two normalised answers: equal, different or unknown. May hang or use all memory.

    An answer with two readings is compared in both.
    """
    first, second = readings(one), readings(other)
    if len(first) == len(second):
        verdicts = {_relation(a, b) for a, b in zip(first, second, strict=True)}
        return verdicts.pop() if len(verdicts) == 1 else UNKNOWN
    # 1,234 beside 1234 is the number: equal digits are no coincidence.
    verdicts = {_relation(a, b) for a in first for b in second}
    return EQUAL if EQUAL in verdicts else DIFFERENT if verdicts == {DIFFERENT} else UNKNOWN


def _relation(one: str, other: str) -> str:
    one, other = _exact(one), _exact(other)
    if one == other:
        return EQUAL
    said = compare_words(one, other) or compare_forms(one, other)
    if said or is_wordy(one) or is_wordy(other):
        return said or UNKNOWN
    if _CYCLES.fullmatch(one) or _CYCLES.fullmatch(other):
        return UNKNOWN  # permutations, or numbers
    if any("=" in _WHEN.split(text, maxsplit=1)[0] and _WHEN.search(text) for text in (one, other)):
        return _conditional(_WHEN.split(one), _WHEN.split(other))
    for whole in (_congruences, _regions):
        if (verdict := whole(one, other)) is not None:
            return verdict
    (name, value), (other_name, other_value) = _named(one), _named(other)
    if name and other_name and name != other_name:
        return DIFFERENT if _is_elsewhere(name, other_name) else _equations(one, other)
    if (name and _is_equation(other) and not other_name) or (other_name and _is_equation(one) and not name):
        return _equations(one, other)
    if name or other_name:
        return _relation(value, other_value)
    if _is_equation(one) or _is_equation(other):
        return _equations(one, other)
    if any(_TURNED.fullmatch(a) and _is_number(b) for a, b in ((one, other), (other, one))):
        return DIFFERENT
    for matrix, beside in ((one, other), (other, one)):
        if (entries := vector(matrix)) and shape(beside).brackets in ("()", "[]"):
            return _shapes(shape(entries), shape(beside))
    first, second = shape(one), shape(other)
    if first.brackets or second.brackets:
        return _shapes(first, second)
    return _quantities(_quantity(one), _quantity(other))


def _exact(text: str) -> str:
    r"""The value of "1/3 \\approx 0.33" and of "2x = 6 \\implies x = 3", and a number in words in digits."""
    text = _IMPLIED.sub("", text)
    if "approx" in text:
        exact, _, rounded = text.partition(r"\approx")
        named = "" if re.match(r"\\(?:pi|phi|gamma)(?![a-z])", exact) else assignment(f"{exact}=0")[0]
        text = (f"{exact}={rounded}" if named else exact or rounded).strip()
    return rewritten(number_of(text) or text)


def _conditional(one: list[str], other: list[str]) -> str:
    """x = 3 when y = 5: different where the first part alone is."""
    if len(one) != 2 or len(other) != 2:
        return UNKNOWN
    main, condition = (_relation(a.strip(), b.strip()) for a, b in zip(one, other, strict=True))
    if condition != EQUAL:
        return UNKNOWN
    return main


def _is_elsewhere(one: str, other: str) -> bool:
    """Whether two names are of one function at two numbers: f(2) and f(3)."""
    names = [re.fullmatch(r"(.+?)\(([-\d.,]+)\)", name) for name in (one, other)]
    return names[0] is not None and names[1] is not None and names[0][1] == names[1][1]


def _named(text: str) -> tuple[str, str]:
    """The name that an answer gives its value, and the value; no name for a list of assignments."""
    return ("", text) if shape(text).brackets == "," else assignment(text)


# --- lists, sets, tuples ------------------------------------------------------------------------------------


def _shapes(first: Shape, second: Shape) -> str:
    kinds = {first.brackets, second.brackets}
    if "" in kinds:
        return _with_single(first, second)
    names = [_names(side.parts) for side in (first, second)]
    if names[0] != names[1] and max(map(len, map(set, names))) > 1:
        return _by_place(first, second, names)
    if kinds <= {",", r"\{\}"}:
        verdict = _as_sets(first.parts, second.parts)
        return (
            UNKNOWN
            if verdict == EQUAL and "," in kinds and len(first.parts) != len(second.parts)
            else verdict
        )
    if "," in kinds or r"\{\}" in kinds:
        return UNKNOWN  # an unordered list and a tuple
    if len(first.parts) != len(second.parts):
        return DIFFERENT if all(_is_read(part) for part in (*first.parts, *second.parts)) else UNKNOWN
    verdicts = {_relation(a, b) for a, b in zip(first.parts, second.parts, strict=True)}
    if DIFFERENT in verdicts or UNKNOWN in verdicts:
        return DIFFERENT if DIFFERENT in verdicts else UNKNOWN
    if len(kinds) == 1:
        return EQUAL
    # (1,2) and [1,2] may both be the vector. If one is half-open, or ends in infinity, they are intervals and
    # differ.
    interval = kinds & {"[)", "(]"} or any("infty" in part for part in (*first.parts, *second.parts))
    return DIFFERENT if interval else UNKNOWN


def _names(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the unknowns that the parts of a list assign, sorted."""
    return tuple(sorted(name for name in (assignment(part)[0] for part in parts) if name))


def _by_place(first: Shape, second: Shape, names: list[tuple[str, ...]]) -> str:
    """x = 1, y = 2 against 1, 2 or (1, 2): equal if each place is; else unknown, as the order may vary."""
    if (
        (names[0] and names[1])
        or r"\{\}" in (first.brackets, second.brackets)
        or len(first.parts) != len(second.parts)
    ):
        return UNKNOWN
    verdicts = {
        _relation(assignment(a)[1], assignment(b)[1]) for a, b in zip(first.parts, second.parts, strict=True)
    }
    return EQUAL if verdicts == {EQUAL} else UNKNOWN


def _with_single(first: Shape, second: Shape) -> str:
    """A list, set, tuple or interval against a single thing."""
    many, single = (first, second.parts[0]) if first.brackets else (second, first.parts[0])
    if many.brackets in (",", r"\{\}"):
        numbers = ",".join(many.parts)
        if re.fullmatch(r"\d[\d.]*,\d+", numbers) and (
            re.fullmatch(r"\d{1,3},\d{3}", numbers) is None
            or _expressions(".".join(many.parts), single) != DIFFERENT
        ):
            return UNKNOWN  # 3,5 may be 3.5, and 1,234 may be 1.234
        if single == r"\emptyset":
            return DIFFERENT if any(map(_is_read, many.parts)) else UNKNOWN
        if len(many.parts) == 1:
            return UNKNOWN  # {x} may be the fractional part
        return (
            UNKNOWN
            if _is_relation(single) or r"\cup" in single or r"\mathbb" in single
            else _as_sets(many.parts, (single,))
        )
    opener, closer = many.brackets[0], many.brackets[-1]
    text = f"{opener}{','.join(many.parts)}{closer}"
    if (opener, closer) in (("[", ")"), ("(", "]")) and _is_number(single):
        return DIFFERENT  # an interval and a number
    if _is_relation(single) or re.search(r"\\cup|\\setminus|\\mathbb|\\emptyset", single):
        return _expressions(text, single)
    return UNKNOWN


def _as_sets(first: tuple[str, ...], second: tuple[str, ...]) -> str:
    """Equal if each element of either has an equal one in the other; different if one has no partner."""
    table = [[_element(a, b) for b in second] for a in first]
    lines = [*table, *map(list, zip(*table, strict=True))]
    if all(EQUAL in line for line in lines):
        return EQUAL
    related = any(map(_is_relation, (*first, *second)))  # "x < 1 or x > 2" says more than its parts
    return DIFFERENT if not related and any(set(line) == {DIFFERENT} for line in lines) else UNKNOWN


def _element(one: str, other: str) -> str:
    """Compare two elements of lists; those that name different unknowns, as in x = 1, y = 2, differ."""
    names = assignment(one)[0], assignment(other)[0]
    return DIFFERENT if "" not in names and names[0] != names[1] else _relation(one, other)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?(?:/\d+)?|-?\\frac\{\d+\}\{\d+\}", text) is not None


def _is_relation(text: str) -> bool:
    return re.search(r"[<>]|\\(?:le|ge|ne|in)(?![A-Za-z])", text) is not None


# --- equations, congruences and regions ---------------------------------------------------------------------


def _is_equation(text: str) -> bool:
    return len(split(text, "=")) == 2 and shape(text).brackets == "" and not _is_relation(text)


def _equations(one: str, other: str) -> str:
    """Two equations by what they say of the same unknowns; an equation and a value by whether it solves it.

    math-verify takes the right side of an equation for its value, so that 3x = 6 would be 6.
    """
    if _has_both_cases(one + other):
        return UNKNOWN
    if not (_is_equation(one) and _is_equation(other)):
        equation, value = (one, other) if _is_equation(one) else (other, one)
        return _solved(equation, value)
    first, second = _difference(one), _difference(other)
    if first is None or second is None:
        return UNKNOWN
    if not first.free_symbols | second.free_symbols:
        sides = split(one, "="), split(other, "=")
        return _relation(sides[0][1], sides[1][1]) if sides[0][0] == sides[1][0] else UNKNOWN
    shown = equations(first, second)
    if shown == SAME:
        return UNKNOWN if _order_matters(one, other) else EQUAL
    return DIFFERENT if shown == APART and not _is_unsure(one, other) else UNKNOWN


def _solved(equation: str, value: str) -> str:
    sides = split(equation, "=")
    apart, found = _difference(equation), _parse(value) if _is_read(value) else None
    if apart is None or not isinstance(found, sympy.Expr):
        return UNKNOWN
    if not apart.free_symbols:
        return _relation(sides[-1], value)  # 1 + 2 = 3
    if re.fullmatch(r"(?:[A-Za-z+/{} ]|\\frac)+", sides[0]):
        return UNKNOWN  # m + n = 7 may say that 7 is what was asked for
    solved = any(vanishes(apart.subs(symbol, found)) for symbol in apart.free_symbols - found.free_symbols)
    return UNKNOWN if solved else DIFFERENT


def _difference(equation: str) -> sympy.Expr | None:
    """The left side minus the right one."""
    sides = [_parse(side) if _is_read(side) else None for side in split(equation, "=")]
    left, right = sides
    return left - right if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr) else None


def _congruences(one: str, other: str) -> str | None:
    """Residues of one modulus, of which there may be several; None for anything else."""
    found = [_MODULUS.match(text) for text in (one, other)]
    if found[0] is None or found[1] is None or found[0]["modulus"] != found[1]["modulus"]:
        return None
    try:
        residues = [
            {int(part) % int(match["modulus"]) for part in shape(match["residue"]).parts}
            for match in found
            if match
        ]
    except (ValueError, ZeroDivisionError):
        return None
    return EQUAL if residues[0] == residues[1] else DIFFERENT


def _regions(one: str, other: str) -> str | None:
    """Relations of one unknown that "and", "or" or a comma joins, as a set; None for anything else."""
    if not any(
        _JOINED.search(text) and re.search(r"[<>]|\\[lg]e(?![A-Za-z])", text) for text in (one, other)
    ):
        return None
    sets = [_region(text) for text in (one, other)]
    if sets[0] is None or sets[1] is None:
        return None
    try:
        apart = sympy.SymmetricDifference(*sets)
    except NO_VALUE:
        return None
    return EQUAL if apart.is_empty else None


def _region(text: str) -> sympy.Set | None:
    """A comma is "and" where both can hold, and "or" where they exclude each other."""
    pieces = _JOINED.split(text) if _is_relation(text) else [text]
    parts = [piece.strip() for piece in pieces[::5]]
    joints = {next(filter(None, pieces[place + 1 : place + 5])) for place in range(0, len(pieces) - 1, 5)}
    found = [_parse(part) if _is_read(part) else None for part in parts]
    if len(parts) == 1 and isinstance(found[0], sympy.Set):
        return found[0]
    symbols = {symbol for part in found if isinstance(part, Relational) for symbol in part.free_symbols}
    if len(symbols) != 1 or not all(isinstance(part, Relational) for part in found) or len(joints) > 1:
        return None
    try:
        sets = [part.as_set() for part in found if part is not None]
    except NO_VALUE:
        return None
    both = sympy.Intersection(*sets)
    if joints <= {"and", "land", "wedge"}:
        return both
    return both if "," in joints and not both.is_empty else sympy.Union(*sets)


# --- single values ------------------------------------------------------------------------------------------


def _quantity(text: str) -> Quantity:
    if _ANGLE.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    if found := _CURRENCY.fullmatch(text):
        return Quantity(found["sign"] + found["value"].strip(), _CURRENCIES[found["name"]])
    if found := _MODULUS.match(text):
        return Quantity(found["residue"], modulus=found["modulus"])
    if found := _UNIT.match(text):
        sign = found["unit"].strip().lstrip("\\")
        unit = found["unit"] if found["unit"] in ("%", r"^\circ") else _CURRENCIES.get(sign)
        unit = unit or known_unit(found["unit"])
        if unit:
            return Quantity(found["value"].strip(), "" if unit in _RADIANS else unit)
    return Quantity(text)


def _quantities(one: Quantity, other: Quantity) -> str:
    if one.modulus or other.modulus:
        return _residues(one, other)
    beside = {one.unit, other.unit}
    if len(beside) == 1:
        return _expressions(one.value, other.value)
    if beside == {"", "%"}:
        exact = _expressions(*(_percent(side) for side in (one, other)))
        bare = _expressions(one.value, other.value)
        return exact if exact == EQUAL or bare == DIFFERENT else UNKNOWN
    if beside == {"", r"^\circ"}:
        readings = [
            _expressions(*(_radians(side) for side in (one, other))),
            _expressions(one.value, other.value),
        ]
        return EQUAL if EQUAL in readings else DIFFERENT if set(readings) == {DIFFERENT} else UNKNOWN
    if "" not in beside:
        measures = [measure(side.unit) for side in (one, other)]
        if measures[0] is None or measures[1] is None or measures[0][0] != measures[1][0]:
            return UNKNOWN
        return _expressions(
            *(
                rf"{factor.numerator}\cdot\frac{{{side.value}}}{{{factor.denominator}}}"
                for side, (_, factor) in zip((one, other), filter(None, measures), strict=True)
            )
        )
    same = _expressions(one.value, other.value)
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
    return any(_expressions(scale, str(power)) == EQUAL for scale in scales for power in powers)


def _is_read(text: str) -> bool:
    """Whether math-verify reads every sign of the text correctly."""
    text = _NUMBER_SETS.sub("", text.replace(r"\setminus\{", r"\setminus{").replace(r"\}", "}"))
    if _MATRIX.search(text):
        text = _MATRIX.sub(" , ", text)
    if (
        _FOREIGN.search(text)
        or re.search(r"[\[\]]", _BRACKETED.sub("", text))
        or any(command not in _COMMANDS for command in re.findall(r"\\([A-Za-z]+)", text))
    ):
        return False
    bare = re.sub(r"\\[A-Za-z]+", " ", text)
    return not re.search(r"[A-Za-z]{4,}|\\", bare) and bare.count("{") == bare.count("}")


def _expressions(one: str, other: str) -> str:
    one, other = _counted(one), _counted(other)
    if one == other:
        return EQUAL
    if _ENDLESS.fullmatch(one) or _ENDLESS.fullmatch(other):
        return _endless(one, other)
    integrals = _CONSTANT.fullmatch(one), _CONSTANT.fullmatch(other)
    if integrals[0] and integrals[1]:
        return _up_to_a_constant(integrals[0]["rest"], integrals[1]["rest"])
    if not (_is_read(one) and _is_read(other)) or {one, other} in _IDENTITIES:
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
        numbers = [_parse(part) if _is_read(part) else None for part in split(found["of"], ",")]
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
    parsed = _parse(other) if _is_read(other) else None
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
    same = _expressions(one, other)
    if same != DIFFERENT:
        return same
    first, second = _parse(one), _parse(other)
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
    first, second = _parse(one), _parse(other)
    if first is None or second is None or _holds_points(first) != _holds_points(second):
        return UNKNOWN
    shown = evidence(first, second, (one, other))
    if shown == APART:
        return UNKNOWN if _is_unsure(one, other) else DIFFERENT
    if _has_both_cases(one + other) or _order_matters(one, other):
        return UNKNOWN
    return EQUAL if shown == SAME or _proven(first, second) or _proven(second, first) else UNKNOWN


def _holds_points(parsed: Any) -> bool:
    """Whether it is a set or a relation, and no value; math-verify takes a relation for its right side."""
    return isinstance(parsed, (sympy.Set, Boolean)) and not isinstance(parsed, sympy.Expr)


def _order_matters(one: str, other: str) -> bool:
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
    if letters[0] != letters[1] and (_CROSS.search(both) or set(letters[0]) in ({"r", "s"}, {"g", "h"})):
        return True
    return any(_comes_again(run) for run in _RUN.findall(re.sub(r"\\[A-Za-z]+", "|", both)))


def _comes_again(run: str) -> bool:
    """Whether a letter of a product stands in it twice, with another between: aba, xyx^{-1}y^{-1}."""
    letters = [key for key, _ in groupby(re.findall(r"[A-Za-z]", re.sub(r"\^(?:\{[^{}]*\}|-?\w)", "", run)))]
    return any(count > 1 for letter, count in Counter(letters).items() if letter not in "eid")


def _proven(gold: Any, answer: Any) -> bool:
    return bool(verify(gold, answer, timeout_seconds=None, allow_set_relation_comp=True))


def _is_unsure(one: str, other: str) -> bool:
    """Whether values that differ prove nothing.

    So it is with an arbitrary constant, and with a letter in front of brackets, which may be a function.
    """
    both = one + " " + other
    arbitrary = r"(?<![A-Za-z\\])(?:[ABCDK](?![A-Za-z])|c_)"
    return re.search(rf"{arbitrary}|(?<![A-Za-z\\])[fghA-Z]\s*\(", both) is not None or _has_both_cases(both)


def _has_both_cases(text: str) -> bool:
    """Whether a letter stands in both cases, which math-verify reads as one."""
    letters = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)))
    return any(letter.lower() in letters for letter in letters if letter.isupper())


_TRL = [  # how `trl.rewards.accuracy_reward` reads a completion
    LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )
]
_LATEX = LatexExtractionConfig()
# What math-verify takes for a unit may be a letter: the h of \\pi r^2 h is not an hour.
_READER = [replace(_LATEX, normalization_config=replace(_LATEX.normalization_config, units=False))]
# Where the grammar fails, this one finds any number inside: 1 in -[0, 1). So it reads sums and powers alone.
_NUMBERS_ALONE = re.compile(r"[\d\s.+*/^()-]+")


@lru_cache(maxsize=512)
def _parse(text: str) -> Any | None:
    reader = [*_READER, ExprExtractionConfig()] if _NUMBERS_ALONE.fullmatch(text) else _READER
    found = parse(f"${text}$", reader, parsing_timeout=None)
    parsed = prepared(found[0]) if found and not isinstance(found[0], str) else None
    return None if parsed is None or _drops_letters(text, parsed) else parsed


def _drops_letters(text: str, parsed: Any) -> bool:
    """Whether math-verify dropped a letter of the text: it reads 2ab as 2 with a unit, and gcd(n, 4) as 1."""
    if not isinstance(parsed, (sympy.Basic, sympy.MatrixBase)):
        return False
    bare = re.sub(
        r"^\w+ ?\\in(?![A-Za-z])|\\(?:[A-Za-z]+)", " ", _MATRIX.sub(" ", _NUMBER_SETS.sub(" ", text))
    )
    names = [symbol.name for symbol in parsed.atoms(sympy.Symbol)] + [
        call.func.__name__ for call in parsed.atoms(AppliedUndef)
    ]
    kept = set("".join(names).lower()) | {"i", "e", "d"}
    return any(letter.lower() not in kept for letter in re.findall("[A-Za-z]", bare))
