"""What will be built, and what of it the folder holds already.

Not here: how long it takes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from magpie_hf.dataset.folder import Folder
from magpie_hf.domains import Domain
from magpie_hf.errors import Torn
from magpie_hf.progress.events import DomainPlanned, Found, Planned
from magpie_hf.recipe import Recipe
from magpie_hf.run.status import status
from magpie_hf.schema import SELECTION
from magpie_hf.selection.selection import KEY
from magpie_hf.stages.exports.spec import spec_of
from magpie_hf.store.own_rows import first_rows
from magpie_hf.store.rows import Made


def found(recipe: Recipe, folder: Folder) -> Planned:
    """The event that says what will be built, and what of it the folder holds already."""
    there: dict[str, dict[str, Found]] = {domain.key: {} for domain in recipe.domains}
    with suppress(Torn):  # the build itself finds finished shards without the record
        for stage in status(folder.path).stages:
            there[stage.domain][stage.label] = Found(stage.rows, stage.tokens, stage.seconds)
    domains = []
    for domain in recipe.domains:
        halves = stage_keys(recipe, domain, folder.run)
        domains.append(
            DomainPlanned(
                domain.key,
                domain.count,
                tuple(halves["samples"]),
                tuple(halves["answers"]),
                there[domain.key],
            )
        )
    return Planned(str(folder.path), tuple(domains))


def planned(recipe: Recipe, domain: Domain, run: Path) -> dict[str, Any]:
    """What will be built of a domain, for the record: its count, stage folders and exports."""
    exports = {
        source.key: list(map(spec_of, recipe.exports(domain, source))) for source in recipe.sources(domain)
    }
    return {"count": domain.count, **stage_keys(recipe, domain, run), "exports": exports}


def stage_keys(recipe: Recipe, domain: Domain, run: Path) -> dict[str, dict[str, str]]:
    """The folder of each stage of a domain by its label, in two halves.

    "samples" are the stages before the filtering of samples, "answers" those after it.
    """
    rows = first_rows(run, domain.key, recipe.seed, 0, 0)
    keys: dict[str, dict[str, str]] = {"samples": {}, "answers": {}}
    for half, passes in (("samples", recipe.samples(domain)), ("answers", recipe.answers(domain))):
        for stages in (stages for _, steps in passes for stages in steps):
            made = {stage: rows.key(stage) for stage in stages}
            keys[half] |= {stage.label: key for stage, key in made.items()}
            for stage, key in made.items():
                rows = rows.extended(stage, Made(key, (), rows.digests(["seed"])))
        rows = rows.joined(SELECTION, Made(KEY, (), rows.digests(["seed"])))
    return keys
