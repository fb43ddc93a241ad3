"""Clean: what is kept, trimmed and dropped, rule by rule on a table of instructions, and in linear time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cases import differing
from hypothesis import given, settings
from hypothesis import strategies as st
from problem_table import DOMAINS, REASONS, TRIMMED, bad, dropped, good, scores, table

from magpie_hf.engines.base import Completion
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model, resolve
from magpie_hf.problems.cleaning.contained_solutions import without_label
from magpie_hf.problems.cleaning.language import is_mixture, language_of
from magpie_hf.problems.cleaning.prose import FORMULA, read, sentences, words
from magpie_hf.problems.cleaning.rules import MAX_CHARACTERS, RULES, reason_of, trim
from magpie_hf.stages.clean import Clean

# --- the table ----------------------------------------------------------------------------------------------


def test_the_table_is_large_and_covers_every_domain_and_rule() -> None:
    assert len(good()) >= 80
    assert len(bad()) >= 100
    assert len({*good(), *(text for _, text in bad())}) == len(good()) + len(bad())
    assert all(len(texts) >= 12 for texts in DOMAINS.values())
    assert {reason for reason, _ in bad()} == set(REASONS)


def test_every_rule_is_precise_and_finds_what_it_is_for() -> None:
    print("\n" + table())
    for reason, _, _, precision, recall in scores():
        assert precision >= 0.95, reason
        assert recall >= 0.9, reason


@pytest.mark.parametrize("text", good())
def test_a_good_problem_is_kept_as_it_is(text: str) -> None:
    assert trim(text) == (text, None)
    assert dropped(text) is None


@pytest.mark.parametrize(("reason", "text"), bad())
def test_what_is_no_problem_is_dropped(reason: str, text: str) -> None:
    assert dropped(text) == reason


@pytest.mark.parametrize(("raw", "problem", "trimmed"), TRIMMED)
def test_labels_and_solutions_are_cut_off(raw: str, problem: str, trimmed: str) -> None:
    assert trim(raw) == (problem, trimmed)
    assert reason_of(problem) is None
    assert trim(problem) == (problem, None)


@pytest.mark.parametrize(
    "text",
    [
        "Solution:\nDivide by 2: $x = 3$.",  # nothing before it
        "Let $x$ be a number.\n\nSolution:\nDivide by 2: $x = 3$.",  # no task before it
        "Find $x$ such that\n\nSolution:\nDivide by 2: $x = 3$.",  # a cut problem before it
        "Find $x$ if $2x = 6$. The answer is 3.\n\nSolution:\nDivide by 2.",  # a solution before it
    ],
)
def test_a_solution_behind_what_is_no_whole_problem_is_a_drop(text: str) -> None:
    assert trim(text) == (text, None)
    assert dropped(text) == "contains_solution"


def test_cases_of_each_kind() -> None:
    assert differing("clean") == []
    lines = (Path(__file__).parent / "tables" / "clean.jsonl").read_text("utf-8").splitlines()
    kept = {case["input"] for case in map(json.loads, lines) if case["expected"].startswith("pass")}
    assert (
        len(kept | {*good()}) >= 300
    )  # money, tables, anagrams, equations, the first person: none is dropped


@pytest.mark.parametrize("text", ["Problem:", "**Question 3.**", "問題：", "1."])
def test_a_label_alone_is_left(text: str) -> None:
    assert without_label(text) == text


def test_the_table_can_be_printed() -> None:
    script = Path(__file__).parent / "problem_table.py"
    shown = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == table()


# --- the stage ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(demo_model: Path) -> Model:
    return resolve(str(demo_model))


def clean(stage: Clean, *raw: str, finish: str = "stop") -> dict[str, list[Any]]:
    out = stage({"raw_instruction": list(raw), "raw_finish_reason": [finish] * len(raw)})
    return {column: out[column] for column in stage.adds}


def test_clean_fills_its_columns(model: Model) -> None:
    raw = [
        "Problem 2: Prove that every field is an integral domain.\n",
        "Evaluate $\\int_0^1 x\\,dx$.",
        "群 $G$ の位数を求めよ。",
        "Hello!",
    ]
    assert clean(Clean((model,)), *raw) == {
        "problem": [
            "Prove that every field is an integral domain.",
            "Evaluate $\\int_0^1 x\\,dx$.",
            "群 $G$ の位数を求めよ。",
            None,
        ],
        "language": ["en", None, "ja", None],
        "trimmed": ["label", None, None, None],
        "dropped": [None, None, None, "chat"],
    }


def test_what_did_not_end_or_holds_special_tokens_is_not_looked_at(model: Model) -> None:
    assert clean(Clean((model,)), "Hello!", finish="killed_engine")["dropped"] == ["killed_engine"]
    assert clean(Clean((model,)), "Hello!<|im_end|>", "  ")["dropped"] == ["special_tokens", "empty"]


def test_the_languages_are_a_choice(model: Model) -> None:
    french = (
        "Montrer que tout groupe fini d'ordre premier est cyclique et que tous ses sous-groupes sont"
        " triviaux."
    )
    english = "Prove that every finite group of prime order is cyclic."
    assert clean(Clean((model,)), french, english)["dropped"] == ["language", None]
    assert clean(Clean((model,), ("fr",)), french, english) == {
        "problem": [french, None],
        "language": ["fr", None],
        "trimmed": [None, None],
        "dropped": [None, "language"],
    }


def test_broken_characters_are_a_reason_and_tabs_and_lines_are_none(model: Model) -> None:
    broken = ["\0", "\x1b[31m", "\x0crac12", "\ufffd", "\x85", "\x7f"]
    raw = [f"Find all $x$ with{one} $x^2 = {at}$." for at, one in enumerate(broken)]
    kept = "Find all $x$\twith\n$x^2 = 4$."
    assert clean(Clean((model,)), *raw, kept)["dropped"] == [*["broken_characters"] * len(raw), None]
    assert Completion("half \ud83d of 𝕏 \U0001f600", "stop", 1, 2).text == "half \ufffd of 𝕏 \U0001f600"


@pytest.mark.parametrize("languages", [(), ("english",), ("EN",), ("en", "")])
def test_what_is_no_language_is_bad_input(languages: tuple[str, ...], model: Model) -> None:
    with pytest.raises(BadInput, match="give codes of ISO 639-1"):
        Clean((model,), languages)


# --- prose, language ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected", "balanced"),
    [
        ("Let $x$ be $2x + 3 $.", "Let F be F.", True),
        (r"It is \(x\) and \[ y \].", "It is F and F.", True),
        ("$$\n\nx = 1\n\n$$ is", "F is", True),
        ("costs $5 and $7", "costs $5 and $7", True),
        ("costs $1.10. The other costs $1,000.", "costs $1.10. The other costs $1,000.", True),
        ("between $10$ and $20$", "between F and F", True),
        ("pays $5 for $n$ apples", "pays $5 for F apples", True),
        (r"costs \$5 and \$x", r"costs \$5 and \$x", True),
        ("$x$$y$", "FF", True),
        (r"$[0,1)$ and $(0, 1]$ and $\{1\}$", "F and F and F", True),
        (r"$\left[ a, b \right)$", "F", True),
        (r"$\left[ a, b $ x", "F x", False),
        (r"\begin{align*} x &= \text{if $y$} \\[2pt] z \end{align*}.", "F.", True),
        (r"\[ \begin{cases} 1 & \text{if $x$} \end{cases} \]", "F", True),
        (
            r"\begin{enumerate}\item Let $x$. \end{enumerate}",
            r"\begin{enumerate}\item Let F. \end{enumerate}",
            True,
        ),
        (r"\begin{align} x \end{align*}", "F", False),
        (r"so \frac{1}{2} is \) there", r"so \frac{1}{2} is \) there", False),
        ("Let $x be", "Let F", False),
        ("Let $x\n\nand $y", "Let Fy", False),
        (r"$\frac{1}{x$ is", "F is", False),
        (r"$x}$ is", "F is", False),
    ],
)
def test_formulas_are_told_from_prose(text: str, expected: str, balanced: bool) -> None:
    found = read(text)
    assert (found.words, found.balanced) == (expected.replace("F", FORMULA), balanced)


def test_sentences_and_words_leave_formulas_out() -> None:
    text = "Let $x > 0.5$. Is it so?\nYes, n's value is $\\text{three words here}$."
    assert sentences(text) == [f"Let {FORMULA}.", "Is it so?", f"Yes, n's value is {FORMULA}."]
    assert words(text) == ["let", "is", "it", "so", "yes", "n's", "value", "is"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Find the order of the group.", "en"),
        ("関数の最大値を求めよ。", "ja"),
        ("求函数的最大值，并说明理由。", "zh"),
        (r"$\text{Montrer que tout groupe fini est cyclique si et seulement si}$", None),
        ("x^2 + y^2 = z^2, sin(x) = cos(y)", None),
        ("Bestimmen Sie alle Untergruppen der Gruppe.", "de"),
    ],
)
def test_mathematics_is_no_language(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "Banach空間の双対空間を求めよ。",
        "Let Ш be the Tate-Shafarevich group and ℵ₀ the first cardinal.",
        "Let μX = αβ and x ∈ ℝ.",
        "The Chinese remainder theorem (中国剰余定理) is known.",
        "Gödel, Erdős and Poincaré met.",
        "Докажите теорему Banach.",
    ],
)
def test_symbols_and_names_are_no_mixture(text: str) -> None:
    assert not is_mixture(text)


def test_the_detector_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    from magpie_hf.problems.cleaning import language

    language._detector.cache_clear()
    assert language_of("Find the greatest common divisor of these numbers.") == "en"


# --- every text ---------------------------------------------------------------------------------------------

SIZE = 100_000
HOSTILE = [
    "$",
    "$ ",
    "$1 a ",
    "$" + "{" * 9,
    "\\begin{a}",
    "\\boxed{1}",
    "\\",
    "\n",
    " ",
    "\n" + " " * 50,
    "a",
    "a ",
    "ab",
    "a'",
    "a.",
    ". ",
    "? ",
    "find ",
    "#",
    "* ",
    "**",
    "problem ",
    "Problem 1. ",
    "Q: ",
    "1. ",
    "\n1. Find x.",
    "step 1 ",
    "We note that. ",
    "using ",
    "To find x ",
    "Using " + "x " * 70 + ", ",
    "([answer:",
    "(",
    "(i) ",
    "sure ",
    "here is ",
    "can you ",
    "help me ",
    "me ",
    "this is about ",
    "\n---",
    "the figure ",
    "the following ",
    "the table ",
    "which of the following ",
    "数",
    "数列とする。",
    "図",
    "\t",
    "\u3000",
    "1",
    "0, 1, ",
    "-",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece: str) -> None:
    text = (piece * (SIZE // len(piece) + 1))[:SIZE]
    jobs = [*(rule.fires for rule in RULES), trim, without_label, language_of]
    for job in jobs:
        started = time.process_time()
        job(text)  # type: ignore[operator]
        assert time.process_time() - started < 1, job


PIECES = st.sampled_from(
    [
        *HOSTILE,
        "Find $x$. ",
        "Let $G$ be a group. ",
        "\n\n",
        "Solution: ",
        "Problem 2: ",
        "Show that ",
        "\\[",
        "\\]",
        "\\end{a}",
        "}",
        "を",
        "è ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12).map("".join))
def test_every_text_has_one_answer(text: str) -> None:
    problem, trimmed = trim(text.strip())
    assert problem in text
    assert trimmed in (None, "label", "contains_solution", "label+contains_solution")
    reason = reason_of(problem)
    assert reason is None or reason in REASONS
    read.cache_clear()
    assert (trim(text.strip()), reason_of(problem)) == ((problem, trimmed), reason)


def test_a_long_text_is_too_long_whatever_else_it_is() -> None:
    assert reason_of("Find x. " * (MAX_CHARACTERS // 8 + 1)) == "too_long"


def test_rules_have_reasons_and_words() -> None:
    assert all(rule.doc and rule.reason.isidentifier() for rule in RULES)


def test_real_problems_are_measured_and_every_drop_is_printed(tmp_path: Path) -> None:
    problems = ["What is $7 \\cdot 8$?", "What is $7\\cdot 8$?", "Find the area of the region in the figure."]
    file = tmp_path / "set.jsonl"
    file.write_text("".join(json.dumps({"problem": problem}) + "\n" for problem in problems))
    script = Path(__file__).parent.parent / "benchmarks" / "real_problems.py"
    shown = subprocess.run(
        [sys.executable, str(script), str(file)], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == [
        "set/1 repeats 0: 'What is $7\\\\cdot 8$?' | 'What is $7 \\\\cdot 8$?'",
        "set/2 missing: 'Find the area of the region in the figure.'",
        "set: 3 problems, 33.33% dropped {'missing': 1}, {'near-duplicates': 1}",
    ]
