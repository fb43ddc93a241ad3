"""What is made of candidates: ratings, pairs, final answers, published rows, and the numbers of a build."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from test_stage import Script, byte_model, candidate, id_of

from magpie_hf.answers.extraction import boxed_answer
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import NO_ROOM, Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.vllm import VLLM
from magpie_hf.models import Model
from magpie_hf.recipe import Recipe
from magpie_hf.sampling import Sampling
from magpie_hf.schema import FORBIDDEN, PUBLISHED, SPLITS
from magpie_hf.scorers import RUBRIC, Judge, Score
from magpie_hf.stage import fingerprint
from magpie_hf.stages.export import ExportText
from magpie_hf.stages.pair import Pair
from magpie_hf.stats import ANSWERED, JUDGED, Answers, Funnel, Pairs, tally, tokens

# --- the judge ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


def rated(model: Model, masses: dict[str, float]) -> Completion:
    """The completion whose first token is drawn with these probabilities."""
    first = sorted(((id_of(model, token), math.log(mass)) for token, mass in masses.items()), key=lambda one: -one[1])
    return Completion("", "length", 30, 1, tuple(first))


def judged(model: Model, *completions: Completion, **options: Any) -> list[Score]:
    judge = Judge(FakeEngine(model, Script(model, list(completions))), **options)
    return judge(["P"] * len(completions), [f"R{number}" for number in range(len(completions))])


@pytest.mark.parametrize(
    ("masses", "score"),
    [
        ({"1": 1.0}, 1.0),
        ({"5": 1.0}, 5.0),
        ({"4": 0.5, "5": 0.5}, 4.5),
        ({"4": 0.5, "5": 0.25, "x": 0.25}, 13 / 3),  # what is no rating takes no part
        ({"1": 0.125, "2": 0.125, "3": 0.25, "4": 0.25, "5": 0.25}, 3.375),
        ({"x": 0.9, "2": 0.04, "3": 0.02}, 7 / 3),
        ({"6": 0.5, "3": 0.25, "x": 0.25}, 3.0),
    ],
)
def test_the_score_is_the_mean_rating_under_the_models_probabilities(masses: dict[str, float], score: float, model: Model) -> None:
    (one,) = judged(model, rated(model, masses))
    assert one == Score(score)
    assert one.score == pytest.approx(score, rel=1e-7), "in single precision"


def test_each_response_has_its_own_score_in_order(model: Model) -> None:
    completions = [rated(model, {"2": 1.0}), rated(model, {"x": 1.0}), Completion("", NO_ROOM, 9000, 0), rated(model, {"4": 1.0})]
    assert judged(model, *completions) == [Score(2.0), Score(None, "not_rated"), Score(None, "no_room"), Score(4.0)]
    assert judged(model) == []


@pytest.mark.parametrize(
    ("first", "min_mass"),
    [
        ((), 0.05),
        (((300, 0.0),), 0.05),
        (((16, math.log(0.049)), (300, math.log(0.9))), 0.05),
        (((16, math.log(0.3)), (17, math.log(0.3))), 0.75),
        (((16, -math.inf),), 0.05),
        (((16, math.nan),), 0.05),
        (((16, math.nan), (17, 0.0)), 0.05),
    ],
)  # 16 and 17 are the bytes "1" and "2"
def test_too_little_mass_on_the_ratings_is_no_rating(first: tuple[tuple[int, float], ...], min_mass: float, model: Model) -> None:
    assert (id_of(model, "1"), id_of(model, "2")) == (16, 17)
    assert judged(model, Completion("1", "length", 30, 1, first), min_mass=min_mass) == [Score(None, "not_rated")]


def test_mass_above_the_bound_is_a_rating(model: Model) -> None:
    assert judged(model, rated(model, {"x": 0.9, "1": 0.051})) == [Score(1.0)]
    assert judged(model, rated(model, {"1": 0.3, "2": 0.3}), min_mass=0.5) == [Score(1.5)]


def test_no_mass_at_all_is_no_rating_whatever_the_bound(model: Model) -> None:
    assert judged(model, rated(model, {"x": 1.0}), min_mass=0.0) == [Score(None, "not_rated")]


def test_no_room_is_its_own_reason(model: Model) -> None:
    assert judged(model, Completion("", NO_ROOM, 9000, 0)) == [Score(None, "no_room")]


PROBLEM = r"Let $S=\{x\in\mathbb{R}\}$, {response}, {problem}, {0}, {}, %s and $\frac{1}{2}$."
RESPONSE = r"By \boxed{\frac{a}{b}} {problem} {response} }{ \1 \g<0> $1."


def test_braces_and_latex_reach_the_judge_as_they_are(model: Model) -> None:
    script = Script(model, [rated(model, {"3": 1.0})])
    Judge(FakeEngine(model, script), "Grade {it}.\nP: {problem}\nS: {response}\nRate.")([PROBLEM], [RESPONSE])
    asked = f"<|im_start|>user\nGrade {{it}}.\nP: {PROBLEM}\nS: {RESPONSE}\nRate.<|im_end|>\n<|im_start|>assistant\nRating: "
    assert script.asked == [(asked, Sampling(temperature=0.0, max_tokens=1, logprobs=20), 0)]


def test_the_rubric_holds_problem_and_response_once(model: Model) -> None:
    assert RUBRIC.count("{problem}") == RUBRIC.count("{response}") == 1
    script = Script(model, [rated(model, {"3": 1.0})])
    Judge(FakeEngine(model, script))(["Find $x$."], ["It is $4$."])
    assert "\n\nProblem:\nFind $x$.\n\nSolution:\nIt is $4$.\n\nAnswer with the rating alone" in script.asked[0][0]
    assert script.asked[0][0].endswith("<|im_end|>\n<|im_start|>assistant\nRating: ")


def test_a_judge_that_thinks_is_given_an_empty_thought(tmp_path: Path) -> None:
    thinker = byte_model("thinker", tmp_path)
    script = Script(thinker, [Completion("", "length", 9, 1, ((id_of(thinker, "4"), 0.0),))])
    assert Judge(FakeEngine(thinker, script), "{problem} {response}")(["P"], ["R"]) == [Score(4.0)]
    assert script.asked[0][0] == "[USER]P R[BOT]<think>\n\n</think>\n\nRating: "


def test_a_judge_is_what_it_asks_and_not_where_it_runs(model: Model) -> None:
    judge = Judge(VLLM(model))
    assert (judge.suffix, judge.title) == ("judge", "judge byte/chatml")
    assert fingerprint(Judge(VLLM(model, tensor_parallel_size=4, form="async"))) == fingerprint(judge)
    others = [replace(judge, rubric="{problem}{response}"), replace(judge, min_mass=0.5), Judge(VLLM(replace(model, revision="r")))]
    assert len({fingerprint(one) for one in [judge, *others]}) == 4
    judge.check()


# --- final answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{42}.", "42"),
        (r"\boxed{ -7 }", "-7"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\sqrt{\frac{a_{1}}{b^{2}}}} and {more}", r"\sqrt{\frac{a_{1}}{b^{2}}}"),
        (r"$\boxed{\{1, 2\}}$", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\text{closed by \}}}", r"\text{closed by \}}"),
        (r"First \boxed{1}, then \boxed{2}", "2"),
        (r"First \boxed{1}, then \boxed{2", "1"),
        (r"First \boxed{1}, then \boxed{\frac{2}{3}", "1"),
        (r"\boxed{1} \boxed{2} \boxed{3 \boxed{4", "2"),
        (r"\fbox{9}", "9"),
        (r"\boxed{1} \fbox{2}", "2"),
        (r"\fbox{1} \boxed{2}", "2"),
        (r"\fbox{1} \boxed{2", "1"),
        ("\\boxed{a\nb}", "a\nb"),
        (r"\boxed{数}", "数"),
        ("", None),
        ("The answer is 42.", None),
        (r"\boxed 42", None),
        (r"\boxed{42", None),
        (r"\boxed{\{}", r"\{"),
        (r"\boxed{\}", None),
        (r"boxed{42}", None),
        (r"\boxed{}", None),
        (r"\boxed{  }", None),
    ],
)
def test_the_answer_is_in_the_last_balanced_box(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{\begin{matrix}1\\{2}\end{matrix}}", r"\begin{matrix}1\\{2}\end{matrix}"),
        (r"\boxed{\substack{a \\ b \\}} and \textbf{so}", r"\substack{a \\ b \\}"),
        (r"\boxed{\\\{}", r"\\\{"),
    ],
)
def test_a_brace_after_a_line_break_is_not_escaped(text: str, answer: str) -> None:
    assert boxed_answer(text) == answer


def test_a_text_of_open_boxes_alone_has_no_answer() -> None:
    assert boxed_answer(r"\boxed{" * 2000) is None
    assert boxed_answer(r"\boxed{1} " + r"\fbox{" * 2000) == "1"


BALANCED = st.recursive(
    st.text("ax+1 ^_$", max_size=4) | st.sampled_from([r"\{", r"\}", r"\frac"]),
    lambda inner: st.lists(inner | inner.map(lambda text: f"{{{text}}}"), max_size=4).map("".join),
)


@given(BALANCED, st.text("ax+1 ${}", max_size=9))
def test_any_balanced_content_comes_back(content: str, before: str) -> None:
    assert boxed_answer(f"{before} \\boxed{{{content}}} so it is.") == (content.strip() or None)


@given(st.text(r"\{}bfoxed 1", max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    answer = boxed_answer(text)
    assert answer is None or (answer in text and answer == answer.strip() != "")


# --- published rows ----------------------------------------------------------------------------------------------------------


def row(**changed: Any) -> dict[str, Any]:
    """A row with everything: a complete answer, three candidates (one cut), a pair."""
    return {
        "id": "algebra-1",
        "domain": "algebra",
        "seed": 11,
        "problem": "P",
        "language": "en",
        "tags": {"domain": "algebra", "quality": "good", "reason": None, "request": "r"},
        "min_neighbor_distance": 0.25,
        "raw_num_tokens": 12,
        "solutions": [candidate("solution", answer_text=r"\boxed{1}")],
        "candidates": [candidate("good", answer_text=r"\boxed{2}"), candidate("cut", "length"), candidate("bad", answer_text="none")],
        "scores": [one_score(4.0), no_score("length"), one_score(1.5)],
        "answers": ["2", None, None],
        "answer_classes": [0, None, None],
        "class_sizes": [1],
        "in_majority": [None, None, None],
        "answer_kind": "answer",
        "majority_answer": None,
        "agreement": 1.0,
        "mean_num_tokens": 7.0,
        "solution_agrees": None,
        "chosen_index": 0,
        "rejected_index": 2,
        "pair_kind": "style",
        "accepted_as": "algebra",
        **changed,
    }


CUT = {"solutions": [candidate("torn", "length")]}
UNPAIRED = {"chosen_index": None, "rejected_index": None, "pair_kind": None}
DROPPED = {
    **UNPAIRED, "accepted_as": None, "problem": None, "solutions": None, "candidates": None, "scores": None,
}  # fmt: skip
GENERATION = tuple(
    (name, 0.5 if name.endswith("temperature") else name) for name in PUBLISHED["generation"] if name not in ("seed", "asked_with")
)


def export(split: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    out = ExportText("algebra", split, GENERATION)({column: [one[column] for one in rows] for column in ExportText.reads})
    assert list(out) == list(PUBLISHED)
    return [dict(zip(out, values, strict=True)) for values in zip(*out.values(), strict=True)]


def said(messages: list[dict[str, str]]) -> str:
    """The assistant's words, where the conversation is the problem and one answer."""
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[0]["content"] == "P"
    return messages[1]["content"]


@pytest.mark.parametrize(
    ("changed", "in_sft", "in_prefs"),
    [
        ({}, True, True),
        (UNPAIRED, True, False),
        (CUT, False, True),
        ({**CUT, **UNPAIRED}, False, False),
        (DROPPED, False, False),
        ({"solutions": [candidate("", "empty")]}, False, True),
        ({"solutions": [candidate("<think>", "thinking_not_closed")], **UNPAIRED}, False, False),
    ],
)
def test_which_rows_are_in_which_split(changed: dict[str, Any], in_sft: bool, in_prefs: bool) -> None:
    assert len(export("train_sft", row(**changed))) == in_sft
    assert len(export("train_prefs", row(**changed))) == in_prefs


def test_a_row_with_everything() -> None:
    for split in SPLITS:
        (one,) = export(split, row())
        assert (said(one["messages"]), said(one["chosen"]), said(one["rejected"])) == ("solution", "good", "bad")
        assert (one["has_pair"], one["score_chosen"], one["score_rejected"], one["score_margin"]) == (True, 4.0, 1.5, 2.5)
        assert (one["problem"], one["solution"], one["answer"]) == ("P", "solution", "1")
        assert (one["problem_tokens"], one["solution_tokens"], one["finish_reason"]) == (12, 7, "stop")
        assert one["candidates"] == [
            {
                "response": text, "score": score, "objectives": None, "gate": None, "answer": answer, "answer_class": answer_class,
                "in_majority": None, "finish_reason": "stop", "num_tokens": 7,
            }
            for text, score, answer, answer_class in (("good", 4.0, "2", 0), ("bad", 1.5, None, None))
        ]  # fmt: skip
        columns = ("pair_kind", "answer_kind", "majority_answer", "answer_agreement", "answer_votes", "solution_agrees", "candidate_tokens")
        assert [one[column] for column in columns] == ["style", "answer", None, 1.0, 1, None, 7.0]
        assert one["generation"] == {**dict(GENERATION), "seed": 11, "asked_with": "user: Solve it."}


def test_a_row_without_a_pair_says_the_same_three_times() -> None:
    (one,) = export("train_sft", row(**UNPAIRED))
    assert one["messages"] == one["chosen"] == one["rejected"]
    assert said(one["messages"]) == "solution"
    assert one["has_pair"] is False
    assert (one["score_chosen"], one["score_rejected"], one["score_margin"]) == (None, None, None)


def test_a_pair_without_a_complete_answer_publishes_the_chosen_one() -> None:
    best = candidate("<think>\nhm</think>good", thinking="hm", answer_text=r"\boxed{2}", num_tokens=9, asked_with="system: X")
    (one,) = export("train_prefs", row(**CUT, candidates=[best, *row()["candidates"][1:]]))
    assert one["messages"] == one["chosen"]
    assert said(one["messages"]) == one["solution"] == "<think>\nhm</think>good"
    assert said(one["rejected"]) == "bad"
    assert (one["thinking"], one["answer"], one["solution_tokens"], one["finish_reason"]) == ("hm", "2", 9, "stop")
    assert one["generation"]["asked_with"] == "system: X"


def test_the_order_of_rows_is_kept_and_others_are_left_out() -> None:
    rows = [row(id="1"), row(id="2", **DROPPED), row(id="3", **CUT), row(id="4", **UNPAIRED), row(id="5")]
    assert [one["id"] for one in export("train_sft", *rows)] == ["1", "4", "5"]
    assert [one["id"] for one in export("train_prefs", *rows)] == ["1", "3", "5"]
    assert export("train_sft") == []


ANSWERS = st.sampled_from(["whole 1", "whole 2", "cut 1", "cut 2"])


@given(st.sampled_from(SPLITS), ANSWERS, st.lists(st.tuples(ANSWERS, st.sampled_from([1.0, 3.0, 5.0])), min_size=2, max_size=6))
def test_no_cut_answer_is_ever_published(split: str, solution: str, tries: list[tuple[str, float]]) -> None:
    def answer(text: str) -> dict[str, Any]:
        return candidate(text, "length" if text.startswith("cut") else None)

    candidates = [answer(text) for text, _ in tries]
    scores = [
        no_score(tried["reason"]) if tried["reason"] else one_score(score) for tried, (_, score) in zip(candidates, tries, strict=True)
    ]
    silent: list[None] = [None] * len(tries)
    paired = Pair()({"candidates": [candidates], "scores": [scores], "in_majority": [silent], "agreement": [None]})
    votes = {"class_sizes": [], "answers": silent, "answer_classes": silent, "in_majority": silent, "agreement": None}
    indexes = {column: paired[column][0] for column in ("chosen_index", "rejected_index", "pair_kind")}
    rows = export(split, row(solutions=[answer(solution)], candidates=candidates, scores=scores, **votes, **indexes))
    assert (split == "train_sft" and solution.startswith("cut")) <= (not rows)
    for one in rows:
        texts = [said(one[column]) for column in ("messages", "chosen", "rejected")]
        texts += [one["solution"], *(tried["response"] for tried in one["candidates"])]
        assert all(text.startswith("whole") for text in texts)
        assert one["finish_reason"] == "stop"
        assert (one["chosen"] != one["rejected"]) == one["has_pair"]
        assert one["has_pair"] or one["messages"] == one["chosen"] == one["rejected"]
        assert not one["has_pair"] or one["score_margin"] > 0
        assert None not in (one["messages"], one["chosen"], one["rejected"])


def test_the_published_columns() -> None:
    assert not FORBIDDEN & set(PUBLISHED)
    assert {"prompt", "completion", "label", "margin", "input_ids", "labels", "images"} <= FORBIDDEN
    (one,) = export("train_sft", row())
    assert list(one) == list(PUBLISHED)
    assert list(one["candidates"][0]) == list(PUBLISHED["candidates"].feature)
    assert set(one["generation"]) == set(PUBLISHED["generation"])
    published = Dataset.from_list([one], features=PUBLISHED)
    assert published[0] == one


def test_a_recipe_fills_the_whole_generation_column(model: Model) -> None:
    engine = VLLM(model)
    recipe = Recipe(engine, engine, Judge(engine), (DOMAINS["algebra"],))
    assert recipe.provenance(DOMAINS["algebra"]) == {
        "problem_model": "byte/chatml",
        "problem_revision": "sha256:chatml",
        "response_model": "byte/chatml",
        "response_revision": "sha256:chatml",
        "scorer": "judge byte/chatml",
        "problem_temperature": 1.3,
        "response_temperature": 0.05,
        "candidate_temperature": 0.8,
    }
    assert {*recipe.provenance(DOMAINS["algebra"]), "seed", "asked_with"} == set(PUBLISHED["generation"])


# --- numbers -----------------------------------------------------------------------------------------------------------------


def no_score(reason: str) -> dict[str, Any]:
    return {"score": None, "reason": reason, "objectives": None, "gate": None}


def one_score(score: float) -> dict[str, Any]:
    return {"score": score, "reason": None, "objectives": None, "gate": None}


COUNTED = tuple(dict.fromkeys((*ANSWERED, *JUDGED)))


@dataclass(frozen=True)
class Part:
    """Rows that are already read."""

    columns: dict[str, list[Any]]

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        yield {column: self.columns[column] for column in columns}


def table() -> dict[str, list[Any]]:
    """Six draws: two dropped, three answered, one cut; eight candidates, of which two are cut and two have no score; one pair."""
    answer, cut, longer = candidate("a"), candidate("a", "length"), candidate("b", num_tokens=9)
    nothing = dict.fromkeys(COUNTED)
    lost = {**nothing, "accepted_as": "algebra", "language": "en", "answer_kind": "none", "unknown_pairs": 0}
    agreed = {"answer_kind": "answer", "majority_answer": "1", "agreement": 1.0, "unknown_pairs": 2, "solution_agrees": True}
    pair = {"chosen_index": 1, "rejected_index": 0, "pair_kind": "style"}
    rows: list[dict[str, Any]] = [
        {**lost, **agreed, **pair, "solutions": [answer], "candidates": [answer, longer], "scores": [one_score(1.0), one_score(2.5)]},
        {**nothing, "dropped": "length"},
        {
            **lost, "solutions": [answer], "candidates": [answer, cut], "scores": [one_score(1.0), no_score("length")],
            "pair_reason": "incomplete",
        },
        {
            **lost, "answer_kind": "answer", "agreement": 0.5, "solutions": [cut], "candidates": [answer, answer],
            "scores": [no_score("not_rated"), one_score(3.0)], "pair_reason": "unscored",
        },
        {**nothing, "dropped": "empty"},
        {
            **lost, "answer_kind": "proof", "solutions": [answer], "candidates": [candidate("", "no_room"), answer],
            "scores": [no_score("no_room"), no_score("no_room")], "pair_reason": "incomplete",
        },
    ]  # fmt: skip
    return {column: [row[column] for row in rows] for column in COUNTED}


def test_the_funnel_says_what_became_of_the_draws() -> None:
    counted = tally("algebra", {"algebra": [Part(table())]}, 3)
    assert counted.funnel == Funnel(
        domain="algebra",
        drawn=6,
        dropped={"empty": 1, "length": 1},
        contaminated={},
        languages={"en": 4},
        moved_away=0,
        moved_here=0,
        tagged=0,
        on_domain=0,
        candidates=8,
        cut_solutions={"length": 1},
        cut_candidates={"length": 1, "no_room": 1},
        unscored={"no_room": 1, "not_rated": 1},
        sft=3,
        pairs=1,
    )
    assert counted.funnel.problems == 4
    assert list(counted.funnel.dropped) == ["empty", "length"], "reasons are sorted"
    assert counted.answers == Answers({"answer": 2, "none": 1, "proof": 1}, 1, 0.75, 2, {"agree": 1, "unknown": 2})
    assert counted.pairs == Pairs({"style": (1.5,)}, 1, {"incomplete": 2, "unscored": 1})
    assert [line.split(";")[0] for line in counted.lines()] == [
        counted.funnel.line(),
        "1 of 4 problems have a majority answer (2 answer, 1 none, 1 proof)",
        "1 pairs: 1 style (median margin 1.500)",
    ]


def test_the_funnel_in_a_line() -> None:
    none = ({}, {}, 0, 0, 0, 0)
    counted = Funnel(
        "algebra", 10_000, {"empty": 1_200, "length": 3}, *none, 5_000, {"length": 7}, {"length": 9}, {"not_rated": 2}, 8_790, 1_500
    )
    assert counted.problems == 8_797
    assert counted.line() == (
        "10,000 drawn -> 8,797 problems (1,200 empty, 3 length) -> 8,790 answered (7 length) "
        "-> 5,000 candidates (9 length, 2 not_rated) -> 1,500 pairs"
    )
    plain = Funnel("algebra", 2, {}, *none, 4, {}, {}, {}, 2, 2)
    assert plain.line() == "2 drawn -> 2 problems -> 2 answered -> 4 candidates -> 2 pairs"


def test_the_funnel_of_draws_that_were_labelled_and_moved() -> None:
    rows = table() | {"accepted_as": ["algebra", None, "geometry", "algebra", None, "algebra"]}
    rows["tags"] = [{"domain": domain} for domain in ("algebra", None, "geometry", "algebra", "geometry", "geometry")]
    moved = table() | {"accepted_as": [None, None, "algebra", None, None, "geometry"]}
    counted = tally("algebra", {"algebra": [Part(rows)], "geometry": [Part(moved)]}, 3).funnel
    assert (counted.drawn, counted.moved_away, counted.moved_here, counted.problems) == (6, 1, 1, 4)
    assert (counted.tagged, counted.on_domain, counted.on_domain_share) == (5, 2, 0.4)
    assert "4 problems (1 empty, 1 length, 1 moved to other domains, 1 moved here)" in counted.line()
    assert counted.line().endswith("; 40% of 5 tagged draws on the domain")


def test_the_line_adds_up_a_reason_of_cut_and_of_unscored_candidates() -> None:
    line = tally("algebra", {"algebra": [Part(table())]}, 3).funnel.line()
    assert line == (
        "6 drawn -> 4 problems (1 empty, 1 length) -> 3 answered (1 length) -> 8 candidates (1 length, 2 no_room, 1 not_rated) -> 1 pairs"
    )


def test_numbers_are_counted_beyond_one_batch() -> None:
    counted = tally("algebra", {"algebra": [Part(table())] * 100}, 300)
    assert (counted.funnel.drawn, counted.funnel.problems, counted.funnel.candidates) == (600, 400, 800)
    assert counted.funnel.dropped == {"empty": 100, "length": 100}
    assert counted.funnel.unscored == {"no_room": 100, "not_rated": 100}
    assert (counted.answers.majorities, counted.answers.agreement, counted.pairs.count) == (100, 0.75, 100)


def test_numbers_of_rows_that_were_all_dropped() -> None:
    rows = {**{column: [None, None] for column in COUNTED}, "dropped": ["length", "length"]}
    counted = tally("algebra", {"algebra": [Part(rows)]}, 0)
    assert counted.funnel == Funnel("algebra", 2, {"length": 2}, {}, {}, 0, 0, 0, 0, 0, {}, {}, {}, 0, 0)
    assert counted.answers == Answers({}, 0, None, 0, {})
    assert counted.pairs == Pairs({}, 0, {})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {"sum": 0, "mean": 0, "median": 0, "p95": 0}),
        ([7], {"sum": 7, "mean": 7, "median": 7, "p95": 7}),
        ([30, 10, 20], {"sum": 60, "mean": 20, "median": 20, "p95": 30}),
        ([5, 1, 1, 1, 2], {"sum": 10, "mean": 2, "median": 1, "p95": 5}),
        (list(range(101)), {"sum": 5050, "mean": 50, "median": 50, "p95": 95}),
    ],
)
def test_tokens_of_a_split(values: list[int], expected: dict[str, float]) -> None:
    rows = Dataset.from_dict({"solution_tokens": values, "problem_tokens": [value * 2 for value in values]})
    assert tokens(rows) == expected
    assert tokens(rows, "problem_tokens")["sum"] == 2 * expected["sum"]
