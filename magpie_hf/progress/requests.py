"""Requests: which requests of which stage are in flight, and what the finished ones took.

Not here: the speed of engines (meter.py).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from magpie_hf.engines import shares
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
    # Tokens of the requests that finished last, of their prompts, and the engine's seconds for them
    lately: tuple[float, float, float] = 0.0, 0.0, 0.0

    @property
    def rates(self) -> tuple[float, float]:
        """Tokens made and read a second by an engine that works on this stage alone; 0 where not known."""
        made, read, seconds = self.lately
        return (made / seconds, read / seconds) if seconds > 0 else (0.0, 0.0)


class Requests:
    """The requests of a build's engines, in this process."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], _Stage] = {}
        # By engine and begin, with the engine's seconds of each request by then
        self._flying: dict[tuple[str, float], tuple[_Stage, _Shard, float]] = {}
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
            self._flying[engine, at] = stage, shard, shares.each(engine, at)

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
            stage, shard, had = flying
            shard.done += requests
            if prompt_tokens is not None:
                stage.answered += requests
                stage.tokens += tokens
                stage.prompt_tokens += prompt_tokens
                stage.log_tokens += requests * math.log(max(tokens / requests, 1.0))
                kept, seconds = LATELY**requests, requests * (shares.each(engine, at) - had)
                made, read, before = (kept * one for one in stage.lately)
                stage.lately = made + tokens, read + prompt_tokens, before + seconds
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
                        sum(one.journal.ahead for one in under_way),
                    )
                )
            return tuple(told)

    def rates(self, engine: str) -> tuple[float, float] | None:
        """Tokens a second that an engine makes and reads for the requests in flight, where it counts none.

        By what those of their stages that finished last had of the engine's time; None before there are any.
        """
        with self._lock:
            rates = [stage.rates for (name, _), (stage, *_) in self._flying.items() if name == engine]
        known = [one for one in rates if one[0]]  # a stage without finished requests goes like the others
        made, read = (sum(one[at] for one in known) for at in range(2))
        return (made / len(known), read / len(known)) if known else None

    def unfinished_tokens(self, engine: str, now: float, working: int | None) -> float:
        """An estimate of the tokens that the requests in flight have, for an engine that counts none.

        By their shares of the engine's time, as `rates`; 0 before there are finished ones. working: requests
        that the engine works on, None where it does not say: of a long queue nobody knows which are at work,
        so each counts half.
        """
        each = shares.each(engine, now)
        with self._lock:
            flying = [
                (stage, each - had)
                for (name, _), (stage, _, had) in self._flying.items()
                if name == engine and stage.answered
            ]
        if working is not None and working < SHARE_AT_WORK * len(flying):
            whole = sum(stage.tokens / stage.answered for stage, _ in flying)
            return whole * working / len(flying) / 2
        return sum(seconds * stage.rates[0] for stage, seconds in flying)
