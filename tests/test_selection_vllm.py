"""The selection on real vLLM: exact counts, interrupted and resumed; labels, embeddings, and a yield that is
too low.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from real_selection import recipe, selection

from magpie_hf import VLLM, resolve
from magpie_hf.errors import LowYield
from magpie_hf.store.records import read_record

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]  # of what vLLM imports
COUNT = 40


def lines(log: Path) -> list[tuple[str, float]]:
    """The requests that an engine finished: their keys, and when."""
    if not log.exists():
        return []
    return [
        (key, float(moment))
        for key, moment in (line.split() for line in log.read_text().splitlines() if line.count(" ") == 1)
    ]


def test_as_many_problems_as_asked_for_however_often_it_is_killed(
    tiny_model: Path, minilm: Path, tmp_path: Path
) -> None:
    log, whole_log = tmp_path / "log", tmp_path / "whole-log"
    script, out = Path(__file__).parent / "real_selection.py", tmp_path / "killed"
    command = [sys.executable, str(script), str(tiny_model), str(out), str(log), str(COUNT)]
    dice = random.Random(5)
    kills = []
    for _ in range(2):
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = len(lines(log)) + dice.randint(5, 12)
        while len(lines(log)) < until:
            time.sleep(0.05)
            assert first.poll() is None, "the selection ended before it was killed"
        first.send_signal(signal.SIGKILL)
        kills.append(time.time())
        first.wait()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=400)
    resumed = {
        key: {tuple(one) for one in found} for key, found in json.loads(done.stdout.splitlines()[-1]).items()
    }

    made = recipe(str(tiny_model), str(whole_log), COUNT)
    whole = {key: set(found) for key, found in selection(made, tmp_path / "whole", 16).items()}
    exact = dict.fromkeys(whole, COUNT)
    assert (
        {key: len(found) for key, found in whole.items()}
        == {key: len(found) for key, found in resumed.items()}
        == exact
    )
    same = [len(whole[key] & resumed[key]) for key in whole]
    assert min(same) >= 0.9 * COUNT, f"of {COUNT} problems a domain {same} are the same in both"
    # Two samples may say the same words, and then their labels are asked for twice in any case.
    often = {key for key, times in Counter(key for key, _ in lines(whole_log)).items() if times > 1}
    for kill in kills:
        safe = {key for key, moment in lines(log) if moment < kill - 0.1}
        assert not {key for key, moment in lines(log) if moment > kill} & safe - often, (
            "what had finished is not asked again"
        )
    quotas = read_record(tmp_path / "whole" / "run" / "selection.json")
    assert [quota["accepted"] for quota in quotas.values()] == [COUNT]

    # The embeddings of what was sampled come from an engine of their own; nothing is sampled or labelled
    # again.
    before = len(lines(whole_log))
    embedder = VLLM(resolve(str(minilm), dtype="float32", chat=False), runner="pooling")
    again = selection(replace(made, embedder=embedder), tmp_path / "whole", 32)
    assert {key: len(found) for key, found in again.items()} == exact
    assert len(lines(whole_log)) - before < 30, "only what takes the place of near-duplicates is sampled"


def test_a_sampling_that_yields_too_little_is_refused(demo_model: Path, tmp_path: Path) -> None:
    """Hot and without a tail cut next to nothing of a small model's is a problem: the build refuses, with
    reasons and a sample.
    """
    made = recipe(str(demo_model), str(tmp_path / "log"), 12)
    algebra = made.domains[0]
    hot = replace(
        algebra, instruction=replace(algebra.instruction, min_p=0.0, temperature=2.0, max_tokens=32)
    )
    with pytest.raises(
        LowYield, match=r"algebra: \d of (64|256) samples were accepted, below the floor of 2.0%.*Examples: "
    ):
        selection(replace(made, domains=(hot,)), tmp_path / "out", 64)
