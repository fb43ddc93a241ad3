"""Endpoints against scripted servers on loopback: equality, every fault with its one line, the bound, and
ends that lose nothing.
"""

from __future__ import annotations

import heapq
import json
import logging
import math
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Answers, small_recipe
from fake_server import FakeServer
from magpie_hf.building.build import build
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, NAN, Completion, Pooling
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.queued import Queued
from magpie_hf.engines.served import endpoint as endpoints
from magpie_hf.engines.served import pool as pools
from magpie_hf.engines.served.concurrency import FIRST, Window, shares
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.scorers.judge import Judge

SAMPLING = Sampling(temperature=0.7, max_tokens=64)
PROMPTS = [[1, 2, at] for at in range(40)]


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pools, "TICK_SECONDS", 0.02)
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    yield
    for engine in list(endpoints._LIVE):
        engine.close()


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    return Model("fake", "sha256:1", path=str(tmp_path))


def engine_of(model: Model, *servers: FakeServer, **more: Any) -> Endpoint:
    return Endpoint(model, urls=tuple(server.url for server in servers), **{"patience": 20.0, **more})


def expected(
    prompts: Sequence[Sequence[int]], model: Model, sampling: Sampling = SAMPLING
) -> list[Completion]:
    """What an engine in this process would say in place of the servers."""

    def reply(prompt: Sequence[int], sampling: Sampling, seed: int) -> str:
        return f"answer {sum(prompt)} {seed}"

    return FakeEngine(model, reply).complete(prompts, sampling, range(len(prompts)))


def test_servers_answer_as_an_engine_does(model: Model) -> None:
    with FakeServer() as one, FakeServer() as other:
        engine = engine_of(model, one, other)
        assert engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS))) == expected(PROMPTS, model)
        assert len(one.finished) + len(other.finished) == len(PROMPTS)
        assert min(len(one.finished), len(other.finished)) > 0


def test_every_part_of_a_sampling_is_sent(model: Model) -> None:
    with FakeServer() as server:
        engine = engine_of(model, server)
        sampling = Sampling(0.7, 0.9, 0.1, 33, 1.1, 3, (9, 4))
        (completion,) = engine.complete([[5, 6]], sampling, [77])
        sent = dict(server.requests[0])
        assert completion.first == ((0, -0.25), (1, -0.75), (2, -1.25))
        assert sent.pop("model") == "fake"
        assert sent == {
            "prompt": [5, 6],
            "n": 1,
            "seed": 77,
            "max_tokens": 33,
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 0,
            "min_p": 0.1,
            "repetition_penalty": 1.1,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": [4, 9],
            "skip_special_tokens": False,
            "logprobs": 3,
            "return_tokens_as_token_ids": True,
        }
        schema = '{"type": "object"}'
        server.reply = lambda prompt, body: '{"a b":[1, 2]}'
        engine.complete([[5]], replace(SAMPLING, schema=schema), [1])
        engine.complete([[5]], replace(SAMPLING, allowed_token_ids=(3, 8)), [1])
        engine.complete([[5]], replace(SAMPLING, allowed_token_ids=tuple(range(2000)), max_tokens=7), [1])
        engine.complete([[5]], replace(SAMPLING, stop=("\nB:", "A:")), [1])
        assert server.requests[1]["structured_outputs"] == {"json": schema}
        assert server.requests[2]["allowed_token_ids"] == [3, 8]
        assert server.requests[3]["structured_outputs"]["grammar"].startswith("root ::= Token(0,1,2,")
        assert server.requests[3]["structured_outputs"]["grammar"].endswith("){7}")
        assert server.requests[4]["stop"] == ["\nB:", "A:"]


def test_a_prompt_without_room_is_not_sent_and_a_full_context_is_a_cut(model: Model) -> None:
    with FakeServer(lambda prompt, body: "a b c d e f") as server:
        engine = engine_of(replace(model, max_length=100), server)
        full, over, nearly, fine = engine.complete(
            [[1] * 100, [1] * 999, [1] * 97, [1] * 9], SAMPLING, [1] * 4
        )
        assert (full.finish_reason, over.finish_reason, full.num_tokens) == (CONTEXT_FULL, CONTEXT_FULL, 0)
        assert (nearly.finish_reason, nearly.num_tokens) == ("length", 3)
        assert (fine.finish_reason, fine.num_tokens) == ("stop", 7)
        assert sorted(len(body["prompt"]) for body in server.requests) == [9, 97]


def test_servers_with_less_room_than_the_model_cut_no_rows(model: Model) -> None:
    with FakeServer(max_model_len=200) as server:
        engine = engine_of(model, server)
        assert engine.complete([[1] * 100], SAMPLING, [1])[0].finish_reason == "stop"
        with pytest.raises(
            EngineError,
            match="190 prompt tokens and 64 more exceed the context of 200 tokens that the servers of fake",
        ):
            engine.complete([[1] * 190], SAMPLING, [1])
        with pytest.raises(
            BadInput,
            match=(
                r"has room for 200 tokens of prompt and completion and 300 are needed; start it with --max-m"
            ),
        ):
            engine_of(model, server, context=300).check()


def test_what_an_engine_in_process_finished_is_not_asked_of_servers_and_the_other_way_round(
    model: Model,
) -> None:
    journal = Journal()
    first = FakeEngine(model, lambda prompt, sampling, seed: "in process")
    with keeping(journal):
        kept = first.complete(PROMPTS[:20], SAMPLING, range(20))
    with FakeServer() as server:
        engine = engine_of(model, server)
        with keeping(journal):
            completions = engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS)))
        assert completions[:20] == kept
        assert len(server.requests) == 20
    with keeping(journal):
        assert first.complete(PROMPTS, SAMPLING, range(len(PROMPTS))) == completions


def test_a_whole_build_over_servers_is_the_one_in_process(answers: Answers, tmp_path: Path) -> None:
    """One of two servers dies in the middle and comes back; and either build goes on where the other was
    stopped.
    """
    here = rows(build(small_recipe(answers), tmp_path / "here"))
    one, other = (FakeServer(model=answers.model.name, max_model_len=8192, seconds=0.01) for _ in range(2))
    with one, other:
        one.complete = other.complete = Answers(answers.model)
        engine = engine_of(answers.model, one, other)
        recipe = small_recipe(answers)
        over = replace(recipe, generator=engine, solver=engine, scorer=Judge(engine))

        def die_and_return() -> None:
            until(lambda: len(one.finished) > 20)
            one.stop()
            more = len(other.finished) + 20
            until(lambda: len(other.finished) > more, seconds=60)
            one.start()

        dying = threading.Thread(target=die_and_return)
        dying.start()
        assert rows(build(over, tmp_path / "there")) == here
        dying.join()
        known = [request_of(body) for body in one.finished + other.finished]
        assert len(known) - len(set(known)) <= one.peak, (
            "what was on its way when the server died may be twice"
        )
        before = len(known)
        assert rows(build(over, tmp_path / "here")) == here
        assert rows(build(recipe, tmp_path / "there")) == here
        assert len(one.finished) + len(other.finished) == before, "what the other finished is not asked again"


def rows(built: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{name}/{split}": table.to_list()
        for name, splits in built.items()
        for split, table in splits.items()
    }


def request_of(body: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(body["prompt"]), body["seed"], body["temperature"], body.get("logprobs")


def test_it_compares_by_its_model_and_pickles(model: Model) -> None:
    with FakeServer() as server:
        engine = engine_of(model, server)
        engine.complete(PROMPTS[:1], SAMPLING, [0])
        assert engine == Endpoint(model, urls=("http://elsewhere:1/v1",), patience=1, max_in_flight=3)
        assert engine != Endpoint(model, runner="pooling", urls=engine.urls)
        assert engine.identity() == VLLM(model).identity()
        again = pickle.loads(pickle.dumps(engine))
        assert (again, again.urls) == (engine, engine.urls)


def rating(prompt: list[int], body: dict[str, Any]) -> list[float]:
    if body["task"] == "token_classify":
        return [value for token in prompt for value in (token / 2, -token)]
    return [math.nan if 13 in prompt else sum(prompt) / 8, 1.0] if body["task"] == "classify" else [0.6, 0.8]


def test_ratings_of_every_kind(model: Model) -> None:
    with FakeServer(rating=rating) as server:
        engine = engine_of(replace(model, max_length=10), server, runner="pooling")
        assert engine.rates
        whole, nan, none = engine.rate([[1, 2], [13], [1] * 11], Pooling("sequence"))
        assert (whole.values, nan.reason, none.reason) == ((0.375, 1.0), NAN, CONTEXT_FULL)
        assert not server.requests[0]["use_activation"]
        assert engine.rate([[4, 6]], Pooling("last_token"))[0].values == (3.0, -6.0)
        assert engine.rate([[4, 7, 5, 5, 7, 9]], Pooling("steps", 7))[0].values == (3.5, -7.0, 3.5, -7.0)
        assert engine.rate([[4]], Pooling("embedding"))[0].values == pytest.approx((0.6, 0.8))
        assert server.requests[-1]["use_activation"]
        server.rating = lambda prompt, body: [
            1.0,
            2.0,
            3.0,
            4.0,
        ]  # of a server that was itself given the step token
        assert engine.rate([[4, 7, 5, 5, 5, 7]], Pooling("steps", 7))[0].values == (1.0, 2.0, 3.0, 4.0)
        server.rating = lambda prompt, body: []  # and of one that was given another
        says = (
            r"with 0 values for 2 steps of 6 tokens; it may have to be started with --pooler-config"
            r" '{\"step_tag_id\": 7}'"
        )
        with pytest.raises(EngineError, match=says):
            engine.rate([[4, 7, 5, 5, 6, 7]], Pooling("steps", 7))


def test_each_kind_of_servers_is_asked_its_own(model: Model) -> None:
    with FakeServer() as server:
        with pytest.raises(
            BadInput, match="the servers of fake complete prompts and rate none; give the runner pooling"
        ):
            engine_of(model, server).rate([[1]], Pooling("sequence"))
        with pytest.raises(
            BadInput, match="the servers of fake rate prompts and complete none; leave the runner at generate"
        ):
            engine_of(model, server, runner="pooling").complete([[1]], SAMPLING, [1])


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ((), "no server of fake is given; give the address of one, such as http://host:8000/v1"),
        (("host:8000",), "'host:8000' is no address of a server; give one such as http://host:8000/v1"),
        (
            ("http://host:99999999/v1",),
            "the address of a server cannot be read; give one such as http://host:8000/v1",
        ),
        (
            ("http://me:secret@host/v1",),
            "the address of the server host holds a user or a password; leave them out, and set VLLM_API_KEY",
        ),
        *(
            ((url,), "the address of a server cannot be read; give one such as http://host:8000/v1")
            for url in ("http://a..b:8000/v1", f"http://{'a' * 300}/v1", "http://.:8000")
        ),
        (("http://a/v1", "http://a"), "the server http://a is given 2 times; give it once"),
    ],
)
def test_addresses_that_are_none(model: Model, urls: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        Endpoint(model, urls=urls)
    assert str(caught.value) == says


def test_numbers_out_of_range(model: Model) -> None:
    with pytest.raises(BadInput, match="patience is nan; give a number above 0"):
        Endpoint(model, urls=("http://a",), patience=math.nan)


def test_servers_that_will_not_do(model: Model) -> None:
    with FakeServer(model="other/model") as server:
        engine = engine_of(model, server)
        says = (
            f"{server.url[:-3]} serves other/model and not fake; give a server of that model, or leave this"
            " one out"
        )
        with pytest.raises(BadInput, match=f"^{re.escape(says)}$"):
            engine.check()
        with pytest.raises(BadInput, match=re.escape(says)):
            engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS)))
        server.models = "<!doctype html>\n<title>Welcome</title>"
        says = (
            f"{server.url[:-3]} is no vLLM server: it answered /v1/models with 200 and '<!doctype html>"
            " <title>Welcome</title>'; give the"
        )
        with pytest.raises(BadInput, match=re.escape(says)):
            engine.check()
        server.models = {"object": "list", "data": [{"id": "fake", "owned_by": "somebody"}]}
        with pytest.raises(BadInput, match="is no vLLM server"):
            engine.check()
        assert not server.requests, "nothing was sent"
    says = (
        rf"{re.escape(server.url[:-3])} cannot be reached \(connection refused\) after \d\.\d s; start it,"
        r" wait until it is ready, or"
    )
    with pytest.raises(BadInput, match=says):
        engine.check()
    assert not endpoints._LIVE
    assert not [thread for thread in threading.enumerate() if thread.name == "magpie-endpoint"]


@pytest.mark.parametrize(
    "served", ["/models/fake", "./fake/", "/cache/hub/models--fake/snapshots/" + "a" * 40]
)
def test_a_model_by_its_path(model: Model, served: str) -> None:
    with FakeServer(model=served) as server:
        engine_of(model, server).check()


def test_another_revision_is_seen_where_the_server_tells_it() -> None:
    model = Model("owner/name", "b" * 40, max_length=100)
    with FakeServer(model=f"/cache/models--owner--name/snapshots/{'a' * 40}") as server:
        says = (
            "serves revision aaaaaaaaaaaa of owner/name and bbbbbbbbbbbb is wanted; start it with --revision "
            + "b" * 40
        )
        with pytest.raises(BadInput, match=says):
            pools.Pool(model, (server.url,), None, 8, 10.0, 10.0)
        pools.Pool(replace(model, revision="a" * 40), (server.url,), None, 8, 10.0, 10.0).close()


def test_the_key_goes_to_the_server_and_nowhere_else(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeServer(key="sesame") as server:
        engine = engine_of(model, server)
        with pytest.raises(
            BadInput,
            match=(
                r"asks for a key and VLLM_API_KEY is not set \(401: Unauthorized\); set VLLM_API_KEY to the"
            ),
        ):
            engine.check()
        monkeypatch.setenv("VLLM_API_KEY", "wrong")
        with pytest.raises(BadInput, match=r"does not accept the key in VLLM_API_KEY \(401: Unauthorized\)"):
            engine.check()
        monkeypatch.setenv("VLLM_API_KEY", "sesame")
        engine.complete(PROMPTS[:1], SAMPLING, [0])
        server.script = lambda number, body: "401"
        with pytest.raises(EngineError) as caught:
            engine.complete(PROMPTS[:1], SAMPLING, [0])
        assert (
            str(caught.value)
            == f"the server {server.url[:-3]} answered 401: the words of 401, asked with Bearer (key)"
        )
        assert "sesame" not in caplog.text + repr(engine) + repr(endpoints._LIVE)


FAULTS = [
    "0.3",
    "429",
    "429:1",
    "500",
    "503",
    "408",
    "truncated",
    "half",
    "garbage",
    "html",
    "two",
    "none",
    "long",
]


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_now_and_then_loses_nothing_and_redoes_nothing(model: Model, what: str) -> None:
    """Of two servers one has a fault at its second, tenth and twentieth request."""
    with (
        FakeServer(seconds=0.01, script=lambda number, body: what if number in (1, 9, 19) else None) as one,
        FakeServer(seconds=0.01) as two,
    ):
        engine = engine_of(model, one, two)
        assert engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS))) == expected(PROMPTS, model)
        answered = [(tuple(body["prompt"]), body["seed"]) for body in one.finished + two.finished]
        whole = [at for at, body in enumerate(one.requests) if at not in (1, 9, 19)]
        if what in ("0.3", "429", "429:1", "500", "503", "408", "garbage", "html"):
            assert len(answered) == len(set(answered)) == len(PROMPTS)
        assert whole


def test_retry_after_is_heeded(model: Model) -> None:
    with FakeServer(script=lambda number, body: "429:1" if number == 0 else None) as server:
        engine = engine_of(model, server)
        engine.check()
        began = time.monotonic()
        engine.complete(PROMPTS[:1], SAMPLING, [0])
        assert 1 <= time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("400", "answered 400: the words of 400, asked with None"),
        ("404", "answered 404: the words of 404, asked with None"),
        ("501", "answered 501: the words of 501, asked with None"),
        ("302", "answered 302: the words of 302, asked with None"),
        ("other", "answers as the model 'another', and was asked for 'fake'; give servers of one model each"),
        (
            "garbage",
            "answered 3 times in a row with what is no answer, at last with no JSON: '{\"choices\": ['",
        ),
        (
            "html",
            "answered 3 times in a row with what is no answer, at last with no JSON: '<html>a page</html>'",
        ),
        ("two", "answered 3 times in a row with what is no answer, at last with 2 choices in place of 1"),
        ("none", "answered 3 times in a row with what is no answer, at last with 0 choices in place of 1"),
        (
            "long",
            (
                "answered 3 times in a row with what is no answer, at last with a prompt of 4 tokens in place"
                " of 3"
            ),
        ),
    ],
)
def test_what_cannot_be_mended_is_one_line(model: Model, what: str, says: str) -> None:
    with FakeServer(script=lambda number, body: what) as server, pytest.raises(EngineError) as caught:
        engine_of(model, server).complete(PROMPTS[:1], SAMPLING, [0])
    assert str(caught.value) == f"the server {server.url[:-3]} {says}"


def test_json_with_white_space_says_how_to_start_the_server(model: Model) -> None:
    with FakeServer(script=lambda number, body: "loose") as server, pytest.raises(EngineError) as caught:
        engine_of(model, server).complete(PROMPTS[:1], replace(SAMPLING, schema="{}"), [0])
    assert str(caught.value) == (
        f"the server {server.url[:-3]} writes JSON with white space between its parts; start it with "
        """--structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'"""
    )


def test_a_request_that_alone_is_answered_with_500_ends_with_the_servers_words(model: Model) -> None:
    with FakeServer(seconds=0.01, script=lambda number, body: "500" if body["seed"] == 3 else None) as server:
        engine = engine_of(model, server)
        engine.check()
        futures = [engine.submit([1, 2], SAMPLING, seed) for seed in range(4)]
        more = [engine.submit([1, 2], SAMPLING, seed) for seed in range(100, 1500)]
        says = r"answered 500: the words of 500, asked with None \(5 times for one request\)"
        with pytest.raises(EngineError, match=says):
            futures[3].result(30)
        assert all(future.result(30).text for future in futures[:3] + more)


def test_all_servers_gone_for_longer_than_the_patience(model: Model) -> None:
    with FakeServer(seconds=0.05) as one, FakeServer(seconds=0.05) as other:
        engine = engine_of(model, one, other, patience=0.5)
        futures = [engine.submit([1], SAMPLING, seed) for seed in range(200)]
        futures[0].result(10)
        one.stop()
        other.stop()
        began = time.monotonic()
        with pytest.raises(EngineError) as caught:
            futures[-1].result(20)
    says = (
        rf"no server of fake has answered a request for [01] s: {re.escape(one.url[:-3])} cannot be reached"
        r" \(connection refused\) after "
        rf"\d\.\d s; {re.escape(other.url[:-3])} cannot be reached \(connection refused\) after \d\.\d s"
        "; start one and run the same command again: what is finished is safe"
    )
    assert re.fullmatch(says, str(caught.value))
    assert 0.4 < time.monotonic() - began < 3
    assert all(future.done() for future in futures)


def test_servers_that_are_busy_for_ever_end_by_the_patience_too(model: Model) -> None:
    with FakeServer(script=lambda number, body: "503") as server, pytest.raises(EngineError) as caught:
        engine_of(model, server, patience=0.5).complete(PROMPTS, SAMPLING, range(len(PROMPTS)))
    assert re.fullmatch(
        r"no server of fake has answered a request for [01] s: \S+ answered 503: the words of 503, .*",
        str(caught.value),
    )


def test_a_request_begins_once_when_a_server_gets_it(model: Model) -> None:
    """Of each the first time counts, also where it is sent again."""
    with FakeServer(
        seconds=0.05, slots=8, script=lambda number, body: "500" if number == 3 else None
    ) as server:
        engine = engine_of(model, server)
        begun = list[int]()
        futures = [engine.submit([1, seed], SAMPLING, seed) for seed in range(40)]
        for seed, future in enumerate(futures):
            assert isinstance(future, Queued)
            future.when_begun(partial(begun.append, seed))
        until(lambda: bool(begun))
        assert len(begun) < 40, "the others wait for the first ones"
        wait(futures, 10)
        assert len(server.requests) == 41
        assert sorted(begun) == list(range(40))


def test_a_server_that_dies_in_the_middle_and_comes_back(model: Model) -> None:
    with FakeServer(seconds=0.05, slots=8) as one, FakeServer(seconds=0.05, slots=8) as other:
        engine = engine_of(model, one, other)
        futures = [engine.submit([1, seed], SAMPLING, seed) for seed in range(400)]
        until(lambda: len(one.finished) > 20)
        one.stop()
        before = len(one.finished)
        until(lambda: len(other.finished) > 100)
        one.start()
        assert [future.result(30).text for future in futures] == [
            f"answer {1 + seed} {seed}" for seed in range(400)
        ]
        assert len(one.finished) > before + 20, "it is used again"
        heard = [body["seed"] for body in one.finished + other.finished]
        assert len(heard) - len(set(heard)) <= 8, (
            "only what was on its way when the connections were cut can be twice"
        )


def test_a_server_that_comes_back_with_another_model(model: Model) -> None:
    with FakeServer(seconds=0.05) as server:
        engine = engine_of(model, server)
        futures = [engine.submit([1, seed], SAMPLING, seed) for seed in range(100)]
        futures[0].result(10)
        server.stop()
        server.model = "other"
        server.start()
        says = (
            r"serves other and not fake; give a server of that model, or leave this one out \(another server"
            r" was there before\)"
        )
        with pytest.raises(EngineError, match=says):
            futures[-1].result(20)


def test_a_server_that_hangs_is_found_by_its_health(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "QUIET_SECONDS", 0.2)
    with FakeServer(script=lambda number, body: "hang") as one, FakeServer(seconds=0.01) as other:
        engine = engine_of(model, one, other)
        futures = [engine.submit([1, seed], SAMPLING, seed) for seed in range(40)]
        until(lambda: len(one.requests) >= 8)
        time.sleep(0.6)
        assert one.health_asked >= 2, "it is asked, and believed"
        assert not all(future.done() for future in futures)
        one.healthy = False
        wait(futures, 10)
        assert all(future.result(0).text for future in futures)


def test_a_request_that_is_not_answered_in_time_is_asked_again(model: Model) -> None:
    with FakeServer(script=lambda number, body: "hang" if number == 0 else None) as server:
        began = time.monotonic()
        assert engine_of(model, server, timeout=0.5).complete(PROMPTS[:3], SAMPLING, range(3)) == expected(
            PROMPTS[:3], model
        )
        assert 0.5 <= time.monotonic() - began < 5


def test_a_request_that_brings_servers_down_is_found_and_recorded(model: Model) -> None:
    with FakeServer(seconds=0.01) as one, FakeServer(seconds=0.01) as other:
        for server in (one, other):
            server.script = dies_of(server, 7)
        engine = engine_of(model, one, other)
        completions = engine.complete([[at] for at in range(60)], SAMPLING, range(60))
        assert completions[7].finish_reason == KILLED_ENGINE
        assert [completion.text for at, completion in enumerate(completions) if at != 7] == [
            f"answer {at} {at}" for at in range(60) if at != 7
        ]


def dies_of(server: FakeServer, seed: int) -> Callable[[int, dict[str, Any]], str | None]:
    """A script by which the request of this seed cuts every connection of the server."""

    def script(number: int, body: dict[str, Any]) -> str | None:
        if body["seed"] == seed:
            for transport in list(server._transports):
                transport.abort()  # type: ignore[attr-defined]
        return None

    return script


def test_a_thousand_in_flight(model: Model) -> None:
    with FakeServer(slots=1, seconds=0.0) as server:
        server.script = lambda number, body: "0.5" if number >= FIRST else None
        engine = engine_of(model, server, max_in_flight=1000)
        engine.check()
        engine._live()._servers[0].window._level = 10  # as if it had learned that it may
        began = time.monotonic()
        futures = [engine.submit([1, 2, 3], SAMPLING, seed) for seed in range(2000)]
        assert time.monotonic() - began < 2, "callers do not wait"
        assert len({future.result(60).text for future in futures}) == 2000
        assert server.peak > 900


def test_servers_end_together_whatever_their_bounds(model: Model) -> None:
    """One may have 64 requests and the other 16, of which both work on two at a time."""
    with FakeServer(slots=2, seconds=0.02) as one, FakeServer(slots=2, seconds=0.02) as other:
        engine = engine_of(model, one, other)
        engine.check()
        engine._live()._servers[0].window._level = 6
        assert engine._live()._servers[0].window.size == 64
        count = 100
        engine.complete([[1, 2, 3]] * count, SAMPLING, range(count))
        asked = len(one.requests), len(other.requests)
    assert sum(asked) == count
    assert min(asked) >= 0.4 * count, "without shares it is 0.3"


def test_shares_go_by_the_work_that_servers_do() -> None:
    quick, slow, new = Window(64), Window(64), Window(64)
    assert shares([quick, slow]) == [0.5, 0.5]
    for window, seconds in ((quick, 1.0), (slow, 3.0)):
        for number in range(4 * FIRST):
            window.finished(number + seconds, number + 0.0, 1.0, True)
    assert shares([quick, slow]) == pytest.approx([0.75, 0.25])
    assert shares([quick, slow, new]) == pytest.approx([1 / 3] * 3)


def test_a_bound_on_open_files_bounds_what_is_in_flight(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pools, "most_connections", lambda: 7)
    with FakeServer(seconds=0.01) as one, FakeServer(seconds=0.01) as other:
        engine = engine_of(model, one, other)
        assert engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS))) == expected(PROMPTS, model)
        assert max(one.peak, other.peak) <= 3
    assert "each server gets 3 requests at a time at most; raise ulimit -n" in caplog.text


def test_closing_with_requests_in_flight_fails_them_at_once(model: Model) -> None:
    with FakeServer(seconds=2) as server:
        engine = engine_of(model, server)
        futures: list[Future[Completion]] = [engine.submit([1], SAMPLING, seed) for seed in range(300)]
        until(lambda: server.now > 4)
        began = time.monotonic()
        engine.close()
        assert time.monotonic() - began < 2
        for future in futures:
            with pytest.raises(
                EngineError, match="the endpoints of fake were closed with requests in flight"
            ):
                future.result(0)
        until(lambda: server.now == 0)
        server._seconds = 0.0
        assert engine.complete(PROMPTS, SAMPLING, range(len(PROMPTS))) == expected(PROMPTS, model), (
            "it opens again"
        )


def test_the_bound_finds_the_smallest_size_that_is_enough() -> None:
    """A server of 60 slots: 64 keep it busy, 32 do not, and 128 only wait."""
    assert settled(slots=60, most=1024) == 64
    assert settled(slots=5, most=1024) in (8, 16)
    assert settled(slots=5000, most=100) == 100


def settled(slots: int, most: int) -> int:
    """The size that a bound comes to with a server that works on so many requests at a time, in their order,
    a second each.
    """
    window = Window(most)
    busy, sizes = [0.0] * slots, []  # when each slot is free
    ends: list[tuple[float, float]] = []
    now = 0.0
    for _ in range(20_000):
        while len(ends) < window.size:
            start = max(now, heapq.heappop(busy))
            heapq.heappush(busy, start + 1)
            heapq.heappush(ends, (start + 1, now))
        now, sent = heapq.heappop(ends)
        window.finished(now, sent, 1.0, True)
        sizes.append(window.size)
    late = sizes[10_000:]
    return max(set(late), key=late.count)


def test_the_bound_halves_once_for_many_faults_at_once_and_grows_again() -> None:
    window = Window(64)
    window.too_much(1.0, sent=0.5)
    window.too_much(1.1, sent=0.6)
    assert window.size == FIRST // 2
    window.too_much(2.0, sent=1.5)
    assert window.size == FIRST // 4
    window.finished(3.0, 2.5, 1.0, wanted=False)
    assert window.size == FIRST // 4


def test_it_needs_neither_torch_nor_vllm_nor_transformers() -> None:
    script = (
        "import sys, magpie_hf.engines.served.endpoint; print(sorted({'torch', 'vllm', 'transformers'} &"
        " set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def until(reached: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
