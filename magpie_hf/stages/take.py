"""Take: a given problem begins its way in the place of a sampled one.

Not here: which problems there are (store/own_rows.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.schema import CLEAN, INSTRUCTION
from magpie_hf.stage import Batch, Stage

WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Take(Stage):
    """The columns of a sample, from a given problem; one that was withdrawn ended for that reason.

    model: the solver, in whose tokens a problem is counted.
    """

    name: ClassVar[str] = "take"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("given_id", "given", "withdrawn")

    model: Model

    @property
    def adds(self) -> Features:
        return Features(INSTRUCTION)

    def run(self, batch: Batch) -> Batch:
        texts = batch["given"]
        ids = chat_of(self.model).tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return {
            "id": batch["given_id"],
            "raw_instruction": texts,
            "raw_finish_reason": [WITHDRAWN if gone else "stop" for gone in batch["withdrawn"]],
            "raw_prompt_tokens": [0] * len(texts),
            "raw_num_tokens": [len(one) for one in ids],
            "request": [""] * len(texts),
        }


@dataclass(frozen=True)
class AsGiven(Stage):
    """The columns of Clean for problems that are kept as they are.

    models: those whose special tokens must not stand in a problem, since they would end its turn. Reasons:
    "withdrawn" and "special_tokens".
    """

    name: ClassVar[str] = "as_given"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("raw_instruction", "raw_finish_reason")

    models: tuple[Model, ...]

    @property
    def label(self) -> str:
        return "clean"

    @property
    def adds(self) -> Features:
        return Features(CLEAN)

    def run(self, batch: Batch) -> Batch:
        patterns = [chat_of(model).special_pattern for model in self.models]
        rows = []
        for text, finish in zip(batch["raw_instruction"], batch["raw_finish_reason"], strict=True):
            reason = None if finish == "stop" else finish
            if reason is None and any(pattern.search(text) for pattern in patterns):
                reason = "special_tokens"
            kept = reason is None
            rows.append((text if kept else None, language_of(text) if kept else None, None, reason))
        return dict(zip(CLEAN, map(list, zip(*rows, strict=True)), strict=True))
