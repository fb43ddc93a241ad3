"""Trainers: what is published goes from `load_dataset` into TRL with no mapping, and they train on the right
words. TRL is the real one.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict
from test_hub import REPO, WRITER, ended, run
from test_tir import Tools
from transformers import AutoTokenizer

from conftest import ROOT, Answers, small_recipe
from loopback_hub import LoopbackHub, loopback_hub
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.model import resolve

pytestmark = pytest.mark.trainers
STEPS = 2
ROWS = 12  # more than the two steps take
Row = dict[str, Any]


@pytest.fixture(scope="module")
def built(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, DatasetDict]]:
    """A build of two domains with RL problems and delta pairs: its folder, and its datasets."""
    out = tmp_path_factory.mktemp("built") / "out"
    answers = Tools(resolve(str(demo_model)), answers=2)
    smaller = Answers(replace(answers.model, name="other/small"), salt="small", answers=3)
    recipe = replace(small_recipe(answers, count=24, k=5), rl_majority_share=0.3, tir=3)
    return out, build(replace(recipe, rejecter=FakeEngine(smaller.model, smaller)), out)


@pytest.fixture(scope="module")
def hub(
    built: tuple[Path, dict[str, DatasetDict]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoopbackHub]:
    """A Hub that the build was published to."""
    with loopback_hub({WRITER: ("ada", "write")}) as running:
        code, said = ended(run(running, tmp_path_factory.mktemp("publisher"), str(built[0]), REPO))
        assert code == OK, said
        yield running


@pytest.fixture(scope="module", params=[0, 1, 2])
def trained(
    request: pytest.FixtureRequest,
    hub: LoopbackHub,
    demo_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Row:
    """What every trainer trained on, in a process of its own under a hash seed."""
    # TRL looks at one of `messages`, `chosen` and `rejected`, whichever a set of them hands out first: in
    # CPython 3.11 that is `rejected` under hash seed 0, `messages` under 1 and `chosen` under 2.
    folder = tmp_path_factory.mktemp("trained")
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(request.param),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN": WRITER,
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    command = [sys.executable, str(ROOT / "tests" / "training.py"), str(demo_model), REPO, "algebra"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=450, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def said(built: tuple[Path, dict[str, DatasetDict]], demo_model: Path) -> dict[str, list[list[str]]]:
    """What was built, as the model's chat template writes it: for each column its conversations, the prompt
    and the answer apart.
    """
    tokenizer = AutoTokenizer.from_pretrained(demo_model)

    def parts(messages: list[dict[str, str]]) -> list[str]:
        prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(messages, tokenize=False)
        assert whole.startswith(prompt)
        return [prompt, whole.removeprefix(prompt)]

    splits = built[1]["default"]
    assert {row["domain"] for row in splits["train_sft"]} == {"algebra", "geometry"}
    columns = {"messages": "train_sft", "chosen": "train_prefs", "rejected": "train_prefs"}
    return {
        column: [parts(messages) for messages in splits[split][column]] for column, split in columns.items()
    }


def check(one: Row) -> None:
    """It took its steps, every loss is a number, and the weights are others than before."""
    assert len(one["losses"]) == STEPS
    assert all(math.isfinite(loss) for loss in [*one["losses"], one["eval_loss"] or 0.0])
    assert one["moved"]


def test_sft_trains_on_every_conversation(trained: Row, said: dict[str, list[list[str]]]) -> None:
    check(trained["sft"])
    assert len(said["messages"]) >= ROWS
    assert sorted(trained["sft"]["seen"]) == sorted(
        ["", prompt + answer] for prompt, answer in said["messages"]
    )
    assert 10 < trained["sft"]["losses"][0] < 12, (
        "random weights find all 49,152 tokens as likely, which is 10.8"
    )


def test_sft_trains_on_answers_with_programs_and_what_they_printed(
    built: tuple[Path, dict[str, DatasetDict]], trained: Row
) -> None:
    check(trained["tir"])
    rows = built[1]["algebra_tir"]["train"]
    assert len(trained["tir"]["seen"]) == len(rows) >= 2 * STEPS
    assert all("```python\n" in seen[1] and "```output\n" in seen[1] for seen in trained["tir"]["seen"])


def test_pairs_of_every_kind_are_trained_on(built: tuple[Path, dict[str, DatasetDict]]) -> None:
    pairs = built[1]["default"]["train_prefs"]
    assert set(pairs["pair_kind"]) == {"correctness", "score", "delta"}


def test_dpo_trains_on_every_pair(trained: Row, said: dict[str, list[list[str]]]) -> None:
    check(trained["dpo"])
    assert len(said["chosen"]) >= ROWS
    expected = [list(pair) for pair in zip(said["chosen"], said["rejected"], strict=True)]
    assert sorted(trained["dpo"]["seen"]) == sorted(expected)
    assert all(chosen[0] == rejected[0] and chosen[1] != rejected[1] for chosen, rejected in expected)
    assert trained["dpo"]["losses"][0] == pytest.approx(math.log(2), abs=1e-4), (
        "before the first step it is its own reference"
    )


def test_a_reward_model_trains_on_every_pair(trained: Row, said: dict[str, list[list[str]]]) -> None:
    check(trained["reward"])
    whole = [
        [["", "".join(one)] for one in pair] for pair in zip(said["chosen"], said["rejected"], strict=True)
    ]
    assert sorted(trained["reward"]["seen"]) == sorted(whole)
    assert trained["reward"]["losses"][0] == pytest.approx(math.log(2), abs=0.1), (
        "random weights prefer neither"
    )


def test_kto_trains_on_both_of_every_pair_with_their_labels(
    trained: Row, said: dict[str, list[list[str]]]
) -> None:
    check(trained["kto"])
    expected = [[True, *one] for one in said["chosen"]] + [[False, *one] for one in said["rejected"]]
    assert sorted(trained["kto"]["seen"]) == sorted(expected)


@pytest.mark.parametrize("name", ["orpo", "cpo", "simpo"])
def test_orpo_cpo_and_simpo_train_on_every_pair_of_the_two_columns(
    name: str, trained: Row, said: dict[str, list[list[str]]]
) -> None:
    check(trained[name])
    pairs = zip(said["chosen"], said["rejected"], strict=True)
    expected = [[[prompt, f"{answer}<|im_end|>"] for prompt, answer in pair] for pair in pairs]  # they add it
    assert sorted(trained[name]["seen"]) == sorted(expected)
    for whole in ("orpo, of all columns", "cpo, of all columns"):
        assert "Invalid keys in the example" in trained[whole], (
            "the card says that they need these columns alone"
        )


def test_grpo_is_rewarded_for_the_published_solutions(trained: Row) -> None:
    """Random weights never say a solution, so beside them completions are put into the trainer's mouth: one
    right, one wrong a problem.
    """
    rewards = {
        name: [log["rewards/accuracy_reward/mean"] for log in trained[name]["logs"]]
        for name in ("grpo", "grpo, told")
    }
    assert rewards == {"grpo": [0.0] * STEPS, "grpo, told": [0.5] * STEPS}
    assert len(trained["grpo"]["losses"]) == STEPS
    assert all(math.isfinite(loss) for loss in trained["grpo"]["losses"])
    check(trained["grpo, told"])
    assert set(trained["solutions"]) == {1.0}
    assert trained["wrong answers"] == [0.0] * len(trained["solutions"])


def test_rows_that_break_the_rules_do_not_train_alike(trained: Row) -> None:
    """Guards the tests above: they notice a changed loss and a missing conversation."""
    assert trained["reward, with a margin"]["losses"][0] > 50
    assert trained["sft, without messages"]
