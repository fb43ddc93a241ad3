"""The dataset card, rendered from the template under cards/ with facts counted in the rows that are published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from datasets import Features

from magpie_hf.splits import ParquetSplit
from magpie_hf.stage import fingerprint
from magpie_hf.stats import Draws

_HERE = Path(__file__).parent
FOLDER = _HERE / "cards" if (_HERE / "cards").is_dir() else _HERE.parent / "cards"  # inside the wheel, or beside it in a checkout
TEMPLATE = "dataset.md.jinja"
PLACEHOLDER = "path/or/name"  # what a build's own card says in load_dataset, as it does not know where it will lie
VERSION = fingerprint((FOLDER / TEMPLATE).read_text(encoding="utf-8"))

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))


@dataclass(frozen=True)
class Contents:
    """What a card tells of.

    facts: how the rows were made (`facts.facts`); draws: what each domain's draws were judged to be; data: the published parquet files by
    configuration and split, in which all other numbers are counted.
    """

    facts: Mapping[str, Any]
    draws: Mapping[str, Draws]
    data: Mapping[str, Mapping[str, ParquetSplit]]


def files(contents: Contents, repo: str, **_: Any) -> dict[str, bytes]:
    """README.md (and later the plots), by path."""
    metadata = yaml.safe_dump(_metadata(contents), sort_keys=False, allow_unicode=True).strip()
    example = next(f'load_dataset("{repo}", "{config}", split="{split}")' for config, splits in contents.data.items() for split in splits)
    return {"README.md": f"---\n{metadata}\n---\n{example}\n".encode()}


def _metadata(contents: Contents) -> dict[str, Any]:
    configs = contents.data
    return {
        "license": "cc-by-nc-4.0",
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": split, "path": [f"{config}/{f.name}" for f in rows.files]} for split, rows in splits.items()],
                **({"default": True} if number == 0 else {}),
            }
            for number, (config, splits) in enumerate(configs.items())
        ],
    }


def _columns(features: Features) -> list[tuple[str, str]]:
    return [(name, _type(feature)) for name, feature in features.items()]


def _type(feature: Any) -> str:
    if isinstance(feature, dict):
        return "{" + ", ".join(f"{name}: {_type(inner)}" for name, inner in feature.items()) + "}"
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    return f"list of {_type(inner)}" if inner is not None else str(feature.dtype)


def _fence(text: str) -> str:
    """The text as a code block that nothing inside it can close."""
    ticks = "`" * max(3, *(len(run) + 1 for run in ["", *re.findall("`+", text)]))
    return f"{ticks}text\n{text}\n{ticks}"
