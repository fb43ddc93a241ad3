"""The options that say what is known of labels, and how hard the problems are: of all commands of a build.

Not here: what their values mean together.
"""

from __future__ import annotations

import argparse

from magpie_hf.cli.commands.options import number
from magpie_hf.limits import PASS_VOTES


def add_label_options(build: argparse.ArgumentParser) -> None:
    """Add the options on opinions beside the votes, on pass rates, and on harder problems."""
    whole, decimal = number(int), number(float)
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

    hard = build.add_argument_group("how hard the problems are, by the answers of another model")
    hard.add_argument(
        "--pass-model",
        metavar="MODEL",
        help=(
            "model, often a small one, that answers each problem several times; pass_rate is the share of "
            "its answers that equal the label"
        ),
    )
    hard.add_argument(
        "--pass-votes",
        type=whole,
        default=PASS_VOTES,
        help="how often it answers a problem (default: %(default)s)",
    )
    hard.add_argument(
        "--pass-rate",
        metavar="MIN:MAX",
        help=(
            "count only problems whose pass rate is in this band, both ends in it, as in 0.1:0.8; samples "
            "are then answered before they are accepted"
        ),
    )
    hard.add_argument(
        "--rl-pass-rate",
        metavar="MIN:MAX",
        help="pass rates of RL problems (default: all between 0 and 1, without both)",
    )
    hard.add_argument(
        "--easy-share",
        type=decimal,
        default=0.0,
        help="share of the problems above that band which become RL problems, too (default: 0)",
    )
    hard.add_argument(
        "--harden",
        type=whole,
        default=0,
        metavar="ROUNDS",
        help=(
            "have a model make a harder problem of each one above the band of --pass-rate, which takes its "
            "place, and of those that are still above it in a second round: 0, 1 or 2 (default: 0)"
        ),
    )
    hard.add_argument(
        "--harden-model",
        metavar="MODEL",
        help="model that makes the harder problems, a reasoning model at best (default: the solver)",
    )
