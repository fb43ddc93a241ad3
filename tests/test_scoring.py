"""What is made of candidates: ratings, pairs, final answers, published rows, and the numbers of a build."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from test_stage import Script, byte_model, candidate, id_of

from magpie_hf.answers.extraction import boxed_answer
from magpie_hf.card.stats import (
    COUNTED,
    Answers,
    Funnel,
    Pairs,
    Samples,
    Tally,
    Tokens,
    samples_of,
    tallies,
    tokens,
)
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import CONTEXT_FULL, Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.schema import CANDIDATES, FORBIDDEN, PUBLISHED, SPLITS
from magpie_hf.scorers.base import Score
from magpie_hf.scorers.judge import RUBRIC, Judge
from magpie_hf.stage import fingerprint
from magpie_hf.stages.exports.base import Export
from magpie_hf.stages.exports.candidates import ExportCandidates
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.exports.texts import ExportText
from magpie_hf.stages.pair import Pair
from magpie_hf.store.splits import ParquetSplit, read, rows_of

# --- the judge ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


def rated(model: Model, masses: dict[str, float]) -> Completion:
    """The completion whose first token is sampled with these probabilities."""
    first = sorted(
        ((id_of(model, token), math.log(mass)) for token, mass in masses.items()), key=lambda one: -one[1]
    )
    return Completion("", "length", 30, 1, tuple(first))


def ask_judge(model: Model, *completions: Completion, **options: Any) -> list[Score]:
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
def test_the_score_is_the_mean_rating_under_the_models_probabilities(
    masses: dict[str, float], score: float, model: Model
) -> None:
    (one,) = ask_judge(model, rated(model, masses))
    assert one == Score(score)
    assert one.score == pytest.approx(score, rel=1e-7), "in single precision"


def test_each_response_has_its_own_score_in_order(model: Model) -> None:
    completions = [
        rated(model, {"2": 1.0}),
        rated(model, {"x": 1.0}),
        Completion("", CONTEXT_FULL, 9000, 0),
        rated(model, {"4": 1.0}),
    ]
    assert ask_judge(model, *completions) == [
        Score(2.0),
        Score(None, "not_rated"),
        Score(None, "context_full"),
        Score(4.0),
    ]
    assert ask_judge(model) == []


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
def test_too_little_mass_on_the_ratings_is_no_rating(
    first: tuple[tuple[int, float], ...], min_mass: float, model: Model
) -> None:
    assert (id_of(model, "1"), id_of(model, "2")) == (16, 17)
    assert ask_judge(model, Completion("1", "length", 30, 1, first), min_mass=min_mass) == [
        Score(None, "not_rated")
    ]


def test_mass_above_the_bound_is_a_rating(model: Model) -> None:
    assert ask_judge(model, rated(model, {"x": 0.9, "1": 0.051})) == [Score(1.0)]
    assert ask_judge(model, rated(model, {"1": 0.3, "2": 0.3}), min_mass=0.5) == [Score(1.5)]


def test_no_mass_at_all_is_no_rating_whatever_the_bound(model: Model) -> None:
    assert ask_judge(model, rated(model, {"x": 1.0}), min_mass=0.0) == [Score(None, "not_rated")]


def test_a_full_context_is_its_own_reason(model: Model) -> None:
    assert ask_judge(model, Completion("", CONTEXT_FULL, 9000, 0)) == [Score(None, "context_full")]


PROBLEM = r"Let $S=\{x\in\mathbb{R}\}$, {response}, {problem}, {0}, {}, %s and $\frac{1}{2}$."
RESPONSE = r"By \boxed{\frac{a}{b}} {problem} {response} }{ \1 \g<0> $1."


def test_braces_and_latex_reach_the_judge_as_they_are(model: Model) -> None:
    script = Script(model, [rated(model, {"3": 1.0})])
    Judge(FakeEngine(model, script), "Grade {it}.\nP: {problem}\nS: {response}\nRate.")([PROBLEM], [RESPONSE])
    asked = (
        f"<|im_start|>user\nGrade {{it}}.\nP: {PROBLEM}\nS:"
        f" {RESPONSE}\nRate.<|im_end|>\n<|im_start|>assistant\nRating: "
    )
    assert script.asked == [(asked, Sampling(temperature=0.0, max_tokens=1, logprobs=20), 0)]


def test_the_rubric_holds_problem_and_response_once(model: Model) -> None:
    assert RUBRIC.count("{problem}") == RUBRIC.count("{response}") == 1
    script = Script(model, [rated(model, {"3": 1.0})])
    Judge(FakeEngine(model, script))(["Find $x$."], ["It is $4$."])
    assert (
        "\n\nProblem:\nFind $x$.\n\nSolution:\nIt is $4$.\n\nAnswer with the rating alone"
        in script.asked[0][0]
    )
    assert script.asked[0][0].endswith("<|im_end|>\n<|im_start|>assistant\nRating: ")


def test_a_judge_that_thinks_is_given_an_empty_thought(tmp_path: Path) -> None:
    thinker = byte_model("thinker", tmp_path)
    script = Script(thinker, [Completion("", "length", 9, 1, ((id_of(thinker, "4"), 0.0),))])
    assert Judge(FakeEngine(thinker, script), "{problem} {response}")(["P"], ["R"]) == [Score(4.0)]
    assert script.asked[0][0] == "[USER]P R[BOT]<think>\n\n</think>\n\nRating: "


def test_a_judge_is_what_it_asks_and_not_where_it_runs(model: Model) -> None:
    judge = Judge(VLLM(model))
    assert (judge.suffix, judge.title) == ("judge", "judge byte/chatml")
    assert fingerprint(Judge(VLLM(model, tensor_parallel_size=4, form="async_llm"))) == fingerprint(judge)
    others = [
        replace(judge, rubric="{problem}{response}"),
        replace(judge, min_mass=0.5),
        Judge(VLLM(replace(model, revision="r"))),
    ]
    assert len({fingerprint(one) for one in [judge, *others]}) == 4
    judge.check()


# --- final answers ------------------------------------------------------------------------------------------


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


# --- published rows -----------------------------------------------------------------------------------------


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
        "candidates": [
            candidate("good", answer_text=r"\boxed{2}"),
            candidate("truncated", "length"),
            candidate("bad", answer_text="none"),
        ],
        "scores": [one_score(4.0), no_score("length"), one_score(1.5)],
        "answers": ["2", None, None],
        "answer_clusters": [0, None, None],
        "cluster_sizes": [1],
        "in_majority": [None, None, None],
        "answer_kind": "answer",
        "majority_answer": None,
        "majority_share": 1.0,
        "mean_num_tokens": 7.0,
        "solution_agrees": None,
        "chosen_index": 0,
        "rejected_index": 2,
        "pair_kind": "score",
        "pair_reason": None,
        "unknown_pairs": 0,
        "accepted_as": "algebra",
        "normal_hash": 1,
        **changed,
    }


CUT = {"solutions": [candidate("torn", "length")]}
UNPAIRED = {"chosen_index": None, "rejected_index": None, "pair_kind": None, "pair_reason": "score_gap"}
DROPPED = {
    **UNPAIRED, "accepted_as": None, "problem": None, "solutions": None, "candidates": None, "scores": None,
}  # fmt: skip
GENERATION = tuple(
    (name, 0.5 if name.endswith("temperature") else name)
    for name in PUBLISHED["generation"]
    if name not in ("seed", "asked_with")
)


def export(split: str, *rows: dict[str, Any], sft: str | int = "cold") -> list[dict[str, Any]]:
    side, text = split.split("_")
    return exported(ExportText("algebra", HeldOut(0), side, text, GENERATION, sft=sft), *rows)


def exported(stage: Export, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    out = stage({column: [one[column] for one in rows] for column in stage.reads})
    assert list(out) == list(stage.features)
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
        assert (said(one["messages"]), said(one["chosen"]), said(one["rejected"])) == (
            "solution",
            "good",
            "bad",
        )
        assert (one["has_pair"], one["score_chosen"], one["score_rejected"], one["score_gap"]) == (
            True,
            4.0,
            1.5,
            2.5,
        )
        assert (one["problem"], one["solution"], one["answer"]) == ("P", "solution", "1")
        assert (one["problem_tokens"], one["solution_tokens"], one["finish_reason"]) == (12, 7, "stop")
        assert (one["chosen_tokens"], one["rejected_tokens"]) == (7, 7)
        columns = (
            "pair_kind",
            "answer_kind",
            "majority_answer",
            "majority_share",
            "answer_votes",
            "solution_agrees",
            "candidate_tokens",
        )
        assert [one[column] for column in columns] == ["score", "answer", None, 1.0, 1, None, 7.0]
        assert one["generation"] == {**dict(GENERATION), "seed": 11, "asked_with": "user: Solve it."}


def test_all_candidates_of_a_problem() -> None:
    (one,) = exported(ExportCandidates("algebra", HeldOut(0), "train"), row())
    nothing = {
        "score": None,
        "score_reason": None,
        "objectives": None,
        "gate": None,
        "answer": None,
        "answer_cluster": None,
        "segments": None,
    }
    whole = {**nothing, "reason": None, "in_majority": None, "finish_reason": "stop", "num_tokens": 7}
    cut = {**whole, "response": None, "reason": "length", "finish_reason": "length", "score_reason": "length"}
    good, bad = (
        {**whole, "response": "good", "score": 4.0, "answer": "2", "answer_cluster": 0},
        {**whole, "response": "bad", "score": 1.5},
    )
    assert [{key: tried[key] for key in sorted(tried)} for tried in one["candidates"]] == [
        {key: tried[key] for key in sorted(tried)}
        for tried in (good, {**cut, "num_tokens": one["candidates"][1]["num_tokens"]}, bad)
    ]
    columns = (
        "problem",
        "solution_reason",
        "answer_kind",
        "majority_share",
        "answer_votes",
        "chosen_index",
        "rejected_index",
        "pair_kind",
    )
    assert [one[column] for column in columns] == ["P", None, "answer", 1.0, 1, 0, 2, "score"]
    cold = ExportCandidates("algebra", HeldOut(0), "train", sft="cold")
    (lost,) = exported(cold, row(**UNPAIRED, **CUT))
    assert (lost["pair_reason"], lost["solution_reason"], lost["chosen_index"]) == (
        "score_gap",
        "length",
        None,
    )
    assert list(one["candidates"][0]) == list(CANDIDATES["candidates"].feature)
    assert Dataset.from_list([one], features=CANDIDATES)[0] == one
    assert exported(ExportCandidates("geometry", HeldOut(0), "train"), row()) == []


def test_a_problem_is_on_one_side_in_every_export() -> None:
    held_out, numbers = HeldOut(0.4, 3), range(200)
    rows = [
        row(id=str(number), normal_hash=number, index=number, is_readable=True, majority_answer="1")
        for number in numbers
    ]
    tests = {str(number) for number in numbers if number in held_out}
    assert 60 <= len(tests) <= 100, "about 80"
    for stage in (
        partial(ExportText, text="sft", generation=GENERATION),
        partial(ExportText, text="prefs", generation=GENERATION),
        partial(ExportRL, min_majority_share=0.5),
        ExportCandidates,
    ):
        train, test = (
            [one["id"] for one in exported(stage("algebra", held_out, side), *rows)]
            for side in ("train", "test")
        )
        assert set(test) == tests
        assert set(train) == set(map(str, numbers)) - tests


def test_a_row_without_a_pair_says_the_same_three_times() -> None:
    (one,) = export("train_sft", row(**UNPAIRED))
    assert one["messages"] == one["chosen"] == one["rejected"]
    assert said(one["messages"]) == "solution"
    assert one["has_pair"] is False
    assert (one["score_chosen"], one["score_rejected"], one["score_gap"]) == (None, None, None)


def test_a_pair_without_a_complete_answer_publishes_the_chosen_one() -> None:
    best = candidate(
        "<think>\nhm</think>good",
        thinking="hm",
        answer_text=r"\boxed{2}",
        num_tokens=9,
        asked_with="system: X",
    )
    (one,) = export("train_prefs", row(**CUT, candidates=[best, *row()["candidates"][1:]]))
    assert one["messages"] == one["chosen"]
    assert said(one["messages"]) == one["solution"] == "<think>\nhm</think>good"
    assert said(one["rejected"]) == "bad"
    assert (one["thinking"], one["answer"], one["solution_tokens"], one["finish_reason"]) == (
        "hm",
        "2",
        9,
        "stop",
    )
    assert one["generation"]["asked_with"] == "system: X"


def test_the_order_of_rows_is_kept_and_others_are_left_out() -> None:
    rows = [row(id="1"), row(id="2", **DROPPED), row(id="3", **CUT), row(id="4", **UNPAIRED), row(id="5")]
    assert [one["id"] for one in export("train_sft", *rows)] == ["1", "4", "5"]
    assert [one["id"] for one in export("train_prefs", *rows)] == ["1", "3", "5"]
    assert export("train_sft") == []


ANSWERS = st.sampled_from(["whole 1", "whole 2", "cut 1", "cut 2"])


@given(
    st.sampled_from(SPLITS),
    st.sampled_from(["best", "all", 2, "cold"]),
    ANSWERS,
    st.lists(st.tuples(ANSWERS, st.sampled_from([1.0, 3.0, 5.0])), min_size=2, max_size=6),
)
def test_no_cut_answer_is_ever_published(
    split: str, sft: str | int, solution: str, tries: list[tuple[str, float]]
) -> None:
    def answer(text: str) -> dict[str, Any]:
        return candidate(text, "length" if text.startswith("cut") else None)

    candidates = [answer(text) for text, _ in tries]
    scores = [
        no_score(tried["reason"]) if tried["reason"] else one_score(score)
        for tried, (_, score) in zip(candidates, tries, strict=True)
    ]
    silent: list[None] = [None] * len(tries)
    paired = Pair()(
        {"candidates": [candidates], "scores": [scores], "in_majority": [silent], "majority_share": [None]}
    )
    votes = {
        "cluster_sizes": [],
        "answers": silent,
        "answer_clusters": silent,
        "in_majority": silent,
        "majority_share": None,
    }
    indexes = {column: paired[column][0] for column in ("chosen_index", "rejected_index", "pair_kind")}
    rows = export(
        split,
        row(solutions=[answer(solution)], candidates=candidates, scores=scores, **votes, **indexes),
        sft=sft,
    )
    if split == "train_sft":
        whole = {text for text, _ in tries if text.startswith("whole")}
        most = {"best": min(1, len(whole)), "all": len(whole), 2: len(whole)}
        assert len(rows) == most.get(sft, solution.startswith("whole"))
        assert [one["answer_rank"] for one in rows] == list(range(1, len(rows) + 1))
        assert {one["answer_count"] for one in rows} <= {len(rows)}
    for one in rows:
        texts = [said(one[column]) for column in ("messages", "chosen", "rejected")]
        texts.append(one["solution"])
        assert all(text.startswith("whole") for text in texts)
        assert one["finish_reason"] == "stop"
        assert (one["chosen"] != one["rejected"]) == one["has_pair"]
        assert one["has_pair"] or one["messages"] == one["chosen"] == one["rejected"]
        assert not one["has_pair"] or one["score_gap"] > 0
        assert None not in (one["messages"], one["chosen"], one["rejected"])


def test_the_published_columns() -> None:
    assert not FORBIDDEN & set(PUBLISHED)
    assert {"prompt", "completion", "label", "margin", "input_ids", "labels", "images"} <= FORBIDDEN
    (one,) = export("train_sft", row())
    assert list(one) == list(PUBLISHED)
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


# --- numbers ------------------------------------------------------------------------------------------------


def no_score(reason: str) -> dict[str, Any]:
    return {"score": None, "reason": reason, "objectives": None, "gate": None}


def one_score(score: float) -> dict[str, Any]:
    return {"score": score, "reason": None, "objectives": None, "gate": None}


@dataclass(frozen=True)
class Part:
    """Rows that are already read."""

    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def features(self) -> dict[str, list[Any]]:
        return self.columns

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        yield {column: self.columns[column] for column in columns}


def samples(**changed: Any) -> dict[str, list[Any]]:
    """Six samples, of which two were dropped."""
    accepted = ["algebra", None, "algebra", "algebra", None, "algebra"]
    dropped = [None, "length", None, None, "empty", None]
    return {
        "accepted_as": accepted,
        "dropped": dropped,
        "tags": [None] * 6,
        "contaminated_by": [None] * 6,
        **changed,
    }


def answered() -> dict[str, list[Any]]:
    """The four others with eight candidates, of which two are cut and two have no score; one pair."""
    votes = {"majority_answer": None, "majority_share": None, "unknown_pairs": 0}
    lost = {"domain": "algebra", "language": "en", "solution_reason": None, **votes, **UNPAIRED}
    rows = [
        {
            **lost,
            "answer_kind": "answer",
            "majority_answer": "1",
            "majority_share": 1.0,
            "unknown_pairs": 2,
            "candidates": [(None, 1.0, None, 7), (None, 2.5, None, 9)],
            "chosen_index": 1,
            "rejected_index": 0,
            "pair_kind": "score",
        },
        {
            **lost,
            "answer_kind": "none",
            "candidates": [(None, 1.0, None, 7), ("length", None, "length", 7)],
            "pair_reason": "incomplete",
        },
        {
            **lost,
            "answer_kind": "answer",
            "majority_share": 0.5,
            "solution_reason": "length",
            "candidates": [(None, None, "not_rated", 7), (None, 3.0, None, 7)],
            "pair_reason": "unscored",
        },
        {
            **lost,
            "answer_kind": "proof",
            "candidates": [("context_full", None, "context_full", 0), (None, None, "context_full", 7)],
            "pair_reason": "incomplete",
        },
    ]
    for one in rows:
        for part, values in zip(
            ("reason", "score", "score_reason", "num_tokens"),
            zip(*one.pop("candidates"), strict=True),
            strict=True,
        ):
            one[f"candidates.{part}"] = list(values)
    return {column: [one[column] for one in rows] for column in COUNTED}


def counted(times: int = 1) -> Tally:
    """The numbers of `times` such tables."""
    sft = Part(
        {
            "answer_rank": [1, 2, 1, 1] * times,
            "answer_checked": ["majority", "majority", "no vote", "no vote"] * times,
        }
    )
    splits = {"train_sft": sft, "train_prefs": Part({"id": ["a"] * times})}
    candidates = {column: values * times for column, values in answered().items()}
    data = {"algebra": splits, "candidates": {"train": Part(candidates)}}
    return tallies(data, {"algebra": samples_of("algebra", {"algebra": [Part(samples())] * times})})[
        "algebra"
    ]


def test_the_funnel_says_what_became_of_the_samples() -> None:
    tally = counted()
    assert tally.funnel == Funnel(
        domain="algebra",
        samples=Samples(6, {"empty": 1, "length": 1}, {}, 0, 0, 0, 0),
        problems=4,
        languages={"en": 4},
        candidates=8,
        answered=3,
        unanswered={"length": 1},
        cut_candidates={"length": 1, "context_full": 1},
        unscored={"context_full": 1, "not_rated": 1},
        sft=4,
        pairs=1,
    )
    assert tally.funnel.samples.accepted == 4
    assert list(tally.funnel.samples.dropped) == ["empty", "length"], "reasons are sorted"
    assert tally.answers == Answers(
        {"answer": 2, "none": 1, "proof": 1}, 1, 0.75, 2, {"majority": 2, "no vote": 2}
    )
    assert tally.pairs == Pairs({"score": (1.5,)}, 1, {"incomplete": 2, "unscored": 1})
    assert [line.split(";")[0] for line in tally.lines()] == [
        tally.funnel.line(),
        "1 of 4 problems have a majority answer (2 answer, 1 none, 1 proof)",
        "1 pairs: 1 score (median score gap 1.500)",
    ]
    assert (
        tally.funnel.line()
        == "6 sampled -> 4 problems (1 empty, 1 length) -> 3 answered (1 length) -> 4 SFT rows"
        " -> 8 candidates (2 context_full, 1 length, 1 not_rated) -> 1 pairs"
    )


def test_the_funnel_in_a_line() -> None:
    filtered = Samples(10_000, {"empty": 1_200, "length": 3}, {}, 0, 0, 0, 0)
    funnel = Funnel(
        "algebra",
        filtered,
        8_797,
        {},
        5_000,
        8_790,
        {"length": 7},
        {"length": 9},
        {"not_rated": 2},
        9_000,
        1_500,
    )
    assert filtered.accepted == 8_797
    assert (
        funnel.line()
        == "10,000 sampled -> 8,797 problems (1,200 empty, 3 length) -> 8,790 answered (7 length) "
        "-> 9,000 SFT rows -> 5,000 candidates (9 length, 2 not_rated) -> 1,500 pairs"
    )
    plain = Funnel("algebra", Samples(2, {}, {}, 0, 0, 0, 0), 2, {}, 4, 2, {}, {}, {}, 3, 2)
    assert plain.line() == "2 sampled -> 2 problems -> 2 answered -> 3 SFT rows -> 4 candidates -> 2 pairs"


def test_samples_that_were_labelled_and_moved() -> None:
    labels = [
        {"domain": domain} for domain in ("algebra", None, "geometry", "algebra", "geometry", "geometry")
    ]
    mine = samples(accepted_as=["algebra", None, "geometry", "algebra", None, "algebra"], tags=labels)
    others = samples(accepted_as=[None, None, "algebra", None, None, "geometry"])
    filtered = samples_of("algebra", {"algebra": [Part(mine)], "geometry": [Part(others)]})
    assert filtered == Samples(6, {"empty": 1, "length": 1}, {}, 1, 1, 5, 2)
    assert (filtered.accepted, filtered.on_domain_share) == (4, 0.4)
    line = Funnel("algebra", filtered, 4, {}, 8, 3, {}, {}, {}, 3, 1).line()
    assert "4 problems (1 empty, 1 length, 1 moved to other domains, 1 moved here)" in line
    assert line.endswith("; 40% of 5 tagged samples on the domain")


def test_samples_that_repeat_a_benchmark_are_counted_by_it() -> None:
    repeats = samples(
        dropped=[None, "contaminated", None, None, "near_duplicate", None],
        contaminated_by=[None, "gsm8k/test/7 (8-grams)", *"abcd"],
    )
    assert samples_of("algebra", {"algebra": [Part(repeats)]}).contaminated == {"gsm8k": 1}


def test_numbers_are_counted_beyond_one_batch() -> None:
    tally = counted(100)
    assert (tally.funnel.samples.sampled, tally.funnel.problems, tally.funnel.candidates) == (600, 400, 800)
    assert tally.funnel.samples.dropped == {"empty": 100, "length": 100}
    assert tally.funnel.unscored == {"context_full": 100, "not_rated": 100}
    assert (tally.answers.majorities, tally.answers.majority_share, tally.pairs.count) == (100, 0.75, 100)


def test_numbers_of_rows_that_were_all_dropped() -> None:
    nothing = Samples(2, {"length": 2}, {}, 0, 0, 0, 0)
    tally = tallies({}, {"algebra": nothing})["algebra"]
    assert tally.funnel == Funnel("algebra", nothing, 0, {}, 0, 0, {}, {}, {}, 0, 0)
    assert tally.answers == Answers({}, 0, None, 0, {})
    assert tally.pairs == Pairs({}, 0, {})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Tokens(0, 0, 0, 0)),
        ([7], Tokens(7, 7, 7, 7)),
        ([30, 10, 20], Tokens(60, 20, 20, 30)),
        ([5, 1, 1, 1, 2], Tokens(10, 2, 1, 5)),
        (list(range(101)), Tokens(5050, 50, 50, 95)),
    ],
)
def test_tokens_of_a_split(values: list[int], expected: Tokens) -> None:
    assert tokens(values) == expected


def test_columns_are_read_in_part(tmp_path: Path) -> None:
    """The same from Arrow tables, cut anyhow, and from parquet files."""
    lists = [[{"x": 1, "y": "u"}, {"x": 2, "y": "v"}], [], [{"x": None, "y": "z"}], [{"x": 4, "y": "w"}]]
    table = pa.table({"id": list("abcd"), "c": lists})
    expected = {"id": list("abcd"), "c.x": [[1, 2], [], [None], [4]]}
    assert read(table, list(expected)) == expected
    assert read(table.slice(1, 2), ["c.y"]) == {"c.y": [[], ["z"]]}
    assert read(pa.concat_tables([table.slice(0, 1), table.slice(2)]), ["c.x"]) == {
        "c.x": [[1, 2], [None], [4]]
    }
    for number, part in enumerate((table.slice(0, 3), table.slice(3))):
        pq.write_table(part, tmp_path / f"{number}.parquet")
    split = ParquetSplit((tmp_path / "0.parquet", tmp_path / "1.parquet"))
    assert [list(row.values()) for row in rows_of(split, list(expected))] == [
        list(row) for row in zip(*expected.values(), strict=True)
    ]
    assert len(split) == 4
    (tmp_path / "1.parquet").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"1\.parquet cannot be read \(ArrowInvalid\); build it again"):
        len(ParquetSplit((tmp_path / "1.parquet",)))
