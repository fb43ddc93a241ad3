"""Two engines of the small model side by side, on real vLLM: the words of one engine, and nothing lost or cut when one of them dies."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf import VLLM, BadInput, Sampling, chat_of, resolve
from magpie_hf.domains import DOMAINS

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]  # vLLM and torch warn at import; that is theirs


def test_two_engines_say_what_one_says_though_one_of_them_is_killed(demo_model: Path) -> None:
    alone = VLLM(resolve(str(demo_model), max_length=512, dtype="float32"), kv_cache_gigabytes=0.5, max_num_seqs=32)
    pair = replace(alone, data_parallel_size=2)
    chat = chat_of(alone.model)
    prompts = [chat.open_turn(domain.system) for domain in DOMAINS.values()] * 8
    sampling = Sampling(temperature=1.2, min_p=0.1, max_tokens=64, stop_token_ids=chat.turn_end_ids)
    expected = alone.complete(prompts, sampling, range(len(prompts)))
    alone.close()

    others = set(multiprocessing.active_children())
    pair.complete(prompts[:1], replace(sampling, max_tokens=2), [0])
    cores = [child for child in set(multiprocessing.active_children()) - others if child.name.startswith("EngineCore")]
    assert len(cores) == 2
    killer = threading.Timer(1.0, cores[1].kill)
    killer.start()
    completions = pair.complete(prompts, sampling, range(len(prompts)))
    killer.join()
    assert not any(core.is_alive() for core in cores), "they die together"
    assert {one.finish_reason for one in completions} <= {"stop", "length"}, "what the living one gave up is asked again, and is no result"
    assert completions == expected
    pair.close()
    assert set(multiprocessing.active_children()) <= others


def test_a_layout_that_a_cpu_does_not_have_is_bad_input(demo_model: Path) -> None:
    engine = VLLM(resolve(str(demo_model)), form="stepped", data_parallel_size=2)
    with pytest.raises(BadInput, match="data parallel size 2 needs the form async"):
        engine.check()
    with pytest.raises(BadInput, match="data parallel size 4096 needs as many CPU cores"):
        replace(engine, form="auto", data_parallel_size=4096).check()
    with pytest.raises(BadInput, match="tensor parallel size 2 needs as many GPUs, and this machine has none"):
        replace(engine, tensor_parallel_size=2).check()
