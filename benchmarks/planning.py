"""Measures how well `magpie-hf plan --measure` predicts a build, on real vLLM.

Usage: planning.py MODEL (fifteen minutes on two CPU cores)

Two builds of different shape are each measured with a few problems, and then built to the end in the same
folder. Prints the ratio of the seconds that the build took to the planned ones, the plan's range, and the
same ratio for tokens.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import results

# The small model labels almost at random. bfloat16 takes four times as long on CPUs without AVX-512.
ALL = "--off-topic keep --unsolvable keep --min-quality 'very poor' --dtype float32"
SETTINGS = {
    "2 domains, 24 problems, k 3": (
        "--domains algebra,geometry --count 24 --k 3 --instruction-max-tokens 96 --max-tokens 256",
        6,
    ),
    "1 domain, 40 problems, k 2": (
        "--domains statistics --count 40 --k 2 --instruction-max-tokens 96 --max-tokens 160",
        8,
    ),
}


def measured(model: str, words: str, problems: int, out: Path) -> dict[str, Any]:
    """The plan after a measurement, and the outcome of the build."""
    options = ["--model", model, "--out", str(out), *shlex.split(words), *shlex.split(ALL)]
    command = [sys.executable, "-m", "magpie_hf"]
    said = subprocess.run(
        [*command, "plan", *options, "--measure", str(problems), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    low, likely, high = json.loads(said.stdout)["seconds"]["left"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "build", *options, "--quiet"], stdout=subprocess.DEVNULL, check=False
    ).returncode
    took = time.monotonic() - began
    if done not in (0, 3):  # 3: a split is empty, as may happen with few rows of a small model
        sys.exit(f"the build ended with {done}")
    compared = subprocess.run(
        [*command, "plan", "--out", str(out), "--json"], capture_output=True, text=True, check=True
    )
    tokens = [one for one in json.loads(compared.stdout)["numbers"] if one["unit"] == "tokens"]
    return {
        "measured": problems,
        "foreseen": [round(seconds, 1) for seconds in (low, likely, high)],
        "seconds": round(took, 1),
        "ratio": round(took / likely, 3),
        "tokens": round(sum(one["actual"] for one in tokens) / sum(one["planned"] for one in tokens), 3),
    }


def main(model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = {
            name: measured(model, words, problems, Path(folder) / str(problems))
            for name, (words, problems) in SETTINGS.items()
        }
    results.record("planning", made)
    print(json.dumps(made, indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
