"""Truncated answers go on from their own tokens: on real vLLM, in both forms, in builds that are killed, and
over two servers.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from test_builds_vllm import until

from magpie_hf import VLLM, EngineError, Sampling, chat_of, resolve
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.vllm import engine as engines
from magpie_hf.engines.vllm.llm_engines import RETRIES
from magpie_hf.models.tokenizer import continuation
from magpie_hf.stage import seed_of
from vllm_server import VLLMServer

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

CONTEXT = 1024
PROBLEMS = [f"What is the sum of the first {count} odd numbers?" for count in range(3, 15)]


@pytest.fixture(scope="module", params=["llm_engine", "async_llm"])
def engine(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[VLLM]:
    model = resolve(str(tiny_model), dtype="float32", max_length=CONTEXT)
    engine = VLLM(model, form=request.param, kv_cache_gigabytes=1, max_num_seqs=16)
    yield engine
    engine.close()
    assert not engines._LIVE


def prompts(engine: VLLM, problems: list[str] = PROBLEMS) -> list[list[int]]:
    chat = chat_of(engine.model)
    return [chat.closed_prompt(chat.solving_prompt(problem)) for problem in problems]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_token_ids_decode_as_vllm_decodes_them(engine: VLLM, temperature: float) -> None:
    """At temperature 2 the model speaks in halves of characters and special tokens."""
    sampling = Sampling(temperature=temperature, max_tokens=120, stop_token_ids=chat_of(engine.model).end_ids)
    asked = prompts(engine) * 2
    found = [engine.submit(prompt, sampling, seed) for seed, prompt in enumerate(asked)]
    for prompt, one in zip(asked, [future.result() for future in found], strict=True):
        assert len(one.token_ids) == one.num_tokens
        ids = one.token_ids[:-1] if one.finish_reason == "stop" else one.token_ids
        assert continuation(engine.model, prompt, ids) == one.text
        for cut in range(0, len(ids), 7):
            assert one.text.startswith(continuation(engine.model, prompt, ids[:cut]))


def test_only_the_missing_tokens_are_generated(engine: VLLM) -> None:
    raise_the_bound(engine, 8, 256, PROBLEMS)


@pytest.mark.timeout(1800)
def test_only_the_missing_tokens_are_generated_by_a_model_that_talks(demo_model: Path) -> None:
    engine = VLLM(resolve(str(demo_model), dtype="float32", max_length=CONTEXT), kv_cache_gigabytes=1)
    raise_the_bound(engine, 64, 256, PROBLEMS[:5])
    engine.close()


def raise_the_bound(engine: VLLM, bound: int, higher: int, problems: list[str]) -> None:
    generated: list[int] = []

    class Counting(VLLM):
        def submit(self, *request: Any) -> Any:
            future = engine.submit(*request)
            future.add_done_callback(lambda done: generated.append(done.result().num_tokens))
            return future

    counting = Counting(engine.model)
    greedy = Sampling(temperature=0.0, max_tokens=bound, stop_token_ids=chat_of(engine.model).end_ids)
    asked, seeds = prompts(engine, problems), range(len(problems))
    book = Journal()
    with keeping(book):
        low = counting.complete(asked, greedy, seeds)
    assert sum(generated) == sum(one.num_tokens for one in low)
    cut = [one for one in low if one.finish_reason == "length"]
    assert cut
    generated.clear()
    with keeping(book):
        high = counting.complete(asked, replace(greedy, max_tokens=higher), seeds)
    assert len(generated) == len(cut)
    assert sum(generated) == sum(one.num_tokens for one in high) - sum(one.num_tokens for one in low)
    whole = engine.complete(asked, replace(greedy, max_tokens=higher), seeds)
    assert [replace(one, segments=()) for one in high] == whole
    assert {one.segments[:1] for one in high} <= {(), (bound,)}
    assert sum(bool(one.segments) for one in high) == len(cut)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_what_vllm_does_not_finish_is_submitted_again(
    engine: VLLM, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request is reported as given up once."""
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine

    given_up = set()

    def spoiled(output: Any) -> Any:
        prompt = tuple(output.prompt_token_ids)
        if output.finished and prompt not in given_up:
            given_up.add(prompt)
            output.outputs[0].finish_reason = reason
        return output

    step, generate = LLMEngine.step, AsyncLLM.generate

    async def generated(self: Any, *request: Any) -> Any:
        async for output in generate(self, *request):
            yield spoiled(output)

    asked, seeds = prompts(engine), range(len(PROBLEMS))
    sampling = Sampling(temperature=0.0, max_tokens=8)
    before = engine.complete(asked, sampling, seeds)
    live = engines._LIVE[engine]._engine
    with monkeypatch.context() as patch:
        patch.setattr(LLMEngine, "step", lambda self: [spoiled(output) for output in step(self)])
        patch.setattr(AsyncLLM, "generate", generated)
        assert engine.complete(asked, sampling, seeds) == before
    assert len(given_up) == len(PROBLEMS)
    assert engines._LIVE[engine]._engine is live, "it was not opened again"


def test_an_engine_that_only_gives_up_is_opened_again(engine: VLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has died too often in a row."""
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine

    from magpie_hf.engines.vllm import recovery

    given_up = 0

    def spoiled(output: Any) -> Any:
        nonlocal given_up
        given_up += output.finished
        output.outputs[0].finish_reason = "abort"
        return output

    step, generate = LLMEngine.step, AsyncLLM.generate

    async def generated(self: Any, *request: Any) -> Any:
        async for output in generate(self, *request):
            yield spoiled(output)

    monkeypatch.setattr(recovery, "BARREN_DEATHS", 0)
    engine.complete(prompts(engine)[:1], Sampling(max_tokens=2), [0])
    with monkeypatch.context() as patch:
        patch.setattr(LLMEngine, "step", lambda self: [spoiled(output) for output in step(self)])
        patch.setattr(AsyncLLM, "generate", generated)
        with pytest.raises(EngineError, match="died 0 times in a row"):
            engine.complete(prompts(engine)[:1], Sampling(max_tokens=2), [0])
    assert given_up == 1 + RETRIES
    engine.close()


def finished(log: Path) -> list[list[int]]:
    """[seed, tokens of the prompt, new tokens] of each request that an engine finished."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def answers(out: Path, bound: int) -> dict[str, dict[str, Any]]:
    """The answers of a build by request, from the shards of the stages with this bound."""
    found = {}
    for stage in ("solutions", "candidates"):
        for folder in out.glob(f"run/algebra/{stage}-*"):
            if json.loads((folder / "stage.json").read_text())["stage"]["sampling"]["max_tokens"] == bound:
                for file in folder.glob("*.arrow"):
                    for row in Dataset.from_file(str(file))[stage]:
                        found |= {one["request"]: one for one in row or ()}
    return found


def start(tiny_model: Path, out: Path, log: Path, bound: int, *urls: str) -> subprocess.Popen[bytes]:
    script = str(Path(__file__).with_name("extended_build.py"))
    with log.with_suffix(".err").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, script, str(tiny_model), str(out), str(log), str(bound), *urls],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


def ended(process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.wait(600) == 0, log.with_suffix(".err").read_text()[-2000:]


def check(tiny_model: Path, tmp_path: Path, kills: int, *urls: str) -> None:
    """A build at 8 tokens, then at 256, killed (kill -9) in between: what a build at 256 is from the start,
    for the missing tokens alone.
    """
    out, log = tmp_path / "out", tmp_path / "log"
    ended(start(tiny_model, out, log, 8, *urls), log)
    low, before = answers(out, 8), len(finished(log))
    cut = {key for key, one in low.items() if one["finish_reason"] == "length"}
    assert len(cut) > 6
    dice = random.Random(5)
    for _ in range(kills):
        process = start(tiny_model, out, log, 256, *urls)
        moment = len(finished(log)) + dice.randint(1, max(1, len(cut) // (kills + 2)))
        until(lambda moment=moment: len(finished(log)) >= moment, process, 400)
        process.kill()
        process.wait()
        time.sleep(0.1)
    ended(start(tiny_model, out, log, 256, *urls), log)
    high = answers(out, 256)
    whole = tmp_path / "whole"
    ended(start(tiny_model, whole, tmp_path / "fresh", 256, *urls), tmp_path / "fresh")
    fresh = answers(whole, 256)
    assert high.keys() == fresh.keys() == low.keys()
    same = sum({**one, "segments": None} == fresh[key] for key, one in high.items())
    print(f"{same} of {len(fresh)} answers are the same")
    assert same == len(fresh)
    continued = {key for key, one in high.items() if one["segments"]}
    assert continued == cut
    assert all(sum(one["segments"]) == one["num_tokens"] for key, one in high.items() if key in cut)
    missing, all_of_them = tokens(high) - tokens(low), tokens(high)
    # A request is one that continues an answer where its seed is that of a segment
    seeds = {seed_of(seed, "segment", 8) for seed in {seed for seed, *_ in finished(log)[:before]}}
    more = [(seed, prompt, new) for seed, prompt, new in finished(log)[before:] if seed in seeds]
    spent = sum(new for *_, new in set(more))
    print(f"{spent} tokens were generated for {missing} missing ones of {all_of_them}")
    assert spent == missing < all_of_them
    assert len(set(more)) == len(cut)
    assert len(more) - len(set(more)) <= kills * 4, "twice is only what was on its way to the journal"
    others = [new for seed, _, new in finished(log)[before:] if seed not in seeds]
    assert max(others, default=0) <= 1, "but for the judge's, whose answers are one token, it is all"


def tokens(found: dict[str, dict[str, Any]]) -> int:
    return sum(one["num_tokens"] for one in found.values())


@pytest.mark.timeout(1800)
def test_killed_three_times_between_two_bounds(tiny_model: Path, tmp_path: Path) -> None:
    check(tiny_model, tmp_path, 3)


@pytest.mark.timeout(1800)
def test_over_two_servers(tiny_model: Path, tmp_path: Path) -> None:
    with (
        VLLMServer(tiny_model, tmp_path / "one", length=CONTEXT) as one,
        VLLMServer(tiny_model, tmp_path / "two", length=CONTEXT) as two,
    ):
        check(tiny_model, tmp_path, 1, one.ready().url, two.ready().url)
