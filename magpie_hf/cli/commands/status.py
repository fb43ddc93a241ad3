"""magpie-hf status: prints the progress of a build.

Not here: reading it (run/status.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.errors import BadInput
from magpie_hf.run.pace import Pace, pace
from magpie_hf.run.status import SelectionStatus, StageStatus, Status, TopicStatus, status
from magpie_hf.text.language import tr
from magpie_hf.text.terminal import console, is_terminal, print_table

WATCH_SECONDS = 2.0


def add(commands: Any) -> None:
    """Add the command to the command line."""
    state = commands.add_parser(
        "status",
        help="show the progress of a build",
        description="Show the progress of a build, also while it runs.",
    )
    state.add_argument("folder", help="the --out folder of the build")
    state.add_argument("--json", action="store_true", help="print one JSON object")
    state.add_argument(
        "--watch", action="store_true", help="show it again every two seconds, until no build runs there"
    )
    state.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a table on a terminal, and one line per stage elsewhere."""
    folder = Path(options.folder).expanduser()
    if options.watch and options.json:
        raise BadInput("--watch redraws a picture, and --json is one object; give one of the two")
    found = _shown(folder, options)
    while options.watch and found.running:
        time.sleep(WATCH_SECONDS)
        found = _shown(folder, options)
    return OK


def _shown(folder: Path, options: argparse.Namespace) -> Status:
    """Print the status of a build; `--watch` on a terminal does so in place of what stood there."""
    found = status(folder)
    speed = pace(folder, found)
    if options.watch and is_terminal(sys.stdout):
        console().clear()
    if options.json:
        print(json.dumps({**asdict(found), "pace": asdict(speed) if speed else None}, indent=2))
    elif is_terminal(sys.stdout):
        _print(found, speed)
    else:
        print("\n".join([*found.lines(), *([_said(speed)] if speed else [])]), flush=True)
    return found


def _print(found: Status, speed: Pace | None) -> None:
    to = console()
    to.print(found.lines()[0], style="bold")
    head = (tr("domain"), tr("stage"), tr("rows"), tr("tokens"), tr("seconds"), tr("kept"), tr("reasons"))
    print_table(to, head, [*map(_selection, found.selection), *map(_stage, found.stages)], right=(2, 3, 4, 5))
    if found.topics:
        names = (tr("domain"), tr("topic"), tr("samples"), tr("accepted"), tr("near-duplicates"), tr("share"))
        print_table(to, names, [*map(_topic, found.topics)], right=(2, 3, 4, 5))
    for domain, one in found.hardened.items():
        to.print(f"{domain}  {one.line()}")
    if speed:
        to.print(_said(speed))


def _selection(quota: SelectionStatus) -> tuple[str, ...]:
    share = f"{quota.accepted / quota.filtered:.0%}" if quota.filtered else "–"
    filtered = tr(
        "{filtered} samples filtered, {share} accepted", filtered=f"{quota.filtered:,}", share=share
    )
    reasons = [filtered, *(f"{count:,} {reason}" for reason, count in quota.reasons.items())]
    return (
        quota.domain,
        tr("selection"),
        f"{quota.accepted:,}/{quota.target:,}",
        "",
        "",
        "",
        ", ".join(reasons),
    )


def _stage(stage: StageStatus) -> tuple[str, ...]:
    rows = f"{stage.rows:,}" if stage.wanted is None else f"{stage.rows:,}/{stage.wanted:,}"
    kept = f"{stage.requests_under_way:,}" if stage.requests_under_way else ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in stage.reasons.items())
    return stage.domain, stage.label, rows, f"{stage.tokens:,}", f"{stage.seconds:,.1f}", kept, reasons


def _topic(one: TopicStatus) -> tuple[str, ...]:
    share = f"{one.accepted / one.sampled:.0%}"
    counts = (f"{count:,}" for count in (one.sampled, one.accepted, one.near_duplicates))
    return one.domain, one.topic, *counts, share


def _said(speed: Pace) -> str:
    now = "–" if speed.tokens_per_second is None else f"{speed.tokens_per_second:,.0f}"
    average = f"{speed.average_tokens_per_second:,.0f}"
    if speed.seconds_left is None:
        return tr("tokens/s: {now} now, {average} on average", now=now, average=average)
    left = f"{speed.seconds_left / 3600:,.1f}"
    return tr(
        "tokens/s: {now} now, {average} on average; about {hours} h left of what has begun",
        now=now,
        average=average,
        hours=left,
    )
