"""Live: a build on a terminal, sampled again twice a second.

Not here: how it stands, and what others show.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, TextIO

from magpie_hf.progress import words
from magpie_hf.progress.board import Board
from magpie_hf.progress.events import Ended, EngineClosed, EngineOpened, Event, Said
from magpie_hf.progress.lines import Lines
from magpie_hf.text.language import tr
from magpie_hf.text.terminal import console, unheard

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

LABEL, EXACT, SHORT = (
    14,
    15,
    11,
)  # columns of a stage's name, of a cell with whole numbers, and of one with short ones
BAR = "█", "░"
SHOW_CURSOR = b"\x1b[?25h"
CLOSE_SECONDS = 1.0


class Live:
    """Stages by domains with the rows that are done and needed, and below that speed, time left and reasons.
    What is said stands above.

    out: where notes go that are no warnings, if not to the terminal, too.
    """

    def __init__(self, stream: TextIO, out: TextIO) -> None:
        from rich import live

        self._stream = stream
        self._out = None if out is stream else Lines(out)
        self._board = Board()
        self._folding = (
            threading.Lock()
        )  # of the board; never held while something is sampled, as the sampling takes it
        self._closed = False
        self._console = console(stream)
        self._fit()
        self._live = live.Live(
            console=self._console,
            get_renderable=self._sample,
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
            self._console.print(words.engine(event), style="dim")
        elif isinstance(event, Ended):
            self.close()
        elif not self._closed and not self._live.is_started and self._board.domains:
            self._live.start()

    def _say(self, said: Said) -> None:
        """What is no warning goes to stdout, whether that is the terminal or not."""
        if self._out is not None and said.kind in ("note", "result"):
            self._out.put(said.line)
        else:
            self._console.print(
                said.line, style={"warning": "yellow", "error": "red"}.get(said.kind), soft_wrap=True
            )

    def close(self) -> None:
        """Leave the last picture, and the terminal as it was. In a thread: a signal's handler calls it,
        whatever lock its thread holds.
        """
        self._closed = True
        stopping = threading.Thread(target=self._live.stop, daemon=True)
        stopping.start()
        stopping.join(CLOSE_SECONDS)
        if stopping.is_alive():
            with contextlib.suppress(OSError):
                os.write(self._stream.fileno(), SHOW_CURSOR)

    def _fit(self) -> None:
        """Take on the size of the terminal, which rich would look for where the log lies now; some say that
        they have none.
        """
        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(self._stream.fileno())
            self._console.size = columns or self._console.width, lines or self._console.height

    def _sample(self) -> Group:
        from rich.console import Group

        self._fit()
        with self._folding:
            board, width = self._board, self._console.width
            lines = (
                self._first(),
                words.speeds(board),
                words.in_flight(board),
                words.reasons(board),
                words.restarts(board),
            )
            wide = LABEL + SHORT * len(board.domains) <= width
            return Group(_by_domain(board, width) if wide else _in_all(board), *filter(None, lines))

    def _first(self) -> str:
        now = time.monotonic()
        elapsed = words.duration(now - self._board.began)
        if self._board.ended:
            return tr("{elapsed} elapsed", elapsed=elapsed)
        return tr(
            "{elapsed} elapsed, {left} left", elapsed=elapsed, left=words.duration(self._board.left(now))
        )


def _by_domain(board: Board, width: int) -> Table:
    exact = LABEL + EXACT * len(board.domains) <= width
    table = _table([domain.replace("_", "_\n") for domain in board.domains])
    for stage in board.stages:
        table.add_row(
            stage, *(_cell(board.done(stage, one), board.needed(one), exact) for one in board.domains)
        )
    goals = [(board.accepted_of(one), board.domains[one].target) for one in board.domains]
    table.add_row(tr("accepted"), *(_cell(*goal, exact) for goal in goals), style="bold")
    table.add_row("", *(_bar(*goal, (EXACT if exact else SHORT) - 2) for goal in goals), style="green")
    return table


def _in_all(board: Board) -> Table:
    """The same for all domains together."""
    table = _table([tr("all domains")])
    needed = [board.needed(one) for one in board.domains]
    rows = None if None in needed else sum(one or 0 for one in needed)
    for stage in board.stages:
        table.add_row(stage, _cell(sum(board.done(stage, one) for one in board.domains), rows, True))
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
    show = "{:,}".format if exact else words.count
    return f"{show(done)}/{words.UNKNOWN if needed is None else show(needed)}"


def _bar(done: int, whole: int, width: int) -> str:
    full = min(width, width * done // max(whole, 1))
    return BAR[0] * full + BAR[1] * (width - full)
