"""Builds that make harder problems of easy ones: what is dropped, where they stand, and what is asked.

Not here: the call and its rules (test_harden.py), and pass rates (test_pass_rate.py).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Features, Value
from samples import labels, problem
from test_harden import FAULTS, left_to
from test_pass_rate import number_of, rows_of

from conftest import CANDIDATES, Answers, measured_by_itself, small_domain
from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.building.build import build
from magpie_hf.card import card
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.dataset.folder import Folder
from magpie_hf.domains import Topic, own_domain, with_topics
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.outline import Cutting, Outline
from magpie_hf.planning.reuse import reuse_of
from magpie_hf.problems.concepts import concepts_of, heads
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.run.local import shard_summary
from magpie_hf.run.status import status
from magpie_hf.scorers.judge import Judge
from magpie_hf.selection.hardened import without_round
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import Batch, Stage
from magpie_hf.stages.adopt import NOT_HARDER, ConfirmHarder, sampled_id
from magpie_hf.stages.again import Again
from magpie_hf.stages.step import Step

Row = dict[str, Any]
BAND = (0.1, 0.8)
TEXTS = [text for number in range(400) if not asks_for_proof(text := problem(number))]
EASY, HARDER, HARDEST = TEXTS[:66], TEXTS[100:166], TEXTS[200:266]
MEDIUM = TEXTS[300:308]  # inside the band as they are
NOT_ANSWERED = ("no_label", "not_alone", "unsolvable", "contains_solution")
NOWHERE = ("I see no way.", "It is hard.\n<problem>\n\n</problem>")


def of_row(kind: str, fault: str, at: int) -> str:
    """A fault for the problem of a row; one that repeats its problem repeats that one."""
    return ("", "Problem: ")[at % 2] + EASY[at] if kind == "the same problem" else fault


PLANTED = [(kind, fault, left_to(fault, reason)) for kind, of in FAULTS.items() for fault, reason in of]
FAULT = {EASY[at]: of_row(kind, fault, at) for at, (kind, fault, _) in enumerate(PLANTED)}
READ = {fault: kind for kind, fault, reason in PLANTED if reason is None}  # those that rules let pass
GIVES = {
    **FAULT,
    **{text: NOWHERE[at % 2] for at, text in enumerate(EASY[30:32])},
    **dict(zip(EASY[32:], HARDER[32:], strict=True)),
    **dict(zip(HARDER[32:], HARDEST[32:], strict=True)),
}


def rate_of(text: str) -> float:
    """The probability with which the scripted model passes a problem: of each third harder one it is 1."""
    if text in EASY or (text in HARDER and HARDER.index(text) % 3 == 0):
        return 1.0
    return 0.45


@cache
def said_in(model: Model, prompt: tuple[int, ...]) -> str:
    """The problem that a prompt asks about."""
    text = chat_of(model).tokenizer.decode(list(prompt))
    known = (*EASY, *HARDER, *HARDEST, *MEDIUM, *READ)
    found = [(text.rfind(one), len(one), one) for one in known if one in text]
    return max(found)[2] if found else ""


@dataclass
class Solver(Answers):
    """All candidates give the problem's answer."""

    cut_every: int = 0

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        if sampling.temperature != CANDIDATES:
            return made
        label = number_of(said_in(self.model, tuple(prompt))) % 1000
        return replace(made, text=f"So \\boxed{{{label}}}.")


@dataclass
class Passing(Answers):
    cut_every: int = 0

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        text = said_in(self.model, tuple(prompt))
        label = number_of(text) % 1000
        right = number_of(text, seed) < rate_of(text) * 2**48
        return replace(made, text=f"So \\boxed{{{label if right else label + 1}}}.")


@dataclass
class Tagger(Answers):
    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        kind = READ.get(said_in(self.model, tuple(prompt)), "")
        faults = {
            "two questions": {"complete": "no"},
            "unsolvable": {"solvability": "underdetermined"},
            "no answer": {"kind": "essay"},
            "solution inside": {"solution": "begun"},
        }
        return replace(made, text=labels("algebra", **faults.get(kind, {})))


@dataclass
class Hardener(Answers):
    cut_every: int = 0

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        given = GIVES[said_in(self.model, tuple(prompt))]
        text = given if given in NOWHERE else f"It needs more.\n<problem>\n{given}\n</problem>"
        return replace(made, text=text)


@dataclass
class Cast:
    """The scripted models of a build."""

    solver: Solver
    passing: Passing
    tagger: Tagger
    hardener: Hardener

    @staticmethod
    def of(model: Model) -> Cast:
        made = {
            kind: kind(replace(model, name=f"other/{kind.__name__.lower()}"))
            for kind in (Passing, Tagger, Hardener)
        }
        return Cast(Solver(model), *made.values())  # type: ignore[arg-type]

    @property
    def asked(self) -> list[tuple[str, float, int]]:
        every = (self.solver, self.passing, self.tagger, self.hardener)
        return [
            (one.model.name, sampling.temperature, seed) for one in every for sampling, seed in one.requests
        ]

    def recipe(self, source: Path, count: int, rounds: int = 2, **more: Any) -> Recipe:
        """A recipe of given problems, whose source knows an answer to each."""
        problems = [*EASY[:30], *MEDIUM[:2], *EASY[30:], *MEDIUM[2:]]
        if not source.exists():
            lines = [json.dumps({"problem": text, "answer": "4711"}) for text in problems]
            source.write_text("\n".join(lines))
        engine = FakeEngine(self.solver.model, self.solver)
        return Recipe(
            engine,
            engine,
            Judge(engine),
            (small_domain(own_domain("algebra", count), count),),
            3,
            held_out=HeldOut(0),
            auto_extend=0,
            problems=OwnProblems(str(source), answer="answer", licence="mit"),
            tagger=FakeEngine(self.tagger.model, self.tagger),
            pass_model=FakeEngine(self.passing.model, self.passing),
            acceptance=Acceptance(pass_rate=BAND, min_yield=0),
            harden=rounds,
            hardener=FakeEngine(self.hardener.model, self.hardener),
            **more,
        )


@pytest.fixture
def cast(demo_model: Path) -> Cast:
    return Cast.of(resolve(str(demo_model)))


def dropped_in(out: Path) -> list[Row]:
    return pq.read_table(out / "run" / "dropped" / "algebra").to_pylist()


def test_harder_problems_take_the_place_of_easy_ones(cast: Cast, tmp_path: Path) -> None:
    out, lines = tmp_path / "out", list[str]()
    recipe = cast.recipe(tmp_path / "mine.jsonl", 20, rl_majority_share=0.5)
    data = build(recipe, out, shard_rows=30, say=lines.append)
    rows, gone = rows_of(data), dropped_in(out)
    assert len(rows) == 20
    rounds = Counter(row["round"] for row in rows.values())
    assert {*rounds} == {None, 1, 2}
    before = {**dict(zip(HARDER, EASY, strict=True)), **dict(zip(HARDEST, HARDER, strict=True))}
    for name, row in rows.items():
        assert BAND[0] <= row["pass_rate"] <= BAND[1]
        if row["round"] is None:
            assert (row["parent"], row["pass_rate_before"]) == (None, None)
            assert row["problem"] in MEDIUM
            assert row["reference_answer"] == "4711"
            continue
        assert row["parent"] == before[row["problem"]]
        assert row["problem"] in (HARDER, HARDEST)[row["round"] - 1]
        assert name.endswith(f"-h{row['round']}")
        assert row["pass_rate_before"] - row["pass_rate"] >= 0.25
        assert row["majority_answer"] == str(number_of(row["problem"]) % 1000), "its own answers"
        assert row["reference_answer"] is None, "the source answers the problem before"
        assert row["language"] == "en"
    for split in (data["algebra"]["train_sft"], data["algebra_rl"]["train"]):
        assert {(one["id"], one["round"], one["parent"]) for one in split} <= {
            (row["id"], row["round"], row["parent"]) for row in rows.values()
        }
    sft = data["algebra"]["train_sft"].to_list()
    makers = {bool(row["round"]): row["generation"]["problem_model"] for row in sft}
    assert makers == {False: None, True: cast.hardener.model.name}
    count = chat_of(cast.solver.model).tokenizer
    assert all(
        row["problem_tokens"] == len(count(row["problem"], add_special_tokens=False)["input_ids"])
        for row in sft
    )

    for row in gone:
        assert (row["pass_rate"] is None) == (row["reason"] in NOT_ANSWERED), row
        assert row["reason"] != "too_easy" or row["pass_rate"] > BAND[1]
    records = json.loads(next(out.glob("*_algebra_ins.json")).read_text())
    assert {record["id"] for record in records} == {*rows}
    for record in records:
        made = record["gen_input_configs"]["input_generator"]
        assert (made == cast.hardener.model.name) == bool(rows[record["id"]]["round"])
        assert record["raw_instruction"] == record["instruction"]

    # all 30 faults are dropped, by rules or by what the tagger says
    planted = {sampled_id(row["id"]): row for row in gone if (row["parent"] or row["problem"]) in FAULT}
    assert len(planted) == 30
    by_tagger = {"two questions": "not_alone", "unsolvable": "unsolvable", "no answer": "no_label"}
    by_tagger["solution inside"] = "contains_solution"
    for row in planted.values():
        expected = by_tagger[READ[row["problem"]]] if row["problem"] in READ else "too_easy"
        assert (row["reason"], row["round"]) == (expected, 1 if row["problem"] in READ else None), row

    # what came of them, as rows say
    found = status(out).hardened["algebra"]
    seen = [*rows.values(), *gone]
    made = sum(row["round"] or 0 for row in seen)
    refused = Counter(reason for _, _, reason in PLANTED if reason)
    assert {reason: found.reasons[reason] for reason in refused} == refused
    assert found.reasons["no_problem"] == 2
    assert (found.made, found.accepted) == (made, rounds[1] + rounds[2])
    assert found.asked == made + sum(found.reasons.values())
    assert found.dropped == Counter(row["reason"] for row in gone if row["round"])
    assert cast.hardener.asked() >= found.asked
    stages = [one for one in status(out).stages if without_round(one.label) != one.label]
    assert {one.label for one in stages} >= {"harden_round1", "tag_round2", "candidates_round2"}
    assert 0 < found.tokens < sum(one.tokens for one in stages), "some were answered ahead of the last one"
    asked = next(one for one in stages if one.label == "harden_round1")
    assert asked.reasons.get("same_problem") == 6
    line = found.line()
    assert line in " ".join(lines)
    assert line in "\n".join(status(out).lines())
    contents = Folder(out).contents(out.glob("*/*"))
    for language, words in (("en", "made a harder problem of each one"), ("ja", "難しい問題に書き換え")):
        text = card.files(contents, "a/b", language=language)["README.md"].decode()
        assert words in text
        assert f"| {found.asked:,} | {found.made:,} |" in text
        assert f"{found.tokens:,}" in text
    said = yaml.safe_load((out / "recipe.yaml").read_text())["difficulty"]
    assert (said["harden"], said["harden_model"]) == (2, said["pass_model"])  # by their folder, which is one

    asked_then = len(cast.asked)
    again = build(recipe, out, shard_rows=31)
    assert (rows_of(again), len(cast.asked)) == (rows, asked_then), "nothing is asked again"


@pytest.mark.scale
def test_harder_problems_do_not_depend_on_shards(cast: Cast, tmp_path: Path) -> None:
    source = tmp_path / "mine.jsonl"
    rows = rows_of(build(cast.recipe(source, 20), tmp_path / "out"))
    other = Cast.of(cast.solver.model)
    fewer = build(other.recipe(source, 9), tmp_path / "other", shard_rows=4, shards_in_flight=2)
    assert list(rows_of(fewer).values()) == list(rows.values())[:9]
    more = build(other.recipe(source, 20), tmp_path / "other", shard_rows=17)
    assert rows_of(more) == rows
    easier = build(other.recipe(source, 9, rounds=1), tmp_path / "other", shard_rows=40)
    assert {row["round"] for row in rows_of(easier).values()} == {None, 1}
    assert len({*other.asked}) == len({*cast.asked}), "a round more or less asks for nothing else"


@dataclass(frozen=True)
class Length(Stage):
    """A stage of one's own, which counts its calls a row."""

    name: ClassVar[str] = "length"
    reads: ClassVar[tuple[str, ...]] = ("problem",)

    @property
    def adds(self) -> Features:
        return Features({"length": Value("int32")})

    def run(self, batch: Batch) -> Batch:
        return {"length": [len(text) for text in batch["problem"]]}


def test_a_stage_runs_again_over_adopted_rows_alone(cast: Cast, tmp_path: Path) -> None:
    stage = Again(Length(), 2)
    batch = {
        "problem": ["a", "bb", "ccc", "dddd"],
        "length": [10, None, 30, 40],
        "round": [None, 2, 2, 1],
        "dropped": ["chat", None, "unsolvable", None],
    }
    made = stage(batch)
    assert made["length"] == [10, 2, None, 40], "one that was dropped in its round has nothing"
    assert stage.label == "length_round2"
    assert {*stage.reads} == {"problem", "length", "round"}
    assert stage.counted(batch, {"length": made["length"]}) == {"length": [2, None]}
    assert shard_summary({"tags": [{"num_tokens": 3, "reason": None}]})["tokens"] == 3
    step = Step(Length(), "clean", ("sft",), {"length": "characters of the problem"})
    recipe = cast.recipe(tmp_path / "mine.jsonl", 8, rounds=1, steps=(step,), objections=True)
    data = build(recipe, tmp_path / "out", shard_rows=60)
    rows = data["algebra"]["train_sft"].to_list()
    assert {row["round"] for row in rows} == {None, 1}
    assert all(row["length"] == len(row["problem"]) for row in rows)


def test_a_harder_problem_counts_where_it_is_much_harder() -> None:
    rows = [
        (1, 0.75, 1.0, 1.0, None),
        (1, 0.8, 1.0, 1.0, NOT_HARDER),
        (2, 0.5, 1.0, 0.5, None),
        (2, 0.5, 1.0, 0.4, NOT_HARDER),
        (1, 0.5, 0.875, None, NOT_HARDER),
        (1, 0.9, 1.0, 1.0, None),  # for the selection: too easy
        (1, 0.0, 1.0, 0.4, None),  # too hard
        (1, None, 1.0, None, None),  # no label
        (None, 0.75, None, 1.0, None),
        (1, 0.65, 0.9, 1.0, None),  # in floats they are nearer
    ]
    stage = ConfirmHarder(BAND)
    columns = ("round", "pass_rate", "pass_rate_before", "majority_share")
    batch: Batch = {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    assert stage({**batch, "dropped": [None] * len(rows)})["dropped"] == [row[4] for row in rows]


def test_each_domain_has_concepts() -> None:
    assert {*heads()} == {"algebra", "calculus", "geometry", "statistics", "number_theory", "discrete"}
    assert concepts_of("discrete", [])[0] == "Counting and generating functions"
    assert concepts_of("discrete", ["20D Finite groups", None, "my own", "my own"]) == (
        "Finite groups",
        "my own",
    )
    own = ["15 puzzle", "10D lattices", "3D geometry", "15-16 year olds"]
    assert concepts_of("discrete", own) == tuple(own), "none of these begins with a code"
    assert concepts_of("discrete", ["11-XX Number theory", "15A03 Bases"]) == ("Number theory", "Bases")
    assert len(concepts_of("knots", [])) == len({one for of in heads().values() for one in of}) == 96


def test_what_cannot_be_made_harder_is_refused(cast: Cast, tmp_path: Path) -> None:
    recipe = cast.recipe(tmp_path / "mine.jsonl", 8)
    for more, message in (
        ({"harden": 3}, "harden is 3; give 0"),
        ({"harden": True}, "harden is True; give 0"),
        ({"harden": 0}, "no problem is made harder; give --harden 1, too"),
        ({"acceptance": Acceptance()}, "with an upper bound below 1"),
        ({"acceptance": Acceptance(pass_rate=(0.5, 1.0))}, "with an upper bound below 1"),
    ):
        with pytest.raises(BadInput, match=message):
            replace(recipe, **more)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no model measures pass rates; give --pass-model, too"):
        replace(recipe, pass_model=None, acceptance=Acceptance())


def test_the_command_line_says_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = ["build", "--model", "a/b", "--out", str(tmp_path / "out")]
    measured = ["--pass-model", "a/c"]
    for more, message in (
        (["--harden", "1"], "--harden is given, and no model measures pass rates; give --pass-model, too"),
        (["--harden", "1", *measured], "give --pass-rate with an upper bound below 1, as in 0.1:0.8"),
        (["--harden", "1", *measured, "--pass-rate", "0:1"], "none lies above this one"),
        (["--harden", "4", *measured, "--pass-rate", "0:0.5"], "harden is 4; give 0 (never), 1 or 2 rounds"),
        (["--harden-model", "a/d"], "no problem is made harder; give --harden 1, too"),
    ):
        assert main([*given, *more]) == BAD_INPUT
        said = capsys.readouterr().err.strip()
        assert message in said
        assert "\n" not in said


def test_a_plan_counts_the_rounds(
    demo_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = ["--model", str(demo_model), "--pass-model", str(demo_model), "--pass-rate", "0.1:0.8"]
    given = ["plan", *model, "--domains", "algebra", "--count", "200", "--out", str(tmp_path), "--json"]

    def planned(*more: str) -> dict[str, Any]:
        assert main([*given, *more]) == OK
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    plain, harder = planned(), planned("--harden", "2")
    assert plain["rows"][0]["samples"][1] > harder["rows"][0]["samples"][1], "some of the easy ones count"
    asked = [{one["stage"]: one["requests"][1] for one in plan["stages"]} for plan in (plain, harder)]
    assert "harden" not in asked[0]
    assert 0 < asked[1]["harden"] < asked[1]["instruct"]
    each = [one["candidates"] / one["instruct"] for one in asked]
    assert each[1] > each[0], "a row is answered more than once"
    assert plain["disk"]["run"] < harder["disk"]["run"]


def test_a_plan_tells_another_way_of_making_problems_harder(cast: Cast, tmp_path: Path) -> None:
    """Another model, other topics and another band of a finished folder, and the same in other shards."""
    out, roles = tmp_path / "out", dict.fromkeys(("model", "solver", "judge"), cast.solver.model.name)
    recipe = cast.recipe(tmp_path / "mine.jsonl", 8, rounds=1)
    build(recipe, out)
    build(recipe, tmp_path / "other", shard_rows=9)
    cards = [(folder / "README.md").read_text() for folder in (out, tmp_path / "other")]
    assert cards[0] == cards[1], "tokens of the rounds are those of the rows, and of no whole shards"
    roles |= {"pass": cast.passing.model.name, "tagger": cast.tagger.model.name}
    roles |= {"hardener": cast.hardener.model.name}
    cut = (3, 0, False, 0.0, False, Cutting(), "best", 0)
    outline = Outline(recipe.domains, roles, *cut, given=True, band=BAND, harden=1)

    def kept(**more: Any) -> tuple[dict[str, str], bool, int]:
        found = reuse_of(replace(outline, **more), out)
        whys = {one.stage: one.why for one in found.stages if one.why}
        return whys, bool(found.selected), sum(one.asked for one in found.stages if one.stage == "candidates")

    assert kept() == ({}, True, 0)
    anew = dict.fromkeys(("tag", "candidates", "pass_rate"), "harder problems are made anew")
    whys, selected, asked = kept(sources={**roles, "hardener": "other/model"})
    assert whys == {**anew, "harden": "model hardener → model"}
    assert not selected
    assert asked > 0
    domain = with_topics(recipe.domains[0], [Topic("Rings")])
    assert kept(domains=(domain,))[:2] == ({**anew, "harden": "other concepts"}, False)
    assert kept(harden=2)[:2] == (anew, False)
    whys, selected, _ = kept(band=(0.2, 0.8))
    assert whys == {"pass_rate": "pass-rate 0.1:0.8 → 0.2:0.8: the samples are filtered anew"}
    assert not selected


KILLED = """
import os, random, signal, sys, threading
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from conftest import resolve
from test_harden_build import Cast, build

class Kills:
    left, lock = 0, threading.Lock()

    def __call__(self, prompt, sampling, seed):
        with Kills.lock:
            Kills.left -= 1
            if Kills.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            said = super().__call__(prompt, sampling, seed)
            with open(sys.argv[4], "a") as log:
                log.write(f"{type(self).__name__} {seed} {list(prompt)} {sampling.temperature}\\n")
        return said

dice = random.Random(5)
for _ in range(10):
    Kills.left, rows = dice.randrange(10, 260), dice.choice((3, 8, 21, 64))
    if (child := os.fork()) == 0:
        cast = Cast.of(resolve(sys.argv[2]))
        for role in ("solver", "passing", "tagger", "hardener"):
            one = getattr(cast, role)
            kind = type(type(one).__name__, (Kills, type(one)), {})
            setattr(cast, role, kind(one.model))
        build(cast.recipe(Path("mine.jsonl"), 20), Path(sys.argv[3]), shard_rows=rows, shards_in_flight=1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.scale
def test_a_build_that_is_killed_asks_nothing_twice(cast: Cast, tmp_path: Path) -> None:
    """Ten builds that are killed at random requests, in every model's turn, and go on in other shards."""
    log, source = tmp_path / "log", tmp_path / "mine.jsonl"
    words = [str(Path(__file__).parent), str(cast.solver.model.path), str(tmp_path / "out"), str(log)]
    command = [sys.executable, "-c", KILLED, *words]
    cast.recipe(source, 20)
    done = subprocess.run(command, cwd=tmp_path, timeout=500, check=True, capture_output=True, text=True)
    assert str(-signal.SIGKILL) in done.stdout.split()
    assert {*done.stdout.split()} <= {"0", str(-signal.SIGKILL)}
    asked = log.read_text().split("\n")[:-1]
    twice = [one for one, count in Counter(asked).items() if count > 1]
    # An answer is kept once it is in the journal, which the last one before a kill may not be
    assert len(twice) <= 10, twice
    rest = Cast.of(cast.solver.model)
    resumed = build(rest.recipe(source, 20), tmp_path / "out", shard_rows=11)
    whole = build(cast.recipe(source, 20), tmp_path / "whole")
    assert list(rows_of(resumed).values()) == list(rows_of(whole).values())
    assert len(rest.asked) < len(cast.asked)


@pytest.mark.vllm
def test_a_real_model_makes_them_harder(tiny_model: Path, tmp_path: Path) -> None:
    """The tiny model writes no problem in marks, so every call says why there is none."""
    bounds = ["--max-tokens", "128", "--pass-rate", "0:0.4", "--harden", "2"]
    rows = measured_by_itself(tiny_model, tmp_path, *bounds)
    assert {"parent", "round", "pass_rate_before"} <= {*rows[0]}
    stages = {one.label: one for one in status(tmp_path / "out").stages}
    assert {"harden_round1", "candidates_round1", "pass_rate_round2", "confirm_harder"} <= {*stages}
    found = status(tmp_path / "out").hardened["algebra"]
    assert found.asked == found.made + sum(found.reasons.values())
