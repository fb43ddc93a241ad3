"""Whether a card's `configs` and `dataset_info` fit the files that it is published with.

Not here: the card's other metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from magpie_hf.hub.lint.layout import SPLIT_NAME, features_differ, name_fault

# As in schema.py, which loads `datasets`.
DEFAULT_CONFIG = "default"
TEXT_SPLITS = ("train_sft", "train_prefs", "test_sft", "test_prefs")

Splits = dict[str, list[str]]  # the name of a split -> the paths of its files


def rows_of(files: Mapping[str, Path | bytes]) -> dict[str, int]:
    """The number of rows of each parquet file on the disk, by path."""
    return {path: int(pq.read_metadata(file).num_rows) for path, file in _parquet(files).items()}


def config_faults(front: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Iterator[str]:
    """Complaints about `configs`: names, splits and default, and files that are missing or left out.

    Each file is in one configuration, and those of the domains' texts are in `default`, too, where there is
    one.
    """
    configs = front.get("configs")
    if (
        not isinstance(configs, list)
        or not configs
        or not all(isinstance(config, dict) for config in configs)
    ):
        yield "configs is no list of configurations, so load_dataset would mix all files into one split"
        return
    names = [config.get("config_name") for config in configs]
    yield from (
        f"configs has {name!r} twice"
        for name in dict.fromkeys(map(str, names))
        if list(map(str, names)).count(name) > 1
    )
    if (
        defaults := [str(config.get("config_name")) for config in configs if config.get("default") is True]
    ) and len(defaults) > 1:
        yield f"{' and '.join(defaults)} are all marked default: true, which load_dataset refuses"
    elif not defaults:
        yield "no configuration is marked default: true, so load_dataset without a name fails"
    owners: dict[str, list[str]] = {}
    for config in configs:
        yield from _one_config(config, files, {} if config.get("config_name") == DEFAULT_CONFIG else owners)
    yield from _default_faults(_splits_by_config(front, files))
    for path, places in owners.items():
        if len(places) > 1:
            yield f"{path} is in {' and in '.join(places)}"
    for path in sorted(set(_parquet(files)) - owners.keys()):
        yield f"{path} is in no configuration, so load_dataset would not load it"


def _one_config(
    config: Mapping[str, Any], files: Mapping[str, Path | bytes], owners: dict[str, list[str]]
) -> Iterator[str]:
    name = config.get("config_name")
    if not isinstance(name, str):
        yield f"a configuration's config_name is {name!r}, which is no text"
        return
    if fault := name_fault(name):
        yield fault
    data_files = config.get("data_files")
    if not isinstance(data_files, list) or not data_files:
        yield f"{name}: data_files is no list of split and path"
        return
    seen: set[str] = set()
    for entry in data_files:
        if (
            not isinstance(entry, dict)
            or entry.keys() != {"split", "path"}
            or not isinstance(entry["path"], (str, list))
        ):
            yield f"{name}: data_files holds {entry!r}, which is no split with its path"
            continue
        split = str(entry["split"])
        if not SPLIT_NAME.fullmatch(split):
            yield f"{name}: the split's name {split!r} may hold letters, digits, _ and single dots alone"
        if split in seen:
            yield f"{name}: data_files has the split {split} twice"
        seen.add(split)
        for pattern in _patterns(entry):
            matched = _matched(pattern, files)
            if not matched:
                yield f"{name}: {split} names {pattern}, which no published file matches"
            for path in matched:
                owners.setdefault(path, []).append(f"{name}/{split}")


def _default_faults(configs: dict[str, Splits]) -> Iterator[str]:
    """Complaints about the splits of `default` that do not have exactly the files of all domains' texts."""
    if DEFAULT_CONFIG not in configs:
        return
    whole = configs[DEFAULT_CONFIG]
    for name in dict.fromkeys([*TEXT_SPLITS, *whole]):
        each = [
            path
            for config, splits in configs.items()
            if config != DEFAULT_CONFIG and name in TEXT_SPLITS
            for path in splits.get(name, [])
        ]
        for path in sorted(set(each) ^ set(whole.get(name, []))):
            yield (
                f"{DEFAULT_CONFIG}: {name} lacks {path}, so load_dataset without a name would not load it"
                if path in each
                else f"{DEFAULT_CONFIG}: {name} names {path}, which is in the {name} of no domain"
            )


def info_faults(
    front: Mapping[str, Any], files: Mapping[str, Path | bytes], rows: Mapping[str, int]
) -> Iterator[str]:
    """Complaints about `dataset_info`: configurations, features, rows and bytes that the files contradict."""
    stated = front.get("dataset_info")
    infos: list[Any] = stated if isinstance(stated, list) else [stated]
    if not all(isinstance(info, dict) for info in infos):
        yield (
            f"dataset_info is {'missing' if stated is None else 'no list of mappings'}, so readers must guess"
            " the features"
        )
        return
    configs = _splits_by_config(front, files)
    named = [str(info.get("config_name", "default")) for info in infos]
    yield from (f"dataset_info has {name} twice" for name in dict.fromkeys(named) if named.count(name) > 1)
    yield from (
        f"dataset_info has {name}, which is no configuration" for name in named if name not in configs
    )
    yield from (f"dataset_info lacks {name}" for name in configs if name not in named)
    for name, info in zip(named, infos, strict=True):
        if name in configs:
            yield from (
                f"dataset_info of {name}: {says}" for says in _one_info(info, configs[name], files, rows)
            )


def _one_info(
    info: Mapping[str, Any], splits: Splits, files: Mapping[str, Path | bytes], rows: Mapping[str, int]
) -> Iterator[str]:
    if first := next((path for paths in splits.values() for path in paths if path in rows), None):
        yield from _feature_faults(info.get("features"), first, _parquet(files)[first])
    listed = info.get("splits")
    if not isinstance(listed, list) or not all(
        isinstance(split, dict) and isinstance(split.get("name"), str) for split in listed
    ):
        yield "splits is no list of splits with their names"
        return
    names = [split["name"] for split in listed]
    if sorted(names) != sorted(splits):
        yield (
            f"its splits are {', '.join(names) or 'none'}, but those of the configuration are"
            f" {', '.join(splits) or 'none'}"
        )
    for split in listed:
        if (paths := splits.get(split["name"])) is None:
            continue
        count = sum(rows.get(path, 0) for path in paths)
        if split.get("num_examples") != count:
            yield (
                f"num_examples of {split['name']} is {split.get('num_examples')}, but its files hold"
                f" {count:,} rows"
            )
        if not _positive(split.get("num_bytes")):
            yield f"num_bytes of {split['name']} is {split.get('num_bytes')!r}, which is no number above 0"
    yield from _total_faults(info, listed, splits, files)


def _total_faults(
    info: Mapping[str, Any], listed: list[Any], splits: Splits, files: Mapping[str, Path | bytes]
) -> Iterator[str]:
    """Complaints about `download_size` and `dataset_size`, which a card may leave out."""
    paths = {path for paths in splits.values() for path in paths}
    download = sum(
        content.stat().st_size if isinstance(content, Path) else len(content)
        for content in map(files.__getitem__, paths)
    )
    if "download_size" in info and info["download_size"] != download:
        yield f"download_size is {info['download_size']}, but its files have {download:,} bytes"
    size = sum(split["num_bytes"] for split in listed if _positive(split.get("num_bytes")))
    if "dataset_size" in info and info["dataset_size"] != size:
        yield f"dataset_size is {info['dataset_size']}, but its splits have {size:,} bytes"


def _feature_faults(stated: Any, path: str, file: Path) -> Iterator[str]:
    if not isinstance(stated, list):
        yield "features is no list"
        return
    from datasets import Features

    try:
        schema = Features._from_yaml_list(deepcopy(stated)).arrow_schema
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield f"features cannot be read ({type(error).__name__}: {' '.join(str(error).split())})"
        return
    actual = Features.from_arrow_schema(pq.read_schema(file)).arrow_schema
    if difference := features_differ(actual, schema):
        yield f"features are not those of {path}: {difference}"


def _splits_by_config(front: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> dict[str, Splits]:
    """The splits in `configs`, by configuration, as far as they have the right form."""
    found: dict[str, Splits] = {}
    configs = front.get("configs")
    for config in configs if isinstance(configs, list) else []:
        entries = config.get("data_files") if isinstance(config, dict) else None
        if isinstance(entries, list) and isinstance(config.get("config_name"), str):
            splits = found.setdefault(config["config_name"], {})
            for entry in entries:
                if isinstance(entry, dict) and isinstance(entry.get("path"), (str, list)):
                    splits[str(entry.get("split"))] = sorted(
                        {path for one in _patterns(entry) for path in _matched(one, files)}
                    )
    return found


def _patterns(entry: Mapping[str, Any]) -> list[str]:
    path = entry["path"]
    return [str(one) for one in path] if isinstance(path, list) else [str(path)]


def _matched(pattern: str, files: Mapping[str, Path | bytes]) -> list[str]:
    """The paths that match a path or pattern: ** matches any folders, * and ? stay within a name."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    ways = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = re.compile("".join(ways.get(part, re.escape(part)) for part in parts))
    return sorted(path for path in files if expression.fullmatch(path))


def _parquet(files: Mapping[str, Path | bytes]) -> dict[str, Path]:
    return {
        path: file for path, file in files.items() if path.endswith(".parquet") and isinstance(file, Path)
    }


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
