"""Measures the selection over an engine that answers at once, with 37 % usable samples.

Usage: selection.py MODEL [PROBLEMS] (default 44000)

Six domains in the original's proportions. Prints seconds, samples and peak memory. Then the same selection
runs with another shard size, is killed (kill -9) at five random moments and resumed each time: the accepted
set must be the same. MODEL gives the tokenizer; its weights are not loaded.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import results
from samples import junk, labels, problem

from magpie_hf import DOMAINS, Completion, FakeEngine, Judge, Recipe, Sampling, resolve
from magpie_hf.building.pipeline import Pipeline
from magpie_hf.dataset.folder import Folder
from magpie_hf.run.local import Local
from magpie_hf.run.session import no_progress_bars
from magpie_hf.selection.selection import Acceptance

KILLS = 5


def recipe(model_folder: str, problems: int) -> Recipe:
    """A recipe whose samples are good, not a problem, of poor quality, or near-duplicates, by their seeds."""

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        # Requests for labels all have the seed 0, so their prompt tells them apart.
        asked = array("i", prompt).tobytes() if sampling.schema else b"%d %d" % (seed, len(prompt))
        number = int.from_bytes(hashlib.sha256(asked).digest()[:6], "big")
        if sampling.schema:
            return Completion(
                labels("algebra", quality="poor" if number % 1000 < 370 else "good"), "stop", len(prompt), 40
            )
        kind = number % 1000
        return Completion(
            junk(number) if kind < 400 else problem(kind if kind < 413 else number), "stop", len(prompt), 60
        )

    engine = FakeEngine(resolve(model_folder), reply)
    domains = tuple(
        replace(domain, count=max(1, round(domain.count * problems / 44_000))) for domain in DOMAINS.values()
    )
    return Recipe(engine, engine, Judge(engine), domains, k=2, tagger=engine, acceptance=Acceptance("keep"))


def one(model: str, problems: int, out: str, shard_rows: int) -> dict[str, object]:
    """The selection in this process: seconds, peak memory (MB), samples, and a digest of the accepted set."""
    began = time.perf_counter()
    made, folder = recipe(model, problems), Folder(Path(out))
    with folder.claimed(made), no_progress_bars():
        filtered = Pipeline(made, Local(folder.run, shard_rows), folder).problems()
    accepted, samples = {domain.key: [] for domain in made.domains}, 0
    for part in sorted(filtered, key=lambda part: part.start):
        rows = part.read(["id", "accepted_as"]).to_pydict()
        samples += len(rows["id"])
        for name, domain in zip(rows["id"], rows["accepted_as"], strict=True):
            if domain:
                accepted[domain].append(name)
    assert {domain.key: domain.count for domain in made.domains} == {
        key: len(ids) for key, ids in accepted.items()
    }
    digest = hashlib.sha256(json.dumps(accepted).encode()).hexdigest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": time.perf_counter() - began, "peak": peak, "samples": samples, "digest": digest}


def main(model: str, problems: int) -> None:
    def command(out: Path, shard_rows: int) -> list[str]:
        return [sys.executable, __file__, "--one", model, str(problems), str(out), str(shard_rows)]

    def run(out: Path, shard_rows: int) -> dict[str, Any]:
        done = subprocess.run(command(out, shard_rows), stdout=subprocess.PIPE, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    with tempfile.TemporaryDirectory() as name:
        whole = run(Path(name) / "whole", 256)
        again = run(Path(name) / "whole", 256)
        share = problems / whole["samples"]
        print(
            f"{problems:,} problems of {whole['samples']:,} samples ({share:.1%}) in {whole['seconds']:.0f}"
            f" s, peak {whole['peak']:.0f} MB",
            flush=True,
        )
        print(f"the same again: {again['seconds']:.1f} s", flush=True)
        kills = 0
        for _ in range(KILLS):
            child = subprocess.Popen(command(Path(name) / "killed", 100), stdout=subprocess.DEVNULL)
            try:
                child.wait(random.uniform(0.1, 0.5) * whole["seconds"])
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                kills += 1
            child.wait()
        same = run(Path(name) / "killed", 300)["digest"] == whole["digest"] == again["digest"]
    print(f"killed {kills} times, with other shards: {'the same set' if same else 'ANOTHER SET'}")
    kept = {
        "problems": problems,
        "samples": whole["samples"],
        "seconds": whole["seconds"],
        "peak": whole["peak"],
        "again_seconds": again["seconds"],
    }
    results.record("selection", {**kept, "kills": kills, "same": same})
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))))
    elif len(sys.argv) > 1:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 44_000)
    else:
        sys.exit(__doc__)
