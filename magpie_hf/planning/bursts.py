"""The speed of an open engine, by short bursts of requests at several loads.

Not here: the small build that corrects it (measure.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.speeds import Speed

STEPS = 10  # tokens that a request of a burst decodes
LONG = 384  # tokens of context in the burst that shows what context costs
SHORT = 16  # tokens of context in all other bursts: few, so that the prompts take little time
SAMPLED = 24  # tokens of the problems that bursts are made of
SECONDS = 45.0  # that the bursts take in all, about
TRIES = 5  # of a burst that another process disturbs


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
