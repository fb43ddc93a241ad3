"""Shares: how much of an engine's time a piece of work had, while other work shared the engine.

Not here: how fast the engine is (meter.py).

All requests in flight share an engine alike, so a second in which n are in flight is 1/n of a second of each.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Share:
    """The time of one piece of work, of which one thread starts the requests.

    engines: seconds of engines, without those that other work had; asking: seconds with a request in flight;
    opening: seconds in which an engine was opened for the first request.
    """

    engines: float = 0.0
    asking: float = 0.0
    opening: float = 0.0
    _flying: int = 0
    _since: float = 0.0

    def of(self, seconds: float) -> float:
        """What of these seconds, in which all of it was done, this work had for itself."""
        return max(0.0, seconds - self.asking - self.opening) + self.engines


@dataclass
class _Engine:
    """Requests in flight, and the seconds that each had which was there from the beginning."""

    flying: int = 0
    each: float = 0.0
    at: float = 0.0
    begun: dict[float, list[tuple[Share | None, float]]] = field(default_factory=lambda: defaultdict(list))

    def move(self, at: float) -> None:
        if self.flying:
            self.each += max(0.0, at - self.at) / self.flying
        self.at = max(self.at, at)


_CURRENT: ContextVar[Share | None] = ContextVar("share", default=None)
_engines: dict[str, _Engine] = defaultdict(_Engine)
_lock = threading.Lock()


@contextmanager
def sharing() -> Iterator[Share]:
    """Count what this thread asks for inside the block."""
    share = Share()
    token = _CURRENT.set(share)
    try:
        yield share
    finally:
        _CURRENT.reset(token)


def opened(seconds: float) -> None:
    """Count how long the start of a request took, in which the first one of all opens the engine."""
    share = _CURRENT.get()
    if share is not None and not share._flying:
        share.opening += seconds


def started(name: str, at: float, requests: int) -> None:
    """Count started requests for the work of this thread. at: `time.monotonic()`."""
    share = _CURRENT.get()
    with _lock:
        engine = _engines[name]
        engine.move(at)
        engine.flying += requests
        engine.begun[at].append((share, engine.each))
        if share is not None:
            if not share._flying:
                share._since = at
            share._flying += requests


def ended(name: str, began: float, at: float, requests: int) -> None:
    """Count the end of requests that started at `began`."""
    with _lock:
        engine = _engines[name]
        if not (begun := engine.begun.get(began)):
            return
        share, each = begun.pop()
        if not begun:
            del engine.begun[began]
        engine.move(at)
        engine.flying -= requests
        if share is not None:
            share.engines += requests * (engine.each - each)
            share._flying -= requests
            if not share._flying:
                share.asking += at - share._since
