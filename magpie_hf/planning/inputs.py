"""What a plan starts from: the outline of the build that the options ask for, and what tells builds apart.

Not here: the outline itself (outline.py), the models' sizes (sizes.py) and licences (duties.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.domains import Domain, sampled_as
from magpie_hf.engines.vllm.arguments import read_arguments
from magpie_hf.limits import band_of
from magpie_hf.models.generation import GENERATION_CONFIG, is_reasoning
from magpie_hf.models.known import KnownModel, known
from magpie_hf.models.model import Model, check_files, json_of, longest
from magpie_hf.models.names import named_revision, repository_or_folder
from magpie_hf.models.switches import (
    ROLES,
    options_for,
    parse_chat_options,
    switches_of,
    system_place_of,
    written,
)
from magpie_hf.planning.asking import patiently, unresolved, why_not
from magpie_hf.planning.outline import Cutting, Outline
from magpie_hf.problems.heldout import HeldOut

if TYPE_CHECKING:
    from magpie_hf.problems.own.loading import Loaded

# Options on which lengths and yields depend.
_DECIDING = (
    "revision", "dtype", "sampling", "instruction_temperature", "instruction_top_p", "instruction_min_p",
    "instruction_max_tokens", "first_token_temperature", "temperature", "top_p", "min_p",
    "candidate_temperature", "candidate_top_p", "candidate_min_p", "max_tokens", "max_model_len",
    "auto_extend", "sft", "scorer_reads", "off_topic", "min_quality", "min_difficulty", "unsolvable",
    "languages", "near", "decontaminate",
)  # fmt: skip
# Those of given problems.
_OF_GIVEN = (
    "problems", "problem_column", "answer_column", "domain_column", "problems_split", "problems_where",
    "problems_revision", "problems_as_given", "use_reference",
)  # fmt: skip


def outline_of(options: argparse.Namespace, domains: tuple[Domain, ...], roles: Mapping[str, str]) -> Outline:
    """The outline of the build that the options describe, with the solver's own sampling in its domains.

    roles: the model of each role, as the user named it. Raises BadInput for a test share outside its range.
    """
    sources = {role: repository_or_folder(name) for role, name in roles.items()}
    for folder in filter(Path.is_dir, map(Path, sources.values())):
        check_files(folder)
    revisions = {sources[role]: named for role in sources if (named := named_revision(roles[role])[1])}
    if options.revision:
        revisions[sources["model"]] = options.revision
    chat = _chat_settings(options, sources, revisions)
    domains, reasoning, unread = _solver_sampling(
        options, domains, sources["solver"], revisions, chat.get("solver", {})
    )
    writer = _at_hand(sources["model"], revisions.get(sources["model"]))
    return Outline(
        domains,
        sources,
        options.k,
        options.seed,
        options.scorer_reads == "whole",
        HeldOut(options.test_share).share,
        options.rl_majority_share is not None,
        Cutting(options.shard_size, options.shards_in_flight, options.min_yield),
        options.sft,
        options.auto_extend,
        options.keep_minority,
        reasoning,
        unread,
        chat=chat,
        steer=options.steer,
        place=_place(options, writer),
        revisions=revisions,
        given=options.problems is not None,
        objections=options.objections,
        tir=options.tir or 0,
        pass_votes=options.pass_votes,
        band=band_of(options.pass_rate),
        known=bool(options.known_set),
        harden=options.harden,
        there=_there(options, domains),
        own=tuple(step.name for step in options.blocks.get("steps", ()) if step.engine is not None),
    )


def _there(options: argparse.Namespace, domains: tuple[Domain, ...]) -> dict[str, int]:
    """How many problems of each domain are given; none where they are sampled."""
    loaded: Loaded | None = getattr(options, "own_problems", None)
    if loaded is None:
        return {}
    every = len(loaded.problems)
    return {one.key: loaded.domains.get(one.key, every) if loaded.own.domain else every for one in domains}


def _place(options: argparse.Namespace, writer: Model | None) -> str:
    """Where a domain's text goes; "" where that is not known, or nothing is sampled."""
    if options.problems is not None:
        return ""
    return options.steer or (system_place_of(writer) if writer else "")


def _chat_settings(
    options: argparse.Namespace, sources: Mapping[str, str], revisions: Mapping[str, str]
) -> dict[str, dict[str, str | None]]:
    """Each role's `settings_of` its model. Raises BadInput for chat options that fit no template, and for a
    template that does not end.

    The Hub is asked for a template only if options are given. Where it does not answer they are planned with
    unchecked, and without options nothing is known.
    """
    given = parse_chat_options(options.chat_option)
    switches: dict[str, tuple[str, Sequence[str]]] = {}
    for role in ROLES:
        if role not in sources:
            continue
        source, names = sources[role], [name for _, name, _ in given]
        revision = revisions.get(source)
        if (model := _at_hand(source, revision)) is not None:
            names = list(switches_of(model))
        elif given:
            with suppress(OSError, ValueError):
                names = list(patiently(partial(switches_of, unresolved(source, revision))))
        switches[role] = source, names
    values = options_for(given, switches)
    return {
        role: {**dict.fromkeys(names), **dict(written(values[role]))}
        for role, (_, names) in switches.items()
        if names
    }


def _at_hand(source: str, revision: str | None) -> Model | None:
    """The model where its files are on this machine: its folder, or the one in the cache; else None.

    The cache is not asked for known models, whose plans load no Hub client unless options are given.
    """
    if Path(source).is_dir():
        return unresolved(source, revision)
    if known(source):
        return None
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(source, "tokenizer_config.json", revision=revision)
    return Model(source, revision or "main", path=str(Path(file).parent)) if isinstance(file, str) else None


def _solver_sampling(
    options: argparse.Namespace,
    domains: tuple[Domain, ...],
    source: str,
    revisions: Mapping[str, str],
    chat: Mapping[str, str | None],
) -> tuple[tuple[Domain, ...], bool, str]:
    """The domains as `domains.solver_sampling`, whether the solver is a reasoning model, and why not known.

    A known model needs no look-up. Of another one the Hub is asked for small files, for at most PATIENCE
    seconds; without them the domains' own values are planned with.
    """
    given = tuple((name, value) for name, value in chat.items() if value is not None)
    plain = unresolved(source, revisions.get(source))
    model = replace(plain, max_length=options.max_model_len, chat_options=given)
    config: Mapping[str, Any] | None
    if isinstance(info := known(source), KnownModel):
        config, reasoning, context = dict(info.generation), is_reasoning(model), options.max_model_len
    else:
        try:
            config, reasoning, context = patiently(
                lambda: (json_of(model, GENERATION_CONFIG), is_reasoning(model), longest(model))
            )
        except (OSError, ValueError) as error:
            return domains, False, why_not(error)
    return sampled_as(domains, config, model.name, reasoning, context), reasoning, ""


def said_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """The options on which lengths and yields depend, as plain values.

    A measurement serves every build for which these are equal.
    """
    said = {"sources": dict(outline.sources), **{name: getattr(options, name) for name in _DECIDING}}
    # Left out where not given, so that earlier measurements still serve
    numbers = dict(read_arguments(options.engine_args, options.engine_arg).numbers)
    kind = "" if options.server_kind == "vllm" else options.server_kind
    later = {
        "chat_option": options.chat_option,
        "steer": options.steer,
        "settings": numbers,
        "server_kind": kind,
        "harden": [options.harden, options.pass_rate] if options.harden else None,
        "revisions": {name: one for name, one in outline.revisions.items() if one != options.revision},
        "domains": {key: repr(domain) for key, domain in options.blocks.get("domains", {}).items()},
        "texts": {
            domain.key: list(map(asdict, texts)) for domain in outline.domains if (texts := domain.several)
        },
        "pass_rate": options.pass_rate,
        "pass_votes": options.pass_votes if options.pass_rate else None,
        **{name: getattr(options, name) for name in _OF_GIVEN},
    }
    return {**said, **{name: value for name, value in later.items() if value}}


def build_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """What tells one build of a folder from another: the options of `said_of`, counts and candidates."""
    counts = {domain.key: domain.count for domain in outline.domains}
    return {**said_of(options, outline), "k": outline.k, "counts": counts}


def out_of(options: argparse.Namespace, outline: Outline, named: str) -> Path:
    """The folder of the build."""
    return folder_of(options.out, outline.sources["model"], named)


def folder_of(out: str | None, source: str, named: str) -> Path:
    """The folder of a build of this model, and of domains that are named so."""
    return Path(out or f"data/{source.rsplit('/', 1)[-1]}_{named}").expanduser()
