"""Requests: which requests of which stage are in flight, and what the finished ones took.

Not here: the speed of engines (meter.py).
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from magpie_hf.engines import meter
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.progress.events import StageRequests
from magpie_hf.progress.paces import KEPT, KNEES, NOTHING, Paced, Parts

if TYPE_CHECKING:
    from magpie_hf.engines.journal import Journal, Kept


@dataclass
class _Shard:
    """A shard under way, which its journal names: its stage's folder, and its rows.

    cut: truncated answers by their tokens, until those that have so many are asked to go on; longer: requests
    by which they were; longer_tokens: what all in flight had that were.
    """

    journal: Journal
    rows: int
    asked: int
    done: int
    cut: Counter[int] = field(default_factory=Counter)
    longer: int = 0
    longer_tokens: int = 0
    _going_on: Counter[int] = field(default_factory=Counter)  # such answers, that may still be asked

    def start(self, start: Start) -> int:
        """Count started requests; of these, those by which an answer of this shard goes on.

        They are asked for one after the other: of truncated ones that have as many tokens no other goes on.
        """
        self.asked += start.requests
        if not start.had:
            return 0
        self.longer_tokens += start.had
        self._going_on[start.had] += self.cut.pop(start.had, 0)
        longer = min(start.requests, self._going_on[start.had])
        self._going_on[start.had] -= longer
        self.longer += longer
        return longer

    def end(self, start: Start, outcome: Outcome | None) -> None:
        """Count ended requests, and the truncated ones of them."""
        self.done += start.requests
        self.longer_tokens -= start.had
        if outcome is not None and outcome.truncated and outcome.more is not None:
            had = start.had if start.resumed else 0
            self.cut[had + outcome.tokens // start.requests] += outcome.truncated


class _Begun(NamedTuple):
    """Requests that have begun, and when: what each that was there had had of the engine, and its prompt
    tokens by then.
    """

    name: tuple[str, str]
    requests: int
    at: float
    had: Parts
    prompts: int


@dataclass
class _Stage:
    """A stage of a domain, with what its finished requests took."""

    engine: str
    shards: dict[int, _Shard] = field(default_factory=dict)  # by their journal's id
    answered: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    # Of answers that stopped by themselves, whole: their tokens, and the sum of the logarithms of each one's
    complete_tokens: int = 0
    log_tokens: float = 0.0
    resumed_tokens: int = 0  # of prompts
    truncated: int = 0
    longer: int = 0  # requests by which truncated answers went on
    anew: bool = False  # whether truncated answers begin anew
    flying: int = 0
    before: Parts = NOTHING  # what those in flight had had of the engine when they began, added up
    # Tokens of the requests that finished last, and what these had of the engine. A rating, which has none,
    # counts as one
    lately: tuple[float, Parts] = 0.0, NOTHING

    def take_over(self, kept: Iterable[Kept]) -> None:
        """Count what an earlier build had of a shard, as if this one had made it."""
        for one in kept:
            self.answered += 1
            self.tokens += one.tokens
            self.prompt_tokens += one.prompt_tokens
            if one.finish_reason == "stop":
                self.complete_tokens += one.tokens
                self.log_tokens += math.log(max(one.tokens, 1))
            else:
                self.truncated += 1

    def fly(self, requests: int, had: Parts) -> None:
        """Count started requests, or ended ones as fewer."""
        self.flying += requests
        sums = zip(self.before, had, strict=True)
        self.before = tuple(one + requests * part for one, part in sums) if self.flying else NOTHING

    def add(self, start: Start, outcome: Outcome, parts: Parts) -> None:
        """Count finished requests, each of which had so much of the engine."""
        requests = start.requests
        self.answered += requests
        self.tokens += outcome.tokens
        self.prompt_tokens += outcome.prompt_tokens
        resumed = start.had if start.resumed else 0
        self.resumed_tokens += resumed
        self.truncated += outcome.truncated
        if outcome.truncated:
            self.anew = self.anew if outcome.more is None else outcome.more == "anew"
        else:
            whole = resumed + outcome.tokens
            self.complete_tokens += whole
            self.log_tokens += requests * math.log(max(whole / requests, 1.0))
        kept, (made, before) = KEPT**requests, self.lately
        had = tuple(kept * one + requests * part for one, part in zip(before, parts, strict=True))
        self.lately = kept * made + max(outcome.tokens, requests), had

    def pace(self, knee: int) -> float | None:
        """The pace of the requests that finished last, for the knee at this place of `KNEES`."""
        made, had = self.lately
        return had[knee] / made if made else None

    def unfinished(self, knee: int, now: Parts) -> float:
        """Tokens of those in flight by that pace; 0 before it is known."""
        if not (pace := self.pace(knee)):
            return 0.0
        return max(0.0, self.flying * now[knee] - self.before[knee]) / pace


class Requests:
    """The requests of a build's engines, in this process."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], _Stage] = {}
        self._engines: dict[str, Paced] = defaultdict(Paced)
        # By engine and start; those that have begun in their order
        self._flying: dict[tuple[str, float], tuple[tuple[str, str], _Shard]] = {}
        self._begun: dict[tuple[str, float], _Begun] = {}
        self._lock = threading.Lock()

    def start(self, start: Start) -> None:
        """Count started requests; the journal of the calling thread tells their shard."""
        from magpie_hf.engines.journal import current  # imports datasets, which --help does not need

        journal = current()
        if journal.file is None:
            return
        folder = journal.file.parent
        name = folder.parent.name, folder.name.rpartition("-")[0]
        first, stop = map(int, journal.file.stem.split("-")[:2])
        with self._lock:
            stage = self._stages.setdefault(name, _Stage(start.engine))
            if (shard := stage.shards.get(id(journal))) is None:
                kept = journal.kept
                shard = _Shard(journal, stop - first, len(kept), len(kept))
                shard.cut.update(one.tokens for one in kept if one.finish_reason == "length")
                stage.shards[id(journal)] = shard
                stage.take_over(kept)
            stage.longer += shard.start(start)
            self._flying[start.engine, start.at] = name, shard
        if not start.waits:
            self.begin(start, start.at)

    def begin(self, start: Start, at: float) -> None:
        """Their engine has these requests."""
        with self._lock:
            if (flying := self._flying.get((start.engine, start.at))) is None:
                return
            engine = self._engines[start.engine]
            had = engine.move(at)
            name, _ = flying
            self._begun[start.engine, start.at] = _Begun(name, start.requests, at, had, engine.prompts)
            self._stages[name].fly(start.requests, had)
            engine.flying += start.requests
            engine.prompts += start.prompt_tokens

    def end(self, start: Start, at: float, outcome: Outcome | None) -> None:
        with self._lock:
            if (flying := self._flying.pop((start.engine, start.at), None)) is None:
                return
            name, shard = flying
            stage = self._stages[name]
            shard.end(start, outcome)
            engine, parts = self._engines[start.engine], NOTHING
            if (begun := self._begun.pop((start.engine, start.at), None)) is not None:
                parts = _since(begun.had, engine.move(at))
                engine.flying -= start.requests
                stage.fly(-start.requests, begun.had)
                if outcome is not None:
                    mean = outcome.tokens / start.requests
                    engine.learn(mean, parts, at - begun.at, engine.prompts - begun.prompts)
            if outcome is not None:
                stage.add(start, outcome, parts)

    def stages(self) -> tuple[StageRequests, ...]:
        """How far each stage is; a shard whose stage has ended is under way no more."""
        with self._lock:
            told, now, working = [], time.monotonic(), self._working()
            for (domain, label), stage in self._stages.items():
                stage.shards = {key: one for key, one in stage.shards.items() if not one.journal.closed}
                under_way, engine = stage.shards.values(), self._engines[stage.engine]
                knee = engine.knee
                told.append(
                    StageRequests(
                        domain,
                        label,
                        rows=sum(one.rows for one in under_way),
                        asked=sum(one.asked for one in under_way),
                        done=sum(one.done for one in under_way),
                        answered=stage.answered,
                        tokens=stage.tokens,
                        prompt_tokens=stage.prompt_tokens,
                        complete_tokens=stage.complete_tokens,
                        log_tokens=round(stage.log_tokens, 3),
                        truncated=stage.truncated,
                        pace=stage.pace(knee),
                        knee=KNEES[knee],
                        prompt_seconds=engine.prompt_seconds,
                        ahead=sum(one.journal.ahead for one in under_way),
                        unfinished_tokens=round(stage.unfinished(knee, engine.move(now)), 1),
                        working=working[domain, label],
                        cut=tuple(sorted(sum((one.cut for one in under_way), Counter[int]()).items())),
                        longer=sum(one.longer for one in under_way),
                        longer_tokens=sum(one.longer_tokens for one in under_way),
                        longer_in_all=stage.longer,
                        resumed_tokens=stage.resumed_tokens,
                        anew=stage.anew,
                    )
                )
            return tuple(told)

    def rate(self, engine: str) -> float | None:
        """Tokens a second that an engine which counts none makes for the requests in flight.

        By the paces of their stages; None before any is known, and for ratings.
        """
        with self._lock:
            knee = self._engines[engine].knee
            stages = self._flying_of(engine)
            # A stage without finished requests goes like the others
            known = [(one.flying, pace) for one in stages if one.tokens and (pace := one.pace(knee))]
            flying = sum(one.flying for one in stages)
        if not known:
            return None
        speed = sum(count / pace for count, pace in known) / sum(count for count, _ in known)
        return flying / (KNEES[knee] + flying) * speed

    def unfinished_tokens(self, engine: str, now: float) -> float:
        """An estimate of the tokens that the requests in flight have, for an engine that counts none.

        By the paces of their stages; 0 before any is known.
        """
        with self._lock:
            knee = self._engines[engine].knee
            each = self._engines[engine].move(now)
            return sum(one.unfinished(knee, each) for one in self._flying_of(engine) if one.tokens)

    def _working(self) -> Counter[tuple[str, str]]:
        """How many requests of each stage their engines work on: of those that have begun, the first ones."""
        room = {one.engine: math.inf for one in self._stages.values()}
        room |= {engine: one.running for engine in room if (one := meter.counted(engine)) is not None}
        working = Counter[tuple[str, str]]()
        for (engine, _), begun in self._begun.items():
            taken = min(begun.requests, room[engine])
            working[begun.name] += round(taken)
            room[engine] -= taken
        return working

    def _flying_of(self, engine: str) -> list[_Stage]:
        """The stages with requests in flight."""
        return [one for one in self._stages.values() if one.engine == engine and one.flying]


def _since(before: Parts, now: Parts) -> Parts:
    return tuple(one - other for one, other in zip(now, before, strict=True))
