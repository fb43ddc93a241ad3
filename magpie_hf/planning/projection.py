"""From an outline, lengths, yields and speeds to seconds: phase by phase, by simulation.

Not here: where the numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from magpie_hf.planning.engine import Request, Speed
from magpie_hf.planning.outline import ANSWERING, SAMPLING, Outline, Phase
from magpie_hf.planning.simulation import Quota, Step, seconds_of

CPU_AFTER = {
    "instruct": ("clean", "signature", "decontaminate"),
    "candidates": ("verify", "verify_solution"),
    "score": ("pair",),
}


@dataclass(frozen=True)
class Done:
    """Rows of a domain that are there already: sampled, and answered by every stage."""

    sampled: int = 0
    answered: int = 0


@dataclass(frozen=True)
class Work:
    """What a projection is made of.

    examples, each: of each stage, its requests and how many of them a row has in the mean; shares: the yield
    of each domain; cpu: seconds a shard and a row of each stage that asks no model; done: what is there
    already, by domain.
    """

    examples: Mapping[str, tuple[Request, ...]]
    each: Mapping[str, float]
    shares: Mapping[str, float]
    cpu: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    done: Mapping[str, Done] = field(default_factory=dict)


def seconds_by_phase(
    outline: Outline, work: Work, speeds: Mapping[str, Speed], engines: Mapping[str, int]
) -> list[tuple[Phase, float]]:
    """Seconds of each phase, its model loaded as often as it must be; phases in which nothing is left to do
    take none.
    """
    found = []
    for phase in outline.phases:
        quotas = [
            quota
            for domain in outline.domains
            if (quota := _quota(phase, work, domain.key, domain.count)).requests > 0
        ]
        speed = speeds[phase.source]
        seconds = seconds_of(quotas, speed, outline.cutting, engines.get(phase.source, 1))
        found.append((phase, seconds + speed.load * _rounds(outline, phase) if quotas else 0.0))
    return found


def samples_needed(count: int, share: float) -> int:
    """How many samples so many accepted problems will take."""
    return math.ceil(count / share)


def _rounds(outline: Outline, phase: Phase) -> int:
    """How often the phase's model is loaded: where several models take turns in the sampling, once a round,
    and most selections take three.
    """
    sampling = [one for one in outline.phases if set(one.stages) & set(SAMPLING)]
    small = all(domain.count <= 64 for domain in outline.domains)
    return (2 if small else 3) if len(sampling) > 1 and phase in sampling else 1


def _quota(phase: Phase, work: Work, key: str, count: int) -> Quota:
    done, share = work.done.get(key, Done()), work.shares[key]
    sampling = _steps(phase, work, SAMPLING)
    answering = _steps(phase, work, ANSWERING)
    if phase.filtering:
        return Quota(count, share, sampling, answering, done.sampled, done.answered)
    if sampling:
        return Quota(samples_needed(count, share), 1.0, (), sampling, 0, done.sampled)
    return Quota(count, 1.0, (), answering, 0, done.answered)


def _steps(phase: Phase, work: Work, kinds: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of a phase that are of one half of the pipeline; answers and candidates are asked for side by
    side.
    """
    groups = [
        [stage] for stage in kinds if stage in phase.stages and stage not in ("solutions", "candidates")
    ]
    if "solutions" in kinds and "solutions" in phase.stages:
        groups.insert(0, ["solutions", "candidates"])
    steps = []
    for group in groups:
        costs = [
            work.cpu[label] for stage in group for label in CPU_AFTER.get(stage, ()) if label in work.cpu
        ]
        shard, row = (sum(cost[at] for cost in costs) for at in (0, 1))
        steps.append(
            Step(
                tuple(work.examples[stage] for stage in group),
                tuple(work.each[stage] for stage in group),
                shard,
                row,
            )
        )
    return tuple(steps)
