"""A build on real vLLM whose engine writes down each request that it finishes: real_build.py MODEL OUT LOG. A
test kills it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from magpie_hf import DOMAINS, VLLM, Completion, Judge, Recipe, Sampling, build, resolve
from magpie_hf.engines.journal import request_keys


@dataclass(frozen=True)
class Logged(VLLM):
    """A VLLM engine that appends the key of every request to `log` as it finishes it, before anybody else
    hears of it.
    """

    log: str = field(default="", compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        (key,) = request_keys(self.model, [prompt], sampling, [seed])
        future = super().submit(prompt, sampling, seed)
        future.add_done_callback(lambda done: done.cancelled() or done.exception() or self._write(key))
        return future

    def _write(self, key: str) -> None:
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{key} {time.time()}\n".encode())
        os.close(handle)


def main(model: str, out: str, log: str) -> None:
    # In float32 another batch changes a logit in its seventh digit, which almost never changes a word.
    engine = Logged(
        resolve(model, dtype="float32"), context=1024, kv_cache_gigabytes=1, max_num_seqs=32, log=log
    )
    bounds = {"instruction": 64, "response": 160, "candidate": 128}
    samplings = {
        step: replace(getattr(DOMAINS["algebra"], step), max_tokens=bound) for step, bound in bounds.items()
    }
    domain = replace(DOMAINS["algebra"], count=12, **samplings)
    build(Recipe(engine, engine, Judge(engine), (domain,), k=2), Path(out), shard_rows=3, shards_in_flight=4)


if __name__ == "__main__":
    main(*sys.argv[1:])
