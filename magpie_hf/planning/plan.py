"""Plan: all that is known of a build before it runs, in one object.

Not here: how it is shown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from magpie_hf.models.shapes import Gpu
from magpie_hf.planning.belief import Belief, Range, assumed, believed
from magpie_hf.planning.duties import Duty, duties_of
from magpie_hf.planning.hardware import gpu_named, local_gpus
from magpie_hf.planning.machines import Machine, Placing, cache_of, common, machine_of
from magpie_hf.planning.measured import Measured, read_measured
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.projection import Done, Work, seconds_by_phase
from magpie_hf.planning.reuse import Reuse, reuse_of
from magpie_hf.planning.sizes import Sized, sized
from magpie_hf.planning.storage import Disk, disk_of
from magpie_hf.planning.wanted import said_of
from magpie_hf.planning.workload import Load, Rows, loads_of, rows_of
from magpie_hf.text.language import tr

# of a simulation from what a measurement measured, besides what the few rows of the measurement leave open
MODEL_ERROR = 0.10


@dataclass(frozen=True)
class Plan:
    """A build before it runs.

    whole, left: seconds on this machine by a measurement, of the whole build and of what is left of it; None
    without one.
    """

    outline: Outline
    out: Path
    belief: Belief
    rows: tuple[Rows, ...]
    loads: tuple[Load, ...]
    disk: Disk
    models: tuple[Sized, ...]
    machines: tuple[Machine, ...]
    duties: tuple[Duty, ...]
    reuse: Reuse
    whole: Range | None
    left: Range | None

    def facts(self) -> dict[str, Any]:
        """As values that JSON has, as they are printed with --json and kept in `run/plan.json`."""
        return {
            "made": int(time.time()),
            "folder": str(self.out),
            "sources": dict(self.outline.sources),
            "k": self.outline.k,
            "rows": [asdict(one) for one in self.rows],
            "stages": [asdict(one) for one in self.loads],
            "disk": asdict(self.disk),
            "models": [
                {"source": one.source, "weights_gb": one.weights, "why": one.why} for one in self.models
            ],
            "machines": [asdict(one) for one in self.machines],
            "duties": [asdict(one) for one in self.duties],
            "done": [asdict(one) for one in self.reuse.stages],
            "seconds": {"whole": self.whole, "left": self.left},
            "assumptions": list(self.belief.words),
        }


def plan_of(
    options: argparse.Namespace,
    outline: Outline,
    out: Path,
    gpu: str | None = None,
    gpus: int | None = None,
    price: float | None = None,
) -> Plan:
    """The plan of the build that the options describe. Loads nothing.

    gpu, gpus: which GPUs to plan for, and how many, in place of those of this machine, or else of several
    common ones; price: US dollars an hour and GPU, in place of a range.

    Raises BadInput for a GPU that is not known, a folder of another build, and a record of a newer version.
    """
    measured = read_measured(out)
    fits = measured is not None and measured.said == said_of(options, outline)
    belief = believed(outline, measured) if measured is not None and fits else assumed(outline)
    if measured is not None and not fits:
        words = tr(
            "the measurement of {date} in this folder had other options, so it tells nothing here",
            date=measured.date,
        )
        belief = replace(belief, words=(*belief.words, words))
    reuse = reuse_of(outline, out)
    models = tuple(sized(source, options.revision) for source in dict.fromkeys(outline.stages.values()))
    known = _with_caches(options, measured, models) if measured is not None and fits else None
    return Plan(
        outline,
        out,
        belief,
        tuple(rows_of(outline, belief)),
        tuple(loads_of(outline, belief)),
        disk_of(outline, belief, out, {model.source: model.weights for model in models}),
        models,
        tuple(
            machine_of(outline, belief, reuse.done, models, one, count, how, price)
            for one, count, how in _machines(options, models, gpu, gpus)
        ),
        tuple(duties_of(outline, options.model_license)),
        reuse,
        _seconds(outline, belief, known, {}),
        _seconds(outline, belief, known, reuse.done),
    )


def _placing(options: argparse.Namespace) -> Placing:
    return Placing(
        options.gpu_memory_utilization,
        options.max_num_seqs,
        options.tensor_parallel_size,
        options.data_parallel_size,
        options.kv_cache_gb,
    )


def _with_caches(options: argparse.Namespace, measured: Measured, models: tuple[Sized, ...]) -> Measured:
    """What was measured, with the sequences that the engines here have: a measurement is too small to meet
    its bound.
    """
    if options.endpoint:
        return measured
    gpus = local_gpus()
    rooms = {model.source: cache_of(model, gpus, _placing(options)) for model in models}
    speeds = {
        source: replace(speed, cache=rooms.get(source, speed.cache))
        for source, speed in measured.speeds.items()
    }
    return replace(measured, speeds=speeds)


def _machines(
    options: argparse.Namespace, models: tuple[Sized, ...], gpu: str | None, gpus: int | None
) -> Iterator[tuple[Gpu, int, Placing]]:
    """The GPUs that are named, else those of this machine, else the common ones, on which the user's sizes
    may make no sense.
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


def _seconds(
    outline: Outline, belief: Belief, measured: Measured | None, done: Mapping[str, Done]
) -> Range | None:
    """Seconds of the build on the machine of the measurement: the likely ones, and the least and the most by
    what few rows leave open.
    """
    if measured is None or set(outline.stages.values()) - set(measured.speeds):
        return None
    timing = measured.timing
    found = []
    for at in range(3):
        work = Work(
            belief.examples[at],
            belief.each,
            {key: share[2 - at] for key, share in belief.shares.items()},
            timing.cpu,
            done,
        )
        asked = sum(seconds for _, seconds in seconds_by_phase(outline, work, measured.speeds, {}))
        found.append(timing.before + timing.beside + timing.after + asked * (1 + MODEL_ERROR * (at - 1)))
    return Range(*found)
