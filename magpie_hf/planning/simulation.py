"""The walk of a build in virtual time, shard by shard as `walk` and `session` go through it. Not here: how fast an engine is."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from magpie_hf.domains import MOST_ROWS
from magpie_hf.planning.engine import Clock, Request, Speed
from magpie_hf.selection.demand import draws_wanted

MOST_REQUESTS = 4_000  # that are simulated one by one; of a larger build, the rest goes on as the second half of these did


@dataclass(frozen=True)
class Step:
    """What is asked of the engine: of each of the kinds in `samples`, `each` requests a row; then seconds of CPU, a shard and a row."""

    samples: tuple[tuple[Request, ...], ...]
    each: tuple[float, ...]
    shard: float = 0.0
    row: float = 0.0

    @property
    def requests(self) -> float:
        return sum(self.each)


@dataclass(frozen=True)
class Lane:
    """One domain: problems wanted, the share of the draws that is accepted, and what there is already: rows drawn and rows answered.

    drawing, answering: what a row goes through before and after it is judged, in this phase; () where another phase has done it.
    """

    target: int
    share: float
    drawing: tuple[Step, ...]
    answering: tuple[Step, ...]
    drawn: int = 0
    answered: int = 0

    @property
    def requests(self) -> float:
        draws = max(0.0, self.target / self.share - self.drawn)
        answers = max(0, self.target - self.answered)
        return draws * sum(step.requests for step in self.drawing) + answers * sum(step.requests for step in self.answering)

    def scaled(self, factor: float) -> Lane:
        return replace(
            self,
            target=max(1, round(self.target * factor)),
            drawn=round(self.drawn * factor),
            answered=round(self.answered * factor),
        )


@dataclass(frozen=True)
class Cutting:
    """Rows of a shard, how many shards are under way at once, and the least yield that is reckoned with."""

    shard_rows: int = 256
    shards_in_flight: int = 8
    floor: float = 0.02


def seconds_of(lanes: Sequence[Lane], speed: Speed, cutting: Cutting, engines: int = 1) -> float:
    """Seconds of one phase on `engines` engines that are as fast as this one, without loading them."""
    asked = sum(lane.requests for lane in lanes)
    if not asked:
        return 0.0
    if engines > 1:
        lanes = [lane.scaled(1 / engines) for lane in lanes]
    part = MOST_REQUESTS * engines / asked
    if part >= 1:
        return _Phase(lanes, speed, cutting).run()
    whole, half = (_Phase([lane.scaled(part * of) for lane in lanes], speed, cutting).run() for of in (1.0, 0.5))
    return whole + (whole - half) / (part / 2) * (1 - part)


@dataclass
class _Phase:
    lanes: Sequence[Lane]
    speed: Speed
    cutting: Cutting
    _draws: deque[tuple[Sequence[Step], int, Callable[[], None]]] = field(default_factory=deque)
    _answers: deque[tuple[Sequence[Step], int, Callable[[], None]]] = field(default_factory=deque)

    def run(self) -> float:
        self._clock = Clock(self.speed)
        self._free = {id(queue): self.cutting.shards_in_flight for queue in (self._draws, self._answers)}
        self._given: dict[int, Iterator[Request]] = {}
        for lane in self.lanes:
            progress = _Progress(lane)
            if lane.drawing:
                progress.judged = progress.drawn = lane.drawn
                progress.accepted = min(lane.target, round(lane.drawn * lane.share))
                self._answer(lane, max(0, progress.accepted - lane.answered))
                self._draw(lane, progress)
            else:
                self._answer(lane, max(0, lane.target - lane.answered))
        self._start()
        return self._clock.run()

    def _draw(self, lane: Lane, progress: _Progress) -> None:
        """Queue what is likely still needed, as the harvest does."""
        if progress.accepted >= lane.target:
            return
        stop = draws_wanted(lane.target, progress.drawn, progress.judged, progress.accepted, self.cutting.floor, MOST_ROWS)
        while progress.drawn < stop:
            rows = min(stop - progress.drawn, self.cutting.shard_rows)
            progress.drawn += rows
            self._draws.append((lane.drawing, rows, lambda rows=rows: self._judge(lane, progress, rows)))  # type: ignore[misc]

    def _judge(self, lane: Lane, progress: _Progress, rows: int) -> None:
        before, progress.judged = progress.accepted, progress.judged + rows
        progress.accepted = min(lane.target, round(progress.judged * lane.share))
        self._answer(lane, progress.accepted - before)
        self._draw(lane, progress)
        self._start()

    def _answer(self, lane: Lane, rows: int) -> None:
        while rows > 0 and lane.answering:
            part = min(rows, self.cutting.shard_rows)
            self._answers.append((lane.answering, part, lambda: None))
            rows -= part

    def _start(self) -> None:
        """Begin what a worker is free for."""
        for queue in (self._draws, self._answers):
            while queue and self._free[id(queue)]:
                self._free[id(queue)] -= 1
                steps, rows, then = queue.popleft()
                self._go(queue, list(steps), rows, then)

    def _go(
        self, queue: deque[tuple[Sequence[Step], int, Callable[[], None]]], steps: list[Step], rows: int, then: Callable[[], None]
    ) -> None:
        if not steps:
            self._free[id(queue)] += 1
            then()
            self._start()
            return
        step, *rest = steps
        asked = [next(self._next(sample)) for sample, each in zip(step.samples, step.each, strict=True) for _ in range(round(rows * each))]
        self._clock.ask(asked, lambda: self._clock.after(step.shard + step.row * rows, lambda: self._go(queue, rest, rows, then)))

    def _next(self, sample: tuple[Request, ...]) -> Iterator[Request]:
        if id(sample) not in self._given:
            shuffled = list(sample)
            random.Random(0).shuffle(shuffled)
            self._given[id(sample)] = itertools.cycle(shuffled)
        return self._given[id(sample)]


@dataclass
class _Progress:
    lane: Lane
    drawn: int = 0
    judged: int = 0
    accepted: int = 0


def share_of(accepted: int, judged: int) -> float:
    """The yield that so many of so many draws make likely."""
    return (accepted + 0.5) / (judged + 1)
