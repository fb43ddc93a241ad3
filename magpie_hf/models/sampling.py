"""The sampling parameters that determine a completion.

Not here: the prompt, the seed, the engine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from magpie_hf.errors import BadInput, shortened

_MOST = 2**31  # of any value; vLLM keeps whole numbers in 32 bits


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters in vLLM's terms.

    temperature: 0 is greedy.
    top_k: how many of the likeliest tokens may be sampled; 0 for all, as is -1.
    min_p: drops tokens less likely than `min_p` times the likeliest.
    max_tokens: bounds the completion.
    logprobs: how many top log-probabilities of the first token are returned.
    stop_token_ids: end the completion.
    stop: texts that end the completion, which is cut before them; their tokens are counted.
    schema: a JSON schema, as text, that the completion must follow, without white space outside strings;
        properties come in the schema's order. "" for none.
    allowed_token_ids: the only tokens that may be sampled; only these can end the completion before
        `max_tokens`. () for all. Not together with a schema.

    Raises BadInput for a value outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    max_tokens: int = 1024
    repetition_penalty: float = 1.0
    logprobs: int = 0
    stop_token_ids: tuple[int, ...] = ()
    schema: str = ""
    allowed_token_ids: tuple[int, ...] = ()
    top_k: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "min_p", "repetition_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST < value < _MOST:
                raise BadInput(f"{name} is {shortened(value)}; give a finite number")
            # 1 and 1.0 are the same sampling and must hash alike, as must -0.0 and 0
            object.__setattr__(self, name, float(value) + 0.0)
        if not 0 <= self.temperature <= 2:
            raise BadInput(
                f"temperature is {self.temperature:g}; give a number from 0 (greedy) to 2, which is vLLM's"
                " limit"
            )
        if not 0 < self.top_p <= 1:
            raise BadInput(f"top_p is {self.top_p:g}; give a number above 0 and at most 1")
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or not -1 <= self.top_k < _MOST:
            said = shortened(self.top_k)
            raise BadInput(f"top_k is {said}; give a whole number above 0, or 0 for no limit")
        object.__setattr__(self, "top_k", max(0, self.top_k))  # vLLM has two values for no limit
        if not 0 <= self.min_p <= 1:
            raise BadInput(f"min_p is {self.min_p:g}; give a number from 0 to 1")
        if self.repetition_penalty <= 0:
            raise BadInput(f"repetition_penalty is {self.repetition_penalty:g}; give a number above 0")
        tokens = self.max_tokens
        if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens < _MOST:
            raise BadInput(f"max_tokens is {shortened(tokens)}; give a whole number of at least 1")
        if not 0 <= self.logprobs <= 20:
            raise BadInput(f"logprobs is {self.logprobs}; give a number from 0 to 20, which is vLLM's limit")
        object.__setattr__(self, "stop_token_ids", tuple(sorted(set(self.stop_token_ids))))
        if isinstance(self.stop, str) or not all(isinstance(text, str) and text for text in self.stop):
            raise BadInput(f"stop is {self.stop!r}; give a list of texts that are not empty")
        object.__setattr__(self, "stop", tuple(sorted(set(self.stop))))
        object.__setattr__(self, "allowed_token_ids", _token_ids(self.allowed_token_ids))
        if self.schema != "":
            _check_schema(self.schema)
            if self.allowed_token_ids:
                raise BadInput(
                    "a sampling has a schema and allowed_token_ids, which do not go together; give one of"
                    " them"
                )

    def identity(self) -> dict[str, Any]:
        """All that determines what is sampled.

        Schema, allowed ids, top_k and stop take part only where they are set, so that results from before
        they existed are still found. Token ids are represented by their digest.
        """
        known = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del known["schema"], known["allowed_token_ids"], known["top_k"], known["stop"]
        if self.schema:
            known["schema"] = self.schema
        if self.allowed_token_ids:
            known["allowed_token_ids"] = _digest(self.allowed_token_ids)
        if self.top_k:
            known["top_k"] = self.top_k
        if self.stop:
            known["stop"] = self.stop
        return {"is": "Sampling", "version": 1, **known}


def _token_ids(ids: Iterable[int]) -> tuple[int, ...]:
    """The ids, sorted and unique; the same object where they already are."""
    given = ids if isinstance(ids, tuple) else tuple(ids)
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 2**31:
            raise BadInput(f"allowed_token_ids holds {one!r}; give token ids, which are whole numbers from 0")
    return given if all(map(int.__lt__, given, given[1:])) else tuple(sorted(set(given)))


def _check_schema(schema: str) -> None:
    if not isinstance(schema, str):
        raise BadInput(f"schema is {schema!r}; give a JSON schema as text")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"schema is {schema[:60]!r}, which is no JSON; give a JSON schema as text") from error
    if not isinstance(parsed, dict):
        raise BadInput(f"schema is {schema[:60]!r}; give a JSON schema, which is an object")


@lru_cache(maxsize=8)
def _digest(ids: tuple[int, ...]) -> str:
    return hashlib.sha256(array("q", ids).tobytes()).hexdigest()[:16]
