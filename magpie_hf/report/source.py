"""The rows of a report: those that a build published, or what is finished of it so far.

Not here: what is counted in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from magpie_hf.card.contents import Contents
from magpie_hf.card.stats import with_rows
from magpie_hf.dataset.folder import Folder
from magpie_hf.dataset.parquet import data_in, write_data
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.errors import BadInput
from magpie_hf.report.finding import dropped_files, sampled_of
from magpie_hf.report.so_far import samples_so_far
from magpie_hf.review.marks import Kept, kept_marks
from magpie_hf.run.status import Status, status
from magpie_hf.schema import CANDIDATES_CONFIG, SIDES, SUFFIXES
from magpie_hf.selection.demand import FIRST_LOOK
from magpie_hf.stage import fingerprint
from magpie_hf.store import lock
from magpie_hf.store.records import LOCK, RUN, check_is_build, record_of
from magpie_hf.store.splits import ParquetSplit, Split, rows_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A build's published rows, and its dropped samples by domain. state: its progress.

    waiting: samples of an unfinished build that are neither, by domain.
    """

    folder: Path
    state: Status
    contents: Contents
    dropped: Mapping[str, Split]
    waiting: Mapping[str, Split] = field(default_factory=dict)

    @property
    def samples(self) -> Iterator[Split]:
        """All samples that are no accepted problems: those that were dropped, then those that wait."""
        yield from (*self.dropped.values(), *self.waiting.values())

    @property
    def build(self) -> str:
        """What tells this build from all others, also where its folder is moved."""
        record = record_of(self.folder)
        return fingerprint(*(record.get(name) for name in ("model", "seed", "created")))

    @cached_property
    def marks(self) -> dict[str, Kept]:
        """The marks of people in the folder, by id."""
        return kept_marks(self.folder / RUN)


@contextmanager
def opened(folder: Path, scratch: Path) -> Iterator[Source]:
    """The rows of the build in `folder`; of an unfinished build, those that went through every stage, and all
    samples.

    scratch: a folder into which the rows of an unfinished build are written. No build can begin in `folder`
    meanwhile; one that already runs goes on, and only finished shards of it are read. Raises BadInput if
    there is no build, if another version wrote it, and if it has no sample yet.
    """
    status(folder)
    check_is_build(folder, record_of(folder))
    with _kept_still(folder / RUN / LOCK):
        state = status(folder)
        if state.finished:
            yield Source(folder, state, Folder(folder).contents(_published(folder)), _dropped(folder))
        else:
            yield _part(folder, state, scratch)


def accepted(source: Source) -> Iterator[tuple[str, Split]]:
    """The accepted problems of each side, train and test, as far as there are any."""
    found = source.contents.data.get(CANDIDATES_CONFIG, {})
    yield from ((side, found[side]) for side in SIDES if side in found)


def with_answers(
    source: Source, side: str, rows: Iterator[Row], columns: Sequence[str], kind: str = "sft"
) -> Iterator[tuple[Row, list[Row]]]:
    """Problems, each with the columns ("id" among them) of its published answers, the best one first.

    The answers of a domain are in the order of its problems, so those of one problem are held at a time.
    kind: "prefs", "rl" or "tir" for the rows of these splits instead.
    """
    data = source.contents.data
    suffix, split = (f"_{kind}", side) if f"_{kind}" in SUFFIXES else ("", f"{side}_{kind}")
    answers = {
        domain: groupby(rows_of(splits[split], columns), itemgetter("id"))
        for domain in source.contents.domains
        if split in (splits := data.get(f"{domain}{suffix}", {}))
    }
    ahead = {domain: next(solved, None) for domain, solved in answers.items()}
    for row in rows:
        found = ahead.get(row["domain"])
        if found is not None and found[0] == row["id"]:
            yield row, list(found[1])
            ahead[row["domain"]] = next(answers[row["domain"]], None)
        else:
            yield row, []


def _published(folder: Path) -> list[Path]:
    """The files of a finished build. Raises BadInput if one is missing."""
    sums = record_of(folder).get("sums", {})
    files = [
        folder / path
        for path in sums
        if path.endswith(".parquet") and path.count("/") == 1  # not run/dropped
    ]
    if not files or not all(file.is_file() for file in files):
        gone = next((file for file in files if not file.is_file()), folder / "*.parquet")
        raise BadInput(f"{gone} is missing; run the build again, then look at it")
    return files


def _part(folder: Path, state: Status, scratch: Path) -> Source:
    part = finished_part(folder / RUN, scratch)
    data = with_rows(part.splits)
    done = {
        row["id"] for split in data.get(CANDIDATES_CONFIG, {}).values() for row in rows_of(split, ("id",))
    }
    dropped, waiting = (
        {domain: ParquetSplit(tuple(files)) for domain, files in found.items()}
        for found in samples_so_far(folder, sampled_of(folder), done, scratch)
    )
    dropped = _dropped(folder) | dropped
    if not data and not dropped and not waiting:
        raise BadInput(
            f"the build in {folder} has no finished samples yet (the first {FIRST_LOOK} of a domain come"
            " together); wait for them, or run the build again"
        )
    to = scratch / "data"
    to.mkdir()
    write_data(data, to)
    provenance = Folder(folder).provenance
    contents = Contents(provenance, part.samples, data_in(to.glob("*/*"), provenance))
    return Source(folder, state, contents, dropped, waiting)


def _dropped(folder: Path) -> dict[str, ParquetSplit]:
    """The samples that a build dropped, by domain."""
    return {domain: ParquetSplit(tuple(files)) for domain, files in dropped_files(folder).items()}


@contextmanager
def _kept_still(file: Path) -> Iterator[None]:
    """Keep builds out of the folder with the lock that they take.

    If a build already holds the lock, or a copied folder has none, go on without it.
    """
    with ExitStack() as held:
        with suppress(FileNotFoundError, lock.Taken):
            held.enter_context(lock.shared(file))
        yield
