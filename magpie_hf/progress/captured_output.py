"""Noise: sends what libraries and child processes write to stdout and stderr to a log for a while.

Not here: what is shown meanwhile (lines.py, live.py).

The file descriptors 1 and 2 lead to the log, so that C code and child processes are caught, too. Views write
to where these led before.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

NAME = "log.txt"
LONGEST, KEPT = 20_000_000, 10_000_000  # bytes at which a log's beginning is cut off, and bytes kept then
LEVEL = "VLLM_LOGGING_LEVEL"


class Log:
    """Where noise goes: at first to a file without a name, until the build's folder may be written.

    out, err: streams to where stdout and stderr led before.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = out, err
        self.file: Path | None = None
        with tempfile.TemporaryFile() as held:
            self._handle = os.dup(held.fileno())
        self._catch()

    def keep(self, file: Path) -> None:
        """Append to this file from now on, under a line with the date; what was held back comes first.

        Raises OSError where it cannot be written; noise then goes where it went before.
        """
        head = f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}, process {os.getpid()}\n".encode()
        handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, head + os.pread(self._handle, LONGEST, 0))
        except OSError:
            os.close(handle)
            raise
        os.close(self._handle)
        self._handle, self.file = handle, file
        self._catch()
        self.trim()

    def trim(self) -> None:
        """Cut off the beginning of a log that is too long. What is written in that moment may be lost."""
        size = os.fstat(self._handle).st_size
        if size > LONGEST:
            rest = os.pread(self._handle, KEPT, size - KEPT)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, rest[rest.find(b"\n") + 1 :])

    def close(self) -> None:
        os.close(self._handle)

    def _catch(self) -> None:
        for number in (1, 2):
            os.dup2(self._handle, number)


@contextmanager
def caught() -> Iterator[Log]:
    """Catch the noise of this process and its children; vLLM logs from level INFO on meanwhile."""
    saved = {number: os.dup(number) for number in (1, 2)}
    level = os.environ.get(LEVEL)
    os.environ.setdefault(LEVEL, "INFO")
    log = Log(
        *(_leading(stream, number, saved[number]) for number, stream in ((1, sys.stdout), (2, sys.stderr)))
    )
    try:
        yield log
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # the log's disk is full
                stream.flush()
        for number, handle in saved.items():
            os.dup2(handle, number)
            os.close(handle)
        log.close()
        if level is None:
            os.environ.pop(LEVEL, None)


def _leading(stream: TextIO, number: int, saved: int) -> TextIO:
    """A stream to where this one leads now; itself, where a program has replaced stdout or stderr."""
    try:
        stream.flush()
        if stream.fileno() != number:
            return stream
    except io.UnsupportedOperation:
        return stream
    return open(saved, "w", encoding=stream.encoding, errors="replace", closefd=False)
