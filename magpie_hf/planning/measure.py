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

import numpy as np

from magpie_hf.answers.comparison import is_readable
from magpie_hf.building.build import build
from magpie_hf.domains import Domain
from magpie_hf.engines import meter
from magpie_hf.engines.base import Engine
from magpie_hf.engines.journal import current
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.errors import BadInput, LowYield, NothingMade
from magpie_hf.models.chat import chat_of
from magpie_hf.models.sampling import Sampling
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
STEPS = 10  # tokens that a request of a burst decodes
LONG = 384  # tokens of context in the burst that shows what context costs
SHORT = 16  # tokens of context in all other bursts: few, so that the prompts take little time
SAMPLED = 24  # tokens of the problems that bursts are made of
SECONDS = 45.0  # that the bursts take in all, about
TRIES = 5  # of a burst that another process disturbs


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


# Bursts: the speed of an engine by short bursts of requests at several loads


@dataclass(frozen=True)
class Burst:
    """Decoding steps at one load.

    running: sequences in flight; context: tokens of context of all of them; seconds: of one step.
    """

    running: float
    context: float
    seconds: float


def speed_of(engine: Engine, domain: Domain, most: int, load: float) -> tuple[Speed, tuple[Burst, ...]]:
    """Measure an open engine that completes prompts; no journal keeps what it generates.

    most: sequences that it will be asked to run at once, at most; load: seconds that opening it took.
    """
    chat, end = chat_of(engine.model), time.monotonic() + SECONDS
    sampling = replace(domain.candidate, stop_token_ids=(), max_tokens=STEPS)
    sampled = engine.complete(
        [chat.pre_query_prefix(domain.system)] * 6,
        replace(domain.instruction, stop_token_ids=chat.turn_end_ids, max_tokens=SAMPLED),
        range(6),
    )
    text = " ".join(one.text for one in sampled)
    tokens = list(chat.closed_prompt(chat.solving_prompt(text)))
    prompt, request = _prompt_cost(engine, tokens, sampling)

    bursts = []
    # Prompts that differ, so that a mixture of experts uses all of them.
    short = [tokens[at : at + SHORT] for at in range(len(tokens) - SHORT)]
    long = [(tokens * (LONG // len(tokens) + 1))[at : at + LONG] for at in range(2)]
    if prompt * LONG * len(long) < SECONDS / 4:
        _timed(engine, long, replace(sampling, max_tokens=1))
        bursts.append(_burst(engine, long, sampling, len(long)))
    running = min(4, most)
    while True:
        began = time.monotonic()
        bursts.append(_burst(engine, short, sampling, running))
        # Two loads are the least that tell a step's cost from a sequence's.
        if running == most or (running > 4 and time.monotonic() + 4 * (time.monotonic() - began) > end):
            break
        running = min(running * 8, most)
    step, sequence, context = _fit(bursts)
    return Speed(load, step, sequence, context, prompt, request, most), tuple(bursts)


def _timed(engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling) -> tuple[float, int]:
    """Seconds until all are done, and the tokens that were generated."""
    began = time.monotonic()
    completions = engine.complete(prompts, sampling, range(len(prompts)))
    return time.monotonic() - began, sum(one.num_tokens for one in completions)


def _prompt_cost(engine: Engine, tokens: list[int], sampling: Sampling) -> tuple[float, float]:
    """Seconds a token of prompts that no cache holds, and seconds a request beside them."""
    one = replace(sampling, max_tokens=1)
    size = min(len(tokens) - 4, LONG)
    # Reversed, so that no other request begins with them.
    short = [tokens[at:0:-1][: size // 4] for at in (-2, -3, -4)]
    long = [tokens[at:0:-1][:size] for at in (-5, -6, -7)]
    _timed(engine, [tokens[: size // 2]], one)
    (few, _), (many, _) = _timed(engine, short, one), _timed(engine, long, one)
    slope = max(0.0, many - few) / (sum(map(len, long)) - sum(map(len, short)))
    return slope, max(0.0, few / len(short) - slope * size / 4)


def _burst(engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling, running: int) -> Burst:
    """Decode with so many in flight; the time to begin is measured apart and left out.

    Another process may hold the processor while the beginning alone is timed, and the rest then seems to take
    no time at all: such a burst is measured again.
    Raises BadInput: the machine is too busy to time anything.
    """
    chosen = [prompts[at % len(prompts)] for at in range(running)]
    for _ in range(TRIES):
        began, _tokens = _timed(engine, chosen, replace(sampling, max_tokens=1))
        seconds, tokens = _timed(engine, chosen, sampling)
        if seconds > began:
            break
    else:
        raise BadInput(
            f"{TRIES} times one token took as long as {sampling.max_tokens}: something else keeps this"
            " machine busy; measure when it is quiet"
        )
    context = sum(map(len, chosen)) + running * sampling.max_tokens / 2
    steps = sampling.max_tokens - 1
    return Burst((tokens - running) / steps, context, (seconds - began) / steps)


def _fit(bursts: Sequence[Burst]) -> tuple[float, float, float]:
    """step, sequence, context of `Speed`: none below zero, with the least relative squared error."""
    loads = np.array([[1.0, one.running, one.context] for one in bursts])
    seconds = np.array([one.seconds for one in bursts])
    best, least = np.zeros(3), np.inf
    # All subsets that make sense: least squares with one of three numbers at zero is another fit.
    for chosen in ([0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1]):
        if len(chosen) > len(bursts):
            continue
        found, *_ = np.linalg.lstsq(loads[:, chosen] / seconds[:, None], np.ones(len(seconds)), rcond=None)
        error = float(np.sum((loads[:, chosen] @ found / seconds - 1) ** 2))
        if (found >= 0).all() and error < least - 1e-9:
            best, least = np.zeros(3), error
            best[chosen] = found
    return float(best[0]), float(best[1]), float(best[2])
