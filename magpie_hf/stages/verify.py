"""Verify: the final answers of a problem, which of them agree, and whether a reward can check the majority's.

Not here: how the vote is used (pairs, published answers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare, is_readable
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.answers.votes import Votes, vote
from magpie_hf.problems.labels import OPEN
from magpie_hf.schema import VERIFY
from magpie_hf.stage import Batch, Stage

Response = dict[str, Any]


@dataclass(frozen=True)
class Verify(Stage):
    """The vote of the complete answers of a problem over clusters of equal ones, 1/2 = 0.5 = 50 %.

    There is none where no single answer is right: on proofs, and on what the tagger calls open (OPEN). The
    voters are the candidates and, where it was asked for, the answer of `schema.COLD`, as the last. For
    the columns see `schema.VERIFY`. processes: how many workers compare answers at once, over all threads.
    """

    name: ClassVar[str] = "verify"
    version: ClassVar[int] = 8
    reads: ClassVar[tuple[str, ...]] = ("problem", "tags", "candidates", "solutions")

    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(VERIFY)

    def run(self, batch: Batch) -> Batch:
        labels = batch.get("tags") or [None] * len(batch["problem"])  # none without a tagger
        with ThreadPoolExecutor(
            self.processes
        ) as pool:  # comparisons of one row run in turn, those of several rows in parallel
            columns = (batch[name] for name in ("problem", "candidates", "solutions"))
            rows = list(pool.map(self._row, *columns, labels))
        return {column: [row[column] for row in rows] for column in VERIFY}

    def _row(
        self,
        problem: str,
        candidates: Sequence[Response],
        solutions: Sequence[Response] | None,
        tags: dict[str, Any] | None,
    ) -> dict[str, Any]:
        k, voters = len(candidates), [*candidates, *(solutions or ())]
        answers = [final_answer(one["answer_text"]) if one["reason"] is None else None for one in voters]
        kind = without_vote(problem, tags)
        votes = vote([None] * len(answers) if kind else answers, self._relation)
        majority = _majority(answers, votes)
        tokens = [one["num_tokens"] for one in candidates if one["reason"] is None]
        return {
            "answers": answers[:k],
            "answer_clusters": list(votes.clusters[:k]),
            "cluster_sizes": list(votes.sizes),
            "answer_kind": kind or ("answer" if votes.sizes else "none"),
            "majority_answer": majority,
            "majority_share": votes.sizes[0] / sum(votes.sizes) if sum(votes.sizes) > 1 else None,
            "in_majority": list(votes.in_majority[:k]),
            "solution_agrees": next(iter(votes.in_majority[k:]), None),
            "is_readable": None if majority is None else is_readable(majority, self.limits, self.processes),
            "unknown_pairs": votes.unknown,
            "mean_num_tokens": sum(tokens) / len(tokens) if tokens else None,
        }

    def _relation(self, one: str, other: str) -> str:
        return compare(one, other, self.limits, self.processes).relation


def without_vote(problem: str, tags: Mapping[str, Any] | None) -> str | None:
    """The kind of a problem whose answers cannot vote; None where they can."""
    if asks_for_proof(problem):
        return "proof"
    return "open" if tags is not None and tags["kind"] in OPEN else None


def _majority(answers: Sequence[str | None], votes: Votes) -> str | None:
    """The shortest spelling of the majority's answer; of equally short ones, the first."""
    if not votes.has_majority:
        return None
    return min(
        (
            answer
            for answer, number in zip(answers, votes.clusters, strict=True)
            if answer is not None and number == 0
        ),
        key=len,
    )
