"""Pairs: right before liked, by properties that hold for every problem; and the problems for reinforcement
learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magpie_hf.answers.votes import vote
from magpie_hf.card.stats import Pairs
from magpie_hf.errors import BadInput
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.schema import PAIR, RL
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.pair import Pair


@dataclass(frozen=True)
class Try:
    """One candidate: its text, its final answer, its score, why it is not complete, and its tokens."""

    text: str = "a"
    answer: str | None = None
    score: float | None = None
    reason: str | None = None
    tokens: int = 10


def compare(one: str, other: str) -> str:
    """Numbers say what they are; a question mark may be anything."""
    return "unknown" if "?" in (one, other) else "equal" if one == other else "different"


def votes_of(tries: Sequence[Try]) -> tuple[list[bool | None], float | None]:
    votes = vote([None if one.reason else one.answer for one in tries], compare)
    return list(votes.in_majority), votes.sizes[0] / sum(votes.sizes) if votes.sizes else None


def pair(tries: Sequence[Try], rules: Pair | None = None) -> dict[str, Any]:
    in_majority, majority_share = votes_of(tries)
    batch = {
        "candidates": [[{"text": one.text, "reason": one.reason, "num_tokens": one.tokens} for one in tries]],
        "scores": [[{"score": None if one.reason else one.score} for one in tries]],
        "in_majority": [in_majority],
        "majority_share": [majority_share],
    }
    out = (rules or Pair())(batch)
    return {column: out[column][0] for column in PAIR}


def tried(answers: str, *scores: float | None) -> list[Try]:
    """Candidates with one letter as the answer each, "-" for none, and texts of their own."""
    return [
        Try(f"text {j}", None if answer == "-" else answer, score)
        for j, (answer, score) in enumerate(zip(answers, scores, strict=True))
    ]


TRIES = st.lists(
    st.builds(
        Try,
        st.sampled_from("abcde"),
        st.sampled_from([None, "1", "2", "3", "?"]),
        st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.25, 1.0, 5.0])),
        st.sampled_from([None, None, None, "length"]),
        st.integers(1, 60),
    ),
    max_size=8,
)
RULES = st.builds(
    Pair,
    st.sampled_from([0.0, 0.5, 0.75]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([None, -1.0, 0.0, 2.0]),
    st.sampled_from([1.0, 2.0, 4.0]),
)

# --- cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "kind", "chosen", "rejected"),
    [
        (tried("1112", 1.0, 2.0, 3.0, 0.5), "correctness", 2, 3),
        (
            tried("1112", 1.0, 2.0, 3.0, 9.0),
            "correctness",
            2,
            3,
        ),  # the scorer likes the wrong one best: right before liked
        (
            tried("11232", 1.0, 2.0, 0.0, -1.0, 5.0),
            "score",
            4,
            3,
        ),  # two against two: no majority, so the score alone
        (tried("11123", 1.0, 2.0, 3.0, 9.0, 4.0), "correctness", 2, 4),  # of two wrong ones, the less liked
        (
            tried("1111", 1.0, 2.0, 3.0, 2.5),
            "score",
            2,
            0,
        ),  # all agree: the best and the worst liked right one
        (
            tried("111-", 1.0, 2.0, 3.0, 0.0),
            "score",
            2,
            0,
        ),  # nothing stated is not wrong, and not right either
        (tried("111?", 1.0, 2.0, 3.0, 0.0), "score", 2, 0),  # what may be equal is not wrong
        (tried("123", 1.0, 2.0, 3.0), "score", 2, 0),
        (tried("----", 1.0, 2.0, 3.0, 3.0), "score", 2, 0),  # a proof: the first of equals
        (
            tried("11234", 1.0, 2.0, 5.0, 0.0, 4.0),
            "score",
            2,
            3,
        ),  # two of five are too few to make an answer right
    ],
)
def test_which_two_make_a_pair(tries: list[Try], kind: str, chosen: int, rejected: int) -> None:
    assert pair(tries) == {
        "chosen_index": chosen,
        "rejected_index": rejected,
        "pair_kind": kind,
        "pair_reason": None,
    }


@pytest.mark.parametrize(
    ("tries", "rules", "reason"),
    [
        ([], Pair(), "incomplete"),
        ([Try("a", "1", 1.0), Try("b", "1", 2.0, "length")], Pair(), "incomplete"),
        (tried("11", 1.0, None), Pair(), "unscored"),
        (
            tried("112", None, None, 1.0),
            Pair(),
            "unscored",
        ),  # no right one has a score: a wrong one is never chosen in its place
        (tried("11", 1.0, 1.0), Pair(), "score_gap"),
        (tried("11", 1.0, 1.4), Pair(min_score_gap=0.5), "score_gap"),
        (tried("1112", 1.0, 1.0, 1.0, 1.0), Pair(min_correctness_score_gap=0.1), "score_gap"),
        ([Try("a", "1", 1.0), Try("a", "1", 2.0)], Pair(), "same_text"),
        ([Try("a", "1", 1.0, None, 10), Try("b", "1", 2.0, None, 41)], Pair(), "length_ratio"),
    ],
)
def test_why_none_does(tries: list[Try], rules: Pair, reason: str) -> None:
    assert pair(tries, rules) == {
        "chosen_index": None,
        "rejected_index": None,
        "pair_kind": None,
        "pair_reason": reason,
    }


def test_a_pair_that_is_too_unlike_in_length_gives_way_to_the_next() -> None:
    tries = [Try("a", "1", 3.0, None, 10), Try("b", "1", 0.0, None, 90), Try("c", "1", 1.0, None, 30)]
    assert pair(tries)["rejected_index"] == 2
    assert pair(tries, Pair(max_length_ratio=9.0))["rejected_index"] == 1


def test_correctness_needs_no_margin_unless_it_is_asked_for() -> None:
    tries = tried("1112", 1.0, 2.0, 3.0, 9.0)
    assert pair(tries, Pair(min_score_gap=100.0))["pair_kind"] == "correctness"
    assert pair(tries, Pair(min_correctness_score_gap=-6.0))["pair_kind"] == "correctness"
    assert pair(tries, Pair(min_correctness_score_gap=0.0))["pair_reason"] == "score_gap"


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ({"min_majority_share": 1.5}, "min_majority_share is 1.5; give a share from 0 to 1"),
        ({"min_score_gap": -0.1}, "min_score_gap is -0.1; give a finite number of at least 0"),
        ({"min_score_gap": float("nan")}, "min_score_gap is nan"),
        ({"min_correctness_score_gap": float("inf")}, "min_correctness_score_gap is inf"),
        ({"max_length_ratio": 0.5}, "max_length_ratio is 0.5; give a finite number of at least 1"),
        ({"max_length_ratio": float("nan")}, "max_length_ratio is nan"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, float], line: str) -> None:
    with pytest.raises(BadInput, match=line):
        Pair(**rules)


# --- properties ---------------------------------------------------------------------------------------------


@given(TRIES, RULES)
def test_a_pair_is_two_complete_scored_candidates_of_one_problem(tries: list[Try], rules: Pair) -> None:
    made = pair(tries, rules)
    chosen, rejected = made["chosen_index"], made["rejected_index"]
    assert (
        (chosen is None)
        == (rejected is None)
        == (made["pair_kind"] is None)
        == (made["pair_reason"] is not None)
    )
    if chosen is None:
        return
    right, wrong = tries[chosen], tries[rejected]
    assert right.text != wrong.text
    assert right.reason is None is wrong.reason
    assert right.score is not None
    assert wrong.score is not None
    assert max(right.tokens, wrong.tokens) <= rules.max_length_ratio * min(right.tokens, wrong.tokens)
    score_gap = right.score - wrong.score
    in_majority, majority_share = votes_of(tries)
    if made["pair_kind"] == "correctness":
        assert (in_majority[chosen], in_majority[rejected]) == (True, False)
        assert right.answer != wrong.answer
        assert majority_share is not None
        assert majority_share >= rules.min_majority_share
        assert rules.min_correctness_score_gap is None or score_gap >= rules.min_correctness_score_gap
    else:
        assert score_gap > 0
        assert score_gap >= rules.min_score_gap
        assert (
            in_majority[rejected] is not True
            or in_majority[chosen] is True
            or (majority_share or 0) < rules.min_majority_share
        )


@given(TRIES, RULES, st.sampled_from([0.0, 0.5, 2.0, 7.0]))
def test_a_higher_margin_floor_never_adds_a_pair(tries: list[Try], rules: Pair, more: float) -> None:
    floor = rules.min_correctness_score_gap
    raised = replace(
        rules,
        min_score_gap=rules.min_score_gap + more,
        min_correctness_score_gap=more if floor is None else floor + more,
    )
    low, high = pair(tries, rules), pair(tries, raised)
    assert high == low or high["pair_kind"] is None


@given(TRIES, RULES, st.integers(0, 8))
def test_a_cut_candidate_makes_no_difference(tries: list[Try], rules: Pair, place: int) -> None:
    place = min(place, len(tries))
    more = pair([*tries[:place], Try("z", "1", 99.0, "length"), *tries[place:]], rules)
    made = pair(tries, rules)
    for column in ("chosen_index", "rejected_index"):
        made[column] = None if made[column] is None else made[column] + (made[column] >= place)
    assert more == made


@given(st.lists(TRIES, min_size=1, max_size=4), RULES)
def test_problems_do_not_meet(problems: list[list[Try]], rules: Pair) -> None:
    alone = [pair(tries, rules) for tries in problems]
    rows = [votes_of(tries) for tries in problems]
    together = rules(
        {
            "candidates": [
                [{"text": one.text, "reason": one.reason, "num_tokens": one.tokens} for one in tries]
                for tries in problems
            ],
            "scores": [[{"score": None if one.reason else one.score} for one in tries] for tries in problems],
            "in_majority": [in_majority for in_majority, _ in rows],
            "majority_share": [majority_share for _, majority_share in rows],
        }
    )
    assert alone == [{column: together[column][row] for column in PAIR} for row in range(len(problems))]


# --- the report and the RL problems -------------------------------------------------------------------------


def test_the_pair_report_in_a_line() -> None:
    report = Pairs({"correctness": (-0.5, 1.0, 2.0), "score": (0.25,)}, 1, {"incomplete": 3, "score_gap": 2})
    assert (report.count, report.longer_share) == (4, 0.25)
    assert (
        report.line()
        == "4 pairs: 3 correctness (median score gap 1.000), 1 score (median score gap 0.250); chosen is"
        " longer in 25%; no pair: 5 problems (3 incomplete, 2 score_gap)"
    )
    assert Pairs({}, 0, {"unscored": 1}).line() == "0 pairs; no pair: 1 problems (1 unscored)"


def rl_row(**changed: Any) -> dict[str, Any]:
    return {
        "index": 4,
        "id": "algebra-1",
        "domain": "algebra",
        "problem": "P",
        "majority_answer": "\\frac{1}{2}",
        "majority_share": 0.8,
        "cluster_sizes": [4, 1],
        "mean_num_tokens": 30.5,
        "is_readable": True,
        "accepted_as": "algebra",
        "normal_hash": 1,
        **changed,
    }


def test_rl_problems_are_those_with_an_agreed_answer() -> None:
    rows = [
        rl_row(majority_answer="\\frac12"),
        rl_row(id="2", majority_share=0.59),
        rl_row(id="3", majority_share=0.6),
        rl_row(id="4", majority_answer=None),
        rl_row(id="5", majority_answer=None, majority_share=None),
        rl_row(id="6", accepted_as=None, majority_share=None),
        rl_row(id="7", is_readable=False),
        rl_row(id="8", accepted_as="geometry"),
    ]
    out = ExportRL("algebra", HeldOut(0), "train", 0.6, "Box it.")(
        {column: [row[column] for row in rows] for column in ExportRL.READS}
    )
    assert out["id"] == ["algebra-1", "3"]
    assert {column: values[0] for column, values in out.items()} == {
        "id": "algebra-1",
        "problem": "P",
        "prompt": [{"role": "user", "content": "P\n\nBox it."}],
        "solution": "$\\boxed{\\frac{1}{2}}$",
        "data_source": "magpie_hf/algebra",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "\\frac{1}{2}"},
        "extra_info": {"index": 4, "split": "train"},
        "majority_share": 0.8,
        "answer_votes": 5,
        "candidate_tokens": 30.5,
    }
    assert set(out) == set(RL)
    with pytest.raises(BadInput, match="the majority share of the RL problems is 60"):
        ExportRL("algebra", HeldOut(0), "train", 60)
