"""What the options of a build come to for a plan: its outline, and all that lengths, yields and kept rows
hang on.

Not here: numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.models.model import repository_or_folder
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.simulation import Cutting
from magpie_hf.problems.heldout import HeldOut

_TELLING = (
    "revision", "dtype", "sampling", "instruction_temperature", "instruction_top_p", "instruction_min_p", "instruction_max_tokens",
    "first_token_temperature", "temperature", "top_p", "min_p", "candidate_temperature", "candidate_top_p", "candidate_min_p", "max_tokens",
    "max_model_len", "scorer_reads", "off_topic", "min_quality", "min_difficulty", "unsolvable", "languages", "near", "decontaminate",
)  # fmt: skip


def outline_of(options: argparse.Namespace, domains: tuple[Domain, ...], roles: Mapping[str, str]) -> Outline:
    """The outline of the build that the options describe. roles: which model has which part, as the user
    named it.

    Raises BadInput for a share of tests that is none.
    """
    return Outline(
        domains,
        {role: repository_or_folder(name) for role, name in roles.items()},
        options.k,
        options.seed,
        options.scorer_reads == "whole",
        HeldOut(options.test_share).share,
        options.rl_majority_share is not None,
        Cutting(options.shard_size, options.shards_in_flight, options.min_yield),
    )


def said_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """The options that lengths and yields hang on, as plain values; two builds for which they are equal have
    the same.
    """
    return {"sources": dict(outline.sources), **{name: getattr(options, name) for name in _TELLING}}


def out_of(options: argparse.Namespace, outline: Outline, named: str) -> Path:
    """The folder of the build."""
    return Path(options.out or f"data/{outline.sources['model'].rsplit('/', 1)[-1]}_{named}").expanduser()


def build_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """What tells one build of a folder from another: all that `said_of` names, with counts and candidates."""
    return {
        **said_of(options, outline),
        "k": outline.k,
        "counts": {domain.key: domain.count for domain in outline.domains},
    }
