"""The options that say what a build makes: of `build`, and of the commands that begin one.

Not here: what their values mean together, and doing it.
"""

from __future__ import annotations

import argparse

from magpie_hf.cli.commands.label_options import add_label_options
from magpie_hf.cli.commands.options import (
    add_card,
    add_engine,
    add_engine_arguments,
    add_licence,
    add_publishing,
    number,
    sft,
)
from magpie_hf.cli.commands.own_problems import add_own_problems
from magpie_hf.domains import DOMAINS
from magpie_hf.limits import LANGUAGES, LICENCE, MIN_YIELD, NEAR, STEER
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.model import DTYPES
from magpie_hf.problems.benchmarks.names import PRESETS
from magpie_hf.problems.labels import DIFFICULTIES, QUALITIES


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
            "solver:enable_thinking=true for one of model, solver, judge, tagger, checker, program, "
            "rejected, pass and hardener; repeatable"
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
        "--topics",
        metavar="FILE",
        help=(
            "YAML file of topics for each domain; each problem is asked for with one of them, by its seed "
            "(columns topic and persona)"
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
        "--language",
        "--languages",
        dest="languages",
        default=",".join(LANGUAGES),
        help=(
            "languages that problems may be in: comma-separated ISO 639-1 codes; the first of en and ja is "
            "asked for, or both with shares, as in en:0.7,ja:0.3 (default: %(default)s)"
        ),
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
        "--known-set",
        action="append",
        default=[],
        metavar="FILE_OR_REPO",
        help=(
            "set of known problems, named as for --decontaminate, such as openai/gsm8k:main#question: rows "
            "say which known problem they are up to its numbers, and none is dropped for it (needs "
            "--embedder; repeatable)"
        ),
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

    add_label_options(build)

    rules = build.add_argument_group("preference pairs, RL problems and answers with tools")
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
    rules.add_argument(
        "--tir",
        type=whole,
        metavar="N",
        help=(
            "also write <domain>_tir (tool-integrated reasoning): of N answers a problem in which the solver "
            "runs Python in a sandbox, those that give the majority's answer"
        ),
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
