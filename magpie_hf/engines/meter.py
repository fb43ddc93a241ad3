"""Tells watchers of what this process's engines do: requests that start and end, openings, closings.

Not here: counting. A build's speed is recorded in progress/recorder.py, a measurement in planning/measure.py.

An engine is known by its model's name. What the journal answers never reaches an engine, nor a watcher.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Watcher(Protocol):
    """What counts. Times are `time.monotonic()`; each call must be short, as engines' threads make it."""

    def started(self, engine: str, at: float, requests: int) -> None:
        """Requests have started. Called in the thread that asks, whose journal is current."""

    def ended(
        self, engine: str, began: float, at: float, requests: int, prompt_tokens: int | None, tokens: int
    ) -> None:
        """Requests that started at `began` have ended. prompt_tokens: None where they failed."""

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        """An engine was loaded in so many seconds. restart: in place of one that died."""

    def closed(self, engine: str) -> None:
        """An engine was closed for good."""


_watchers: tuple[Watcher, ...] = ()
_CHANGING = threading.Lock()


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of what engines do within this context."""
    global _watchers
    with _CHANGING:
        _watchers = (*_watchers, watcher)
    try:
        yield
    finally:
        with _CHANGING:
            _watchers = tuple(one for one in _watchers if one is not watcher)


def started(engine: str, requests: int = 1) -> float:
    """Tell that requests have started; returns when."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.started(engine, at, requests)
    return at


def ended(engine: str, began: float, prompt_tokens: int | None, tokens: int, requests: int = 1) -> None:
    """Tell that requests that started at `began` have ended. prompt_tokens: None where they failed."""
    at = time.monotonic()
    for watcher in _watchers:
        watcher.ended(engine, began, at, requests, prompt_tokens, tokens)


@contextmanager
def opening(engine: str, restart: bool = False) -> Iterator[None]:
    """Time the loading of an engine, and tell of it unless it failed."""
    began = time.monotonic()
    yield
    for watcher in _watchers:
        watcher.opened(engine, time.monotonic() - began, restart)


def closed(engine: str) -> None:
    """Tell that an engine was closed for good."""
    for watcher in _watchers:
        watcher.closed(engine)
