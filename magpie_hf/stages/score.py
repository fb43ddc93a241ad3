"""Score: a scorer scores the complete candidates of each problem.

Not here: which of them make a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import NAN
from magpie_hf.engines.journal import current
from magpie_hf.schema import SCORE
from magpie_hf.scorers.base import Score, Scorer
from magpie_hf.stage import Batch, Stage, fingerprint


@dataclass(frozen=True)
class ScoreCandidates(Stage):
    """One score per candidate, aligned with `candidates`; a truncated candidate has a reason instead.

    The scorer decides what it reads: the answer without thinking, or the whole text.
    """

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("problem", "candidates")

    scorer: Scorer

    @property
    def adds(self) -> Features:
        return Features({"scores": [SCORE]})

    @property
    def reuse_key(self) -> str:
        return fingerprint(self)

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for scores in batch["scores"]:
            for one in scores or ():
                if one["request"] and one["reason"] != NAN:
                    yield one["request"], [one[name] for name in _KEPT]

    def run(self, batch: Batch) -> Batch:
        scores: list[list[dict[str, object]]] = [
            [_row(Score(None, candidate["reason"]), None) for candidate in candidates]
            for candidates in batch["candidates"]
        ]
        known = current()
        column = "answer_text" if self.scorer.read == "answer" else "text"
        asked: list[tuple[int, int, str]] = []
        for row, candidates in enumerate(batch["candidates"]):
            for j, candidate in enumerate(candidates):
                if candidate["reason"] is None:
                    key = fingerprint(self.scorer, batch["problem"][row], candidate[column])
                    if (score := known.get(key)) is not None:
                        scores[row][j] = _row(Score(*score), key)
                    else:
                        asked.append((row, j, key))
        scored = self.scorer(
            [batch["problem"][row] for row, _, _ in asked],
            [batch["candidates"][row][j][column] for row, j, _ in asked],
        )
        for (row, j, key), score in zip(asked, scored, strict=True):
            scores[row][j] = _row(score, key)
        return {"scores": scores}


_KEPT = ("score", "reason", "objectives", "gate")  # the fields of a Score, in their order


def _row(score: Score, request: str | None) -> dict[str, object]:
    parts = {
        name: None if (values := getattr(score, name)) is None else list(values)
        for name in ("objectives", "gate")
    }
    return {"score": score.score, "reason": score.reason, **parts, "request": request}
