"""Rows: some rows of a domain, the files that hold their columns, and a digest of what each row depends on.

Not here: which stages make the columns.

Memory holds eight bytes per row and stage. Values are read from the files of the shards when they are needed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import xxhash
from datasets import Dataset, Features
from datasets.table import MemoryMappedTable, concat_tables

from magpie_hf.schema import COLD, KNOWN_KEY, KNOWN_NEIGHBOURS, NEAREST, NEAREST_KEY, OPTIONAL, SEED, TOPIC
from magpie_hf.stage import Batch, Stage, canonical, fingerprint, seed_of
from magpie_hf.store.splits import BATCH_ROWS, read

_END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream
_SEAL = b"xxh3_64\0"  # stands behind that end, before eight bytes of checksum; readers of Arrow stop earlier
NO_TOPIC = "no_topic"  # the key of `schema.TOPIC` in rows of a build without topics
_WHOLE: dict[Path, tuple[int, ...]] = {}  # files that this process checked, and their state then


def open_table(file: Path) -> pa.Table:
    """The rows of an Arrow stream file, memory-mapped.

    Raises pyarrow.ArrowInvalid or OSError where the file is torn.
    """
    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()


def is_whole(file: Path) -> bool:
    """Whether the Arrow stream file exists and holds what was written there.

    Files of earlier versions have no checksum: of these, only the end is looked at. A file is read once in a
    process, with 4 GB/s from memory.
    """
    try:
        state = _state(file)
        if _WHOLE.get(file) == state:
            return True
        with file.open("rb", buffering=0) as stream:
            stream.seek(-2 * len(_SEAL), os.SEEK_END)
            tail = stream.read()
            if tail.startswith(_SEAL):
                stream.seek(0)
                whole = tail == _SEAL + _checksum(stream, state[1] - len(tail), file)
            else:
                whole = tail.endswith(_END)  # one that is torn between two parts reads as a shorter one
        open_table(file)
    except (pa.ArrowInvalid, OSError):
        return False
    if whole:
        _WHOLE[file] = state
    return whole


def seal(partial: Path, file: Path) -> None:
    """Append the checksum that `is_whole` reads to a new Arrow stream file, which will be moved to `file`."""
    with partial.open("r+b", buffering=0) as stream:
        checksum = _checksum(stream, os.fstat(stream.fileno()).st_size, file)
        if stream.write(_SEAL + checksum) != len(_SEAL + checksum):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial))


def _checksum(stream: IO[bytes], size: int, file: Path) -> bytes:
    """The checksum of a file's first bytes and of its place, where another shard may come to lie."""
    checksum, piece = xxhash.xxh3_64("/".join(file.parts[-3:]).encode()), memoryview(bytearray(1 << 20))
    while size and (read := stream.readinto(piece[: min(size, len(piece))])):  # type: ignore[attr-defined]
        checksum.update(piece[:read])
        size -= read
    return checksum.digest()


def _state(file: Path) -> tuple[int, ...]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, eq=False)
class Made:
    """The columns that one stage made of consecutive rows.

    pieces: (file or table, start, stop) one after the other. digests: one int64 per row, a hash of what the
    stage made of the row and of everything that it depends on.
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
        """The names of all columns in the files."""
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
    """Rows [start, stop) of one domain. made: for each column, the stage that made it and its files."""

    domain: str
    start: int
    stop: int
    made: Mapping[str, Made]

    def made_from(self, stage: Stage) -> list[str]:
        """The keys of the stages whose columns this stage reads."""
        return [made.key for made in self._sources(self.needs(stage))]

    def needs(self, stage: Stage) -> list[str]:
        """The columns that the stage reads of these rows."""
        return [
            *stage.reads,
            *(column for column in stage.reads_too if column in self.made),
            *(["dropped"] if "dropped" in self.made and "dropped" not in stage.reads else []),
        ]

    def key(self, stage: Stage) -> str:
        """The name of the stage's folder: its label and a hash of everything that determines its output."""
        return f"{stage.label}-{fingerprint(stage, self.made_from(stage))}"

    def digests(self, columns: Sequence[str]) -> np.ndarray:
        """One int64 per row: a hash of what these columns depend on."""
        sources = [made.digests for made in self._sources(columns)]
        if len(sources) == 1:
            return sources[0]
        return np.array([digest(row.tobytes()) for row in np.stack(sources, axis=1)], dtype=np.int64)

    def extended(self, stage: Stage, made: Made) -> Rows:
        """The rows with the columns that a stage added."""
        return self.joined(stage.adds, made)

    def joined(self, columns: Iterable[str], made: Made) -> Rows:
        """The rows with more columns, all made by one stage."""
        return Rows(self.domain, self.start, self.stop, {**self.made, **dict.fromkeys(columns, made)})

    def head(self, stop: int) -> Rows:
        """The rows before `stop`."""
        heads = {made.key: made.head(stop - self.start) for made in self.made.values()}
        return Rows(
            self.domain, self.start, stop, {column: heads[made.key] for column, made in self.made.items()}
        )

    def read(self, columns: Sequence[str], start: int | None = None, stop: int | None = None) -> pa.Table:
        """The columns of rows [start, stop), by default of all rows.

        The files are memory-mapped: pages are resident only while the table is in use.
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
        """The columns as plain lists, `size` rows at a time."""
        for start in range(self.start, self.stop, size):
            yield self.read(columns, start, min(start + size, self.stop)).to_pydict()

    def _sources(self, columns: Sequence[str]) -> list[Made]:
        made = {one.key: one for one in (self.made[column] for column in columns)}
        return [made[key] for key in sorted(made)]


@dataclass(frozen=True)
class Published:
    """The published rows of one split, in Arrow files of a shard each.

    content: a fingerprint of all rows, which does not depend on how they are cut into shards.
    """

    features: Features
    files: tuple[Path, ...]
    content: str

    @staticmethod
    def joined(parts: Sequence[Published]) -> Published:
        """The rows of several parts, one after the other."""
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
        """The rows, one shard at a time, memory-mapped."""
        return map(open_table, self.files)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The columns as plain lists, a few rows at a time; also parts of columns, see `splits.Split`."""
        for table in self.tables():
            for batch in table.to_batches(BATCH_ROWS):
                yield read(pa.Table.from_batches([batch]), columns)

    def __len__(self) -> int:
        return len(self.dataset)


def seed_rows(domain: str, seed: int, start: int, stop: int) -> Rows:
    """Rows [start, stop) that hold their index, their domain and a seed of their own.

    Everything else is sampled from that seed. The columns of optional stages (`schema.OPTIONAL` and
    `schema.COLD`) are null until a stage makes them, and so are those of `schema.NEAREST` and
    `schema.KNOWN_NEIGHBOURS`.
    """
    seeds = [seed_of(seed, domain, index) for index in range(start, stop)]
    columns = {"index": list(range(start, stop)), "domain": [domain] * len(seeds), "seed": seeds}
    table = pa.table(columns, schema=Features(SEED).arrow_schema)
    seeded = Made(
        f"seeds-{fingerprint(domain, seed)}", ((table, 0, len(seeds)),), np.array(seeds, dtype=np.int64)
    )
    return Rows(domain, start, stop, {**dict.fromkeys(SEED, seeded), **absent(stop - start)})


def absent(count: int) -> dict[str, Made]:
    """The columns of optional stages, null in so many rows."""
    made: dict[str, Made] = {}
    in_memory_alone = {NEAREST_KEY: NEAREST, KNOWN_KEY: KNOWN_NEIGHBOURS, NO_TOPIC: TOPIC}
    for key, columns in {"absent": OPTIONAL, "not_asked": COLD, **in_memory_alone}.items():
        nulls = {column: [None] * count for column in columns}
        made |= dict.fromkeys(columns, in_memory(key, Features(columns), nulls))
    return made


def in_memory(key: str, features: Features, columns: Batch) -> Made:
    """Columns that are kept in memory, as they are cheap to make again."""
    table = pa.table({name: columns[name] for name in features}, schema=features.arrow_schema)
    rows = zip(*(columns[name] for name in features), strict=True)
    digests = np.array([digest(canonical(row).encode()) for row in rows], dtype=np.int64)
    return Made(key, ((table, 0, len(table)),), digests)


def digest(content: bytes) -> int:
    """A hash of a row's content, 63 bits."""
    return xxhash.xxh64_intdigest(content) >> 1  # fits a signed 64-bit integer of Arrow
