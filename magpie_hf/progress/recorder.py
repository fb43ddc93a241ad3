"""Recorder: measures the engines of one build while it runs, and keeps that in run/speed.jsonl. Not here: what is shown of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from magpie_hf.engines import meter
from magpie_hf.progress.gauge import Gauge
from magpie_hf.progress.speed import SpeedFile

INTERVAL_SECONDS = 10.0
TICK_SECONDS = 1.0


class Recorder:
    """A `meter.Watcher` of the engines of these names."""

    def __init__(self, run: Path, engines: Iterable[str]) -> None:
        self._began = time.monotonic()
        self._gauges = {engine: Gauge() for engine in engines}
        self._file = SpeedFile(run)
        self._cutting = threading.Lock()  # so that intervals are written in their order
        self._ending = threading.Event()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the end; what ends it, an exception or not, is recorded, too."""
        self._file.build("began", 0.0)
        ticking = threading.Thread(target=self._tick, name="magpie-recorder", daemon=True)
        what = "stopped"
        with meter.watched_by(self):
            ticking.start()
            try:
                yield
                what = "finished"
            finally:
                self._ending.set()
                ticking.join()
                self.end(what)
                self._file.close()

    def end(self, what: str) -> None:
        """Write down what is not yet, and that the build has "finished" or "stopped"."""
        for engine in self._gauges:
            self._cut(engine)
        self._file.build(what, time.monotonic() - self._began)

    def started(self, engine: str, at: float, requests: int) -> None:
        if engine in self._gauges:
            self._gauges[engine].start(at, requests)

    def ended(self, engine: str, began: float, at: float, requests: int, prompt_tokens: int | None, tokens: int) -> None:
        if engine in self._gauges and began >= self._began:  # else of another build with this engine, whose beginning nobody here saw
            self._gauges[engine].end(began, at, requests, prompt_tokens, tokens)

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        if engine in self._gauges:
            self._file.opened(engine, seconds, restart)

    def closed(self, engine: str) -> None:
        if engine in self._gauges:
            self._cut(engine)
            self._file.closed(engine)

    def _tick(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            now = time.monotonic()
            for engine, gauge in self._gauges.items():
                if gauge.age(now) >= INTERVAL_SECONDS or gauge.idle(now) >= TICK_SECONDS:
                    self._cut(engine)

    def _cut(self, engine: str) -> None:
        """Write down the interval that is over, where there is one."""
        with self._cutting:
            if (made := self._gauges[engine].cut(time.monotonic())) is not None:
                self._file.interval(engine, made)
