"""Measures what an SFT row costs in tokens of answers, by --sft, on real vLLM.

Usage: answers.py MODEL [PROBLEMS] (default 6 in each domain)

Builds in one folder with 5 candidates a problem: first with the separate answer whatever the vote says, as
before --sft, then with each choice. Prints SFT rows, rows against the majority, tokens of answers for each
row, and how many requests each build asked the engine.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest.mock import patch

import results
from datasets import load_dataset

from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.main import main as magpie_hf
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.run.status import status

# As in recipes/cpu.yaml, but with the default k.
SMALL = [
    *"--k 5 --instruction-max-tokens 160 --max-tokens 384 --dtype float32".split(),
    *"--decontaminate none --quiet".split(),
]
LENIENT = [*"--off-topic keep --unsolvable keep --min-quality".split(), "very poor"]
CHOICES = {"before": "cold --keep-minority", "cold": "cold", "best": "best", "again": "best", "all": "all"}


def built(model: str, problems: int, folder: Path, choice: str) -> dict[str, float]:
    """One build in the folder: its rows, their cost, and the requests that it asked."""
    asked = 0
    submit = VLLM.submit

    def counted(self: VLLM, *request: Any) -> Future[Any]:
        nonlocal asked
        asked += 1
        return submit(self, *request)

    words = ["build", "--model", model, "--out", str(folder), "--count", str(problems)]
    with patch.object(VLLM, "submit", counted):
        code = magpie_hf([*words, *SMALL, *LENIENT, "--sft", *CHOICES[choice].split()])
    assert code in (OK, INCOMPLETE)
    data = load_dataset(str(folder))
    rows = [row for split, part in data.items() if split.endswith("_sft") for row in part]
    sides = [{row["id"] for row in part} for split, part in data.items() if split.endswith("_sft")]
    assert sum(map(len, sides)) == len(set.union(*sides)), "a problem is on one side alone"
    tokens = sum(one.tokens for one in status(folder).stages if one.label in ("solutions", "candidates"))
    return {
        "rows": len(rows),
        "minority": sum(row["answer_checked"] == "minority" for row in rows),
        "tokens_per_row": round(tokens / len(rows), 1),
        "asked": asked,
    }


def main(model: str, problems: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = {choice: built(model, problems, Path(name) / "out", choice) for choice in CHOICES}
    for choice, one in found.items():
        print(f"{choice:<8} {one}")
    assert found["again"]["asked"] == found["best"]["asked"] == 0, "only the separate answer is left out"
    assert found["best"]["minority"] == found["all"]["minority"] == 0
    results.record("answers", {"problems": problems * 6, **found})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6)
