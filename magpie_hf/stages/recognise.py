"""Recognise: a model that reads says whether a problem is the benchmark's that lies nearest in meaning.

Not here: finding the nearest (selection/nearest.py), words and symbols (decontaminate.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.limits import ASKED_FROM
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.schema import CONTAMINATION, RECOGNITION
from magpie_hf.stage import Batch
from magpie_hf.stages.same_problem import SameProblem, is_same

GUIDE = (
    "You compare two mathematics problems. They are the same problem if a solution of one, with its final"
    " answer, is a solution of the other, too. Other words, other names and letters, another story or another"
    " language make no other problem. Another number, another condition or another question does."
)
CLOSING = 'Are they the same problem? Answer with one JSON object: {"same": "yes"} or {"same": "no"}'
# Pairs with their answers, as turns before the question: neither all words in common, nor none, says anything
EXAMPLES: tuple[tuple[str, str, str], ...] = (
    (
        "How many diagonals does a regular polygon with 9 sides have?",
        "Wie viele Diagonalen hat ein regelmäßiges Neuneck?",
        "yes",
    ),
    (
        "A rope of 30 m is cut into two pieces, one of them 6 m longer. How long is the longer piece?",
        "A rope of 30 m is cut into two pieces, one of them 4 m longer. How long is the longer piece?",
        "no",
    ),
    (
        r"Find the remainder of $7^{20}$ by division by 5.",
        r"Find the last digit of $7^{20}$.",
        "no",
    ),
    (
        r"Given are positive $x$ and $y$ with $x + y = 1$. What is the least value of $\frac1x + \frac1y$?",
        "Two positive numbers have the sum 1. How small can the sum of their reciprocals be?",
        "yes",
    ),
)


@dataclass(frozen=True)
class Recognise(SameProblem):
    """`contaminated_by` names the benchmark's row too where it is the same problem in other words.

    Each problem with a `nearest_benchmark` is compared with it; only two times "yes" is a hit. Nothing is
    asked of a problem that is named already. See `schema.RECOGNITION`; an invalid answer is no hit, and
    `reason` says why.

    benchmarks: pinned; with the embeddings they determine `nearest_benchmark`.
    """

    name: ClassVar[str] = "recognise"
    reads: ClassVar[tuple[str, ...]] = ("problem", "contaminated_by", "embedding", "nearest_benchmark")
    guide: ClassVar[str] = GUIDE
    closing: ClassVar[str] = CLOSING
    examples: ClassVar[tuple[tuple[str, str, str], ...]] = EXAMPLES

    benchmarks: tuple[Benchmark, ...]

    def identity(self) -> dict[str, Any]:
        """What determines the rows: the model, the full text of its prompt, and what makes a row near."""
        return {**self._asked, "benchmarks": self.benchmarks, "asked_from": ASKED_FROM}

    @property
    def adds(self) -> Features:
        return Features({**CONTAMINATION, **RECOGNITION})

    def comparisons(self, batch: Batch) -> Iterator[dict[str, Any]]:
        return filter(None, batch["recognised"])

    def run(self, batch: Batch) -> Batch:
        asked = [
            row
            for row, nearest in enumerate(batch["nearest_benchmark"])
            if nearest is not None and batch["contaminated_by"][row] is None
        ]
        named: list[str | None] = list(batch["contaminated_by"])
        recognised: list[dict[str, Any] | None] = [None] * len(named)
        compared = self.compared([(batch["problem"][row], batch["nearest_benchmark"][row]) for row in asked])
        for row, found in zip(asked, compared, strict=True):
            recognised[row] = found
            if is_same(found):
                named[row] = f"{found['row']} (by meaning {found['similarity']:.2f})"
        return {"contaminated_by": named, "recognised": recognised}
