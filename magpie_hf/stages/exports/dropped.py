"""The samples that were not accepted, with their reasons.

Not here: why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from datasets import Features

from magpie_hf.schema import DROPPED, PARENT
from magpie_hf.stages.exports.base import Export, Row, tags
from magpie_hf.stages.harden import HARDEN
from magpie_hf.stages.pass_rate import PASS_RATE
from magpie_hf.stages.step import OwnColumn
from magpie_hf.store.rows import Rows


@dataclass(frozen=True)
class ExportDropped(Export):
    """The samples that were not accepted, with their reasons. They stay in the run.

    opinions: "pass_rate" where it was measured of them, and "harden" where some problems took the place of
    others.
    """

    version: ClassVar[int] = 1
    COLUMNS: ClassVar[Features] = DROPPED
    READS: ClassVar[tuple[str, ...]] = (
        "id",
        "domain",
        "raw_instruction",
        "raw_finish_reason",
        "problem",
        "language",
        "tags",
        "contaminated_by",
        "near_duplicate",
        "dropped",
    )

    domain: str
    moved: bool = False
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain

    @property
    def split(self) -> str:
        return "dropped"

    def takes(self, row: Row) -> bool:
        return row["dropped"] is not None

    def rows(self, row: Row) -> list[Row]:
        same = {name: row[name] for name in DROPPED if name not in ("reason", "tags")}
        return [{**same, "reason": row["dropped"], "tags": tags(row)}]


def export_dropped(rows: Rows, rated: bool) -> ExportDropped:
    """The export of the dropped samples among these rows, and of those of the same build.

    rated: whether pass rates are measured before samples are dropped.
    """
    there = {PASS_RATE: rated, HARDEN: PARENT in rows.made}
    return ExportDropped(rows.domain, opinions=tuple(name for name, given in there.items() if given))
