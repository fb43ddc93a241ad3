"""Requests that wait for a server, and those that may bring servers down.

Not here: servers.

A request that brings servers down is found by trying: what was with a server `SUSPECT` times when it cut the
connection runs one at a time, among others that are not suspected, and after `KILLER` times it is the killer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

SUSPECT, KILLER = 3, 5
BROKEN, BROKEN_ALONE = (
    5,
    10,
)  # answers of 500, while others are answered and while none is, after which it is the request's doing


@dataclass(eq=False)
class Request:
    """What is sent to a server's path; `read` makes a result of the answer, `work` says what that was worth
    to the server.

    The future gets the result, or None for a request that brings servers down. cuts: how often it was with a
    server that cut the connection; broken: how often it was answered with 500, `others`: how many others had
    been answered at the first time.
    """

    path: str
    body: dict[str, Any]
    read: Callable[[Any], Any]
    work: Callable[[Any], float]
    future: Future[Any] = field(default_factory=Future)
    cuts: int = 0
    broken: int = 0
    others: int = 0

    @property
    def kills(self) -> bool:
        return self.cuts >= KILLER

    def breaks(self, answered: int) -> bool:
        """Count an answer of 500, and say whether it is the request's doing. answered: how many requests were
        answered so far.
        """
        self.broken += 1
        self.others = answered if self.broken == 1 else self.others
        return self.broken >= (BROKEN if answered - self.others >= BROKEN else BROKEN_ALONE)


class Waiting:
    """The queue: first come, first served, what comes back before the others, and one suspect at a time."""

    def __init__(self) -> None:
        self._queue: deque[Request] = deque()
        self._suspects: deque[Request] = deque()
        self._tried: Request | None = None

    def __bool__(self) -> bool:
        """Whether something can be taken now."""
        return bool(self._queue) or (bool(self._suspects) and self._tried is None)

    def add(self, requests: deque[Request]) -> None:
        self._queue.extend(requests)

    def take(self) -> Request:
        if self._suspects and self._tried is None:
            self._tried = self._suspects.popleft()
            return self._tried
        return self._queue.popleft()

    def back(self, request: Request) -> None:
        """A request that a server did not answer waits again; one that was answered with 500 behind all
        others, as it may be at fault.
        """
        if request.cuts >= SUSPECT:
            self._suspects.append(request)
        elif request.broken:
            self._queue.append(request)
        else:
            self._queue.appendleft(request)

    def ended(self, request: Request) -> None:
        """A request is with no server any more, answered or not."""
        if self._tried is request:
            self._tried = None

    def drain(self) -> list[Request]:
        """All that waits, which waits no longer."""
        waiting = [*self._queue, *self._suspects]
        self._queue.clear()
        self._suspects.clear()
        return waiting
