"""`run/speed.jsonl`: when engines were opened and how fast they were, a JSON object a line.

Not here: the measuring (recorder.py, meter.py).

All builds of a folder append to the file; a line survives the end of the process. Every line has `event` and
`at` (seconds since 1970), and by event:

- opened: `engine`, `seconds` of loading, `restart`;
- interval: `engine`, `seconds`, mean requests `running`; of the requests that finished in it, `requests`,
  `prompt_tokens` and `tokens`; where the engine counts, `counted`: tokens that it made in it;
- closed: `engine`;
- build: `what` (began, finished or stopped), `seconds` since it began.

A request's tokens are known when it ends, and belong to its whole life. Those that belong to intervals before
the line's stand in `earlier`, the latest first, and `read` adds them there.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from magpie_hf.progress.meter import Interval

LOG = logging.getLogger("magpie_hf")
NAME = "speed.jsonl"
SUSTAINED_SECONDS = 30.0
_FIELDS = {
    "opened": {"at", "engine", "seconds", "restart"},
    "interval": {"at", "engine", "seconds", "running", "requests", "prompt_tokens", "tokens"},
    "closed": {"at", "engine"},
    "build": {"at", "what", "seconds"},
}


class SpeedFile:
    """The file of a build, in its folder `run/`. If it cannot be written, a warning is logged once."""

    def __init__(self, run: Path) -> None:
        self._broken = False
        self._handle = os.open(run / NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":  # of a build that was killed while it wrote
            os.write(self._handle, b"\n")

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        self._write("opened", time.time(), engine=engine, seconds=round(seconds, 3), restart=restart)

    def interval(self, engine: str, made: Interval, counted: int | None = None) -> None:
        values = {
            "running": round(made.running, 2),
            "requests": made.requests,
            "prompt_tokens": made.prompt_tokens,
            "tokens": made.tokens,
        }
        more: dict[str, Any] = {"earlier": made.earlier} if made.earlier else {}
        if counted is not None:
            more["counted"] = counted
        at = time.time() - (time.monotonic() - made.end)
        self._write("interval", at, engine=engine, seconds=round(made.seconds, 3), **values, **more)

    def closed(self, engine: str) -> None:
        self._write("closed", time.time(), engine=engine)

    def build(self, what: str, seconds: float) -> None:
        self._write("build", time.time(), what=what, seconds=round(seconds, 3))

    def close(self) -> None:
        os.close(self._handle)

    def _write(self, event: str, at: float, **values: Any) -> None:
        line = f"{json.dumps({'event': event, 'at': round(at, 3), **values})}\n".encode()
        try:
            if not self._broken and os.write(self._handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._broken = True
            LOG.warning(
                "%s cannot be written (%s), so the rest of this build's speed is not kept",
                NAME,
                error.strerror,
            )


def best(events: Sequence[Mapping[str, Any]], engine: str) -> float | None:
    """The peak speed of an engine over SUSTAINED_SECONDS without a pause, in completion tokens a second.

    None where it never ran so long.
    """
    rates = []
    mine = [event for event in events if event["event"] == "interval" and event["engine"] == engine]
    for first in range(len(mine)):
        seconds, tokens = 0.0, 0
        for at in range(first, len(mine)):
            if at > first and mine[at]["at"] - mine[at]["seconds"] - mine[at - 1]["at"] > 0.5:
                break
            seconds, tokens = seconds + mine[at]["seconds"], tokens + tokens_in(mine[at])
            if seconds >= SUSTAINED_SECONDS:
                rates.append(tokens / seconds)
                break
    return max(rates, default=0.0) or None  # no request may have ended yet


def tokens_in(interval: Mapping[str, Any]) -> int:
    """The tokens that were made in an interval: by the engine's counter, or else of finished requests."""
    return int(interval.get("counted", interval["tokens"]))


def read(folder: Path) -> list[dict[str, Any]]:
    """The events of all builds in a build's folder, in order; none where there is no file.

    Torn lines, and lines that no build writes, are skipped.
    """
    file = folder / "run" / NAME
    events: list[dict[str, Any]] = []
    intervals: dict[str, list[dict[str, Any]]] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not (isinstance(event, dict) and _FIELDS.get(str(event.get("event")), {"?"}) <= set(event)):
            continue
        events.append(event)
        if event["event"] == "interval":
            before = intervals.setdefault(event["engine"], [])
            for back, tokens in enumerate(event.pop("earlier", ()), start=1):
                (before[-back] if back <= len(before) else event)["tokens"] += tokens
            before.append(event)
    return events
