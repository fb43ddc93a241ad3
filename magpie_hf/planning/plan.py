"""Plan: all that is known of a build before it runs, put together.

Not here: how it is shown (view.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from magpie_hf.engines.vllm.arguments import read_arguments
from magpie_hf.models.gpus import Gpu
from magpie_hf.planning.bounds import Bound, bounds_of
from magpie_hf.planning.disk import Disk, disk_of
from magpie_hf.planning.duties import Duty, duties_of
from magpie_hf.planning.finished import left_of, refined, seen_in, within_given
from magpie_hf.planning.here import local_gpus
from magpie_hf.planning.inputs import said_of
from magpie_hf.planning.loads import Load, loads_of
from magpie_hf.planning.machines import (
    Machine,
    cache_of,
    largest_refusal,
    likely_hours,
    machine_of,
    machines_of,
    placing,
    work_of,
)
from magpie_hf.planning.measurements import Measured, measured_estimates, read_measured
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.reuse import Done, Reuse, reuse_of
from magpie_hf.planning.simulation import seconds_by_phase
from magpie_hf.planning.sizes import Sized, sized
from magpie_hf.planning.workload import Estimates, Range, Rows, assumed, rows_of, shares_of_rounds
from magpie_hf.run.pace import pace
from magpie_hf.run.status import status
from magpie_hf.text.language import tr

# Error of a simulation from measured numbers, beside what the few rows of a measurement leave open.
MODEL_ERROR = 0.10


@dataclass(frozen=True)
class Plan:
    """A build before it runs.

    left: the loads that are left beside what the folder holds, () where it holds nothing; bounds: what the
    bound of its answers gives, and what larger ones would; chosen: whether the machine was named or is here,
    and not one of several common ones; elsewhere: where the engines run if not on this machine; seconds,
    seconds_left: on this machine, of the whole build and of what is left of it; None where nothing was
    measured.
    """

    outline: Outline
    out: Path
    estimates: Estimates
    rows: tuple[Rows, ...]
    loads: tuple[Load, ...]
    left: tuple[Load, ...]
    bounds: tuple[Bound, ...]
    disk: Disk
    models: tuple[Sized, ...]
    machines: tuple[Machine, ...]
    chosen: bool
    elsewhere: Literal["", "servers", "cluster"]
    duties: tuple[Duty, ...]
    reuse: Reuse
    seconds: Range | None
    seconds_left: Range | None

    @property
    def machine(self) -> Machine | None:
        """The machine that was named, or is here."""
        return self.machines[0] if self.chosen else None

    @property
    def refusal(self) -> str:
        """Why a model does not fit the machine, or where none is chosen, any; "" where it does."""
        if self.chosen:
            return next((fit.why for fit in self.machines[0].fits if fit.refused), "")
        return "" if self.machines or self.elsewhere == "servers" else largest_refusal(self.models)

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
            "stages": [
                {
                    **asdict(one),
                    "rows": "samples" if self.outline.of_samples(one.stage) else "problems",
                    "rounds": shares_of_rounds(self.outline, one.stage),
                }
                for one in self.loads
            ],
            "left": [asdict(one) for one in self.left],
            "bounds": [asdict(one) for one in self.bounds],
            "disk": asdict(self.disk),
            "models": [
                {"source": one.source, "weights_gb": one.weights, "why": one.why} for one in self.models
            ],
            "machines": [asdict(one) for one in self.machines],
            "chosen": self.chosen,
            "elsewhere": self.elsewhere,
            "duties": [asdict(one) for one in self.duties],
            "done": [asdict(one) for one in self.reuse.stages],
            "seconds": {"whole": self.seconds, "left": self.seconds_left},
            "assumptions": list(self.estimates.words),
        }


def plan_of(
    options: argparse.Namespace,
    outline: Outline,
    out: Path,
    gpu: Gpu | None = None,
    gpus: int | None = None,
    price: float | None = None,
) -> Plan:
    """The plan of the build that the options describe; loads nothing.

    gpu, gpus: the GPUs to plan for, in place of this machine's, or else of several common ones; price: US
    dollars an hour and GPU, in place of a range. Raises BadInput for another build's
    folder, and for a record of a newer version.
    """
    given = read_arguments(options.engine_args, options.engine_arg)
    models = tuple(
        sized(
            source,
            outline.revisions.get(source),
            (*given.numbers, *given.speed),
            options.max_model_len,
            outline.asked(source),
        )
        for source in dict.fromkeys(outline.stages.values())
    )
    outline = replace(outline, context=_context_of(outline.sources["solver"], models))
    reuse = reuse_of(outline, out)
    measured = read_measured(out)
    fits = measured is not None and measured.said == said_of(options, outline)
    estimates = measured_estimates(outline, measured) if measured is not None and fits else assumed(outline)
    seen = seen_in(out, reuse, outline.band)
    if seen is not None and measured is not None and fits and len(seen.lengths) <= len(measured.lengths):
        seen = None  # the measurement says more
    if seen is not None:
        estimates = refined(outline, estimates, seen)
    elif measured is not None and not fits:
        words = tr(
            "the measurement of {date} in this folder used other options, so it is ignored",
            date=measured.date,
        )
        estimates = replace(estimates, words=(*estimates.words, words))
    outline = within_given(outline, estimates, reuse)
    known = _with_caches(options, measured, models) if measured is not None and fits else None
    here = () if gpu or options.endpoint or options.ray else local_gpus()
    chosen = gpu or min(here, key=lambda one: one.gigabytes, default=None)
    machines = tuple(
        machine_of(outline, estimates, reuse.done, models, one, count, how, price)
        for one, count, how in machines_of(options, models, chosen, gpus or len(here))
    )

    def hours(outline: Outline, estimates: Estimates) -> float | None:
        if seconds := _seconds(outline, estimates, known, {}):
            return seconds.mid / 3600
        return likely_hours(outline, estimates, models, machines[0], placing(options)) if chosen else None

    loads, left = tuple(loads_of(outline, estimates)), tuple(left_of(outline, estimates, reuse))
    seconds = _seconds(outline, estimates, known, {}), _seconds(outline, estimates, known, reuse.done)
    if seen is not None and gpu is None and (paced := _by_pace(out, loads)) is not None:
        seconds = paced, _by_pace(out, left)
    return Plan(
        outline,
        out,
        estimates,
        tuple(rows_of(outline, estimates)),
        loads,
        left if reuse.stages else (),
        tuple(bounds_of(outline, estimates, hours)),
        disk_of(outline, estimates, out, () if options.endpoint else models),
        models,
        machines,
        chosen is not None,
        "servers" if options.endpoint else "cluster" if options.ray else "",
        tuple(duties_of(outline, options.model_license)),
        reuse,
        *seconds,
    )


def _by_pace(out: Path, loads: Sequence[Load]) -> Range | None:
    """Seconds of these loads at the speed of the folder's build so far; None where it recorded none."""
    speed = pace(out, status(out))
    if speed is None or not speed.average_tokens_per_second:
        return None
    return Range(
        *(sum(load.tokens[at] for load in loads) / speed.average_tokens_per_second for at in range(3))
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
        work = work_of(estimates, at, done, timing.cpu)
        asked = sum(seconds for _, seconds in seconds_by_phase(outline, work, measured.speeds, {}))
        around = timing.before + timing.beside + timing.after
        found.append(around + asked * (1 + MODEL_ERROR * (at - 1)) if asked else 0.0)  # nothing is left
    return Range(*found)


def _with_caches(options: argparse.Namespace, measured: Measured, models: tuple[Sized, ...]) -> Measured:
    """What was measured, with the caches of the engines here: a measurement is too small to fill them."""
    if options.endpoint:
        return measured
    gpus, how = local_gpus(), placing(options)
    caches = {model.source: cache_of(model, gpus, how) for model in models}
    speeds = {
        source: replace(speed, cache=caches.get(source, speed.cache))
        for source, speed in measured.speeds.items()
    }
    return replace(measured, speeds=speeds)
