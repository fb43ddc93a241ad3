"""magpie-hf sweep: compares sampling settings by the usable problems that they yield.

Not here: the sweep itself (planning/sweep/).
"""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import replace
from typing import Any

from magpie_hf.cli.commands.assembly import Spec, check_devices, check_engine, engines_of
from magpie_hf.cli.commands.display import naming
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.cli.commands.options import add_engine, add_engine_arguments, engine_arguments, number
from magpie_hf.domains import DOMAINS, HEADROOM, select
from magpie_hf.models.model import DTYPES, resolve
from magpie_hf.models.names import repository_or_folder
from magpie_hf.planning.sweep.settings import DEFAULT_SETTINGS, HOW_TO_NAME, select_settings
from magpie_hf.progress.captured_output import caught
from magpie_hf.run.interrupts import stopping_at_once


def add(commands: Any) -> None:
    """Add the command to the command line."""
    whole = number(int)
    what = (
        "Sample a few problems with several sampling settings, and report which yields most "
        "usable ones. Writes nothing to the disk."
    )
    sweep = commands.add_parser(
        "sweep", help="compare sampling settings: which yields most problems", description=what
    )
    sweep.add_argument(
        "model",
        metavar="MODEL",
        help="model that writes the problems: a number, a Hub repository or a folder, as in build",
    )
    sweep.add_argument(
        "--domains", default=",".join(DOMAINS), help="comma-separated domains (default: all six: %(default)s)"
    )
    sweep.add_argument(
        "--settings",
        default=",".join(DEFAULT_SETTINGS),
        help=f"comma-separated settings; {HOW_TO_NAME} (default: %(default)s)",
    )
    sweep.add_argument(
        "--samples", type=whole, default=32, help="problems sampled per domain and setting (default: 32)"
    )
    sweep.add_argument("--seed", type=whole, default=0, help="seed of the samples, as in build (default: 0)")
    sweep.add_argument(
        "--instruction-max-tokens", type=whole, help="max-tokens of the problems (default: the domain's own)"
    )
    sweep.add_argument("--revision", help="revision of the model on the Hub (default: its newest commit)")
    sweep.add_argument(
        "--max-model-len",
        type=whole,
        help="most tokens of prompt and completion together (default: the model's own limit)",
    )
    sweep.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="precision of the models (default: auto, each model's own)",
    )
    sweep.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    add_engine_arguments(sweep.add_argument_group("vLLM's own engine arguments"))
    add_engine(sweep.add_argument_group("hardware and speed"))
    sweep.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the sweep; exits with 3 if even the best setting yields too little for a build to start."""
    settings, domains = select_settings(options.settings.split(",")), select(options.domains.split(","))
    if options.instruction_max_tokens is not None:
        bound = {"max_tokens": options.instruction_max_tokens}
        domains = tuple(
            replace(domain, instruction=replace(domain.instruction, **bound)) for domain in domains
        )
    check_engine(options)
    with caught() as log, naming(log), stopping_at_once(None, lambda: log.err):
        check_devices(options, [repository_or_folder(options.model)])
        given = engine_arguments(options)
        model = resolve(
            options.model,
            revision=options.revision,
            dtype=options.dtype,
            max_length=options.max_model_len,
            settings=given.numbers if given else (),
        )

        from magpie_hf.planning.sweep.sweep import sweep

        context = HEADROOM + max(domain.instruction.max_tokens for domain in domains)
        spec: Spec = (model, context, "generate")
        with contextlib.closing(engines_of(options, [spec])[spec]) as engine:
            found = sweep(engine, domains, settings, options.samples, options.seed)
    print(
        json.dumps(found.to_dict(), ensure_ascii=False, indent=2)
        if options.json
        else "\n".join(found.lines())
    )
    return INCOMPLETE if found.refused else OK
