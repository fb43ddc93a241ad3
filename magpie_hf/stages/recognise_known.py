"""RecogniseKnown: a model that reads says whether a problem is a known one with other numbers.

Not here: finding the known ones that are near (selection/nearest.py), and dropping problems, which are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.limits import KNOWN_FROM, MOST_KNOWN
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.schema import KNOWN_COMPARED, OPINIONS
from magpie_hf.stage import Batch
from magpie_hf.stages.same_problem import SameProblem, is_same

KNOWN = "known"  # the key of its columns in `schema.OPINIONS`
_COLUMNS = OPINIONS[KNOWN]
GUIDE = (
    "You compare two mathematics problems. They are the same up to numbers if the steps that solve one also"
    " solve the other, with other numbers put in. Other words, other names and letters, another story or"
    " another language make no difference, and neither do other numbers. Another question, another"
    " condition or another way of solving does."
)
CLOSING = (
    'Are they the same problem up to numbers? Answer with one JSON object: {"same": "yes"} or {"same": "no"}'
)
EXAMPLES: tuple[tuple[str, str, str], ...] = (
    (
        "A rope of 30 m is cut into two pieces, one of them 6 m longer. How long is the longer piece?",
        "Two numbers have the sum 47 and the difference 13. What is the greater one?",
        "yes",
    ),
    (
        "How many diagonals does a regular polygon with 9 sides have?",
        "What is the sum of the angles of a regular polygon with 9 sides?",
        "no",
    ),
    (
        r"Find the remainder of $7^{20}$ by division by 5.",
        r"Welchen Rest lässt $3^{100}$ bei Division durch 11?",
        "yes",
    ),
    (
        r"Given are positive $x$ and $y$ with $x + y = 1$. What is the least value of $\frac1x + \frac1y$?",
        r"Given are positive $x$ and $y$ with $x + y = 1$. What is the greatest value of $xy$?",
        "no",
    ),
)


@dataclass(frozen=True)
class RecogniseKnown(SameProblem):
    """The known problem that each is up to its numbers, or the nearest one; see `schema.KNOWN`.

    Each problem is compared with those of its `known_neighbours` that are near; the nearest one with two
    times "yes" is named. An invalid answer says nothing of a problem that no other comparison names.

    known: pinned; with the embeddings they determine `known_neighbours`.
    """

    name: ClassVar[str] = "recognise_known"
    reads: ClassVar[tuple[str, ...]] = ("problem", "embedding", "known_neighbours")
    guide: ClassVar[str] = GUIDE
    closing: ClassVar[str] = CLOSING
    examples: ClassVar[tuple[tuple[str, str, str], ...]] = EXAMPLES

    known: tuple[Benchmark, ...]

    def identity(self) -> dict[str, Any]:
        """What determines the rows: the model, the full text of its prompt, and what makes a row near."""
        return {**self._asked, "known": self.known, "asked_from": KNOWN_FROM, "most": MOST_KNOWN}

    @property
    def adds(self) -> Features:
        return Features({**_COLUMNS, **KNOWN_COMPARED})

    def comparisons(self, batch: Batch) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(filter(None, batch["known_compared"]))

    def run(self, batch: Batch) -> Batch:
        near = [neighbours or [] for neighbours in batch["known_neighbours"]]
        asked = [[one for one in those if one["problem"] is not None] for those in near]
        pairs = [
            (problem, one) for problem, those in zip(batch["problem"], asked, strict=True) for one in those
        ]
        found = iter(self.compared(pairs))
        compared = [[next(found) for _ in those] for those in asked]
        rows = [_named(*pair) for pair in zip(near, compared, strict=True)]
        return {
            **{column: [row[column] for row in rows] for column in _COLUMNS},
            "known_compared": compared,
        }


def _named(near: list[dict[str, Any]], compared: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of `schema.KNOWN` for a problem with these near ones."""
    if not near:
        return dict.fromkeys(_COLUMNS)
    same = next(filter(is_same, compared), None)
    unsaid = any(one["reason"] is not None and "no" not in one["verdicts"] for one in compared)
    one = same or near[0]
    return {
        "nearest_known": one["row"],
        "known_similarity": one["similarity"],
        "known_same": True if same is not None else None if unsaid else False,
    }
