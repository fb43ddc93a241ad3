"""The finished part of a build that is not finished: rows that went through every stage, as published later.

Not here: the card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from magpie_hf.card.breadth import by_topic
from magpie_hf.card.stats import Samples, samples_of
from magpie_hf.errors import BadInput
from magpie_hf.run.rounds import extended, tokens_of_rounds
from magpie_hf.run.selection_log import filtered_pieces
from magpie_hf.selection.hardened import hardened
from magpie_hf.stages.exports.base import Export
from magpie_hf.stages.exports.dropped import export_dropped
from magpie_hf.stages.exports.spec import export_of
from magpie_hf.stages.pass_rate import PASS_RATE
from magpie_hf.store.own_rows import first_rows
from magpie_hf.store.records import RECORD, read_record
from magpie_hf.store.rows import Published, Rows
from magpie_hf.store.shards import ShardFolder


@dataclass(frozen=True)
class Part:
    """The finished part of a build: the samples that were dropped, or went through every stage.

    splits: by configuration and split; min_neighbor_distance is null, as it depends on all accepted problems.
    dropped: the dropped samples, by domain. samples: their numbers, by domain. targets: counts of domains.
    """

    splits: dict[str, dict[str, Published]]
    dropped: dict[str, Published]
    samples: dict[str, Samples]
    targets: dict[str, int]


def finished_part(run: Path, scratch: Path) -> Part:
    """The finished part of the build with the record folder `run`; its Arrow files are written to `scratch`.

    Needs no engine and no model. Raises BadInput where the record cannot be read.
    """
    with _reading(run):
        record = read_record(run / RECORD)
        pipeline, log = record["pipeline"], run / "selection" / record["selection"]
        exports = {
            domain: {source: list(map(export_of, specs)) for source, specs in one["exports"].items()}
            for domain, one in pipeline.items()
        }
        rows = {domain: _rows(run, log, record["seed"], domain, one) for domain, one in pipeline.items()}
        spent = {
            domain: tokens_of_rounds(
                run,
                domain,
                record["seed"],
                one["samples"],
                [(part.start, part.stop) for part in rows[domain]],
            )
            for domain, one in pipeline.items()
        }
    splits: dict[str, dict[str, list[Path]]] = {}
    features = {}
    samples = {}
    for domain, sources in exports.items():
        used = {source: rows[source] for source in sources if rows[source]}
        harder = hardened(used.get(domain, ()), spent.get(domain, 0))
        samples[domain] = replace(
            samples_of(domain, used),
            topics=by_topic(domain, used),
            hardened={} if harder is None else harder.plain(),
        )
        for source, pieces in used.items():
            for export in sources[source]:
                features[export.config] = export.features
                files = splits.setdefault(export.config, {}).setdefault(export.split, [])
                files += [
                    _write(export, piece, scratch / f"{source}-{export.label}-{piece.start}.arrow")
                    for piece in pieces
                ]
    published = {
        config: {split: Published(features[config], tuple(files), "") for split, files in named.items()}
        for config, named in splits.items()
    }
    return Part(
        published,
        _dropped(rows, pipeline, scratch),
        samples,
        {domain: one["count"] for domain, one in pipeline.items()},
    )


def dropped_part(run: Path, scratch: Path) -> dict[str, Published]:
    """The samples that the filtering dropped so far, by domain, whether or not others have answers yet.

    Their Arrow files are written to `scratch`. Raises BadInput where the record cannot be read.
    """
    with _reading(run):
        record = read_record(run / RECORD)
        log = run / "selection" / record["selection"]
        rows = {
            domain: [
                filtered
                for start, stop, restore in filtered_pieces(log, domain)
                if (sampled := _extended(first_rows(run, domain, record["seed"], start, stop), before))
                is not None
                and (filtered := restore(sampled)) is not None
            ]
            for domain, one in record["pipeline"].items()
            if (before := _folders(run, domain, one, "samples"))
        }
    return _dropped(rows, record["pipeline"], scratch)


@contextmanager
def _reading(run: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"the record of the build in {run} cannot be read ({type(error).__name__}: {error}); run the"
            " build again with this version"
        ) from error


def _dropped(
    rows: Mapping[str, list[Rows]], pipeline: Mapping[str, Any], scratch: Path
) -> dict[str, Published]:
    exports = {
        domain: export_dropped(pieces[0], PASS_RATE in pipeline[domain]["samples"])
        for domain, pieces in rows.items()
        if pieces
    }
    files = {
        domain: tuple(
            _write(export, piece, scratch / f"{domain}-{export.label}-{piece.start}.arrow")
            for piece in rows[domain]
        )
        for domain, export in exports.items()
    }
    return {domain: Published(export.features, files[domain], "") for domain, export in exports.items()}


def _rows(run: Path, log: Path, seed: int, domain: str, pipeline: Mapping[str, Any]) -> list[Rows]:
    """The finished rows of a domain with all columns, piece by piece."""
    before, after = (_folders(run, domain, pipeline, half) for half in ("samples", "answers"))
    pieces = []
    for start, stop, restore in filtered_pieces(log, domain):
        at = start
        for begin, end, _ in after[-1].spans("arrow"):
            if (first := max(begin, at)) < (last := min(end, stop)):
                rows = _extended(first_rows(run, domain, seed, first, last), before)
                rows = None if rows is None else restore(rows)
                rows = None if rows is None else _extended(rows, after)
                pieces += [] if rows is None else [rows]
                at = last
    return pieces


def _folders(run: Path, domain: str, pipeline: Mapping[str, Any], half: str) -> list[ShardFolder]:
    return [ShardFolder(run / domain / key, read_only=True) for key in pipeline[half].values()]


def _extended(rows: Rows, stages: list[ShardFolder]) -> Rows | None:
    """The rows with the columns of finished shards; None where a shard is missing or does not fit."""
    found: Rows | None = rows
    for folder in stages:
        found = None if found is None else extended(found, folder)
    return found


def _write(export: Export, rows: Rows, file: Path) -> Path:
    made = export(rows.read(export.reads).to_pydict())
    table = pa.table(made, schema=export.features.arrow_schema)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return file
