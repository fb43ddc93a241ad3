"""The speed of a build's engines: what is measured, what is kept of it, and that it adds up."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paced import Paced

from conftest import JUDGE, Answers, small_recipe
from fake_server import FakeServer
from magpie_hf.building.build import build
from magpie_hf.engines import meter, shares
from magpie_hf.engines.base import Completion, Engine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.meter import Outcome, Start
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.engines.vllm.recovery import Recovering
from magpie_hf.errors import EngineError
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.progress import paces
from magpie_hf.progress.events import Ended, EngineClosed, EngineOpened, Event, Speed, UnderWay
from magpie_hf.progress.meter import Meter
from magpie_hf.progress.paces import KNEES
from magpie_hf.progress.recorder import _Rate, recording
from magpie_hf.progress.requests import Requests
from magpie_hf.progress.speed import NAME, SpeedFile, best, read
from magpie_hf.run.status import status


def of(folder: Path, event: str) -> list[dict[str, Any]]:
    return [one for one in read(folder) if one["event"] == event]


def test_tokens_belong_to_the_whole_life_of_a_request(tmp_path: Path) -> None:
    meter = Meter()
    meter.start(Start("it", 100.0))  # lives for 35 s, 7 of them in the last interval
    meter.start(Start("it", 104.0))
    meter.end(Start("it", 104.0), 108.0, Outcome(5, 40))
    first = meter.cut(110.0)
    meter.start(Start("it", 119.0))
    second = meter.cut(120.0)
    third = meter.cut(128.0)
    meter.end(Start("it", 119.0), 129.0, Outcome(3, 11))
    meter.end(Start("it", 100.0), 135.0, Outcome(7, 1000))
    last = meter.cut(150.0)
    assert first
    assert second
    assert third
    assert last
    assert (first.seconds, first.running, first.requests, first.prompt_tokens, first.tokens) == (
        10,
        1.4,
        1,
        5,
        40,
    )
    assert (second.seconds, second.running, second.tokens) == (10, 1.1, 0)
    assert (last.end, last.seconds, last.requests, last.prompt_tokens) == (135, 7, 2, 10)
    assert (last.tokens, last.earlier) == (
        200 + 1,
        (229 + 9, 285 + 1, 286),
    ), "in whole numbers that come to their sums"
    (tmp_path / "run").mkdir()
    file = SpeedFile(tmp_path / "run")
    for made in (first, second, third, last):
        file.interval("it", made)
    file.close()
    assert [one["tokens"] for one in read(tmp_path)] == [40 + 286, 286, 238, 201]
    assert meter.tokens == 1051
    assert meter.cut(151.0) is None
    meter.start(Start("it", 300.0))
    meter.end(Start("it", 300.0), 310.0, Outcome(1, 5))
    assert meter.cut(400.0) == replace(
        last, end=310, seconds=10, running=1, requests=1, prompt_tokens=1, tokens=5, earlier=()
    )


def test_a_build_keeps_what_its_engine_did(answers: Answers, tmp_path: Path) -> None:
    build(small_recipe(answers, "algebra"), tmp_path)
    done = of(tmp_path, "interval")
    assert sum(one["requests"] for one in done) == answers.asked() + answers.trials
    stages = [json.loads(file.read_text())["shards"].values() for file in tmp_path.glob("run/*/*/stage.json")]
    filtered = answers.asked(JUDGE)  # a token each, which no column holds
    assert (
        sum(one["tokens"] for one in done)
        == sum(shard["tokens"] for shards in stages for shard in shards) + filtered
    )
    assert [one["what"] for one in of(tmp_path, "build")] == ["began", "finished"]
    build(small_recipe(answers, "algebra"), tmp_path)
    assert of(tmp_path, "interval") == done, "what is known is not asked"
    assert [one["what"] for one in of(tmp_path, "build")] == ["began", "finished"] * 2


@dataclass(frozen=True)
class Steady(Engine):
    """An engine that takes `seconds` for every request, however many there are, and 100 tokens."""

    seconds: float = field(default=0.0, compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        future: Future[Completion] = Future()
        answer = Completion("", "stop", len(prompt), 100)
        threading.Timer(self.seconds, future.set_result, [answer]).start()
        return future


def test_speed_is_told_while_an_engine_works(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    engine, told = Steady(Model("steady", "1"), 2.5), list[Event]()
    with recording(tmp_path, ["steady"], told.append):
        with meter.loading("steady"):
            pass
        with meter.loading("another"):
            pass
        engine.complete([[1, 2, 3]] * 8, Sampling(max_tokens=100), list(range(8)))
        engine.complete([[4]] * 2, Sampling(max_tokens=100), list(range(2)))
        time.sleep(1.2)
        meter.closed("steady")
    opened, *speeds, idle, closed, ended = [one for one in told if not isinstance(one, UnderWay)]
    assert isinstance(opened, EngineOpened)
    assert (closed, isinstance(ended, Ended)) == (EngineClosed("steady"), True)
    first = speeds[0]
    assert isinstance(first, Speed)
    # One may be told in between the two ends
    *_, last = (one for one in speeds if isinstance(one, Speed) and one.running == 2)
    assert isinstance(idle, Speed)
    assert (idle.running, idle.tokens, idle.now) == (0, 1000, None)
    assert (first.running, first.now, last.tokens, last.best) == (8, None, 800, None)
    assert last.now
    assert last.average
    assert 80 < last.average < 320, "800 tokens in four or five seconds, and a machine may be slow"
    done = of(tmp_path, "interval")
    assert [sum(one[what] for one in done) for what in ("requests", "prompt_tokens", "tokens")] == [
        10,
        26,
        1000,
    ]
    assert sum(one["seconds"] * one["running"] for one in done) == pytest.approx(8 * 2.5 + 2 * 2.5, rel=0.1)


def test_servers_tell_their_tokens_while_they_answer(tmp_path: Path) -> None:
    """Two servers, of which one has as many requests of others as of ours, and then one without counters."""
    (tmp_path / "run").mkdir()

    def metrics(running: int) -> str:
        made = int(1000 * time.monotonic())  # 1,000 tokens a second
        return (
            "# TYPE vllm:generation_tokens counter\n"
            f'vllm:generation_tokens_total{{engine="0",model_name="fake"}} {made}\n'
            f'vllm:prompt_tokens_total{{engine="0",model_name="fake"}} {3 * made}\n'
            f'vllm:prefix_cache_hits_total{{engine="0",model_name="fake"}} {2 * made}\n'
            f'vllm:num_requests_running{{engine="0",model_name="fake"}} {running}.0\n'
            'vllm:num_requests_waiting{engine="0",model_name="fake"} 0.0\n'
        )

    with FakeServer(seconds=4.5) as alone, FakeServer(seconds=4.5) as shared:
        alone.metrics, shared.metrics = partial(metrics, 2), partial(metrics, 4)
        told = list[Event]()
        engine = Endpoint(Model("fake", "1", path=str(tmp_path)), urls=(alone.url, shared.url))
        with recording(tmp_path, ["fake"], told.append):
            engine.complete([[1, 2, 3]] * 4, Sampling(max_tokens=100), list(range(4)))
            counted = meter.counted("fake")
            engine.close()
        speeds = [one for one in told if isinstance(one, Speed)]
        assert {one.counted for one in speeds[2:]} == {"engine"}
        assert speeds[-1].now is not None
        assert 1000 < speeds[-1].now < 2000, "all of the one, and half of the other one"
        assert counted is not None
        assert counted.running == 4
        assert counted.prompt_tokens == pytest.approx(counted.tokens, abs=20), "what the cache lacked"
        assert counted.cached == pytest.approx(2 * (counted.tokens or 0), abs=20)
        assert speeds[-1].cached_tokens > 1000
        assert (speeds[-1].tokens, speeds[-1].working) == (0, 4)
        shared.metrics = None
        engine.submit([1, 2, 3], Sampling(max_tokens=100), 9).result(20)
        counted = meter.counted("fake")
        assert counted is None or counted.tokens is None
        engine.close()


def test_an_engine_is_closed_and_opened_again_or_dies() -> None:
    """Models take turns, and the counters of one that is opened again begin at 0."""
    name, now = "in turns", 1000.0
    meter.count(name, 4, tokens=100, prompt_tokens=1000, cached=50)  # of a build before
    rate = _Rate(name, Meter(), Requests())
    meter.count(name, 4, 5000, 500, 20)
    told = rate.speed(now, None)
    assert (told.unfinished_tokens, told.prompt_tokens, told.cached_tokens) == (5000, 500, 20)
    meter.closed(name)
    rate.begin_again()
    meter.count(name, 4)
    rate.begin_again()
    for second in range(1, 5):
        meter.count(name, 4, 300, 30, 5)
        told = rate.speed(now + second, None)
    assert (told.unfinished_tokens, told.prompt_tokens, told.cached_tokens) == (1200, 620, 40)
    assert told.now == pytest.approx(225), "what it had made before is no reason to tell none"
    meter.uncount(name)


def test_the_best_speed_is_a_sustained_one() -> None:
    def interval(at: float, tokens: int, seconds: float = 10.0) -> dict[str, Any]:
        return {"event": "interval", "at": at, "engine": "it", "seconds": seconds, "tokens": tokens}

    quick = [interval(10, 5000), interval(20, 1000), interval(30, 3000), interval(40, 2000)]
    assert best(quick, "it") == 300
    assert best(quick, "another") is None
    assert best([interval(10, 0), interval(20, 0), interval(30, 0)], "it") is None, (
        "nothing has come to its end"
    )
    assert best([interval(10, 900), interval(20, 900), interval(500, 900)], "it") is None, (
        "there is a pause between"
    )


def test_an_engine_that_dies_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lives = iter((1, 9))

    class Mortal:
        max_length = 10

        def __init__(self) -> None:
            self.left = next(lives)

        def submit(self, prompt: list[int], params: Any) -> Future[Any]:
            self.left -= 1
            if self.left < 0:
                raise EngineError("dead")
            future: Future[Any] = Future()
            future.set_result(1)
            return future

        def close(self) -> None:
            """Nothing is open."""

    with recording(tmp_path, ["mortal"], lambda event: None):
        engine = Recovering(Mortal, "mortal", pause=0.01)
        assert [engine.submit([1], None).result(10) for _ in range(3)] == [1] * 3
        engine.close()
    events = [(one["event"], one.get("restart")) for one in read(tmp_path)]
    assert events == [("build", None), ("opened", False), ("opened", True), ("closed", None), ("build", None)]


def test_a_build_that_is_killed_leaves_its_speed_and_the_next_one_appends(
    answers: Answers, tmp_path: Path
) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from magpie_hf.engines import meter\n"
        "from magpie_hf.progress.recorder import recording\n"
        "with recording(Path(sys.argv[1]), ['it'], print):\n    began = meter.Start('it', time.monotonic())\n"
        "    meter.started(began); meter.ended(began, meter.Outcome(5, 7)); meter.closed('it')\n   "
        " os.kill(os.getpid(), 9)"
    )
    (tmp_path / "run").mkdir()
    assert (
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=False).returncode
        == -signal.SIGKILL
    )
    with (tmp_path / "run" / NAME).open("a") as file:
        file.write('{"event": "interv')  # what a killed process or a lost power leaves
    before = read(tmp_path)
    assert [one["event"] for one in before] == ["build", "interval", "closed"]
    with recording(tmp_path, ["it"], lambda event: None):
        pass
    assert read(tmp_path)[: len(before)] == before
    assert [one.get("what") for one in read(tmp_path)[len(before) :]] == ["began", "finished"]


def test_work_that_shares_an_engine_shares_its_time() -> None:
    """Of 10 seconds the first four are one's own; then three requests of another one come, and go first."""
    with shares.sharing() as one:
        shares.started("shared", 0.0, 1)
    with shares.sharing() as other:
        shares.started("shared", 4.0, 3)
    shares.ended("shared", 4.0, 8.0, 3)
    shares.ended("shared", 0.0, 10.0, 1)
    assert (one.engines, other.engines) == (4 + 1 + 2, 3)
    assert (one.of(12.0), other.of(4.0)) == (2 + 7, 3)


def test_opening_an_engine_is_no_time_of_a_stage() -> None:
    with shares.sharing() as one:
        shares.opened(7.0)
        shares.started("opened", 7.0, 1)
        shares.opened(2.0)  # as a later request that waits to be sent: these seconds count as asking
    shares.ended("opened", 7.0, 10.0, 1)
    assert one.of(11.0) == 3 + 1


def test_a_stage_takes_as_long_with_an_engine_that_loads_slowly(answers: Answers, tmp_path: Path) -> None:
    answers.cut_every = 0
    engine = Paced(answers.model, answers, load=1.5)
    recipe = replace(small_recipe(answers), generator=engine, solver=engine)
    build(replace(recipe, domains=recipe.domains[:1]), tmp_path)
    (one,) = (stage for stage in status(tmp_path).stages if stage.label == "instruct")
    assert 0 < one.seconds < 1


def test_seconds_of_stages_are_no_longer_than_the_build(answers: Answers, tmp_path: Path) -> None:
    answers.cut_every = 0
    engine = Paced(answers.model, answers, load=0.0)
    recipe, began = small_recipe(answers), time.monotonic()
    recipe = replace(recipe, generator=engine, solver=engine, domains=recipe.domains[:1])
    build(recipe, tmp_path, shard_rows=4)
    asking = [one for one in status(tmp_path).stages if one.label in ("instruct", "candidates")]
    assert 0 < sum(one.seconds for one in asking) < 1.2 * (time.monotonic() - began)


def started(out: Path, *starts: Start) -> Requests:
    """Requests of a shard of candidates."""
    requests, folder = Requests(), out / "algebra" / "candidates-0"
    folder.mkdir(parents=True)
    with keeping(Journal(folder / "0000000-0000128.journal", iter(()))):
        for start in starts:
            requests.start(start)
    return requests


def test_an_engine_that_counts_nothing_goes_as_fast_as_its_last_requests(tmp_path: Path) -> None:
    """Two requests share it for ten seconds, and one of them ends with 100 tokens."""
    engine, knee = "uncounted", KNEES[0]
    requests = started(tmp_path, Start(engine, 0.0), Start(engine, 0.5))
    assert requests.rate(engine) is None
    requests.end(Start(engine, 0.5), 10.5, Outcome(50, 100))
    alone = 10 * (knee + 2) / (knee + 1)  # tokens a second of a request, of which two have 10 each
    assert requests.rate(engine) == pytest.approx(alone)
    assert requests.unfinished_tokens(engine, 11.5) == pytest.approx(1.5 * alone + 10 * 10)
    (told,) = requests.stages()
    assert told.pace == pytest.approx(10 / (knee + 2) / 100)
    assert told.knee == knee


def test_requests_that_wait_in_this_process_have_nothing_of_the_engine(tmp_path: Path) -> None:
    engine, knee = "queued", KNEES[0]
    first, second, never = (Start(engine, at, waits=True) for at in (0.0, 0.5, 0.6))
    requests = started(tmp_path, first, second, never)
    requests.begin(first, 10.0)
    requests.end(first, 20.0, Outcome(50, 100))
    requests.begin(second, 20.0)
    requests.begin(first, 20.0)  # too late
    assert requests.rate(engine) == pytest.approx(10), "the ten seconds in the queue do not count"
    requests.end(never, 21.0, None)
    (told,) = requests.stages()
    assert told.pace == pytest.approx(10 / (knee + 1) / 100)
    assert told.working == 1


def test_the_first_to_begin_are_worked_on(tmp_path: Path) -> None:
    """An engine works on two of four requests: both answers, before the ratings."""
    engine, requests = "two at a time", Requests()
    for stage, times in (("candidates", (0.0, 0.1)), ("score", (0.2, 0.3))):
        folder = tmp_path / "algebra" / f"{stage}-0"
        folder.mkdir(parents=True)
        with keeping(Journal(folder / "0000000-0000128.journal", iter(()))):
            for at in times:
                requests.start(Start(engine, at))
    assert [one.working for one in requests.stages()] == [2, 2], "nothing is known of a queue"
    meter.at_work(engine, 2)
    assert [one.working for one in requests.stages()] == [2, 0]
    requests.end(Start(engine, 0.0), 1.0, Outcome(50, 100))
    assert [one.working for one in requests.stages()] == [1, 1]
    meter.uncount(engine)


def test_requests_that_start_together_count_each(tmp_path: Path) -> None:
    engine, knee = "together", KNEES[0]
    requests = started(tmp_path, Start(engine, 0.0, 64), Start(engine, 0.5, 64))
    requests.end(Start(engine, 0.5, 64), 10.5, Outcome(0, 6400))
    each = 10 * (knee + 128) / (knee + 64)  # tokens a second of a request, of which there were 128
    assert requests.rate(engine) == pytest.approx(64 * each)
    assert requests.unfinished_tokens(engine, 10.5) == pytest.approx(64 * (100 + 0.5 * each))


def test_the_knee_of_an_engine_is_the_one_that_explains_its_requests() -> None:
    """Requests of 20 to 400 tokens with ever fewer others; a step over n takes (knee + n) / 1,000 seconds."""
    for knee in KNEES:
        paced = paces.Paced(flying=400)
        done = 0.0
        for tokens in range(20, 401, 5):
            paced.move(paced.at + (tokens - done) * (knee + paced.flying) / 1000)
            paced.learn(tokens, paced.parts, paced.at, 0)
            paced.flying, done = paced.flying - 5, tokens
        assert KNEES[paced.knee] == knee


@pytest.mark.parametrize("knee", [5, 25, 250])
@pytest.mark.parametrize("price", [0.0, 0.1, 0.4])
def test_what_prompts_cost_is_seen_where_nothing_counts(knee: int, price: float) -> None:
    """300 requests with prompts of 100 tokens at once, twice. The engine reads all of them first, and then
    writes a token of each of n in knee + n milliseconds.
    """
    numbers, paced = random.Random(1), paces.Paced()
    assert paced.prompt_seconds is None
    for _ in range(2):
        began, before, given = paced.at, paced.parts, paced.prompts
        paced.flying, paced.prompts = 300, given + 300 * 100
        paced.move(began + price * 300 * 100 / 1000)
        made = 0
        for tokens in sorted(max(8, round(numbers.lognormvariate(4, 0.7))) for _ in range(300)):
            now = paced.move(paced.at + (tokens - made) * (knee + paced.flying) / 1000)
            had = tuple(one - other for one, other in zip(now, before, strict=True))
            paced.flying, made = paced.flying - 1, tokens
            paced.learn(tokens, had, paced.at - began, paced.prompts - given)
    assert paced.prompt_seconds == pytest.approx(price / 1000, abs=0.1 / 1000)


def test_a_queue_does_not_show_what_prompts_cost() -> None:
    """Ten requests at a time, of 300 that were begun at once, take a second each."""
    paced = paces.Paced(flying=300, prompts=300 * 100)
    for number in range(300):
        now = paced.move(1.0 + number // 10)
        paced.flying -= 1
        paced.learn(20 + number % 7, now, paced.at, 300 * 100)
    assert paced.prompt_seconds is None
