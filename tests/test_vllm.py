"""The real thing: the tiny model on real vLLM, in both forms of the engine."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf import VLLM, EngineError, Model, Sampling, chat_of, resolve
from magpie_hf.domains import DOMAINS
from magpie_hf.engines import meter
from magpie_hf.engines.base import CONTEXT_FULL
from magpie_hf.engines.vllm import engine as engines

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

CONTEXT = 512


@pytest.fixture(scope="module", params=["llm_engine", "async_llm"])
def engine(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[VLLM]:
    engine = VLLM(
        resolve(str(tiny_model), dtype="float32", max_length=CONTEXT),
        form=request.param,
        kv_cache_gigabytes=1,
        max_num_seqs=64,
    )
    yield engine
    engine.close()
    assert not engines._LIVE


def test_completions_keep_order_seeds_ends_and_counts(engine: VLLM) -> None:
    chat = chat_of(engine.model)
    prompts = [chat.pre_query_prefix(domain.system) for domain in DOMAINS.values()] * 4
    sampling = Sampling(temperature=1.2, min_p=0.1, max_tokens=200, stop_token_ids=chat.turn_end_ids)
    seeds = list(range(1000, 1000 + len(prompts)))
    before = meter.counted(engine.model.name) or meter.Counted(0, 0, 0)
    lengths = sorted(completion.num_tokens for completion in engine.complete(prompts, sampling, seeds))
    made, read = (before.tokens or 0) + sum(lengths), (before.prompt_tokens or 0) + sum(map(len, prompts))
    told = meter.counted(engine.model.name)
    for _ in range(50):  # AsyncLLM hands results on before it counts them
        if told is not None and told.tokens == made:
            break
        time.sleep(0.1)
        told = meter.counted(engine.model.name)
    assert told == meter.Counted(made, read, 0), "vLLM counts what it makes and reads"
    bound = lengths[len(lengths) // 2]  # some end before it, and some are cut there, whatever the model says
    sampling = replace(sampling, max_tokens=bound)
    first = engine.complete(prompts, sampling, seeds)
    assert [completion.prompt_tokens for completion in first] == [len(prompt) for prompt in prompts]
    assert {completion.finish_reason for completion in first} == {"stop", "length"}
    for completion in first:
        assert (completion.num_tokens == bound) or completion.finish_reason == "stop"
        assert completion.text
        assert "<|im_end|>" not in completion.text, "the end token is counted, and is not part of the text"
    assert len({completion.text for completion in first}) > len(prompts) // 2
    assert engine.complete(prompts, sampling, seeds) == first, "the same requests, the same words"
    other = engine.complete(prompts, sampling, [seed + 1 for seed in seeds])
    assert sum(a.text != b.text for a, b in zip(first, other, strict=True)) > len(prompts) // 2


def test_a_prompt_without_room_is_a_reason_and_a_full_context_is_a_cut(engine: VLLM) -> None:
    prompt = chat_of(engine.model).pre_query_prefix(None)
    prompts = [prompt[-1:] * CONTEXT, prompt[-1:] * 9999, prompt[-1:] * (CONTEXT - 3), prompt]
    full, over, nearly, fine = engine.complete(prompts, Sampling(temperature=0.0, max_tokens=40), [1] * 4)
    assert (full.finish_reason, over.finish_reason) == (CONTEXT_FULL, CONTEXT_FULL)
    assert (full.text, full.num_tokens) == ("", 0)
    assert nearly.finish_reason == "length"
    assert nearly.num_tokens <= 4
    assert fine.num_tokens > 4


def test_special_tokens_in_a_text_are_seen(engine: VLLM) -> None:
    chat = chat_of(engine.model)
    prompt = chat.closed_prompt([{"role": "user", "content": "Say hello."}])
    (plain,) = engine.complete([prompt], Sampling(temperature=0.0, max_tokens=60, stop_token_ids=()), [1])
    assert not chat.special_pattern.search(plain.text)
    special = chat.tokenizer.convert_tokens_to_ids("<|im_start|>")
    (noisy,) = engine.complete([prompt], Sampling(max_tokens=3, allowed_token_ids=(special,)), [1])
    assert noisy.text == "<|im_start|>" * 3, "they are kept"
    assert chat.special_pattern.search(noisy.text)


def test_texts_are_written_as_tokenizer_json_says(engine: VLLM, tiny_model: Path, tmp_path: Path) -> None:
    """DeepSeek-R1-Distill-Llama's layout: vLLM's own loader writes "Ġ" for every space there."""
    folder = shutil.copytree(tiny_model, tmp_path / "m")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**config, "tokenizer_class": "LlamaTokenizerFast"})
    )
    other = replace(engine, model=replace(resolve(str(folder)), dtype="float32", max_length=CONTEXT))
    assert other != engine
    prompts = [chat_of(other.model).pre_query_prefix(domain.system) for domain in DOMAINS.values()]
    assert prompts == [chat_of(engine.model).pre_query_prefix(domain.system) for domain in DOMAINS.values()]
    schema = json.dumps({"type": "object", "properties": {"a": {"type": "string", "maxLength": 40}}})
    free = Sampling(temperature=1.0, max_tokens=40)
    try:
        for sampling in (free, replace(free, schema=schema)):
            texts = [c.text for c in other.complete(prompts, sampling, range(len(prompts)))]
            assert texts == [c.text for c in engine.complete(prompts, sampling, range(len(prompts)))]
            assert any(" " in text for text in texts)
    finally:
        other.close()


def test_an_engine_that_was_closed_or_killed_is_opened_again_and_nothing_is_lost(engine: VLLM) -> None:
    """async_llm has a core process, killed with requests in flight; llm_engine has none, and is closed."""
    prompt = chat_of(engine.model).pre_query_prefix(None)
    sampling = Sampling(temperature=0.0, max_tokens=8)
    before = engine.complete([prompt] * 2, sampling, [1, 1])
    if engine.form == "async_llm":
        (core,) = multiprocessing.active_children()
        sampled = Sampling(temperature=1.0, min_p=0.1, max_tokens=400)
        futures = [engine.submit(prompt, sampled, seed) for seed in range(48)]
        wait(futures, return_when=FIRST_COMPLETED)
        core.kill()
        completions = [future.result(timeout=300) for future in futures]
        assert not core.is_alive()
        (another,) = multiprocessing.active_children()
        assert another.pid != core.pid
        assert all(
            completion.finish_reason in ("stop", "length") and completion.text for completion in completions
        )
    else:
        engine.close()
        engine.close()
    assert engine.complete([prompt] * 2, sampling, [1, 1]) == before


def test_closing_with_requests_in_flight_fails_them_at_once(engine: VLLM) -> None:
    """The last of the tests that share an engine."""
    prompt = chat_of(engine.model).pre_query_prefix(None)
    engine.complete([prompt], Sampling(max_tokens=2), [0])
    futures = [engine.submit(prompt, Sampling(temperature=2.0, max_tokens=400), seed) for seed in range(16)]
    engine.close()
    for future in futures:
        assert future.exception(timeout=5) is None or isinstance(future.exception(), EngineError)
    assert any(future.exception() for future in futures)


def test_an_engine_does_not_outlive_a_build_that_was_killed(tiny_model: Path, tmp_path: Path) -> None:
    """After kill -9 vLLM's core would hold its device for ever, and the same command again would find it
    taken.
    """
    script = f"""
        import multiprocessing, sys, time
        from magpie_hf import VLLM, Sampling, resolve
        if __name__ == "__main__":
            model = resolve({str(tiny_model)!r}, dtype="float32")
            engine = VLLM(model, form="async_llm", context={CONTEXT}, kv_cache_gigabytes=1)
            engine.complete([[1, 2, 3]], Sampling(max_tokens=2), [0])
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            time.sleep(60)
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    assert children
    assert all(map(runs, children))
    process.kill()
    process.wait()  # and not for the end of its output, which its children hold
    process.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(runs, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(runs, children))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_weights_that_cannot_be_loaded_are_one_clear_error(tiny_model: Path, tmp_path: Path) -> None:
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    model = Model("torn", "sha256:0", path=str(tmp_path))
    engine = VLLM(model, context=CONTEXT, kv_cache_gigabytes=1)
    with pytest.raises(EngineError, match="vLLM cannot start torn: "):
        engine.complete([[1, 2]], Sampling(max_tokens=2), [1])
    assert engine not in engines._LIVE


def test_placement_is_no_part_of_an_engine(tiny_model: Path) -> None:
    engine = VLLM(resolve(str(tiny_model)))
    assert replace(engine, form="async_llm", max_num_seqs=3, tensor_parallel_size=8) == engine
    assert os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") is None, (
        "the llm_engine engine leaves the environment as it found it"
    )
