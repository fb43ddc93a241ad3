"""Pair: the best and the worst complete candidate. Not here yet: answers that are known to be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.schema import PAIR
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Pair(Stage):
    """Positions of the best and the worst scored candidate; null unless both text and score differ. The first of equals wins."""

    name: ClassVar[str] = "pair"
    reads: ClassVar[tuple[str, ...]] = ("candidates", "scores")

    @property
    def adds(self) -> Features:
        return Features(PAIR)

    def run(self, batch: Batch) -> Batch:
        pairs = [_pair(candidates, scores) for candidates, scores in zip(batch["candidates"], batch["scores"], strict=True)]
        return {"chosen_index": [best for best, _ in pairs], "rejected_index": [worst for _, worst in pairs]}


def _pair(candidates: list[dict[str, object]], scores: list[dict[str, float | None]]) -> tuple[int | None, int | None]:
    scored = [(score["score"], j) for j, score in enumerate(scores) if score["score"] is not None]
    if not scored:
        return None, None
    best = min(scored, key=lambda one: (-one[0], one[1]))
    worst = min(scored)
    if best[0] == worst[0] or candidates[best[1]]["text"] == candidates[worst[1]]["text"]:
        return None, None
    return best[1], worst[1]
