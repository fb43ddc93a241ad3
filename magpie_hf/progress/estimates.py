"""Estimates: what is known of a build's engines while it runs: how fast they are, and what prompts cost them.

Not here: what is left to do (remaining.py).

Work is counted in sampled tokens. What a prompt token costs in them is seen where the engine counts both, and
is a fifth before that.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from magpie_hf.progress.events import EngineOpened, Speed, StageRequests

PROMPT_WORK = 0.2  # of a prompt token, in sampled ones, before more is known: measured on a CPU
PROMPT_SPREAD = 0.1  # of the truth about that
NOISE = 0.02  # the least of an engine's speed from window to window, as a share of it
WINDOW_SECONDS = 5.0
ALIKE = 10  # windows that tell as much as one: what disturbs one goes on in the next
LOOK_BACK = 30.0, 120.0  # seconds of work that a speed is taken from: between shards some are lost
NOW = {"engine": 20.0, "finished": 60.0}  # and the speed of now, by who counts
KEPT_SECONDS = 900.0  # of work, in which the engine was well used at some time
WELL_USED = 0.5  # of the most requests that it worked on at once
LEAST_SECONDS = 3.0  # of work, before which a speed is none


@dataclass(frozen=True)
class _Tick:
    """Some seconds of an engine at work: tokens that it made and read, and on how many requests it worked.

    full: whether others waited for it.
    """

    seconds: float
    tokens: float
    prompts: float
    working: int
    full: bool


@dataclass(frozen=True)
class PlannedStage:
    """What the plan says of a stage: requests in all, and tokens of each, of its prompt, and of that part of
    it which no prefix cache holds.
    """

    source: str
    requests: float
    tokens: float
    prompt: float
    fresh: float


class Uncounted(NamedTuple):
    """An engine that counts nothing: a step over n requests takes pace * (knee + n) seconds, beside those for
    each prompt token that it reads.
    """

    pace: float
    knee: float
    prompt_seconds: float


class Estimates:
    """What is known of a build's engines and requests: by the plan, and by their speed so far."""

    def __init__(self) -> None:
        self.planned: dict[str, PlannedStage] = {}
        self.last: dict[str, Speed] = {}  # the last speed of each engine
        self._weights: dict[str, float] = {}  # GB, by a model's source
        self._sources: dict[str, str] = {}  # by engine
        self._openings: dict[str, float] = {}
        self.paces: dict[str, Uncounted] = {}  # by engine
        # Prompt tokens of finished requests that a prefix cache could have held, by the plan
        self._cacheable: dict[str, float] = {}
        self._ticks: dict[str, deque[_Tick]] = {}
        # When an engine told last, and the tokens that it had made and read by then
        self._before: dict[str, tuple[float, float, float]] = {}

    def plan(self, plan: Mapping[str, Any]) -> None:
        for one in plan["stages"]:
            if (requests := one["requests"][1]) > 0:
                each = [one[what][1] / requests for what in ("tokens", "prompt", "fresh")]
                for number, share in enumerate(one["rounds"]):
                    stage = f"{one['stage']}_round{number}" if number else one["stage"]
                    self.planned[stage] = PlannedStage(one["source"], share * requests, *each)
        self._weights = {one["source"]: one["weights_gb"] for one in plan["models"]}

    def engines(self, engines: Mapping[str, str]) -> None:
        """Learn the engines of stages, whose models the plan knows by their sources."""
        for stage, engine in engines.items():
            if stage in self.planned:
                self._sources[engine] = self.planned[stage].source

    def under_way(self, stages: Sequence[StageRequests], engines: Mapping[str, str]) -> None:
        """Learn the pace of each engine, from the stage with most tokens, and what its cache could hold.

        engines: of the stages.
        """
        self._cacheable.clear()
        for one in sorted(stages, key=lambda one: one.tokens):
            if (engine := engines.get(one.stage)) is None:
                continue
            if one.pace is not None:
                seconds = PROMPT_WORK * one.pace if one.prompt_seconds is None else one.prompt_seconds
                with_prompts = 1 + seconds / one.pace * one.prompt_tokens / max(1, one.tokens)
                self.paces[engine] = Uncounted(one.pace / with_prompts, one.knee, seconds)
            if (planned := self.planned.get(one.stage)) is not None and planned.prompt:
                held = one.prompt_tokens * (1 - planned.fresh / planned.prompt)
                self._cacheable[engine] = self._cacheable.get(engine, 0.0) + held

    def opened(self, event: EngineOpened) -> None:
        self._openings[event.engine] = event.seconds

    def speed(self, event: Speed, now: float) -> None:
        """Take in what an engine did since it told last."""
        self.last[event.engine] = event
        if not event.running:
            return
        at, made, read = self._before.get(event.engine, (now - 1.0, 0.0, 0.0))
        tokens, prompts = event.tokens + event.unfinished_tokens, event.prompt_tokens
        self._before[event.engine] = now, tokens, prompts
        ticks = self._ticks.setdefault(event.engine, deque())
        seconds = min(2.0, now - at)  # an idle time was not spent at work
        full = event.working < event.running
        done = max(0.0, tokens - made), max(0.0, prompts - read)  # an engine that died has lost some
        if event.counted == "finished":
            done = (event.now or 0.0) * seconds, 0.0
        ticks.append(_Tick(seconds, *done, event.working, full))
        while sum(tick.seconds for tick in ticks) > KEPT_SECONDS:
            ticks.popleft()

    def full_rate(self, engine: str) -> float | None:
        """Work a second of an engine that is well used; of one that has not worked, by that of another one
        and their sizes. None where nobody knows yet.
        """
        if (own := self._full_rate(engine)) is not None:
            return own
        size = self._weights.get(self._sources.get(engine, ""))
        for other in self._ticks:
            rate, others = self._full_rate(other), self._weights.get(self._sources.get(other, ""))
            if rate is not None and size and others:
                return rate * others / size
        return None

    def _full_rate(self, engine: str) -> float | None:
        used = self._best_rate(engine, self._well_used(engine))
        return self._best_rate(engine, self._ticks.get(engine, ())) if used is None else used

    def _best_rate(self, engine: str, ticks: Sequence[_Tick]) -> float | None:
        """The best of the work a second over the last of these ticks, by how far one looks back."""
        rates = [self._rate(engine, ticks, back) for back in LOOK_BACK]
        return max((rate for rate in rates if rate is not None), default=None)

    def rate_now(self, engine: str) -> float | None:
        """Work a second of an engine now, however few requests it has; None where nobody knows."""
        if engine not in self.last:
            return None
        return self._rate(engine, self._ticks.get(engine, ()), NOW[self.last[engine].counted])

    def _rate(self, engine: str, ticks: Iterable[_Tick], back: float) -> float | None:
        """Work a second over the last of these ticks."""
        seconds, work, price = 0.0, 0.0, self.prompt_work(engine)
        for tick in reversed(list(ticks)):
            if seconds >= back:
                break
            seconds, work = seconds + tick.seconds, work + tick.tokens + price * tick.prompts
        return work / seconds if work and seconds >= LEAST_SECONDS else None

    def _well_used(self, engine: str) -> list[_Tick]:
        ticks = self._ticks.get(engine, ())
        most = max((tick.working for tick in ticks), default=0)
        return [tick for tick in ticks if tick.full or tick.working >= WELL_USED * most]

    def most_at_work(self, engine: str) -> float:
        """How many requests an engine works on at most, as far as others were seen to wait."""
        return max((tick.working for tick in self._ticks.get(engine, ()) if tick.full), default=math.inf)

    def counts(self, engine: str) -> bool:
        """Whether an engine counts its tokens itself."""
        return engine in self.last and self.last[engine].counted == "engine"

    def cached(self, engine: str) -> float:
        """The share of what an engine's prefix cache could hold, by the plan, that it held; at most 1.

        0 of an engine that has told nothing, as one whose requests all ended within a second.
        """
        cacheable, last = self._cacheable.get(engine), self.last.get(engine)
        return min(1.0, last.cached_tokens / cacheable) if cacheable and last is not None else 0.0

    def prompt_work(self, engine: str) -> float:
        """What a prompt token costs an engine, in sampled tokens.

        Where the engine counts both, it is the price at which its speed is the same, reading or writing. One
        that only reads shows no price.
        """
        if not self.counts(engine):
            return PROMPT_WORK
        windows = list(_windows(self._well_used(engine)))
        if len(windows) < 2:
            return PROMPT_WORK
        made, read = (sum(one[at] for one in windows) / len(windows) for at in range(2))
        if not made:
            return PROMPT_WORK
        together = sum((one[0] - made) * (one[1] - read) for one in windows)
        spread = sum((one[1] - read) ** 2 for one in windows)
        alone = sum((one[0] - made) ** 2 for one in windows) - together**2 / max(spread, 1.0)
        noise = max((NOISE * made) ** 2, alone / len(windows))
        trust = ALIKE * max(1.0, noise / PROMPT_SPREAD**2)  # of what was thought before any was seen
        return min(1.0, max(0.0, (trust * PROMPT_WORK - together) / (trust + spread)))

    def opening(self, engine: str) -> float:
        """Seconds to open an engine that is not open yet: what others took."""
        if engine in self._openings or not self._openings:
            return 0.0
        return max(self._openings.values())


def _windows(ticks: Iterable[_Tick]) -> Iterator[tuple[float, float]]:
    """Tokens made and read a second, over some seconds at a time."""
    seconds = made = read = 0.0
    for tick in ticks:
        seconds, made, read = seconds + tick.seconds, made + tick.tokens, read + tick.prompts
        if seconds >= WINDOW_SECONDS:
            yield made / seconds, read / seconds
            seconds = made = read = 0.0
