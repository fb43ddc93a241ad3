"""A model's own tokenizer, as its tokenizer.json says, loaded once in a process.

Not here: chat templates (chat.py).
"""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model, file_of, json_of


def tokenizer_of(model: Model) -> Any:
    """The tokenizer of a model, from its own files. No remote code runs.

    Raises BadInput where the files are missing or broken, or need code. Thread-safe.
    """
    with _LOADING:  # transformers' lazy imports are not thread-safe
        return _load(model)


_LOADING = threading.Lock()


@lru_cache(maxsize=8)
def _load(model: Model) -> Any:
    from transformers import AutoTokenizer, TokenizersBackend

    kind, files = AutoTokenizer, {}
    # transformers 5 builds another tokenizer than the file's where the class in tokenizer_config.json has a
    # build of its own: LlamaTokenizerFast over a byte-level file (DeepSeek-R1-Distill-Llama) loses all spaces
    if file_of(model, "tokenizer.json"):
        kind = TokenizersBackend
    elif tekken := file_of(model, "tekken.json"):
        if find_spec("mistral_common") is None:
            raise BadInput(
                f"{model.name} has a tekken.json alone, whose chat format is in mistral-common; pip install"
                " mistral-common"
            )
        kind, files = TokenizersBackend, {"vocab_file": str(tekken)}
    try:
        tokenizer = kind.from_pretrained(
            model.source, revision=model.hub_revision, trust_remote_code=False, **files
        )
    except Exception as error:  # transformers and tokenizers raise errors of any type for broken files
        if "auto_map" in (json_of(model, "tokenizer_config.json") or {}):
            raise BadInput(
                f"the tokenizer of {model.name} is code of its own, which does not run here, and it has no"
                " tokenizer.json; use a copy of the model that has one"
            ) from error
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadInput(f"the tokenizer of {model.name} cannot be loaded: {reason}") from error
    if (
        not tokenizer.chat_template
    ):  # of a model of images, the template stands where only its processor looks
        tokenizer.chat_template = (json_of(model, "chat_template.json") or {}).get("chat_template")
    return tokenizer
