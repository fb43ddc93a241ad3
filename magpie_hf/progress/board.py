"""Board: the state of a build, computed from its events.

Not here: how that is shown (lines.py, live.py).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import replace

from magpie_hf.progress.events import (
    DomainPlanned,
    Ended,
    EngineClosed,
    EngineOpened,
    Event,
    Found,
    Planned,
    SelectionMoved,
    ShardFinished,
    Speed,
)


class Board:
    """The state of a build by its events so far. Times are `time.monotonic()`."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.domains: dict[str, DomainPlanned] = {}
        self.selection: dict[str, SelectionMoved] = {}
        self.speed: Speed | None = None  # of the engine that told last
        self.restarts = 0
        self.ended: Ended | None = None
        self._done = Counter[tuple[str, str]]()
        self._rows = Counter[str]()  # finished ones by stage, with those that were found
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._worked = 0.0  # seconds of the shards that this build made

    def take(self, event: Event) -> None:
        """Take in what has happened."""
        if isinstance(event, Planned):
            self.domains = {one.domain: one for one in event.domains}
            for one in event.domains:
                for stage, found in one.found.items():
                    self._add(one.domain, stage, found)
        elif isinstance(event, ShardFinished):
            self._add(event.domain, event.stage, Found(event.rows, event.tokens, event.seconds))
            self._worked += event.seconds
        elif isinstance(event, SelectionMoved):
            self.selection[event.domain] = event
        elif isinstance(event, Speed):
            self.speed = event
        elif isinstance(event, EngineOpened):
            self.restarts += event.restart
        elif isinstance(event, EngineClosed):
            self.speed = self.speed and replace(self.speed, running=0, now=None)
        elif isinstance(event, Ended):
            self.ended = event

    @property
    def stages(self) -> list[str]:
        """The stages in the order of the pipeline."""
        return list(
            dict.fromkeys(stage for one in self.domains.values() for stage in (*one.samples, *one.answers))
        )

    @property
    def accepted(self) -> int:
        return sum(one.accepted for one in self.selection.values())

    @property
    def target(self) -> int:
        return sum(one.target for one in self.domains.values())

    @property
    def reasons(self) -> Counter[str]:
        """Why samples were dropped, over all domains."""
        return sum((Counter(dict(one.reasons)) for one in self.selection.values()), Counter[str]())

    def accepted_of(self, domain: str) -> int:
        return self.selection[domain].accepted if domain in self.selection else 0

    def is_full(self, domain: str) -> bool:
        moved = self.selection.get(domain)  # given problems may be fewer than the domain's target
        return moved is not None and moved.accepted >= moved.target

    def needed(self, domain: str) -> int | None:
        """Samples that the domain needs in all: an estimate by its yield until it is full.

        None before the first accepted problem.
        """
        moved = self.selection.get(domain)
        if moved is None or not moved.accepted:
            return None
        if self.is_full(domain):
            return moved.filtered
        return math.ceil(moved.target * moved.filtered / moved.accepted)

    def done(self, stage: str, domain: str) -> int:
        """Finished rows of a stage, at most as many as are needed."""
        done, needed = self._done[stage, domain], self.needed(domain)
        return done if needed is None else min(done, needed)

    def is_finished(self, stage: str) -> bool:
        """Whether a stage has nothing left to do."""
        return all(
            self.is_full(domain) and self.done(stage, domain) == self.needed(domain)
            for domain in self.domains
        )

    def left(self, now: float) -> float | None:
        """Seconds until the end, by the measured seconds a row.

        None while a stage with rows to make has finished none.
        """
        work = 0.0
        for stage in self.stages:
            for domain in self.domains:
                needed = self.needed(domain)
                rows = None if needed is None else needed - self.done(stage, domain)
                if rows is None or (rows and not self._rows[stage]):
                    return None
                work += rows * self._seconds[stage] / self._rows[stage] if rows else 0.0
        return work / (self._worked / (now - self.began)) if work and self._worked else None if work else 0.0

    def _add(self, domain: str, stage: str, made: Found) -> None:
        self._done[stage, domain] += made.rows
        self._rows[stage] += made.rows
        self._seconds[stage] += made.seconds
