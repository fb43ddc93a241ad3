"""A build in virtual time, shard by shard as `building` and `run.session` work through it.

Not here: how fast an engine is.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from magpie_hf.domains import MOST_ROWS
from magpie_hf.planning.engine import Clock, Request, Speed
from magpie_hf.selection.demand import samples_needed

# That are simulated one by one; of a larger build, the rest goes on as the second half of these did
MOST_REQUESTS = 4_000


@dataclass(frozen=True)
class Step:
    """What is asked of the engine: of each of the kinds in `examples`, `each` requests a row; then seconds of
    CPU, a shard and a row.
    """

    examples: tuple[tuple[Request, ...], ...]
    each: tuple[float, ...]
    shard: float = 0.0
    row: float = 0.0

    @property
    def requests(self) -> float:
        return sum(self.each)


@dataclass(frozen=True)
class Quota:
    """One domain: problems wanted, the share of the samples that is accepted, and what there is already: rows
    sampled and rows answered.

    sampling, answering: what a row goes through before and after it is filtered, in this phase; () where
    another phase has done it.
    """

    target: int
    share: float
    sampling: tuple[Step, ...]
    answering: tuple[Step, ...]
    sampled: int = 0
    answered: int = 0

    @property
    def requests(self) -> float:
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


@dataclass(frozen=True)
class Cutting:
    """Rows of a shard, how many shards are under way at once, and the least yield that is assumed."""

    shard_rows: int = 256
    shards_in_flight: int = 8
    floor: float = 0.02


def seconds_of(quotas: Sequence[Quota], speed: Speed, cutting: Cutting, engines: int = 1) -> float:
    """Seconds of one phase on `engines` engines that are as fast as this one, without loading them."""
    asked = sum(quota.requests for quota in quotas)
    if not asked:
        return 0.0
    if engines > 1:
        quotas = [quota.scaled(1 / engines) for quota in quotas]
    part = MOST_REQUESTS * engines / asked
    if part >= 1:
        return _Phase(quotas, speed, cutting).run()
    whole, half = (
        _Phase([quota.scaled(part * of) for quota in quotas], speed, cutting).run() for of in (1.0, 0.5)
    )
    return whole + (whole - half) / (part / 2) * (1 - part)


@dataclass
class _Phase:
    quotas: Sequence[Quota]
    speed: Speed
    cutting: Cutting
    _samples: deque[tuple[Sequence[Step], int, Callable[[], None]]] = field(default_factory=deque)
    _answers: deque[tuple[Sequence[Step], int, Callable[[], None]]] = field(default_factory=deque)

    def run(self) -> float:
        self._clock = Clock(self.speed)
        self._free = {id(queue): self.cutting.shards_in_flight for queue in (self._samples, self._answers)}
        self._given: dict[int, Iterator[Request]] = {}
        for quota in self.quotas:
            progress = _Progress(quota)
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
        """Begin what a worker is free for."""
        for queue in (self._samples, self._answers):
            while queue and self._free[id(queue)]:
                self._free[id(queue)] -= 1
                steps, rows, then = queue.popleft()
                self._go(queue, list(steps), rows, then)

    def _go(
        self,
        queue: deque[tuple[Sequence[Step], int, Callable[[], None]]],
        steps: list[Step],
        rows: int,
        then: Callable[[], None],
    ) -> None:
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
        self._clock.ask(
            asked,
            lambda: self._clock.after(
                step.shard + step.row * rows, lambda: self._go(queue, rest, rows, then)
            ),
        )

    def _next(self, example: tuple[Request, ...]) -> Iterator[Request]:
        if id(example) not in self._given:
            shuffled = list(example)
            random.Random(0).shuffle(shuffled)
            self._given[id(example)] = itertools.cycle(shuffled)
        return self._given[id(example)]


@dataclass
class _Progress:
    quota: Quota
    sampled: int = 0
    filtered: int = 0
    accepted: int = 0


def share_of(accepted: int, filtered: int) -> float:
    """The yield that so many of so many samples make likely."""
    return (accepted + 0.5) / (filtered + 1)
