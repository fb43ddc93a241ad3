"""One Ray Data pipeline per model, which takes work as it comes up and keeps the engines loaded.

Not here: which work.

The selection decides step by step which work there is, and a new pipeline for each step would load the
engines again. So the dataset of the pipeline is the positions of a queue: one read task yields 0, 1, 2, ...
as soon as there is work at a position, and a worker fetches that work itself. If a node with blocks is lost,
Ray repeats the read task; it yields the same positions, and finished work is not done twice.

Ray restarts a dead worker where there is room. Without room its tasks would wait forever, as Ray Data never
moves a task to another worker. So a worker that is silent for too long is given up, and its work goes back
into the queue.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray
import ray.cloudpickle
from ray.data import ActorPoolStrategy, DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from magpie_hf.engines.base import Engine
from magpie_hf.errors import EngineError
from magpie_hf.run.ray.queue import BEAT_SECONDS, Positions, Work, Worker, WorkQueue
from magpie_hf.stage import Batch, Stage
from magpie_hf.store.shards import ShardFolder
from magpie_hf.text.language import tr

LOG = logging.getLogger("magpie_hf")
MOST_RESTARTS = 3  # of the pipeline, in a row without a result


@dataclass(frozen=True)
class Size:
    """The size of a pipeline.

    least, most: workers. cpus, gpus: of each worker. shards: how many a worker works on at once.
    """

    least: int
    most: int
    cpus: float
    gpus: float
    shards: int


class Pipeline:
    """Work in, futures of batches out, over workers that hold one engine each, until it is closed.

    A worker that dies is restarted on any node, and its work resumes from its journals. A worker that is
    silent for `silence` seconds is given up. A future gets EngineError where the engine fails for good, where
    the work of one shard kills every worker, and where no worker lives for `patience` seconds.
    """

    def __init__(self, engine: Engine, size: Size, silence: float, patience: float) -> None:
        self._engine, self._size, self._silence, self._patience = engine, size, silence, patience
        self._next = 0
        self._waiting: dict[int, Future[Batch]] = {}
        self._lock = threading.Lock()
        self._end: EngineError | None = None
        self._abandoned = threading.Event()
        _hush()
        self._queue = ray.remote(WorkQueue).options(num_cpus=0, scheduling_strategy=beside_driver()).remote()
        self._threads = [
            threading.Thread(target=run, name="magpie-ray", daemon=True)
            for run in (self._consume, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, stage: Stage, batch: Batch, folder: ShardFolder, start: int, stop: int) -> Future[Batch]:
        """Queue a stage's work on rows [start, stop). Raises EngineError where the pipeline has ended."""
        future: Future[Batch] = Future()
        payload = ray.cloudpickle.dumps(Work(stage, batch, folder, start, stop))
        with self._lock:
            if self._end is not None:
                raise self._end
            self._waiting[self._next] = future
            self._queue.put.remote(self._next, payload)
            self._next += 1
        return future

    def close(self) -> None:
        """End the pipeline, and wait until Ray has released the workers.

        Work under way fails, and the workers close their engines.
        """
        self._stop(EngineError("the build is stopping"))
        with contextlib.suppress(ray.exceptions.RayError):  # the threads report a lost cluster
            if not ray.get(self._queue.living.remote()):
                self._abandoned.set()  # without workers the execution cannot end by itself
        for thread in self._threads:
            thread.join()

    def _stop(self, end: EngineError) -> None:
        with self._lock:
            if self._end is None:
                self._end = end
                self._queue.close.remote()

    def _consume(self) -> None:
        """Settle futures until the queue is closed; in the end every future has a result or an error."""
        reason = "its driver failed"
        try:
            reason = self._execute()
        finally:
            self._stop(EngineError(f"the pipeline on Ray failed: {reason}"))
            self._fail()

    def _execute(self) -> str:
        """Execute the pipeline, and return why it ended.

        Where it fails as a whole, it is restarted with all work that is not done.
        """
        restarts, first = 0, 0
        _EXECUTING.abandoned = self._abandoned
        while True:
            try:
                if restarts:
                    first, workers = ray.get(self._queue.begin_again.remote())
                    _kill(workers)
                for key, result in self._results(first):
                    restarts = 0
                    self._settle(key, result)
                reason = "it ended early"
            except Exception as error:  # a fault of Ray's or Ray Data's, of any kind
                reason = _line(error)
            restarts += 1
            if self._end is not None or restarts > MOST_RESTARTS:
                return reason
            LOG.warning(
                "the pipeline of %s on Ray failed and is started again: %s", self._engine.model.name, reason
            )

    def _fail(self) -> None:
        """Fail the futures that are left."""
        with self._lock:
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_exception(self._end)

    def _check(self) -> str | None:
        """Give up silent workers; returns why there will be no more results, or None."""
        try:
            if ray.get(self._queue.silence.remote()) > self._patience:
                return f"for {self._patience:.0f} s no worker has lived on Ray; {shortage(self._size)}"
            if silent := ray.get(self._queue.lost.remote(self._silence)):
                LOG.warning(
                    "%d workers of %s on Ray are silent; others do their work",
                    len(silent),
                    self._engine.model.name,
                )
                _kill(silent)
        except ray.exceptions.RayError as error:
            return f"the cluster was lost: {_line(error)}"
        return None

    def _results(self, first: int) -> Iterator[tuple[int, Any]]:
        for bundle in _dataset(self._queue, self._engine, self._size, first).iter_internal_ref_bundles():
            for block in bundle.block_refs:
                for row in ray.get(block).to_pylist():
                    if row["result"]:  # else there was nothing to do: it is done, or another worker has it
                        yield row["key"], pickle.loads(row["result"])

    def _settle(self, key: int, result: Any) -> None:
        with self._lock:
            future = self._waiting.pop(key, None)
        if future is not None:
            self._queue.done.remote(key)
            if isinstance(result, ray.exceptions.RayError):
                future.set_exception(EngineError(f"a worker on Ray failed: {_line(result)}"))
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _watch(self) -> None:
        """End the pipeline once no worker has sent a heartbeat for too long."""
        while self._threads[0].is_alive():
            time.sleep(min(BEAT_SECONDS, self._patience))
            if (reason := self._check()) is not None:
                self._stop(EngineError(reason))
                self._abandoned.set()
                return


_EXECUTING = threading.local()  # holds the event that ends the execution that this thread starts


class Abandon:
    """A callback of Ray Data that ends an execution between two steps.

    Without it an execution waits forever for workers that cannot be placed.
    """

    def before_execution_starts(self, executor: Any) -> None:
        self._abandoned: threading.Event = _EXECUTING.abandoned

    def on_execution_step(self, executor: Any) -> None:
        if self._abandoned.is_set():
            raise EngineError("the pipeline on Ray was abandoned")

    def after_execution_succeeds(self, executor: Any) -> None:
        """Required by Ray Data; nothing to do."""

    def after_execution_fails(self, executor: Any, error: Exception) -> None:
        """Required by Ray Data; the reader of the results gets the error."""


def _dataset(queue: Any, engine: Engine, size: Size, first: int) -> Any:
    context = DataContext.get_current().copy()
    context.target_max_block_size = 1  # passes each position and each result on at once
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = -1  # one answer may take hours
    context.max_errored_blocks = -1  # the tasks of workers that are given up; the queue has their work
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, Abandon]
    with DataContext.current(context):
        positions = ray.data.read_datasource(
            Positions(queue, first),
            override_num_blocks=1,
            ray_remote_args={"num_cpus": 0, "max_retries": -1, "scheduling_strategy": beside_driver()},
        )
        return positions.map_batches(
            Worker,
            fn_constructor_args=(queue, engine),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=size.cpus,
            num_gpus=size.gpus,
            compute=ActorPoolStrategy(
                min_size=size.least,
                max_size=size.most,
                max_concurrent_calls_per_actor=size.shards,
                max_tasks_in_flight_per_actor=2 * size.shards,
                enable_true_multi_threading=True,
            ),
        )


def _kill(workers: list[Any]) -> None:
    """Kill workers, without a restart by Ray."""
    for worker in workers:
        ray.kill(worker, no_restart=True)


def _hush() -> None:
    """Keep the log of Ray Data off the terminal; its log files still get it."""
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """The driver's node: what runs there is lost only together with the driver."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def shortage(size: Size) -> str:
    """What a worker needs, what the cluster has, and the remedy."""
    free, total = ray.available_resources(), ray.cluster_resources()
    have = tr(
        "{cpus:g} of {all_cpus:g} CPUs and {gpus:g} of {all_gpus:g} GPUs",
        cpus=free.get("CPU", 0),
        all_cpus=total.get("CPU", 0),
        gpus=free.get("GPU", 0),
        all_gpus=total.get("GPU", 0),
    )
    return (
        f"one needs {size.cpus:g} CPUs and {size.gpus:g} GPUs, and {have} are free in the cluster: add nodes,"
        " or ask for less"
    )


def _line(error: BaseException) -> str:
    """The last line of an error of Ray, which may have dozens."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
