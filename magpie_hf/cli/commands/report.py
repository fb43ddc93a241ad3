"""magpie-hf report: writes a build as one HTML page.

Not here: the page (report/).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import number
from magpie_hf.errors import BadInput
from magpie_hf.text.language import tr

DEFAULT = 100  # megabytes; equals report/write.py's, which takes numpy and pyarrow to import


def add(commands: Any) -> None:
    """Add the command to the command line."""
    what = (
        "Write a build as one HTML file that needs no network: its numbers and charts, and "
        "all its rows, to search and read. Works while the build runs, too."
    )
    report = commands.add_parser("report", help="write a build as an HTML page", description=what)
    report.add_argument("folder", help="the --out folder of the build")
    report.add_argument(
        "--out", metavar="FILE", help="file to write (default: report.html in the build's folder)"
    )
    report.add_argument(
        "--max-megabytes",
        type=number(float),
        default=float(DEFAULT),
        help="largest size of the file; long texts lose their middle to fit in (default: %(default)g)",
    )
    report.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the report, and print its file, rows and size."""
    from magpie_hf.report.write import report

    folder = Path(options.folder).expanduser()
    if not 0 < options.max_megabytes < float("inf"):
        raise BadInput(f"--max-megabytes is {options.max_megabytes:g}; give a number above 0")
    out = Path(options.out).expanduser() if options.out else folder / "report.html"
    made = report(folder, out, options.max_megabytes)
    print(
        tr(
            "{file}: {rows} rows, {size} MB",
            file=made.file,
            rows=f"{made.rows:,}",
            size=f"{made.size / 1e6:.1f}",
        )
    )
    if made.cut:
        cut, texts = f"{made.cut:,}", f"{made.texts:,}"
        print(
            tr(
                (
                    "{cut} of {texts} texts are shown without their middle; a larger --max-megabytes "
                    "keeps more of them"
                ),
                cut=cut,
                texts=texts,
            )
        )
    return OK
