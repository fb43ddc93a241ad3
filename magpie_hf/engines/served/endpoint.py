"""Endpoint: the spec of an engine made of servers, and the live engine behind it.

Not here: connections and answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from magpie_hf.engines import meter
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, Pooling, Rating
from magpie_hf.engines.queued import Queued
from magpie_hf.engines.served.addresses import address
from magpie_hf.engines.served.faults import Fault, Garbled
from magpie_hf.engines.served.kinds import KINDS, Kind, kind_of
from magpie_hf.engines.served.other_wires import PATHS, body_of, decoded, read_answer
from magpie_hf.engines.served.pool import Pool
from magpie_hf.engines.served.request_queue import Request
from magpie_hf.engines.served.servers import CONNECT_SECONDS, Server
from magpie_hf.engines.served.wire import (
    COMPLETIONS,
    RATINGS,
    completion_body,
    most_bytes,
    rating_body,
    read_completion,
    read_rating,
)
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model, file_of, longest, vocabulary
from magpie_hf.models.sampling import Sampling

# The work of one prompt token for a server, in sampled tokens; a rough estimate is enough
PROMPT_WORK = 0.1


@dataclass(frozen=True)
class Endpoint(Engine):
    """Servers of one model.

    Every field but the model and the runner only says where and how fast it runs. Its requests equal those of
    `VLLM`, so each finds the other's results in the journal. Start the servers with `vllm serve`; for JSON
    equal to VLLM's, add the option `wire.COMPACT`. VLLM_API_KEY holds their key, of whatever kind they are.

    runner: "generate" completes prompts, "pooling" rates them, which vLLM's servers alone do here.
    urls: their addresses, such as http://host:8000/v1.
    kind: "vllm", "sglang", "llama.cpp" or "openai", for all of them. What of a kind's ways changes the rows
        is in the model's settings, where `marked` puts it.
    context: the tokens of prompt and completion together that each server must have room for; None takes what
        they have. A longer request is an error, so that a small context never truncates a row.
    max_in_flight: the most requests per server at once; below it the bound adapts to the server.
    timeout: seconds without an answer after which a request is sent again.
    patience: seconds without an answer from any server after which all requests fail.
    """

    runner: Literal["generate", "pooling"] = "generate"
    urls: tuple[str, ...] = field(default=(), compare=False)
    context: int | None = field(default=None, compare=False)
    max_in_flight: int = field(default=1024, compare=False)
    timeout: float = field(default=1800.0, compare=False)
    patience: float = field(default=300.0, compare=False)
    kind: str = field(default="vllm", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "urls", tuple(self.urls))
        addresses = [address(url) for url in self.urls]
        if not addresses:
            raise BadInput(
                f"no server of {self.model.name} is given; give the address of one, such as"
                " http://host:8000/v1"
            )
        if twice := next((one for one in addresses if addresses.count(one) > 1), None):
            raise BadInput(f"the server {twice} is given {addresses.count(twice)} times; give it once")
        if kind_of(self.kind).name != "vllm" and self.rates:
            raise BadInput(
                f"servers of the kind {self.kind} rate no texts here; give a vLLM server of {self.model.name}"
            )
        for name in ("context", "max_in_flight", "timeout", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # also catches NaN
                raise BadInput(f"{name} is {value}; give a number above 0")

    @property
    def max_length(self) -> int | None:
        return longest(self.model)

    @property
    def rates(self) -> bool:
        return self.runner == "pooling"

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        if self.rates:
            raise BadInput(
                f"the servers of {self.model.name} rate prompts and complete none; leave the runner at"
                " generate"
            )
        KINDS[self.kind].check(sampling)
        pool, count = self._live(), len(prompt)
        limit = self._limit(
            pool, count + sampling.max_tokens, f"{count} prompt tokens and {sampling.max_tokens} more exceed"
        )
        future: Queued[Completion] = Queued()
        if count >= limit:  # vLLM refuses a prompt that leaves no room for one token
            future.set_result(Completion("", CONTEXT_FULL, count, 0))
            return future
        room = min(sampling.max_tokens, limit - count)
        if self.kind == "vllm":
            path, body = COMPLETIONS, completion_body(prompt, sampling, seed, room)
            if not pool.texts:
                body["return_token_ids"] = True
        else:
            path, body = PATHS[self.kind], body_of(self.kind, self.model, prompt, sampling, seed, room)

        def read(answer: Any) -> Completion:
            told, rows = told_by(answer), vocabulary(self.model)
            highest = max(told.token_ids, default=0)
            if rows is not None and highest >= rows:
                raise Garbled(f"the token {highest}, which {self.model.name} does not have")
            return told

        def told_by(answer: Any) -> Completion:
            if self.kind == "vllm":
                told = read_completion(answer, count, sampling, room)
                if pool.texts:
                    return told
                return decoded(self.model, prompt, answer, told, sampling, room)
            return read_answer(self.kind, self.model, prompt, answer, sampling, room)

        request = Request(
            path,
            body,
            read,
            lambda completion: completion.num_tokens + PROMPT_WORK * count,
            most_bytes(count, room, sampling.logprobs),
            future.begin,
        )
        pool.submit(request).add_done_callback(
            partial(_deliver, future, Completion("", KILLED_ENGINE, count, 0))
        )
        return future

    def submit_rating(self, prompt: Sequence[int], pooling: Pooling) -> Future[Rating]:
        if not self.rates:
            raise BadInput(
                f"the servers of {self.model.name} complete prompts and rate none; give the runner pooling"
            )
        pool, count = self._live(), len(prompt)
        limit = self._limit(pool, count, f"{count} tokens exceed")
        future: Queued[Rating] = Queued()
        if count > limit:
            future.set_result(Rating((), CONTEXT_FULL))
            return future
        request = Request(
            RATINGS,
            rating_body(prompt, pooling),
            lambda answer: read_rating(answer, prompt, pooling),
            lambda _: PROMPT_WORK * count,
            most_bytes(count),
            future.begin,
        )
        pool.submit(request).add_done_callback(partial(_deliver, future, Rating((), KILLED_ENGINE)))
        return future

    def check(self) -> None:
        """Raises BadInput unless every server can be reached, is of its kind, and has this model and room."""
        self._open().close()

    def close(self) -> None:
        with _LOCK:
            pool = _LIVE.pop(self, None)
        if pool is not None:
            pool.close()
            meter.closed(self.model.name)

    def _live(self) -> Pool:
        with _LOCK:
            if self not in _LIVE:
                with meter.loading(self.model.name):
                    _LIVE[self] = self._open()
            return _LIVE[self]

    def _open(self) -> Pool:
        length = min((limit for limit in (self.context, self.max_length) if limit is not None), default=None)
        need = None if self.context is None else length
        pool = Pool(
            self.model, self.urls, need, self.max_in_flight, self.timeout, self.patience, KINDS[self.kind]
        )
        # Only a tokenizer.json can be taken for a tokenizer of another kind
        if self.kind == "vllm" and not self.rates and file_of(self.model, "tokenizer.json"):
            pool.compare_texts()
        return pool

    def _limit(self, pool: Pool, tokens: int, what: str) -> int:
        """The room for prompt and completion together, in tokens.

        Raises EngineError for a request that the model itself has room for, but not these servers.
        """
        own = self.max_length
        limit = min((one for one in (self.context, own, pool.max_length) if one is not None), default=tokens)
        if tokens > limit and limit != own:
            raise EngineError(
                f"{what} the context of {limit} tokens that the servers of {self.model.name} were given,"
                " which would truncate rows; raise --max-model-len of the servers, or the context"
            )
        return limit


def share_out(
    urls: Sequence[str], models: Sequence[Model], kind: str = "vllm", rated: Sequence[Model] = ()
) -> dict[Model, tuple[str, ...]]:
    """The servers of each model, found by asking every server what it serves.

    kind: of the servers; those of the models in `rated`, which rate texts, are vLLM. Raises BadInput for a
    server that cannot be reached, is not of its kind or serves none of the models, and for a model without a
    server.
    """
    kinds = {model: KINDS["vllm"] if model in rated else kind_of(kind) for model in models}
    found: dict[Model, list[str]] = {model: [] for model in kinds}
    for url, server in zip(urls, asyncio.run(_all(_server_of(url, kinds) for url in urls)), strict=True):
        found[server[0]].append(url)
    for model, served_by in found.items():
        if not served_by:
            raise BadInput(
                f"no server of {model.name} is given; start one with {kinds[model].start}, and give its"
                " address with --endpoint, too"
            )
    return {model: tuple(served_by) for model, served_by in found.items()}


def marked(model: Model, urls: Sequence[str], kind: str) -> Model:
    """The model with what of its servers' ways changes the rows in its settings.

    Text prompts, answers without seeds and a GGUF file are such ways; vLLM has none. Raises BadInput as
    `share_out`, and where the servers differ.
    """
    kinds = {model: kind_of(kind)}
    found = asyncio.run(_all(_server_of(url, kinds) for url in urls))
    for url, (_, marks) in zip(urls, found, strict=True):
        if marks != found[0][1]:
            raise BadInput(
                f"{address(url)} and {address(urls[0])} answer {model.name} in different ways, so rows would"
                " depend on which is asked; give servers that are alike"
            )
    return replace(model, settings=tuple(sorted({*model.settings, *found[0][1]})))


Found = tuple[Model, frozenset[tuple[str, str]]]


async def _all(asked: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    return list(await asyncio.gather(*asked))


async def _server_of(url: str, kinds: Mapping[Model, Kind]) -> Found:
    """The model that a server serves, and its marks."""
    others = list[BadInput]()
    for model, kind in kinds.items():
        server = Server(url, kind, 1, CONNECT_SECONDS)
        try:
            await server.identify(model, None)
        except Fault as fault:
            raise BadInput(
                f"{server.url} {fault}; start it, wait until it is ready, or leave it out"
            ) from None
        except BadInput as error:
            others.append(error)
        else:
            return model, server.marks
        finally:
            await server.close()
    raise others[-1]


_LIVE: dict[Endpoint, Pool] = {}
_LOCK = threading.Lock()


def _deliver(future: Future[Any], killed: Completion | Rating, raw: Future[Any]) -> None:
    """Set the result of a request; a raw result of None means that it brought servers down."""
    if (error := raw.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(killed if raw.result() is None else raw.result())
