"""The recipe of a build as a recipe file: all that determines its rows, with pinned revisions.

Not here: where it runs and where it is published, which belong to a machine and a person.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import yaml

from magpie_hf.domains import Domain
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.named import is_named
from magpie_hf.problems.benchmarks.names import PRESETS, Benchmark
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.problems.system_texts import ENGLISH, SystemText
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.blocks import STEPS_OF, TEXT, VALUES
from magpie_hf.recipe_file.nodes import Dumper
from magpie_hf.recipe_file.places import GROUPS, keys_of
from magpie_hf.scorers.base import Scorer
from magpie_hf.scorers.judge import Judge
from magpie_hf.scorers.reward import RewardModel
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import use_of
from magpie_hf.stages.solving import instruction_of
from magpie_hf.stages.step import Step
from magpie_hf.stages.verify import Verify
from magpie_hf.text.columns import wrapped
from magpie_hf.text.language import tr

_NO_MARK = ("prompts", "seed", "gguf")  # settings that tell of servers, which belong to where it ran


def said_of(recipe: Recipe) -> dict[str, Any] | None:
    """The recipe as the groups and blocks of a recipe file, as plain values; None for one `beyond` a file."""
    if beyond(recipe) is not None:
        return None
    model = recipe.generator.model
    options: dict[str, Any] = {
        "model": _name(model),
        "chat_option": _chat(recipe),
        "steer": recipe.steer,
        "dtype": model.dtype,
        "max_model_len": model.max_length,
        "engine_arg": {name: json.loads(value) for name, value in model.settings if name not in _NO_MARK},
        "solver": _name(recipe.solver.model),
        **_given(recipe.problems),
        **_scorer(recipe.scorer),
        "seed": recipe.seed,
        "auto_extend": recipe.auto_extend,
        "tagger": _name(recipe.tagger.model) if recipe.tagger else "none",
        **_accepted(recipe),
        "languages": list(recipe.languages),
        "near": recipe.near,
        "embedder": _name(recipe.embedder.model) if recipe.embedder else None,
        "decontaminate": list(map(_benchmark, recipe.benchmarks)) or ["none"],
        "known_set": list(map(_benchmark, recipe.known)) or None,
        "min_yield": recipe.acceptance.min_yield,
        "k": recipe.k,
        "sft": recipe.sft,
        "keep_minority": recipe.keep_minority,
        "checker": _name(recipe.checker.model) if recipe.checker else None,
        "program": _name(recipe.programmer.model) if recipe.programmer else None,
        "min_majority_share": recipe.pairing.min_majority_share,
        "min_score_gap": recipe.pairing.min_score_gap,
        "min_correctness_score_gap": recipe.pairing.min_correctness_score_gap,
        "max_length_ratio": recipe.pairing.max_length_ratio,
        "rl_majority_share": recipe.rl_majority_share,
        "pairs_checked": recipe.pairs_checked or None,
        "rejected_solver": _name(recipe.rejecter.model) if recipe.rejecter else None,
        "chosen": recipe.chosen if recipe.rejecter else None,
        "objections": recipe.objections or None,
        "tir": recipe.tir or None,
        "pass_model": _name(recipe.pass_model.model) if recipe.pass_model else None,
        "pass_votes": recipe.pass_votes if recipe.pass_model else None,
        "pass_rate": _band(recipe.acceptance.pass_rate),
        "rl_pass_rate": _band(recipe.rl_pass_rate),
        "easy_share": recipe.easy_share or None,
        "harden": recipe.harden or None,
        "harden_model": _name(recipe.hardener.model) if recipe.hardener else None,
        "test_share": recipe.held_out.share,
        "test_seed": recipe.held_out.seed,
    }
    groups = {
        group: {
            key: options[option]
            for key, option in keys_of(group).items()
            if options.get(option) not in (None, {})
        }
        for group in GROUPS
    }
    said: dict[str, Any] = {group: keys for group, keys in groups.items() if keys}
    domains = {domain.key: _domain(domain) for domain in recipe.domains}
    code: dict[str, Any] = {
        "scorer": _code(recipe.scorer, recipe) if use_of(recipe.scorer) else None,
        "steps": [_step(step, recipe) for step in recipe.steps],
        "rules": [_code(rule, recipe) for rule in recipe.acceptance.rules],
    }
    said |= {name: part for name, part in code.items() if part}
    first = ("model", "solver", "problems", "scorer")
    return {**{name: said[name] for name in first if name in said}, "domains": domains, **said}


def text_of(said: Mapping[str, Any], not_checked: str = "", bad: int = 0) -> bytes:
    """The text of a recipe file. not_checked: names of benchmarks that the build could not read; bad: how
    many rows people marked bad.
    """
    about = (
        "All that determines the rows of this dataset, with pinned revisions. `magpie-hf build recipe.yaml`"
        " asks the same requests again; where it runs and is published is up to you. A local model stands"
        " here by its folder, with the hash of its contents."
    )
    if not_checked:
        about += f" Not checked, as they could not be read: the benchmarks {not_checked}."
    if bad:
        about += f" {bad} rows that people marked bad were dropped; which, no recipe says."
    head = wrapped(f"{about} Written by magpie-hf {version('magpie-hf')}.", 108)
    body = yaml.dump(dict(said), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=108)
    return "".join([*(f"# {line}\n" for line in head), "\n", body]).encode()


def beyond(recipe: Recipe) -> str | None:
    """What of a recipe no file can say, as it was made in Python; None where there is nothing."""
    scorer, model = recipe.scorer, recipe.generator.model
    asked = (recipe.checker, recipe.programmer, recipe.rejecter, recipe.pass_model, recipe.hardener)
    others = (recipe.tagger, *asked)
    chatting = [recipe.solver, *(engine for engine in others if engine is not None)]
    rating = [recipe.embedder] if recipe.embedder else []
    if isinstance(scorer, Judge):
        plain: Judge | RewardModel = Judge(scorer.engine, read=scorer.read)
        chatting.append(scorer.engine)
    elif isinstance(scorer, RewardModel):
        plain = RewardModel(scorer.engine, scorer.read)
        rating.append(scorer.engine)
    elif not use_of(scorer):
        return tr("its scorer")
    if not use_of(scorer) and scorer != plain:
        return tr("its scorer")
    for thing in (scorer, *(step.stage for step in recipe.steps), *recipe.acceptance.rules):
        if (use := use_of(thing)) and (not is_named(use) or use.startswith("__main__:")):
            return tr("{use}, which no recipe can name", use=use)
        if use_of(thing) and not _is_plain(_with(thing, recipe)):
            return tr("the fields of {use}", use=use_of(thing))
    if recipe.instruction != instruction_of(recipe.domains) or recipe.verify != Verify():
        return tr("its instruction or comparison of answers")
    alike = all(engine.model.max_length == model.max_length for engine in chatting)
    for engine in (*chatting, *rating):
        alike &= engine.model.dtype == model.dtype and _settings(engine.model) == _settings(model)
    if not alike:
        return tr("another precision, context or setting for each model")
    acceptance = recipe.acceptance
    if recipe.tagger is None and acceptance != Acceptance(
        reviewed=acceptance.reviewed, rules=acceptance.rules, pass_rate=acceptance.pass_rate
    ):
        return tr("rules on labels without a tagger")
    for one in (*recipe.benchmarks, *recipe.known):
        if one.splits != (PRESETS[one.name].splits if one.name in PRESETS else ()):
            return tr("the splits of a benchmark")
    for domain in recipe.domains:
        for step in STEPS_OF:
            if (sampling := getattr(domain, step)) != Sampling(**_values(sampling)):
                return tr("a sampling with texts or tokens that end or bound it")
    return None


def _scorer(scorer: Scorer) -> dict[str, Any]:
    """The options of a scorer of the package; none for one of one's own."""
    if use_of(scorer) or scorer.engine is None:
        return {}
    model = _name(scorer.engine.model)
    named = {"scorer": "judge", "judge": model} if isinstance(scorer, Judge) else {"scorer": model}
    return {**named, "scorer_reads": scorer.read}


def _code(thing: Any, recipe: Recipe) -> dict[str, Any]:
    """An object of one's own: its class, and the fields that have not their default."""
    given = _with(thing, recipe)
    return {"use": use_of(thing), **({"with": given} if given else {})}


def _step(step: Step, recipe: Recipe) -> dict[str, Any]:
    said = {**_code(step.stage, recipe), "after": step.after, "to": list(step.to), "describe": step.means}
    return {name: value for name, value in said.items() if value}


def _with(thing: Any, recipe: Recipe) -> dict[str, Any]:
    """The fields of an object of one's own that have not their default; an engine is named by its role."""
    roles = {**recipe.by_role, **({} if thing is recipe.scorer else {"scorer": recipe.scorer.engine})}
    found = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if field.name == "engine":
            value = next((role for role, one in roles.items() if one is not None and one == value), value)
        if field.init and not (field.default == value and type(field.default) is type(value)):
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _is_plain(value: Any) -> bool:
    """Whether YAML says the value and reads the same."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _settings(model: Model) -> dict[str, str]:
    return {name: value for name, value in model.settings if name not in _NO_MARK}


def _name(model: Model) -> str:
    """A model with its revision; of a folder, its path as it was given, or its name alone."""
    return f"{_path(model.given or model.path) if model.path else model.name}@{model.revision}"


def _path(path: str) -> str:
    """A path that leads down from here, as it is; of any other its last part, as it can tell whose home it is
    in.
    """
    down = not os.path.isabs(path) and path[0] != "~" and not os.path.normpath(path).startswith(os.pardir)
    return path if down else os.path.basename(os.path.normpath(path))


def _chat(recipe: Recipe) -> dict[str, Any]:
    """Values of chat templates' switches, each for its role."""
    engines = {"model": recipe.generator, "solver": recipe.solver, "tagger": recipe.tagger}
    engines |= {"checker": recipe.checker, "program": recipe.programmer, "rejected": recipe.rejecter}
    engines |= {"pass": recipe.pass_model, "hardener": recipe.hardener}
    if isinstance(recipe.scorer, Judge):
        engines["judge"] = recipe.scorer.engine
    return {
        f"{role}:{name}": json.loads(value)
        for role, engine in engines.items()
        if engine is not None
        for name, value in engine.model.chat_options
    }


def _given(own: OwnProblems | None) -> dict[str, Any]:
    """The options of problems that one has."""
    if own is None:
        return {}
    options = {
        "problems": _path(own.source) if own.is_local else own.source,
        "problem_column": own.column,
        "answer_column": own.answer,
        "domain_column": own.domain,
        "problems_split": own.split,
        "problems_where": dict(own.where),
        "problems_revision": own.revision,
        "problems_licence": own.licence,
        "problems_as_given": own.as_given,
        "use_reference": own.use_reference,
    }
    return {name: value for name, value in options.items() if value is not False}


def _accepted(recipe: Recipe) -> dict[str, Any]:
    if recipe.tagger is None:
        return {}
    rules = recipe.acceptance
    return {
        "off_topic": rules.off_topic,
        "min_quality": rules.min_quality,
        "min_difficulty": rules.min_difficulty,
        "unsolvable": "drop" if rules.drop_unsolvable else "keep",
    }


def _band(band: tuple[float, float] | None) -> str | None:
    return None if band is None else ":".join(f"{rate!r}" for rate in band)


def _benchmark(one: Benchmark) -> str:
    revision = f"@{one.revision}" if one.revision else ""
    if PRESETS.get(one.name) and PRESETS[one.name].source == one.source:
        return f"{one.name}{revision}"
    column = f"#{one.column}" if one.column else ""
    if one.is_local:
        return f"{_path(one.source)}{revision}{column}"
    config = f":{one.config}" if one.config else ""
    return f"{one.source}{config}{revision}{column}"


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        **({"japanese": domain.japanese} if domain.japanese else {}),
        "count": domain.count,
        "subject": domain.subject,
        "system": list(map(_text, domain.texts)) if domain.texts else domain.system,
        "first_token": domain.first_token,
        **{step: _values(getattr(domain, step)) for step in STEPS_OF},
    }


def _text(text: SystemText) -> dict[str, Any]:
    """A text of several, without what has its default."""
    given = {name: value for name, value in asdict(text).items() if value not in (None, 1.0, ENGLISH)}
    return {TEXT: given.pop("system"), **given}


def _values(sampling: Sampling) -> dict[str, Any]:
    return {name: getattr(sampling, name) for name in VALUES}
