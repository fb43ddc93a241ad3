"""`magpie-hf preview`: the first problems of a build and their costs; the build goes on from them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import CANDIDATES, FAST, JUDGE, Answers, small_recipe
from magpie_hf.building.build import build, first_problems
from magpie_hf.cli.commands import assembly, preview
from magpie_hf.cli.commands import build as build_command
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.progress.speed import read as read_speed
from magpie_hf.run.status import status
from magpie_hf.scorers.judge import Judge
from magpie_hf.store.rows import Rows


@dataclass
class Noted(Answers):
    """Answers that also remember their prompts."""

    prompts: list[tuple[tuple[int, ...], Sampling, int]] = field(default_factory=list)

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        self.prompts.append((tuple(prompt), sampling, seed))
        return super().__call__(prompt, sampling, seed)


def read_rows(file: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(file).to_pylist())


def rows_of(taken: list[Rows]) -> dict[str, dict[str, Any]]:
    """The samples that were taken, by id."""
    columns = ["id", "problem", "accepted_as", "dropped", "candidates", "scores", "pair_kind"]
    return {row["id"]: row for rows in taken for row in rows.read(columns).to_pylist()}


def test_the_build_goes_on_from_a_preview(demo_model: Path, tmp_path: Path) -> None:
    answers = Noted(resolve(str(demo_model)), answers=3)
    recipe, taken = small_recipe(answers, count=9, k=2), []
    first_problems(recipe, tmp_path / "out", 5, taken.append)
    seen = rows_of(taken)
    accepted = {key for key, row in seen.items() if row["accepted_as"]}
    assert len(accepted) == 5
    assert {key.partition("-")[0] for key in accepted} == {"algebra", "geometry"}
    assert all(row["accepted_as"] or row["dropped"] for row in seen.values())
    assert sum(quota.accepted for quota in status(tmp_path / "out").selection) == 5
    asked = answers.asked(CANDIDATES), answers.asked(JUDGE), answers.trials
    first_problems(recipe, tmp_path / "out", 5, taken.append)  # which may sample a little more ahead
    assert (answers.asked(CANDIDATES), answers.asked(JUDGE), answers.trials) == asked

    whole = build(recipe, tmp_path / "out")
    assert len(answers.prompts) == len(set(answers.prompts)), "a request came twice"
    assert accepted <= set(whole["candidates"]["train"]["id"])

    other = Answers(answers.model, answers=3)
    build(small_recipe(other, count=9, k=2), tmp_path / "other")
    for name in ("candidates", "algebra", "geometry"):
        for file in sorted((tmp_path / "other" / name).glob("*.parquet")):
            assert (tmp_path / "out" / name / file.name).read_bytes() == file.read_bytes()


def test_engines_take_turns_in_a_preview_too(demo_model: Path, tmp_path: Path) -> None:
    answers = Noted(resolve(str(demo_model)), answers=3)
    labels, ratings = (
        FakeEngine(replace(answers.model, name=name), answers) for name in ("labels", "ratings")
    )
    recipe = small_recipe(answers, "algebra", count=7, k=2)
    recipe, taken = replace(recipe, tagger=labels, scorer=Judge(ratings)), []
    first_problems(recipe, tmp_path / "out", 3, taken.append)
    rows = rows_of(taken)
    assert len(rows) == len([row for part in taken for row in part.read(["id"])["id"]]), "a row came twice"
    assert sum(bool(row["accepted_as"]) for row in rows.values()) == 3
    assert all(row["scores"] for row in rows.values() if row["accepted_as"])
    build(recipe, tmp_path / "out")
    assert len(answers.prompts) == len(set(answers.prompts)), "a request came twice"


def test_a_preview_leaves_a_finished_build_as_it_is(answers: Answers, tmp_path: Path) -> None:
    recipe, taken = small_recipe(answers, "algebra", count=6), []
    build(recipe, tmp_path / "out")
    asked = answers.asked()
    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.json")}
    first_problems(recipe, tmp_path / "out", 4, taken.append)
    assert sum(bool(row["accepted_as"]) for row in rows_of(taken).values()) == 4
    assert answers.asked() == asked
    assert status(tmp_path / "out").finished
    assert {file: file.read_bytes() for file in before} == before
    with pytest.raises(BadInput, match="holds a finished build with other options"):
        first_problems(small_recipe(answers, "algebra", count=7), tmp_path / "out", 4, taken.append)


@pytest.fixture
def faked(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> Noted:
    """The command line asks an engine that answers from its seed."""
    answers = Noted(resolve(str(demo_model)), answers=3)
    monkeypatch.setattr(
        assembly, "engines_of", lambda options, specs: {one: FakeEngine(one[0], answers) for one in specs}
    )
    for command in (preview, build_command):
        monkeypatch.setattr(command, "check_devices", lambda options, sources: None)
    return answers


def words(model: Path, out: Path) -> list[str]:
    small = [
        "--domains",
        "algebra,geometry",
        "--count",
        "12",
        "--k",
        "2",
        "--tagger",
        "none",
        "--test-share",
        "0.2",
    ]
    heat = ["--instruction-temperature", "1.5", "--candidate-temperature", "0.75"]
    return ["--model", str(model), "--out", str(out), "--decontaminate", "none", *small, *heat]


def test_the_command_shows_rows_and_costs(
    faked: Noted, demo_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = words(demo_model, tmp_path / "out")
    assert main(["preview", *given, "-n", "4"]) == OK
    said = capfd.readouterr()
    heads = [line.split() for line in said.out.splitlines() if line.startswith("=== ")]
    ids = {split: {name for _, name, of in heads if of == split} for split in {of for *_, of in heads}}
    filtered = sum(quota.filtered for quota in status(tmp_path / "out").selection)
    assert sum(map(len, ids.values())) == len(heads) == filtered
    assert len(heads) - len(ids["dropped"]) == 4
    assert said.out.count("\ncost: ") == filtered
    assert "dropped: " in said.out
    assert f"kept: 4 of {filtered} samples ({4 / filtered:.0%})" in said.out
    (instruct,) = re.findall(r"^instruct +(\d+) +([\d.]+) +[\d.]+$", said.out, re.MULTILINE)
    assert int(instruct[0]) >= filtered
    assert 20 <= float(instruct[1]) <= 1024
    assert "the whole build: 24 problems of about " in said.out
    assert "problems 24, 2 candidates each" in said.out
    assert said.err == ""
    assert not (tmp_path / "out" / "algebra").exists()

    assert main(["preview", *given, "-n", "4", "--candidates", "--json"]) == OK
    printed = capfd.readouterr()
    assert printed.err == ""
    *rows, costs = map(json.loads, printed.out.splitlines())
    assert sum("candidates" in row for row in rows) == 4
    assert (costs["costs"]["problems"], costs["costs"]["whole"]["problems"]) == (4, 24)

    assert main(["build", *given, "--quiet"]) == OK
    assert len(faked.prompts) == len(set(faked.prompts)), "a request came twice"
    capfd.readouterr()
    assert main(["show", str(tmp_path / "out"), "-n", "50", "--json"]) == OK
    published = {json.loads(line)["id"] for line in capfd.readouterr().out.splitlines()}
    assert set().union(*(found for split, found in ids.items() if split.endswith("sft"))) <= published


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-n", "0"], "-n is 0; give 1 to 200 problems"),
        (["-n", "201"], "-n is 201; give 1 to 200 problems"),
        (["--push", "ada/data"], "--push publishes a whole build"),
        (["--public"], "--public is an option of publishing and --push is missing"),
    ],
)
def test_what_a_preview_refuses(
    more: list[str], said: str, demo_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", *words(demo_model, tmp_path / "out"), *more]) == BAD_INPUT
    assert capfd.readouterr().err.startswith(f"magpie-hf: {said}")
    assert not (tmp_path / "out").exists()


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_a_real_build_asks_for_nothing_of_its_preview_again(tiny_model: Path, tmp_path: Path) -> None:
    small = ["--instruction-max-tokens", "96", "--max-tokens", "160", "--kv-cache-gb", "0.5", "--count", "6"]
    given = [*words(tiny_model, Path("out")), *small, "--auto-extend", "0", *FAST]

    def asked(command: str, *more: str) -> tuple[str, int]:
        """What a command prints, and how many requests the engine finished so far."""
        done = subprocess.run(
            [sys.executable, "-m", "magpie_hf", command, *given, *more],
            cwd=tmp_path, capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip
        assert done.returncode in (OK, INCOMPLETE), done.stderr[-2000:]
        spans = [event for event in read_speed(tmp_path / "out") if event["event"] == "interval"]
        return done.stdout, sum(span["requests"] for span in spans)

    shown, first = asked("preview", "-n", "8")
    assert len(re.findall(r"^=== .*(?<!dropped)$", shown, re.MULTILINE)) == 8
    openings = [event for event in read_speed(tmp_path / "out") if event["event"] == "opened"]
    assert len(openings) == 1
    _, both = asked("build")
    stages = status(tmp_path / "out").stages
    sampled = sum(stage.rows for stage in stages if stage.label == "instruct")
    rows = [row for file in (tmp_path / "out" / "candidates").glob("*.parquet") for row in read_rows(file)]
    answers = [one for row in rows for one in row["candidates"]]
    complete = sum(one["reason"] is None for one in answers)
    assert len(answers) == 2 * 12
    assert both == 4 + sampled + len(answers) + complete, "the trial, samples, answers and ratings, each once"
    assert first < both
