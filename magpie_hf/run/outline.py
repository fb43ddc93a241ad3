"""What a build will make, by domain and stage, before it begins.

Not here: how much that takes (planning/).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.errors import Torn
from magpie_hf.progress.events import DomainPlanned, Found, Planned
from magpie_hf.recipe import Recipe
from magpie_hf.run.status import status
from magpie_hf.schema import SELECTION
from magpie_hf.selection.selection import KEY
from magpie_hf.stage import Stage
from magpie_hf.stages.exports.spec import spec_of
from magpie_hf.store.own_rows import first_rows
from magpie_hf.store.rows import Made


def planned(recipe: Recipe, path: Path, run: Path) -> Planned:
    """The event that says what will be built, and what of it the folder `path` holds already."""
    found: dict[str, dict[str, Found]] = {domain.key: {} for domain in recipe.domains}
    with suppress(Torn):  # the build itself finds finished shards without the record
        for stage in status(path).stages:
            found[stage.domain][stage.label] = Found(stage.rows, stage.tokens, stage.seconds)
    domains = []
    for domain in recipe.domains:
        halves, stages = keys(recipe, domain, run), _stages(recipe, domain)
        engines = {stage.label: engine.model.name for stage in stages if (engine := _engine(stage))}
        bounds = {stage.label: bound for stage in stages if (bound := _most_tokens(stage))}
        extended = tuple(stage.label for stage in stages if getattr(stage, "auto_extend", 0))
        samples, answers = tuple(halves["samples"]), tuple(halves["answers"])
        there = found[domain.key]
        domains.append(
            DomainPlanned(domain.key, domain.count, samples, answers, there, engines, bounds, extended)
        )
    return Planned(str(path), tuple(domains))


def recorded(recipe: Recipe, domain: Domain, run: Path) -> dict[str, Any]:
    """What will be built of a domain, for the record: its count, stage folders and exports."""
    exports = {
        source.key: list(map(spec_of, recipe.exports(domain, source))) for source in recipe.sources(domain)
    }
    return {"count": domain.count, **keys(recipe, domain, run), "exports": exports}


def keys(recipe: Recipe, domain: Domain, run: Path) -> dict[str, dict[str, str]]:
    """The folder of each stage of a domain by its label, in two halves.

    "samples" are the stages before the filtering of samples, "answers" those after it.
    """
    rows = first_rows(run, domain.key, recipe.seed, 0, 0)
    found: dict[str, dict[str, str]] = {"samples": {}, "answers": {}}
    for half, passes in (("samples", recipe.samples(domain)), ("answers", recipe.answers(domain))):
        for stages in (stages for _, steps in passes for stages in steps):
            made = {stage: rows.key(stage) for stage in stages}
            found[half] |= {stage.label: key for stage, key in made.items()}
            for stage, key in made.items():
                rows = rows.extended(stage, Made(key, (), rows.digests(["seed"])))
        rows = rows.joined(SELECTION, Made(KEY, (), rows.digests(["seed"])))
    return found


def _stages(recipe: Recipe, domain: Domain) -> list[Stage]:
    passes = (*recipe.samples(domain), *recipe.answers(domain))
    return [stage for _, steps in passes for stages in steps for stage in stages]


def _engine(stage: Stage) -> Engine | None:
    """The engine that a stage asks, itself or by its scorer."""
    own = getattr(stage, "engine", None) or getattr(getattr(stage, "scorer", None), "engine", None)
    return own if isinstance(own, Engine) else None


def _most_tokens(stage: Stage) -> int | None:
    """The most tokens of one request, after all doublings of its bound."""
    sampling = getattr(stage, "sampling", None) or getattr(getattr(stage, "scorer", None), "sampling", None)
    return None if sampling is None else int(sampling.max_tokens << getattr(stage, "auto_extend", 0))
