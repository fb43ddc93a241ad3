"""A bounded pool of worker processes that can be killed, shared by all threads.

Not here: the work.

Workers are plain subprocesses with pipes. So no process with an engine and threads is forked, and the main
module needs no guard.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from magpie_hf.errors import EngineError

# A first import from a cold disk took 12 s, and ten times that on a busy machine
START_SECONDS = 600.0
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from magpie_hf.answers.worker_process import main; main()"
)


class Lost(Exception):
    """A worker ended before it answered; the message says why.

    "time" (processor time used up), "stalled" (wall time used up), "killed" (from outside), "died", or "idle"
    (it never began).
    """


class _Worker:
    def __init__(self) -> None:
        # A process group of its own: Ctrl-C in a terminal reaches the build only, which closes its workers. A
        # fixed hash seed: sympy orders some terms by hash, and a verdict must not depend on it.
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        self._rest = b""
        self.pid = self._process.pid
        try:
            ready = self._read(START_SECONDS)
        except Lost as lost:
            raise EngineError(
                f"no worker that compares answers could be started ({lost}); what it said stands above"
            ) from lost
        assert ready[0] == "ready", ready

    def ask(self, request: Any, seconds: float) -> list[Any]:
        """The worker's answer, within `seconds` of wall time. Raises Lost, and the worker is then dead."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            self.close()
            raise Lost("idle") from None  # it ended before the request came
        return self._read(seconds)

    def _read(self, seconds: float) -> list[Any]:
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._rest:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                raise Lost(self._end(timed_out=not readable))
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer: list[Any] = json.loads(line)
        return answer

    def _end(self, timed_out: bool) -> str:
        self.close()
        if self._process.returncode == -signal.SIGPROF:
            return "time"
        if timed_out:
            return "stalled"
        if self._process.returncode in (-signal.SIGKILL, -signal.SIGTERM):
            return "killed"
        return "died" if self._process.returncode else "idle"

    def has_ended(self) -> bool:
        """Whether the worker ended, being idle or killed; it is then reaped."""
        ended = self._process.poll() is not None
        if ended:
            self.close()
        return ended

    def close(self) -> None:
        """Close the pipes, which ends the worker; kill one that is at work or stuck."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def forget(self) -> None:
        """Close the pipes in a fork of this process, so that the worker notices when its parent ends.

        The worker is the parent's to wait for.
        """
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.returncode = 0


class Pool:
    """Workers that are started on demand and shared by threads; a lost one is replaced on demand.

    The last item of an answer says whether its worker goes on.
    """

    def __init__(self) -> None:
        self._free: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._starting = 0
        # One thread that lives as long as the process starts all workers: the system kills a worker when the
        # thread that started it ends, and threads of shards are short-lived.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="magpie-workers")
        self._changed = threading.Condition()

    def ask(self, request: Any, seconds: float, processes: int) -> list[Any]:
        """One worker's answer; waits while `processes` workers are busy.

        Raises Lost, but not for a worker that ended while idle.
        """
        while True:
            worker = self._take(processes)
            kept = False
            try:
                answer = worker.ask(request, seconds)
                kept = bool(answer[-1])
                return answer
            except Lost as lost:
                if str(lost) != "idle":
                    raise
            finally:
                self._give(worker, kept)

    @property
    def pids(self) -> list[int]:
        """The process ids of the current workers."""
        with self._changed:
            return sorted(worker.pid for worker in (*self._free, *self._busy))

    def close(self) -> None:
        with self._changed:
            closing = [*self._free, *self._busy]
            self._free.clear()
        for worker in closing:
            worker.close()

    def forget(self) -> None:
        """Start with an empty pool after a fork, because the workers are the parent's.

        The lock is new too: a thread that does not exist here may hold the old one.
        """
        for worker in (*self._free, *self._busy):
            worker.forget()
        self.__init__()  # type: ignore[misc]

    def _take(self, processes: int) -> _Worker:
        with self._changed:
            while not self._free and len(self._busy) + self._starting >= processes:
                self._changed.wait()
            for ended in [worker for worker in self._free if worker.has_ended()]:
                self._free.remove(ended)
            if self._free:
                worker = self._free.pop()
                self._busy.add(worker)
                return worker
            self._starting += 1
        worker_or_none: _Worker | None = None
        try:
            worker_or_none = worker = self._starter.submit(_Worker).result()
            return worker
        finally:
            with self._changed:
                self._starting -= 1
                if worker_or_none is not None:
                    self._busy.add(worker_or_none)
                self._changed.notify_all()

    def _give(self, worker: _Worker, kept: bool) -> None:
        if not kept:
            worker.close()
        with self._changed:
            self._busy.discard(worker)
            if kept:
                self._free.append(worker)
            self._changed.notify_all()


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)
