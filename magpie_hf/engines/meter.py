"""Requests, loads and ends of this process's engines, reported to the current watcher.

Not here: counting. A build's speed is recorded in progress/recorder.py, a measurement in planning/measure.py.

An engine is known by its model's name. Requests that the journal answers are not reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from magpie_hf.engines import shares


@dataclass(frozen=True)
class Start:
    """Requests that started together, at `time.monotonic()`.

    prompt_tokens: of all of them, 0 where not known. had: tokens of truncated answers that are asked to go
    on; resumed: whether they do so from these, as part of the prompt, or begin anew. waits: whether they wait
    in a queue of this process first, until they are `begun`.
    """

    engine: str
    at: float
    requests: int = 1
    prompt_tokens: int = 0
    had: int = 0
    resumed: bool = False
    waits: bool = False


More = Literal["resumed", "anew"] | None


@dataclass(frozen=True)
class Outcome:
    """The tokens of finished requests, and how many of them did not stop by themselves.

    more: how these would go on under a higher bound: from their tokens, or anew; None where it was another
    reason that ended them.
    """

    prompt_tokens: int
    tokens: int
    truncated: int = 0
    more: More = "resumed"


class Watcher(Protocol):
    """An observer of engines, called in their threads, so each call must be short.

    Times are `time.monotonic()`.
    """

    def started(self, start: Start) -> None:
        """Requests were started."""

    def begun(self, start: Start, at: float) -> None:
        """The engine has requests that waited."""

    def ended(self, start: Start, at: float, outcome: Outcome | None) -> None:
        """Requests have ended. outcome: None where they failed."""

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        """An engine was loaded in this many seconds. restart: after one died."""

    def closed(self, engine: str) -> None:
        """An engine is closed for good."""


@dataclass(frozen=True)
class Counted:
    """What an engine's own counters say.

    tokens, prompt_tokens: completion tokens that it has made in this process, and prompt tokens that it has
    read, without those its prefix cache held, of unfinished requests, too; None where it counts none.
    running: requests that it works on, while the others wait in its queue. cached: the prompt tokens that its
    prefix cache held.
    """

    tokens: int | None
    prompt_tokens: int | None
    running: int
    cached: int = 0


_watchers: tuple[Watcher, ...] = ()
_CHANGING = threading.Lock()
_counted: dict[str, Counted] = {}


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Report to `watcher` inside the block."""
    global _watchers
    with _CHANGING:
        _watchers = (*_watchers, watcher)
    try:
        yield
    finally:
        with _CHANGING:
            _watchers = tuple(one for one in _watchers if one is not watcher)


def started(start: Start) -> None:
    """Report started requests."""
    shares.started(start.engine, start.at, start.requests)
    for watcher in _watchers:
        watcher.started(start)


def begun(start: Start) -> None:
    """Report that the engine has requests that waited."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.begun(start, at)


def ended(start: Start, outcome: Outcome | None) -> None:
    """Report the end of requests; outcome: None where they failed."""
    at = time.monotonic()
    shares.ended(start.engine, start.at, at, start.requests)
    for watcher in _watchers:
        watcher.ended(start, at, outcome)


@contextmanager
def loading(engine: str, restart: bool = False) -> Iterator[None]:
    """Time the loading of an engine, and report it once loaded."""
    began = time.monotonic()
    yield
    for watcher in _watchers:
        watcher.opened(engine, time.monotonic() - began, restart)


def count(engine: str, running: int, tokens: int = 0, prompt_tokens: int = 0, cached: int = 0) -> None:
    """Report what an engine's own counters say: requests that it works on now, and so many more tokens."""
    with _CHANGING:
        before = _counted.get(engine)
        tokens += (before and before.tokens) or 0
        prompt_tokens += (before and before.prompt_tokens) or 0
        cached += before.cached if before else 0
        _counted[engine] = Counted(tokens, prompt_tokens, running, cached)


def at_work(engine: str, running: int) -> None:
    """Report how many requests an engine without counters works on."""
    with _CHANGING:
        _counted[engine] = Counted(None, None, running)


def counted(engine: str) -> Counted | None:
    """What an engine's own counters said last; None where it says nothing."""
    return _counted.get(engine)


def uncount(engine: str) -> None:
    """Report that an engine has no counters, or none any more."""
    with _CHANGING:
        _counted.pop(engine, None)


def closed(engine: str) -> None:
    """Report that an engine is closed for good."""
    uncount(engine)
    for watcher in _watchers:
        watcher.closed(engine)
