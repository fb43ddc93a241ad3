"""OnRay: a Local whose stages that need an engine run on the nodes of a Ray cluster.

Not here: the Ray Data pipeline.

The driver does everything else as Local does: it cuts the rows, reads and writes the shards, and runs the
stages that need no engine. A worker writes only the journal of its shard, in the folder of the build, which
all nodes must see.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.engines import meter
from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.recipe import Recipe
from magpie_hf.run.local import Closing, Local, Report, check_programs, shard_summary
from magpie_hf.stage import Batch, Stage
from magpie_hf.store.shards import ShardFolder

if TYPE_CHECKING:
    from magpie_hf.run.ray.pipeline import Pipeline, Size

ANSWER_SECONDS = 20.0  # within which a cluster's address and each of its nodes must answer


@dataclass(frozen=True)
class RayCluster:
    """An existing Ray cluster, given to `build` as `runner`: called with a build's folder, it makes an OnRay.

    address: "auto" (the cluster of this machine), HOST:PORT of its head, or "local" (a new cluster of this
    machine alone). workers: the least and the most engines at once; None takes 1 to as many as fit into the
    cluster. gpus, cpus: of each worker; None takes as many GPUs as the engine's tensor parallel size, and one
    CPU, or without GPUs all CPUs of the smallest node. silence: seconds without a heartbeat after which a
    worker is given up and others do its work. patience: seconds without a heartbeat from any worker after
    which the build ends.

    Raises BadInput for workers, a silence or a patience out of range.
    """

    address: str = "auto"
    workers: tuple[int, int] | None = None
    gpus: float | None = None
    cpus: float | None = None
    silence: float = 60.0
    patience: float = 600.0

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers[0] <= self.workers[1]:
            raise BadInput(
                f"the workers on Ray are {self.workers[0]} to {self.workers[1]}; give two numbers from 1 on,"
                " the smaller one first"
            )
        for name, seconds in (("silence", self.silence), ("patience", self.patience)):
            if not seconds > 0:  # also true of a NaN
                raise BadInput(f"the {name} with workers on Ray is {seconds} s; give a number above 0")

    def __call__(
        self, folder: Path, shard_rows: int = 256, shards_in_flight: int = 8, report: Report = lambda *_: None
    ) -> OnRay:
        return OnRay(folder.absolute(), shard_rows, shards_in_flight, report, self)

    def connect(self) -> None:
        """Connect to the cluster, unless this process is connected. Raises BadInput where none answers."""
        if find_spec("ray") is None:
            raise BadInput(
                "Ray is not installed, so nothing can run on a cluster; install it with: pip install"
                " 'magpie-hf[ray]'"
            )
        # The future default of Ray; without it, Ray warns of the change.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Else Ray prints an error for every worker of Ray Data that may be restarted.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray

        if ray.is_initialized():
            return
        if "://" in self.address:
            raise BadInput(
                f"{self.address} is no head's address; run the build on a node of the cluster, with HOST:PORT"
                " or auto"
            )
        if self.address != "local":
            _try(self.address)
        with _own_signals():
            ray.init(address=self.address, logging_level=logging.ERROR, log_to_driver=False)

    def size(self, engine: Engine, shards: int) -> Size:
        """The size of a pipeline of this engine, in the cluster as it is now."""
        import ray

        return self.fitted([node["Resources"] for node in ray.nodes() if node["Alive"]], engine, shards)

    def fitted(self, nodes: Sequence[Mapping[str, float]], engine: Engine, shards: int) -> Size:
        """The size of a pipeline of this engine, in a cluster of nodes with these resources."""
        from magpie_hf.run.ray.pipeline import Size

        on_gpus = any(node.get("GPU", 0) for node in nodes)
        gpus = self.gpus
        if gpus is None:
            gpus = float(getattr(engine, "tensor_parallel_size", 1)) if on_gpus else 0.0
        smallest = min((node["CPU"] for node in nodes if node.get("CPU")), default=1.0)
        cpus = self.cpus if self.cpus is not None else 1.0 if gpus else smallest
        needs = {"CPU": cpus, "GPU": gpus}
        fitting = sum(
            int(min((node.get(key, 0) / need for key, need in needs.items() if need), default=1))
            for node in nodes
        )
        least, most = self.workers or (1, max(1, fitting))
        return Size(least, most, cpus, gpus, shards)


@dataclass
class OnRay(Local):
    """Local with its engines on the nodes of a cluster.

    Rows, features and fingerprints are those of Local, and each of the two resumes builds of the other.
    shards_in_flight: how many shards one engine works on at once; as many again wait for it.
    """

    cluster: RayCluster = field(default_factory=RayCluster)
    _workers: Workers | None = field(default=None, init=False)

    @property
    def width(self) -> int:
        return self.shards_in_flight * (1 if self._workers is None else self._workers.most)

    def check(self, recipe: Recipe) -> list[str]:
        """Check the cluster and its nodes; returns no lines.

        Programs are run here, and not on the nodes. Raises BadInput where no cluster answers, where a node
        does not see the folder, and where a worker cannot be placed or cannot run an engine.
        """
        check_programs(recipe)
        self.cluster.connect()
        size = max(
            (self.cluster.size(engine, self.shards_in_flight) for engine in recipe.engines),
            key=lambda size: size.gpus,
        )
        check_nodes(self.folder, size)
        check_recipe(recipe, size, self.cluster.patience)
        return []

    def open(self, engine: Engine) -> Closing:
        self._workers = Workers(engine, self.cluster, self.shards_in_flight)
        return self._workers

    def apply(self, stage: Stage, batch: Batch, folder: ShardFolder, start: int, stop: int) -> Batch:
        """Run a stage on the batch: on a worker if it needs an engine, else here."""
        if not stage.reuse_key or self._workers is None:
            return super().apply(stage, batch, folder, start, stop)
        return self._workers.run(
            stage, {column: list(batch[column]) for column in batch}, folder, start, stop
        )


class Workers:
    """The pipeline of a session's engine, which the first work starts."""

    def __init__(self, engine: Engine, cluster: RayCluster, shards: int) -> None:
        self._engine, self._cluster, self._shards = engine, cluster, shards
        self._pipeline: Pipeline | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def most(self) -> int:
        """The most engines at once: as `workers` says, else as many as fit; 1 before the connection."""
        if self._cluster.workers is not None:
            return self._cluster.workers[1]
        ray = sys.modules.get("ray")
        return (
            self._cluster.size(self._engine, self._shards).most
            if ray is not None and ray.is_initialized()
            else 1
        )

    def run(self, stage: Stage, batch: Batch, folder: ShardFolder, start: int, stop: int) -> Batch:
        """Run the stage on the next free worker, and wait. Raises what the stage raises, and EngineError."""
        with self._lock:
            if self._closed:
                raise EngineError("the build is stopping")
            if self._pipeline is None:
                self._cluster.connect()
                from magpie_hf.run.ray.pipeline import Pipeline

                cluster = self._cluster
                self._pipeline = Pipeline(
                    self._engine, cluster.size(self._engine, self._shards), cluster.silence, cluster.patience
                )
        name, rows = self._engine.model.name, stop - start
        began, made = meter.Start(name, time.monotonic(), rows), None
        meter.started(began)  # which counts the work on workers by shards
        try:
            made = self._pipeline.submit(stage, batch, folder, start, stop).result()
        finally:
            outcome = None
            if made is not None:
                added = {column: made[column] for column in stage.adds}
                outcome = meter.Outcome(0, shard_summary(stage.counted(batch, added))["tokens"])
            meter.ended(began, outcome)
        return made

    def close(self) -> None:
        with self._lock:
            self._closed = True
        if self._pipeline is not None:
            self._pipeline.close()


def check_nodes(folder: Path, size: Size) -> None:
    """Raises BadInput for a node that does not see the folder, or has another version of this package.

    Nodes on which no worker fits are not checked.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    above = next(parent for parent in folder.parents if parent.is_dir())
    beacon = above / f".magpie-{secrets.token_hex(8)}"
    beacon.touch()
    try:
        asked = {}
        for node in ray.nodes():
            if (
                node["Alive"]
                and node["Resources"].get("CPU", 0) >= size.cpus
                and node["Resources"].get("GPU", 0) >= size.gpus
            ):
                place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ray.remote(_sees).options(num_cpus=0, max_retries=0, scheduling_strategy=place)
                asked[task.remote(beacon)] = node["NodeManagerAddress"]
        answered, _ = (
            ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS) if asked else ([], [])
        )
        for answer, name in asked.items():
            _check_answer(answer if answer in answered else None, name, above)
    finally:
        beacon.unlink()


def _check_answer(answer: Any, name: str, above: Path) -> None:
    import ray

    if answer is None:
        raise BadInput(
            f"node {name} of the cluster did not answer within {ANSWER_SECONDS:.0f} s; remove it, or free it"
        )
    try:
        sees, theirs = ray.get(answer)
    except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
        return  # the node left the cluster just now
    except ray.exceptions.RayError as error:
        raise BadInput(
            f"node {name} cannot run magpie-hf ({_last_line(error)}); install version {version('magpie-hf')}"
            " there"
        ) from error
    if not sees:
        raise BadInput(
            f"{above} is not seen by node {name}: the folder of a build on Ray must lie where all nodes see"
            " it, under one path"
        )
    if theirs != version("magpie-hf"):
        raise BadInput(
            f"node {name} has magpie-hf {theirs}, and this one {version('magpie-hf')}; install one version"
            " everywhere"
        )


def _sees(beacon: Path) -> tuple[bool, str]:
    return beacon.is_file(), version("magpie-hf")


def check_recipe(recipe: Recipe, size: Size, patience: float) -> None:
    """Check the recipe on a worker. Raises BadInput as `Recipe.check` does, and if no worker is placed."""
    import ray

    from magpie_hf.run.ray.pipeline import shortage

    checking = ray.remote(_check).options(num_cpus=size.cpus, num_gpus=size.gpus).remote(recipe)
    try:
        ray.get(checking, timeout=patience)
    except ray.exceptions.GetTimeoutError as error:
        ray.cancel(checking, force=True)
        raise BadInput(f"Ray placed no worker within {patience:.0f} s; {shortage(size)}") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BadInput):
            raise error.cause from None
        raise EngineError(f"the check of the build on a worker failed: {_last_line(error)}") from error


def _check(recipe: Recipe) -> None:
    recipe.check()


def _try(address: str) -> None:
    """Connect in another process first, with a timeout: Ray itself tries, and prints, for minutes."""
    if ":" in address:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except (OSError, ValueError, OverflowError) as error:
            raise _silent(f"at {address}", str(error)) from error
    where = "on this machine" if address == "auto" else f"at {address}"
    code = (
        "import logging, sys, ray; ray.init(address=sys.argv[1], logging_level=logging.ERROR,"
        " log_to_driver=False)"
    )
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, address],
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _silent(where, f"none within {ANSWER_SECONDS:.0f} s") from error
    if tried.returncode:
        raise _silent(where, _last_line(tried.stderr))


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handler of SIGTERM: Ray replaces it with its own, and `stopping` would not run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _silent(where: str, why: str) -> BadInput:
    return BadInput(
        f"no Ray cluster answers {where} ({why}); start one with `ray start --head`, or give the address that"
        " it printed"
    )


def _last_line(text: object) -> str:
    return (str(text).strip() or type(text).__name__).splitlines()[-1].strip()
