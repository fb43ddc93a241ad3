"""The folder of a build: its record, and its published files, which are written atomically.

Not here: the Hub.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets.config import DEFAULT_CDC_OPTIONS

from magpie_hf.card import card
from magpie_hf.card.own_words import rest_of, words_in
from magpie_hf.card.provenance import writer_of
from magpie_hf.card.stats import Built, Samples, Tally, published, with_rows
from magpie_hf.dataset import legacy
from magpie_hf.errors import BadInput, Torn
from magpie_hf.models.data_licence import licence_in
from magpie_hf.recipe import Recipe
from magpie_hf.review.calibration.record import KEPT, fits, keep, kept, summary_of
from magpie_hf.review.marks import bad_rows, kept_marks
from magpie_hf.review.precision import precision
from magpie_hf.schema import CANDIDATES_CONFIG, SIDES, SUFFIXES, TEXT_SPLITS
from magpie_hf.selection.selection import Selection
from magpie_hf.stage import fingerprint
from magpie_hf.store import lock
from magpie_hf.store.manifest import sum_of
from magpie_hf.store.own_rows import is_own
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
    torn,
)
from magpie_hf.store.rows import Published, open_table
from magpie_hf.store.shards import sync, write_record
from magpie_hf.store.splits import ParquetSplit

LOG = logging.getLogger("magpie_hf")
OWN_WORDS = "own_words.md"  # the user's words in the card, while the card is written anew
EDITED = "README.edited.md"  # a card that was changed outside their place; later ones are numbered from 2
DROPPED = "dropped"
PARTIAL = "partial-"  # prefix of the folders for a part of a build that is published
UNDER_WAY = """---
configs:
- config_name: default
  data_files: this-dataset-is-being-written/run-the-build-again.parquet
---
This dataset is being written. If no build is running, run it again to finish it.
"""
GROUP_ROWS = 1_000  # most rows of a row group, as `datasets` writes them
GROUP_BYTES = 100_000_000  # and most bytes in memory, as `datasets` aims at; the Hub's viewer refuses 300 MB
SHARD_BYTES = 500_000_000  # most bytes of one parquet file, as in the Hub's own clients


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

    def check(self, recipe: Recipe) -> None:
        """Check that the recipe can be built here; leaves nothing behind.

        Raises BadInput where the folder cannot be written, and where it holds other files, another build, or
        a build of an older or a newer version.
        """
        try:
            ground = next(
                path
                for path in (self.path.absolute(), *self.path.absolute().parents)
                if path.exists() or path.is_symlink()
            )
            if not ground.is_dir():
                raise BadInput(f"{ground} is no folder, so {self.path} cannot be one; choose another --out")
            probe = Path(tempfile.mkdtemp(prefix=".magpie-", dir=ground))
            try:
                (probe / self.path.name).is_dir()  # a name that is too long fails here
            finally:
                probe.rmdir()
            others = (
                []
                if not self.path.is_dir()
                else [file.name for file in self.path.iterdir() if file != self.run]
            )
        except OSError as error:
            raise BadInput(
                f"{self.path} cannot be written ({error.strerror}); choose another --out"
            ) from error
        record = self._record() or self._by_provenance()
        if record:
            self._card_text()  # one that is no UTF-8 is refused here
        if recipe.problems is not None and recipe.problems.holds(self.path):
            raise BadInput(
                f"{self.path} is in the folder of the problems, {recipe.problems.source}, whose rows would be"
                " problems, too; choose another --out"
            )
        if not record and not self._record_file.exists():
            if others or (
                self.run.is_dir()
                and any(
                    file.name.partition(".")[0] != LOCK and file.suffix != ".tmp"
                    for file in self.run.iterdir()
                )
            ):
                raise BadInput(f"{self.path} holds other files; choose an empty or a new folder for --out")
            return
        if record:
            check_format(self.path, record)
        if record and is_own(self.run) != (recipe.problems is not None):
            if is_own(self.run):
                raise BadInput(
                    f"{self.path} holds a build of given problems; give --problems, or choose another --out"
                )
            raise BadInput(
                f"{self.path} holds a build of sampled problems; leave out --problems or choose another --out"
            )
        if record.get("purpose", "") != self.purpose:
            if self.purpose:
                raise BadInput(f"{self.path} holds a build, and no calibration; choose another --out")
            raise BadInput(f"{self.path} holds a calibration, and no build; choose another --out")
        mine = {"model": recipe.generator.model.revision, "seed": recipe.seed}
        for what, value in mine.items():
            if value != record.get(what, value):
                name = f" ({record['name']})" if what == "model" else ""
                raise BadInput(
                    f"{self.path} holds another build: its {what} is {record[what]}{name}, not {value};"
                    " choose another --out"
                )

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
        _write_parquet(folder, "train", dropped)

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
        if self._has_card and self._card_there not in (record.get("card"), rest):
            LOG.warning(
                "%s was changed outside the place for your own words, and is written anew; the changed one is"
                " kept as %s",
                self.path / card.README,
                self._keep_edited(),
            )
        self._keep(OWN_WORDS, words)
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
        (self.path / card.README).write_text(UNDER_WAY, encoding="utf-8")
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
        """The contents of a card: the data files among `files`, and the provenance and samples in the run.

        Raises BadInput where provenance or samples cannot be read.
        """
        provenance = self.provenance
        try:
            samples = {
                domain["key"]: Samples(**self._kept(SAMPLES)[domain["key"]])
                for domain in provenance["domains"]
            }
        except (KeyError, TypeError) as error:
            raise BadInput(
                f"{self.run / SAMPLES} is not what this version writes; run the build again"
            ) from error
        return card.Contents(provenance, samples, data_in(files, provenance))

    @property
    def own_words(self) -> str:
        """The own words in the card, also where a build was killed while it wrote it; "" without any."""
        words = words_in(self._card_text())
        if words is None:
            kept = self.run / OWN_WORDS
            words = kept.read_text(encoding="utf-8", errors="replace") if kept.is_file() else ""
        return words

    @property
    def card_was_edited(self) -> bool:
        """Whether the card is another than the build wrote, besides the own words in it."""
        wrote = self._record().get("card") if self._record_file.exists() else None
        return wrote is not None and self._has_card and self._card_there != wrote

    @property
    def _has_card(self) -> bool:
        return self._card_text() not in ("", UNDER_WAY)

    @property
    def _card_there(self) -> str:
        return rest_of(self._card_text())

    def _card_text(self) -> str:
        file = self.path / card.README
        try:
            return file.read_text(encoding="utf-8") if file.is_file() else ""
        except UnicodeDecodeError as error:
            raise BadInput(f"{file} is no UTF-8 text; save it as UTF-8") from error

    def _keep_edited(self) -> Path:
        """Keep the card as it is beside earlier ones, and return the copy."""
        number = 1
        while True:
            copy = self.run / (EDITED if number == 1 else EDITED.replace(".md", f".{number}.md"))
            if not copy.exists():
                self._keep(copy.name, self._card_text())
            if copy.read_text(encoding="utf-8", errors="replace") == self._card_text():
                return copy
            number += 1

    def _keep(self, name: str, text: str) -> None:
        """Write a text of the user's into the run, whole or not at all; an empty one is removed."""
        file = self.run / name
        if not text:
            file.unlink(missing_ok=True)
            return
        aside = file.with_suffix(".tmp")
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        aside.replace(file)

    @property
    def provenance(self) -> dict[str, Any]:
        """How the rows were made, how many of them people read, and what a calibration says of their labels.

        Raises BadInput where that cannot be read, or has another format.
        """
        provenance = self._kept(PROVENANCE)
        if provenance.get("format") != FORMAT or "sft" not in provenance:
            raise BadInput(f"{self.run / PROVENANCE} is of another version of magpie_hf; run the build again")
        for share in precision(kept_marks(self.run).values())["all"].values():
            provenance["reviewed"] = {"read": share.read, "good": share.right}
        if (record := kept(self.run)) is not None:
            least = provenance["pairing"]["min_majority_share"]
            if (numbers := summary_of(record, least).to_card()) is not None:
                provenance["calibration"] = numbers
        return provenance

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
            return self.knows_provenance and self._kept(SAMPLES) == samples
        except BadInput:
            return False

    def _kept(self, name: str) -> dict[str, Any]:
        try:
            return read_record(self.run / name)
        except FileNotFoundError as error:
            raise torn(self.run / name, type(error).__name__) from error

    def _stage(self, recipe: Recipe, one: Built, numbers: Tally, staging: Path, created: int) -> None:
        (staging / one.domain.key).mkdir(parents=True, exist_ok=True)
        legacy.write_domain(recipe, one, numbers, staging, created)
        if one.dropped is not None and len(one.dropped):
            folder = staging / self.run.name / DROPPED / one.domain.key
            folder.mkdir(parents=True)
            _write_parquet(folder, "train", one.dropped)

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


def write_data(data: Mapping[str, Mapping[str, Published]], folder: Path) -> None:
    """Write the parquet files of all configurations and splits, as `DatasetDict.push_to_hub` names them."""
    for config, splits in data.items():
        (folder / config).mkdir(exist_ok=True)
        for split, rows in splits.items():
            _write_parquet(folder / config, split, rows)


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


def _write_parquet(folder: Path, split: str, rows: Published) -> None:
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


def _plain(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(counts[name]) for name in sorted(counts)}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None
