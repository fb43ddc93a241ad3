"""Equality of two final answers, over math-verify. Runs in a worker, where it may hang.

Here: what the whole of an answer is, lists, sets, equations, regions. Not here: single values
(expressions.py), limits, caches, processes.

math-verify's False means "not proven equal". Here two answers are different only where something shows it:
values that differ, a set with an element that has no partner, words that exclude each other. All else is
unknown.
"""

from __future__ import annotations

import re
from itertools import pairwise

import sympy
from sympy.core.relational import Relational

from magpie_hf.answers.expressions import (
    MODULUS,
    compare_expressions,
    compare_quantities,
    has_both_cases,
    is_unsure,
    order_matters,
    quantity_of,
)
from magpie_hf.answers.forms import TIME, compare_forms, rewritten, vector
from magpie_hf.answers.notation import Shape, assignment, readings, shape, split
from magpie_hf.answers.reading import is_read, value_of
from magpie_hf.answers.values import APART, NO_VALUE, SAME, equations, vanishes
from magpie_hf.answers.words import DIFFERENT, EQUAL, UNKNOWN, compare_words, is_wordy, number_of

_AND, _OR = re.compile(r"\\(?:land|wedge)(?![A-Za-z])"), re.compile(r"\\(?:lor|vee)(?![A-Za-z])")
_CYCLES = re.compile(r"\(\d{2,}\)|(?:\(\d+\)){2,}")
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


_STEPS = re.compile(
    r"[a-z] ?= ?(?P<modulus>\d+) ?[kmnt] ?(?P<residue>[-+] ?\d+)"
    r"(?:,? ?(?:\\text ?\{[^{}]*\})? ?[kmnt] ?\\in ?\\mathbb ?\{?Z\}?)?"
)


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
    if any(_AND.search(a) and _OR.search(b) for a, b in ((one, other), (other, one))):
        return UNKNOWN
    if _CYCLES.fullmatch(one) or _CYCLES.fullmatch(other):
        return UNKNOWN  # permutations, or numbers
    if any("=" in _WHEN.split(text, maxsplit=1)[0] and _WHEN.search(text) for text in (one, other)):
        return _conditional(_WHEN.split(one), _WHEN.split(other))
    for whole in (_congruences, _proportions, _regions):
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
    if r"\equiv" in one + other and not (r"\pmod" in one and r"\pmod" in other):
        return UNKNOWN  # x = 2 (mod 10) and 2
    if any(_TURNED.fullmatch(a) and _is_number(b) for a, b in ((one, other), (other, one))):
        return DIFFERENT
    for matrix, beside in ((one, other), (other, one)):
        if (entries := vector(matrix)) and shape(beside).brackets in ("()", "[]"):
            return _shapes(shape(entries), shape(beside))
    first, second = shape(one), shape(other)
    if first.brackets or second.brackets:
        return _shapes(first, second)
    return compare_quantities(quantity_of(one), quantity_of(other))


def _exact(text: str) -> str:
    r"""The value of "1/3 \\approx 0.33" and of "2x = 6 \\implies x = 3", and a number in words in digits."""
    text = _IMPLIED.sub("", text)
    if "approx" in text:
        exact, _, rounded = text.partition(r"\approx")
        named = "" if re.match(r"\\(?:pi|phi|gamma)(?![a-z])|e ?$", exact) else assignment(f"{exact}=0")[0]
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
        return DIFFERENT if all(is_read(part) for part in (*first.parts, *second.parts)) else UNKNOWN
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
            or compare_expressions(".".join(many.parts), single) != DIFFERENT
        ):
            return UNKNOWN  # 3,5 may be 3.5, and 1,234 may be 1.234
        if re.fullmatch(r"\d+,\d+/\d+", numbers):
            whole, part = many.parts
            return (
                _as_sets(many.parts, (single,)) if _relation(f"{whole}+{part}", single) != EQUAL else UNKNOWN
            )
        if single == r"\emptyset":
            return DIFFERENT if any(map(is_read, many.parts)) else UNKNOWN
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
        return compare_expressions(text, single)
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
    if has_both_cases(one + other):
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
        return UNKNOWN if order_matters(one, other) else EQUAL
    return DIFFERENT if shown == APART and not is_unsure(one, other) else UNKNOWN


def _solved(equation: str, value: str) -> str:
    sides = split(equation, "=")
    apart, found = _difference(equation), value_of(value) if is_read(value) else None
    if apart is None or not isinstance(found, sympy.Expr):
        return UNKNOWN
    if not apart.free_symbols:
        return _relation(sides[-1], value)  # 1 + 2 = 3
    if re.fullmatch(r"(?:[A-Za-z+/{} ]|_\w|\\frac)+|\\[a-z]+\^\d|[A-Z]{1,3}\^\d", sides[0]):
        return UNKNOWN  # m + n = 7 may say that 7 is what was asked for
    solved = any(vanishes(apart.subs(symbol, found)) for symbol in apart.free_symbols - found.free_symbols)
    return UNKNOWN if solved else DIFFERENT


def _difference(equation: str) -> sympy.Expr | None:
    """The left side minus the right one."""
    sides = [value_of(side) if is_read(side) else None for side in split(equation, "=")]
    left, right = sides
    return left - right if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr) else None


def _congruences(one: str, other: str) -> str | None:
    """Residues of one modulus, of which there may be several; None for anything else."""
    if not any(r"\pmod" in text for text in (one, other)):
        return None
    found = [_classes(text) for text in (one, other)]
    if found[0] is None or found[1] is None or found[0][0] != found[1][0]:
        return None
    return EQUAL if found[0][1] == found[1][1] else DIFFERENT


def _classes(text: str) -> tuple[int, set[int]] | None:
    """The modulus and the residues of "1, 4 (mod 5)", "1 (mod 5) or 4 (mod 5)" and "x = 5k + 1"."""
    moduli, residues = set(), set()
    try:
        for part in re.split(r" ?\\text ?\{ ?or ?\} ?|,(?= ?[a-z] ?\\equiv)", text):
            if found := MODULUS.match(part.strip()):
                moduli.add(int(found["modulus"]))
                residues |= {int(one) % int(found["modulus"]) for one in shape(found["residue"]).parts}
            elif found := _STEPS.fullmatch(part.strip()):
                moduli.add(int(found["modulus"]))
                residues.add(int(found["residue"]) % int(found["modulus"]))
            else:
                return None
    except (ValueError, ZeroDivisionError):
        return None
    return (moduli.pop(), residues) if len(moduli) == 1 else None


def _proportions(one: str, other: str) -> str | None:
    r"""\sqrt2 : 1 and 2 : \sqrt2, and 3 : 4 beside \frac34; None for anything else."""
    terms = [split(text.rpartition("=")[2], ":") if "\\{" not in text else () for text in (one, other)]
    if max(map(len, terms)) < 2 or not all(map(is_read, (*terms[0], *terms[1]))):
        return None
    if len(terms[0]) != len(terms[1]):
        if sorted(map(len, terms)) != [1, 2] or any(map(TIME.fullmatch, (one, other))):
            return UNKNOWN
        (above, below), (value,) = sorted(terms, key=len, reverse=True)
        same = compare_expressions(rf"\frac{{{above}}}{{{below}}}", value)
        return EQUAL if same == EQUAL else UNKNOWN
    pairs = [[rf"\frac{{{a}}}{{{b}}}" for a, b in pairwise(side)] for side in terms]
    verdicts = {compare_expressions(a, b) for a, b in zip(*pairs, strict=True)}
    return DIFFERENT if DIFFERENT in verdicts else verdicts.pop() if len(verdicts) == 1 else UNKNOWN


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
    found = [value_of(part) if is_read(part) else None for part in parts]
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
