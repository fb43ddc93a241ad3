"""The dataset card, rendered from the template under cards/ with facts counted in the rows that are published."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import yaml
from datasets import Features

from magpie_hf.reasons import REASONS
from magpie_hf.schema import CANDIDATES, PUBLISHED, RL
from magpie_hf.splits import ParquetSplit, rows_of
from magpie_hf.stage import fingerprint
from magpie_hf.stats import Draws, tallies, tokens

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


def files(contents: Contents, repo: str) -> dict[str, bytes]:
    """README.md (and later the plots), by path."""
    return {"README.md": render(contents, repo).encode()}


def _metadata(published: list[Built], folder: Path) -> dict[str, Any]:
    problems = sum(one.funnel.problems for one in published)
    languages = sorted({code for one in published for code in one.funnel.languages}) or ["en"]
    configs = {config: splits for one in published for config, splits in one.configs.items()}
    return {
        "language": languages,
        "license": "cc-by-nc-4.0",
        "pretty_name": "Synthetic mathematics problems (Magpie)",
        "size_categories": [next((name for bound, name in _SIZES if problems < bound), "10M<n<100M")],
        "task_categories": ["text-generation", "question-answering"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "multilinguality": ["multilingual" if len(languages) > 1 else "monolingual"],
        "source_datasets": ["original"],
        "tags": ["synthetic", "magpie", "math", "reasoning", "sft", "dpo", "preference", "magpie_hf"],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": split, "path": _files(folder, config, split)} for split in splits],
                **({"default": True} if number == 0 else {}),
            }
            for number, (config, splits) in enumerate(configs.items())
        ],
        "dataset_info": [_info(config, splits, folder) for config, splits in configs.items()],
    }


def _files(folder: Path, config: str, split: str) -> list[str]:
    """The split's files by name: a pattern would take in whatever else came to lie beside them."""
    return sorted(file.relative_to(folder).as_posix() for file in (folder / config).glob(f"{split}-*.parquet"))


def _info(config: str, splits: dict[str, Published], folder: Path) -> dict[str, Any]:
    sizes = [{"name": split, "num_bytes": rows.dataset.data.nbytes, "num_examples": len(rows)} for split, rows in splits.items()]
    return {
        "config_name": config,
        "features": next(iter(splits.values())).features._to_yaml_list(),
        "splits": sizes,
        "download_size": sum(file.stat().st_size for file in (folder / config).glob("*.parquet")),
        "dataset_size": sum(size["num_bytes"] for size in sizes),
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
