"""Score: a scorer orders the complete candidates of each problem. Not here: which of them make a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.schema import SCORE
from magpie_hf.scorers import Scorer
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class ScoreCandidates(Stage):
    """One score a candidate, aligned with `candidates`; a cut candidate is not scored, and says why."""

    name: ClassVar[str] = "score"
    reads: ClassVar[tuple[str, ...]] = ("problem", "candidates")

    scorer: Scorer

    @property
    def adds(self) -> Features:
        return Features({"scores": [SCORE]})

    def run(self, batch: Batch) -> Batch:
        scores: list[list[dict[str, object]]] = [
            [{"score": None, "reason": candidate["reason"]} for candidate in candidates] for candidates in batch["candidates"]
        ]
        places = [(row, j) for row, cs in enumerate(batch["candidates"]) for j, candidate in enumerate(cs) if candidate["reason"] is None]
        # Thinking is left out: the judge reads what the reader of the answer would read.
        scored = self.scorer(
            [batch["problem"][row] for row, _ in places], [batch["candidates"][row][j]["answer_text"] for row, j in places]
        )
        for (row, j), score in zip(places, scored, strict=True):
            scores[row][j] = {"score": score.score, "reason": score.reason}
        return {"scores": scores}
