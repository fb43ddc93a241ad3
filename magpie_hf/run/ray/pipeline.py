"""One Ray Data pipeline a model: shards' work in as it comes up, results out; the engines stay loaded
meanwhile.

Not here: which work.

Work is only known as the selection goes on, and a pipeline a round would load the engines anew each time. So
the pipeline's data are the positions of a queue: one read task gives out 0, 1, 2, ... as soon as there is
work there, and each worker fetches that work itself. A read task that Ray repeats, because a node with its
blocks was lost, gives out the same positions again, and work that is done is not done twice.

Ray starts a dead worker again where there is room. Where there is none, its tasks would wait for it for ever:
Ray Data never moves a task to another worker. So a worker that is silent for too long is given up, and what
it had is put into the queue once more.
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

LOG = logging.getLogger("magpie_hf")
MOST_RESTARTS = 3  # of the pipeline, in a row without a result


@dataclass(frozen=True)
class Size:
    """How many workers a pipeline has at least and at most, what each is given, and how many shards it works
    on at once.
    """

    least: int
    most: int
    cpus: float
    gpus: float
    shards: int


class Pipeline:
    """Work in, futures of batches out, over workers that hold one engine each, until it is closed.

    A worker that dies is started again, on any node, and what it had under way begins again from its
    journals; one that says nothing for `silence` seconds is given up. A future gets EngineError where the
    engine fails for good, where one shard's work kills every worker, and where for `patience` seconds no
    worker lives.
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
        """What a stage will have made of rows [start, stop) of its folder. Raises EngineError where the
        pipeline has ended.
        """
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
        """End the pipeline: what is under way fails, and workers close their engines and go. Blocks until Ray
        has let go of them.
        """
        self._stop(EngineError("the build is stopping"))
        with contextlib.suppress(
            ray.exceptions.RayError
        ):  # a cluster that is lost: the threads find that, too, and say so
            if not ray.get(self._queue.living.remote()):
                self._abandoned.set()  # nobody is there to end it in good order
        for thread in self._threads:
            thread.join()

    def _stop(self, end: EngineError) -> None:
        with self._lock:
            if self._end is None:
                self._end = end
                self._queue.close.remote()

    def _consume(self) -> None:
        """Hand results on until the queue is closed; whatever happens, nobody is left waiting."""
        reason = "its driver failed"
        try:
            reason = self._execute()
        finally:
            self._stop(EngineError(f"the pipeline on Ray failed: {reason}"))
            self._fail()

    def _execute(self) -> str:
        """Execute the pipeline, again with all that is not done where it fails as a whole; returns why it
        ended.
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
        """Tell all who still wait."""
        with self._lock:
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_exception(self._end)

    def _check(self) -> str | None:
        """Give up silent workers; why there will be no more results, if so."""
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
        """End it all where no worker has been heard of for too long."""
        while self._threads[0].is_alive():
            time.sleep(min(BEAT_SECONDS, self._patience))
            if (reason := self._check()) is not None:
                self._stop(EngineError(reason))
                self._abandoned.set()
                return


_EXECUTING = threading.local()  # the event that ends the execution which this thread begins


class Abandon:
    """A callback of Ray Data's that ends an execution between two steps; else it waits for ever for workers
    that cannot be placed.
    """

    def before_execution_starts(self, executor: Any) -> None:
        self._abandoned: threading.Event = _EXECUTING.abandoned

    def on_execution_step(self, executor: Any) -> None:
        if self._abandoned.is_set():
            raise EngineError("the pipeline on Ray was abandoned")

    def after_execution_succeeds(self, executor: Any) -> None:
        """Nothing is left to do."""

    def after_execution_fails(self, executor: Any, error: Exception) -> None:
        """The one who reads the results hears of it."""


def _dataset(queue: Any, engine: Engine, size: Size, first: int) -> Any:
    context = DataContext.get_current().copy()
    context.target_max_block_size = 1  # a number, or a result, is passed on at once instead of with others
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = -1  # an engine may think for hours
    context.max_errored_blocks = (
        -1
    )  # the tasks of a worker that is given up; their work is in the queue again
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
    """End workers for good, also those that Ray would start again."""
    for worker in workers:
        ray.kill(worker, no_restart=True)


def _hush() -> None:
    """Keep Ray Data's notes off the terminal, where they would bury a build's lines; its own log files still
    get them.
    """
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """The place of what is lost only together with the driver."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def shortage(size: Size) -> str:
    """What a worker needs, what there is of it, and what to do."""
    free, total = ray.available_resources(), ray.cluster_resources()
    have = " and ".join(f"{free.get(key, 0):g} of {total.get(key, 0):g} {key}s" for key in ("CPU", "GPU"))
    return (
        f"one needs {size.cpus:g} CPUs and {size.gpus:g} GPUs, and {have} are free in the cluster: add nodes,"
        " or ask for less"
    )


def _line(error: BaseException) -> str:
    """The last line of Ray's words, which are many."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
