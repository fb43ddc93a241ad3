"""A build on real vLLM, or on servers, whose engine writes down each request that it finishes, with the
tokens that it generated: extended_build.py MODEL OUT LOG BOUND [URL ...]. A test kills it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from magpie_hf import DOMAINS, VLLM, Completion, Engine, HeldOut, Judge, Recipe, Sampling, build, resolve
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.errors import NothingMade

CONTEXT = 1024


def written(log: str, prompt: Sequence[int], seed: int, future: Future[Completion]) -> Future[Completion]:
    """The future, whose result is written down before anybody else hears of it."""

    def write(done: Future[Completion]) -> None:
        if not done.cancelled() and done.exception() is None:
            line = json.dumps([seed, len(prompt), done.result().num_tokens])
            handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, f"{line}\n".encode())
            os.close(handle)

    future.add_done_callback(write)
    return future


@dataclass(frozen=True)
class Logged(VLLM):
    log: str = field(default="", compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        return written(self.log, prompt, seed, super().submit(prompt, sampling, seed))


@dataclass(frozen=True)
class LoggedServers(Endpoint):
    log: str = field(default="", compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        return written(self.log, prompt, seed, super().submit(prompt, sampling, seed))


def main(source: str, out: str, log: str, bound: str, *urls: str) -> None:
    model = resolve(source, dtype="float32", max_length=CONTEXT)
    engine: Engine = (
        LoggedServers(model, urls=urls, log=log)
        if urls
        else Logged(model, kv_cache_gigabytes=1, max_num_seqs=4, log=log)
    )
    greedy = Sampling(temperature=0.0, repetition_penalty=1.2, max_tokens=int(bound))
    sampled = replace(DOMAINS["algebra"].instruction, max_tokens=48)
    domain = replace(DOMAINS["algebra"], count=8, instruction=sampled, response=greedy, candidate=greedy)
    recipe = Recipe(engine, engine, Judge(engine), (domain,), k=2, held_out=HeldOut(0), auto_extend=0)
    with contextlib.suppress(NothingMade):  # at a low bound all answers are truncated
        build(recipe, Path(out), shard_rows=3, shards_in_flight=4)


if __name__ == "__main__":
    main(*sys.argv[1:])
