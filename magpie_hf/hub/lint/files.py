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
from magpie_hf.text.language import tr

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
        yield tr("configs is no list of configurations, so load_dataset would mix all files into one split")
        return
    names = [config.get("config_name") for config in configs]
    yield from (
        tr("configs has {name!r} twice", name=name)
        for name in dict.fromkeys(map(str, names))
        if list(map(str, names)).count(name) > 1
    )
    if (
        defaults := [str(config.get("config_name")) for config in configs if config.get("default") is True]
    ) and len(defaults) > 1:
        yield tr(
            "{names} are all marked default: true, which load_dataset refuses",
            names=tr(" and ").join(defaults),
        )
    elif not defaults:
        yield tr("no configuration is marked default: true, so load_dataset without a name fails")
    owners: dict[str, list[str]] = {}
    for config in configs:
        yield from _one_config(config, files, {} if config.get("config_name") == DEFAULT_CONFIG else owners)
    yield from _default_faults(_splits_by_config(front, files))
    for path, places in owners.items():
        if len(places) > 1:
            yield tr("{path} is in each of {places}", path=path, places=tr(" and ").join(places))
    for path in sorted(set(_parquet(files)) - owners.keys()):
        yield tr("{path} is in no configuration, so load_dataset would not load it", path=path)


def _one_config(
    config: Mapping[str, Any], files: Mapping[str, Path | bytes], owners: dict[str, list[str]]
) -> Iterator[str]:
    name = config.get("config_name")
    if not isinstance(name, str):
        yield tr("a configuration's config_name is {name!r}, which is no text", name=name)
        return
    if fault := name_fault(name):
        yield fault
    data_files = config.get("data_files")
    if not isinstance(data_files, list) or not data_files:
        yield tr("{name}: data_files is no list of split and path", name=name)
        return
    seen: set[str] = set()
    for entry in data_files:
        if (
            not isinstance(entry, dict)
            or entry.keys() != {"split", "path"}
            or not isinstance(entry["path"], (str, list))
        ):
            yield tr(
                "{name}: data_files holds {entry!r}, which is no split with its path", name=name, entry=entry
            )
            continue
        split = str(entry["split"])
        if not SPLIT_NAME.fullmatch(split):
            yield tr(
                "{name}: the split's name {split!r} may hold letters, digits, _ and single dots alone",
                name=name,
                split=split,
            )
        if split in seen:
            yield tr("{name}: data_files has the split {split} twice", name=name, split=split)
        seen.add(split)
        for pattern in _patterns(entry):
            matched = _matched(pattern, files)
            if not matched:
                yield tr(
                    "{name}: {split} names {pattern}, which no published file matches",
                    name=name,
                    split=split,
                    pattern=pattern,
                )
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
            says = (
                tr(
                    "{name} lacks {path}, so load_dataset without a name would not load it",
                    name=name,
                    path=path,
                )
                if path in each
                else tr("{name} names {path}, which is in the {name} of no domain", name=name, path=path)
            )
            yield f"{DEFAULT_CONFIG}: {says}"


def info_faults(
    front: Mapping[str, Any], files: Mapping[str, Path | bytes], rows: Mapping[str, int]
) -> Iterator[str]:
    """Complaints about `dataset_info`: configurations, features, rows and bytes that the files contradict."""
    stated = front.get("dataset_info")
    infos: list[Any] = stated if isinstance(stated, list) else [stated]
    if not all(isinstance(info, dict) for info in infos):
        yield (
            tr("dataset_info is missing, so readers must guess the features")
            if stated is None
            else tr("dataset_info is no list of mappings, so readers must guess the features")
        )
        return
    configs = _splits_by_config(front, files)
    named = [str(info.get("config_name", "default")) for info in infos]
    yield from (
        tr("dataset_info has {name} twice", name=name)
        for name in dict.fromkeys(named)
        if named.count(name) > 1
    )
    yield from (
        tr("dataset_info has {name}, which is no configuration", name=name)
        for name in named
        if name not in configs
    )
    yield from (tr("dataset_info lacks {name}", name=name) for name in configs if name not in named)
    for name, info in zip(named, infos, strict=True):
        if name in configs:
            yield from (
                tr("dataset_info of {name}: {says}", name=name, says=says)
                for says in _one_info(info, configs[name], files, rows)
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
        yield tr("splits is no list of splits with their names")
        return
    names = [split["name"] for split in listed]
    if sorted(names) != sorted(splits):
        yield tr(
            "its splits are {stated}, but those of the configuration are {actual}",
            stated=", ".join(names) or tr("none"),
            actual=", ".join(splits) or tr("none"),
        )
    for split in listed:
        if (paths := splits.get(split["name"])) is None:
            continue
        count = sum(rows.get(path, 0) for path in paths)
        if split.get("num_examples") != count:
            yield tr(
                "num_examples of {split} is {stated}, but its files hold {count:,} rows",
                split=split["name"],
                stated=split.get("num_examples"),
                count=count,
            )
        if not _positive(split.get("num_bytes")):
            yield tr(
                "num_bytes of {split} is {stated!r}, which is no number above 0",
                split=split["name"],
                stated=split.get("num_bytes"),
            )
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
        yield tr(
            "download_size is {stated}, but its files have {actual:,} bytes",
            stated=info["download_size"],
            actual=download,
        )
    size = sum(split["num_bytes"] for split in listed if _positive(split.get("num_bytes")))
    if "dataset_size" in info and info["dataset_size"] != size:
        yield tr(
            "dataset_size is {stated}, but its splits have {actual:,} bytes",
            stated=info["dataset_size"],
            actual=size,
        )


def _feature_faults(stated: Any, path: str, file: Path) -> Iterator[str]:
    if not isinstance(stated, list):
        yield tr("features is no list")
        return
    from datasets import Features

    try:
        schema = Features._from_yaml_list(deepcopy(stated)).arrow_schema
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield tr(
            "features cannot be read ({kind}: {error})",
            kind=type(error).__name__,
            error=" ".join(str(error).split()),
        )
        return
    actual = Features.from_arrow_schema(pq.read_schema(file)).arrow_schema
    if difference := features_differ(actual, schema):
        yield tr("features are not those of {path}: {difference}", path=path, difference=difference)


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
