"""The pipeline over a fake engine: what is made, what is never made again, and what lies in the folder."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import DatasetDict, Features, Value, load_dataset

from conftest import CANDIDATES, JUDGE, PROBLEMS, SOLUTIONS, Answers, small_domain, small_recipe
from magpie_hf.building.build import _way_out, build
from magpie_hf.card.stats import Funnel, Samples
from magpie_hf.dataset.parquet import GROUP_BYTES, GROUP_ROWS, write_data
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput, NothingMade
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.run.status import status
from magpie_hf.schema import CANDIDATES as ALL_CANDIDATES
from magpie_hf.schema import FORBIDDEN, PUBLISHED, RL, SPLITS, TEXT_SPLITS
from magpie_hf.store.rows import Published
from magpie_hf.text.language import translated


def fingerprints(datasets: dict[str, DatasetDict]) -> list[str]:
    return [split._fingerprint for splits in datasets.values() for split in splits.values()]


def same_rows(one: dict[str, DatasetDict], other: dict[str, DatasetDict]) -> bool:
    return {
        key: {split: rows.to_list() for split, rows in splits.items()} for key, splits in one.items()
    } == {key: {split: rows.to_list() for split, rows in splits.items()} for key, splits in other.items()}


def filtered(out: Path, domain: str) -> int:
    """How many samples of a domain were filtered, up to the last that it needed."""
    return int(json.loads((out / "run" / "selection.json").read_text())[domain]["filtered"])


def test_every_request_is_asked_once_and_a_second_build_asks_nothing(
    answers: Answers, tmp_path: Path
) -> None:
    recipe = small_recipe(answers)
    first = build(recipe, tmp_path / "out")
    assert filtered(tmp_path / "out", "algebra") + filtered(tmp_path / "out", "geometry") <= answers.asked(
        PROBLEMS
    )
    assert answers.asked(CANDIDATES) == 3 * 24, "k times exactly as many problems as asked for"
    assert answers.asked(SOLUTIONS) == 0
    asked = [seed for sampling, seed in answers.requests if sampling.temperature != JUDGE]
    assert len(set(asked)) == len(asked), "every request has a seed of its own"
    before, files = (
        len(answers.requests),
        {
            f: f.stat().st_mtime_ns
            for f in (tmp_path / "out").rglob("*")
            if f.is_file() and f.name not in ("lock", "speed.jsonl")
        },
    )

    second = build(recipe, tmp_path / "out")
    assert len(answers.requests) == before
    assert fingerprints(second) == fingerprints(first)
    assert same_rows(first, second)
    assert {f: f.stat().st_mtime_ns for f in files} == files, "nothing is written again"


def test_a_build_elsewhere_makes_the_same_datasets(answers: Answers, tmp_path: Path) -> None:
    one = build(small_recipe(answers), tmp_path / "one")
    other = build(small_recipe(answers), tmp_path / "other", shard_rows=5, shards_in_flight=2)
    assert fingerprints(one) == fingerprints(other)
    assert same_rows(one, other)


@pytest.mark.parametrize("shard_rows", [1, 5, 7, 100])
def test_another_shard_size_recomputes_nothing(answers: Answers, tmp_path: Path, shard_rows: int) -> None:
    first = build(small_recipe(answers), tmp_path / "out", shard_rows=4)
    before = len(answers.requests)
    second = build(small_recipe(answers), tmp_path / "out", shard_rows=shard_rows, shards_in_flight=3)
    assert len(answers.requests) == before
    assert fingerprints(second) == fingerprints(first)


def test_another_response_temperature_recomputes_answers_alone(answers: Answers, tmp_path: Path) -> None:
    recipe = replace(small_recipe(answers), sft="cold")
    build(recipe, tmp_path / "out")
    answers.requests.clear()
    warmer = tuple(replace(d, response=replace(d.response, temperature=0.625)) for d in recipe.domains)
    build(replace(recipe, domains=warmer), tmp_path / "out")
    assert answers.asked() == answers.asked(0.625) == 24
    answers.requests.clear()
    build(recipe, tmp_path / "out")
    assert answers.asked() == 0, "going back finds the old answers"


def test_another_candidate_temperature_recomputes_candidates_and_scores(
    answers: Answers, tmp_path: Path
) -> None:
    recipe = replace(small_recipe(answers), sft="cold")
    build(recipe, tmp_path / "out")
    answers.requests.clear()
    warmer = tuple(replace(d, candidate=replace(d.candidate, temperature=0.875)) for d in recipe.domains)
    build(replace(recipe, domains=warmer), tmp_path / "out")
    assert answers.asked(PROBLEMS) == answers.asked(SOLUTIONS) == 0
    assert answers.asked(0.875) > 0
    assert answers.asked(JUDGE) > 0


def test_more_rows_and_more_domains_ask_for_the_new_ones_alone(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra", count=12)
    first = build(recipe, tmp_path / "out", shard_rows=5)
    sampled = answers.asked(PROBLEMS)
    answers.requests.clear()
    second = build(small_recipe(answers, "algebra", count=20), tmp_path / "out", shard_rows=5)
    assert filtered(tmp_path / "out", "algebra") <= sampled + answers.asked(PROBLEMS)
    assert answers.asked(CANDIDATES) == 8 * 3, "of twenty problems twelve were answered before"
    small, large = first["algebra"]["train_sft"].to_list(), second["algebra"]["train_sft"].to_list()
    assert large[: len(small)] == small
    answers.requests.clear()
    build(small_recipe(answers, "algebra", "discrete", count=20), tmp_path / "out")
    assert answers.asked(CANDIDATES) == 20 * 3
    answers.requests.clear()
    third = build(small_recipe(answers, "algebra", count=12), tmp_path / "out")
    assert answers.asked() == 0, "fewer rows or domains ask for nothing"
    assert same_rows(third, first)
    assert not (tmp_path / "out" / "discrete").exists() or not list(
        (tmp_path / "out" / "discrete").glob("*.parquet")
    )


def test_a_lost_shard_is_made_again_and_nothing_else(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra")
    first = build(recipe, tmp_path / "out", shard_rows=4)
    answers.requests.clear()
    (shard,) = (tmp_path / "out").glob("run/algebra/candidates-*/0000004-0000008.arrow")
    shard.unlink()
    second = build(recipe, tmp_path / "out")
    assert 0 < answers.asked() <= 4 * 3
    assert answers.asked() == answers.asked(CANDIDATES)
    assert same_rows(first, second)


def test_rows_that_came_out_differently_take_nothing_from_the_old_ones(
    answers: Answers, tmp_path: Path
) -> None:
    """An engine that is not deterministic samples other problems when a shard is lost; the old answers must
    not be put beside them.
    """
    recipe = small_recipe(answers, "algebra")
    build(recipe, tmp_path / "out", shard_rows=4)
    answers.salt = "another day"
    answers.requests.clear()
    (shard,) = (tmp_path / "out").glob("run/algebra/instruct-*/0000004-0000008.arrow")
    shard.unlink()
    again = build(recipe, tmp_path / "out", shard_rows=4)
    assert answers.asked(PROBLEMS) >= 4
    assert answers.asked(CANDIDATES) <= 8 * 3, (
        "of the four rows, and of those that count in place of any that is dropped now"
    )
    fresh = Answers(answers.model, salt="another day")
    whole = build(small_recipe(fresh, "algebra"), tmp_path / "fresh", shard_rows=4)
    ids = {row["id"]: row["problem"] for row in whole["algebra"]["train_prefs"]}
    remade = {row["id"]: row["problem"] for row in again["algebra"]["train_prefs"]}
    assert any(remade[i] == ids[i] for i in remade if i in ids)


def test_a_failing_engine_loses_no_finished_shard(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra")

    def dying(prompt: list[int], sampling: object, seed: int) -> object:
        if len(answers.requests) >= 20:
            raise RuntimeError("no power")
        return answers(prompt, sampling, seed)  # type: ignore[arg-type]

    engine = replace(recipe.generator, reply=dying)
    broken = replace(recipe, generator=engine, solver=engine, scorer=replace(recipe.scorer, engine=engine))
    with pytest.raises(RuntimeError, match="no power"):
        build(broken, tmp_path / "out", shard_rows=3, shards_in_flight=1)
    finished = answers.asked(PROBLEMS)
    answers.requests.clear()
    resumed = build(recipe, tmp_path / "out", shard_rows=3)
    together = finished + answers.asked(PROBLEMS)
    answers.requests.clear()
    assert same_rows(resumed, build(recipe, tmp_path / "whole", shard_rows=3))
    assert together <= answers.asked(PROBLEMS) + 3, "only the shard that was under way is sampled again"


def test_the_folder_is_what_load_dataset_reads(answers: Answers, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built = build(small_recipe(answers, *DOMAINS), out)
    for domain in DOMAINS:
        for split in SPLITS:
            loaded = load_dataset(str(out), domain, split=split, cache_dir=str(tmp_path / "cache"))
            assert loaded.features == PUBLISHED
            assert loaded.to_list() == built[domain][split].to_list()
            assert len(loaded) > 0
            assert len(set(loaded["id"])) == len(loaded)
            assert not FORBIDDEN & set(loaded.column_names)
            for row in loaded:
                for column in ("messages", "chosen", "rejected"):
                    assert [message["role"] for message in row[column]] == ["user", "assistant"]
                    assert all(message["content"] for message in row[column])
                    assert row[column][0]["content"] == row["problem"], (
                        "the published user turn holds the problem alone"
                    )
                assert (row["chosen"] != row["rejected"]) == row["has_pair"]
                assert row["has_pair"] or split == "train_sft"
                assert row["finish_reason"] == "stop"
    for file in out.glob("*/*.parquet"):
        assert b"huggingface" not in (pq.read_schema(file).metadata or {}), (
            "datasets before 4.0 refuses the List in it; without it all versions take the columns' types"
        )
    everything = load_dataset(str(out), "candidates", split="train", cache_dir=str(tmp_path / "cache"))
    assert everything.features == ALL_CANDIDATES
    assert everything.to_list() == built["candidates"]["train"].to_list()
    assert list(dict.fromkeys(everything["domain"])) == list(DOMAINS)
    pairs = {row["id"]: row for domain in DOMAINS for row in built[domain]["train_prefs"]}
    for row in everything:
        assert len(row["candidates"]) == 3, "all k"
        for one in row["candidates"]:
            assert (
                (one["response"] is None) == (one["reason"] is not None) == (one["finish_reason"] != "stop")
            )
        assert (row["pair_kind"] is None) == (row["id"] not in pairs) == (row["pair_reason"] is not None)
        if row["pair_kind"]:
            pair, chosen, rejected = (
                pairs[row["id"]],
                *(row["candidates"][row[f"{which}_index"]] for which in ("chosen", "rejected")),
            )
            assert (pair["chosen"][1]["content"], pair["rejected"][1]["content"]) == (
                chosen["response"],
                rejected["response"],
            )
            assert (pair["score_chosen"], pair["score_rejected"]) == (chosen["score"], rejected["score"])
            assert (pair["chosen_tokens"], pair["rejected_tokens"]) == (
                chosen["num_tokens"],
                rejected["num_tokens"],
            )


def test_held_out_problems_are_in_no_training_split(answers: Answers, tmp_path: Path) -> None:
    answers.answers = 3
    recipe = replace(small_recipe(answers, count=60), rl_majority_share=0.3, held_out=HeldOut(0.3))
    built = build(recipe, tmp_path / "out")
    sides: dict[str, set[str]] = {"train": set(), "test": set()}
    for config, splits in built.items():
        assert sorted(splits) == sorted(
            ["train", "test"]
            if config in ("candidates", "algebra_rl", "geometry_rl")
            else [f"{a}_{b}" for a in sides for b in TEXT_SPLITS]
        )
        for split, rows in splits.items():
            assert len(rows), f"{config} {split}"
            sides[split.partition("_")[0]] |= set(rows["problem"])
    assert not sides["train"] & sides["test"]
    assert 20 <= len(sides["test"]) <= 55, "120 problems, of which about three in ten are held out"
    assert {row["extra_info"]["split"] for row in built["algebra_rl"]["test"]} == {"test"}
    for config in built:
        loaded = load_dataset(str(tmp_path / "out"), config, cache_dir=str(tmp_path / "cache"))
        assert {split: rows.to_list() for split, rows in loaded.items()} == {
            split: rows.to_list() for split, rows in built[config].items()
        }
    more = build(
        replace(recipe, domains=tuple(replace(one, count=80) for one in recipe.domains)), tmp_path / "more"
    )
    assert set(more["candidates"]["test"]["problem"]) >= sides["test"], (
        "a raised count moves nobody to the other side"
    )
    assert not set(more["candidates"]["train"]["problem"]) & sides["test"]
    whole = build(replace(recipe, held_out=HeldOut(0)), tmp_path / "out")
    assert sorted(whole["algebra"]) == ["train_prefs", "train_sft"]
    assert not list((tmp_path / "out").glob("*/test*"))
    reseeded = build(replace(recipe, held_out=HeldOut(0.3, seed=1)), tmp_path / "out")
    assert set(reseeded["candidates"]["test"]["problem"]) != sides["test"]


@pytest.mark.parametrize("share", [-0.1, 1.0, 7.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="share of the test splits is"):
        HeldOut(share)


def test_a_row_group_is_as_large_as_the_viewer_reads(tmp_path: Path) -> None:
    """With k 7 and 45,000 characters an answer, a thousand rows are 315 MB."""
    features = Features({"id": Value("int64"), "candidates": [{"response": Value("string")}]})
    lengths = [45_000] * 350 + [1] * 2_650
    table = pa.Table.from_pylist(
        [
            {"id": n, "candidates": [{"response": f"{n} {m}".ljust(length, "x")} for m in range(7)]}
            for n, length in enumerate(lengths)
        ],
        schema=features.arrow_schema,
    )
    for name, shard_rows in (("one", 128), ("other", 2_999)):
        files = []
        for start in range(0, len(table), shard_rows):
            files.append(tmp_path / f"{name}-{start}.arrow")
            with pa.OSFile(str(files[-1]), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table.slice(start, shard_rows))
        (tmp_path / name).mkdir()
        write_data({"candidates": {"train": Published(features, tuple(files), name)}}, tmp_path / name)
        [file] = (tmp_path / name / "candidates").iterdir()
        written = pq.read_metadata(file)
        groups = [written.row_group(number) for number in range(written.num_row_groups)]
        assert all(group.total_byte_size <= GROUP_BYTES for group in groups)
        assert [group.num_rows for group in groups] == [250, 250, 500, GROUP_ROWS, GROUP_ROWS], (
            "however the rows are cut into shards"
        )
        assert pq.read_table(file).equals(table)


def test_problems_with_an_agreed_answer_have_a_configuration_of_their_own(
    answers: Answers, tmp_path: Path
) -> None:
    """The fake engine gives every candidate another answer; with three answers to choose from, some problems
    have a majority.
    """
    out = tmp_path / "out"
    answers.answers = 3
    recipe = replace(small_recipe(answers, "algebra", count=20), rl_majority_share=0.6)
    built = build(recipe, out)
    assert list(built) == ["default", "algebra", "algebra_rl", "candidates"]
    problems = load_dataset(str(out), "algebra_rl", split="train", cache_dir=str(tmp_path / "cache"))
    assert problems.features == RL
    assert problems.to_list() == built["algebra_rl"]["train"].to_list()
    text = {row["id"]: row for row in built["algebra"]["train_sft"]}
    agreed = {
        key
        for key, row in text.items()
        if row["majority_answer"] is not None and row["majority_share"] >= 0.6
    }
    assert 0 < len(agreed) < len(text)
    assert agreed <= set(problems["id"])
    for row in problems:
        assert row["majority_share"] >= 0.6
        assert row["solution"] == f"$\\boxed{{{row['reward_model']['ground_truth']}}}$"
    kinds = {row["pair_kind"] for row in built["algebra"]["train_prefs"]}
    assert kinds == {"correctness", "score"}
    tried = {row["id"]: row["candidates"] for row in built["candidates"]["train"]}
    for row in built["algebra"]["train_prefs"]:
        classes = {one["response"]: one["in_majority"] for one in tried[row["id"]]}
        if row["pair_kind"] == "correctness":
            assert classes[row["chosen"][1]["content"]] is True
            assert classes[row["rejected"][1]["content"]] is False
    assert "config_name: algebra_rl" in (out / "README.md").read_text()
    before = answers.asked()
    again = build(replace(recipe, rl_majority_share=None), out)
    assert list(again) == ["default", "algebra", "candidates"]
    assert answers.asked() == before
    assert not (out / "algebra_rl").exists(), "what is no longer part of the build is removed"


def test_the_original_files_say_what_is_in_them(answers: Answers, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = small_recipe(answers, k=4)
    build(recipe, out)
    model = answers.model.short_name
    combined = json.loads((out / "combined_dataset_info.json").read_text())
    assert set(combined["domains"]) == {"algebra", "geometry"}
    for key, provenance in combined["domains"].items():
        info = json.loads((out / provenance["directory"] / "dataset_info.json").read_text())
        names = [f"{model}_{key}_ins{suffix}.json" for suffix in ("", "_res", "_4res", "_4res_judge")]
        assert combined["files_per_domain"][key] == names
        plain, answered, tried, scored = (json.loads((out / name).read_text()) for name in names)
        assert info["files"] == {
            name: len(records) for name, records in zip(names, (plain, answered, tried, scored), strict=True)
        }
        assert provenance["problems"] == info["total_problems"] == len(plain)
        assert len(plain) == 12
        assert info["sampled"] == filtered(out, key) == 12 + sum(info["dropped"].values())
        assert list(plain[0]) == [
            "id", "pre_query_template", "raw_instruction", "instruction", "response", "created",
            "gen_input_configs", "gen_response_configs",
        ]  # fmt: skip
        assert plain[0]["response"] is None
        assert plain[0]["gen_response_configs"] is None
        assert plain[0]["gen_input_configs"]["domain"] == key
        assert answered[0]["response"]
        assert answered[0]["gen_response_configs"]["temperature"] == CANDIDATES
        assert {len(record["responses"]) for record in tried} == {2, 3, 4}
        assert all(record["num_responses"] == len(record["responses"]) for record in (*tried, *scored))
        assert all(len(record["rewards_judge"]) == len(record["responses"]) for record in scored)
        assert info["responses"] == {
            name: {
                str(n): sum(len(record["responses"]) == n for record in records)
                for n in (2, 3, 4)
                if any(len(record["responses"]) == n for record in records)
            }
            for name, records in zip(names[2:], (tried, scored), strict=True)
        }
        assert all(
            isinstance(reward["score"], float) for record in scored for reward in record["rewards_judge"]
        )
    assert combined["total_problems"] == sum(
        provenance["problems"] for provenance in combined["domains"].values()
    )


def test_a_folder_of_something_else_is_left_alone(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds other files"):
        build(recipe, mine)
    assert [file.name for file in mine.iterdir()] == ["thesis.txt"]
    with pytest.raises(BadInput, match="is no folder"):
        build(recipe, mine / "thesis.txt" / "out")
    build(recipe, tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="holds another build: its seed is 0, not 1"):
        build(replace(recipe, seed=1), tmp_path / "out")
    other = replace(answers.model, revision="sha256:other")
    engine = replace(recipe.generator, model=other)
    with pytest.raises(BadInput, match="holds another build: its model is sha256:"):
        build(replace(recipe, generator=engine), tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before
    assert not answers.requests[200:]


@pytest.mark.parametrize(
    ("finish", "reason", "way_out"),
    [
        ("length", "length", "raise --max-tokens or use another model"),
        ("stop", "empty", "use another solver, such as one made for chats: most answers are empty"),
    ],
)
def test_a_build_that_makes_nothing_says_where_the_rows_went(
    finish: str, reason: str, way_out: str, answers: Answers, tmp_path: Path
) -> None:
    recipe = small_recipe(answers, "algebra")

    def short(prompt: list[int], sampling: Sampling, seed: int) -> object:
        return (
            answers(prompt, sampling, seed)
            if sampling.temperature == PROBLEMS
            else Completion("", finish, len(prompt), 1)
        )

    solver = replace(recipe.solver, model=replace(answers.model, revision="sha256:another"), reply=short)
    with pytest.raises(
        NothingMade,
        match=(
            rf"algebra: \d+ sampled -> 12 problems \(\d length\) -> 0 answered \(12 {reason}\)"
            rf".*; {re.escape(way_out)}$"
        ),
    ):
        build(replace(recipe, solver=solver), tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()


@pytest.mark.parametrize(
    ("dropped", "lost", "words"),
    [
        ({"reviewed": 2, "length": 9}, {}, "good"),
        ({"ill_posed": 12}, {}, "--objections"),
        ({}, {"thinking_not_closed": 5, "length": 4}, "--chat-option"),
        ({}, {"repetition": 12}, "--candidate-temperature"),
        ({}, {"context_full": 12}, "--max-model-len"),
        ({}, {"minority": 7, "length": 5}, "--keep-minority"),
        ({}, {"special_tokens": 12}, "chat_template.jinja"),
        ({}, {"killed_engine": 12}, "run/log.txt"),
        ({}, {"no_correct": 12}, "reference answers"),
    ],
)
def test_the_way_out_fits_what_lost_the_answers(
    dropped: dict[str, int], lost: dict[str, int], words: str, answers: Answers
) -> None:
    funnel = Funnel(
        "algebra",
        Samples(20, dropped, {}, 0, 0, 0, 0),
        problems=sum(lost.values()),
        languages={},
        candidates=36,
        answered=0,
        unanswered=lost,
        cut_candidates={},
        unscored={},
        sft=0,
        pairs=0,
    )
    way_out = _way_out(small_recipe(answers, "algebra"), [funnel])
    assert words in way_out
    said = translated(f"no row can be published: {funnel.line()}; {way_out}", "ja")
    assert way_out not in said
    assert words in said or words in ("good", "reference answers")


def test_an_empty_split_is_left_out(answers: Answers, tmp_path: Path) -> None:
    """A scorer without scores makes no pairs. `load_dataset` refuses an empty split, and must not trip over
    it.
    """
    recipe = small_recipe(answers, "algebra")
    speechless = replace(recipe.scorer, min_mass=2.0)
    built = build(replace(recipe, scorer=speechless), tmp_path / "out")
    assert len(built["algebra"]["train_prefs"]) == 0
    loaded = load_dataset(str(tmp_path / "out"), "algebra", cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train_sft"]
    assert loaded["train_sft"].to_list() == built["algebra"]["train_sft"].to_list()
    assert len(built["candidates"]["train"]) == 12


def test_a_recipe_that_cannot_work_is_refused(answers: Answers) -> None:
    recipe = small_recipe(answers, "algebra")
    with pytest.raises(BadInput, match="k is 1"):
        replace(recipe, k=1)
    with pytest.raises(BadInput, match="none; name at least one"):
        replace(recipe, domains=())
    with pytest.raises(BadInput, match="count of algebra is 0"):
        replace(recipe, domains=(small_domain(DOMAINS["algebra"], 0),))


def test_status_says_how_far_a_build_is(answers: Answers, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = small_recipe(answers, "algebra")

    def dying(prompt: list[int], sampling: Sampling, seed: int) -> object:
        if answers.asked(CANDIDATES) == 13:
            raise RuntimeError("no power")
        return answers(prompt, sampling, seed)

    engine = replace(recipe.generator, reply=dying)
    broken = replace(recipe, generator=engine, solver=engine, scorer=replace(recipe.scorer, engine=engine))
    with pytest.raises(RuntimeError, match="no power"):
        build(broken, out, shard_rows=4, shards_in_flight=1)
    stages = {stage.label: stage for stage in status(out).stages}
    assert list(stages) == [
        "instruct",
        "clean",
        "signature",
        "candidates",
        "verify",
        "score",
        "pair",
    ]
    assert not status(out).finished
    assert status(out).running is None
    candidates = stages["candidates"]
    assert stages["instruct"].wanted is None
    assert 0 < candidates.done < (candidates.wanted or 0) == 12
    assert candidates.requests_under_way > 0
    build(recipe, out, shard_rows=5)
    done = status(out)
    assert done.finished
    (selection,) = done.selection
    assert (selection.accepted, selection.target, selection.filtered) == (12, 12, filtered(out, "algebra"))
    assert all(
        stage.problems == stage.wanted == 12 and stage.rows == selection.filtered
        for stage in done.stages
        if stage.wanted is not None
    )
    assert all(stage.requests_under_way == 0 for stage in done.stages)
    dropped = json.loads((out / "algebra" / "dataset_info.json").read_text())["dropped"]
    assert selection.reasons == dropped
    assert len(done.lines()) == 9


def test_two_builds_do_not_share_a_folder(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra")
    engine = recipe.generator
    seen: list[str] = []

    def meddling(prompt: list[int], sampling: Sampling, seed: int) -> object:
        if not seen:
            seen.append(str(status(tmp_path / "out").running))
            with pytest.raises(
                BadInput,
                match=(
                    rf"another build runs in .*out, or is being published \(pid {os.getpid()} on .* since 2"
                ),
            ):
                build(recipe, tmp_path / "out")
        return answers(prompt, sampling, seed)

    build(replace(recipe, generator=replace(engine, reply=meddling)), tmp_path / "out")
    assert seen[0].startswith(f"pid {os.getpid()} on ")
    assert status(tmp_path / "out").running is None


def test_a_write_that_was_killed_leaves_no_mixture_and_is_mended(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magpie_hf.dataset.parquet.SHARD_BYTES", 4000)
    out = tmp_path / "out"
    small, large = small_recipe(answers, "algebra", count=12), small_recipe(answers, "algebra", count=40)
    build(small, out)
    moves = [0]
    real = Path.replace

    def dying(self: Path, target: Path) -> Path:
        moves[0] += "publishing" in str(self)
        if moves[0] == 5:
            raise KeyboardInterrupt
        return real(self, target)

    for dies in (True, False):
        with monkeypatch.context() as patch:
            if dies:
                patch.setattr(Path, "replace", dying)
                with pytest.raises(KeyboardInterrupt):
                    build(large, out)
                with pytest.raises((FileNotFoundError, ValueError)):
                    load_dataset(str(out), "algebra", split="train_sft", cache_dir=str(tmp_path / "torn"))
            else:
                build(small, out)
    loaded = load_dataset(str(out), "algebra", cache_dir=str(tmp_path / "cache"))
    expected = build(small, tmp_path / "fresh")
    assert {split: loaded[split].to_list() for split in SPLITS} == {
        split: expected["algebra"][split].to_list() for split in SPLITS
    }
    assert not list(out.rglob("*-of-00007.parquet"))
    (out / "algebra" / "train_sft-00000-of-00001.parquet").unlink(missing_ok=True)
    next(out.glob("algebra/*.parquet")).write_bytes(b"")
    build(small, out)
    load_dataset(str(out), "algebra", cache_dir=str(tmp_path / "again"))


def test_what_a_failed_write_hides_is_told(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the writer of datasets ends in "I/O operation on closed file", with the disk's error
    behind it.
    """

    def failing(*_: object, **__: object) -> None:
        try:
            raise OSError(28, "No space left on device")
        finally:
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr("magpie_hf.run.local.Dataset.map", failing)
    with pytest.raises(OSError, match="No space left on device"):
        build(small_recipe(answers, "algebra"), tmp_path / "out")
