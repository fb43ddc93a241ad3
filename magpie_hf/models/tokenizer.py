"""A model's own tokenizer, loaded once in a process.

Not here: chat templates (chat.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model

HALF = "\ufffd"  # what a part of a character decodes to
_INVALID = "Invalid prefix encountered"  # of a DecodeStream, after bytes that are no UTF-8
# What transformers raises for broken files.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError)


def tokenizer_of(model: Model) -> Any:
    """The tokenizer of a model, from its own files. No remote code runs.

    Raises BadInput where the files are missing or broken. Thread-safe.
    """
    with _LOADING:  # transformers' lazy imports are not thread-safe
        return _load(model)


def continuation(model: Model, prompt: Sequence[int], ids: Sequence[int]) -> str:
    """The text that these ids add to a prompt, as vLLM decodes it.

    Special tokens are kept, and the beginning of a character at the end is left out. The prompt matters
    because some tokenizers write a space before every word but the first.
    """
    from tokenizers.decoders import DecodeStream

    tokenizer = tokenizer_of(model)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:  # a tokenizer in Python, which cannot decode token by token
        head, whole = (
            tokenizer.decode(list(some), skip_special_tokens=False, clean_up_tokenization_spaces=False)
            for some in (prompt, [*prompt, *ids])
        )
        return str(whole.removeprefix(head).rstrip(HALF))
    stream, text = DecodeStream(ids=list(prompt), skip_special_tokens=False), []
    for one in ids:
        try:
            text.append(stream.step(fast, one) or "")
        except Exception as error:  # the library's own type is not public
            if not str(error).startswith(_INVALID):
                raise
            stream = DecodeStream(skip_special_tokens=False)  # as vLLM does
            text.append(stream.step(fast, one) or "")
    return "".join(text)


_LOADING = threading.Lock()


@lru_cache(maxsize=8)
def _load(model: Model) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model.source, revision=model.hub_revision)
    except _BROKEN as error:
        raise BadInput(
            f"the tokenizer of {model.name} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
