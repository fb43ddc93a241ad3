"""How many more tokens answers at work are likely to get, from those that have ended and from the plan.

Not here: which answers there are.

Answers that end first are the short ones, so their mean says too little. Lengths are taken as log-normal; the
likeliest middle is found from those that stopped by themselves, from how long the others are at least, and
from the plan. A few are shorter than that law has them, such as refusals, so the very first say less. They
would make a spread that is found, too, far too wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

SPREAD = 0.7  # of the logarithm
TRUST = 0.7  # spread of the plan's logarithm about the truth: its lengths are right within a factor of 2
EARLY = 0.1  # share of the answers begun; before so many have stopped, each says less about the others
LEAST, MOST, STEP = 0.0, 12.0, 0.1  # logarithms of the middles that are tried


@dataclass(frozen=True)
class Lengths:
    """What is known of the lengths of a stage's answers.

    so_far: tokens that each of those at work has at least; longer: of all that have not stopped by
    themselves, how many there are, and the tokens that they have at least; stopped, logarithms: of the
    others, how many, and the sum of the logarithms of their tokens; planned: the mean by the plan; bound: of
    an answer.
    """

    so_far: float
    longer: tuple[tuple[float, float], ...]
    stopped: int
    logarithms: float
    planned: float | None
    bound: int | None

    @property
    def mean(self) -> float:
        """Tokens of an answer on average, by the law alone."""
        return self._mean_up_to(self._most)

    @property
    def more(self) -> float:
        """Tokens that follow on average, for those at work; 0 where nothing is known."""
        return self.after(self.so_far)

    def after(self, so_far: float) -> float:
        """Tokens that follow on average, for answers that have so many; 0 where nothing is known."""
        if not self._known:
            return 0.0
        more = max(0.0, self.mean - self._mean_up_to(so_far))
        return more / max(self._beyond(so_far), 1e-9)

    def longest(self, count: float, so_far: float) -> float:
        """Tokens of the longest of so many answers that have so many; these where nothing more is known."""
        if not self._known:
            return so_far
        beyond = self._beyond(so_far) / (count + 1)
        beyond = min(max(beyond, 1e-12), 1 - 1e-12)  # the count may be a tiny part of an answer
        whole = math.exp(self._middle - SPREAD * NormalDist().inv_cdf(beyond))
        return max(so_far, min(whole, self._most))

    def stopping(self, so_far: float) -> float:
        """The share of answers that have so many tokens that stop by themselves; 1 where nothing is known."""
        if not self._known or self.bound is None:
            return 1.0
        return max(0.0, 1 - self._beyond(self.bound) / max(self._beyond(so_far), 1e-9))

    def stopped_mean(self, so_far: float) -> float:
        """The mean tokens of those, by the law alone."""
        ends = so_far, self._most
        shares = [self._beyond(end) for end in ends]
        parts = [_longer(_logarithm(end) - SPREAD**2, self._middle) for end in ends]
        return self._unbound * (parts[0] - parts[1]) / max(shares[0] - shares[1], 1e-9)

    @property
    def _most(self) -> float:
        return math.inf if self.bound is None else float(self.bound)

    @property
    def _known(self) -> bool:
        return bool(self.stopped) or self.planned is not None

    def _beyond(self, tokens: float) -> float:
        """The share of answers that are longer."""
        return _longer(_logarithm(tokens), self._middle)

    @property
    def _unbound(self) -> float:
        """The mean of answers without a bound."""
        return math.exp(self._middle + SPREAD**2 / 2)

    def _mean_up_to(self, bound: float) -> float:
        """The mean of answers that are cut at a bound."""
        if bound == math.inf:
            return self._unbound
        shorter = 1 - _longer(_logarithm(bound) - SPREAD**2, self._middle)
        return self._unbound * shorter + bound * self._beyond(bound)

    @cached_property
    def _middle(self) -> float:
        """The likeliest middle, as a logarithm."""
        steps = range(round((MOST - LEAST) / STEP) + 1)
        return max((LEAST + STEP * step for step in steps), key=self._likelihood)

    def _likelihood(self, middle: float) -> float:
        likelihood = (self.logarithms * middle - self.stopped * middle**2 / 2) / SPREAD**2
        others = sum(count for count, _ in self.longer)
        likelihood *= min(1.0, self.stopped / (EARLY * (self.stopped + others) or 1.0))
        for count, tokens in self.longer:
            likelihood += count * math.log(max(_longer(_logarithm(tokens), middle), 1e-300))
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
