"""The lock of a build's folder: one build at a time, or any number of readers.

Not here: who takes it.

The lock is the operating system's, on the file `lock`; that of a process that died is released. Some mounts
of clusters have no such locks. There a holder creates a file of its own, `lock.<host>.<pid>.<number>`, and
looks for those of others after that: of two that begin at once, each may find the other and give up, but
never do both go on. The file of a process of this host that died is removed; one of another host is believed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from magpie_hf.text.language import tr

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_TAKEN = {errno.EWOULDBLOCK, errno.EACCES}  # EACCES: where the mount makes flock a lock of a range
_MARK = re.compile(r"\.(?P<host>[^/]+)\.(?P<pid>\d+)\.\d+(?P<reads>r?)")
_mine: set[Path] = set()
_own = threading.Lock()


class Taken(Exception):
    """The lock is another's; the message says whose."""


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Hold the lock alone, with this process and host in the file. Raises Taken where anyone has it."""
    with file.open("a+", encoding="utf-8", errors="replace") as stream, _held(file, stream, fcntl.LOCK_EX):
        stream.truncate(0)
        stream.write(
            f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
        )
        stream.flush()
        yield


@contextmanager
def shared(file: Path) -> Iterator[None]:
    """Hold the lock together with other readers. Raises Taken where a build has it."""
    with file.open(encoding="utf-8", errors="replace") as stream, _held(file, stream, fcntl.LOCK_SH):
        yield


def holder(file: Path) -> str | None:
    """Which build has the lock; None where none has it."""
    try:
        with shared(file):
            return None
    except FileNotFoundError:
        return None
    except Taken as taken:
        return str(taken)


@contextmanager
def _held(file: Path, stream: IO[str], kind: int) -> Iterator[None]:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            stream.seek(0)
            raise Taken(stream.read().strip()) from error
        if error.errno not in _NO_LOCKS:
            raise
    else:
        yield
        return
    mark = _marked(file, "r" if kind == fcntl.LOCK_SH else "")
    try:
        for other in sorted(file.parent.glob(f"{file.name}.*")):
            found = _MARK.fullmatch(other.name.removeprefix(file.name))
            if found and other != mark and not (found["reads"] and kind == fcntl.LOCK_SH):
                if _is_dead(other, found["host"], int(found["pid"])):
                    _remove(other)
                else:
                    raise Taken(
                        tr(
                            "pid {pid} on {host}; if it runs no more, remove {file}",
                            pid=found["pid"],
                            host=found["host"],
                            file=other,
                        )
                    )
        yield
    finally:
        _remove(mark)
        _mine.discard(mark)


def _marked(file: Path, reads: str) -> Path:
    """The new file that says that this process holds the lock."""
    with _own:
        number = 0
        while (
            mark := file.with_name(f"{file.name}.{socket.gethostname()}.{os.getpid()}.{number}{reads}")
        ) in _mine:
            number += 1
        _mine.add(mark)
    try:
        mark.touch()  # one that is there was left by a process that had the same number
    except OSError as error:
        if error.errno != errno.EROFS:  # a reader there disturbs no build of this machine
            raise
    return mark


def _remove(mark: Path) -> None:
    try:
        mark.unlink(missing_ok=True)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise


def _is_dead(mark: Path, host: str, pid: int) -> bool:
    if host != socket.gethostname():
        return False
    if pid == os.getpid():
        return mark not in _mine
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's, and lives
        pass
    return False
