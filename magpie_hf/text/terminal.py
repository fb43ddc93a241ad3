"""The terminal: a console that adapts to its stream, tables on it, and texts made harmless.

Not here: the texts.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ANY_WIDTH = 1_000_000  # columns of other streams than terminals: scripts read whole lines
HEIGHT = 25  # lines of such a stream; rich ignores a width without a height
GAP = 2  # spaces between the columns of a table
# Unicode's categories of characters that move the cursor, change the direction or break lines.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_GONE = errno.EPIPE, errno.EIO  # the reader of a pipe has left; the terminal was closed
_KEPT = frozenset("\n\t\u200c\u200d")  # the last two join letters and are harmless


def console(file: TextIO | None = None) -> Console:
    """A rich console on a stream (default: standard output).

    Colours are used only on terminals, and not if NO_COLOR is set or TERM is dumb. Other streams get whole
    lines of any length. Characters that the stream's encoding lacks become question marks. Texts are printed
    as they are: no markup, no highlighting.
    """
    from rich.console import Console

    stream = sys.stdout if file is None else file
    encodable(stream)
    on_terminal = is_terminal(stream)
    width, height = shutil.get_terminal_size() if on_terminal else (ANY_WIDTH, HEIGHT)
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    # On a dumb terminal rich assumes 80 columns unless it gets both. Elsewhere it asks at every print.
    size: dict[str, Any] = {"width": width, "height": height} if dumb or not on_terminal else {}
    return Console(file=file, soft_wrap=not on_terminal, markup=False, highlight=False, emoji=False, **size)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal. A closed or missing stream is none."""
    return stream is not None and not stream.closed and stream.isatty()


def open_missing_streams() -> None:
    """Open /dev/null for each standard stream that the process was started without.

    Otherwise the next opened file would take its number.
    """
    # In the order of their file descriptors, as `open` takes the lowest one that is free.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 (open until the process ends)
            setattr(sys, name, stream)


@contextmanager
def unheard(stream: TextIO) -> Iterator[None]:
    """Go on if the reader of a stream is gone, and discard all further output to it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, stream.fileno())  # also for the rest of the stream's buffer
        os.close(handle)


def encodable(*streams: TextIO | None) -> None:
    """Have streams replace characters that their encoding lacks by question marks, instead of failing."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def harmless(text: str) -> str:
    """The text with control, direction and line-breaking characters escaped, except newlines and tabs.

    An escape has the form \\x1b or \\u202e.
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(
        _spelled(letter) if unicodedata.category(letter) in _UNSEEN and letter not in _KEPT else letter
        for letter in text
    )


def _spelled(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def print_table(
    to: Console, head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()
) -> None:
    """Print rows as a table in which only the last column wraps; on a narrow terminal, as lines per row.

    right: the positions of right-aligned columns.
    """
    if _needed(head, rows) <= to.width:
        to.print(_table(head, rows, right))
        return
    for row in rows:
        to.print(row[0], style="bold")
        for name, cell in zip(head[1:], row[1:], strict=True):
            if cell:
                to.print(f"  {name}: {cell}" if name else f"  {cell}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> Table:
    from rich.table import Table

    table = Table(
        box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=any(head)
    )
    for at, name in enumerate(head):
        last = at == len(head) - 1
        table.add_column(name, justify="right" if at in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _needed(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns that hold the table without a broken word: whole columns, and the last one's longest word."""
    from rich.cells import cell_len

    *whole, last = zip(head, *rows, strict=True)
    longest = max((cell_len(word) for cell in last for word in cell.split()), default=0)
    return sum(max(map(cell_len, column)) + GAP for column in whole) + longest
