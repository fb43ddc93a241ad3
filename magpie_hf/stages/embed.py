"""Embed: each problem as a vector, in which similar meanings are near.

Not here: comparing vectors (problems/near_duplicates/index.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import Engine, Pooling
from magpie_hf.errors import BadInput
from magpie_hf.models.heads import architecture
from magpie_hf.models.model import json_of
from magpie_hf.models.tokenizer import tokenizer_of
from magpie_hf.schema import EMBEDDING
from magpie_hf.stage import Batch, Stage, fingerprint

_POOLING = Pooling("embedding")


@dataclass(frozen=True)
class Embed(Stage):
    """The embedding of each problem, of length 1, by the model of `engine` (VLLM(model, runner="pooling")).

    A problem longer than the model's context is embedded by its beginning.
    """

    name: ClassVar[str] = "embed"
    reads: ClassVar[tuple[str, ...]] = ("problem",)

    engine: Engine

    @property
    def adds(self) -> Features:
        return Features(EMBEDDING)

    @property
    def reuse_key(self) -> str:
        return fingerprint(self)

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for key, embedding in zip(batch["embedding_request"], batch["embedding"], strict=True):
            if embedding is not None:
                yield key, [embedding, None]

    def run(self, batch: Batch) -> Batch:
        ratings = self.engine.rate(self._prompts(batch["problem"]), _POOLING)
        return {
            "embedding": [list(rating.values) if rating.reason is None else None for rating in ratings],
            "embedding_reason": [rating.reason for rating in ratings],
            "embedding_request": [rating.request for rating in ratings],
        }

    def check(self) -> None:
        """Raises BadInput where the model gives no embeddings or cannot run here, or without faiss."""
        if find_spec("faiss") is None:
            raise BadInput(
                "faiss, which compares embeddings, is not installed; pip install 'magpie-hf[embeddings]', or"
                " embed nothing"
            )
        model = self.engine.model
        if not self.engine.rates:
            raise BadInput(f'the engine of {model.name} embeds nothing; give it the runner "pooling"')
        if not (architecture(model).endswith("Model") or json_of(model, "modules.json") is not None):
            raise BadInput(
                f"{model.name} is no model of embeddings (its architecture is"
                f" {architecture(model) or 'not named'}); give an encoder, or a model of"
                " sentence-transformers"
            )
        tokenizer_of(model)
        self.engine.check()

    def _prompts(self, problems: Sequence[str]) -> list[list[int]]:
        limit = self.engine.max_length
        bound = {} if limit is None else {"truncation": True, "max_length": limit}
        ids: list[list[int]] = tokenizer_of(self.engine.model)(list(problems), **bound)["input_ids"]
        return ids


@dataclass(frozen=True)
class EmbedBenchmarks(Embed):
    """The same of the problems of benchmarks, in a folder of its own. It keeps no text."""

    name: ClassVar[str] = "embed_benchmarks"


@dataclass(frozen=True)
class EmbedKnown(Embed):
    """The same of the problems of known sets."""

    name: ClassVar[str] = "embed_known"
