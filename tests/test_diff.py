"""`magpie-hf diff`: what changed between two builds, counted by hand beside it; and on the Hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Answers, small_recipe
from loopback_hub import LoopbackHub, loopback_hub
from magpie_hf.building.build import build
from magpie_hf.card.wording import Wording
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.hub.publish import publish, publish_to_folder
from magpie_hf.models.model import resolve
from magpie_hf.report.differences.rows import split_difference
from magpie_hf.report.differences.words import CHANGED, CONTEXT, MOST, word_difference
from magpie_hf.store.splits import ParquetSplit

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub's own, for each upload over LFS
DIFFERENT = 1
REPO = "ada/data"


@pytest.fixture(scope="module")
def builds(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A build of six problems, and the same with ten and another bound of pairs."""
    home = tmp_path_factory.mktemp("diff")
    answers = Answers(resolve(str(demo_model)), answers=3)
    small = small_recipe(answers, "algebra", count=6, k=4)
    build(small, home / "small")
    shutil.copytree(home / "small", home / "large")
    large = small_recipe(answers, "algebra", count=10, k=4)
    build(replace(large, sft=2), home / "large")
    return home / "small", home / "large"


def said(capfd: pytest.CaptureFixture[str], code: int, *words: object) -> Any:
    assert main(["diff", *map(str, words), "--json"]) == code
    return json.loads(capfd.readouterr().out)


def rows_of(folder: Path, split: str = "train_sft") -> dict[tuple[str, int], dict[str, Any]]:
    (file,) = (folder / "algebra").glob(f"{split}-*.parquet")
    return {(row["id"], row["answer_rank"]): row for row in pq.read_table(file).to_pylist()}


def test_a_build_equals_itself_and_its_published_files(
    builds: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish_to_folder(builds[0], REPO, tmp_path / "to", wording=Wording(licences=("apache-2.0",)))
    found = said(capfd, OK, builds[0], tmp_path / "to")
    assert found["equal"]
    assert (found["recipe"], found["numbers"]) == ({}, {})
    assert main(["diff", str(builds[0]), str(builds[0])]) == OK
    assert "nothing differs" in capfd.readouterr().out


def test_rows_recipe_and_numbers_that_differ(
    builds: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    found = said(capfd, DIFFERENT, *builds, "--rows", 50)
    old, new = (rows_of(folder) for folder in builds)
    assert found["recipe"]["domains.algebra.count"] == [6, 10]
    assert found["recipe"]["sft"] == ["best", 2]
    (sft,) = (one for one in found["splits"] if one["split"] == "train_sft")
    changed = {
        key: {name for name in row if row[name] != new[key][name]} for key, row in old.items() if key in new
    }
    counts = {name: sum(name in names for names in changed.values()) for name in next(iter(new.values()))}
    assert sft["before"], sft["after"] == (len(old), len(new))
    assert (sft["added"], sft["removed"]) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert sft["added"] > 0
    assert sft["changed"] == sum(map(bool, changed.values())) > 0
    assert sft["columns"] == {name: count for name, count in counts.items() if count}
    examples = [one for one in sft["examples"] if one["kind"] == "changed"]
    assert {(one["id"], name) for one in examples for name in one["columns"]} == {
        (key[0], name)
        for key, names in changed.items()
        for name in names - {"messages", "chosen", "rejected"} or names
    }
    assert found["numbers"]["algebra.problems"] == [6, 10]
    assert found["numbers"]["algebra.sft"] == [len(old), len(new)]

    assert main(["diff", *map(str, builds), "--rows", "1"]) == DIFFERENT
    printed = capfd.readouterr().out
    assert "domains.algebra.count" in printed
    assert "=== " in printed


def test_a_changed_word_is_shown_in_its_place(
    builds: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(builds[0], tmp_path / "b")
    (file,) = (tmp_path / "b" / "algebra").glob("train_sft-*.parquet")
    table = pq.read_table(file)
    solutions = table["solution"].to_pylist()
    solutions[1] = solutions[1].replace(" so ", " \x1b[31mthus ", 1)
    at = table.column_names.index("solution")
    pq.write_table(table.set_column(at, "solution", pa.array(solutions)).slice(0, len(solutions) - 1), file)
    (sft,) = (
        one
        for one in said(capfd, DIFFERENT, builds[0], tmp_path / "b")["splits"]
        if one["added"] or one["removed"] or one["changed"]
    )
    assert (sft["split"], sft["added"], sft["removed"], sft["columns"]) == (
        "train_sft",
        0,
        1,
        {"solution": 1},
    )
    assert main(["diff", str(builds[0]), str(tmp_path / "b")]) == DIFFERENT
    printed = capfd.readouterr().out
    assert "[-so-]{+\\x1b[31mthus+}" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", [7, None]),
        ("domain", [datetime(2026, 1, 1), None]),
        ("domain", [b"\xff", None]),
    ],
)
def test_foreign_values_are_compared_and_shown(
    column: str,
    values: list[Any],
    builds: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(builds[0], tmp_path / "b")
    (file,) = (tmp_path / "b" / "algebra").glob("train_sft-*.parquet")
    table = pq.read_table(file)
    column_of = pa.array([values[number % 2] for number in range(len(table))])
    pq.write_table(table.set_column(table.column_names.index(column), column, column_of), file)
    assert not said(capfd, DIFFERENT, builds[0], tmp_path / "b")["equal"]
    assert main(["diff", str(builds[0]), str(tmp_path / "b")]) == DIFFERENT


def test_the_text_none_is_no_null(tmp_path: Path) -> None:
    for name, value in (("a", "None"), ("b", None)):
        pq.write_table(pa.table({"id": ["x"], "own": pa.array([value], pa.string())}), tmp_path / name)
    a, b = (ParquetSplit((tmp_path / name,)) for name in ("a", "b"))
    assert split_difference("algebra", "train_sft", a, b, 1).changed == 1


def test_words() -> None:
    assert word_difference("a b c", "a x c") == [
        ("same", "a "),
        ("removed", "b"),
        ("added", "x"),
        ("same", " c"),
    ]
    assert word_difference("数を求めよ", "和を求めよ")[:2] == [("removed", "数"), ("added", "和")]
    long = " ".join(map(str, range(100)))
    (first, text), *rest = word_difference(f"{long} end", f"{long} stop")
    assert first == "same"
    assert text.startswith("…")
    assert len(text.split()) <= CONTEXT
    assert rest == [("removed", "end"), ("added", "stop")]
    assert word_difference("a " * MOST, "a " * MOST + "b")[-1] == ("added", "b")
    assert word_difference("x y " * MOST, "z")[-1][0] == "removed"
    assert all(len(text.split()) <= CHANGED for _, text in word_difference("x y " * 300, "z"))
    assert word_difference("", "") == []


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """A Hub that the clients of this process speak to, with a cache of their own."""
    from huggingface_hub import constants

    with loopback_hub({"hf_diff": ("ada", "write")}) as running:
        for name, value in {
            "ENDPOINT": running.endpoint,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HUGGINGFACE_CO_URL_TEMPLATE": running.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", "hf_diff")
        yield running


def test_revisions_on_the_hub(
    hub: LoopbackHub, builds: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    wording = Wording(licences=("apache-2.0",))
    publish(builds[0], REPO, tag="v1", wording=wording)
    publish(builds[1], REPO, tag="v2", wording=wording)
    here = said(capfd, DIFFERENT, *builds)
    hub.requests.clear()
    there = said(capfd, DIFFERENT, f"{REPO}@v1", f"{REPO}@v2")
    for name in ("recipe", "splits", "numbers"):
        assert there[name] == here[name]
    hub.requests.clear()
    assert said(capfd, OK, f"hf://datasets/{REPO}@v1", builds[0])["equal"]
    assert said(capfd, OK, REPO, f"{REPO}@{hub.repositories[REPO].head.oid}")["equal"]
    assert not hub.asked("GET", r"resolve/.*parquet"), "equal files are not fetched"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "'nowhere' is no folder and no dataset on the Hub"),
        (("ada/none",), "ada/none is neither a folder nor a dataset on the Hub that you may read"),
        (("ada/data@v9",), "ada/data has no revision 'v9'"),
        ((".", "--rows", "-1"), "--rows is -1; give 0 or more"),
        ((".",), ". holds no rows of a build"),
    ],
)
def test_what_cannot_be_compared(
    words: tuple[str, ...],
    message: str,
    hub: LoopbackHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hub.create(REPO, False)
    monkeypatch.chdir(tmp_path)
    assert main(["diff", words[0], words[0], *words[1:]]) == BAD_INPUT
    assert message in capfd.readouterr().err
