"""Measures how busy a build keeps the engine, on real vLLM and this machine.

Usage: saturation.py MODEL [ROWS PER DOMAIN] [ROUNDS] (default 80 1)

The measure is generated tokens per second of a whole build (three domains, k = 3, skewed lengths), divided by
the best that this machine reaches with the same requests: all submitted at once to a bare LLMEngine step loop
or to a bare AsyncLLM, whichever is faster. Also measured are a build that is killed half-way and resumed, and
the original's loop: one process per stage, batches with a barrier after each, the k candidates in k calls.
Each runs in a process of its own, in turn, round by round. The step loop runs both before and after the
killed build, since a machine's speed drifts. Loading is not counted, except in a separate number for the
original's loop. The slow ways run on a part of the rows (SHARE_OF_ROWS).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import results

from magpie_hf import DOMAINS, VLLM, Completion, Judge, Recipe, Sampling, build, resolve
from magpie_hf.engines.vllm.engine import _params
from magpie_hf.run.status import status

BOUNDS = {"instruction": 96, "response": 160, "candidate": 160}
STAGES = ("instruction", "response", "candidate", "judge")
K = 3
# Takes one row in so many.
SHARE_OF_ROWS = {
    "asyncllm": 4,
    "batches of 128": 4,
    "batches of 4": 8,
    "batches of 2": 8,
}
Asked = tuple[list[int], Sampling, int]
ASKED: list[tuple[Sequence[int], Sampling, int, Future[Completion]]] = []


@dataclasses.dataclass(frozen=True)
class Recorded(VLLM):
    """A VLLM engine that remembers its requests."""

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        future = super().submit(prompt, sampling, seed)
        ASKED.append((prompt, sampling, seed, future))
        return future


def engine_of(model: str) -> Recorded:
    return Recorded(resolve(model), form="llm_engine", context=1024, max_num_seqs=64)


def pipeline(model: str, rows: int, folder: Path) -> dict[str, float]:
    """A build in `folder`; writes its requests to `folder/requests`, and its start time to `folder/began`."""
    engine = engine_of(model)
    # The first request takes seconds.
    engine.complete([[1, 2, 3]], Sampling(temperature=0.0, max_tokens=1, logprobs=20), [0])
    ASKED.clear()
    domains = []
    for key in ("algebra", "statistics", "discrete"):
        steps = {
            step: replace(getattr(DOMAINS[key], step), max_tokens=bound) for step, bound in BOUNDS.items()
        }
        domains.append(replace(DOMAINS[key], count=rows, **steps))
    recipe = Recipe(engine, engine, Judge(engine), tuple(domains), k=K)
    (folder / "began").write_text(str(time.time()))
    began = time.perf_counter()
    build(recipe, folder / "out", shard_rows=16, shards_in_flight=12)
    seconds = time.perf_counter() - began
    requests: list[Asked] = [(list(prompt), sampling, seed) for prompt, sampling, seed, _ in ASKED]
    (folder / "requests").write_bytes(pickle.dumps(requests))
    return {"tokens": sum(stage.tokens for stage in status(folder / "out").stages), "seconds": seconds}


def resumed(model: str, rows: int, folder: Path, tokens: float) -> dict[str, float]:
    """A build that is killed when half of its tokens are on the disk, and the same build again."""
    folder.mkdir()
    first = child("pipeline", model, rows, folder)
    while not (folder / "out" / "run" / "build.json").exists() or kept(folder) < tokens / 2:
        time.sleep(0.2)
        assert first.poll() is None, "the build ended before it was killed"
    first.send_signal(signal.SIGKILL)
    before = time.time() - float((folder / "began").read_text())
    first.communicate()
    again = finished(child("pipeline", model, rows, folder))
    return {"tokens": again["tokens"], "seconds": before + again["seconds"], "kept": kept(folder)}


def kept(folder: Path) -> float:
    """Generated tokens on the disk, in finished shards and in journals."""
    in_shards = sum(stage.tokens for stage in status(folder / "out").stages)
    lines = [
        line
        for file in (folder / "out").rglob("*.journal")
        if file.exists()
        for line in file.read_bytes().split(b"\n")[:-1]
    ]
    values = [json.loads(line.partition(b" ")[2])[1] for line in lines]
    return in_shards + sum(value[3] for value in values if not value[4])


def generated(asked: Asked, tokens: int) -> int:
    """The generated tokens of one answer; a rating has none."""
    return 0 if asked[1].logprobs else tokens


def step_loop(model: str, folder: Path) -> dict[str, float]:
    """All requests at once in a bare LLMEngine."""
    return Bare(model).run([pickle.loads((folder / "requests").read_bytes())])


def asyncllm(model: str, folder: Path) -> dict[str, float]:
    """All requests at once in a bare AsyncLLM, the same share of every stage."""
    from vllm import AsyncEngineArgs, AsyncLLMEngine, TokensPrompt

    asked: list[Asked] = pickle.loads((folder / "requests").read_bytes())
    requests = [
        one
        for stage in STAGES
        for one in [one for one in asked if stage_of(one) == stage][:: SHARE_OF_ROWS["asyncllm"]]
    ]

    async def run() -> dict[str, float]:
        llm = AsyncLLMEngine.from_engine_args(
            AsyncEngineArgs(**engine_of(model).arguments(True), enable_log_requests=False)
        )

        async def one(number: int, asked: Asked) -> int:
            prompt, sampling, seed = asked
            async for output in llm.generate(
                TokensPrompt(prompt_token_ids=prompt), _params(sampling, seed), str(number)
            ):
                if output.finished:
                    return generated(asked, len(output.outputs[0].token_ids))
            raise RuntimeError("a request ended without a result")

        await one(-1, ([1, 2, 3], Sampling(temperature=0.0, max_tokens=1, logprobs=20), 0))
        began = time.perf_counter()
        tokens = await asyncio.gather(*(one(number, asked) for number, asked in enumerate(requests)))
        seconds = time.perf_counter() - began
        llm.shutdown()
        return {"tokens": sum(tokens), "seconds": seconds}

    return asyncio.run(run())


def loop(model: str, folder: Path, stage: str, batch: int) -> dict[str, float]:
    """One stage of the original's loop: batches with a barrier after each, each candidate in its own call."""
    requests: list[Asked] = pickle.loads((folder / "requests").read_bytes())
    mine = [asked for asked in requests if stage_of(asked) == stage]
    every = SHARE_OF_ROWS[f"batches of {batch}"]
    if stage == "candidate":  # the k of one prompt are adjacent
        rows = [mine[start : start + K] for start in range(0, len(mine), K)][::every]
        batches = [
            [row[j] for row in rows[start : start + batch]]
            for start in range(0, len(rows), batch)
            for j in range(K)
        ]
    else:
        some = mine[::every]
        batches = [some[start : start + batch] for start in range(0, len(some), batch)]
    began = time.perf_counter()
    bare = Bare(model)
    return {**bare.run(batches), "loading": time.perf_counter() - began}


def stage_of(asked: Asked) -> str:
    if asked[1].logprobs:
        return "judge"
    if asked[1].max_tokens == BOUNDS["instruction"]:
        return "instruction"
    return "candidate" if asked[1].temperature > 0.5 else "response"


class Bare:
    """A bare LLMEngine of vLLM."""

    def __init__(self, model: str) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm import EngineArgs, LLMEngine

        self.engine: Any = LLMEngine.from_engine_args(EngineArgs(**engine_of(model).arguments(True)))
        self.numbers = iter(range(1_000_000))
        self.run([[([1, 2, 3], Sampling(temperature=0.0, max_tokens=1, logprobs=20), 0)]])

    def run(self, batches: list[list[Asked]]) -> dict[str, float]:
        from vllm import TokensPrompt

        tokens, began = 0, time.perf_counter()
        for batch in batches:
            asked = {str(next(self.numbers)): one for one in batch}
            for number, (prompt, sampling, seed) in asked.items():
                self.engine.add_request(
                    number, TokensPrompt(prompt_token_ids=prompt), _params(sampling, seed)
                )
            while self.engine.has_unfinished_requests():
                for output in self.engine.step():
                    if output.finished:
                        tokens += generated(asked[output.request_id], len(output.outputs[0].token_ids))
        return {"tokens": tokens, "seconds": time.perf_counter() - began}


def child(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, "--one", *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen[str]) -> dict[str, float]:
    said = process.communicate()[0]
    if process.returncode:
        sys.exit(f"a part of the benchmark failed with exit code {process.returncode}")
    result: dict[str, float] = json.loads(said.splitlines()[-1])
    return result


def one_round(model: str, rows: int, folder: Path) -> dict[str, float]:
    """Tokens per second of every way, and of the original's loop also with loading."""
    (folder / "whole").mkdir()
    whole = finished(child("pipeline", model, rows, folder / "whole"))
    speeds = {"build": whole["tokens"] / whole["seconds"]}
    ceiling = [finished(child("step_loop", model, folder / "whole"))]
    ran = resumed(model, rows, folder / "killed", whole["tokens"])
    speeds["killed_and_resumed"] = ran["tokens"] / ran["seconds"]
    ceiling.append(finished(child("step_loop", model, folder / "whole")))
    speeds["step_loop"] = sum(one["tokens"] for one in ceiling) / sum(one["seconds"] for one in ceiling)
    ran = finished(child("asyncllm", model, folder / "whole"))
    speeds["asyncllm"] = ran["tokens"] / ran["seconds"]
    for batch in (128, 4, 2):
        parts = [finished(child("loop", model, folder / "whole", stage, batch)) for stage in STAGES]
        tokens, seconds = (sum(part[what] for part in parts) for what in ("tokens", "seconds"))
        speeds[f"batches_of_{batch}"] = tokens / seconds
        if batch == 128:
            speeds["batches_of_128_with_loading"] = tokens / sum(part["loading"] for part in parts)
    return speeds


def main(model: str, rows: int, rounds: int) -> None:
    measured: list[dict[str, float]] = []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            speeds = one_round(model, rows, Path(folder))
        measured.append(speeds)
        print(
            f"round {number}: "
            + ", ".join(f"{way} {speed:.0f}" for way, speed in speeds.items())
            + " tokens/s",
            flush=True,
        )
    ceiling = [max(speeds["step_loop"], speeds["asyncllm"]) for speeds in measured]
    ratios = {
        way: statistics.mean(s[way] / best for s, best in zip(measured, ceiling, strict=True))
        for way in measured[0]
    }
    results.record(
        "saturation",
        {
            "rows": rows * 3,
            "rounds": rounds,
            "ceiling_tokens_per_second": statistics.mean(ceiling),
            "ratios": ratios,
        },
    )
    for way, ratio in ratios.items():
        print(f"{way:<28} {ratio:.2f} of the best")


ONE = {
    "pipeline": lambda model, rows, folder: pipeline(model, int(rows), Path(folder)),
    "step_loop": lambda model, folder: step_loop(model, Path(folder)),
    "asyncllm": lambda model, folder: asyncllm(model, Path(folder)),
    "loop": lambda model, folder, stage, batch: loop(model, Path(folder), stage, int(batch)),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(ONE[sys.argv[2]](*sys.argv[3:])))
    elif len(sys.argv) > 1:
        main(sys.argv[1], *[int(word) for word in [*sys.argv[2:], *["80", "1"][len(sys.argv) - 2 :]]])
    else:
        sys.exit(__doc__)
