"""Scratch folders beside what they are for, which the next process removes where one was killed.

Not here: what is written into them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from magpie_hf.store import lock
from magpie_hf.store.records import LOCK


@contextmanager
def scratch_folder(
    parent: Path, prefix: str, mend: Callable[[Path], None] = lambda leftover: None
) -> Iterator[Path]:
    """A new folder that is removed in the end.

    Folders that killed processes left are removed now, each after a call of `mend` with it.
    """
    for leftover in parent.glob(f"{prefix}*"):
        # Taken: a process works there. FileNotFoundError: it has just removed the folder.
        with suppress(lock.Taken, FileNotFoundError), lock.exclusive(leftover / LOCK):
            mend(leftover)
            shutil.rmtree(leftover)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as scratch,
        lock.exclusive(Path(scratch) / LOCK),
    ):
        yield Path(scratch)
