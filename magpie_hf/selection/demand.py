"""How many draws a domain is likely to need still: the arithmetic of the harvest, which plans use too. Not here: judging."""

from __future__ import annotations

import math

PROBE = 64  # draws of a domain that are judged before more are drawn
SPARE = 8  # draws of the first round beyond the target
MOST_AHEAD = 16  # times the draws judged so far: a few draws say little of how many are needed


def draws_wanted(target: int, drawn: int, judged: int, accepted: int, floor: float, most: int) -> int:
    """Up to which draw a domain should be drawn now: at first a probe, then what the yield so far makes likely, and some more.

    floor: the least yield that is reckoned with; most: draws of a domain, at most.
    """
    if judged == 0:
        stop = max(drawn, min(PROBE, target + SPARE))
    else:
        share = max((accepted + 0.5) / (judged + 1), floor)
        missing = target - accepted - share * (drawn - judged)
        stop = drawn + (math.ceil((missing + math.sqrt(missing)) / share) if missing > 0 else 0)
    return min(stop, most, PROBE if judged < PROBE else MOST_AHEAD * judged)
