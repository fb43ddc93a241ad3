"""Measures how near-duplicates and benchmark problems are found among 44,000 constructed problems.

Usage: duplicates.py [PROBLEMS] (default 44000)

The problems are made from a seed. One in ten repeats an earlier one in other words (typesetting, names of
variables, order of the sentences, verbs), one in ten is an earlier one with one number changed, one in fifty
repeats one of 5,000 rows of a constructed benchmark (unchanged, in other typesetting, with a sentence before
it, or with a number changed), and as many only begin like one. Prints seconds, the memory that each step
adds, and how many were found, missed and wrong. Then 300 problems of 60 forms (tests/many_problems.py) are
looked for in eight changes, and 300 others with their numbers, as near-duplicates and as a benchmark's rows.
It uses no embeddings, which are for what is missed here.
"""

from __future__ import annotations

import json
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import results

from magpie_hf.problems.benchmarks.loading import load_benchmark
from magpie_hf.problems.benchmarks.names import Benchmark, Loaded, benchmarks_of
from magpie_hf.problems.benchmarks.overlap import Index
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.stages.decontaminate import Decontaminate
from magpie_hf.stages.signature import Signature

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from many_problems import CHANGES, problems

# Sentences, the question last. <x> is a variable, #1 a number, [a|b] a choice, (Find) and (Prove) verbs.
TEMPLATES = [
    (
        "Let <x> and <y> be real numbers with $#1<x> + #2<y> = #3$. Suppose that $<x> - <y> = #4$. (Find) the"
        " value of $<x>^2 [+|-] <y>^2$."
    ),
    "(Find) the [maximum|minimum] value of $<x>^3 - #1<x>^2 + #2<x>$ on the interval $[0, #3]$.",
    "Let $<f>(<x>) = <x>^3 - #1<x> + #2$. (Find) the [sum|product] of the squares of the roots of <f>.",
    (
        "Let $<G>$ be a group of order #1. Let $<H>$ be a subgroup of $<G>$ of index #2. (Prove) that $<H>$"
        " is [normal|cyclic|abelian]."
    ),
    "Evaluate $\\int_0^{#1} \\frac{<x>^#2}{1 + #3<x>} \\, d<x>$.",
    "How many integers between #1 and 10#2 are [divisible by|congruent to 1 modulo] #3?",
    (
        "A bag contains #1 red balls and #2 blue balls. #3 are drawn [with|without] replacement. What is the"
        " probability that all are red?"
    ),
    (
        "Let $<a>_1 = #1$ and $<a>_{<n>+1} = #2<a>_<n> + #3$ for all $<n> \\geq 1$. (Find) the remainder of"
        " $<a>_{#4}$ modulo 7."
    ),
    (
        "In triangle $<A><B><C>$ let $<A><B> = #1$ and $<B><C> = #2$. Suppose that $\\angle <B> = #3^\\circ$."
        " (Find) its [area|perimeter]."
    ),
    (
        "(Find) the number of [trees|connected graphs|bipartite graphs] on #1 labelled vertices with exactly"
        " #2 vertices of degree #3."
    ),
    (
        "Let <X> be a [Poisson|geometric|exponential] random variable with mean #1. (Find) $P(<X> > #2)$"
        " given that $<X> > #3$."
    ),
    "(Find) the [number|sum] of positive divisors of $#1^{#2} \\cdot 7^{#3}$.",
    "Solve $\\log_#1(<x> + #2) = #3$ for <x>.",
    "(Find) the [rank|determinant|trace] of the matrix with rows $(#1, #2)$ and $(#3, #4)$.",
    (
        "Let $<p>(<x>) = #1<x>^4 + #2<x>^2 + #3$. (Prove) that <p> is [irreducible|reducible] over"
        " $\\mathbb{Q}$."
    ),
    "The series $\\sum_{<n>=1}^\\infty \\frac{<n>^#1}{#2^<n> + #3}$ is given. Does it [converge|diverge]?",
]
CHOICE = re.compile(r"\[(\w[^\]]*\|[^\]]*|\+\|-)\]")
NAMES = {"f": "fghF", "x": "xtuz", "y": "ywvs", "G": "GKLM", "H": "HNSU", "a": "abcd", "n": "nkmj",
         "A": "APDX", "B": "BQEY", "C": "CRFZ",
         "X": "XYZW", "p": "pqPQ"}  # fmt: skip
FIND, PROVE = ("Find", "Determine", "Compute", "Calculate"), ("Prove", "Show")
OPENINGS = """A baker in a small town prepares #1 trays of rolls every morning before the market opens
The captain of a river ferry counts #1 passengers at the first landing of the day
A librarian has to distribute #1 old volumes over the shelves of the new reading room
During a chess tournament the organiser writes the results of #1 games on one large board
A farmer divides a rectangular meadow into #1 strips for sheep, goats and cows
The keeper of a lighthouse records #1 flashes of two neighbouring beacons in one night
An engineer stretches a cable over #1 pylons along a straight mountain railway
A teacher hands out #1 coloured cards to the pupils who sit around a circular table
The owner of a vineyard fills #1 barrels of two different sizes after the selection
A clockmaker compares #1 antique clocks that run at slightly different speeds""".splitlines()
MIDDLES = """of these exactly #2 turn out to be damaged, and the others are sorted into piles of equal height
each of them is connected with #2 others, and no two connections cross one another
whenever #2 of them have been used, a helper replaces half of the rest by new ones
they are numbered in order, and each number that ends in #2 is painted with a golden stripe
every hour #2 more are added, while a third of those that were there before disappear
they stand in a long line, and whoever stands at a position that #2 divides takes one step forward
#2 inspectors choose some of them independently, and nobody knows the choice of the others
the weight of each is #2 grams more than that of its left neighbour
two players remove up to #2 of them by turns, and whoever takes the last one wins
all but #2 of them are sold at a price that falls by one coin each day""".splitlines()
QUESTIONS = """How many remain when the work is finished after #3 rounds?
What is the smallest number of steps after which at least #3 of them look alike?
Determine the expected value of the number that is left at noon on day #3.
For which starting numbers can the first one always win, if #3 moves are allowed?
In how many different ways can this happen within #3 days?
Find the largest total that is possible when #3 of them are marked beforehand.
Show that some two of them agree after fewer than #3 exchanges.
What is the probability that the total exceeds #3 at the end?""".splitlines()


@dataclass(frozen=True)
class Content:
    """The meaning of a problem: its template, its numbers and its choices."""

    template: str
    numbers: tuple[int, ...]
    choices: tuple[str, ...]


def content(dice: random.Random) -> Content:
    template = dice.choice(TEMPLATES)
    numbers = tuple(dice.randint(2, 60) for _ in range(template.count("#")))
    return Content(
        template,
        numbers,
        tuple(
            dice.choice(options.split("|"))
            for options in re.findall(r"\[(\w[^\]]*\|[^\]]*|\+\|-)\]", template)
        ),
    )


def changed(one: Content, dice: random.Random) -> Content:
    at = dice.randrange(len(one.numbers))
    return Content(
        one.template,
        tuple(number + dice.randint(1, 3) * (place == at) for place, number in enumerate(one.numbers)),
        one.choices,
    )


def said(one: Content, dice: random.Random, plain: bool = False) -> str:
    """The content in one of many wordings; with `plain`, in the first of them."""
    text, choices = one.template, iter(one.choices)
    text = CHOICE.sub(lambda _: next(choices), text)
    text = re.sub(r"#(\d)", lambda m: str(one.numbers[int(m[1]) - 1]), text)
    for letter, names in NAMES.items():
        text = text.replace(f"<{letter}>", letter if plain else dice.choice(names))
    text = text.replace("(Find)", FIND[0] if plain else dice.choice(FIND)).replace(
        "(Prove)", PROVE[0] if plain else dice.choice(PROVE)
    )
    if plain:
        return text
    *given, question = re.split(r"(?<=\.) ", text)
    return typeset(" ".join([*dice.sample(given, len(given)), question]), dice)


def typeset(text: str, dice: random.Random) -> str:
    """The same text in other typesetting."""
    if dice.random() < 0.5:
        text = re.sub(r"\$([^$]+)\$", r"\\(\1\\)", text).replace(r"\frac", r"\dfrac").replace(r"\geq", r"\ge")
    if dice.random() < 0.5:
        text = text.replace(" = ", "=").replace(" + ", "+").replace(r" \, ", r"\;")
    return text if dice.random() < 0.5 else text.rstrip(".?").replace(". ", ".\n")


def story(dice: random.Random) -> str:
    text = f"{dice.choice(OPENINGS)}; {dice.choice(MIDDLES)}. {dice.choice(QUESTIONS)}"
    return re.sub(r"#\d", lambda _: str(dice.randint(13, 400)), text)


def repeated(row: str, dice: random.Random) -> tuple[str, str]:
    """A changed row of the benchmark, and the kind of change."""
    way = dice.choice(("as it is", "typesetting", "framed", "number"))
    if way == "typesetting":
        return typeset(row, dice), way
    if way == "framed":
        return f"Read the following text with care, and answer in full sentences. {row}", way
    return (
        (row, way) if way == "as it is" else (re.sub(r"\d+", lambda m: str(int(m[0]) + 1), row, count=1), way)
    )


def problems_of(count: int, rows: list[str], dice: random.Random) -> list[tuple[str, Any, str]]:
    """Problems as (text, content, how it was made); equal contents are near-duplicates."""
    made: list[tuple[str, Any, str]] = []
    contents: list[Content] = []
    known: set[Content] = set()
    while len(made) < count:
        kind = dice.random()
        if kind < 0.02:
            row = dice.randrange(len(rows))
            text, way = repeated(rows[row], dice)
            made.append((text, f"row {row}", f"benchmark: {way}"))
        elif kind < 0.04:
            text = story(dice).split(";")[0] + ". " + said(content(dice), dice, plain=True)
            made.append((text, text, "begins like a row"))
        elif kind < 0.14 and contents:
            one = dice.choice(contents)
            made.append((said(one, dice), one, "near_duplicate"))
        else:
            one = changed(dice.choice(contents), dice) if kind < 0.24 and contents else content(dice)
            if one not in known:
                known.add(one)
                contents.append(one)
                made.append((said(one, dice, plain=True), one, "new"))
    return made


def main(count: int) -> None:
    dice = random.Random(20)
    rows = list(dict.fromkeys(story(dice) for _ in range(5_000)))
    made = problems_of(count, rows, dice)
    batches = [
        {"problem": [text for text, _, _ in made[start : start + 1000]]} for start in range(0, count, 1000)
    ]
    marks = [(time.perf_counter(), peak())]
    signed = [Signature()(batch) for batch in batches]
    marks.append((time.perf_counter(), peak()))
    near_duplicates, finds = fold(made, signed)
    marks.append((time.perf_counter(), peak()))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps({"problem": row}) + "\n" for row in rows))
        loaded = load_benchmark(benchmarks_of(str(file))[0])
        assert isinstance(loaded, Loaded)
        stage = Decontaminate((loaded.benchmark,))
        hits = [hit for batch in batches for hit in stage(batch)["contaminated_by"]]
    marks.append((time.perf_counter(), peak()))
    (signature, fold_, clean), (_, folded, cleaned) = zip(
        *((b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)), strict=True
    )
    contaminated = counted_hits(made, hits)
    kept = {
        "problems": count,
        "rows": len(rows),
        "seconds": {"signature": signature, "near_duplicates": fold_, "decontaminate": clean},
        "megabytes": {"near_duplicates": folded, "decontaminate": cleaned, "peak": marks[-1][1]},
        "find_milliseconds": finds,
        "near_duplicates": near_duplicates,
        "contaminated": contaminated,
        "changes": changes(),
    }
    took = (
        f"a find takes {finds['mean']:.2f} ms in the mean, 999 of 1,000 at most {finds['most']:.2f}, the"
        f" slowest {finds['slowest']:.1f}"
    )
    print(
        f"{count:,} problems: signed in {signature:.1f} s, near-duplicates in {fold_:.1f} s ({folded:.0f} MB;"
        f" {took})"
    )
    print(
        f"decontaminated against {len(rows):,} rows in {clean:.1f} s ({cleaned:.0f} MB); peak"
        f" {marks[-1][1]:.0f} MB"
    )
    print(f"near-duplicates {near_duplicates}\nbenchmark rows {contaminated}")
    for name, (texts, near, hit) in kept["changes"].items():
        print(f"{name}: of {texts} texts {near} are near-duplicates, {hit} a benchmark's")
    results.record("duplicates", kept)


def fold(
    made: list[tuple[str, Any, str]], signed: list[dict[str, list[Any]]]
) -> tuple[dict[str, int], dict[str, float]]:
    """Near-duplicates that were planted, found, missed and wrong, and the milliseconds of a lookup."""
    near_duplicates, first, counts, times = NearDuplicates(), dict[Any, str](), Counter[str](), list[float]()
    rows = (
        {name: values[row] for name, values in batch.items()}
        for batch in signed
        for row in range(len(batch["problem"]))
    )
    for number, (row, (text, says, _)) in enumerate(zip(rows, made, strict=True)):
        began = time.perf_counter()
        found = near_duplicates.find(row)
        times.append((time.perf_counter() - began) * 1000)
        expected = first.get(says)
        if expected is not None and not isinstance(says, str):
            counts["planted"] += 1
            counts["found" if found == expected else "missed" if found is None else "wrong"] += 1
        elif expected is None and found is not None:
            counts["wrong"] += 1
            if counts["wrong"] <= 5:
                print(f"  wrong: {text!r} is no {made[int(found)][0]!r}")
        if found is None:
            near_duplicates.add(str(number), row)
            first.setdefault(says, str(number))
    times.sort()
    finds = {"mean": sum(times) / len(times), "most": times[len(times) * 999 // 1000], "slowest": times[-1]}
    return {name: counts[name] for name in ("planted", "found", "missed", "wrong")}, finds


def counted_hits(made: list[tuple[str, Any, str]], hits: list[str | None]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (text, _, way), hit in zip(made, hits, strict=True):
        if way.startswith("benchmark"):
            counts["planted"] += 1
            counts["missed" if hit is None else "found"] += 1
            counts[f"missed, {way}"] += hit is None
        elif hit is not None:
            counts["wrong"] += 1
            if counts["wrong"] <= 5:
                print(f"  wrong: {text!r} is no {hit}")
    print({way: missed for way, missed in counts.items() if way.startswith("missed, ") and missed})
    return {name: counts[name] for name in ("planted", "found", "missed", "wrong")}


def changes() -> dict[str, tuple[int, int, int]]:
    """Of each change, and of other problems with equal numbers: texts, near-duplicates, a benchmark's."""
    made = problems()
    index = Index(
        [Loaded(Benchmark("many", "/many"), tuple(one for one, _ in made), tuple("0" for _ in made))]
    )
    near_duplicates = NearDuplicates()
    for number, (problem, _) in enumerate(made):
        near_duplicates.add(str(number), signed_row(problem))
    texts = {name: [change(one) for one, _ in made if change(one) != one] for name, change in CHANGES.items()}
    texts["another problem"] = [other for _, other in made]
    return {
        name: (
            len(changed),
            sum(near_duplicates.find(signed_row(text)) is not None for text in changed),
            sum(index.find(text) is not None for text in changed),
        )
        for name, changed in texts.items()
    }


def signed_row(problem: str) -> dict[str, Any]:
    return {name: values[0] for name, values in Signature()({"problem": [problem]}).items()}


def peak() -> float:
    """The process's peak memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 44_000)
