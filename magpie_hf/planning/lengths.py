"""How long answers are: a log-normal law, and the likeliest law of lengths that a bound has cut off.

Not here: which lengths a model is assumed to have (workload.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

# Share of the variance of log-lengths that lies between problems: a hard problem has long answers only. It is
# assumed, in the middle: at 0 the answers of a problem are independent, at 1 they are equally long.
BETWEEN = 0.5
QUANTILES = 48  # lengths, or problems, that stand for a distribution
# A measurement has few lengths, so the assumed spread counts as much as this many of them.
PRIOR = 10
STEPS = 2_000  # of the fit, at most; 30 to 300 are usual
UNIT = NormalDist()


class Length(NamedTuple):
    """The tokens of one answer, and whether a bound truncated it there."""

    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Law:
    """A log-normal distribution of lengths.

    median: in tokens; spread: the standard deviation of the logarithm.
    """

    median: float
    spread: float

    def times(self, factor: float) -> Law:
        """The law of lengths that are `factor` times as long."""
        return Law(self.median * factor, self.spread)

    def truncated(self, bound: float) -> float:
        """The share of the answers that are longer than the bound."""
        return 1 - UNIT.cdf(self._at(bound))

    def mean(self, bound: float) -> float:
        """Tokens of an answer on average, where none exceeds the bound."""
        at = self._at(bound)
        whole = self.median * math.exp(self.spread**2 / 2) * UNIT.cdf(at - self.spread)
        return whole + bound * (1 - UNIT.cdf(at))

    def lengths(self, bound: int) -> list[int]:
        """Quantiles of the lengths, cut off at the bound."""
        normal = NormalDist(math.log(self.median), self.spread)
        return [min(bound, max(1, round(math.exp(normal.inv_cdf(share))))) for share in _shares()]

    def complete(self, k: int, bound: float) -> tuple[float, ...]:
        """The shares of the problems of whose k answers 0, 1, ..., k end before the bound."""
        return _complete(k, self._at(bound))

    def _at(self, bound: float) -> float:
        return (math.log(bound) - math.log(self.median)) / self.spread


@lru_cache(maxsize=256)
def _complete(k: int, at: float) -> tuple[float, ...]:
    """`Law.complete`, where the bound is `at` standard deviations above the median."""
    found = [0.0] * (k + 1)
    for share in _shares():
        of_problem = math.sqrt(BETWEEN) * UNIT.inv_cdf(share)
        one = UNIT.cdf((at - of_problem) / math.sqrt(1 - BETWEEN))
        for count in range(k + 1):
            found[count] += math.comb(k, count) * one**count * (1 - one) ** (k - count) / QUANTILES
    return tuple(found)


def _shares() -> list[float]:
    return [(at + 0.5) / QUANTILES for at in range(QUANTILES)]


def fitted(lengths: Sequence[Length], before: Law) -> Law:
    """The likeliest law of lengths of which some are known only to exceed their bound.

    By expectation and maximisation: each truncated logarithm counts with the mean and the variance that the
    law gives what lies above its bound. before: the law that was assumed; its spread counts as PRIOR lengths.
    Without a complete answer only the share is known, and the spread stays.
    """
    whole = [math.log(max(1, one.tokens)) for one in lengths if not one.truncated]
    cut = Counter(math.log(max(1, one.tokens)) for one in lengths if one.truncated)
    if not lengths:
        return before
    if not whole:
        share = 0.5 / (len(lengths) + 1)  # that is complete
        bound = sum(at * count for at, count in cut.items()) / len(lengths)
        return Law(math.exp(bound - before.spread * UNIT.inv_cdf(share)), before.spread)
    count, total, squares = len(lengths), sum(whole), sum(one**2 for one in whole)
    mean, variance = total / len(whole), before.spread**2
    for _ in range(STEPS):
        spread, first, second = math.sqrt(variance), total, squares
        for at, times in cut.items():
            hazard = _hazard((at - mean) / spread)
            first += times * (mean + spread * hazard)
            second += times * (mean**2 + variance + spread * (at + mean) * hazard)
        was = mean, variance
        mean = first / count
        variance = (second - count * mean**2 + PRIOR * before.spread**2) / (count + PRIOR)
        if abs(mean - was[0]) + abs(variance - was[1]) < 1e-6:
            break
    return Law(math.exp(mean), math.sqrt(variance))


def _hazard(at: float) -> float:
    """The density of the normal distribution by the share above, or its limit far out."""
    above = UNIT.cdf(-at)
    return UNIT.pdf(at) / above if above > 1e-12 else at + 1 / at
