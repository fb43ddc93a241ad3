"""The splits of a domain that trainers read: <side>_sft and <side>_prefs.

Not here: which answers are published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.extraction import final_answer
from magpie_hf.schema import (
    PUBLISHED,
    Text,
)
from magpie_hf.stages.delta import DELTA
from magpie_hf.stages.exports.base import Divided, Row, referred, tags
from magpie_hf.stages.published_answers import CHECKED, Answer, published_answers
from magpie_hf.stages.step import OwnColumn


@dataclass(frozen=True)
class ExportText(Divided):
    """<side>_sft holds a row for each published answer of a problem, <side>_prefs one for each pair.

    sft, keep_minority: which answers are published, as in a Recipe.

    Neither holds a truncated answer. The answers of a pair stand as plain text, too, but in prefs alone, as
    they are the longest columns. A pair stands beside the best published answer, or beside its chosen
    candidate where the problem has none. `generation` is the same struct on every row, but for the
    temperature of the row's answer, and `harder`: what differs where a problem was made harder.
    """

    version: ClassVar[int] = 8
    COLUMNS: ClassVar[Features] = PUBLISHED
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "seed",
        "problem",
        "language",
        "raw_num_tokens",
        "tags",
        "min_neighbor_distance",
        "solutions",
        "candidates",
        "scores",
        "cluster_sizes",
        "in_majority",
        "answer_kind",
        "majority_answer",
        "majority_share",
        "mean_num_tokens",
        "solution_agrees",
        "chosen_index",
        "rejected_index",
        "pair_kind",
        "accepted_as",
        "normal_hash",
    )

    text: Text
    generation: tuple[tuple[str, Any], ...]
    moved: bool = False
    sft: str | int = "best"
    keep_minority: bool = False
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    delta: bool = field(default=False, metadata={"later": True})
    topics: bool = field(default=False, metadata={"later": True})
    harder: tuple[tuple[str, Any], ...] = field(default=(), metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain

    @property
    def split(self) -> str:
        return f"{self.side}_{self.text}"

    def rows(self, row: Row) -> list[Row]:
        answers = published_answers(row, self.sft, self.keep_minority, self.by_reference)
        if self.text == "sft":
            return [self._row(row, answer, rank, len(answers)) for rank, answer in enumerate(answers, 1)]
        if (chosen := row["chosen_index"]) is None:
            return []
        if answers:
            return [self._row(row, answers[0], 1, len(answers))]
        return [self._row(row, Answer(row["candidates"][chosen], row["in_majority"][chosen]), None, 0)]

    def _row(self, row: Row, answer: Answer, rank: int | None, count: int) -> Row:
        has_pair, solution = row["chosen_index"] is not None, answer.response
        best, high = _at(row, row["chosen_index"])
        is_delta = row["pair_kind"] == DELTA
        worst, low = (row["rejected_response"], None) if is_delta else _at(row, row["rejected_index"])
        problem, generation = row["problem"], self.generation_of(row)
        if not answer.is_cold:
            generation["response_temperature"] = generation["candidate_temperature"]
        return {
            "id": row["id"],
            "domain": self.domain,
            "messages": _conversation(problem, solution["text"]),
            "chosen": _conversation(problem, (best or solution)["text"]),
            "rejected": _conversation(problem, (worst or solution)["text"]),
            "chosen_text": best["text"] if self.text == "prefs" else None,
            "rejected_text": worst["text"] if self.text == "prefs" else None,
            "has_pair": has_pair,
            "pair_kind": row["pair_kind"],
            "problem": problem,
            "language": row["language"],
            "tags": tags(row),
            "min_neighbor_distance": row["min_neighbor_distance"],
            "solution": solution["text"],
            "thinking": solution["thinking"],
            "answer": final_answer(solution["answer_text"]),
            "answer_rank": rank,
            "answer_count": count,
            "answer_checked": CHECKED[answer.in_majority],
            "answer_kind": row["answer_kind"],
            "majority_answer": row["majority_answer"],
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            "solution_agrees": answer.in_majority,
            "candidate_tokens": row["mean_num_tokens"],
            "score_chosen": high,
            "score_rejected": low,
            "score_gap": None if high is None or low is None else high - low,
            "chosen_tokens": best.get("num_tokens"),
            "rejected_tokens": worst.get("num_tokens"),
            "problem_tokens": row["raw_num_tokens"],
            "solution_tokens": solution["num_tokens"],
            "finish_reason": solution["finish_reason"],
            "generation": {**generation, "seed": row["seed"], "asked_with": solution["asked_with"]},
            **referred(row),
            **({"rejected_agrees": row["rejected_agrees"] if is_delta else None} if self.delta else {}),
        }


def _at(row: Row, index: int | None) -> tuple[Row, float | None]:
    """The candidate at a position and its score; an empty row and None without a position."""
    return ({}, None) if index is None else (row["candidates"][index], row["scores"][index]["score"])


def _conversation(problem: str, response: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": problem}, {"role": "assistant", "content": response}]
