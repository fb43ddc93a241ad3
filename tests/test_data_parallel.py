"""Engines side by side: on real vLLM they say what one says, though one is killed; and none of their
processes outlives a killed build.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf import VLLM, BadInput, Sampling, chat_of, resolve
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.vllm import plugin

BALANCER = "exec -a VLLM::DPCoordinator sleep 60"


def test_the_process_that_balances_cores_is_found() -> None:
    with subprocess.Popen(["bash", "-c", BALANCER]) as balancer, subprocess.Popen(["sleep", "60"]) as other:
        deadline = time.monotonic() + 10
        while not plugin._balances(balancer.pid) and time.monotonic() < deadline:
            time.sleep(0.02)  # until bash has become it
        assert {balancer.pid, other.pid} <= set(plugin._children(os.getpid()))
        assert (plugin._balances(balancer.pid), plugin._balances(other.pid)) == (True, False)
        balancer.kill()
        other.kill()
    assert not plugin._balances(balancer.pid)


def test_cores_and_their_balancer_end_with_a_build_that_is_killed() -> None:
    core = (
        "import os; from magpie_hf.engines.vllm import plugin; print('up', flush=True);"
        " plugin._end_with(os.getppid())"
    )
    build = (
        "import subprocess, sys, time\nbalancer = subprocess.Popen(['bash', '-c',"
        f" {BALANCER!r}])\ntime.sleep(1)\ncores = [subprocess.Popen([sys.executable, '-c', {core!r}],"
        " stdout=subprocess.PIPE, text=True) for _ in range(2)]\n[core.stdout.readline() for core in"
        " cores]\nprint(balancer.pid, *(core.pid for core in cores), flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", build], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        time.sleep(0.5)  # by then each core has looked for its balancer
        assert all(_runs(pid) for pid in pids)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    """Whether it is a process, and no zombie that nobody waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.scale
@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")  # vLLM and torch warn at import; that is theirs
def test_two_engines_say_what_one_says_though_one_of_them_is_killed(tiny_model: Path) -> None:
    alone = VLLM(
        resolve(str(tiny_model), max_length=512, dtype="float32"), kv_cache_gigabytes=0.5, max_num_seqs=32
    )
    pair = replace(alone, data_parallel_size=2)
    chat = chat_of(alone.model)
    prompts = [chat.pre_query_prefix(domain.system) for domain in DOMAINS.values()] * 8
    sampling = Sampling(temperature=1.2, min_p=0.1, max_tokens=64, stop_token_ids=chat.turn_end_ids)
    expected = alone.complete(prompts, sampling, range(len(prompts)))
    alone.close()

    others = set(multiprocessing.active_children())
    pair.complete(prompts[:1], replace(sampling, max_tokens=2), [0])
    cores = [
        child
        for child in set(multiprocessing.active_children()) - others
        if child.name.startswith("EngineCore")
    ]
    assert len(cores) == 2
    killer = threading.Timer(1.0, cores[1].kill)
    killer.start()
    completions = pair.complete(prompts, sampling, range(len(prompts)))
    killer.join()
    assert not any(core.is_alive() for core in cores), "they die together"
    assert {one.finish_reason for one in completions} <= {
        "stop",
        "length",
    }, "what the living one gave up is asked again, and is no result"
    assert completions == expected
    pair.close()
    assert set(multiprocessing.active_children()) <= others


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_a_layout_that_a_cpu_does_not_have_is_bad_input(tiny_model: Path) -> None:
    engine = VLLM(resolve(str(tiny_model)), form="llm_engine", data_parallel_size=2)
    with pytest.raises(BadInput, match="data parallel size 2 needs the form async"):
        engine.check()
    with pytest.raises(BadInput, match="data parallel size 4096 needs as many CPU cores"):
        replace(engine, form="auto", data_parallel_size=4096).check()
    with pytest.raises(
        BadInput, match="tensor parallel size 2 needs as many GPUs, and this machine has none"
    ):
        replace(engine, form="auto", data_parallel_size=1, tensor_parallel_size=2).check()
