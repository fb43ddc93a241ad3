"""What a command shows while it works: the view that the options name, warnings, and a log file.

Not here: the views.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from magpie_hf.errors import BadInput, EngineError
from magpie_hf.progress import captured_output
from magpie_hf.progress.captured_output import Log, caught
from magpie_hf.progress.events import Event, Planned, Said, Speed
from magpie_hf.progress.lines import Json, Plain, Quiet, View
from magpie_hf.text.language import translated
from magpie_hf.text.terminal import harmless, is_terminal

LOG = logging.getLogger("magpie_hf")
VIEWS = ("auto", "live", "plain", "json", "quiet")


def add_watching(command: argparse.ArgumentParser) -> None:
    """Add the options of the progress display."""
    shown = command.add_argument_group("progress display")
    how = (
        "live (a table on a terminal), plain (lines), json (one event per line), quiet "
        "(errors and the last line), or auto"
    )
    shown.add_argument(
        "--progress", choices=VIEWS, default="auto", help=f"{how}: live on a terminal, else plain (default)"
    )
    for name in ("json", "quiet"):
        shown.add_argument(
            f"--{name}",
            dest="progress",
            action="store_const",
            const=name,
            help=f"short for --progress {name}",
        )


class Show:
    """The view of a running build, and its log."""

    def __init__(self, view: View, log: Log) -> None:
        self._view, self._log = view, log

    def take(self, event: Event) -> None:
        """Show an event of a build. As soon as the build's folder is known, the log moves there."""
        if isinstance(event, Planned):
            self._keep(Path(event.folder) / "run" / captured_output.NAME)
        elif isinstance(event, Speed):
            self._log.trim()
        self._view.take(event)

    def _keep(self, file: Path) -> None:
        try:
            self._log.keep(file)
        except OSError as error:
            LOG.warning(
                "%s cannot be written (%s), so what libraries say of this build is not kept",
                file,
                error.strerror,
            )

    def say(self, line: str) -> None:
        self._view.take(Said(line))

    def result(self, line: str) -> None:
        """Say the last line."""
        self._view.take(Said(line, "result"))

    def error(self, line: str) -> None:
        """Show an error that does not end the command."""
        self._view.take(Said(line, "error"))

    def leave(self) -> TextIO:
        """Close the view early; returns the stream for the last words."""
        self._view.close()
        return self._log.err


@contextmanager
def watching(how: str) -> Iterator[Show]:
    """Show progress in the way that `--progress` names.

    Raises BadInput for a live view without a terminal.
    """
    with caught() as log, naming(log):
        view = _view(how, log)
        try:
            with _warnings(view.take):
                yield Show(view, log)
        finally:
            view.close()


@contextmanager
def beside_rows(alone: bool) -> Iterator[tuple[Show, TextIO]]:
    """Show progress in plain lines between rows, whose stream comes with it.

    alone: nothing but rows is printed, and errors.
    """
    with caught() as log, naming(log):
        view: View = Quiet(log.out, log.err) if alone else Plain(log.out, log.err)
        with _warnings(view.take):
            yield Show(view, log), log.out


@contextmanager
def naming(log: Log) -> Iterator[None]:
    """Add the path of the log to an engine's error; a log without a folder is kept in a temporary file."""
    try:
        yield
    except EngineError as error:
        if log.file is None:
            handle, name = tempfile.mkstemp(prefix="magpie-hf-", suffix=".txt")
            os.close(handle)
            log.keep(Path(name))
        raise EngineError(f"{error}; the log of it is {log.file}") from error


def _view(how: str, log: Log) -> View:
    terminal = next((stream for stream in (log.out, log.err) if is_terminal(stream)), None)
    if how == "json":
        return Json(log.out)
    if how == "quiet":
        return Quiet(log.out, log.err)
    if how == "live" and terminal is None:
        raise BadInput(
            "--progress is live, and neither stdout nor stderr is a terminal; give plain, or leave it out"
        )
    if how == "plain" or terminal is None or (how == "auto" and os.environ.get("TERM", "dumb") == "dumb"):
        return Plain(log.out, log.err)
    from magpie_hf.progress.live import Live

    return Live(terminal, log.out)


@contextmanager
def _warnings(take: Callable[[Event], None]) -> Iterator[None]:
    """Show the package's own warnings, besides logging them."""
    handlers = _Handler(take), logging.StreamHandler(sys.stderr)
    for handler in handlers:
        handler.setLevel(logging.WARNING)
        LOG.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, take: Callable[[Event], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(Said(harmless(translated(record.getMessage())), "warning"))
        except OSError:  # a view that cannot be written must not break the code that warns
            self.handleError(record)
