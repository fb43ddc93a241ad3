"""Calibration: a scripted solver whose labels' precision is known, on problems with known answers."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
import sympy

from conftest import FAST, Answers, is_trial, small_domain, small_recipe
from magpie_hf.building.build import build
from magpie_hf.cli.commands.assembly import check_rules
from magpie_hf.cli.commands.calibrate import EFFECTIVE, _as_build, _recipe, calibrated
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.commands.options import domains
from magpie_hf.cli.commands.recipe_files import with_recipe
from magpie_hf.cli.main import main, parser
from magpie_hf.domains import own_domain
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.hub.publish import publish_to_folder
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.loading import load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.report.finding import finished
from magpie_hf.review.calibration.measuring import SHARES as LEVELS
from magpie_hf.review.calibration.measuring import measured, outcome
from magpie_hf.review.calibration.record import calibration_of, summary_of
from magpie_hf.review.calibration.source import KnownAnswers, of_families, of_set
from magpie_hf.review.calibration.values import value_of
from magpie_hf.run.status import status
from magpie_hf.scorers.even import Even
from magpie_hf.stages.pair import Pair
from magpie_hf.stages.refer import Refer
from magpie_hf.stages.solving import ByLanguage
from magpie_hf.stages.verify import Verify

K = 5
# The chance of each final answer: the right one, one that wrong ways often lead to, and three rarer ones.
SHARES = (0.5, 0.3, 0.1, 0.06, 0.04)
WRONG = ("100003", "100019", "100043", "100049")


class Scripted:
    """Answers the problems of the families with the chances of SHARES, each answer from its own seed."""

    def __init__(self, model: Model, source: KnownAnswers, log: Path | None = None, most: int = -1) -> None:
        self.model, self.asked, self.log, self.most = model, Counter[int](), log, most
        chat = chat_of(model)
        prompts = chat.closed_prompts(chat.solving_prompt(one) for one in source.known)
        self.known = {tuple(ids): one for ids, one in zip(prompts, source.known.values(), strict=True)}

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> str:
        if is_trial(self.model, prompt):
            return "It is \\boxed{1}."
        self.asked[seed] += 1
        if self.log is not None:
            if self.asked.total() > self.most:
                signal.raise_signal(signal.SIGKILL)
            with self.log.open("a") as log:
                log.write(f"{seed}\n")
        answer = self.known[tuple(prompt)].answer
        chance = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:6], "big") / 2**48
        for share, said in zip(SHARES, (answer, *WRONG), strict=True):
            if (chance := chance - share) < 0:
                return f"Therefore the answer is $\\boxed{{{said}}}$."
        return "Therefore the answer is $\\boxed{100049}$."


def recipe(model: Model, source: KnownAnswers, reply: Any, count: int, k: int = K) -> Recipe:
    own = OwnProblems(source.place, answer=source.answer, domain=source.domain, as_given=True)
    engine = FakeEngine(model, reply)
    domains = tuple(
        small_domain(own_domain(str(key), count), count) for key, count in load(own).domains.items()
    )
    return Recipe(engine, engine, Even(), domains, k, held_out=HeldOut(0), auto_extend=0, problems=own)


def truth(least: float, is_checked: bool = False) -> tuple[float, float]:
    """Precision of labels from this majority share on, and their share of all problems, by enumeration.

    is_checked: of those with which a checker with the same chances agrees, at once or by two more answers.
    """
    labels = right = 0.0
    for votes in product(range(len(SHARES)), repeat=K):
        (best, size), *rest = Counter(votes).most_common()
        if size < 2 or (rest and rest[0][1] == size) or size / K < least:
            continue
        chance = prod(SHARES[vote] for vote in votes)
        if is_checked:
            chance *= SHARES[best] + (1 - SHARES[best]) * SHARES[best] ** 2
        labels += chance
        right += chance * (best == 0)
    return right / labels, right


def test_the_precision_found_is_the_truth_at_five_levels(demo_model: Path, tmp_path: Path) -> None:
    model, count = resolve(str(demo_model)), 120
    source = of_families(tmp_path, count, 0, (), (1, 2, 3))
    solver = Scripted(model, source)
    checker = Scripted(replace(model, name="other/checker"), source)
    checked = replace(
        recipe(model, source, solver, count), checker=FakeEngine(checker.model, checker), pairs_checked=True
    )
    record = calibrated(checked, tmp_path / "out", source, {"seed": 0})
    assert record["problems"] == count
    assert len(solver.asked) == K * count
    for one in (one for one in record["levels"] if one["opinions"] == ["checked"]):
        for value, name in zip(truth(one["majority_share"], True), ("precision", "found"), strict=True):
            low, high = one[f"{name}_interval"]
            assert low <= value <= high, one
    assert truth(0.5, True)[0] > truth(0.5)[0] + 0.09, "a checker raises it"
    levels = [one for one in record["levels"] if not one["opinions"]]
    assert [one["majority_share"] for one in levels] == list(LEVELS)
    for one in levels:
        precision, found = truth(one["majority_share"])
        low, high = one["precision_interval"]
        assert low <= precision <= high, one
        low, high = one["found_interval"]
        assert low <= found <= high, one
    assert levels[0]["precision"] < levels[3]["precision"] < 1
    assert record["reader"]["misread"] == record["reader"]["mistaken"] == 0
    assert record["reader"]["complete"] == K * count
    assert {
        group: sum(one["problems"] for one in parts.values()) for group, parts in record["groups"].items()
    } == {"domain": count, "family": count, "level": count}
    assert record["pairs"]["correctness"] > record["pairs"]["chosen_right"] > 0


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from magpie_hf.cli.commands.calibrate import EFFECTIVE, _as_build, calibrated
from magpie_hf.models.model import resolve
from magpie_hf.review.calibration.source import of_families
from test_calibrate import Scripted, recipe

model, scratch, most = resolve(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
source = of_families(scratch, 24, 0, ("algebra", "discrete"), (1, 2))
solver = Scripted(model, source, scratch / "asked", most)
calibrated(recipe(model, source, solver, 24), scratch / "out", source, {"seed": 0})
"""


@pytest.mark.scale
def test_a_calibration_that_was_killed_goes_on_and_more_problems_ask_for_more_alone(
    demo_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(demo_model), str(tmp_path), "60"]
    assert subprocess.run(command, timeout=200, check=False).returncode == -signal.SIGKILL
    model, domains = resolve(str(demo_model)), ("algebra", "discrete")
    source, out = of_families(tmp_path, 24, 0, domains, (1, 2)), tmp_path / "out"
    assert not (out / "run" / "calibration.json").exists()

    solver = Scripted(model, source)
    record = calibrated(recipe(model, source, solver, 24), out, source, {"seed": 0})
    before = Counter(map(int, (tmp_path / "asked").read_text().split()))
    assert set(before | solver.asked) == set(solver.asked) | set(before)
    assert len(before | solver.asked) == K * 24
    assert sum((before & solver.asked).values()) < 60, "some of what was finished is not asked again"

    whole = of_families(tmp_path, 24, 0, domains, (1, 2))
    fresh = calibrated(
        recipe(model, whole, Scripted(model, whole), 24), tmp_path / "fresh", whole, {"seed": 0}
    )
    assert record == fresh

    more = of_families(tmp_path, 30, 0, domains, (1, 2))
    solver = Scripted(model, more)
    assert calibrated(recipe(model, more, solver, 30), out, more, {"seed": 0})["problems"] == 30
    assert solver.asked.total() == K * 6


def test_a_build_by_the_same_solver_states_the_calibration_in_its_card(
    demo_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, count = resolve(str(demo_model)), 24
    source, out = of_families(tmp_path, count, 0, ("discrete",), (1,)), tmp_path / "build"
    build_of = recipe(model, source, Scripted(model, source), count)
    name = f"{model.name}@{model.revision}"
    record = calibrated(build_of, tmp_path / "calibration", source, {"seed": 0})
    assert calibration_of(tmp_path / "calibration", name, build_of.votes) == record
    some = next(one for one in record["levels"] if one["majority_share"] == 0.5)
    low, high = some["precision_interval"]
    said = f"**{some['precision']:.0%}** ({low * 100:.0f} to {high * 100:.0f})".replace("%", " %")

    build(build_of, out, calibration=record)
    card = " ".join((out / "README.md").read_text().split())
    assert f"share of at least 0.5 were right in {said} of {some['labels']} cases" in card
    assert f"answered {count} problems with known answers" in card
    build(build_of, out)
    assert "problems with known answers" in (out / "README.md").read_text().replace("\n", " "), "kept"

    hotter = replace(build_of.domains[0], candidate=replace(build_of.domains[0].candidate, temperature=0.9))
    other = replace(build_of, domains=(hotter,))
    with pytest.raises(BadInput, match="of another sampling or number of answers, and says nothing"):
        calibration_of(tmp_path / "calibration", name, other.votes)
    with pytest.raises(BadInput, match="holds no finished calibration"):
        calibration_of(tmp_path / "none", name, build_of.votes)
    build(other, out)
    assert "is of another solver or sampling, so it is removed" in caplog.text
    assert "with known answers" not in (out / "README.md").read_text().replace("\n", " ")

    kept = tmp_path / "calibration" / "run" / "calibration.json"
    kept.write_text(kept.read_text().replace('"problems": 24', '"problems": 25'))
    with pytest.raises(BadInput, match="is torn; remove it, and calibrate again"):
        calibration_of(tmp_path / "calibration", name, build_of.votes)


def test_a_set_of_ones_own_takes_the_place_of_the_families(demo_model: Path, tmp_path: Path) -> None:
    model, file = resolve(str(demo_model)), tmp_path / "sums.jsonl"
    solutions = ("Two and two.\n#### 4", "Three and one is $\\boxed{4}$.", "#### 5", "7", None)
    lines = ({"question": f"What is sum {at}?", "answer": one} for at, one in enumerate(solutions))
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    source = of_set(tmp_path, f"{file}#question,answer", 9, 0)
    own = OwnProblems(source.place, source.problem, source.answer, as_given=True)
    few = [read(of_set(tmp_path, f"{file}#question,answer", 3, seed)) for seed in (0, 0, 1)]
    of_set(tmp_path, f"{file}#question,answer", 9, 0)
    assert few[0] == few[1] == read(source)[:3] != few[2], "a sample by the seed, and no first rows"
    assert {"What is sum 4?"}.isdisjoint(read(source)), "which has no answer"
    engine = FakeEngine(model, lambda *_: "It is $\\boxed{4}$.")
    domain = small_domain(own_domain("problems", 4), 4)
    asked = Recipe(engine, engine, Even(), (domain,), 3, held_out=HeldOut(0), auto_extend=0, problems=own)
    record = calibrated(asked, tmp_path / "out", source, {})
    assert (record["problems"], record["source"]["name"]) == (4, "sums.jsonl")
    assert record["source"]["revision"].startswith("sha256:")
    assert record["shares"] == [[1.0, 4, 2]]
    assert set(record["groups"]) == {"domain"}
    summary = summary_of(record, 0.5).to_card()
    assert summary is not None
    assert (summary["right"], summary["labels"], summary["source"]) == (2, 4, "sums.jsonl")

    state = status(tmp_path / "out")
    assert state.finished
    assert state.lines()[0] == f"calibration of {model.name}, seed 0, finished"
    for command in (
        lambda: publish_to_folder(tmp_path / "out", "ada/sums", tmp_path / "published", partial=True),
        lambda: finished(tmp_path / "out"),
        lambda: build(asked, tmp_path / "out"),
    ):
        with pytest.raises(BadInput, match="out holds a calibration, and no build"):
            command()
    assert calibrated(asked, tmp_path / "out", source, {}) == record


def read(source: KnownAnswers) -> list[str]:
    return [json.loads(line)[source.problem] for line in Path(source.place).read_text().splitlines()]


def row(reference: str, *texts: str) -> dict[str, Any]:
    """A row as the stages make it of these answers, by the reader's own verdicts."""
    candidates = [{"text": one, "answer_text": one, "reason": None, "num_tokens": 9} for one in texts]
    batch = {"problem": ["p"], "tags": [None], "candidates": [candidates], "solutions": [None]}
    batch |= {"reference": [reference], "scores": [[{"score": 0.0} for _ in texts]]}
    for stage in (Verify(), Refer(), Pair()):
        batch |= stage.run(batch)
    return {name: values[0] for name, values in batch.items()} | {"accepted_as": "algebra"}


def test_losses_of_the_reader_are_counted_apart() -> None:
    boxed = "It is $\\boxed{%s}$."
    found = row(
        "$\\frac{3}{4}$", boxed % "0.75", boxed % "3/4", boxed % "5", "so we get 3/4 for it, surely yes"
    )
    assert found["answers"][3] is None
    found["matches_reference"] = [True, None, True, None]  # as a reader would that errs in both ways
    found["reference_agrees"] = None
    one = outcome(found, {})
    assert one is not None
    assert (one.right, one.by_value, one.misread, one.mistaken) == (True, True, 1, 1)
    assert (one.complete, one.unread, one.unread_right) == (4, 1, 1)
    assert one.pair == (True, True)

    both = [
        replace(
            one, opinions={"checked": yes, "program_agrees": yes is not None and share > 0.5}, share=share
        )
        for share, yes in ((1.0, True), (0.5, True), (0.5, False))
    ]
    wrong = replace(both[2], right=False)
    levels = {
        (level["majority_share"], tuple(level["opinions"])): (level["labels"], level["right"])
        for level in measured([both[0], both[1], wrong], 0.5)["levels"]
    }
    assert levels[0.5, ()] == (3, 2)
    assert levels[0.5, ("checked",)] == (2, 2)
    assert levels[0.5, ("program_agrees",)] == (1, 1)
    assert levels[0.5, ("checked", "program_agrees")] == (1, 1)
    assert levels[0.6, ()] == (1, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-\\dfrac34", "-3/4"), ("x = 1{,}250", "1250"), ("2\\sqrt{5}", "2*sqrt(5)"),
        ("\\frac{e^{3}-1}{9}", "(E**3-1)/9"), ("2^{-3}", "1/8"), ("1 1/2", None), ("9^{9^{9}}", None),
        ("\\frac{1}{0}", None), ("(3, 4)", None), ("a + 1", None), ("5\\%", None), ("1/(2-2)", None),
        ("x=2, y=3", None), ("x = -2 \\text{ or } x = 3", None), ("2\\frac{1}{2}", None),
        ("x\\frac{1}{2}", None), ("答えは = 5", "5"), ("a = b = 5", None),
    ],
)  # fmt: skip
def test_simple_values_are_read_exactly_and_nothing_else(text: str, value: str | None) -> None:
    found = value_of(text)
    assert found == (None if value is None else sympy.sympify(value))


def test_the_command_line_says_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, says in (
        ([], "no solver is given; give --solver"),
        (["--solver", "6", "--count", "0"], "--count is 0; give 1 to"),
        (["--solver", "6", "--levels", "1,4"], "levels are 1,4; choose from 1, 2 and 3"),
        (["--solver", "6", "--domains", "topology"], "no problems with known answers of the domain topology"),
        (["--solver", "6", "--known", "a/b#question"], "names no two columns"),
        (["--solver", "6", "--known", str(tmp_path / "no.jsonl")], "there is no file"),
        (["--solver", "6", "--known", "a/b#q,a", "--levels", "1"], "--levels is of problems that code makes"),
        (["--solver", "6", "--problems-split", "test"], "are of a set; give --known, or leave them out"),
        (["--solver", "6", "--problems", "a/b"], "--problems is for builds"),
    ):
        assert main(["calibrate", *options, "--out", str(tmp_path / "out")]) == BAD_INPUT
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_recipe_files_folder_is_its_builds(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(f"model: {demo_model}\nrun:\n  out: data/mine\n")
    words = parser()
    line = ["calibrate", "mine.yaml"]
    file, options = with_recipe(words, line, words.parse_args(line))
    assert (options.model, options.out) == (str(demo_model), None)
    assert file.arguments({"out"}, {}) == ["--out=data/mine"]


def test_the_solvers_chat_options_are_nobody_elses(tmp_path: Path) -> None:
    given = ["--chat-option", "solver:a=1", "--chat-option", "b=2", "--chat-option", "model:c=3"]
    options = parser().parse_args(["calibrate", "--model", "6", "--solver", "1", *given])
    _as_build(options, options.solver, of_families(tmp_path, 3, 0, ["algebra"], (1,)))
    assert options.chat_option == ["solver:a=1", "b=2", "model:a=1"]


def test_what_a_build_asks_for_does_not_stop_its_calibration(answers: Answers, tmp_path: Path) -> None:
    """Its recipe may say topics, shares of languages, and pass rates; the solver is told as in the build."""
    said = ["--language", "en:0.7,ja:0.3", "--topics", "mine.yaml", "--pass-model", "5", "--pass-votes", "4"]
    options = parser().parse_args(["calibrate", "--model", "6", *said])
    _as_build(options, options.model, of_families(tmp_path, 3, 0, ["algebra"], (1,)))
    check_rules(options, domains(options))
    assert options.languages == "en,ja"
    made = partial(small_recipe, answers, "algebra")
    assert _recipe(made, options.asked_for).instruction == ByLanguage()
    assert _recipe(made, {}).instruction == SOLVING_INSTRUCTION


@pytest.mark.vllm
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_a_calibration_on_real_vllm_by_the_command_line(demo_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "magpie_hf", "calibrate", "--solver", str(demo_model), *FAST]
    command += [
        "--count",
        "4",
        "--levels",
        "1",
        "--domains",
        "discrete",
        "--k",
        "2",
        "--out",
        str(out),
    ]
    command += ["--max-tokens", "256", "--auto-extend", "0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == OK, done.stderr[-2000:]
    record = json.loads(done.stdout)
    assert record["problems"] == 4
    assert 0 < record["reader"]["complete"] <= 8
    again = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False)
    assert json.loads(again.stdout) == record


def test_the_help_shows_what_has_an_effect() -> None:
    def shown(command: str) -> set[str]:
        commands = next(one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
        return {one.dest for one in commands.choices[command]._actions if one.help != argparse.SUPPRESS}

    assert shown("build") >= EFFECTIVE
    assert shown("calibrate") - EFFECTIVE == {"known_count", "levels", "known", "json", "lang"}
    assert shown("calibrate") >= EFFECTIVE
