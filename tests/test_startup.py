"""Commands that a person waits for start quickly, and load nothing that they do not need."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "vllm", "ray", "transformers", "datasets", "huggingface_hub", "pandas"}
PARTS = {
    "instruct": "samples",
    "clean": "samples",
    "tag": "samples",
    "solutions": "answers",
    "candidates": "answers",
    "score": "answers",
}
QUOTAS = {
    "algebra": 10_000,
    "calculus": 10_000,
    "geometry": 6_000,
    "statistics": 6_000,
    "number_theory": 4_000,
    "discrete": 8_000,
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a build of 44,000 problems that was stopped: 250 shards a stage, journals of 20 MB; and a
    split of as many rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("large")
    pipeline = {key: {"count": count, "samples": {}, "answers": {}} for key, count in QUOTAS.items()}
    for key, count in QUOTAS.items():
        for label, half in PARTS.items():
            pipeline[key][half][label] = label  # type: ignore[index]
            (stage := folder / "run" / key / label).mkdir(parents=True)
            names = [f"{start:07d}-{start + 64:07d}" for start in range(0, count * 8 // 5, 64)]
            for name in names:
                (stage / f"{name}.arrow").touch()
            summary = {"rows": 64, "tokens": 640, "seconds": 1.5, "reasons": {"length": 2}}
            stated = {"stage": {}, "reads": [], "shards": dict.fromkeys(names, summary)}
            (stage / "stage.json").write_text(json.dumps(stated, indent=2))
        (folder / "run" / key / "candidates" / "9000000-9000064.journal").write_bytes(
            (b"x" * 16_000 + b"\n") * 200
        )
    quotas = {
        key: {"filtered": count * 8 // 5, "accepted": count, "reasons": {"truncated": count // 2}}
        for key, count in QUOTAS.items()
    }
    record = {
        "format": 2,
        "magpie_hf": "0.1.0",
        "name": "model",
        "seed": 0,
        "pipeline": pipeline,
        "finished": "x",
    }
    (folder / "run" / "build.json").write_text(json.dumps(record))
    (folder / "run" / "selection.json").write_text(json.dumps(quotas))
    row = {
        "tags": None,
        "problem": "x" * 500,
        "solution": "y" * 4000,
        "solution_tokens": 5,
        "answer": "3",
        "answer_rank": 1,
        "answer_count": 1,
        "answer_checked": "no vote",
        "answer_kind": "answer",
    }
    row |= {
        "majority_share": None,
        "answer_votes": 0,
        "majority_answer": None,
        "solution_agrees": None,
        "has_pair": False,
    }
    (folder / "algebra").mkdir()
    table = pa.Table.from_pylist([{"id": f"algebra-{number}", **row} for number in range(10_000)])
    pq.write_table(table, folder / "algebra" / "train_sft-00000-of-00001.parquet", row_group_size=1000)
    return folder


COMMANDS = {
    "help": ["--help"],
    "build help": ["build", "--help"],
    "status": ["status", "LARGE"],
    "show": ["show", "LARGE"],
    "show id": ["show", "LARGE", "--id", "algebra-9999"],
    "show random": ["show", "LARGE", "--random", "-n", "5"],
}


def command(name: str, large: Path) -> list[str]:
    return [str(large) if word == "LARGE" else word for word in COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_loaded(name: str, large: Path) -> None:
    forbidden = HEAVY | ({"numpy", "pyarrow", "rich", "yaml", "pylatexenc"} if "help" in name else set())
    forbidden |= {"pyarrow", "numpy"} if name == "status" else set()
    script = (
        "import sys\nfrom magpie_hf.cli.main import main\n"
        f"try: code = main({command(name, large)!r})\nexcept SystemExit as end: code = end.code\n"
        f"assert code == 0\nassert not {forbidden} & set(sys.modules), sorted({forbidden} & set(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def seconds(words: list[str]) -> float:
    """The least processor time of three runs: what else runs here makes little difference to it."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *words],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
            env={**os.environ, "COLUMNS": "80"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.fixture(scope="module")
def start() -> float:
    """What a start of Python with an argument parser takes: 20 ms on a quiet machine."""
    return seconds(["-c", "import argparse"])


@pytest.mark.parametrize(("name", "starts"), [("help", 15), ("status", 30), ("show", 50), ("show id", 50)])
def test_how_long_it_takes(name: str, starts: int, large: Path, start: float) -> None:
    assert seconds(["-m", "magpie_hf", *command(name, large)]) < starts * start
