"""Rows of a build in its parquet files and shards, found and read with as little I/O as possible.

Not here: how a terminal or a page shows them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from magpie_hf.errors import BadInput, Torn
from magpie_hf.report.samples import Sampled, length
from magpie_hf.store.records import (
    PROVENANCE,
    RUN,
    UNREADABLE,
    check_is_build,
    read_record,
    record_of,
    unreadable,
)

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

Kind = Literal["sft", "prefs", "candidates", "rl", "tir", "dropped", "samples"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES = ("train", "test")  # as in schema.py, which imports datasets
# Columns that repeat other columns.
LEFT_OUT = {
    "sft": ("messages", "chosen", "rejected"),
    "prefs": ("messages",),
    "tir": ("messages",),
}
STEP = 32  # rows decoded at once


class Place(NamedTuple):
    """The place of a row: its file, and its number there."""

    file: Path
    row: int


@dataclass(frozen=True)
class Shown:
    """A row to show: its kind, its split's name, and its columns."""

    kind: Kind
    split: str
    row: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """The rows of a build: parquet files of its last finished state, and the samples made so far.

    samples: the stage folders of each domain's samples. is_finished: whether the last command reached its
    end. own: as `own_columns` says. dropped: the files of dropped samples, by domain.
    """

    folder: Path
    samples: Mapping[str, Sampled]
    is_finished: bool
    own: tuple[Mapping[str, Any], ...] = ()
    dropped: Mapping[str, Sequence[Path]] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.samples)

    def places(self, kind: Kind, domains: Sequence[str]) -> list[Place]:
        """All rows of a kind in these domains, one of each domain in turn, train before test."""
        by_domain = self._by_domain(kind, domains)
        return [place for turn in zip_longest(*by_domain.values()) for place in turn if place is not None]

    def _by_domain(self, kind: Kind, domains: Sequence[str]) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = {domain: [] for domain in domains}
        if kind == "candidates":  # one configuration over all domains
            for file in _sides(self.folder / "candidates", ""):
                for row, domain in enumerate(_column(file, "domain")):
                    if domain in found:
                        found[domain].append(Place(file, row))
            return found
        for domain in domains:
            for file in self._files(kind, domain):
                count = length(file) if kind == "samples" else _open(file).metadata.num_rows
                found[domain] += [Place(file, row) for row in range(count)]
        return found

    def _files(self, kind: Kind, domain: str) -> Sequence[Path]:
        if kind == "samples":
            return self.samples[domain].files()
        if kind == "dropped":
            return self.dropped.get(domain, ())
        return (
            _sides(self.folder / f"{domain}_{kind}", "")
            if kind in ("rl", "tir")
            else _sides(self.folder / domain, f"_{kind}")
        )

    def places_of(self, kind: Kind, identifier: str) -> list[Place]:
        """The places of the rows with this id: an SFT row for each published answer of a problem."""
        files = dict.fromkeys(place.file for place in self.places(kind, self.domains))
        return [
            Place(file, row)
            for file in files
            for row, found in enumerate(self._ids(kind, file))
            if found == identifier
        ]

    def _ids(self, kind: Kind, file: Path) -> list[str]:
        if kind != "samples":
            return _column(file, "id")
        with _whole(file):
            return self._sampled(file).ids(file)

    def _sampled(self, file: Path) -> Sampled:
        return next(sampled for sampled in self.samples.values() if sampled.instruct == file.parent)

    def read(self, kind: Kind, places: Sequence[Place], whole: bool = True) -> list[Shown]:
        """The rows at these places, in this order; without repeated columns unless `whole`.

        Raises BadInput if a file is torn.
        """
        rows: dict[Place, Shown] = {}
        for file in dict.fromkeys(place.file for place in places):
            wanted = sorted(place.row for place in places if place.file == file)
            split = kind if kind in ("dropped", "samples") else file.name.rsplit("-", 3)[0]
            with _whole(file):
                found = (
                    self._sampled(file).rows(file, wanted)
                    if kind == "samples"
                    else rows_in(file, wanted, LEFT_OUT.get(kind, ()) if not whole else ())
                )
                rows |= {Place(file, number): Shown(kind, split, row) for number, row in found}
        return [rows[place] for place in places]


def finished(folder: Path, scratch: Path | None = None) -> Finished:
    """The rows of the build in `folder`. Raises BadInput without a build that this version reads.

    scratch: an empty folder for what an unfinished build dropped so far; without it, the samples of its last
    finished state are the dropped ones.
    """
    record, samples = record_of(folder), sampled_of(folder)
    check_is_build(folder, record)
    try:
        own = own_columns(read_record(folder / RUN / PROVENANCE))
    except (FileNotFoundError, Torn):  # the rows can be shown without what their own columns mean
        own = []
    is_finished = bool(record.get("finished"))
    dropped = dropped_files(folder)
    if scratch is not None and not is_finished and samples:
        from magpie_hf.report.so_far import samples_so_far

        dropped |= samples_so_far(folder, samples, (), scratch)[0]
    return Finished(folder, samples, is_finished, tuple(own), dropped)


def sampled_of(folder: Path) -> dict[str, Sampled]:
    """The stage folders of each domain's samples. Raises BadInput without a build that this version reads."""
    try:
        return {
            domain: Sampled.of(folder / RUN / domain, one["samples"])
            for domain, one in record_of(folder).get("pipeline", {}).items()
        }
    except UNREADABLE as error:
        raise unreadable(folder, error) from error


def own_columns(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The published columns of stages of one's own: name, type, meaning, and the splits that have it."""
    return [
        {"name": name, "to": one["to"], **column}
        for one in provenance.get("own", ())
        for name, column in one["columns"].items()
        if one["to"]
    ]


def dropped_files(folder: Path) -> dict[str, list[Path]]:
    """The parquet files of the samples that a build dropped, by domain."""
    files: dict[str, list[Path]] = {}
    for file in sorted((folder / RUN / "dropped").glob("*/*.parquet")):
        files.setdefault(file.parent.name, []).append(file)
    return files


def chosen_domains(build: Finished, text: str | None) -> tuple[str, ...]:
    """The domains in a comma-separated text; all for None. Raises BadInput for an unknown one."""
    names = build.domains if text is None else tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in build.domains:
            near = get_close_matches(name, build.domains, 1)
            others = f"choose from {', '.join(build.domains)}" if build.domains else "it has no domain yet"
            hint = f"did you mean {near[0]}?" if near else others
            raise BadInput(f"{name!r} is not a domain of the build in {build.folder}; {hint}")
    return names


def nothing(build: Finished, kind: Kind, domains: Sequence[str]) -> BadInput:
    """The error for a kind without rows."""
    counts = {other: len(build.places(other, build.domains)) for other in KINDS}
    there = ", ".join(f"{other} ({count:,})" for other, count in counts.items() if count) or "nothing yet"
    kinds = kind if tuple(domains) == build.domains else f"{kind} ({', '.join(domains)})"
    if build.is_finished:
        return BadInput(f"{build.folder} has no rows in {kinds}; it has {there}")
    return BadInput(f"{build.folder} is not finished and has no rows in {kinds}; it has {there}")


def some(places: Sequence[Place], count: int, seed: int | None) -> list[Place]:
    """The first `count` places, or so many random ones: the same for the same seed."""
    return (
        list(places[:count]) if seed is None else random.Random(seed).sample(places, min(count, len(places)))
    )


def rows_in(
    file: Path, wanted: Sequence[int], left_out: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """These rows of a file; reads only their row groups, each up to the last row that is wanted."""
    parquet, begin = _open(file), 0
    columns = [name for name in parquet.schema_arrow.names if name not in left_out]
    for group in range(parquet.num_row_groups):
        end = begin + parquet.metadata.row_group(group).num_rows
        inside = [number for number in wanted if begin <= number < end]
        at = begin
        for batch in parquet.iter_batches(STEP, row_groups=[group], columns=columns) if inside else ():
            here = [number for number in inside if at <= number < at + len(batch)]
            yield from ((number, batch.slice(number - at, 1).to_pylist()[0]) for number in here)
            at += len(batch)
            if at > inside[-1]:
                break
        begin = end


def _sides(folder: Path, text: str) -> list[Path]:
    """The files of a split, train before test."""
    return list(chain.from_iterable(sorted(folder.glob(f"{side}{text}-*.parquet")) for side in SIDES))


def _column(file: Path, name: str) -> list[Any]:
    with _whole(file):
        return list(_open(file).read([name])[name].to_pylist())


def _open(file: Path) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    with _whole(file):
        return ParquetFile(file)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """Raises BadInput if the file is torn, or is not a build's."""
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, KeyError, ArrowException) as error:
        raise BadInput(
            f"{file} cannot be read ({type(error).__name__}); run the build again, which writes it anew"
        ) from error
