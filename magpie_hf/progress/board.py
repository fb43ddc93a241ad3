"""Board: the state of a build, computed from its events.

Not here: how long it still takes (remaining.py), and how it is shown (lines.py, live.py).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace

from magpie_hf.progress.estimates import Estimates
from magpie_hf.progress.events import (
    DomainPlanned,
    Ended,
    EngineClosed,
    EngineOpened,
    Event,
    PlanMade,
    Planned,
    SelectionMoved,
    ShardFinished,
    Speed,
    StageRequests,
    UnderWay,
)
from magpie_hf.progress.remaining import answers_of, seconds_left
from magpie_hf.progress.workload import Workload

PLANNED = 4  # accepted problems: the first few say little of the yield
CANDIDATES, SCORE = "candidates", "score"  # of stages: a complete candidate is a request of the scorer


class Board:
    """The state of a build by its events so far. Times are `time.monotonic()`.

    Stages before the filtering count samples. Those after it count problems: a row that was dropped is none.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.domains: dict[str, DomainPlanned] = {}
        self.selection: dict[str, SelectionMoved] = {}
        self.speeds: dict[str, Speed] = {}  # the last one of each engine
        self.restarts = 0
        self.ended: Ended | None = None
        self._planned_samples: dict[str, float] = {}
        self._estimates = Estimates()
        self._rows = Counter[tuple[str, str]]()  # finished rows, by stage and domain, with those found
        self._counted = Counter[tuple[str, str]]()  # of finished shards: samples, or problems
        self._found = Counter[tuple[str, str]]()
        self._made = Counter[str]()  # the same by stage
        self._under_way: dict[tuple[str, str], StageRequests] = {}
        self._over = Counter[tuple[str, str]]()  # of that, rows of shards that have ended since it was told
        self._shown = Counter[tuple[str, str]]()  # so that no number falls meanwhile

    def take(self, event: Event) -> None:
        """Take in what has happened."""
        if isinstance(event, PlanMade):
            self._planned_samples = {row["domain"]: row["samples"][1] for row in event.plan["rows"]}
            self._estimates.plan(event.plan)
        elif isinstance(event, Planned):
            self.domains = {one.domain: one for one in event.domains}
            for one in event.domains:
                for stage, found in one.found.items():
                    self._found[stage, one.domain] = self._rows[stage, one.domain] = found.rows
                self._estimates.engines(one.engines)
        elif isinstance(event, ShardFinished):
            counted = event.rows - (event.dropped if self._is_answering(event.stage, event.domain) else 0)
            self._rows[event.stage, event.domain] += event.rows
            self._counted[event.stage, event.domain] += counted
            self._made[event.stage] += counted
            self._over[event.stage, event.domain] += counted
        elif isinstance(event, SelectionMoved):
            self.selection[event.domain] = event
        elif isinstance(event, UnderWay):
            self._under_way = {(one.stage, one.domain): one for one in event.stages}
            self._over.clear()
            engines = {stage: name for one in self.domains.values() for stage, name in one.engines.items()}
            self._estimates.under_way(event.stages, engines)
        elif isinstance(event, Speed):
            self.speeds[event.engine] = event
            self._estimates.speed(event, time.monotonic())
        elif isinstance(event, EngineOpened):
            self.restarts += event.restart
            self._estimates.opened(event)
        elif isinstance(event, EngineClosed):
            if (last := self.speeds.get(event.engine)) is not None:
                self.speeds[event.engine] = replace(last, running=0, working=0, now=None)
        elif isinstance(event, Ended):
            self.ended = event

    @property
    def speed(self) -> Speed | None:
        """Of the engine with most requests in flight, so that two at work do not take turns."""
        return max(self.speeds.values(), key=lambda one: one.running, default=None)

    @property
    def stages(self) -> list[str]:
        """The stages in the order of the pipeline."""
        return list(
            dict.fromkeys(stage for one in self.domains.values() for stage in (*one.samples, *one.answers))
        )

    @property
    def _after_filtering(self) -> set[str]:
        return {stage for one in self.domains.values() for stage in one.answers}

    def _is_answering(self, stage: str, domain: str) -> bool:
        """Whether a stage stands after the filtering, so that rows dropped before are none of its own."""
        return domain in self.domains and stage in self.domains[domain].answers

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
        """Samples that the domain needs in all: until it is full an estimate by its yield so far.

        The plan counts as the first PLANNED accepted problems; None without a plan before one is accepted.
        """
        moved, planned = self.selection.get(domain), self._planned_samples.get(domain)
        if moved is None:
            return None if planned is None else math.ceil(planned)
        if self.is_full(domain):
            return moved.filtered
        believed = 0 if planned is None else PLANNED
        if not moved.accepted + believed:
            return None
        samples = moved.filtered + believed * (planned or 0.0) / moved.target
        return math.ceil(moved.target * samples / (moved.accepted + believed))

    def wanted(self, stage: str, domain: str) -> int | None:
        """Samples or problems that a stage is to make of a domain in all; None where nobody knows yet."""
        if stage in self.domains[domain].samples:
            return self.needed(domain)
        moved = self.selection.get(domain)
        return moved.target if moved is not None else self.domains[domain].target

    def done(self, stage: str, domain: str) -> int:
        """Those of them that are made, by requests where a shard is under way."""
        now, most = math.floor(self._progress(stage, domain)), self.wanted(stage, domain)
        self._shown[stage, domain] = max(now, self._shown[stage, domain])
        return self._shown[stage, domain] if most is None else min(most, self._shown[stage, domain])

    def in_all(self, stage: str) -> tuple[int, int | None]:
        """`done` and `wanted` over all domains."""
        wanted = [self.wanted(stage, domain) for domain in self.domains]
        whole = None if None in wanted else sum(one or 0 for one in wanted)
        return sum(self.done(stage, domain) for domain in self.domains), whole

    def is_finished(self, stage: str) -> bool:
        """Whether a stage has nothing left to do."""
        return all(self._is_made(stage, domain) for domain in self.domains)

    def _is_made(self, stage: str, domain: str) -> bool:
        return self.is_full(domain) and self._rows[stage, domain] >= self.selection[domain].filtered

    @property
    def at_work(self) -> list[str]:
        """The stages with requests in flight."""
        flying = {stage for (stage, _), one in self._under_way.items() if one.asked > one.done}
        return [stage for stage in self.stages if stage in flying]

    def left(self) -> float | None:
        """Seconds until the end, from the requests that are left and the speed so far; None if not known."""
        loads: dict[str, Workload] = {}
        for stage in self.stages:
            engine = next((one.engines[stage] for one in self.domains.values() if stage in one.engines), None)
            if engine is None:
                continue
            if (rows := self._left_of(stage)) is None:
                return None
            loads[stage] = self._workload(stage, engine, rows)
        if not loads:
            return None
        if CANDIDATES in loads and SCORE in loads:
            read = answers_of(self._estimates, loads[CANDIDATES], list(loads.values()))
            loads[SCORE] = replace(loads[SCORE], read=read)
        # A shard is finished whole, needed or not
        left = [one for one in loads.values() if one.rows or one.flying]
        if not left:  # by an estimate, unless all is made
            return 0.0 if self.has_asked_all else None
        return seconds_left(self._estimates, left)

    @property
    def has_asked_all(self) -> bool:
        """Whether every stage with an engine has made all of its rows."""
        engines = {stage for one in self.domains.values() for stage in one.engines}
        return bool(engines) and all(map(self.is_finished, engines))

    def _workload(self, stage: str, engine: str, rows: float) -> Workload:
        asked = tuple(one for (name, _), one in self._under_way.items() if name == stage)
        unfinished = (
            self._alive(one.rows, stage, one.domain) - self._over[stage, one.domain] for one in asked
        )
        begun = self._made[stage] + sum(max(0.0, rows) for rows in unfinished)
        bounds = [one.most_tokens[stage] for one in self.domains.values() if stage in one.most_tokens]
        planned = self.target if stage in self._after_filtering else sum(self._planned_samples.values())
        extended = [one for one in asked if stage in self.domains[one.domain].extended]
        cut = [pair for one in extended for pair in self._cut(one)]
        return Workload(
            stage,
            engine,
            rows,
            begun,
            planned,
            asked,
            max(bounds, default=None),
            cut=sum(count for _, count in cut),
            cut_tokens=sum(tokens * count for tokens, count in cut),
            longer=sum(one.longer_in_all for one in extended),
        )

    def _left_of(self, stage: str) -> float | None:
        left = 0.0
        for domain in self.domains:
            if (wanted := self.wanted(stage, domain)) is None:
                return None
            if self._is_made(stage, domain):
                continue
            left += max(0.0, wanted - self._progress(stage, domain))
        return left

    def _progress(self, stage: str, domain: str) -> float:
        """Rows that a stage has made, without those dropped before it, and its share of shards under way."""
        made = self._counted[stage, domain] + self._alive(self._found[stage, domain], stage, domain)
        under_way = self._under_way.get((stage, domain))
        if under_way is None or not under_way.asked:
            return made
        alive = self._alive(under_way.rows, stage, domain)
        asked, done = under_way.asked + under_way.ahead, under_way.done
        if stage in self.domains[domain].extended:  # an answer that goes on is one all the while
            cut = sum(count for _, count in self._cut(under_way))
            asked, done = asked - under_way.longer, done - under_way.longer - cut
        return made + max(0.0, alive * done / max(1, asked) - self._over[stage, domain])

    def _cut(self, asked: StageRequests) -> list[tuple[int, int]]:
        """Truncated answers that will be asked to go on, by their tokens: those below the last bound."""
        bound = self.domains[asked.domain].most_tokens.get(asked.stage, math.inf)
        return [(tokens, count) for tokens, count in asked.cut if tokens < bound]

    def _alive(self, rows: int, stage: str, domain: str) -> float:
        """So many rows of a stage without those that were dropped before: an estimate.

        After the filtering, the share of the accepted samples. Of all samples it is exact.
        """
        moved = self.selection.get(domain)
        if not self._is_answering(stage, domain) or moved is None or not moved.filtered:
            return rows
        return rows * moved.accepted / moved.filtered
