"""What runs on the nodes of a Ray cluster: the queue of work, and the workers that do it.

Not here: who gives work out.
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

BEAT_SECONDS = 1.0  # how often a worker says that it lives, and hears whether it is over
MOST_STARTS = 2  # workers that one piece of work may outlive; one more, and it is the work that kills them


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
                f"{self.folder.path} is not seen by node {here()}: the folder of a build on Ray must lie"
                " where all nodes see it"
            )
        return apply(self.stage, self.batch, self.folder, self.start, self.stop, writer=secrets.randbits(40))


class WorkQueue:
    """What there is to do and who does it. An actor beside the driver, which is lost only together with it.

    Work is named by a key, and lies at one or more positions of `_order`, in which the pipeline hands it out:
    a worker that takes what another one has, or what is done, gets nothing. A worker is known by its actor,
    and by its life, as Ray starts dead actors again.
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
        """Whether there is work at this position, once that is known: False when there will be none."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or position < len(self._order))
        return not self._closed

    async def take(self, position: int, actor: str, life: str) -> tuple[int, bytes, int] | None:
        """What the worker is to do, with its key and how often it was begun before; None where there is
        nothing for it.
        """
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
        """A worker lives; whether it is over for it."""
        if actor not in self._lost:
            self._last = time.monotonic()
            self._heard[actor] = self._last, handle
        return self._closed or actor in self._lost

    async def silence(self) -> float:
        """Seconds since the last word of any worker."""
        return time.monotonic() - self._last

    async def living(self) -> int:
        """How many workers have said something, and were not given up."""
        return len(self._heard)

    async def lost(self, seconds: float) -> list[Any]:
        """Workers that said nothing for so long while others did: theirs is handed out again, and they are
        to be killed.
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
        """For a new pipeline: the position from which on it finds all that is not done, and the workers of
        the old one.
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


class Positions(Datasource):  # type: ignore[misc]  # mypy sees nothing of Ray
    """The positions of a queue, from `first` on, as one read task that ends when the queue is closed."""

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
    """What `map_batches` runs: does work of the queue, several pieces side by side, on an engine that the
    first of them opens.
    """

    def __init__(self, queue: Any, engine: Engine) -> None:
        context = ray.get_runtime_context()
        self._queue, self._engine = queue, engine
        self._actor, self._life = context.get_actor_id(), secrets.token_hex(8)
        beating = (queue, engine, self._actor, context.current_actor)
        threading.Thread(target=_beat, args=beating, name="magpie-beat", daemon=True).start()

    def __del__(self) -> None:
        """Ray Data lets go of a worker before it ends its process."""
        self._engine.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
        (position,) = batch["position"].to_pylist()
        taken = ray.get(self._queue.take.remote(position, self._actor, self._life))
        key, result = (-1, b"") if taken is None else (taken[0], self._result(*taken[1:]))
        return pa.table({"key": [key], "result": pa.array([result], pa.large_binary())})

    def _result(self, work: bytes, starts: int) -> bytes:
        """The pickled batch, or the exception that came of it."""
        try:
            if starts > MOST_STARTS:
                raise EngineError(
                    f"{starts} workers died of one shard; the last was to be on node {here()}: see Ray's logs"
                    " of the others"
                )
            return _pickled(ray.cloudpickle.loads(work).do())
        except Exception as error:  # whatever it is, it is the driver's to raise
            return _pickled(error)


def _beat(queue: Any, engine: Engine, actor: str, handle: Any) -> None:
    while not ray.get(queue.beat.remote(actor, handle)):
        time.sleep(BEAT_SECONDS)
    # Closing fails what is in flight; a piece of work that opened the engine again just then is met on the
    # next turn
    while True:
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
