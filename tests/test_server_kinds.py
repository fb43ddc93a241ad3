"""Servers of other kinds than vLLM, scripted on loopback: a build over each, what each cannot do, and hostile
ones of every kind.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import PROBLEMS, Answers, small_recipe
from fake_server import FakeServer
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import Completion, resumable
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.engines.served import endpoint as endpoints
from magpie_hf.engines.served import pool as pools
from magpie_hf.engines.served.endpoint import Endpoint, marked, share_out
from magpie_hf.engines.served.faults import Garbled
from magpie_hf.engines.served.kinds import KINDS
from magpie_hf.engines.served.other_wires import MOST_SEED, read_answer
from magpie_hf.engines.served.wire import LEAST_BYTES, TOKEN_BYTES, read_completion
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import continuation, tokenizer_of
from magpie_hf.scorers.judge import Judge
from magpie_hf.stage import identity

MARKS = {
    "sglang": (),
    "llama.cpp": (("gguf", '"Tiny-Q8_0.gguf"'),),
    "openai": (("seed", '"none"'),),
}


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pools, "TICK_SECONDS", 0.02)
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    yield
    for engine in list(endpoints._LIVE):
        engine.close()


@dataclass(frozen=True)
class InTokens:
    """Answers as a model gives them: token ids, and the text that they decode to."""

    answers: Answers
    tells_ids: bool = True  # as an engine does, which tells those that can go on
    is_server: bool = False

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        model = self.answers.model
        one = self.answers(prompt, sampling, seed % MOST_SEED)
        ids = tokenizer_of(model).encode(one.text or "1", add_special_tokens=False)
        if one.finish_reason == "stop":
            ids.append(chat_of(model).end_ids[0])
        else:
            ids = (ids * sampling.max_tokens)[: sampling.max_tokens]
        text = continuation(model, prompt, ids[:-1] if one.finish_reason == "stop" else ids)
        known = tuple(ids) if self.is_server or (self.tells_ids and resumable(sampling)) else ()
        return replace(one, text=text, num_tokens=len(ids), token_ids=known)


def serving(kind: str, answers: Answers) -> FakeServer:
    server = FakeServer(
        model=answers.model.name, max_model_len=8192, kind=kind, tokenizer=tokenizer_of(answers.model)
    )
    server.complete = InTokens(answers, is_server=True)
    return server


def rows(built: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}/{split}": t.to_list() for name, one in built.items() for split, t in one.items()}


def served(kind: str, model: Model, *servers: FakeServer, **more: Any) -> Endpoint:
    urls = tuple(server.url for server in servers)
    return Endpoint(marked(model, urls, kind), urls=urls, kind=kind, **{"patience": 20.0, **more})


@pytest.mark.parametrize("kind", ["sglang", "llama.cpp"])
def test_a_build_over_each_kind_is_the_one_in_process(kind: str, answers: Answers, tmp_path: Path) -> None:
    with serving(kind, answers) as one, serving(kind, answers) as other:
        engine = served(kind, answers.model, one, other)
        assert engine.model.settings == MARKS[kind]
        recipe = small_recipe(answers, "algebra", count=4)
        over = replace(recipe, generator=engine, solver=engine, scorer=Judge(engine))
        there = rows(build(over, tmp_path / "there"))
        assert min(len(one.finished), len(other.finished)) > 0
    here = FakeEngine(engine.model, InTokens(answers))
    same = replace(recipe, generator=here, solver=here, scorer=Judge(here))
    assert rows(build(same, tmp_path / "here")) == there


@pytest.mark.parametrize(("takes_ids", "adds_bos"), [(True, False), (False, False), (False, True)])
def test_a_build_over_any_server_with_completions(
    takes_ids: bool, adds_bos: bool, answers: Answers, tmp_path: Path
) -> None:
    """Where it takes no ids, the prompts go as text, and the build is another one. Some servers begin each
    text with a token of their own, which the text then goes without.
    """
    judge = FakeEngine(answers.model, answers)
    with serving("openai", answers) as server:
        server.takes_ids, server.adds_bos = takes_ids, adds_bos
        engine = served("openai", answers.model, server)
        assert engine.model.settings == ((() if takes_ids else (("prompts", '"text"'),)) + MARKS["openai"])
        assert identity(engine) != identity(answers.model)
        recipe = small_recipe(answers, "algebra", count=4)
        domain = recipe.domains[0]
        plain = replace(domain, instruction=replace(domain.instruction, min_p=0.0))
        recipe = replace(recipe, domains=(plain,), scorer=Judge(judge))
        there = rows(build(replace(recipe, generator=engine, solver=engine), tmp_path / "there"))
        sent = {type(body["prompt"]) for body in server.finished[3:]}
        assert sent == {list if takes_ids else str}
        assert all(body["model"] == answers.model.name for body in server.finished)
        if adds_bos:
            with pytest.raises(EngineError, match=r"begins each text with '<.im_start.>' by itself, which"):
                engine.complete([[5]], Sampling(), [1])
    here = FakeEngine(engine.model, InTokens(answers, tells_ids=False))
    assert rows(build(replace(recipe, generator=here, solver=here), tmp_path / "here")) == there


def test_seeds_that_sglang_does_not_heed_are_said_and_belong_to_the_build(answers: Answers) -> None:
    with serving("sglang", answers) as heeding, serving("sglang", answers) as not_heeding:
        not_heeding.seeded = False
        model = marked(answers.model, [not_heeding.url], "sglang")
        assert model.settings == (("seed", '"none"'),)
        with pytest.raises(BadInput, match="in different ways, so rows would depend on which is asked"):
            marked(answers.model, [heeding.url, not_heeding.url], "sglang")
        says = 'answers with nothing and the build is one with seed="none"; give servers that are alike'
        with pytest.raises(BadInput, match=says):
            Endpoint(model, urls=(heeding.url,), kind="sglang").check()
        assert share_out([heeding.url], [answers.model], "sglang") == {answers.model: (heeding.url,)}
        assert not heeding.requests


def test_every_part_of_a_sampling_is_sent(answers: Answers) -> None:
    sampling = Sampling(0.7, 0.9, 0.1, 33, 1.1, 3, (2,), stop=("A:",))
    with serving("sglang", answers) as one, serving("llama.cpp", answers) as other:
        for kind, server in (("sglang", one), ("llama.cpp", other)):
            engine = served(kind, answers.model, server)
            (made,) = engine.complete([[5, 6]], sampling, [MOST_SEED + 7])
            assert sum(2.718281828**value for _, value in made.first) == pytest.approx(1, abs=1e-3)
        end = tokenizer_of(answers.model).decode([2])
        assert one.requests == [
            {
                "input_ids": [5, 6],
                "stream": False,
                "return_logprob": True,
                "logprob_start_len": -1,
                "top_logprobs_num": 3,
                "sampling_params": {
                    "max_new_tokens": 33,
                    "temperature": 0.7,
                    "top_p": 0.9,
                    "top_k": -1,
                    "min_p": 0.1,
                    "repetition_penalty": 1.1,
                    "presence_penalty": 0.0,
                    "frequency_penalty": 0.0,
                    "stop_token_ids": [2],
                    "skip_special_tokens": False,
                    "spaces_between_special_tokens": False,
                    "sampling_seed": 7,
                    "stop": ["A:"],
                },
            }
        ]
        sent = other.requests[0]
        assert (sent["prompt"], sent["n_predict"], sent["seed"], sent["n_probs"]) == ([5, 6], 33, 7, 3)
        assert (sent["stop"], sent["preserved_tokens"]) == (["A:", end], [end])
        assert sent["samplers"] == ["penalties", "temperature", "min_p", "top_k", "top_p"]


def test_what_a_server_ran_past_is_cut_where_vllm_would_end(answers: Answers) -> None:
    """llama.cpp knows no ids to stop at, and finishes a character beyond the bound."""
    model, tokenizer = answers.model, tokenizer_of(answers.model)
    ids = tokenizer.encode("It is 4. B: no", add_special_tokens=False)

    def read(tokens: list[int], ended: str, most: int, **how: Any) -> tuple[str, str, int]:
        answer = {"tokens": tokens, "tokens_evaluated": 1, "stop_type": ended}
        one = read_answer("llama.cpp", model, [5], answer, Sampling(max_tokens=most, **how), most)
        return one.text, one.finish_reason, one.num_tokens

    assert read([*ids, 2], "eos", 99) == ("It is 4. B: no", "stop", len(ids) + 1)
    assert read([*ids, 2, *ids], "limit", 17, stop_token_ids=(2,))[:2] == ("It is 4. B: no", "stop")
    assert read(ids, "word", 99, stop=(" B:",)) == ("It is 4.", "stop", len(ids))
    assert read(ids, "limit", len(ids) - 1)[1:] == ("length", len(ids) - 1)


_CHOICE = """{{"choices": [{{"text": "x", "finish_reason": "stop", "token_ids": [{id}], "logprobs":
    {{"top_logprobs": [{{"token_id:{token}": {log}}}]}}}}],
    "usage": {{"prompt_tokens": 1, "completion_tokens": {count}}}}}"""
RAW = {
    "vllm": _CHOICE,
    "openai": _CHOICE,
    "sglang": """{{"output_ids": [{id}], "meta_info": {{"prompt_tokens": 1,
        "finish_reason": {{"type": "stop"}}, "output_top_logprobs": [[[{log}, {token}]]]}}}}""",
    "llama.cpp": """{{"tokens": [{id}], "tokens_evaluated": 1, "stop_type": "word",
        "completion_probabilities": [{{"top_logprobs": [{{"id": {token}, "logprob": {log}}}]}}]}}""",
}


@pytest.mark.parametrize("kind", RAW)
def test_numbers_that_are_none_are_no_answer(kind: str, answers: Answers) -> None:
    """JSON can name them all, and Python reads NaN as well. Kept, they would end every later build."""

    def read(**numbers: str) -> Completion:
        answer = json.loads(
            RAW[kind].format(**{"id": "5", "token": "5", "log": "-0.5", "count": "1", **numbers})
        )
        logprobs = int(bool({"token", "log"} & set(numbers)))
        if kind == "vllm":
            return read_completion(answer, 1, Sampling(logprobs=logprobs), 9)
        return read_answer(kind, answers.model, [5], answer, Sampling(logprobs=logprobs), 9)

    assert read().text
    ids, counts = ("-1", "true", "2147483648", "1e999", "9" * 30, "null"), ("-5", "true", "1.0")
    bad = {"count": counts} if kind == "openai" else {"id": ids, "token": ids}
    if kind == "vllm":
        bad["count"] = counts
    if kind != "openai":
        bad["log"] = ("1e6", "1e999", "9" * 400, "0.01", "NaN", "true", "null", '"-1"')
        for log, value in (
            ("-0.5", -0.5),
            ("1e-4", 1e-4),
            ("-Infinity", -math.inf),
            ("-" + "9" * 400, -math.inf),
        ):
            assert read(log=log).first == ((5, value),)
    for name, values in bad.items():
        for value in values:
            with pytest.raises(Garbled):
                read(**{name: value})


@pytest.mark.parametrize("kind", ["vllm", "sglang", "llama.cpp"])
def test_a_token_that_the_model_does_not_have_is_not_kept(
    kind: str, answers: Answers, tmp_path: Path
) -> None:
    """A truncated answer goes on from its tokens, which a sound server would refuse for ever."""
    with serving(kind, answers) as server, keeping(Journal(tmp_path / "journal")):
        sound, sampling = server.complete, Sampling(max_tokens=64)
        server.complete = lambda prompt, sampling, seed: Completion(
            "x", "length", 1, 64, token_ids=(10**6,) * 64
        )
        says = f"at last with the token 1000000, which {answers.model.name} does not have"
        with pytest.raises(EngineError, match=says):
            served(kind, answers.model, server).complete([[5]], sampling, [1])
        for engine in list(endpoints._LIVE):
            engine.close()
        server.complete = sound
        assert served(kind, answers.model, server).complete([[5]], sampling, [1])


def test_a_bound_of_the_servers_own_is_no_row(answers: Answers) -> None:
    answer = {
        "choices": [{"text": "It is", "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    says = "by a bound of its own, after 2 tokens of 9 asked for; raise that bound, or lower --max-tokens"
    with pytest.raises(EngineError, match=says):
        read_answer("openai", answers.model, [5], answer, Sampling(max_tokens=9), 9)
    assert read_answer("openai", answers.model, [5], answer, Sampling(max_tokens=2), 2).num_tokens == 2


def test_the_file_of_a_llama_cpp_is_a_text_without_a_terminals_commands(answers: Answers) -> None:
    with serving("llama.cpp", answers) as server:
        for path in (["a"], 5, "", "a/"):
            server.model_path = path
            with pytest.raises(BadInput, match="does not tell its context and file at /props"):
                marked(answers.model, [server.url], "llama.cpp")
        server.model_path = "C:\\a\\b\x1b[2J\ud800.gguf"
        assert marked(answers.model, [server.url], "llama.cpp").settings == (
            ("gguf", json.dumps("b\ufffd[2J\ufffd.gguf")),
        )


@pytest.mark.parametrize("kind", ["sglang", "llama.cpp", "openai"])
def test_what_a_kind_cannot_do_is_one_line(
    kind: str, demo_model: Path, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [
        "--model",
        str(demo_model),
        "--out",
        str(tmp_path / "out"),
        "--domains",
        "algebra",
        "--count",
        "3",
    ]
    given = ["--endpoint", "http://127.0.0.1:9/v1", "--server-kind", kind]
    cases = [(["--first-token-temperature", "1"], "sample from no given tokens, so no first token can be")]
    if kind == "openai":
        plain = ["--sampling", "original"]
        cases = [
            ([], "min_p is 0.1, and servers of the kind openai know temperature and top_p alone; give --sam"),
            (plain, "tell no log-probabilities by token id, so no judge can score; give --scorer with"),
            (
                [*plain, "--scorer", "skywork"],
                "follow no JSON schema, so no tagger can label; give --tagger",
            ),
        ]
    for words, says in cases:
        for command in ("build", "plan"):
            assert main([command, *base, *given, *words]) == BAD_INPUT
            error = capsys.readouterr().err
            assert says in error
            assert error.count("\n") == 1
    assert main(["build", *base, *given[2:]]) == BAD_INPUT
    assert f"--server-kind is {kind} and --endpoint is missing; give --endpoint" in capsys.readouterr().err
    with pytest.raises(BadInput, match=f"servers of the kind {kind} rate no texts here; give a vLLM server"):
        Endpoint(answers.model, "pooling", ("http://a",), kind=kind)
    with serving(kind, answers) as server, pytest.raises(BadInput, match="sample from no given tokens"):
        served(kind, answers.model, server).complete([[5]], Sampling(allowed_token_ids=(3,)), [1])


def test_a_server_of_another_kind_is_told_how_to_name_it(answers: Answers) -> None:
    with serving("sglang", answers) as server:
        says = "is no vLLM server: .* started with vllm serve .*, or the kind of this one with --server-kind"
        with pytest.raises(BadInput, match=says):
            Endpoint(answers.model, urls=(server.url,)).check()
        with pytest.raises(BadInput, match=r"is no llama.cpp server: .* with llama-server --alias"):
            share_out([server.url], [answers.model], "llama.cpp")
    with pytest.raises(BadInput, match="'tgi' is no kind of servers; give one of vllm, sglang,"):
        Endpoint(answers.model, urls=("http://a",), kind="tgi")


def test_a_plan_says_what_seeds_are_worth(
    demo_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "--model", str(demo_model), "--out", str(tmp_path / "out"), "--count", "3"]
    assert main([*words, "--endpoint", "http://127.0.0.1:9", "--server-kind", "sglang"]) == OK
    assert "with --enable-deterministic-inference; else no answer comes twice" in capsys.readouterr().out


def test_the_command_line_says_what_its_servers_do_and_so_does_the_card(
    demo_model: Path, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = {domain.instruction.temperature for domain in DOMAINS.values()}
    made = InTokens(answers, is_server=True)

    def complete(prompt: list[int], sampling: Sampling, seed: int) -> Completion:
        own = sampling.temperature in problems
        return made(prompt, replace(sampling, temperature=PROBLEMS) if own else sampling, seed)

    words = ["build", "--model", str(demo_model), "--out", str(tmp_path / "out"), "--domains", "algebra"]
    with serving("sglang", answers) as server:
        server.complete, server.seeded = complete, False
        given = ["--count", "3", "--k", "2", "--endpoint", server.url, "--server-kind", "sglang"]
        assert main([*words, *given]) in (OK, INCOMPLETE)
    said = capsys.readouterr()
    assert f"the servers of {demo_model.name}: seed none; that belongs to the build" in said.out + said.err
    assert "`seed=none`" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("loses", [False, True])
def test_a_vllm_that_loses_spaces_is_read_by_its_ids(
    loses: bool, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    prompts, sampling = [[1, 2, at] for at in range(9)], Sampling(0.7, max_tokens=64, stop_token_ids=(2,))
    with serving("vllm", answers) as server:
        server.loses_spaces = loses
        engine = Endpoint(answers.model, urls=(server.url,))
        made = engine.complete(prompts, sampling, range(9))
        engine.complete(prompts[:1], Sampling(0.0, allowed_token_ids=(3,)), [1])
        assert ("return_token_ids" in server.requests[-1]) == loses
    here = FakeEngine(answers.model, InTokens(answers))
    assert made == here.complete(prompts, sampling, range(9))
    assert any(" " in one.text for one in made)
    assert ("decode otherwise than its tokenizer.json says" in caplog.text) == loses


# --- hostile servers ----------------------------------------------------------------------------------------


class Hostile(BaseHTTPRequestHandler):
    """Answers as the class says; remembers the headers of what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, str]]
    answer: Any

    def do_GET(self) -> None:
        type(self).seen.append(dict(self.headers))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).answer(self)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        pass

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def hostile(answer: Any) -> Iterator[tuple[str, list[dict[str, str]]]]:
    kind = type("One", (Hostile,), {"seen": [], "answer": staticmethod(answer)})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", kind.seen
        server.shutdown()
        thread.join()


def endless(handler: Hostile) -> None:
    """Sends far more than any answer has, until it is cut off."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(3 * 2**30))
    handler.end_headers()
    try:
        for _ in range(3 * 2**10):
            handler.wfile.write(b" " * 2**20)
            handler.server.sent = getattr(handler.server, "sent", 0) + 1  # type: ignore[attr-defined]
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_takes_no_key_elsewhere(
    kind: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame-open-now")
    with (
        hostile(lambda handler: handler.say(b"{}")) as (elsewhere, heard),
        hostile(lambda handler: handler.say(b"", 307, Location=f"{elsewhere}{handler.path}")) as (url, seen),
    ):
        with pytest.raises(BadInput, match=rf"is no {re.escape(KINDS[kind].title)} server: .* with 307"):
            marked(answers.model, [url], kind) if kind != "vllm" else share_out([url], [answers.model])
        assert [one["Authorization"] for one in seen] == ["Bearer sesame-open-now"]
        with serving(kind, answers) as server:
            engine = served(kind, answers.model, server)
            engine.check()
            engine._live()._servers[0].url = url  # as a server that redirects once it is known
            with pytest.raises(EngineError, match="answered 307"):
                engine.complete([[5]], Sampling(max_tokens=4), [1])
        assert len(seen) == 2
        assert not heard, "nobody else was asked, with a key or without"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_read_up_to_what_its_tokens_need(kind: str, answers: Answers) -> None:
    with hostile(endless) as (url, seen), serving(kind, answers) as server:
        with pytest.raises(BadInput, match="answered with more than 1 MiB, which no such request can need"):
            share_out([url], [answers.model], kind)
        engine = served(kind, answers.model, server)
        engine._live()._servers[0].url = url
        mib = round((LEAST_BYTES + TOKEN_BYTES * 5001) / 2**20)
        says = f"answered 3 times in a row with what is no answer, at last with more than {mib} MiB"
        with pytest.raises(EngineError, match=says):
            engine.complete([[5]], Sampling(max_tokens=5000), [1])
        assert len(seen) == 4


def test_no_error_holds_the_key(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whole, cut, in the name of a model, in what is no JSON, or with a terminal's commands around it."""
    caplog.set_level(logging.DEBUG)
    key = "sesame-open-now-and-for-ever"
    monkeypatch.setenv("VLLM_API_KEY", key)
    says = [
        {"data": [{"id": f"\x1b[31m{key}", "owned_by": "vllm", "max_model_len": 99}]},
        {"error": {"message": f"{'x' * 390} Bearer {key} \ud800"}},
        f"{'x' * 180} Bearer {key}",
    ]
    for said in says:
        raw = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        with hostile(lambda handler, raw=raw: handler.say(raw)) as (url, _):
            with pytest.raises(BadInput) as caught:
                share_out([url], [answers.model])
            assert not re.search("sesame|\x1b", str(caught.value))
            str(caught.value).encode()
    odd = {
        "model": f"{'x' * 60}{key}",
        "choices": [{"text": "x", "finish_reason": f"{'x' * 30}{key}"}],
        "usage": {"prompt_tokens": key, "completion_tokens": 1},
    }
    for kind in ("vllm", "sglang", "llama.cpp", "openai"):
        for named in ({"model": odd["model"]}, {}):
            answer = json.dumps({**odd, "model": answers.model.name, **named}).encode()
            with (
                hostile(lambda handler, raw=answer: handler.say(raw)) as (url, _),
                serving(kind, answers) as server,
            ):
                engine = served(kind, answers.model, server)
                engine._live()._servers[0].url = url
                with pytest.raises(EngineError) as failed:
                    engine.complete([[5]], Sampling(max_tokens=4), [1])
                assert "sesame" not in str(failed.value)
                engine.close()
    assert "sesame" not in caplog.text


KEY = 'sesame/"open"'
KEPT = "the key in VLLM_API_KEY, which is kept nowhere"


@pytest.mark.parametrize(
    ("kind", "raw", "says"),
    [
        ("vllm", json.dumps(KEY).encode(), KEPT),
        ("sglang", json.dumps(KEY).replace("/", "\\/").encode(), KEPT),
        ("openai", json.dumps(KEY).replace("s", "\\u0073").replace("/", "\\u002F").encode(), KEPT),
        ("llama.cpp", json.dumps(KEY).encode("utf-16"), "no JSON"),
    ],
)
def test_an_answer_that_holds_the_key_is_not_kept(
    kind: str, raw: bytes, says: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    with hostile(lambda handler: handler.say(raw)) as (url, _), serving(kind, answers) as one:
        engine = served(kind, answers.model, one)
        engine._live()._servers[0].url = url
        with pytest.raises(EngineError, match=f"at last with {says}") as caught:
            engine.complete([[5]], Sampling(max_tokens=4), [1])
        assert "sesame" not in str(caught.value)
        engine.close()
    monkeypatch.setenv("VLLM_API_KEY", "a")  # stands in every answer
    with serving(kind, answers) as one:
        assert served(kind, answers.model, one).complete([[5]], Sampling(max_tokens=64), [1])


@pytest.mark.parametrize(
    ("kind", "status", "raw", "says"),
    [
        (
            "openai",
            400,
            b'{"error": {"message": "use /v1/chat"}}',
            "answered /v1/completions with 400: use /v1/chat",
        ),
        ("openai", 404, b"nothing here", "answered /v1/completions with 404: nothing here; give the address"),
        ("vllm", 200, b"nojson", "answered with no JSON: 'nojson'; start it again, or leave it out"),
    ],
)
def test_what_a_server_says_to_a_probe(
    kind: str, status: int, raw: bytes, says: str, answers: Answers
) -> None:
    card = {"id": answers.model.name, "owned_by": kind, "max_model_len": 99}

    def answer(handler: Hostile) -> None:
        models = handler.path == "/v1/models"
        handler.say(*((json.dumps({"data": [card]}).encode(), 200) if models else (raw, status)))

    with hostile(answer) as (url, _), pytest.raises(BadInput, match=f"^{url} {says}"):
        Endpoint(marked(answers.model, [url], kind), urls=(url,), kind=kind).complete([[5]], Sampling(), [1])


def test_text_with_lone_surrogates_and_terminal_commands_ends_no_build(
    answers: Answers, tmp_path: Path
) -> None:
    """Such samples and answers are dropped, each with its reason; the text itself may hold the key."""

    def complete(prompt: list[int], sampling: Sampling, seed: int) -> Completion:
        one = answers(prompt, sampling, seed)
        broken = {0: "\ud83d", 1: "\x1b[2J", 2: "\0"}.get(seed % 6, "")
        one = replace(one)
        object.__setattr__(one, "text", one.text.replace(" ", f" {broken}", 1))  # no Completion holds such
        return one

    with FakeServer(model=answers.model.name, max_model_len=8192) as server:
        server.complete = complete
        engine = Endpoint(answers.model, urls=(server.url,))
        recipe = small_recipe(answers, "algebra", count=4)
        built = build(
            replace(recipe, generator=engine, solver=engine, scorer=Judge(engine)), tmp_path / "out"
        )
    texts = json.dumps(rows(built), ensure_ascii=False)
    assert not re.search(r"\\u00|\ufffd|\ud83d", texts)
    files = list((tmp_path / "out" / "run" / "dropped").rglob("*.parquet"))
    reasons = {reason for file in files for reason in pq.read_table(file)["reason"].to_pylist()}
    assert "broken_characters" in reasons
