"""Ctrl-C and SIGTERM: end a command at once, and say what is saved and how to resume.

Not here: the commands.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TextIO

from magpie_hf.errors import BadInput
from magpie_hf.progress import recorder
from magpie_hf.run.status import status
from magpie_hf.text.language import tr

INTERRUPTED, TERMINATED = 130, 143
_STOPPED: dict[int, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


@contextlib.contextmanager
def stopping_at_once(out: Path | None, leave: Callable[[], TextIO] = lambda: sys.stderr) -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM with `_stop` inside this context, in the main thread alone.

    leave: ends the display, and returns the stream for the last line.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda number, _: _stop(number, out, leave))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, out: Path | None, leave: Callable[[], TextIO]) -> NoReturn:
    """End the process at once: every finished request is in a journal, so there is nothing to wait for."""
    import multiprocessing

    from magpie_hf.engines.journal import flush

    # A second signal ends the process without the last line.
    signal.signal(number, lambda number, _: os._exit(_STOPPED[number]))
    for child in multiprocessing.active_children():  # vLLM's processes, which hold no results
        child.kill()
    flush()
    recorder.stop()
    program = ["magpie-hf"] if sys.argv[0].endswith("magpie-hf") else ["python", sys.argv[0]]
    if sys.argv[0].endswith("magpie_hf/__main__.py"):
        program = ["python", "-m", "magpie_hf"]
    command = shlex.join([*program, *sys.argv[1:]])
    if out is None:
        said = tr("stopped; a sweep keeps nothing. Begin again with: {command}", command=command)
    else:
        said = tr("stopped; {safe}. Go on with: {command}", safe=_safe(out), command=command)
    print(f"\nmagpie-hf: {said}", file=leave(), flush=True)
    os._exit(_STOPPED[number])


def _safe(out: Path) -> str:
    """What of a build is on the disk, in a few words."""
    try:
        stages = status(out).stages
    except BadInput:  # it had not begun
        return tr("nothing was begun")
    rows, requests = sum(stage.rows for stage in stages), sum(stage.requests_under_way for stage in stages)
    return tr(
        "{rows:,} rows of finished shards and {requests:,} requests of others are safe in {out}",
        rows=rows,
        requests=requests,
        out=out,
    )
