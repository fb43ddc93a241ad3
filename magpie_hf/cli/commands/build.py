"""magpie-hf build: builds datasets from options.

Not here: the pipeline itself (building.py).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.assembly import check_devices, check_engine, cluster_of, recipe_of
from magpie_hf.cli.commands.brief import Brief, brief_of
from magpie_hf.cli.commands.display import Show, add_watching, watching
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.commands.options import (
    add_card,
    add_engine,
    add_engine_arguments,
    add_licence,
    add_publishing,
    licence_of_data,
    number,
    sft,
)
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.own_problems import add_own_problems
from magpie_hf.cli.commands.upload import check_push, check_replaced, interrupted_at_once, push_folder
from magpie_hf.domains import DOMAINS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.limits import LANGUAGES, LICENCE, MIN_YIELD, NEAR, STEER
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.model import DTYPES
from magpie_hf.problems.benchmarks.names import PRESETS
from magpie_hf.problems.labels import DIFFICULTIES, QUALITIES
from magpie_hf.progress.events import PlanMade
from magpie_hf.run.interrupts import stopping_at_once
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from datasets import DatasetDict


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


def add_options(build: argparse.ArgumentParser) -> None:
    """Add a recipe file and all options that determine a build, and where it runs."""
    build.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help=(
            "recipe file that says what options say, and domains of your own: a path, or "
            "hf://datasets/user/name[@revision]/recipe.yaml; options win over it"
        ),
    )
    build.set_defaults(blocks={})
    whole, decimal = number(int), number(float)
    models = ", ".join(f"{number} {model.repository}" for number, model in KNOWN_MODELS.items())

    what = build.add_argument_group("what to build")
    what.add_argument(
        "--model",
        help=f"model that writes the problems: a Hub repository, a folder, or a number: {models}",
    )
    what.add_argument("--solver", help="model that answers the problems (default: --model)")
    scorer = (
        "judge (a chat model), reward (a reward model with a free licence), armorm, or the "
        "repository or folder of a reward model"
    )
    what.add_argument(
        "--scorer", default="judge", help=f"what scores the candidates: {scorer} (default: judge)"
    )
    what.add_argument(
        "--judge", help="model that rates the candidates with --scorer judge (default: the solver)"
    )
    what.add_argument(
        "--scorer-reads",
        choices=("answer", "whole"),
        default="answer",
        help="what the scorer reads: the answer without thinking, or the whole response (default: answer)",
    )
    what.add_argument(
        "--revision", help="revision of the model on the Hub (default: its newest commit, which is recorded)"
    )
    what.add_argument(
        "--chat-option",
        action="append",
        default=[],
        metavar="[ROLE:]NAME=VALUE",
        help=(
            "value of a variable of the chat template, such as enable_thinking=false, or "
            "solver:enable_thinking=true for one of model, solver, judge, tagger, checker, program and "
            "rejected; repeatable"
        ),
    )
    what.add_argument(
        "--steer",
        choices=STEER,
        help=(
            "where a domain's text goes: the system's turn, the beginning of the user's turn, or nowhere "
            "(the tagger alone tells the domain; default: system, or user without a system role)"
        ),
    )
    what.add_argument(
        "--domains", default=",".join(DOMAINS), help="comma-separated domains (default: all six: %(default)s)"
    )
    what.add_argument(
        "--scale",
        type=decimal,
        help="factor for the domains' problem counts, rounded to tens, at least 10 (default: 1.0)",
    )
    what.add_argument("--count", type=whole, help="accepted problems per domain, instead of --scale")
    what.add_argument("--k", type=whole, default=5, help="candidates per problem (default: 5)")
    what.add_argument(
        "--sft",
        type=sft,
        default="best",
        help=(
            "answers that become SFT rows: best (one a problem), all or at most N of the majority's, or cold "
            "(one more, asked for on its own; default: best)"
        ),
    )
    what.add_argument(
        "--keep-minority", action="store_true", help="publish answers against the majority, too"
    )
    what.add_argument("--seed", type=whole, default=0, help="seed of the whole build (default: 0)")
    what.add_argument("--out", help="folder to write (default: data/<Model>_<domains>)")

    add_own_problems(build.add_argument_group("your own problems, in place of sampled ones"))

    good = build.add_argument_group("which samples are accepted as problems")
    good.add_argument(
        "--tagger",
        help=(
            "model that labels the samples by domain, quality, difficulty and solvability "
            "(default: --model; none: no labels)"
        ),
    )
    good.add_argument(
        "--off-topic",
        choices=("drop", "move", "keep"),
        help="what to do with samples that the tagger puts in another domain (default: drop)",
    )
    good.add_argument(
        "--min-quality",
        choices=QUALITIES,
        help="lowest quality to accept, as labelled by the tagger (default: average)",
    )
    good.add_argument(
        "--min-difficulty",
        choices=DIFFICULTIES,
        help=f"lowest difficulty to accept (default: {DIFFICULTIES[0]})",
    )
    good.add_argument(
        "--unsolvable",
        choices=("drop", "keep"),
        help="what to do with samples that the tagger calls unsolvable (default: drop)",
    )
    good.add_argument(
        "--languages",
        default=",".join(LANGUAGES),
        help="accepted languages: comma-separated ISO 639-1 codes (default: %(default)s)",
    )
    good.add_argument(
        "--near",
        type=decimal,
        default=NEAR,
        help="share of common words from which two problems may be near-duplicates (default: %(default)s)",
    )
    good.add_argument(
        "--embedder",
        help=(
            "sentence-embedding model that finds near-duplicates and benchmarks' problems by meaning and"
            " gives min_neighbor_distance"
        ),
    )
    good.add_argument(
        "--decontaminate",
        default="all",
        help=(
            f"comma-separated benchmarks whose problems are dropped: all, {', '.join(PRESETS)}, a "
            "Hub id (owner/name[:config][@revision][#column]), a folder or a file; none: no check "
            "(default: all)"
        ),
    )
    good.add_argument(
        "--require-decontamination", action="store_true", help="fail if a benchmark cannot be read"
    )
    good.add_argument(
        "--min-yield",
        type=decimal,
        default=MIN_YIELD,
        help="smallest share of accepted samples with which a build goes on (default: %(default)s)",
    )

    how = build.add_argument_group("sampling (each overrides the value of the domain or of the solver)")
    how.add_argument(
        "--sampling",
        choices=("default", "original"),
        default="default",
        help=(
            "default cuts the tail of the problems' distribution with min_p, and asks the solver "
            "as its generation_config says; original has the values of the original project"
        ),
    )
    for name, kind in (
        ("temperature", decimal),
        ("top-p", decimal),
        ("min-p", decimal),
        ("max-tokens", whole),
    ):
        how.add_argument(f"--instruction-{name}", type=kind, help=f"{name} of the problems")
    how.add_argument(
        "--first-token-temperature",
        type=decimal,
        help=(
            "temperature of a problem's first token, which is sampled on its own, among those "
            "that begin a sentence"
        ),
    )
    for name, kind in (("temperature", decimal), ("top-p", decimal), ("min-p", decimal)):
        how.add_argument(f"--{name}", type=kind, help=f"{name} of the answers")
        how.add_argument(f"--candidate-{name}", type=kind, help=f"{name} of the candidates")
    how.add_argument(
        "--max-tokens",
        type=whole,
        help="max-tokens of answers and candidates (default: 4096; of a reasoning model 16384)",
    )
    how.add_argument(
        "--auto-extend",
        type=whole,
        default=1,
        help="how often max-tokens is doubled for the answers that it truncated (default: 1; 0: never)",
    )
    how.add_argument(
        "--max-model-len",
        type=whole,
        help="most tokens of prompt and completion together (default: the model's own limit)",
    )
    how.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="precision of the models (default: auto, each model's own)",
    )

    sure = build.add_argument_group("what is known of the labels, beside the votes")
    sure.add_argument(
        "--checker",
        metavar="MODEL",
        help=(
            "model of another family that answers the problems with a majority, too; rows say whether it "
            "agrees, and only those where it does become RL problems"
        ),
    )
    sure.add_argument(
        "--program",
        metavar="MODEL",
        help=(
            "model that writes two programs for such a problem, which run in a sandbox; a problem where they "
            "print another answer becomes no RL problem"
        ),
    )
    sure.add_argument(
        "--objections",
        action="store_true",
        help=(
            "have the checker, or else the tagger, look three times at problems without a majority or that a "
            "candidate calls impossible, and drop those that two looks call ill-posed"
        ),
    )
    sure.add_argument(
        "--pairs-checked",
        action="store_true",
        help="make correctness pairs only where the checker agrees, and no program differs",
    )

    rules = build.add_argument_group("preference pairs and RL problems")
    rules.add_argument(
        "--min-majority-share",
        type=decimal,
        default=0.5,
        help="smallest share of the votes with which the majority's answer counts as correct (default: 0.5)",
    )
    rules.add_argument(
        "--min-score-gap", type=decimal, help="smallest score gap of a score pair (default: the scorer's own)"
    )
    rules.add_argument(
        "--min-correctness-score-gap",
        type=decimal,
        help="smallest score gap of a correctness pair (default: none)",
    )
    rules.add_argument(
        "--max-length-ratio",
        type=decimal,
        default=4.0,
        help="largest ratio of a pair's lengths in tokens, the longer by the shorter (default: 4)",
    )
    rules.add_argument(
        "--rejected-solver",
        metavar="MODEL",
        help=(
            "smaller model whose answer is the rejected one of a pair where all candidates of a problem "
            "agree (pair_kind delta)"
        ),
    )
    rules.add_argument(
        "--chosen",
        choices=("best", "shortest"),
        default="best",
        help="which of these candidates is chosen: that with the best score, or the shortest (default: best)",
    )
    rules.add_argument(
        "--rl-majority-share",
        type=decimal,
        help="also write <domain>_rl: problems whose majority's answer has at least this share of the votes",
    )

    tests = build.add_argument_group("problems held out for tests")
    tests.add_argument(
        "--test-share",
        type=decimal,
        default=0.05,
        help="share of problems to hold out, in test_sft and test_prefs (default: 0.05; 0: none)",
    )
    tests.add_argument(
        "--test-seed",
        type=whole,
        default=0,
        help="seed that chooses them; use the same for datasets that are mixed (default: 0)",
    )

    after = build.add_argument_group("publish the build when it is done, as magpie-hf publish does")
    after.add_argument(
        "--push",
        metavar="user/name",
        help="dataset on the Hub to publish to; checked before anything is built",
    )
    add_publishing(after)
    add_card(after)

    add_licence(build.add_argument_group("licence of the data"), LICENCE)
    build.add_argument_group("what is known of the labels").add_argument(
        "--calibration",
        metavar="FOLDER",
        help="--out folder of magpie-hf calibrate with the same solver, whose result the card states",
    )

    add_engine_arguments(build.add_argument_group("vLLM's own engine arguments"))

    where = build.add_argument_group("hardware and speed (no effect on the rows)")
    add_engine(where)
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run the engines on this Ray cluster: auto, HOST:PORT of its head, or local",
    )
    where.add_argument(
        "--ray-workers",
        metavar="MIN:MAX",
        help="fewest and most engines on the cluster at once (default: 1 to as many as fit)",
    )
    where.add_argument("--shard-size", type=whole, default=256, help="rows per shard (default: %(default)s)")
    where.add_argument(
        "--shards-in-flight", type=whole, default=8, help="shards in flight at once (default: %(default)s)"
    )


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

    from magpie_hf.building import build
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
    return _report(datasets, options.rl_majority_share is not None, out, show)


def _report(datasets: dict[str, DatasetDict], with_rl: bool, out: Path, show: Show) -> int:
    """Print the number of rows and the outcome of the plan; returns the exit code."""
    from magpie_hf.planning.outcome import outcome_of
    from magpie_hf.planning.view import outcome_line
    from magpie_hf.schema import DEFAULT_CONFIG, SIDES, TEXT_SPLITS
    from magpie_hf.stages.export import ExportRL

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
    problems = sum(
        size for (key, split), size in sizes.items() if key.endswith(ExportRL.suffix) and split in SIDES
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
    if empty:
        missing = tr(
            "no row came of {splits}; sample more (--count) or raise --max-tokens", splits=", ".join(empty)
        )
        show.error(f"magpie-hf: {missing}")
    return INCOMPLETE if empty else OK
