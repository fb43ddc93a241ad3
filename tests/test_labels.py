"""Labels in a build: what a checker and programs say of the majority, and what is published of it.

Not here: the two stages alone (test_second_opinion.py), and the sandbox (test_programs.py).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import CANDIDATES, Answers, small_recipe
from magpie_hf.answers.programs import sandbox
from magpie_hf.answers.programs.sandbox import Sandbox
from magpie_hf.building.build import build
from magpie_hf.cli.commands.assembly import check_rules
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import roles
from magpie_hf.cli.main import parser
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.inputs import outline_of
from magpie_hf.planning.loads import loads_of
from magpie_hf.planning.workload import assumed
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.writing import said_of
from magpie_hf.schema import OPINIONS
from magpie_hf.stages.objections import is_doubtful
from magpie_hf.stages.opinions import Confirm

COLUMNS = [column for columns in OPINIONS.values() for column in columns]


class Programs(Answers):
    """Programs that print one of three answers."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        said = super().__call__(prompt, sampling, seed)
        return replace(said, text=f"```python\nprint({int(seed) % 3})\n```")


class Doubts(Answers):
    """Looks at problems, of which one in two is against the problem."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        said = super().__call__(prompt, sampling, seed)
        verdict = "ill-posed" if seed % 2 else "well-posed"
        return said if said.finish_reason == "length" else replace(said, text=f"So.\nVerdict: {verdict}")


def labelled(answers: Answers, kind: type[Answers] = Answers, name: str = "checker") -> Answers:
    """The replies of another model, which has three answers to choose from, too."""
    other: Model = replace(answers.model, name=f"other/{name}")
    return kind(other, cut_every=7, salt=name, answers=3)


def recipe_of(answers: Answers, checker: Answers | None, programs: Answers | None = None) -> Recipe:
    answers.answers = 3
    engines = [None if one is None else FakeEngine(one.model, one) for one in (checker, programs)]
    recipe = small_recipe(answers, "algebra", count=12, k=5)
    return replace(recipe, rl_majority_share=0.3, checker=engines[0], programmer=engines[1])


def rows_of(datasets: Any, config: str, split: str = "train") -> list[dict[str, Any]]:
    return datasets[config][split].to_list()


def test_a_checker_marks_rows_and_keeps_unconfirmed_ones_from_rewards(
    answers: Answers, tmp_path: Path
) -> None:
    plain = build(recipe_of(answers, None), tmp_path / "out")
    checker, before = labelled(answers), len(answers.requests)
    recipe = recipe_of(answers, checker)
    checked = build(recipe, tmp_path / "out")
    assert len(answers.requests) == before, "the checker alone is asked"
    problems = {row["id"]: row for row in rows_of(checked, "candidates")}
    counts = Counter(row["checked"] for row in problems.values())
    assert counts["agrees"]
    assert counts["differs"]
    assert all((row["checked"] is None) == (row["majority_answer"] is None) for row in problems.values())
    majorities = sum(row["majority_answer"] is not None for row in problems.values())
    assert majorities <= checker.asked() <= 3 * majorities
    for split in ("train_sft", "train_prefs"):
        rows = rows_of(checked, "algebra", split)
        assert all(row["checked"] == problems[row["id"]]["checked"] for row in rows)
        bare = [{name: value for name, value in row.items() if name not in COLUMNS} for row in rows]
        assert bare == rows_of(plain, "algebra", split), "nothing else changes"
        assert "program_agrees" not in rows[0]
    rewarded = {row["id"] for row in rows_of(checked, "algebra_rl")}
    agreeing = {one for one, row in problems.items() if row["checked"] == "agrees"}
    assert rewarded == {row["id"] for row in rows_of(plain, "algebra_rl")} & agreeing
    assert {row["checked"] for row in rows_of(checked, "algebra_rl")} == {"agrees"}
    # another checker is asked alone, and the first one is not asked again when it comes back
    asked, other = checker.asked(), labelled(answers, name="coder")
    build(recipe_of(answers, other), tmp_path / "out", shard_rows=7)
    assert (len(answers.requests), checker.asked()) == (before, asked)
    assert other.asked()
    again = build(recipe, tmp_path / "out")
    assert (len(answers.requests), checker.asked()) == (before, asked)
    assert rows_of(again, "candidates") == rows_of(checked, "candidates")


def test_pairs_that_a_checker_does_not_confirm(answers: Answers, tmp_path: Path) -> None:
    recipe = recipe_of(answers, labelled(answers))
    loose = {row["id"]: row for row in rows_of(build(recipe, tmp_path / "out"), "candidates")}
    built = build(replace(recipe, pairs_checked=True), tmp_path / "out")
    lost = 0
    for row in rows_of(built, "candidates"):
        was = loose[row["id"]]
        gone = was["pair_kind"] == "correctness" and was["checked"] != "agrees"
        lost += gone
        assert row["pair_reason"] == ("unconfirmed" if gone else was["pair_reason"])
        assert (row["pair_kind"] is None) == (gone or was["pair_kind"] is None)
    assert lost
    with pytest.raises(BadInput, match="this build has neither; give --checker or"):
        replace(recipe, checker=None, pairs_checked=True)


def once_dead(answers: Answers, kind: type[Answers], most: int) -> Answers:
    """The replies of a model whose engine ends after so many."""

    class Ends(kind):  # type: ignore[valid-type, misc]
        def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
            if self.asked() >= most:
                raise EngineError("the engine died")
            return super().__call__(prompt, sampling, seed)

    return labelled(answers, Ends)


def test_a_checker_that_found_no_answer_is_not_asked_again(answers: Answers, tmp_path: Path) -> None:
    checker = labelled(answers)
    checker.answers = 0
    recipe = recipe_of(answers, checker)
    rows = rows_of(build(recipe, tmp_path / "out"), "candidates")
    assert any(row["checked"] == "none" and row["checker_answer"] is None for row in rows)
    first = list(checker.requests)
    for more in ({"k": recipe.k + 1}, {"k": recipe.k + 1, "objections": True}, {"k": recipe.k}):
        build(replace(recipe, **more), tmp_path / "out")  # type: ignore[arg-type]
        seeds = [seed for sampling, seed in checker.requests if "Problem" not in sampling.schema]
        assert len(seeds) == len(set(seeds)), more
    assert checker.requests[: len(first)] == first


ROLES = {"checker": Answers, "programs": Programs, "looks": Doubts, "rejected": Answers}


def with_role(role: str, asked: Answers, solving: Answers) -> Recipe:
    """A recipe in which this model has one of the new roles alone."""
    checker = asked if role in ("checker", "looks") else None
    recipe = recipe_of(solving, checker, asked if role == "programs" else None)
    if role == "rejected":
        recipe = replace(recipe, rejecter=FakeEngine(asked.model, asked))
    solving.answers = {"looks": 12, "rejected": 1}.get(role, 3)
    return replace(recipe, objections=role == "looks", domains=(replace(recipe.domains[0], count=9),))


@pytest.mark.parametrize("role", ROLES)
def test_an_engine_that_dies_is_asked_nothing_twice(answers: Answers, tmp_path: Path, role: str) -> None:
    if role == "programs" and not has_sandbox():
        pytest.skip("this machine has no sandbox")
    dying = once_dead(answers, ROLES[role], 7)
    with pytest.raises(EngineError):
        build(with_role(role, dying, answers), tmp_path / "out", shard_rows=3, shards_in_flight=1)
    scored = any(sampling.logprobs for sampling, _ in answers.requests)
    assert scored == (role == "rejected"), "a smaller model alone is asked behind the scores"
    rest = labelled(answers, ROLES[role])
    resumed = build(with_role(role, rest, answers), tmp_path / "out", shard_rows=5)
    seeds = [seed for one in (dying, rest) for _, seed in one.requests]
    assert len(set(seeds)) == len(seeds), "nothing is asked twice"
    assert dying.asked() == 7
    whole = labelled(answers, ROLES[role])
    at_once = build(with_role(role, whole, Answers(answers.model)), tmp_path / "whole")
    assert rows_of(resumed, "candidates") == rows_of(at_once, "candidates")
    assert len(seeds) == whole.asked()


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Answers, resolve
from test_labels import ROLES, build, labelled, with_role

role, model, out, log = sys.argv[2:]


class Killed(ROLES[role]):
    def __call__(self, prompt, sampling, seed):
        said = super().__call__(prompt, sampling, seed)
        if self.asked() > 7:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(log, "a") as file:
            file.write(f"{seed}\\n")
        return said


answers = Answers(resolve(model))
build(with_role(role, labelled(answers, Killed), answers), Path(out), shard_rows=3, shards_in_flight=1)
"""


@pytest.mark.scale
@pytest.mark.parametrize("role", ROLES)
def test_a_build_that_is_killed_asks_nothing_twice(
    answers: Answers, demo_model: Path, tmp_path: Path, role: str
) -> None:
    if role == "programs" and not has_sandbox():
        pytest.skip("this machine has no sandbox")
    log = tmp_path / "log"
    words = [str(Path(__file__).parent), role, str(demo_model), str(tmp_path / "out"), str(log)]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    rest = labelled(answers, ROLES[role])
    build(with_role(role, rest, answers), tmp_path / "out", shard_rows=5)
    assert not answers.asked(CANDIDATES)
    before = set(map(int, log.read_text().split()))
    assert len(before) == 7
    assert not before & {seed for _, seed in rest.requests}


def has_sandbox() -> bool:
    try:
        Sandbox.found()
    except BadInput:
        return False
    return True


def test_programs_have_a_say(answers: Answers, tmp_path: Path) -> None:
    if not has_sandbox():
        pytest.skip("this machine has no sandbox")
    programs = labelled(answers, Programs, "coder")
    recipe = recipe_of(answers, labelled(answers), programs)
    recipe = replace(recipe, domains=(replace(recipe.domains[0], count=8),))
    built = build(recipe, tmp_path / "out", shard_rows=5)
    problems = {row["id"]: row for row in rows_of(built, "candidates")}
    counts = Counter(row["program_agrees"] for row in problems.values())
    assert counts["differs"]
    assert programs.asked() == 2 * sum(row["majority_answer"] is not None for row in problems.values())
    rewarded = {row["id"] for row in rows_of(built, "algebra_rl")}
    for one, row in problems.items():
        if row["program_agrees"] == "agrees":
            assert row["program_answer"] == row["majority_answer"]
        said = (row["checked"], row["program_agrees"])
        assert (one in rewarded) == (said[0] == "agrees" and said[1] != "differs")
    asked = programs.asked()
    build(recipe, tmp_path / "out")
    assert programs.asked() == asked

    text = (tmp_path / "out" / "README.md").read_text()
    majorities = sum(row["majority_answer"] is not None for row in problems.values())
    voting = sum(row["answer_kind"] in ("answer", "none") for row in problems.values())
    said = f"| `algebra` | the votes | {voting} | {majorities} ({majorities / voting:.1%}) | — |"
    assert said in text
    for who, column in (("the checker", "checked"), ("programs", "program_agrees")):
        counts = Counter(row[column] for row in problems.values())
        cells = [f"{counts[one]} ({counts[one] / majorities:.1%})" for one in ("agrees", "differs", "none")]
        assert " | ".join([f"| `algebra` | {who}", str(majorities), *cells]) in text
    assert "A majority is what one solver says most of the time, and no proof." in text
    words = " ".join(text.split())
    assert "other/checker answered the problems" in words
    assert "other/coder wrote two programs" in words
    assert "verified" not in words.partition("A majority is what one")[2].partition("A pair holds")[0]
    shown = subprocess.run(
        [sys.executable, "-m", "magpie_hf", "show", str(tmp_path / "out"), "-n", "1"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert re.search(r"^ *checker: (agrees|differs)|^ *programs: ", shown, re.MULTILINE), shown


def test_without_a_sandbox_nothing_is_begun(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_of_the_extra", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    Sandbox.found.cache_clear()
    programs = labelled(answers, Programs, "coder")
    with pytest.raises(BadInput, match="this machine has no bubblewrap; install it"):
        build(recipe_of(answers, None, programs), tmp_path / "out")
    assert not answers.requests
    assert not (tmp_path / "out").exists()
    Sandbox.found.cache_clear()


def test_doubtful_problems_are_looked_at_again(answers: Answers, tmp_path: Path) -> None:
    recipe = recipe_of(answers, None)
    answers.answers = 12
    plain = build(recipe, tmp_path / "out")
    looks, before = labelled(answers, Doubts), len(answers.requests)
    looker = FakeEngine(looks.model, looks)
    recipe = replace(recipe, tagger=None, checker=looker, objections=True)
    seen = build(recipe, tmp_path / "out", shard_rows=5)
    assert len(answers.requests) == before, "the checker alone is asked"
    was = {row["id"]: row for row in rows_of(plain, "candidates")}
    now = {row["id"]: row for row in rows_of(seen, "candidates")}
    doubtful = {
        one
        for one, row in was.items()
        if row["answer_kind"] in ("answer", "none") and row["majority_answer"] is None
    }
    assert doubtful
    assert all((row["objections"] is None) == (one not in doubtful) for one, row in now.items())
    gone = was.keys() - now.keys()
    assert gone
    assert gone < doubtful
    assert all(row["objections"] < 2 for row in now.values() if row["objections"] is not None)
    for split in ("train_sft", "train_prefs"):
        ids = [row["id"] for row in rows_of(plain, "algebra", split) if row["id"] not in gone]
        assert [row["id"] for row in rows_of(seen, "algebra", split)] == ids
    dropped = json.loads((tmp_path / "out" / "run" / "samples.json").read_text())["algebra"]["dropped"]
    assert dropped["ill_posed"] == len(gone), "and counted"
    words = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "other/checker looked three times at each problem" in words
    assert f"| `ill_posed` | is called ill-posed by two of three looks | {len(gone)} |" in words
    asked = looks.asked()
    assert asked >= 3 * len(doubtful)
    build(recipe, tmp_path / "out")
    assert (looks.asked(), len(answers.requests)) == (asked, before)


def test_what_confirms_a_label() -> None:
    rows = [  # checked, program_agrees, the kind of the pair, the reference, whether the pair stays
        ("agrees", None, "correctness", None, True),
        ("agrees", "none", "correctness", None, True),
        ("agrees", "differs", "correctness", None, False),
        ("none", "agrees", "correctness", None, False),
        (None, None, "correctness", None, False),
        ("differs", "differs", "score", None, True),
        ("differs", "differs", "correctness", "5", True),
    ]
    batch = {
        "checked": [row[0] for row in rows],
        "program_agrees": [row[1] for row in rows],
        "pair_kind": [row[2] for row in rows],
        "reference_answer": [row[3] for row in rows],
        "chosen_index": [0] * len(rows),
        "rejected_index": [1] * len(rows),
        "pair_reason": [None] * len(rows),
    }
    stage = Confirm(("checker", "program"), by_reference=True)
    made = stage(batch)
    assert made["pair_kind"] == [kind if stays else None for _, _, kind, _, stays in rows]
    assert made["pair_reason"] == [None if row[-1] else "unconfirmed" for row in rows]
    assert replace(stage, by_reference=False)(batch)["pair_kind"][-1] is None
    alone = {name: values for name, values in batch.items() if name not in ("checked", "reference_answer")}
    kinds = Confirm(("program",))(alone)["pair_kind"]
    assert kinds == ["correctness", "correctness", None, "correctness", "correctness", "score", None]


def test_a_recipe_file_and_a_plan_name_those_who_are_asked(answers: Answers) -> None:
    recipe = recipe_of(answers, labelled(answers), labelled(answers, Programs, "coder"))
    said = said_of(replace(recipe, pairs_checked=True, objections=True))
    assert said is not None
    revision = answers.model.revision
    folder = str(Path(str(answers.model.given or answers.model.path)).name)
    assert said["labels"] == {
        "checker": f"{folder}@{revision}",
        "program": f"{folder}@{revision}",
        "objections": True,
    }
    assert said["pairs"]["checked"] is True
    assert "labels" not in (said_of(recipe_of(answers, None)) or {})

    words = ["build", "--model", "5", "--checker", "4", "--program", "6", "--objections", "--count", "100"]
    options = parser().parse_args(words)
    outline = outline_of(options, domains_of(options), roles(options))
    loads = {one.stage: one for one in loads_of(outline, assumed(outline))}
    assert list(loads) == [
        "instruct", "tag", "candidates", "objections", "second_opinion", "write_programs", "score",
    ]  # fmt: skip
    assert loads["objections"].source == loads["second_opinion"].source == outline.sources["checker"]
    assert loads["write_programs"].source == outline.sources["program"]
    problems = 100 * len(outline.domains)
    assert problems < loads["second_opinion"].requests.mid < 3 * problems
    assert problems < loads["write_programs"].requests.mid < 2 * problems
    whole = loads["candidates"].tokens.mid  # as docs/labels.md says
    assert loads["second_opinion"].tokens.mid / whole == pytest.approx(1 / 4, rel=0.1)
    assert loads["write_programs"].tokens.mid / whole == pytest.approx(1 / 7, rel=0.1)
    assert [phase.stages for phase in outline.phases][-3:] == [
        ("objections", "second_opinion"), ("write_programs",), ("score",),
    ]  # fmt: skip
    plain = parser().parse_args(["build", "--model", "5", "--pairs-checked"])
    with pytest.raises(BadInput, match="give --checker or --program, or leave out --pairs-checked"):
        check_rules(plain, domains_of(options))


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        (r"The answer is $\boxed{5}$.", False),
        ("There is not enough information to find the area.", True),
        ("Hence the length cannot be determined.", True),
        ("There is no such triangle.", True),
        ("The given conditions are contradictory, so no answer exists.", True),
        ("条件が足りず、答えは特定できません。", True),
        ("It seems that no such n exists. " + "But it does: we find it. " * 40 + r"$\boxed{7}$", False),
    ],
)
def test_candidates_that_object(text: str, objects: bool) -> None:
    candidate = {"answer_text": text, "reason": None}
    assert is_doubtful([candidate], "answer", "5") is objects
    assert not is_doubtful([{**candidate, "reason": "length"}], "answer", "5")
    assert is_doubtful([], "none", None)
    assert is_doubtful([candidate], "proof", None) is objects
