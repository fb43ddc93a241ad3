"""How many samples a domain is likely to need still: the arithmetic of the selection, which plans use too.

Not here: filtering.
"""

from __future__ import annotations

import math

FIRST_LOOK = 64  # samples of a domain that are filtered before more are sampled
SPARE = 8  # samples of the first round beyond the target
MOST_AHEAD = 16  # times the samples filtered so far: a few samples say little of how many are needed


def samples_needed(target: int, sampled: int, filtered: int, accepted: int, floor: float, most: int) -> int:
    """Up to which sample a domain should be sampled now: at first a few, then what the yield so far makes
    likely, and some more.

    floor: the least yield that is assumed; most: samples of a domain, at most.
    """
    if filtered == 0:
        stop = max(sampled, min(FIRST_LOOK, target + SPARE))
    else:
        share = max((accepted + 0.5) / (filtered + 1), floor)
        missing = target - accepted - share * (sampled - filtered)
        stop = sampled + (math.ceil((missing + math.sqrt(missing)) / share) if missing > 0 else 0)
    return min(stop, most, FIRST_LOOK if filtered < FIRST_LOOK else MOST_AHEAD * filtered)
