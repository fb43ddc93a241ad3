"""Even: scores every answer alike, for what needs the stages of a build and no opinion of a scorer.

Not here: scorers that read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from magpie_hf.scorers.base import Score


@dataclass(frozen=True)
class Even:
    """The score 0 for each answer: the vote alone makes pairs then."""

    suffix: ClassVar[str] = "even"
    title: ClassVar[str] = "no scorer"
    engine: ClassVar[None] = None
    read: ClassVar[Literal["answer", "whole"]] = "answer"
    names: ClassVar[tuple[str, ...]] = ()
    least_score_gap: ClassVar[float] = 0.0

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def __call__(self, problems: Sequence[str], responses: Sequence[str]) -> list[Score]:
        return [Score(0.0) for _ in responses]
