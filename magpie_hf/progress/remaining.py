"""How long a build still takes: the requests that are left, by their lengths so far, at the speed so far.

Not here: which rows are left (board.py).

Work is counted in tokens. What a prompt token costs in sampled ones is seen where the engine counts both, and
is a fifth before that. How long a stage's answers are is known from the finished ones, from what those in
flight have so far, and, while the finished ones are few, from the plan. The longest one at work goes on when
all others are done, and an engine is hardly quicker for it then (paces.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magpie_hf.progress.events import EngineOpened, Speed, StageRequests
from magpie_hf.progress.lengths import Lengths
from magpie_hf.progress.paces import KNEES

PROMPT_WORK = 0.2  # of a prompt token, in sampled ones, before more is known: measured on a CPU
PROMPT_SPREAD = 0.1  # of the truth about that
NOISE = 0.02  # the least of an engine's speed from window to window, as a share of it
WINDOW_SECONDS = 5.0
LOOK_BACK = 60.0  # seconds of work that a speed is taken from
NOW = {"engine": 20.0, "finished": 60.0}  # and the speed of now, by who counts
KEPT_SECONDS = 900.0  # of work, in which the engine was well used at some time
WELL_USED = 0.5  # of the most requests that it worked on at once
KNOWN = 0.05  # of a stage's requests, that tell its pace
MOST_SO_FAR = 0.8  # of its bound, that a request in flight is believed to have where nothing counts
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
class Answers:
    """The answers of a stage: complete ones of a row, tokens of one, and those that the plan says."""

    complete: float
    tokens: float
    planned: float | None


@dataclass(frozen=True)
class Workload:
    """A stage with rows left to make.

    rows: those that are left; begun: those that this build has made or begun; planned: those in all, by the
    plan; asked: its requests, a domain each; most_tokens: the bound of a request; read: the answers that it
    reads, each of them a request; None where it reads none that are known.
    """

    stage: str
    engine: str
    rows: float
    begun: float
    planned: float
    asked: tuple[StageRequests, ...]
    most_tokens: int | None
    read: Answers | None = None

    @property
    def answered(self) -> int:
        return sum(one.answered for one in self.asked)

    @property
    def flying(self) -> int:
        return sum(one.asked - one.done for one in self.asked)

    @property
    def pace(self) -> float | None:
        """The pace of the requests that finished last."""
        known = [one.pace for one in self.asked if one.pace]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class _Planned:
    """What the plan says of a stage: requests in all, and tokens of each, of its prompt, and of that part
    of it which no prefix cache holds.
    """

    source: str
    requests: float
    tokens: float
    prompt: float
    fresh: float


@dataclass(frozen=True)
class _Left:
    """Requests that a stage has left.

    begun: those at work; others, length: the rest, and tokens of each; prompts: the tokens of their prompts;
    lengths: what is known of them; pace: of those that finished, where these are enough.
    """

    begun: float
    others: float
    length: float
    prompts: float
    lengths: Lengths
    pace: float | None

    @property
    def more(self) -> float:
        """Tokens that each of those at work still gets."""
        return self.lengths.more

    @property
    def longest(self) -> float:
        """Tokens that the longest of those at work still gets."""
        return self.longest_of(self.begun, self.lengths.so_far)

    def longest_of(self, count: float, so_far: float = 0.0) -> float:
        """Tokens that the longest of so many still gets that have so many."""
        return self.lengths.longest(count, so_far) - so_far if count else 0.0


class Estimates:
    """What is known of a build's engines and requests: by the plan, and by their speed so far."""

    def __init__(self) -> None:
        self.planned: dict[str, _Planned] = {}
        self.last: dict[str, Speed] = {}  # the last speed of each engine
        self._weights: dict[str, float] = {}  # GB, by a model's source
        self._sources: dict[str, str] = {}  # by engine
        self._openings: dict[str, float] = {}
        self.paces: dict[
            str, tuple[float, float]
        ] = {}  # pace and knee of engines, of the stage with most tokens
        self._ticks: dict[str, deque[_Tick]] = {}
        # When an engine told last, and the tokens that it had made and read by then
        self._before: dict[str, tuple[float, float, float]] = {}

    def plan(self, plan: Mapping[str, Any]) -> None:
        for one in plan["stages"]:
            if (requests := one["requests"][1]) > 0:
                each = [one[what][1] / requests for what in ("tokens", "prompt", "fresh")]
                for number, share in enumerate(one["rounds"]):
                    stage = f"{one['stage']}_round{number}" if number else one["stage"]
                    self.planned[stage] = _Planned(one["source"], share * requests, *each)
        self._weights = {one["source"]: one["weights_gb"] for one in plan["models"]}

    def engines(self, engines: Mapping[str, str]) -> None:
        """Learn the engines of stages, whose models the plan knows by their sources."""
        for stage, engine in engines.items():
            if stage in self.planned:
                self._sources[engine] = self.planned[stage].source

    def under_way(self, stages: Sequence[StageRequests], engines: Mapping[str, str]) -> None:
        """Learn the pace of each engine, from the stage with most tokens. engines: of the stages."""
        for one in sorted(stages, key=lambda one: one.tokens):
            if one.pace is not None and one.stage in engines:
                self.paces[engines[one.stage]] = one.pace, one.knee

    def opened(self, event: EngineOpened) -> None:
        self._openings[event.engine] = event.seconds

    def speed(self, event: Speed, now: float) -> None:
        """Take in what an engine did since it told last."""
        self.last[event.engine] = event
        at, made, read = self._before.get(event.engine, (now - 1.0, 0.0, 0.0))
        tokens = max(made, event.tokens + event.unfinished_tokens)
        prompts = max(read, event.prompt_tokens)
        self._before[event.engine] = now, tokens, prompts
        ticks = self._ticks.setdefault(event.engine, deque())
        seconds = min(2.0, now - at)  # an idle time was not spent at work
        full = event.working < event.running
        done = tokens - made, prompts - read
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
        ticks, used = self._ticks.get(engine, ()), self._well_used(engine)
        rates = self._rate(engine, used, LOOK_BACK), self._rate(engine, ticks, LOOK_BACK)
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

    def counts(self, engine: str) -> bool:
        """Whether an engine counts its tokens itself."""
        return engine in self.last and self.last[engine].counted == "engine"

    def caches(self, engine: str) -> bool:
        """Whether an engine's prefix cache was of use so far."""
        return engine in self.last and self.last[engine].cached_tokens > 0

    def prompt_work(self, engine: str) -> float:
        """What a prompt token costs an engine, in sampled tokens.

        Where the engine counts both, it is the price at which its speed is the same, reading or writing.
        """
        if not self.counts(engine):
            return PROMPT_WORK
        windows = list(_windows(self._well_used(engine)))
        if len(windows) < 2:
            return PROMPT_WORK
        made, read = (sum(one[at] for one in windows) / len(windows) for at in range(2))
        together = sum((one[0] - made) * (one[1] - read) for one in windows)
        spread = sum((one[1] - read) ** 2 for one in windows)
        alone = sum((one[0] - made) ** 2 for one in windows) - together**2 / max(spread, 1.0)
        noise = max((NOISE * made) ** 2, alone / len(windows))
        trust = max(1.0, noise / PROMPT_SPREAD**2)  # of what was thought before any was seen
        return min(1.0, max(0.0, (trust * PROMPT_WORK - together) / (trust + spread)))

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
        left = [one for load in mine if (one := _left(estimates, load, mine)) is not None]
        told = estimates.last.get(engine)
        uncounted = told is not None and told.counted == "finished"
        needed = (_by_pace if uncounted else _by_rate)(estimates, engine, left)
        if needed is None or len(left) < len(mine):
            return None
        seconds += estimates.opening(engine) + needed
    return seconds


def _by_rate(estimates: Estimates, engine: str, left: Sequence[_Left]) -> float | None:
    """Seconds that an engine needs for all of its stages.

    Requests in flight go on at the speed of now; the others at that of an engine that is well used.
    """
    if (full := estimates.full_rate(engine)) is None:
        return None
    now = estimates.rate_now(engine) or full
    running = estimates.last[engine].working if engine in estimates.last else 0
    others = sum(one.others * one.length + one.prompts * estimates.prompt_work(engine) for one in left)
    together = sum(one.begun * one.more for one in left) / now + others / full
    alone = max((one.longest for one in left), default=0.0) * running / now
    return together + KNEES[0] / (KNEES[0] + running) * max(0.0, alone - together)


def _by_pace(estimates: Estimates, engine: str, left: Sequence[_Left]) -> float | None:
    """The same for an engine that counts nothing: by the pace of each stage, or of those before it."""
    if engine not in estimates.paces:
        return None
    usual, knee = estimates.paces[engine]
    seconds = 0.0
    for one in left:
        tokens = one.begun * one.more + one.others * one.length
        if one.pace is None:
            tokens += one.prompts * PROMPT_WORK
        steps = max(one.longest, one.longest_of(one.others))
        seconds += (one.pace or usual) * (tokens + knee * steps)
    return seconds


def _at_work(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> tuple[float, float]:
    """Requests of a stage that its engine works on, and the tokens that they have so far."""
    last = estimates.last.get(load.engine)
    if not load.flying or last is None or not last.running:
        return 0.0, 0.0
    weights = {one.stage: one.flying * (_mean(estimates, one) or 1.0) for one in beside}
    tokens = last.unfinished_tokens * weights[load.stage] / (sum(weights.values()) or 1.0)
    return load.flying * last.working / last.running, tokens


def _left(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> _Left | None:
    """The requests that a stage has left; None where nobody knows. beside: all loads of its engine."""
    planned, answered = estimates.planned.get(load.stage), load.answered
    if load.begun and answered + load.flying:
        requests = load.rows * (answered + load.flying) / load.begun
    elif load.read is not None:
        requests = load.rows * load.read.complete
    elif planned is not None and load.planned:
        requests = load.rows * planned.requests / load.planned
    else:
        return None
    if (mean := _mean(estimates, load)) is None:
        return None
    at_work, lengths = _lengths(estimates, load, beside)
    others = max(0.0, requests - at_work)
    pace = load.pace if answered >= KNOWN * (answered + at_work + others) else None
    length, prompts = _length(load, mean, at_work, lengths), others * _prompt(estimates, load)
    return _Left(at_work, others, length, prompts, lengths, pace)


def _lengths(estimates: Estimates, load: Workload, beside: Sequence[Workload]) -> tuple[float, Lengths]:
    """Requests of a stage at work, and what is known of the lengths of all."""
    at_work, tokens = _at_work(estimates, load, beside)
    so_far = tokens / at_work if at_work else 0.0
    if load.most_tokens is not None and not estimates.counts(load.engine):
        so_far = min(so_far, MOST_SO_FAR * load.most_tokens)
    planned = estimates.planned.get(load.stage)
    logarithms = sum(one.log_tokens for one in load.asked)
    by_plan = None if planned is None else planned.tokens
    return at_work, Lengths(so_far, at_work, load.answered, logarithms, by_plan, load.most_tokens)


def _length(load: Workload, mean: float, at_work: float, lengths: Lengths) -> float:
    """The mean tokens of a stage's requests, with those that are at work."""
    count = load.answered + at_work
    return (load.answered * mean + at_work * (lengths.so_far + lengths.more)) / count if count else mean


def answers_of(estimates: Estimates, load: Workload) -> Answers | None:
    """The answers of a stage by those that stopped and those at work; None before any was asked for."""
    if not load.begun or not (load.answered or load.flying) or (mean := _mean(estimates, load)) is None:
        return None
    at_work, lengths = _lengths(estimates, load, [load])
    stopped = load.answered - sum(one.truncated for one in load.asked)
    planned = estimates.planned.get(load.stage)
    return Answers(
        (stopped + load.flying * lengths.stopping) / load.begun,
        _length(load, mean, at_work, lengths),
        None if planned is None else planned.tokens,
    )


def _windows(ticks: Iterable[_Tick]) -> Iterator[tuple[float, float]]:
    """Tokens made and read a second, over some seconds at a time."""
    seconds = made = read = 0.0
    for tick in ticks:
        seconds, made, read = seconds + tick.seconds, made + tick.tokens, read + tick.prompts
        if seconds >= WINDOW_SECONDS:
            yield made / seconds, read / seconds
            seconds = made = read = 0.0


def _prompt(estimates: Estimates, load: Workload) -> float:
    """The mean prompt tokens of a request; where the engine's prefix cache is of use, of what that lacks."""
    planned, read = estimates.planned.get(load.stage), load.read
    mean = sum(one.prompt_tokens for one in load.asked) / load.answered if load.answered else None
    if planned is None:
        return mean or 0.0
    longer = 0.0
    if (
        read is not None and read.planned is not None and planned.prompt >= read.planned
    ):  # else no whole answers
        longer = read.tokens - read.planned
    prompt = planned.prompt + longer
    computed = max(0.0, planned.fresh + longer) if estimates.caches(load.engine) else prompt
    return computed if mean is None else mean * min(1.0, computed / max(prompt, 1.0))


def _mean(estimates: Estimates, load: Workload) -> float | None:
    """The mean tokens of a stage's finished requests, or by the plan."""
    if load.answered:
        return sum(one.tokens for one in load.asked) / load.answered
    planned = estimates.planned.get(load.stage)
    return None if planned is None else planned.tokens
