"""How many more tokens requests at work are likely to get, from those that have finished and from the plan.

Not here: which requests there are.

Requests that finish first are the short ones, so their mean says too little. Lengths are taken as log-normal;
the likeliest middle is found from what finished, from what is longer than it is so far, and from the plan.
"""

from __future__ import annotations

import math

SPREAD = 0.7  # of the logarithm
TRUST = 0.5  # spread of the plan's logarithm about the truth: its lengths are right within a factor of 1.6
LEAST, MOST, STEP = 0.0, 12.0, 0.1  # logarithms of the middles that are tried


def more(
    so_far: float, at_work: float, finished: int, logarithms: float, planned: float | None, bound: int | None
) -> float:
    """Tokens that follow on average, for requests that have `so_far` each.

    finished: requests; logarithms: the sum of those of their tokens; planned: the mean by the plan; bound: of
    a request. 0 where nothing is known.
    """
    if not finished and planned is None:
        return 0.0
    begun = math.log(max(so_far, 1.0))
    middle_planned = None if planned is None else math.log(max(planned, 1.0)) - SPREAD**2 / 2

    def likely(middle: float) -> float:
        likelihood = (logarithms * middle - finished * middle**2 / 2) / SPREAD**2
        likelihood += at_work * math.log(max(_longer(begun, middle), 1e-300))
        if middle_planned is not None:
            likelihood -= ((middle - middle_planned) / TRUST) ** 2 / 2
        return likelihood

    steps = range(round((MOST - LEAST) / STEP) + 1)
    middle = max((LEAST + STEP * step for step in steps), key=likely)
    whole = _mean_up_to(math.inf if bound is None else float(bound), middle)
    return max(0.0, whole - _mean_up_to(max(so_far, 1.0), middle)) / max(_longer(begun, middle), 1e-9)


def _longer(logarithm: float, middle: float) -> float:
    """The share of lengths above one, by its logarithm."""
    return math.erfc((logarithm - middle) / SPREAD / math.sqrt(2)) / 2


def _mean_up_to(bound: float, middle: float) -> float:
    """The mean of lengths that are cut at a bound."""
    mean = math.exp(middle + SPREAD**2 / 2)
    if bound == math.inf:
        return mean
    logarithm = math.log(max(bound, 1.0))
    return mean * (1 - _longer(logarithm - SPREAD**2, middle)) + bound * _longer(logarithm, middle)
