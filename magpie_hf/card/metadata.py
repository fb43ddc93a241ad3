"""The card's metadata: the YAML at its top, which the Hub and `load_dataset` read.

Not here: the card's text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from magpie_hf.card.contents import Contents, paths
from magpie_hf.card.provenance import writer_of
from magpie_hf.card.sizes import size_of
from magpie_hf.models.data_licence import licence_in
from magpie_hf.store.splits import ParquetSplit

Splits = Mapping[str, Sequence[ParquetSplit]]


def metadata(contents: Contents) -> str:
    """The metadata as YAML, with sizes counted in the files.

    Data files are listed one by one: a pattern would also match other files in the same folder.
    """
    rows = sum(len(split) for splits in contents.data.values() for split in splits.values())
    found = {code for tally in contents.tallies.values() for code in tally.funnel.languages}
    # Problems of formulas alone are in any of the accepted languages.
    languages = sorted(found) or list(contents.provenance["languages"])
    own = contents.provenance.get("own_problems")
    stated = {
        "language": languages,
        **licence_in(contents.provenance).front_matter,
        "pretty_name": title(contents),
        "size_categories": [size_of(rows)],
        "task_categories": ["text-generation", "question-answering"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found" if own else "machine-generated"],
        "multilinguality": ["multilingual" if len(languages) > 1 else "monolingual"],
        "source_datasets": [
            f"extended|{own['source'].partition(':')[0]}" if own and own["on_hub"] else "original"
        ],
        "tags": [
            "synthetic",
            *([] if own else ["magpie"]),
            "math",
            "reasoning",
            "sft",
            "dpo",
            "preference",
            "magpie_hf",
        ],
        "configs": [
            {
                "config_name": config,
                "description": _identity(splits),
                "data_files": [{"split": split, "path": paths(*parts)} for split, parts in splits.items()],
                **({"default": True} if number == 0 else {}),
            }
            for number, (config, splits) in enumerate(contents.configs.items())
        ],
        "dataset_info": [_info(config, splits) for config, splits in contents.configs.items()],
    }
    return str(yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=120)).strip()


def title(contents: Contents) -> str:
    """A name that tells datasets apart: by the model that wrote the problems, and the domains."""
    name = " ".join(writer_of(contents.provenance)["name"].rpartition("/")[2].split())
    if own := contents.provenance.get("own_problems"):
        source = " ".join(own["source"].split())
        return f"Answers by {name} to the problems of {source}: {', '.join(contents.domains)}"
    return f"Synthetic mathematics by {name} (Magpie): {', '.join(contents.domains)}"


def _identity(splits: Splits) -> str:
    """A hash of the rows, so that `datasets` does not return cached rows of another build.

    `datasets` caches a folder on the disk by its name and this metadata, and another build's rows may have
    the same sizes.
    """
    sums = [one.sha256 for parts in splits.values() for part in parts for one in part.sums]
    return f"rows {hashlib.sha256(' '.join(sums).encode()).hexdigest()}"


def _info(config: str, splits: Splits) -> dict[str, Any]:
    sizes = [
        {"name": split, "num_bytes": sum(part.nbytes for part in parts), "num_examples": sum(map(len, parts))}
        for split, parts in splits.items()
    ]
    every = [part for parts in splits.values() for part in parts]
    return {
        "config_name": config,
        "features": every[0].features._to_yaml_list(),
        "splits": sizes,
        "download_size": sum(file.stat().st_size for part in every for file in part.files),
        "dataset_size": sum(size["num_bytes"] for size in sizes),
    }
