"""The actors on the nodes of a Ray cluster: the queue of work, and the workers that do it.

Not here: which work is queued.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import secrets
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from magpie_hf.engines.base import Engine
from magpie_hf.errors import EngineError
from magpie_hf.run.local import apply
from magpie_hf.stage import Batch, Stage
from magpie_hf.store.shards import ShardFolder

BEAT_SECONDS = 1.0  # between two heartbeats of a worker
MOST_STARTS = 2  # after that many dead workers, a piece of work counts as the cause


@dataclass(frozen=True)
class Work:
    """A stage and its batch of rows [start, stop); `folder` holds their journals, and every node sees it."""

    stage: Stage
    batch: Batch
    folder: ShardFolder
    start: int
    stop: int

    def do(self) -> Batch:
        """Run the stage on the batch, with a journal that no other process writes."""
        if not self.folder.path.is_dir():
            raise EngineError(
                f"{self.folder.path} is not seen by node {here()}: the folder of a build on Ray must lie"
                " where all nodes see it"
            )
        return apply(self.stage, self.batch, self.folder, self.start, self.stop, writer=secrets.randbits(40))


class WorkQueue:
    """The work to do and the worker of each piece: an actor on the driver's node.

    A piece of work has a key, and one or more positions in `_order`, the order in which the pipeline hands
    work out. A worker that asks for work that is done, or that another worker has, gets nothing. A worker is
    identified by its actor and by a number of its own, as Ray restarts dead actors.
    """

    def __init__(self) -> None:
        self._work: dict[int, bytes] = {}
        self._order: list[int] = []
        self._owner: dict[int, tuple[str, str]] = {}
        self._starts = Counter[int]()
        self._heard: dict[str, tuple[float, Any]] = {}
        self._lost: set[str] = set()
        self._last = time.monotonic()
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, key: int, work: bytes) -> None:
        async with self._changed:
            self._work[key] = work
            self._order.append(key)
            self._changed.notify_all()

    async def wait(self, position: int) -> bool:
        """Wait until there is work at this position; False once the queue is closed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or position < len(self._order))
        return not self._closed

    async def take(self, position: int, actor: str, life: str) -> tuple[int, bytes, int] | None:
        """(key, work, earlier starts) at this position for a worker; None where there is nothing for it."""
        key = self._order[position]
        owner = self._owner.get(key)
        taken = owner is not None and (
            owner == (actor, life) or (owner[0] != actor and owner[0] in self._heard)
        )
        if self._closed or taken or key not in self._work or actor in self._lost:
            return None
        self._owner[key] = actor, life
        self._starts[key] += 1
        return key, self._work[key], self._starts[key] - 1

    async def done(self, key: int) -> None:
        self._work.pop(key, None)
        self._owner.pop(key, None)

    async def beat(self, actor: str, handle: Any) -> bool:
        """Note a heartbeat of a worker; returns whether the worker must end."""
        if actor not in self._lost:
            self._last = time.monotonic()
            self._heard[actor] = self._last, handle
        return self._closed or actor in self._lost

    async def silence(self) -> float:
        """Seconds since the last heartbeat of any worker."""
        return time.monotonic() - self._last

    async def living(self) -> int:
        """How many workers have sent a heartbeat, without those that were given up."""
        return len(self._heard)

    async def lost(self, seconds: float) -> list[Any]:
        """Give up the workers that were silent for so many seconds while others were not.

        Their work goes back into the queue. Returns their handles, to be killed.
        """
        now = time.monotonic()
        silent = [actor for actor, (heard, _) in self._heard.items() if now - heard > seconds]
        if not silent or len(silent) == len(self._heard):
            return []
        self._lost.update(silent)
        handles = [self._heard.pop(actor)[1] for actor in silent]
        await self._again(
            key for key in self._work if key not in self._owner or self._owner[key][0] in self._lost
        )
        return handles

    async def begin_again(self) -> tuple[int, list[Any]]:
        """Queue all work that is not done, for a new pipeline.

        Returns the first position of that work, and the handles of the old pipeline's workers.
        """
        handles = [handle for _, handle in self._heard.values()]
        self._lost.update(self._heard)
        self._heard.clear()
        position = len(self._order)
        await self._again(self._work)
        return position, handles

    async def _again(self, keys: Iterable[int]) -> None:
        async with self._changed:
            for key in keys:
                self._owner.pop(key, None)
                self._order.append(key)
            self._changed.notify_all()

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


class Positions(Datasource):  # type: ignore[misc]  # Ray is not typed for mypy
    """The positions of a queue from `first`, as one read task that ends when the queue is closed."""

    def __init__(self, queue: Any, first: int) -> None:
        super().__init__()
        self._queue, self._first = queue, first

    def estimate_inmemory_data_size(self) -> int:
        return 1

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        queue, first = self._queue, self._first

        def read() -> Iterator[pa.Table]:
            for position in itertools.count(first):
                if not ray.get(queue.wait.remote(position)):
                    return
                yield pa.table({"position": [position]})

        return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=1, exec_stats=None, input_files=None))]


class Worker:
    """The callable of `map_batches`: does several pieces of work at once, on one engine."""

    def __init__(self, queue: Any, engine: Engine) -> None:
        context = ray.get_runtime_context()
        self._queue, self._engine = queue, engine
        self._actor, self._life = context.get_actor_id(), secrets.token_hex(8)
        beating = (queue, engine, self._actor, context.current_actor)
        threading.Thread(target=_beat, args=beating, name="magpie-beat", daemon=True).start()

    def __del__(self) -> None:
        """Close the engine: Ray Data deletes a worker before it ends the process."""
        self._engine.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
        (position,) = batch["position"].to_pylist()
        taken = ray.get(self._queue.take.remote(position, self._actor, self._life))
        key, result = (-1, b"") if taken is None else (taken[0], self._result(*taken[1:]))
        return pa.table({"key": [key], "result": pa.array([result], pa.large_binary())})

    def _result(self, work: bytes, starts: int) -> bytes:
        """The batch, or the exception that was raised, pickled."""
        try:
            if starts > MOST_STARTS:
                raise EngineError(
                    f"{starts} workers died of one shard; the last was to be on node {here()}: see Ray's logs"
                    " of the others"
                )
            return _pickled(ray.cloudpickle.loads(work).do())
        except Exception as error:  # the driver raises it
            return _pickled(error)


def _beat(queue: Any, engine: Engine, actor: str, handle: Any) -> None:
    while not ray.get(queue.beat.remote(actor, handle)):
        time.sleep(BEAT_SECONDS)
    # Closing ends requests with an error. A piece of work may open the engine again just then, so this
    # repeats until Ray ends the process.
    while True:
        engine.close()
        time.sleep(BEAT_SECONDS)


def here() -> str:
    """The IP address of the node of this process."""
    return str(ray.util.get_node_ip_address())


def _pickled(result: Batch | Exception) -> bytes:
    """A result, pickled; of an exception that cannot be pickled, its text in an EngineError."""
    if isinstance(result, Exception):
        result.add_note(f"on node {here()}: {''.join(traceback.format_exception(result))}")
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:  # exceptions with required arguments fail in many ways
            return pickle.dumps(EngineError(f"{type(result).__name__}: {result} (on node {here()})"))
    return pickle.dumps(result)
