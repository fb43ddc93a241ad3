"""How fast an engine is: short bursts of real requests at several loads, and the four numbers that fit them.

Not here: a build.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.engine import Speed

STEPS = 10  # tokens a request of a burst decodes
LONG = 384  # tokens of context of the burst that tells what context costs
SAMPLED = 24  # tokens of the problems that bursts are made of
SHORT = 16  # tokens of context of all other bursts: few, so that the prompts take little time
SECONDS = 45.0  # that the bursts take in all, about


@dataclass(frozen=True)
class Burst:
    """Steps in which `running` sequences, of so many tokens of context in all, were in flight, and the
    seconds of one.
    """

    running: float
    context: float
    seconds: float


def speed_of(engine: Engine, domain: Domain, most: int, load: float) -> tuple[Speed, tuple[Burst, ...]]:
    """Measure an open engine that completes prompts.

    most: sequences that it will be asked to run at once, at most; load: seconds that opening it took. Some of
    the answers are cut short and thrown away: they are asked outside of any shard's journal.
    """
    chat, end = chat_of(engine.model), time.monotonic() + SECONDS
    sampling = replace(domain.candidate, stop_token_ids=(), max_tokens=STEPS)
    sampled = engine.complete(
        [chat.pre_query_prefix(domain.system)] * 6,
        replace(domain.instruction, stop_token_ids=chat.turn_end_ids, max_tokens=SAMPLED),
        range(6),
    )
    text = " ".join(one.text for one in sampled)
    words = list(chat.closed_prompt(chat.solving_prompt(text)))
    prompt, request = _prompt_cost(engine, words, sampling)

    bursts = []
    short = [
        words[at : at + SHORT] for at in range(len(words) - SHORT)
    ]  # which differ, so that a mixture of experts has to use all
    long = [(words * (LONG // len(words) + 1))[at : at + LONG] for at in range(2)]
    if prompt * LONG * len(long) < SECONDS / 4:
        _timed(engine, long, replace(sampling, max_tokens=1))
        bursts.append(_burst(engine, long, sampling, len(long)))
    running = min(4, most)
    while True:
        began = time.monotonic()
        bursts.append(_burst(engine, short, sampling, running))
        if running == most or (running > 4 and time.monotonic() + 4 * (time.monotonic() - began) > end):
            break  # two points are the least that tell a step's cost from a sequence's
        running = min(running * 8, most)
    step, sequence, context = _fit(bursts)
    return Speed(load, step, sequence, context, prompt, request, most), tuple(bursts)


def _timed(engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling) -> tuple[float, int]:
    """Seconds until all are done, and the tokens that came of it."""
    began = time.monotonic()
    completions = engine.complete(prompts, sampling, range(len(prompts)))
    return time.monotonic() - began, sum(one.num_tokens for one in completions)


def _prompt_cost(engine: Engine, words: list[int], sampling: Sampling) -> tuple[float, float]:
    """Seconds a token of prompts that no cache holds, and seconds a request beside them."""
    one = replace(sampling, max_tokens=1)
    size = min(len(words) - 4, LONG)
    short = [
        words[at:0:-1][: size // 4] for at in (-2, -3, -4)
    ]  # reversed, so that no other request begins with them
    long = [words[at:0:-1][:size] for at in (-5, -6, -7)]
    _timed(engine, [words[: size // 2]], one)
    (few, _), (many, _) = _timed(engine, short, one), _timed(engine, long, one)
    slope = max(0.0, many - few) / (sum(map(len, long)) - sum(map(len, short)))
    return slope, max(0.0, few / len(short) - slope * size / 4)


def _burst(engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling, running: int) -> Burst:
    """Decode with so many in flight; what it takes to begin is measured apart and left out."""
    chosen = [prompts[at % len(prompts)] for at in range(running)]
    began, _ = _timed(engine, chosen, replace(sampling, max_tokens=1))
    seconds, tokens = _timed(engine, chosen, sampling)
    context = sum(map(len, chosen)) + running * sampling.max_tokens / 2
    steps = sampling.max_tokens - 1
    return Burst((tokens - running) / steps, context, max(0.0, seconds - began) / steps)


def _fit(bursts: Sequence[Burst]) -> tuple[float, float, float]:
    """step, sequence, context: the seconds of `engine.Speed`, none below zero, that fit the bursts best in
    relative terms.
    """
    names = np.array([[1.0, one.running, one.context] for one in bursts])
    seconds = np.array([one.seconds for one in bursts])
    best, least = np.zeros(3), np.inf
    for chosen in (
        [0, 1, 2],
        [0, 1],
        [0, 2],
        [1, 2],
        [0],
        [1],
    ):  # all subsets that are worth it: there are but three numbers
        if len(chosen) > len(bursts):
            continue
        found, *_ = np.linalg.lstsq(names[:, chosen] / seconds[:, None], np.ones(len(seconds)), rcond=None)
        error = float(np.sum((names[:, chosen] @ found / seconds - 1) ** 2))
        if (found >= 0).all() and error < least - 1e-9:
            best, least = np.zeros(3), error
            best[chosen] = found
    return float(best[0]), float(best[1]), float(best[2])
