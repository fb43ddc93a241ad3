"""A command on a terminal of its own: a pseudo-terminal that a test reads and types into."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol

from warm import Fork

from conftest import ROOT

SECONDS = 60.0
CTRL_C, CTRL_D = "\x03", "\x04"


class Process(Protocol):
    """What a terminal asks of the process that runs on it."""

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Terminal:
    """`command` on a terminal of so many columns. English unless the environment says otherwise."""

    def __init__(self, command: list[str], cwd: Path, columns: int = 80, **environment: str) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.before = termios.tcgetattr(self._slave)
        names = {"COLUMNS", "LINES", "LANG", "LC_ALL", "LC_MESSAGES"}
        inherited = {name: value for name, value in os.environ.items() if name not in names}
        self.process = self._started(
            command, cwd, {**inherited, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **environment}
        )
        self.text = ""  # all that was shown
        self._raw = b""
        self._seen = 0

    def _started(self, command: list[str], cwd: Path, environment: dict[str, str]) -> Process:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self._slave)

    def expect(self, text: str) -> None:
        """Read until the text is shown, after what was expected before."""
        end = time.monotonic() + SECONDS
        while (at := self.text.find(text, self._seen)) < 0:
            assert self.process.poll() is None or self._readable(0), (
                f"it ended without {text!r}:\n{self.text}"
            )
            assert time.monotonic() < end, f"{text!r} did not come:\n{self.text}"
            self._read(0.1)
        self._seen = at + len(text)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; the exit code, and all that was shown. The terminal must be as it was."""
        code = self.process.wait(SECONDS)
        while self._readable(0):
            self._read(0)
        assert termios.tcgetattr(self._slave) == self.before
        return code, self.text

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self.master], [], [], seconds)[0])

    def _read(self, seconds: float) -> None:
        if self._readable(seconds):
            self._raw += os.read(self.master, 1 << 16)
            self.text = self._raw.decode(errors="ignore").replace("\r\n", "\n")


class WarmTerminal(Terminal):
    """The same for code as `python -c` runs it, in a fork of a process that has imported vLLM."""

    def __init__(self, code: str, cwd: Path, columns: int = 80) -> None:
        super().__init__([code], cwd, columns)

    def _started(self, command: list[str], cwd: Path, environment: dict[str, str]) -> Process:
        return Fork(*command, os.ttyname(self._slave), cwd, environment)


def magpie_hf(*words: str) -> list[str]:
    return [sys.executable, "-m", "magpie_hf", *words]
