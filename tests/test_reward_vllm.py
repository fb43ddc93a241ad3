"""Tiny reward models on real vLLM, against plain torch (tests/reward_models.py) and transformers, text by
text.
"""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

import reward_models as tiny
from conftest import FAST, Answers, small_recipe
from magpie_hf import VLLM, EngineError, RewardModel, build, resolve
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.engines.base import CONTEXT_FULL, NAN, Pooling
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.vllm import engine as engines
from magpie_hf.engines.vllm.recovery import Live
from magpie_hf.models.heads import OBJECTIVES
from magpie_hf.scorers.base import Score

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

PROBLEMS, K = 64, 4


@dataclass(frozen=True)
class Watched(VLLM):
    """A VLLM engine with other arguments, that counts how often it was opened and the prompt tokens that it
    did not compute.
    """

    more: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    opened: list[Live] = field(default_factory=list, compare=False)
    reused: list[int] = field(default_factory=list, compare=False)

    def arguments(self, on_cpu: bool) -> dict[str, Any]:
        return {**super().arguments(on_cpu), **dict(self.more)}

    def _open(self) -> Live:
        self.opened.append(super()._open())
        return _Counting(self.opened[-1], self.reused)


class _Counting:
    def __init__(self, live: Live, reused: list[int]) -> None:
        self.live, self.reused, self.max_length, self.close = live, reused, live.max_length, live.close

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        future = self.live.submit(prompt, params)
        future.add_done_callback(self._count)
        return future

    def _count(self, future: Future[Any]) -> None:
        if future.exception() is None:
            self.reused.append(future.result().num_cached_tokens)


def engine_of(folder: Path, dtype: str = "float32", **options: Any) -> Watched:
    return Watched(resolve(str(folder), dtype=dtype), runner="pooling", kv_cache_gigabytes=0.25, **options)


@dataclass
class Case:
    """A checkpoint, texts, and what plain torch says of them."""

    folder: Path
    tensors: tiny.Tensors
    problems: list[str]
    answers: list[str]
    prompts: list[list[int]]
    gates: list[int]
    expected: list[tiny.Said]

    def worst(self, scores: Sequence[Score]) -> tuple[float, float, float]:
        """The largest differences of scores, objectives and gates."""
        assert all(
            one.score is not None and one.objectives is not None and one.gate is not None for one in scores
        )
        pairs = list(zip(scores, self.expected, strict=True))
        return (
            max(abs(mine.score - score) for mine, (score, _, _) in pairs),
            max(
                abs(a - b)
                for mine, (_, values, _) in pairs
                for a, b in zip(mine.objectives, values, strict=True)
            ),
            max(abs(a - b) for mine, (_, _, values) in pairs for a, b in zip(mine.gate, values, strict=True)),
        )


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    tokenizer = tiny.llama_tokenizer()
    tensors = tiny.armorm_tensors(len(tokenizer) + 3)
    folder = tiny.armorm(tmp_path_factory.mktemp("armorm"), tensors, tokenizer)
    problems, answers = tiny.texts(PROBLEMS, K)
    prompts, gates = [], []
    for problem, answer in zip(problems, answers, strict=True):
        turns = [{"role": "user", "content": problem}, {"role": "assistant", "content": answer}]
        prompts.append(
            tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)[
                "input_ids"
            ]
        )
        ends = [
            at
            for at, token in enumerate(prompts[-1])
            if token == tokenizer.convert_tokens_to_ids("<|eot_id|>")
        ]
        gates.append(ends[0])  # of the two turns' ends, the user's
        assert len(ends) == 2
    expected = [tiny.armorm_says(tensors, prompt, gate) for prompt, gate in zip(prompts, gates, strict=True)]
    return Case(folder, tensors, problems, answers, prompts, gates, expected)


CHUNKED = (("enable_chunked_prefill", True), ("max_num_batched_tokens", 96), ("max_num_seqs", 96))


@pytest.mark.parametrize(
    "more",
    [
        (),
        (("enable_prefix_caching", False),),
        CHUNKED,
        (*CHUNKED, ("enable_prefix_caching", False)),
    ],
)
def test_armorm_says_what_plain_torch_says(more: tuple[tuple[str, Any], ...], case: Case) -> None:
    """Scores, objectives and gates of 64 problems with 4 answers each, at once, in order; with the cache cold
    and warm.
    """
    engine = engine_of(case.folder, form="llm_engine", more=more)
    scorer = RewardModel(engine)
    engine.check()
    scorer.check()
    caching = dict(more).get("enable_prefix_caching", True)
    try:
        for cache in ("cold", "warm"):
            engine.reused.clear()
            worst = case.worst(scorer(case.problems, case.answers))
            print(
                f"{dict(more)} {cache}: score {worst[0]:.1e}, objectives {worst[1]:.1e}, gate {worst[2]:.1e}"
            )
            assert max(worst) < 1e-3
            assert len(engine.reused) == PROBLEMS * (K + 1), "one gate a problem"
            assert (sum(engine.reused) > 0) == caching
        spread = [score for score, _, _ in case.expected]
        assert max(spread) - min(spread) > 1, "the answers differ by more than any difference allowed here"
    finally:
        engine.close()
    assert not engines._LIVE


def test_in_bfloat16_armorm_differs_by_what_bfloat16_costs(case: Case) -> None:
    """The trunk in bfloat16 rounds to 8 bits in every layer, in another order here than there, so the bound
    is what it costs itself: twice the largest difference that plain torch's own bfloat16 makes to float32. A
    wrong position or head is far beyond it.
    """
    rounded = [
        tiny.armorm_says(case.tensors, *place, torch.bfloat16)
        for place in zip(case.prompts, case.gates, strict=True)
    ]
    own = case.worst([Score(score, None, tuple(values), tuple(gate)) for score, values, gate in rounded])
    engine = engine_of(case.folder, "bfloat16")
    worst = case.worst(RewardModel(engine)(case.problems, case.answers))
    engine.close()
    print(f"bfloat16: plain torch's own {own}, vLLM's {worst}")
    assert all(mine < 2 * theirs for mine, theirs in zip(worst, own, strict=True))


def test_long_texts_are_scored_whole_or_not_at_all(case: Case) -> None:
    engine = engine_of(case.folder)
    scorer = RewardModel(engine)
    room = tiny.CONTEXT - len(scorer._prompts(scorer._reading(), ["A?"], [""])[0])
    answers = ["x" * (room - 1), "x" * room, "x" * (room + 1), "x" * 5000]
    scores = scorer(["A?"] * 4, answers)
    engine.close()
    assert [score.reason for score in scores] == [None, None, CONTEXT_FULL, CONTEXT_FULL]
    (prompt,) = scorer._prompts(scorer._reading(), ["A?"], [answers[1]])
    assert len(prompt) == tiny.CONTEXT
    assert scores[1].score == pytest.approx(
        tiny.armorm_says(case.tensors, prompt, list(prompt).index(prompt[-1]))[0], abs=1e-3
    )
    small = engine_of(case.folder, context=128)
    with pytest.raises(EngineError, match="200 tokens exceed the context of 128 tokens that the engine of"):
        small.rate([[1] * 200], Pooling("sequence"))
    small.close()


def test_an_engine_that_is_killed_while_it_rates_is_opened_again(case: Case) -> None:
    """In the async form, whose scores are held to plain torch here: with a cold cache before and after the
    kill, then with a warm one.
    """
    engine = engine_of(case.folder, form="async_llm")
    scorer = RewardModel(engine)
    others = set(multiprocessing.active_children())
    scorer(case.problems[:1], case.answers[:1])
    (core,) = set(multiprocessing.active_children()) - others
    killer = threading.Timer(0.05, core.kill)
    killer.start()
    scores = scorer(case.problems, case.answers)
    killer.join()
    assert max(case.worst(scores)) < 1e-3
    engine.reused.clear()
    again = scorer(case.problems, case.answers)
    assert max(case.worst(again)) < 1e-3
    assert len(engine.reused) == PROBLEMS * (K + 1), "one gate a problem"
    assert sum(engine.reused) > 0
    assert not core.is_alive()
    assert len(engine.opened) == 2
    engine.close()


def test_a_checkpoint_of_nans_is_unscored_with_a_reason_and_stops_a_run(case: Case, tmp_path: Path) -> None:
    tensors = case.tensors | {
        "model.layers.1.mlp.down_proj.weight": torch.full((tiny.HIDDEN, tiny.INNER), math.nan)
    }
    engine = engine_of(tiny.armorm(tmp_path, tensors))
    scorer = RewardModel(engine)
    scorer.check()
    assert scorer(case.problems[:19], case.answers[:19]) == [Score(None, NAN)] * 19
    with pytest.raises(EngineError, match=r"20 of 20 scores of .* are no numbers"):
        scorer(case.problems[:1], case.answers[:1])
    engine.close()


# --- the heads that vLLM knows ------------------------------------------------------------------------------


def scored(
    folder: Path, problems: list[str], answers: list[str], **options: Any
) -> tuple[RewardModel, list[Score], list[list[int]]]:
    """What vLLM makes of the texts, and the prompts that it was asked."""
    engine = engine_of(folder)
    scorer = RewardModel(engine, **options)
    scorer.check()
    scores = scorer(problems, answers)
    engine.close()
    return scorer, scores, [list(prompt) for prompt in scorer._prompts(scorer._reading(), problems, answers)]


def test_a_sequence_classifier_says_what_transformers_says(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    tokenizer = tiny.llama_tokenizer()
    tensors = tiny.trunk(len(tokenizer)) | {
        "score.weight": torch.randn(1, tiny.HIDDEN, generator=torch.Generator().manual_seed(5))
    }
    tiny.save(
        tmp_path,
        "LlamaForSequenceClassification",
        tokenizer,
        tensors,
        id2label={"0": "LABEL_0"},
        pad_token_id=0,
    )
    _, scores, prompts = scored(tmp_path, *tiny.texts(16, 3))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    expected = [float(model(input_ids=torch.tensor([prompt])).logits) for prompt in prompts]
    assert [score.score for score in scores] == pytest.approx(expected, abs=1e-3)
    assert max(expected) > 5, "beyond what a sigmoid could say"


def mlp_head(labels: int, tensors: tiny.Tensors) -> tiny.Tensors:
    dice = torch.Generator().manual_seed(7)
    return tensors | {
        "score.0.weight": torch.randn(tiny.HIDDEN, tiny.HIDDEN, generator=dice) / math.sqrt(tiny.HIDDEN),
        "score.0.bias": torch.randn(tiny.HIDDEN, generator=dice) / 4,
        "score.2.weight": torch.randn(labels, tiny.HIDDEN, generator=dice) / math.sqrt(tiny.HIDDEN),
        "score.2.bias": torch.randn(labels, generator=dice) / 4,
    }


def test_qwens_outcome_reward_model_says_what_plain_torch_says(tmp_path: Path) -> None:
    tokenizer = tiny.qwen_tokenizer()
    tensors = mlp_head(1, tiny.trunk(len(tokenizer), biases=True))
    tiny.save(tmp_path, "Qwen2ForRewardModel", tokenizer, tensors)
    _, scores, prompts = scored(tmp_path, *tiny.texts(16, 3))
    expected = [float(tiny.mlp_says(tensors, prompt)[-1]) for prompt in prompts]
    assert [score.score for score in scores] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("over", "brought_together"), [("min", min), ("product", math.prod)])
def test_qwens_process_reward_model_says_what_plain_torch_says(
    over: str, brought_together: Callable[[list[float]], float], tmp_path: Path
) -> None:
    tokenizer = tiny.qwen_tokenizer()
    tensors = mlp_head(2, tiny.trunk(len(tokenizer), biases=True))
    tiny.save(tmp_path, "Qwen2ForProcessRewardModel", tokenizer, tensors)
    problems, answers = tiny.texts(8, 3)
    _, scores, prompts = scored(tmp_path, problems, answers, over_steps=over)
    step = tokenizer.convert_tokens_to_ids("<extra_0>")
    for score, prompt in zip(scores, prompts, strict=True):
        places = [at for at, token in enumerate(prompt) if token == step]
        right = tiny.mlp_says(tensors, prompt).softmax(-1)[places, 1].tolist()
        assert len(right) == 3
        assert score.objectives == pytest.approx(right, abs=1e-3)
        assert score.score == pytest.approx(brought_together(right), abs=1e-3)


# --- a whole build ------------------------------------------------------------------------------------------


@pytest.fixture
def generator(answers: Answers) -> Iterator[FakeEngine]:
    yield FakeEngine(answers.model, answers)
    assert not engines._LIVE, "the build closed its engines"


def test_a_whole_build_with_a_real_reward_model(
    answers: Answers, generator: FakeEngine, case: Case, tmp_path: Path
) -> None:
    engine = engine_of(case.folder)
    recipe = replace(
        small_recipe(answers, count=10), generator=generator, solver=generator, scorer=RewardModel(engine)
    )
    again = partial(build, recipe, tmp_path / "out", shard_rows=4)
    first = again()
    assert len(engine.opened) == 1, "loaded once for all shards and domains"
    assert len(first["algebra"]["train_prefs"]) > 0
    tried = {row["id"]: row["candidates"] for row in first["candidates"]["train"]}
    for row in first["algebra"]["train_prefs"]:
        scores = [one["score"] for one in tried[row["id"]] if one["score"] is not None]
        assert (row["score_chosen"], row["score_rejected"]) == (max(scores), min(scores))
    assert again()["algebra"]["train_prefs"][:] == first["algebra"]["train_prefs"][:]
    assert len(engine.opened) == 1, "a finished build asks for no score again"
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| scores | {engine.model.name} | `{engine.model.revision}` |" in card
    assert list((tmp_path / "out").glob("*_ins_3res_armorm.json"))


COUNTING = """
import sys
from magpie_hf.cli import main as cli
from magpie_hf.engines.vllm.engine import VLLM
opened, open_engine = [], VLLM._open
VLLM._open = lambda self: opened.append(self.model.name) or open_engine(self)
code = cli.main(sys.argv[1:])
print("opened", *opened)
sys.exit(code)
"""


def test_the_command_line_with_a_reward_model_loads_each_model_once(tiny_model: Path, tmp_path: Path) -> None:
    """Two models that are never in memory together: the generator is closed before the scorer is opened."""
    rater = tiny.armorm(tmp_path / "rater", max_position_embeddings=4096)
    arguments = [
        "build",
        "--model",
        str(tiny_model),
        "--scorer",
        str(rater),
        "--domains",
        "algebra",
        "--count",
        "4",
        "--k",
        "3",
        *FAST,
    ]
    small = [
        "--instruction-max-tokens",
        "64",
        "--max-tokens",
        "256",
        "--kv-cache-gb",
        "0.5",
        "--shard-size",
        "2",
        "--out",
        "out",
        "--off-topic",
        "keep",
        "--min-quality",
        "very poor",
        "--unsolvable",
        "keep",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, *arguments, *small],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode in (OK, INCOMPLETE), done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == f"opened {tiny_model.name} {rater.name}"
    assert f"scorer   {rater}" in done.stdout
    scored = [Dataset.from_file(str(file)) for file in (tmp_path / "out" / "run").glob("*/score-*/*.arrow")]
    scores = [
        score for table in scored for row in table["scores"] for score in row or () if score["reason"] is None
    ]
    assert scores
    assert all(len(score["objectives"]) == len(score["gate"]) == len(OBJECTIVES) for score in scores)
