"""magpie-hf build: from options to datasets.

Not here: the pipeline itself.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.exits import INCOMPLETE, OK
from magpie_hf.cli.commands.making import check_devices, check_engine, cluster_of, recipe_of
from magpie_hf.cli.commands.options import add_card, add_engine, add_publishing, number
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.preview import Preview, preview
from magpie_hf.cli.commands.pushing import check_push, interrupted_at_once, push_folder
from magpie_hf.cli.commands.watching import Show, add_watching, watching
from magpie_hf.domains import DOMAINS, Domain
from magpie_hf.limits import LANGUAGES, MIN_YIELD, NEAR
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.model import DTYPES
from magpie_hf.problems.benchmarks.names import PRESETS
from magpie_hf.problems.labels import DIFFICULTIES, QUALITIES
from magpie_hf.run.stopping import stopping_at_once
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from datasets import DatasetDict


def add(commands: Any) -> None:
    """Add the command to the command line."""
    build = commands.add_parser(
        "build", help="build datasets", description="Build datasets. Run it again to go on or to change it."
    )
    add_options(build)
    add_watching(build)
    build.set_defaults(run=run)


def add_options(build: argparse.ArgumentParser, needs_model: bool = True) -> None:
    """Add everything that determines a build, and where it runs."""
    whole, decimal = number(int), number(float)
    models = ", ".join(f"{number} {model.repository}" for number, model in KNOWN_MODELS.items())

    what = build.add_argument_group("what to build")
    what.add_argument(
        "--model",
        required=needs_model,
        help=f"who writes the problems: a Hub repository, a folder, or a number: {models}",
    )
    what.add_argument("--solver", help="who answers them (default: the model)")
    scorer = (
        "judge (a chat model rates), reward (a reward model under a free licence), armorm, or a reward"
        " model's repository or folder"
    )
    what.add_argument(
        "--scorer", default="judge", help=f"what orders the candidates: {scorer} (default: judge)"
    )
    what.add_argument(
        "--judge", help="who rates the candidates where the scorer is judge (default: the solver)"
    )
    what.add_argument(
        "--scorer-reads",
        choices=("answer", "whole"),
        default="answer",
        help="answer: without the thinking (default)",
    )
    what.add_argument(
        "--revision", help="revision of the model on the Hub (default: its newest commit, which is recorded)"
    )
    what.add_argument(
        "--domains", default=",".join(DOMAINS), help="comma-separated (default: all six: %(default)s)"
    )
    what.add_argument(
        "--scale",
        type=decimal,
        default=1.0,
        help="times the domains' counts, to tens, at least 10 (default: 1.0)",
    )
    what.add_argument("--count", type=whole, help="accepted problems per domain, in place of --scale")
    what.add_argument("--k", type=whole, default=5, help="candidates a problem (default: 5)")
    what.add_argument("--seed", type=whole, default=0, help="seed of the whole build (default: 0)")
    what.add_argument("--out", help="folder (default: data/<Model>_<domains>)")

    good = build.add_argument_group("which samples are accepted as problems")
    good.add_argument(
        "--tagger",
        help=(
            "who labels them by domain, quality, difficulty and solvability (default: the model; none:"
            " nobody)"
        ),
    )
    good.add_argument(
        "--off-topic", choices=("drop", "move", "keep"), help="what the tagger puts elsewhere (default: drop)"
    )
    good.add_argument(
        "--min-quality", choices=QUALITIES, help="least quality by the tagger (default: average)"
    )
    good.add_argument(
        "--min-difficulty", choices=DIFFICULTIES, help=f"least difficulty (default: {DIFFICULTIES[0]})"
    )
    good.add_argument(
        "--unsolvable", choices=("drop", "keep"), help="what the tagger calls unsolvable (default: drop)"
    )
    good.add_argument(
        "--languages",
        default=",".join(LANGUAGES),
        help="comma-separated ISO 639-1 codes (default: %(default)s)",
    )
    good.add_argument(
        "--near",
        type=decimal,
        default=NEAR,
        help="share of common words from which two may be near-duplicates (default: %(default)s)",
    )
    good.add_argument(
        "--embedder",
        help=(
            "a sentence-embedding model that flags near-duplicates by meaning and gives min_neighbor_distance"
        ),
    )
    good.add_argument(
        "--decontaminate",
        help=(
            f"comma-separated benchmarks to look for: all, {', '.join(PRESETS)}, a Hub id"
            " (owner/name[:config][@revision][#column]), a folder or a file"
        ),
    )
    good.add_argument(
        "--require-decontamination", action="store_true", help="fail where a benchmark cannot be read"
    )
    good.add_argument(
        "--min-yield",
        type=decimal,
        default=MIN_YIELD,
        help="give up below this share of accepted samples (%(default)s)",
    )

    how = build.add_argument_group("sampling (each overrides the domain's value)")
    how.add_argument(
        "--sampling",
        choices=("default", "original"),
        default="default",
        help="default cuts the tail of the problems with min_p; original takes the values of the original",
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
        help="sample a problem's first token apart, a sentence's, at this temperature",
    )
    for name, kind in (("temperature", decimal), ("top-p", decimal), ("min-p", decimal)):
        how.add_argument(f"--{name}", type=kind, help=f"{name} of the answers")
        how.add_argument(f"--candidate-{name}", type=kind, help=f"{name} of the candidates")
    how.add_argument("--max-tokens", type=whole, help="bound of answers and candidates")
    how.add_argument(
        "--max-model-len",
        type=whole,
        help="bound of prompt and completion together (default: the model's own)",
    )
    how.add_argument(
        "--dtype", choices=DTYPES, default="auto", help="precision of the models (default: auto, their own)"
    )

    rules = build.add_argument_group("pairs and problems with an agreed answer")
    rules.add_argument(
        "--min-majority-share",
        type=decimal,
        default=0.5,
        help="share of the votes that makes an answer right (default: 0.5)",
    )
    rules.add_argument(
        "--min-score-gap", type=decimal, help="least score gap of a score pair (default: the scorer's own)"
    )
    rules.add_argument(
        "--min-correctness-score-gap",
        type=decimal,
        help="least score gap of a correctness pair (default: none)",
    )
    rules.add_argument(
        "--max-length-ratio",
        type=decimal,
        default=4.0,
        help="tokens of a pair's longer text by the shorter (default: 4)",
    )
    rules.add_argument(
        "--rl-majority-share",
        type=decimal,
        help="also make <domain>_rl, of problems with at least this share of the votes",
    )

    tests = build.add_argument_group("problems that are held out for tests")
    tests.add_argument(
        "--test-share",
        type=decimal,
        default=0.05,
        help="their share, in test_sft and test_prefs (default: 0.05; 0: none)",
    )
    tests.add_argument(
        "--test-seed",
        type=whole,
        default=0,
        help="chooses which; the same in all datasets that are mixed (default: 0)",
    )

    after = build.add_argument_group("publish it when it is done, as magpie-hf publish does")
    after.add_argument(
        "--push", metavar="user/name", help="the dataset on the Hub; checked before anything is built"
    )
    add_publishing(after)
    add_card(after)

    where = build.add_argument_group("where and how fast (makes no difference to the rows)")
    add_engine(where)
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run engines on this Ray cluster: auto, HOST:PORT of its head, or local",
    )
    where.add_argument(
        "--ray-workers",
        metavar="MIN:MAX",
        help="engines on the cluster at once (default: 1 to as many as fit)",
    )
    where.add_argument("--shard-size", type=whole, default=256, help="rows a shard")
    where.add_argument("--shards-in-flight", type=whole, default=8, help="shards under way at once")


def run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    domains = domains_of(options)
    check_engine(options, "shard_size", "shards_in_flight")
    made = preview(options)
    with watching(options.progress) as show:
        code = _build(options, domains, made, show, began)
    if options.push is not None:
        on_stdout = sys.stderr if options.progress == "json" else sys.stdout  # where nothing but events goes
        with contextlib.redirect_stdout(on_stdout), interrupted_at_once():
            push_folder(options, made.plan.out, options.push)
    return code


def _build(
    options: argparse.Namespace, domains: tuple[Domain, ...], made: Preview, show: Show, began: float
) -> int:
    """The build itself, and what it came to; returns the exit code."""
    show.say("\n".join(made.lines))
    check_devices(options, made.outline.sources.values())
    cluster = cluster_of(options)
    check_push(options)

    from magpie_hf.building import build
    from magpie_hf.card.provenance import models_of
    from magpie_hf.models.licences import licences_for
    from magpie_hf.planning.inputs import build_of
    from magpie_hf.planning.outcome import Keeping
    from magpie_hf.run.local import Local

    out = made.plan.out
    with stopping_at_once(out, show.leave):
        recipe = recipe_of(options, domains, show.say)
        if options.push is not None:
            licences_for(models_of(recipe), options.model_license)  # raises where one is missing
        keeping = Keeping(out, made.plan.facts(), build_of(options, made.outline), show.take, began)
        datasets = build(
            recipe,
            out,
            shard_rows=options.shard_size,
            shards_in_flight=options.shards_in_flight,
            runner=cluster or Local,
            observer=keeping.take,
        )
        keeping.keep()
    return _tell_result(datasets, options.rl_majority_share is not None, out, show)


def _tell_result(datasets: dict[str, DatasetDict], with_rl: bool, out: Path, show: Show) -> int:
    """Say how many rows there are, and what came of the plan; returns the exit code."""
    from magpie_hf.planning.outcome import outcome_of
    from magpie_hf.planning.view import outcome_line
    from magpie_hf.schema import SIDES, TEXT_SPLITS
    from magpie_hf.stages.export import ExportRL

    show.say(outcome_line(outcome_of(out)))
    sizes = {(key, split): len(rows) for key, splits in datasets.items() for split, rows in splits.items()}
    empty = [
        f"{key} ({split})" for (key, split), size in sizes.items() if not size and split.startswith("train")
    ]
    sft, pairs = (
        sum(size for (_, split), size in sizes.items() if split.endswith(text)) for text in TEXT_SPLITS
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
