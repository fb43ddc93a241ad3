"""Clean: drops what is certainly no problem, with a reason, and trims the rest.

Not here: decisions that need a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.limits import LANGUAGES, check_languages
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.tokenizer import BROKEN
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.cleaning.rules import reason_of, trim
from magpie_hf.schema import CLEAN
from magpie_hf.stage import Batch, Stage

Cleaned = tuple[str | None, str | None, str | None, str | None]  # problem, language, trimmed, dropped


@dataclass(frozen=True)
class Clean(Stage):
    """Raw instruction -> problem, its language and what was trimmed, or a reason in `dropped`.

    models: those whose special tokens must not stand in a problem (its author and its reader).
    languages: those that are kept, by ISO 639-1; a problem without a recognised language is kept.

    Reasons: the finish reason of a sample that did not end by itself ("length", "context_full",
    "killed_engine"), "empty", "special_tokens", "broken_characters", those of
    magpie_hf.problems.cleaning.rules.RULES in their order, and "language" for an unwanted one.
    """

    name: ClassVar[str] = "clean"
    version: ClassVar[int] = 6
    reads: ClassVar[tuple[str, ...]] = ("raw_instruction", "raw_finish_reason")

    models: tuple[Model, ...]
    languages: tuple[str, ...] = LANGUAGES

    def __post_init__(self) -> None:
        check_languages(self.languages)

    @property
    def adds(self) -> Features:
        return Features(CLEAN)

    def run(self, batch: Batch) -> Batch:
        patterns = [chat_of(model).special_pattern for model in self.models]
        rows = [
            self.clean(raw, finish, patterns)
            for raw, finish in zip(batch["raw_instruction"], batch["raw_finish_reason"], strict=True)
        ]
        return dict(zip(CLEAN, map(list, zip(*rows, strict=True)), strict=True))

    def clean(self, raw: str, finish: str, patterns: Sequence[re.Pattern[str]]) -> Cleaned:
        """The columns of one sample."""
        text = raw.strip()
        if finish != "stop":
            return None, None, None, finish
        if not text:
            return None, None, None, "empty"
        if any(pattern.search(text) for pattern in patterns):
            return None, None, None, "special_tokens"
        if BROKEN.search(text):
            return None, None, None, "broken_characters"
        problem, trimmed = trim(text)
        reason = reason_of(problem)
        language = language_of(problem) if reason is None else None
        if language is not None and language not in self.languages:
            reason = "language"
        return (problem, language, trimmed, None) if reason is None else (None, None, None, reason)
