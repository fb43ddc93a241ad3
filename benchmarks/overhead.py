"""What the house itself costs: a whole walk over an engine that answers at once. Run: overhead.py MODEL [ROWS ...] (default 5000 44000).

k = 5, answers of about 4 kB, six domains in the original's proportions. Prints rows a second and peak memory for each size, each measured
in a process of its own, and for the last size the seconds of a second run that finds everything. MODEL gives the tokenizer; it is not
loaded.
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

from magpie_hf import DOMAINS, Completion, FakeEngine, Judge, Recipe, Sampling, build, chat_of, resolve
from magpie_hf.scorers import RATINGS

PARAGRAPH = "Let $G$ be a finite group and let $H \\le G$ be a subgroup of index $n$; then $|G| = n\\,|H|$ by Lagrange's theorem. "


def recipe(model_folder: str, rows: int) -> Recipe:
    """The recipe of a walk of `rows` draws over an engine that answers at once."""
    model = resolve(model_folder)
    ratings = chat_of(model).choice_prompts([[{"role": "user", "content": "x"}]], "Rating: ", RATINGS)[1]

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.logprobs:
            share = (seed + len(prompt) % 997 + 1) / 1000
            first = ((ratings[3], math.log(share / 2)), (ratings[1], math.log(1 - share / 2)))
            return Completion("", "length", 900, 1, first)
        size = 1 if sampling.max_tokens == 1024 else 38
        return Completion(f"No. {seed}. {PARAGRAPH * size}\\boxed{{{seed % 7}}}", "stop", 200, 30 * size)

    engine = FakeEngine(model, reply)
    domains = tuple(replace(domain, count=max(1, round(domain.count * rows / 44_000))) for domain in DOMAINS.values())
    return Recipe(engine, engine, Judge(engine), domains, k=5)


def measure(model: str, rows: int, out: str) -> dict[str, float]:
    """Seconds and peak memory of a build in this process."""
    began = time.perf_counter()
    datasets = build(recipe(model, rows), out)
    seconds = time.perf_counter() - began
    made = sum(len(splits["train_sft"]) for splits in datasets.values())
    return {"rows": made, "seconds": seconds, "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_a_process_of_its_own(model: str, rows: int, out: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", model, str(rows), out], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(model: str, sizes: list[int]) -> None:
    for number, rows in enumerate(sizes, start=1):
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out")
            result = in_a_process_of_its_own(model, rows, out)
            speed = result["rows"] / result["seconds"]
            line = f"{result['rows']:>7,} rows: {speed:8.1f} rows a second, peak {result['peak_megabytes']:7.0f} MB"
            if number == len(sizes):
                again = in_a_process_of_its_own(model, rows, out)
                line += f"; a second run: {again['seconds']:.1f} s"
            print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    elif len(sys.argv) > 1:
        main(sys.argv[1], [int(word) for word in sys.argv[2:]] or [5_000, 44_000])
    else:
        sys.exit(__doc__)
