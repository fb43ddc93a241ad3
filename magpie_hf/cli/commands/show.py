"""magpie-hf show: prints rows of a build.

Not here: finding and formatting them (report/).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import number
from magpie_hf.errors import BadInput
from magpie_hf.report.finding import KINDS, chosen_domains, finished, nothing, some
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.report.finding import Finished, Place, Shown


def add(commands: Any) -> None:
    """Add the command to the command line."""
    what = (
        "Print rows of a build: problem, answer, final answer, majority share and pair, with formulas in"
        " Unicode."
    )
    show = commands.add_parser("show", help="print rows of a build", description=what)
    show.add_argument("folder", help="the --out folder of the build")
    show.add_argument("--domain", help="comma-separated domains (default: all, in turn)")
    show.add_argument("-n", type=number(int), default=3, metavar="N", help="how many rows (default: 3)")
    splits = (
        "sft, prefs (chosen beside rejected), candidates (all of them), rl, tir (answers with tools), "
        "dropped (samples with their reasons), or samples (as sampled)"
    )
    show.add_argument("--split", choices=KINDS, default="sft", help=f"{splits} (default: sft)")
    show.add_argument("--id", help="the rows with this id")
    show.add_argument("--random", action="store_true", help="random rows instead of the first ones")
    show.add_argument("--seed", type=number(int), help="random rows, the same ones for the same seed")
    show.add_argument(
        "--thinking", action="store_true", help="also show the model's thinking (default: only its length)"
    )
    show.add_argument("--raw", action="store_true", help="show LaTeX source instead of Unicode")
    show.add_argument(
        "--json", action="store_true", help="print one JSON object per row, in one line of ASCII"
    )
    show.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print rows on standard output, and notes about the build on standard error."""
    if options.n < 1:
        raise BadInput(f"-n is {options.n}; give at least 1 row")
    with tempfile.TemporaryDirectory(prefix="magpie-show-") as scratch:
        build = finished(
            Path(options.folder).expanduser(), Path(scratch) if options.split == "dropped" else None
        )
        rows = _rows(options, build)
    if not build.is_finished and options.split not in ("samples", "dropped"):
        said = tr(
            "{folder} is not finished; these rows are of its last finished state", folder=options.folder
        )
        print(f"magpie-hf: {said}", file=sys.stderr)
    if options.json:
        for shown in rows:
            print(json.dumps({"split": shown.split, **shown.row}))
        return OK

    from magpie_hf.report.showing.layout import Layout
    from magpie_hf.text.terminal import console

    to = console()
    raw = options.raw or not to.encoding.startswith("utf")  # LaTeX is more readable than question marks
    layout = Layout(to, raw, options.thinking, build.own)
    for shown in rows:
        try:
            layout.show(shown)
        except KeyError as error:
            raise BadInput(
                f"a row of {build.folder} lacks the column {error.args[0]!r}, so another version of magpie_hf"
                " made it; run the build again"
            ) from error
    return OK


def _rows(options: argparse.Namespace, build: Finished) -> list[Shown]:
    """The rows that the options ask for. Raises BadInput if there are none."""
    domains = chosen_domains(build, options.domain)
    if options.id is not None:
        return build.read(options.split, _places_of(options, build), options.json)
    places = build.places(options.split, domains)
    if not places:
        raise nothing(build, options.split, domains)
    seed = random.SystemRandom().getrandbits(32) if options.random and options.seed is None else options.seed
    return build.read(options.split, some(places, options.n, seed), options.json)


def _places_of(options: argparse.Namespace, build: Finished) -> list[Place]:
    """The places of the rows with the given id."""
    places = build.places_of(options.split, options.id)
    if not places:
        elsewhere = [kind for kind in KINDS if build.places_of(kind, options.id)]
        remedy = (
            f"it is in {', '.join(elsewhere)}: choose one with --split"
            if elsewhere
            else "leave out --id to see rows with their ids"
        )
        raise BadInput(f"no row in {options.split} has the id {options.id!r}; {remedy}")
    return places
