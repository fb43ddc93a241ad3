"""magpie-hf plan: what a build will take, before it runs; a measurement of it; and afterwards, what it took.

Not here: the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands import build
from magpie_hf.cli.commands.exits import OK
from magpie_hf.cli.commands.making import check_devices, check_engine, check_rules, named, recipe_of
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import number, roles
from magpie_hf.errors import BadInput
from magpie_hf.run.status import status
from magpie_hf.text.language import tr

MEASURED = 8  # problems a domain

if TYPE_CHECKING:
    from magpie_hf.planning.inputs import Outline
    from magpie_hf.planning.measured import Measured


def add(commands: Any) -> None:
    """Add the command to the command line."""
    plan = commands.add_parser(
        "plan",
        help="what a build will take",
        description=(
            "What a build will take: rows, requests, tokens, disk, memory, hours, cost and licences, and what"
            " is done already. Takes the options of build. Loads and downloads nothing, but with --measure."
            " With --out alone: a plan and what came of it."
        ),
    )
    build.add_options(plan, needs_model=False)
    own = plan.add_argument_group("the plan")
    whole, decimal = number(int), number(float)
    measuring = (
        f"build N problems a domain (default: {MEASURED}) in --out and measure that; the build goes on from"
        " there, so nothing is wasted"
    )
    own.add_argument("--measure", nargs="?", type=whole, const=MEASURED, metavar="N", help=measuring)
    own.add_argument(
        "--gpu",
        help='plan for this GPU, such as "H100 80 GB" (default: those here, else several common ones)',
    )
    own.add_argument(
        "--gpus",
        type=whole,
        help="how many of them (default: those here, or as few as give a comfortable cache)",
    )
    own.add_argument(
        "--price", type=decimal, help="US dollars an hour and GPU (default: a range of what clouds ask)"
    )
    own.add_argument("--json", action="store_true", help="print one JSON object in place of tables")
    plan.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    if options.model is None:
        return _outcome(options)
    from magpie_hf.planning.inputs import out_of, outline_of
    from magpie_hf.planning.plan import plan_of

    domains = domains_of(options)
    check_rules(options, domains)
    outline = outline_of(options, domains, roles(options))
    check_engine(options, "shard_size", "shards_in_flight")
    _check(options)
    out = out_of(options, outline, named(domains))
    if options.measure is not None:
        _probe(options, outline, out, began)
    plan = plan_of(options, outline, out, options.gpu, options.gpus, options.price)
    if options.json:
        print(json.dumps(plan.facts(), ensure_ascii=False, indent=2))
    else:
        from magpie_hf.planning.view import show

        show(plan)
    return OK


def _outcome(options: argparse.Namespace) -> int:
    """A plan of a folder's build and what came of it."""
    if options.out is None:
        raise BadInput(
            "neither --model nor --out is given; give --model to plan a build, or --out to see what came of"
            " one's plan"
        )
    from magpie_hf.planning.outcome import outcome_of

    outcome = outcome_of(Path(options.out).expanduser())
    if options.json:
        print(json.dumps(outcome.facts(), ensure_ascii=False, indent=2))
    else:
        from magpie_hf.planning.view import show_outcome

        show_outcome(outcome)
    return OK


def _check(options: argparse.Namespace) -> None:
    """Raises BadInput for the plan's own options where they say nothing, or contradict each other."""
    if options.measure is not None and options.measure < 1:
        raise BadInput(f"--measure is {options.measure}; give at least 1 problem a domain")
    if options.measure is not None and options.push is not None:
        raise BadInput("--measure measures a small build, and --push would publish it; leave out one of them")
    if options.measure is not None and options.ray:
        raise BadInput(
            "--measure measures engines of this machine or of --endpoint, and --ray names a cluster; leave"
            " out one of them"
        )
    if options.price is not None and not 0 <= options.price < float("inf"):
        raise BadInput(f"--price is {options.price:g}; give US dollars an hour and GPU, such as 2.5")
    if options.gpus is not None and options.gpus < 1:
        raise BadInput(f"--gpus is {options.gpus}; give at least 1")
    if options.gpus is not None and options.gpu is None:
        raise BadInput(f"--gpus is {options.gpus}, and --gpu does not say which; give it, too")


def _probe(options: argparse.Namespace, outline: Outline, out: Path, began: float) -> None:
    """Measure, unless the folder holds such a measurement already."""
    from magpie_hf.planning.inputs import said_of
    from magpie_hf.planning.measured import read_measured

    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    said, kept = said_of(options, outline), read_measured(out)
    if kept is not None and _holds(kept, said, options.measure, outline):
        say(tr("the measurement of {date} in {out} measured this already", date=kept.date, out=out))
        return
    if (begun := _begun(out)) > options.measure:
        raise BadInput(
            f"{out} holds a build of {begun:,} problems a domain, which a measurement of {options.measure}"
            " would cut; leave out --measure, or choose another --out"
        )
    check_devices(options, outline.sources.values())

    from magpie_hf.planning.measure import measure
    from magpie_hf.run.stopping import stopping_at_once

    small = tuple(replace(domain, count=min(options.measure, domain.count)) for domain in outline.domains)
    most = min(options.max_num_seqs, (options.k + 1) * sum(domain.count for domain in outline.domains))
    how = {"shard_rows": options.shard_size, "shards_in_flight": options.shards_in_flight, "say": say}
    with stopping_at_once(out):
        measure(recipe_of(options, small), replace(outline, domains=small), said, out, most, began, **how)


def _holds(kept: Measured, said: dict[str, Any], count: int, outline: Outline) -> bool:
    """Whether what was measured is of this build, and of no fewer problems."""
    return kept.said == said and all(
        kept.yields.get(domain.key, (0, 0))[0] >= min(count, domain.count) for domain in outline.domains
    )


def _begun(out: Path) -> int:
    """Problems a domain of the build in the folder; 0 where there is none."""
    return (
        max((quota.target for quota in status(out).selection), default=0)
        if (out / "run" / "build.json").is_file()
        else 0
    )
