"""Python code on a terminal, in a fork of a process that has imported vLLM. The import takes four seconds,
and a test of the menu a tenth of that.

Not here: the terminal (terminal.py).
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import sys
import termios
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["vllm", "magpie_hf.cli.menu", "magpie_hf.cli.main"])


class Fork:
    """A process that runs `code` on the terminal, as `python -c` would with this environment."""

    def __init__(self, code: str, tty: str, cwd: Path, environment: dict[str, str]) -> None:
        self._process = _SERVER.Process(target=_run, args=(code, tty, str(cwd), environment))
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"it did not end within {timeout} seconds"
        return code


def _run(code: str, tty: str, cwd: str, environment: dict[str, str]) -> None:
    os.setsid()
    terminal = os.open(tty, os.O_RDWR)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, 1) for number, mode in enumerate("rww"))
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(cwd)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
