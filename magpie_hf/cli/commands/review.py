"""magpie-hf review: takes people's marks on rows, says what they show, and writes rows to mark.

Not here: the marks (review/), and finding rows (report/).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import number
from magpie_hf.errors import BadInput, shortened
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from magpie_hf.report.source import Source
    from magpie_hf.review.marks import Mark, Taken
    from magpie_hf.review.precision import Share


def add(commands: Any) -> None:
    """Add the command to the command line."""
    what = (
        "Take the marks that people gave rows in the report or in a sheet, and show the precision of the"
        " build's own labels. Rows marked bad are dropped when the build runs again."
    )
    review = commands.add_parser("review", help="take people's marks on rows", description=what)
    review.add_argument("folder", help="the --out folder of the build")
    review.add_argument("--marks", metavar="FILE", help="marks to take: JSON lines of id, mark and note")
    review.add_argument(
        "--sample", type=number(int), metavar="N", help="write a sheet of so many random rows to mark"
    )
    review.add_argument(
        "--seed", type=number(int), help="seed of the sheet: the same rows for the same seed (default: 0)"
    )
    review.add_argument("--to", metavar="FILE", help="the sheet to write, with --sample")
    review.add_argument("--json", action="store_true", help="print one JSON object")
    review.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a sheet, or take marks, and print the precision that all marks of the build give."""
    from magpie_hf.report.source import opened

    if (options.sample is None) != (options.to is None):
        raise BadInput("--sample and --to belong together; give the number of rows, and the file to write")
    if options.sample is None and options.seed is not None:
        raise BadInput("--seed is given and --sample is not; give --sample and --to, too")
    if options.sample is not None and options.marks is not None:
        raise BadInput("--sample and --marks are given; write the sheet first, then take its marks")
    if options.sample is not None and options.sample < 1:
        raise BadInput(f"--sample is {options.sample}; give at least 1 row")
    folder = Path(options.folder).expanduser()
    with tempfile.TemporaryDirectory() as scratch, opened(folder, Path(scratch)) as source:
        if options.sample is not None:
            return _write_sheet(options, source)
        taken = _take(source, Path(options.marks).expanduser()) if options.marks is not None else None
        return _show(options, source, taken)


def _write_sheet(options: argparse.Namespace, source: Source) -> int:
    from magpie_hf.report.sheet import sheet

    file, rows = Path(options.to).expanduser(), sheet(source, options.sample, options.seed or 0)
    if not rows:
        raise BadInput(f"{source.folder} has no accepted row yet; wait for the first, or run the build again")
    if file.exists():
        raise BadInput(f"{file} is there already, and may hold marks; give another --to")
    try:
        aside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
        aside.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        aside.replace(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror}); choose another --to") from error
    if options.json:
        print(json.dumps({"file": str(file), "rows": len(rows)}))
    else:
        print(tr("{file}: {rows:,} rows to mark good or bad", file=file, rows=len(rows)))
    return OK


def _take(source: Source, file: Path) -> Taken:
    """Take the marks in the file, all of them or none."""
    from magpie_hf.report.sheet import labels_of
    from magpie_hf.review.marks import kept_marks, read_marks, take
    from magpie_hf.store.records import RUN

    lines = read_marks(file)
    kept = kept_marks(source.folder / RUN)
    labels = labels_of(source, {mark.id for _, mark in lines})
    for line, mark in lines:
        if mark.id not in labels and mark.id not in kept:
            raise BadInput(
                f"line {line} of {file}: {source.folder} has no row with the id {shortened(mark.id)}; give"
                " marks of this build"
            )
    return take(source.folder, [mark for _, mark in lines], labels)


def _show(options: argparse.Namespace, source: Source, taken: Taken | None) -> int:
    from magpie_hf.report.sheet import labels_of
    from magpie_hf.review.marks import bad_rows, kept_marks
    from magpie_hf.review.precision import precision
    from magpie_hf.store.records import RUN

    run = source.folder / RUN
    groups, bad = precision(kept_marks(run).values()), bad_rows(run)
    waiting = sum(labels.dropped is None for labels in labels_of(source, set(bad)).values())
    if options.json:
        said: dict[str, Any] = {
            "precision": {
                group: {name: _plain(share) for name, share in shares.items()}
                for group, shares in groups.items()
            },
            "bad": sum(share.read - share.right for share in groups["all"].values()),
            "to_replace": waiting,
        }
        if taken is not None:
            changes = [
                {"id": after.id, "from": _said(before), "to": _said(after)} for before, after in taken.changed
            ]
            said |= {"new": taken.new, "changed": changes}
        print(json.dumps(said, indent=2))
        return OK
    if taken is not None:
        print(tr("{new:,} rows marked, {changed:,} marks changed", new=taken.new, changed=len(taken.changed)))
        for before, after in taken.changed:
            was, now = (_said(mark, tr("unmarked")) for mark in (before, after))
            print(tr("{id}: was {before}, is {after}", id=after.id, before=was, after=now))
    _print(groups)
    if waiting:
        print(
            tr(
                "{count:,} rows marked bad are still in the dataset: run the build again with the same"
                " command, which drops them; where it samples problems, it makes others",
                count=waiting,
            )
        )
    return OK


def _print(groups: Mapping[str, Mapping[str, Share]]) -> None:
    from magpie_hf.text.terminal import console, print_table

    if not any(groups.values()):
        print(tr("No row is marked yet: mark rows in the report, or write a sheet with --sample"))
        return
    head = (tr("rows"), "", tr("read"), tr("right"), tr("share"), tr("95 % interval"))
    titles = {
        "all": tr("accepted"),
        "domain": tr("domain"),
        "majority_share": tr("majority share"),
        "pair": tr("pair"),
        "dropped": tr("dropped"),
    }
    table = [
        (
            titles[group],
            "" if group == "all" else name,
            f"{share.read:,}",
            f"{share.right:,}",
            f"{share.right / share.read:.1%}",
            "{:.1%} – {:.1%}".format(*share.interval),
        )
        for group, shares in groups.items()
        for name, share in shares.items()
    ]
    print_table(console(), head, table, right=(2, 3, 4, 5))


def _plain(share: Share) -> dict[str, Any]:
    return {
        "read": share.read,
        "right": share.right,
        "share": share.right / share.read,
        "interval": share.interval,
    }


def _said(mark: Mark, unmarked: str = "unmarked") -> str:
    """A mark in a few words."""
    said = (mark.mark, shortened(mark.note) if mark.note else None)
    return " ".join(part for part in said if part) or unmarked
