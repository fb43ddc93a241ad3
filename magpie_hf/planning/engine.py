"""An engine with continuous batching in virtual time: requests in, the seconds that they take.

Not here: which requests a build makes.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

MOST_SEQUENCES = 256


@dataclass(frozen=True)
class Request:
    """One request in tokens: of its prompt, of those of them that no earlier request has left in the cache,
    and of its completion.
    """

    prompt: int
    fresh: int
    tokens: int


@dataclass(frozen=True)
class Speed:
    """How fast an engine is. A decoding step over c sequences with K tokens of context in all takes step +
    sequence * c + context * K seconds; a prompt takes `prompt` seconds a fresh token, and `request` seconds
    whatever its length.

    load: seconds until it is open; sequences, cache: how many sequences, and tokens of context, it runs at
    once.
    """

    load: float
    step: float
    sequence: float
    context: float
    prompt: float
    request: float = 0.0
    sequences: int = MOST_SEQUENCES
    cache: float = math.inf

    def slower(self, factor: float) -> Speed:
        """The same engine at `factor` times the seconds, but for its load."""
        times = {
            name: getattr(self, name) * factor
            for name in ("step", "sequence", "context", "prompt", "request")
        }
        return replace(self, **times)

    def tokens_per_second(self, running: int, context: float) -> float:
        """What comes of it with so many sequences in flight, of so many tokens of context each."""
        return running / (self.step + self.sequence * running + self.context * running * context)


class Clock:
    """What happens when, in seconds from the start: things that take a given time, and the requests of one
    engine.
    """

    def __init__(self, speed: Speed) -> None:
        self.now = 0.0
        self.busy = 0.0  # seconds in which the engine had something to do
        self._speed = speed
        self._order = itertools.count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: deque[tuple[Request, Callable[[], None]]] = deque()
        self._running: list[
            tuple[float, int, Request, Callable[[], None]]
        ] = []  # by the step at whose end each is done
        self._steps = 0.0
        self._context = 0.0

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), then))

    def ask(self, requests: Sequence[Request], then: Callable[[], None]) -> None:
        """Have the engine work on these; `then` is called when all are done."""
        left = len(requests)

        def one_is_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        if not requests:
            self.after(0.0, then)
        self._waiting.extend((request, one_is_done) for request in requests)

    def run(self) -> float:
        """Go on until nothing is left to do; returns the seconds that have passed."""
        while self._timers or self._running or self._waiting:
            self._admit()
            if self._running and not self._decode(self._timers[0][0] if self._timers else math.inf):
                continue
            if self._timers and not (self._running and self._timers[0][0] > self.now):
                at, _, then = heapq.heappop(self._timers)
                self.now = max(self.now, at)
                then()
        return self.now

    def _admit(self) -> None:
        """Let those in that there is room for; their prompts are computed while nobody else gets a token."""
        speed = self._speed
        while self._waiting and len(self._running) < speed.sequences:
            request, then = self._waiting[0]
            if self._running and self._context + request.prompt + request.tokens > speed.cache:
                break
            self._waiting.popleft()
            self._pass(speed.prompt * request.fresh + speed.request)
            self._context += request.prompt
            heapq.heappush(
                self._running, (self._steps + max(1, request.tokens), next(self._order), request, then)
            )

    def _decode(self, until: float) -> bool:
        """Decode up to the end of the next request, or to a time, if that is sooner; returns whether it was
        the time.
        """
        speed, count = self._speed, len(self._running)
        steps = self._running[0][0] - self._steps
        one = speed.step + speed.sequence * count + speed.context * (self._context + count * steps / 2)
        seconds = steps * one
        if self.now + seconds > until:
            part = steps * max(0.0, until - self.now) / seconds
            self._steps += part
            self._context += part * count
            self._pass(max(0.0, until - self.now))
            return True
        self._pass(seconds)
        self._steps += steps
        self._context += steps * count
        while self._running and self._running[0][0] <= self._steps + 1e-9:
            _, _, request, then = heapq.heappop(self._running)
            self._context -= request.prompt + max(1, request.tokens)
            then()
        return False

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.busy += seconds


def replay(speed: Speed, requests: Sequence[tuple[float, Request]]) -> float:
    """The seconds that requests wait for their ends, added up, where they come at these times."""
    clock, waited = Clock(speed), 0.0
    first = min((at for at, _ in requests), default=0.0)

    def come(request: Request) -> None:
        began = clock.now

        def end() -> None:
            nonlocal waited
            waited += clock.now - began

        clock.ask([request], end)

    for at, request in requests:
        clock.after(at - first, partial(come, request))
    clock.run()
    return waited
