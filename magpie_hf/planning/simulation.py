"""A build in virtual time: phase by phase, shard by shard, as `building` and `run.session` work through it.

Not here: where lengths, yields and speeds come from.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from magpie_hf.domains import MOST_ROWS
from magpie_hf.planning.outline import (
    ANSWERING,
    ANSWERS,
    IN_ROUNDS,
    OPINIONS,
    SAMPLING,
    Cutting,
    Outline,
    Phase,
)
from magpie_hf.planning.reuse import Done
from magpie_hf.planning.speeds import Clock, Speed
from magpie_hf.planning.workload import Request
from magpie_hf.selection.demand import samples_needed

# Requests that are simulated one by one; the rest of a larger build goes on as their second half did.
MOST_REQUESTS = 4_000
# The stages without a model that follow a stage with one.
CPU_AFTER = {
    "instruct": ("clean", "signature", "decontaminate"),
    "candidates": ("verify",),
    "write_programs": ("run_programs",),
    "score": ("pair",),
}


@dataclass(frozen=True)
class Work:
    """What a build has to do.

    examples, each: of each stage, its requests and how many of them a row has on average; shares: the yield
    of each domain; cpu: seconds a shard and a row of each stage without a model; done: what exists already,
    by domain.
    """

    examples: Mapping[str, tuple[Request, ...]]
    each: Mapping[str, float]
    shares: Mapping[str, float]
    cpu: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    done: Mapping[str, Done] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What a row goes through at once, seen from the engine.

    examples, each: kinds of requests, and how many of each kind a row has; shard, row: seconds of CPU that
    follow, a shard and a row.
    """

    examples: tuple[tuple[Request, ...], ...]
    each: tuple[float, ...]
    shard: float = 0.0
    row: float = 0.0

    @property
    def requests(self) -> float:
        """Requests a row."""
        return sum(self.each)


@dataclass(frozen=True)
class Quota:
    """What one domain needs in one phase.

    target: problems wanted; share: of the samples that is accepted; sampling, answering: what a row goes
    through before and after the filtering, () where another phase does it; sampled, answered: rows that
    exist.
    """

    target: int
    share: float
    sampling: tuple[Step, ...]
    answering: tuple[Step, ...]
    sampled: int = 0
    answered: int = 0

    @property
    def requests(self) -> float:
        """Requests that are left."""
        samples = max(0.0, self.target / self.share - self.sampled)
        answers = max(0, self.target - self.answered)
        return samples * sum(step.requests for step in self.sampling) + answers * sum(
            step.requests for step in self.answering
        )

    def scaled(self, factor: float) -> Quota:
        return replace(
            self,
            target=max(1, round(self.target * factor)),
            sampled=round(self.sampled * factor),
            answered=round(self.answered * factor),
        )


def seconds_by_phase(
    outline: Outline, work: Work, speeds: Mapping[str, Speed], engines: Mapping[str, int]
) -> list[tuple[Phase, float]]:
    """Seconds of each phase, with loading its model; 0 where nothing is left to do.

    speeds, engines: of each model, how fast its engine is and how many run side by side (default: 1).
    """
    found = []
    # What every stage has answered needs no more samples, whatever yield is assumed
    left = [one for one in outline.domains if work.done.get(one.key, Done()).answered < one.count]
    for phase in outline.phases:
        every = (_quota(phase, work, domain.key, domain.count) for domain in left)
        quotas = [quota for quota in every if quota.requests > 0]
        speed = speeds[phase.source]
        seconds = seconds_of(quotas, speed, outline.cutting, engines.get(phase.source, 1))
        found.append((phase, seconds + speed.load * _rounds(outline, phase) if quotas else 0.0))
    return found


def seconds_of(quotas: Sequence[Quota], speed: Speed, cutting: Cutting, engines: int = 1) -> float:
    """Seconds of one phase on `engines` engines of this speed, without loading them."""
    asked = sum(quota.requests for quota in quotas)
    if not asked:
        return 0.0
    if engines > 1:
        quotas = [quota.scaled(1 / engines) for quota in quotas]
    part = MOST_REQUESTS * engines / asked
    if part >= 1:
        return _Simulation(quotas, speed, cutting).run()
    whole, half = (
        _Simulation([quota.scaled(part * of) for quota in quotas], speed, cutting).run() for of in (1.0, 0.5)
    )
    return whole + (whole - half) / (part / 2) * (1 - part)


def _rounds(outline: Outline, phase: Phase) -> int:
    """How often the phase's model is loaded.

    Where several models take turns before the selection, that is once a round; most selections take three
    rounds. Each round of harder problems needs the models once more that label and answer.
    """
    before = set(SAMPLING)
    if outline.band:
        before |= {*ANSWERS, *OPINIONS} - {"tool_answers", "delta"}
    sampling = [one for one in outline.phases if before & set(one.stages)]
    small = all(domain.count <= 64 for domain in outline.domains)
    once = (2 if small else 3) if len(sampling) > 1 and phase in sampling else 1
    several = len({one.source for one in outline.phases if "score" not in one.stages}) > 1
    rounds = outline.harden if several and set(phase.stages) & set(IN_ROUNDS) else 0
    return once * (1 + rounds)


def _quota(phase: Phase, work: Work, key: str, count: int) -> Quota:
    done, share = work.done.get(key, Done()), work.shares[key]
    sampling = _steps(phase, work, SAMPLING)
    answering = _steps(phase, work, ANSWERING)
    if phase.filtering:
        return Quota(count, share, sampling, answering, done.sampled, done.answered)
    if sampling:
        return Quota(math.ceil(count / share), 1.0, (), sampling, 0, done.sampled)
    return Quota(count, 1.0, (), answering, 0, done.answered)


def _steps(phase: Phase, work: Work, kinds: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of a phase before (SAMPLING) or after (ANSWERING) the filtering.

    All answers of a problem are asked for side by side.
    """
    stages = [stage for stage in kinds if stage in phase.stages]
    together = [stage for stage in stages if stage in ANSWERS]
    groups = [together] if together else []
    groups += [[stage] for stage in stages if stage not in ANSWERS]
    steps = []
    for group in groups:
        labels = (label for stage in group for label in CPU_AFTER.get(stage, ()))
        costs = [work.cpu[label] for label in labels if label in work.cpu]
        shard, row = (sum(cost[at] for cost in costs) for at in (0, 1))
        examples = tuple(work.examples[stage] for stage in group)
        steps.append(Step(examples, tuple(work.each[stage] for stage in group), shard, row))
    return tuple(steps)


_Shards = deque[tuple[Sequence[Step], int, Callable[[], None]]]  # steps, rows, and what follows


@dataclass
class _Simulation:
    """One phase in virtual time, shards of samples and of answers in queues of their own."""

    quotas: Sequence[Quota]
    speed: Speed
    cutting: Cutting
    _samples: _Shards = field(default_factory=deque)
    _answers: _Shards = field(default_factory=deque)

    def run(self) -> float:
        """The seconds that all of it takes."""
        self._clock = Clock(self.speed)
        self._free = {id(queue): self.cutting.shards_in_flight for queue in (self._samples, self._answers)}
        self._given: dict[int, Iterator[Request]] = {}
        for quota in self.quotas:
            progress = _Progress()
            if quota.sampling:
                progress.filtered = progress.sampled = quota.sampled
                progress.accepted = min(quota.target, round(quota.sampled * quota.share))
                self._answer(quota, max(0, progress.accepted - quota.answered))
                self._sample(quota, progress)
            else:
                self._answer(quota, max(0, quota.target - quota.answered))
        self._start()
        return self._clock.run()

    def _sample(self, quota: Quota, progress: _Progress) -> None:
        """Queue what is likely still needed, as the selection does."""
        if progress.accepted >= quota.target:
            return
        stop = samples_needed(
            quota.target,
            progress.sampled,
            progress.filtered,
            progress.accepted,
            self.cutting.floor,
            MOST_ROWS,
        )
        while progress.sampled < stop:
            rows = min(stop - progress.sampled, self.cutting.shard_rows)
            progress.sampled += rows
            self._samples.append((quota.sampling, rows, partial(self._filter, quota, progress, rows)))

    def _filter(self, quota: Quota, progress: _Progress, rows: int) -> None:
        before, progress.filtered = progress.accepted, progress.filtered + rows
        progress.accepted = min(quota.target, round(progress.filtered * quota.share))
        self._answer(quota, progress.accepted - before)
        self._sample(quota, progress)
        self._start()

    def _answer(self, quota: Quota, rows: int) -> None:
        while rows > 0 and quota.answering:
            part = min(rows, self.cutting.shard_rows)
            self._answers.append((quota.answering, part, lambda: None))
            rows -= part

    def _start(self) -> None:
        """Start as many shards as may be in flight."""
        for queue in (self._samples, self._answers):
            while queue and self._free[id(queue)]:
                self._free[id(queue)] -= 1
                steps, rows, then = queue.popleft()
                self._go(queue, list(steps), rows, then)

    def _go(self, queue: _Shards, steps: list[Step], rows: int, then: Callable[[], None]) -> None:
        """Take a shard through its steps."""
        if not steps:
            self._free[id(queue)] += 1
            then()
            self._start()
            return
        step, *rest = steps
        asked = [
            next(self._next(example))
            for example, each in zip(step.examples, step.each, strict=True)
            for _ in range(round(rows * each))
        ]
        go_on = partial(self._go, queue, rest, rows, then)
        self._clock.ask(asked, lambda: self._clock.after(step.shard + step.row * rows, go_on))

    def _next(self, example: tuple[Request, ...]) -> Iterator[Request]:
        """The requests of an example in a fixed random order, over and over."""
        if id(example) not in self._given:
            shuffled = list(example)
            random.Random(0).shuffle(shuffled)
            self._given[id(example)] = itertools.cycle(shuffled)
        return self._given[id(example)]


@dataclass
class _Progress:
    """Rows of a domain so far."""

    sampled: int = 0
    filtered: int = 0
    accepted: int = 0
