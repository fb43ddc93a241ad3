"""Requests: which requests of which stage are in flight, and what the finished ones took.

Not here: the speed of engines (meter.py).
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from magpie_hf.progress.events import StageRequests

if TYPE_CHECKING:
    from magpie_hf.engines.journal import Journal

LATELY = 0.98  # what each finished request leaves of the weight of those before it
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

    engine: str
    shards: dict[int, _Shard] = field(default_factory=dict)  # by their journal's id
    answered: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    log_tokens: float = 0.0
    truncated: int = 0
    lately: tuple[float, float] = 0.0, 0.0  # tokens and seconds of the last requests that finished


class Requests:
    """The requests of a build's engines, in this process."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], _Stage] = {}
        self._flying: dict[tuple[str, float], tuple[_Stage, _Shard]] = {}  # by engine and begin
        self._lock = threading.Lock()

    def start(self, engine: str, at: float, requests: int) -> None:
        """Count started requests; the journal of the calling thread tells their shard."""
        from magpie_hf.engines.journal import current  # imports datasets, which --help does not need

        journal = current()
        if journal.file is None:
            return
        folder = journal.file.parent
        name = folder.parent.name, folder.name.rpartition("-")[0]
        start, stop = map(int, journal.file.stem.split("-")[:2])
        with self._lock:
            stage = self._stages.setdefault(name, _Stage(engine))
            shard = stage.shards.setdefault(id(journal), _Shard(journal, stop - start))
            shard.asked += requests
            self._flying[engine, at] = stage, shard

    def end(
        self,
        engine: str,
        began: float,
        at: float,
        requests: int,
        prompt_tokens: int | None,
        tokens: int,
        truncated: int,
    ) -> None:
        with self._lock:
            if (flying := self._flying.pop((engine, began), None)) is None:
                return
            stage, shard = flying
            shard.done += requests
            if prompt_tokens is not None:
                stage.answered += requests
                stage.tokens += tokens
                stage.prompt_tokens += prompt_tokens
                stage.log_tokens += requests * math.log(max(tokens / requests, 1.0))
                kept = LATELY**requests
                stage.lately = (
                    kept * stage.lately[0] + tokens,
                    kept * stage.lately[1] + requests * (at - began),
                )
                stage.truncated += truncated

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
                    )
                )
            return tuple(told)

    def unfinished_tokens(self, engine: str, now: float, working: int | None) -> float:
        """An estimate of the tokens that the requests in flight have, for an engine that counts none.

        By their ages, and the speed of the requests of their stage that finished last; 0 before there are
        such. working: requests that the engine works on, None where it does not say: of a long queue nobody
        knows the ages at work, so each counts half.
        """
        with self._lock:
            stages = {id(stage): stage for stage in self._stages.values() if stage.lately[1]}
            flying = [
                (began, stages[id(stage)])
                for (name, began), (stage, _) in self._flying.items()
                if name == engine and id(stage) in stages
            ]
        if working is not None and working < SHARE_AT_WORK * len(flying):
            per_stage = Counter(id(stage) for _, stage in flying)
            whole = sum(n * stages[one].tokens / stages[one].answered for one, n in per_stage.items())
            return whole * working / len(flying) / 2
        return sum((now - began) * stage.lately[0] / stage.lately[1] for began, stage in flying)
