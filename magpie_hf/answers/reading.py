"""What math-verify reads of an answer, and whether it reads every sign of it.

Not here: what two answers have to do with each other (expressions.py, equality.py).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy.core.function import AppliedUndef

from magpie_hf.answers.notation import assignment, braced, for_reward, normalise, shape
from magpie_hf.answers.values import prepared

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
    r"(?![A-Za-z]) ?(?:\\?\w+/|[a-z] [a-z])"
    r"|(?<![\w{}])\(\d{2,}\)|\(\d+\)\(\d+\)"  # permutations: (12), (12)(34)
)
_MATRIX = re.compile(r"\\begin\{[bpvB]?matrix\}|\\end\{[bpvB]?matrix\}|\\\\|&")
_NUMBER_SETS = re.compile(r"\\mathbb\{[RZNQC]\}")
_BRACKETED = re.compile(r"[\[(][^\[\]()]*,[^\[\]()]*[\])]|\\sqrt\[[^\[\]]*\]")
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


def readable(answer: str) -> bool:
    """Whether a reward can check this answer in a box.

    math-verify must read every sign of it, as a value, and find it equal to itself, also as TRL's reward
    reads a completion. Words, open brackets and fields such as Q(sqrt 2) are misread or compared as strings
    only.
    """
    written = for_reward(answer)
    text = normalise(written)
    if not all(is_read(assignment(part)[1]) for part in shape(text).parts) or re.search(
        r"\\mathbb|\\ldots", text
    ):
        return False
    if sum(map(text.count, "([")) != sum(map(text.count, ")]")):
        return False
    boxed = f"$\\boxed{{{written}}}$"
    gold = parse(boxed, parsing_timeout=None)
    said = parse(boxed, _TRL, extraction_mode="first_match", parsing_timeout=None)
    # What it is meant as: \ln 2 \cdot 3 is \ln 6 to math-verify
    meant = parse(f"$\\boxed{{{braced(text)}}}$", parsing_timeout=None)
    if not gold or not meant or isinstance(gold[0], str):
        return False
    return all(proven(gold, one) for one in (gold, said, meant))


def is_read(text: str) -> bool:
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
    if re.search(r"[-+*/^_=<>] *$", text):
        return False  # 5+ is five and more
    return not re.search(r"[A-Za-z]{4,}|\\", bare) and bare.count("{") == bare.count("}")


@lru_cache(maxsize=512)
def value_of(text: str) -> Any | None:
    reader = [*_READER, ExprExtractionConfig()] if _NUMBERS_ALONE.fullmatch(text) else _READER
    found = parse(f"${braced(text)}$", reader, parsing_timeout=None)
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


def proven(gold: Any, answer: Any) -> bool:
    return bool(verify(gold, answer, timeout_seconds=None, allow_set_relation_comp=True))
