"""Throughput of a build over time, from the engines' records of it (run/speed.jsonl).

Not here: writing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magpie_hf.progress.speed import read

POINTS = 240  # of the curve, at most: four pixels each on a wide screen
PAUSE = 120.0  # seconds without an event that are left out: nothing ran, or the machine slept
_MARKED = ("began", "finished", "stopped")

Event = Mapping[str, Any]


def speed(folder: Path) -> dict[str, Any] | None:
    """The throughput of all engines together, with marks of starts and ends; None without records.

    seconds: the length of the whole, without pauses. tokens: tokens per second in equal pieces of that
    length. marks: starts of engines, and starts and ends of builds, each with its second. Raises KeyError,
    TypeError or ValueError for records that no build writes.
    """
    events = sorted(read(folder), key=lambda event: float(event["at"]))
    intervals = [event for event in events if event["event"] == "interval" and event["seconds"] > 0]
    if not intervals:
        return None
    clock = _Clock([moment for event in events for moment in _moments(event)])
    seconds = max(clock.length, 1.0)
    pieces = max(1, min(POINTS, round(seconds / max(float(event["seconds"]) for event in intervals))))
    made = np.zeros(pieces)
    for event in intervals:
        begin, end = (clock.at(moment) / seconds * pieces for moment in _moments(event))
        _spread(made, begin, max(end, begin + 1e-9), float(event["tokens"]))
    return {
        "seconds": seconds,
        "tokens": [round(value, 2) for value in (made * pieces / seconds).tolist()],
        "total": sum(int(event["tokens"]) for event in intervals),
        "marks": [mark for event in events if (mark := _mark(event, clock))],
    }


def _moments(event: Event) -> tuple[float, ...]:
    at = float(event["at"])
    return (at - float(event["seconds"]), at) if event["event"] == "interval" else (at,)


def _mark(event: Event, clock: _Clock) -> dict[str, Any] | None:
    if event["event"] == "opened":
        what = "reopened" if event["restart"] else "opened"
        return {
            "at": clock.at(float(event["at"])),
            "what": what,
            "engine": event["engine"],
            "seconds": event["seconds"],
        }
    if event["event"] == "build" and event["what"] in _MARKED:
        return {"at": clock.at(float(event["at"])), "what": event["what"]}
    return None


class _Clock:
    """Seconds since the first moment, without the pauses."""

    def __init__(self, moments: Sequence[float]) -> None:
        self.moments = np.unique(np.array(moments))
        steps = np.diff(self.moments, prepend=self.moments[0])
        self.elapsed = np.cumsum(np.where(steps > PAUSE, 0.0, steps))

    @property
    def length(self) -> float:
        return float(self.elapsed[-1])

    def at(self, moment: float) -> float:
        return float(self.elapsed[np.searchsorted(self.moments, moment)])


def _spread(made: np.ndarray, begin: float, end: float, amount: float) -> None:
    """Add an amount evenly to the pieces between two places."""
    first, last = int(begin), min(int(np.ceil(end)), len(made))
    for piece in range(min(first, len(made) - 1), max(last, first + 1)):
        if piece < len(made):
            made[piece] += amount * max(0.0, min(end, piece + 1) - max(begin, piece)) / (end - begin)
