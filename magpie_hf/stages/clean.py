"""Clean: drops what is certainly not a problem, with a reason. Not here: what needs judgement (leaks, off-domain, duplicates)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.chat import chat_of
from magpie_hf.models import Model
from magpie_hf.schema import CLEAN
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Clean(Stage):
    """Raw instruction -> problem, or a reason in `dropped`: "length" or "no_room" (did not end by itself), "empty", "special_tokens".

    models: those whose special tokens must not stand in a problem (the one that wrote it and the one that will read it).
    """

    name: ClassVar[str] = "clean"
    reads: ClassVar[tuple[str, ...]] = ("raw_instruction", "raw_finish_reason")

    models: tuple[Model, ...]

    @property
    def adds(self) -> Features:
        return Features(CLEAN)

    def run(self, batch: Batch) -> Batch:
        patterns = [chat_of(model).special_pattern for model in self.models]
        problems, reasons = [], []
        for raw, finish in zip(batch["raw_instruction"], batch["raw_finish_reason"], strict=True):
            problem = raw.strip()
            if finish != "stop":
                reason = finish
            elif not problem:
                reason = "empty"
            elif any(pattern.search(problem) for pattern in patterns):
                reason = "special_tokens"
            else:
                reason = None
            problems.append(problem if reason is None else None)
            reasons.append(reason)
        return {"problem": problems, "dropped": reasons}
