"""A model's own tokenizer, loaded once in a process.

Not here: chat templates (chat.py).
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model

# What transformers raises for broken files.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError)


def tokenizer_of(model: Model) -> Any:
    """The tokenizer of a model, from its own files. No remote code runs.

    Raises BadInput where the files are missing or broken. Thread-safe.
    """
    with _LOADING:  # transformers' lazy imports are not thread-safe
        return _load(model)


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
