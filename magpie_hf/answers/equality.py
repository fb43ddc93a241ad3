"""Equality of two final answers, over math-verify. Runs in a worker, where it may hang.

Not here: limits, caches, processes.

math-verify's False means "not proven equal". Here two answers are different only where something shows it:
values that differ, a set with an element that has no partner, words that exclude each other. All else is
unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy.core.function import AppliedUndef

from magpie_hf.answers.notation import Shape, assignment, braced, normalise, readings, shape
from magpie_hf.answers.values import APART, SAME, evidence, prepared
from magpie_hf.answers.words import DIFFERENT, EQUAL, UNKNOWN, compare_words, is_wordy, known_unit

# The commands that math-verify reads correctly. It silently drops or misreads others: x' is x to it,
# \mathbb{Z}_2 nothing, 7_{10} is 7.
_COMMANDS = frozenset(
    r"""frac sqrt pi cdot times div infty cup cap setminus le ge ne ln log exp sin cos tan cot sec
    csc arcsin arccos arctan sinh cosh tanh binom sum int prod lim to lfloor rfloor lceil rceil max
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
_MODULUS = re.compile(r"^(?:\w+\s*\\equiv\s*)?(?P<residue>.+?)\s*\\pmod\s*\{?(?P<modulus>\d+)\}?$")
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
    if not all(_is_read(assignment(part)[1]) for part in shape(text).parts) or r"\mathbb" in text:
        return False
    if sum(map(text.count, "([")) != sum(map(text.count, ")]")):
        return False
    boxed = f"$\\boxed{{{braced(answer)}}}$"
    gold = parse(boxed, parsing_timeout=None)
    said = parse(boxed, _TRL, extraction_mode="first_match", parsing_timeout=None)
    return bool(gold) and not isinstance(gold[0], str) and _proven(gold, gold) and _proven(gold, said)


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
    if one == other:
        return EQUAL
    said = compare_words(one, other)
    if said or is_wordy(one) or is_wordy(other):
        return said or UNKNOWN
    if _CYCLES.fullmatch(one) or _CYCLES.fullmatch(other):
        return UNKNOWN  # permutations, or numbers
    (name, one), (other_name, other) = _named(one), _named(other)
    if name or other_name:
        return _relation(one, other) if name == other_name or "" in (name, other_name) else UNKNOWN
    first, second = shape(one), shape(other)
    if first.brackets or second.brackets:
        return _shapes(first, second)
    return _quantities(_quantity(one), _quantity(other))


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


def _is_relation(text: str) -> bool:
    return re.search(r"[<>]|\\(?:le|ge|ne|in)(?![A-Za-z])", text) is not None


# --- single values ------------------------------------------------------------------------------------------


def _quantity(text: str) -> Quantity:
    if _ANGLE.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    text = re.sub(r"^\\\$\s*", "", text) + (r"\$" if text.startswith(r"\$") else "")
    if found := _MODULUS.match(text):
        return Quantity(found["residue"], modulus=found["modulus"])
    if found := _UNIT.match(text):
        unit = found["unit"] if found["unit"] in ("%", r"\$", "$", r"^\circ") else known_unit(found["unit"])
        if unit:
            return Quantity(found["value"].strip(), unit.strip("\\"))
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
    same = _expressions(one.value, other.value)
    if "" in beside:
        # A unit beside one of them: 5 cm equals 5, not 6; but 3 million may be 3,000,000, and 0.5 m may be
        # 50.
        return same if same == EQUAL or not _scaled(one.value, other.value) else UNKNOWN
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
    if one == other:
        return EQUAL
    if not (_is_read(one) and _is_read(other)) or {one, other} in _IDENTITIES:
        return UNKNOWN
    if _BARE_LOG.search(one) or _BARE_LOG.search(other):
        return _with_logarithms(one, other)
    return _parsed(one, other)


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
    if first is None or second is None:
        return UNKNOWN
    shown = evidence(first, second, (one, other))
    if shown == APART:
        return UNKNOWN if _is_unsure(one, other) else DIFFERENT
    if shown == SAME:
        return EQUAL if not _has_both_cases(one + other) else UNKNOWN
    return (
        EQUAL
        if not _has_both_cases(one + other) and (_proven(first, second) or _proven(second, first))
        else UNKNOWN
    )


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
_READER = [
    replace(_LATEX, normalization_config=replace(_LATEX.normalization_config, units=False)),
    ExprExtractionConfig(),
]


@lru_cache(maxsize=512)
def _parse(text: str) -> Any | None:
    found = parse(f"${text}$", _READER, parsing_timeout=None)
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
