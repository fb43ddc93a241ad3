"""A model's own tokenizer, as its tokenizer.json says, loaded once in a process.

Not here: chat templates (template.py).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import Model, file_of, json_of, text_of

HALF = "\ufffd"  # what a part of a character decodes to
# What no text of a model's should hold: half characters and control characters, but tabs and ends of lines.
# A form feed is a \frac that went through JSON without its backslash.
BROKEN = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{HALF}]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INVALID = "Invalid prefix encountered"  # of a DecodeStream, after bytes that are no UTF-8


def tokenizer_of(model: Model) -> Any:
    """The tokenizer of a model, from its own files. No remote code runs.

    Raises BadInput where the files are missing or broken, or need code. Thread-safe.
    """
    with _LOADING:  # transformers' lazy imports are not thread-safe
        return _load(replace(model, chat_options=()))


def storable(text: str) -> str:
    """The text with `HALF` in place of each lone surrogate, which no file of text can hold.

    JSON can name one, so a server can answer with it.
    """
    return text if text.isascii() else _SURROGATE.sub(HALF, text)


def text_of_prompt(model: Model, ids: Sequence[int]) -> str:
    """The text whose ids these are, for an engine that takes no ids.

    Raises EngineError where the text gives other ids.
    """
    tokenizer = tokenizer_of(model)
    text = str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
    if tokenizer.encode(text, add_special_tokens=False) != list(ids):
        raise EngineError(
            f"a prompt of {len(ids)} tokens of {model.name} does not come back from its text, which the"
            " servers take in place of token ids; give servers that take token ids"
        )
    return text


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
    read = _reader(model)
    try:
        tokenizer = read()
    except Exception as error:  # transformers and tokenizers raise errors of any type for broken files
        if "auto_map" in (json_of(model, "tokenizer_config.json") or {}):
            raise BadInput(
                f"the tokenizer of {model.name} is code of its own, which does not run here, and it has no"
                " tokenizer.json; use a copy of the model that has one"
            ) from error
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadInput(
            f"the tokenizer of {model.name} cannot be loaded: {reason}; use a copy with the tokenizer files"
            " that save_pretrained wrote"
        ) from error
    if not isinstance(tokenizer.model_max_length, int | float):  # the file may hold anything
        raise BadInput(
            f"the tokenizer of {model.name} has the model_max_length {tokenizer.model_max_length!r}, which is"
            " no number; mend its tokenizer_config.json"
        )
    if not tokenizer.chat_template:
        tokenizer.chat_template = _processor_template(model)
    return tokenizer


def _reader(model: Model) -> Callable[[], Any]:
    """What makes the tokenizer of the files that the model has."""
    from transformers import AutoTokenizer, TokenizersBackend
    from transformers.integrations.mistral import convert_tekken_tokenizer

    kind: Any = AutoTokenizer
    if file_of(model, "tokenizer.json"):
        # Where tokenizer_config.json names a class that builds itself, AutoTokenizer takes little of it:
        # LlamaTokenizerFast over a byte-level one (DeepSeek-R1-Distill-Llama) loses all spaces
        kind = TokenizersBackend
    elif tekken := file_of(model, "tekken.json"):
        template = text_of(model, "chat_template.jinja") or _processor_template(model)
        if template is None and find_spec("mistral_common") is None:
            raise BadInput(
                f"{model.name} has a tekken.json alone, whose chat format is in mistral-common; pip install"
                " mistral-common"
            )
        return partial(convert_tekken_tokenizer, str(tekken), template)
    return partial(kind.from_pretrained, model.source, revision=model.hub_revision, trust_remote_code=False)


def _processor_template(model: Model) -> Any:
    """The chat template of a model of images, which stands where its processor alone looks; None without."""
    return (json_of(model, "chat_template.json") or {}).get("chat_template")
