"""Votes over clusters of equal answers, and the stage Verify."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from datasets import Dataset, Features
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stage import candidate

from magpie_hf.answers.comparison import Limits, compare
from magpie_hf.answers.votes import Votes, vote
from magpie_hf.answers.worker_pool import POOL
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.schema import VERIFY
from magpie_hf.stage import fingerprint, identity
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.pair import Pair
from magpie_hf.stages.published_answers import published_answers
from magpie_hf.stages.verify import Verify

# --- votes --------------------------------------------------------------------------------------------------

# Answers of a world in which all is known: the letter is the value, the number the spelling. "?" is a
# spelling that cannot be read.
SPELLINGS = [f"{value}_{{{number}}}" for value in "abc" for number in range(10, 13)] + ["?_{10}", "?_{11}"]
ANSWERS = st.lists(st.one_of(st.none(), st.sampled_from(SPELLINGS)), max_size=12)


def by_letter(one: str, other: str) -> str:
    if "?" in (one[0], other[0]):
        return "unknown"
    return "equal" if one[0] == other[0] else "different"


def counting(
    calls: list[tuple[str, str]], relation: Callable[[str, str], str] = by_letter
) -> Callable[[str, str], str]:
    def count(one: str, other: str) -> str:
        calls.append((one, other))
        return relation(one, other)

    return count


def partition(answers: Sequence[str | None], votes: Votes) -> dict[str, frozenset[str]]:
    """Which answers share a cluster with each answer."""
    members: dict[int, set[str]] = {}
    for answer, number in zip(answers, votes.clusters, strict=True):
        if answer is not None and number is not None:
            members.setdefault(number, set()).add(answer)
    return {answer: frozenset(group) for group in members.values() for answer in group}


@given(ANSWERS)
def test_every_answer_is_in_one_cluster_and_counted_once(answers: list[str | None]) -> None:
    votes = vote(answers, by_letter)
    voters = [answer for answer in answers if answer is not None]
    assert sum(votes.sizes) == len(voters)
    assert [number is None for number in votes.clusters] == [answer is None for answer in answers]
    assert dict(Counter(number for number in votes.clusters if number is not None)) == dict(
        enumerate(votes.sizes)
    )
    read = Counter(answer[0] for answer in voters if answer[0] != "?")
    unread = Counter(answer for answer in voters if answer[0] == "?")
    assert sorted(votes.sizes) == sorted([*read.values(), *unread.values()])


@given(ANSWERS)
def test_clusters_are_numbered_by_size_and_then_by_their_first_answer(answers: list[str | None]) -> None:
    votes = vote(answers, by_letter)
    firsts = [votes.clusters.index(number) for number in range(len(votes.sizes))]
    order = list(zip([-size for size in votes.sizes], firsts, strict=True))
    assert order == sorted(order)


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_candidates_makes_no_other_clusters(answers: list[str | None], random: Any) -> None:
    shuffled = list(answers)
    random.shuffle(shuffled)
    one, other = vote(answers, by_letter), vote(shuffled, by_letter)
    assert (one.sizes, one.unknown, one.has_majority) == (other.sizes, other.unknown, other.has_majority)
    assert partition(answers, one) == partition(shuffled, other)


@given(ANSWERS)
def test_unknown_pairs_are_pairs_of_clusters_that_nothing_tells_apart(answers: list[str | None]) -> None:
    read = len({answer[0] for answer in answers if answer and answer[0] != "?"})
    unread = len({answer for answer in answers if answer and answer[0] == "?"})
    assert vote(answers, by_letter).unknown == read * unread + unread * (unread - 1) // 2


@given(ANSWERS)
def test_no_pair_is_compared_twice_and_none_that_is_settled(answers: list[str | None]) -> None:
    calls: list[tuple[str, str]] = []
    vote(answers, counting(calls))
    assert len({frozenset(call) for call in calls}) == len(calls)
    assert all(one != other for one, other in calls)
    readable = [answer for answer in answers if answer and answer[0] != "?"]
    if len(readable) == len(answers):  # each spelling is compared with one of each cluster
        assert len(calls) <= len(set(readable)) * len({answer[0] for answer in readable})


def test_equal_strings_are_not_compared() -> None:
    calls: list[tuple[str, str]] = []
    votes = vote([r"\frac{1}{2}", r"$\dfrac12$", r"\frac 1 2", None, " "], counting(calls))
    assert calls == []
    assert votes == Votes((0, 0, 0, None, None), (3,), 0, (False,))


def test_answers_are_compared_as_they_are_written() -> None:
    """What is normalised is not normalised again: "100, 200" is a list, and "100,200" may be a number."""

    def shown(*answers: str) -> Votes:
        return vote(answers, lambda one, other: compare(one, other).relation)

    assert shown("100, 200", "200, 100", "200, 100") == Votes((0, 0, 0), (3,), 0, (False,))
    assert shown("100, 200", "100200", "100200") == Votes((1, 0, 0), (2, 1), 0, (False, True))
    assert shown("1,234", "1234", r"1{,}234") == Votes((0, 0, 0), (3,), 0, (False,))
    assert shown("(mod" + " " * 90_000 + "x", "5", "123," * 20_000) == Votes(
        (0, 1, 2), (1, 1, 1), 3, (False, False, False)
    )


def test_an_answer_that_is_equal_to_two_clusters_joins_them() -> None:
    """a and bb cannot be compared, but both equal ccc."""
    relation = {
        frozenset(("a", "bb")): "unknown",
        frozenset(("a", "ccc")): "equal",
        frozenset(("bb", "ccc")): "equal",
    }
    votes = vote(["bb", "a", "ccc"], lambda one, other: relation[frozenset((one, other))])
    assert votes == Votes((0, 0, 0), (3,), 0, (False,))


def test_a_cluster_that_differs_from_one_joined_is_not_asked_again() -> None:
    calls: list[tuple[str, str]] = []
    votes = vote(["a_{10}", "b_{10}", "a_{11}", "b_{11}"], counting(calls))
    assert votes == Votes((0, 1, 0, 1), (2, 2), 0, (False, True))
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("sizes", "majority"),
    [
        ((), False),
        ((1,), False),
        ((2,), True),
        ((1, 1), False),
        ((2, 1), True),
        ((2, 2), False),
        ((3, 2, 2), True),
    ],
)
def test_a_majority_is_larger_than_all_others_and_than_one(sizes: tuple[int, ...], majority: bool) -> None:
    assert Votes((), sizes, 0).has_majority == majority


def test_who_is_in_the_majority() -> None:
    relation = {
        frozenset(("1", "2")): "different",
        frozenset(("1", "?")): "unknown",
        frozenset(("2", "?")): "different",
    }

    def shown(*answers: str | None) -> list[bool | None]:
        return list(vote(answers, lambda one, other: relation[frozenset((one, other))]).in_majority)

    assert shown("1", "1", "2", "?", None) == [True, True, False, None, None]
    assert shown("2", "2", "?", "1") == [True, True, False, False]
    assert shown("1", "2") == [None, None], "without a majority nobody is in it"
    assert shown("1", "1", "2", "2") == [None] * 4
    assert shown() == []


@settings(deadline=None)  # the first pair starts a worker
@given(
    st.lists(
        st.sampled_from(
            ["1/2", "0.5", r"50\%", r"\frac{2}{4}", "0.25", r"\frac14", "x", "2x-x", r"\mathbb{Z}_2", None]
        ),
        max_size=9,
    )
)
def test_real_answers_vote_by_their_value(answers: list[str | None]) -> None:
    votes = vote(answers, lambda one, other: compare(one, other).relation)
    value = {
        "1/2": 1,
        "0.5": 1,
        r"50\%": 1,
        r"\frac{2}{4}": 1,
        "0.25": 2,
        r"\frac14": 2,
        "x": 3,
        "2x-x": 3,
        r"\mathbb{Z}_2": 4,
    }
    assert sorted(votes.sizes) == sorted(Counter(value[answer] for answer in answers if answer).values())


# --- the stage ----------------------------------------------------------------------------------------------


def box(answer: str, **changed: Any) -> dict[str, Any]:
    return candidate(f"So it is $\\boxed{{{answer}}}$.", **changed)


BATCH: dict[str, list[Any]] = {
    "problem": [
        "Find $p$.",
        "Prove that $G$ is abelian.",
        "Find $x$.",
        "Find $y$.",
        "Find $z$.",
        "Find $w$.",
    ],
    "candidates": [
        [
            box("2"),
            box(r"\frac{1}{2}", num_tokens=9),
            box("0.5", num_tokens=2),
            candidate("It is", "length"),
            box(r"50\%", num_tokens=4),
        ],
        [
            box("abelian"),
            candidate("As wanted."),
            candidate("We see", "length"),
            candidate("Clear."),
            candidate("Thus so."),
        ],
        [
            candidate("a"),
            candidate("b", "length"),
            candidate("c"),
            candidate("d", "empty"),
            candidate("e", "context_full"),
        ],
        [candidate("a", "length") for _ in range(5)],
        [box("1"), box("2"), candidate("The answer is $1.0$."), box("4/2"), candidate("I do not know.")],
        [
            box(r"\mathbb{F}_4"),
            box(r"\mathbb{Z}[\omega]"),
            box("3"),
            candidate("<think>5</think>", answer_text="\\boxed{7}"),
            box("3.5"),
        ],
    ],
    "solutions": [
        [box("0.50")],
        [candidate("Clear.")],
        None,
        [candidate("a", "length")],
        [box("8/8")],
        [box("3.5")],
    ],
}
ADDED: dict[str, list[Any]] = {
    "answers": [
        ["2", r"\frac{1}{2}", "0.5", None, r"50\%"],
        ["abelian", None, None, None, None],
        [None] * 5,
        [None] * 5,
        ["1", "2", "1.0", "4/2", None],
        [r"\mathbb{F}_4", r"\mathbb{Z}[\omega]", "3", "7", "3.5"],
    ],
    "answer_clusters": [
        [1, 0, 0, None, 0],
        [None] * 5,
        [None] * 5,
        [None] * 5,
        [0, 1, 0, 1, None],
        [1, 2, 3, 4, 0],
    ],
    "cluster_sizes": [[4, 1], [], [], [], [3, 2], [2, 1, 1, 1, 1]],
    "answer_kind": ["answer", "proof", "none", "none", "answer", "answer"],
    "majority_answer": ["0.5", None, None, None, "1", "3.5"],
    "majority_share": [0.8, None, None, None, 0.6, 1 / 3],
    "in_majority": [
        [False, True, True, None, True],
        *([None] * 5 for _ in range(3)),
        [True, False, True, False, None],
        [None, None, False, False, True],
    ],
    "solution_agrees": [True, None, None, None, True, True],
    "is_readable": [True, None, None, None, True, True],
    "unknown_pairs": [0, 0, 0, 0, 0, 7],
    "mean_num_tokens": [5.5, 7.0, 7.0, None, 7.0, 7.0],
}


def test_verify_votes_over_the_complete_candidates() -> None:
    before = copy.deepcopy(BATCH)
    out = Verify()(BATCH)
    assert before == BATCH, "the batch itself is left alone"
    assert out == {**BATCH, **ADDED}
    assert list(ADDED) == list(VERIFY)


def test_the_cold_answer_votes_like_one_more_candidate() -> None:
    """The vote is that of six candidates; the columns of candidates hold the five alone."""
    six = Verify()(
        {
            "problem": BATCH["problem"],
            "candidates": [
                [*candidates, *(solutions or ())]
                for candidates, solutions in zip(BATCH["candidates"], BATCH["solutions"], strict=True)
            ],
            "solutions": [None] * 6,
        }
    )
    for column in ("cluster_sizes", "majority_answer", "majority_share", "is_readable", "unknown_pairs"):
        assert six[column] == ADDED[column], column
    for column in ("answers", "answer_clusters", "in_majority"):
        assert [values[:5] for values in six[column]] == ADDED[column], column
    assert six["solution_agrees"] == [None] * 6


def test_a_cold_answer_against_the_majority() -> None:
    batch = {
        "problem": ["Find $x$."] * 4,
        "candidates": [[box("2"), box("4/2"), box("3")]] * 4,
        "solutions": [[box("5")], [candidate("no answer")], [candidate("2", "length")], None],
    }
    out = Verify()(batch)
    assert out["solution_agrees"] == [False, None, None, None]
    assert out["majority_share"] == [0.5, 2 / 3, 2 / 3, 2 / 3]
    assert out["in_majority"] == [[True, True, False]] * 4


def test_an_open_question_has_no_vote_and_so_no_correctness_pair_and_no_row_for_rl() -> None:
    """Several answers are right, so the one that differs is not wrong: the score alone tells them apart."""
    kinds = ["computation", "example", "essay", "talk", None]
    candidates = [box("2"), box("3"), box("4/2")]
    batch = {
        "problem": [*["Give a prime number."] * 6, "Prove that $G$ is abelian."],
        "candidates": [candidates] * 7,
        "solutions": [[box("2")]] * 7,
        "tags": [*({"kind": kind} for kind in kinds), None, {"kind": "essay"}],
    }
    out = Verify()(batch)
    assert out["answer_kind"] == ["answer", "open", "open", "answer", "answer", "answer", "proof"]
    assert [majority is not None for majority in out["majority_answer"]] == [1, 0, 0, 1, 1, 1, 0]
    without = Verify()({column: values for column, values in batch.items() if column != "tags"})
    assert without["answer_kind"] == ["answer"] * 6 + ["proof"]

    scores = [{"score": score, "reason": None} for score in (0.1, 0.9, 0.5)]
    paired = Pair()({**out, "scores": [scores] * 7})
    assert paired["pair_kind"] == [
        "correctness" if kind == "answer" else "score" for kind in out["answer_kind"]
    ]
    same = {"index": 0, "id": "a", "accepted_as": "algebra", "normal_hash": 1}
    for row in (dict(zip(paired, values, strict=True)) for values in zip(*paired.values(), strict=True)):
        voted = row["answer_kind"] == "answer"
        rows = ExportRL("algebra", HeldOut(0), "train", 0.5).rows({**row, **same})
        assert len(rows) == voted
        best, *others = published_answers(row, "all", keep_minority=False)
        assert (best.response["text"], best.in_majority) == (
            (candidates[2]["text"], True) if voted else (candidates[1]["text"], None)
        )
        assert len(others) == (1 if voted else 2)


def test_a_row_does_not_depend_on_its_batch_or_on_the_workers() -> None:
    for row in range(len(BATCH["problem"])):
        one = Verify(processes=3)({column: values[row : row + 1] for column, values in BATCH.items()})
        assert {column: one[column][0] for column in ADDED} == {
            column: values[row] for column, values in ADDED.items()
        }


def test_dropped_rows_have_nulls() -> None:
    batch = {
        "problem": [None, BATCH["problem"][0]],
        "candidates": [None, BATCH["candidates"][0]],
        "solutions": [None, BATCH["solutions"][0]],
        "dropped": ["length", None],
    }
    out = Verify()(batch)
    assert {column: out[column] for column in ADDED} == {
        column: [None, values[0]] for column, values in ADDED.items()
    }
    dead = Verify()({"problem": [None], "candidates": [None], "solutions": [None], "dropped": ["empty"]})
    assert {column: dead[column] for column in ADDED} == {column: [None] for column in ADDED}


def test_verify_is_a_function_for_map() -> None:
    stage = Verify()
    rows = Dataset.from_dict(BATCH)
    typed = rows.map(stage, batched=True, batch_size=4, features=Features({**rows.features, **stage.adds}))
    assert {column: typed.features[column] for column in stage.adds} == stage.adds
    for column, values in ADDED.items():
        assert list(typed[column]) == (
            pytest.approx(values, abs=1e-6) if column == "majority_share" else values
        )


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_verify_runs_in_forked_processes() -> None:
    """`Dataset.map` with processes forks this one, workers and all."""
    compare("1/7", "2/14")
    pids = POOL.pids
    rows, stage = Dataset.from_dict(BATCH), Verify()
    made = rows.map(
        stage, batched=True, batch_size=1, num_proc=2, features=Features({**rows.features, **stage.adds})
    )
    assert list(made["answer_clusters"]) == ADDED["answer_clusters"]
    assert POOL.pids == pids
    assert compare("1/7", "3/21").relation == "equal"


def test_what_changes_rows_is_in_the_identity() -> None:
    stage = Verify()
    assert identity(stage) == {
        "is": "verify",
        "version": 8,
        "limits": {"is": "Limits", "version": 1, "seconds": 5.0, "megabytes": 1024, "characters": 2000},
    }
    assert fingerprint(replace(stage, processes=7)) == fingerprint(stage)
    assert fingerprint(Verify(Limits(seconds=5))) == fingerprint(stage)
    others = [Verify(Limits(seconds=1)), Verify(Limits(megabytes=512)), Verify(Limits(characters=500))]
    assert len({fingerprint(one) for one in [stage, *others]}) == 4
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.reuse_key == ""


def test_a_hostile_candidate_costs_its_row_one_class() -> None:
    batch = {
        "problem": ["Find $x$."],
        "candidates": [[box("5"), box("9^{9^{9^{9}}}"), box("10/2"), box("1+" * 5000 + "1")]],
        "solutions": [None],
    }
    out = Verify(Limits(seconds=1))(batch)
    assert out["answer_clusters"] == [[0, 1, 0, 2]]
    assert (out["majority_answer"], out["unknown_pairs"]) == (["5"], [3])
