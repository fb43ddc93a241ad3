"""Verify: the final answers of the candidates, and which of them agree.

Not here: how the vote is used (pairs, published answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare, is_readable
from magpie_hf.answers.extraction import asks_for_proof, final_answer
from magpie_hf.answers.votes import Votes, vote
from magpie_hf.schema import CHECK, VERIFY
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Verify(Stage):
    """The vote of the complete candidates over clusters of equal answers, 1/2 = 0.5 = 50 %.

    For the columns see `schema.VERIFY`. processes: how many workers compare answers at once, over all
    threads.
    """

    name: ClassVar[str] = "verify"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("problem", "candidates")

    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(VERIFY)

    def run(self, batch: Batch) -> Batch:
        with ThreadPoolExecutor(
            self.processes
        ) as pool:  # comparisons of one row run in turn, those of several rows in parallel
            rows = list(pool.map(self._row, batch["problem"], batch["candidates"]))
        return {column: [row[column] for row in rows] for column in VERIFY}

    def _row(self, problem: str, candidates: Sequence[dict[str, Any]]) -> dict[str, Any]:
        complete = [one for one in candidates if one["reason"] is None]
        answers = [final_answer(one["answer_text"]) if one["reason"] is None else None for one in candidates]
        is_proof = asks_for_proof(problem)
        votes = vote([None] * len(answers) if is_proof else answers, self._relation)
        kind = "proof" if is_proof else "answer" if votes.sizes else "none"
        tokens = [one["num_tokens"] for one in complete]
        return {
            "answers": answers,
            "answer_clusters": list(votes.clusters),
            "cluster_sizes": list(votes.sizes),
            "answer_kind": kind,
            "majority_answer": _majority(answers, votes),
            "majority_share": votes.sizes[0] / sum(votes.sizes) if sum(votes.sizes) > 1 else None,
            "in_majority": list(votes.in_majority),
            "unknown_pairs": votes.unknown,
            "mean_num_tokens": sum(tokens) / len(tokens) if tokens else None,
        }

    def _relation(self, one: str, other: str) -> str:
        return compare(one, other, self.limits, self.processes).relation


@dataclass(frozen=True)
class VerifySolution(Stage):
    """Whether the published answer ends in the majority's answer, and whether a reward can check that answer.

    For the columns see `schema.CHECK`.
    """

    name: ClassVar[str] = "verify_solution"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("solutions", "majority_answer")

    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(CHECK)

    def run(self, batch: Batch) -> Batch:
        with ThreadPoolExecutor(self.processes) as pool:
            return {
                "solution_agrees": list(pool.map(self._agrees, batch["solutions"], batch["majority_answer"])),
                "is_readable": list(pool.map(self._is_readable, batch["majority_answer"])),
            }

    def _is_readable(self, majority: str | None) -> bool | None:
        return None if majority is None else is_readable(majority, self.limits, self.processes)

    def _agrees(self, solutions: Sequence[dict[str, Any]], majority: str | None) -> bool | None:
        if (
            majority is None
            or solutions[0]["reason"] is not None
            or (answer := final_answer(solutions[0]["answer_text"])) is None
        ):
            return None
        return {"equal": True, "different": False}.get(
            compare(answer, majority, self.limits, self.processes).relation
        )


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
