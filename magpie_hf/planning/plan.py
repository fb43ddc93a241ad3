"""Plan: all that is known of a build before it runs, with its disk, its machines, hours and cost.

Not here: how it is shown (view.py).
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from magpie_hf.engines.vllm.arguments import read_arguments
from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import GPUS, Gpu
from magpie_hf.models.parallel import UTILIZATION, Parallelism, choose, sizes
from magpie_hf.planning.inputs import (
    FIGURES,
    Duty,
    Outline,
    Sized,
    duties_of,
    gpu_named,
    local_gpus,
    said_of,
    sized,
)
from magpie_hf.planning.measurements import Measured, measured_estimates, read_measured
from magpie_hf.planning.simulation import Work, seconds_by_phase
from magpie_hf.planning.speeds import EFFICIENCIES, Speed, compute_bound_hours, speed_on
from magpie_hf.planning.workload import (
    PROBLEM,
    Bound,
    Done,
    Estimates,
    Load,
    Range,
    Reuse,
    Rows,
    assumed,
    bounds_of,
    loads_of,
    reuse_of,
    rows_of,
)
from magpie_hf.text.language import tr

# Error of a simulation from measured numbers, beside what the few rows of a measurement leave open.
MODEL_ERROR = 0.10
CPU_CACHE = 2.0  # GiB of KV cache of an engine on the CPU, as in `engines.vllm`
BYTES = 3.4  # of text a token of English mathematics
ROW_BYTES = 1_900  # of a row of the run beside its texts: signature, digests, tags, keys
# How often the run holds the texts of answers: raw, split into thinking and answer, and as published rows.
COPIES = 3.9
PACKED = 0.5  # size of what is published, by that of the texts of all answers
LEGACY = 2.2  # how often the original's JSON files hold the candidates' texts


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk.

    run: the run's folder while the build runs; published: what is published; legacy: the original's JSON
    files; weights: to download; free, cache_free: free space where the build and where the weights go.
    """

    run: float
    published: float
    legacy: float
    weights: float
    free: float
    cache_free: float

    @property
    def is_short(self) -> bool:
        """Whether the build does not fit; weights go elsewhere."""
        return self.run + self.published + self.legacy > self.free

    @property
    def cache_is_short(self) -> bool:
        """Whether the weights do not fit."""
        return self.weights > self.cache_free


@dataclass(frozen=True)
class Placing:
    """How engines are to run.

    utilization, sequences: share of a GPU's memory, and the most sequences of each engine, None for vLLM's
    choice; tensor, data, cache: what the user gave: parallel sizes, and GiB of KV cache.
    """

    utilization: float = UTILIZATION
    sequences: int | None = None
    tensor: int | None = None
    data: int | None = None
    cache: float | None = None


@dataclass(frozen=True)
class Fit:
    """A model on a machine.

    parallelism: None where it does not fit or its size is not known, for the reason `why`; sequences:
    full-length sequences that fit at once.
    """

    source: str
    parallelism: Parallelism | None
    sequences: int
    why: str


@dataclass(frozen=True)
class Machine:
    """GPUs of one kind, how the models fit there, and what the build takes by the vendor's figures.

    compute_bound: hours of the compute-bound minimum. hours, dollars and compute_bound are None where a model
    does not fit or its size is not known.
    """

    gpu: Gpu
    count: int
    fits: tuple[Fit, ...]
    hours: Range | None
    dollars: tuple[float, float] | None
    compute_bound: float | None


@dataclass(frozen=True)
class Plan:
    """A build before it runs.

    bounds: what the bound of its answers gives, and what larger ones would; whole, left: seconds on this
    machine, of the whole build and of what is left of it; None without a measurement.
    """

    outline: Outline
    out: Path
    estimates: Estimates
    rows: tuple[Rows, ...]
    loads: tuple[Load, ...]
    bounds: tuple[Bound, ...]
    disk: Disk
    models: tuple[Sized, ...]
    machines: tuple[Machine, ...]
    duties: tuple[Duty, ...]
    reuse: Reuse
    whole: Range | None
    left: Range | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, as printed with --json and kept in `run/plan.json`."""
        return {
            "made": int(time.time()),
            "folder": str(self.out),
            "sources": dict(self.outline.sources),
            "k": self.outline.k,
            "chat": {role: dict(settings) for role, settings in self.outline.chat.items()},
            "steer": self.outline.place,
            "sampling": [
                {"stage": one.stage, "domains": one.domains, **one.values, "origins": dict(one.origins)}
                for one in self.outline.sampling
            ],
            "reasoning": self.outline.reasoning,
            "unread": self.outline.unread,
            "rows": [asdict(one) for one in self.rows],
            "stages": [asdict(one) for one in self.loads],
            "bounds": [asdict(one) for one in self.bounds],
            "disk": asdict(self.disk),
            "models": [
                {"source": one.source, "weights_gb": one.weights, "why": one.why} for one in self.models
            ],
            "machines": [asdict(one) for one in self.machines],
            "duties": [asdict(one) for one in self.duties],
            "done": [asdict(one) for one in self.reuse.stages],
            "seconds": {"whole": self.whole, "left": self.left},
            "assumptions": list(self.estimates.words),
        }


def plan_of(
    options: argparse.Namespace,
    outline: Outline,
    out: Path,
    gpu: str | None = None,
    gpus: int | None = None,
    price: float | None = None,
) -> Plan:
    """The plan of the build that the options describe; loads nothing.

    gpu, gpus: the GPUs to plan for, in place of this machine's, or else of several common ones; price: US
    dollars an hour and GPU, in place of a range. Raises BadInput for an unknown GPU, another build's folder,
    and a record of a newer version.
    """
    given = read_arguments(options.engine_args, options.engine_arg)
    models = tuple(
        sized(source, outline.revisions.get(source), (*given.numbers, *given.speed), options.max_model_len)
        for source in dict.fromkeys(outline.stages.values())
    )
    outline = replace(outline, context=_context_of(outline.sources["solver"], models))
    measured = read_measured(out)
    fits = measured is not None and measured.said == said_of(options, outline)
    estimates = measured_estimates(outline, measured) if measured is not None and fits else assumed(outline)
    if measured is not None and not fits:
        words = tr(
            "the measurement of {date} in this folder used other options, so it is ignored",
            date=measured.date,
        )
        estimates = replace(estimates, words=(*estimates.words, words))
    reuse = reuse_of(outline, out)
    known = _with_caches(options, measured, models) if measured is not None and fits else None
    machines = tuple(
        machine_of(outline, estimates, reuse.done, models, one, count, how, price)
        for one, count, how in _machines(options, models, gpu, gpus)
    )

    def hours(outline: Outline, estimates: Estimates) -> float | None:
        seconds = _seconds(outline, estimates, known, {})
        return seconds.mid / 3600 if seconds else _likely_hours(outline, estimates, models, machines, options)

    return Plan(
        outline,
        out,
        estimates,
        tuple(rows_of(outline, estimates)),
        tuple(loads_of(outline, estimates)),
        tuple(bounds_of(outline, estimates, hours)),
        disk_of(outline, estimates, out, models),
        models,
        machines,
        tuple(duties_of(outline, options.model_license)),
        reuse,
        _seconds(outline, estimates, known, {}),
        _seconds(outline, estimates, known, reuse.done),
    )


def _context_of(source: str, models: Sequence[Sized]) -> int:
    """Tokens of the model's own context; 0 where it is not known."""
    shapes = (one.size.need.shape for one in models if one.source == source and one.size)
    return next((shape.longest for shape in shapes if shape), 0)


def _seconds(
    outline: Outline, estimates: Estimates, measured: Measured | None, done: Mapping[str, Done]
) -> Range | None:
    """Seconds of the build on the machine of the measurement: least, likely and most."""
    if measured is None or set(outline.stages.values()) - set(measured.speeds):
        return None
    timing = measured.timing
    found = []
    for at in range(3):
        work = _work(estimates, at, done, timing.cpu)
        asked = sum(seconds for _, seconds in seconds_by_phase(outline, work, measured.speeds, {}))
        found.append(timing.before + timing.beside + timing.after + asked * (1 + MODEL_ERROR * (at - 1)))
    return Range(*found)


def _work(
    estimates: Estimates, at: int, done: Mapping[str, Done], cpu: Mapping[str, tuple[float, float]]
) -> Work:
    """The work where all is as good (0), as likely (1) or as bad (2) as the estimates allow."""
    shares = {key: share[2 - at] for key, share in estimates.shares.items()}
    return Work(estimates.examples[at], estimates.each, shares, cpu, done)


# Disk


def disk_of(outline: Outline, estimates: Estimates, out: Path, models: Sequence[Sized]) -> Disk:
    """The disk that the build will need, and what is free."""
    rows = rows_of(outline, estimates)
    samples, problems = sum(one.samples.mid for one in rows), sum(one.problems for one in rows)
    mean = {
        stage: sum(one.tokens for one in example) / max(1, len(example)) * BYTES
        for stage, example in estimates.examples[1].items()
    }
    candidates = estimates.each["candidates"] * mean["candidates"]
    published = sum(one.train.mid + one.test.mid for one in rows) * mean["candidates"] / problems
    answers = problems * (candidates + mean.get("solutions", published))
    problem = mean.get("instruct", PROBLEM.median * BYTES)
    run = samples * (2 * problem + ROW_BYTES) + COPIES * answers + problems * ROW_BYTES
    legacy = problems * (2 * mean.get("solutions", mean["candidates"]) + LEGACY * candidates)
    missing = sum(one.weights * 1e9 for one in models if one.weights is not None and not _is_here(one.source))
    return Disk(run, PACKED * answers, legacy, missing, _free(out), _free(_cache()))


def _cache() -> Path:
    """Where huggingface_hub keeps models, which is not imported for that."""
    home = os.environ.get(
        "HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    )
    return Path(os.environ.get("HF_HUB_CACHE", os.path.join(home, "hub"))).expanduser()


def _is_here(source: str) -> bool:
    snapshots = _cache() / f"models--{source.replace('/', '--')}" / "snapshots"
    return Path(source).is_dir() or any(snapshots.glob("*/*.safetensors*"))


def _free(path: Path) -> float:
    ground = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
    return float(shutil.disk_usage(ground).free)


# Machines


def machine_of(
    outline: Outline,
    estimates: Estimates,
    done: Mapping[str, Done],
    models: Sequence[Sized],
    gpu: Gpu,
    count: int,
    how: Placing,
    price: float | None,
) -> Machine:
    """What the build takes on `count` such GPUs."""
    fits = tuple(_fit(model, gpu, count, how) for model in models)
    if any(fit.parallelism is None for fit in fits):
        return Machine(gpu, count, fits, None, None, None)
    parallelisms = {fit.source: fit.parallelism for fit in fits if fit.parallelism}
    low, mid, high = (_hours(outline, estimates, done, models, gpu, parallelisms, how, at) for at in range(3))
    least, most = FIGURES[gpu.name].dollars if price is None else (price, price)
    loads = loads_of(outline, estimates)
    minimum = sum(
        compute_bound_hours(
            size, sum(load.tokens.mid for load in loads if load.source == model.source), gpu, count
        )
        for model in models
        if (size := model.on(gpu))
    )
    dollars = (low * count * least, high * count * most)
    return Machine(gpu, count, fits, Range(low, mid, high), dollars, minimum)


def _hours(
    outline: Outline,
    estimates: Estimates,
    done: Mapping[str, Done],
    models: Sequence[Sized],
    gpu: Gpu,
    parallelisms: Mapping[str, Parallelism],
    how: Placing,
    at: int,
) -> float:
    """Hours where all is as good (0), as likely (1) or as bad (2) as is assumed."""
    speeds: dict[str, Speed] = {}
    for model in models:
        size = model.on(gpu)
        assert size is not None  # as it fits
        tensor = parallelisms[model.source].tensor
        speeds[model.source] = speed_on(
            size, gpu, tensor, EFFICIENCIES[2 - at], how.utilization, how.sequences
        )
    engines = {source: parallelism.data for source, parallelism in parallelisms.items()}
    phases = seconds_by_phase(outline, _work(estimates, at, done, {}), speeds, engines)
    return sum(seconds for _, seconds in phases) / 3600


def example_of(machines: Sequence[Machine]) -> Machine | None:
    """The machine that is likely to be the fastest; None where the models fit none."""
    fitting = [(one.hours.mid, at, one) for at, one in enumerate(machines) if one.hours is not None]
    return min(fitting)[2] if fitting else None


def _likely_hours(
    outline: Outline,
    estimates: Estimates,
    models: Sequence[Sized],
    machines: Sequence[Machine],
    options: argparse.Namespace,
) -> float | None:
    """The likely hours of the whole build on the example machine, by the vendor's figures."""
    if (machine := example_of(machines)) is None:
        return None
    parallelisms = {fit.source: fit.parallelism for fit in machine.fits if fit.parallelism}
    return _hours(outline, estimates, {}, models, machine.gpu, parallelisms, _placing(options), 1)


def _fit(model: Sized, gpu: Gpu, count: int, how: Placing) -> Fit:
    size = model.on(gpu)
    if size is None:
        return Fit(model.source, None, 0, model.why)
    try:
        parallelism = choose(size.need, [gpu] * count, how.utilization, how.tensor, how.data)
    except BadInput as error:
        return Fit(model.source, None, 0, str(error))
    sequences = size.need.sequences(parallelism.tensor, gpu, how.utilization)
    return Fit(model.source, parallelism, sequences, parallelism.why.partition(": ")[2])


def _placing(options: argparse.Namespace) -> Placing:
    return Placing(
        options.gpu_memory_utilization,
        options.max_num_seqs,
        options.tensor_parallel_size,
        options.data_parallel_size,
        options.kv_cache_gb,
    )


def _machines(
    options: argparse.Namespace, models: tuple[Sized, ...], gpu: str | None, gpus: int | None
) -> Iterator[tuple[Gpu, int, Placing]]:
    """The GPUs that are named, else those of this machine, else common ones.

    The user's parallel sizes are left out for common ones, where they may make no sense.
    """
    how = _placing(options)
    here = () if gpu or options.endpoint or options.ray else local_gpus()
    if gpu:
        named = gpu_named(gpu)
        least = next((count for one, count in common(models, how) if one == named), 1)
        yield named, gpus or max(least, options.tensor_parallel_size or 1), how
    elif here:
        yield min(here, key=lambda one: one.gigabytes), len(here), how
    else:
        free = replace(how, tensor=None, data=None)
        yield from ((one, count, free) for one, count in common(models, free))


def common(models: Sequence[Sized], how: Placing) -> list[tuple[Gpu, int]]:
    """The common GPUs on which all models fit, each with how many of them to use, at most eight.

    That is as few as give a comfortable cache, or else as give the largest one.
    """
    found = []
    for gpu in GPUS:
        on = (size for model in models if (size := model.on(gpu)))
        capacities = [sizes(size.need, gpu, utilization=how.utilization) for size in on]
        if capacities and all(capacities):
            counts = (max(of, key=lambda count: (of[count], -count)) for of in capacities)
            found.append((gpu, max(counts)))
    return found


def cache_of(model: Sized, gpus: Sequence[Gpu], how: Placing) -> float:
    """Tokens of context that the KV caches of a model's engines hold on these GPUs.

    Without GPUs, on the CPU. Infinite where that is not known.
    """
    need = model.size.need if model.size else None
    if need is None or need.shape is None:
        return math.inf
    if how.cache is not None or not gpus:
        token = need.shape.cache_gigabytes(1, how.tensor or 1, need.value_bytes) * 1e9
        return (how.cache or CPU_CACHE) * 2**30 / token
    gpu = min(gpus, key=lambda one: one.gigabytes)
    fit, size = _fit(model, gpu, len(gpus), how), model.on(gpu)
    if fit.parallelism is None or size is None:
        return math.inf
    speed = speed_on(size, gpu, fit.parallelism.tensor, EFFICIENCIES[1], how.utilization)
    return speed.cache * fit.parallelism.data


def _with_caches(options: argparse.Namespace, measured: Measured, models: tuple[Sized, ...]) -> Measured:
    """What was measured, with the caches of the engines here: a measurement is too small to fill them."""
    if options.endpoint:
        return measured
    gpus, how = local_gpus(), _placing(options)
    caches = {model.source: cache_of(model, gpus, how) for model in models}
    speeds = {
        source: replace(speed, cache=caches.get(source, speed.cache))
        for source, speed in measured.speeds.items()
    }
    return replace(measured, speeds=speeds)
