"""What another model and programs say of the majority's answer, with a fake engine and the real sandbox.

Not here: what a build does with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from test_stage import byte_model, text_of

from magpie_hf.answers.programs.sandbox import Sandbox
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.stages.program import RunPrograms, WritePrograms, source_of
from magpie_hf.stages.second_opinion import SecondOpinion

COLD, WARM = Sampling(temperature=0.125, max_tokens=64), Sampling(temperature=0.875, max_tokens=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return byte_model("chatml", tmp_path_factory.mktemp("chatml"))


class Texts:
    """Says, of each problem, its texts in the order in which they are asked for; "…" is truncated."""

    def __init__(self, model: Model, texts: dict[str, Sequence[str]]) -> None:
        self.model, self.texts = model, texts
        self.asked: list[tuple[str, float]] = []

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        problem = next(one for one in self.texts if one in text_of(self.model, prompt))
        number = [one for one, _ in self.asked].count(problem)
        self.asked.append((problem, sampling.temperature))
        text = self.texts[problem][number]
        full = text.endswith("…")
        return Completion(text, "length" if full else "stop", len(prompt), sampling.max_tokens if full else 9)


def boxed(*answers: str) -> list[str]:
    return [f"It is $\\boxed{{{answer}}}$." for answer in answers]


OPINIONS: dict[str, tuple[str, list[str], str | None, str]] = {
    # problem: the majority's answer, what the checker says, its answer, and whether it agrees
    "at once": ("12", boxed("12.0"), "12.0", "agrees"),
    "on second thoughts": (r"\frac{1}{2}", boxed("3", "0.5", r"\frac12"), "0.5", "agrees"),
    "another answer": ("12", boxed("13", "13", "14"), "13", "differs"),
    "no answer of its own": ("12", boxed("13", "14", "15"), None, "none"),
    "one of three": ("12", boxed("13", "12", "15"), None, "none"),
    "too long": ("12", ["So …", "And …", *boxed("13")], None, "none"),
    "cut at first": ("12", ["So …", *boxed("12", "12")], "12", "agrees"),
    "no box": ("12", ["I cannot say."] * 3, None, "none"),
}


def batch(**columns: list[Any]) -> dict[str, list[Any]]:
    rows = len(columns["problem"])
    return {"seed": list(range(5, 5 + rows)), **columns}


def test_a_second_opinion(model: Model) -> None:
    texts = Texts(model, {problem: said for problem, (_, said, *_) in OPINIONS.items()})
    stage = SecondOpinion(FakeEngine(model, texts), COLD, WARM)
    given = batch(
        problem=[*OPINIONS, "without a majority"],
        majority_answer=[*(majority for majority, *_ in OPINIONS.values()), None],
    )
    rows = stage(given)
    assert rows["checker_answer"] == [*(answer for *_, answer, _ in OPINIONS.values()), None]
    assert rows["checked"] == [*(checked for *_, checked in OPINIONS.values()), None]
    asked = {problem: [heat for one, heat in texts.asked if one == problem] for problem in OPINIONS}
    assert asked == {one: [0.125] if one == "at once" else [0.125, 0.125, 0.875] for one in OPINIONS}
    assert rows["checker_responses"][-1] is None
    assert [len(one) for one in rows["checker_responses"][:-1]] == list(map(len, asked.values()))
    # a version of it that compares otherwise asks for nothing
    again = Texts(model, {})
    with keeping(Journal(known=stage.reusable(rows))):
        assert SecondOpinion(FakeEngine(model, again), COLD, WARM)(given)["checked"] == rows["checked"]
    assert not again.asked


def program(*lines: str) -> str:
    return "Here:\n```python\n" + "\n".join(lines) + "\n```"


PROGRAMS: dict[str, tuple[str, list[str], str | None, str]] = {
    "both": ("5", [program("print(2 + 3)"), program("print('So:')", "print('5')")], "5", "agrees"),
    "in fractions": (
        r"\frac{3}{4}",
        [program("from fractions import Fraction", "print(Fraction(3, 4))"), program("print(0.75)")],
        "3/4",
        "agrees",
    ),
    "a root": (
        r"2\sqrt{3}",
        [program("import sympy", "print(sympy.sqrt(12))"), "No."],
        "2*sqrt(3)",
        "agrees",
    ),
    "by a processor": (
        "3",
        [program("print((0.1 + 0.2) * 10)"), program("print(3)")],
        "3.0000000000000004",
        "agrees",
    ),
    "of a fraction": (
        r"\frac{21}{10}",
        [program("print(2.0999999999999996)"), "No."],
        "2.0999999999999996",
        "agrees",
    ),
    "not by rounding": ("3", [program("print((0.1 + 0.2) * 11)"), "No."], "3.3000000000000007", "differs"),
    "another": ("5", [program("print(6)"), program("print(6)")], "6", "differs"),
    "at odds": ("5", [program("print(5)"), program("print(6)")], None, "none"),
    "an error": ("5", [program("1 / 0"), program("print(5)")], "5", "agrees"),
    "printed, then failed": ("5", [program("print(6)", "1 / 0"), program("")], None, "none"),
    "prints nothing": ("5", [program("x = 5"), "It is $5$."], None, "none"),
    "truncated": ("5", ["```python\nprint(5)\n```\n…", "```python\nprint(…"], None, "none"),
}


def test_what_programs_print(model: Model) -> None:
    try:
        Sandbox.found()
    except BadInput as refusal:
        pytest.skip(str(refusal))
    texts = Texts(model, {problem: said for problem, (_, said, *_) in PROGRAMS.items()})
    given = batch(
        problem=[*PROGRAMS, "without a majority"],
        majority_answer=[*(majority for majority, *_ in PROGRAMS.values()), None],
    )
    write = WritePrograms(FakeEngine(model, texts), COLD)
    written = write(given)
    assert len(texts.asked) == 2 * len(PROGRAMS)
    rows = RunPrograms()({**given, **written})
    assert rows["program_answer"] == [*(answer for *_, answer, _ in PROGRAMS.values()), None]
    assert rows["program_agrees"] == [*(agrees for *_, agrees in PROGRAMS.values()), None]
    assert rows["programs"][-1] is None
    endings = [[one["ending"] for one in row] for row in rows["programs"][:-1]]
    assert endings[8:] == [["error", "ok"], ["error", "no_program"], ["ok", "no_program"], ["no_program"] * 2]
    assert rows["programs"][8][0]["error"] == "ZeroDivisionError: division by zero"


def test_a_machine_without_a_sandbox_runs_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Sandbox:
        raise BadInput("no sandbox")

    monkeypatch.setattr(Sandbox, "found", none)
    texts = Texts(model, {"one": [program("print(1)")] * 2})
    given = batch(problem=["one"], majority_answer=["1"])
    written = WritePrograms(FakeEngine(model, texts), COLD)(given)
    with pytest.raises(BadInput, match="no sandbox"):
        RunPrograms()({**given, **written})


def test_source() -> None:
    assert source_of("I do this:\n```python\nprint(1)\n```\nDone.") == "print(1)"
    assert source_of("```py\nx\n```\nBetter:\n```\nprint(2)\n```") == "print(2)"
    assert source_of("```python\nprint(3)") == "print(3)"
    assert source_of("The answer is 3.") is None
