"""The first answers of a build: it stops where all of them are lost for one reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import CANDIDATES, Answers, small_recipe
from magpie_hf.building import build
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import LowYield
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import Judge

COUNT, K = 40, 4
GOOD = "It is \\boxed{7}."
CIRCLES = "We try again and see what comes of it. " * 60


class Solving(Answers):
    """Answers every candidate as `says` its number."""

    def __init__(self, model: Model, says: Callable[[int], str]) -> None:
        super().__init__(model)
        self.says = says

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        if sampling.temperature != CANDIDATES or sampling.logprobs:
            return made
        text = self.says(self.asked(CANDIDATES))
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
    thought = f"<think>\nWe add.\n</think>\n\n{GOOD}"
    said: list[str] = []
    made, solving = recipe(demo_model, lambda number: thought if number % 2 else "")
    build(made, tmp_path / "out", shard_rows=4, shards_in_flight=1, say=said.append)
    assert solving.asked(CANDIDATES) >= COUNT * K
    (line,) = [line for line in said if "thinking" in line and "first" in line]
    n, _, count = (
        line.removeprefix("thinking was read in ").removesuffix(" answers").partition(" of the first ")
    )
    assert 0 < int(n) < int(count)
    assert int(count) >= 64
