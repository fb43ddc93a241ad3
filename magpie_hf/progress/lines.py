"""Views of a build in lines: plain ones for people, JSON for programs, and the quiet view.

Not here: the live view (live.py).
"""

from __future__ import annotations

import json
import math
import time
from typing import Protocol, TextIO

from magpie_hf.progress import messages
from magpie_hf.progress.board import Board
from magpie_hf.progress.events import (
    Ended,
    EngineClosed,
    EngineOpened,
    Event,
    Planned,
    Said,
    SelectionMoved,
    ShardFinished,
    Speed,
    UnderWay,
    as_json,
)
from magpie_hf.text.language import tr
from magpie_hf.text.numbers import clock
from magpie_hf.text.terminal import unheard

EVERY_SECONDS = 30.0
EVENT_SECONDS = 9.5  # between two printed speeds, which come every second or a little later


class View(Protocol):
    """What shows a build.

    `take` is called in any thread, one call at a time, except for warnings; `close` is called once.
    """

    def take(self, event: Event) -> None: ...
    def close(self) -> None: ...


class Lines:
    """Lines on a stream. Once its reader has left, the rest is dropped, and the build goes on."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def put(self, line: str) -> None:
        with unheard(self.stream):
            print(line, file=self.stream, flush=True)


class Quiet:
    """The view that shows the last line and errors alone."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._of = {"result": Lines(out), "error": Lines(err)}

    def take(self, event: Event) -> None:
        if isinstance(event, Said) and event.kind in self._of:
            self._of[event.kind].put(event.line)

    def close(self) -> None:
        """Nothing is open."""


class Json:
    """The view that prints each event as a JSON object on a line, with its time `at` (seconds since 1970).

    Of events that come every second, one in ten seconds is printed; `speed` of each engine.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = Lines(out)
        self._last: dict[str, float] = {}

    def take(self, event: Event) -> None:
        if isinstance(event, Speed | UnderWay):
            now, what = time.monotonic(), event.engine if isinstance(event, Speed) else ""
            if now - self._last.get(what, -math.inf) < EVENT_SECONDS:
                return
            self._last[what] = now
        self._out.put(json.dumps({"at": round(time.time(), 3), **as_json(event)}, ensure_ascii=False))

    def close(self) -> None:
        """Nothing is open."""


class Plain:
    """The view of plain lines: what is said and finished, what engines do, and the state every 30 s."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, err_lines = Lines(out), Lines(err)
        self._of = {"note": self._out, "result": self._out, "warning": err_lines, "error": err_lines}
        self._board = Board()
        self._full: set[str] = set()
        self._finished: set[str] = set()
        self._last = time.monotonic()

    def take(self, event: Event) -> None:
        self._board.take(event)
        if isinstance(event, Said):
            self._of[event.kind].put(event.line)
        elif isinstance(event, EngineOpened | EngineClosed):
            self._tell(messages.engine(event))
        elif isinstance(event, Planned):
            self._begin(event)
        elif isinstance(event, SelectionMoved | ShardFinished):
            self._tell_what_is_over()
        if (
            self._board.domains
            and time.monotonic() - self._last >= EVERY_SECONDS
            and not isinstance(event, Ended)
        ):
            self._tell(self._state())

    def close(self) -> None:
        """Nothing is open."""

    def _begin(self, event: Planned) -> None:
        found = sum(one.rows for domain in event.domains for one in domain.found.values())
        if found:
            self._tell(tr("{rows:,} rows of finished shards were found", rows=found))

    def _tell_what_is_over(self) -> None:
        board = self._board
        for domain, one in board.selection.items():
            if board.is_full(domain) and domain not in self._full:
                self._full.add(domain)
                said = tr(
                    "{accepted:,} problems of {filtered:,} samples",
                    accepted=one.accepted,
                    filtered=one.filtered,
                )
                self._tell(f"{domain}: {said}")
        if len(self._full) < len(board.domains):
            return
        for stage in board.stages:
            if stage not in self._finished and board.is_finished(stage):
                self._finished.add(stage)
                rows, _ = board.in_all(stage)
                self._tell(tr("{stage} finished: {rows:,} rows", stage=stage, rows=rows))

    def _state(self) -> str:
        board = self._board
        accepted = tr(
            "{accepted:,} of {target:,} problems accepted", accepted=board.accepted, target=board.target
        )
        return "; ".join(
            part
            for part in (
                accepted,
                messages.at_work(board),
                messages.speeds(board),
                messages.in_flight(board),
                messages.left(board),
                messages.reasons(board),
                messages.restarts(board),
            )
            if part
        )

    def _tell(self, line: str) -> None:
        self._last = time.monotonic()
        self._out.put(f"[{clock(self._last - self._board.began)}] {line}")
