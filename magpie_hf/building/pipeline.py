"""The pipeline: engine by engine, shards of all domains side by side.

Not here: what a stage does, and files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow.compute as pc
from datasets import Features

from magpie_hf.dataset.folder import Folder
from magpie_hf.engines.base import Engine
from magpie_hf.errors import LowYield
from magpie_hf.problems.benchmarks.loading import loaded_again
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.problems.near_duplicates.index import neighbour_distances
from magpie_hf.progress.events import Said, SelectionMoved
from magpie_hf.progress.observer import Observer
from magpie_hf.recipe import Recipe
from magpie_hf.run.local import Local
from magpie_hf.run.outline import keys
from magpie_hf.run.selection_log import SelectionLog
from magpie_hf.run.session import Task, session
from magpie_hf.schema import NEIGHBOUR
from magpie_hf.selection.first_answers import FirstAnswers
from magpie_hf.selection.nearest import Nearest, NearestBenchmark, NearestKnown
from magpie_hf.selection.places import Steps, by_engine
from magpie_hf.selection.selection import Selection
from magpie_hf.stages.embed import Embed, EmbedBenchmarks, EmbedKnown
from magpie_hf.stages.exports.dropped import export_dropped
from magpie_hf.stages.respond import Respond
from magpie_hf.stages.tool_trial import ToolTrial, check_tools, tool_trial_rows
from magpie_hf.stages.trial import MOST_TOKENS, Trial, finding, trial_rows
from magpie_hf.store.own_rows import first_rows, keep
from magpie_hf.store.rows import Rows, in_memory


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
        self._nearest: list[Nearest] | None = None
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
            session(self.local, engine, [*self._trial(engine, steps), *tasks])
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
            if "candidates" in rows.made:
                self.first_answers.offer(rows)
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
            engine, steps = self.samples[0]
            trial = self._trial(engine, steps, *([first[1]] if together else []))
            session(self.local, engine, [*trial, *wanted()])
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
            if engine is None or engine != self.recipe.embedder:
                rows = self._all(engine, steps, rows)
                continue
            rows = self._all(engine, steps, rows, self._embedding(engine))
            for nearest in self._nearest or ():
                rows = list(map(nearest.joined, rows))
        return rows

    def _embedding(self, engine: Engine) -> list[Task]:
        """The tasks that embed the problems of benchmarks and of known sets; none where that is done."""
        if self._nearest is not None:
            return []
        self._nearest = []
        kinds: tuple[tuple[type[Nearest], Embed, Sequence[Benchmark]], ...] = (
            (NearestBenchmark, EmbedBenchmarks(engine), self.recipe.benchmarks),
            (NearestKnown, EmbedKnown(engine), self.recipe.known),
        )
        tasks = []
        for kind, stage, sets in kinds:
            if not sets:
                continue
            nearest = kind(list(map(loaded_again, sets)))
            self._nearest.append(nearest)
            tasks += [
                Task([[stage]], nearest.rows(self.recipe.domains[0].key, *piece), nearest.take)
                for piece in self.local.pieces(len(nearest.problems))
            ]
        return tasks

    def _all(
        self, engine: Engine | None, steps: dict[str, Steps], rows: list[Rows], more: Sequence[Task] = ()
    ) -> list[Rows]:
        """The rows after a pass; `more` tasks run beside it."""
        done: list[Rows] = []

        def finish(made: Rows) -> list[Task]:
            done.append(made)
            return []

        tasks = (Task(steps[part.domain], part, finish) for part in rows)
        session(self.local, engine, [*self._trial(engine, steps), *more, *tasks])
        return done

    def _show_dropped(self) -> None:
        """Write the dropped samples of a selection that gives up to run/dropped, where the error points."""
        for key, pieces in self.selection_log.pieces.items():
            if pieces:
                parts = sorted(pieces, key=lambda part: part.start)
                export = export_dropped(parts[0], self.recipe.selects_by_answers)
                self.folder.keep_dropped(key, self.local.publish(parts, export))

    def _trial(self, engine: Engine | None, *passes: Mapping[str, Steps]) -> list[Task]:
        """The tasks that say how the solver thinks, and whether it answers with programs where it is to.

        Once, before its answers are asked for. passes: those that the engine runs next; answers may be among
        them.
        """
        stages = (one for steps in passes for of in steps.values() for step in of for one in step)
        answering = any(isinstance(one, Respond) for one in stages)
        if not self.trial or not answering or engine != self.recipe.solver:
            return []
        self.trial = False
        domain = self.recipe.domains[0]
        most = min(domain.candidate.max_tokens, MOST_TOKENS)
        sampling = replace(domain.candidate, max_tokens=1)
        stage = Trial(self.recipe.solver, sampling, self.recipe.instruction, most)

        def then(rows: Rows) -> list[Task]:
            self.notify(Said(finding(rows)))
            return []

        tasks = [Task([[stage]], trial_rows(domain.key, self.recipe.seed), then)]
        if self.recipe.tir:
            tools = ToolTrial.of(self.recipe.tools(domain))

            def check(rows: Rows) -> list[Task]:
                check_tools(rows, tools.answers)
                return []

            tasks.append(Task([[tools]], tool_trial_rows(domain.key, self.recipe.seed), check))
        return tasks

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
