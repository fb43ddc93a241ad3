"""The first answers of a build: it stops where all of them are lost for one reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import CANDIDATES, Answers, is_trial, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import LowYield
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import Judge
from magpie_hf.stages.trial import Trial

COUNT, K = 40, 4
GOOD = "It is \\boxed{7}."
CIRCLES = "We try again and see what comes of it. " * 60


class Solving(Answers):
    """Answers every candidate as `says` its number, from 1; a trial has the number 0."""

    def __init__(self, model: Model, says: Callable[[int], str]) -> None:
        super().__init__(model)
        self.says = says

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        if sampling.temperature != CANDIDATES or sampling.logprobs:
            return made
        text = self.says(0 if is_trial(self.model, prompt) else self.asked(CANDIDATES))
        return Completion(text, "stop", len(prompt), 9)


def recipe(model: Path, says: Callable[[int], str]) -> tuple[Recipe, Solving]:
    """A build of 160 answers over two domains."""
    solving = Solving(resolve(str(model)), says)
    engine = FakeEngine(solving.model, solving)
    made = small_recipe(solving, count=COUNT // 2, k=K)
    return replace(made, generator=engine, solver=engine, scorer=Judge(engine)), solving


@pytest.mark.parametrize(
    ("says", "reason", "advice"),
    [
        ("<|im_start|>assistant\n7", "special_tokens", "mend the chat_template.jinja"),
        ("<think>\nLet me see", "thinking_not_closed", "raise --max-tokens, or have it think less"),
        ("", "empty", "ends its turn at once"),
        (CIRCLES, "repetition", "raise --candidate-temperature"),
    ],
    ids=["special tokens", "thinking", "empty", "circles"],
)
def test_a_build_stops_where_its_first_answers_are_all_lost(
    says: str, reason: str, advice: str, demo_model: Path, tmp_path: Path
) -> None:
    made, solving = recipe(demo_model, lambda number: says)
    with pytest.raises(LowYield) as refused:
        build(made, tmp_path / "out", shard_rows=4, shards_in_flight=1)
    line = str(refused.value)
    assert "answers of " in line
    assert f"are all incomplete for one reason ({reason})" in line
    assert advice in line
    assert 64 <= solving.asked(CANDIDATES) < COUNT * K, "more answers are not paid for"
    before = len(solving.requests)
    with pytest.raises(LowYield):
        build(made, tmp_path / "out", shard_rows=4, shards_in_flight=1)
    asked = [sampling for sampling, _ in solving.requests[before:] if sampling.temperature == CANDIDATES]
    assert len(asked) < 64, "the answers are kept"


def test_one_good_answer_among_them_lets_it_go_on(demo_model: Path, tmp_path: Path) -> None:
    made, solving = recipe(demo_model, lambda number: GOOD if number % 2 else "")
    build(made, tmp_path / "out", shard_rows=4, shards_in_flight=1)
    assert solving.asked(CANDIDATES) >= COUNT * K


@pytest.mark.parametrize(
    ("says", "line"),
    [
        (GOOD, "no thinking in 4 of 4 trial answers"),
        (
            f"<think>\nWe add.\n</think>\n\n{GOOD}",
            "thinks between <think> and </think>: in 4 of 4 trial answers",
        ),
        (f"[THINK]We add.[/THINK]{GOOD}", "thinks between [THINK] and [/THINK]: in 4 of 4 trial answers"),
        (
            "<think>\nLet me see",
            "thinks without an end: in 4 of 4 trial answers; 4 incomplete (thinking_not_closed)",
        ),
    ],
    ids=["none", "think", "another mark", "endless"],
)
def test_four_short_answers_are_read_first(says: str, line: str, demo_model: Path, tmp_path: Path) -> None:
    """Once: another build in the folder, with more answers, reads what was kept."""
    said: list[str] = []
    made, solving = recipe(demo_model, lambda number: GOOD if number else says)
    build(made, tmp_path, shard_rows=4, say=said.append)
    assert line in said
    assert said.index(line) < next(at for at, one in enumerate(said) if " candidates " in one)
    assert solving.trials == 4
    build(replace(made, k=K + 1), tmp_path, shard_rows=4, say=said.append)
    assert said.count(line) == 2
    build(replace(made, k=K + 1), tmp_path, shard_rows=4, say=said.append)
    assert said.count(line) == 2, "a finished build asks for nothing"
    assert solving.trials == 4


@pytest.mark.parametrize(
    ("says", "opening", "closing"),
    [
        (
            "<|channel|>analysis \x1b]0;mine\x07\x1b[2J<|message|>We add."
            f"<|end|><|start|>assistant<|channel|>final \x1b<|message|>{GOOD}",
            "<|channel|>analysis<|message|>",
            "<|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        (
            f"<|open|>\x1cthink\x85<|sep|>We add.<|close|>think<|sep|>\x0b<|open|>response<|sep|>{GOOD}",
            "<|open|> think <|sep|>",
            "<|close|>think<|sep|> <|open|>response<|sep|>",
        ),
        (f"<think:\x1b[2J\u202e>We add.</think:\x1b>{GOOD}", "<think>", "</think>"),
    ],
    ids=["channels", "white space", "suffix"],
)
def test_a_trial_keeps_no_words_of_a_mark(says: str, opening: str, closing: str, demo_model: Path) -> None:
    """Some marks leave room for words, in which a server may say what a terminal obeys."""
    engine = FakeEngine(resolve(str(demo_model)), lambda prompt, sampling, seed: says)
    ((read,),) = Trial(engine, Sampling(max_tokens=64), "").run({"index": [0], "seed": [1]}).values()
    assert (read["opening"], read["closing"]) == (opening, closing)
