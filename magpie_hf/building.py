"""The pipeline of a build: from seeds to one DatasetDict per configuration.

Not here: what a stage does, how its results are cached, and the layout of files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets import DatasetDict, Features

from magpie_hf.card import plots
from magpie_hf.card.provenance import licence_of, provenance
from magpie_hf.card.stats import Built, Tally, over_domains, published, samples_of, tallies, with_rows
from magpie_hf.dataset.folder import Folder
from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput, LowYield, NothingMade, Torn
from magpie_hf.models.data_licence import DataLicence, contradictions, licence_in
from magpie_hf.problems.benchmarks.loading import loaded_again
from magpie_hf.problems.near_duplicates.index import neighbour_distances
from magpie_hf.progress.events import Said, SelectionMoved
from magpie_hf.progress.observer import Broadcast, Observer
from magpie_hf.progress.recorder import recording
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.writing import beyond
from magpie_hf.review.marks import REVIEWED
from magpie_hf.run.local import Local, Report
from magpie_hf.run.outline import keys, planned, recorded
from magpie_hf.run.selection_log import SelectionLog
from magpie_hf.run.session import Task, no_progress_bars, session
from magpie_hf.run.status import status
from magpie_hf.schema import DEFAULT_CONFIG, NEIGHBOUR
from magpie_hf.selection.first_answers import FirstAnswers
from magpie_hf.selection.nearest import Nearest
from magpie_hf.selection.places import Steps, by_engine
from magpie_hf.selection.selection import Selection
from magpie_hf.stages.embed import EmbedBenchmarks
from magpie_hf.stages.export import ExportDropped
from magpie_hf.stages.trial import MOST_TOKENS, Trial, finding, trial_rows
from magpie_hf.store.own_rows import first_rows, keep
from magpie_hf.store.records import RECORD
from magpie_hf.store.rows import Published, Rows, in_memory
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
    funnels = [one.funnel for one in numbers.values()]
    marked = any(REVIEWED in one.samples.dropped for one in funnels)
    if marked and not any(one.problems for one in funnels):
        return NothingMade(f"no row can be published: {lines}; mark some of the problems good")
    if recipe.problems is not None:
        return NothingMade(
            f"no row can be published: {lines}; check the reference answers, drop fewer problems with"
            " --problems-as-given, or raise --max-tokens"
        )
    lost = sum((Counter(one.unanswered) for one in funnels), Counter[str]())
    reason = lost.most_common(1)[0][0] if lost else ""
    if reason == "repetition":
        return NothingMade(
            f"no row can be published: {lines}; use another solver, or a higher --temperature: most answers"
            " run in circles"
        )
    if reason == "context_full":
        return NothingMade(
            f"no row can be published: {lines}; use a solver with a longer context, or raise --max-model-len:"
            " most prompts fill it"
        )
    if reason == "minority":
        return NothingMade(
            f"no row can be published: {lines}; give --keep-minority or more candidates (--k): most answers"
            " are against the majority"
        )
    return NothingMade(f"no row can be published: {lines}; raise --max-tokens or use another model")


def first_problems(
    recipe: Recipe,
    out: str | Path,
    count: int,
    take: Callable[[Rows], None],
    *,
    shard_rows: int = 1,
    runner: Callable[[Path, int, int, Report], Local] = Local,
    licence: DataLicence | None = None,
    observer: Observer | None = None,
) -> None:
    """Take the first `count` problems of a build through every stage, and publish nothing.

    A build of the same recipe in the folder `out` goes on from there: it accepts the same problems first, and
    asks for nothing of them again. take: called with the rows of each sample, all columns, as soon as it has
    gone through everything, a dropped one too. shard_rows: where several, they are taken together. The other
    arguments, and what is raised: as in `build`; and BadInput for the folder of another finished build, which
    would be one that is not finished afterwards.
    """
    folder, notify = Folder(Path(out).expanduser()), Broadcast(lambda line: None, observer)
    begun = (folder.run / RECORD).is_file()
    with suppress(Torn):
        if begun and status(folder.path).finished and not folder.is_finished(folder.reviewed(recipe)):
            raise BadInput(
                f"{folder.path} holds a finished build with other options, or marks that were not built yet;"
                " a preview would begin to change it: choose another --out, or run the build"
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


def _publish(recipe: Recipe, local: Local, domain: Domain, rows: dict[str, list[Rows]]) -> Built:
    """The published rows of one domain: from its own samples and from those that were moved to it."""
    sources = {source.key: rows[source.key] for source in recipe.sources(domain) if rows[source.key]}
    parts: dict[str, dict[str, list[Published]]] = {}
    for source in (one for one in recipe.sources(domain) if one.key in sources):
        local.remove_journals(rows[source.key])
        for export in recipe.exports(domain, source):
            made = local.publish(rows[source.key], export)
            parts.setdefault(export.config, {}).setdefault(export.split, []).append(made)
    joined = {
        config: {split: Published.joined(pieces) for split, pieces in splits.items()}
        for config, splits in parts.items()
    }
    dropped = local.publish(rows[domain.key], ExportDropped(domain.key)) if rows[domain.key] else None
    return Built(domain, sources, joined, dropped, samples_of(domain.key, sources))


class Pipeline:
    """All stages over all domains, engine by engine, with shards of all domains side by side.

    Where one engine samples and answers the problems, it is opened once, and a problem is answered as soon
    as it is accepted, while others are sampled. Where sampling needs several engines, they take turns: each
    runs over all samples of a round.

    trial: whether the solver answers a few easy problems first (stages/trial.py). most: problems after which
    it stops, of all domains together; None for all of the recipe. take: called with rows that have gone
    through everything.
    """

    def __init__(
        self,
        recipe: Recipe,
        local: Local,
        folder: Folder,
        notify: Observer = lambda event: None,
        trial: bool = False,
        most: int | None = None,
        take: Callable[[Rows], None] = lambda rows: None,
    ) -> None:
        self.recipe, self.local, self.folder, self.notify = recipe, local, folder, notify
        self.trial, self.take = trial, take
        self.samples = by_engine({domain.key: recipe.samples(domain) for domain in recipe.domains})
        self.answers = by_engine({domain.key: recipe.answers(domain) for domain in recipe.domains})
        self.whole = {
            column
            for _, steps in recipe.answers(recipe.domains[0])
            for stages in steps
            for stage in stages
            for column in stage.adds
        }  # the columns of a row that has gone through everything
        given = None if recipe.given is None else keep(folder.run, recipe.given)
        self.selection = Selection(recipe.domains, recipe.acceptance, recipe.near_duplicates, given, most)
        self.selection_log = SelectionLog(
            folder.run,
            recipe,
            {domain.key: keys(recipe, domain, folder.run)["samples"] for domain in recipe.domains},
            given,
        )
        # A preview leaves the whole selection of an earlier build alone.
        self.records = most is None or self.selection_log.counts() is None
        self.filtered: list[Rows] = []
        self.answered: list[Rows] = []
        self.first_answers = FirstAnswers(recipe.solver.model.name)
        self._nearest: Nearest | None = None
        self._notified: dict[str, SelectionMoved] = {}

    def problems(self) -> list[Rows]:
        """The filtered samples of all domains, without answers."""
        if not self._reuse():
            self._sample(answering=False)
        return self.filtered

    def run(self) -> dict[str, list[Rows]]:
        """The rows of each domain with all columns, up to the last sample that its count needed."""
        passes = self.answers if self._reuse() else self._sample(answering=True)
        for engine, steps in passes:
            waiting, self.answered = self.filtered or self.answered, []
            self.filtered = []
            tasks = [Task(steps[rows.domain], rows, self._finish) for rows in waiting]
            session(self.local, engine, [*self._trial(engine), *tasks])
        rows: dict[str, list[Rows]] = {domain.key: [] for domain in self.recipe.domains}
        for part in sorted(self.answered, key=lambda part: part.start):
            rows[part.domain].append(part)
        return self._with_distances(rows) if self.recipe.embedder else rows

    def _sample(self, answering: bool) -> list[tuple[Engine | None, dict[str, Steps]]]:
        """Sample and filter until every domain is full, and return the passes that are left to run."""
        first, *later = self.answers
        alone = len(self.samples) == 1
        together = answering and alone and self.samples[0][0] == first[0]

        def select(rows: Rows) -> list[Task]:
            settled = self.selection.offer(rows)
            if self.records:
                self._record_selection()
                self.selection_log.keep(settled, self.selection)
            if self.selection.hopeless is not None:
                self._show_dropped()
                raise LowYield(self.selection.hopeless)
            if together:
                tasks = [Task(first[1][piece.domain], piece, self._finish) for piece in settled]
            else:
                self.filtered += settled
                tasks = []
            return tasks + (wanted() if alone else [])

        def wanted() -> list[Task]:
            steps = self.samples[0][1]
            return [
                Task(
                    steps[key],
                    first_rows(self.folder.run, key, self.recipe.seed, start, stop),
                    select,
                    partial(self.selection.has_enough, key),
                    ahead=True,
                )
                for key, start, stop in self.selection.wanted(self.local.shard_rows)
            ]

        if alone:
            engine = self.samples[0][0]
            session(self.local, engine, [*self._trial(engine), *wanted()] if together else wanted())
        while sampled := [task.rows for task in wanted()]:
            for rows in self._filterable(sampled):
                select(rows)
        return later if together else self.answers

    def _reuse(self) -> bool:
        """Whether an earlier build filtered these samples; if so, take its selection."""
        if self.selection.most is not None or (counts := self.selection_log.counts()) is None:
            return False
        rows = [
            first_rows(self.folder.run, key, self.recipe.seed, *piece)
            for key, count in counts.items()
            for piece in self.local.pieces(count)
        ]
        if (filtered := self.selection_log.restore(self._filterable(rows))) is None:
            return False
        self.filtered = filtered
        self.selection.restore(filtered)
        self._record_selection()
        return True

    def _record_selection(self) -> None:
        self.folder.record_selection(self.selection)
        for key, quota in self.selection.quotas.items():
            # Of given problems, there may be no more.
            target = quota.accepted if quota.is_done else quota.target
            moved = SelectionMoved(key, quota.filtered, quota.accepted, target, dict(quota.reasons))
            if moved.filtered and self._notified.get(key) != moved:
                self._notified[key] = moved
                self.notify(moved)

    def _filterable(self, rows: list[Rows]) -> list[Rows]:
        """The samples after all passes before the filtering."""
        for engine, steps in self.samples:
            if engine is None or engine != self.recipe.embedder or not self.recipe.benchmarks:
                rows = self._all(engine, steps, rows)
                continue
            more: list[Task] = []
            if self._nearest is None:
                self._nearest = Nearest(list(map(loaded_again, self.recipe.benchmarks)))
                more = self._embedding(EmbedBenchmarks(engine), self._nearest)
            rows = list(map(self._nearest.joined, self._all(engine, steps, rows, more)))
        return rows

    def _embedding(self, stage: EmbedBenchmarks, nearest: Nearest) -> list[Task]:
        """The tasks that embed the problems of the benchmarks."""
        return [
            Task([[stage]], nearest.rows(self.recipe.domains[0].key, *piece), nearest.take)
            for piece in self.local.pieces(len(nearest.problems))
        ]

    def _all(
        self, engine: Engine | None, steps: dict[str, Steps], rows: list[Rows], more: Sequence[Task] = ()
    ) -> list[Rows]:
        """The rows after a pass; `more` tasks run beside it."""
        done: list[Rows] = []

        def finish(made: Rows) -> list[Task]:
            done.append(made)
            return []

        session(self.local, engine, [*more, *(Task(steps[part.domain], part, finish) for part in rows)])
        return done

    def _show_dropped(self) -> None:
        """Write the dropped samples of a selection that gives up to run/dropped, where the error points."""
        for key, pieces in self.selection_log.pieces.items():
            if pieces:
                parts = sorted(pieces, key=lambda part: part.start)
                self.folder.keep_dropped(key, self.local.publish(parts, ExportDropped(key)))

    def _trial(self, engine: Engine | None) -> list[Task]:
        """The task that says how the solver thinks, once, before its answers are asked for."""
        if not self.trial or engine != self.recipe.solver:
            return []
        self.trial = False
        domain = self.recipe.domains[0]
        most = min(domain.candidate.max_tokens, MOST_TOKENS)
        sampling = replace(domain.candidate, max_tokens=1)
        stage = Trial(self.recipe.solver, sampling, self.recipe.instruction, most)

        def then(rows: Rows) -> list[Task]:
            self.notify(Said(finding(rows)))
            return []

        return [Task([[stage]], trial_rows(domain.key, self.recipe.seed), then)]

    def _finish(self, rows: Rows) -> list[Task]:
        self.answered.append(rows)
        if "candidates" in rows.made:  # a step of one's own may come before the answers, on another engine
            self.first_answers.offer(rows)
        if self.whole <= rows.made.keys():
            self.take(rows)
        return []

    def _with_distances(self, rows: dict[str, list[Rows]]) -> dict[str, list[Rows]]:
        """The rows with the cosine distance of each accepted problem to the nearest other one."""
        parts = [part for pieces in rows.values() for part in pieces]
        tables = [part.read(["accepted_as", "embedding"]) for part in parts]
        known = [
            pc.and_(pc.is_valid(table["accepted_as"]), pc.is_valid(table["embedding"])) for table in tables
        ]
        chosen = [
            table["embedding"].filter(good).combine_chunks()
            for table, good in zip(tables, known, strict=True)
        ]
        vectors = [one.flatten().to_numpy().reshape(len(one), -1) for one in chosen if len(one)]
        distances = iter(neighbour_distances(np.concatenate(vectors)).tolist() if vectors else ())
        features = Features(NEIGHBOUR)
        made: dict[str, list[Rows]] = {key: [] for key in rows}
        for part, good in zip(parts, known, strict=True):
            values = [next(distances) if embedded else None for embedded in good.to_pylist()]
            # A problem without another has the distance NaN.
            values = [None if value is None or math.isnan(value) else value for value in values]
            made[part.domain].append(
                part.joined(features, in_memory("neighbours", features, {"min_neighbor_distance": values}))
            )
        return made
