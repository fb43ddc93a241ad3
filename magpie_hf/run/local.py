"""Local: runs stages in this process, over shards of rows on the disk.

Not here: which stages there are, and engines.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import xxhash
from datasets import Dataset, Features, Value
from datasets.table import InMemoryTable

from magpie_hf.answers.programs.sandbox import Sandbox
from magpie_hf.engines.base import Engine
from magpie_hf.engines.journal import Journal, keeping, kept
from magpie_hf.engines.shares import sharing
from magpie_hf.progress.events import ShardFinished
from magpie_hf.stage import Batch, Stage, canonical, fingerprint, identity, use_of
from magpie_hf.stages.again import repeated
from magpie_hf.stages.exports.base import Export
from magpie_hf.stages.guard import Fault, guarded
from magpie_hf.store.rows import Made, Published, Rows, digest, is_whole, open_table, seal
from magpie_hf.store.shards import ShardFolder
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.recipe import Recipe

DIGESTS = {"parent": Value("int64"), "digest": Value("int64")}
KEEPS_REQUESTS = "keeps_requests"  # in a stage's record
Report = Callable[[ShardFinished], None]  # called as each shard is finished


class Closing(Protocol):
    """Something that holds live engines until it is closed."""

    def close(self) -> None: ...


@dataclass
class Local:
    """Runs stages in this process, over Arrow shards.

    A shard is the file `folder/<domain>/<stage>-<hash>/<start>-<stop>.arrow`. It holds the columns that its
    stage added, and for each row a digest of what it was made from. A row whose digest fits is never made
    again, however the rows are cut into shards.

    shard_rows: rows of a new shard. shards_in_flight: how many shards are worked on at once. report: called
    for each finished shard.
    """

    folder: Path
    shard_rows: int = 256
    shards_in_flight: int = 8
    report: Report = field(default=lambda *_: None)
    _recorded: set[Path] = field(default_factory=set, init=False)  # folders whose record is whole

    @property
    def width(self) -> int:
        """How many shards are worked on at once, on all engines together."""
        return self.shards_in_flight

    def check(self, recipe: Recipe) -> list[str]:
        """How each engine of the recipe will run, in a line. Raises BadInput as `Recipe.check` does."""
        check_programs(recipe)
        recipe.check()
        lines = [engine.describe() for engine in dict.fromkeys(recipe.engines)]
        return [f"{padded(tr('engine'), 8)} {line}" for line in lines if line]

    def open(self, engine: Engine) -> Closing:
        """What a session closes in the end: here the engine itself, which its first request opens."""
        return engine

    def apply(self, stage: Stage, batch: Batch, folder: ShardFolder, start: int, stop: int) -> Batch:
        """Run a stage on the batch, which holds rows [start, stop)."""
        return apply(stage, batch, folder, start, stop)

    def pieces(self, count: int) -> list[tuple[int, int]]:
        """The shards (start, stop) of [0, count)."""
        return [(start, min(start + self.shard_rows, count)) for start in range(0, count, self.shard_rows)]

    def extend(self, rows: Rows, stages: Sequence[Stage]) -> Rows:
        """The rows with the columns of these stages, which read `rows` alone and run side by side."""
        if len(stages) == 1:
            made = [self._make(rows, stages[0])]
        else:
            with ThreadPoolExecutor(len(stages)) as pool:
                made = list(pool.map(lambda stage: self._make(rows, stage), stages))
        extended = rows
        for stage, one in zip(stages, made, strict=True):
            extended = extended.extended(stage, one)
        return extended

    def publish(self, parts: Sequence[Rows], export: Export) -> Published:
        """The published rows of one split; a shard is made again only if a row or the export changed."""
        columns = list(export.reads)
        made_from = sorted({parts[0].made[column].key for column in columns})
        folder = self.folder / parts[0].domain / f"{export.label}-{fingerprint(export, made_from)}"
        folder.mkdir(parents=True, exist_ok=True)
        files, content = [], xxhash.xxh64()
        for rows in parts:
            digests = rows.digests(columns).tobytes()
            file = folder / f"{rows.start:07d}-{rows.stop:07d}-{xxhash.xxh64_hexdigest(digests)}.arrow"
            if not is_whole(file):
                _map(rows.read(columns), export, export.features, file)
            files.append(file)
            content.update(digests)
        for stale in folder.parent.glob(f"{export.label}-*/*.arrow"):
            if stale not in files:
                stale.unlink()
        return Published(export.features, tuple(files), fingerprint(export, made_from, content.hexdigest()))

    def remove_journals(self, parts: Sequence[Rows], keys: Iterable[str]) -> None:
        """Remove the journals of the finished rows of one domain, however they were cut into shards.

        keys: the folders of all its stages; columns of some were made anew by others.
        """
        for key in keys:
            folder = ShardFolder(self.folder / parts[0].domain / key)
            kept = bool((folder.record() or {}).get(KEEPS_REQUESTS))
            folder.remove_journals(parts[0].start, parts[-1].stop, kept)

    def _make(self, rows: Rows, stage: Stage) -> Made:
        """The columns of the stage for these rows, from finished shards where they fit."""
        key = rows.key(stage)
        folder = ShardFolder(self.folder / rows.domain / key)
        parents = rows.digests(rows.needs(stage))
        found: list[tuple[Path, int, int, np.ndarray]] = []
        at = rows.start
        while at < rows.stop:
            piece, end = finished(folder, at, rows.stop, parents[at - rows.start :], stage.adds)
            if piece is None:
                file = self._run(rows, stage, folder, at, end, parents[at - rows.start : end - rows.start])
                piece = file, 0, end - at, _integers(open_table(file), "digest")
            found.append(piece)
            at = end
        if folder.path not in self._recorded:
            folder.mend(_record(rows, stage))
            self._recorded.add(folder.path)
        folder.remove_journals(rows.start, rows.stop, _keeps_requests(stage))
        digests = [piece[3] for piece in found]
        return Made(
            key,
            tuple(piece[:3] for piece in found),
            digests[0] if len(digests) == 1 else np.concatenate(digests),
        )

    def _run(
        self, rows: Rows, stage: Stage, folder: ShardFolder, start: int, stop: int, parents: np.ndarray
    ) -> Path:
        began = time.monotonic()
        folder.path.mkdir(parents=True, exist_ok=True)
        summary: dict[str, Any] = {}
        dropped = 0

        def function(batch: Batch) -> Batch:
            nonlocal dropped
            dropped = sum(reason is not None for reason in batch.get("dropped", ()))
            try:
                out = self.apply(stage, batch, folder, start, stop)
            except Fault as fault:
                row = start + fault.row
                raise fault.at(rows.read(["id"], row, row + 1)["id"][0].as_py()) from fault
            added = {column: out[column] for column in stage.adds}
            summary.update(shard_summary(stage.counted(batch, added)))
            folder.keep_results(start, stop, stage, added)
            values = zip(parents.tolist(), *added.values(), strict=True)
            return {
                **added,
                "parent": parents.tolist(),
                "digest": [digest(canonical(row).encode()) for row in values],
            }

        file = folder.file(start, stop, "arrow")
        features = Features({**stage.adds, **DIGESTS})
        with sharing() as share:
            _map(rows.read(rows.needs(stage), start, stop), function, features, file)
        seconds = share.of(time.monotonic() - began)
        shard = {"rows": stop - start, "seconds": round(seconds, 3), **summary}
        folder.finish(file, _record(rows, stage), shard)
        made = stop - start, round(seconds, 3), summary["tokens"], summary["reasons"], dropped
        self.report(ShardFinished(rows.domain, stage.label, *made))
        return file


def check_programs(recipe: Recipe) -> None:
    """Raises BadInput where programs are to be run and this machine, which runs them, has no sandbox."""
    if recipe.programmer is not None or recipe.tir:
        Sandbox.found()


def _record(rows: Rows, stage: Stage) -> dict[str, Any]:
    """What a stage's record says of it, beside its shards."""
    return {
        "stage": identity(stage),
        "reuse_key": stage.reuse_key,
        "made_from": rows.made_from(stage),
        "reads": rows.needs(stage),
        **({KEEPS_REQUESTS: True} if _keeps_requests(stage) else {}),
    }


def _keeps_requests(stage: Stage) -> bool:
    """Whether requests stay beside finished rows, as those of one's own stages do not hold them."""
    return bool(use_of(repeated(stage)) and stage.reuse_key)


def apply(
    stage: Stage, batch: Batch, folder: ShardFolder, start: int, stop: int, writer: int | None = None
) -> Batch:
    """Run a stage on the batch, which holds rows [start, stop), with the journal of these rows.

    Requests that a journal or finished rows of a stage with the same reuse_key answer are not sent again.
    Only one process may write a journal: `writer` numbers those of several processes.
    """
    file = folder.file(start, stop, "journal")
    file = file if writer is None else file.with_stem(f"{file.stem}-{writer}")
    journal = Journal(file if stage.reuse_key else None, _known(stage, folder, start, stop))
    journal.kept = kept(file)
    with keeping(journal):
        return guarded(stage, batch)


def _known(stage: Stage, folder: ShardFolder, start: int, stop: int) -> Iterator[tuple[str, Any]]:
    """(key, result) of requests that earlier builds made for these rows, under the same reuse_key."""
    for path in sorted(folder.path.parent.glob(f"{stage.label}-*/")) if stage.reuse_key else ():
        other = ShardFolder(path)
        if (other.record() or {}).get("reuse_key", stage.reuse_key) == stage.reuse_key:
            yield from other.known(start, stop, stage)


def _map(table: pa.Table, function: Callable[[Batch], Batch], features: Features, file: Path) -> None:
    """`Dataset.map` over the whole table as one batch, into a file that is written atomically."""
    partial = file.with_name(f"{file.name}.tmp")
    try:
        Dataset(InMemoryTable(table), fingerprint=file.stem).map(
            function,
            batched=True,
            batch_size=len(table),
            remove_columns=table.column_names,
            features=features,
            cache_file_name=str(partial),
            load_from_cache_file=False,
            new_fingerprint=file.stem,
        )
    # After a failed write, the writer of `datasets` raises "closed file" and hides the OSError.
    except ValueError as error:
        hidden: BaseException | None = error
        while hidden is not None and not isinstance(hidden, OSError):
            hidden = hidden.__context__
        raise (hidden or error) from None
    seal(partial, file)
    partial.replace(file)


def finished(
    folder: ShardFolder, at: int, last: int, parents: np.ndarray, columns: Iterable[str]
) -> tuple[tuple[Path, int, int, np.ndarray] | None, int]:
    """The finished piece that begins at row `at`, and its end; or None, and the next row to look at.

    A piece is (file, start and stop in the file, digests). parents: the digests of what the rows [at, last)
    must have been made from. columns: those that the stage adds.
    """
    ends, wanted = [last], [*columns, *DIGESTS]
    for start, stop, file in folder.spans("arrow"):
        if start > at:
            ends.append(start)
        elif stop > at and (table := folder.rows(start, stop, file, wanted)) is not None:
            end = min(stop, last)
            if np.array_equal(_integers(table, "parent")[at - start : end - start], parents[: end - at]):
                return (
                    file,
                    at - start,
                    end - start,
                    _integers(table, "digest")[at - start : end - start],
                ), end
    return None, min(ends)


def _integers(table: pa.Table, column: str) -> np.ndarray:
    """A column of integers, copied, so that the file can be closed."""
    return np.array(table[column].to_numpy(), dtype=np.int64)


def shard_summary(added: Batch) -> dict[str, Any]:
    """What `status` shows of a shard without reading it: tokens, and reasons by count."""
    tokens, reasons = 0, Counter[str]()
    for column, values in added.items():
        if column == "dropped":
            reasons.update(value for value in values if value)
        elif column == "raw_num_tokens":
            tokens += sum(value or 0 for value in values)
        for item in (
            item
            for value in values
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, dict)
        ):
            tokens += item.get("num_tokens") or 0
            if item.get("reason"):
                reasons[item["reason"]] += 1
    return {"tokens": tokens, "reasons": dict(sorted(reasons.items()))}
