"""The published rows of a split in Arrow or parquet files, read a few columns and rows at a time.

Not here: what is counted in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Features

from magpie_hf.errors import BadInput
from magpie_hf.store.manifest import Sum, sum_of

BATCH_ROWS = 256


class Readable(Protocol):
    """Rows that can be read as plain lists of columns, a few rows at a time."""

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]: ...


class Split(Readable, Protocol):
    """The rows of one split.

    A column of lists of structs can be read in part: "candidates.score" is a list of scores per row.
    """

    @property
    def features(self) -> Features: ...

    def __len__(self) -> int: ...


Data = Mapping[str, Mapping[str, Split]]  # configuration -> split -> rows


def rows_of(source: Readable, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows one by one."""
    for batch in source.batches(columns):
        for values in zip(*(batch[column] for column in columns), strict=True):
            yield dict(zip(columns, values, strict=True))


def read(table: pa.Table, columns: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a table as plain lists, also parts of columns (see `Split`)."""
    return {column: _column(table, column).to_pylist() for column in columns}


def _column(table: pa.Table, column: str) -> pa.Array | pa.ChunkedArray:
    whole, _, part = column.partition(".")
    if not part:
        return table[whole]
    lists = table[whole].combine_chunks()
    return pa.ListArray.from_arrays(_from_zero(lists), pc.struct_field(lists.flatten(), part))


def _from_zero(lists: pa.ListArray) -> pa.Array:
    """The offsets of the lists into their flattened values, from 0."""
    return pc.subtract(lists.offsets, lists.offsets[0]) if len(lists) else lists.offsets


@dataclass(frozen=True)
class ParquetSplit:
    """A split in parquet files, in the order of `files`. Raises BadInput where one cannot be read."""

    files: tuple[Path, ...]

    @cached_property
    def features(self) -> Features:
        return Features.from_arrow_schema(self._open(self.files[0]).schema_arrow)

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return sum(self._open(file).metadata.num_rows for file in self.files)

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """The checksums of the files as they are at the first call, in the order of the files."""
        return tuple(map(sum_of, self.files))

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the rows in memory, as `datasets` counts them."""
        return sum(batch.nbytes for file in self.files for batch in self._open(file).iter_batches(BATCH_ROWS))

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        needed = [column.replace(".", ".list.element.") for column in columns]
        for file in self.files:
            try:
                for batch in self._open(file).iter_batches(BATCH_ROWS, columns=needed):
                    yield read(pa.Table.from_batches([batch]), columns)
            except (OSError, KeyError, pa.ArrowInvalid) as error:  # KeyError: a column is not there
                raise BadInput(f"{file} cannot be read ({type(error).__name__}); build it again") from error

    @staticmethod
    def _open(file: Path) -> pq.ParquetFile:
        try:
            # With pre_buffer, 1.5 GB of rows took 890 MB of memory; without it, 22 MB.
            return pq.ParquetFile(file, pre_buffer=False)
        except (OSError, pa.ArrowInvalid) as error:
            raise BadInput(f"{file} cannot be read ({type(error).__name__}); build it again") from error
