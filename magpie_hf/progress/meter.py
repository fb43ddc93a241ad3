"""Meter: what one engine does, in intervals, with each request's tokens spread over its life.

Not here: when an interval ends (recorder.py), and files (speed.py).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from magpie_hf.engines.meter import Outcome, Start

LONGEST = 1_000  # intervals back to which a request's tokens are spread


@dataclass(frozen=True)
class Interval:
    """What an engine did in some seconds, up to `end` (of `time.monotonic()`).

    running: mean requests in flight; requests, prompt_tokens: those that finished; tokens: their completion
    tokens in this interval, by their lives; earlier: their tokens in the interval before, the one before
    that, and so on.
    """

    end: float
    seconds: float
    running: float
    requests: int
    prompt_tokens: int
    tokens: int
    earlier: tuple[int, ...]


class Meter:
    """Counts what one engine does. An interval begins with a request, so that none begins idle."""

    def __init__(self) -> None:
        self.running = 0
        self.tokens = self.prompt_tokens = 0  # of all requests that are finished
        self._lock = threading.Lock()
        self._begin = self._touched = 0.0
        self._begins: deque[float] = deque(maxlen=LONGEST)  # of the intervals before this one, without a gap
        self._clear()

    def start(self, start: Start) -> None:
        with self._lock:
            if not self._busy:
                self._begin = self._touched = start.at
            self._pass(start.at)
            self.running += start.requests

    def end(self, start: Start, at: float, outcome: Outcome | None) -> None:
        with self._lock:
            self._pass(at)
            self.running -= start.requests
            if outcome is not None:
                self._requests += start.requests
                self._prompt_tokens += outcome.prompt_tokens
                self.tokens += outcome.tokens
                self.prompt_tokens += outcome.prompt_tokens
                self._spread(start.at, at, outcome.tokens)

    def age(self, now: float) -> float:
        """Seconds since this interval began; 0 where none has."""
        with self._lock:
            return now - self._begin if self._busy else 0.0

    def idle(self, now: float) -> float:
        """Seconds since anything was in flight."""
        with self._lock:
            return 0.0 if self.running else now - self._touched

    def cut(self, now: float) -> Interval | None:
        """End the interval, now or when it fell idle, and begin the next one; None where there was none."""
        with self._lock:
            if not self._busy:
                return None
            self._pass(now if self.running else self._touched)
            end, seconds = self._touched, max(self._touched - self._begin, 0.001)
            made = Interval(
                end,
                seconds,
                self._area / seconds,
                self._requests,
                self._prompt_tokens,
                self._parts[0],
                tuple(self._parts[1:]),
            )
            if self.running:
                self._begins.append(self._begin)
            else:
                self._begins.clear()
            self._begin = end
            self._clear()
            return made

    @property
    def _busy(self) -> bool:
        """Whether anything is or was in flight in this interval."""
        return bool(self.running or self._requests or self._area)

    def _clear(self) -> None:
        self._area = 0.0  # seconds times requests in flight
        self._requests = self._prompt_tokens = 0
        self._parts = [0]  # tokens of this interval, of the one before, and so on

    def _pass(self, at: float) -> None:
        self._area += self.running * max(0.0, at - self._touched)
        self._touched = max(self._touched, at)

    def _spread(self, began: float, at: float, tokens: int) -> None:
        """Share tokens out among the intervals of a request's life, in whole numbers with the same sum."""
        back, late, done = 0, self._begin, 0
        while began < late and back < len(self._begins):
            upto = round(tokens * (at - late) / (at - began))
            self._parts[back] += upto - done
            done, back = upto, back + 1
            late = self._begins[-back]
            if back == len(self._parts):
                self._parts.append(0)
        self._parts[back] += tokens - done
