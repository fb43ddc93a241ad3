"""One worker process that compares answers: a line of JSON in, a line of JSON out.

Not here: starting and killing it.

It ends when its input is closed, when its parent is gone, or after a while without work. The system kills it
when a pair's time is used up, and when the thread that started it ends, even during a multiplication of huge
numbers, where no Python code runs.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import queue
import resource
import select
import signal
import sys
import threading
from typing import BinaryIO

from magpie_hf.answers.equality import relation
from magpie_hf.answers.reading import readable
from magpie_hf.answers.words import EQUAL, UNKNOWN

IDLE_SECONDS = 60.0
# For systems that do not kill it: look whether the parent is gone, as another process may hold its pipe open
LOOK_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer [pair, processor seconds, megabytes] with [verdict, reason, whether the worker goes on].

    A pair with None asks whether a reward can check the one answer: equal or unknown. The first line out is
    "ready". An error ends the worker, because sympy's state may then be broken.
    """
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # prints must not land among the replies
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logging.disable(logging.CRITICAL)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(inbox, busy, parent), daemon=True).start()
    relation("1/2", "0.5")  # loads the grammar before any time counts
    sys.excepthook = lambda kind, *_: _failed(replies, kind)
    _reply(replies, ["ready", None, True])
    os.nice(10)  # an engine on the same cores comes first
    # From here on an error is the pair's reason; GMP prints when it has no memory
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        pair, seconds, megabytes = json.loads(inbox.get())
        busy.set()
        _limit_memory(megabytes * 2**20)
        # Processor time, so that verdicts do not depend on the machine's load. The signal's default ends the
        # process.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        one, other = pair
        verdict = relation(one, other) if other is not None else EQUAL if readable(one) else UNKNOWN
        signal.setitimer(signal.ITIMER_PROF, 0)
        _reply(replies, [verdict, "not_decided" if verdict == UNKNOWN else None, True])
        busy.clear()


def _limit_memory(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(
        resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard)
    )


def _failed(replies: BinaryIO, kind: type[BaseException]) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # reporting the error takes memory
    _reply(replies, [UNKNOWN, "memory" if kind is MemoryError else kind.__name__, False])


def _reply(stream: BinaryIO, message: list[str | bool | None]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


def _listen(inbox: queue.SimpleQueue[bytes], busy: threading.Event, parent: int) -> None:
    """Queue the lines of the input, and end the process at once when the parent is gone."""
    waited, rest = 0.0, b""
    while True:
        readable, _, _ = select.select([0], [], [], LOOK_SECONDS)
        if readable:
            if not (chunk := os.read(0, 65536)):
                os._exit(0)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                inbox.put(line)
            waited = 0.0
        else:
            waited = 0.0 if busy.is_set() else waited + LOOK_SECONDS
            if os.getppid() != parent or (waited >= IDLE_SECONDS and inbox.empty()):
                os._exit(0)


if __name__ == "__main__":
    sys.exit("a worker is started by magpie_hf.answers.worker_pool, with pipes")
