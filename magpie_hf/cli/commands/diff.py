"""magpie-hf diff: shows what changed between two builds, or two revisions of a dataset on the Hub.

Not here: finding it (report/differences/).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.commands.options import number
from magpie_hf.errors import BadInput, HubError
from magpie_hf.text.language import translated

DIFFERENT = 1
EXAMPLES = 2


def add(commands: Any) -> None:
    """Add the command to the command line."""
    diff = commands.add_parser(
        "diff",
        help="show what changed between two builds",
        description=(
            "Show what changed from one build to another: recipe, rows by their ids and columns, and the "
            "card's numbers. Each is a folder, or a dataset on the Hub at a tag, branch or commit. Exits "
            "with 0 if nothing differs, with 1 if something does, and with 2 after an error."
        ),
    )
    diff.add_argument("before", metavar="A", help="the earlier one: folder, or user/name@revision")
    diff.add_argument("after", metavar="B", help="the later one: folder, or user/name@revision")
    diff.add_argument(
        "--rows",
        type=number(int),
        default=EXAMPLES,
        metavar="N",
        help=f"examples of changed, added and removed rows of each split (default: {EXAMPLES})",
    )
    diff.add_argument("--json", action="store_true", help="print one JSON object")
    diff.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the difference on standard output, and notes on standard error."""
    if options.rows < 0:
        raise BadInput(f"--rows is {options.rows}; give 0 or more")
    from magpie_hf.hub.connection import bounded
    from magpie_hf.report.differences.difference import difference_of
    from magpie_hf.report.differences.sides import side_of

    def say(line: str) -> None:
        print(f"magpie-hf: {line}", file=sys.stderr, flush=True)

    try:
        with bounded():
            before, after = (side_of(text, say) for text in (options.before, options.after))
            found = difference_of(before, after, options.rows)
    except HubError as error:  # as a program like diff does: 1 would say that something differs
        say(translated(" ".join(str(error).split())))
        return BAD_INPUT
    for note in found.notes:
        say(note)
    if options.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, default=str))
    else:
        from magpie_hf.report.differences.view import show
        from magpie_hf.text.terminal import console

        show(found, console())
    return OK if found.is_none else DIFFERENT
