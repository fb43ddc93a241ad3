"""Where stages run: here, over shards of rows on disk. Not here: which stages there are, and engines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from datasets import Dataset, Features, Value, concatenate_datasets

from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.schema import PUBLISHED, SEED
from magpie_hf.shards import ShardFolder
from magpie_hf.stage import Batch, Stage, canonical, fingerprint, identity, seed_of
from magpie_hf.stages.export import Export

DIGESTS = {"parent": Value("int64"), "digest": Value("int64")}


@dataclass(frozen=True)
class Rows:
    """Rows [start, stop) of one domain with all the columns made so far.

    made_by: column -> key of the stage that made it. For each key there is a column `digest:<key>`, a number a row that stands for what
    the stage made there and for everything that this came from.
    """

    domain: str
    start: int
    table: Dataset
    made_by: Mapping[str, str]

    @property
    def stop(self) -> int:
        return self.start + len(self.table)

    def made_from(self, stage: Stage) -> list[str]:
        """The keys of the stages whose columns this stage depends on."""
        columns = [*stage.reads, *(["dropped"] if "dropped" in self.made_by else [])]
        return sorted({self.made_by[column] for column in columns})

    def key(self, stage: Stage) -> str:
        """The stage's folder: its label and a hash of all that determines what it makes of these rows."""
        return f"{stage.label}-{fingerprint(stage, self.made_from(stage))}"

    def digests(self, keys: Sequence[str]) -> np.ndarray:
        """One number a row (int64) for what these stages made there."""
        columns = [np.asarray(self.table.with_format("numpy")[f"digest:{key}"][:], dtype=np.int64) for key in keys]
        if len(columns) == 1:
            return columns[0]
        stacked = np.stack(columns, axis=1)
        return np.array([_digest(row.tobytes()) for row in stacked], dtype=np.int64)


def seed_rows(domain: str, seed: int, start: int, stop: int) -> Rows:
    """Rows that hold nothing but their place and their own seed, from which everything else is drawn."""
    key = f"seeds-{fingerprint(domain, seed)}"
    seeds = [seed_of(seed, domain, index) for index in range(start, stop)]
    columns = {"index": list(range(start, stop)), "domain": [domain] * len(seeds), "seed": seeds, f"digest:{key}": seeds}
    table = Dataset.from_dict(columns, features=Features({**SEED, f"digest:{key}": Value("int64")}))
    return Rows(domain, start, table, dict.fromkeys(SEED, key))


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Neighbouring rows of one domain as one."""
    table = parts[0].table if len(parts) == 1 else concatenate_datasets([part.table for part in parts])
    return Rows(parts[0].domain, parts[0].start, table, parts[0].made_by)


Report = Callable[[str, str, int, float], None]  # domain, stage label, rows, seconds; called as each shard is finished


@dataclass
class Local:
    """Runs stages in this process, over Arrow shards under `folder/<domain>/<stage>-<hash>/<from>-<to>.arrow`.

    A shard holds the columns that its stage added, and for each row the digest of what it was made from. A row whose digest still fits
    is never made again, however the rows are cut: a shard is found by what went into it.

    shard_rows: rows of a new shard; shards_in_flight: how many are worked on at once, so that the engine always has more to do.
    """

    folder: Path
    shard_rows: int = 256
    shards_in_flight: int = 8
    report: Report = field(default=lambda *_: None)

    def pieces(self, count: int) -> list[tuple[int, int]]:
        """[0, count) cut into shards."""
        return [(start, min(start + self.shard_rows, count)) for start in range(0, count, self.shard_rows)]

    def extend(self, rows: Rows, stages: Sequence[Stage]) -> Rows:
        """The rows with the columns of these stages, which depend on `rows` alone and run side by side."""
        if len(stages) == 1:
            made = [self._make(rows, stages[0])]
        else:
            with ThreadPoolExecutor(len(stages)) as pool:
                made = list(pool.map(lambda stage: self._make(rows, stage), stages))
        table, made_by = rows.table, dict(rows.made_by)
        for stage, added in zip(stages, made, strict=True):
            key = rows.key(stage)
            added = added.remove_columns("parent").rename_column("digest", f"digest:{key}")
            table = table.remove_columns([column for column in stage.adds if column in table.column_names])
            table = concatenate_datasets([table, added], axis=1)
            made_by |= dict.fromkeys(stage.adds, key)
        return Rows(rows.domain, rows.start, table, made_by)

    def publish(self, rows: Rows, export: Export) -> Dataset:
        """The published rows of one split, made anew only where a row or the export itself changed."""
        columns = list(export.reads)
        made_from = sorted({rows.made_by[column] for column in columns})
        key = fingerprint(export, made_from, xxhash.xxh64_hexdigest(rows.digests(made_from).tobytes()))
        file = self.folder / rows.domain / f"{export.split}-{key}.arrow"
        file.parent.mkdir(parents=True, exist_ok=True)
        for stale in file.parent.glob(f"{export.split}-*.arrow"):
            if stale != file:
                stale.unlink()
        return rows.table.select_columns(columns).map(
            export,
            batched=True,
            batch_size=self.shard_rows,
            remove_columns=columns,
            features=PUBLISHED,
            cache_file_name=str(file),
            load_from_cache_file=True,
            new_fingerprint=key,
        )

    def _make(self, rows: Rows, stage: Stage) -> Dataset:
        """The stage's columns for the rows, from finished shards where they fit and made anew where none does."""
        folder = ShardFolder(self.folder / rows.domain / rows.key(stage))
        parents = rows.digests(rows.made_from(stage))
        parts: list[Dataset] = []
        at = rows.start
        while at < rows.stop:
            part, end = _finished(folder, at, rows, parents)
            if part is None:
                part = self._run(rows, stage, folder, at, end, parents[at - rows.start : end - rows.start])
            parts.append(part)
            at = end
        folder.sweep()
        return concatenate_datasets(parts) if len(parts) > 1 else parts[0]

    def _run(self, rows: Rows, stage: Stage, folder: ShardFolder, start: int, stop: int, parents: np.ndarray) -> Dataset:
        began = time.monotonic()
        folder.path.mkdir(parents=True, exist_ok=True)
        columns = [*stage.reads, *(["dropped"] if "dropped" in rows.made_by else [])]
        part = rows.table.select(range(start - rows.start, stop - rows.start)).select_columns(columns)
        facts: dict[str, Any] = {}

        def function(batch: Batch) -> Batch:
            out = stage(batch)
            added = {column: out[column] for column in stage.adds}
            facts.update(_facts(added))
            values = zip(parents.tolist(), *added.values(), strict=True)
            return {**added, "parent": parents.tolist(), "digest": [_digest(canonical(row).encode()) for row in values]}

        file = folder.file(start, stop, "arrow")
        known = self._known(rows.domain, stage, start, stop)
        with keeping(Journal(folder.file(start, stop, "journal") if stage.kin else None, known)):
            made = part.map(
                function,
                batched=True,
                batch_size=len(part),
                remove_columns=columns,
                features=Features({**stage.adds, **DIGESTS}),
                cache_file_name=str(file),
                load_from_cache_file=False,
                new_fingerprint=f"{folder.path.name.rsplit('-', 1)[-1]}-{start}-{stop}-{xxhash.xxh64_hexdigest(parents.tobytes())}",
            )
        seconds = time.monotonic() - began
        shard = {"rows": stop - start, "seconds": round(seconds, 3), **facts}
        folder.finish(file, {"stage": identity(stage), "kin": stage.kin, "made_from": rows.made_from(stage), "shard": shard})
        self.report(rows.domain, stage.label, stop - start, seconds)
        return made

    def _known(self, domain: str, stage: Stage, start: int, stop: int) -> Iterator[tuple[str, Any]]:
        """Results that earlier builds left for these rows, under this stage or one of its kin."""
        for path in sorted((self.folder / domain).glob(f"{stage.label}-*/")) if stage.kin else ():
            folder = ShardFolder(path)
            if (folder.record() or {}).get("kin", stage.kin) == stage.kin:
                yield from folder.known(start, stop, stage)


def _finished(folder: ShardFolder, at: int, rows: Rows, parents: np.ndarray) -> tuple[Dataset | None, int]:
    """Finished columns of the rows from `at` up to some end; or None, and the row up to which none are finished."""
    ends = [rows.stop]
    for start, stop, file in folder.spans("arrow"):
        if start > at:
            ends.append(start)
        elif stop > at and (whole := folder.rows(start, stop, file)) is not None:
            end = min(stop, rows.stop)
            part = whole.select(range(at - start, end - start))
            expected = parents[at - rows.start : end - rows.start]
            if np.array_equal(np.asarray(part.with_format("numpy")["parent"][:], dtype=np.int64), expected):
                return part, end
    return None, min(ends)


def _facts(added: Batch) -> dict[str, Any]:
    """What status shows of a shard without reading it: tokens, and reasons by count."""
    tokens, reasons = 0, Counter[str]()
    for column, values in added.items():
        if column == "dropped":
            reasons.update(value for value in values if value)
        elif column == "raw_num_tokens":
            tokens += sum(value or 0 for value in values)
        for item in (item for value in values if isinstance(value, list) for item in value if isinstance(item, dict)):
            tokens += item.get("num_tokens") or 0
            if item.get("reason"):
                reasons[item["reason"]] += 1
    return {"tokens": tokens, "reasons": dict(sorted(reasons.items()))}


def _digest(content: bytes) -> int:
    return xxhash.xxh64_intdigest(content) >> 1  # Arrow makes signed numbers of Python's
