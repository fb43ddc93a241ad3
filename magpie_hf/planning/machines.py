"""On which GPUs a plan's models fit, and the hours and dollars there.

Not here: how fast an engine is, and what it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from magpie_hf.errors import BadInput
from magpie_hf.models.parallel import UTILIZATION, Parallelism, choose, sizes
from magpie_hf.models.shapes import GPUS, Gpu
from magpie_hf.planning.belief import Belief, Range
from magpie_hf.planning.engine import MOST_SEQUENCES, Speed
from magpie_hf.planning.hardware import figures_of
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.projection import Done, Work, seconds_by_phase
from magpie_hf.planning.roofline import EFFICIENCIES, bare_hours, speed_on
from magpie_hf.planning.sizes import Sized
from magpie_hf.planning.workload import generated, loads_of

CPU_CACHE = 2.0  # GiB of cache of an engine on the CPU, as `engines.vllm` has it


@dataclass(frozen=True)
class Placing:
    """How the engines are to be laid out: memory share and sequences of each, and what the user gave: sizes,
    and GiB of cache.
    """

    utilization: float = UTILIZATION
    sequences: int = MOST_SEQUENCES
    tensor: int | None = None
    data: int | None = None
    cache: float | None = None


@dataclass(frozen=True)
class Fit:
    """A model on a machine: its parallelism and the full-length sequences that fit at once; or why it does
    not fit, or nobody knows.
    """

    source: str
    parallelism: Parallelism | None
    sequences: int
    why: str


@dataclass(frozen=True)
class Machine:
    """GPUs of one kind, how the models fit there, hours and dollars by the roofline, and the hours that the
    compute-bound minimum takes; hours, dollars and bare are None where a model does not fit or its size is
    not known.
    """

    gpu: Gpu
    count: int
    fits: tuple[Fit, ...]
    hours: Range | None
    dollars: tuple[float, float] | None
    bare: float | None


def machine_of(
    outline: Outline,
    belief: Belief,
    done: Mapping[str, Done],
    models: Sequence[Sized],
    gpu: Gpu,
    count: int,
    how: Placing,
    price: float | None,
) -> Machine:
    """What this machine makes of the build."""
    fits = tuple(_fit(model, gpu, count, how) for model in models)
    if any(fit.parallelism is None for fit in fits):
        return Machine(gpu, count, fits, None, None, None)
    parallelisms = {fit.source: fit.parallelism for fit in fits if fit.parallelism}
    low, mid, high = (_hours(outline, belief, done, models, gpu, parallelisms, how, at) for at in range(3))
    least, most = figures_of(gpu).dollars if price is None else (price, price)
    loads = loads_of(outline, belief)
    bare = sum(
        bare_hours(size, generated(loads, model.source), gpu, count)
        for model in models
        if (size := model.on(gpu))
    )
    return Machine(gpu, count, fits, Range(low, mid, high), (low * count * least, high * count * most), bare)


def common(models: Sequence[Sized], how: Placing) -> list[tuple[Gpu, int]]:
    """The common GPUs on which all models fit, each with as few of them as give a comfortable cache, else as
    give the most, up to eight.
    """
    found = []
    for gpu in GPUS:
        capacities = [
            sizes(size.need, gpu, utilization=how.utilization) for model in models if (size := model.on(gpu))
        ]
        if capacities and all(capacities):
            most = [
                (size, of[size])
                for of in capacities
                for size in [max(of, key=lambda size: (of[size], -size))]
            ]
            found.append((gpu, max(size for size, _ in most)))
    return found


def cache_of(model: Sized, gpus: Sequence[Gpu], how: Placing) -> float:
    """Tokens of context that the engines of a model have room for here, on these GPUs, or without any on the
    CPU; infinite where that is not known.
    """
    need = model.size.need if model.size else None
    if need is None or need.shape is None:
        return math.inf
    if how.cache is not None or not gpus:
        return (
            (how.cache or CPU_CACHE)
            * 2**30
            / (need.shape.cache_gigabytes(1, how.tensor or 1, need.value_bytes) * 1e9)
        )
    gpu = min(gpus, key=lambda one: one.gigabytes)
    fit = _fit(model, gpu, len(gpus), how)
    size = model.on(gpu)
    if fit.parallelism is None or size is None:
        return math.inf
    return (
        speed_on(size, gpu, fit.parallelism.tensor, EFFICIENCIES[1], how.utilization).cache
        * fit.parallelism.data
    )


def _fit(model: Sized, gpu: Gpu, count: int, how: Placing) -> Fit:
    size = model.on(gpu)
    if size is None:
        return Fit(model.source, None, 0, model.why)
    try:
        parallelism = choose(size.need, [gpu] * count, how.utilization, how.tensor, how.data)
    except BadInput as error:
        return Fit(model.source, None, 0, str(error))
    return Fit(
        model.source,
        parallelism,
        size.need.sequences(parallelism.tensor, gpu, how.utilization),
        parallelism.why.partition(": ")[2],
    )


def _hours(
    outline: Outline,
    belief: Belief,
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
        speeds[model.source] = speed_on(
            size, gpu, parallelisms[model.source].tensor, EFFICIENCIES[2 - at], how.utilization, how.sequences
        )
    work = Work(
        belief.examples[at],
        belief.each,
        {key: share[2 - at] for key, share in belief.shares.items()},
        {},
        done,
    )
    phases = seconds_by_phase(
        outline, work, speeds, {source: parallelism.data for source, parallelism in parallelisms.items()}
    )
    return sum(seconds for _, seconds in phases) / 3600
