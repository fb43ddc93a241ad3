"""Again: a stage runs once more, over the rows whose problem was replaced by a harder one in one round.

Not here: making harder problems, and putting them in the place of others (harden.py, adopt.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Again(Stage):
    """`stage` over the rows that were adopted in `round`; all others keep what they have in its columns.

    A row that is dropped behind its adoption has nulls from there on, as any dropped row has; one that was
    dropped before keeps its values, as its problem is the same.
    """

    name: ClassVar[str] = "again"
    version: ClassVar[int] = 1

    stage: Stage
    round: int

    @property
    def label(self) -> str:
        return in_round(self.stage.label, self.round)

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the stage reads, the columns that it makes, and in which round a row was adopted."""
        return tuple(dict.fromkeys((*self.stage.reads, *self.stage.adds, "round")))

    @property
    def reads_too(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(column for column in self.stage.reads_too if column not in self.reads)

    @property
    def adds(self) -> Features:
        return self.stage.adds

    @property
    def reuse_key(self) -> str:
        return self.stage.reuse_key

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        return self.stage.reusable(batch)

    @property
    def engine(self) -> Any:
        """The engine of the stage; None where it asks no model."""
        return getattr(self.stage, "engine", None)

    @property
    def sampling(self) -> Any:
        """The sampling of the stage; None where it has none, or several."""
        return getattr(self.stage, "sampling", None)

    @property
    def auto_extend(self) -> int:
        """How often the stage doubles the bound of truncated answers."""
        return int(getattr(self.stage, "auto_extend", 0))

    def run(self, batch: Batch) -> Batch:
        places = _adopted(batch, self.round)
        read = [
            name for name in (*self.stage.reads, *self.stage.reads_too, "dropped", "round") if name in batch
        ]
        made = self.stage({name: [batch[name][at] for at in places] for name in read}) if places else {}
        return put(batch, places, {column: made.get(column, []) for column in self.adds})

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, **self.run(batch)}

    def counted(self, batch: Batch, added: Batch) -> Batch:
        places = _adopted(batch, self.round)
        mine = {name: [values[at] for at in places] for name, values in added.items()}
        return self.stage.counted({name: [batch[name][at] for at in places] for name in batch}, mine)


def repeated(stage: Any) -> Any:
    """The stage that does the work: of one that runs again, the one that it repeats."""
    return stage.stage if isinstance(stage, Again) else stage


def in_round(label: str, number: int) -> str:
    """The label of a stage in a round."""
    return f"{label}_round{number}"


def put(batch: Batch, places: Sequence[int], made: Mapping[str, Sequence[Any]]) -> Batch:
    """These columns with new values at these places, and elsewhere those of the batch; null without any."""
    size = len(next(iter(batch.values())))
    columns: Batch = {}
    for column, values in made.items():
        columns[column] = list(batch.get(column) or [None] * size)
        for at, value in zip(places, values, strict=True):
            columns[column][at] = value
    return columns


def _adopted(batch: Batch, number: int) -> list[int]:
    return [at for at, one in enumerate(batch["round"]) if one == number]
