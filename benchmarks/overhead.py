"""Measures the cost of this package itself: a whole build over an engine that answers at once.

Usage: overhead.py MODEL [ROWS ...] (default 5000 44000)

k = 5, answers of about 4 kB, six domains in the original's proportions. Prints rows per second and peak
memory for each size, each measured in a process of its own, and where the time goes. MODEL gives the
tokenizer; its weights are not loaded.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import results
from datasets import Dataset
from samples import problem

from magpie_hf import DOMAINS, Completion, FakeEngine, Judge, Recipe, Sampling, build, chat_of, resolve
from magpie_hf.engines.journal import Journal, current, keeping
from magpie_hf.scorers.judge import RATINGS

PARAGRAPH = (
    "Let $G$ be a finite group and let $H \\le G$ be a subgroup of index $n$; then $|G| = n\\,|H|$ by"
    " Lagrange's theorem. "
)


def recipe(model_folder: str, rows: int) -> Recipe:
    """The recipe of a build of `rows` problems over an engine that answers at once."""
    model = resolve(model_folder)
    ratings = chat_of(model).choice_prompts([[{"role": "user", "content": "x"}]], "Rating: ", RATINGS)[1]

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.logprobs:
            share = (seed + len(prompt) % 997 + 1) / 1000
            first = ((ratings[3], math.log(share / 2)), (ratings[1], math.log(1 - share / 2)))
            return Completion("", "length", 900, 1, first)
        if sampling.max_tokens == 1024:
            return Completion(problem(seed), "stop", 200, 60)
        return Completion(f"No. {seed}. {PARAGRAPH * 38}\\boxed{{{seed % 7}}}", "stop", 200, 30 * 38)

    engine = FakeEngine(model, reply)
    domains = tuple(
        replace(domain, count=max(1, round(domain.count * rows / 44_000))) for domain in DOMAINS.values()
    )
    return Recipe(engine, engine, Judge(engine), domains, k=5)


def measure(model: str, rows: int, out: str) -> dict[str, float]:
    """Seconds and peak memory (MB) of a build in this process, and the shares of its two largest parts.

    Each part is measured alone, on a sample of rows.
    """
    made = recipe(model, rows)
    began = time.perf_counter()
    datasets = build(made, out)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tokenizing, journalling = parts(made, datasets["candidates"]["train"], Path(out).parent)
    return {
        "rows": rows,
        "seconds": seconds,
        "peak": peak,
        "tokenizing": tokenizing * rows / seconds,
        "journal": journalling * rows / seconds,
    }


def parts(made: Recipe, rows: Dataset, folder: Path) -> tuple[float, float]:
    """Seconds per row for token ids of all prompts, and for keeping all answers in a journal."""
    chat, size = chat_of(made.generator.model), 64
    problems, responses = (
        rows["problem"][:size],
        [one["response"] or "" for row in rows["candidates"][:size] for one in row],
    )
    began = time.perf_counter()
    repeated = [problem for problem in problems for _ in range(made.k)]
    made.scorer._prompts(repeated, responses)  # type: ignore[attr-defined]
    for _ in range(2):
        chat.closed_prompts(chat.solving_prompt(problem) for problem in problems)
    tokenized = time.perf_counter()
    with keeping(Journal(folder / "sample.journal")):
        for number in range(12 * size):
            current().record(f"{number:032x}", [responses[number % len(responses)], "stop", 200, 1140, []])
    return (tokenized - began) / size, (time.perf_counter() - tokenized) / size


def in_a_process_of_its_own(model: str, rows: int, out: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--one", model, str(rows), out],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(model: str, sizes: list[int]) -> None:
    measured = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            result = in_a_process_of_its_own(model, rows, str(Path(folder) / "out"))
        speed = rows / result["seconds"]
        measured.append({"rows": rows, "rows_per_second": speed, "peak": result["peak"]})
        shares = (
            f"{result['tokenizing']:.0%} of the time for token ids, {result['journal']:.0%} for the journal,"
            " each alone"
        )
        print(
            f"{rows:>7,} rows: {speed:8.1f} rows a second, peak {result['peak']:7.0f} MB; {shares}",
            flush=True,
        )
    results.record(
        "overhead", {"sizes": measured, "tokenizing": result["tokenizing"], "journal": result["journal"]}
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    elif len(sys.argv) > 1:
        main(sys.argv[1], [int(word) for word in sys.argv[2:]] or [5_000, 44_000])
    else:
        sys.exit(__doc__)
