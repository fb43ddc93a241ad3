"""A live engine that is opened again, with its unfinished requests, when it dies.

Not here: what an engine is, or its requests.

A request that kills the engine is found by halving. Requests that were in flight at two deaths run again in
groups, each half of a group that died, until one request dies alone. That one fails; the others finish
normally.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from magpie_hf.engines import meter
from magpie_hf.errors import EngineError

LOG = logging.getLogger("magpie_hf")
BARREN_DEATHS = 5  # deaths in a row without a finished request, after which the engine is at fault
KILLERS = 3  # requests found to kill the engine, after which the engine is at fault


class Live(Protocol):
    """An open engine: requests in, futures of raw results out.

    When it dies, every future in flight gets EngineError.
    """

    max_length: int

    def submit(self, prompt: list[int], params: Any) -> Future[Any]: ...
    def close(self) -> None: ...


@dataclass
class _Request:
    prompt: list[int]
    params: Any
    future: Future[Any] = field(default_factory=Future)
    deaths: int = 0


class Recovering:
    """A `Live` over the engines that `open_engine` opens, one after the other.

    The future of a request that kills engines gets None.
    """

    def __init__(self, open_engine: Callable[[], Live], name: str, pause: float = 1.0) -> None:
        self._open = open_engine
        self._name = name
        self._pause = pause
        with meter.loading(name):
            self._engine: Live | None = open_engine()
        self.max_length = self._engine.max_length
        self._changed = threading.Condition(threading.RLock())
        self._running: list[_Request] = []
        self._held: list[_Request] = []  # submitted while the engine is down or a group is tried
        self._fallen: list[_Request] = []  # in flight when the engine died
        self._groups: list[list[_Request]] = []  # suspects, tried group by group
        self._trying = False
        self._dead = False
        self._end: EngineError | None = None
        self._barren = 0
        self._killers = 0
        self._thread = threading.Thread(target=self._watch, name="magpie-recovery", daemon=True)
        self._thread.start()

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        request = _Request(prompt, params)
        with self._changed:
            if self._end is not None:
                raise self._end
            if self._dead or self._trying:
                self._held.append(request)
            else:
                self._start([request])
        return request.future

    def close(self) -> None:
        with self._changed:
            if self._end is None:
                self._end = EngineError(f"the engine of {self._name} was closed")
            self._changed.notify_all()
        self._thread.join()

    def _start(self, requests: list[_Request]) -> None:
        self._running.extend(requests)
        for request in requests:
            try:
                assert self._engine is not None  # no request starts without an engine
                raw = self._engine.submit(request.prompt, request.params)
            except EngineError as death:
                raw = Future()
                raw.set_exception(death)
            raw.add_done_callback(partial(self._finished, request))

    def _finished(self, request: _Request, raw: Future[Any]) -> None:
        """A request has ended, by itself or with its engine; called in an engine's thread."""
        error = raw.exception()
        with self._changed:
            self._running.remove(request)
            if isinstance(error, EngineError) and self._end is None:
                request.deaths += 1
                self._fallen.append(request)
                self._dead = True
            else:
                self._barren = 0 if error is None else self._barren
            self._changed.notify_all()
        if error is None:
            request.future.set_result(raw.result())
        elif not isinstance(error, EngineError) or self._end is not None:
            request.future.set_exception(error)

    def _watch(self) -> None:
        """Wait until the engine dies or a group ends, and react."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._end or ((self._dead or self._trying) and not self._running)
                )
                if self._end is not None:
                    break
                died = self._dead
            if died:
                self._reopen()
            with self._changed:
                if self._end is None:
                    self._go_on(died)
        self._close_engine()
        meter.closed(self._name)
        for request in [*self._held, *self._fallen, *(one for group in self._groups for one in group)]:
            request.future.set_exception(self._end)

    def _reopen(self) -> None:
        """Open another engine, with growing pauses, a bounded number of times."""
        self._close_engine()
        while self._end is None:
            if not self._trying:
                self._barren += 1
            if self._barren > BARREN_DEATHS:
                self._give_up(f"died {BARREN_DEATHS} times in a row without finishing a request")
                return
            LOG.warning(
                "the engine of %s died with %d requests in flight; it is started again",
                self._name,
                len(self._fallen),
            )
            time.sleep(self._pause * 2 ** max(0, self._barren - 1))
            try:
                with meter.loading(self._name, restart=True):
                    self._engine = self._open()
            except EngineError as error:
                LOG.warning("%s", error)
                self._barren += self._trying
            else:
                self._dead = False
                return

    def _close_engine(self) -> None:
        """Close the engine, in the watching thread only.

        So none is closed twice, and none is left open.
        """
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _go_on(self, died: bool) -> None:
        """Submit the next requests: halves of a dead group, the next group, or all that wait."""
        fallen, self._fallen = self._fallen, []
        if died and self._trying and len(fallen) == 1:
            self._killers += 1
            LOG.warning(
                "a request of %d tokens killed the engine of %s alone; it is recorded as failed",
                len(fallen[0].prompt),
                self._name,
            )
            fallen[0].future.set_result(None)
            if self._killers > KILLERS:
                self._give_up(f"was killed by {self._killers} requests, each alone; it is not the requests")
                return
        elif died:
            suspects = [request for request in fallen if request.deaths > 1]
            half = len(suspects) // 2
            self._groups += [group for group in (suspects[half:], suspects[:half]) if group]
            self._held = [request for request in fallen if request.deaths <= 1] + self._held
        self._trying = bool(self._groups)
        if self._trying:
            self._start(self._groups.pop())
        else:
            held, self._held = self._held, []
            self._start(held)

    def _give_up(self, why: str) -> None:
        with self._changed:
            self._end = EngineError(f"the engine of {self._name} {why}")
            self._changed.notify_all()
