"""Instruct: the model continues an open user turn, which makes a raw instruction. Not here: judging what came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.chat import chat_of
from magpie_hf.engines.base import Completion, Engine, record
from magpie_hf.sampling import Sampling
from magpie_hf.schema import INSTRUCTION
from magpie_hf.stage import Batch, Stage, fingerprint, seed_of


@dataclass(frozen=True)
class Instruct(Stage):
    """Draws one user turn a row, from the row's seed, after the system text that describes the user (Magpie, arXiv:2406.08464)."""

    name: ClassVar[str] = "instruct"
    reads: ClassVar[tuple[str, ...]] = ("domain", "seed")

    engine: Engine
    system: str
    sampling: Sampling

    @property
    def adds(self) -> Features:
        return Features(INSTRUCTION)

    @property
    def kin(self) -> str:
        return fingerprint(replace(self, sampling=replace(self.sampling, max_tokens=1)))

    def recall(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        columns = ("request", "raw_instruction", "raw_finish_reason", "raw_prompt_tokens", "raw_num_tokens")
        for request, *completion in zip(*(batch[column] for column in columns), strict=True):
            if completion[0] or completion[1] != "length":  # a text that a lowered bound cut was not kept
                yield request, record(Completion(*completion))

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        prompt = chat.open_turn(self.system)
        sampling = replace(self.sampling, stop_token_ids=chat.turn_end_ids)
        seeds = [seed_of(seed, self.name) for seed in batch["seed"]]
        draws = self.engine.complete([prompt] * len(seeds), sampling, seeds)
        # The id names the draw by all that determines it but the bound on its length, so that a raised bound keeps the ids.
        drawn_from = fingerprint(self.engine, prompt, replace(sampling, max_tokens=1))
        return {
            "id": [f"{d}-{fingerprint(drawn_from, s)}" for d, s in zip(batch["domain"], batch["seed"], strict=True)],
            "raw_instruction": [draw.text for draw in draws],
            "raw_finish_reason": [draw.finish_reason for draw in draws],
            "raw_prompt_tokens": [draw.prompt_tokens for draw in draws],
            "raw_num_tokens": [draw.num_tokens for draw in draws],
            "request": [draw.request for draw in draws],
        }
