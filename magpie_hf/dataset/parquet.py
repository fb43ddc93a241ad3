"""The published rows as parquet files, which are named as `DatasetDict.push_to_hub` names them.

Not here: which files a folder has, and when they are moved there (folder.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets.config import DEFAULT_CDC_OPTIONS

from magpie_hf.schema import CANDIDATES_CONFIG, SIDES, SUFFIXES, TEXT_SPLITS
from magpie_hf.store.rows import Published, open_table
from magpie_hf.store.splits import ParquetSplit

GROUP_ROWS = 1_000  # most rows of a row group, as `datasets` writes them
GROUP_BYTES = 100_000_000  # and most bytes in memory, as `datasets` aims at; the Hub's viewer refuses 300 MB
SHARD_BYTES = 500_000_000  # most bytes of one parquet file, as in the Hub's own clients


def write_data(data: Mapping[str, Mapping[str, Published]], folder: Path) -> None:
    """Write the files of all configurations and splits."""
    for config, splits in data.items():
        (folder / config).mkdir(exist_ok=True)
        for split, rows in splits.items():
            write_split(folder / config, split, rows)


def data_in(files: Iterable[Path], provenance: Mapping[str, Any]) -> dict[str, dict[str, ParquetSplit]]:
    """The splits in parquet files, by configuration: the domains in their order, then `candidates`."""
    found: dict[str, dict[str, list[Path]]] = {}
    for file in sorted(file for file in files if file.suffix == ".parquet"):
        found.setdefault(file.parent.name, {}).setdefault(file.name.rsplit("-", 3)[0], []).append(file)
    domains = [domain["key"] for domain in provenance["domains"]]
    order = [
        *(config for domain in domains for config in (domain, *(domain + suffix for suffix in SUFFIXES))),
        CANDIDATES_CONFIG,
    ]
    splits = [f"{side}{text}" for side in SIDES for text in ("", *(f"_{text}" for text in TEXT_SPLITS))]
    return {
        config: {
            split: ParquetSplit(tuple(found[config][split])) for split in splits if split in found[config]
        }
        for config in order
        if config in found
    }


def write_split(folder: Path, split: str, rows: Published) -> None:
    """Write a split, one shard in memory at a time."""
    tables = [file for file in rows.files if len(open_table(file))]
    files = min(len(tables), max(1, -(-sum(table.nbytes for table in rows.tables()) // SHARD_BYTES)))
    for number in range(files):
        first, last = number * len(tables) // files, (number + 1) * len(tables) // files
        file = folder / f"{split}-{number:05d}-of-{files:05d}.parquet"
        # As Dataset.to_parquet does: with chunks that follow the content, the Hub stores an unchanged part
        # once. Without the features in the schema, which `datasets` of another age may not know: before 4.0
        # it had no `List`. All versions derive the same from the types of the columns.
        with pq.ParquetWriter(
            file,
            rows.features.arrow_schema.remove_metadata(),
            use_content_defined_chunking=DEFAULT_CDC_OPTIONS,
            write_page_index=True,
        ) as writer:
            for table in _row_groups(map(open_table, tables[first:last])):
                writer.write_table(table)


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows in tables of `GROUP_ROWS` rows, but for the last, and each of these in equal parts of at most
    `GROUP_BYTES`. A larger row stands alone.

    `datasets` reads as many rows at once as the first row group of a file holds, so none may be empty.
    """
    waiting: pa.Table | None = None
    for table in tables:
        waiting = pa.concat_tables([waiting, table]) if waiting else table
        while len(waiting) >= GROUP_ROWS:
            yield from _parts(waiting.slice(0, GROUP_ROWS))
            waiting = waiting.slice(GROUP_ROWS)
    if waiting:
        yield from _parts(waiting)


def _parts(group: pa.Table) -> Iterator[pa.Table]:
    if len(group) == 1 or group.nbytes <= GROUP_BYTES:
        yield group
        return
    half = len(group) // 2
    yield from _parts(group.slice(0, half))
    yield from _parts(group.slice(half))
