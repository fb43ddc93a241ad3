"""magpie-hf build: builds datasets from options.

Not here: the pipeline itself (magpie_hf.building).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.assembly import check_devices, check_engine, cluster_of, recipe_of
from magpie_hf.cli.commands.brief import Brief, brief_of
from magpie_hf.cli.commands.display import Show, add_watching, watching
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import (
    licence_of_data,
)
from magpie_hf.cli.commands.upload import check_push, check_replaced, interrupted_at_once, push_folder
from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput
from magpie_hf.progress.events import PlanMade
from magpie_hf.run.interrupts import stopping_at_once
from magpie_hf.text.language import tr, translated

if TYPE_CHECKING:
    from datasets import DatasetDict


from magpie_hf.cli.commands.build_options import add_options

# What helps where problems have no pair, by the reason
_WAYS = {
    "no_correct": "check the reference answers, or use a better solver",
    "incomplete": "raise --max-tokens, or give more candidates (--k)",
    "unscored": "use another --scorer or --judge: it gives most answers no score",
    "same_text": "raise --candidate-temperature, or give more candidates (--k)",
    "length_ratio": "raise --max-length-ratio, or give more candidates (--k)",
    "score_gap": "use another --scorer or --judge, which tells the answers apart, or lower --min-score-gap",
    "unconfirmed": "leave out --pairs-checked, or use a better --checker",
}


def add(commands: Any) -> None:
    """Add the command to the command line."""
    build = commands.add_parser(
        "build",
        help="build datasets",
        description="Build datasets. Run it again to resume a build, or with other options to change it.",
    )
    add_options(build)
    add_watching(build)
    build.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    if options.model is None:
        raise BadInput("no model is given; give --model, or a recipe file with one")
    domains = domains_of(options)
    check_engine(options, "shard_size", "shards_in_flight")
    made = brief_of(options)
    with watching(options.progress) as show:
        code = _build(options, domains, made, show, began)
    if options.push is not None:
        on_stdout = sys.stderr if options.progress == "json" else sys.stdout  # stdout has only JSON events
        with contextlib.redirect_stdout(on_stdout), interrupted_at_once():
            push_folder(options, made.plan.out, options.push)
    return code


def _build(
    options: argparse.Namespace, domains: tuple[Domain, ...], made: Brief, show: Show, began: float
) -> int:
    """Run the build and print its result; returns the exit code."""
    show.take(PlanMade(made.plan.to_dict()))
    if not getattr(options, "plan_shown", False):  # the menu has shown it
        show.say("\n".join(made.lines))
    check_devices(options, made.outline.sources.values())
    cluster = cluster_of(options)
    head = check_push(options)

    from magpie_hf.building.build import build
    from magpie_hf.card.provenance import models_of
    from magpie_hf.models.licences import licences_for
    from magpie_hf.planning.inputs import build_of
    from magpie_hf.planning.outcome import Keeping
    from magpie_hf.review.calibration.record import calibration_of
    from magpie_hf.run.local import Local

    out = made.plan.out
    with stopping_at_once(out, show.leave):
        recipe = recipe_of(options, domains, show.say)
        if options.push is not None:
            licences_for(models_of(recipe), options.model_license)  # raises if one is missing
            check_replaced(options, head, recipe)
        calibration = None
        if options.calibration is not None:
            model = recipe.solver.model
            calibration = calibration_of(
                Path(options.calibration).expanduser(), f"{model.name}@{model.revision}", recipe.votes
            )
        keeping = Keeping(out, made.plan.to_dict(), build_of(options, made.outline), show.take, began)
        datasets = build(
            recipe,
            out,
            shard_rows=options.shard_size,
            shards_in_flight=options.shards_in_flight,
            runner=cluster or Local,
            licence=licence_of_data(options),
            calibration=calibration,
            observer=keeping.take,
        )
        keeping.keep()
    return _report(datasets, options.rl_majority_share is not None, bool(options.tir), out, show)


def _report(datasets: dict[str, DatasetDict], with_rl: bool, with_tools: bool, out: Path, show: Show) -> int:
    """Print the number of rows and the outcome of the plan; returns the exit code."""
    from magpie_hf.planning.comparison import outcome_line
    from magpie_hf.planning.outcome import outcome_of
    from magpie_hf.schema import CANDIDATES_CONFIG, DEFAULT_CONFIG, SIDES, TEXT_SPLITS
    from magpie_hf.stages.exports.rl import ExportRL
    from magpie_hf.stages.exports.tir import ExportTIR

    show.say(outcome_line(outcome_of(out)))
    whole = datasets[DEFAULT_CONFIG]
    sizes = {
        (key, split): len(rows)
        for key, splits in datasets.items()
        if splits is not whole
        for split, rows in splits.items()
    }
    empty = [
        f"{key} ({split})" for (key, split), size in sizes.items() if not size and split.startswith("train")
    ]
    sft, pairs = (
        sum(len(rows) for split, rows in whole.items() if split.endswith(text)) for text in TEXT_SPLITS
    )
    problems, tools = (
        sum(size for (key, split), size in sizes.items() if key.endswith(kind.suffix) and split in SIDES)
        for kind in (ExportRL, ExportTIR)
    )
    if with_rl:
        said = tr(
            "{sft:,} SFT rows, {pairs:,} pairs and {problems:,} RL problems in {out}",
            sft=sft,
            pairs=pairs,
            problems=problems,
            out=out,
        )
    else:
        said = tr("{sft:,} SFT rows, {pairs:,} pairs in {out}", sft=sft, pairs=pairs, out=out)
    show.result(said)
    if with_tools:
        show.result(tr("{count:,} answers with tools", count=tools))
    if empty:
        way_out = translated(_way_out(datasets[CANDIDATES_CONFIG], {key.partition(" ")[0] for key in empty}))
        missing = tr("no row came of {splits}; {way_out}", splits=", ".join(empty), way_out=way_out)
        show.error(f"magpie-hf: {missing}")
    return INCOMPLETE if empty else OK


def _way_out(problems: DatasetDict, domains: set[str]) -> str:
    """What helps against the reason for which most problems of these domains have no pair."""
    reasons = Counter(
        reason
        for rows in problems.values()
        for domain, reason in zip(rows["domain"], rows["pair_reason"], strict=True)
        if reason is not None and domain in domains
    )
    return _WAYS.get(max(reasons, key=lambda reason: reasons[reason], default=""), "sample more (--count)")
