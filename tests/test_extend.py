"""Truncated answers go on from their own tokens, by a raised bound and by themselves: engines that are
scripted.
"""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from fake_server import FakeServer
from magpie_hf.engines import journal, meter
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, record
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.served import endpoint as endpoints
from magpie_hf.engines.served import pool as pools
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.errors import EngineError
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import continuation, tokenizer_of
from magpie_hf.progress.requests import Requests
from magpie_hf.run.local import apply
from magpie_hf.stages.respond import Respond
from magpie_hf.store.shards import ShardFolder

MEDIAN, SPREAD = 60.0, 0.9  # of the lengths of answers, which are log-normal
LENGTHS = 30_000  # the first of the token ids that say how long an answer is
SAMPLING = Sampling(temperature=0.7)


@dataclass
class Law:
    """A reply whose answers have lengths of a known law, however many requests they are made of.

    The first token of an answer says its length; the others are random digits. So an answer that goes on,
    whose prompt ends in what was said of it, is the one that it would have been.
    """

    model: Model
    broken: int = 0  # requests until one fails; 0 for none
    loops: bool = False  # whether every answer ends in a repetition
    new: list[tuple[int, int]] = field(default_factory=list)  # (tokens of the prompt, new tokens)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.digits = [tokenizer_of(self.model).convert_tokens_to_ids(str(digit)) for digit in range(10)]
        self.end = chat_of(self.model).end_ids[0]

    def answer(self, length: int) -> list[int]:
        """The tokens of an answer of this length."""
        dice = random.Random(length)
        tail = [self.digits[7]] * (length - 2) if self.loops else dice.choices(self.digits, k=length - 2)
        return [LENGTHS + length, *tail, self.end]

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        with self.lock:
            if self.broken and len(self.new) + 1 >= self.broken:
                raise EngineError("the engine died")
        at = len(prompt)
        while prompt[at - 1] in self.digits:
            at -= 1
        if prompt[at - 1] >= LENGTHS:
            whole, said = self.answer(prompt[at - 1] - LENGTHS), len(prompt) - at + 1
        else:
            whole, said = self.answer(length_of(seed)), 0
        ids = tuple(whole[said : said + sampling.max_tokens])
        with self.lock:
            self.new.append((len(prompt), len(ids)))
        ended = ids[-1] == self.end
        text = continuation(self.model, prompt, ids[:-1] if ended else ids)
        return Completion(text, "stop" if ended else "length", len(prompt), len(ids), token_ids=ids)


def length_of(seed: int) -> int:
    dice = random.Random(seed)
    return min(9999, max(3, round(math.exp(math.log(MEDIAN) + SPREAD * dice.gauss(0, 1)))))


class Told:
    """A watcher that counts requests by their stage."""

    def __init__(self) -> None:
        self.requests = Requests()

    def started(self, start: meter.Start) -> None:
        self.requests.start(start)

    def begun(self, start: meter.Start, at: float) -> None:
        """Of no meaning here."""

    def ended(self, start: meter.Start, at: float, outcome: meter.Outcome | None) -> None:
        self.requests.end(start, at, outcome)

    def opened(self, engine: str, seconds: float, restart: bool) -> None:
        """Of no meaning here."""

    def closed(self, engine: str) -> None:
        """Of no meaning here."""


@pytest.fixture
def law(demo_model: Path) -> Law:
    return Law(resolve(str(demo_model)))


def respond(law: Law, bound: int, extend: int = 0, k: int = 2) -> Respond:
    return Respond(
        FakeEngine(law.model, law), "candidates", replace(SAMPLING, max_tokens=bound), k, auto_extend=extend
    )


def problems(count: int) -> dict[str, list[Any]]:
    return {"problem": [f"What is {number}?" for number in range(count)], "seed": list(range(count))}


def answers(out: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [one for row in out["candidates"] for one in row]


def bare(out: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The answers without how they came about."""
    return [{name: value for name, value in one.items() if name != "segments"} for one in answers(out)]


# --- a raised bound -----------------------------------------------------------------------------------------


def test_a_raised_bound_asks_for_the_missing_tokens_alone(law: Law, tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path / "candidates-1")
    low = apply(respond(law, 64), problems(40), folder, 0, 40)
    cut = [one for one in answers(low) if one["finish_reason"] == "length"]
    assert 20 < len(cut) < 60
    assert all(len(one["token_ids"]) == 64 and one["segments"] is None for one in cut)
    assert all(one["token_ids"] is None for one in answers(low) if one["finish_reason"] == "stop")
    law.new.clear()
    high = apply(respond(law, 256), problems(40), folder, 0, 40)
    assert len(law.new) == len(cut)
    fresh = Law(law.model)
    whole = respond(fresh, 256)(problems(40))
    assert bare(high) == bare(whole), "the same texts, reasons and counts as from the start"
    assert sum(new for _, new in law.new) == sum(new for _, new in fresh.new) - sum(
        one["num_tokens"] for one in answers(low)
    )
    for one in answers(high):
        assert one["segments"] is None or (
            one["segments"][0] == 64 and sum(one["segments"]) == one["num_tokens"]
        )
    law.new.clear()
    assert apply(respond(law, 256), problems(40), folder, 0, 40) == high
    assert not law.new, "the second run asks nothing"


def test_finished_rows_serve_a_higher_bound_too(law: Law) -> None:
    """Of the rows of two bounds, whichever is read last, the longer answer is the one that is known."""
    stage = respond(law, 64)
    low = stage(problems(40))
    with keeping(Journal(known=stage.reusable(low))):
        law.new.clear()
        high = respond(law, 128)(problems(40))
    cut = sum(one["finish_reason"] == "length" for one in answers(low))
    assert len(law.new) == cut
    assert bare(high) == bare(respond(Law(law.model), 128)(problems(40)))
    law.new.clear()
    for rows in ((low, high), (high, low)):
        known = [pair for out in rows for pair in stage.reusable(out)]
        with keeping(Journal(known=known)):
            assert respond(law, 128)(problems(40)) == high
    assert not law.new


def test_the_rows_of_all_bounds_share_one_key(law: Law) -> None:
    keys = {
        respond(law, bound, extend, k).reuse_key for bound in (64, 99) for extend in (0, 2) for k in (2, 5)
    }
    assert len(keys) == 1
    assert respond(law, 64, 0) != respond(law, 64, 1)


def test_records_of_earlier_versions_are_asked_again_from_the_start(law: Law) -> None:
    """Of five fields, and rows without the new columns."""
    stage = respond(law, 64)
    low = stage(problems(20))
    old = [
        {name: value for name, value in one.items() if name not in ("token_ids", "segments")}
        for one in answers(low)
    ]
    for known in (
        list(stage.reusable({"candidates": [old]})),
        [(key, value[:5]) for key, value in stage.reusable({"candidates": [old]})],
    ):
        law.new.clear()
        with keeping(Journal(known=known)):
            high = respond(law, 128)(problems(20))
        assert len(law.new) == sum(one["finish_reason"] == "length" for one in old)
        assert all(one["segments"] is None for one in answers(high))
        assert bare(high) == bare(respond(Law(law.model), 128)(problems(20)))


def test_a_schema_allowed_tokens_and_logprobs_begin_anew(law: Law, tmp_path: Path) -> None:
    engine = FakeEngine(law.model, law)
    for more in ({"schema": "{}"}, {"allowed_token_ids": (1, 2)}, {"logprobs": 2}):
        low = replace(SAMPLING, max_tokens=4, **more)  # type: ignore[arg-type]
        with keeping(Journal(tmp_path / "a.journal")):
            engine.complete([[1, 2]], low, [1])
        law.new.clear()
        with keeping(Journal(known=journal.read(tmp_path / "a.journal")[0].items())):
            engine.complete([[1, 2]], replace(low, max_tokens=8), [1])
        assert law.new == [(2, 8)], "the prompt alone"


@pytest.mark.parametrize(
    ("more", "finish", "tokens", "segments"),
    [
        (Completion("", KILLED_ENGINE, 6, 0), KILLED_ENGINE, 4, (4, 0)),
        (Completion("", CONTEXT_FULL, 6, 0), "length", 4, ()),
    ],
)
def test_what_goes_wrong_on_the_way_is_a_result(
    law: Law, more: Completion, finish: str, tokens: int, segments: tuple[int, ...]
) -> None:
    engine = FakeEngine(law.model, law)
    book = Journal()
    with keeping(book):
        (first,) = engine.complete([[1, 2]], replace(SAMPLING, max_tokens=4), [1])
        broken = FakeEngine(law.model, lambda prompt, sampling, seed: more)
        (now,) = broken.complete([[1, 2]], replace(SAMPLING, max_tokens=8), [1])
        assert (now.finish_reason, now.num_tokens, now.segments) == (finish, tokens, segments)
        assert (now.text, now.prompt_tokens, now.request) == (first.text, 2, first.request)
        law.new.clear()
        engine.complete([[1, 2]], replace(SAMPLING, max_tokens=8), [1])
        assert bool(law.new) == (finish == "length"), "a killer is never asked again"


def test_an_answer_at_the_models_own_limit_does_not_go_on(law: Law, tmp_path: Path) -> None:
    short = replace(law.model, max_length=100)
    engine, told = replace(FakeEngine(law.model, law), model=short), Told()
    (tmp_path / "algebra" / "candidates-0").mkdir(parents=True)
    journal = Journal(tmp_path / "algebra" / "candidates-0" / "0000000-0000001.journal")
    with keeping(journal), meter.watched_by(told):
        for bound in (30, 60):
            (one,) = engine.complete([[5] * 70], replace(SAMPLING, max_tokens=bound), [99])
        (asked,) = told.requests.stages()
    assert (one.finish_reason, one.num_tokens, one.token_ids) == ("length", 30, ())
    assert len(law.new) == 1
    assert (asked.truncated, asked.cut) == (1, ()), "nor is it expected to"


def test_a_character_that_the_bound_divided_is_whole(law: Law) -> None:
    """At every place where a bound can cut, and with special tokens."""
    tokenizer = tokenizer_of(law.model)
    text = " Das Maß 数学 🧮 ∀x∈ℝ: x²≥0 <|im_start|> ende"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    prompt = chat_of(law.model).closed_prompt([{"role": "user", "content": "x"}])
    halves = 0
    for cut in range(1, len(ids)):
        said = continuation(law.model, prompt, ids[:cut])
        halves += tokenizer.decode(ids[:cut]) != said
        assert text.startswith(said), "no half of a character"

        def reply(given: Sequence[int], sampling: Sampling, seed: int, cut: int = cut) -> Completion:
            rest = ids[len(given) - len(prompt) :][: sampling.max_tokens]
            ended = len(given) + len(rest) == len(prompt) + len(ids)
            reason, spoken = ("stop", (*rest, law.end)) if ended else ("length", tuple(rest))
            return Completion(
                continuation(law.model, given, rest), reason, len(given), len(spoken), token_ids=spoken
            )

        engine = FakeEngine(law.model, reply)
        with keeping(Journal()):
            engine.complete([prompt], replace(SAMPLING, max_tokens=cut), [1])
            (whole,) = engine.complete([prompt], replace(SAMPLING, max_tokens=99), [1])
        assert (whole.text, whole.segments) == (text, (cut, len(ids) - cut + 1))
    assert halves > 5


# --- by itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extend", [0, 1, 2])
def test_the_share_that_stays_truncated_is_the_laws_at_the_last_bound(law: Law, extend: int) -> None:
    out = respond(law, 64, extend, k=4)(problems(400))
    found = answers(out)
    share = sum(one["reason"] == "length" for one in found) / len(found)
    expected = 1 - NormalDist(math.log(MEDIAN), SPREAD).cdf(math.log(64 * 2**extend))
    assert abs(share - expected) < 0.03, (share, expected)
    lengths = sorted(min(length_of(seed), 64 * 2**extend) for seed in seeds_of(out, law))
    assert sorted(one["num_tokens"] for one in found) == lengths, "nobody is truncated before"
    assert sum(new for _, new in law.new) == sum(lengths), "no token is generated twice"


def seeds_of(out: dict[str, list[Any]], law: Law) -> Iterator[int]:
    from magpie_hf.stage import seed_of

    for row in range(len(out["candidates"])):
        for candidate in range(len(out["candidates"][row])):
            yield seed_of(row, "candidates", candidate)


def test_it_is_the_build_at_the_last_bound_however_the_rows_are_cut(law: Law) -> None:
    whole = respond(law, 64, 2)(problems(60))
    assert bare(whole) == bare(respond(Law(law.model), 256)(problems(60)))
    parts = [
        respond(Law(law.model), 64, 2)({name: some[at : at + 7] for name, some in problems(60).items()})
        for at in range(0, 60, 7)
    ]
    assert [one for part in parts for one in answers(part)] == answers(whole)
    assert {tuple(one["segments"] or ()) for one in answers(whole)} > {(), (64, 64, 128)}


@pytest.mark.parametrize("knows", [True, False])
def test_an_answer_that_goes_on_is_counted_as_one(law: Law, tmp_path: Path, knows: bool) -> None:
    """Whether its token ids are known, so that it goes on from them, or not, so that it begins anew."""

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = law(prompt, sampling, seed)
        return made if knows else replace(made, token_ids=())

    told = Told()
    stage = replace(respond(law, 64, 1), engine=FakeEngine(law.model, reply))
    with meter.watched_by(told):
        out = answers(apply(stage, problems(40), ShardFolder(tmp_path / "candidates-1"), 0, 40))
    stopped = [one["num_tokens"] for one in out if one["finish_reason"] == "stop"]
    longer = sum(one["num_tokens"] > 64 for one in out)
    (one,) = told.requests.stages()
    assert 20 < longer < 60
    assert (one.answered, one.longer_in_all) == (80 + longer, longer)
    assert (one.resumed_tokens, one.anew) == (64 * longer * knows, not knows)
    assert one.complete_tokens == sum(stopped), "whole answers"
    assert one.log_tokens == pytest.approx(sum(map(math.log, stopped)), abs=0.01)
    assert one.truncated - one.longer_in_all == len(out) - len(stopped)


@pytest.mark.parametrize("broken", [5, 30, 50, 70, 90])
def test_stopped_in_the_middle_it_ends_the_same_and_asks_nothing_twice(
    law: Law, tmp_path: Path, broken: int
) -> None:
    fresh = Law(law.model)
    whole = respond(fresh, 32, 2)(problems(20))
    folder = ShardFolder(tmp_path / "candidates-1")
    law.broken = broken
    with pytest.raises(EngineError):
        apply(respond(law, 32, 2), problems(20), folder, 0, 20)
    law.broken, told = 0, Told()
    with meter.watched_by(told):
        assert apply(respond(law, 32, 2), problems(20), folder, 0, 20) == whole
    assert sorted(law.new) == sorted(fresh.new)
    (one,) = told.requests.stages()
    assert one.answered - one.longer_in_all == 40, "what a row asks for in all is known"
    ended = sum(answer["finish_reason"] == "length" for answer in answers(whole))
    assert one.truncated - one.longer_in_all == ended


def test_an_answer_that_runs_in_circles_is_told_and_not_extended(law: Law) -> None:
    law.loops = True
    out = answers(respond(law, 400, 1)(problems(40)))
    long = [one for one in out if one["num_tokens"] > 300]
    assert long
    assert {one["reason"] for one in long} == {"repetition"}
    assert max(one["num_tokens"] for one in out) <= 400, "only a raised bound goes on with it"
    assert "length" in {one["finish_reason"] for one in out}


def test_what_a_raised_bound_makes_of_circles_is_what_it_makes_from_the_start(law: Law) -> None:
    law.loops = True
    stage = respond(law, 300)
    low = stage(problems(60))
    with keeping(Journal(known=stage.reusable(low))):
        high = respond(law, 600)(problems(60))
    fresh = Law(law.model, loops=True)
    assert bare(high) == bare(respond(fresh, 600)(problems(60)))
    assert any(one["segments"] for one in answers(high))


def test_vllms_own_repetition_is_that_reason(law: Law) -> None:
    engine = FakeEngine(law.model, lambda *_: Completion("<think>\nno end", "repetition", 3, 9))
    (one,) = answers(replace(respond(law, 64, 1, k=1), engine=engine)(problems(1)))
    assert (one["finish_reason"], one["reason"], one["num_tokens"]) == ("repetition", "repetition", 9)


# --- over servers -------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pools, "TICK_SECONDS", 0.02)
    yield
    for engine in list(endpoints._LIVE):
        engine.close()


@pytest.mark.usefixtures("quick")
def test_over_servers_it_is_the_same(law: Law) -> None:
    whole = respond(law, 64, 1)(problems(30))
    with FakeServer(model=law.model.name) as one, FakeServer(model=law.model.name) as other:
        served = Law(law.model)
        one.complete = other.complete = served
        engine = Endpoint(law.model, urls=(one.url, other.url), patience=20.0)
        assert replace(respond(law, 64, 1), engine=engine)(problems(30)) == whole
        assert sorted(served.new) == sorted(law.new)
        assert all(body["return_token_ids"] for body in one.requests)
        assert one.finished
        assert other.finished


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("what", ["abort", "error"])
def test_a_request_that_a_server_gives_up_is_asked_again(law: Law, what: str) -> None:
    script = lambda number, body: what if number % 5 == 1 else None  # noqa: E731
    with FakeServer(model=law.model.name, script=script) as server:
        engine = Endpoint(law.model, urls=(server.url,), patience=20.0)
        completions = engine.complete([[1, number] for number in range(20)], SAMPLING, range(20))
        assert [one.text for one in completions] == [f"answer {1 + number} {number}" for number in range(20)]
        assert len(server.requests) > 20


@pytest.mark.usefixtures("quick")
def test_a_server_that_only_aborts_ends_by_the_patience(law: Law) -> None:
    with FakeServer(model=law.model.name, script=lambda number, body: "abort") as server:
        engine = Endpoint(law.model, urls=(server.url,), patience=0.5)
        with pytest.raises(EngineError, match=r"has answered a request for \d+ s: \S+ aborted a request"):
            engine.complete([[1]], SAMPLING, [1])


@pytest.mark.usefixtures("quick")
def test_a_request_that_only_ends_in_an_error_is_at_fault(law: Law, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magpie_hf.engines.served.servers.LONGEST_PAUSE", 0.02)
    script = lambda number, body: "error" if body["seed"] == 3 else None  # noqa: E731
    with FakeServer(model=law.model.name, script=script) as server:
        engine = Endpoint(law.model, urls=(server.url,), patience=20.0)
        with pytest.raises(EngineError, match=r"ended a request with an error \(10 times for one request\)"):
            engine.complete([[1], [2]], SAMPLING, [1, 3])


@pytest.mark.usefixtures("quick")
def test_a_repetition_that_a_server_ends_is_a_completion(law: Law) -> None:
    with FakeServer(model=law.model.name, script=lambda number, body: "repetition") as server:
        engine = Endpoint(law.model, urls=(server.url,), patience=20.0)
        (one,) = engine.complete([[1]], SAMPLING, [1])
    assert (one.finish_reason, one.text, one.token_ids) == ("repetition", "answer 1 1", ())


@pytest.mark.usefixtures("quick")
def test_a_server_without_token_ids_is_too_old(law: Law) -> None:
    with FakeServer(model=law.model.name) as server:
        server.knows_ids = False
        engine = Endpoint(law.model, urls=(server.url,), patience=20.0)
        with pytest.raises(EngineError) as caught:
            engine.complete([[1]], SAMPLING, [1])
        assert str(caught.value) == (
            f"the server {server.url[:-3]} returns no token ids; start it with vLLM 0.10.2 or later"
        )
        engine.close()
        assert engine.complete([[1]], replace(SAMPLING, logprobs=1), [1])[0].text, "these need none"


# --- what vLLM in this process does not finish --------------------------------------------------------------


def test_a_record_is_what_it_was() -> None:
    whole = Completion("x", "length", 3, 4, (), "key", (5, 6, 7, 8), (1, 3))
    book = Journal(known=[("key", json.loads(json.dumps(record(whole))))])
    engine = FakeEngine(Model("m", "r"), lambda *_: pytest.fail("it is known"))
    key = next(iter(journal.request_keys(engine.model, [[1]], SAMPLING, [1])))
    book.known[key] = book.known["key"]
    with keeping(book):
        assert engine.complete([[1]], replace(SAMPLING, max_tokens=4), [1]) == [replace(whole, request=key)]
