"""The speed of a build's engines: what is measured, what is kept of it, and that it adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import JUDGE, Answers, small_recipe
from magpie_hf.progress.gauge import Gauge
from magpie_hf.progress.speed import read
from magpie_hf.walk import build


def of(folder: Path, event: str) -> list[dict[str, Any]]:
    return [one for one in read(folder) if one["event"] == event]


def test_tokens_belong_to_the_whole_life_of_a_request() -> None:
    gauge = Gauge()
    gauge.start(100.0, 1)  # lives for 35 s, 7 of them in the last interval
    gauge.start(104.0, 1)
    gauge.end(104.0, 108.0, 1, 5, 40)
    first = gauge.cut(110.0)
    gauge.start(119.0, 1)
    second = gauge.cut(120.0)
    third = gauge.cut(128.0)
    gauge.end(119.0, 129.0, 1, 3, 11)
    gauge.end(100.0, 135.0, 1, 7, 1000)
    last = gauge.cut(150.0)
    assert first
    assert second
    assert third
    assert last
    assert (first.seconds, first.running, first.requests, first.prompt_tokens, first.tokens) == (10, 1.4, 1, 5, 40)
    assert (second.seconds, second.running, second.tokens) == (10, 1.1, 0)
    assert (last.end, last.seconds, last.requests, last.prompt_tokens) == (135, 7, 2, 10)
    assert (last.tokens, last.earlier) == (200 + 1, (229 + 9, 285 + 1, 286)), "in whole numbers that come to their sums"
    assert gauge.tokens == 1051
    assert gauge.cut(151.0) is None
    gauge.start(300.0, 1)
    gauge.end(300.0, 310.0, 1, 1, 5)
    assert gauge.cut(400.0) == replace(last, end=310, seconds=10, running=1, requests=1, prompt_tokens=1, tokens=5, earlier=())


def test_a_build_keeps_what_its_engine_did(answers: Answers, tmp_path: Path) -> None:
    build(small_recipe(answers, "algebra"), tmp_path)
    done = of(tmp_path, "interval")
    assert sum(one["requests"] for one in done) == answers.asked()
    stages = [json.loads(file.read_text())["shards"].values() for file in tmp_path.glob("run/*/*/stage.json")]
    judged = answers.asked(JUDGE)  # a token each, which no column holds
    assert sum(one["tokens"] for one in done) == sum(shard["tokens"] for shards in stages for shard in shards) + judged
    assert [one["what"] for one in of(tmp_path, "build")] == ["began", "finished"]
    build(small_recipe(answers, "algebra"), tmp_path)
    assert of(tmp_path, "interval") == done, "what is known is not asked"
    assert [one["what"] for one in of(tmp_path, "build")] == ["began", "finished"] * 2
