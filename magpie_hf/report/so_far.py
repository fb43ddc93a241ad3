"""The samples of a build that is not finished, as it decided on them so far: dropped, or still waiting.

Not here: rows that went through every stage (dataset/unfinished.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from magpie_hf.dataset.unfinished import dropped_part
from magpie_hf.report.samples import Sampled
from magpie_hf.schema import DROPPED
from magpie_hf.stages.adopt import sampled_id
from magpie_hf.store.records import RUN
from magpie_hf.store.splits import rows_of

Files = dict[str, list[Path]]  # parquet files with the columns of dropped samples, by domain


def samples_so_far(
    folder: Path, sampled: Mapping[str, Sampled], done: Collection[str], scratch: Path
) -> tuple[Files, Files]:
    """The samples that were dropped so far, and those that wait for the rest of their way, whose reason is
    null; written to `scratch`.

    sampled: the stage folders of each domain's samples. done: the ids of rows that went through every stage.
    Raises BadInput if the record or a shard cannot be read.
    """
    work = scratch / "decided"
    work.mkdir()
    decided = dropped_part(folder / RUN, work)
    dropped: Files = {}
    waiting: Files = {}
    for domain, stages in sampled.items():
        features = decided[domain].features if domain in decided else DROPPED
        known = list(rows_of(decided[domain], list(features))) if domain in decided else []
        seen = {sampled_id(name) for name in (*(row["id"] for row in known), *done)}
        more = [row for row in stages.so_far(domain) if row["id"] not in seen]
        known += [row for row in more if row["reason"] is not None]
        _write(dropped, scratch / "dropped" / domain, features, known)
        _write(waiting, scratch / "waiting" / domain, DROPPED, [row for row in more if row["reason"] is None])
    return dropped, waiting


def _write(files: Files, folder: Path, features: Features, rows: list[dict[str, Any]]) -> None:
    """Write the rows of a domain, whose name is the folder's."""
    if rows:
        file = folder / "train-00000-of-00001.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=features.arrow_schema), file)
        files[folder.name] = [file]
