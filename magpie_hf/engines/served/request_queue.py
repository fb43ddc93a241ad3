"""Requests that wait for a server, and those that may bring servers down.

Not here: servers.

A request that was in flight `SUSPECT` times when a server cut the connection runs as the only suspect among
other requests. After `KILLER` times it is the one that brings servers down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

SUSPECT, KILLER = 3, 5
# Answers of 500, with and without other answers in between, after which the request is at fault
BROKEN, BROKEN_ALONE = 5, 10


@dataclass(eq=False)
class Request:
    """A request to a path of a server.

    read: makes the result from the answer.
    work: the amount of work it is for the server.
    most: bytes that its answer can have.
    begun: called each time that a server gets it.
    future: gets the result, or None for a request that brings servers down.
    cuts: how often a server cut the connection while it was in flight.
    broken: how often it was answered with 500.
    others: how many other requests had been answered at the first 500.
    """

    path: str
    body: dict[str, Any]
    read: Callable[[Any], Any]
    work: Callable[[Any], float]
    most: int
    begun: Callable[[], None] = lambda: None
    future: Future[Any] = field(default_factory=Future)
    cuts: int = 0
    broken: int = 0
    others: int = 0

    @property
    def kills(self) -> bool:
        return self.cuts >= KILLER

    def breaks(self, answered: int) -> bool:
        """Count an answer of 500; returns whether the request itself is at fault.

        answered: how many requests were answered so far.
        """
        self.broken += 1
        self.others = answered if self.broken == 1 else self.others
        return self.broken >= (BROKEN if answered - self.others >= BROKEN else BROKEN_ALONE)


class Waiting:
    """The queue: first come, first served; returned requests go first; one suspect runs at a time."""

    def __init__(self) -> None:
        self._queue: deque[Request] = deque()
        self._suspects: deque[Request] = deque()
        self._tried: Request | None = None

    def __bool__(self) -> bool:
        """Whether a request can be taken now."""
        return bool(self._queue) or (bool(self._suspects) and self._tried is None)

    def __len__(self) -> int:
        """All of them, also those that must wait for a suspect."""
        return len(self._queue) + len(self._suspects)

    def add(self, requests: deque[Request]) -> None:
        self._queue.extend(requests)

    def take(self) -> Request:
        if self._suspects and self._tried is None:
            self._tried = self._suspects.popleft()
            return self._tried
        return self._queue.popleft()

    def back(self, request: Request) -> None:
        """Put an unanswered request back.

        After a 500 it goes to the end, because it may be at fault.
        """
        if request.cuts >= SUSPECT:
            self._suspects.append(request)
        elif request.broken:
            self._queue.append(request)
        else:
            self._queue.appendleft(request)

    def ended(self, request: Request) -> None:
        """The request has left its server, answered or not."""
        if self._tried is request:
            self._tried = None

    def drain(self) -> list[Request]:
        """Remove and return all waiting requests."""
        waiting = [*self._queue, *self._suspects]
        self._queue.clear()
        self._suspects.clear()
        return waiting
