"""`plan --measure`: a small build of the same recipe on the real engines, measured.

Not here: what a plan makes of it (measurements.py).
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from magpie_hf.answers.comparison import is_readable
from magpie_hf.building.build import build
from magpie_hf.engines import meter
from magpie_hf.engines.base import Engine
from magpie_hf.engines.journal import current
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.errors import BadInput, LowYield, NothingMade
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.bursts import speed_of
from magpie_hf.planning.finished import answers_of
from magpie_hf.planning.measurements import MEASURED, Measured, Timing, each_of
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.simulation import CPU_AFTER, Work, seconds_by_phase
from magpie_hf.planning.speeds import Speed, replay
from magpie_hf.planning.workload import BLOCK, TAIL, Request, share_of
from magpie_hf.recipe import Recipe
from magpie_hf.run.status import status
from magpie_hf.selection.hardened import without_round
from magpie_hf.stages.clean import Clean
from magpie_hf.store.shards import write_json

CPU_STAGES = {label for labels in CPU_AFTER.values() for label in labels}
ROUNDS = 4  # of correcting a speed: a slower engine has more requests in flight


@dataclass(frozen=True)
class Asked:
    """One finished request: its engine's model and its stage, when it began and ended, and its tokens."""

    engine: str
    stage: str
    began: float
    ended: float
    prompt: int
    tokens: int


class RequestLog:
    """A `meter.Watcher` that keeps each finished request of a build, and the seconds of each opening."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.openings: dict[str, list[float]] = {}
        self._stages: dict[tuple[str, float], str] = {}  # of requests in flight, by engine and begin

    def started(self, start: Start) -> None:
        """Note the stage, which the journal of the calling thread tells; bursts have no journal."""
        if (file := current().file) is not None:
            self._stages[start.engine, start.at] = without_round(file.parent.name.rpartition("-")[0])

    def begun(self, start: Start, at: float) -> None:
        """Nothing follows from that."""

    def ended(self, start: Start, at: float, outcome: Outcome | None) -> None:
        stage = self._stages.pop((start.engine, start.at), None)
        if stage is not None and outcome is not None:
            tokens = outcome.prompt_tokens, outcome.tokens
            self.asked.append(Asked(start.engine, stage, start.at, at, *tokens))

    def opening_of(self, engine: str) -> float:
        """Seconds of the longest opening of this engine; 0 where there was none."""
        return max(self.openings.get(engine, ()), default=0.0)

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        self.openings.setdefault(engine, []).append(seconds)

    def closed(self, engine: str) -> None:
        """Nothing follows from that."""


@dataclass(frozen=True)
class _Times:
    """When the command began, the first engine opened, the bursts ended, and the build ended (monotonic)."""

    began: float
    opening: float
    burst: float
    built: float


def measure(
    recipe: Recipe,
    outline: Outline,
    said: Mapping[str, Any],
    out: Path,
    most: int,
    began: float,
    say: Callable[[str], None] = lambda line: None,
    **how: Any,
) -> Measured:
    """Build the recipe, whose counts are small, into `out`, and keep the measurement in `run/measured.json`.

    outline: of the same build; said: the options on which lengths and yields depend; most: requests that the
    whole build has in flight at most; began: when the command began (monotonic seconds); say, how: of
    `building.build`. Raises as that does, except NothingMade.
    """
    recipe.check()
    _warm(recipe)
    opening = time.monotonic()
    log = RequestLog()
    with meter.watched_by(log):
        speeds = _speeds(outline, recipe, most, log)
        burst = time.monotonic()
        rows: Mapping[str, Any] = {}
        try:
            rows = build(recipe, out, say=say, **how)
        except LowYield:
            raise
        except NothingMade as error:  # of so few rows; what they took is measured all the same
            say(str(error))
    times = _Times(began, opening, burst, time.monotonic())
    measured = _measured(outline, said, recipe, log, speeds, out / "run", times)
    measured = replace(measured, pairs=_pairs(outline, rows))
    write_json(out / "run" / MEASURED, measured.to_dict())
    return measured


def _warm(recipe: Recipe) -> None:
    """Load what a build's first rows wait for: the rules of the cleaning, and the workers for answers."""
    sample = {
        "raw_instruction": ["Find all primes $p$ for which $p + 2$ is prime, too."],
        "raw_finish_reason": ["stop"],
    }
    Clean((recipe.generator.model,), recipe.languages).run(sample)
    limits, processes = recipe.verify.limits, recipe.verify.processes
    with ThreadPoolExecutor(processes) as pool:
        answers = (f"{number}/7" for number in range(1, processes + 1))
        list(pool.map(lambda answer: is_readable(answer, limits, processes), answers))


def _engines(outline: Outline, recipe: Recipe) -> dict[str, Engine]:
    """The engine of each model, by its repository or folder."""
    found = {outline.sources["model"]: recipe.generator, outline.sources["solver"]: recipe.solver}
    labelling = {"tagger": recipe.tagger, "embedder": recipe.embedder}
    others = {"checker": recipe.checker, "program": recipe.programmer, "rejected": recipe.rejecter}
    others |= {"pass": recipe.pass_model, "hardener": recipe.hardener}
    for role, engine in {**labelling, **others}.items():
        if engine is not None:
            found[outline.sources[role]] = engine
    return found if recipe.scorer.engine is None else {**found, outline.scorer: recipe.scorer.engine}


def _speeds(outline: Outline, recipe: Recipe, most: int, log: RequestLog) -> dict[str, Speed]:
    """The speed of each model that completes prompts, by bursts.

    The model that writes the problems comes last and stays open.
    """
    found: dict[str, Speed] = {}
    first = recipe.generator
    others = {
        source: engine
        for source, engine in _engines(outline, recipe).items()
        if engine != first and not engine.rates
    }
    for source, engine in {**others, outline.sources["model"]: first}.items():
        engine.complete([[1]], Sampling(max_tokens=1), [0])
        found[source], _ = speed_of(engine, recipe.domains[0], most, log.opening_of(engine.model.name))
        if engine != first:
            engine.close()
    log.openings.clear()
    return found


def _pairs(outline: Outline, rows: Mapping[str, Any]) -> tuple[int, int]:
    """Pairs, and problems."""
    splits = (split for domain in outline.domains for split in rows.get(domain.key, {}).items())
    pairs = sum(len(part) for name, part in splits if name.endswith("_prefs"))
    return pairs, sum(domain.count for domain in outline.domains)


def _measured(
    outline: Outline,
    said: Mapping[str, Any],
    recipe: Recipe,
    log: RequestLog,
    speeds: Mapping[str, Speed],
    run: Path,
    times: _Times,
) -> Measured:
    """What the build's requests, records and rows show; pairs are counted elsewhere."""
    every = [one for one in log.asked if one.stage in outline.stages]  # all but the few of the trial
    if not every:
        raise BadInput(
            "all rows of this measurement exist already, so nothing was generated or measured; give a larger"
            " --measure, or another --out"
        )
    by_stage: dict[str, list[Asked]] = defaultdict(list)
    for one in every:
        by_stage[one.stage].append(one)
    examples = {stage: _EXAMPLES[stage](by_stage[stage]) for stage in outline.stages}
    found = {}
    for source, engine in _engines(outline, recipe).items():
        asked = [one for one in every if one.engine == engine.model.name]
        if source in speeds:
            found[source] = _corrected(speeds[source], asked, examples)
        else:
            found[source] = _rating_speed(log.opening_of(engine.model.name), asked)
    yields = {part.domain: (part.accepted, part.filtered) for part in status(run.parent).selection}
    first, last = min(one.began for one in every), max(one.ended for one in every)
    loads = sum(sum(seconds) for seconds in log.openings.values())
    lengths, agreeing = answers_of(run)
    each = {stage: float(outline.each(stage)) for stage in outline.stages}
    each |= each_of(examples, outline, lengths, sum(accepted for accepted, _ in yields.values()))
    work = Work(examples, each, {key: share_of(*counts) for key, counts in yields.items()}, _cpu(run))
    loaded = {source: replace(speed, load=0.0) for source, speed in found.items()}
    simulated = sum(seconds for _, seconds in seconds_by_phase(outline, work, loaded, {}))
    beside = max(0.0, last - first - loads - simulated)
    timing = Timing(times.opening - times.began, first - times.burst + beside, times.built - last, work.cpu)
    return Measured(
        time.strftime("%Y-%m-%d"), said, found, examples, yields, lengths, agreeing, (0, 0), timing
    )


def _corrected(speed: Speed, asked: Sequence[Asked], examples: Mapping[str, tuple[Request, ...]]) -> Speed:
    """The speed by bursts, times the factor with which it explains the build's own requests."""
    real = sum(one.ended - one.began for one in asked)
    if not real:
        return speed
    at: Counter[str] = Counter()
    requests = []
    for one in sorted(asked, key=lambda one: one.began):
        example = examples[one.stage]
        requests.append((one.began, replace(example[at[one.stage] % len(example)], tokens=one.tokens)))
        at[one.stage] += 1
    for _ in range(ROUNDS):
        speed = speed.slower(real / max(1e-9, replay(speed, requests)))
    return speed


def _rating_speed(load: float, asked: Sequence[Asked]) -> Speed:
    """The speed of an engine that only reads prompts: the seconds in which it had some, by their tokens."""
    busy, end = 0.0, 0.0
    for one in sorted(asked, key=lambda one: one.began):
        busy += max(0.0, one.ended - max(one.began, end))
        end = max(end, one.ended)
    return Speed(load, 0.0, 0.0, 0.0, busy / max(1, sum(one.prompt for one in asked)))


def _cpu(run: Path) -> dict[str, tuple[float, float]]:
    """Seconds a shard and a row of each stage without a model.

    The cheapest stage shows what a shard costs, however few its rows.
    """
    spent: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for file in run.glob("*/*/stage.json"):
        label = file.parent.name.rpartition("-")[0]
        if label in CPU_STAGES:
            shards = json.loads(file.read_text(encoding="utf-8"))["shards"].values()
            spent[label] += [(shard["seconds"], shard["rows"]) for shard in shards]
    shard = min((median(seconds for seconds, _ in costs) for costs in spent.values()), default=0.0)
    return {
        label: (
            shard,
            max(0.0, sum(seconds - shard for seconds, _ in costs)) / sum(rows for _, rows in costs),
        )
        for label, costs in spent.items()
    }


# Requests as the engine sees them: which tokens of a prompt the prefix cache holds


def _samples(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """Samples of a domain share their prompt; a first token that was sampled alone counts with the rest."""
    whole = [one for one in asked if one.tokens > 1] or asked
    return tuple(Request(one.prompt, 1, one.tokens) for one in whole)


def _answers(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """Prompts that share nothing."""
    return tuple(Request(one.prompt, one.prompt, one.tokens) for one in asked)


def _candidates(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """Candidates of one problem share its prompt, except for the last block."""
    return tuple(Request(one.prompt, min(one.prompt, one.prompt % BLOCK + 1), one.tokens) for one in asked)


def _questions(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """Questions about texts: all share the words before the text.

    Fresh are the tokens beyond the shortest prompt, and what follows the text. An engine that rates keeps no
    cache.
    """
    if not any(one.tokens for one in asked):
        return _answers(asked)
    shared = min(one.prompt for one in asked) - TAIL
    return tuple(Request(one.prompt, max(1, one.prompt - max(0, shared)), one.tokens) for one in asked)


_EXAMPLES: dict[str, Callable[[Sequence[Asked]], tuple[Request, ...]]] = {
    "instruct": _samples,
    "tag": _questions,
    "embed": _answers,
    "solutions": _answers,
    "candidates": _candidates,
    "tool_answers": _candidates,
    "objections": _candidates,
    "second_opinion": _answers,
    "write_programs": _candidates,
    "pass_rate": _candidates,
    "harden": _questions,
    "delta": _answers,
    "score": _questions,
}
