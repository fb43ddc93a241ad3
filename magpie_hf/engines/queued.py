"""Futures of requests that wait in a queue of this process before an engine has them.

Not here: the queues.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Queued(Future[Result]):
    """The future of a request that waits until `begin`."""

    def __init__(self) -> None:
        super().__init__()
        self._beginning = threading.Lock()
        self._begun = False
        self._then: Callable[[], None] | None = None

    def begin(self) -> None:
        """An engine has the request from now on; another time it was only sent again."""
        with self._beginning:
            first, self._begun = not self._begun, True
        if first and self._then is not None:
            self._then()

    def when_begun(self, then: Callable[[], None]) -> None:
        """Call `then` when it begins, in that thread, or now if it has begun."""
        with self._beginning:
            self._then = then
            begun = self._begun
        if begun:
            then()
