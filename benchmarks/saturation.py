"""How full the engine is kept: a whole walk against the same requests submitted at once. Run: saturation.py MODEL [ROWS A DOMAIN] [ROUNDS].

Real vLLM on this machine, three domains, k = 3, skewed lengths. In each round, in one process and on loaded engines: a build, then every
request of that build handed at once to a bare LLMEngine step loop. Prints generated tokens a second of both, and their ratio.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from magpie_hf import DOMAINS, VLLM, Completion, Judge, Recipe, Sampling, build, resolve
from magpie_hf.engines.vllm import _params

ASKED: list[tuple[Sequence[int], Sampling, int, Future[Completion]]] = []


@dataclasses.dataclass(frozen=True)
class Recorded(VLLM):
    """A VLLM engine that remembers what it was asked."""

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        future = super().submit(prompt, sampling, seed)
        ASKED.append((prompt, sampling, seed, future))
        return future


def recipe(engine: VLLM, rows: int) -> Recipe:
    bounds = {"instruction": 96, "response": 160, "candidate": 160}
    domains = []
    for key in ("algebra", "statistics", "discrete"):
        steps = {step: replace(getattr(DOMAINS[key], step), max_tokens=bound) for step, bound in bounds.items()}
        domains.append(replace(DOMAINS[key], count=rows, **steps))
    return Recipe(engine, engine, Judge(engine), tuple(domains), k=3)


def walk(engine: VLLM, rows: int) -> tuple[int, float]:
    """Generated tokens and seconds of a build; the engine is loaded before the clock starts."""
    engine.complete([[1, 2, 3]], Sampling(temperature=0.0, max_tokens=1, logprobs=20), [0])
    ASKED.clear()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build(recipe(engine, rows), Path(folder) / "out", shard_rows=16, shards_in_flight=12)
        last = time.perf_counter()
    return sum(future.result().num_tokens for *_, future in ASKED), last - began


def ceiling(engine: VLLM) -> tuple[int, float]:
    """Generated tokens and seconds of the same requests in a bare step loop."""
    from vllm import EngineArgs, LLMEngine, TokensPrompt
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    bare: Any = LLMEngine.from_engine_args(EngineArgs(**engine.arguments(True)))
    warm = replace(ASKED[0][1], max_tokens=1, logprobs=20)
    requests = [([1, 2, 3], _params(warm, 0)), *((list(prompt), _params(sampling, seed)) for prompt, sampling, seed, _ in ASKED)]
    tokens, began = 0, 0.0
    for number, (prompt, params) in enumerate(requests):
        bare.add_request(str(number), TokensPrompt(prompt_token_ids=prompt), params)
        if number == 0:
            while bare.has_unfinished_requests():
                bare.step()
            began = time.perf_counter()
    while bare.has_unfinished_requests():
        tokens += sum(len(output.outputs[0].token_ids) for output in bare.step() if output.finished)
    seconds = time.perf_counter() - began
    bare.engine_core.shutdown()
    del bare
    cleanup_dist_env_and_memory()
    return tokens, seconds


def main(model: str, rows: int, rounds: int) -> None:
    engine = Recorded(resolve(model), form="stepped", context=2048, max_num_seqs=128)
    for number in range(1, rounds + 1):
        tokens, seconds = walk(engine, rows)
        bare_tokens, bare_seconds = ceiling(engine)
        ours, best = tokens / seconds, bare_tokens / bare_seconds
        times = f"{seconds:.0f} s and {bare_seconds:.0f} s"
        print(f"round {number}: walk {ours:.0f} tokens/s, all at once {best:.0f} ({times}): ratio {ours / best:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *[int(word) for word in [*sys.argv[2:], *["24", "2"][len(sys.argv) - 2 :]]])
