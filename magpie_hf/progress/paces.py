"""Paces: what engines that count nothing take for a token, by how many requests they have.

Not here: which stage the requests belong to (requests.py).

A step over n requests takes pace * (knee + n) seconds. A loaded engine takes longer for more of them, so its
knee is low; one that is not takes as long for many as for few, so its knee is high. It is the one under which
the tokens of the finished requests took most alike. Knees between these two made no recorded build's time
left better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

KNEES = 25.0, 10_000.0
KEPT = 0.995  # what each finished request leaves of the weight of those before it
LEAST = 20.0  # finished requests that tell a knee
SHORT = 8  # tokens of a request that tells nothing about it
CLEARLY = 0.7  # of the variance by the low knee, below which the high one is the likelier

Parts = tuple[float, ...]  # for each knee: seconds / (knee + requests in flight), added up


@dataclass
class _Spread:
    """The mean and the variance of the logarithms of a token's parts, the last ones weighing most."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count = KEPT * self.count + 1
        self.total = KEPT * self.total + value
        self.squares = KEPT * self.squares + value**2

    @property
    def variance(self) -> float:
        return max(0.0, self.squares / self.count - (self.total / self.count) ** 2)


@dataclass
class Paced:
    """One engine: its requests in flight, and what each had of it that was there from the beginning."""

    flying: int = 0
    at: float = 0.0
    parts: Parts = (0.0,) * len(KNEES)
    _spreads: tuple[_Spread, ...] = field(default_factory=lambda: tuple(_Spread() for _ in KNEES))

    def move(self, at: float) -> Parts:
        """The parts by then."""
        if self.flying:
            seconds = max(0.0, at - self.at)
            self.parts = tuple(
                part + seconds / (knee + self.flying) for part, knee in zip(self.parts, KNEES, strict=True)
            )
        self.at = max(self.at, at)
        return self.parts

    def learn(self, tokens: float, parts: Parts) -> None:
        """Take in what one finished request had."""
        if tokens >= SHORT and all(parts):
            for spread, part in zip(self._spreads, parts, strict=True):
                spread.add(math.log(part / tokens))

    @property
    def knee(self) -> int:
        """The likelier of `KNEES`, by its place."""
        loaded, idle = self._spreads
        return int(loaded.count >= LEAST and idle.variance < CLEARLY * loaded.variance)
