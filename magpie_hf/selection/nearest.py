"""The benchmark's problem that lies nearest to each sample in meaning, by the embeddings of both.

Not here: making embeddings, and whether the two are the same problem (stages/recognise.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features, Value

from magpie_hf.limits import ASKED_FROM
from magpie_hf.problems.benchmarks.names import Loaded
from magpie_hf.schema import NEAREST, NEAREST_KEY
from magpie_hf.store.rows import Made, Rows, in_memory, seed_rows

_ROUNDING = 1e-4  # of a product of matrices in single precision


class Nearest:
    """The problems of benchmarks: rows to embed, and then the nearest one to each sample."""

    def __init__(self, benchmarks: Sequence[Loaded]) -> None:
        self.problems = [text for one in benchmarks for text in one.texts]
        self.labels = [f"{one.benchmark.name}/{row}" for one in benchmarks for row in one.rows]
        self._embedded: dict[int, list[list[float] | None]] = {}  # by the first row of each part

    def rows(self, domain: str, start: int, stop: int) -> Rows:
        """A row for each of these problems, which goes into the folder of a domain."""
        features = Features({"problem": Value("string")})
        problems = in_memory("benchmarks", features, {"problem": self.problems[start:stop]})
        return seed_rows(domain, 0, start, stop).joined(features, problems)

    def take(self, part: Rows) -> list[Any]:
        """Take some of the embedded rows; nothing follows from them."""
        self._embedded[part.start] = part.read(["embedding"])["embedding"].to_pylist()
        return []

    @cached_property
    def _vectors(self) -> np.ndarray:
        """The embeddings of all rows; one without an embedding is near to nothing."""
        vectors = [vector for _, part in sorted(self._embedded.items()) for vector in part]
        width = len(next(filter(None, vectors), ()))
        self._embedded.clear()
        return np.array([vector or [0.0] * width for vector in vectors], np.float32)

    def joined(self, rows: Rows) -> Rows:
        """The rows with the column of `schema.NEAREST`.

        It is null for a sample that is dropped or contaminated already, and where none is near.
        """
        columns = rows.read(["embedding", "contaminated_by", "dropped"]).to_pydict()
        found = [
            self._nearest(np.array(embedding, np.float32)) if embedding and not named and not gone else None
            for embedding, named, gone in zip(*columns.values(), strict=True)
        ]
        table = pa.table({"nearest_benchmark": found}, schema=Features(NEAREST).arrow_schema)
        # The digests stay those of rows without it: the embedding and the benchmarks determine it, on which
        # `Recognise` depends, and an unfinished build is published without loading benchmarks
        digests = rows.made["nearest_benchmark"].digests
        return rows.joined(NEAREST, Made(NEAREST_KEY, ((table, 0, len(table)),), digests))

    def _nearest(self, embedding: np.ndarray) -> dict[str, Any] | None:
        if not self._vectors.size:
            return None
        about = self._vectors @ embedding
        # Those that may be the nearest once more, in float64 and one by one: a product of matrices rounds
        # differently on other machines
        best = [
            (float(np.sum(self._vectors[at].astype(np.float64) * embedding)), -int(at))
            for at in np.flatnonzero(about >= max(ASKED_FROM, float(about.max())) - _ROUNDING)
        ]
        cosine, at = max(best, default=(0.0, 0))
        if cosine < ASKED_FROM:
            return None
        return {"row": self.labels[-at], "problem": self.problems[-at], "similarity": round(cosine, 4)}
