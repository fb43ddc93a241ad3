"""A folder of an older format: every command refuses it in one line and leaves it as it is.

Not here: newer versions, see test_show.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.cli.main import BAD_INPUT, main
from magpie_hf.errors import BadInput
from magpie_hf.store.records import FORMAT

# What revision 02a035a wrote for two problems of algebra over its fake engine, with fewer files and exports.
OLD = {
    "build.json": {
        "magpie_hf": "0.1.0",
        "created": 1795902146,
        "name": "SmolLM2-135M-Instruct",
        "model": "sha256:993967e28e9652ea4c9c881384ae8396412f08be",
        "seed": 0,
        "files": {"algebra/train_sft-00000-of-00001.parquet": 24906},
        "walk": {
            "algebra": {
                "count": 2,
                "draws": {
                    "instruct": "instruct-75d875e08eccacb6",
                    "clean": "clean-214d35a6df85102d",
                    "sign": "sign-f48e05003ca61721",
                },
                "answers": {
                    "solutions": "solutions-5720848b0e3b56e8",
                    "candidates": "candidates-65fe7e2223393688",
                    "verify": "verify-c6dc445777c9c7fc",
                    "check": "check-8f64f81f7ed94802",
                    "score": "score-f44e8139151751c6",
                    "pair": "pair-4fe08288909f590a",
                },
                "exports": {
                    "algebra": [
                        {
                            "is": "ExportText",
                            "domain": "algebra",
                            "held_out": {"share": 0.0, "seed": 0},
                            "side": "train",
                            "text": "sft",
                            "generation": [["problem_model", "SmolLM2-135M-Instruct"]],
                            "moved": False,
                        }
                    ]
                },
            }
        },
        "harvest": "46809e4ed8dd9956",
        "sums": {"algebra/train_sft-00000-of-00001.parquet": "b71d456cf1a1bbad"},
        "content": "ea5a262da6510289",
        "finished": "d5084dba0b07ed7e",
    },
    "harvest.json": {"algebra": {"judged": 2, "accepted": 2, "reasons": {}}},
    "draws.json": {
        "algebra": {
            "drawn": 2,
            "dropped": {},
            "contaminated": {},
            "moved_away": 0,
            "moved_here": 0,
            "tagged": 0,
            "on_domain": 0,
        }
    },
    "facts.json": {
        "format": 1,
        "scorer": {"title": "judge SmolLM2-135M-Instruct", "reads": "answer", "objectives": []},
    },
    "algebra/check-8f64f81f7ed94802/stage.json": {
        "stage": {
            "is": "check",
            "version": 2,
            "limits": {"is": "Limits", "version": 1, "seconds": 5.0, "megabytes": 1024, "characters": 2000},
        },
        "kin": "",
        "made_from": ["harvest-080a9ed428559ef6", "solutions-5720848b0e3b56e8", "verify-c6dc445777c9c7fc"],
        "reads": ["solutions", "majority_answer", "dropped"],
        "shards": {"0000000-0000002": {"rows": 2, "seconds": 0.01, "tokens": 0, "reasons": {}}},
    },
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for name, content in OLD.items():
        file = tmp_path / "old" / "run" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    (tmp_path / "old" / "run" / "lock").touch()
    return tmp_path / "old"


def content(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(
    "words",
    [
        ["build", "--model", "MODEL", "--domains", "algebra", "--count", "2", "--out", "OLD"],
        ["status", "OLD"],
        ["show", "OLD"],
        ["report", "OLD"],
        ["publish", "OLD", "ada/sums"],
        ["publish", "OLD", "ada/sums", "--to", "TO"],
        ["publish", "OLD", "ada/sums", "--to", "TO", "--partial"],
        ["plan", "--out", "OLD"],
        ["plan", "--model", "MODEL", "--domains", "algebra", "--count", "2", "--out", "OLD"],
    ],
    ids=" ".join,
)
def test_an_older_format_is_refused_in_one_line(
    words: list[str], old: Path, demo_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(tmp_path)
    names = {"OLD": str(old), "MODEL": str(demo_model), "TO": str(tmp_path / "to")}
    assert main([names.get(word, word) for word in words]) == BAD_INPUT
    assert (
        capsys.readouterr().err
        == f"magpie-hf: {old} was made by an older version of magpie_hf: this version reads format {FORMAT},"
        " not format 1; choose another --out, or use the version that made it\n"
    )
    assert content(tmp_path) == before


def test_the_library_refuses_it_too(old: Path, answers: Answers) -> None:
    before = content(old)
    with pytest.raises(BadInput, match="was made by an older version"):
        build(small_recipe(answers, "algebra", count=2), old)
    assert content(old) == before
    assert not answers.requests
