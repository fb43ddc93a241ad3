"""`candidates`: every accepted problem with all its candidates.

Not here: pairs of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from datasets import Features

from magpie_hf.schema import (
    CANDIDATES,
    CANDIDATES_CONFIG,
)
from magpie_hf.stages.exports.base import Divided, Row, referred, tags
from magpie_hf.stages.published_answers import missing_reason
from magpie_hf.stages.step import OwnColumn


@dataclass(frozen=True)
class ExportCandidates(Divided):
    """`candidates`, train and test, over all domains: every accepted problem with all k candidates.

    sft, keep_minority: which answers are published, as in a Recipe. Truncated candidates have no text.
    """

    version: ClassVar[int] = 2
    COLUMNS: ClassVar[Features] = CANDIDATES
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "problem",
        "language",
        "tags",
        "solutions",
        "candidates",
        "scores",
        "answers",
        "answer_clusters",
        "cluster_sizes",
        "in_majority",
        "solution_agrees",
        "answer_kind",
        "majority_answer",
        "majority_share",
        "unknown_pairs",
        "chosen_index",
        "rejected_index",
        "pair_kind",
        "pair_reason",
        "accepted_as",
        "normal_hash",
    )
    suffix: ClassVar[str] = f"_{CANDIDATES_CONFIG}"

    moved: bool = False
    sft: str | int = "best"
    keep_minority: bool = False
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    delta: bool = field(default=False, metadata={"later": True})
    topics: bool = field(default=False, metadata={"later": True})

    @property
    def config(self) -> str:
        return CANDIDATES_CONFIG

    @property
    def split(self) -> str:
        return self.side

    def rows(self, row: Row) -> list[Row]:
        same = {name: row[name] for name in CANDIDATES if name in row}
        published = {
            **same,
            "domain": self.domain,
            "tags": tags(row),
            "solution_reason": missing_reason(row, self.sft, self.keep_minority, self.by_reference),
            "candidates": _candidates(row),
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            **referred(row),
            **(_rejected(row) if self.delta else {}),
        }
        return [published]


def _rejected(row: Row) -> Row:
    """The smaller model's answer to a problem, where it is complete."""
    answer = row["rejected_response"]
    complete = answer if answer is not None and answer["reason"] is None else {}
    return {
        "rejected_response": complete.get("text"),
        "rejected_tokens": complete.get("num_tokens"),
        "rejected_agrees": row["rejected_agrees"],
    }


def _candidates(row: Row) -> list[Row]:
    columns = ("candidates", "scores", "answers", "answer_clusters", "in_majority")
    return [
        {
            "response": candidate["text"] if candidate["reason"] is None else None,
            "finish_reason": candidate["finish_reason"],
            "reason": candidate["reason"],
            "num_tokens": candidate["num_tokens"],
            "segments": candidate["segments"],
            "score": score["score"],
            "score_reason": score["reason"],
            "objectives": score["objectives"],
            "gate": score["gate"],
            "answer": answer,
            "answer_cluster": answer_cluster,
            "in_majority": in_majority,
        }
        for candidate, score, answer, answer_cluster, in_majority in zip(
            *(row[column] for column in columns), strict=True
        )
    ]
