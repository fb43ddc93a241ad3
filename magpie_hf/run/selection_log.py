"""SelectionLog: the result of filtering each sample, kept on the disk so that a resumed build reuses it.

Not here: filtering.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Features

from magpie_hf.recipe import Recipe
from magpie_hf.schema import SELECTION
from magpie_hf.selection.selection import FILTERED, KEY, Selection
from magpie_hf.stage import fingerprint
from magpie_hf.store.rows import Rows, in_memory, is_whole, open_table, seal
from magpie_hf.store.shards import sync

LOG = logging.getLogger("magpie_hf")
_FEATURES = Features(SELECTION)
_BY = "filtered_by"
_READS = b"reads"  # in a file's metadata: the columns that rules of one's own read, besides those of all
# Without `dropped`, which the selection makes anew: a sample that the cleaning dropped has no problem.
_FILTERED = [column for column in FILTERED if column not in SELECTION]


class SelectionLog:
    """One Arrow file per domain under `run/selection/<hash>/`, with a row for each filtered sample.

    A row holds the columns of `schema.SELECTION` and a digest of what the sample was filtered by. Until all
    domains are full, there is a folder per domain instead, with a file for each filtered piece.

    given: by domain, how many problems there are, where they are given.
    samples: by domain, the folders of the stages before the filtering. The hash covers them and all rules,
    so a file that exists fits the recipe; the digests show whether the samples are the same.
    """

    def __init__(
        self,
        run: Path,
        recipe: Recipe,
        samples: Mapping[str, Mapping[str, str]],
        given: Mapping[str, int] | None = None,
    ) -> None:
        counts = [(domain.key, domain.count) for domain in recipe.domains]
        self.targets, self.given = dict(counts), given
        own = [] if given is None else [dict(given), recipe.near_duplicates is None]
        self.reads = [column for column in recipe.acceptance.reads if column not in SELECTION]
        self.folder = (
            run
            / "selection"
            / fingerprint(KEY, recipe.acceptance, recipe.near, recipe.seed, counts, samples, *own)
        )
        self.domains = [domain.key for domain in recipe.domains]
        self.pieces: dict[str, list[Rows]] = {key: [] for key in self.domains}

    def keep(self, settled: Sequence[Rows], selection: Selection) -> None:
        """Write filtered pieces; once every domain is full, write one file per domain."""
        for rows in settled:
            self.pieces[rows.domain].append(rows)
            (self.folder / rows.domain).mkdir(parents=True, exist_ok=True)
            file = self.folder / rows.domain / f"{rows.start:07d}-{rows.stop:07d}.arrow"
            _write(file, [rows], self.reads)
        if settled and selection.is_complete:
            for key, pieces in self.pieces.items():
                _write(self._file(key), pieces, self.reads)
                # A domain without samples of its own has no folder.
                shutil.rmtree(self.folder / key, ignore_errors=True)

    def counts(self) -> dict[str, int] | None:
        """How many samples of each domain were filtered; None where a domain's file is missing or torn."""
        tables = {key: _table(file) for key in self.domains if (file := self._file(key)).is_file()}
        whole = {key: len(table) for key, table in tables.items() if table is not None}
        for key in tables.keys() - whole.keys():
            LOG.warning(
                "%s is torn (the disk or the power failed); the samples are filtered again", self._file(key)
            )
        return whole if len(whole) == len(self.domains) else None

    def _file(self, domain: str) -> Path:
        return self.folder / f"{domain}.arrow"

    def restore(self, sampled: Sequence[Rows]) -> list[Rows] | None:
        """The sampled pieces with the columns of the selection.

        None where a sample is not what was filtered, or where rows of the log are lost.
        """
        accepted: Counter[str] = Counter()
        tables = {key: open_table(self._file(key)) for key in self.domains}
        filtered = []
        for rows in sampled:
            if (known := _filtered(tables[rows.domain], 0, rows)) is None:
                return None
            filtered.append(known)
            accepted.update(
                domain for domain in known.read(["accepted_as"])["accepted_as"].to_pylist() if domain
            )
        return filtered if self._is_complete(accepted, tables) else None

    def _is_complete(self, accepted: Mapping[str, int], tables: Mapping[str, pa.Table]) -> bool:
        """Whether every domain is full, or has no problem left."""
        return all(
            accepted.get(key, 0) == target
            or (
                self.given is not None
                and accepted.get(key, 0) < target
                and len(tables[key]) == self.given[key]
            )
            for key, target in self.targets.items()
        )


def filtered_pieces(folder: Path, domain: str) -> Iterator[tuple[int, int, Callable[[Rows], Rows | None]]]:
    """(start, stop, function) of each filtered piece of a domain, in order.

    The function adds the columns of the selection to rows of the piece; it returns None for rows that are
    not what was filtered.
    """
    whole = folder / f"{domain}.arrow"
    at = 0
    for file in [whole] if whole.is_file() else sorted((folder / domain).glob("*-*.arrow")):
        if (table := _table(file)) is None:
            continue
        start = 0 if file == whole else int(file.stem.split("-")[0])
        stop = start + len(table)
        if max(start, at) < stop:  # another run may have cut other pieces
            yield max(start, at), stop, partial(_filtered, table, start)
            at = stop


def _table(file: Path) -> pa.Table | None:
    """The rows of a file of the log; None where it is torn, or another stage's."""
    table = open_table(file) if is_whole(file) else None
    return table if table is not None and table.schema.names == [*_FEATURES, _BY] else None


def _filtered(table: pa.Table, start: int, rows: Rows) -> Rows | None:
    piece = table.slice(rows.start - start, rows.stop - rows.start)
    by = json.loads((table.schema.metadata or {}).get(_READS, b"null")) or _FILTERED
    if not set(by) <= set(rows.made) or not np.array_equal(piece[_BY].to_numpy(), rows.digests(by)):
        return None
    return rows.joined(_FEATURES, in_memory(KEY, _FEATURES, piece.select(list(SELECTION)).to_pydict()))


def _write(file: Path, pieces: Sequence[Rows], reads: Sequence[str]) -> None:
    """Write the filtered pieces of a domain atomically. reads: the columns that they were filtered by."""
    torn = file.with_suffix(".tmp")
    schema = _FEATURES.arrow_schema.append(pa.field(_BY, pa.int64()))
    if list(reads) != _FILTERED:
        schema = schema.with_metadata({_READS: json.dumps(list(reads))})
    with pa.OSFile(str(torn), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for rows in sorted(pieces, key=lambda rows: rows.start):
            table = rows.read(list(SELECTION)).cast(_FEATURES.arrow_schema)
            writer.write_table(
                table.append_column(schema.field(_BY), pa.array(rows.digests(reads), pa.int64()))
            )
    seal(torn, file)
    sync(torn)
    torn.replace(file)
