"""The walk of the data: from seeds to a DatasetDict per domain. Not here: what a stage does, how it is cached, what files look like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from datasets import DatasetDict
from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from magpie_hf import publish
from magpie_hf.domains import Domain
from magpie_hf.engines.base import Engine
from magpie_hf.errors import EngineError, NothingMade
from magpie_hf.recipe import Recipe
from magpie_hf.rows import Made, Published, Rows, seed_rows
from magpie_hf.runners import Local
from magpie_hf.stage import Stage
from magpie_hf.stats import COUNTED, Built, batches, tally

Steps = list[list[Stage]]


def build(
    recipe: Recipe,
    out: str | Path,
    *,
    shard_rows: int = 256,
    shards_in_flight: int = 8,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, DatasetDict]:
    """Build every domain of the recipe into the folder `out`, and return a DatasetDict per configuration.

    That is one a domain (train_sft, train_prefs), and `<domain>_rl` (train) where the recipe asks for it.

    What the folder already holds is not made again: run the same build after a crash, or a changed one, and only what is missing is
    asked of the engines. shard_rows and shards_in_flight say how the work is cut and how much is under way at once; they make no
    difference to the rows. `say` gets a line of text for each finished piece of work.

    Raises BadInput before anything is written, for an unusable model or folder; EngineError where an engine fails; NothingMade where
    not one row is fit to be published.
    """
    folder = publish.Folder(Path(out).expanduser())
    folder.check(recipe)
    if not folder.is_finished(recipe):
        recipe.check()

    def report(domain: str, label: str, rows: int, seconds: float) -> None:
        say(f"{domain:<14} {label:<11} {rows:>7,} rows {seconds:9.1f} s")

    with folder.claimed(recipe), _no_progress_bars():
        folder.plan(recipe, {domain.key: {"count": domain.count, "stages": _keys(recipe, domain)} for domain in recipe.domains})
        local = Local(folder.run, shard_rows, shards_in_flight, report)
        rows = _walk(recipe, local)
        built = []
        for domain in recipe.domains:
            parts = rows[domain.key]
            local.sweep(parts)
            published: dict[str, dict[str, Published]] = {}
            for export in recipe.exports(domain):
                published.setdefault(domain.key + export.config, {})[export.split] = local.publish(parts, export)
            counted = tally(domain.key, batches(parts, COUNTED), len(published[domain.key]["train_sft"]))
            built.append(Built(domain, parts, published, counted))
        if not any(one.splits for one in built):
            lines = "; ".join(f"{one.domain.key}: {one.funnel.line()}" for one in built)
            raise NothingMade(f"no row can be published: {lines}; raise --max-tokens or use another model")
        folder.write(recipe, built)
    for one in built:
        for line in one.tally.lines():
            say(f"{one.domain.key:<14} {line}")
    return {
        config: DatasetDict({split: rows.dataset for split, rows in splits.items()})
        for one in built
        for config, splits in one.published.items()
    }


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """A bar of `datasets` for every shard would bury the build's own lines."""
    bars = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            enable_progress_bar()


def _keys(recipe: Recipe, domain: Domain) -> dict[str, str]:
    """The folder of each stage of a domain's walk."""
    rows = seed_rows(domain.key, recipe.seed, 0, 0)
    keys: dict[str, str] = {}
    for stages in (stages for _, steps in recipe.passes(domain) for stages in steps):
        made = {stage: rows.key(stage) for stage in stages}
        keys |= {stage.label: key for stage, key in made.items()}
        for stage, key in made.items():
            rows = rows.extended(stage, Made(key, (), rows.digests(["seed"])))
    return keys


def _walk(recipe: Recipe, local: Local) -> dict[str, list[Rows]]:
    """All stages over all domains, model by model, so that each model is loaded once; shards of all domains side by side."""
    walks = {domain.key: _by_engine(recipe.passes(domain)) for domain in recipe.domains}
    rows = {domain.key: [seed_rows(domain.key, recipe.seed, *piece) for piece in local.pieces(domain.count)] for domain in recipe.domains}
    for number in range(max(map(len, walks.values()))):
        engine = next(iter(walks.values()))[number][0]
        work = [(walks[key][number][1], part) for key, parts in rows.items() for part in parts]
        done = iter(_side_by_side(local, engine, work))
        rows = {key: [next(done) for _ in parts] for key, parts in rows.items()}
    return rows


def _side_by_side(local: Local, engine: Engine | None, work: list[tuple[Steps, Rows]]) -> list[Rows]:
    """The shards through their steps, several at once on one engine, which is closed at the end whatever happens."""
    stopping = threading.Event()

    def chain(steps: Steps, part: Rows) -> Rows:
        for stages in steps:
            if stopping.is_set():
                raise EngineError("the build is stopping")
            part = local.extend(part, stages)
        return part

    pool = ThreadPoolExecutor(local.shards_in_flight, thread_name_prefix="magpie-shard")
    futures = [pool.submit(chain, steps, part) for steps, part in work]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        failure = next((error for future in futures if future.done() and (error := future.exception())), None)
        if failure is not None:
            raise failure
        return [future.result() for future in futures]
    finally:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        while True:  # closing the engine fails what is in flight; a shard that opened it again just then is met on the next turn
            if engine is not None:
                engine.close()
            running = [future for future in futures if not future.done()]
            if not running:
                break
            wait(running, timeout=0.2)


def _by_engine(passes: list[tuple[Engine | None, Steps]]) -> list[tuple[Engine | None, Steps]]:
    """Neighbouring passes of one engine as one; a pass that needs none joins the one before it."""
    merged: list[tuple[Engine | None, Steps]] = []
    for engine, steps in passes:
        if merged and engine in (None, merged[-1][0]):
            merged[-1] = (merged[-1][0], merged[-1][1] + steps)
        else:
            merged.append((engine, steps))
    return merged
