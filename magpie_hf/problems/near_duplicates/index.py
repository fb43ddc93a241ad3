"""Which accepted problem a new one repeats.

Not here: signatures (minhash.py), embeddings, the order in which problems are offered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from datasketch import LeanMinHash, MinHashLSH

from magpie_hf.errors import BadInput
from magpie_hf.limits import NEAR, SIMILAR
from magpie_hf.problems.near_duplicates.comparing import same_words
from magpie_hf.problems.near_duplicates.minhash import PERMUTATIONS, SCHEME, Hashes

_BANDS, _ROWS = 20, 4  # 98 % of the pairs at a Jaccard index of 0.65 share a band, 99.997 % at 0.8
# Fewer symbols are too weak beside an embedding: "Let G be a group" begins very different problems
_LEAST_SYMBOLS = 4

Embeddings = npt.NDArray[np.float32]


class NearDuplicates:
    """The accepted problems, in the order in which they were added, and the search for repeated ones.

    A problem repeats an accepted one if their normal forms are equal: the same clauses in any order, up to
    typesetting, linking words, and names of variables and persons. It also does if their numbers and symbols
    are equal, their words or embeddings are near (a Jaccard index estimated by MinHash of at least `near`, or
    a cosine of at least `similar`, for problems with at least four symbols), and no word that decides differs
    (see comparing.same_words). Words or embeddings alone never make a near-duplicate: x^2 and x^3 have a
    cosine of 0.8. Of several the earliest is named, so the result depends on the order alone.

    A row has problem, normal_hash, signature, symbols_hash and num_symbols (see schema.SIGNATURE), and may
    have an embedding of length 1.
    """

    def __init__(self, near: float = NEAR, similar: float = SIMILAR) -> None:
        for name, value in (("near", near), ("similar", similar)):
            if not 0 < value <= 1:
                raise BadInput(f"{name} is {value}; give a share above 0 and at most 1")
        self.near = near
        self.similar = similar
        self._ids: list[str] = []
        self._problems: list[str] = []
        self._normal: dict[int, int] = {}  # positions by hash
        self._symbols: list[int] = []
        self._words = _Rows(np.uint32, PERMUTATIONS)
        self._near = MinHashLSH(num_perm=PERMUTATIONS, params=(_BANDS, _ROWS))
        self._embeddings: _Rows | None = None
        # Positions here and in _embeddings, by symbols' hash
        self._embedded: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, row: Mapping[str, Any]) -> str | None:
        """The id of the earliest accepted problem that this one repeats; None for a new one."""
        same = self._normal.get(row["normal_hash"], len(self._ids))
        earlier = sorted({at for at in self._near_ones(row) if at < same})
        at = next((at for at in earlier if same_words(self._problems[at], row["problem"])), same)
        return self._ids[at] if at < len(self._ids) else None

    def add(self, id: str, row: Mapping[str, Any]) -> None:  # noqa: A002 (the column's name)
        """Accept a problem."""
        at = len(self._ids)
        words = _marked(row)
        self._ids.append(id)
        self._problems.append(row["problem"])
        self._normal.setdefault(row["normal_hash"], at)
        self._symbols.append(row["symbols_hash"])
        self._words.append(words)
        self._near.insert(at, _lean(words), check_duplication=False)
        if _counts(row):
            embedding = np.asarray(row["embedding"], np.float32)
            if self._embeddings is None:
                self._embeddings = _Rows(np.float32, len(embedding))
            self._embedded[row["symbols_hash"]].append((at, len(self._embeddings)))
            self._embeddings.append(embedding)

    def _near_ones(self, row: Mapping[str, Any]) -> Iterator[int]:
        words = _marked(row)
        for at in self._near.query(_lean(words)):
            if self._symbols[at] == row["symbols_hash"] and np.mean(self._words[at] == words) >= self.near:
                yield at
        if self._embeddings is not None and _counts(row):
            embedding = np.asarray(row["embedding"], np.float64)
            for at, place in self._embedded.get(row["symbols_hash"], ()):
                # In float64 and one by one, because a product of matrices rounds differently for different
                # numbers of rows.
                if float(np.sum(self._embeddings[place] * embedding)) >= self.similar:
                    yield at


class _Rows:
    """A matrix that grows by rows."""

    def __init__(self, dtype: Any, width: int) -> None:
        self._values = np.empty((64, width), dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int) -> Any:
        return self._values[at]

    def append(self, row: npt.NDArray[Any]) -> None:
        if row.shape != self._values.shape[1:]:
            raise ValueError(f"a row of shape {row.shape} among rows of {self._values.shape[1:]}")
        if self._size == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values[self._size] = row
        self._size += 1


def _marked(row: Mapping[str, Any]) -> Hashes:
    """The words' MinHash, combined with the symbols' hash: values agree only where both do.

    Without this, all problems "Evaluate $...$" would be candidates of each other.
    """
    words: Hashes = np.asarray(row["signature"], np.uint32) ^ np.uint32(row["symbols_hash"] & 0xFFFFFFFF)
    return words


def _lean(words: Hashes) -> LeanMinHash:
    return LeanMinHash(seed=1, hashvalues=words, scheme=SCHEME)


def _counts(row: Mapping[str, Any]) -> bool:
    return row.get("embedding") is not None and row["num_symbols"] >= _LEAST_SYMBOLS


def neighbour_distances(embeddings: Embeddings) -> npt.NDArray[np.float32]:
    """The cosine distance of each of N embeddings to its nearest other one: N float32 values in 0..2, exact.

    embeddings: float32, N x width, each of length 1. A lone embedding has no neighbour: its distance is NaN.
    Needs faiss (the extra `embeddings`).
    """
    import faiss

    vectors = np.ascontiguousarray(embeddings, np.float32)
    distances = np.full(len(vectors), np.nan, np.float32)
    if len(vectors) < 2:
        return distances
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        cosines, places = index.search(block, 2)
        # The nearest is mostly the vector itself; of two equal vectors, faiss may return the other first.
        itself = places[:, 0] == np.arange(start, start + len(block))
        nearest = np.where(itself, cosines[:, 1], cosines[:, 0])
        distances[start : start + len(block)] = np.clip(1 - nearest, 0, 2)
    return distances


_BLOCK = 1024
