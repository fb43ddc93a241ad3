"""How fast a build is and how long it will take, from the speeds that it recorded (run/speed.jsonl).

Not here: recording them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magpie_hf.progress.speed import read, tokens_in
from magpie_hf.run.status import Status

RECENT = 60.0  # seconds before the last record that count as "now"


@dataclass(frozen=True)
class Pace:
    """Tokens per second in the last minute (None where nothing runs) and on average, and the seconds left.

    seconds_left: for the stages that have begun, from their mean tokens per row and from the samples that
    the selection needs at its yield so far. None where that is not known yet, or nothing is left.
    """

    tokens_per_second: float | None
    average_tokens_per_second: float
    seconds_left: float | None


def pace(folder: Path, status: Status) -> Pace | None:
    """The pace of the build in `folder`; None where no speeds are recorded."""
    spans = [one for one in read(folder) if one["event"] == "interval" and one["seconds"] > 0]
    if not spans:
        return None
    last = max(one["at"] for one in spans)
    average = _rate(spans)
    now = _rate([one for one in spans if one["at"] > last - RECENT]) if status.running else None
    left = tokens_left(status)
    return Pace(now, average, left / average if left and average else None)


def tokens_left(status: Status) -> float | None:
    """How many tokens the stages that have begun still need; None where that is not known yet."""
    needed = {}
    for quota in status.selection:
        missing = quota.target - quota.accepted
        if missing > 0 and not quota.accepted:
            return None
        needed[quota.domain] = quota.filtered + (
            missing * quota.filtered / quota.accepted if missing > 0 else 0
        )
    rows, tokens = Counter[str](), Counter[str]()
    for stage in status.stages:
        rows[stage.label] += stage.rows
        tokens[stage.label] += stage.tokens
    missing_rows = ((stage.label, max(0.0, needed[stage.domain] - stage.rows)) for stage in status.stages)
    return sum(count * tokens[label] / rows[label] for label, count in missing_rows if rows[label])


def _rate(spans: Sequence[dict[str, Any]]) -> float:
    """Tokens per second of the time in which at least one engine was busy."""
    busy, end = 0.0, 0.0
    for one in sorted(spans, key=lambda one: float(one["at"] - one["seconds"])):
        busy += max(0.0, one["at"] - max(end, one["at"] - one["seconds"]))
        end = max(end, one["at"])
    return float(sum(map(tokens_in, spans)) / busy) if busy else 0.0
