"""Real vLLM servers on loopback: what they answer is what vLLM in this process answers, and a build over
them is that build.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from test_builds_vllm import results, samples

import reward_models as tiny
from magpie_hf import VLLM, Engine, Judge, Model, Recipe, RewardModel, Sampling, build, chat_of, resolve
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import CONTEXT_FULL, Completion
from magpie_hf.engines.journal import request_keys
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.errors import BadInput, EngineError
from vllm_server import VLLMServer

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

CONTEXT = 1024
STEPS = json.dumps({"step_tag_id": tiny.qwen_tokenizer().convert_tokens_to_ids("<extra_0>")})


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    # In float32 another batch changes a logit in its seventh digit, which almost never changes a word.
    return resolve(str(tiny_model), dtype="float32", max_length=CONTEXT)


@pytest.fixture(scope="module")
def rater(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process reward model, of whose step token a request to a server says nothing."""
    tokenizer, dice = tiny.qwen_tokenizer(), torch.Generator().manual_seed(7)
    head = {
        "score.0.weight": torch.randn(tiny.HIDDEN, tiny.HIDDEN, generator=dice) / math.sqrt(tiny.HIDDEN),
        "score.0.bias": torch.randn(tiny.HIDDEN, generator=dice) / 4,
        "score.2.weight": torch.randn(2, tiny.HIDDEN, generator=dice) / math.sqrt(tiny.HIDDEN),
        "score.2.bias": torch.randn(2, generator=dice) / 4,
    }
    folder = tmp_path_factory.mktemp("prm")
    return tiny.save(
        folder, "Qwen2ForProcessRewardModel", tokenizer, tiny.trunk(len(tokenizer), biases=True) | head
    )


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    with VLLMServer(tiny_model, tmp_path_factory.mktemp("logs") / "server", length=CONTEXT) as server:
        yield server.ready()


@pytest.fixture(scope="module")
def rates(rater: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    log, more = tmp_path_factory.mktemp("logs") / "server", ("--pooler-config", STEPS)
    with VLLMServer(rater, log, *more, length=tiny.CONTEXT, rates=True, gigabytes=0.25) as server:
        yield server.ready()


def test_completions_are_those_of_vllm_in_this_process(server: VLLMServer, model: Model) -> None:
    here = VLLM(model, form="llm_engine", kv_cache_gigabytes=1, max_num_seqs=32)
    there = Endpoint(model, urls=(server.url,))
    there.check()
    chat = chat_of(model)
    turns = [chat.pre_query_prefix(domain.system) for domain in DOMAINS.values()]
    token = turns[0][-1]
    schema = json.dumps(
        {
            "type": "object",
            "properties": {"words": {"type": "string", "maxLength": 30}, "level": {"enum": ["easy", "hard"]}},
            "required": ["words", "level"],
            "additionalProperties": False,
        }
    )
    asked = [
        (turns * 2, Sampling(temperature=1.2, min_p=0.1, max_tokens=32, stop_token_ids=chat.turn_end_ids)),
        (turns, Sampling(temperature=0.8, top_p=0.9, repetition_penalty=1.1, max_tokens=32, logprobs=5)),
        (turns, Sampling(temperature=0.0, max_tokens=1, logprobs=20)),
        (turns, Sampling(temperature=1.0, max_tokens=64, schema=schema)),
        (turns, Sampling(temperature=1.0, max_tokens=4, allowed_token_ids=tuple(range(1000, 1100)))),
        (turns, Sampling(temperature=1.0, max_tokens=4, allowed_token_ids=tuple(range(1000, 4000)))),
        ([[token] * CONTEXT, [token] * (CONTEXT - 3), [token] * 9], Sampling(temperature=0.0, max_tokens=40)),
        (
            [chat.pre_query_prefix(None)] * 6,
            Sampling(temperature=2.0, max_tokens=48, stop_token_ids=chat.end_ids),
        ),
    ]
    try:
        for prompts, sampling in asked:
            seeds = range(1000, 1000 + len(prompts))
            mine, theirs = (engine.complete(prompts, sampling, seeds) for engine in (here, there))
            same(mine, theirs)
            assert (
                sampling.max_tokens != 40 or mine[0].finish_reason == theirs[0].finish_reason == CONTEXT_FULL
            )
    finally:
        here.close()
        there.close()


def same(mine: list[Completion], theirs: list[Completion]) -> None:
    """Equal but for the last digits of log-probabilities, and for rare words that those change."""
    assert [(one.prompt_tokens, one.request) for one in mine] == [
        (one.prompt_tokens, one.request) for one in theirs
    ]
    for one, other in zip(mine, theirs, strict=True):
        assert [token for token, _ in one.first[:3]] == [token for token, _ in other.first[:3]]
        assert len(one.first) == len(other.first)
        assert dict(one.first) == pytest.approx(dict(other.first), abs=1e-4)
    ends = [(one.text, one.finish_reason, one.num_tokens) for one in mine]
    equal = sum(
        a == (one.text, one.finish_reason, one.num_tokens) for a, one in zip(ends, theirs, strict=True)
    )
    print(f"{equal} of {len(mine)} completions are the same")
    assert equal >= len(mine) - 1


@pytest.mark.scale
def test_ratings_are_those_of_vllm_in_this_process(rates: VLLMServer, rater: Path) -> None:
    model = resolve(str(rater), dtype="float32")
    problems, answers = tiny.texts(4, 2)
    answers[1] += "\n\n" + answers[0]
    here, there = (
        VLLM(model, runner="pooling", kv_cache_gigabytes=0.25),
        Endpoint(model, runner="pooling", urls=(rates.url,)),
    )
    scores = RewardModel(here)(problems, answers)
    here.close()
    others = RewardModel(there)(problems, answers)
    there.close()
    assert [one.score for one in scores] == pytest.approx([one.score for one in others], abs=1e-4)
    assert all(one.score is not None for one in scores)


@pytest.mark.scale
def test_what_a_server_is_not_is_said(
    server: VLLMServer, rates: VLLMServer, model: Model, rater: Path
) -> None:
    with pytest.raises(
        BadInput,
        match=(
            r"has room for 1024 tokens of prompt and completion and 2048 are needed; start it with"
            r" --max-model-"
        ),
    ):
        Endpoint(resolve(str(model.path)), urls=(server.url,), context=2048).check()
    with pytest.raises(
        BadInput, match=rf"serves \S*{rater.name} and not {model.name}; give a server of that model"
    ):
        Endpoint(model, urls=(rates.url,)).check()
    engine = Endpoint(model, urls=(server.url,))
    with pytest.raises(
        EngineError, match=r"http://127.0.0.1:\d+ answered 400: Token id 999999 is out of vocabulary"
    ):
        engine.complete([[1, 999999]], Sampling(max_tokens=2), [1])
    engine.close()


@dataclass(frozen=True)
class Logged(Endpoint):
    """An Endpoint that writes down the key of every request that it finishes."""

    log: list[str] = field(default_factory=list, compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        (key,) = request_keys(self.model, [prompt], sampling, [seed])
        future = super().submit(prompt, sampling, seed)
        future.add_done_callback(lambda done: self.log.append(key) if done.exception() is None else None)
        return future


@pytest.mark.scale
@pytest.mark.timeout(600)
def test_a_build_over_two_servers(server: VLLMServer, model: Model, tmp_path: Path) -> None:
    """One of them is killed (SIGKILL) in the middle and started again: the build is that of one process, and
    nothing is asked twice.
    """
    with VLLMServer(Path(model.source), tmp_path / "second", length=CONTEXT) as second:
        build_of(VLLM(model, form="llm_engine", kv_cache_gigabytes=1, max_num_seqs=32), tmp_path / "here")
        engine = Logged(model, urls=(server.url, second.ready().url), context=CONTEXT)
        engine.check()

        def kill() -> None:
            while len(engine.log) < 20:
                time.sleep(0.05)
            second.kill()
            killed.append(len(engine.log))
            second.start()

        killed: list[int] = []
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        build_of(engine, tmp_path / "there")
        killer.join()
        print(f"killed after {killed[0]} of {len(engine.log)} requests")
        assert killed[0] < len(engine.log) - 10, "it was in the middle"
        assert len(engine.log) == len(set(engine.log)), "nothing that was finished is asked again"
        second.ready()
    mine, beyond = samples(tmp_path / "here")
    theirs, more = samples(tmp_path / "there")
    assert mine == theirs, "the same rows from the same prompts and seeds"
    here, there = results(tmp_path / "here"), results(tmp_path / "there")
    needed = set(here) - beyond - more
    same = sum(here[key] == there.get(key) for key in needed)
    print(f"{same} of {len(needed)} texts are the same")
    assert same >= 0.9 * len(needed), "and but for the last bits of a logit the same words"


def build_of(engine: Engine, out: Path) -> None:
    domains = []
    for key in ("algebra", "statistics"):
        bounds = {"instruction": 64, "response": 160, "candidate": 160}
        samplings = {
            step: replace(getattr(DOMAINS[key], step), max_tokens=bound) for step, bound in bounds.items()
        }
        domains.append(replace(DOMAINS[key], count=8, **samplings))
    build(Recipe(engine, engine, Judge(engine), tuple(domains), k=2), out, shard_rows=4, shards_in_flight=4)
