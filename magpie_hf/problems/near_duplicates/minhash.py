"""The signature of a problem: hashes of its normal form and of its symbols, and the MinHash of its words.

Not here: comparing signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from datasketch import MinHash
from xxhash import xxh3_64_intdigest

from magpie_hf.problems.near_duplicates.clauses import GUIDING, Clause, clauses
from magpie_hf.problems.near_duplicates.normal import Token, normal_form, tokens
from magpie_hf.problems.near_duplicates.symbols import statement_of, symbols_of

PERMUTATIONS = 128  # gives an estimate of a Jaccard index of 0.7 a standard error of 0.04
SCHEME = "affine32"  # datasketch's name for values of 32 bits
_SEED = 1

Hashes = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Signature:
    """The hashes that identify a problem.

    normal_hash, symbols_hash: 64 bits, signed.
    words: MinHash values of 32 bits each.
    num_symbols: numbers and symbols in formulas.
    """

    normal_hash: int
    words: Hashes
    symbols_hash: int
    num_symbols: int


def signature_of(problem: str) -> Signature:
    """The signature of a problem: the same in every process and on every machine."""
    found = tokens(problem)
    said = clauses(found)
    symbols, count = symbols_of(said)
    words = shingles(said)
    return Signature(
        normal_hash_of(found, said),
        minhash(words if words or count else _all_words(found)),
        signed_hash(symbols),
        count,
    )


def normal_hash_of(found: list[Token], said: Sequence[Clause]) -> int:
    """The hash of what a problem says; of all its words, where it says nothing but linking ones."""
    return signed_hash(statement_of(said) if said else normal_form(found))


def shingles(said: Iterable[Clause]) -> set[str]:
    """Single words, and pairs of neighbours within a clause.

    So clauses may change places, but words may not.
    """
    found: set[str] = set()
    for clause in said:
        words = [word for word in clause.words if word not in GUIDING]
        found |= set(words) | {f"{one} {other}" for one, other in pairwise(words)}
    return found


def minhash(texts: set[str]) -> Hashes:
    """MinHash of a set of texts: `PERMUTATIONS` values of 32 bits; all are the largest for no texts."""
    made = MinHash(num_perm=PERMUTATIONS, seed=_SEED, permutations=_permutations(), scheme=SCHEME)
    if texts:
        made.update_batch([text.encode() for text in sorted(texts)])
    hashes: Hashes = made.hashvalues.astype(np.uint32)
    return hashes


def signed_hash(text: str) -> int:
    """A hash of a text: 64 bits as a signed integer, for Arrow's int64."""
    return int(np.uint64(xxh3_64_intdigest(text.encode())).astype(np.int64))


def _all_words(found: list[Token]) -> set[str]:
    """All words, for a problem of linking words alone, such as "What is it?"."""
    return {token.text for token in found if token.kind == "word"}


@cache
def _permutations() -> Any:
    """The permutations of all signatures.

    datasketch would otherwise compute them again for every problem, from a fixed seed.
    """
    return MinHash(num_perm=PERMUTATIONS, seed=_SEED, scheme=SCHEME).permutations
