"""What the options of a command describe: engines, and the recipe.

Not here: running it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from magpie_hf.cli.commands.options import engine_arguments, labelling, licence_of_data, roles
from magpie_hf.cli.commands.own_problems import own_of
from magpie_hf.cli.commands.problem_sets import (
    benchmarks_named,
    known_sets_named,
    pinned_benchmarks,
    pinned_known_sets,
)
from magpie_hf.domains import DOMAINS, Domain, longest_request, solver_sampling
from magpie_hf.engines.served.kinds import kind_of, marks_of
from magpie_hf.errors import BadInput, shortened
from magpie_hf.limits import (
    band_of,
    check_auto_extend,
    check_chosen,
    check_first_token,
    check_harden,
    check_k,
    check_min_yield,
    check_near,
    check_pairs,
    check_pairs_checked,
    check_pass_votes,
    check_passes,
    check_rl,
    check_sft,
    check_steer,
    check_tir,
)
from magpie_hf.models.known import known
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.names import named_revision, repository_or_folder
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import (
    ROLES,
    options_for,
    parse_chat_options,
    switches_of,
    with_chat_options,
)
from magpie_hf.problems.system_texts import languages_of
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.engines.base import Engine
    from magpie_hf.engines.served.endpoint import Endpoint
    from magpie_hf.engines.vllm.engine import VLLM
    from magpie_hf.recipe import Recipe
    from magpie_hf.run.ray.cluster import RayCluster
    from magpie_hf.scorers.base import Scorer
    from magpie_hf.selection.selection import Acceptance

Runner = Literal["generate", "pooling"]
Spec = tuple[Model, int | None, Runner]  # the int: tokens of the context; None for the model's own
MOST = 100_000_000  # of tokens, rows, sequences, GPUs, GB and seconds
_RATING = ("scorer", "embedder")  # roles whose engine rates texts and writes none


def check_engine(options: argparse.Namespace, *more: str) -> None:
    """Raises BadInput if an engine option, or one of `more`, is out of its range."""
    for name in (*more, "max_num_seqs", "max_model_len", "tensor_parallel_size", "data_parallel_size"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise BadInput(f"--{name.replace('_', '-')} is {getattr(options, name)}; give at least 1")
        if value is not None and value > MOST:
            raise BadInput(f"--{name.replace('_', '-')} is {shortened(value)}; give at most {MOST:,}")
    if options.kv_cache_gb is not None and not 0 < options.kv_cache_gb <= MOST:
        raise BadInput(f"--kv-cache-gb is {options.kv_cache_gb:g}; give a number of GB above 0")
    if not 0 < options.patience <= MOST:
        raise BadInput(f"--patience is {options.patience:g}; give a number of seconds above 0")
    if not 0 < options.gpu_memory_utilization <= 1:
        raise BadInput(
            f"--gpu-memory-utilization is {options.gpu_memory_utilization:g}; give a share above 0 and at"
            " most 1"
        )
    if given := [
        name
        for name in ("tensor_parallel_size", "data_parallel_size")
        if options.endpoint and getattr(options, name)
    ]:
        raise BadInput(
            f"--{given[0].replace('_', '-')} is for engines on this machine, and --endpoint uses "
            "servers instead; give one of them"
        )
    if options.server_kind != "vllm" and not options.endpoint:
        raise BadInput(
            f"--server-kind is {options.server_kind} and --endpoint is missing; give --endpoint, too"
        )
    if engine_arguments(options) and options.endpoint:
        raise BadInput(
            "--engine-arg is for engines on this machine, and --endpoint uses servers with their own; leave "
            "out one of them"
        )


def check_rules(options: argparse.Namespace, domains: Sequence[Domain]) -> None:
    """Raises BadInput for rules that no build can follow, before anything is loaded."""
    for domain in domains:
        if domain.first_token is not None:
            check_first_token(domain.first_token)
    languages_of(options.languages)
    check_near(options.near)
    check_min_yield(options.min_yield)
    check_k(options.k)
    check_sft(options.sft)
    check_auto_extend(options.auto_extend)
    check_pairs(
        options.min_majority_share,
        options.min_score_gap,
        options.min_correctness_score_gap,
        options.max_length_ratio,
    )
    check_rl(options.rl_majority_share)
    check_tir(options.tir or 0)
    check_chosen(options.chosen, bool(options.rejected_solver))
    check_pass_votes(options.pass_votes)
    check_passes(
        bool(options.pass_model),
        options.pass_votes,
        band_of(options.pass_rate),
        band_of(options.rl_pass_rate),
        options.easy_share,
        options.rl_majority_share is not None,
        bool(options.problems and options.problems_as_given),
    )
    check_harden(
        options.harden,
        bool(options.harden_model),
        bool(options.pass_model),
        band_of(options.pass_rate),
        bool(options.problems and options.problems_as_given),
    )
    check_pairs_checked(options.pairs_checked, bool(options.checker or options.program))
    labelled = options.tagger != "none" and options.off_topic != "keep"
    check_steer(options.steer, len(domains), labelled)
    parse_chat_options(options.chat_option)
    check_drafts(options, domains)
    check_servers(options, domains)
    labelling(options)
    licence = licence_of_data(options)
    if (own := own_of(options)) is not None:
        from magpie_hf.models.data_licence import licence_with

        licence_with(own.licence, licence, own.own.name)
    benchmarks_named(options)
    known_sets_named(options)


def check_devices(options: argparse.Namespace, sources: Collection[str]) -> None:
    """Raises BadInput if this machine cannot run a known model, before anything is asked of the Hub."""
    elsewhere = options.endpoint or getattr(options, "ray", None)
    if not elsewhere and any(known(source) for source in sources):
        from magpie_hf.engines.vllm.device import check_device

        given = engine_arguments(options)
        for source in sources:
            check_device(
                source,
                options.tensor_parallel_size,
                options.data_parallel_size,
                options.gpu_memory_utilization,
                (*given.numbers, *given.speed) if given else (),
            )


def check_drafts(options: argparse.Namespace, domains: Sequence[Domain]) -> None:
    """Raises BadInput for speculative decoding with a sampling that vLLM cannot do then."""
    given = engine_arguments(options)
    if given is None or not given.drafts:
        return
    for domain in domains:
        steps = {"instruction-": domain.instruction, "": domain.response, "candidate-": domain.candidate}
        for prefix, sampling in steps.items():
            if sampling.min_p:
                raise BadInput(
                    f"min_p of {domain.key} is {sampling.min_p:g}, and vLLM drafts no tokens with a min_p;"
                    f" give --{prefix}min-p 0, or no speculative_config"
                )


def check_servers(options: argparse.Namespace, domains: Sequence[Domain]) -> None:
    """Raises BadInput for what servers of the given kind cannot do, before any of them is asked."""
    kind = kind_of(options.server_kind)
    asked = [getattr(domain, step) for domain in domains for step in ("instruction", "response", "candidate")]
    if options.scorer == "judge":
        asked.append(Sampling(logprobs=1))
    if options.tagger != "none":
        asked.append(Sampling(schema="{}"))
    if any(domain.first_token is not None for domain in domains):
        asked.append(Sampling(allowed_token_ids=(0,)))
    for sampling in asked:
        kind.check(sampling)


def server_lines(options: argparse.Namespace) -> tuple[str, ...]:
    """What is to be known of servers of the given kind before a build, a line each."""
    if options.server_kind == "sglang":
        return (
            tr(
                "warning  SGLang heeds seeds where it was started with --enable-deterministic-inference; "
                "else no answer comes twice, and the build and its card say so"
            ),
        )
    if options.server_kind == "openai":
        return (
            tr(
                "warning  such servers promise no seeds, so no answer comes twice; where one takes no token "
                "ids, prompts go as text; the build and its card say so"
            ),
        )
    return ()


def named(domains: Sequence[Domain]) -> str:
    """The name of an output folder for these domains."""
    keys = [domain.key for domain in domains]
    return "all" if set(keys) == set(DOMAINS) else "-".join(keys)


def cluster_of(options: argparse.Namespace) -> RayCluster | None:
    """The Ray cluster that the options name, or None. Raises BadInput for wrong bounds of its workers."""
    if not options.ray:
        if options.ray_workers:
            raise BadInput(f"--ray-workers is {options.ray_workers} and --ray is missing; give --ray, too")
        return None
    if given := [name for name in ("endpoint", "data_parallel_size") if getattr(options, name)]:
        raise BadInput(
            f"--ray runs engines on a cluster, so --{given[0].replace('_', '-')} has no effect; "
            "leave out one of them"
        )
    from magpie_hf.run.ray.cluster import RayCluster

    least, colon, most = (options.ray_workers or "1:1").partition(":")
    if not (colon and least.isdecimal() and most.isdecimal()):
        raise BadInput(f"--ray-workers is {options.ray_workers!r}; give the fewest and the most, as in 1:4")
    return RayCluster(options.ray, (int(least), int(most)) if options.ray_workers else None)


def engines_of(options: argparse.Namespace, specs: Sequence[Spec]) -> dict[Spec, Engine]:
    """The engines for these specs: on the servers that the options name, or on this machine or cluster."""
    if options.endpoint:
        return {**_served(options, specs)}
    return {spec: _vllm_of(options, *spec) for spec in specs}


def _served(options: argparse.Namespace, specs: Sequence[Spec]) -> dict[Spec, Endpoint]:
    from magpie_hf.engines.served.endpoint import Endpoint, marked, share_out

    # A server knows no chat options: prompts reach it as token ids
    served = {spec: replace(spec[0], chat_options=()) for spec in specs}
    rated = [model for spec, model in served.items() if spec[2] == "pooling"]
    shared = share_out(options.endpoint, list(served.values()), options.server_kind, rated)
    engines = {}
    for spec in specs:
        (model, context, runner), urls = spec, shared[served[spec]]
        kind = "vllm" if runner == "pooling" else options.server_kind
        if kind != "vllm":
            model = marked(model, urls, kind)
        engines[spec] = Endpoint(model, runner, urls, context, patience=options.patience, kind=kind)
    return engines


def _vllm_of(options: argparse.Namespace, model: Model, context: int | None, runner: Runner) -> VLLM:
    from magpie_hf.engines.vllm.engine import VLLM

    on_ray = getattr(options, "ray", None)  # the nodes' GPUs are unknown here, so one GPU per engine
    given = engine_arguments(options)
    return VLLM(
        model,
        runner=runner,
        form=options.engine,
        context=context,
        tensor_parallel_size=options.tensor_parallel_size or (1 if on_ray else None),
        data_parallel_size=1 if on_ray else options.data_parallel_size,
        gpu_memory_utilization=options.gpu_memory_utilization,
        kv_cache_gigabytes=options.kv_cache_gb,
        max_num_seqs=options.max_num_seqs,
        speed=given.speed if given else (),
    )


def recipe_of(options: argparse.Namespace, domains: tuple[Domain, ...], say: Callable[[str], None]) -> Recipe:
    """The recipe that the options describe.

    domains: as `options.domains` makes them, still without the solver's own sampling. say: gets a line for
    the benchmarks that cannot be loaded. Raises BadInput for a wrong model or benchmark.
    """
    from magpie_hf.problems.heldout import HeldOut
    from magpie_hf.recipe import Recipe
    from magpie_hf.scorers.judge import Judge
    from magpie_hf.scorers.reward import RewardModel
    from magpie_hf.stages.pair import Pair
    from magpie_hf.stages.solving import instruction_of

    models = _models(options)
    domains = solver_sampling(domains, models["solver"])
    check_drafts(options, domains)
    check_servers(options, domains)
    context = longest_request(domains, options.auto_extend)
    own = own_of(options)
    if own is not None:  # a token holds a character or more
        context += max(0, own.longest - max(domain.instruction.max_tokens for domain in domains))
    benchmarks, not_checked = pinned_benchmarks(options, say)
    known_sets = pinned_known_sets(options)
    engines = _engines(options, models, context)
    for line in _ways(engines):
        say(line)
    if (checker := engines.get("checker")) is not None and checker.model == engines["solver"].model:
        say(tr("the checker is the solver itself, and confirms its mistakes; give --checker another family"))
    scorer: Scorer
    if "scorer" in engines:
        scorer = RewardModel(engines["scorer"], options.scorer_reads)
    elif "scorer" in options.blocks and not options.judge:  # of one's own, by the recipe file
        scorer = options.blocks["scorer"]
    else:
        scorer = Judge(engines["judge"], read=options.scorer_reads)
    score_gap = scorer.least_score_gap if options.min_score_gap is None else options.min_score_gap
    return Recipe(
        engines["model"],
        engines["solver"],
        scorer,
        domains,
        options.k,
        options.seed,
        tagger=engines.get("tagger"),
        languages=languages_of(options.languages)[0],
        instruction=instruction_of(domains),
        benchmarks=benchmarks,
        not_checked=not_checked,
        embedder=engines.get("embedder"),
        acceptance=_acceptance(options),
        near=options.near,
        pair=Pair(
            options.min_majority_share, score_gap, options.min_correctness_score_gap, options.max_length_ratio
        ),
        rl_majority_share=options.rl_majority_share,
        held_out=HeldOut(options.test_share, options.test_seed),
        sft=options.sft,
        keep_minority=options.keep_minority,
        auto_extend=options.auto_extend,
        steer=options.steer,
        problems=own.own if own is not None else None,
        steps=options.blocks.get("steps", ()),
        checker=engines.get("checker"),
        programmer=engines.get("program"),
        pairs_checked=options.pairs_checked,
        rejecter=engines.get("rejected"),
        chosen=options.chosen,
        objections=options.objections,
        tir=options.tir or 0,
        known=known_sets,
        pass_model=engines.get("pass"),
        pass_votes=options.pass_votes,
        rl_pass_rate=band_of(options.rl_pass_rate),
        easy_share=options.easy_share,
        harden=options.harden,
        hardener=engines.get("hardener"),
    )


def _models(options: argparse.Namespace) -> dict[str, Model]:
    """The model of each role in the build, with its chat options."""
    models = _resolved(options)
    given = parse_chat_options(options.chat_option)
    chatting = [role for role in ROLES if role in models]
    switches = {role: (models[role].name, switches_of(models[role])) for role in chatting if given}
    for role, values in options_for(given, switches).items():
        models[role] = with_chat_options(models[role], values)
    return models


def _resolved(options: argparse.Namespace) -> dict[str, Model]:
    models: dict[str, Model] = {}
    given = engine_arguments(options)
    for role, name in roles(options).items():
        revision = options.revision if role == "model" else None
        written = named_revision(options.model)[1] or options.revision
        if (
            role in ROLES
            and role != "model"
            and repository_or_folder(name) == repository_or_folder(options.model)
            and named_revision(name)[1] in (None, written)
        ):
            models[role] = models["model"]
            continue
        length = None if role in _RATING else options.max_model_len
        models[role] = resolve(
            name,
            revision=revision,
            dtype=options.dtype,
            max_length=length,
            chat=role != "embedder",
            settings=given.numbers if given else (),
        )
    return models


def _engines(options: argparse.Namespace, models: Mapping[str, Model], context: int) -> dict[str, Engine]:
    """The engine of each role in the build; roles with the same model share one.

    context: tokens of problem and answer, with the prompt around them.
    """
    specs: dict[str, Spec] = {}
    for role, model in models.items():
        if role not in ("model", *_RATING) and model == models["model"]:
            specs[role] = specs["model"]
            continue
        # Another tokenizer may take more tokens for the same text.
        tokens = None if role == "embedder" else context if role in ("model", "solver") else context * 2
        specs[role] = model, tokens, "pooling" if role in _RATING else "generate"
    made = engines_of(options, list(dict.fromkeys(specs.values())))
    return {role: made[spec] for role, spec in specs.items()}


def _ways(engines: Mapping[str, Engine]) -> Iterator[str]:
    """A line for each model whose servers answer in a way that changes the rows."""
    for model in dict.fromkeys(engine.model for engine in engines.values()):
        if ways := [f"{name} {json.loads(value)}" for name, value in sorted(marks_of(model))]:
            yield tr(
                "the servers of {model}: {ways}; that belongs to the build",
                model=model.name,
                ways=", ".join(ways),
            )


def _acceptance(options: argparse.Namespace) -> Acceptance:
    """The rules of accepting samples. Raises BadInput for a rule on labels without a tagger."""
    from magpie_hf.selection.selection import Acceptance

    given = labelling(options)
    if "unsolvable" in given:
        given["drop_unsolvable"] = given.pop("unsolvable") == "drop"
    return Acceptance(
        min_yield=options.min_yield,
        rules=options.blocks.get("rules", ()),
        pass_rate=band_of(options.pass_rate),
        **given,
    )
