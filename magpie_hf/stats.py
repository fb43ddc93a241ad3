"""Numbers of a build, computed from its rows: the funnel of a domain, and tokens. Not here: how they are shown."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from magpie_hf.domains import Domain
from magpie_hf.rows import Published, Rows
from magpie_hf.stage import Batch


@dataclass(frozen=True)
class Funnel:
    """What became of one domain's draws.

    drawn: user turns drawn; dropped: those that are no problem, by reason; cut_solutions and cut_candidates: incomplete answers, by
    reason; unscored: complete candidates without a score, by reason; sft, pairs: rows of the two splits.
    """

    domain: str
    drawn: int
    dropped: dict[str, int]
    candidates: int
    cut_solutions: dict[str, int]
    cut_candidates: dict[str, int]
    unscored: dict[str, int]
    sft: int
    pairs: int

    @property
    def problems(self) -> int:
        return self.drawn - sum(self.dropped.values())

    def line(self) -> str:
        """The funnel in one line of text."""
        parts = [f"{self.drawn:,} drawn", f"{self.problems:,} problems{_reasons(self.dropped)}"]
        parts += [f"{self.sft:,} answered{_reasons(self.cut_solutions)}"]
        parts += [f"{self.candidates:,} candidates{_reasons(_sorted(Counter(self.cut_candidates) + Counter(self.unscored)))}"]
        return " -> ".join([*parts, f"{self.pairs:,} pairs"])


@dataclass(frozen=True)
class Built:
    """A domain's finished rows: all stage columns (`parts`), what is published of them by split, and the funnel."""

    domain: Domain
    parts: Sequence[Rows]
    published: Mapping[str, Published]
    funnel: Funnel

    @property
    def splits(self) -> dict[str, Published]:
        """The published splits that hold rows: `load_dataset` refuses an empty one, so none is written."""
        return {split: rows for split, rows in self.published.items() if len(rows)}


FUNNEL = ("dropped", "solutions", "candidates", "scores")  # the columns that a funnel is counted from


def batches(parts: Iterable[Rows], columns: Sequence[str]) -> Iterator[Batch]:
    """Columns of a domain's rows as plain lists, a few rows at a time: memory does not grow with rows."""
    for part in parts:
        yield from part.batches(columns)


def funnel(domain: str, rows: Iterable[Batch], sft: int, pairs: int) -> Funnel:
    """The funnel of a domain's rows (the columns of FUNNEL) and of the numbers of rows published of them."""
    dropped: Counter[str] = Counter()
    solutions: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    unscored: Counter[str] = Counter()
    drawn = candidates = 0
    for batch in rows:
        for reason, answers, tries, scores in zip(*(batch[column] for column in FUNNEL), strict=True):
            drawn += 1
            if reason is not None:
                dropped[reason] += 1
                continue
            candidates += len(tries)
            solutions.update(one["reason"] for one in answers if one["reason"])
            cut.update(one["reason"] for one in tries if one["reason"])
            unscored.update(s["reason"] for one, s in zip(tries, scores, strict=True) if one["reason"] is None and s["reason"])
    return Funnel(
        domain, drawn, _sorted(dropped), candidates, _sorted(solutions), _sorted(cut), _sorted(unscored), sft, pairs,
    )  # fmt: skip


def tokens(split: Dataset, column: str = "solution_tokens") -> dict[str, Any]:
    """Sum, mean, median and 95th percentile (nearest rank) of a token column; zeros for an empty split."""
    values = sorted(split[column]) if len(split) else [0]
    total = sum(values)
    return {
        "sum": total,
        "mean": total / len(values),
        "median": statistics.median(values),
        "p95": values[math.ceil(len(values) * 0.95) - 1],
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {reason}' for reason, count in counts.items())})" if counts else ""
