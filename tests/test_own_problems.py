"""Builds of given problems: read from files and the Hub, answered, compared with references, asked once."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import problem

from conftest import CANDIDATES, FAST, Answers, small_domain
from loopback_hub import LoopbackHub, loopback_hub
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.main import main
from magpie_hf.domains import Domain, own_domain
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, NothingMade
from magpie_hf.models.data_licence import DataLicence, check_source, licence_with
from magpie_hf.planning.workload import INSIDE
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.loading import Loaded, load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.review.calibration.source import KnownAnswers, of_set
from magpie_hf.schema import PAIR, REFERRED
from magpie_hf.scorers.judge import Judge
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stages.pair import PairByReference
from magpie_hf.stages.refer import Refer, reference_answer
from magpie_hf.stages.take import AsGiven, Take

Row = dict[str, Any]


def rows(count: int, first: int = 0) -> list[Row]:
    """Problems with an answer from 0 to 2 each; the fake solver says any of the three."""
    return [
        {"problem": problem(number), "solution": str(number % 3)} for number in range(first, first + count)
    ]


def parquet(file: Path, some: list[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(some), file)
    return file


def read(own: OwnProblems) -> Loaded:
    found = load(own)
    check_source(own.name, found.licence, own.licence)
    return found


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

    parquet(file, [*more, *mixed])
    whole = build(recipe(answers, OwnProblems(str(file))), out, shard_rows=16)
    assert answers.asked() == 0, "the answers of those that came back were kept"
    assert whole["candidates"]["train"].to_list() == third["candidates"]["train"].to_list()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from conftest import CANDIDATES, Answers
from test_own_problems import recipe
from magpie_hf.building.build import build
from magpie_hf.models.model import resolve
from magpie_hf.problems.own.own import OwnProblems

class Killed(Answers):
    def __call__(self, prompt, sampling, seed):
        if sampling.temperature == CANDIDATES and self.asked(CANDIDATES) == int(sys.argv[5]):
            os.kill(os.getpid(), signal.SIGKILL)
        with open("asked", "a") as log:
            log.write(f"{sampling.temperature} {seed} {len(prompt)}\\n")
        return super().__call__(prompt, sampling, seed)

build(recipe(Killed(resolve(sys.argv[2])), OwnProblems(sys.argv[3], answer="solution")), Path(sys.argv[4]))
"""


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.scale)])
def test_votes_against_references_of_a_parquet_file_with_a_kill_on_the_way(
    answers: Answers, demo_model: Path, tmp_path: Path, count: int
) -> None:
    file, out = parquet(tmp_path / "mine.parquet", rows(count)), tmp_path / "out"
    asked_before = count + 20
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(demo_model), str(file), str(out)]
    done = subprocess.run([*command, str(asked_before)], cwd=tmp_path, timeout=500, check=False)
    assert done.returncode == -signal.SIGKILL
    said: list[str] = []
    data = build(recipe(answers, OwnProblems(str(file), answer="solution")), out, say=said.append)
    asked = answers.asked(CANDIDATES)
    # An answer is kept once it is in the journal, which the last ones before the kill may not be.
    assert 3 * count - asked_before <= asked <= 3 * count - asked_before + 64

    found = data["candidates"]["train"].to_list()
    gold = {row["problem"]: row["solution"] for row in rows(count)}
    assert len(found) == count
    for row in found:
        assert row["reference_answer"] == (None if row["answer_kind"] == "proof" else gold[row["problem"]])
    for row in found:
        if row["answer_kind"] == "proof":
            continue
        votes = [one["answer"] for one in row["candidates"] if one["reason"] is None]
        most = max(set(votes), key=votes.count, default=None)
        has_majority = (
            votes.count(most) > 1 and [votes.count(one) for one in set(votes)].count(votes.count(most)) == 1
        )
        assert row["majority_answer"] == (most if has_majority else None)
        assert row["reference_agrees"] is (most == gold[row["problem"]] if has_majority else None)
    agrees = sum(row["reference_agrees"] is True for row in found)
    assert 0 < agrees < sum(row["reference_agrees"] is not None for row in found)
    known = sum(row["reference_answer"] is not None for row in found)
    assert any(f"the majority equals {agrees:,} of {known:,} reference answers" in line for line in said)
    card = (out / "README.md").read_text()
    assert f"| `algebra` | {known:,} | {agrees:,} |" in card
    assert "mine.parquet" in card
    assert str(tmp_path) not in card, "no path of this machine"
    assert "whose licence is **not stated**" in card
    with_text = data["algebra"]["train_sft"].to_list()
    by_id = {row["id"]: row for row in found}
    assert all(row["reference_agrees"] == by_id[row["id"]]["reference_agrees"] for row in with_text)
    assert {row["generation"]["problem_model"] for row in with_text} == {None}


def test_a_reference_that_is_used_takes_the_votes_place(answers: Answers, tmp_path: Path) -> None:
    some = rows(40)
    for row in some[::3]:
        row["solution"] = None  # these keep the vote
    file = parquet(tmp_path / "mine.parquet", some)
    own = OwnProblems(str(file), answer="solution", use_reference=True)
    data = build(replace(recipe(answers, own), rl_majority_share=0.6), tmp_path / "out")
    gold = {row["problem"]: row["solution"] for row in some}
    found = {row["id"]: row for row in data["candidates"]["train"].to_list()}
    assert any(row["solution_reason"] == "no_correct" for row in found.values())
    with_reference = [row for row in found.values() if row["reference_answer"] is not None]
    assert 0 < len(with_reference) < len(found)
    for row in with_reference:
        right = [one["answer"] == gold[row["problem"]] for one in row["candidates"] if one["reason"] is None]
        assert (row["solution_reason"] is None) == any(right)
        if row["pair_kind"] is not None:
            chosen, rejected = (row["candidates"][row[f"{name}_index"]] for name in ("chosen", "rejected"))
            assert chosen["answer"] == gold[row["problem"]]
            assert (rejected["answer"] != gold[row["problem"]]) == (row["pair_kind"] == "correctness")
        elif not any(right):
            assert row["pair_reason"] == "no_correct"
    for row in data["algebra"]["train_sft"].to_list():
        if row["reference_answer"] is not None:
            assert row["answer"] == gold[row["problem"]]
    rl = data["algebra_rl"]["train"].to_list()
    assert {row["id"] for row in with_reference} <= {row["id"] for row in rl}
    for row in rl:
        if gold[row["problem"]] is not None and found[row["id"]]["reference_answer"]:
            assert row["reward_model"]["ground_truth"] == gold[row["problem"]]
    assert "takes the majority's place" in (tmp_path / "out" / "README.md").read_text()


def test_problems_as_given_lose_nothing_but_empty_ones_and_doubles(answers: Answers, tmp_path: Path) -> None:
    text = "Hello! How are you?"
    some = [{"problem": one} for one in (text, "2+2", "2 + 2 ", "2+2", None, "  ", problem(1), problem(1))]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in some))
    data = build(recipe(answers, OwnProblems(str(file), as_given=True)), tmp_path / "out")
    assert data["candidates"]["train"]["problem"] == [text, "2+2", "2 + 2", problem(1)]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "2 hold no problem, and 2 repeat one word for word" in card
    lost = tmp_path / "lost" / "a.csv"
    lost.parent.mkdir()
    lost.write_text(f"problem\n{text}\n")
    with pytest.raises(BadInput, match="is in the folder of the problems"):
        build(recipe(answers, OwnProblems(str(lost.parent))), lost.parent / "below")
    with pytest.raises(NothingMade, match="drop fewer problems with --problems-as-given"):
        build(recipe(answers, OwnProblems(str(lost))), tmp_path / "none")
    file = file.rename(tmp_path / "ours.jsonl")
    build(recipe(answers, OwnProblems(str(file), as_given=True)), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "ours.jsonl" in card
    assert "mine.jsonl" not in card
    cleaned = build(recipe(answers, OwnProblems(str(file))), tmp_path / "cleaned")
    assert set(cleaned["candidates"]["train"]["problem"]) == {"2 + 2", problem(1)}


def test_a_column_names_the_domains_and_where_picks_rows(answers: Answers, tmp_path: Path) -> None:
    some = [
        {"problem": problem(number), "type": ("Number Theory", "algebra")[number % 2], "level": number % 4}
        for number in range(24)
    ]
    file = parquet(tmp_path / "mine.parquet", some)
    own = OwnProblems(str(file), domain="type", where=(("level", "0"),))
    assert load(own).domains == {"Number_Theory": 6}
    data = build(recipe(answers, replace(own, where=())), tmp_path / "out")
    assert {
        key: len(splits["train_sft"]) for key, splits in data.items() if "_" in key or key == "algebra"
    } == {
        "Number_Theory": 12,
        "algebra": 12,
    }


def test_the_tagger_sorts_problems_into_domains(answers: Answers, tmp_path: Path) -> None:
    file = parquet(tmp_path / "mine.parquet", rows(12))
    answers.domain = "geometry"
    domains = [own_domain(key, 12) for key in ("algebra", "geometry")]
    wanted = recipe(answers, OwnProblems(str(file)), *domains)
    sorting = replace(wanted, tagger=wanted.solver, acceptance=Acceptance(off_topic="move"))
    out = tmp_path / "out"
    data = build(sorting, out)
    sizes = {key: len(data[key]["train_sft"]) for key in ("algebra", "geometry")}
    assert (sizes["algebra"], sizes["geometry"] >= 10) == (0, True)
    answers.requests.clear()
    assert build(sorting, out)["candidates"]["train"].to_list() == data["candidates"]["train"].to_list()
    assert answers.asked() == 0


def test_what_a_build_gives_is_the_same_in_shards_of_any_size(answers: Answers, tmp_path: Path) -> None:
    file = parquet(tmp_path / "mine.parquet", rows(20))
    own = OwnProblems(str(file), answer="solution")
    one = build(recipe(answers, own), tmp_path / "one", shard_rows=3, shards_in_flight=2)
    other = build(recipe(answers, own), tmp_path / "other")
    assert one["candidates"]["train"].to_list() == other["candidates"]["train"].to_list()
    with pytest.raises(BadInput, match="given problems"):
        build(replace(recipe(answers, own), problems=None), tmp_path / "one")


BAD: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("a.jsonl", '{"question": "1+1"}\n', {}, "has no column 'problem'; its columns are question"),
    ("a.jsonl", '{"problem": "1+1"}\n{"problem"', {}, "line 2 of .* is no JSON"),
    ("a.jsonl", "[1]\n", {}, "is no object with columns"),
    ("a.jsonl", "", {}, "is empty; give a source"),
    (
        "a.jsonl",
        '{"problem": " "}\n',
        {},
        "none of the 1 rows .* is a problem to take: column 'problem' is empty",
    ),
    ("a.jsonl", '{"problem": 7}\n', {}, "holds numbers .*a problem is a text"),
    ("a.jsonl", '{"problem": ["a"]}\n', {}, "holds lists"),
    ("a.jsonl", '{"problem": "a", "x": ["b"]}\n', {"answer": "x"}, "name a column of texts or numbers"),
    (
        "a.jsonl",
        '{"problem": "a", "x": "b"}\n',
        {"where": (("x", "c"),)},
        "1 are left out by --problems-where",
    ),
    ("a.jsonl", '{"problem": "a", "x": "??"}\n', {"domain": "x"}, "names no domain in letters"),
    (
        "a.csv",
        "problem,x\na,数学A\nb,物理A\n",
        {"domain": "x"},
        "'数学A' and '物理A', which would",
    ),
    (
        "a.csv",
        "problem,x\na,Algebra\nb,algebra\n",
        {"domain": "x"},
        "'Algebra' and 'algebra', which would be",
    ),
    ("a.csv", "problem,x\na,run\n", {"domain": "x"}, "'run', which names another part of a build"),
    ("a.csv", "problem,x\na,b\nc,b_rl\n", {"domain": "x"}, "'b_rl', which names another part of a build"),
    ("a.json", '{"problem": "a"', {}, "is no JSON"),
    ("a.json", '[{"problem": "a"}', {}, "cannot be read"),
    ("a.csv", "question\n1+1\n", {}, "its columns are question"),
    ("a.csv", "problem,x\n1+1,2\n1, 2 or 3?,3\n", {"answer": "x"}, "line 3 of .* has not one value a column"),
    ("a.csv", "problem,x\n1+1\n", {"answer": "x"}, "line 2 of .* has not one value a column"),
    ("a.csv", "problem,problem\n1+1,1+2\n", {}, "has two columns 'problem'"),
    (
        "a.jsonl",
        '{"problem": "a"}\n{"problem": "b \\ud800"}\n',
        {},
        r"row 2 of .* holds '\\ud800', which is half",
    ),
    ("a.parquet", b"PAR1 torn", {}, "cannot be read .*write it again"),
    ("a.txt", "1+1", {}, "is no .jsonl, .json, .parquet, .csv file"),
    ("a.jsonl", '{"problem": "a"}\n', {"split": "train"}, "a split is for datasets on the Hub"),
    ("a.jsonl", '{"problem": "a"}\n', {"use_reference": True}, "no column holds them"),
    ("a.jsonl", '{"problem": "a"}\n', {"answer": "problem"}, "one column cannot be two"),
    ("a.jsonl", '{"problem": "a"}\n', {"revision": "sha256:0"}, "is not what its revision"),
    (
        "a.jsonl",
        '{"problem": "a"}\n',
        {"licence": "cc-by-nd-4.0"},
        "nothing that is made of it may be shared",
    ),
    ("a.jsonl", '{"problem": "a"}\n', {"licence": "CC-BY"}, "none of the Hub's ids; did you mean"),
]


@pytest.mark.parametrize(("name", "content", "fields", "says"), BAD)
def test_bad_sources_are_refused_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, fields: dict[str, Any], says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=says) as refused:
        read(OwnProblems(str(file), **fields))
    assert "\n" not in str(refused.value)


def test_a_folder_of_files_of_all_kinds_and_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("problem,solution\n1+1,2\n")
    (tmp_path / "b.json").write_text('[{"problem": "1+2", "solution": 3.0}]')
    (tmp_path / "c.jsonl").write_text('{"problem": "1+3", "solution": null}\n\n')
    parquet(tmp_path / "d.parquet", [{"problem": "1+4", "solution": 1234567.0}])
    (tmp_path / "README.md").write_text("# Sums")
    found = load(OwnProblems(str(tmp_path), answer="solution"))
    assert [(one.text, one.reference) for one in found.problems] == [
        ("1+1", "2"),
        ("1+2", "3"),
        ("1+3", None),
        ("1+4", "1234567"),
    ]
    for source, says in (("no/such.parquet", "there is no file"), ("a b", "no dataset on the Hub")):
        with pytest.raises(BadInput, match=says):
            OwnProblems(source)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("42", "42"),
        (r"$\frac12$", r"\frac12"),
        ("so 6 * 7 = <<6*7=42>>42\n#### 42", "42"),
        (r"Thus $x = \boxed{7}$.", "7"),
        (
            "The proof is left to the reader, who will surely find one that is nicer than ours is.",
            None,
        ),
        ("Two\nlines", None),
    ],
)
def test_a_reference_is_an_answer_or_a_solution_that_ends_with_one(
    reference: str, answer: str | None
) -> None:
    assert reference_answer(reference) == answer


@pytest.mark.parametrize(
    ("source", "given", "found"),
    [
        (None, None, "cc-by-nc-4.0"),
        ("mit", None, "cc-by-nc-4.0"),
        ("mit", "apache-2.0", "apache-2.0"),
        ("cc-by-nc-4.0", "cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("cc-by-nc-4.0", "cc-by-4.0", BadInput),
        ("cc-by-nc-4.0", "mit", BadInput),
        ("cc-by-sa-4.0", None, "cc-by-sa-4.0"),
        ("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-sa-4.0"),
        ("cc-by-sa-4.0", "cc-by-sa-3.0", BadInput),
        ("cc-by-sa-4.0", "cc-by-4.0", BadInput),
        ("cc-by-nc-sa-4.0", None, "cc-by-nc-sa-4.0"),
        ("gpl-3.0", None, "gpl-3.0"),
        ("other", None, "cc-by-nc-4.0"),
    ],
)
def test_the_data_is_licensed_no_looser_than_its_problems(source: Any, given: Any, found: Any) -> None:
    choice = None if given is None else DataLicence(given)
    if found is BadInput:
        with pytest.raises(BadInput):
            licence_with(source, choice, "it")
    else:
        assert licence_with(source, choice, "it").id == found


def test_licences_that_forbid_derivatives_are_refused() -> None:
    for licence in ("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "CC BY-ND 4.0", "Attribution-NoDerivatives"):
        with pytest.raises(BadInput, match="may be shared"):
            check_source("ada/sums", licence, None)
    check_source("ada/sums", None, None)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub on this machine, which the clients of this process speak to, with caches of their own."""
    from huggingface_hub import constants

    with loopback_hub({"hf_" + "writer" * 5: ("ada", "write")}) as running:
        values = {"ENDPOINT": running.endpoint, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}
        values["HUGGINGFACE_CO_URL_TEMPLATE"] = (
            f"{running.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        )
        for name, value in {**values, "HF_HUB_CACHE": str(tmp_path / "hub")}.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", running.endpoint)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
        monkeypatch.setenv("HF_TOKEN", "hf_" + "writer" * 5)
        yield running


def test_known_answers_of_a_dataset_on_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    splits = {"train": rows(6), "test": rows(9, 6)}
    held = {
        f"data/{split}-00000-of-00001.parquet": parquet(tmp_path / split, some).read_bytes()
        for split, some in splits.items()
    }
    hub.create("ada/sums", False, {"README.md": b"# Sums", **held})

    def known(count: int, seed: int, **which: Any) -> tuple[list[Row], KnownAnswers]:
        source = of_set(tmp_path, "ada/sums#problem,solution", count, seed, **which)
        lines = Path(source.place).read_text().splitlines()
        return [json.loads(line) for line in lines], source

    some, source = known(4, 0, split="test")
    expected = [{"problem": one["problem"], "answer": one["solution"]} for one in splits["test"]]
    assert all(one in expected for one in some)
    assert some != expected[:4], "a sample, and not the first ones"
    assert known(9, 0, split="test")[0][:4] == some
    assert known(4, 1, split="test")[0] != some
    assert source.named["name"] == "ada/sums"
    assert re.fullmatch("[0-9a-f]{40}", source.named["revision"])
    assert len(known(9, 0)[0]) == 6
    assert [one["answer"] for one in known(9, 0, where=(("solution", "1"),))[0]] == ["1", "1"]
    with pytest.raises(BadInput, match="no split 'dev', only"):
        known(4, 0, split="dev")


def test_a_dataset_on_the_hub_is_pinned_and_its_licence_heeded(
    hub: LoopbackHub, answers: Answers, tmp_path: Path
) -> None:
    def card(licence: str) -> bytes:
        return f"---\nlicense: {licence}\n---\n# Sums\n".encode()

    held = {
        f"data/{split}-00000-of-00001.parquet": parquet(tmp_path / split, rows(count)).read_bytes()
        for split, count in (("train", 6), ("test", 4))
    }
    hub.create("ada/sums", False, {"README.md": card("cc-by-sa-4.0"), **held})
    for name, licence in {
        "several": "[mit, CC-BY-4.0]",
        "mixed": "[mit, CC-BY-ND-4.0]",
        "named": "other\nlicense_name: cc-by-nd-4.0",
    }.items():
        hub.create(f"ada/{name}", False, {"README.md": card(licence), **held})
    two = "".join(
        f"- config_name: {split}\n  data_files: data/{split}-00000-of-00001.parquet\n"
        for split in ("train", "test")
    )
    hub.create("ada/two", False, {"README.md": f"---\nconfigs:\n{two}---\n".encode(), **held})
    counts = [len(load(OwnProblems(f"ada/two:{config}")).problems) for config in ("train", "test")]
    assert counts == [6, 4]
    assert load(OwnProblems("ada/two:train")).own != load(OwnProblems("ada/two:test")).own
    assert read(OwnProblems("ada/several", licence="cc-by-4.0")).licence == "cc-by-4.0"
    hub.create("ada/closed", False, {"README.md": card("cc-by-nc-nd-4.0"), **held})
    own = OwnProblems("ada/sums", answer="solution", split="test")
    found = load(own)
    sha = hub.repositories["ada/sums"].head.oid
    assert (found.own.revision, found.licence, len(found.problems)) == (sha, "cc-by-sa-4.0", 4)
    build(recipe(answers, own), tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "license: cc-by-sa-4.0\n" in readme
    assert "- extended|ada/sums\n" in readme
    assert f"[ada/sums](https://huggingface.co/datasets/ada/sums) (split `test`, revision `{sha}`)" in readme
    assert "under: cc-by-sa-4.0" in (tmp_path / "out" / "LICENSE").read_text()
    for source, fields, says in (
        ("ada/closed", {}, "cc-by-nc-nd-4.0, under which nothing"),
        ("ada/several", {}, "states several licences, mit, cc-by-4.0; give the one"),
        ("ada/several", {"licence": "gpl-3.0"}, "is mit, cc-by-4.0 by its card, not gpl-3.0"),
        ("ada/mixed", {"licence": "mit"}, "cc-by-nd-4.0, under which nothing"),
        ("ada/named", {}, "cc-by-nd-4.0, under which nothing"),
        ("ada/sums", {"licence": "mit"}, "is cc-by-sa-4.0 by its card, not mit"),
        ("ada/sums", {"split": "dev"}, "has no split 'dev', only train, test"),
        ("ada/sums", {"column": "question"}, "has no column 'question'; its columns are problem, solution"),
        ("ada/none", {}, "the Hub has no dataset ada/none"),
        ("ada/sums", {"revision": "v9"}, "the Hub has no dataset revision 'v9' of ada/sums"),
    ):
        with pytest.raises(BadInput, match=says):
            read(OwnProblems(source, **fields))


def test_the_command_line_refuses_what_does_not_fit_before_anything_is_loaded(
    tmp_path: Path, demo_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = parquet(tmp_path / "mine.parquet", rows(6))
    given = ["--problems", str(file)]
    for options, says in (
        (["--answer-column", "solution"], "--answer-column is given and --problems is missing"),
        ([*given, "--problem-column", "text"], "has no column 'text'; its columns are problem, solution"),
        ([*given, "--solver", "2"], "--solver is 2, and with --problems no other model writes"),
        ([*given, "--steer", "user"], "--steer is for sampled problems"),
        ([*given, "--problems-as-given", "--tagger", "2"], "--problems-as-given drops nothing"),
        ([*given, "--domains", "algebra,geometry"], "nothing says which of algebra, geometry"),
        ([*given, "--problems-where", "level"], "is no COLUMN=VALUE"),
        ([*given, "--problems-licence", "cc-by-nc-4.0", "--license", "mit"], "allows commercial use"),
        (["--problems", str(tmp_path / "no.csv")], "there is no file"),
    ):
        assert main(["plan", "--model", str(demo_model), *options]) == 2
        assert says in capsys.readouterr().err
    assert main(["plan", "--model", str(demo_model), *given, "--count", "4", "--json"]) == OK
    plan = json.loads(capsys.readouterr().out)
    assert [row["problems"] for row in plan["rows"]] == [4]
    assert "instruct" not in json.dumps(plan)


def test_a_plan_counts_on_no_more_problems_than_are_given(
    demo_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A band of pass rates drops some of them once they are answered."""
    model, file = str(demo_model), parquet(tmp_path / "mine.parquet", rows(100))
    band = ["--pass-model", model, "--pass-rate", "0.1:0.8", "--k", "5", "--auto-extend", "0", "--json"]
    given = ["plan", "--model", model, "--problems", str(file), *band, "--domains", "algebra"]
    for more, answered in (([], 100), (["--count", "20"], 20 / INSIDE)):
        assert main([*given, *more]) == OK
        plan = json.loads(capsys.readouterr().out)
        assert [row["problems"] for row in plan["rows"]] == [round(answered * INSIDE)]
        (asked,) = (one["requests"][1] for one in plan["stages"] if one["stage"] == "candidates")
        assert asked == pytest.approx(5 * answered)


@pytest.mark.vllm
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_two_hundred_given_problems_on_real_vllm(tiny_model: Path, tmp_path: Path) -> None:
    """By the command line, stopped by kill -9 on the way, and again with a source that grew."""
    file, out = parquet(tmp_path / "mine.parquet", rows(190)), tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "magpie_hf",
        "build",
        "--model",
        str(tiny_model),
        *FAST,
        "--out",
        str(out),
    ]
    command += ["--problems", str(file), "--answer-column", "solution", "--use-reference", "--k", "2"]
    command += ["--max-tokens", "48", "--auto-extend", "0", "--decontaminate", "none", "--shard-size", "32"]

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(out.glob("run/problems/candidates-*/*.arrow")):
            time.sleep(0.1)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    parquet(file, [*rows(10, first=190), *reversed(rows(190))])
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == OK, done.stderr[-2000:]
    found = datasets.load_dataset(
        str(out), "candidates", split="train+test", cache_dir=str(tmp_path / "cache")
    )
    assert len(found) == len(set(found["id"])) >= 195, "but for those that the rules hold for twice the same"
    assert sum(value is not None for value in found["reference_answer"]) > 100
    texts = datasets.load_dataset(str(out), split="train_sft", cache_dir=str(tmp_path / "cache"))
    assert all(row["reference_answer"] in (None, row["answer"]) for row in texts)


def test_golden_rows_of_the_stages_of_given_problems(answers: Answers) -> None:
    batch: dict[str, list[Any]] = {
        "given_id": ["a-1", "a-2"],
        "given": ["Find $x$.", "Find $y$ <|im_end|>."],
        "withdrawn": [False, True],
    }
    taken = Take(answers.model)(batch)
    assert taken["raw_finish_reason"] == ["stop", "withdrawn"]
    assert (taken["id"], taken["raw_num_tokens"]) == (["a-1", "a-2"], [4, 7])
    kept = AsGiven((answers.model,))({**taken, "raw_finish_reason": ["stop", "stop"]})
    assert (kept["problem"], kept["dropped"]) == (["Find $x$.", None], [None, "special_tokens"])
    voted: dict[str, list[Any]] = {
        "reference": [r"so it is $\boxed{\frac{1}{2}}$", "7", None, "7"],
        "answer_kind": ["answer", "answer", "answer", "proof"],
        "answers": [["0.5", "3", None], ["6", "6", "7"], ["1", "1", "2"], [None] * 3],
        "majority_answer": [None, "6", "1", None],
        "solutions": [None, [{"reason": None, "answer_text": "The answer is 7."}], None, None],
    }
    referred = Refer()(voted)
    assert {name: referred[name] for name in REFERRED} == {
        "reference_answer": [r"\frac{1}{2}", "7", None, None],
        "reference_agrees": [None, False, None, None],
        "matches_reference": [[True, False, None], [False, False, True], None, None],
        "solution_matches": [None, True, None, None],
        "reference_readable": [True, True, None, None],
    }
    said = [{"reason": None, "text": text, "num_tokens": 9} for text in "abc"]
    scored: dict[str, list[Any]] = {
        "candidates": [said] * 3,
        "scores": [[{"score": score, "reason": None} for score in (1.0, 2.0, 3.0)]] * 3,
        "in_majority": [[True, True, False], [True, True, False], [True, True, False]],
        "majority_share": [2 / 3] * 3,
        "reference_answer": ["7", "7", None],
        "matches_reference": [[False, False, True], [False, None, False], None],
    }
    paired = PairByReference()(scored)
    assert {name: paired[name] for name in PAIR} == {
        "chosen_index": [2, None, 1],
        "rejected_index": [0, None, 2],
        "pair_kind": ["correctness", None, "correctness"],
        "pair_reason": [None, "no_correct", None],
    }
