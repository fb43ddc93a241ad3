"""magpie-hf plan: estimates or measures what a build takes, and compares a plan with its outcome.

Not here: the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.assembly import (
    check_devices,
    check_engine,
    check_rules,
    named,
    recipe_of,
    server_lines,
)
from magpie_hf.cli.commands.build_options import add_options
from magpie_hf.cli.commands.display import beside_rows
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import number, roles
from magpie_hf.errors import BadInput
from magpie_hf.models.gpu_names import gpu_named
from magpie_hf.progress.events import Event, Said
from magpie_hf.run.status import status
from magpie_hf.text.language import tr

MEASURED = 8  # problems per domain

if TYPE_CHECKING:
    from magpie_hf.domains import Domain
    from magpie_hf.planning.measurements import Measured
    from magpie_hf.planning.outline import Outline


def add(commands: Any) -> None:
    """Add the command to the command line."""
    plan = commands.add_parser(
        "plan",
        help="estimate what a build will take",
        description=(
            "Estimate what a build will take: rows, requests, tokens, disk, memory, hours, cost "
            "and licences, and what is done already. Takes the options of build. Loads and "
            "downloads no model, except with --measure. With --out alone: compare a build's plan "
            "with its outcome."
        ),
    )
    add_options(plan)
    own = plan.add_argument_group("the plan")
    whole, decimal = number(int), number(float)
    measuring = (
        f"measure instead of estimating: build N problems per domain (default: {MEASURED}) in "
        "--out, from which the build resumes"
    )
    own.add_argument("--measure", nargs="?", type=whole, const=MEASURED, metavar="N", help=measuring)
    own.add_argument(
        "--gpu",
        help=(
            'GPU to plan for, such as "H100 80 GB", "A100 MIG 3g.40gb" or what nvidia-smi calls it (default: '
            "those here, else several common ones)"
        ),
    )
    own.add_argument(
        "--gpu-memory",
        type=decimal,
        metavar="GB",
        help="memory of one --gpu as its maker states it, which makes any name good (default: by its name)",
    )
    own.add_argument(
        "--gpus",
        type=whole,
        help="number of GPUs (default: those of this machine, or as few as leave a comfortable KV cache)",
    )
    own.add_argument(
        "--price", type=decimal, help="US dollars per GPU hour (default: a range of cloud prices)"
    )
    own.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
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
    gpu = None if options.gpu is None else gpu_named(options.gpu, options.gpu_memory)
    out = out_of(options, outline, named(domains))
    if options.measure is not None:
        _measure(options, outline, domains, out, began)
    plan = plan_of(options, outline, out, gpu, options.gpus, options.price)
    if plan.refusal:
        raise BadInput(plan.refusal)
    if options.json:
        print(json.dumps(plan.to_dict(), ensure_ascii=False, indent=2))
    else:
        from magpie_hf.planning.tables import show

        show(plan)
        for line in server_lines(options):
            print(line)
    return OK


def _outcome(options: argparse.Namespace) -> int:
    """Print how a folder's build compares with its plan."""
    if options.out is None:
        raise BadInput(
            "neither --model nor --out is given; give --model to plan a build, or --out to "
            "compare a plan with its outcome"
        )
    from magpie_hf.planning.outcome import outcome_of

    outcome = outcome_of(Path(options.out).expanduser())
    if options.json:
        print(json.dumps(outcome.to_dict(), ensure_ascii=False, indent=2))
    else:
        from magpie_hf.planning.comparison import show_outcome

        show_outcome(outcome)
    return OK


def _check(options: argparse.Namespace) -> None:
    """Raises BadInput if the plan's own options have no effect, or contradict each other."""
    if options.measure is not None and options.measure < 1:
        raise BadInput(f"--measure is {options.measure}; give at least 1 problem per domain")
    if options.measure is not None and options.push is not None:
        raise BadInput("--measure measures a small build, and --push would publish it; leave out one of them")
    if options.measure is not None and options.ray:
        raise BadInput(
            "--measure works on this machine or with --endpoint, not with --ray; leave out one of them"
        )
    if options.price is not None and not 0 <= options.price < float("inf"):
        raise BadInput(f"--price is {options.price:g}; give US dollars per GPU hour, such as 2.5")
    if options.gpu_memory is not None and not 0 < options.gpu_memory < 10_000:
        raise BadInput(f"--gpu-memory is {options.gpu_memory:g}; give GB of one GPU, such as 24")
    if options.gpu_memory is not None and options.gpu is None:
        raise BadInput(f"--gpu-memory is {options.gpu_memory:g} and --gpu is missing; give --gpu, too")
    if options.gpus is not None and options.gpus < 1:
        raise BadInput(f"--gpus is {options.gpus}; give at least 1")
    if options.gpus is not None and options.gpu is None:
        raise BadInput(f"--gpus is {options.gpus} and --gpu is missing; give --gpu, too")


def _measure(
    options: argparse.Namespace, outline: Outline, domains: tuple[Domain, ...], out: Path, began: float
) -> None:
    """Measure, unless the folder already holds this measurement.

    domains: those of the options, as `recipe_of` takes them.
    """
    from magpie_hf.planning.here import local_gpus
    from magpie_hf.planning.inputs import said_of
    from magpie_hf.planning.measurements import read_measured

    said, kept = said_of(options, outline), read_measured(out)
    if kept is not None and _holds(kept, said, options.measure, outline):
        told = tr("{out} already holds this measurement, of {date}", date=kept.date, out=out)
        print(told, file=sys.stderr if options.json else sys.stdout)
        return
    if (begun := _begun(out)) > options.measure:
        raise BadInput(
            f"{out} holds a build of {begun:,} problems per domain, which a measurement of "
            f"{options.measure} would shrink; leave out --measure, or choose another --out"
        )
    check_devices(options, outline.sources.values())

    from magpie_hf.planning.measure import measure
    from magpie_hf.planning.speeds import MOST_SEQUENCES, vllms_choice
    from magpie_hf.run.interrupts import stopping_at_once

    small, planned = (
        tuple(replace(domain, count=min(options.measure, domain.count)) for domain in some)
        for some in (domains, outline.domains)
    )
    here = () if options.endpoint else local_gpus()
    chosen = options.max_num_seqs or (vllms_choice(here[0]) if here else MOST_SEQUENCES)
    most = min(chosen, (options.k + 1) * sum(domain.count for domain in outline.domains))
    with beside_rows(options.json) as (show, _), stopping_at_once(out, show.leave):

        def take(event: Event) -> None:
            if not isinstance(event, Said):  # whose line is said
                show.take(event)

        recipe = recipe_of(options, small, show.say)
        how = {"shard_rows": options.shard_size, "shards_in_flight": options.shards_in_flight}
        whole = replace(outline, domains=planned)
        measure(recipe, whole, said, out, most, began, say=show.say, observer=take, **how)


def _holds(kept: Measured, said: dict[str, Any], count: int, outline: Outline) -> bool:
    """Whether the kept measurement is of this build, and of at least as many problems."""
    return kept.said == said and all(
        kept.yields.get(domain.key, (0, 0))[0] >= min(count, domain.count) for domain in outline.domains
    )


def _begun(out: Path) -> int:
    """Problems per domain of the build in the folder; 0 without a build."""
    return (
        max((quota.target for quota in status(out).selection), default=0)
        if (out / "run" / "build.json").is_file()
        else 0
    )
