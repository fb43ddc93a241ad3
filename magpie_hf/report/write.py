"""Writes the report of a build: collects its rows, packs them within a budget, and writes the page.

Not here: any of these steps.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from magpie_hf.errors import BadInput
from magpie_hf.report.details import ROWS_A_BLOCK, details, weight_of
from magpie_hf.report.embedding_map import embedding_map
from magpie_hf.report.finding import sampled_of
from magpie_hf.report.listing import Listing
from magpie_hf.report.packing import Room, block, deflated
from magpie_hf.report.page import write_page
from magpie_hf.report.source import Source, opened
from magpie_hf.report.summary import summary, title
from magpie_hf.run.status import status

# The largest file that GitHub accepts; a browser opens it in about two seconds (benchmarks/report.py).
MEGABYTES = 100
_INLINED = 1_000_000  # bytes for scripts, styles, fonts and numbers, which take about three quarters of it
_ROW = 100  # bytes of a row's shortest details
_BASE64 = 4 / 3


@dataclass(frozen=True)
class Report:
    """What was written: the file, its bytes, its rows, and how many of its texts lack their middle."""

    file: Path
    size: int
    rows: int
    texts: int
    cut: int


def report(folder: Path, out: Path, megabytes: float = MEGABYTES) -> Report:
    """Write the report of the build in `folder` to the file `out`, atomically.

    megabytes: about the largest size of the file. Raises BadInput if there is no build or no row to show, if
    the file cannot be written, and if the list of rows alone is too large.
    """
    status(folder)
    with _scratch(out) as scratch:
        with opened(folder, scratch) as source:
            listing = Listing(source)
            places = embedding_map(sampled_of(folder), listing.ids)
            blocks = -(-listing.rows // ROWS_A_BLOCK)
            room = Room(
                _left(listing, megabytes), weight_of(listing.problems, listing.rows - listing.problems)
            )
            _pack(source, room, scratch / "details")
            said = summary(source, listing, room, blocks) | {"map": places and places["shares"]}
            first = (block("summary", deflated(said)), block("index", listing.index))
            with (scratch / "page").open("wb") as sink, (scratch / "details").open("rb") as packed:
                write_page(sink, title(source), first, _later(listing, places, packed, blocks))
        (scratch / "page").replace(out)
    return Report(out, out.stat().st_size, listing.rows, room.texts, room.cut)


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A temporary folder beside the output file. Raises BadInput if the file cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        scratch = tempfile.TemporaryDirectory(prefix=".magpie-report-", dir=out.parent)
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}); choose another --out") from error
    with scratch as name:
        yield Path(name)


def _left(listing: Listing, megabytes: float) -> int:
    """The bytes left for the details of all rows, beside the list. Raises BadInput if they are too few."""
    left = int((megabytes * 1e6 - _INLINED) / _BASE64) - listing.size
    if left < listing.rows * _ROW:
        least = -(-int((listing.size + listing.rows * _ROW) * _BASE64 + _INLINED) // 1_000_000)
        raise BadInput(
            f"--max-megabytes is {megabytes:g}, which is too little for {listing.rows:,} rows; give at least"
            f" {least}"
        )
    return left


def _pack(source: Source, room: Room, file: Path) -> None:
    """Pack all rows into a file, block after block, each preceded by its length."""
    with file.open("wb") as sink:
        for data in details(source, room):
            sink.write(len(data).to_bytes(8, "big") + data)


def _later(listing: Listing, places: dict[str, Any] | None, packed: BinaryIO, blocks: int) -> Iterator[str]:
    if places is not None:
        yield block("map", deflated(places))
    for name, data in listing.columns.items():
        yield block(f"column-{name}", data)
    for number, data in enumerate(listing.texts):
        yield block(f"texts-{number}", data)
    for number in range(blocks):
        yield block(f"details-{number}", packed.read(int.from_bytes(packed.read(8), "big")))
