"""SelectionLog: what was decided of a build's samples, kept beside them, so that a build that goes on filters
none again.

Not here: filtering.
"""

from __future__ import annotations

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
from magpie_hf.store.rows import Rows, in_memory, open_table
from magpie_hf.store.shards import sync

_FEATURES = Features(SELECTION)
_FILTERED = [
    column for column in FILTERED if column not in SELECTION
]  # of `dropped`, which is made anew, the cleaning is known by its problems


class SelectionLog:
    """One Arrow file a domain under `run/selection/<hash>/`: for each sample its decision, and the digest of
    what it was filtered by.

    As long as the domains are not full, there are files of the pieces that were filtered in their place, in a
    folder a domain.

    samples: the folders of each domain's stages before the filtering. All that decides is in the hash, so
    files that are there fit, and the digests tell whether the samples themselves are still the same.
    """

    def __init__(self, run: Path, recipe: Recipe, samples: Mapping[str, Mapping[str, str]]) -> None:
        counts = [(domain.key, domain.count) for domain in recipe.domains]
        self.targets = dict(counts)
        self.folder = (
            run / "selection" / fingerprint(KEY, recipe.acceptance, recipe.near, recipe.seed, counts, samples)
        )
        self.domains = [domain.key for domain in recipe.domains]
        self.pieces: dict[str, list[Rows]] = {key: [] for key in self.domains}

    def keep(self, settled: Sequence[Rows], selection: Selection) -> None:
        """Write filtered pieces down, and all as one once every domain is full."""
        for rows in settled:
            self.pieces[rows.domain].append(rows)
            (self.folder / rows.domain).mkdir(parents=True, exist_ok=True)
            _write(self.folder / rows.domain / f"{rows.start:07d}-{rows.stop:07d}.arrow", [rows])
        if settled and selection.is_complete:
            for key, pieces in self.pieces.items():
                _write(self.folder / f"{key}.arrow", pieces)
                shutil.rmtree(
                    self.folder / key, ignore_errors=True
                )  # a domain may have had no samples of its own

    def counts(self) -> dict[str, int] | None:
        """How many samples of each domain were filtered; None where that is not known of all of them."""
        files = {key: self.folder / f"{key}.arrow" for key in self.domains}
        if not all(file.is_file() for file in files.values()):
            return None
        try:
            return {key: len(open_table(file)) for key, file in files.items()}
        except (pa.ArrowInvalid, OSError):  # torn by a power cut: the samples are filtered again
            return None

    def restore(self, sampled: Sequence[Rows]) -> list[Rows] | None:
        """The sampled pieces with their decisions; None where a sample is not what it was filtered by, or
        some decisions were lost.
        """
        accepted: Counter[str] = Counter()
        tables = {key: open_table(self.folder / f"{key}.arrow") for key in self.domains}
        filtered = []
        for rows in sampled:
            if (known := _filtered(tables[rows.domain], 0, rows)) is None:
                return None
            filtered.append(known)
            accepted.update(
                domain for domain in known.read(["accepted_as"])["accepted_as"].to_pylist() if domain
            )
        return filtered if accepted == self.targets else None


def filtered_pieces(folder: Path, domain: str) -> Iterator[tuple[int, int, Callable[[Rows], Rows | None]]]:
    """The pieces [start, stop) of a domain that were filtered, in order, each with what adds the decisions to
    rows out of it.

    That gives None for rows that are not what was filtered.
    """
    whole = folder / f"{domain}.arrow"
    at = 0
    for file in [whole] if whole.is_file() else sorted((folder / domain).glob("*-*.arrow")):
        table = open_table(file)
        start = 0 if file == whole else int(file.stem.split("-")[0])
        stop = start + len(table)
        if max(start, at) < stop:  # another run may have cut them otherwise
            yield max(start, at), stop, partial(_filtered, table, start)
            at = stop


def _filtered(table: pa.Table, start: int, rows: Rows) -> Rows | None:
    piece = table.slice(rows.start - start, rows.stop - rows.start)
    if not np.array_equal(piece["filtered_by"].to_numpy(), rows.digests(_FILTERED)):
        return None
    return rows.joined(_FEATURES, in_memory(KEY, _FEATURES, piece.select(list(SELECTION)).to_pydict()))


def _write(file: Path, pieces: Sequence[Rows]) -> None:
    """Write a domain's decisions whole or not at all."""
    torn = file.with_suffix(".tmp")
    schema = _FEATURES.arrow_schema.append(pa.field("filtered_by", pa.int64()))
    with pa.OSFile(str(torn), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for rows in sorted(pieces, key=lambda rows: rows.start):
            table = rows.read(list(SELECTION)).cast(_FEATURES.arrow_schema)
            writer.write_table(
                table.append_column(
                    schema.field("filtered_by"), pa.array(rows.digests(_FILTERED), pa.int64())
                )
            )
    sync(torn)
    torn.replace(file)
