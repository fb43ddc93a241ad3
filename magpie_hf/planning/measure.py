"""The measurement: a small build of the same recipe on the real engines, measured.

Not here: what a plan makes of it.
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

from magpie_hf.answers.equivalence import is_readable
from magpie_hf.building import build
from magpie_hf.errors import BadInput, LowYield, NothingMade
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.belief import BLOCK, TAIL, each_of
from magpie_hf.planning.bursts import speed_of
from magpie_hf.planning.engine import Request, Speed, replay
from magpie_hf.planning.measured import MEASURED, Measured, Timing
from magpie_hf.planning.meter import Asked, Metered, metered
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.projection import CPU_AFTER, Work, seconds_by_phase
from magpie_hf.planning.simulation import share_of
from magpie_hf.recipe import Recipe
from magpie_hf.run.status import status
from magpie_hf.stages.clean import Clean
from magpie_hf.store.shards import write_json

CPU_STAGES = {label for labels in CPU_AFTER.values() for label in labels}
ROUNDS = 4  # of the correction: a slower engine has more in flight at once


@dataclass(frozen=True)
class _Times:
    """When the command began, the first engine was opened, the bursts were over, and the build was done
    (monotonic seconds)
    """

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
    """Build the recipe, whose counts are small, into `out`; measure it, and keep that in `run/measured.json`.

    outline: of the same build; said: the options that lengths and yields hang on; most: requests that the
    whole build has in flight at most; began: when the command began (monotonic seconds); say, how: of
    `building.build`. Raises as that does, but not NothingMade.
    """
    recipe, engines = metered(recipe)
    recipe.check()
    _warm(recipe)
    opening = time.monotonic()
    speeds = _speeds(outline, engines, recipe, most)
    burst = time.monotonic()
    rows: Mapping[str, Any] = {}
    try:
        rows = build(recipe, out, say=say, **how)
    except LowYield:
        raise
    except NothingMade as error:  # of so few rows; what they took is measured all the same
        say(str(error))
    measured = _measured(
        outline, said, engines, speeds, out / "run", _Times(began, opening, burst, time.monotonic())
    )
    answers, pairs = _came(outline, rows)
    measured = replace(measured, complete=answers, pairs=pairs)
    write_json(out / "run" / MEASURED, measured.facts())
    return measured


def _speeds(outline: Outline, engines: Mapping[str, Metered], recipe: Recipe, most: int) -> dict[str, Speed]:
    """The speed of each model that completes prompts, by bursts; the one that writes the problems comes last,
    and stays open.
    """
    found: dict[str, Speed] = {}
    first = engines["model"]
    others = {
        source: engine
        for source, engine in _sources(outline, engines).items()
        if engine is not first and not engine.rates
    }
    for source, engine in {**others, outline.sources["model"]: first}.items():
        engine.complete([[1]], Sampling(max_tokens=1), [0])
        found[source], _ = speed_of(engine, recipe.domains[0], most, engine.opened[-1])
        if engine is not first:
            engine.close()
        engine.opened.clear()
        engine.closed.clear()
    first.opened.append(0.0)  # it is open
    return found


def _sources(outline: Outline, engines: Mapping[str, Metered]) -> dict[str, Metered]:
    """The engine of each model."""
    return {
        outline.scorer if part == "scorer" else outline.sources[part]: engine
        for part, engine in engines.items()
    }


def _came(outline: Outline, rows: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many answers were complete and how many pairs came, of how many problems."""
    sizes = {(key, split): len(part) for key, splits in rows.items() for split, part in splits.items()}
    problems = sum(domain.count for domain in outline.domains)
    answers, pairs = (
        sum(size for (_, split), size in sizes.items() if split.endswith(end)) for end in ("_sft", "_prefs")
    )
    return (answers, problems), (pairs, problems)


def _measured(
    outline: Outline,
    said: Mapping[str, Any],
    engines: Mapping[str, Metered],
    speeds: Mapping[str, Speed],
    run: Path,
    times: _Times,
) -> Measured:
    by_source = _sources(outline, engines)
    asked = {source: [one for one in engine.asked if one.label] for source, engine in by_source.items()}
    every = [one for requests in asked.values() for one in requests]
    if not every:
        raise BadInput(
            "all rows of this measurement are there already, so nothing was asked and nothing measured; give"
            " a larger --measure, or another --out"
        )
    by_stage: dict[str, list[Asked]] = defaultdict(list)
    for one in every:
        by_stage[one.label].append(one)
    examples = {
        stage: _EXAMPLES[stage](asked_of) if (asked_of := by_stage[stage]) else () for stage in outline.stages
    }
    found = {
        source: (
            _corrected(speeds[source], requests, examples)
            if source in speeds
            else _rating_speed(by_source[source], requests)
        )
        for source, requests in asked.items()
    }
    yields = {part.domain: (part.accepted, part.filtered) for part in status(run.parent).selection}
    first, last = min(one.began for one in every), max(one.ended for one in every)
    loads = sum(sum(engine.opened) for engine in by_source.values())
    each = {stage: float(outline.each(stage)) for stage in outline.stages} | each_of(examples, outline)
    work = Work(examples, each, {key: share_of(*counts) for key, counts in yields.items()}, _cpu(run))
    modelled = seconds_by_phase(
        outline, work, {source: replace(speed, load=0.0) for source, speed in found.items()}, {}
    )
    beside = max(0.0, last - first - loads - sum(seconds for _, seconds in modelled))
    timing = Timing(times.opening - times.began, first - times.burst + beside, times.built - last, work.cpu)
    return Measured(time.strftime("%Y-%m-%d"), said, found, examples, yields, (0, 0), (0, 0), timing)


def _corrected(speed: Speed, asked: Sequence[Asked], examples: Mapping[str, tuple[Request, ...]]) -> Speed:
    """The speed at which an engine answered the build's own requests, which came when they came: as the
    bursts say, times a factor.
    """
    real = sum(one.ended - one.began for one in asked)
    if not real:
        return speed
    at: Counter[str] = Counter()
    requests = []
    for one in sorted(asked, key=lambda one: one.began):
        example = examples[one.label]
        requests.append((one.began, replace(example[at[one.label] % len(example)], tokens=one.tokens)))
        at[one.label] += 1
    for _ in range(ROUNDS):
        speed = speed.slower(real / max(1e-9, replay(speed, requests)))
    return speed


def _rating_speed(engine: Metered, asked: Sequence[Asked]) -> Speed:
    """Of an engine that only reads prompts: the seconds in which it had some, by their tokens."""
    busy, end = 0.0, 0.0
    for one in sorted(asked, key=lambda one: one.began):
        busy += max(0.0, one.ended - max(one.began, end))
        end = max(end, one.ended)
    return Speed(
        max(engine.opened, default=0.0), 0.0, 0.0, 0.0, busy / max(1, sum(one.prompt for one in asked))
    )


def _cpu(run: Path) -> dict[str, tuple[float, float]]:
    """Seconds a shard and a row of each stage that asks no model. The cheapest of them says what a shard
    costs, however few its rows.
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


def _warm(recipe: Recipe) -> None:
    """Load what the first rows of a build wait for: the rules of the cleaning, and the workers that compare
    answers.
    """
    sample = {
        "raw_instruction": ["Find all primes $p$ for which $p + 2$ is prime, too."],
        "raw_finish_reason": ["stop"],
    }
    Clean((recipe.generator.model,), recipe.languages).run(sample)
    limits, processes = recipe.verify.limits, recipe.verify.processes
    with ThreadPoolExecutor(processes) as pool:
        for _ in pool.map(
            lambda number: is_readable(f"{number}/7", limits, processes), range(1, processes + 1)
        ):
            pass


def _samples(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """All samples of a domain begin with the same tokens. A first token that was sampled apart counts with
    the rest.
    """
    whole = [one for one in asked if one.tokens > 1] or list(asked)
    return tuple(Request(one.prompt, 1, one.tokens) for one in whole)


def _answers(asked: Sequence[Asked]) -> tuple[Request, ...]:
    return tuple(Request(one.prompt, one.prompt, one.tokens) for one in asked)


def _rivals(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """Candidates of one problem share its prompt, but for the last block."""
    return tuple(Request(one.prompt, min(one.prompt, one.prompt % BLOCK + 1), one.tokens) for one in asked)


def _questions(asked: Sequence[Asked]) -> tuple[Request, ...]:
    """What is asked of each text after words that all share: the tokens beyond the shortest, and what stands
    behind the text; the whole of what an engine rates, which no cache is kept of.
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
    "candidates": _rivals,
    "score": _questions,
}
