"""Numbers of a build, computed from its rows: the funnel of a domain, and tokens. Not here: how they are shown."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, DatasetDict

from magpie_hf.domains import Domain


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
    """A domain's finished rows: all stage columns (`table`), what is published of them, and the funnel."""

    domain: Domain
    table: Dataset
    published: DatasetDict
    funnel: Funnel

    @property
    def splits(self) -> dict[str, Dataset]:
        """The published splits that hold rows: `load_dataset` refuses an empty one, so none is written."""
        return {split: rows for split, rows in self.published.items() if len(rows)}


def funnel(domain: str, table: Dataset, published: DatasetDict) -> Funnel:
    """The funnel of a domain's rows (all stage columns) and of what was published of them. Streams: memory does not grow with rows."""
    dropped: Counter[str] = Counter()
    solutions: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    unscored: Counter[str] = Counter()
    candidates = 0
    columns = ["dropped", "solutions", "candidates", "scores"]
    for batch in table.select_columns(columns).iter(batch_size=256):
        for reason, answers, tries, scores in zip(*(batch[column] for column in columns), strict=True):
            if reason is not None:
                dropped[reason] += 1
                continue
            candidates += len(tries)
            solutions.update(one["reason"] for one in answers if one["reason"])
            cut.update(one["reason"] for one in tries if one["reason"])
            unscored.update(s["reason"] for one, s in zip(tries, scores, strict=True) if one["reason"] is None and s["reason"])
    return Funnel(
        domain, len(table), _sorted(dropped), candidates, _sorted(solutions), _sorted(cut), _sorted(unscored),
        len(published["train_sft"]), len(published["train_prefs"]),
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
