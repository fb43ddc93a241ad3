"""The journal: finished requests of a shard that is under way, kept on disk until the shard is. Not here: finished shards.

One append-only text file a shard, one record a line with its checksum, so that a torn tail is seen and passed over. Records are keyed
by all that determines them, and by nothing else: whatever asks for the same completion later finds it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import queue
import threading
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from magpie_hf.models import Model
from magpie_hf.sampling import Sampling
from magpie_hf.stage import canonical, identity

SYNC_SECONDS = 0.5  # a finished request is on the disk within a second, power cut or not


class Journal:
    """What is known of a shard's requests: results by key. `record` adds one and appends it to the file, if there is one."""

    def __init__(self, file: Path | None = None, known: Iterable[tuple[str, Any]] = ()) -> None:
        self.known = dict(known)
        self.file = file

    def get(self, key: str) -> Any | None:
        return self.known.get(key)

    def record(self, key: str, value: Any) -> None:
        """Keep a result. Returns at once; the file is written by a thread of its own."""
        self.known[key] = value
        if self.file is not None:
            _WRITER.append(self.file, key, value)

    def check(self) -> None:
        """Raises OSError where something could not be written."""
        if self.file is not None:
            _WRITER.check(self.file)

    def close(self) -> None:
        """Wait until everything is on the disk. Raises OSError where it could not be written."""
        if self.file is not None:
            _WRITER.close(self.file)


_CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def current() -> Journal:
    """The journal of the shard that this thread works on; outside of one, a journal that forgets."""
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


def request_keys(model: Model, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[str]:
    """Keys of requests: model, prompt, sampling and seed, but not the bound on the length (see `engines.base.within`)."""
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


def read(file: Path) -> tuple[dict[str, Any], int]:
    """The records of a journal file, and how many lines were torn."""
    records, torn = {}, 0
    for line in file.read_bytes().split(b"\n"):
        if not line:
            continue
        checksum, _, body = line.partition(b" ")
        try:
            whole = int(checksum, 16) == zlib.crc32(body)
        except ValueError:
            whole = False
        if whole:
            key, value = json.loads(body)
            records[key] = value
        else:
            torn += 1
    return records, torn


class _Writer:
    """Appends to all open journals from one thread, so that no engine waits for a disk. A request is synced within a second."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[tuple[Path | None, tuple[str, Any] | None, threading.Event | None]] = queue.SimpleQueue()
        self._streams: dict[Path, IO[bytes]] = {}
        self._unsynced: set[Path] = set()
        self._failures: dict[Path, OSError] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def append(self, file: Path, key: str, value: Any) -> None:
        self._put((file, (key, value), None))

    def check(self, file: Path) -> None:
        if file in self._failures:
            raise self._failures[file]

    def close(self, file: Path) -> None:
        done = threading.Event()
        self._put((file, None, done))
        done.wait()
        if failure := self._failures.pop(file, None):
            raise failure

    def flush(self, seconds: float) -> None:
        done = threading.Event()
        self._put((None, None, done))
        done.wait(seconds)

    def _put(self, item: tuple[Path | None, tuple[str, Any] | None, threading.Event | None]) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="magpie-journal", daemon=True)
                self._thread.start()
        self._inbox.put(item)

    def _loop(self) -> None:
        synced = time.monotonic()
        while True:
            file, entry, done = None, None, None
            with contextlib.suppress(queue.Empty):
                file, entry, done = self._inbox.get(timeout=SYNC_SECONDS if self._unsynced else None)
            if file is not None:
                self._guarded(self._write if entry else self._close, file, entry)
            flushing = file is None and done is not None
            if flushing or time.monotonic() - synced > SYNC_SECONDS:
                for file in sorted(self._unsynced):
                    self._guarded(self._sync, file)
                self._unsynced.clear()
                synced = time.monotonic()
            if done is not None:
                done.set()

    def _guarded(self, action: Callable[..., None], file: Path, *arguments: Any) -> None:
        """Do something with a file; what fails is told to whoever uses that journal next."""
        try:
            action(file, *arguments)
        except OSError as error:
            self._failures[file] = error

    def _sync(self, file: Path) -> None:
        os.fsync(self._streams[file].fileno())

    def _write(self, file: Path, entry: tuple[str, Any]) -> None:
        if file in self._failures:
            return
        if file not in self._streams:
            self._streams[file] = _open(file)
        body = json.dumps(entry, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        self._unsynced.add(file)
        if self._streams[file].write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    def _close(self, file: Path, _: None) -> None:
        self._unsynced.discard(file)
        if file in self._streams:
            with self._streams.pop(file) as stream:
                os.fsync(stream.fileno())


def _open(file: Path) -> IO[bytes]:
    """Open for appending, unbuffered: what is written survives the process. A torn last line is closed off first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = file.open("ab", buffering=0)
    if stream.tell() and file.read_bytes()[-1:] != b"\n":
        stream.write(b"\n")
    return stream


_WRITER = _Writer()


def flush(seconds: float = 2.0) -> None:
    """Wait until what was recorded so far is written and synced, or the time is up. For the moment before the process ends."""
    _WRITER.flush(seconds)
