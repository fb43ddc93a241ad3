"""Checks of a dataset card: those of the Hub, and whether the metadata fits the files.

Not here: the rows of the files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import yaml

from magpie_hf.card.licence import LICENSE, stated
from magpie_hf.card.sizes import SIZES, size_of
from magpie_hf.hub.lint.files import config_faults, info_faults, rows_of
from magpie_hf.hub.lint.lists import (
    ANNOTATIONS_CREATORS,
    LANGUAGE_CREATORS,
    MULTILINGUALITY,
    SOURCES,
    TASKS,
    languages,
)
from magpie_hf.models.licences import LICENCES
from magpie_hf.text.language import tr

# A bound of this package. The Hub states none and has answered 413 to large cards (MTEB's with all their
# statistics). A card of six domains has 40 kB.
CARD_BYTES = 500_000
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.parquet$")
_TOKEN = re.compile(rb"hf_[A-Za-z0-9]{30,}")


def lint_card(text: str, files: Mapping[str, Path | bytes]) -> list[str]:
    """Complaints about a card, one line each; [] where there are none.

    text: the card, README.md. files: everything else that is published, by path in the repository: a file or
    bytes. A size category is right if it fits any number between the rows of the largest split (the number
    of problems) and the rows of all files (the Hub's count). Raises pyarrow.ArrowInvalid for a parquet file
    that is torn.
    """
    lines = [*_size_faults(text), *_token_faults(text, files)]
    front, faults = front_matter(text)
    lines.extend(faults)
    if front is not None:
        rows = rows_of(files)
        splits: Counter[str] = Counter()
        for path, count in rows.items():
            splits[_SHARD.sub("", path)] += count
        lines.extend(_label_faults(front))
        lines.extend(_licence_faults(front, files))
        lines.extend(_size_category_faults(front, list(splits.values())))
        lines.extend(config_faults(front, files))
        lines.extend(info_faults(front, files, rows))
    # A name in the card may hold a line feed.
    return [f"README.md: {' '.join(line.split())}" for line in lines]


def front_matter(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """A card's metadata (None where it cannot be read), and what is wrong with it as YAML."""
    lines = text.splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return None, [
            tr("it does not begin with metadata between two lines of ---, so the Hub knows no configuration")
        ]
    block = "\n".join(lines[1 : lines.index("---", 1)])
    loader = _Loader(block)
    try:
        data = loader.get_single_data()
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        return None, [tr("its metadata is no YAML ({error})", error=" ".join(str(error).split()))]
    finally:
        loader.dispose()
    repeated = [
        tr(
            "its metadata has the key {key!r} twice (line {line}), and readers take the last silently",
            key=key,
            line=line + 2,
        )
        for key, line in loader.repeated
    ]
    if not isinstance(data, dict):
        return None, [*repeated, tr("its metadata is no mapping of names to values")]
    return data, repeated


class _Loader(yaml.SafeLoader):
    """A safe loader that notes repeated keys of a mapping.

    It reads dates as dates, as readers of the card do: a library that vLLM loads makes SafeLoader read them
    as text in the whole process.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:timestamp": yaml.SafeLoader.construct_yaml_timestamp,
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                self.repeated.append((key.value, key.start_mark.line))
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _size_faults(text: str) -> Iterator[str]:
    if (size := len(text.encode())) > CARD_BYTES:
        yield tr(
            "it has {size:,} bytes, and the Hub refuses large cards (413); keep it under {most:,}",
            size=size,
            most=CARD_BYTES,
        )


def _token_faults(text: str, files: Mapping[str, Path | bytes]) -> Iterator[str]:
    """Complaints about tokens of the Hub in texts, without the token itself."""
    if _TOKEN.search(text.encode()):
        yield tr(
            "the text holds what looks like a token of the Hub (hf_...); take it out, and revoke it if it is"
            " one"
        )
    for path, content in files.items():
        if isinstance(content, bytes) and _TOKEN.search(content):
            yield tr(
                "{path}, published with it, holds what looks like a token of the Hub (hf_...); take it out,"
                " and revoke it if it is one",
                path=path,
            )


def _label_faults(front: Mapping[str, Any]) -> Iterator[str]:
    yield from _listed(front, "license", frozenset(LICENCES), required=True)
    yield from _listed(front, "language", languages(), required=True)
    yield from _listed(front, "size_categories", frozenset(name for _, name in SIZES), required=True)
    yield from _listed(front, "task_categories", TASKS)
    yield from _listed(front, "annotations_creators", frozenset(ANNOTATIONS_CREATORS))
    yield from _listed(front, "language_creators", frozenset(LANGUAGE_CREATORS))
    yield from _listed(front, "multilinguality", frozenset(MULTILINGUALITY))
    extended = [
        value
        for value in _values(front, "source_datasets")
        if isinstance(value, str) and re.fullmatch(r"extended\|[\w./-]+", value)
    ]
    yield from _listed(front, "source_datasets", frozenset([*SOURCES, *extended]))
    for tag in _values(front, "tags"):
        if not isinstance(tag, str) or not tag.strip():
            yield tr("tags holds {tag!r}, which is no text", tag=tag)
    if front.get("license") == "other" and not front.get("license_name"):
        yield tr("license is other, but license_name does not name it")


def _licence_faults(front: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Iterator[str]:
    """Complaints about a file LICENSE that states another licence than the card."""
    if (content := files.get(LICENSE)) is None:
        return
    text = (content if isinstance(content, bytes) else content.read_bytes()).decode(errors="replace")
    keys = ("license", "license_name", "license_link")
    card = {key: str(front[key]) for key in keys if front.get(key)}
    if (file := stated(text)) != card:
        said = [
            ", ".join(f"{key} {value}" for key, value in one.items()) or tr("none") for one in (card, file)
        ]
        yield tr(
            "its licence is {card}, and that in the file {name} is {file}",
            card=said[0],
            name=LICENSE,
            file=said[1],
        )


def _listed(
    front: Mapping[str, Any], key: str, allowed: frozenset[str], *, required: bool = False
) -> Iterator[str]:
    """Complaints about values of a key that are not allowed, and about an empty or a missing key."""
    values = _values(front, key)
    if not values and (required or key in front):
        yield tr("{key} is empty", key=key) if key in front else tr("{key} is missing", key=key)
    for value in values:
        if not isinstance(value, str):
            yield tr(
                "{key} holds {value!r}, which YAML does not read as text; put it in quotes",
                key=key,
                value=value,
            )
        elif value not in allowed:
            near = get_close_matches(value, sorted(allowed), n=1, cutoff=0.7)
            says = tr("{key} holds {value!r}, which is not on the Hub's list", key=key, value=value)
            yield says + (tr("; did you mean {near}?", near=near[0]) if near else "")


def _values(front: Mapping[str, Any], key: str) -> list[Any]:
    value = front.get(key)
    return value if isinstance(value, list) else [] if value is None else [value]


def _size_category_faults(front: Mapping[str, Any], rows: list[int]) -> Iterator[str]:
    """Complaints about a size category that does not fit the rows of every split, `rows`.

    A category that is on no list is left to `_label_faults`.
    """
    names = [name for _, name in SIZES]
    stated = [value for value in _values(front, "size_categories") if value in names]
    if not rows or not stated:
        return
    least, most = size_of(max(rows)), size_of(sum(rows))
    fit = names[names.index(least) : names.index(most) + 1]
    if len(stated) > 1 or stated[0] not in fit:
        yield tr(
            "size_categories is {stated}, but the largest split has {largest:,} rows and all files together"
            " {rows:,}: {fit}",
            stated=", ".join(stated),
            largest=max(rows),
            rows=sum(rows),
            fit=tr(" or ").join(fit),
        )
