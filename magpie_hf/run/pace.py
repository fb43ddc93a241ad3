"""How fast a build is and how long it will take, from the speeds that it recorded (run/speed.jsonl).

Not here: recording them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from magpie_hf.progress.speed import read, tokens_in
from magpie_hf.run.status import Status

RECENT = 60.0  # seconds before the last record that count as "now"


@dataclass(frozen=True)
class Pace:
    """Tokens per second in the last minute (None where nothing runs) and on average, and the seconds left.

    seconds_left: by `tokens_left`, at the average speed; None where that is not known yet, or nothing is
    left. of_all: whether it counts every stage that asks a model, and not only those that have begun.
    """

    tokens_per_second: float | None
    average_tokens_per_second: float
    seconds_left: float | None
    of_all: bool = False


class Load(NamedTuple):
    """What a stage asks for in the whole build, by its plan: requests, tokens, and the rows that ask."""

    requests: float
    tokens: float
    rows: float


def pace(folder: Path, status: Status, planned: Mapping[str, Load] | None = None) -> Pace | None:
    """The pace of the build in `folder`; None where no speeds are recorded.

    planned: the loads of all stages that ask a model; None without a plan.
    """
    spans = [one for one in read(folder) if one["event"] == "interval" and one["seconds"] > 0]
    if not spans:
        return None
    last = max(one["at"] for one in spans)
    average = _rate(spans)
    now = _rate([one for one in spans if one["at"] > last - RECENT]) if status.running else None
    left = tokens_left(status, planned or {})
    return Pace(now, average, left / average if left and average else None, bool(planned))


def tokens_left(status: Status, planned: Mapping[str, Load] = MappingProxyType({})) -> float | None:
    """How many tokens the stages still need; None where that is not known yet.

    A row takes the mean of its stage so far; the stages that have not begun take what was planned, or count
    nothing without a plan. What requests of unfinished shards have is not needed again.
    """
    samples = {}
    for quota in status.selection:
        missing = quota.target - quota.accepted
        if missing > 0 and not quota.accepted:
            return None
        yielded = quota.filtered / quota.accepted if missing > 0 else 0.0
        samples[quota.domain] = quota.filtered + (0 if status.finished else missing * yielded)
    done, missing_rows, under_way, tokens = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for stage in status.stages:
        wanted = samples[stage.domain] if stage.wanted is None else stage.wanted
        done[stage.label] += stage.done
        missing_rows[stage.label] += max(0.0, wanted - stage.done)  # type: ignore[assignment]
        under_way[stage.label] += stage.requests_under_way
        tokens[stage.label] += stage.tokens
    left = 0.0
    for label, missing in missing_rows.items():
        load = planned.get(label)
        if done[label]:
            each = tokens[label] / done[label]
        elif load is not None and load.rows:
            each = load.tokens / load.rows
        else:
            continue
        kept = under_way[label] * load.rows / load.requests if load is not None and load.requests else 0.0
        left += max(0.0, missing - kept) * each
    return left


def _rate(spans: Sequence[dict[str, Any]]) -> float:
    """Tokens per second of the time in which at least one engine was busy."""
    busy, end = 0.0, 0.0
    for one in sorted(spans, key=lambda one: float(one["at"] - one["seconds"])):
        busy += max(0.0, one["at"] - max(end, one["at"] - one["seconds"]))
        end = max(end, one["at"])
    return float(sum(map(tokens_in, spans)) / busy) if busy else 0.0
