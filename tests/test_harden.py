"""Harder problems made of easy ones: the call, what is read of its answer, and what the rules let pass.

Not here: what only a reader sees of such a problem (test_tag.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_stage import byte_model, text_of

from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.sampling import Sampling
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.harden import LANGUAGE, NO_ANSWER, NO_PROBLEM, SAME_PROBLEM, Harden, fault, parsed

PARENT = "A fair coin is tossed 5 times. What is the probability that heads appears exactly 3 times?"
HARDER = "A fair coin is tossed 10 times. What is the probability that no two heads are next to each other?"
# 30 faults by their kind, each with what the rules say; what they let pass is for the tagger
FAULTS: dict[str, list[tuple[str, str | None]]] = {
    "the same problem": [
        (PARENT, SAME_PROBLEM),
        (
            "A fair coin is tossed $5$ times. What is the probability that heads appears exactly $3$ times?",
            SAME_PROBLEM,
        ),
        (
            "What is the probability that heads appears exactly 3 times when a fair coin is tossed 5 times?",
            SAME_PROBLEM,
        ),
        (
            "A fair coin is tossed 5 times. Find the probability that heads appears exactly 3 times.",
            SAME_PROBLEM,
        ),
        (
            "Let a fair coin be tossed 5 times. Compute the probability that heads appears exactly 3 times.",
            SAME_PROBLEM,
        ),
        (
            "A fair coin is tossed 5 times. Compute the probability of heads appearing exactly 3 times.",
            SAME_PROBLEM,
        ),
    ],
    "no answer": [
        (
            "Prove that a fair coin tossed 5 times shows at least 3 heads with probability $\\frac12$.",
            NO_ANSWER,
        ),
        ("Show that the expected number of heads in $n$ tosses is $\\frac n2$.", NO_ANSWER),
        ("A fair coin is tossed 5 times, and a token goes right for heads and left for tails.", "no_task"),
        ("Consider a martingale with respect to the tosses of a fair coin.", "no_task"),
        ("Discuss how the binomial distribution describes 5 tosses of a fair coin.", None),
        ("Explain the idea of a generating function by the example of coin tosses.", None),
    ],
    "two questions": [
        (
            "1. A coin is tossed 5 times. Find the chance of 3 heads.\n2. A die is cast twice. Find the odds"
            " of a sum of 7.",
            "several",
        ),
        (
            "A coin is tossed 5 times. (a) Find the chance of 3 heads. (b) Find the mean number of heads.",
            None,
        ),
        (
            "A coin is tossed until two heads in a row. What is the mean number of tosses? And its variance?",
            None,
        ),
        (
            "Find the generating function of the heads in 5 tosses. Also, how many are without two in a row?",
            None,
        ),
        ("A coin is tossed 10 times. Compute the chance of no heads, and determine the likeliest run.", None),
        ("Part A: what is the mean? Part B: what is the variance of the number of heads in 7 tosses?", None),
    ],
    "solution inside": [
        (
            "A coin is tossed 6 times. Find the probability of 3 heads. Answer: $\\frac5{16}$",
            "contains_solution",
        ),
        (
            "Find the number of sequences of 8 tosses without two heads in a row. The answer is 55.",
            "contains_solution",
        ),
        (
            "How many sequences of 6 tosses have no two heads in a row?\n\nLet $a_n$ be that number. Then"
            " $a_n=a_{n-1}+a_{n-2}$, hence $a_6=21$. Therefore, the answer is $\\boxed{21}$.",
            "contains_solution",
        ),
        (
            "What is the mean number of tosses until two heads in a row?\n\nStep 1: Let $E$ be it. Step 2:"
            " $E = 6$.",
            "contains_solution",
        ),
        (
            "Find the probability of 3 heads in 6 tosses. To solve this, we use the binomial formula:"
            " $\\binom63/2^6=\\frac5{16}$.",
            "contains_solution",
        ),
        (
            "A fair coin is tossed 6 times. Find the probability of 3 heads.\n\nSolution: there are"
            " $\\binom63=20$ ways, so it is $\\frac{20}{64}$.",
            "contains_solution",
        ),
    ],
    "unsolvable": [
        ("A coin is tossed some times. What is the probability that heads appears exactly 3 times?", None),
        ("A biased coin is tossed 5 times. Find the probability of exactly 3 heads.", None),
        (
            "A triangle has the sides 1, 2 and 5. A coin is tossed as often as its area says. Find the mean.",
            None,
        ),
        ("Let $p > 1$ be a probability. A coin with it is tossed 5 times. Find the chance of 3 heads.", None),
        (
            "A coin is tossed $n$ times, and $n$ is odd and divisible by 4. Find the mean number of heads.",
            None,
        ),
        ("Find the largest $n$ so that a fair coin can be tossed $n$ times.", None),
    ],
}


def left_to(text: str, reason: str | None) -> str | None:
    """What the rules say of a fault where a tagger reads it: they only suspect what is not certain."""
    unsure = reason == "no_task" or (reason == "contains_solution" and "Solution:" not in text)
    return None if unsure else reason


def test_the_rules_see_faults_of_form_and_the_same_problem() -> None:
    said = {kind: [fault(PARENT, text) for text, _ in table] for kind, table in FAULTS.items()}
    assert said == {kind: [expected for _, expected in table] for kind, table in FAULTS.items()}
    found = {kind: sum(one is not None for one in table) for kind, table in said.items()}
    print(f"faults that the rules see, of 6 of each kind: {found}")
    assert sum(map(len, FAULTS.values())) == 30
    assert fault(PARENT, HARDER) is None
    asked = {
        kind: [fault(PARENT, text, Clean((), suspects=True)) for text, _ in table]
        for kind, table in FAULTS.items()
    }
    assert asked == {kind: [left_to(*one) for one in table] for kind, table in FAULTS.items()}


def test_a_problem_repeats_its_parent_from_the_share_that_the_build_names() -> None:
    with_words = "{} $G$ {} a finite group with $|G| = 3^5$, {} $H$ {} a subgroup of $G$ with $|H| = 3^4$."
    asked = " Find the number of cosets of $H$ in $G$."
    parent = with_words.format("Let", "be", "and let", "be") + asked
    other = with_words.format("Suppose that", "is", "and that some", "is") + asked
    said = [fault(parent, other, near=near) for near in (0.3, 0.6, 0.9)]
    assert said == [SAME_PROBLEM, SAME_PROBLEM, None]


def test_a_harder_problem_is_in_the_language_of_its_parent() -> None:
    easy = "公正な硬貨を5回投げるとき、表がちょうど3回出る確率を求めよ。"
    harder = "公正な硬貨を10回投げるとき、表が二回続けて出ない確率を求めよ。"
    said = [fault(*pair) for pair in ((easy, harder), (easy, easy), (easy, HARDER), (PARENT, harder))]
    assert said == [None, SAME_PROBLEM, LANGUAGE, LANGUAGE]


@pytest.mark.parametrize(
    ("answer", "rationale", "problem"),
    [
        ("Neighbours matter.\n<problem>\nFind $x$.\n</problem>", "Neighbours matter.", "Find $x$."),
        (
            "First <problem>Find $x$.</problem> No: <Problem>Find $y$.</Problem>",
            "First <problem>Find $x$.</problem> No:",
            "Find $y$.",
        ),
        ("<problem>Problem 1: Find $x$.</problem>", None, "Find $x$."),
        (
            "It stands behind the mark <problem>, and its answer is 7.\n<problem>Find $x$.</problem>",
            "It stands behind the mark <problem>, and its answer is 7.",
            "Find $x$.",
        ),
        ("**<problem>**\n**A** and $b$.\n**</problem>**", "**", "**A** and $b$."),
        ("It is hard.\n<problem>Find $x$.", None, None),
        ("<problem>  </problem>", None, None),
        ("Find $x$.", None, None),
    ],
)
def test_the_problem_stands_in_marks(answer: str, rationale: str | None, problem: str | None) -> None:
    assert parsed(answer) == (rationale, problem)


def test_one_call_makes_a_harder_problem(tmp_path: Path) -> None:
    model = byte_model("chatml", tmp_path)
    answers = {
        PARENT: f"Neighbours make it harder.\n<problem>{HARDER}</problem>",
        "Find the sum of 2 and 3.": "I see no way.",
        "Find the sum of 3 and 4.": "<problem>Find the sum of $3$ and $4$.</problem>",
        "Find the sum of 4 and 5.": "So …",
    }
    asked: list[str] = []

    def writing(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        asked.append(text_of(model, prompt))
        text = next(answer for problem, answer in answers.items() if problem in asked[-1])
        return Completion(text, "length" if text.endswith("…") else "stop", len(prompt), 9)

    concepts = ("recursion", "inclusion-exclusion")
    stage = Harden(FakeEngine(model, writing), Sampling(max_tokens=64), concepts, above=0.8)
    batch = {
        "problem": [*answers, "Find nothing.", "Find something.", "Find little."],
        "seed": list(range(7)),
        "majority_answer": ["10/32", "5", "7", "9", None, "6", "8"],
        "pass_rate": [0.875, 1.0, 1.0, 1.0, 1.0, 0.8, None],
    }
    rows = stage(batch)
    assert rows["harder_problem"] == [HARDER, *[None] * 6]
    assert rows["harder_reason"] == [None, NO_PROBLEM, SAME_PROBLEM, "length", *[None] * 3]
    assert rows["harder_rationale"][0] == "Neighbours make it harder."
    assert len(asked) == 4, "those without an agreed answer, in the band or without a rate are left alone"
    counted = stage.counted(batch, {name: rows[name] for name in stage.adds})["harder_response"]
    assert [one["reason"] for one in counted] == [None, NO_PROBLEM, SAME_PROBLEM, "length"]
    second = replace(stage, round=2)
    more = second({**rows, "round": [1, *[None] * 6]})
    assert len(asked) == 5, "the second round asks for those of the first"
    assert more["harder_reason"][1:] == rows["harder_reason"][1:]
    assert all(said in asked[0] for said in (PARENT, "10/32", "88%", rows["harder_concept"][0]))
    assert {stage.concept(seed) for seed in range(20)} == {"recursion", "inclusion-exclusion"}
    alone = stage({name: values[1:2] for name, values in rows.items() if not name.startswith("harder")})
    assert alone["harder_concept"] == rows["harder_concept"][1:2], "however rows are cut"
    assert len(list(stage.reusable(rows))) == 4


def test_the_model_is_told_the_label_by_which_the_rate_was_measured(tmp_path: Path) -> None:
    model, asked = byte_model("chatml", tmp_path), list[str]()

    def writing(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        asked.append(text_of(model, prompt))
        return Completion("So.", "stop", len(prompt), 9)

    stage = Harden(FakeEngine(model, writing), Sampling(max_tokens=64), ("recursion",), above=0.5)
    batch = {
        "problem": [PARENT] * 3,
        "seed": [1, 2, 3],
        "majority_answer": ["5/32", None, "7/32"],
        "reference_answer": ["10/32", "11/32", None],
        "pass_rate": [1.0] * 3,
    }
    stage(batch)
    assert [("5/32" in one, "7/32" in one) for one in asked] == [(True, False), (False, True)]
    asked.clear()
    replace(stage, by_reference=True)(batch)
    told = ("10/32", "11/32", "7/32")
    assert [next(answer for answer in told if answer in one) for one in asked] == list(told)
