"""Which answers of a problem are published: the choice as a table, and whole builds over the fake engine."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict
from test_stage import candidate

from conftest import CANDIDATES, PROBLEMS, SOLUTIONS, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines.base import Completion
from magpie_hf.errors import NothingMade
from magpie_hf.hub.lint.rows import lint_rows
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.stages.published_answers import missing_reason, published_answers

Row = dict[str, Any]
Tried = tuple[str, float | None, bool | None]  # text, score, in_majority; a text "cut" is truncated

MAJORITY: list[Tried] = [("a", 1.0, True), ("b", 3.0, True), ("wrong", 9.0, False), ("odd", 5.0, None)]
NO_MAJORITY: list[Tried] = [("a", 1.0, None), ("cut", None, None), ("b", 3.0, None), ("c", 2.0, None)]


def problem(tried: Sequence[Tried], cold: str = "cut", agrees: bool | None = None) -> Row:
    def answer(text: str) -> Row:
        return candidate(text, "length" if text == "cut" else None)

    return {
        "candidates": [answer(text) for text, _, _ in tried],
        "scores": [{"score": score} for _, score, _ in tried],
        "in_majority": [vote for _, _, vote in tried],
        "solutions": [answer(cold)],
        "solution_agrees": agrees,
    }


@pytest.mark.parametrize(
    ("tried", "sft", "keep", "texts"),
    [
        (MAJORITY, "best", False, ["b"]),
        (MAJORITY, "best", True, ["b"]),
        (MAJORITY, "all", False, ["b", "a"]),
        (MAJORITY, "all", True, ["b", "a", "odd", "wrong"]),
        (MAJORITY, 1, False, ["b"]),
        (MAJORITY, 2, False, ["b", "a"]),
        (MAJORITY, 3, False, ["b", "a"]),
        (MAJORITY, 3, True, ["b", "a", "odd"]),
        (NO_MAJORITY, "best", False, ["b"]),
        (NO_MAJORITY, "all", False, ["b", "c", "a"]),
        (NO_MAJORITY, "all", True, ["b", "c", "a"]),
        (NO_MAJORITY, 2, False, ["b", "c"]),
        ([("cut", None, None)] * 3, "best", False, []),
        ([("cut", None, None)] * 3, "all", True, []),
        ([("x  y", 1.0, True), (" x\ny ", 2.0, True), ("z", 1.5, True)], "all", False, [" x\ny ", "z"]),
        ([("same", 1.0, False), ("same", 0.5, True), ("b", 0.1, True)], "all", True, ["same", "b"]),
        ([("a", None, None), ("b", 1.0, None), ("c", None, None)], "all", False, ["b", "a", "c"]),
        ([("a", -2.0, True), ("b", None, True), ("c", -3.0, True)], "all", False, ["a", "c", "b"]),
        ([("a", None, True), ("b", None, True)], "best", False, ["a"]),
        ([("a", 2.0, True), ("b", 2.0, True)], "all", False, ["a", "b"]),
    ],
)
def test_the_published_candidates(tried: list[Tried], sft: str | int, keep: bool, texts: list[str]) -> None:
    row = problem(tried)
    found = published_answers(row, sft, keep)
    assert [answer.response["text"] for answer in found] == texts
    assert not any(answer.is_cold for answer in found)
    votes = {(text, vote) for text, _, vote in tried}
    assert {(answer.response["text"], answer.in_majority) for answer in found} <= votes
    assert missing_reason(row, sft, keep) == (None if texts else "length")


@pytest.mark.parametrize(
    ("cold", "agrees", "keep", "reason"),
    [
        ("c", True, False, None),
        ("c", None, False, None),
        ("c", False, False, "minority"),
        ("c", False, True, None),
        ("cut", None, False, "length"),
        ("cut", None, True, "length"),
    ],
)
def test_the_cold_answer(cold: str, agrees: bool | None, keep: bool, reason: str | None) -> None:
    row = problem(MAJORITY, cold, agrees)
    found = published_answers(row, "cold", keep)
    assert missing_reason(row, "cold", keep) == reason
    assert [(one.response["text"], one.in_majority, one.is_cold) for one in found] == (
        [] if reason else [(cold, agrees, True)]
    )


# --- builds -------------------------------------------------------------------------------------------------

MODES = [(sft, keep) for sft in ("best", "all", 2) for keep in (False, True)]
COUNT = 15  # problems of each of two domains


class Voting(Answers):
    """Three final answers, so that some problems have a majority; every fourth text is a repeated one."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = super().__call__(prompt, sampling, seed)
        if sampling.temperature == CANDIDATES and seed % 4 == 0 and completion.finish_reason == "stop":
            return replace(completion, text=f"Plainly:{' ' * (1 + seed % 3)}\\boxed{{1}}.")
        return completion


@pytest.fixture(scope="module")
def voting(demo_model: Path) -> Voting:
    return Voting(resolve(str(demo_model)), answers=3, cut_every=4)


@pytest.fixture(scope="module")
def out(voting: Voting, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build with the default; the tests build in it again with other modes."""
    folder = tmp_path_factory.mktemp("published") / "out"
    build(recipe_of(voting), folder)
    assert voting.asked(SOLUTIONS) == 0, "no answer besides the candidates is asked for"
    assert not list(folder.glob("run/*/solutions-*"))
    return folder


def recipe_of(voting: Answers, sft: str | int = "best", keep: bool = False) -> Recipe:
    recipe = small_recipe(voting, count=COUNT, k=5)
    return replace(recipe, sft=sft, keep_minority=keep, held_out=HeldOut(0.3), rl_majority_share=0.5)


def everything(built: dict[str, DatasetDict]) -> dict[str, dict[str, list[Row]]]:
    return {key: {name: rows.to_list() for name, rows in splits.items()} for key, splits in built.items()}


def split(data: dict[str, dict[str, list[Row]]], text: str) -> list[Row]:
    return [
        row
        for domain in ("algebra", "geometry")
        for side in ("train", "test")
        for row in data[domain][f"{side}_{text}"]
    ]


def expected(row: Row, sft: str | int, keep: bool) -> list[tuple[str, str]]:
    """The published candidates of a row of `candidates` and what is said of them, found in another way."""
    whole = [one for one in row["candidates"] if one["response"] is not None]
    groups = [[one for one in whole if one["in_majority"] is vote] for vote in (True, None, False)]
    if row["majority_answer"] is not None and not keep:
        groups = groups[:1]
    said = dict.fromkeys(())
    for group, word in zip(groups, ("majority", "no vote", "minority"), strict=False):
        scored = [one for one in group if one["score"] is not None]
        unscored = [one for one in group if one["score"] is None]
        for one in (*sorted(scored, key=lambda one: one["score"], reverse=True), *unscored):
            if " ".join(one["response"].split()) not in {" ".join(text.split()) for text in said}:
                said[one["response"]] = word
    found = list(said.items())
    return found[:1] if sft == "best" else found if sft == "all" else found[: int(sft)]


@pytest.mark.parametrize(("sft", "keep"), MODES)
def test_rows_are_the_candidates_that_were_paid_for(
    sft: str | int, keep: bool, voting: Voting, out: Path
) -> None:
    voting.requests.clear()
    data = everything(build(recipe_of(voting, sft, keep), out, shard_rows=7))
    assert voting.asked() == 0, "another mode asks for nothing"
    rows = defaultdict(list)
    for row in split(data, "sft"):
        rows[row["id"]].append(row)
    problems = [row for side in data["candidates"].values() for row in side]
    words = Counter[str]()
    for row in problems:
        mine = rows.pop(row["id"], [])
        wanted = expected(row, sft, keep)
        assert [(one["solution"], one["answer_checked"]) for one in mine] == wanted
        assert [one["answer_rank"] for one in mine] == list(range(1, len(mine) + 1))
        assert {one["answer_count"] for one in mine} <= {len(mine)}
        assert (row["solution_reason"] is None) == bool(mine)
        for one in mine:
            checked = {True: "majority", False: "minority", None: "no vote"}[one["solution_agrees"]]
            assert one["answer_checked"] == checked
            assert one["messages"][-1]["content"] == one["solution"]
            assert one["generation"]["response_temperature"] == CANDIDATES
        words.update(one["answer_checked"] for one in mine)
    assert not rows
    assert {"majority", "no vote"} <= set(words)
    assert ("minority" in words) == (keep and sft != "best")
    assert any(row["solution_reason"] for row in problems) == any(
        all(one["response"] is None for one in row["candidates"]) for row in problems
    )
    best = {row["id"]: row for row in split(data, "sft") if row["answer_rank"] == 1}
    for row in split(data, "prefs"):
        pair = {name: row[name] for name in ("chosen_text", "rejected_text")}
        assert row == {**best[row["id"]], **pair}, "a pair stands beside the best answer"
        assert all(pair.values())


@pytest.mark.parametrize("keep", [False, True])
def test_the_cold_answer_alone_as_in_the_original(
    keep: bool, voting: Voting, out: Path, tmp_path: Path
) -> None:
    voting.requests.clear()
    data = everything(build(recipe_of(voting, "cold", keep), out))
    assert voting.asked() == voting.asked(SOLUTIONS) in (0, 2 * COUNT), "asked once, and nothing besides"
    assert list(out.glob("run/*/solutions-*"))
    rows = {row["id"]: row for row in split(data, "sft")}
    assert len(rows) == len(split(data, "sft"))
    assert all((row["answer_rank"], row["answer_count"]) == (1, 1) for row in rows.values())
    assert {row["generation"]["response_temperature"] for row in rows.values()} == {SOLUTIONS}
    reasons = Counter(row["solution_reason"] for side in data["candidates"].values() for row in side)
    assert reasons[None] == len(rows)
    assert reasons["length"] > 0
    against = sum(row["answer_checked"] == "minority" for row in rows.values())
    assert (against > 0, reasons["minority"] > 0) == (keep, not keep)
    for row in split(data, "prefs"):
        if row["id"] in rows:
            pair = {name: row[name] for name in ("chosen_text", "rejected_text")}
            assert row == {**rows[row["id"]], **pair}
        else:
            assert (row["answer_rank"], row["answer_count"]) == (None, 0)
            assert row["messages"] == row["chosen"]
            assert row["generation"]["response_temperature"] == CANDIDATES


@pytest.mark.parametrize(("sft", "keep"), [("all", False), ("cold", True), ("best", False)])
def test_a_changed_mode_gives_the_rows_of_a_fresh_build(
    sft: str | int, keep: bool, voting: Voting, out: Path, tmp_path: Path
) -> None:
    changed = build(recipe_of(voting, sft, keep), out)
    fresh = build(recipe_of(voting, sft, keep), tmp_path / "fresh", shard_rows=11)
    assert everything(changed) == everything(fresh)


def test_all_rows_of_a_problem_are_on_one_side_and_told_apart(voting: Voting, out: Path) -> None:
    data = everything(build(recipe_of(voting, "all", True), out))
    sides = {
        side: {row["problem"] for config in data.values() for row in config.get(f"{side}_sft", [])}
        for side in ("train", "test")
    }
    assert sides["train"]
    assert sides["test"]
    assert not sides["train"] & sides["test"]
    rows = split(data, "sft")
    assert (
        len({(row["id"], row["answer_rank"]) for row in rows}) == len(rows) > len({row["id"] for row in rows})
    )
    files = {f"{file.parent.name}/{file.name}": file for file in out.glob("*/*.parquet")}
    assert lint_rows(files) == []
    provenance = json.loads((out / "run" / "provenance.json").read_text())
    assert (provenance["sft"], provenance["keep_minority"]) == ("all", True)
    assert list(provenance["domains"][0]["sampling"]) == ["problem", "candidates"]
    card = (out / "README.md").read_text()
    assert "The published answers of a problem are all its complete candidates" in card
    words = Counter(row["answer_checked"] for row in rows if row["domain"] == "algebra")
    counts = f"| {words['majority']} | {words['minority']} | {words['no vote']} |"
    assert any(line.startswith("| `algebra` |") and line.endswith(counts) for line in card.splitlines())


def test_problems_whose_candidates_are_all_truncated(voting: Voting, tmp_path: Path) -> None:
    def short(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = voting(prompt, sampling, seed)
        cut = sampling.temperature == CANDIDATES and len(prompt) % 2
        return replace(completion, finish_reason="length") if cut else completion

    recipe = recipe_of(voting)
    solver = replace(recipe.solver, model=replace(voting.model, revision="sha256:short"), reply=short)
    data = everything(build(replace(recipe, solver=solver), tmp_path / "out"))
    problems = [row for side in data["candidates"].values() for row in side]
    gone = {row["id"] for row in problems if all(one["reason"] for one in row["candidates"])}
    assert COUNT / 3 < len(gone) < 5 * COUNT / 3
    assert {row["id"] for row in problems if row["solution_reason"] == "length"} == gone
    assert {row["id"] for row in split(data, "sft")} == {row["id"] for row in problems} - gone
    silent = replace(solver, reply=lambda prompt, sampling, seed: Completion("", "length", len(prompt), 1))
    with pytest.raises(NothingMade, match=rf"-> 0 answered \({COUNT} length\) -> 0 SFT rows"):
        build(replace(recipe, solver=silent, held_out=HeldOut(0)), tmp_path / "none")


def test_a_scorer_without_scores_and_problems_that_ask_for_proofs(voting: Voting, tmp_path: Path) -> None:
    def proofs(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = voting(prompt, sampling, seed)
        asks = sampling.temperature == PROBLEMS and completion.finish_reason == "stop"
        return (
            replace(completion, text=f"Prove the following claim. {completion.text}") if asks else completion
        )

    recipe = recipe_of(voting, "all")
    writer = replace(recipe.generator, model=replace(voting.model, revision="sha256:proofs"), reply=proofs)
    scorer = replace(recipe.scorer, min_mass=2.0)
    data = everything(build(replace(recipe, generator=writer, scorer=scorer), tmp_path / "out"))
    problems = [row for side in data["candidates"].values() for row in side]
    proofs_alone = {row["id"] for row in problems if row["answer_kind"] == "proof"}
    assert 0 < len(proofs_alone) < len(problems), "some problems ask for more than a proof"
    checked = {row["answer_checked"] for row in split(data, "sft") if row["id"] in proofs_alone}
    assert checked == {"no vote"}
    for row in problems:
        mine = [one["solution"] for one in split(data, "sft") if one["id"] == row["id"]]
        assert mine == [text for text, _ in expected(row, "all", False)], "in the order of the candidates"


def test_the_original_files_hold_what_is_published(voting: Voting, out: Path) -> None:
    for sft, temperature in (("all", CANDIDATES), ("cold", SOLUTIONS)):
        data = everything(build(recipe_of(voting, sft), out))
        best = {row["id"]: row["solution"] for row in split(data, "sft") if row["answer_rank"] == 1}
        tried = {row["id"]: row["candidates"] for side in data["candidates"].values() for row in side}
        answered = [one for file in out.glob("*_ins_res.json") for one in json.loads(file.read_text())]
        assert {one["id"]: one["response"] for one in answered} == best
        assert {one["gen_response_configs"]["temperature"] for one in answered} == {temperature}
        several = {one["id"]: one for f in out.glob("*_ins_5res.json") for one in json.loads(f.read_text())}
        whole = {
            key: [one["response"] for one in candidates if one["response"] is not None]
            for key, candidates in tried.items()
        }
        assert {key: one["responses"] for key, one in several.items()} == {
            key: texts for key, texts in whole.items() if len(texts) >= 2
        }
        assert {len(texts) for texts in whole.values()} >= {2, 5}
        scored = [one for f in out.glob("*_ins_5res_judge.json") for one in json.loads(f.read_text())]
        for one in scored:
            pairs = [(c["response"], c["score"]) for c in tried[one["id"]] if c["score"] is not None]
            rewards = [reward["score"] for reward in one["rewards_judge"]]
            assert list(zip(one["responses"], rewards, strict=True)) == pairs
            assert one["num_responses"] == len(pairs) >= 2
        assert len(scored) == len(several), "the judge rates every complete candidate"
