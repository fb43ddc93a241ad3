"""Rows: where each column of some rows of a domain lies, and what every value there came from.

Not here: who makes them.

Of what stages make, eight bytes a row and stage are held in memory; values are read from the shards' files
when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from datasets import Dataset, Features
from datasets.table import MemoryMappedTable, concat_tables

from magpie_hf.schema import OPTIONAL, SEED
from magpie_hf.stage import Batch, Stage, canonical, fingerprint, seed_of
from magpie_hf.store.splits import BATCH_ROWS, read


def open_table(file: Path) -> pa.Table:
    """The rows of an Arrow stream file, memory-mapped. Raises pyarrow.ArrowInvalid or OSError where it is
    torn.
    """
    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()


def is_whole(file: Path) -> bool:
    """Whether there is such a file, and it is not torn."""
    try:
        open_table(file)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


@dataclass(frozen=True, eq=False)
class Made:
    """What one stage made of neighbouring rows.

    pieces: one after the other, (file or table, from, to); digests: a number a row (int64) that stands for
    what the stage made there and for everything that this came from.
    """

    key: str
    pieces: tuple[tuple[Path | pa.Table, int, int], ...]
    digests: np.ndarray

    def read(self, columns: Sequence[str]) -> pa.Table:
        tables = (
            (open_table(source) if isinstance(source, Path) else source, start, stop)
            for source, start, stop in self.pieces
        )
        return pa.concat_tables(
            [table.select(columns).slice(start, stop - start) for table, start, stop in tables]
        )

    @property
    def columns(self) -> list[str]:
        """The names of all columns that lie there."""
        source = self.pieces[0][0]
        return list((open_table(source) if isinstance(source, Path) else source).column_names)

    def head(self, count: int) -> Made:
        """The first `count` rows."""
        ends = np.cumsum([stop - start for _, start, stop in self.pieces]).tolist()
        pieces = [
            (source, start, min(stop, start + count - (end - (stop - start))))
            for (source, start, stop), end in zip(self.pieces, ends, strict=True)
            if end - (stop - start) < count
        ]
        return Made(self.key, tuple(pieces), self.digests[:count])


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows [start, stop) of one domain; `made` tells for each column which stage made it, and where it lies."""

    domain: str
    start: int
    stop: int
    made: Mapping[str, Made]

    def made_from(self, stage: Stage) -> list[str]:
        """The keys of the stages whose columns this stage depends on."""
        return [made.key for made in self._sources(self.needs(stage))]

    def needs(self, stage: Stage) -> list[str]:
        """The columns that the stage reads of these rows."""
        return [
            *stage.reads,
            *(["dropped"] if "dropped" in self.made and "dropped" not in stage.reads else []),
        ]

    def key(self, stage: Stage) -> str:
        """The stage's folder: its label and a hash of all that determines what it makes of these rows."""
        return f"{stage.label}-{fingerprint(stage, self.made_from(stage))}"

    def digests(self, columns: Sequence[str]) -> np.ndarray:
        """One number a row (int64) for what these columns came from."""
        sources = [made.digests for made in self._sources(columns)]
        if len(sources) == 1:
            return sources[0]
        return np.array([digest(row.tobytes()) for row in np.stack(sources, axis=1)], dtype=np.int64)

    def extended(self, stage: Stage, made: Made) -> Rows:
        """The rows with what a stage made of them."""
        return self.joined(stage.adds, made)

    def joined(self, columns: Iterable[str], made: Made) -> Rows:
        """The rows with more columns, of one making."""
        return Rows(self.domain, self.start, self.stop, {**self.made, **dict.fromkeys(columns, made)})

    def head(self, stop: int) -> Rows:
        """The rows before `stop`."""
        heads = {made.key: made.head(stop - self.start) for made in self.made.values()}
        return Rows(
            self.domain, self.start, stop, {column: heads[made.key] for column, made in self.made.items()}
        )

    def read(self, columns: Sequence[str], start: int | None = None, stop: int | None = None) -> pa.Table:
        """The columns of rows [start, stop), by default of all; memory-mapped, so resident only while the
        table is held.
        """
        begin, end = self.start if start is None else start, self.stop if stop is None else stop
        made_by = {made.key: made for made in (self.made[column] for column in columns)}
        tables = {
            key: made.read([c for c in columns if self.made[c].key == key]) for key, made in made_by.items()
        }
        whole = pa.Table.from_arrays(
            [tables[self.made[column].key][column] for column in columns], list(columns)
        )
        return whole.slice(begin - self.start, end - begin)

    def batches(self, columns: Sequence[str], size: int = 256) -> Iterator[Batch]:
        """The columns as plain lists, a few rows at a time."""
        for start in range(self.start, self.stop, size):
            yield self.read(columns, start, min(start + size, self.stop)).to_pydict()

    def _sources(self, columns: Sequence[str]) -> list[Made]:
        made = {one.key: one for one in (self.made[column] for column in columns)}
        return [made[key] for key in sorted(made)]


@dataclass(frozen=True)
class Published:
    """The published rows of one split: Arrow files, one a shard, and a fingerprint of what all of them hold,
    however they are cut.
    """

    features: Features
    files: tuple[Path, ...]
    content: str

    @staticmethod
    def joined(parts: Sequence[Published]) -> Published:
        """The rows of several, one after the other."""
        first, *others = parts
        if not others:
            return first
        files = tuple(file for part in parts for file in part.files)
        return Published(first.features, files, fingerprint([part.content for part in parts]))

    @cached_property
    def dataset(self) -> Dataset:
        """All rows as one memory-mapped dataset."""
        return Dataset(
            concat_tables([MemoryMappedTable.from_file(str(file)) for file in self.files]),
            fingerprint=self.content,
        )

    def tables(self) -> Iterator[pa.Table]:
        """The rows a shard at a time, resident only while the table is held."""
        return map(open_table, self.files)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The columns as plain lists, a few rows at a time; parts of lists of structs, too (see
        `splits.Split`).
        """
        for table in self.tables():
            for batch in table.to_batches(BATCH_ROWS):
                yield read(pa.Table.from_batches([batch]), columns)

    def __len__(self) -> int:
        return len(self.dataset)


def seed_rows(domain: str, seed: int, start: int, stop: int) -> Rows:
    """Rows that hold nothing but their place and their own seed, from which everything else is sampled.

    The columns of stages that a recipe may leave out (`schema.OPTIONAL`) are null until one makes them.
    """
    seeds = [seed_of(seed, domain, index) for index in range(start, stop)]
    columns = {"index": list(range(start, stop)), "domain": [domain] * len(seeds), "seed": seeds}
    table = pa.table(columns, schema=Features(SEED).arrow_schema)
    made = Made(
        f"seeds-{fingerprint(domain, seed)}", ((table, 0, len(seeds)),), np.array(seeds, dtype=np.int64)
    )
    absent = in_memory("absent", Features(OPTIONAL), {column: [None] * len(seeds) for column in OPTIONAL})
    return Rows(domain, start, stop, {**dict.fromkeys(OPTIONAL, absent), **dict.fromkeys(SEED, made)})


def in_memory(key: str, features: Features, columns: Batch) -> Made:
    """Columns that are cheaper to make again than to keep on the disk."""
    table = pa.table({name: columns[name] for name in features}, schema=features.arrow_schema)
    rows = zip(*(columns[name] for name in features), strict=True)
    digests = np.array([digest(canonical(row).encode()) for row in rows], dtype=np.int64)
    return Made(key, ((table, 0, len(table)),), digests)


def digest(content: bytes) -> int:
    """A number for a row's content."""
    return xxhash.xxh64_intdigest(content) >> 1  # Arrow makes signed numbers of Python's
