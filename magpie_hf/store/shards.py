"""A stage's folder: finished shards, journals of unfinished ones, and the stage's record.

Not here: what makes a row, and in which order.

`<start>-<stop>.arrow` is a finished shard of rows [start, stop). `<start>-<stop>.journal` holds the finished
requests of a shard under way, `<start>-<stop>.requests` those of a finished one whose rows do not hold them,
such as those of problems that were withdrawn and may come back.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from magpie_hf.engines import journal
from magpie_hf.errors import Torn
from magpie_hf.stage import Batch, Stage
from magpie_hf.store.records import CHECKSUM, STAGE, checksum, stage_record
from magpie_hf.store.rows import is_whole, open_table

LOG = logging.getLogger("magpie_hf")
_WRITING = threading.Lock()


@dataclass(frozen=True)
class ShardFolder:
    """The folder `<domain>/<label>-<hash>` of one stage."""

    path: Path
    read_only: bool = False  # keeps torn shards

    def file(self, start: int, stop: int, kind: str) -> Path:
        return self.path / f"{start:07d}-{stop:07d}.{kind}"

    def spans(self, kind: str) -> list[tuple[int, int, Path]]:
        """(start, stop, file) of all shards ("arrow") or journals ("journal"), in order."""
        names = [
            (file.stem.split("-"), file)
            for file in self.path.glob(f"*-*.{kind}")
            if file.stem.replace("-", "").isdigit()
        ]
        return sorted((int(name[0]), int(name[1]), file) for name, file in names)

    def rows(self, start: int, stop: int, file: Path, columns: Iterable[str]) -> pa.Table | None:
        """The rows of a finished shard; None where it is torn: then the file is logged and removed.

        columns: those that it must have; a file without a checksum may be another stage's.
        """
        if is_whole(file):
            rows = open_table(file)
            if len(rows) == stop - start and set(columns) <= set(rows.column_names):
                return rows
        if not self.read_only and file.exists():
            LOG.warning("%s is torn (the disk or the power failed); its rows are made again", file)
            file.unlink(missing_ok=True)
        return None

    def known(self, start: int, stop: int, stage: Stage) -> Iterator[tuple[str, Any]]:
        """(key, result) of the stage's requests for rows [start, stop), from journals and finished shards."""
        for begin, end, file in [*self.spans("requests"), *self.spans("journal")]:
            if begin < stop and start < end:
                records, torn = journal.read(file)
                if torn:
                    LOG.warning("torn records in %s: %d; what they held is asked again", file, torn)
                yield from records.items()
        for begin, end, file in self.spans("arrow"):
            rows = self.rows(begin, end, file, stage.adds) if begin < stop and start < end else None
            if rows is not None:
                part = rows.select(list(stage.adds))
                for first in range(max(begin, start) - begin, min(end, stop) - begin, 256):
                    size = min(256, min(end, stop) - begin - first)
                    yield from stage.reusable(_alive(part.slice(first, size).to_pydict()))

    def keep_results(self, start: int, stop: int, stage: Stage, added: Batch) -> None:
        """Keep the results of a finished shard's requests that these columns, about to replace it, lack."""
        file, requests = (self.file(start, stop, kind) for kind in ("arrow", "requests"))
        if not stage.reuse_key or (rows := self.rows(start, stop, file, stage.adds)) is None:
            return
        kept = journal.read(requests)[0] if requests.exists() else {}
        kept |= dict(stage.reusable(_alive(added)))
        writing = journal.Journal(requests)
        for key, value in stage.reusable(_alive(rows.select(list(stage.adds)).to_pydict())):
            if key not in kept:
                writing.record(key, value)
        writing.close()

    def finish(self, file: Path, record: Mapping[str, Any], shard: Mapping[str, Any]) -> None:
        """Flush a finished shard to the disk and add what is known of it to the stage's record."""
        sync(file)
        sync(self.path)
        with _WRITING:
            shards = {**(self.record() or {}).get("shards", {}), file.stem: shard}
            write_record(self.path / STAGE, {**record, "shards": shards})

    def mend(self, record: Mapping[str, Any]) -> None:
        """Write the stage's record where there is none, or it is torn."""
        with _WRITING:
            if self.record() is None:
                write_record(self.path / STAGE, {**record, "shards": {}})

    def remove_journals(self, start: int, stop: int, keep: bool = False) -> None:
        """Remove the journals of rows in [start, stop), whose shards are finished.

        keep: append them to files ".requests", from which `known` reads them later.
        """
        for begin, end, file in self.spans("journal"):
            if start <= begin and end <= stop:
                if keep and file.exists():
                    kept = file.with_suffix(".requests")
                    with kept.open("ab") as stream:
                        stream.write(file.read_bytes() + b"\n")  # behind a last line that may be torn
                    sync(kept)
                file.unlink(missing_ok=True)

    def record(self) -> dict[str, Any] | None:
        """The stage's record (stage.json); None where there is none, or it is torn."""
        try:
            return stage_record(self.path)
        except Torn:  # the names of the shards say what is finished
            if not self.read_only:
                LOG.warning(
                    "%s is torn (the disk or the power failed); it is written again", self.path / STAGE
                )
                (self.path / STAGE).unlink(missing_ok=True)  # so that it is said once
            return None


def _alive(batch: Batch) -> Batch:
    """The rows of a batch on which the stage ran: in dropped rows all its columns are null."""
    rows = [
        row
        for row, values in enumerate(zip(*batch.values(), strict=True))
        if any(value is not None for value in values)
    ]
    return {column: [values[row] for row in rows] for column, values in batch.items()}


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file atomically: aside, flushed, then renamed."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    sync(partial)
    partial.replace(file)


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record with its checksum, for `records.read_record`, atomically."""
    written = json.loads(json.dumps(record))  # as it is read: keys are texts
    write_json(file, {**written, CHECKSUM: checksum(file, written)})
