"""The folder of a build: its record, and its published files, which are written atomically.

Not here: which folders a build can go into (place.py), rows as files (parquet.py), and the Hub.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from magpie_hf.card import card
from magpie_hf.card.own_words import rest_of
from magpie_hf.card.provenance import writer_of
from magpie_hf.card.stats import Built, Tally, published, with_rows
from magpie_hf.dataset import legacy
from magpie_hf.dataset.kept import contents_in, provenance_in, samples_in
from magpie_hf.dataset.parquet import write_data, write_split
from magpie_hf.dataset.place import check_same, has_others, is_begun
from magpie_hf.dataset.readme import Readme
from magpie_hf.errors import BadInput, Torn
from magpie_hf.models.data_licence import licence_in
from magpie_hf.recipe import Recipe
from magpie_hf.review.calibration.record import KEPT, fits, keep, kept
from magpie_hf.review.marks import bad_rows
from magpie_hf.selection.selection import Selection
from magpie_hf.stage import fingerprint
from magpie_hf.store import lock
from magpie_hf.store.manifest import sum_of
from magpie_hf.store.records import (
    FORMAT,
    LOCK,
    PROVENANCE,
    RECORD,
    RUN,
    SAMPLES,
    SELECTED,
    check_format,
    read_record,
)
from magpie_hf.store.rows import Published
from magpie_hf.store.shards import sync, write_record

LOG = logging.getLogger("magpie_hf")
DROPPED = "dropped"
PARTIAL = "partial-"  # prefix of the folders for a part of a build that is published


@dataclass(frozen=True)
class Folder:
    """The folder of one build: `run/` holds shards and records, the rest is published.

    purpose: "" for a build, or what the folder is for, such as a calibration.
    """

    path: Path
    purpose: str = ""

    @property
    def run(self) -> Path:
        return self.path / RUN

    @property
    def _record_file(self) -> Path:
        return self.run / RECORD

    @property
    def _readme(self) -> Readme:
        return Readme(self.path, self.run)

    def check(self, recipe: Recipe) -> None:
        """Check that the recipe can be built here; leaves nothing behind.

        Raises BadInput where the folder cannot be written, and where it holds other files, another build, or
        a build of an older or a newer version.
        """
        others = has_others(self.path, self.run)
        record = self._record() or self._by_provenance()
        if record:
            self._readme.read()  # one that is no UTF-8 is refused here
        if recipe.problems is not None and recipe.problems.holds(self.path):
            raise BadInput(
                f"{self.path} is in the folder of the problems, {recipe.problems.source}, whose rows would be"
                " problems, too; choose another --out"
            )
        if not record and not self._record_file.exists():
            if others or is_begun(self.run):
                raise BadInput(f"{self.path} holds other files; choose an empty or a new folder for --out")
            return
        if record:
            check_format(self.path, record)
        check_same(record, recipe, self.purpose, self.path, self.run)

    @contextmanager
    def claimed(self, recipe: Recipe) -> Iterator[None]:
        """Claim the folder for this recipe, and lock it against other builds.

        Raises BadInput where another build runs in the folder.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(lock.exclusive(self.run / LOCK))
            except lock.Taken as taken:
                raise BadInput(
                    f"another build runs in {self.path}, or is being published ({taken}); wait for it or"
                    " choose another --out"
                ) from taken
            # Files that a killed process was writing.
            for leftover in (*self.run.glob("*/*/tmp*"), *self.run.rglob("*.tmp")):
                leftover.unlink()
            for leftover in self.run.glob(f"{PARTIAL}*"):
                shutil.rmtree(leftover)
            if not self._record():
                if self._record_file.exists():
                    LOG.warning(
                        "%s is torn (the disk or the power failed); it is written again", self._record_file
                    )
                record = {
                    "format": FORMAT,
                    "magpie_hf": version("magpie-hf"),
                    "created": int(time.time()),
                    "name": recipe.generator.model.name,
                    "model": recipe.generator.model.revision,
                    "seed": recipe.seed,
                    **({"purpose": self.purpose} if self.purpose else {}),
                    "files": self._published_files(),
                }
                write_record(self._record_file, record)
            yield

    def reviewed(self, recipe: Recipe) -> Recipe:
        """The recipe without the rows that are marked bad here."""
        bad = tuple(sorted({*recipe.acceptance.reviewed, *bad_rows(self.run)}))
        return replace(recipe, acceptance=replace(recipe.acceptance, reviewed=bad))

    def is_finished(self, recipe: Recipe) -> bool:
        """Whether the last build here had this recipe and was finished."""
        return self._record().get("finished") == fingerprint(recipe)

    def plan(self, recipe: Recipe, pipeline: dict[str, Any], selection_log: str) -> None:
        """Record what will be built, for `status` and for publishing a part.

        pipeline: by domain, its count, the folder of each stage, and its exports by the domain that rows were
        sampled for. selection_log: the name of the selection log's folder.
        """
        record = self._record()
        planned = {"pipeline": json.loads(json.dumps(pipeline)), "selection": selection_log}
        if any(record.get(key) != value for key, value in planned.items()) or record.get("finished") not in (
            None,
            fingerprint(recipe),
        ):
            kept = {key: value for key, value in record.items() if key not in ("finished", "content")}
            write_record(self._record_file, {**kept, **planned})

    def keep_provenance(self, provenance: dict[str, Any]) -> None:
        """Write the provenance, which a card needs, to the run."""
        write_record(self.run / PROVENANCE, {"format": FORMAT, **provenance})

    def record_selection(self, selection: Selection) -> None:
        """Record how far the selection is, for `status`."""
        quotas = {
            key: {
                "filtered": quota.filtered,
                "accepted": quota.accepted,
                "reasons": dict(sorted(quota.reasons.items())),
                **({"topics": topics} if (topics := _plain(quota.topics)) else {}),
            }
            for key, quota in selection.quotas.items()
        }
        if self._selected() != quotas:
            write_record(self.run / SELECTED, quotas)

    def _selected(self) -> dict[str, Any] | None:
        try:
            return read_record(self.run / SELECTED)
        except (FileNotFoundError, Torn):
            return None

    def keep_dropped(self, domain: str, dropped: Published) -> None:
        """Write the dropped samples of a build that gives up; the next finished build replaces them."""
        folder = self.run / DROPPED / domain
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_split(folder, "train", dropped)

    def write(self, recipe: Recipe, built: list[Built], numbers: dict[str, Tally]) -> None:
        """Write the published files of the build; does nothing where they are there already.

        Files are written aside and then moved. Meanwhile README.md names no data files, so that old and new
        files are not loaded together. The next write completes one that was killed. Files of an earlier
        build that are not part of this one are removed.
        """
        record = self._record()
        data = with_rows(published(built))
        rows = [rows.content for splits in data.values() for rows in splits.values()]
        content = fingerprint(
            recipe,
            rows,
            [one.dropped.content for one in built if one.dropped],
            card.VERSION,
            asdict(licence_in(self.provenance)),
            *(said for name in ("reviewed", "calibration") if (said := self.provenance.get(name))),
            *([own["source"]] if (own := self.provenance.get("own_problems")) else []),
        )
        files: dict[str, int] = record.get("files", {})
        samples = {one.domain.key: one.samples.plain() for one in built}
        same = (
            record.get("content") == content and {"sums", "samples"} <= set(record) and self._knows(samples)
        )
        if (
            same
            and all(_size(self.path / file) == size for file, size in files.items())
            and all(_sha256(self.path / file) == digest for file, digest in record["sums"].items())
        ):
            return
        write_record(self.run / SAMPLES, samples)
        staging = self.run / "publishing"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        write_data(data, staging)
        for one in built:
            self._stage(recipe, one, numbers[one.domain.key], staging, record["created"])
        legacy.write_combined(recipe, numbers, staging, record["created"])
        contents = self.contents(staging.glob("*/*"))
        words = self.own_words
        made = card.files(contents, card.PLACEHOLDER, words=words)
        rest = rest_of(made[card.README].decode())
        # Where the record does not say which card was written, as after its loss, it may be an edited one.
        if self._readme.is_none_of(record.get("card"), rest):
            LOG.warning(
                "%s was changed outside the place for your own words, and is written anew; the changed one is"
                " kept as %s",
                self._readme.file,
                self._readme.keep_edited(),
            )
        self._readme.keep_words(words)
        for file, text in made.items():
            (staging / file).parent.mkdir(exist_ok=True)
            (staging / file).write_bytes(text)
        new = {
            file.relative_to(staging).as_posix(): file.stat().st_size
            for file in sorted(staging.rglob("*"))
            if file.is_file()
        }
        sums = {
            path: (contents.sums.get(path) or sum_of(staging / path)).sha256
            for path in new
            if path != card.README
        }
        unfinished = {key: value for key, value in record.items() if key not in ("finished", "content")}
        write_record(self._record_file, {**unfinished, "files": {**files, **new}})
        self._readme.set_under_way()
        shutil.rmtree(self.run / DROPPED, ignore_errors=True)
        for file in sorted(set(files) - set(new)):
            (self.path / file).unlink(missing_ok=True)
        for file in sorted(new, key=lambda file: (file == card.README, file)):
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            sync(staging / file)
            (staging / file).replace(self.path / file)
        shutil.rmtree(staging)
        for folder in {(self.path / file).parent for file in set(files) - set(new)}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        write_record(
            self._record_file,
            {
                **unfinished,
                "files": new,
                "sums": sums,
                "samples": sum_of(self.run / SAMPLES).sha256,
                "card": rest,
                "content": content,
                "finished": fingerprint(recipe),
            },
        )

    def contents(self, files: Iterable[Path]) -> card.Contents:
        """The contents of a card with these data files; see `kept.contents_in`."""
        return contents_in(self.run, files)

    @property
    def own_words(self) -> str:
        """The own words in the card, also where a build was killed while it wrote it; "" without any."""
        return self._readme.own_words

    @property
    def card_was_edited(self) -> bool:
        """Whether the card is another than the build wrote, besides the own words in it."""
        wrote = self._record().get("card") if self._record_file.exists() else None
        return wrote is not None and self._readme.is_none_of(wrote)

    @property
    def provenance(self) -> dict[str, Any]:
        """How the rows were made; see `kept.provenance_in`."""
        return provenance_in(self.run)

    def keep_calibration(self, recipe: Recipe, record: Mapping[str, Any] | None) -> None:
        """Keep the record of a calibration for the card; None keeps the one here, if it is of this solver."""
        if record is not None:
            keep(self.run, record)
        elif (here := kept(self.run)) is not None and not fits(here, recipe.votes):
            LOG.warning(
                "%s is of another solver or sampling, so it is removed; give --calibration", self.run / KEPT
            )
            (self.run / KEPT).unlink()

    @property
    def knows_provenance(self) -> bool:
        """Whether the provenance can be read."""
        try:
            return bool(self.provenance)
        except BadInput:
            return False

    def _knows(self, samples: Mapping[str, Any]) -> bool:
        """Whether the provenance can be read, and the samples are those of the run."""
        try:
            return self.knows_provenance and samples_in(self.run) == samples
        except BadInput:
            return False

    def _stage(self, recipe: Recipe, one: Built, numbers: Tally, staging: Path, created: int) -> None:
        (staging / one.domain.key).mkdir(parents=True, exist_ok=True)
        legacy.write_domain(recipe, one, numbers, staging, created)
        if one.dropped is not None and len(one.dropped):
            folder = staging / self.run.name / DROPPED / one.domain.key
            folder.mkdir(parents=True)
            write_split(folder, "train", one.dropped)

    def _record(self) -> dict[str, Any]:
        """The record; an empty one where there is none.

        So, too, where it is torn, as a build can do without: stage folders have hashes.
        """
        try:
            record = read_record(self._record_file)
        except FileNotFoundError:
            return {}
        except Torn as error:
            if isinstance(error.__cause__, OSError):
                raise BadInput(
                    f"{self._record_file} cannot be read ({error.__cause__.strerror}); mend it or choose"
                    " another --out"
                ) from error
            record = {}
        return record if {"created", "name", "model", "seed"} <= set(record) else {}

    def _by_provenance(self) -> dict[str, Any]:
        """Whose build this is, where the record is lost and the provenance is not; else an empty record."""
        try:
            provenance = self.provenance
            writer = writer_of(provenance)
            of = {"name": writer["name"], "model": writer["revision"], "seed": provenance["seed"]}
            return {"format": FORMAT, **of}
        except (BadInput, LookupError, TypeError, StopIteration):
            return {}

    def _published_files(self) -> dict[str, int]:
        """Files in the folder that a build may have written, with their sizes in bytes."""
        patterns = (
            card.README,
            card.LICENSE,
            card.RECIPE,
            "*_ins*.json",
            "combined_dataset_info.json",
            "*/dataset_info.json",
            "*/*-of-*.parquet",
            "plots/*.svg",
        )
        files = [
            file for pattern in patterns for file in self.path.glob(pattern) if self.run not in file.parents
        ]
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in sorted(files)}


def _plain(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(counts[name]) for name in sorted(counts)}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None
