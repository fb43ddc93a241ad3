"""Complaints as lines, of which many that say the same become a few and a count.

Not here: finding them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

LISTED = 5


class Complaints:
    """What is wrong, by what is said of it, and where: of each kind the first `LISTED` places in full, then
    how many more there are.
    """

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, place: str, says: str) -> None:
        """One place, such as "algebra/train_sft", of which something is said."""
        self.add_all([place], 1, says)

    def add_all(self, places: Iterable[str], count: int, says: str) -> None:
        """`count` places, of which only as many are taken from `places` as will be listed."""
        if not count:
            return
        listed = self._places.setdefault(says, [])
        self._counts[says] = self._counts.get(says, 0) + count
        listed.extend(" ".join(place.split()) for place in islice(places, LISTED - len(listed)))

    def lines(self) -> list[str]:
        """All of it, a line each, in the order of its first place."""
        lines: list[str] = []
        for says, places in self._places.items():
            lines.extend(f"{place}: {says}" for place in places)
            if more := self._counts[says] - len(places):
                lines.append(f"and {more:,} more: {says}")
        return lines
