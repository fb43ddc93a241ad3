"""Delta pairs: where all candidates agree, a smaller model's answer is the rejected one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import CANDIDATES, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe
from magpie_hf.report.details import _rows
from magpie_hf.report.source import opened

Row = dict[str, Any]


def small(answers: Answers, name: str = "small", kind: type[Answers] = Answers) -> Answers:
    return kind(replace(answers.model, name=f"other/{name}"), cut_every=7, salt=name, answers=3)


class Dies(Answers):
    """Three answers, and then an error."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if self.asked() >= 3:
            raise EngineError("the engine died")
        return super().__call__(prompt, sampling, seed)


def recipe_of(answers: Answers, rejecter: Answers | None, count: int = 24) -> Recipe:
    answers.answers = 2  # three candidates of a problem often agree
    engine = None if rejecter is None else FakeEngine(rejecter.model, rejecter)
    return replace(small_recipe(answers, "algebra", count=count), rejecter=engine)


def rows_of(data: Any, config: str, split: str = "train") -> dict[str, Row]:
    return {row["id"]: row for row in data[config][split].to_list()}


def is_unanimous(row: Row) -> bool:
    sides = [one["in_majority"] for one in row["candidates"] if one["reason"] is None]
    return (row["majority_share"] or 0) >= 0.5 and True in sides and False not in sides


def test_unanimous_problems_have_a_smaller_models_answer_as_the_rejected_one(
    answers: Answers, tmp_path: Path
) -> None:
    out, lines = tmp_path / "out", list[str]()
    plain = rows_of(build(recipe_of(answers, None), out), "candidates")
    before, dying, other = len(answers.requests), small(answers, kind=Dies), small(answers)
    with pytest.raises(EngineError):
        build(recipe_of(answers, dying), out, shard_rows=9, shards_in_flight=1)
    recipe = recipe_of(answers, other)
    data = build(recipe, out, say=lines.append, shard_rows=9)
    assert len(answers.requests) == before, "the smaller model alone is asked"
    problems, pairs = rows_of(data, "candidates"), rows_of(data, "algebra", "train_prefs")
    unanimous = {one for one, row in problems.items() if is_unanimous(row)}
    seeds = [seed for one in (dying, other) for _, seed in one.requests]
    assert len(seeds) == len(set(seeds)) == len(unanimous) > dying.asked() == 3, "nothing is asked twice"

    kinds = {one: row["pair_kind"] for one, row in problems.items()}
    for one, row in problems.items():
        if one not in unanimous:
            assert all(row[name] == value for name, value in plain[one].items()), "the others stay"
            assert row["rejected_response"] is row["rejected_agrees"] is None
            continue
        if kinds[one] != "delta":  # an incomplete answer leaves the pair as it was
            assert row["rejected_response"] is None
            assert row["pair_reason"] == plain[one]["pair_reason"]
            continue
        pair = pairs[one]
        right = [at for at in range(3) if row["candidates"][at]["in_majority"]]
        best = max(right, key=lambda at: (row["candidates"][at]["score"], -at))
        assert (row["chosen_index"], row["rejected_index"], row["pair_reason"]) == (best, None, None)
        assert pair["chosen_text"] == row["candidates"][best]["response"]
        assert pair["rejected_text"] == row["rejected_response"] != pair["chosen_text"]
        assert [turn["role"] for turn in pair["rejected"]] == ["user", "assistant"]
        assert pair["rejected"][0] == pair["chosen"][0]
        assert pair["rejected"][1]["content"] == pair["rejected_text"]
        assert (pair["has_pair"], pair["score_rejected"], pair["score_gap"]) == (True, None, None)
        assert pair["rejected_tokens"] == row["rejected_tokens"] > 0
        gives = f"\\boxed{{{row['majority_answer']}}}" in pair["rejected_text"]
        assert pair["rejected_agrees"] is row["rejected_agrees"] is gives
    delta = [one for one, kind in kinds.items() if kind == "delta"]
    assert {problems[one]["rejected_agrees"] for one in delta} == {True, False}
    assert any(kind == "correctness" for kind in kinds.values())

    agrees = sum(problems[one]["rejected_agrees"] for one in delta)
    said = f"{len(delta)} delta ({agrees} agrees, {len(delta) - agrees} differs)"
    assert any(said in line for line in lines), lines
    card = (out / "README.md").read_text()
    assert f"| `algebra` | {len(delta)} | {len(delta) - agrees} | {agrees} | 0 |" in card
    assert "other/small, right or wrong" in " ".join(card.split())
    assert card.count("other/small") >= 3, "its licence and its revision, too"
    assert yaml.safe_load((out / "recipe.yaml").read_text())["pairs"]["chosen"] == "best"

    with opened(out, tmp_path) as source:
        details = [row for row in _rows(source) if row.get("pair_kind") == "delta"]
    assert [row["candidates"][3]["text"] for row in details] == [
        problems[one]["rejected_response"] for one in delta
    ]
    assert all(row["candidates"][3]["smaller"] and "rejected_response" not in row for row in details)

    asked, shorter = other.asked(), replace(recipe, chosen="shortest")
    short = rows_of(build(shorter, out), "candidates")
    assert (len(answers.requests), other.asked()) == (before, asked)
    for one in delta:
        tokens = {at: one_["num_tokens"] for at, one_ in enumerate(short[one]["candidates"])}
        right = [at for at in range(3) if short[one]["candidates"][at]["in_majority"]]
        assert short[one]["chosen_index"] == min(right, key=lambda at: (tokens[at], at))

    another = small(answers, "another")
    build(recipe_of(answers, another), out)
    assert (len(answers.requests), other.asked(), another.asked()) == (before, asked, len(unanimous))
    assert rows_of(build(recipe, out), "candidates") == problems
    assert (len(answers.requests), other.asked()) == (before, asked), "it comes back without a request"
    with pytest.raises(BadInput, match="chosen is shortest, which is for pairs with a smaller model"):
        replace(recipe, rejecter=None, chosen="shortest")
    with pytest.raises(BadInput, match="would write chosen and rejected answers alike; give a smaller model"):
        replace(recipe, rejecter=recipe.solver)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from conftest import Answers
from magpie_hf.building.build import build
from magpie_hf.models.model import resolve
from test_delta import recipe_of, small

class Killed(Answers):
    def __call__(self, prompt, sampling, seed):
        if self.asked() == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(sys.argv[4], "a") as log:
            log.write(f"{seed}\\n")
        return super().__call__(prompt, sampling, seed)

answers = Answers(resolve(sys.argv[2]))
build(recipe_of(answers, small(answers, kind=Killed)), Path(sys.argv[3]), shard_rows=5, shards_in_flight=1)
"""


@pytest.mark.scale
def test_a_smaller_model_that_was_killed_is_asked_nothing_twice(answers: Answers, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "asked"
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(answers.model.path), str(out)]
    done = subprocess.run([*command, str(log)], timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    rest, fresh = small(answers), Answers(answers.model)
    resumed = rows_of(build(recipe_of(answers, rest), out), "candidates")
    assert answers.asked(CANDIDATES) == 0
    first = [int(seed) for seed in log.read_text().split()]
    again = {seed for _, seed in rest.requests} & set(first)
    assert len(again) <= 1, "the last one may not have been in the journal"
    whole = small(fresh)
    at_once = rows_of(build(recipe_of(fresh, whole), tmp_path / "whole"), "candidates")
    assert resumed == at_once
    assert {seed for _, seed in rest.requests} | set(first) == {seed for _, seed in whole.requests}


def test_problems_whose_references_all_candidates_give(answers: Answers, tmp_path: Path) -> None:
    """By the stage alone: where the reference counts, the vote does not."""
    from magpie_hf.stages.delta import Delta

    class Boxed(Answers):
        def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
            return replace(super().__call__(prompt, sampling, seed), text="\\boxed{8}", finish_reason="stop")

    other = small(answers, kind=Boxed)
    stage = Delta(FakeEngine(other.model, other), Sampling(), by_reference=True)
    candidate = {"reason": None, "text": "\\boxed{7}", "num_tokens": 20}
    row = {
        "problem": "p", "seed": 1, "candidates": [candidate, {**candidate, "num_tokens": 25}],
        "scores": [{"score": 0.1}, {"score": 0.9}], "in_majority": [None, None], "majority_answer": None,
        "majority_share": None, "chosen_index": None, "rejected_index": None, "pair_kind": None,
        "pair_reason": "score_gap", "reference_answer": "7", "matches_reference": [True, True],
    }  # fmt: skip

    def made(**changes: Any) -> Row:
        found = stage({name: [value] for name, value in {**row, **changes}.items()})
        return {name: values[0] for name, values in found.items()}

    found = made()
    assert (found["pair_kind"], found["chosen_index"], found["rejected_agrees"]) == ("delta", 1, False)
    assert made(matches_reference=[True, False])["pair_reason"] == "score_gap", "one is wrong"
    assert made(reference_answer=None)["rejected_response"] is None, "neither reference nor majority"
    long = [{**candidate, "num_tokens": 200}, candidate]
    assert made(candidates=long)["chosen_index"] == 1, "of a fitting length"
    assert made(candidates=long[:1] * 2)["pair_reason"] == "score_gap"
    assert stage.reuse_key == replace(stage, chosen="shortest", max_length_ratio=2.0).reuse_key
