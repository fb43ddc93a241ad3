"""How long a build still takes: the requests that are left, by their lengths so far, at the speed so far.

Not here: which rows are left (board.py).

Work is counted in tokens, with a tenth for each prompt token. How long a stage's answers are is known from
the finished ones, from what those in flight have so far, and, while the finished ones are few, from the plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magpie_hf.progress.events import EngineOpened, Speed, StageRequests
from magpie_hf.progress.lengths import more

PROMPT_WORK = 0.1  # of a prompt token, in sampled ones
LOOK_BACK = {"engine": 60.0, "finished": 180.0}  # seconds of work that a speed is taken from, by who counts
LEAST_SECONDS = 3.0  # of work, before which a speed is none


@dataclass(frozen=True)
class Workload:
    """A stage with rows left to make.

    rows: those that are left; begun: those that this build has made or begun; planned: those in all, by the
    plan; asked: its requests, a domain each; most_tokens: the bound of a request.
    """

    stage: str
    engine: str
    rows: float
    begun: float
    planned: float
    asked: tuple[StageRequests, ...]
    most_tokens: int | None

    @property
    def answered(self) -> int:
        return sum(one.answered for one in self.asked)

    @property
    def flying(self) -> int:
        return sum(one.asked - one.done for one in self.asked)


@dataclass(frozen=True)
class _Planned:
    """What the plan says of a stage: requests in all, and tokens of one."""

    source: str
    requests: float
    tokens: float
    prompt: float


class Estimates:
    """What is known of a build's engines and requests: by the plan, and by their speed so far."""

    def __init__(self) -> None:
        self.planned: dict[str, _Planned] = {}
        self.last: dict[str, Speed] = {}  # the last speed of each engine
        self._weights: dict[str, float] = {}  # GB, by a model's source
        self._sources: dict[str, str] = {}  # by engine
        self._openings: dict[str, float] = {}
        self._work: dict[str, deque[tuple[float, float]]] = {}  # seconds at work, and work done by then
        self._at: dict[str, float] = {}

    def plan(self, plan: Mapping[str, Any]) -> None:
        for one in plan["stages"]:
            if (requests := one["requests"][1]) > 0:
                tokens, prompt = (one[what][1] / requests for what in ("tokens", "prompt"))
                self.planned[one["stage"]] = _Planned(one["source"], requests, tokens, prompt)
        self._weights = {one["source"]: one["weights_gb"] for one in plan["models"]}

    def engines(self, engines: Mapping[str, str]) -> None:
        """Learn the engines of stages, whose models the plan knows by their sources."""
        for stage, engine in engines.items():
            if stage in self.planned:
                self._sources[engine] = self.planned[stage].source

    def opened(self, event: EngineOpened) -> None:
        self._openings[event.engine] = event.seconds

    def speed(self, event: Speed, now: float) -> None:
        self.last[event.engine] = event
        seen = self._work.setdefault(event.engine, deque([(0.0, 0.0)]))
        busy, before = seen[-1]
        busy += min(2.0, now - self._at.get(event.engine, now - 1.0))  # an idle time was not spent at work
        self._at[event.engine] = now
        work = event.tokens + event.unfinished_tokens + PROMPT_WORK * event.prompt_tokens
        seen.append((busy, max(before, work)))
        while len(seen) > 2 and seen[1][0] < busy - LOOK_BACK[event.counted]:
            seen.popleft()

    def rate(self, engine: str) -> float | None:
        """Work a second of an engine; before it has worked for a while, that of another one by their sizes.

        None where nobody knows yet.
        """
        if (own := self._own_rate(engine)) is not None:
            return own
        size = self._weights.get(self._sources.get(engine, ""))
        for other in self._work:
            rate, others = self._own_rate(other), self._weights.get(self._sources.get(other, ""))
            if rate is not None and size and others:
                return rate * others / size
        return None

    def _own_rate(self, engine: str) -> float | None:
        seen = self._work.get(engine, ())
        if not seen:
            return None
        (began, before), (end, work) = seen[0], seen[-1]
        return (work - before) / (end - began) if work > before and end - began >= LEAST_SECONDS else None

    def opening(self, engine: str) -> float:
        """Seconds to open an engine that is not open yet: what others took."""
        if engine in self._openings or not self._openings:
            return 0.0
        return max(self._openings.values())


def seconds_left(estimates: Estimates, loads: Sequence[Workload]) -> float | None:
    """Seconds until the end; None while nobody knows."""
    seconds = 0.0
    for engine in dict.fromkeys(load.engine for load in loads):
        mine = [load for load in loads if load.engine == engine]
        works, rate = [_work(estimates, load, mine) for load in mine], estimates.rate(engine)
        if rate is None or None in works:
            return None
        seconds += sum(work or 0.0 for work in works) / rate + estimates.opening(engine)
    return seconds


def _at_work(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> tuple[float, float]:
    """Requests of a stage that its engine works on, and the tokens that they have so far."""
    last = estimates.last.get(load.engine)
    if not load.flying or last is None or not last.running:
        return 0.0, 0.0
    weights = {one.stage: one.flying * (_mean(estimates, one) or 1.0) for one in beside}
    tokens = last.unfinished_tokens * weights[load.stage] / (sum(weights.values()) or 1.0)
    return load.flying * last.working / last.running, tokens


def _work(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> float | None:
    """The work that a stage has left: the rest of requests at work, and the others from their beginning.

    beside: all loads of its engine.
    """
    planned, answered = estimates.planned.get(load.stage), load.answered
    if load.begun and answered + load.flying:
        requests = load.rows * (answered + load.flying) / load.begun
    elif planned is not None and load.planned:
        requests = load.rows * planned.requests / load.planned
    else:
        return None
    if (mean := _mean(estimates, load)) is None:
        return None
    at_work, tokens = _at_work(estimates, load, beside)
    so_far = tokens / at_work if at_work else 0.0
    logarithms = sum(one.log_tokens for one in load.asked)
    by_plan = None if planned is None else planned.tokens
    following = more(so_far, at_work, answered, logarithms, by_plan, load.most_tokens)
    count = load.answered + at_work
    length = (load.answered * mean + at_work * (so_far + following)) / count if count else mean
    others = max(0.0, requests - at_work)
    return at_work * following + others * (length + PROMPT_WORK * _prompt(estimates, load))


def _prompt(estimates: Estimates, load: Workload) -> float:
    """The mean prompt tokens of a stage's requests."""
    if load.answered:
        return sum(one.prompt_tokens for one in load.asked) / load.answered
    planned = estimates.planned.get(load.stage)
    return 0.0 if planned is None else planned.prompt


def _mean(estimates: Estimates, load: Workload) -> float | None:
    """The mean tokens of a stage's finished requests, or by the plan."""
    if load.answered:
        return sum(one.tokens for one in load.asked) / load.answered
    planned = estimates.planned.get(load.stage)
    return None if planned is None else planned.tokens
