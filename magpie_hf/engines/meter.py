"""Requests, loads and ends of this process's engines, reported to the current watcher.

Not here: counting. A build's speed is recorded in progress/recorder.py, a measurement in planning/measure.py.

An engine is known by its model's name. Requests that the journal answers are not reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Watcher(Protocol):
    """An observer of engines, called in their threads, so each call must be short.

    Times are `time.monotonic()`.
    """

    def started(self, engine: str, at: float, requests: int) -> None:
        """Requests were started."""

    def ended(
        self, engine: str, began: float, at: float, requests: int, prompt_tokens: int | None, tokens: int
    ) -> None:
        """Requests have ended. prompt_tokens: None where they failed."""

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        """An engine was loaded in this many seconds. restart: after one died."""

    def closed(self, engine: str) -> None:
        """An engine is closed for good."""


_watchers: tuple[Watcher, ...] = ()
_CHANGING = threading.Lock()


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


def started(engine: str, requests: int = 1) -> float:
    """Report started requests; returns the time."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.started(engine, at, requests)
    return at


def ended(engine: str, began: float, prompt_tokens: int | None, tokens: int, requests: int = 1) -> None:
    """Report the end of requests that started at `began`; prompt_tokens: None where they failed."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.ended(engine, began, at, requests, prompt_tokens, tokens)


@contextmanager
def loading(engine: str, restart: bool = False) -> Iterator[None]:
    """Time the loading of an engine, and report it once loaded."""
    began = time.monotonic()
    yield
    for watcher in _watchers:
        watcher.opened(engine, time.monotonic() - began, restart)


def closed(engine: str) -> None:
    """Report that an engine is closed for good."""
    for watcher in _watchers:
        watcher.closed(engine)
