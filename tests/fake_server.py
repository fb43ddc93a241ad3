"""A look-alike of a vLLM server on a loopback port, or of another kind, whose faults a script decides. Run as
a program it serves several until it is killed.

fake_server.py SLOTS SECONDS [SECONDS ...]: one server for each number, that answers SLOTS requests at a time
in so many seconds each; it prints their addresses.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from magpie_hf.engines.base import Completion
from magpie_hf.models.sampling import Sampling

Script = Callable[[int, dict[str, Any]], str | None]


def no_fault(number: int, body: dict[str, Any]) -> str | None:
    return None


async def turns(seconds: float) -> None:
    """Some turns of the event loop, which a busy machine may not take in the given time."""
    await asyncio.sleep(seconds)
    for _ in range(20):
        await asyncio.sleep(0)


class FakeServer:
    """Answers completions with `reply(prompt, body)` and ratings with `rating(prompt, body)`, and remembers
    what it was asked.

    script(number, body) names what happens to the request of that number, from 0: None (it is answered),
    "429", "500", "503", "401", with ":2" behind it for Retry-After; "cut" and "half" (the connection, before
    and within the answer), "garbage", "two", "none", "other" (model), "long" (prompt), "loose" (JSON),
    "abort", "error", "repetition" (finish reasons), "html", "hang", or a number of seconds by which the
    answer is late. slots, seconds: how many requests it works on at a time, and how long each takes.
    complete(prompt, sampling, seed), where it is given, makes whole completions in place of `reply`.
    kind: of `engines.served.kinds`; all but vLLM need `complete`, with token ids, and the tokenizer.
    takes_ids, adds_bos, seeded: of the kinds that differ in it.
    """

    def __init__(
        self,
        reply: Callable[[list[int], dict[str, Any]], str] = lambda prompt, body: (
            f"answer {sum(prompt)} {body['seed']}"
        ),
        rating: Callable[[list[int], dict[str, Any]], list[float]] = lambda prompt, body: [
            float(sum(prompt))
        ],
        *,
        script: Script = no_fault,
        model: str = "fake",
        max_model_len: int = 4096,
        slots: int = 10_000,
        seconds: float = 0.0,
        key: str = "",
        kind: str = "vllm",
        tokenizer: Any = None,
    ) -> None:
        self.kind, self.tokenizer = kind, tokenizer
        self.takes_ids = self.seeded = True
        self.loses_spaces = False  # as a vLLM does that takes a byte-level tokenizer for another one
        self.adds_bos = False
        self.model_path: Any = "/models/Tiny-Q8_0.gguf"
        self.reply, self.rating, self.script = reply, rating, script
        self.model, self.max_model_len, self.key = model, max_model_len, key
        self.complete: Callable[[list[int], Sampling, int], Completion] | None = None
        self.models: Any = None  # what /v1/models answers in place of the truth
        self.metrics: Callable[[], str] | None = None  # what /metrics says; None for no such page
        self.healthy = True
        self.knows_ids = True  # as servers do from vLLM 0.10.2 on
        self.requests: list[dict[str, Any]] = []
        self.finished: list[dict[str, Any]] = []
        self.now = self.peak = self.health_asked = 0
        self._slots, self._seconds = slots, seconds
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, at the port of the last time if there was one."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.serve(), self._loop).result()

    def stop(self) -> None:
        """Cut every connection, and leave the port. Nothing happens where it does not run."""
        if not self._thread.is_alive():
            return

        async def end() -> None:
            await self._site.stop()
            await turns(0.02)  # for connections that are just being accepted
            server = self._runner.server
            assert server is not None
            for connection in server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await self._runner.cleanup()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await turns(0.01)  # in which what was aborted is closed

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def serve(self) -> None:
        self._free = asyncio.Semaphore(self._slots)
        self._transports: set[asyncio.BaseTransport] = set()
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/pooling", self._pooling)
        app.router.add_post("/generate", self._completions)
        app.router.add_post("/completion", self._completions)
        app.router.add_get("/get_server_info", self._server_info)
        app.router.add_get("/props", self._props)
        app.router.add_post("/detokenize", self._detokenize)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True, backlog=4096)
        await self._site.start()
        self._port = self._runner.addresses[0][1]

    async def _health(self, request: web.Request) -> web.Response:
        self.health_asked += 1
        return web.Response(status=200 if self.healthy else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        if self.metrics is None:
            raise web.HTTPNotFound
        return web.Response(text=self.metrics())

    async def _models(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        if isinstance(self.models, str):
            return web.Response(text=self.models, content_type="text/html")
        owner = {"llama.cpp": "llamacpp", "openai": "somebody"}.get(self.kind, self.kind)
        card = {"id": self.model, "object": "model", "owned_by": owner, "root": self.model}
        if self.kind in ("vllm", "sglang"):
            card["max_model_len"] = self.max_model_len
        return web.json_response({"object": "list", "data": [card]} if self.models is None else self.models)

    async def _server_info(self, request: web.Request) -> web.Response:
        if self.kind != "sglang":
            raise web.HTTPNotFound
        return web.json_response({"enable_deterministic_inference": self.seeded, "version": "0.5.5"})

    async def _detokenize(self, request: web.Request) -> web.Response:
        if self.tokenizer is None:
            raise web.HTTPNotFound
        text = self.tokenizer.decode((await request.json())["tokens"])
        return web.json_response({"prompt": text.replace(" ", "") if self.loses_spaces else text})

    async def _props(self, request: web.Request) -> web.Response:
        if self.kind != "llama.cpp":
            raise web.HTTPNotFound
        settings = {"id": 0, "n_ctx": self.max_model_len, "params": {"n_predict": -1}}
        props = {"default_generation_settings": settings, "model_path": self.model_path}
        return web.json_response(props | {"total_slots": 4})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "choices", self._choice)

    async def _pooling(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "data", self._value)

    def _choice(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        if self.complete is not None:
            schema = body.get("structured_outputs", {}).get("json", "")
            sampling = Sampling(
                body["temperature"],
                max_tokens=body["max_tokens"],
                logprobs=body.get("logprobs", 0),
                schema=schema,
            )
            return self.completed(body, self.complete(body["prompt"], sampling, body["seed"]))
        text = self.reply(body["prompt"], body)
        tokens = min(len(text.split()) + 1, body["max_tokens"])
        reason = "stop" if tokens == len(text.split()) + 1 else "length"
        top = {f"token_id:{token}": -0.5 * token - 0.25 for token in range(body.get("logprobs", 0))}
        logprobs = {"top_logprobs": [top] * tokens} if top else None
        choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": logprobs}
        return choice | self._ids(body, range(tokens)), tokens

    def completed(self, body: dict[str, Any], one: Completion) -> tuple[dict[str, Any], int]:
        """A completion as the answer's choice, and its tokens."""
        if self.loses_spaces:
            one = replace(one, text=one.text.replace(" ", ""))
        named = {"top_logprobs": [{f"token_id:{token}": value for token, value in one.first}]}
        choice = {"index": 0, "text": one.text, "finish_reason": one.finish_reason, "logprobs": named}
        return choice | self._ids(body, one.token_ids or range(one.num_tokens)), one.num_tokens

    def _ids(self, body: dict[str, Any], ids: Iterable[int]) -> dict[str, Any]:
        return {"token_ids": list(ids)} if body.get("return_token_ids") and self.knows_ids else {}

    def _value(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        values = self.rating(body["input"], body)
        return {
            "index": 0,
            "object": "pooling",
            "data": base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode(),
        }, 0

    async def _answer(
        self, request: web.Request, name: str, make: Callable[[dict[str, Any]], tuple[dict[str, Any], int]]
    ) -> web.StreamResponse:
        body = await request.json()
        number = len(self.requests)
        self.requests.append(body)
        self.now += 1
        self.peak = max(self.peak, self.now)
        assert request.transport is not None
        self._transports.add(request.transport)
        try:
            what = self.script(number, body)
            async with self._free:
                await asyncio.sleep(self._seconds)
            if what is not None and (fault := await self._fault(what, request)) is not None:
                return fault
            if self.kind != "vllm":
                return self._other(request, body)
            one, tokens = make(body)
            prompt = len(body.get("prompt") or body["input"]) + (what == "long")
            if what in ("abort", "error", "repetition"):
                one["finish_reason"] = what
            if what == "loose":
                one["text"] = '{\n  "a": 1}'
            answer = {
                "model": "another" if what == "other" else self.model,
                name: {"two": [one, one], "none": []}.get(what or "", [one]),
                "usage": {
                    "prompt_tokens": prompt,
                    "completion_tokens": tokens,
                    "total_tokens": prompt + tokens,
                },
            }
            if what == "half":
                return await self._half(request, json.dumps(answer).encode())
            self.finished.append(body)
            return web.json_response(answer)
        finally:
            self.now -= 1

    def _other(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """The answer of a server of another kind, at the paths that it has."""
        paths = {"sglang": "/generate", "llama.cpp": "/completion", "openai": "/v1/completions"}
        if request.path != paths[self.kind]:
            raise web.HTTPNotFound
        how = body["sampling_params"] if self.kind == "sglang" else body
        prompt = body["input_ids" if self.kind == "sglang" else "prompt"]
        if isinstance(prompt, list) and not self.takes_ids:
            return web.json_response({"error": {"message": "prompt: a string is wanted"}}, status=422)
        if isinstance(prompt, str):
            own = [self.tokenizer.bos_token_id] if self.adds_bos else []
            prompt = own + self.tokenizer.encode(prompt, add_special_tokens=False)
        sampling = Sampling(
            how["temperature"],
            max_tokens=how.get("max_tokens") or how.get("max_new_tokens") or how["n_predict"],
            logprobs=body.get("top_logprobs_num") or body.get("n_probs") or 0,
            schema=json.dumps(schema) if isinstance(schema := how.get("json_schema", ""), dict) else schema,
        )
        assert self.complete is not None
        one = self.complete(prompt, sampling, how.get("sampling_seed", how.get("seed", 0)))
        ids, stopped = list(one.token_ids), one.finish_reason == "stop"
        self.finished.append(body)
        if self.kind == "sglang":
            why = {"type": "stop", "matched": ids[-1]} if stopped else {"type": "length", "length": len(ids)}
            meta = {"prompt_tokens": len(prompt), "completion_tokens": len(ids), "finish_reason": why}
            top = {"output_top_logprobs": [[[value, token, None] for token, value in one.first]]}
            meta |= top if sampling.logprobs else {}
            return web.json_response({"text": "?", "output_ids": ids, "meta_info": meta})
        if self.kind == "llama.cpp":
            top = [{"id": token, "token": "?", "logprob": value} for token, value in one.first]
            answer = {
                "model": self.model,
                "content": "?",
                "tokens": ids,
                "tokens_evaluated": len(prompt),
                "stop_type": "eos" if stopped else "limit",
            }
            answer |= {"completion_probabilities": [{"top_logprobs": top}]} if sampling.logprobs else {}
            return web.json_response(answer)
        usage = {"prompt_tokens": len(prompt), "completion_tokens": one.num_tokens}
        choice = {"index": 0, "text": one.text, "finish_reason": one.finish_reason}
        return web.json_response({"model": self.model, "choices": [choice], "usage": usage})

    async def _fault(self, what: str, request: web.Request) -> web.StreamResponse | None:
        """The answer that is none; None where what is wrong is within the answer."""
        status, _, wait = what.partition(":")
        if status.isdecimal() and len(status) == 3:
            words = {
                "error": {
                    "message": f"the words of {status}, asked with {request.headers.get('Authorization')}",
                    "code": int(status),
                }
            }
            return web.json_response(words, status=int(status), headers={"Retry-After": wait} if wait else {})
        if what == "truncated":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if what == "hang":
            await asyncio.sleep(3600)
        if what in ("garbage", "html"):
            return web.Response(text="<html>a page</html>" if what == "html" else '{"choices": [')
        if what.replace(".", "").isdecimal():
            await asyncio.sleep(float(what))
        return None

    async def _half(self, request: web.Request, raw: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(raw)
        await response.prepare(request)
        await response.write(raw[: len(raw) // 2])
        assert request.transport is not None
        request.transport.abort()
        return response


def main(slots: str, *seconds: str) -> None:
    servers = [FakeServer(slots=int(slots), seconds=float(each)) for each in seconds]

    async def serve() -> None:
        for server in servers:
            await server.serve()
        print(*(server.url for server in servers), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
