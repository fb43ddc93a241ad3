"""Engines that die: what was in flight is asked again, a killer is found, and an engine that only dies is
given up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from magpie_hf.engines.vllm.recovery import BARREN_DEATHS, KILLERS, Recovering
from magpie_hf.errors import EngineError


class Mortal:
    """An engine that answers in a thread of its own, a batch at a time, and dies of some prompts."""

    opened = 0
    closed = 0
    batches: list[int]

    def __init__(self, killers: set[int], deaths: list[int]) -> None:
        Mortal.opened += 1
        self.max_length = 100
        self.killers, self.deaths = killers, deaths
        self.waiting: list[tuple[int, Future[Any]]] = []
        self.changed = threading.Condition()
        self.end = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self.changed:
            if self.end:
                raise EngineError("dead")
            self.waiting.append((prompt[0], future))
            self.changed.notify()
        return future

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.end)
                if self.end:
                    return
                batch, self.waiting = self.waiting[:8], self.waiting[8:]
                doomed = any(number in self.killers for number, _ in batch)
                if not doomed and self.deaths:
                    self.deaths[0] -= 1
                    if self.deaths[0] <= 0:
                        self.deaths.pop(0)
                        doomed = True
                if doomed:
                    self.end = True
                    batch, self.waiting = [*batch, *self.waiting], []
            for number, future in batch:
                if doomed:
                    future.set_exception(EngineError("dead"))
                else:
                    future.set_result(number * 10)
            if doomed:
                return

    def close(self) -> None:
        Mortal.closed += 1
        with self.changed:
            self.end = True
            self.changed.notify()
            waiting, self.waiting = self.waiting, []
        for _, future in waiting:
            future.set_exception(EngineError("closed"))
        self.thread.join()


@pytest.fixture(autouse=True)
def count() -> Iterator[None]:
    Mortal.opened = Mortal.closed = 0
    yield
    assert Mortal.opened == Mortal.closed, "every engine is closed"


def run(killers: set[int], deaths: list[int], numbers: range) -> tuple[list[Any], int]:
    live = Recovering(lambda: Mortal(killers, deaths), "m", pause=0.001)
    futures = [live.submit([number], None) for number in numbers]
    try:
        return [future.result(timeout=20) for future in futures], Mortal.opened
    finally:
        live.close()


def test_without_a_death_nothing_is_opened_again() -> None:
    assert run(set(), [], range(100)) == ([number * 10 for number in range(100)], 1)


def test_what_was_in_flight_at_a_death_is_asked_again() -> None:
    results, opened = run(set(), [3, 2], range(100))
    assert results == [number * 10 for number in range(100)]
    assert opened == 3


@pytest.mark.parametrize("killers", [{0}, {37}, {99}, {5, 80}])
def test_a_request_that_kills_the_engine_fails_alone(killers: set[int]) -> None:
    results, opened = run(killers, [], range(100))
    assert results == [None if number in killers else number * 10 for number in range(100)]
    assert opened <= 2 + 2 * 8 * len(killers), "found by halving"


def test_an_engine_that_only_dies_is_given_up() -> None:
    with pytest.raises(EngineError, match=f"was killed by {KILLERS + 1} requests"):
        run(set(range(100)), [], range(100))


def test_an_engine_that_cannot_be_opened_again_is_given_up() -> None:
    opened = []

    def open_once() -> Mortal:
        if opened:
            raise EngineError("vLLM cannot start m: no memory")
        opened.append(1)
        return Mortal({1}, [])

    live = Recovering(open_once, "m", pause=0.001)
    future = live.submit([1], None)
    with pytest.raises(EngineError, match=f"died {BARREN_DEATHS} times in a row"):
        future.result(timeout=20)
    with pytest.raises(EngineError, match="died"):
        live.submit([2], None)
    live.close()
    Mortal.closed = Mortal.opened


def test_closing_fails_what_is_in_flight_and_opens_nothing() -> None:
    slow = threading.Event()

    class Slow(Mortal):
        def run(self) -> None:
            slow.wait(10)

    live = Recovering(lambda: Slow(set(), []), "m", pause=0.001)
    futures = [live.submit([number], None) for number in range(5)]
    slow.set()
    live.close()
    for future in futures:
        with pytest.raises(EngineError):
            future.result(timeout=5)
    assert Mortal.opened == 1
