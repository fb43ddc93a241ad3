"""Compares tokens per second of an Endpoint over real vLLM servers with a plain client's, on a CPU.

Usage: endpoints.py MODEL [REQUESTS] [ROUNDS] (default 160 2)

Two servers of the model run on this machine. In every round they get the same requests, of skewed lengths,
first from a plain aiohttp client that sends all at once, alternating between the servers, and then from an
Endpoint. Servers and caches are the same for both.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import results

from magpie_hf import DOMAINS, Model, Sampling, chat_of, resolve
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.engines.served.wire import completion_body
from vllm_server import VLLMServer

Asked = list[tuple[list[int], Sampling, int]]


def requests(model: Model, count: int) -> Asked:
    """Pre-query prefixes of all domains, with max-tokens of 8 to 32."""
    dice, chat = random.Random(4), chat_of(model)
    turns = [list(chat.pre_query_prefix(domain.system)) for domain in DOMAINS.values()]
    bounds = [int(8 * 4 ** dice.random()) for _ in range(count)]
    return [
        (turns[at % len(turns)], Sampling(temperature=1.0, min_p=0.1, max_tokens=bound), at)
        for at, bound in enumerate(bounds)
    ]


def plain(urls: list[str], served: str, asked: Asked) -> float:
    """Tokens per second of a client that uses aiohttp alone."""
    bodies = [json.dumps({**completion_body(*one, one[1].max_tokens), "model": served}) for one in asked]

    async def ask(session: aiohttp.ClientSession, at: int) -> int:
        headers = {"Content-Type": "application/json"}
        async with session.post(
            f"{urls[at % len(urls)]}/completions", data=bodies[at], headers=headers
        ) as response:
            answer: dict[str, Any] = await response.json()
            return int(answer["usage"]["completion_tokens"])

    async def all_at_once() -> int:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return sum(await asyncio.gather(*(ask(session, at) for at in range(len(bodies)))))

    began = time.monotonic()
    return asyncio.run(all_at_once()) / (time.monotonic() - began)


def endpoint(engine: Endpoint, asked: Asked) -> float:
    """Tokens per second of a new Endpoint, which has not learned the servers' size yet."""
    began = time.monotonic()
    futures = [engine.submit(*one) for one in asked]
    tokens = sum(future.result().num_tokens for future in futures)
    seconds = time.monotonic() - began
    engine.close()
    return tokens / seconds


def main(folder: str, count: int = 160, rounds: int = 2) -> None:
    model = resolve(folder, dtype="float32", max_length=1024)
    asked = requests(model, count)
    rates: dict[str, list[float]] = {"plain": [], "endpoint": []}
    with tempfile.TemporaryDirectory() as logs, ExitStack() as stack:
        servers = [
            stack.enter_context(VLLMServer(Path(model.source), Path(logs, str(at)))) for at in range(2)
        ]
        urls = [server.ready().url for server in servers]
        plain(urls, model.source, asked[:16])  # the first requests of a server are slow
        for _ in range(rounds):
            rates["plain"].append(plain(urls, model.source, asked))
            rates["endpoint"].append(endpoint(Endpoint(model, urls=tuple(urls)), asked))
            print({name: [f"{rate:.0f}" for rate in found] for name, found in rates.items()}, flush=True)
    ratio = sum(rates["endpoint"]) / sum(rates["plain"])
    print(f"{ratio:.2f} of the plain client's tokens a second")
    results.record("endpoints", {"requests": count, "rates": rates, "ratio": ratio})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
