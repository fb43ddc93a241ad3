"""Whether two final answers are equal, different, or unknown with a reason.

Not here: extracting an answer from a solution.

Comparing runs in worker processes (`workers`) with limits, so it never hangs, and never raises for an answer.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

from magpie_hf.answers.notation import normalise
from magpie_hf.answers.words import EQUAL, UNKNOWN, compare_words
from magpie_hf.answers.worker_pool import POOL, Lost
from magpie_hf.errors import BadInput

# Half of the cores, since engine, tokenizer and shard threads need the rest. A worker takes about 60 MB;
# eight compare answers faster than one GPU makes them.
PROCESSES = max(
    1,
    min(
        8,
        len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 2) // 2,
    ),
)

LEAST_MEGABYTES = 256  # a worker that has loaded everything and compares small numbers takes 60 to 110


@dataclass(frozen=True)
class Limits:
    """What one pair may cost: processor seconds and megabytes of a worker, and characters of either answer.

    All of them can turn a verdict into unknown, so all compare. The wall clock, at forty times the seconds,
    is only a backstop.
    """

    seconds: float = 5.0
    megabytes: int = 1024
    characters: int = 2000

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", float(self.seconds))
        if not self.seconds > 0 or self.megabytes < LEAST_MEGABYTES or self.characters < 1:
            raise BadInput(
                f"{self} leaves no room to compare anything; give seconds and characters, and"
                f" {LEAST_MEGABYTES} megabytes"
            )


@dataclass(frozen=True)
class Verdict:
    """The relation of two answers, with a reason where it is unknown.

    relation: equal, different (something shows it) or unknown.
    reason: "too_long", "empty", "not_decided", "time", "memory", "stalled" (too little processor time),
        "killed" (from outside), "died", or the name of the error of math-verify or sympy.
    """

    relation: str
    reason: str | None = None


_PATIENCE = (
    40.0  # wall seconds per processor second: other processes may have the cores, and a worker is nice
)
_DEFAULT = Limits()


def compare(one: str, other: str, limits: Limits = _DEFAULT, processes: int = PROCESSES) -> Verdict:
    """The relation of two final answers, in either order. Thread-safe.

    "different" means that something shows it. Two right answers in different notations may be unknown, so
    unknown is not wrong. Raises EngineError where no worker can be started (math-verify is missing).
    """
    if max(len(one), len(other)) > limits.characters:
        return Verdict(EQUAL) if one == other else Verdict(UNKNOWN, "too_long")
    first, second = sorted((normalise(one), normalise(other)))
    if not first:
        return Verdict(UNKNOWN, "empty")
    if first == second:
        return Verdict(EQUAL)
    if said := compare_words(first, second):
        return Verdict(said)
    key = (first, second, limits)
    if (kept := _CACHE.get(key)) is None:
        kept = _asked(first, second, limits, processes)
        _CACHE.put(key, kept)
    return kept


def is_readable(answer: str, limits: Limits = _DEFAULT, processes: int = PROCESSES) -> bool:
    """Whether a reward can check this answer as a ground truth.

    math-verify must read it in a box and find it equal to itself.
    """
    return len(answer) <= limits.characters and _asked(answer, None, limits, processes).relation == EQUAL


def _asked(first: str, second: str | None, limits: Limits, processes: int) -> Verdict:
    try:
        relation, reason, _ = POOL.ask(
            [[first, second], limits.seconds, limits.megabytes], _PATIENCE * limits.seconds, processes
        )
    except Lost as lost:
        return Verdict(UNKNOWN, str(lost))
    return Verdict(relation, reason)


class _Cache:
    """The most recently used verdicts, by pair."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, str, Limits], Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: tuple[str, str, Limits]) -> Verdict | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, str, Limits], verdict: Verdict) -> None:
        if verdict.reason in ("killed", "stalled"):
            return  # says nothing about the pair
        with self._lock:
            self._kept[key] = verdict
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


_CACHE = _Cache(65_536)
