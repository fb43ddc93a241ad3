"""A build and a preview of one, in a folder.

Not here: the order of the stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from magpie_hf.building.pipeline import Pipeline
from magpie_hf.card import plots
from magpie_hf.card.breadth import by_topic, coverage
from magpie_hf.card.provenance import licence_of, provenance
from magpie_hf.card.stats import (
    Built,
    Funnel,
    Tally,
    over_domains,
    published,
    samples_of,
    tallies,
    with_rows,
)
from magpie_hf.dataset.folder import Folder
from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput, NothingMade, Torn
from magpie_hf.models.data_licence import DataLicence, contradictions, licence_in
from magpie_hf.progress.events import Said
from magpie_hf.progress.observer import Broadcast, Observer
from magpie_hf.progress.recorder import recording
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.writing import beyond
from magpie_hf.review.marks import REVIEWED
from magpie_hf.run.local import Local, Report
from magpie_hf.run.outline import keys, planned, recorded
from magpie_hf.run.rounds import tokens_of_rounds
from magpie_hf.run.session import no_progress_bars
from magpie_hf.run.status import status
from magpie_hf.schema import DEFAULT_CONFIG
from magpie_hf.selection.hardened import hardened
from magpie_hf.stages.exports.dropped import export_dropped
from magpie_hf.stages.objections import ILL_POSED
from magpie_hf.store.records import RECORD
from magpie_hf.store.rows import Published, Rows
from magpie_hf.text.language import tr


def build(
    recipe: Recipe,
    out: str | Path,
    *,
    shard_rows: int = 256,
    shards_in_flight: int = 8,
    runner: Callable[[Path, int, int, Report], Local] = Local,
    licence: DataLicence | None = None,
    calibration: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
    observer: Observer | None = None,
) -> dict[str, DatasetDict]:
    """Build every domain of the recipe into the folder `out`, and return a DatasetDict per configuration.

    The configurations are `default` over all domains and one per domain (splits train_sft, train_prefs, and
    test_sft, test_prefs of the held-out problems), `<domain>_rl` (train, test) where the recipe asks for it,
    and `candidates` (train, test) over all domains. Problems are sampled until each domain has as many
    accepted ones as its count.

    Rows that people marked bad (`magpie-hf review`) are dropped, and others made in their place. Finished
    work in the folder is reused. After a crash, or with a changed recipe, a build asks its engines
    only for what is missing. shard_rows: rows of a shard. shards_in_flight: how many shards are worked on at
    once. runner: where stages run, in this process (`Local`) or on a cluster (`RayCluster`). None of the
    three changes the rows. licence: of the data, which the card states and publishing takes over; None for
    CC BY-NC 4.0, or the licence of given problems where that asks for the same. calibration: the record of a
    calibration of the same solver, for the card; None takes the one that an earlier build here was given.
    say: called with a line of
    text for each finished piece of work. observer: called with every event of `progress.events`, one at a
    time, in the thread where it occurs.

    Raises BadInput for an unusable model or folder, before anything is written; EngineError where an engine
    fails; LowYield where too few samples of a domain are accepted, or the first answers are all
    lost for one reason; NothingMade where no row can be published.
    """
    folder, notify = Folder(Path(out).expanduser()), Broadcast(say, observer)
    local = runner(folder.run, shard_rows, shards_in_flight, notify)
    with _begun(recipe, folder, local, notify, licence) as pipeline:
        recipe = pipeline.recipe
        folder.keep_calibration(recipe, calibration)
        rows = pipeline.run()
        built = [_publish(recipe, local, domain, rows) for domain in recipe.domains]
        data = published(built)
        numbers = tallies(data, {one.domain.key: one.samples for one in built})
        if not any(domain.key in with_rows(data) for domain in recipe.domains):
            raise _nothing_made(recipe, numbers)
        folder.write(recipe, built, numbers)
        for domain, one in numbers.items():
            for line in one.lines():
                notify(Said(f"{domain:<14} {line}"))
        if (reason := plots.missing()) is not None:
            notify(Said(reason))
    whole = over_domains(data, [domain.key for domain in recipe.domains])
    configs = {DEFAULT_CONFIG: {split: Published.joined(parts) for split, parts in whole.items()}, **data}
    return {
        config: DatasetDict({split: rows.dataset for split, rows in splits.items()})
        for config, splits in configs.items()
    }


def _nothing_made(recipe: Recipe, numbers: Mapping[str, Tally]) -> NothingMade:
    """What is said where no row can be published, with the way out."""
    lines = "; ".join(f"{domain}: {one.funnel.line()}" for domain, one in numbers.items())
    way_out = _way_out(recipe, [one.funnel for one in numbers.values()])
    return NothingMade(f"no row can be published: {lines}; {way_out}")


def _way_out(recipe: Recipe, funnels: Sequence[Funnel]) -> str:
    """What helps against the reason for which no problem is left, or else most answers are lost."""
    dropped = {reason for one in funnels for reason in one.samples.dropped}
    if not any(one.problems for one in funnels):
        if REVIEWED in dropped:
            return "mark some of the problems good"
        if ILL_POSED in dropped:
            return "leave out --objections, or give more problems: the looks call all of them ill-posed"
        if recipe.selects_by_answers:
            return "give a wider --pass-rate or another --pass-model, or check the problems"
        if recipe.problems is not None and not recipe.problems.as_given:
            return "drop fewer problems with --problems-as-given, or give others"
        if recipe.problems is not None:
            return "give other problems: all of these hold special tokens"
    lost = sum((Counter(one.unanswered) for one in funnels), Counter[str]())
    reason = lost.most_common(1)[0][0] if lost else ""
    if reason == "no_correct":
        return "check the reference answers, or use a better solver: no answer is known to equal them"
    if reason == "minority":
        return "give --keep-minority or more candidates (--k): most answers are against the majority"
    if reason == "thinking_not_closed":
        return (
            "raise --max-tokens, or have the solver think less with --chat-option: most answers do not get"
            " beyond thinking"
        )
    if reason == "repetition":
        option = "--temperature" if recipe.sft == "cold" else "--candidate-temperature"
        return f"use another solver, or a higher {option}: most answers run in circles"
    if reason == "context_full":
        return "use a solver with a longer context, or raise --max-model-len: most prompts fill it"
    if reason == "empty":
        return "use another solver, such as one made for chats: most answers are empty"
    if reason == "special_tokens":
        return (
            "use another solver, or mend the chat_template.jinja of a local copy: most answers hold special"
            " tokens"
        )
    if reason == "killed_engine":
        return "see run/log.txt for what ended the engine, or use another solver"
    return "raise --max-tokens or use another model"


def first_problems(
    recipe: Recipe,
    out: str | Path,
    count: int,
    take: Callable[[Rows], None],
    *,
    shard_rows: int = 1,
    runner: Callable[[Path, int, int, Report], Local] = Local,
    licence: DataLicence | None = None,
    purpose: str = "",
    observer: Observer | None = None,
) -> None:
    """Take the first `count` problems of a build through every stage, and publish nothing.

    A build of the same recipe in the folder `out` goes on from there: it accepts the same problems first, and
    asks for nothing of them again. take: called with the rows of each sample, all columns, as soon as it has
    gone through everything, a dropped one too. shard_rows: where several, they are taken together. purpose:
    of a folder that will hold no build, as in `Folder`. The other arguments, and what is raised: as in
    `build`; and BadInput for the folder of another finished build, which would be one that is not finished
    afterwards.
    """
    folder, notify = Folder(Path(out).expanduser(), purpose), Broadcast(lambda line: None, observer)
    begun = (folder.run / RECORD).is_file()
    with suppress(Torn):
        if (
            begun
            and not purpose
            and status(folder.path).finished
            and not folder.is_finished(folder.reviewed(recipe))
        ):
            raise BadInput(
                f"{folder.path} holds a finished build with other options, or marks that were not built yet;"
                " a preview or a calibration would begin to change it: choose another --out, or run the build"
            )
    local = runner(folder.run, shard_rows, max(8, -(-count // shard_rows)), notify)
    with _begun(recipe, folder, local, notify, licence, count, take) as pipeline:
        pipeline.run()


@contextmanager
def _begun(
    recipe: Recipe,
    folder: Folder,
    local: Local,
    notify: Observer,
    licence: DataLicence | None,
    most: int | None = None,
    take: Callable[[Rows], None] = lambda rows: None,
) -> Iterator[Pipeline]:
    """The pipeline of a build, in its folder, which is this build's meanwhile.

    most, take: as in `Pipeline`.
    """
    folder.check(recipe)
    recipe = folder.reviewed(recipe)
    finished = folder.is_finished(recipe)
    if not finished:
        for line in local.check(recipe):
            notify(Said(line))
    names = [engine.model.name for engine in recipe.engines]
    with folder.claimed(recipe), no_progress_bars(), recording(folder.path, names, notify):
        pipeline = Pipeline(recipe, local, folder, notify, not finished, most, take)
        folder.plan(
            recipe,
            {domain.key: recorded(recipe, domain, folder.run) for domain in recipe.domains},
            pipeline.selection_log.folder.name,
        )
        notify(planned(recipe, folder.path, folder.run))
        licence = licence_of(recipe, licence)
        known = finished and folder.knows_provenance and "recipe" in folder.provenance
        if recipe.problems is not None:  # the name of a file, which is no part of what determines the rows
            known = known and folder.provenance["own_problems"]["source"] == recipe.problems.name
        if not (known and licence_in(folder.provenance) == licence):
            folder.keep_provenance(provenance(recipe, licence))
        if most is None and (what := beyond(recipe)) is not None:
            notify(Said(tr("no recipe.yaml is written, as a file cannot say {what}", what=what)))
        for line in contradictions(licence, folder.provenance["models"]):
            notify(Said(line))
        yield pipeline


def _publish(
    recipe: Recipe,
    local: Local,
    domain: Domain,
    rows: dict[str, list[Rows]],
) -> Built:
    """The published rows of one domain: from its own samples and from those that were moved to it."""
    sources = {source.key: rows[source.key] for source in recipe.sources(domain) if rows[source.key]}
    parts: dict[str, dict[str, list[Published]]] = {}
    for source in (one for one in recipe.sources(domain) if one.key in sources):
        halves = keys(recipe, source, local.folder).values()
        local.remove_journals(rows[source.key], {key for half in halves for key in half.values()})
        for export in recipe.exports(domain, source):
            made = local.publish(rows[source.key], export)
            parts.setdefault(export.config, {}).setdefault(export.split, []).append(made)
    joined = {
        config: {split: Published.joined(pieces) for split, pieces in splits.items()}
        for config, splits in parts.items()
    }
    rated = recipe.selects_by_answers
    dropped = local.publish(mine, export_dropped(mine[0], rated)) if (mine := rows[domain.key]) else None
    harder = None
    if recipe.harden:
        stages = keys(recipe, domain, local.folder)["samples"]
        pieces = [(part.start, part.stop) for part in mine]
        spent = tokens_of_rounds(local.folder, domain.key, recipe.seed, stages, pieces)
        harder = hardened(mine, spent)
    counted = replace(
        samples_of(domain.key, sources),
        hardened={} if harder is None else harder.plain(),
        topics=by_topic(domain.key, sources),
        coverage=coverage(domain.key, sources) if recipe.embedder else {},
    )
    return Built(domain, sources, joined, dropped, counted)
