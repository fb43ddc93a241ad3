"""Measures the cost and the certainty of verified answers: 400 problems x 5 candidates, real workers.

Usage: verification.py [PROBLEMS] (default 400)

The answers are made from a seed: thirteen kinds, several spellings of each value, a third of the candidates
wrong in a plausible way. Prints seconds (with the workers' start), pairs that reached a worker, the share
that stayed unknown, and wrong verdicts.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import results

from magpie_hf.answers import comparison
from magpie_hf.answers.comparison import PROCESSES, compare
from magpie_hf.stages.verify import Verify

Spelled = tuple[object, list[str]]  # a value, equal only to itself, and its spellings


def integer(sample: random.Random) -> Spelled:
    n = sample.choice([sample.randint(-20, 200), sample.randint(1000, 99_999)])
    return n, [f"{n}", f"x = {n}", f"{n}.0", f"{n:,}", f"{n}\\text{{ ways}}"]


def fraction(sample: random.Random) -> Spelled:
    p, q = sample.randint(1, 40), sample.choice([2, 4, 5, 8, 20, 25])
    spellings = [
        f"\\frac{{{p}}}{{{q}}}",
        f"\\dfrac{{{2 * p}}}{{{2 * q}}}",
        f"{p}/{q}",
        f"{p / q}",
        f"{100 * p / q:g}\\%",
    ]
    return p / q, [*spellings, f"p = \\frac{{{p}}}{{{q}}}"]


def radical(sample: random.Random) -> Spelled:
    a, b = sample.randint(2, 9), sample.choice([2, 3, 5, 7])
    return a * a * b, [
        f"{a}\\sqrt{{{b}}}",
        f"\\sqrt{{{a * a * b}}}",
        f"\\frac{{{a * b}}}{{\\sqrt{{{b}}}}}",
        f"{a} \\cdot {b}^{{1/2}}",
    ]


def angle(sample: random.Random) -> Spelled:
    p, q = sample.randint(1, 11), sample.choice([2, 3, 4, 6, 12])
    return p / q, [
        f"\\frac{{{p}\\pi}}{{{q}}}",
        f"\\frac{{{p}}}{{{q}}}\\pi",
        f"{p}\\pi/{q}",
        f"{180 * p // q}^\\circ",
    ]


def polynomial(sample: random.Random) -> Spelled:
    a, b = sorted((sample.randint(1, 9), sample.randint(1, 9)))
    expanded = f"x^2 + {a + b}x + {a * b}"
    return (a, b), [expanded, f"(x+{a})(x+{b})", f"f(x) = {expanded}", f"x(x+{a + b}) + {a * b}"]


def logarithm(sample: random.Random) -> Spelled:
    a, n = sample.choice([2, 3, 5]), sample.randint(2, 6)
    return a**n, [f"\\ln {a**n}", f"{n}\\ln {a}", f"\\ln({a**n})", f"{n} \\log({a})"]


def power(sample: random.Random) -> Spelled:
    c = sample.randint(-3, 3)
    return c, [
        f"2^{{n{c:+d}}}",
        f"2^n \\cdot 2^{{{c}}}",
        f"{2.0**c:g} \\cdot 2^{{n}}",
        f"a_n = 2^{{n{c:+d}}}",
    ]


def interval(sample: random.Random) -> Spelled:
    a = sample.randint(-9, 9)
    b = a + sample.randint(1, 9)
    return (a, b), [f"[{a}, {b})", f"{a} \\le x < {b}", f"x \\in [{a},{b})", f"\\left[{a}, {b}\\right)"]


def roots(sample: random.Random) -> Spelled:
    a, b = sorted(sample.sample(range(-9, 10), 2))
    return (a, b), [f"\\{{{a}, {b}\\}}", f"{b}, {a}", f"x = {a} \\text{{ or }} x = {b}", f"x={b}, x={a}"]


def matrix(sample: random.Random) -> Spelled:
    a, b, c, d = (sample.randint(-5, 5) for _ in range(4))
    inside = f"{a} & {b} \\\\ {c} & {d}"
    return (a, b, c, d), [f"\\begin{{{kind}matrix}} {inside} \\end{{{kind}matrix}}" for kind in "pb"]


def said(sample: random.Random) -> Spelled:
    word = sample.choice(["yes", "no"])
    return word, [f"\\text{{{word.title()}}}", word, f"\\textbf{{{word}}}", word.title() + "."]


def group(sample: random.Random) -> Spelled:
    """A kind of answer that math-verify does not parse."""
    n = sample.randint(2, 12)
    return n, [
        f"\\mathbb{{Z}}_{{{n}}}",
        f"\\mathbb{{Z}}/{n}\\mathbb{{Z}}",
        f"C_{{{n}}}",
        f"\\text{{cyclic of order }} {n}",
    ]


def family(sample: random.Random) -> Spelled:
    """Another kind that math-verify does not parse."""
    n = sample.randint(2, 6)
    return n, [
        f"x = \\frac{{k\\pi}}{{{n}}}, k \\in \\mathbb{{Z}}",
        f"\\frac{{n\\pi}}{{{n}}}, n \\in \\mathbb{{Z}}",
        f"\\frac{{\\pi}}{{{n}}} k",
    ]


KINDS: list[Callable[[random.Random], Spelled]] = [
    integer, integer, integer, fraction, fraction, radical, angle, polynomial, logarithm, power, interval,
    roots, matrix, said, group, family,
]  # fmt: skip


def problem(sample: random.Random, k: int = 5) -> tuple[list[object], list[str]]:
    """The values and the spellings of one problem's candidates."""
    kind = sample.choice(KINDS)
    right = kind(sample)
    wrong = [kind(sample) for _ in range(2)]
    chosen = [sample.choice(wrong) if sample.random() < 1 / 3 else right for _ in range(k)]
    return [value for value, _ in chosen], [sample.choice(spellings) for _, spellings in chosen]


def wrong_verdicts(values: list[object], spellings: list[str]) -> Counter[str]:
    """The verdicts on all pairs of candidates, and those that contradict the known values."""
    counted: Counter[str] = Counter()
    for one, other in combinations(range(len(values)), 2):
        relation = compare(spellings[one], spellings[other]).relation
        counted[relation] += 1
        counted["wrong"] += relation != "unknown" and (relation == "equal") != (values[one] == values[other])
    return counted


def main(problems: int) -> None:
    sample = random.Random(0)
    sampled = [problem(sample) for _ in range(problems)]
    answers = [[response(spelling) for spelling in spellings] for _, spellings in sampled]
    began = time.perf_counter()
    out = Verify()(
        {"problem": ["Find it."] * problems, "candidates": answers, "solutions": [None] * problems}
    )
    seconds = time.perf_counter() - began
    asked = len(comparison._CACHE)
    counted = sum((wrong_verdicts(*one) for one in sampled), Counter[str]())
    pairs = counted["equal"] + counted["different"] + counted["unknown"]
    sure = sum(unknown == 0 for unknown in out["unknown_pairs"]) / problems
    whole = seconds * 44_000 / problems
    print(
        f"{problems:,} problems x 5: {seconds:.1f} s, {PROCESSES} workers, {asked:,} pairs; 44,000 x 5:"
        f" {whole / 60:.0f} minutes"
    )
    print(
        f"of {pairs:,} pairs {counted['unknown'] / pairs:.2%} unknown, {counted['wrong']} wrong; rows without"
        f" an unknown pair: {sure:.1%}"
    )
    results.record(
        "verification",
        {
            "problems": problems,
            "k": 5,
            "seconds": seconds,
            "seconds_of_44000": whole,
            "workers": PROCESSES,
            "compared": asked,
            "pairs": pairs,
            "unknown": counted["unknown"] / pairs,
            "wrong": counted["wrong"],
            "rows_sure": sure,
        },
    )


def response(answer: str) -> dict[str, Any]:
    return {
        "answer_text": f"We compute, and so it is $\\boxed{{{answer}}}$.",
        "reason": None,
        "num_tokens": 200,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
