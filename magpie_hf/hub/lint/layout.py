"""Which parquet files make which split of which configuration, and whether the splits fit together.

Not here: their rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magpie_hf.hub.lint.complaints import Complaints
from magpie_hf.text.language import tr

SPLIT_NAME = re.compile(r"\w+(\.\w+)*")
_SHARD = re.compile(r"(?P<config>[^/]+)/(?P<split>[^/]+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")
_NOT_IN_NAMES = frozenset("<>:/\\|?*")  # `datasets` refuses them in the name of a configuration


@dataclass(frozen=True)
class Split:
    """The readable files of one split, in order, and the schema of the first."""

    config: str
    name: str
    files: tuple[Path, ...]
    schema: pa.Schema

    @property
    def place(self) -> str:
        return f"{self.config}/{self.name}"


def splits_of(files: Mapping[str, Path], complaints: Complaints) -> list[Split]:
    """The splits in parquet files, which are given by path in the repository.

    Complains about names, numbers of shards, features and empty splits.
    """
    shards: dict[tuple[str, str], list[tuple[str, int, int]]] = {}
    for path in sorted(files):
        if not path.endswith(".parquet"):
            continue
        found = _SHARD.fullmatch(path)
        if found is None:
            complaints.add(
                path,
                tr(
                    "its name is not <config>/<split>-00000-of-0000N.parquet, so its configuration and split"
                    " are unknown"
                ),
            )
            continue
        key = (found["config"], found["split"])
        shards.setdefault(key, []).append((path, int(found["number"]), int(found["count"])))
    splits = []
    for (config, name), found_shards in shards.items():
        _check_names(config, name, complaints)
        _check_numbers(f"{config}/{name}", found_shards, complaints)
        splits.extend(_read(config, name, {path: files[path] for path, _, _ in found_shards}, complaints))
    _check_features(splits, complaints)
    return splits


def name_fault(config: str) -> str | None:
    """What is wrong with the name of a configuration; None where nothing is."""
    wrong = sorted(_NOT_IN_NAMES & set(config))
    if wrong:
        return tr(
            "the configuration's name {name!r} holds {wrong!r}, which datasets refuses",
            name=config,
            wrong=wrong[0],
        )
    if not config or config != config.strip():
        return tr("the configuration's name {name!r} is empty or padded, which datasets refuses", name=config)
    return None


def _check_names(config: str, name: str, complaints: Complaints) -> None:
    if fault := name_fault(config):
        complaints.add(config, fault)
    if not SPLIT_NAME.fullmatch(name):
        complaints.add(
            f"{config}/{name}",
            tr("a split's name may hold letters, digits, _ and single dots alone, or datasets refuses it"),
        )


def _check_numbers(place: str, shards: list[tuple[str, int, int]], complaints: Complaints) -> None:
    counts = {count for _, _, count in shards}
    if len(counts) > 1:
        complaints.add(
            place,
            tr(
                "its files count {counts} shards: two versions are mixed",
                counts=tr(" and ").join(map(str, sorted(counts))),
            ),
        )
    elif missing := sorted(set(range(max(counts))) - {number for _, number, _ in shards}):
        complaints.add(
            place,
            tr(
                "shards {numbers} of {count:05d} are missing",
                numbers=", ".join(f"{number:05d}" for number in missing[:5]),
                count=max(counts),
            ),
        )
    for path, number, count in shards:
        if number >= count:
            complaints.add(path, tr("its number is not below its count of shards"))


def _read(config: str, name: str, files: Mapping[str, Path], complaints: Complaints) -> list[Split]:
    """The split, in a list; [] where none of its files can be read.

    Complains about files that cannot be read, and about files with other features.
    """
    schemas: dict[Path, pa.Schema] = {}
    rows = 0
    for path, file in files.items():
        try:
            rows += int(pq.read_metadata(file).num_rows)
            schemas[file] = pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            complaints.add(path, tr("it cannot be read as parquet ({error})", error=type(error).__name__))
    if not schemas:
        return []
    if not rows:
        complaints.add(
            f"{config}/{name}",
            tr("it has no rows, which is an error in load_dataset and trainers; leave the split out"),
        )
    first = next(iter(schemas.values()))
    for path, file in files.items():
        if file in schemas and (difference := features_differ(first, schemas[file])):
            complaints.add(
                path,
                tr("its features differ from the split's first file: {difference}", difference=difference),
            )
    return [Split(config, name, tuple(schemas), first)]


def _check_features(splits: list[Split], complaints: Complaints) -> None:
    first: dict[str, Split] = {}
    for split in splits:
        other = first.setdefault(split.config, split)
        if difference := features_differ(other.schema, split.schema):
            complaints.add(
                split.place,
                tr(
                    "its features differ from {other}, and load_dataset reads no configuration of two:"
                    " {difference}",
                    other=other.place,
                    difference=difference,
                ),
            )


def features_differ(one: pa.Schema, other: pa.Schema) -> str:
    """Where two schemas differ, in a few words; "" where they are the same.

    The order of columns counts, and so do the features that `datasets` wrote into the metadata.
    """
    if one.names != other.names:
        for name in one.names:
            if name not in other.names:
                return tr("{name} is missing", name=name)
        for name in other.names:
            if name not in one.names:
                return tr("{name} is extra", name=name)
        return tr("the columns are in another order")
    for left, right in zip(one, other, strict=True):
        if left.type != right.type:
            return tr("{name} is {one} instead of {other}", name=left.name, one=right.type, other=left.type)
    if _written(one) != _written(other):
        return tr("the features that datasets wrote into the file are different")
    return ""


def _written(schema: pa.Schema) -> Any:
    """The features in the `huggingface` metadata, as text that keeps their order; None without metadata."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        return json.dumps(json.loads(raw)["info"]["features"])
    except (ValueError, KeyError, TypeError):
        return raw
