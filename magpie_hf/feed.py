"""What runs on the nodes of a Ray cluster: the feed of work by number, and the workers that do it. Not here: who gives work out."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import secrets
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from magpie_hf.engines.base import Engine
from magpie_hf.errors import EngineError
from magpie_hf.runners import apply
from magpie_hf.shards import ShardFolder
from magpie_hf.stage import Batch, Stage

BEAT_SECONDS = 1.0  # how often a worker says that it lives, and hears whether it is over
MOST_STARTS = 3  # workers that one piece of work may outlive; one more, and it is the work that kills them


@dataclass(frozen=True)
class Work:
    """A stage and its batch, rows [start, stop), whose journals lie in `folder`, which every node sees."""

    stage: Stage
    batch: Batch
    folder: ShardFolder
    start: int
    stop: int

    def do(self) -> Batch:
        """The batch with the stage's columns, journalled in a file that nobody else writes."""
        if not self.folder.path.is_dir():
            raise EngineError(
                f"{self.folder.path} is not seen by node {here()}: the folder of a build on Ray must lie where all nodes see it"
            )
        return apply(self.stage, self.batch, self.folder, self.start, self.stop, writer=secrets.randbits(40))


class Feed:
    """What there is to do, by number, and who does it. An actor beside the driver, which is lost only together with it."""

    def __init__(self) -> None:
        self._work: dict[int, bytes] = {}
        self._done = 0
        self._put = 0
        self._starts = Counter[int]()
        self._closed = False
        self._changed = asyncio.Condition()
        self._heard = time.monotonic()

    async def put(self, number: int, work: bytes) -> None:
        async with self._changed:
            self._work[number] = work
            self._changed.notify_all()

    async def wait(self, number: int) -> bool:
        """Whether there is work of this number, once that is known: False when there will be none."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or number in self._work)
        return not self._closed

    async def take(self, number: int) -> tuple[bytes | None, int]:
        """The work of this number, or None where it is done or nobody waits for it any more; and how often it was taken before."""
        work = None if self._closed else self._work.get(number)
        self._starts[number] += 1
        return work or None, self._starts[number] - 1

    async def done(self, number: int) -> None:
        self._work[number] = b""

    async def beat(self) -> bool:
        """A worker lives; whether it is over."""
        self._heard = time.monotonic()
        return self._closed

    async def silence(self) -> float:
        """Seconds since the last word of any worker."""
        return time.monotonic() - self._heard

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


class Numbers(Datasource):  # type: ignore[misc]  # mypy sees nothing of Ray
    """The numbers of a feed's work, from `first` on, as one read task without an end."""

    def __init__(self, feed: Any, first: int) -> None:
        super().__init__()
        self._feed, self._first = feed, first

    def estimate_inmemory_data_size(self) -> int:
        return 1

    def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None) -> list[ReadTask]:
        feed, first = self._feed, self._first

        def read() -> Iterator[pa.Table]:
            for number in itertools.count(first):
                if not ray.get(feed.wait.remote(number)):
                    return
                yield pa.table({"number": [number]})

        return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=1, exec_stats=None, input_files=None))]


class Worker:
    """What `map_batches` runs: does work of the feed, several pieces side by side, on an engine that the first of them opens."""

    def __init__(self, feed: Any, engine: Engine) -> None:
        self._feed, self._engine = feed, engine
        threading.Thread(target=_beat, args=(feed, engine), name="magpie-beat", daemon=True).start()

    def __del__(self) -> None:
        """Ray Data lets go of a worker before it ends its process."""
        self._engine.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
        (number,) = batch["number"].to_pylist()
        return pa.table({"number": [number], "result": pa.array([self._result(number)], pa.large_binary())})

    def _result(self, number: int) -> bytes:
        """The pickled batch, or the exception that came of it; an exception of this function's own would end the whole pipeline."""
        try:
            work, starts = ray.get(self._feed.take.remote(number))
            if work is None:
                return _pickled(EngineError("the build is stopping"))
            if starts > MOST_STARTS:
                raise EngineError(f"{starts} workers died of one shard; the last was to be on node {here()}: see Ray's logs of the others")
            return _pickled(ray.cloudpickle.loads(work).do())
        except Exception as error:  # whatever it is, it is the driver's to raise
            return _pickled(error)


def _beat(feed: Any, engine: Engine) -> None:
    while not ray.get(feed.beat.remote()):
        time.sleep(BEAT_SECONDS)
    while True:  # closing fails what is in flight; a piece of work that opened the engine again just then is met on the next turn
        engine.close()
        time.sleep(BEAT_SECONDS)


def here() -> str:
    """The node of this process, as a user knows it."""
    return str(ray.util.get_node_ip_address())


def _pickled(result: Batch | Exception) -> bytes:
    """A result in bytes; an exception that cannot be pickled, in words."""
    if isinstance(result, Exception):
        result.add_note(f"on node {here()}: {''.join(traceback.format_exception(result))}")
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:  # an exception with arguments of its own fails in any way it likes
            return pickle.dumps(EngineError(f"{type(result).__name__}: {result} (on node {here()})"))
    return pickle.dumps(result)
