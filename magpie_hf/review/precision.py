"""Precision: how many of the rows that the build accepted a person calls good, with intervals.

Not here: reading marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from magpie_hf.review.marks import BAD, GOOD, REVIEWED, Kept

Z = 1.959964  # the normal quantile of a two-sided interval of 95 %
# Levels of the majority share: the least share, and what the level is called.
LEVELS = ((1.0, "1.00"), (0.75, "0.75-0.99"), (0.5, "0.50-0.74"), (0.0, "0.00-0.49"))
NO_VOTE = "no vote"
ENOUGH = 30  # marks from which a card states the precision


@dataclass(frozen=True)
class Share:
    """So many of the rows that were read are right, with the bounds of Wilson's interval of 95 %."""

    right: int
    read: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (E. B. Wilson, 1927), which stays within 0 and 1 at any share."""
        share, spread = self.right / self.read, Z * Z / self.read
        middle = share + spread / 2
        half = Z * math.sqrt(share * (1 - share) / self.read + spread / (4 * self.read))
        return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def level(majority_share: float | None) -> str:
    """The level of a majority share."""
    if majority_share is None:
        return NO_VOTE
    return next(name for least, name in LEVELS if majority_share >= least)


def precision(marks: Iterable[Kept]) -> Mapping[str, Mapping[str, Share]]:
    """The share of good rows among those that were read: "all", and by "domain", "majority_share" and "pair".

    "dropped" is of the samples that the build dropped, by its reason: the share that is bad indeed. Those
    that it dropped for a mark were accepted: they count in "all" and their domain; no more is known of them.
    """
    found: dict[str, dict[str, list[bool]]] = {
        name: {} for name in ("all", "domain", "majority_share", "pair", "dropped")
    }
    for one in marks:
        if one.mark.mark is None:
            continue
        labels = one.labels
        if labels.dropped not in (None, REVIEWED):
            found["dropped"].setdefault(labels.dropped, []).append(one.mark.mark == BAD)
            continue
        places = {"all": "all", "domain": labels.domain}
        if labels.dropped is None:
            places |= {"majority_share": level(labels.majority_share), "pair": str(labels.pair)}
        for group, name in places.items():
            found[group].setdefault(name, []).append(one.mark.mark == GOOD)
    return {
        group: {name: Share(sum(right), len(right)) for name, right in sorted(values.items())}
        for group, values in found.items()
    }
