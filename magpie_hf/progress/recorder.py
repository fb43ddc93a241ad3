"""Recorder: measures a build's engines while it runs, for `run/speed.jsonl` and for its observer.

Not here: the counting (meter.py), and the file's format (speed.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from magpie_hf.engines import meter
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.progress.events import Ended, EngineClosed, EngineOpened, Event, Speed, UnderWay
from magpie_hf.progress.meter import Meter
from magpie_hf.progress.requests import Requests
from magpie_hf.progress.speed import SUSTAINED_SECONDS, SpeedFile, best, read

INTERVAL_SECONDS = 10.0  # of a line in the file
TICK_SECONDS = 1.0
NOW_SECONDS = 10.0  # that "now" looks back by an engine's own counters, or by shards that workers finished
BEST_TICKS = 60  # between two looks at the file for the best speed


class Recorder:
    """A `meter.Watcher` of the engines with these names, for the build in `folder`."""

    def __init__(self, folder: Path, engines: Iterable[str], notify: Callable[[Event], None]) -> None:
        self._began = time.monotonic()
        self._folder, self._notify = folder, notify
        self._meters = {engine: Meter() for engine in engines}
        self._requests = Requests()
        self._rates = {engine: _Rate(engine, one, self._requests) for engine, one in self._meters.items()}
        self._best: dict[str, float | None] = {}
        self._counted = {engine: _tokens(engine) for engine in self._meters}  # when an interval ended last
        self._file = SpeedFile(folder / "run")
        self._cutting = threading.Lock()  # so that intervals are written in their order
        self._ending = threading.Event()

    def begin(self) -> None:
        self._file.build("began", 0.0)

    def rest(self) -> None:
        """End `tick_until_the_end`."""
        self._ending.set()

    def end(self, what: Literal["finished", "stopped"], error: str | None) -> None:
        """Write the last intervals, and how the build ended."""
        for engine in self._meters:
            self._cut(engine)
        seconds = time.monotonic() - self._began
        self._file.build(what, seconds)
        self._notify(Ended(what, round(seconds, 3), error))

    def close(self) -> None:
        self._file.close()

    def started(self, start: Start) -> None:
        if start.engine in self._meters:
            self._meters[start.engine].start(start)
            self._requests.start(start)

    def begun(self, start: Start, at: float) -> None:
        if start.engine in self._meters:
            self._requests.begin(start, at)

    def ended(self, start: Start, at: float, outcome: Outcome | None) -> None:
        # A request that began earlier is another build's, whose start was not counted here.
        if start.engine in self._meters and start.at >= self._began:
            self._meters[start.engine].end(start, at, outcome)
            self._requests.end(start, at, outcome)

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        if engine in self._meters:
            self._file.opened(engine, seconds, restart)
            self._rates[engine].begin_again()
            self._notify(EngineOpened(engine, round(seconds, 3), restart))

    def closed(self, engine: str) -> None:
        if engine in self._meters:
            self._cut(engine)
            self._rates[engine].begin_again()
            self._file.closed(engine)
            self._notify(EngineClosed(engine))

    def tick_until_the_end(self) -> None:
        """Write intervals that are over, and tell the speed of working engines, and when one falls idle."""
        ticks, told = 0, dict[str, Speed]()
        while not self._ending.wait(TICK_SECONDS):
            if ticks % BEST_TICKS == 0:
                events = read(self._folder)
                self._best = {engine: best(events, engine) for engine in self._meters}
            ticks += 1
            now = time.monotonic()
            working = [engine for engine, one in self._meters.items() if one.running]
            if working or told:
                self._notify(UnderWay(self._requests.stages()))
            for engine, one in self._meters.items():
                if one.age(now) >= INTERVAL_SECONDS or one.idle(now) >= TICK_SECONDS:
                    self._cut(engine)
                if engine in working:
                    told[engine] = self._rates[engine].speed(now, self._best[engine])
                    self._notify(told[engine])
                else:
                    if (last := told.pop(engine, None)) is not None:
                        self._notify(_idle(last, one.tokens))
                    self._rates[engine].begin_again()

    def _cut(self, engine: str) -> None:
        """Write the interval that is over, where there is one."""
        with self._cutting:
            before, now = self._counted[engine], _tokens(engine)
            self._counted[engine] = now
            if (made := self._meters[engine].cut(time.monotonic())) is not None:
                counted = None if now is None else max(0, now - (before or 0))
                self._file.interval(engine, made, counted)


class _Rate:
    """How fast an engine is, by its tokens once a tick while it works."""

    def __init__(self, engine: str, done: Meter, requests: Requests) -> None:
        self._engine, self._meter, self._requests = engine, done, requests
        self._seen: deque[tuple[float, float]] = deque()  # working seconds, and tokens by then
        self._busy, self._last, self._best = 0.0, 0.0, 0.0
        self._whole = 0.0  # tokens by the last tick, of unfinished requests, too
        self._made = 0.0  # the same without those that an engine lost when it died
        self._ahead = 0  # tokens that the engine had counted more than its finished requests have
        known = meter.counted(engine)
        # Prompt tokens that the engine had read, and found in its cache, before this build; and in it
        self._before = ((known and known.prompt_tokens) or 0, known.cached if known else 0)
        self._read, self._cached = 0, 0
        self.begin_again()

    def begin_again(self) -> None:
        """Nothing is in flight: an earlier build used this engine, it died, it is idle or it was closed."""
        counted = meter.counted(self._engine)
        if counted is None:  # there are no counters, or they are gone: they begin at 0
            self._before = -self._read, -self._cached
        own = 0 if counted is None or counted.tokens is None else counted.tokens
        self._ahead = own - self._meter.tokens

    def speed(self, now: float, record: float | None) -> Speed:
        finished, prompts = self._meter.tokens, self._meter.prompt_tokens
        counted = meter.counted(self._engine)
        own = None if counted is None else counted.tokens
        running = self._meter.running
        working = running if counted is None else min(counted.running, running)
        if counted is not None and counted.prompt_tokens is not None:
            self._read, self._cached = (
                max(0, count - before)
                for count, before in zip((counted.prompt_tokens, counted.cached), self._before, strict=True)
            )
            prompts = self._read or prompts  # a server may count none
        if own is not None:
            unfinished = float(max(0, own - finished - self._ahead))
        else:
            unfinished = self._requests.unfinished_tokens(self._engine, now)
        self._busy += min(now - self._last, 2 * TICK_SECONDS)  # a longer time was not spent at work
        self._last = now
        made = finished + unfinished
        # An estimate may have been too high
        self._whole = made if own is None else self._whole + max(0.0, made - self._made)
        self._made = made
        self._seen.append((self._busy, self._whole))
        while self._seen[0][0] < self._busy - SUSTAINED_SECONDS:
            self._seen.popleft()
        lately = self._requests.rate(self._engine) if own is None else None
        lately = self._over(NOW_SECONDS) if lately is None else lately
        sustained = self._over(SUSTAINED_SECONDS)
        if own is not None and sustained is not None and self._busy > SUSTAINED_SECONDS:
            self._best = max(self._best, sustained)
        average = self._whole / self._busy if self._whole else None
        return Speed(
            self._engine,
            running,
            finished,
            _rounded(lately),
            _rounded(average),
            _rounded(max(record or 0.0, self._best) or None),
            "finished" if own is None else "engine",
            prompts,
            round(unfinished),
            working,
            self._cached,
        )

    def _over(self, back: float) -> float | None:
        """Tokens a second over the last seconds at work; None without any."""
        ends, tokens = self._seen[-1]
        began, before = next(one for one in self._seen if one[0] >= ends - back)
        return (tokens - before) / (ends - began) if tokens > before else None


def _idle(last: Speed, tokens: int) -> Speed:
    """The speed of an engine that has finished all that it had, which came to so many tokens."""
    return replace(last, running=0, working=0, tokens=tokens, unfinished_tokens=0, now=None)


def _tokens(engine: str) -> int | None:
    """What an engine's own counter says of its tokens; None without one."""
    counted = meter.counted(engine)
    return None if counted is None else counted.tokens


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


_recording: list[Recorder] = []


@contextmanager
def recording(folder: Path, engines: Iterable[str], notify: Callable[[Event], None]) -> Iterator[None]:
    """Record the build that runs in `folder`, and what ends it."""
    recorder = Recorder(folder, dict.fromkeys(engines), notify)
    ticking = threading.Thread(target=recorder.tick_until_the_end, name="magpie-recorder", daemon=True)
    recorder.begin()
    _recording.append(recorder)
    what: Literal["finished", "stopped"] = "stopped"
    why: str | None = None
    try:
        with meter.watched_by(recorder):
            ticking.start()
            yield
        what = "finished"
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        recorder.rest()
        ticking.join()
        recorder.end(what, why)
        _recording.remove(recorder)
        recorder.close()


def stop(seconds: float = 1.0) -> None:
    """Record that all builds of this process stop, right before it ends; waits so long for each.

    In threads, as the caller's may hold any lock.
    """
    stopping = [
        threading.Thread(target=recorder.end, args=("stopped", None), daemon=True) for recorder in _recording
    ]
    for recorder in _recording:
        recorder.rest()
    for one in stopping:
        one.start()
    for one in stopping:
        one.join(seconds)
