"""The bodies of requests to a vLLM server, and the results in its answers.

Not here: connections, and handling of faulty answers.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from magpie_hf.engines.base import Completion, Pooling, Rating, finite, resumable
from magpie_hf.engines.served.faults import Broken, Busy, Garbled
from magpie_hf.engines.vllm.engine import MOST_ALLOWED, token_grammar
from magpie_hf.errors import EngineError
from magpie_hf.models.sampling import Sampling

COMPLETIONS, RATINGS = "/v1/completions", "/pooling"
# Bytes that an answer may have: so many, so many a token of prompt and completion (a token of white space
# is the longest, some hundred), and so many more a token whose likeliest are told
LEAST_BYTES, TOKEN_BYTES, LOGPROB_BYTES = 1 << 20, 1 << 10, 1 << 14
COMPACT = """--structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'"""
FIRST_WITH_IDS = "0.10.2"  # the first vLLM that returns token ids where it is asked to
LEAST_LOGPROB = -9999.0  # what a server writes for minus infinity, which JSON lacks
MOST_LOGPROB = 1e-3  # rounding puts a certain token a little above 0
_IDS = range(2**31)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*("|$)', re.DOTALL)
# xgrammar 0.2.8 writes a space after some commas in compact JSON too (its issue 945)
_LOOSE = re.compile(r"[\n\r\t]|(?<!,) |  ")


def completion_body(prompt: Sequence[int], sampling: Sampling, seed: int, max_tokens: int) -> dict[str, Any]:
    """The request for one completion of at most `max_tokens` tokens, without the model's name.

    It sets every value that a server would else take from the model's generation_config.
    """
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "n": 1,
        "seed": seed,
        "max_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop_token_ids": list(sampling.stop_token_ids),
        "skip_special_tokens": False,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if resumable(sampling):
        body["return_token_ids"] = True
    if sampling.logprobs:
        body |= {"logprobs": sampling.logprobs, "return_tokens_as_token_ids": True}
    if sampling.schema:
        body["structured_outputs"] = {"json": sampling.schema}
    elif len(sampling.allowed_token_ids) > MOST_ALLOWED:
        body["structured_outputs"] = {
            "grammar": token_grammar(sampling.allowed_token_ids, sampling.max_tokens)
        }
    elif sampling.allowed_token_ids:
        body["allowed_token_ids"] = list(sampling.allowed_token_ids)
    return body


def rating_body(prompt: Sequence[int], pooling: Pooling) -> dict[str, Any]:
    """The request for one rating, without the model's name.

    Values come as float32 in base64: JSON has no NaN, which would make the server fail. A request cannot name
    a step token, so it asks for the values of all tokens, and `read_rating` selects.
    """
    task = {"embedding": "embed", "sequence": "classify"}.get(pooling.of, "token_classify")
    form = {"encoding_format": "base64", "embed_dtype": "float32", "endianness": "little"}
    return {"input": list(prompt), "task": task, "use_activation": pooling.of == "embedding", **form}


def most_bytes(prompt_tokens: int, max_tokens: int = 0, logprobs: int = 0) -> int:
    """The most bytes that an answer to such a request can have."""
    return (
        LEAST_BYTES
        + TOKEN_BYTES * (prompt_tokens + max_tokens)
        + (LOGPROB_BYTES * max_tokens if logprobs else 0)
    )


def read_completion(answer: Any, prompt_tokens: int, sampling: Sampling, max_tokens: int) -> Completion:
    """The completion in an answer.

    Raises Busy and Broken for a request that the server gave up, Garbled, and EngineError for JSON in a form
    that the server should not write and for token ids that are missing.
    """
    (choice,) = list_of_one(answer, "choices")
    text, reason = choice.get("text"), choice.get("finish_reason")
    if reason == "abort":
        raise Busy("aborted a request")
    if reason == "error":
        raise Broken("ended a request with an error")
    tokens = counted(answer, prompt_tokens, "completion_tokens")
    if not isinstance(text, str) or reason not in ("stop", "length", "repetition"):
        raise Garbled(f"a choice with the text {shown(text)} and the finish_reason {shown(reason)}")
    if tokens > max_tokens or (reason == "length" and tokens < max_tokens):
        raise Garbled(
            f"{tokens} tokens that ended by {reason!r}, of {max_tokens} asked for; it must not override"
            " max_new_tokens"
        )
    if sampling.schema and _LOOSE.search(_STRING.sub('""', text)):
        raise EngineError(f"writes JSON with white space between its parts; start it with {COMPACT}")
    first = _first(choice) if sampling.logprobs else ()
    ids = token_ids(choice, tokens) if resumable(sampling) else ()
    return Completion(text, reason, prompt_tokens, tokens, first, token_ids=ids)


def read_rating(answer: Any, prompt: Sequence[int], pooling: Pooling) -> Rating:
    """The rating in an answer. Raises Garbled."""
    (one,) = list_of_one(answer, "data")
    counted(answer, len(prompt), "total_tokens")
    try:
        raw = base64.b64decode(one["data"], validate=True)
        values = struct.unpack(f"<{len(raw) // 4}f", raw)
    except (KeyError, TypeError, ValueError, binascii.Error, struct.error) as error:
        raise Garbled(f"data that is no float32 in base64: {shown(one.get('data'))}") from error
    return finite(values if pooling.of in ("sequence", "embedding") else _of_tokens(values, prompt, pooling))


def _of_tokens(values: Sequence[float], prompt: Sequence[int], pooling: Pooling) -> list[float]:
    """The values of the last token, or of every step token, from the values of all tokens.

    A server that knows the step token (for Qwen2ForProcessRewardModel the published model's, by default)
    answers with the steps alone. The count tells the two apart, because no prompt consists of steps only.
    """
    width, rest = divmod(len(values), len(prompt))
    places = [at for at, token in enumerate(prompt) if token == pooling.step_token]
    if pooling.of == "steps" and (rest or not width):
        if not values or not places or len(values) % len(places):
            start = f"""--pooler-config '{{"step_tag_id": {pooling.step_token}}}'"""
            raise Garbled(
                f"{len(values)} values for {len(places)} steps of {len(prompt)} tokens; it may have to be"
                f" started with {start}"
            )
        return list(values)
    if rest or not width:
        raise Garbled(f"{len(values)} values for {len(prompt)} tokens")
    if pooling.of == "last_token":
        return list(values[-width:])
    return [value for at in places for value in values[at * width : (at + 1) * width]]


def list_of_one(answer: Any, name: str) -> list[dict[str, Any]]:
    """The list of this name, which must hold one object. Raises Garbled."""
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Garbled(f"no list of {name}: {shown(answer)}")
    if len(found) != 1:
        raise Garbled(f"{len(found)} {name} in place of 1")
    return found


def counted(answer: dict[str, Any], prompt_tokens: int, name: str) -> int:
    """A count of the answer's usage; its count of prompt tokens must match the prompt."""
    usage = answer.get("usage")
    prompt, count = (usage.get("prompt_tokens"), usage.get(name)) if isinstance(usage, dict) else (None, None)
    if type(prompt) is not int or type(count) is not int or count < 0:
        raise Garbled(f"no usage with its counts: {shown(usage)}")
    if prompt != prompt_tokens:
        raise Garbled(f"a prompt of {prompt} tokens in place of {prompt_tokens}")
    return count


def token_ids(choice: dict[str, Any], count: int) -> tuple[int, ...]:
    """The ids of a choice of so many tokens. Raises EngineError where there are none, and Garbled."""
    found = choice.get("token_ids")
    if found is None:
        raise EngineError(f"returns no token ids; start it with vLLM {FIRST_WITH_IDS} or later")
    if not isinstance(found, list) or len(found) != count or not all(map(is_id, found)):
        raise Garbled(f"no {count} token ids: {shown(found)}")
    return tuple(found)


def _first(choice: dict[str, Any]) -> tuple[tuple[int, float], ...]:
    try:
        top = choice["logprobs"]["top_logprobs"][0]
        named = [(int(token.removeprefix("token_id:")), value) for token, value in top.items()]
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise Garbled(f"no log-probabilities by token id: {shown(choice.get('logprobs'))}") from error
    return ranked(named)


def is_id(value: Any) -> bool:
    """Whether a server's value can be the id of a token."""
    return type(value) is int and value in _IDS


def ranked(named: Iterable[tuple[Any, Any]]) -> tuple[tuple[int, float], ...]:
    """Tokens and their log-probabilities, likeliest first. Raises Garbled for what is neither."""
    likeliest = []
    for token, value in named:
        if not is_id(token) or type(value) not in (int, float) or not value <= MOST_LOGPROB:  # also NaN
            raise Garbled(f"the log-probability {shown(value)} of the token {shown(token)}")
        likeliest.append((token, float(value) if value > LEAST_LOGPROB else -float("inf")))
    return tuple(sorted(likeliest, key=lambda item: -item[1]))


def shown(value: Any) -> str:
    """The beginning of the value as text, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:80] + "..."
