"""Complaints as lines, with many equal ones shortened to a few and a count.

Not here: finding them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from magpie_hf.text.language import tr

LISTED = 5


class Complaints:
    """Complaints by their text, with the first `LISTED` places of each and the number of all places."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, place: str, says: str) -> None:
        """Add a complaint about one place, such as "algebra/train_sft"."""
        self.add_all([place], 1, says)

    def add_all(self, places: Iterable[str], count: int, says: str) -> None:
        """Add a complaint about `count` places; only as many are read from `places` as will be listed."""
        if not count:
            return
        listed = self._places.setdefault(says, [])
        self._counts[says] = self._counts.get(says, 0) + count
        listed.extend(" ".join(place.split()) for place in islice(places, LISTED - len(listed)))

    def lines(self) -> list[str]:
        """All complaints, one line each, in the order in which their texts came first."""
        lines: list[str] = []
        for says, places in self._places.items():
            lines.extend(f"{place}: {says}" for place in places)
            if more := self._counts[says] - len(places):
                lines.append(tr("and {more:,} more: {says}", more=more, says=says))
        return lines
