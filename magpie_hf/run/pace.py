"""How fast a build is, and how long it goes on, from what its engines wrote down meanwhile (run/speed.jsonl).

Not here: who writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magpie_hf.progress.speed import read
from magpie_hf.run.status import Status

RECENT = 60.0  # seconds before the last line that are "now"


@dataclass(frozen=True)
class Pace:
    """Tokens a second in the last minute (null where nothing runs) and on average, and the seconds that are
    left at that.

    seconds_left: of the stages that have begun, by the tokens that a row of theirs took so far and the
    samples that the selection still needs at its yield; null where that cannot be known yet, or nothing is
    left.
    """

    tokens_per_second: float | None
    average_tokens_per_second: float
    seconds_left: float | None


def pace(folder: Path, status: Status) -> Pace | None:
    """The pace of the build in `folder`; None where no engine wrote anything down."""
    spans = [one for one in read(folder) if one["event"] == "interval" and one["seconds"] > 0]
    if not spans:
        return None
    last = max(one["at"] for one in spans)
    average = _rate(spans)
    now = _rate([one for one in spans if one["at"] > last - RECENT]) if status.running else None
    left = tokens_left(status)
    return Pace(now, average, left / average if left and average else None)


def tokens_left(status: Status) -> float | None:
    """How many tokens the stages that have begun are still to make; None where nothing tells."""
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
    """Tokens a second of the time in which any engine had something to do."""
    busy, end = 0.0, 0.0
    for one in sorted(spans, key=lambda one: float(one["at"] - one["seconds"])):
        busy += max(0.0, one["at"] - max(end, one["at"] - one["seconds"]))
        end = max(end, one["at"])
    return float(sum(one["tokens"] for one in spans) / busy) if busy else 0.0
