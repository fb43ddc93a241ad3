"""Requests: which requests of which stage are in flight, and what the finished ones took.

Not here: the speed of engines (meter.py).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from magpie_hf.engines import shares
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.progress.events import StageRequests

if TYPE_CHECKING:
    from magpie_hf.engines.journal import Journal

LATELY = 0.995  # what each finished request leaves of the weight of those before it
SHARE_AT_WORK = 0.9  # of the requests in flight, from which on hardly any waits


@dataclass
class _Shard:
    """A shard under way, which its journal names: its stage's folder, and its rows."""

    journal: Journal
    rows: int
    asked: int = 0
    done: int = 0


@dataclass
class _Stage:
    """A stage of a domain, with what its finished requests took."""

    shards: dict[int, _Shard] = field(default_factory=dict)  # by their journal's id
    answered: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    log_tokens: float = 0.0
    truncated: int = 0
    # Tokens of the requests that finished last, of their prompts, and what they had of the engine, as
    # `shares.paced` says
    lately: tuple[float, float, float] = 0.0, 0.0, 0.0

    def add(self, requests: int, outcome: Outcome, paced: float) -> None:
        """Count finished requests, which had so much of the engine."""
        self.answered += requests
        self.tokens += outcome.tokens
        self.prompt_tokens += outcome.prompt_tokens
        self.log_tokens += requests * math.log(max(outcome.tokens / requests, 1.0))
        self.truncated += outcome.truncated
        made, read, before = (LATELY**requests * one for one in self.lately)
        self.lately = made + outcome.tokens, read + outcome.prompt_tokens, before + paced

    @property
    def pace(self) -> float | None:
        """What a token of the requests that finished last takes: with n in flight, (KNEE + n) times as many
        seconds.
        """
        made, _, paced = self.lately
        return paced / made if made else None

    def rates(self, flying: int) -> tuple[float, float]:
        """Tokens made and read a second by an engine with so many requests; 0 where not known."""
        made, read, paced = self.lately
        each = flying / (shares.KNEE + flying)
        return (each * made / paced, each * read / paced) if paced > 0 else (0.0, 0.0)


class Requests:
    """The requests of a build's engines, in this process."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], _Stage] = {}
        # By engine and begin, with what each request that was there had had of the engine by then
        self._flying: dict[tuple[str, float], tuple[_Stage, _Shard, float]] = {}
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
            stage = self._stages.setdefault(name, _Stage())
            shard = stage.shards.setdefault(id(journal), _Shard(journal, stop - first))
            shard.asked += start.requests
            self._flying[start.engine, start.at] = stage, shard, shares.paced(start.engine, start.at)

    def end(self, start: Start, at: float, outcome: Outcome | None) -> None:
        with self._lock:
            if (flying := self._flying.pop((start.engine, start.at), None)) is None:
                return
            stage, shard, had = flying
            shard.done += start.requests
            if outcome is not None:
                stage.add(start.requests, outcome, start.requests * (shares.paced(start.engine, at) - had))

    def stages(self) -> tuple[StageRequests, ...]:
        """How far each stage is; a shard whose stage has ended is under way no more."""
        with self._lock:
            told = []
            for (domain, label), stage in self._stages.items():
                stage.shards = {key: one for key, one in stage.shards.items() if not one.journal.closed}
                under_way = stage.shards.values()
                told.append(
                    StageRequests(
                        domain,
                        label,
                        sum(one.rows for one in under_way),
                        sum(one.asked for one in under_way),
                        sum(one.done for one in under_way),
                        stage.answered,
                        stage.tokens,
                        stage.prompt_tokens,
                        round(stage.log_tokens, 3),
                        stage.truncated,
                        stage.pace,
                        sum(one.journal.ahead for one in under_way),
                    )
                )
            return tuple(told)

    def rates(self, engine: str) -> tuple[float, float] | None:
        """Tokens a second that an engine makes and reads for the requests in flight, where it counts none.

        By what those of their stages that finished last had of the engine's time; None before there are any.
        """
        with self._lock:
            stages = [stage for (name, _), (stage, *_) in self._flying.items() if name == engine]
            rates = [stage.rates(len(stages)) for stage in stages]
        known = [one for one in rates if one[0]]  # a stage without finished requests goes like the others
        made, read = (sum(one[at] for one in known) for at in range(2))
        return (made / len(known), read / len(known)) if known else None

    def unfinished_tokens(self, engine: str, now: float, working: int | None) -> float:
        """An estimate of the tokens that the requests in flight have, for an engine that counts none.

        By their shares of the engine's time, as `rates`; 0 before there are finished ones. working: requests
        that the engine works on, None where it does not say: of a long queue nobody knows which are at work,
        so each counts half.
        """
        each = shares.paced(engine, now)
        with self._lock:
            flying = [
                (stage, each - had)
                for (name, _), (stage, _, had) in self._flying.items()
                if name == engine and stage.answered
            ]
        if working is not None and working < SHARE_AT_WORK * len(flying):
            whole = sum(stage.tokens / stage.answered for stage, _ in flying)
            return whole * working / len(flying) / 2
        return sum(paced / stage.pace for stage, paced in flying if stage.pace)
