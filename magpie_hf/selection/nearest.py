"""The problems of sets that lie nearest to each sample in meaning, by the embeddings of both.

Not here: making embeddings, and whether two are the same problem (stages/recognise.py, recognise_known.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from datasets import Features, Value

from magpie_hf.limits import ASKED_FROM, KNOWN_FROM, MOST_KNOWN
from magpie_hf.problems.benchmarks.names import Loaded
from magpie_hf.schema import KNOWN_KEY, KNOWN_NEIGHBOURS, NEAREST, NEAREST_KEY
from magpie_hf.store.rows import Made, Rows, in_memory, seed_rows

_ROUNDING = 1e-4  # of a product of matrices in single precision
_PRODUCT = 1 << 24  # cosines at once: 64 MB

Near = tuple[float, int]  # the cosine, and the position of the problem


class Nearest(ABC):
    """The problems of sets: rows to embed, and then the nearest ones to each sample."""

    features: ClassVar[dict[str, Any]]
    key: ClassVar[str]

    def __init__(self, sets: Sequence[Loaded]) -> None:
        self.problems = [text for one in sets for text in one.texts]
        self.labels = [f"{one.benchmark.name}/{row}" for one in sets for row in one.rows]
        self._embedded: dict[int, pa.Array] = {}  # by the first row of each part

    def rows(self, domain: str, start: int, stop: int) -> Rows:
        """A row for each of these problems, which goes into the folder of a domain."""
        features = Features({"problem": Value("string")})
        problems = in_memory("benchmarks", features, {"problem": self.problems[start:stop]})
        return seed_rows(domain, 0, start, stop).joined(features, problems)

    def take(self, part: Rows) -> list[Any]:
        """Take some of the embedded rows; nothing follows from them."""
        self._embedded[part.start] = part.read(["embedding"])["embedding"].combine_chunks()
        return []

    @abstractmethod
    def joined(self, rows: Rows) -> Rows:
        """The rows with the column of what is near, which is null where nothing is."""

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the problems that have an embedding, and their embeddings."""
        places, vectors = [], []
        for start, column in sorted(self._embedded.items()):
            places.append(start + np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)))
            if len(there := column.drop_null()):
                vectors.append(there.flatten().to_numpy(zero_copy_only=False).reshape(len(there), -1))
        self._embedded.clear()
        whole = np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32)
        return np.concatenate([*places, np.zeros(0, np.int64)]).astype(np.int64), whole.astype(np.float32)

    def _near(
        self, embeddings: Sequence[Sequence[float] | None], most: int, least: float
    ) -> Iterator[list[Near]]:
        """For each embedding the nearest problems, at most so many, from a cosine on; none without one."""
        places, vectors = self._vectors
        size = max(1, _PRODUCT // max(1, len(vectors)))
        for start in range(0, len(embeddings), size):
            block = embeddings[start : start + size]
            there = [one for one in block if one is not None] if len(vectors) else []
            wanted = np.array(there, np.float32)
            cosines = iter(wanted @ vectors.T if there else ())
            for at, one in enumerate(block):
                if one is None or not there:
                    yield []
                    continue
                about = next(cosines)
                kth = np.partition(about, -most)[-most] if len(about) > most else -1.0
                # Those that may be the nearest once more, in float64 and one by one: a product of matrices
                # rounds differently on other machines
                embedding = np.array(block[at], np.float32)
                exact = [
                    (float(np.sum(vectors[place].astype(np.float64) * embedding)), int(places[place]))
                    for place in np.flatnonzero(about >= max(least, float(kth)) - _ROUNDING)
                ]
                nearest = sorted(exact, key=lambda near: (-near[0], near[1]))[:most]
                yield [near for near in nearest if near[0] >= least]

    def _said(self, near: Near, with_text: bool = True) -> dict[str, Any]:
        cosine, at = near
        problem = self.problems[at] if with_text else None
        return {"row": self.labels[at], "problem": problem, "similarity": round(cosine, 4)}

    def _with(self, rows: Rows, values: Sequence[Any]) -> Rows:
        """The rows with the values of the column.

        The digests stay those of rows without it: the embedding and the sets determine it, on which the stage
        that reads it depends, and an unfinished build is published without loading the sets.
        """
        (column,) = self.features
        table = pa.table({column: values}, schema=Features(self.features).arrow_schema)
        made = Made(self.key, ((table, 0, len(table)),), rows.made[column].digests)
        return rows.joined(self.features, made)


class NearestBenchmark(Nearest):
    """The one benchmark's problem that is nearest to each sample, where that is near enough."""

    features: ClassVar[dict[str, Any]] = NEAREST
    key: ClassVar[str] = NEAREST_KEY

    def joined(self, rows: Rows) -> Rows:
        """The rows with the column of `schema.NEAREST`.

        It is null for a sample that is dropped or contaminated already, and where none is near.
        """
        columns = rows.read(["embedding", "contaminated_by", "dropped"]).to_pydict()
        wanted = [
            embedding if not named and not gone else None
            for embedding, named, gone in zip(*columns.values(), strict=True)
        ]
        found = self._near(wanted, 1, ASKED_FROM)
        return self._with(rows, [self._said(near[0]) if near else None for near in found])


class NearestKnown(Nearest):
    """The known problems that are nearest to each sample: always one, and further ones that are near enough.

    Of several with one text, the first.
    """

    features: ClassVar[dict[str, Any]] = KNOWN_NEIGHBOURS
    key: ClassVar[str] = KNOWN_KEY

    def __init__(self, sets: Sequence[Loaded]) -> None:
        super().__init__(sets)
        first: dict[str, str] = {}
        for text, label in zip(self.problems, self.labels, strict=True):
            first.setdefault(text, label)
        self.problems, self.labels = list(first), list(first.values())

    def joined(self, rows: Rows) -> Rows:
        """The rows with the column of `schema.KNOWN_NEIGHBOURS`."""
        embeddings = rows.read(["embedding"])["embedding"].to_pylist()
        return self._with(rows, list(map(self._neighbours, self._near(embeddings, MOST_KNOWN, -1.0))))

    def _neighbours(self, near: Sequence[Near]) -> list[dict[str, Any]] | None:
        asked = [self._said(one) for one in near if one[0] >= KNOWN_FROM]
        return asked or [self._said(one, with_text=False) for one in near[:1]] or None
