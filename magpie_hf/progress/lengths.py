"""How many more tokens requests at work are likely to get, from those that have finished and from the plan.

Not here: which requests there are.

Requests that finish first are the short ones, so their mean says too little. Lengths are taken as log-normal;
the likeliest middle is found from what finished, from what is longer than it is so far, and from the plan.
A few are shorter than that law has them, such as refusals, so the very first say less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

SPREAD = 0.7  # of the logarithm
TRUST = 0.7  # spread of the plan's logarithm about the truth: its lengths are right within a factor of 2
EARLY = 0.08  # share of the requests begun; before so many have finished, each says less about the others
LEAST, MOST, STEP = 0.0, 12.0, 0.1  # logarithms of the middles that are tried


@dataclass(frozen=True)
class Lengths:
    """What is known of the lengths of a stage's requests.

    at_work: requests that have `so_far` tokens each; finished: others; logarithms: the sum of those of their
    tokens; planned: the mean by the plan; bound: of a request.
    """

    so_far: float
    at_work: float
    finished: int
    logarithms: float
    planned: float | None
    bound: int | None

    @property
    def mean(self) -> float:
        """Tokens of a request on average, by the law alone."""
        return _mean_up_to(self._most, self._middle)

    @property
    def more(self) -> float:
        """Tokens that follow on average, for those at work; 0 where nothing is known."""
        return self.after(self.so_far)

    def after(self, so_far: float) -> float:
        """Tokens that follow on average, for requests that have so many; 0 where nothing is known."""
        if not self._known:
            return 0.0
        more = max(0.0, self.mean - _mean_up_to(so_far, self._middle))
        return more / max(_longer(_logarithm(so_far), self._middle), 1e-9)

    def longest(self, count: float, so_far: float) -> float:
        """Tokens of the longest of so many requests that have so many; these where nothing more is known."""
        if not self._known:
            return so_far
        beyond = _longer(_logarithm(so_far), self._middle) / (count + 1)
        beyond = min(max(beyond, 1e-12), 1 - 1e-12)  # the count may be a tiny part of a request
        whole = math.exp(self._middle - SPREAD * NormalDist().inv_cdf(beyond))
        return max(so_far, min(whole, self._most))

    @property
    def stopping(self) -> float:
        """The share of those at work that stop by themselves, before the bound; 1 where nothing is known."""
        if not self._known or self.bound is None:
            return 1.0
        longer = _longer(math.log(max(self.bound, 1.0)), self._middle)
        return max(0.0, 1 - longer / max(_longer(self._begun, self._middle), 1e-9))

    @property
    def _most(self) -> float:
        return math.inf if self.bound is None else float(self.bound)

    @property
    def _known(self) -> bool:
        return bool(self.finished) or self.planned is not None

    @property
    def _begun(self) -> float:
        return _logarithm(self.so_far)

    @cached_property
    def _middle(self) -> float:
        """The likeliest middle, as a logarithm."""
        steps = range(round((MOST - LEAST) / STEP) + 1)
        return max((LEAST + STEP * step for step in steps), key=self._likelihood)

    def _likelihood(self, middle: float) -> float:
        likelihood = (self.logarithms * middle - self.finished * middle**2 / 2) / SPREAD**2
        likelihood *= min(1.0, self.finished / (EARLY * (self.finished + self.at_work) or 1.0))
        likelihood += self.at_work * math.log(max(_longer(self._begun, middle), 1e-300))
        if self.planned is not None:
            planned = math.log(max(self.planned, 1.0)) - SPREAD**2 / 2
            likelihood -= ((middle - planned) / TRUST) ** 2 / 2
        return likelihood


def _logarithm(tokens: float) -> float:
    """The logarithm of a length, which may be a part of one token."""
    return math.log(max(tokens, 1e-9))


def _longer(logarithm: float, middle: float) -> float:
    """The share of lengths above one, by its logarithm."""
    return math.erfc((logarithm - middle) / SPREAD / math.sqrt(2)) / 2


def _mean_up_to(bound: float, middle: float) -> float:
    """The mean of lengths that are cut at a bound."""
    mean = math.exp(middle + SPREAD**2 / 2)
    if bound == math.inf:
        return mean
    logarithm = _logarithm(bound)
    return mean * (1 - _longer(logarithm - SPREAD**2, middle)) + bound * _longer(logarithm, middle)
