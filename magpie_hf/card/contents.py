"""The contents of a card: the published rows, and the tokens, labels and scores that are counted in them.

Not here: how they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from magpie_hf.card.stats import Samples, Tally, Tokens, over_domains, tallies, tokens
from magpie_hf.schema import CANDIDATES_CONFIG, DEFAULT_CONFIG
from magpie_hf.store.manifest import Sum
from magpie_hf.store.splits import ParquetSplit, rows_of

TEXTS = ("problem_tokens", "solution_tokens", "chosen_tokens", "rejected_tokens")
LABELS = ("difficulty", "quality", "solvability", "category")


@dataclass
class Seen:
    """Counts and values of one domain's problems and candidates.

    labels: by kind and value. sides: problems by split. scores: of all scored candidates. majority_shares:
    of the problems that have one. score_gaps: of the pairs, by kind.
    """

    labels: dict[str, Counter[str]] = field(default_factory=lambda: {label: Counter() for label in LABELS})
    sides: Counter[str] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=list)
    majority_shares: list[float] = field(default_factory=list)
    score_gaps: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """The contents of a card.

    provenance: how the rows were made (`provenance.provenance`). samples: the numbers of each domain's
    samples. data: the published parquet files by configuration and split, each once, so without `default`;
    all other numbers are counted in them.
    """

    provenance: Mapping[str, Any]
    samples: Mapping[str, Samples]
    data: Mapping[str, Mapping[str, ParquetSplit]]

    @cached_property
    def domains(self) -> list[str]:
        return [domain["key"] for domain in self.provenance["domains"] if domain["key"] in self.samples]

    @property
    def own_code(self) -> Sequence[Mapping[str, Any]]:
        """Stages, rules and scorers of who built the dataset."""
        own: Sequence[Mapping[str, Any]] = self.provenance.get("own", ())
        return own

    @property
    def has_references(self) -> bool:
        """Whether problems were given with reference answers."""
        return self.provenance.get("own_problems", {}).get("answer") is not None

    @property
    def has_delta(self) -> bool:
        """Whether a smaller model's answers are rejected ones."""
        return "delta" in self.provenance["pairing"]

    @cached_property
    def configs(self) -> dict[str, dict[str, list[ParquetSplit]]]:
        """All configurations as they are loaded: `default`, whose splits are the domains', then `data`."""
        whole = over_domains(self.data, self.domains)
        each = {
            config: {split: [rows] for split, rows in splits.items()} for config, splits in self.data.items()
        }
        return {DEFAULT_CONFIG: whole, **each} if whole else each

    @cached_property
    def files(self) -> dict[str, Path]:
        """The data files by their path in the repository, "<config>/<file>"."""
        splits = (split for one in self.data.values() for split in one.values())
        return {path: file for split in splits for path, file in zip(paths(split), split.files, strict=True)}

    @cached_property
    def sums(self) -> dict[str, Sum]:
        """The checksums of the data files, by their path in the repository."""
        splits = (split for one in self.data.values() for split in one.values())
        return {path: one for split in splits for path, one in zip(paths(split), split.sums, strict=True)}

    @cached_property
    def tallies(self) -> dict[str, Tally]:
        return tallies(self.data, self.samples)

    @cached_property
    def seen(self) -> dict[str, Seen]:
        """The counts and values of each domain."""
        seen = {domain: Seen() for domain in self.domains}
        columns = (
            "domain",
            "tags",
            "majority_share",
            "candidates.score",
            "chosen_index",
            "rejected_index",
            "pair_kind",
        )
        for side, split in self.data.get(CANDIDATES_CONFIG, {}).items():
            for row in rows_of(split, columns):
                one, scores = seen[row["domain"]], row["candidates.score"]
                one.sides[side] += 1
                for label in LABELS:
                    one.labels[label].update(
                        [row["tags"][label]] if row["tags"] and row["tags"][label] else []
                    )
                one.scores += [score for score in scores if score is not None]
                one.majority_shares += [row["majority_share"]] if row["majority_share"] is not None else []
                if row["rejected_index"] is not None:
                    score_gap = scores[row["chosen_index"]] - scores[row["rejected_index"]]
                    one.score_gaps.setdefault(row["pair_kind"], []).append(score_gap)
        return seen

    @cached_property
    def lengths(self) -> dict[str, dict[str, dict[str, list[int]]]]:
        """Token counts by configuration, split and column: of texts and of candidates.

        The texts of a problem and of its pair count once, in the row of its best answer.
        """
        found: dict[str, dict[str, dict[str, list[int]]]] = {}
        for config, splits in self.data.items():
            is_domain = config in self.samples
            if not is_domain and config != CANDIDATES_CONFIG:
                continue
            columns = TEXTS if is_domain else ("candidates.num_tokens",)
            for split, rows in splits.items():
                counts: dict[str, list[int]] = {column: [] for column in columns}
                for row in rows_of(rows, (*columns, *(("answer_rank",) if is_domain else ()))):
                    is_first = row.get("answer_rank") in (None, 1)
                    for column in columns:
                        values = [row[column]] if is_domain else row[column]
                        if is_first or column == "solution_tokens":
                            counts[column] += [count for count in values if count is not None]
                found.setdefault(config, {})[split] = counts
        whole = over_domains(found, self.domains)
        found[DEFAULT_CONFIG] = {
            split: {column: [count for one in parts for count in one[column]] for column in TEXTS}
            for split, parts in whole.items()
        }
        return found

    def tokens(self, config: str, split: str, column: str) -> Tokens | None:
        """The token numbers of one column; None where it holds none."""
        counts = self.lengths.get(config, {}).get(split, {}).get(column)
        return tokens(counts) if counts else None

    @cached_property
    def thinks(self) -> bool:
        """Whether a published text holds thinking; reads up to the first that does."""
        splits = (split for domain in self.domains for split in self.data.get(domain, {}).values())
        return any(
            text is not None
            for split in splits
            for batch in split.batches(["thinking"])
            for text in batch["thinking"]
        )

    def example(self, domain: str) -> dict[str, Any] | None:
        """The first row of the domain's first split; None where it has no split."""
        columns = ("problem", "solution", "majority_answer", "majority_share", "answer_votes")
        for split in self.data.get(domain, {}).values():
            return next(rows_of(split, columns))
        return None


def paths(*parts: ParquetSplit) -> list[str]:
    """The files of a split, in one part or several, by their path in the repository, "<config>/<file>"."""
    return [f"{file.parent.name}/{file.name}" for split in parts for file in split.files]
