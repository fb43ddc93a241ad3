"""What passes the seam of this process's engines, told to whoever watches: requests, openings, ends.

Not here: counting.

An engine is known by its model's name. What the journal knows is not asked, so nobody hears of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Watcher(Protocol):
    """Whoever counts. Called in the engines' threads, so each call must be short; times are
    `time.monotonic()`.
    """

    def started(self, engine: str, at: float, requests: int) -> None:
        """Requests are in flight."""

    def ended(
        self, engine: str, began: float, at: float, requests: int, prompt_tokens: int | None, tokens: int
    ) -> None:
        """Requests are in flight no longer. prompt_tokens: None where nothing came of them."""

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        """An engine was loaded in so many seconds; restart: in place of one that died."""

    def closed(self, engine: str) -> None:
        """An engine is gone for good."""


_watchers: tuple[Watcher, ...] = ()
_CHANGING = threading.Lock()


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of what passes for a while."""
    global _watchers
    with _CHANGING:
        _watchers = (*_watchers, watcher)
    try:
        yield
    finally:
        with _CHANGING:
            _watchers = tuple(one for one in _watchers if one is not watcher)


def started(engine: str, requests: int = 1) -> float:
    """Requests have started; returns when."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.started(engine, at, requests)
    return at


def ended(engine: str, began: float, prompt_tokens: int | None, tokens: int, requests: int = 1) -> None:
    """Requests that started then have ended, with their tokens; prompt_tokens: None where nothing came of
    them.
    """
    at = time.monotonic()
    for watcher in _watchers:
        watcher.ended(engine, began, at, requests, prompt_tokens, tokens)


@contextmanager
def opening(engine: str, restart: bool = False) -> Iterator[None]:
    """Time the loading of an engine, and tell of it where it came to its end."""
    began = time.monotonic()
    yield
    for watcher in _watchers:
        watcher.opened(engine, time.monotonic() - began, restart)


def closed(engine: str) -> None:
    """An engine that was opened is gone for good."""
    for watcher in _watchers:
        watcher.closed(engine)
