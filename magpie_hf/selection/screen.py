"""Screen: which samples every rule accepts that needs no answers, before they are answered.

Not here: near-duplicates and pass rates, on which the selection decides in its own order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.schema import CLEAN
from magpie_hf.selection.rules import reason_of
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import Batch, Stage
from magpie_hf.stages.verify import without_vote

_READS = ("id", "domain", "problem", "trimmed", "dropped", "tags", "contaminated_by")


@dataclass(frozen=True)
class Screen(Stage):
    """The reason to drop a sample by its own columns, in `dropped`, so that it is not answered.

    It is for builds whose selection needs answers. The selection asks the same rules again.

    domains: those to which a sample may be moved. by_reference: whether a reference answer, where there is
    one, is the label. A problem whose answers cannot vote gets none else, and is dropped as "no_label".
    """

    name: ClassVar[str] = "screen"
    version: ClassVar[int] = 1

    acceptance: Acceptance
    domains: tuple[str, ...] = ()
    by_reference: bool = False

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        """The columns that the rules read, with those of the user's own."""
        own = (column for rule in self.acceptance.rules for column in rule.reads)
        return tuple(dict.fromkeys((*_READS, *own)))

    @property
    def adds(self) -> Features:
        return Features({"dropped": CLEAN["dropped"]})

    def run(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        return {"dropped": [self._reason(row) for row in rows]}

    def _reason(self, row: dict[str, Any]) -> str | None:
        _, reason = self.acceptance.place(row, row["domain"], self.domains)
        if (reason := reason or reason_of(self.acceptance.rules, row)) is not None:
            return reason
        kind = without_vote(row["problem"], row["tags"])
        return "no_label" if kind == "proof" or (kind and not self.by_reference) else None
