"""The dataset card, rendered from a template under cards/ with what is counted in the rows that are published. Not here: counting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment

from magpie_hf import markdown
from magpie_hf.contents import Contents
from magpie_hf.errors import BadInput
from magpie_hf.metadata import metadata, paths
from magpie_hf.reasons import REASONS
from magpie_hf.schema import CANDIDATES_CONFIG
from magpie_hf.stage import fingerprint
from magpie_hf.stages.export import ExportRL
from magpie_hf.tables import Tables

__all__ = ["LANGUAGES", "PLACEHOLDER", "VERSION", "Contents", "files"]

_HERE = Path(__file__).parent
FOLDER = _HERE / "cards" if (_HERE / "cards").is_dir() else _HERE.parent / "cards"  # inside the wheel, or beside it in a checkout
LANGUAGES = ("en",)
PLACEHOLDER = "path/or/name"  # what a build's own card says in load_dataset, as it does not know where it will lie
README = "README.md"
VERSION = fingerprint([file.read_text(encoding="utf-8") for file in sorted(FOLDER.iterdir())])
MOST_OF_PROBLEM, MOST_OF_ANSWER = 1500, 3000  # characters of an example


def files(
    contents: Contents,
    repo: str,
    *,
    language: str = "en",
    template: Path | None = None,
    licences: Mapping[str, Mapping[str, str]] = {},
    unfinished: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, bytes]:
    """The card and its plots, by path: "README.md" and "plots/<name>.svg".

    repo: what the examples load; template: a template that takes the place of ours; licences: of models that this package does not
    know, by name, each {"name", "duty"}; unfinished: of a build of which a part is published, (problems, target) by domain.

    Raises BadInput for a language that there is no template in, and for a template that cannot be read or rendered.
    """
    if language not in LANGUAGES:
        raise BadInput(f"there is no card in the language {language!r}; choose one of {', '.join(LANGUAGES)}")
    variables = _variables(contents, repo, language, licences, unfinished or {})
    text = _theirs(template, variables) if template else _environment().get_template(f"dataset.{language}.md.jinja").render(variables)
    return {README: text.encode()}


def _environment() -> SandboxedEnvironment:
    """Strict: an unknown variable is an error. In a sandbox: a template can read what it is given, and do nothing."""
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "escape": markdown.escape,
        "code": markdown.code,
        "fence": markdown.fence,
        "n": lambda count: f"{count:,}",
        "quoted": lambda path, prefix: f'"{prefix}{path}"',
    }
    return environment


def _theirs(template: Path, variables: Mapping[str, Any]) -> str:
    """A user's template, rendered. Raises BadInput, with the line, where that is not possible."""
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the template {template} cannot be read ({error}); give a text file") from error
    try:
        return _environment().from_string(text).render(variables)
    except jinja2.TemplateError as error:
        raise BadInput(f"the template {template} cannot be rendered ({error}); its variables are {', '.join(sorted(variables))}") from error


@lru_cache
def words(language: str) -> dict[str, Any]:
    """What stands in the tables of a card in this language."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"words.{language}.yaml").read_text(encoding="utf-8"))
    return {"reasons": REASONS, **found}


def _variables(
    contents: Contents, repo: str, language: str, licences: Mapping[str, Mapping[str, str]], unfinished: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    facts = contents.facts
    models = [{**model, "licence": model["licence"] or licences.get(model["name"])} for model in facts["models"]]
    by_step = {step: model for model in models for step in model["steps"]}
    tables = Tables(contents, words(language), models)
    return {
        "repo": repo,
        "metadata": metadata(contents),
        "facts": facts,
        "domains": [domain for domain in facts["domains"] if domain["key"] in contents.draws],
        "problems": sum(tally.funnel.problems for tally in contents.tallies.values()),
        "languages": sorted({code for tally in contents.tallies.values() for code in tally.funnel.languages}) or facts["languages"],
        "unfinished": [(domain, had, target) for domain, (had, target) in unfinished.items()],
        "models": models,
        "generator": by_step["problems"],
        "solver": by_step["answers"],
        "tagger": by_step.get("labels"),
        "embedder": by_step.get("embeddings"),
        "scorer": facts["scorer"],
        "data": {config: list(splits) for config, splits in contents.data.items()},
        "shown_splits": _shown_splits(contents),
        "uses": _uses(contents),
        "thinking": contents.thinks,
        "tables": tables,
        "examples": [example for domain in contents.domains if (example := _example(contents, domain)) is not None],
        "plots": [],
        "words": words(language),
    }


def _shown_splits(contents: Contents) -> list[tuple[str, str]]:
    """The splits of one config of each kind."""
    domain = next(iter(contents.data))
    shown = [config for config in (domain, domain + ExportRL.suffix, CANDIDATES_CONFIG) if config in contents.data]
    return [(config, split) for config in shown for split in contents.data[config]]


def _uses(contents: Contents) -> dict[str, Any]:
    """For each kind of training the first config that has rows for it, with its splits and their files; None without one."""
    uses: dict[str, Any] = dict.fromkeys(("sft", "prefs", "rl"))
    for domain in reversed(contents.domains):
        for kind, config, ending in (("sft", domain, "_sft"), ("prefs", domain, "_prefs"), ("rl", domain + ExportRL.suffix, "")):
            splits = contents.data.get(config, {})
            train, test = f"train{ending}", f"test{ending}"
            if train in splits:
                uses[kind] = {
                    "config": config,
                    "train": train,
                    "test": test if test in splits else None,
                    "train_files": paths(splits[train]),
                    "test_files": paths(splits[test]) if test in splits else [],
                }
    return uses


def _example(contents: Contents, domain: str) -> dict[str, Any] | None:
    if (row := contents.example(domain)) is None:
        return None
    majority = row["majority_answer"]
    return {
        "domain": domain,
        "problem": _quoted(row["problem"], MOST_OF_PROBLEM),
        "solution": _quoted(row["solution"], MOST_OF_ANSWER),
        "majority": None if majority is None else markdown.escape(majority),
        "agreement": row["answer_agreement"],
        "votes": row["answer_votes"],
    }


def _quoted(text: str, most: int) -> dict[str, Any]:
    quoted, shown = markdown.quote(text, most)
    length = len(text.strip())
    return {"text": quoted, "shown": shown, "length": length, "cut": shown < length}
