"""`magpie-hf preview`: the first problems of a build, shown with what they cost; the build goes on from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conftest import CANDIDATES, JUDGE, Answers, small_recipe
from magpie_hf.building import build, first_problems
from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.run.status import status
from magpie_hf.store.rows import Rows


@dataclass
class Noted(Answers):
    """Answers that also remember their prompts."""

    prompts: list[tuple[tuple[int, ...], Sampling, int]] = field(default_factory=list)

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        self.prompts.append((tuple(prompt), sampling, seed))
        return super().__call__(prompt, sampling, seed)


def rows_of(taken: list[Rows]) -> dict[str, dict[str, Any]]:
    """The samples that were taken, by id."""
    columns = ["id", "problem", "accepted_as", "dropped", "candidates", "scores", "pair_kind"]
    return {row["id"]: row for rows in taken for row in rows.read(columns).to_pylist()}


def test_the_build_goes_on_from_a_preview(demo_model: Path, tmp_path: Path) -> None:
    answers = Noted(resolve(str(demo_model)), answers=3)
    recipe, taken = small_recipe(answers, count=20), []
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
    build(small_recipe(other, count=20), tmp_path / "other")
    for name in ("candidates", "algebra", "geometry"):
        for file in sorted((tmp_path / "other" / name).glob("*.parquet")):
            assert (tmp_path / "out" / name / file.name).read_bytes() == file.read_bytes()


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
