"""The given problems of a build, in the order in which its folder first saw them.

Not here: reading the source (problems/own/), and what becomes of the rows.

A problem keeps its place in the folder for good: a source that was reordered gives the rows that there are,
one that grew gives new ones behind them, and a problem that the source no longer has is marked as withdrawn.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Features

from magpie_hf.problems.own.loading import Problem
from magpie_hf.schema import GIVEN, REFERENCE, SEED
from magpie_hf.stage import canonical, fingerprint, seed_of
from magpie_hf.store.rows import Made, Rows, absent, digest, is_whole, open_table, seal, seed_rows
from magpie_hf.store.shards import sync

LOG = logging.getLogger("magpie_hf")
OWN = "own"  # the folder below the run
_FEATURES = Features({**GIVEN, **REFERENCE})


def keep(run: Path, problems: Mapping[str, Iterable[Problem]]) -> dict[str, int]:
    """Write the problems of each domain into the run; returns how many rows each has now."""
    return {domain: _keep(run, domain, given) for domain, given in problems.items()}


def _keep(run: Path, domain: str, problems: Iterable[Problem]) -> int:
    now = {f"{domain}-{fingerprint(OWN, one.text)}": one for one in problems}
    file = _file(run, domain)
    before = []
    if is_whole(file):
        before = open_table(file).to_pylist()
    elif file.exists():
        LOG.warning("%s is torn (the disk or the power failed); it is written again", file)
    rows = []
    for row in before:
        one = now.pop(row["given_id"], None)
        rows.append(
            {**row, "withdrawn": True}
            if one is None
            else {**row, "withdrawn": False, "reference": one.reference}
        )
    rows += [
        {"given_id": name, "given": one.text, "withdrawn": False, "reference": one.reference}
        for name, one in now.items()
    ]
    if rows != before or not file.exists():
        _write(file, rows)
    return len(rows)


def _write(file: Path, rows: list[dict[str, object]]) -> None:
    """Write the rows atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=_FEATURES.arrow_schema)
    partial = file.with_suffix(".tmp")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    seal(partial, file)
    sync(partial)
    partial.replace(file)


def _file(run: Path, domain: str) -> Path:
    return run / OWN / f"{domain}.arrow"


def is_own(run: Path) -> bool:
    """Whether the build in this run is of given problems."""
    return (run / OWN).is_dir()


def first_rows(run: Path, domain: str, seed: int, start: int, stop: int) -> Rows:
    """Rows [start, stop) as they begin: seeds, and the given problems where the build has them."""
    if not is_own(run):
        return seed_rows(domain, seed, start, stop)
    file = _file(run, domain)
    table = open_table(file).slice(start, stop - start)
    names = table["given_id"].to_pylist()
    seeds = [seed_of(seed, domain, name) for name in names]
    columns = {"index": list(range(start, stop)), "domain": [domain] * len(seeds), "seed": seeds}
    seeded = Made(
        f"seeds-{fingerprint(OWN, domain, seed)}",
        ((pa.table(columns, schema=Features(SEED).arrow_schema), 0, len(seeds)),),
        np.array(seeds, dtype=np.int64),
    )
    made = {**absent(stop - start), **dict.fromkeys(SEED, seeded)}
    for key, columns_of in (("given", GIVEN), ("reference", REFERENCE)):
        values = zip(*(table[column].to_pylist() for column in columns_of), strict=True)
        digests = np.array([digest(canonical(row).encode()) for row in values], dtype=np.int64)
        made |= dict.fromkeys(columns_of, Made(key, ((file, start, stop),), digests))
    return Rows(domain, start, stop, made)
