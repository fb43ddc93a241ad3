"""What every export is: which rows it takes, which columns it has and reads.

Not here: the rows of a split.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.problems.heldout import HeldOut
from magpie_hf.schema import (
    OPINIONS,
    PARENT,
    PUBLISHED,
    REJECTED,
    TOPIC,
    WITH_DELTA,
    WITH_REFERENCE,
    Side,
)
from magpie_hf.stage import Batch
from magpie_hf.stages.step import OwnColumn

Row = dict[str, Any]
SHOWN, USED = "shown", "used"  # what an export does with reference answers
_REFERRED = (
    "reference_answer",
    "reference_agrees",
    "matches_reference",
    "solution_matches",
    "reference_readable",
)


class Export(ABC):
    """Turns a batch into the published rows of one split: other rows, and only the columns of `features`.

    domain: the domain that the rows count for.
    moved: whether they were sampled for another domain.
    own: the columns of stages of one's own; one without values here is in another split of the configuration.
    suffix: distinguishes its folder in the run from those of the domain's other exports.
    reference: "shown" adds the columns of `schema.WITH_REFERENCE` to the texts and the candidates; "used"
        also has a reference answer take the place of the majority's.
    opinions: which columns of `schema.OPINIONS` follow.
    delta: whether a smaller model's answers are rejected ones, and the columns of `schema.WITH_DELTA` follow.
    topics: whether those of `schema.TOPIC` follow.
    generation: how the rows were made, and harder: what of that is otherwise where a problem was made harder.
    """

    COLUMNS: ClassVar[Features]
    READS: ClassVar[tuple[str, ...]]
    suffix: ClassVar[str] = ""

    domain: str
    moved: bool
    own: tuple[OwnColumn, ...]
    reference = ""
    opinions: tuple[str, ...] = ()
    delta = False
    topics = False
    generation: tuple[tuple[str, Any], ...] = ()
    harder: tuple[tuple[str, Any], ...] = ()
    shows_references: ClassVar[bool] = True

    @property
    def features(self) -> Features:
        """The columns of the split, with their types."""
        referred = WITH_REFERENCE if self.reference and self.shows_references else {}
        own = {column: json.loads(kind) for column, kind, _ in self.own}
        return Features(
            {**self.COLUMNS, **referred, **self._rejected, **self._more, **Features.from_dict(own)}
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it is made from."""
        referred = _REFERRED if self.reference else ()
        rejected = tuple(REJECTED) if self.delta else ()
        return (
            *self.READS,
            *referred,
            *rejected,
            *map(_stored, self._more),
            *(column for column, _, given in self.own if given),
        )

    @property
    def _rejected(self) -> Row:
        return WITH_DELTA.get(self.config, WITH_DELTA["texts"]) if self.delta else {}

    @property
    def _more(self) -> Row:
        """The columns that follow as they stand in the rows."""
        opinions = {name: kind for of in self.opinions for name, kind in OPINIONS[of].items()}
        return {**(TOPIC if self.topics else {}), **opinions}

    def generation_of(self, row: Row) -> Row:
        """How the row was made, without what its answer says."""
        return {**dict(self.generation), **(dict(self.harder) if self.harder and row["round"] else {})}

    @property
    def by_reference(self) -> bool:
        return self.reference == USED

    @property
    @abstractmethod
    def config(self) -> str:
        """The configuration's name."""

    @property
    @abstractmethod
    def split(self) -> str:
        """The split's name."""

    @property
    def label(self) -> str:
        """The name of its folder in the run."""
        return f"{f'as_{self.domain}_' if self.moved else ''}{self.split}{self.suffix}"

    def __call__(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        published = [
            {**made, **more, **{column: row[column] if given else None for column, _, given in self.own}}
            for row in filter(self.takes, rows)
            for more in [{column: row[_stored(column)] for column in self._more}]
            for made in self.rows(row)
        ]
        return {column: [row[column] for row in published] for column in self.features}

    def takes(self, row: Row) -> bool:
        """Whether this export considers the row."""
        return bool(row["accepted_as"] == self.domain)

    @abstractmethod
    def rows(self, row: Row) -> list[Row]:
        """The published rows of one that counts for the domain; [] where the split does not take it."""


@dataclass(frozen=True)
class Divided(Export):
    """An export whose rows are divided into train and test; `side` is the part that it takes."""

    domain: str
    held_out: HeldOut
    side: Side

    def takes(self, row: Row) -> bool:
        return super().takes(row) and (row["normal_hash"] in self.held_out) == (self.side == "test")


def _stored(column: str) -> str:
    """The name in the run of a column that follows."""
    return PARENT if column == "parent" else column


def referred(row: Row) -> Row:
    """The columns of the reference; none where the rows have none."""
    return {name: row[name] for name in WITH_REFERENCE if name in row}


def tags(row: Row) -> dict[str, str | None]:
    return {name: (row["tags"] or {}).get(name) for name in PUBLISHED["tags"]}
