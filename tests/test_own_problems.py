"""Builds of given problems: read from files and the Hub, answered, compared with references, never asked twice."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import problem

from conftest import CANDIDATES, JUDGE, Answers, small_domain
from magpie_hf.building import build
from magpie_hf.card.stats import tallies
from magpie_hf.domains import Domain, own_domain
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.loading import load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import Judge

Row = dict[str, Any]


def rows(count: int, first: int = 0) -> list[Row]:
    """Problems with an answer from 0 to 2 each; the fake solver says any of the three."""
    return [
        {"problem": problem(number), "solution": str(number % 3)} for number in range(first, first + count)
    ]


def parquet(file: Path, some: list[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(some), file)
    return file


def recipe(answers: Answers, own: OwnProblems, *domains: Domain, k: int = 3) -> Recipe:
    answers.answers = 3
    engine = FakeEngine(answers.model, answers)
    counts = load(own).domains
    chosen = domains or tuple(own_domain(key or "algebra", count) for key, count in counts.items())
    return Recipe(
        engine,
        engine,
        Judge(engine),
        tuple(small_domain(one, one.count) for one in chosen),
        k,
        held_out=HeldOut(0),
        auto_extend=0,
        problems=own,
    )


def test_a_source_that_grew_or_was_reordered_asks_for_new_problems_alone(
    answers: Answers, tmp_path: Path
) -> None:
    some, out = rows(40), tmp_path / "out"
    file = parquet(tmp_path / "mine.parquet", some)
    first = build(recipe(answers, OwnProblems(str(file))), out, shard_rows=16)
    assert answers.asked(CANDIDATES) == 3 * 40
    ids = first["candidates"]["train"]["id"]
    assert len(set(ids)) == 40
    answers.requests.clear()

    mixed = random.Random(0).sample(some, len(some))
    parquet(file, mixed)
    second = build(recipe(answers, OwnProblems(str(file))), out, shard_rows=7)
    assert answers.asked() == 0, "reordered: nothing is asked"
    assert second["candidates"]["train"].to_list() == first["candidates"]["train"].to_list()

    more = rows(10, first=40)
    parquet(file, [*more[:5], *mixed, *more[5:], mixed[0]])
    third = build(recipe(answers, OwnProblems(str(file))), out, shard_rows=16)
    assert answers.asked(CANDIDATES) == 3 * 10, "grown: the new ones alone"
    assert list(third["candidates"]["train"]["id"])[:40] == list(ids)
    answers.requests.clear()

    parquet(file, [*mixed[:20], *more])
    fewer = build(recipe(answers, OwnProblems(str(file))), out, shard_rows=16)
    assert answers.asked() == 0
    assert len(fewer["candidates"]["train"]) == 30
