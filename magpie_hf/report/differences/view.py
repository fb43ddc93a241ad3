"""A difference on the terminal.

Not here: finding it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from magpie_hf.report.differences.difference import Difference
from magpie_hf.report.differences.rows import Example, SplitDifference
from magpie_hf.report.differences.values import Changed
from magpie_hf.report.differences.words import Kind, word_difference
from magpie_hf.text.language import tr
from magpie_hf.text.terminal import harmless, print_table

if TYPE_CHECKING:
    from rich.console import Console

INDENT = "  "
LONG = 160  # characters of a value in one line
_STYLES: dict[Kind, str] = {"same": "", "removed": "red", "added": "green"}
_MARKS: dict[Kind, tuple[str, str]] = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}


def show(difference: Difference, to: Console) -> None:
    """Print a difference: recipe, rows with examples, numbers; words that changed as [-old-]{+new+}."""
    to.print(f"--- {difference.before}", style="bold")
    to.print(f"+++ {difference.after}", style="bold")
    _values(tr("Recipe"), difference.recipe, to)
    _rows(difference, to)
    _values(tr("Numbers"), difference.numbers, to)
    if difference.is_none:
        to.print(tr("nothing differs"))


def _values(title: str, changed: Changed, to: Console) -> None:
    if changed:
        to.print()
        to.print(title, style="bold")
        rows = [[name, _line(_value(old)), _line(_value(new))] for name, (old, new) in changed.items()]
        print_table(to, [tr("what"), tr("before"), tr("after")], rows)


def _rows(difference: Difference, to: Console) -> None:
    differing = [one for one in difference.splits if not one.is_none]
    if differing:
        to.print()
        to.print(tr("Rows"), style="bold")
        head = [tr("configuration"), tr("split"), tr("before"), tr("after")]
        head += [tr("added"), tr("removed"), tr("changed"), tr("columns")]
        print_table(to, head, [_split(one) for one in differing], range(2, 7))
    if same := len(difference.splits) - len(differing):
        to.print()
        to.print(tr("{count:,} splits have the same rows on both sides", count=same))
    for one in differing:
        for example in one.examples:
            _example(one, example, to)


def _split(one: SplitDifference) -> list[str]:
    columns = [f"{name} {count:,}" for name, count in one.columns.items()]
    columns += [tr("{name} is gone", name=name) for name in one.gone]
    columns += [tr("{name} is new", name=name) for name in one.new]
    columns += [
        tr("{name} is {new}, was {old}", name=name, old=old, new=new)
        for name, (old, new) in one.types.items()
    ]
    sizes = ["–" if size is None else f"{size:,}" for size in (one.before, one.after)]
    counts = [f"{count:,}" for count in (one.added, one.removed, one.changed)]
    return [one.config, one.split, *sizes, *counts, ", ".join(columns)]


def _example(one: SplitDifference, example: Example, to: Console) -> None:
    from rich.text import Text

    words = {"changed": tr("changed"), "added": tr("added"), "removed": tr("removed")}
    kind = words[example.kind]
    to.print()
    to.print(f"=== {harmless(str(example.id))}  {one.config} {one.split}  {kind}", style="bold")
    if example.kind != "changed":
        mark, style = ("+", "green") if example.kind == "added" else ("-", "red")
        to.print(f"{mark} {_line(example.problem)}", style=style)
        return
    for column, (old, new) in example.columns.items():
        to.print(column, style="cyan")
        if isinstance(old, str) and isinstance(new, str):
            text = Text()
            for what, piece in word_difference(old, new):
                opening, closing = _MARKS[what]
                text.append(f"{opening}{harmless(piece)}{closing}", _STYLES[what])
            for line in text.split("\n"):
                to.print(Text(INDENT) + line)
            continue
        for mark, value, style in (("-", old, "red"), ("+", new, "green")):
            to.print(f"{INDENT}{mark} {_line(_value(value))}", style=style)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _line(text: str) -> str:
    line = " ".join(harmless(text).split())
    return line if len(line) <= LONG else f"{line[:LONG]}…"
