"""Whether a problem repeats a row of a benchmark: whole, in runs of eight words, or in its set of words.

Not here: loading benchmarks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from datasketch import LeanMinHash, MinHashLSH
from xxhash import xxh3_64_intdigest

from magpie_hf.problems.benchmarks.names import Loaded
from magpie_hf.problems.near_duplicates.clauses import Clause, clauses
from magpie_hf.problems.near_duplicates.comparing import holds
from magpie_hf.problems.near_duplicates.minhash import (
    PERMUTATIONS,
    SCHEME,
    Hashes,
    minhash,
    normal_hash_of,
    shingles,
)
from magpie_hf.problems.near_duplicates.normal import Token, tokens

COVERAGE = 0.8
NEAR = 0.8
# Words in a run, after s1 and open-r1's decontaminate.py, where one common run is a hit; here it makes a
# candidate
_GRAM = 8
# Words in the runs that are then counted: one changed word in a problem of twenty leaves too few runs of
# eight
_SHORT = 4
_PHRASE = 16  # words: a shorter row inside a longer problem is no evidence
_PLENTY = 24  # common words that are evidence even in a long row
_LEAST_WORDS = 12  # fewest content words for the comparison of word sets
_BANDS, _ROWS = 16, 6  # 99 % of the pairs at a Jaccard index of 0.8 share a band


class Index:
    """The rows of benchmarks, and which of them a problem repeats.

    A problem repeats a row if their normal forms are equal, whatever letters and persons are called. It also
    does if the question of the row is there (see comparing.holds) and one of two measures hits: they share a
    run of eight words, numbers and symbols, and at least `coverage` of the problem or of the row stands in
    common runs of four, each counted once; or MinHash estimates that at least `near` of their words, without
    formulas and numbers, are common.

    So another number in a problem of many words does not hide a benchmark's row, nor what is put before or
    behind it, and a common beginning such as "Find the number of ordered pairs of positive integers such
    that" is no hit. Below eight words only the normal form counts.
    """

    def __init__(self, benchmarks: Sequence[Loaded], coverage: float = COVERAGE, near: float = NEAR) -> None:
        self.coverage = coverage
        self.near = near
        self._labels: list[str] = []
        self._whole: dict[int, int] = {}  # rows by hash
        self._runs: dict[int, list[int]] = defaultdict(list)
        self._short: list[tuple[int, ...]] = []  # a row's runs of four
        self._texts: list[str] = []
        self._distinct: list[frozenset[int]] = []
        self._length: list[int] = []  # of a row, in words
        self._words: dict[int, Hashes] = {}
        self._near = MinHashLSH(num_perm=PERMUTATIONS, params=(_BANDS, _ROWS))
        for loaded in benchmarks:
            for text, row in zip(loaded.texts, loaded.rows, strict=True):
                self._add(f"{loaded.benchmark.name}/{row}", text)

    def find(self, problem: str) -> str | None:
        """The row that a problem repeats and the measure; None for a clean one.

        The form is "aime_2024/17 (8-grams 0.83)". The strictest measure that hits is named; of several rows,
        the one with the highest share, then the first.
        """
        found = tokens(problem)
        said = clauses(found)
        if (row := self._whole.get(normal_hash_of(found, said))) is not None:
            return f"{self._labels[row]} (whole)"
        for name, hits in (
            ("8-grams", self._by_runs(_unstopped(found))),
            ("MinHash", self._by_words(said)),
        ):
            for share, row in sorted((-share, row) for share, row in hits):
                if holds(problem, self._texts[row]):
                    return f"{self._labels[row]} ({name} {-share:.2f})"
        return None

    def _add(self, label: str, text: str) -> None:
        found, row = tokens(text), len(self._labels)
        said = clauses(found)
        self._labels.append(label)
        self._whole.setdefault(normal_hash_of(found, said), row)
        found = _unstopped(found)
        for run in set(_runs(found, _GRAM)):
            self._runs[run].append(row)
        self._short.append(tuple(_runs(found, _SHORT)))
        self._distinct.append(frozenset(self._short[-1]))
        self._length.append(len(found))
        self._texts.append(text)
        if (words := _words(said)) is not None:
            self._words[row] = words
            self._near.insert(row, _lean(words))

    def _by_runs(self, found: list[Token]) -> Iterator[tuple[float, int]]:
        """(share, row) of the rows that have most runs of tokens with a problem in common."""
        short = _runs(found, _SHORT)
        distinct = frozenset(short)
        for row in {row for run in _runs(found, _GRAM) for row in self._runs.get(run, ())}:
            length = self._length[row]
            # Half of what covers enough, before runs are counted: a long text shares phrases with many
            if 2 * _SHORT * len(self._distinct[row] & distinct) < self.coverage * min(length, len(found)):
                continue
            there = _covered(self._short[row], short)
            share = min(1.0, there / min(length, len(found)))
            if (there / length >= self.coverage and length >= _PHRASE) or (
                there >= min(length / 2, _PLENTY)
                and _covered(short, self._short[row]) / len(found) >= self.coverage
            ):
                yield share, row

    def _by_words(self, said: list[Clause]) -> Iterator[tuple[float, int]]:
        """(share, row) of the rows whose words are near a problem's."""
        if (words := _words(said)) is None:
            return
        for row in self._near.query(_lean(words)):
            share = float(np.mean(self._words[row] == words))
            if share >= self.near:
                yield share, row


def _unstopped(found: list[Token]) -> list[Token]:
    return [token for token in found if token.kind != "stop"]


def _runs(found: list[Token], length: int) -> list[int]:
    """Hashes of all runs of `length` tokens, in order; empty for fewer.

    Letters and names are renamed in each run by the order in which they appear there.
    """
    return [_hash(found[at : at + length]) for at in range(len(found) - length + 1)]


def _hash(run: list[Token]) -> int:
    order: dict[Token, str] = {}
    return xxh3_64_intdigest(
        " ".join(
            order.setdefault(token, f"{token.kind}{len(order)}")
            if token.kind in ("letter", "name")
            else token.text
            for token in run
        ).encode()
    )


def _covered(runs: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens of a text stand in runs of four that another text also has, each of its runs once."""
    left = Counter(others)
    words, end = 0, 0
    for at, run in enumerate(runs):
        if left[run] > 0:
            left[run] -= 1
            words += min(_SHORT, at + _SHORT - end)
            end = at + _SHORT
    return words


def _words(said: list[Clause]) -> Hashes | None:
    """The MinHash of the content words; None where there are too few."""
    words = shingles(said)
    return minhash(words) if sum(" " not in word for word in words) >= _LEAST_WORDS else None


def _lean(words: Hashes) -> Any:
    return LeanMinHash(seed=1, hashvalues=words, scheme=SCHEME)
