"""Score: a scorer orders the complete candidates of each problem. Not here: which of them make a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.journal import current
from magpie_hf.schema import SCORE
from magpie_hf.scorers import Scorer
from magpie_hf.stage import Batch, Stage, fingerprint


@dataclass(frozen=True)
class ScoreCandidates(Stage):
    """One score a candidate, aligned with `candidates`; a cut candidate is not scored, and says why."""

    name: ClassVar[str] = "score"
    reads: ClassVar[tuple[str, ...]] = ("problem", "candidates")

    scorer: Scorer

    @property
    def adds(self) -> Features:
        return Features({"scores": [SCORE]})

    @property
    def kin(self) -> str:
        return fingerprint(self)

    def recall(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for scores in batch["scores"]:
            for one in scores or ():
                if one["request"]:
                    yield one["request"], [one["score"], one["reason"]]

    def run(self, batch: Batch) -> Batch:
        scores: list[list[dict[str, object]]] = [
            [{"score": None, "reason": candidate["reason"], "request": None} for candidate in candidates]
            for candidates in batch["candidates"]
        ]
        known = current()
        asked: list[tuple[int, int, str]] = []
        for row, candidates in enumerate(batch["candidates"]):
            for j, candidate in enumerate(candidates):
                if candidate["reason"] is None:
                    # Thinking is left out: the scorer reads what the reader of the answer would read.
                    key = fingerprint(self.scorer, batch["problem"][row], candidate["answer_text"])
                    if (score := known.get(key)) is not None:
                        scores[row][j] = {"score": score[0], "reason": score[1], "request": key}
                    else:
                        asked.append((row, j, key))
        scored = self.scorer(
            [batch["problem"][row] for row, _, _ in asked], [batch["candidates"][row][j]["answer_text"] for row, j, _ in asked]
        )
        for (row, j, key), score in zip(asked, scored, strict=True):
            scores[row][j] = {"score": score.score, "reason": score.reason, "request": key}
        return {"scores": scores}
