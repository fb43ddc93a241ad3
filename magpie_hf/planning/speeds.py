"""How fast an engine is: what a step costs, by a GPU's figures, and requests in virtual time.

Not here: measuring a real engine (measure.py), and which requests a build makes (simulation.py).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from magpie_hf.models.gpus import Gpu
from magpie_hf.models.parallel import UTILIZATION, Need
from magpie_hf.planning.sizes import Size
from magpie_hf.planning.workload import Request

MOST_SEQUENCES = 256
# Of a completion, what its sequence holds of the cache on average over its life, with others that began at
# other times: half of it were all equally long, and more, as the long ones live longer.
HELD = 0.7


@dataclass(frozen=True)
class Speed:
    """What an engine's work costs, in seconds.

    A decoding step over c sequences with K tokens of context in all takes step + max(weights, sequence * c) +
    context * K: tokens are computed while the weights are read. A prompt takes `prompt` for each fresh token,
    of which what it shares with the next step's reading is free, and `request` whatever its length. load:
    until the engine is open. sequences, cache: how many sequences, and tokens of context, it runs at once.
    weights: 0 where only their sum with `step` was measured.
    """

    load: float
    step: float
    sequence: float
    context: float
    prompt: float
    request: float = 0.0
    sequences: int = MOST_SEQUENCES
    cache: float = math.inf
    weights: float = 0.0

    def slower(self, factor: float) -> Speed:
        """The same engine with `factor` times the seconds, except for its load."""
        costs = ("step", "weights", "sequence", "context", "prompt", "request")
        return replace(self, **{name: getattr(self, name) * factor for name in costs})


# By a GPU's figures (the roofline)


class Efficiency(NamedTuple):
    """How much of the vendor's figures an engine reaches.

    flops, bandwidth: shares; step: seconds of a step beside these; loading: gigabytes of weights a second;
    overhead: of the memory that is kept free beside weights and cache (models/parallel.py), what is needed.
    """

    flops: float
    bandwidth: float
    step: float
    loading: float
    overhead: float


# Slow, likely, fast: set on 22 published runs of vLLM (7B to 32B), all of which lie between slow and fast and
# 20 within 30 % of likely; of 28 others, 21 and 21 do (tests/tables/throughput.jsonl). As vLLM prepares a
# step while the one before runs, little of it is left beside reading and computing: in 2024, 4 to 13 ms were.
# Beside weights and cache, dense models of 8B to 32B took 0.5 to 3.6 GB in ten public logs of vLLM, of which
# those since 2025 say 1.7 to 2.8.
EFFICIENCIES = (
    Efficiency(0.25, 0.50, 0.005, 0.3, overhead=1.0),
    Efficiency(0.40, 0.70, 0.002, 1.0, overhead=0.7),
    Efficiency(0.60, 0.90, 0.001, 3.0, overhead=0.4),
)
# Of the speed that fewer bits promise, what is reached; published runs of FP8 and FP4 models have 0.1 to 0.9
FEWER_BITS = 0.5
START = 60.0  # seconds until an engine is open, beside its weights: compiling, CUDA graphs


def speed_on(
    size: Size,
    gpu: Gpu,
    tensor: int,
    how: Efficiency,
    utilization: float = UTILIZATION,
    most: int | None = None,
    context: float = 1.0,
) -> Speed:
    """The speed of one engine on `tensor` such GPUs, at most `most` sequences at once.

    most: None takes vLLM's own choice for the GPU. context: tokens that a sequence has on average, above a
    window of which some models keep the last ones only.
    """
    need = replace(size.need, overhead=how.overhead * size.need.overhead)
    faster = 1 + FEWER_BITS * (size.times(gpu) - 1)
    flops, bandwidth = gpu.teraflops * 1e12 * tensor * faster, gpu.terabytes * 1e12
    token = 2 * size.active * 1e9 / (flops * how.flops)
    per_token = _gigabytes_a_token(need, tensor, context) * 1e9
    return Speed(
        load=START + need.weights / how.loading,
        step=how.step,
        # All of a mixture's experts: 32 sequences use 87 % of 128, of which each token takes 8.
        weights=need.weights * 1e9 / (bandwidth * tensor * how.bandwidth),
        sequence=token,
        context=per_token / (bandwidth * how.bandwidth),
        prompt=token,
        sequences=most or vllms_choice(gpu),
        cache=cache_on(need, gpu, tensor, utilization, context),
    )


def cache_on(
    need: Need, gpu: Gpu, tensor: int, utilization: float = UTILIZATION, context: float = 1.0
) -> float:
    """Tokens of context in the cache of one engine on `tensor` such GPUs; infinite where not known.

    context: tokens that a sequence has on average.
    """
    each = _gigabytes_a_token(need, tensor, context)
    return need.free(tensor, gpu, utilization) / each if each else math.inf


def _gigabytes_a_token(need: Need, tensor: int, context: float) -> float:
    """What a token takes of the cache, in a sequence of so many; 0 where not known."""
    if need.shape is None:
        return 0.0
    return need.shape.cache_gigabytes(context, tensor, need.value_bytes) / context


def vllms_choice(gpu: Gpu) -> int:
    """The most sequences at once that vLLM 0.32 chooses for many prompts offline."""
    return 1024 if gpu.gigabytes >= 75 and "A100" not in gpu.name else MOST_SEQUENCES


def compute_bound_hours(size: Size, tokens: float, gpu: Gpu, count: int = 1) -> float:
    """Hours at all of the FLOP/s of `count` GPUs: no engine generates the tokens faster."""
    return tokens * 2 * size.active * 1e9 / (gpu.teraflops * 1e12 * size.times(gpu) * count) / 3600


# In virtual time


class Clock:
    """Virtual time in seconds: an engine with continuous batching, and timers beside it."""

    def __init__(self, speed: Speed) -> None:
        self.now = 0.0
        self._speed = speed
        self._order = itertools.count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: deque[tuple[Request, Callable[[], None]]] = deque()
        # By the step at whose end each is done.
        self._running: list[tuple[float, int, Request, Callable[[], None]]] = []
        self._steps = 0.0
        self._shared = -1.0  # the step whose reading of the weights the last prompts shared
        self._context = 0.0
        self._held = 0.0

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` in so many seconds."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), then))

    def ask(self, requests: Sequence[Request], then: Callable[[], None]) -> None:
        """Have the engine work on these; `then` is called when all are done."""
        left = len(requests)

        def one_is_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        if not requests:
            self.after(0.0, then)
        self._waiting.extend((request, one_is_done) for request in requests)

    def run(self) -> float:
        """Go on until nothing is left to do; returns the seconds that have passed."""
        while self._timers or self._running or self._waiting:
            self._admit()
            if self._running and not self._decode(self._timers[0][0] if self._timers else math.inf):
                continue
            if self._timers and not (self._running and self._timers[0][0] > self.now):
                at, _, then = heapq.heappop(self._timers)
                self.now = max(self.now, at)
                then()
        return self.now

    def _admit(self) -> None:
        """Admit requests while the cache has space; their prompts are computed along with the next step.

        No sequence decodes during what they take beyond it.
        """
        speed, count = self._speed, len(self._running)
        seconds = 0.0
        while self._waiting and len(self._running) < speed.sequences:
            request, then = self._waiting[0]
            if self._running and self._held + _held(request) > speed.cache:
                break
            self._waiting.popleft()
            seconds += speed.prompt * request.fresh
            self.now += speed.request
            self._context += request.prompt
            self._held += _held(request)
            end = self._steps + max(1, request.tokens)
            heapq.heappush(self._running, (end, next(self._order), request, then))
        if seconds:
            idle = max(0.0, speed.weights - speed.sequence * count) * min(1.0, self._steps - self._shared)
            self.now += max(0.0, seconds - idle)
            self._shared = self._steps

    def _decode(self, until: float) -> bool:
        """Decode to the end of the next request, or to a time if that is sooner; returns whether it was."""
        speed, count = self._speed, len(self._running)
        steps = self._running[0][0] - self._steps
        one = speed.step + max(speed.weights, speed.sequence * count)
        one += speed.context * (self._context + count * steps / 2)
        seconds, most = steps * one, max(0.0, until - self.now)
        if seconds > most:  # an engine that only reads decodes in no time
            part = steps * most / seconds
            self._steps += part
            self._context += part * count
            self.now += most
            return True
        self.now += seconds
        self._steps += steps
        self._context += steps * count
        while self._running and self._running[0][0] <= self._steps + 1e-9:
            _, _, request, then = heapq.heappop(self._running)
            self._context -= request.prompt + max(1, request.tokens)
            self._held -= _held(request)
            then()
        return False


def _held(request: Request) -> float:
    """Tokens of the cache that a request holds on average."""
    return request.prompt + HELD * request.tokens


def replay(speed: Speed, requests: Sequence[tuple[float, Request]]) -> float:
    """Seconds from start to end of each request, added up, where each starts at its given time."""
    clock, waited = Clock(speed), 0.0
    first = min((at for at, _ in requests), default=0.0)

    def come(request: Request) -> None:
        began = clock.now

        def end() -> None:
            nonlocal waited
            waited += clock.now - began

        clock.ask([request], end)

    for at, request in requests:
        clock.after(at - first, partial(come, request))
    clock.run()
    return waited
