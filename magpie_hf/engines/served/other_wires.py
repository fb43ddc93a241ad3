"""The bodies of requests to servers of other kinds than vLLM, and the results in token ids.

Not here: vLLM's own form (wire.py), connections, and what a kind cannot do (kinds.py).

SGLang and llama.cpp tell the ids of a completion, so its text is decoded here, as vLLM decodes it, and ends
where vLLM would end it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from magpie_hf.engines.base import Completion, first_of, resumable
from magpie_hf.engines.served.faults import Busy, Garbled
from magpie_hf.engines.served.kinds import TEXTS
from magpie_hf.engines.served.wire import (
    COMPLETIONS,
    counted,
    is_id,
    list_of_one,
    ranked,
    shown,
    token_ids,
)
from magpie_hf.errors import EngineError
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import continuation, text_of_prompt, tokenizer_of

GENERATE, COMPLETION = "/generate", "/completion"
PATHS: Mapping[str, str] = {"sglang": GENERATE, "llama.cpp": COMPLETION, "openai": COMPLETIONS}
MOST_SEED = 2**31 - 1  # llama.cpp keeps 32 bits of a seed, and its largest means a random one


def body_of(
    kind: str, model: Model, prompt: Sequence[int], sampling: Sampling, seed: int, max_tokens: int
) -> dict[str, Any]:
    """The request for one completion of at most `max_tokens` tokens.

    It sets every value that a server would else choose itself. Raises EngineError for a prompt that does not
    survive as text, where it must go as one.
    """
    if kind == "sglang":
        return _to_sglang(prompt, sampling, seed, max_tokens)
    if kind == "llama.cpp":
        return _to_llama_cpp(model, prompt, sampling, seed, max_tokens)
    return _to_openai(model, prompt, sampling, seed, max_tokens)


def read_answer(
    kind: str, model: Model, prompt: Sequence[int], answer: Any, sampling: Sampling, max_tokens: int
) -> Completion:
    """The completion in an answer. Raises Busy for a request that the server gave up, and Garbled."""
    if not isinstance(answer, dict):
        raise Garbled(f"no object: {shown(answer)}")
    if kind == "openai":
        return _from_openai(model, len(prompt), answer, sampling, max_tokens)
    told = _from_sglang(answer, sampling) if kind == "sglang" else _from_llama_cpp(answer, sampling)
    count, ids, ended, first = told
    if count != len(prompt):
        raise Garbled(f"a prompt of {shown(count)} tokens in place of {len(prompt)}")
    if not isinstance(ids, list) or not all(map(is_id, ids)):
        raise Garbled(f"no token ids: {shown(ids)}")
    if ended == "length" and len(ids) < max_tokens:
        raise Garbled(f"{len(ids)} tokens that ended by 'length', of {max_tokens} asked for")
    return _completion(model, prompt, ids, ended, sampling, max_tokens, first)


def decoded(
    model: Model, prompt: Sequence[int], answer: Any, told: Completion, sampling: Sampling, max_tokens: int
) -> Completion:
    """The completion that a vLLM server told, with its text decoded from the ids in the answer."""
    (choice,) = list_of_one(answer, "choices")
    ended = told.finish_reason
    if ended == "stop":
        ended = "text" if isinstance(choice.get("stop_reason"), str) else "token"
    ids = token_ids(choice, told.num_tokens)
    made = _completion(model, prompt, ids, ended, sampling, max_tokens, told.first)
    return replace(made, finish_reason=ended) if ended == "repetition" else made


def _completion(
    model: Model,
    prompt: Sequence[int],
    ids: Sequence[int],
    ended: str,
    sampling: Sampling,
    max_tokens: int,
    first: tuple[tuple[int, float], ...],
) -> Completion:
    """The completion of these ids, cut as vLLM cuts one.

    ended: by what the server ended it, "token", "text" or "length". llama.cpp ends at its own end tokens
    alone, and may exceed the bound by what completes a character.
    """
    ends = set(sampling.stop_token_ids)
    if (at := next((at for at, one in enumerate(ids) if one in ends), None)) is not None:
        ids, ended = ids[: at + 1], "token"
    if len(ids) > max_tokens:
        ids, ended = ids[:max_tokens], "length"
    text = continuation(model, prompt, ids[:-1] if ended == "token" else ids)
    if (end := first_of(sampling.stop, text)) is not None:
        text, ended = text[:end], "text"
    reason = "length" if ended == "length" else "stop"
    known = tuple(ids) if resumable(sampling) else ()
    return Completion(text, reason, len(prompt), len(ids), first, token_ids=known)


def _to_sglang(prompt: Sequence[int], sampling: Sampling, seed: int, max_tokens: int) -> dict[str, Any]:
    how: dict[str, Any] = {
        "max_new_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "stop_token_ids": list(sampling.stop_token_ids),
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "sampling_seed": seed % MOST_SEED,
    }
    if sampling.stop:
        how["stop"] = list(sampling.stop)
    if sampling.schema:
        how["json_schema"] = sampling.schema
    body: dict[str, Any] = {"input_ids": list(prompt), "sampling_params": how, "stream": False}
    if sampling.logprobs:
        body |= {"return_logprob": True, "logprob_start_len": -1, "top_logprobs_num": sampling.logprobs}
    return body


def _from_sglang(answer: dict[str, Any], sampling: Sampling) -> tuple[Any, Any, str, Any]:
    meta = answer.get("meta_info")
    why = meta.get("finish_reason") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(why, dict):
        raise Garbled(f"no meta_info with a finish_reason: {shown(answer)}")
    if why.get("type") == "abort":
        raise Busy("aborted a request")
    if why.get("type") not in ("stop", "length"):
        raise Garbled(f"the finish_reason {shown(why)}")
    ended = "length" if why["type"] == "length" else "token" if type(why.get("matched")) is int else "text"
    top: Any = meta.get("output_top_logprobs")
    first = _first(sampling, lambda: ((one[1], one[0]) for one in top[0]), top)
    return meta.get("prompt_tokens"), answer.get("output_ids"), ended, first


def _first(
    sampling: Sampling, pairs: Callable[[], Iterable[tuple[Any, Any]]], told: Any
) -> tuple[tuple[int, float], ...]:
    """The likeliest first tokens with their log-probabilities, where they were asked for.

    pairs: reads them from `told`, which an error shows. Raises Garbled where they are not there.
    """
    try:
        return ranked(pairs()) if sampling.logprobs else ()
    except (KeyError, TypeError, IndexError) as error:
        raise Garbled(f"no log-probabilities by token id: {shown(told)}") from error


def _to_llama_cpp(
    model: Model, prompt: Sequence[int], sampling: Sampling, seed: int, max_tokens: int
) -> dict[str, Any]:
    # It ends at the end tokens of its file alone, and writes no other special token unless it is preserved
    ends = _texts_of(model, sampling.stop_token_ids)
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "n_predict": max_tokens,
        "seed": seed % MOST_SEED,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "typical_p": 1.0,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": -1,  # as vLLM, which penalises what stands anywhere in the context
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "samplers": ["penalties", "temperature", "min_p", "top_k", "top_p"],  # in vLLM's order
        "stop": [*sampling.stop, *ends],
        "preserved_tokens": ends,
        "return_tokens": True,
        "stream": False,
    }
    if sampling.logprobs:
        body["n_probs"] = sampling.logprobs
    if sampling.schema:
        body["json_schema"] = json.loads(sampling.schema)
    return body


def _from_llama_cpp(answer: dict[str, Any], sampling: Sampling) -> tuple[Any, Any, str, Any]:
    ended = {"eos": "token", "word": "text", "limit": "length"}.get(str(answer.get("stop_type")))
    if ended is None:
        raise Garbled(f"the stop_type {shown(answer.get('stop_type'))}")
    top: Any = answer.get("completion_probabilities")
    first = _first(sampling, lambda: ((one["id"], one["logprob"]) for one in top[0]["top_logprobs"]), top)
    return answer.get("tokens_evaluated"), answer.get("tokens"), ended, first


def _to_openai(
    model: Model, prompt: Sequence[int], sampling: Sampling, seed: int, max_tokens: int
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "prompt": text_of_prompt(model, prompt) if TEXTS in model.settings else list(prompt),
        "n": 1,
        "seed": seed % MOST_SEED,
        "max_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if stop := [*sampling.stop, *_texts_of(model, sampling.stop_token_ids)]:
        body["stop"] = stop
    return body


def _from_openai(
    model: Model, prompt_tokens: int, answer: dict[str, Any], sampling: Sampling, max_tokens: int
) -> Completion:
    """The text is the server's own, since it tells no ids; so a truncated one cannot go on."""
    (choice,) = list_of_one(answer, "choices")
    text, reason = choice.get("text"), choice.get("finish_reason")
    tokens = counted(answer, prompt_tokens, "completion_tokens")
    if not isinstance(text, str) or reason not in ("stop", "length"):
        raise Garbled(f"a choice with the text {shown(text)} and the finish_reason {shown(reason)}")
    if tokens > max_tokens:
        raise Garbled(f"{tokens} tokens, of {max_tokens} asked for")
    if (end := first_of([*sampling.stop, *_texts_of(model, sampling.stop_token_ids)], text)) is not None:
        text, reason = text[:end], "stop"
    if reason == "length" and tokens < max_tokens:
        raise EngineError(
            f"ends answers by a bound of its own, after {tokens} tokens of {max_tokens} asked for; raise that"
            " bound, or lower --max-tokens"
        )
    return Completion(text, reason, prompt_tokens, tokens)


def _texts_of(model: Model, ids: Sequence[int]) -> list[str]:
    """The text of each of these tokens."""
    tokenizer = tokenizer_of(model)
    return [str(tokenizer.decode([one], skip_special_tokens=False)) for one in ids]
