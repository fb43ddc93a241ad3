"""Export: rows with all their columns -> the published rows of one split. Not here: files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from magpie_hf.answers import boxed_answer
from magpie_hf.schema import PUBLISHED
from magpie_hf.stage import Batch


@dataclass(frozen=True)
class Export:
    """Turns a batch into the published rows of a split: fewer rows, only the columns of `schema.PUBLISHED`.

    train_sft holds the rows whose answer is complete, train_prefs those with a pair. A cut answer is never in either: a row that has a
    pair but no complete answer publishes its chosen candidate as `messages`. `generation` is the same struct on every row.
    """

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (
        "id", "domain", "seed", "problem", "raw_num_tokens", "solutions", "candidates", "scores", "chosen_index", "rejected_index",
        "dropped",
    )  # fmt: skip

    split: str
    generation: tuple[tuple[str, Any], ...]

    def __call__(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        published = [row for row in map(self._row, rows) if row is not None]
        return {column: [row[column] for row in published] for column in PUBLISHED}

    def _row(self, row: dict[str, Any]) -> dict[str, Any] | None:
        if row["dropped"] is not None:
            return None
        has_pair = row["chosen_index"] is not None
        solution = row["solutions"][0] if row["solutions"][0]["reason"] is None else None
        if (self.split == "train_prefs" and not has_pair) or (self.split == "train_sft" and solution is None):
            return None
        best, high = _at(row, row["chosen_index"])
        worst, low = _at(row, row["rejected_index"])
        solution = solution or best
        problem = row["problem"]
        return {
            "id": row["id"],
            "domain": row["domain"],
            "messages": _conversation(problem, solution["text"]),
            "chosen": _conversation(problem, (best or solution)["text"]),
            "rejected": _conversation(problem, (worst or solution)["text"]),
            "has_pair": has_pair,
            "problem": problem,
            "solution": solution["text"],
            "thinking": solution["thinking"],
            "answer": boxed_answer(solution["answer_text"]),
            "score_chosen": high,
            "score_rejected": low,
            "score_margin": None if high is None or low is None else high - low,
            "problem_tokens": row["raw_num_tokens"],
            "solution_tokens": solution["num_tokens"],
            "finish_reason": solution["finish_reason"],
            "candidates": [
                {
                    "response": candidate["text"],
                    "score": score["score"],
                    "answer": boxed_answer(candidate["answer_text"]),
                    "finish_reason": candidate["finish_reason"],
                    "num_tokens": candidate["num_tokens"],
                }
                for candidate, score in zip(row["candidates"], row["scores"], strict=True)
                if candidate["reason"] is None
            ],
            "generation": {**dict(self.generation), "seed": row["seed"], "asked_with": solution["asked_with"]},
        }


def _at(row: dict[str, Any], index: int | None) -> tuple[dict[str, Any], float | None]:
    """The candidate at a position and its score; without a position, nothing."""
    return ({}, None) if index is None else (row["candidates"][index], row["scores"][index]["score"])


def _conversation(problem: str, response: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": problem}, {"role": "assistant", "content": response}]
