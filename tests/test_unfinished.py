"""A build that is not finished: what of it can be published, and what cannot."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset

from conftest import Answers, Dying, small_recipe
from magpie_hf.building.build import build
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.hub.release import released
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.store.records import read_record
from magpie_hf.store.shards import write_record


def recipe_of(answers: Answers) -> Recipe:
    return replace(small_recipe(answers, count=60), rl_majority_share=0.3, held_out=HeldOut(0.2))


def everything(datasets: dict[str, DatasetDict]) -> dict[str, dict[str, list[dict[str, object]]]]:
    return {
        config: {split: rows.to_list() for split, rows in splits.items()}
        for config, splits in datasets.items()
    }


@pytest.fixture(scope="module")
def stopped(
    demo_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recipe, dict[str, DatasetDict]]:
    """A build whose engine died in the middle, its recipe with one that lives, and what comes of it then."""
    from magpie_hf.models.model import resolve

    folder, model = tmp_path_factory.mktemp("stopped"), resolve(str(demo_model))
    with pytest.raises(EngineError, match="the engine died"):
        build(recipe_of(Dying(model, answers=3)), folder / "out", shard_rows=8, shards_in_flight=3)
    recipe = recipe_of(Answers(model, answers=3))
    return folder / "out", recipe, build(recipe, folder / "whole")


def test_the_finished_part_is_a_part_of_the_whole(
    stopped: tuple[Path, Recipe, dict[str, DatasetDict]], tmp_path: Path
) -> None:
    out, _, whole = stopped
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(
        BadInput,
        match=r"is not finished \(.*\); run it again, then publish, or publish what is, with --partial",
    ):
        released(out, "ada/sums").__enter__()
    with released(out, "ada/sums", partial=True) as (files, *_):
        to = tmp_path / "to"
        for path, content in files.items():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            (to / path).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    found = 0
    for config in sorted({path.split("/")[0] for path in files if path.endswith(".parquet")}):
        for split, rows in load_dataset(str(to), config, cache_dir=str(tmp_path / "cache")).items():
            expected = whole[config][split].to_list()
            assert rows.features == whole[config][split].features
            assert 0 < len(rows) <= len(expected)
            assert all(row in expected for row in rows)
            found += len(rows)
    assert found < sum(len(rows) for splits in whole.values() for rows in splits.values())
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before, (
        "nothing is left there, and nothing changed"
    )


def test_numbers_of_the_finished_part_fit_its_rows(
    stopped: tuple[Path, Recipe, dict[str, DatasetDict]], tmp_path: Path
) -> None:
    part = finished_part(stopped[0] / "run", tmp_path)
    assert part.targets == {"algebra": 60, "geometry": 60}
    rows = {
        key: [
            row
            for split in part.splits["candidates"].values()
            for row in split.dataset
            if row["domain"] == key
        ]
        for key in part.targets
    }
    for key, filtered in part.samples.items():
        assert filtered.accepted == len(rows[key]) < 60
        assert filtered.sampled >= filtered.accepted


def test_a_finished_build_is_its_own_part(
    stopped: tuple[Path, Recipe, dict[str, DatasetDict]], tmp_path: Path
) -> None:
    """All that a finished build publishes is found again from its record alone, moved and cut otherwise."""
    out, recipe, whole = stopped
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    build(recipe, copy, shard_rows=16)
    (tmp_path / "scratch").mkdir()
    part = finished_part(copy / "run", tmp_path / "scratch")
    found = {
        config: DatasetDict({split: rows.dataset for split, rows in splits.items()})
        for config, splits in part.splits.items()
    }
    assert everything(found) == everything({key: one for key, one in whole.items() if key != "default"})


def test_rows_that_were_made_from_something_else_are_left_out(
    stopped: tuple[Path, Recipe, dict[str, DatasetDict]], tmp_path: Path
) -> None:
    """A shard whose samples were lost and are not known to be the same is not published."""
    copy = tmp_path / "copy"
    shutil.copytree(stopped[0], copy)
    (tmp_path / "scratch").mkdir()
    rows = sum(
        len(split)
        for split in finished_part(copy / "run", tmp_path / "scratch").splits["candidates"].values()
    )
    for shard in sorted((copy / "run" / "algebra").glob("candidates-*/*.arrow"))[:1]:
        shard.unlink()
    shutil.rmtree(tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    fewer = sum(
        len(split)
        for split in finished_part(copy / "run", tmp_path / "scratch").splits["candidates"].values()
    )
    assert fewer < rows


def test_nothing_finished_is_said(demo_model: Path, tmp_path: Path) -> None:
    from magpie_hf.models.model import resolve

    dying = Dying(resolve(str(demo_model)))
    dying.left = 0
    with pytest.raises(EngineError):
        build(recipe_of(dying), tmp_path / "out", shard_rows=8)
    with (
        pytest.raises(
            BadInput, match=r"no row of the build in .* went through every stage yet \(.*\); run it again"
        ),
        released(tmp_path / "out", "ada/sums", partial=True),
    ):
        pass
    assert not list((tmp_path / "out" / "run").glob("partial-*"))
    (tmp_path / "out" / "run" / "partial-killed").mkdir()
    assert list((tmp_path / "out" / "run").glob("partial-*"))
    record = tmp_path / "out" / "run" / "build.json"
    write_record(record, {key: value for key, value in read_record(record).items() if key != "selection"})
    with (
        pytest.raises(
            BadInput,
            match=(
                r"the record of the build in .* cannot be read \(KeyError: 'selection'\); run the build again"
            ),
        ),
        released(tmp_path / "out", "ada/sums", partial=True),
    ):
        pass
    assert not list((tmp_path / "out" / "run").glob("partial-*")), "what a killed process left is gone"
