"""The tokenizer that vLLM writes texts with: the one that chats are built with.

Not here: how it is loaded (models/tokenizer.py).
"""

from __future__ import annotations

import os
from typing import Any

from magpie_hf.models.model import Model
from magpie_hf.models.tokenizer import tokenizer_of

MODE = "magpie_hf"


def register_tokenizer() -> None:
    """Makes MODE a tokenizer mode of vLLM.

    vLLM's own "hf" writes "Ġ" for every space where transformers builds another tokenizer than
    tokenizer.json's.
    """
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    TokenizerRegistry.register(MODE, __name__, OwnTokenizer.__name__)
    RENDERER_REGISTRY.register(MODE, "vllm.renderers.hf", "HfRenderer")


class OwnTokenizer:
    """What vLLM calls to load a tokenizer."""

    @staticmethod
    def from_pretrained(source: str, *_: Any, revision: str | None = None, **__: Any) -> Any:
        from vllm.tokenizers.hf import get_cached_tokenizer

        folder = source if os.path.isdir(source) else None
        return get_cached_tokenizer(tokenizer_of(Model(source, revision or "main", path=folder)))
