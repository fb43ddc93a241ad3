"""Paces: what engines that count nothing take for a token, by how many requests they have.

Not here: which stage the requests belong to (requests.py).

A step over n requests takes pace * (knee + n) seconds. A loaded engine takes longer for more of them, so its
knee is low; one that is not takes as long for many as for few, so its knee is high. It is the one under which
the tokens of the finished requests took most alike. Knees between these two made no recorded build's time
left better.

What a prompt token takes is seen by requests in whose life many prompts were begun: the short ones, when many
began together. For that the knee must be right within a factor of 2, so there are more of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from magpie_hf.progress.estimates import ALIKE, NOISE, PROMPT_SPREAD, PROMPT_WORK

KNEES = 25.0, 10_000.0
ALL = *KNEES, 5.0, 100.0, 400.0, 2_000.0  # under which the seconds of a prompt token are looked for
KEPT = 0.995  # what each finished request leaves of the weight of those before it
LONG_KEPT = 0.999  # the same for what prompts take, which the requests after a burst show no more
LEAST = 20.0  # finished requests that tell a knee
SHORT = 8  # tokens of a request that tells nothing about it
CLEARLY = 0.7  # of the variance by the low knee, below which the high one is the likelier
FITS = 0.1  # deviation of what tokens and prompts took, by their mean; above it, requests waited in a queue

Parts = tuple[float, ...]  # for each knee of ALL: seconds / (knee + requests in flight), added up
NOTHING: Parts = (0.0,) * len(ALL)


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
class _Line:
    """What a token took, by the prompt tokens begun for it: a line through the finished requests.

    They weigh by their tokens, and the last ones most.
    """

    count: float = 0.0
    _sums: tuple[float, ...] = (0.0,) * 6

    def add(self, tokens: float, prompts: float, part: float) -> None:
        x, y = prompts / tokens, part / tokens
        now = (tokens, tokens * x, tokens * y, tokens * x * x, tokens * x * y, tokens * y * y)
        self.count = LONG_KEPT * self.count + 1
        self._sums = tuple(LONG_KEPT * one + more for one, more in zip(self._sums, now, strict=True))

    @property
    def fitted(self) -> tuple[float, float] | None:
        """The deviation from the line, by the mean, and the seconds that a prompt token takes.

        None where the line has no slope, or nothing is left for the tokens themselves.
        """
        whole, *sums = self._sums
        x, y, xx, xy, yy = (one / whole for one in sums) if whole else (0.0,) * 5
        spread, together = xx - x * x, xy - x * y
        if spread <= 0 or (alone := y - together / spread * x) <= 0:
            return None
        slope = together / spread
        noise = max((NOISE * y) ** 2, yy - y * y - slope * together)
        seen, believed = self.count / ALIKE * spread / noise, 1 / (PROMPT_SPREAD * alone) ** 2
        seconds = (seen * slope + believed * PROMPT_WORK * alone) / (seen + believed)
        return math.sqrt(noise) / y, min(alone, max(0.0, seconds))


@dataclass
class Paced:
    """One engine: its requests in flight, and what each had of it that was there from the beginning.

    parts: by ALL; prompts: the prompt tokens of all requests that it was given.
    """

    flying: int = 0
    at: float = 0.0
    parts: Parts = NOTHING
    prompts: int = 0
    _lines: tuple[_Line, ...] = field(default_factory=lambda: tuple(_Line() for _ in ALL))
    _spreads: tuple[_Spread, ...] = field(default_factory=lambda: tuple(_Spread() for _ in KNEES))

    def move(self, at: float) -> Parts:
        """The parts by then."""
        if self.flying:
            seconds = max(0.0, at - self.at)
            self.parts = tuple(
                part + seconds / (knee + self.flying) for part, knee in zip(self.parts, ALL, strict=True)
            )
        self.at = max(self.at, at)
        return self.parts

    def learn(self, tokens: float, parts: Parts, seconds: float, prompts: float) -> None:
        """Take in what one finished request had in its seconds, and the prompt tokens given meanwhile."""
        if tokens >= SHORT and all(parts):
            for spread, part in zip(self._spreads, parts, strict=False):
                spread.add(math.log(part / tokens))
            for line, part in zip(self._lines, parts, strict=True):
                line.add(tokens, prompts * part / seconds, part)

    @property
    def knee(self) -> int:
        """The likelier of `KNEES`, by its place."""
        loaded, idle = self._spreads
        return int(loaded.count >= LEAST and idle.variance < CLEARLY * loaded.variance)

    @property
    def prompt_seconds(self) -> float | None:
        """Seconds of a prompt token; None where these are not seen, as where requests wait in a queue."""
        # Of knees that fit equally well, the one with the cheapest prompts: more is not seen
        noise, seconds = min((one for line in self._lines if (one := line.fitted)), default=(math.inf, 0.0))
        return seconds if noise <= FITS else None
