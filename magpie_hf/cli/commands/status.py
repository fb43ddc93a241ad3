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
from magpie_hf.selection.reasons import inside_share
from magpie_hf.text.language import tr
from magpie_hf.text.numbers import duration
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
    from magpie_hf.planning.outcome import planned_loads

    found = status(folder)
    speed = pace(folder, found, planned_loads(folder))
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
        names = [tr("domain"), tr("topic"), tr("samples"), tr("accepted"), tr("near-duplicates"), tr("share")]
        if rated := any(one.pass_rate is not None for one in found.topics):
            names.append(tr("mean pass rate"))
        print_table(to, names, [_topic(one, rated) for one in found.topics], right=(2, 3, 4, 5, 6))
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
    if (inside := inside_share(quota.accepted, quota.reasons)) is not None:
        reasons.append(tr("{share:.0%} of the answered samples inside the band", share=inside))
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
    rows = f"{stage.done:,}" if stage.wanted is None else f"{stage.done:,}/{stage.wanted:,}"
    kept = f"{stage.requests_under_way:,}" if stage.requests_under_way else ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in stage.reasons.items())
    return stage.domain, stage.label, rows, f"{stage.tokens:,}", f"{stage.seconds:,.1f}", kept, reasons


def _topic(one: TopicStatus, rated: bool) -> tuple[str, ...]:
    share = f"{one.accepted / one.sampled:.0%}"
    counts = (f"{count:,}" for count in (one.sampled, one.accepted, one.near_duplicates))
    rate = "–" if one.pass_rate is None else f"{one.pass_rate:.2f}"
    return one.domain, one.topic, *counts, share, *([rate] if rated else [])


def _said(speed: Pace) -> str:
    now = "–" if speed.tokens_per_second is None else f"{speed.tokens_per_second:,.0f}"
    average = f"{speed.average_tokens_per_second:,.0f}"
    if speed.seconds_left is None:
        return tr("tokens/s: {now} now, {average} on average", now=now, average=average)
    left = duration(speed.seconds_left)
    if speed.of_all:
        return tr(
            "tokens/s: {now} now, {average} on average; about {left} left",
            now=now,
            average=average,
            left=left,
        )
    return tr(
        "tokens/s: {now} now, {average} on average; about {left} left of what has begun",
        now=now,
        average=average,
        left=left,
    )
