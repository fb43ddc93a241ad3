"""GPUs of one kind, whether a build's models fit there, and the hours and cost by the vendor's figures.

Not here: hours that were measured (plan.py).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import GPUS, Gpu
from magpie_hf.models.parallel import NODE, UTILIZATION, Parallelism, choose, sizes
from magpie_hf.planning.loads import context_of, loads_of
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.prices import DOLLARS
from magpie_hf.planning.reuse import Done
from magpie_hf.planning.simulation import Work, seconds_by_phase
from magpie_hf.planning.sizes import Sized
from magpie_hf.planning.speeds import EFFICIENCIES, Speed, cache_on, compute_bound_hours, speed_on
from magpie_hf.planning.workload import Estimates, Range

CPU_CACHE = 2.0  # GiB of KV cache of an engine on the CPU, as in `engines.vllm`


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

    parallelism: None where it does not fit or its size is not known, for the reason `why`; sequences: how
    many requests of the length that is asked for fit at once on one engine, which has room for `length`
    tokens each; 0 where the size of its cache is not known. refused: whether it does not fit.
    """

    source: str
    parallelism: Parallelism | None
    sequences: int
    why: str
    length: int = 0
    refused: bool = False


@dataclass(frozen=True)
class Machine:
    """GPUs of one kind, how the models fit there, and what the build takes by the vendor's figures.

    compute_bound: hours of the compute-bound minimum. hours, dollars and compute_bound are None where a model
    does not fit, or where its size or the GPU's speed is not known; dollars also where no price is.
    """

    gpu: Gpu
    count: int
    fits: tuple[Fit, ...]
    hours: Range | None
    dollars: tuple[float, float] | None
    compute_bound: float | None


def work_of(
    estimates: Estimates, at: int, done: Mapping[str, Done], cpu: Mapping[str, tuple[float, float]]
) -> Work:
    """The work where all is as good (0), as likely (1) or as bad (2) as the estimates allow."""
    shares = {key: share[2 - at] for key, share in estimates.shares.items()}
    return Work(estimates.examples[at], estimates.each, shares, cpu, done)


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
    if not gpu.teraflops or any(fit.parallelism is None for fit in fits):
        return Machine(gpu, count, fits, None, None, None)
    parallelisms = {fit.source: fit.parallelism for fit in fits if fit.parallelism}
    low, mid, high = (_hours(outline, estimates, done, models, gpu, parallelisms, how, at) for at in range(3))
    asked = DOLLARS.get(gpu.name) if price is None else (price, price)
    loads = loads_of(outline, estimates)
    minimum = sum(
        compute_bound_hours(
            size, sum(load.tokens.mid for load in loads if load.source == model.source), gpu, count
        )
        for model in models
        if (size := model.on(gpu))
    )
    dollars = asked and (low * count * asked[0], high * count * asked[1])
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
    loads = loads_of(outline, estimates)
    for model in models:
        size = model.on(gpu)
        assert size is not None  # as it fits
        tensor = parallelisms[model.source].tensor
        context = context_of([load for load in loads if load.source == model.source], at)
        speeds[model.source] = speed_on(
            size, gpu, tensor, EFFICIENCIES[2 - at], how.utilization, how.sequences, context
        )
    engines = {source: parallelism.data for source, parallelism in parallelisms.items()}
    phases = seconds_by_phase(outline, work_of(estimates, at, done, {}), speeds, engines)
    return sum(seconds for _, seconds in phases) / 3600


def likely_hours(
    outline: Outline, estimates: Estimates, models: Sequence[Sized], machine: Machine, how: Placing
) -> float | None:
    """The likely hours of the whole build there, by the vendor's figures; None where these are not known."""
    if machine.hours is None:
        return None
    parallelisms = {fit.source: fit.parallelism for fit in machine.fits if fit.parallelism}
    return _hours(outline, estimates, {}, models, machine.gpu, parallelisms, how, 1)


def _fit(model: Sized, gpu: Gpu, count: int, how: Placing) -> Fit:
    size = model.on(gpu)
    if size is None:
        return Fit(model.source, None, 0, model.why)
    try:
        parallelism = choose(size.need, [gpu] * count, how.utilization, how.tensor, how.data)
    except BadInput as error:
        return Fit(model.source, None, 0, str(error), refused=True)
    room = size.need.requests(parallelism.tensor, gpu, how.utilization) if size.need.shape else 0
    return Fit(model.source, parallelism, room, parallelism.why.partition(": ")[2], size.need.request)


def placing(options: argparse.Namespace) -> Placing:
    """How the options place the engines."""
    return Placing(
        options.gpu_memory_utilization,
        options.max_num_seqs,
        options.tensor_parallel_size,
        options.data_parallel_size,
        options.kv_cache_gb,
    )


def machines_of(
    options: argparse.Namespace, models: Sequence[Sized], chosen: Gpu | None, gpus: int
) -> Iterator[tuple[Gpu, int, Placing]]:
    """The GPUs that are chosen, `gpus` of them (0 for as few as are comfortable), or else common ones.

    The user's parallel sizes are left out for common ones, where they may make no sense.
    """
    how = placing(options)
    if chosen:
        most = 1 if chosen.is_slice or not any(model.size for model in models) else NODE
        yield chosen, gpus or max(fewest(models, chosen, how) or most, how.tensor or 1), how
        return
    free = replace(how, tensor=None, data=None)
    yield from ((gpu, count, free) for gpu in GPUS if (count := fewest(models, gpu, free)))


def fewest(models: Sequence[Sized], gpu: Gpu, how: Placing) -> int:
    """How many such GPUs all models fit on, at most eight; 0 where they do not, or no size is known.

    That is as few as give a comfortable cache, or else as give the largest one.
    """
    on = [size for model in models if (size := model.on(gpu))]
    capacities = [sizes(size.need, gpu, utilization=how.utilization) for size in on]
    if not on or not all(capacities):
        return 0
    return max(max(of, key=lambda count: (of[count], -count)) for of in capacities)


def largest_refusal(models: Sequence[Sized]) -> str:
    """Why a model fits none of the common GPUs, by the largest one; "" where it is only not known."""
    largest = max(GPUS, key=lambda gpu: gpu.gigabytes)
    return next((fit.why for model in models if (fit := _fit(model, largest, NODE, Placing())).refused), "")


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
    return cache_on(size.need, gpu, fit.parallelism.tensor, how.utilization) * fit.parallelism.data
