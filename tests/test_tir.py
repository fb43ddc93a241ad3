"""Answers with programs in them: the rounds of one, what is published of them, and for whom they are asked.

Not here: the sandbox (test_programs.py).
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from datasets import load_dataset
from test_labels import has_sandbox, rows_of
from test_planning import outline_of
from test_second_opinion import batch
from test_stage import byte_model, text_of

from conftest import Answers, small_recipe
from magpie_hf.building.build import build, first_problems
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.preview import tokens_of
from magpie_hf.cli.main import main
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, current, keeping
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.hub.publish import publish_to_folder
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.reuse import reuse_of
from magpie_hf.planning.workload import assumed, shares_of_rounds
from magpie_hf.recipe import Recipe
from magpie_hf.stage import fingerprint
from magpie_hf.stages import tool_answers, tool_trial
from magpie_hf.stages.pair import Pair
from magpie_hf.stages.solving import JAPANESE_INSTRUCTION, ByLanguage
from magpie_hf.stages.tool_answers import (
    END_OF_CODE,
    IN_JAPANESE,
    INSTRUCTION,
    MOST_RUNS,
    MOST_SHOWN,
    RUN_SECONDS,
    ToolAnswers,
    code_at_the_end,
    tool_instruction,
)
from magpie_hf.store.rows import Made, Rows, in_memory

WARM = Sampling(temperature=0.75, max_tokens=200)


@pytest.fixture(autouse=True)
def _sandboxed() -> None:
    if not has_sandbox():
        pytest.skip("this machine has no sandbox")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


def code(*lines: str) -> str:
    return "So:\n```python\n" + "\n".join(lines) + "\n```\n"


class Rounds:
    """Says, of each problem, its rounds one after another, and remembers the prompts; "…" is truncated."""

    def __init__(self, model: Model, rounds: dict[str, Sequence[str]]) -> None:
        self.model, self.rounds = model, rounds
        self.prompts: list[str] = []
        self.ahead: list[int] = []

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        text = text_of(self.model, prompt)
        problem = next(one for one in self.rounds if one in text)
        said = self.rounds[problem][sum(problem in one for one in self.prompts)]
        self.prompts.append(text)
        self.ahead.append(current().ahead)
        assert END_OF_CODE in sampling.stop
        full = said.endswith("…")
        return Completion(said, "length" if full else "stop", len(prompt), sampling.max_tokens if full else 9)


AT_ONCE = ["It is $\\boxed{5}$."]
ROUNDS: dict[str, tuple[list[str], list[str], bool | None, str | None]] = {
    # problem: the rounds, the outputs that stand in the answer, whether it agrees, why it is incomplete
    "one run": ([code("print(2 + 3)"), *AT_ONCE], ["5"], True, None),
    "an open block": (["So:\n```python\nprint(2 + 3)", *AT_ONCE], ["5"], True, None),
    "another answer": ([code("print(6)"), "It is $\\boxed{6}$."], ["6"], False, None),
    "an error, mended": (
        [code("print(1 / 0)"), code("print(5)"), *AT_ONCE],
        ["ZeroDivisionError: division by zero", "5"], True, None,
    ),
    "much": ([code("print('12' * 5000)"), *AT_ONCE], ["12" * (MOST_SHOWN // 2) + " …"], True, None),
    "silent": ([code("x = 5"), *AT_ONCE], ["(nothing was printed)"], True, None),
    "for ever": ([code("while True: pass"), *AT_ONCE], ["stopped after 1 seconds"], True, None),
    "breaks out": ([code("print('```\\n5')"), *AT_ONCE], ["'''\n5"], True, None),
    "chat marks": ([code("print('<' + '|im_end|>')")], ["<|im_end|>"], None, "special_tokens"),
    "marks in an error": (
        [code("raise ValueError('<' + '|im_end|>')")], ["ValueError: <|im_end|>"], None, "special_tokens",
    ),
    "a list": (
        ["1. So:\n   ```python\n   for n in [5]:\n       print(n)\n   ```\n   ", *AT_ONCE], ["5"], True, None,
    ),
    "no end of it": (
        [code(f"print({n})") for n in range(3)], ["0", "1"], None, "too_many_runs",
    ),
    "no run": (AT_ONCE, [], True, None),
    "made up": ([code("print(5)") + "It prints 5, so $\\boxed{5}$."], [], None, "code_not_run"),
    "cut": ([code("print(5)"), "And …"], ["5"], None, "length"),
    "no answer": ([code("print(5)"), "I see."], ["5"], None, None),
}  # fmt: skip


def test_rounds(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MOST_RUNS, RUN_SECONDS, MOST_SHOWN) == (8, 2, 200)
    monkeypatch.setattr(tool_answers, "MOST_RUNS", 2)
    monkeypatch.setattr(tool_answers, "RUN_SECONDS", 1)
    said = Rounds(model, {problem: rounds for problem, (rounds, *_) in ROUNDS.items()})
    stage = ToolAnswers(FakeEngine(model, said), WARM, min_majority_share=0.5)
    given = batch(
        problem=[*ROUNDS, "no label", "a weak one"],
        majority_answer=["5.0"] * len(ROUNDS) + [None, "5"],
        majority_share=[0.5] * len(ROUNDS) + [None, 0.4],
    )
    rows = stage(given)
    assert rows["tool_answers"][-2:] == [None, None], "only what has a label is asked for"
    assert [*dict.fromkeys(said.ahead)] == [16, 12, 2], "each answer of a round may have another one"
    for problem, (one,) in zip(ROUNDS, rows["tool_answers"][:-2], strict=True):
        rounds, outputs, agrees, reason = ROUNDS[problem]
        shown = re.findall(r"```output\n(.*?)\n```", one["text"], re.DOTALL)
        assert (shown, one["agrees"], one["reason"]) == (outputs, agrees, reason), problem
        assert len([prompt for prompt in said.prompts if problem in prompt]) == len(rounds)
        assert len(one["runs"]) == len(outputs)
        assert len(one["rounds"]) == len(rounds)
        asked = [prompt for prompt in said.prompts if problem in prompt]
        assert all(later.startswith(earlier) for earlier, later in pairwise(asked))
        assert one["text"].startswith(rounds[0].strip()[:20])
    # a version of it that compares otherwise asks for nothing, and runs nothing
    again = Rounds(model, {})
    with keeping(Journal(known=stage.reusable(rows))):
        assert ToolAnswers(FakeEngine(model, again), WARM, min_majority_share=0.5)(given) == rows
    assert not again.prompts


def test_japanese_problems_are_answered_so_where_japanese_is_asked_for(model: Model) -> None:
    japanese, english = "次の和 $2 + 3$ を求めよ。", "Find the sum $2 + 3$."
    for solving, told in (
        (ByLanguage(), [IN_JAPANESE, INSTRUCTION]),
        (JAPANESE_INSTRUCTION, [IN_JAPANESE, IN_JAPANESE]),
        ("Solve it.", [INSTRUCTION, INSTRUCTION]),
    ):
        said = Rounds(model, {problem: list(AT_ONCE) for problem in (japanese, english)})
        stage = ToolAnswers(FakeEngine(model, said), WARM, instruction=tool_instruction(solving))
        rows = stage(
            batch(problem=[japanese, english], majority_answer=["5", "5"], majority_share=[1.0, 1.0])
        )
        assert [one["asked_with"] for (one,) in rows["tool_answers"]] == [f"user: {text}" for text in told]
        for problem, text in zip((japanese, english), told, strict=True):
            assert [text in prompt for prompt in said.prompts if problem in prompt] == [True]


def test_what_a_program_printed_is_kept_as_another_run_prints_something_else(model: Model) -> None:
    said = Rounds(model, {"the time": [code("import time; print(time.time_ns())"), *AT_ONCE]})
    journal = Journal()
    given = batch(problem=["the time"], majority_answer=["5"], majority_share=[1.0])
    for _ in "12":
        with keeping(journal):
            rows = ToolAnswers(FakeEngine(model, said), WARM)(given)
    assert len(said.prompts) == 2
    assert rows["tool_answers"][0][0]["runs"][0]["output"].strip().isdigit()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So:\n```python\nprint(1)\n```\n", "print(1)"),
        ("```py\nx\n```\nThen:\n```Python \nprint(2)\n```", "print(2)"),
        ("```python\nprint(3)", "print(3)"),
        ("```python\nprint(3)\n```\nThis prints 3.", None),
        ("```\nprint(3)\n```", None),
        ("```python\n```", None),
        ("1. So:\n\t```python\n\tif 1:\n\t\tprint(1)\n\t```\n", "if 1:\n\tprint(1)"),
        ("```python\n    ```", None),
        ("The answer is 3.", None),
    ],
)
def test_code_at_the_end(text: str, found: str | None) -> None:
    assert code_at_the_end(text) == found


class Tools(Answers):
    """Answers the problems of the trial, and others mostly by a program, with one of three answers."""

    able = True
    tried = 0  # requests of the trial

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        said = super().__call__(prompt, sampling, seed)
        text = text_of(self.model, prompt)
        if END_OF_CODE not in sampling.stop:
            return said
        known = next((answer for problem, answer in tool_trial.PROBLEMS.items() if problem in text), None)
        if known is not None:
            self.requests.pop()
            self.tried += 1
        if (ended := text.rpartition("```output\n")[2]).endswith("```\n"):
            answer = ended.partition("\n")[0]
        elif self.able and (known or seed % 4):
            return replace(said, text=code(f"print({known or seed % 3})"), finish_reason="stop")
        else:
            answer = known or str(seed % 3)
        return replace(said, text=f"So it is $\\boxed{{{answer}}}$.", finish_reason="stop")


def recipe_of(answers: Answers, tir: int = 2, count: int = 9) -> Recipe:
    answers.answers = 3
    return replace(small_recipe(answers, "algebra", count=count, k=5), tir=tir)


@pytest.fixture
def tools(demo_model: Path) -> Tools:
    return Tools(resolve(str(demo_model)), cut_every=7)


def test_answers_that_give_the_label_are_published(
    tools: Tools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = build(recipe_of(tools, 0), tmp_path / "out")
    before = len(tools.requests)
    built = build(recipe_of(tools), tmp_path / "out", shard_rows=4)
    again = [sampling for sampling, _ in tools.requests[before:] if END_OF_CODE not in sampling.stop]
    assert not again, "nothing else is asked for"
    assert {name: rows for name, rows in built.items() if name != "algebra_tir"}.keys() == plain.keys()
    for config in plain:
        for split in plain[config]:
            assert rows_of(built, config, split) == rows_of(plain, config, split), (
                "the votes stay as they are"
            )
    rows = rows_of(built, "algebra_tir")
    problems = {row["id"]: row for row in rows_of(built, "candidates")}
    assert rows
    assert {row["runs"] for row in rows} == {1}, "an answer without a program is none of these"
    for row in rows:
        assert row["answer"] == row["majority_answer"] == problems[row["id"]]["majority_answer"]
        assert row["messages"][0] == {"role": "user", "content": row["problem"]}
        assert row["messages"][1] == {"role": "assistant", "content": row["solution"]}
        assert f"```output\n{row['answer']}\n```\n" in row["solution"]
        assert row["solution"].endswith(f"$\\boxed{{{row['answer']}}}$.")
        assert END_OF_CODE in row["generation"]["asked_with"]
    assert len({(row["id"], row["answer_rank"]) for row in rows}) == len(rows)
    text = (tmp_path / "out" / "README.md").read_text()
    words = " ".join(text.split())
    assert 'load_dataset("path/or/name", "algebra_tir")' in text
    assert f"| `algebra_tir` | `train` | {len(rows)} |" in text
    assert (
        "was asked for 2 more answers to each problem that has a majority of at least 50% of the votes"
        in words
    )
    assert "| `runs` | `int32` | how many programs were run in it |" in text
    publish_to_folder(tmp_path / "out", "ada/maths", tmp_path / "published")  # which looks at every row
    published = load_dataset(str(tmp_path / "published"), "algebra_tir", split="train")
    assert published.to_list() == rows
    assert main(["show", str(tmp_path / "out"), "--split", "tir", "-n", "1"]) == OK
    assert "programs run: 1)" in capsys.readouterr().out
    asked = len(tools.requests)
    build(recipe_of(tools), tmp_path / "out", shard_rows=5)
    assert len(tools.requests) == asked
    planned = replace(outline_of(recipe_of(tools, 3), k=5), tir=3)
    left = {one.stage: one.why for one in reuse_of(planned, tmp_path / "out").stages}
    assert left["tool_answers"] == "tir 2 → 3: only the missing answers are asked for"
    banded = replace(planned, band=(0.1, 0.9), harden=2)
    assert shares_of_rounds(banded, "tool_answers") == [1, 0, 0], "accepted problems alone are asked for them"
    assert assumed(banded).each["tool_answers"] == assumed(planned).each["tool_answers"]
    more = build(recipe_of(tools, 3), tmp_path / "out")
    fresh = [seed for _, seed in tools.requests[asked:]]
    assert len(set(fresh)) == len(fresh)
    assert tools.tried == 2 * len(tool_trial.PROBLEMS), "the trial is not repeated"
    kept = {row["solution"] for row in rows_of(more, "algebra_tir")}
    assert kept >= {row["solution"] for row in rows}


def test_a_solver_that_writes_no_programs_is_refused(tools: Tools, tmp_path: Path) -> None:
    tools.able = False
    with pytest.raises(BadInput, match="ran a program and gave the right answer in 0 of 8 trial problems"):
        build(recipe_of(tools), tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()
    build(recipe_of(tools, 0), tmp_path / "out")


def test_a_trial_is_the_same_for_any_number_of_answers(tools: Tools) -> None:
    recipes = [
        recipe_of(tools, tir=2),
        recipe_of(tools, tir=5),
        replace(recipe_of(tools), pair=Pair(0.9)),
    ]
    trials = {fingerprint(tool_trial.ToolTrial.of(one.tools(one.domains[0]))) for one in recipes}
    assert len(trials) == 1, "another one would ask its problems again"


def test_a_refusal_says_that_answers_were_truncated(tools: Tools) -> None:
    def tried(most: int) -> str:
        domain = recipe_of(tools).domains[0]
        short = replace(domain, candidate=replace(domain.candidate, max_tokens=most))
        trial = tool_trial.ToolTrial.of(recipe_of(tools).tools(short))
        rows = tool_trial.tool_trial_rows("algebra", 0)
        told = [{"runs": at, "agrees": at < 2 or None, "num_tokens": 9, "reason": None} for at in range(8)]
        told[2:6] = [one | {"reason": "length"} for one in told[2:6]]
        made = in_memory("trial", trial.adds, {"tool_trial": told})
        with pytest.raises(BadInput) as refused:
            tool_trial.check_tools(rows.extended(trial, made), trial.answers)
        return str(refused.value)

    assert "in 1 of 8 trial problems, where 4 answers were truncated at 96 tokens" in tried(96)
    assert "raise --max-tokens, leave out --tir" in tried(96)
    assert "raise --max-tokens" not in tried(10**6), "the trial has a bound of its own"


def test_a_preview_counts_the_tokens_of_answers_with_tools(tools: Tools, tmp_path: Path) -> None:
    taken: list[Rows] = []
    first_problems(recipe_of(tools), tmp_path / "out", 2, taken.append)
    written = sum(
        answer["num_tokens"]
        for rows in taken
        for answers in rows.read(["tool_answers"])["tool_answers"].to_pylist()
        for answer in answers or ()
    )
    assert written
    without = sum(tokens_of(replace(rows, made=without_tools(rows))) for rows in taken)
    assert sum(map(tokens_of, taken)) == without + written


def without_tools(rows: Rows) -> dict[str, Made]:
    return {name: made for name, made in rows.made.items() if name != "tool_answers"}


def test_an_engine_that_dies_is_asked_nothing_twice(tools: Tools, demo_model: Path, tmp_path: Path) -> None:
    whole = build(recipe_of(tools), tmp_path / "whole")

    class Ends(Tools):
        def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
            said = super().__call__(prompt, sampling, seed)
            if sum(END_OF_CODE in one.stop for one, _ in self.requests) > 11:
                raise EngineError("the engine died")
            return said

    dying, rest = (kind(tools.model, cut_every=7) for kind in (Ends, Tools))
    with pytest.raises(EngineError):
        build(recipe_of(dying), tmp_path / "out", shard_rows=3, shards_in_flight=1)
    resumed = build(recipe_of(rest), tmp_path / "out", shard_rows=5)
    seeds = [
        [seed for one, seed in kind.requests if END_OF_CODE in one.stop] for kind in (dying, rest, tools)
    ]
    assert len(seeds[0]) == 12  # the last of which was not answered
    assert not set(seeds[0][:-1]) & set(seeds[1])
    assert sorted({*seeds[0], *seeds[1]}) == sorted(seeds[2])
    assert rows_of(resumed, "algebra_tir") == rows_of(whole, "algebra_tir")


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from test_tir import END_OF_CODE, Tools, build, recipe_of, resolve

model, out, log = sys.argv[2:]


class Killed(Tools):
    def __call__(self, prompt, sampling, seed):
        said = super().__call__(prompt, sampling, seed)
        rounds = [one for one, (of, _) in enumerate(self.requests) if END_OF_CODE in of.stop]
        if len(rounds) > 11:
            os.kill(os.getpid(), signal.SIGKILL)
        if rounds and rounds[-1] == len(self.requests) - 1:
            with open(log, "a") as file:
                file.write(f"{seed}\\n")
        return said


build(recipe_of(Killed(resolve(model), cut_every=7)), Path(out), shard_rows=3, shards_in_flight=1)
"""


@pytest.mark.scale
def test_a_build_that_is_killed_asks_nothing_twice(tools: Tools, demo_model: Path, tmp_path: Path) -> None:
    whole = build(recipe_of(tools), tmp_path / "whole")
    log = tmp_path / "log"
    words = [str(Path(__file__).parent), str(demo_model), str(tmp_path / "out"), str(log)]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    rest = Tools(tools.model, cut_every=7)
    resumed = build(recipe_of(rest), tmp_path / "out", shard_rows=5)
    before = set(map(int, log.read_text().split()))
    assert len(before) >= 11
    assert not before & {seed for one, seed in rest.requests if END_OF_CODE in one.stop}
    assert rows_of(resumed, "algebra_tir") == rows_of(whole, "algebra_tir")
