"""The menu of `magpie-hf` without arguments, on a pseudo-terminal: answers, wrong answers, ways out, and no
terminal at all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminal import CTRL_C, CTRL_D, Terminal, WarmTerminal, magpie_hf

from conftest import ROOT
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.run.interrupts import INTERRUPTED
from magpie_hf.text.columns import width

# The questions of a build of some domains, and answers to all but the last.
QUESTIONS = (
    "model [6]: ",
    "solver [1]: ",
    "scale [1.0]: ",
    "mode [1]: ",
    "domains, separated by commas [1,2]: ",
    "1x, 2x, 4x or tokens [1x]: ",
    "Build it (y/n) [n]: ",  # as no machine that tests run on has room for these models
)
MODEL, SOLVER, SCALE, MODE, CHOSEN, BOUND, SURE = QUESTIONS
ANSWERS = ("6", "1", "0.1", "3", "1,5", "1x")

PLAIN = """
import sys
from magpie_hf.cli.main import main
sys.argv[:] = ["magpie-hf"]
sys.exit(main())
"""
# The same with a build that says what it was given, and what Ctrl-C would call it.
TOLD = """
import sys
from magpie_hf.cli.main import main
from magpie_hf.cli.commands import build
build.run = lambda options: print("built", options.model, options.domains, *sys.argv[1:]) or 3
sys.argv[:] = ["magpie-hf"]
sys.exit(main())
"""


def test_wrong_answers_are_asked_again_until_the_build_itself_refuses(tmp_path: Path) -> None:
    with Terminal(magpie_hf(), tmp_path, columns=40, TERM="dumb", NO_COLOR="1") as terminal:
        for question, wrong, hint, right in (
            (MODEL, "7", "model 7 is unknown", "\uff11"),
            (SOLVER, "0", "model 0 is unknown", "1"),
            (SCALE, "much", "scale is 'much'", ""),
            (SCALE, "-1", "scale is -1", "0.01"),
            (MODE, "4", "mode is '4'", "2"),
            ("domain [1]: ", "1,2", "domain is '1,2'", "number_theory"),
            (BOUND, "3x", "the bound is '3x'", "1"),
            (SURE, "perhaps", "the answer is 'perhaps'", ""),
        ):
            terminal.expect(question)
            terminal.type(f"{wrong}\n")
            terminal.expect(hint)
            if right or question == SURE:
                terminal.expect(question)
                terminal.type(f"{right or 'y'}\n" if question == SURE else f"{right}\n")
        terminal.expect("magpie-hf build --model 1 --scale 0.01 --domains number_theory")
        terminal.expect("needs about 66 GB for its weights")
        code, text = terminal.end()
    assert code == BAD_INPUT
    asked = text.split("The same build without the menu:")[0]
    assert "5  number_theory: 40\n" in asked
    assert "Traceback" not in text
    assert "\x1b" not in text
    assert all(width(line) <= 40 or "DeepSeek-R1-Distill-Qwen-32B" in line for line in asked.splitlines())
    assert not list(tmp_path.iterdir())


def test_in_japanese(tmp_path: Path) -> None:
    with Terminal(magpie_hf(), tmp_path, LANG="ja_JP.UTF-8", PYTHONUTF8="1") as terminal:
        for question, answer in (
            ("モデル [6]: ", "９"),
            ("モデル 9 はありません。1 から 6 の番号", "４"),
            ("解答 [1]: ", "１"),
            ("規模 [1.0]: ", "０．５"),
            ("モード [1]: ", "３"),
            ("分野(コンマ区切り) [1,2]: ", "２、６"),
            ("1x, 2x, 4x またはトークン数 [1x]: ", "６，０００"),
            ("作成しますか (y/n) [n]: ", "いいえ"),
        ):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        code, text = terminal.end()
    assert code == OK
    for line in (
        "4  gemma-3-27b-it: instruct モデル、55 GB、Gemma 利用規約",
        "1.0: 六分野すべてで 44,000 問",
        "6  discrete 離散数学: 4,000",
        "2  1 つ",
    ):
        assert f"{line}\n" in text
    assert "モデル   google/gemma-3-27b-it(モデル 4、Gemma 利用規約)" in text
    assert text.count("問題     9,000 問、候補は各 5 個") == 1
    assert "\nmagpie-hf build --model 4 --solver 1 --scale 0.5 --domains calculus,discrete" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answered", "leave", "code"),
    [
        *((answered, CTRL_C, INTERRUPTED) for answered in range(len(QUESTIONS))),
        (0, CTRL_D, OK),
        (4, CTRL_D, OK),
        (0, "q\n", OK),
        (6, "Ｑ\n", OK),
    ],
)
def test_every_question_can_be_left(answered: int, leave: str, code: int, tmp_path: Path) -> None:
    with WarmTerminal(PLAIN, tmp_path) as terminal:
        for question, answer in zip(QUESTIONS, ANSWERS[:answered], strict=False):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        terminal.expect(QUESTIONS[answered])
        time.sleep(0.2)  # a signal between readline's prompt and its waiting is heard at the next key only
        terminal.type(leave)
        assert terminal.end()[0] == code
    assert "Traceback" not in terminal.text
    assert terminal.text.endswith("\n")
    assert not list(tmp_path.iterdir())


def test_what_was_answered_is_what_is_built(demo_model: Path, tmp_path: Path) -> None:
    (tmp_path / "model 1").symlink_to(demo_model)
    with WarmTerminal(TOLD, tmp_path) as terminal:
        for question, answer in (
            (MODEL, "model 1"),
            ("solver [model 1]: ", "1"),
            (SCALE, "2"),
            (MODE, "1"),
            (BOUND, "20000"),
            (SURE, "y"),
        ):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        terminal.expect("\nmagpie-hf build --model 'model 1' --solver 1 --scale 2.0 --max-tokens 20000\n")
        terminal.expect(
            "built model 1 algebra,calculus,geometry,statistics,number_theory,discrete build --model model 1"
            " --solver 1 --scale 2.0 --max-tokens 20000\n"
        )
        assert terminal.end()[0] == 3


def test_what_was_answered_can_be_changed_before_it_is_built(tmp_path: Path) -> None:
    with WarmTerminal(TOLD, tmp_path, columns=110) as terminal:
        for question, answer in (
            *zip(QUESTIONS, ANSWERS, strict=False),
            (SURE, "bound"),
            (BOUND, "4x"),
            (SURE, "gpu"),
            ("[here]: ", "H100"),
            (SURE, "gpu"),
            ("[here]: ", "no such GPU"),
            ("[here]: ", "here"),
            (SURE, "solver"),
            ("solver [1]: ", "4"),
            (SURE, "model"),
            ("model [6]: ", "5"),
            (SURE, "y"),
        ):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        terminal.expect("built 5 algebra,number_theory build --model 5 --solver 4 --scale 0.1")
        code, text = terminal.end()
    assert code == 3
    assert "H100" in text.split("To change something")[3]
    assert text.count("A dataset in five answers") == text.count("The same build without the menu:") == 1


def test_what_is_no_model_is_asked_again(tmp_path: Path) -> None:
    with Terminal(magpie_hf(), tmp_path, PYTHONIOENCODING="utf-8:strict") as terminal:
        terminal.expect(MODEL)
        os.write(terminal.master, b"mod\xe8le\n")
        terminal.expect("is no model")
        terminal.expect(MODEL)
        terminal.type(".\n")
        terminal.expect("it has no config.json")
        terminal.expect(MODEL)
        terminal.type("q\n")
        assert terminal.end()[0] == OK


@pytest.mark.parametrize(
    ("bound", "given"),
    [("", []), ("1x", []), ("２Ｘ", ["--max-tokens", "{2}"]), ("4", ["--max-tokens", "{4}"])],
)
def test_the_bounds_are_shown_and_one_is_chosen(bound: str, given: list[str], tmp_path: Path) -> None:
    with WarmTerminal(TOLD, tmp_path, columns=100) as terminal:
        for question, answer in zip(QUESTIONS, (*ANSWERS[:-1], bound, "y"), strict=True):
            terminal.expect(question)
            terminal.type(f"{answer}\n")
        terminal.expect("\nbuilt ")
        code, text = terminal.end()
    assert code == 3
    shown = re.findall(
        r"^  (\dx)  ([\d,]+) tokens: \d+% truncated, [\d,]+ SFT rows, \S+ tokens in all$", text, re.MULTILINE
    )
    tokens = {factor: int(number.replace(",", "")) for factor, number in shown}
    assert tokens == {f"{times}x": times * tokens["1x"] for times in (1, 2, 4)}
    wanted = [word.format(*(times * tokens["1x"] for times in range(5))) for word in given]
    words = ["build", "--model", "6", "--solver", "1", "--scale", "0.1", "--domains", "algebra,number_theory"]
    assert f"magpie-hf {' '.join([*words, *wanted])}\n" in text


@pytest.mark.parametrize("stream", ["pipe", "nothing", "closed"])
def test_without_a_terminal_nothing_is_asked(stream: str, tmp_path: Path) -> None:
    close = "<&-" if stream == "closed" else "</dev/null" if stream == "nothing" else ""
    command = ["bash", "-c", f'exec "{sys.executable}" -m magpie_hf {close}']
    done = subprocess.run(
        command,
        input="1\n",
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == BAD_INPUT
    assert done.stdout == ""
    assert done.stderr.startswith("magpie-hf: the menu needs a terminal")
    assert done.stderr.count("\n") == 1
