"""The dataset card, rendered from a template under cards/ with numbers of the published rows.

Not here: counting.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from magpie_hf.card import markdown, own_words, plots
from magpie_hf.card.apart import rendered_apart
from magpie_hf.card.contents import Contents, paths
from magpie_hf.card.licence import LICENSE, licence_file
from magpie_hf.card.metadata import metadata, title
from magpie_hf.card.recipe import RECIPE, recipe_text
from magpie_hf.card.tables import tables
from magpie_hf.errors import BadInput
from magpie_hf.limits import KNOWN_FROM
from magpie_hf.models.data_licence import licence_in
from magpie_hf.review.precision import ENOUGH, Share
from magpie_hf.schema import CANDIDATES_CONFIG, DEFAULT_CONFIG
from magpie_hf.selection.reasons import REASONS
from magpie_hf.stage import fingerprint
from magpie_hf.stages.exports.rl import ExportRL
from magpie_hf.stages.exports.tir import ExportTIR
from magpie_hf.text.language import translated

__all__ = ["LANGUAGES", "LICENSE", "PLACEHOLDER", "RECIPE", "VERSION", "Contents", "files"]

_PACKAGE = Path(__file__).parent.parent
# Inside the package in a wheel, beside it in a checkout.
FOLDER = _PACKAGE / "cards" if (_PACKAGE / "cards").is_dir() else _PACKAGE.parent / "cards"
LANGUAGES = ("en", "ja")
PLACEHOLDER = "path/or/name"  # for load_dataset in the card of a build that is not published yet
README, PLOTS = "README.md", "plots"
_CODE = 2  # goes up when the same templates make another card


def version(folder: Path) -> str:
    """A fingerprint of what a card depends on besides its contents: the templates and the plots."""
    templates = [file.read_text(encoding="utf-8") for file in sorted(folder.iterdir()) if file.is_file()]
    return fingerprint(_CODE, plots.VERSION, plots.missing() is None, templates)


VERSION = version(FOLDER)  # a build's card is written anew when it changes
NAMES = (  # the variables of a template
    "calibration", "checker", "data", "domains", "embedder", "examples", "provenance", "generator",
    "hardener", "languages", "licence", "memorised", "metadata", "models", "own", "passer", "plots",
    "problems", "programmer", "reader", "rejecter", "repo", "reviewed", "scorer", "shown_splits", "solver",
    "tables", "tagger", "thinking", "title", "unfinished", "uses", "words", "words_place",
)  # fmt: skip
MOST_OF_PROBLEM, MOST_OF_ANSWER, MOST_OF_FINAL = 1500, 3000, 200  # characters of an example


def files(
    contents: Contents,
    repo: str,
    *,
    language: str = "en",
    template: Path | None = None,
    licences: Mapping[str, Mapping[str, str]] = {},
    unfinished: Mapping[str, tuple[int, int]] | None = None,
    words: str = "",
) -> dict[str, bytes]:
    """The card, its licence, its plots and the recipe file, by path: "README.md", "LICENSE",
    "plots/<name>.svg" and, where a file can say the recipe, "recipe.yaml".

    repo: the name in the examples of load_dataset. template: a user's template in place of the package's.
    licences: by model, {"name", "duty"} in place of what the package knows. unfinished: for a part of a
    build, (problems, target) by domain. words: those of who publishes it, for their place in the card.

    Raises BadInput for a language without a template, and for a template that cannot be read or rendered.
    """
    if language not in LANGUAGES:
        raise BadInput(f"there is no card in the language {language!r}; choose one of {', '.join(LANGUAGES)}")
    rendered = (
        {}
        if plots.missing()
        else {f"{PLOTS}/{name}.svg": svg for name, svg in plots.render(_plots(contents)).items()}
    )
    variables = {
        **_variables(contents, repo, language, licences, unfinished or {}),
        "plots": [_plot(path) for path in rendered],
    }
    text = (
        rendered_apart(template, partial(_from_template, template, variables))
        if template
        else _environment().get_template(f"dataset.{language}.md.jinja").render(variables)
    )
    licence = licence_file(variables["licence"], _models(contents, licences), variables["own"])
    text = own_words.with_words(f"{text.rstrip()}\n", words)
    recipe = recipe_text(contents.provenance)
    return {
        README: text.encode(),
        LICENSE: licence,
        **({RECIPE: recipe} if recipe is not None else {}),
        **rendered,
    }


def _environment() -> jinja2.Environment:
    """The Jinja environment: sandboxed, and strict, so that an unknown variable is an error."""
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "escape": markdown.escape,
        "code": markdown.code,
        "fence": markdown.fence,
        "bibtex": markdown.bibtex,
        "link": markdown.link,
        "n": lambda count: f"{count:,}",
        "quoted": lambda path, prefix: f'"{prefix}{path}"',
    }
    return environment


def check_template(template: Path) -> None:
    """Raises BadInput for a user's template that cannot be read or parsed, or uses an unknown variable."""
    environment = _environment()
    try:
        tree = environment.parse(_text_of(template))
        environment.compile(tree)  # parsing does not check filters and tests
    except jinja2.TemplateSyntaxError as error:
        raise _refusal(template, error.lineno, error) from error
    except RecursionError as error:
        raise _refusal(template, 1, error) from error
    unknown = meta.find_undeclared_variables(tree) - set(NAMES) - set(environment.globals)
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            raise _refusal(template, name.lineno, jinja2.UndefinedError(f"{name.name!r} is undefined"))


def _refusal(template: Path, line: int, error: Exception) -> BadInput:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return BadInput(
        f"line {line} of the template {template} cannot be rendered ({reason}); correct it: the variables are"
        f" {', '.join(NAMES)}"
    )


def _text_of(template: Path) -> str:
    try:
        return template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the template {template} cannot be read ({error}); give a text file") from error


def _from_template(template: Path, variables: Mapping[str, Any]) -> str:
    """A user's template, rendered. Raises BadInput, with the line, where that is not possible."""
    check_template(template)
    try:
        rendered: str = _environment().from_string(_text_of(template)).render(variables)
        rendered.encode()  # fails on a lone surrogate
    except Exception as error:  # an expression in a template can raise anything
        raise _refusal(template, _line(error), error) from error
    if not rendered.startswith(f"---\n{variables['metadata']}\n---\n"):
        raise BadInput(
            f"the template {template} does not begin with the metadata (the front matter), and without it"
            " load_dataset fails; begin it with a line ---, a line {{ metadata }} and a line ---"
        )
    return rendered


def _line(error: BaseException) -> int:
    """The last line of a user's template in the traceback of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == "<template>"), 0)


@lru_cache
def words(language: str) -> dict[str, Any]:
    """The words of a card's tables in this language."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"words.{language}.yaml").read_text(encoding="utf-8"))
    return {"reasons": REASONS, **found}


def _variables(
    contents: Contents,
    repo: str,
    language: str,
    licences: Mapping[str, Mapping[str, str]],
    unfinished: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """The variables of a template, also of a user's; `files` adds `plots`, the name and path of each.

    repo: the name in load_dataset; metadata: the YAML between the lines ---; title: of the dataset, with
    model and domains; words_place: where own words are kept; provenance: of `provenance.provenance`; domains:
    of the provenance, those with samples; problems: their number; languages: ISO 639-1; licence: of the data;
    unfinished: (domain, problems, target), empty for a finished build; reviewed: how many rows people read,
    how many of these are good, the bounds of that share (95 %, as percentages), and whether they are enough
    to state it, or none; calibration: the numbers of `calibration.record.Summary.to_card`, or none;
    memorised: how many problems are known ones up to their numbers, their share as a percentage and the least
    cosine, or none without known sets; models: of the provenance, with licences; generator, solver, tagger,
    embedder, reader, checker, programmer, rejecter, passer, hardener: the model of each step, or none;
    scorer: its title, and what it reads; data: splits by configuration; shown_splits: (configuration, split)
    of one configuration of each kind; uses: for "sft", "prefs", "rl" and "tir" a configuration and its
    splits to train and to test with, or none; thinking: whether a text holds thinking; tables: each as
    Markdown, by name; examples: one quoted row of each domain; words: the words of the tables, and the plots'
    alternative texts.

    Filters besides jinja2's own: escape, code, fence, bibtex and link (see `markdown`), n (a number with
    commas).
    """
    provenance = contents.provenance
    models = [
        {**model, "licence": _told(model["licence"], language)} for model in _models(contents, licences)
    ]
    by_step = {step: model for model in models for step in model["steps"]}
    return {
        "repo": repo,
        "metadata": metadata(contents),
        "title": title(contents),
        "words_place": f"{own_words.BEGIN}\n{own_words.END}",
        "provenance": {
            **provenance,
            "not_checked": [
                {**one, "reason": translated(one["reason"], language)} for one in provenance["not_checked"]
            ],
        },
        "domains": [domain for domain in provenance["domains"] if domain["key"] in contents.samples],
        "problems": sum(tally.funnel.problems for tally in contents.tallies.values()),
        "languages": (
            sorted({code for tally in contents.tallies.values() for code in tally.funnel.languages})
            or provenance["languages"]
        ),
        "licence": licence_in(provenance),
        "calibration": provenance.get("calibration"),
        "memorised": _memorised(contents),
        "reviewed": _reviewed(provenance.get("reviewed")),
        "unfinished": [(domain, had, target) for domain, (had, target) in unfinished.items()],
        "models": models,
        "generator": by_step.get("problems"),
        "own": provenance.get("own_problems"),
        "solver": by_step["answers"],
        "tagger": by_step.get("labels"),
        "embedder": by_step.get("embeddings"),
        "checker": by_step.get("checks"),
        "programmer": by_step.get("programs"),
        "rejecter": by_step.get("rejected"),
        "passer": by_step.get("passes"),
        "hardener": by_step.get("harder"),
        "reader": by_step.get("comparisons"),
        "scorer": {
            **provenance["scorer"],
            "title": translated(provenance["scorer"]["title"], language).strip(),
        },
        "data": {config: list(splits) for config, splits in contents.configs.items()},
        "shown_splits": _shown_splits(contents),
        "uses": _uses(contents),
        "thinking": contents.thinks,
        "tables": tables(contents, words(language), models),
        "examples": [
            example for domain in contents.domains if (example := _example(contents, domain)) is not None
        ],
        "words": words(language),
    }


def _models(contents: Contents, licences: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """The models of the provenance, with licences in place of what the package knows."""
    models = contents.provenance["models"]
    return [{**model, "licence": licences.get(model["name"]) or model["licence"]} for model in models]


def _told(licence: Mapping[str, Any] | None, language: str) -> dict[str, Any] | None:
    """A model's licence with its name and duty in the card's language."""
    if licence is None:
        return None
    forbids = licence.get("forbids") or "forbids" in licence["duty"]  # told before the duty is translated
    said = {key: translated(licence[key], language) for key in ("name", "duty")}
    return {**licence, **said, "forbids": forbids}


def _memorised(contents: Contents) -> dict[str, Any] | None:
    if "known_sets" not in contents.provenance:
        return None
    found = [tally.funnel for tally in contents.tallies.values()]
    known, problems = sum(sum(one.known.values()) for one in found), sum(one.problems for one in found)
    return {"problems": known, "share": f"{100 * known / max(1, problems):.1f}", "cosine": KNOWN_FROM}


def _reviewed(counts: Mapping[str, int] | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    low, high = Share(counts["good"], counts["read"]).interval
    enough = counts["read"] >= ENOUGH
    return {**counts, "low": round(100 * low), "high": round(100 * high), "enough": enough}


def _shown_splits(contents: Contents) -> list[tuple[str, str]]:
    """(configuration, split) of one configuration of each kind."""
    configs = contents.configs
    rl, tir = (
        [domain + kind.suffix for domain in contents.domains if domain + kind.suffix in configs]
        for kind in (ExportRL, ExportTIR)
    )
    kinds = (DEFAULT_CONFIG, *rl[:1], *tir[:1], CANDIDATES_CONFIG)
    return [(config, split) for config in kinds for split in configs.get(config, {})]


def _uses(contents: Contents) -> dict[str, Any]:
    """For each kind of training, the first configuration with rows for it and its splits; None without."""
    kinds = {
        "sft": ([DEFAULT_CONFIG], "_sft"),
        "prefs": ([DEFAULT_CONFIG], "_prefs"),
        "rl": ([domain + ExportRL.suffix for domain in contents.domains], ""),
        "tir": ([domain + ExportTIR.suffix for domain in contents.domains], ""),
    }
    uses: dict[str, Any] = dict.fromkeys(kinds)
    for kind, (configs, ending) in kinds.items():
        train, test = f"train{ending}", f"test{ending}"
        for config in configs:
            splits = contents.configs.get(config, {})
            if uses[kind] is None and train in splits:
                uses[kind] = {
                    "config": config,
                    "train": train,
                    "test": test if test in splits else None,
                    "train_files": paths(*splits[train]),
                    "test_files": paths(*splits.get(test, [])),
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
        "majority": None if majority is None else markdown.final(majority, MOST_OF_FINAL),
        "majority_share": row["majority_share"],
        "votes": row["answer_votes"],
    }


def _quoted(text: str, most: int) -> dict[str, Any]:
    quoted, shown = markdown.quote(text, most)
    length = len(text.strip())
    return {"text": quoted, "shown": shown, "length": length, "cut": shown < length}


def _plots(contents: Contents) -> list[plots.Plot]:
    """The values of all plots, by domain."""
    lengths, seen = contents.lengths, contents.seen

    def of_answers(column: str) -> dict[str, plots.Series]:
        texts = {
            domain: [
                lengths.get(domain, {}).get(f"{side}_sft", {}).get(column, []) for side in ("train", "test")
            ]
            for domain in seen
        }
        return {domain: {column: train + test} for domain, (train, test) in texts.items()}

    return [
        plots.Plot("problem_tokens", "tokens of a problem", of_answers("problem_tokens"), logarithmic=True),
        plots.Plot("answer_tokens", "tokens of an answer", of_answers("solution_tokens"), logarithmic=True),
        plots.Plot(
            "scores", "score of a candidate", {domain: {"scores": one.scores} for domain, one in seen.items()}
        ),
        plots.Plot(
            "score_gaps",
            "score of chosen, less that of rejected",
            {domain: dict(sorted(one.score_gaps.items())) for domain, one in seen.items()},
        ),
        plots.Plot(
            "majority_share",
            "share of the votes",
            {domain: {"votes": one.majority_shares} for domain, one in seen.items()},
            bounds=(0, 1),
        ),
    ]


def _plot(path: str) -> dict[str, str]:
    return {"name": Path(path).stem, "path": path}
