"""How many more samples a domain is likely to need; plans use the same arithmetic.

Not here: filtering.
"""

from __future__ import annotations

import math

FIRST_LOOK = 64  # samples of a domain that are filtered before more are sampled
SPARE = 8  # samples of the first round beyond the target
MOST_AHEAD = 16  # times the samples filtered so far: the yield of a few samples is a poor estimate


def samples_needed(target: int, sampled: int, filtered: int, accepted: int, floor: float, most: int) -> int:
    """The number of samples that a domain should have in all by now.

    It is small at first, then what the yield so far predicts, plus a reserve. floor: the least yield that is
    assumed. most: the most samples of a domain.
    """
    if filtered == 0:
        stop = max(sampled, min(FIRST_LOOK, target + SPARE))
    else:
        share = max((accepted + 0.5) / (filtered + 1), floor)
        missing = target - accepted - share * (sampled - filtered)
        stop = sampled + (math.ceil((missing + math.sqrt(missing)) / share) if missing > 0 else 0)
    return min(stop, most, FIRST_LOOK if filtered < FIRST_LOOK else MOST_AHEAD * filtered)
