"""Work on a user's template done in a process of its own, with bounds on time and memory.

Not here: the template (card.py), and a model's chat template, which needs no objects of this process
(models/rendering.py).
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from magpie_hf.errors import BadInput

SECONDS = 20.0  # of processor time; the package's own card of six domains takes less than 1
MEGABYTES = 1024  # beside what this process has already
_STALLED = 300.0  # seconds of wall time, on whatever machine


def rendered_apart(template: Path, render: Callable[[], str]) -> str:
    """What `render` returns, called in a copy of this process.

    Raises the BadInput that it raises, and one for a template that does not end within the bounds.
    """
    context = multiprocessing.get_context("fork")  # `render` reaches objects that cannot be pickled
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(theirs, render), daemon=True)
    worker.start()
    theirs.close()
    try:
        done, text = ours.recv() if ours.poll(_STALLED) else (False, None)
    except EOFError:
        done, text = False, None
    if worker.is_alive() and text is None:
        worker.kill()
    worker.join()
    ours.close()
    if text is None:
        raise BadInput(
            f"the template {template} does not end within {SECONDS:.0f} seconds and {MEGABYTES} MB of memory;"
            " correct it"
        )
    if not done:
        raise BadInput(text)
    return str(text)


def _work(answer: Connection, render: Callable[[], str]) -> None:
    size, (_, hard) = _address_space() + (MEGABYTES << 20), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard)
    )
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # whose signal ends the process
    try:
        answer.send((True, render()))
    except BadInput as error:
        answer.send((False, str(error)))


def _address_space() -> int:
    """Bytes of it that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
