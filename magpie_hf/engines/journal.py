"""The journal: finished requests of an unfinished shard, kept on disk.

Not here: finished shards.

One append-only text file per shard, one record per line with a checksum, so that a torn last line is detected
and skipped. The key of a record holds all that determines the result and nothing else, so a later build that
needs the same completion finds it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.stage import canonical, identity

SYNC_SECONDS = 0.5  # so that a finished request is on the disk within a second, even if the power fails


class Kept(NamedTuple):
    """A request that a journal file had answered: tokens of its prompt and its own, and how it ended."""

    prompt_tokens: int = 0
    tokens: int = 0
    finish_reason: str = "stop"


class Journal:
    """The known results of a shard's requests, by key; `record` adds one and appends it to the file, if any.

    A result is flushed to the operating system before `record` returns, and on the disk within a second. Only
    a crash of the machine can lose it in between.
    """

    def __init__(self, file: Path | None = None, known: Iterable[tuple[str, Any]] = ()) -> None:
        self.known: dict[str, Any] = {}
        for key, value in known:
            if key not in self.known or _further(value, self.known[key]):
                self.known[key] = value
        self.file = file
        # For the views of progress alone: requests that may follow those that were asked, and those that were
        # answered before this shard, unfinished then, was begun again
        self.ahead = 0
        self.kept: tuple[Kept, ...] = ()
        self._stream: IO[bytes] | None = None
        self._closed = False
        self._failure: tuple[Any, ...] | None = None  # from the first OSError
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether its shard has ended."""
        return self._closed

    def get(self, key: str) -> Any | None:
        return self.known.get(key)

    def record(self, key: str, value: Any) -> None:
        """Keep a result.

        A failed write is raised later, by `check` and `close`, because this runs in an engine's thread.
        """
        self.known[key] = value
        if self.file is None:
            return
        body = json.dumps((key, value), separators=(",", ":")).encode()
        with self._lock:
            self._guarded(self._append, b"%08x %s\n" % (zlib.crc32(body), body))
            if self._closed:  # its shard had failed before the request ended
                self._guarded(self._end)
        _SYNC.soon(self)

    def check(self) -> None:
        """Raises OSError if a write failed."""
        if self._failure is not None:
            raise OSError(*self._failure)

    def sync(self) -> None:
        """Sync the file to the disk."""
        self._guarded(self._sync)

    def close(self) -> None:
        """Sync and close the file. Raises OSError if a write failed."""
        with self._lock:
            self._closed = True
            self._guarded(self._end)
        self.check()

    def _append(self, line: bytes) -> None:
        assert self.file is not None
        if self._failure is None:
            self._stream = self._stream or _open(self.file)
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))

    def _sync(self) -> None:
        with self._lock:
            handle = None if self._stream is None else os.dup(self._stream.fileno())
        if handle is not None:  # the disk may be slow, so sync without the lock
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _end(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with stream:
                os.fsync(stream.fileno())

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except OSError as error:
            self._failure = self._failure or (error.errno, error.strerror, error.filename or str(self.file))


def _further(value: Any, other: Any) -> bool:
    """Whether a result of a request, known later, replaces another one.

    Of two completions (`engines.base.record`), the one that ended or is longer stays: finished shards still
    hold what a lower bound truncated after it went on under a higher one.
    """

    def progress(completion: list[Any]) -> tuple[bool, int]:
        return completion[1] not in ("length", "context_full"), completion[3]

    return len(value) < 4 or progress(value) >= progress(other)


_CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def current() -> Journal:
    """The journal of the shard that this thread works on; elsewhere one without a file."""
    return _CURRENT.get() or Journal()


@contextmanager
def keeping(journal: Journal) -> Iterator[None]:
    """Make `journal` the current one of this thread."""
    token = _CURRENT.set(journal)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        journal.close()


@contextmanager
def spanning() -> Iterator[None]:
    """A journal for this thread inside the block, in memory, unless it works on a shard, which has one."""
    with nullcontext() if _CURRENT.get() else keeping(Journal()):
        yield


def request_keys(
    model: Model, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
) -> list[str]:
    """Keys of requests: model, prompt, sampling and seed, without the bound on the length.

    For the bound see `engines.base.within`.
    """
    return _keys([identity(model), identity(replace(sampling, max_tokens=1))], prompts, seeds)


def rating_keys(model: Model, prompts: Sequence[Sequence[int]], pooling: object) -> list[str]:
    """Keys of ratings: model, prompt, and which values are asked for."""
    return _keys([identity(model), identity(pooling)], prompts, [0] * len(prompts))


def _keys(shared_by_all: list[Any], prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[str]:
    shared = hashlib.blake2b(canonical(shared_by_all).encode(), digest_size=16)
    keys = []
    for prompt, seed in zip(prompts, seeds, strict=True):
        digest = shared.copy()
        digest.update(seed.to_bytes(8, "big", signed=True))
        digest.update(array("q", prompt).tobytes())
        keys.append(digest.hexdigest())
    return keys


def kept(file: Path) -> tuple[Kept, ...]:
    """What a journal file, if there is one, had answered."""
    values = read(file)[0].values() if file.exists() else ()
    return tuple(Kept(value[2], value[3], value[1]) if len(value) >= 4 else Kept() for value in values)


def read(file: Path) -> tuple[dict[str, Any], int]:
    """The records of a journal file, and the number of torn lines."""
    records, torn = {}, 0
    for line in file.read_bytes().split(b"\n"):
        if not line:
            continue
        checksum, _, body = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(body) and body:
            key, value = json.loads(body)
            records[key] = value
        else:
            torn += 1
    return records, torn


class _Sync:
    """A thread that syncs journals, each within half a second of its last record."""

    def __init__(self) -> None:
        self._waiting: set[Journal] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def soon(self, journal: Journal) -> None:
        with self._changed:
            self._waiting.add(journal)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="magpie-journal", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def now(self) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, set()
        for journal in waiting:
            journal.sync()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            time.sleep(SYNC_SECONDS)
            self.now()


def _open(file: Path) -> IO[bytes]:
    """Open for appending, unbuffered, after closing off a torn last line.

    What is written survives a crash of the process.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = file.open("ab", buffering=0)
    if stream.tell() and file.read_bytes()[-1:] != b"\n":
        stream.write(b"\n")
    return stream


_SYNC = _Sync()


def flush(seconds: float = 2.0) -> None:
    """Wait until all records so far are synced, or the time is up. For use before the process ends."""
    syncing = threading.Thread(target=_SYNC.now, daemon=True)
    syncing.start()
    syncing.join(seconds)
