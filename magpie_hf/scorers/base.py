"""The interface of every scorer: (problems, responses) -> scores, or None with a reason.

Not here: judges and reward models.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from magpie_hf.engines.base import Engine


@dataclass(frozen=True)
class Score:
    """A score, or None with the reason why there is none.

    objectives: the values that it was made of, where the scorer has such (ArmoRM's 19 objectives, a process
        reward model's steps).
    gate: the weights of the objectives, where they have some.

    Numbers are rounded to single precision, as the shards store them, so that a new score equals one that is
    read back.
    """

    score: float | None
    reason: str | None = None
    objectives: tuple[float, ...] | None = None
    gate: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.score is not None:
            object.__setattr__(self, "score", array("f", [self.score])[0])
        for name in ("objectives", "gate"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(array("f", values)))


class Scorer(Protocol):
    """Scores one response to each problem, in order; higher is better."""

    @property
    def suffix(self) -> str:
        """Identifies its scores in file names and fields, such as "judge"."""

    @property
    def title(self) -> str:
        """Its name on the card: kind and model."""

    @property
    def engine(self) -> Engine | None:
        """The engine that runs its model; None for a scorer that asks none."""

    @property
    def read(self) -> Literal["answer", "whole"]:
        """Which part of a candidate it reads: the answer without thinking, or the whole text."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a score's objectives, in order; () where a score has no named parts."""

    @property
    def least_score_gap(self) -> float:
        """The least meaningful score gap, on this scorer's scale: the default for score pairs."""

    def check(self) -> None:
        """Raises BadInput where the scorer's model cannot be used as a scorer."""

    def __call__(self, problems: Sequence[str], responses: Sequence[str]) -> list[Score]: ...
