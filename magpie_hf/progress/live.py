"""Live: a build on a terminal, rendered twice a second.

Not here: the state of the build (board.py), and the other views (lines.py).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from itertools import groupby
from typing import TYPE_CHECKING, TextIO

from magpie_hf.progress import messages
from magpie_hf.progress.board import Board
from magpie_hf.progress.events import Ended, EngineClosed, EngineOpened, Event, Said
from magpie_hf.progress.lines import Lines
from magpie_hf.text.columns import folded
from magpie_hf.text.columns import width as columns_of
from magpie_hf.text.language import tr
from magpie_hf.text.numbers import UNKNOWN, clock, short
from magpie_hf.text.terminal import console, unheard

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

# Columns of a stage's name, of a cell with whole numbers, and of one with short numbers.
LABEL, EXACT, SHORT = 14, 15, 11
BAR = "█", "░"
FRAME = 5  # lines of the table besides the stages, and the cursor's
SHOW_CURSOR = b"\x1b[?25h"
CLOSE_SECONDS = 1.0


class Live:
    """The view that shows stages by domains, with rows done and wanted; speed and time left stand below.

    stream: the terminal; out: where notes and results go, if that is another stream.
    """

    def __init__(self, stream: TextIO, out: TextIO) -> None:
        from rich import live

        self._stream = stream
        self._out = None if out is stream else Lines(out)
        self._board = Board()
        self._folding = threading.Lock()  # of the board; never held while rendering, which takes it
        self._closed = False
        self._console = console(stream)
        self._fit()
        self._live = live.Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=2,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def take(self, event: Event) -> None:
        with self._folding:
            self._board.take(event)
        with unheard(self._stream):
            self._show(event)

    def _show(self, event: Event) -> None:
        if isinstance(event, Said):
            self._say(event)
        elif isinstance(event, EngineOpened | EngineClosed):
            self._console.print(messages.engine(event), style="dim")
        elif isinstance(event, Ended):
            self.close()
        elif not self._closed and not self._live.is_started and self._board.domains:
            self._live.start()

    def _say(self, said: Said) -> None:
        """Print notes and results to stdout, whether that is the terminal or not, and the rest above."""
        if self._out is not None and said.kind in ("note", "result"):
            self._out.put(said.line)
        else:
            style = {"warning": "yellow", "error": "red"}.get(said.kind)
            line = said.line if style else folded(said.line, self._console.width)
            self._console.print(line, style=style, soft_wrap=True)

    def close(self) -> None:
        """Leave the last picture, and the terminal as it was.

        In a thread, as a signal's handler may call this while its own thread holds a lock.
        """
        self._closed = True
        stopping = threading.Thread(target=self._live.stop, daemon=True)
        stopping.start()
        stopping.join(CLOSE_SECONDS)
        if stopping.is_alive():
            with contextlib.suppress(OSError):
                os.write(self._stream.fileno(), SHOW_CURSOR)

    def _fit(self) -> None:
        """Take on the terminal's size; rich would ask stderr, which is the log now."""
        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(self._stream.fileno())
            self._console.size = columns or self._console.width, lines or self._console.height

    def _render(self) -> Group:
        from rich.console import Group

        self._fit()
        with self._folding:
            board, width = self._board, self._console.width
            lines = (
                self._first(),
                messages.speeds(board),
                messages.in_flight(board),
                messages.reasons(board),
                messages.restarts(board),
            )
            said = [line for line in lines if line]
            taken = sum(-(-columns_of(line) // width) for line in said) + FRAME
            rows = _rows(board, self._console.height - taken)
            room = width - max([LABEL, *(len(label) + 1 for label in rows)])
            wide = SHORT * len(board.domains) <= room
            return Group(_by_domain(board, rows, room) if wide else _in_all(board, rows), *said)

    def _first(self) -> str:
        elapsed = clock(time.monotonic() - self._board.began)
        said = tr("{elapsed} elapsed", elapsed=elapsed)
        if self._board.ended:
            return said
        return tr("{elapsed}, {left}", elapsed=said, left=messages.left(self._board))


def _rows(board: Board, most: int) -> dict[str, str]:
    """The stages by their labels; of more than `most`, those that are equally far share a row."""
    if len(board.stages) <= most:
        return {stage: stage for stage in board.stages}
    rows = {}
    for _, together in groupby(board.stages, lambda stage: _how_far(board, stage)):
        first, *others = together
        rows[f"{first} – {others[-1]}" if others else first] = first
    return dict([*rows.items()][-max(1, most) :])


def _how_far(board: Board, stage: str) -> list[tuple[int, int | None]]:
    return [(board.done(stage, one), board.wanted(stage, one)) for one in board.domains]


def _by_domain(board: Board, rows: dict[str, str], room: int) -> Table:
    """The table with a column a domain."""
    exact = EXACT * len(board.domains) <= room
    table = _table([domain.replace("_", "_\n") for domain in board.domains])
    for label, stage in rows.items():
        table.add_row(label, *(_cell(*cell, exact) for cell in _how_far(board, stage)))
    goals = [(board.accepted_of(one), board.domains[one].target) for one in board.domains]
    table.add_row(tr("accepted"), *(_cell(*goal, exact) for goal in goals), style="bold")
    table.add_row("", *(_bar(*goal, (EXACT if exact else SHORT) - 2) for goal in goals), style="green")
    return table


def _in_all(board: Board, rows: dict[str, str]) -> Table:
    """The table of all domains together, for narrow terminals."""
    table = _table([tr("all domains")])
    for label, stage in rows.items():
        table.add_row(label, _cell(*board.in_all(stage), True))
    table.add_row(tr("accepted"), _cell(board.accepted, board.target, True), style="bold")
    table.add_row("", _bar(board.accepted, board.target, EXACT), style="green")
    return table


def _table(heads: list[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(tr("stage"), no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _cell(done: int, needed: int | None, exact: bool) -> str:
    show = "{:,}".format if exact else short
    return f"{show(done)}/{UNKNOWN if needed is None else show(needed)}"


def _bar(done: int, whole: int, width: int) -> str:
    full = min(width, width * done // max(whole, 1))
    return BAR[0] * full + BAR[1] * (width - full)
