"""`<domain>_tir`: answers with programs in them (tool-integrated reasoning), whose final answer is the label.

Not here: how they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.schema import TIR, TIR_SUFFIX
from magpie_hf.stages.exports.base import Divided, Row, referred, tags
from magpie_hf.stages.opinions import is_confirmed
from magpie_hf.stages.step import OwnColumn


@dataclass(frozen=True)
class ExportTIR(Divided):
    """`<domain>_tir`, train and test: a row for each answer in which programs ran and that gives the label.

    Of texts that differ in white space alone, the first counts. Majorities that the opinions do not confirm
    are no labels here, as in `<domain>_rl`.
    """

    version: ClassVar[int] = 1
    COLUMNS: ClassVar[Features] = TIR
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "seed",
        "problem",
        "language",
        "raw_num_tokens",
        "tags",
        "cluster_sizes",
        "majority_answer",
        "majority_share",
        "tool_answers",
        "accepted_as",
        "normal_hash",
    )
    suffix: ClassVar[str] = TIR_SUFFIX

    generation: tuple[tuple[str, Any], ...]
    moved: bool = False
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    topics: bool = field(default=False, metadata={"later": True})
    harder: tuple[tuple[str, Any], ...] = field(default=(), metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain + self.suffix

    @property
    def split(self) -> str:
        return self.side

    def rows(self, row: Row) -> list[Row]:
        referred_to = self.by_reference and row["reference_answer"] is not None
        if not (referred_to or is_confirmed(row, self.opinions)):
            return []
        answers: dict[str, Row] = {}
        for answer in row["tool_answers"] or ():
            if answer["agrees"] and answer["runs"]:
                answers.setdefault(" ".join(answer["text"].split()), answer)
        return [self._row(row, one, rank, len(answers)) for rank, one in enumerate(answers.values(), 1)]

    def _row(self, row: Row, answer: Row, rank: int, count: int) -> Row:
        problem, generation = row["problem"], self.generation_of(row)
        generation["response_temperature"] = generation["candidate_temperature"]
        return {
            "id": row["id"],
            "domain": self.domain,
            "messages": [
                {"role": "user", "content": problem},
                {"role": "assistant", "content": answer["text"]},
            ],
            "problem": problem,
            "language": row["language"],
            "tags": tags(row),
            "solution": answer["text"],
            "thinking": answer["thinking"],
            "answer": answer["answer"],
            "answer_rank": rank,
            "answer_count": count,
            "runs": len(answer["runs"]),
            "majority_answer": row["majority_answer"],
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            "problem_tokens": row["raw_num_tokens"],
            "solution_tokens": answer["num_tokens"],
            "generation": {**generation, "seed": row["seed"], "asked_with": answer["asked_with"]},
            **referred(row),
        }
