"""Options that several commands share, and the models and domains that they name.

Not here: what is done with them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.own_problems import own_domains, own_of, with_defaults
from magpie_hf.domains import (
    DOMAINS,
    MOST_ROWS,
    STEPS,
    Domain,
    Topic,
    in_languages,
    scaled,
    select,
    with_sampling,
    with_topics,
)
from magpie_hf.errors import BadInput, shortened
from magpie_hf.limits import LICENCE
from magpie_hf.models.generation import OF_OPTION
from magpie_hf.models.known import ARMORM, DEFAULT_REWARD_MODEL
from magpie_hf.problems.system_texts import languages_of, shares
from magpie_hf.recipe_file.kinds import Number

if TYPE_CHECKING:
    from magpie_hf.engines.vllm.arguments import EngineArguments
    from magpie_hf.models.data_licence import DataLicence


def number(kind: type[int] | type[float]) -> Number:
    return Number(kind)


def sft(text: str) -> str | int:
    """The value of --sft: a number of answers, or a word; `limits.check_sft` checks it."""
    return int(text) if text.isdecimal() and len(text) < 10 else text


def add_engine(where: argparse._ArgumentGroup) -> None:
    whole, decimal = number(int), number(float)
    where.add_argument(
        "--engine",
        choices=("auto", "llm_engine", "async_llm"),
        default="auto",
        help="form of the vLLM engine",
    )
    where.add_argument(
        "--tensor-parallel-size",
        type=whole,
        help="GPUs per engine (default: as few as the model's weights need)",
    )
    where.add_argument(
        "--data-parallel-size",
        type=whole,
        help="engines per model, side by side (default: as many as the GPUs hold)",
    )
    where.add_argument(
        "--gpu-memory-utilization",
        type=decimal,
        default=0.9,
        help="share of each GPU's memory for vLLM (default: %(default)s)",
    )
    where.add_argument(
        "--kv-cache-gb",
        type=decimal,
        help="size of the KV cache in GiB (default: 2 on the CPU, vLLM's choice on GPUs)",
    )
    where.add_argument(
        "--max-num-seqs",
        type=whole,
        help="most sequences that an engine runs at once (default: 256 on the CPU, vLLM's choice on GPUs)",
    )
    where.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="URL",
        help=(
            "a running server of --server-kind, such as http://host:8000/v1, to use instead of an engine on "
            "this machine; repeatable: each server is asked for the model that it serves (API "
            "key: VLLM_API_KEY)"
        ),
    )
    where.add_argument(
        "--server-kind",
        choices=("vllm", "sglang", "llama.cpp", "openai"),
        default="vllm",
        help=(
            "what the servers of --endpoint are; openai is any with /v1/completions; those that rate texts "
            "(--scorer, --embedder) are always vLLM (default: %(default)s)"
        ),
    )
    where.add_argument(
        "--patience",
        type=decimal,
        default=300.0,
        help="seconds without an answer from any server after which a build fails (default: %(default)g)",
    )


def add_engine_arguments(where: argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--engine-args",
        metavar="FILE_OR_JSON",
        help=(
            "vLLM's own engine arguments, as JSON or a JSON or YAML file; those that change numbers, such as "
            "quantization, belong to the build"
        ),
    )
    where.add_argument(
        "--engine-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of vLLM's engine arguments, such as kv_cache_dtype=fp8; repeatable, and wins over the file",
    )


def engine_arguments(options: argparse.Namespace) -> EngineArguments | None:
    """The engine arguments that the options name; None without any. Raises BadInput as `read_arguments`."""
    if options.engine_args is None and not options.engine_arg:
        return None
    from magpie_hf.engines.vllm.arguments import read_arguments

    return read_arguments(options.engine_args, options.engine_arg)


def add_publishing(where: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--public",
        action="store_true",
        help=(
            "make the dataset public, once its files are there (default: private; an existing public dataset "
            "is refused)"
        ),
    )
    where.add_argument(
        "--overwrite",
        action="store_true",
        help=(
            "also replace another build, and files of the same names that magpie_hf did not write; other "
            "files stay"
        ),
    )
    where.add_argument(
        "--add",
        action="store_true",
        help="publish beside a build of other domains there, whose files stay; the card counts both",
    )
    where.add_argument(
        "--tag", help="tag for this version, such as v1: load_dataset(..., revision='v1') always loads it"
    )


def add_card(where: argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--card-lang", choices=("en", "ja"), default="en", help="language of the card's prose (default: en)"
    )
    where.add_argument(
        "--card-template", metavar="FILE", help="Jinja template to use instead of the card's own"
    )
    where.add_argument(
        "--model-license",
        action="append",
        default=[],
        metavar="[MODEL=]ID",
        help=(
            "licence of a model whose licence is unknown: an id of the Hub's list, such as "
            "apache-2.0; MODEL=ID for one model; repeatable"
        ),
    )


def add_licence(where: argparse._ArgumentGroup, default: str | None) -> None:
    """Add the options of the data's licence. default: its id; None for what the build recorded."""
    said = f"default: {default}" if default else "default: as the build recorded it"
    where.add_argument(
        "--license",
        metavar="ID",
        help=f"licence of the data: an id of the Hub's list, such as cc-by-4.0, or other ({said})",
    )
    where.add_argument("--license-name", metavar="NAME", help="name of the licence, with --license other")
    where.add_argument("--license-link", metavar="URL", help="where its text stands, with --license other")


def licence_of_data(options: argparse.Namespace) -> DataLicence | None:
    """The licence that the options name; None without one. Raises BadInput where they do not fit."""
    if options.license is None and options.license_name is None and options.license_link is None:
        return None
    from magpie_hf.models.data_licence import DataLicence

    return DataLicence(options.license or LICENCE, options.license_name, options.license_link)


# Short names; any other value of --scorer is a reward model's repository or folder.
SCORERS = {
    "reward": DEFAULT_REWARD_MODEL,
    "armorm": ARMORM,
}


def roles(options: argparse.Namespace) -> dict[str, str]:
    """The model of each role: model, solver, judge or scorer, and tagger, embedder, checker, program,
    rejected, pass and hardener, if there are any.

    Raises BadInput for a judge beside another scorer.
    """
    solver = options.solver or options.model
    parts = {"model": options.model, "solver": solver}
    if options.scorer == "judge":
        parts["judge"] = options.judge or solver
    elif options.judge:
        raise BadInput(
            f"--judge is {options.judge} and --scorer is {options.scorer}; give one of them, since "
            "candidates have one scorer"
        )
    else:
        parts["scorer"] = SCORERS.get(options.scorer, options.scorer)
    if options.tagger != "none":
        parts["tagger"] = options.tagger or options.model
    if options.embedder:
        parts["embedder"] = options.embedder
    if options.checker:
        parts["checker"] = options.checker
    if options.program:
        parts["program"] = options.program
    if options.rejected_solver:
        parts["rejected"] = options.rejected_solver
    if options.pass_model:
        parts["pass"] = options.pass_model
    if options.harden_model:
        parts["hardener"] = options.harden_model
    return parts


def labelling(options: argparse.Namespace) -> dict[str, Any]:
    """The given rules on labels, by option. Raises BadInput if there is no tagger."""
    names = ("off_topic", "min_quality", "min_difficulty", "unsolvable")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if given and options.tagger == "none":
        name = next(iter(given)).replace("_", "-")
        raise BadInput(
            f"--{name} is given and --tagger is none, so no model labels the samples; leave out one of them"
        )
    return given


def domains(options: argparse.Namespace) -> tuple[Domain, ...]:
    """The domains of a build, with the values that options override; these are not the solver's own ones yet.

    Raises BadInput for a count that is out of its range.
    """
    if options.count is not None and options.count < 1:
        raise BadInput(f"count is {shortened(options.count)}; give at least 1 problem a domain")
    if options.count is not None and options.scale is not None:
        raise BadInput(f"--count is {options.count} and --scale is {options.scale:g}; give one of them")
    chosen = []
    if (own := own_of(options)) is not None:
        with_defaults(options)
        wanted = own_domains(options, own)
    else:
        wanted = select(options.domains.split(","), {**DOMAINS, **options.blocks.get("domains", {})})
    for domain in wanted:
        domain = with_sampling(domain, options.sampling)
        if options.scale is not None and own is None:
            domain = scaled(domain, options.scale)
        if options.count is not None and own is None:
            domain = replace(domain, count=options.count)
        if domain.count > MOST_ROWS:
            raise BadInput(f"{domain.count:,} problems a domain are too many; give at most {MOST_ROWS:,}")
        domain = replace(
            domain,
            first_token=(
                domain.first_token
                if options.first_token_temperature is None
                else options.first_token_temperature
            ),
            instruction=replace(domain.instruction, **_given(options, "instruction_", ("max_tokens",))),
        )
        bound = _given(options, "", ("max_tokens",), ())
        for step, prefix in zip(STEPS, ("", "candidate_"), strict=True):
            given = {**_given(options, prefix), **bound}
            domain = domain.with_origins(step, dict.fromkeys(given, OF_OPTION))
            domain = domain.with_step(step, replace(getattr(domain, step), **given))
        chosen.append(domain)
    return _asking(options, chosen)


def _asking(options: argparse.Namespace, domains: list[Domain]) -> tuple[Domain, ...]:
    """The domains with texts in the languages that the options ask for, and about their topics."""
    _, weights = languages_of(options.languages)
    topics: dict[str, tuple[Topic, ...]] = {}
    given = options.problems is not None
    if options.topics is not None and given:
        raise BadInput("--topics is for sampled problems, and --problems gives them; leave out one of them")
    if shares(options.languages):
        if given:
            raise BadInput(
                "--problems gives all problems, so --language has no shares; name the languages alone"
            )
        if written := [domain.key for domain in domains if domain.texts]:
            raise BadInput(
                f"{written[0]} has several texts in its recipe, with weights of their own; name the languages"
                " of --language alone"
            )
    if options.topics is not None:
        from magpie_hf.recipe_file.topics import read_topics

        known = {**DOMAINS, **options.blocks.get("domains", {})}
        topics = read_topics(options.topics, known)
        if all(domain.key not in topics for domain in domains):
            raise BadInput(
                f"{options.topics} has no topics of {domains[0].key}; give --topics a file that has"
            )
    made = []
    for domain in domains:
        ours = domain.key in DOMAINS and domain.system == DOMAINS[domain.key].system
        if ours and not (weights or given or domain.texts):
            raise BadInput(
                f"{domain.key} has no text that asks in {options.languages}; name en or ja in --language,"
                " too, or give the domain a text of your own in a recipe file"
            )
        domain = in_languages(domain, weights) if weights else domain
        made.append(with_topics(domain, topics[domain.key]) if domain.key in topics else domain)
    return tuple(made)


def _given(
    options: argparse.Namespace,
    prefix: str,
    more: tuple[str, ...] = (),
    names: tuple[str, ...] = ("temperature", "top_p", "min_p"),
) -> dict[str, Any]:
    values = {name: getattr(options, prefix + name) for name in (*names, *more)}
    return {name: value for name, value in values.items() if value is not None}
