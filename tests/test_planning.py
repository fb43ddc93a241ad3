"""What a plan is made of: an engine in virtual time, what bursts tell of one, what a folder would keep, a
measurement, and a plan's outcome.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Any

import pytest
from paced import Paced

from conftest import CANDIDATES, PROBLEMS, ROOT, SOLUTIONS, Answers, small_recipe
from magpie_hf import build
from magpie_hf.cli.commands import assembly
from magpie_hf.cli.commands import build as build_command
from magpie_hf.cli.commands import plan as plan_command
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.engines import meter
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput
from magpie_hf.models.gpu_names import gpu_named
from magpie_hf.models.gpus import Gpu
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.parallel import OVERHEAD, Need
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.shapes import Shape
from magpie_hf.planning import asking, sizes
from magpie_hf.planning import measure as measuring
from magpie_hf.planning.bounds import bounds_of
from magpie_hf.planning.bursts import TRIES, Burst, _burst, _fit, speed_of
from magpie_hf.planning.comparison import outcome_line, show_outcome
from magpie_hf.planning.finished import left_of, refined, seen_in
from magpie_hf.planning.lengths import BETWEEN, Law, Length, fitted
from magpie_hf.planning.loads import loads_of
from magpie_hf.planning.machines import Placing, cache_of
from magpie_hf.planning.measure import RequestLog, measure
from magpie_hf.planning.measurements import measured_estimates, read_measured
from magpie_hf.planning.outcome import Compared, Keeping, Outcome, outcome_of
from magpie_hf.planning.outline import Cutting, Outline
from magpie_hf.planning.plan import _seconds
from magpie_hf.planning.reuse import Reuse, reuse_of
from magpie_hf.planning.simulation import Quota, Step, Work, seconds_by_phase, seconds_of
from magpie_hf.planning.sizes import Size, sized
from magpie_hf.planning.speeds import EFFICIENCIES, Clock, Efficiency, Speed, cache_on, replay, speed_on
from magpie_hf.planning.workload import Request, assumed
from magpie_hf.progress.events import Event, Planned, Said
from magpie_hf.recipe import Recipe
from magpie_hf.run.pace import pace
from magpie_hf.run.status import status
from magpie_hf.scorers.judge import Judge

SPEED = Speed(load=0.0, step=0.01, sequence=0.001, context=0.0, prompt=0.0001)


def clocked(*requests: Request, speed: Speed = SPEED) -> float:
    clock = Clock(speed)
    clock.ask(requests, lambda: None)
    return clock.run()


def test_time_is_shared_by_those_in_flight() -> None:
    assert clocked(Request(10, 10, 100)) == pytest.approx(10 * 0.0001 + 100 * 0.011)
    assert clocked(Request(0, 0, 100), Request(0, 0, 50)) == pytest.approx(50 * 0.012 + 50 * 0.011)
    one_by_one = replace(SPEED, sequences=1)
    assert clocked(Request(0, 0, 100), Request(0, 0, 50), speed=one_by_one) == pytest.approx(150 * 0.011)
    small = replace(SPEED, cache=65)
    assert clocked(Request(10, 0, 100), Request(10, 0, 50), speed=small) == pytest.approx(150 * 0.011), (
        "there is no room for both at once"
    )
    with_context = replace(SPEED, context=1e-5)
    assert clocked(Request(1000, 0, 100), speed=with_context) == pytest.approx(100 * (0.011 + 1e-5 * 1050))


def test_an_engine_that_only_reads_decodes_in_no_time() -> None:
    """A reward model; the second request comes while the first prompt is read."""
    clock = Clock(Speed(load=1.0, step=0.0, sequence=0.0, context=0.0, prompt=0.001))
    clock.ask([Request(1000, 1000, 1)], lambda: None)
    clock.after(0.5, lambda: clock.ask([Request(500, 500, 1)], lambda: None))
    assert clock.run() == pytest.approx(1.5)


def test_tokens_are_computed_while_the_weights_are_read() -> None:
    reading = replace(SPEED, weights=0.1)
    assert clocked(Request(0, 0, 100), speed=reading) == pytest.approx(100 * (0.01 + 0.1))
    many = [Request(0, 0, 10)] * 200
    assert clocked(*many, speed=reading) == pytest.approx(10 * (0.01 + 200 * 0.001)), "computing is longer"
    assert clocked(Request(500, 500, 10), speed=reading) == pytest.approx(10 * 0.11), "a prompt, too"
    assert clocked(Request(3000, 3000, 10), speed=reading) == pytest.approx(3000 * 0.0001 - 0.1 + 10 * 0.11)
    clock = Clock(reading)
    for _ in range(2):  # one after the other, but before the same step
        clock.after(0.0, lambda: clock.ask([Request(800, 800, 10)], lambda: None))
    assert clock.run() == pytest.approx(800 * 0.0001 + 10 * 0.11), "a step's reading is shared once"
    clock = Clock(reading)
    clock.ask([Request(0, 0, 20)], lambda: None)
    clock.after(1.1, lambda: clock.ask([Request(900, 900, 10)], lambda: None))
    assert clock.run() == pytest.approx(20 * 0.11), "nor does a prompt keep the others waiting"
    assert reading.slower(2).weights == 0.2


PUBLISHED = [json.loads(line) for line in (ROOT / "tests/tables/throughput.jsonl").read_text().splitlines()]


def published(row: dict[str, Any], how: Efficiency) -> float:
    """Tokens a second of a published run, by the vendor's figures.

    Where its requests were of a chat data set, its lengths are those of an exponential law: the longest ones
    are a good part of such a run.
    """
    need = Need(row["model"], row["gigabytes"], Shape(**row["shape"]), row["value_bytes"])
    size, gpu, count = Size(row["active"], need, row["multiplied"]), gpu_named(row["gpu"]), row["requests"]
    parts = [-math.log(1 - (at + 0.5) / count) if row["spread"] else 1.0 for at in range(count)]
    prompts, answers = (
        [min(1024, max(1, round(mean * part))) if row["spread"] else mean for part in parts]
        for mean in (row["prompt"], row["answer"])
    )
    Random(0).shuffle(prompts)
    Random(1).shuffle(answers)
    speed = speed_on(size, gpu, row["tensor"], how, row["utilization"], row["at_once"])
    return sum(answers) / clocked(*map(Request, prompts, prompts, answers), speed=speed)


@pytest.mark.parametrize("held_out", [False, True])
def test_published_runs_lie_between_slow_and_fast(held_out: bool) -> None:
    """EFFICIENCIES were set on those that are not held out."""
    rows = [row for row in PUBLISHED if row["held_out"] == held_out]
    ratios = [[published(row, how) / row["tokens_per_second"] for how in EFFICIENCIES] for row in rows]
    between = sum(slow <= 1 <= fast for slow, _, fast in ratios)
    near = sum(0.7 <= likely <= 1.3 for _, likely, _ in ratios)
    assert len(rows) == (28 if held_out else 22)
    assert between >= (21 if held_out else 22)
    assert near >= (21 if held_out else 20)


def test_timers_and_requests_wait_for_each_other() -> None:
    clock, ends = Clock(SPEED), []
    clock.ask([Request(0, 0, 100)], lambda: clock.after(5.0, lambda: ends.append(clock.now)))
    clock.after(0.5, lambda: ends.append(clock.now))
    clock.run()
    assert ends == [pytest.approx(0.5), pytest.approx(1.1 + 5.0)]
    assert replay(
        SPEED, [(3.0, Request(0, 0, 10)), (3.0, Request(0, 0, 10)), (9.0, Request(0, 0, 10))]
    ) == pytest.approx(0.12 * 2 + 0.11)


def test_a_large_build_takes_as_long_in_parts_as_the_whole_of_it() -> None:
    sample = tuple(Request(50, 10, length) for length in range(20, 220, 10))
    steps = (Step((sample,), (1,)),), (Step((sample, sample), (1, 2)),)
    whole = seconds_of(
        [Quota(1300, 0.5, *steps)], SPEED, Cutting()
    )  # 6,500 requests, of which 4,000 are simulated
    by_hand = 6500 * (115 * (0.01 / 256 + 0.001) + 10 * 0.0001)
    assert whole == pytest.approx(by_hand, rel=0.15)
    assert seconds_of([Quota(1300, 0.5, *steps, sampled=2600, answered=1300)], SPEED, Cutting()) == 0.0
    half = seconds_of([Quota(1300, 0.5, *steps, sampled=1300, answered=650)], SPEED, Cutting())
    assert half == pytest.approx(whole / 2, rel=0.15)


def test_the_cache_bounds_what_is_in_flight(demo_model: Path) -> None:
    """A token of the small model keeps two vectors of 3 heads with 64 bfloat16 numbers in each of its 30
    layers.
    """
    assert cache_of(sized(str(demo_model), None), (), Placing()) == pytest.approx(
        2 * 2**30 / (30 * 2 * 3 * 64 * 2)
    )
    known = sized(KNOWN_MODELS[1].repository, None)
    two, four = (cache_of(known, [gpu_named("h100")] * count, Placing()) for count in (2, 4))
    assert two == pytest.approx(
        2 * (0.9 * 85.03 - 65.6 / 2 - OVERHEAD) * 1e9 / (64 * 2 * 8 * 128 * 2), rel=0.01
    )
    assert four == pytest.approx(2 * two), "two engines side by side"
    unknown = Gpu("Brand new 9000", 85.03)
    assert cache_of(known, [unknown] * 2, Placing()) == pytest.approx(two, rel=0.01), "of unknown speed"


def test_layers_with_a_window_take_less_of_the_cache() -> None:
    """As in gpt-oss-20b, half of whose layers keep the last 128 tokens."""
    need = Need("some", 13.8, Shape(24, 64, 8, 64, windowed=12, window=128))
    short, long = (cache_on(need, gpu_named("h100"), 1, context=tokens) for tokens in (100.0, 6400.0))
    assert long == pytest.approx(short * 2 * 6400 / (6400 + 128))
    size = Size(3.6, need)
    speeds = [speed_on(size, gpu_named("h100"), 1, EFFICIENCIES[1], context=at) for at in (100.0, 6400.0)]
    assert speeds[1].context == pytest.approx(speeds[0].context * short / long)


def test_bursts_are_fitted_with_nothing_below_zero() -> None:
    true = (0.02, 0.0005, 1e-6)
    bursts = [
        Burst(c, c * k, true[0] + true[1] * c + true[2] * c * k)
        for c, k in ((4, 100), (32, 100), (4, 900), (200, 100))
    ]
    assert _fit(bursts) == pytest.approx(true)
    faster = [Burst(4, 400, 0.03), Burst(32, 3200, 0.02)]  # noise
    assert min(_fit(faster)) >= 0


class Talking(Answers):
    """Answers of 20 to 120 tokens."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        answer = super().__call__(prompt, sampling, seed)
        return (
            answer
            if sampling.logprobs
            else replace(answer, num_tokens=min(sampling.max_tokens, 20 + seed % 101))
        )


def outline_of(recipe: Recipe, *, k: int = 3) -> Outline:
    name = recipe.generator.model.name
    roles = dict.fromkeys(("model", "solver", "judge", *(["tagger"] if recipe.tagger else [])), name)
    more = (recipe.sft, recipe.auto_extend, recipe.keep_minority)
    return Outline(recipe.domains, roles, k, recipe.seed, False, 0.0, False, Cutting(), *more)


@pytest.fixture
def talking(answers: Answers) -> Talking:
    return Talking(answers.model)


def paced_recipe(talking: Talking, count: int) -> Recipe:
    engine = Paced(talking.model, talking, step=0.004, sequence=0.0004, load=0.3)
    return replace(
        small_recipe(talking, "algebra", count=count), generator=engine, solver=engine, scorer=Judge(engine)
    )


def test_bursts_find_the_pace_of_an_engine(talking: Talking) -> None:
    recipe = paced_recipe(talking, 4)
    engine = recipe.generator
    engine.complete([[1]], Sampling(max_tokens=1), [0])
    speed, bursts = speed_of(engine, recipe.domains[0], 64, 0.3)
    engine.close()
    assert max(burst.running for burst in bursts) == 64
    for running in (4, 30, 60):
        true = running / (0.004 + 0.0004 * running)
        assert running / (speed.step + running * (speed.sequence + speed.context * 100)) == pytest.approx(
            true, rel=0.35
        )


def test_a_burst_that_another_process_disturbs_is_measured_again(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One token may seem to take longer than ten, where the processor is away meanwhile."""
    times = iter([(0.5, 2), (0.2, 20), (0.1, 2), (0.3, 20), *[(0.5, 2), (0.5, 20)] * TRIES])
    monkeypatch.setattr("magpie_hf.planning.bursts._timed", lambda *_: next(times))
    engine, sampling = FakeEngine(talking.model, talking), Sampling(max_tokens=10)
    assert _burst(engine, [[1, 2]], sampling, 2).seconds == pytest.approx(0.2 / 9)
    with pytest.raises(BadInput, match="5 times one token took as long as 10: something else"):
        _burst(engine, [[1, 2]], sampling, 2)


def test_a_measurement_says_how_long_the_build_will_take(talking: Talking, tmp_path: Path) -> None:
    """The build goes on from the measurement's rows; the engine's pace is known, so the predicted time must
    be the time that it takes.
    """
    small, whole = paced_recipe(talking, 6), paced_recipe(talking, 40)
    measured = measure(small, outline_of(small), {"of": "this"}, tmp_path, 64, time.monotonic())
    assert read_measured(tmp_path) == measured
    assert 0.25 < measured.speeds[talking.model.name].load < 3
    assert measured.yields["algebra"][0] == 6
    kept = reuse_of(outline_of(whole), tmp_path)
    estimates = measured_estimates(outline_of(whole), measured)
    shares = {key: share.mid for key, share in estimates.shares.items()}
    work = Work(estimates.examples[1], estimates.each, shares, measured.timing.cpu, kept.done)
    predicted = sum(seconds for _, seconds in seconds_by_phase(outline_of(whole), work, measured.speeds, {}))
    predicted += measured.timing.beside
    talking.requests.clear()
    log, began = RequestLog(), time.monotonic()
    with meter.watched_by(log):
        build(whole, tmp_path)
    took = (
        max(one.ended for one in log.asked) - began
    )  # what is written afterwards is loaded already, unlike in the measurement
    assert 0.4 < predicted / took < 2.5, (predicted, took, measured.timing)  # other tests run beside this one
    assert talking.asked(CANDIDATES) == 34 * 3, "what the measurement answered is not asked again"
    with pytest.raises(BadInput, match="all rows of this measurement exist already"):
        measure(whole, outline_of(whole), {}, tmp_path, 64, time.monotonic())
    done = reuse_of(outline_of(whole), tmp_path).done
    worst = replace(work, shares=dict.fromkeys(shares, 0.01), done=done)
    assert not any(seconds for _, seconds in seconds_by_phase(outline_of(whole), worst, measured.speeds, {}))
    assert _seconds(outline_of(whole), estimates, measured, done) == (0, 0, 0), "nothing is left"


def test_a_measurement_of_which_nothing_can_be_published_is_measured(
    talking: Talking, tmp_path: Path
) -> None:
    """Its answers are all cut, so that none is scored."""
    talking.cut_every = 0
    recipe = paced_recipe(talking, 3)
    (domain,) = recipe.domains
    short = {name: replace(getattr(domain, name), max_tokens=9) for name in ("response", "candidate")}
    talking.bounded = True
    recipe = replace(recipe, domains=(replace(domain, **short),))
    said: list[str] = []
    measured = measure(recipe, outline_of(recipe), {}, tmp_path, 16, time.monotonic(), say=said.append)
    assert any("no row can be published" in line for line in said)
    assert measured.examples["score"] == ()
    assert [len(of_problem) for of_problem in measured.lengths] == [3] * 3
    assert all(one.truncated for of_problem in measured.lengths for one in of_problem)
    assert measured.agreeing == (0, 0)
    estimates = measured_estimates(outline_of(recipe), measured)
    assert estimates.each["score"] == 0
    assert [
        load.requests.mid for load in loads_of(outline_of(recipe), estimates) if load.stage == "score"
    ] == [0]
    assert read_measured(tmp_path) == measured


def test_a_measurement_leaves_what_libraries_say_to_the_log(
    answers: Answers,
    demo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def noisy(*_: object) -> tuple[Speed, tuple[()]]:
        os.write(1, b"INFO of a library\n")
        os.write(2, b"warning of a library\n")
        return Speed(1.0, 0.01, 1e-5, 1e-8, 1e-5), ()

    monkeypatch.setattr(measuring, "speed_of", noisy)
    monkeypatch.setattr(plan_command, "check_devices", lambda *_: None)
    engine = FakeEngine(answers.model, answers)
    monkeypatch.setattr(assembly, "engines_of", lambda _, specs: dict.fromkeys(specs, engine))
    words = ["--model", str(demo_model), "--domains", "algebra", "--count", "4", "--k", "2"]
    words += ["--tagger", "none", "--decontaminate", "none", "--instruction-temperature", "1.5"]
    assert main(["plan", *words, "--out", str(tmp_path / "out"), "--measure", "2", "--json"]) == OK
    said = capfd.readouterr()
    assert json.loads(said.out)["seconds"]["whole"], "nothing but the plan is on stdout"
    assert said.err == ""
    log = (tmp_path / "out" / "run" / "log.txt").read_text()
    assert "INFO of a library\nwarning of a library\n" in log


def test_a_build_that_has_gone_further_than_the_measurement_says_the_time(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "speed_of", lambda *_: (Speed(1.0, 9.0, 1e-5, 1e-8, 1e-5), ()))
    monkeypatch.setattr(plan_command, "check_devices", lambda *_: None)
    monkeypatch.setattr(build_command, "check_devices", lambda *_: None)
    engine = FakeEngine(answers.model, answers)
    monkeypatch.setattr(assembly, "engines_of", lambda _, specs: dict.fromkeys(specs, engine))
    words = ["--model", str(answers.model.path), "--domains", "algebra", "--k", "2", "--tagger", "none"]
    words += ["--decontaminate", "none", "--instruction-temperature", "1.5", "--out", str(tmp_path)]
    assert main(["plan", *words, "--count", "8", "--measure", "2"]) == OK
    assert main(["build", *words, "--count", "8"]) in (OK, INCOMPLETE)
    capsys.readouterr()
    assert main(["plan", *words, "--count", "80", "--json"]) == OK
    plan = json.loads(capsys.readouterr().out)
    speed = pace(tmp_path, status(tmp_path))
    assert speed is not None
    tokens = sum(stage["tokens"][1] for stage in plan["stages"])
    assert plan["seconds"]["whole"][1] == pytest.approx(tokens / speed.average_tokens_per_second, rel=0.01)
    assert plan["seconds"]["left"][1] < plan["seconds"]["whole"][1]


def test_a_measurement_of_an_older_version_serves_no_plan(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "measured.json").write_text('{"format": 1, "complete": [3, 4]}')
    assert read_measured(tmp_path) is None


def test_what_a_folder_would_keep_is_what_it_keeps(answers: Answers, tmp_path: Path) -> None:
    """Every promise of a plan against a build that counts what it asks."""
    recipe = replace(small_recipe(answers, "algebra"), sft="cold", auto_extend=0)
    build(recipe, tmp_path)
    (domain,) = recipe.domains
    hotter = replace(domain, response=replace(domain.response, temperature=0.6))
    longer = replace(domain, candidate=replace(domain.candidate, max_tokens=5000))
    changes = {
        "same": (recipe, {}),
        "k": (replace(recipe, k=5), {"candidates": 24, "score": 24}),
        "bound": (replace(recipe, domains=(longer,)), {"candidates": None, "score": None}),
        "solutions": (replace(recipe, domains=(hotter,)), {"solutions": 12}),
    }
    for name, (changed, asked) in changes.items():
        kept = {one.stage: one for one in reuse_of(outline_of(changed, k=changed.k), tmp_path).stages}
        assert list(kept) == ["instruct", "solutions", "candidates", "score"], name
        assert {stage for stage, one in kept.items() if one.asked} == set(asked), name
        assert all(one.why for stage, one in kept.items() if stage in asked), name
        answers.requests.clear()
        build(changed, tmp_path)
        assert answers.asked(PROBLEMS) == kept["instruct"].asked == 0
        assert answers.asked(0.6 if name == "solutions" else SOLUTIONS) == kept["solutions"].asked
        assert answers.asked(CANDIDATES) == kept["candidates"].asked
        build(recipe, tmp_path)


LAWFUL = 120  # problems: their shares of truncated answers vary by 3 points from sample to sample


@dataclass
class Lawful(Answers):
    """Candidates whose lengths follow a law, half of whose variance is the problem's; the bound cuts them."""

    cut_every: int = 0
    law: Law = field(default_factory=lambda: Law(150, 0.7))

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        answer = super().__call__(prompt, sampling, seed)
        if sampling.temperature != CANDIDATES:
            return answer
        digests = (hashlib.sha256(repr(one).encode()).digest() for one in (prompt, (prompt, seed)))
        parts = [(int.from_bytes(digest[:4], "big") + 0.5) / 2**32 for digest in digests]
        normal = sum(map(NormalDist().inv_cdf, parts)) / math.sqrt(2)
        length = round(self.law.median * math.exp(self.law.spread * normal))
        if length > sampling.max_tokens:
            return replace(answer, text="Text", finish_reason="length", num_tokens=sampling.max_tokens)
        return replace(answer, num_tokens=length)


def lawful_recipe(engine: FakeEngine, bound: int, seed: int) -> Recipe:
    recipe = small_recipe(Lawful(engine.model), "algebra", count=LAWFUL, seed=seed)
    (domain,) = recipe.domains
    domains = (replace(domain, candidate=replace(domain.candidate, max_tokens=bound)),)
    return replace(
        recipe, generator=engine, solver=engine, scorer=Judge(engine), domains=domains, auto_extend=0
    )


def test_a_measurement_foresees_what_larger_bounds_cut(answers: Answers, tmp_path: Path) -> None:
    """Measured where two in three answers are cut; the builds have other problems."""
    engine = FakeEngine(answers.model, Lawful(answers.model))
    paced = Paced(answers.model, engine.reply, step=0.0002, sequence=0.00001, load=0.01)
    measured_recipe = lawful_recipe(paced, 110, seed=1)
    outline = outline_of(measured_recipe)
    measured = measure(measured_recipe, outline, {}, tmp_path / "measured", 64, time.monotonic())
    assert read_measured(tmp_path / "measured") == measured
    estimates = measured_estimates(outline, measured)
    foreseen = bounds_of(outline, estimates, lambda *_: None)
    assert [one.tokens for one in foreseen] == [110, 220, 440]
    for one in foreseen:
        recipe = lawful_recipe(engine, one.tokens, seed=2)
        made = build(recipe, out := tmp_path / str(one.tokens))
        (record,) = (out / "run" / "algebra").glob("candidates-*/stage.json")
        shards = json.loads(record.read_text())["shards"].values()
        cut = sum(shard["reasons"].get("length", 0) for shard in shards) / (LAWFUL * recipe.k)
        assert abs(one.truncated - cut) < 0.05, (one, cut, estimates.laws[1])
        assert len(made["algebra"]["train_sft"]) == pytest.approx(one.rows, rel=0.15)


def test_what_is_left_in_a_folder_is_planned_by_what_its_rows_show(answers: Answers, tmp_path: Path) -> None:
    """Of 60 problems, built without any measurement, to 90 with a larger bound."""
    engine = FakeEngine(answers.model, Lawful(answers.model))
    small = lawful_recipe(engine, 110, seed=1)
    (domain,) = small.domains
    small = replace(small, domains=(replace(domain, count=60),))
    build(small, tmp_path)
    whole = replace(
        small,
        domains=(replace(domain, count=90, candidate=replace(domain.candidate, max_tokens=440)),),
    )
    outline = outline_of(whole)
    before = assumed(outline)
    assert seen_in(tmp_path, Reuse()) is None, "nothing is kept"
    kept = reuse_of(outline, tmp_path)
    seen = seen_in(tmp_path, kept)
    assert seen is not None
    assert len(seen.lengths) == 60
    estimates = refined(outline, before, seen)
    law, cut = Lawful(answers.model).law, sum(one.truncated for of in seen.lengths for one in of)
    assert estimates.laws[1].truncated(110) == pytest.approx(cut / 180, abs=0.05)
    assert estimates.laws[1].median == pytest.approx(law.median, rel=0.3), (cut, estimates.laws[1])
    assert before.laws[1].median > 4 * law.median, "what was assumed is far off"
    accepted, filtered = seen.yields["algebra"]
    assert estimates.shares["algebra"].mid == pytest.approx(accepted / filtered, abs=0.03)
    assert any("in this folder were accepted" in words for words in estimates.words)
    left = {load.stage: load for load in left_of(outline, estimates, kept)}
    loads = {load.stage: load for load in loads_of(outline, estimates)}
    assert left["candidates"].requests.mid == 30 * whole.k + cut
    assert loads["candidates"].requests.mid == 90 * whole.k
    engine.reply.requests.clear()
    build(whole, tmp_path)
    assert engine.reply.asked(CANDIDATES) == left["candidates"].requests.mid
    asked = engine.reply.asked(PROBLEMS)
    assert left["instruct"].requests.low <= asked <= 1.5 * left["instruct"].requests.high
    done = reuse_of(outline, tmp_path)
    assert all(load.requests.mid == 0 for load in left_of(outline, estimates, done)), "nothing is left"


def test_a_law_is_found_through_a_bound() -> None:
    """Exact quantiles, of which a bound shows the lower part; a bound below all of them shows the share."""
    law = Law(900, 0.8)
    for bound in (500, 1_000, 4_000):
        seen = [Length(length, length == bound) for length in law.lengths(bound)] * 10
        found = fitted(seen, Law(800, 0.6))
        for at in (bound, 2 * bound, 4 * bound):
            assert abs(found.truncated(at) - law.truncated(at)) < 0.05, (bound, at, found)
    assert fitted([], law) == law
    none = fitted([Length(100, True)] * 9, law)
    assert none.truncated(100) == pytest.approx(0.95)
    assert none.spread == law.spread


def test_what_a_law_says_is_what_its_samples_do() -> None:
    law, random = Law(900, 0.8), Random(0)
    problems = []
    for _ in range(4_000):
        of_problem = random.gauss(0, math.sqrt(BETWEEN))
        own = (random.gauss(0, math.sqrt(1 - BETWEEN)) for _ in range(4))
        problems.append([law.median * math.exp(law.spread * (of_problem + one)) for one in own])
    every = [length for lengths in problems for length in lengths]
    for bound in (300, 900, 3_000):
        assert sum(length > bound for length in every) / len(every) == pytest.approx(
            law.truncated(bound), abs=0.02
        )
        assert sum(min(length, bound) for length in every) / len(every) == pytest.approx(
            law.mean(bound), rel=0.03
        )
        counts = Counter(sum(length <= bound for length in lengths) for lengths in problems)
        assert [counts[at] / len(problems) for at in range(5)] == pytest.approx(
            law.complete(4, bound), abs=0.03
        )


def test_a_plan_and_its_outcome_are_kept_and_summed_over_commands(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, "algebra")
    plan = {
        "rows": [{"domain": "algebra", "problems": 12, "samples": [10, 20, 30]}],
        "stages": [{"stage": "candidates", "tokens": [1, 1000, 2000]}],
        "seconds": {"whole": None, "left": [1.0, 20.0, 30.0]},
    }
    started = time.monotonic()
    for minute in (1, 2):
        heard: list[Event] = []
        keeping = Keeping(tmp_path, plan, {"count": 12}, heard.append, time.monotonic() - 60 * minute)
        build(recipe, tmp_path, observer=keeping.take)
        keeping.keep()
        assert heard
    outcome = outcome_of(tmp_path)
    assert (outcome.finished, outcome.sessions) == (True, 2)
    numbers = {one.what: one for one in outcome.numbers}
    assert numbers["problems algebra"].ratio == 1.0
    assert 180 <= numbers["time"].actual < 180 + time.monotonic() - started + 1
    assert numbers["time"].ratio == pytest.approx(numbers["time"].actual / 20)
    (record,) = (tmp_path / "run" / "algebra").glob("candidates-*/stage.json")
    shards = json.loads(record.read_text())["shards"].values()
    assert numbers["tokens candidates"].actual == sum(shard["tokens"] for shard in shards) > 0
    other = Keeping(tmp_path, {**plan, "stages": []}, {"count": 13}, print, time.monotonic())
    other.keep()
    assert outcome_of(tmp_path).sessions == 1, "another build has a plan of its own"
    Keeping(tmp_path, plan, {"count": 14}, print, time.monotonic()).take(Said("not begun"))
    kept = tmp_path / "run" / "plan.json"
    assert json.loads(kept.read_text())["said"] == {"count": 13}, "the folder may be another process's"
    kept.write_text(kept.read_text().replace("20.0", '"soon"'))
    with pytest.raises(BadInput, match=r"plan.json is not a valid plan \(TypeError\('soon'\)\); remove it"):
        outcome_of(tmp_path)


@pytest.mark.parametrize(
    ("samples", "instruct", "candidates", "answered", "why"),
    [
        (20, 1e4, 17.6e6, "problems", ", because a row of candidates took 4.2 times the planned tokens"),
        (100, 2e7, 4.2e6, "problems", ", because instruct had 5.0 times the planned rows"),
        (168, 1e4, 39.9e6, "samples", ", because candidates had 8.4 times the planned rows"),
        (21, 1.1e4, 4.3e6, "problems", ""),
    ],
)
def test_what_came_otherwise_than_planned_is_explained(
    samples: int,
    instruct: float,
    candidates: float,
    answered: str,
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = {"instruct": "samples", "candidates": answered}
    numbers = (
        Compared("problems algebra", "rows", 10, 10),
        Compared("samples algebra", "rows", 20, samples),
        Compared("tokens instruct", "tokens", 1e4 if instruct < 2e7 else 4e6, instruct),
        Compared("tokens candidates", "tokens", 4.2e6, candidates),
    )
    assert outcome_line(Outcome(True, 1, numbers, rows)).partition(" tokens")[2] == why
    show_outcome(Outcome(True, 1, numbers, rows))
    table = capsys.readouterr().out
    assert table.endswith(f"tokens: {why.removeprefix(', ')}\n" if why else " 1.02\n"), table
    unfinished = replace(
        Outcome(False, 1, numbers[:3], rows), numbers=(*numbers[:2], replace(numbers[3], actual=1e6))
    )
    assert "because" not in outcome_line(unfinished), "it is not over"


def test_a_plan_that_cannot_be_written_harms_no_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("magpie_hf.store.shards.write_json", full)
    heard: list[Event] = []
    keeping = Keeping(tmp_path, {}, {}, heard.append, time.monotonic())
    for event in (Planned("", ()), Said("on it goes")):
        keeping.take(event)
    assert len(heard) == 2
    assert [line.split(" ", 1)[1] for line in caplog.messages] == [
        "cannot be written (No space left on device); that is tried again at the end of this build"
    ]
    with pytest.raises(OSError, match="No space left"):
        keeping.keep()


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answering = threading.Event()
    monkeypatch.setattr(asking, "PATIENCE", 0.05)
    monkeypatch.setattr(sizes, "weights_gigabytes", lambda model: answering.wait(30))
    found = sized("somebody/something", None)
    answering.set()
    assert (found.size, found.why) == (None, "the Hub did not answer within 0 seconds")


def test_a_look_up_that_is_not_waited_for_leaves_the_connections_of_others_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import http_backoff

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(asking, "PATIENCE", 0.3)
    monkeypatch.setattr(
        sizes, "weights_gigabytes", lambda model: http_backoff("GET", "http://127.0.0.1:9/nothing")
    )
    before = set(threading.enumerate())
    sized("somebody/something", None)
    shared = get_session()
    (looking,) = (one for one in threading.enumerate() if one.name == asking.LOOKING and one not in before)
    looking.join(5)  # at its next try, a second after the first
    assert not looking.is_alive()
    assert not shared.is_closed
