"""Measures how long a dead engine keeps a build waiting, on real vLLM.

Usage: recovery.py MODEL [DEATHS] (default 3)

AsyncLLM's core process is killed with 64 requests in flight. Prints the seconds until the next answer (of one
token), divided by the seconds from a plain start of the same engine to its first token. What exceeds 1 is the
cost of the recovery itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import sys
import time

import results

from magpie_hf import VLLM, Sampling, resolve


def cores() -> set[int]:
    """Process ids of the engine's children."""
    return {child.pid for child in multiprocessing.active_children() if child.pid}


def main(model: str, deaths: int) -> None:
    engine = VLLM(resolve(model), form="async_llm", context=512, max_num_seqs=64)
    began = time.perf_counter()
    engine.complete([[1, 2, 3]], Sampling(max_tokens=1), [0])
    start = time.perf_counter() - began
    measured = []
    for death in range(deaths):
        futures = [
            engine.submit([1, 2, 3, number], Sampling(max_tokens=200, min_p=0.1), number)
            for number in range(64)
        ]
        time.sleep(2)
        last = [engine.submit([1, 2, number], Sampling(max_tokens=1), death) for number in range(8)]
        for pid in cores():
            os.kill(pid, signal.SIGKILL)
        killed = time.perf_counter()
        while not any(future.done() for future in last):
            time.sleep(0.01)
        measured.append(time.perf_counter() - killed)
        finished = sum(future.result().finish_reason in ("stop", "length") for future in futures)
        print(
            f"death {death + 1}: {measured[-1]:.1f} s to the next token; {finished} of 64 requests in flight"
            " finished",
            flush=True,
        )
    engine.close()
    ratio = statistics.mean(measured) / start
    print(f"a plain start takes {start:.1f} s to the first token: ratio {ratio:.2f}")
    results.record(
        "recovery",
        {"deaths": deaths, "seconds": statistics.mean(measured), "start_seconds": start, "ratio": ratio},
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
