"""Text in the columns of a terminal, where a Japanese character takes two.

Not here: the texts.
"""

from __future__ import annotations

import re
import unicodedata

_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
_OPENERS, _CLOSERS = (
    r"(\[「『【（",
    r")\],.;:!?、。」』】），．：；！？ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ",
)
# A line may end at a space, or next to a wide character, but not after an opening or before a closing one.
_BREAKS = re.compile(
    rf"(\s+)|(?<=[{_WIDE}])(?![{_CLOSERS}\s])(?<![{_OPENERS}])"
    rf"|(?<![{_OPENERS}\s])(?=[{_WIDE}])(?![{_CLOSERS}])"
)
_LABEL = re.compile(r"\S+ {2,}|- ")


def width(text: str) -> int:
    """The number of columns that a text takes."""
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else not unicodedata.combining(letter)
        for letter in text
    )


def padded(text: str, columns: int) -> str:
    """The text, padded with spaces to so many columns."""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int, first: str = "", later: str = "") -> list[str]:
    """The text in lines of at most `columns` columns.

    first, later: the indents of the first line and of the others. A longer word gets a line of its own.
    """
    lines, line, free = [], first, True  # free: the line has only its indent
    for piece in filter(None, _BREAKS.split(text.strip())):
        if piece.isspace():
            line += "" if free else piece
        elif free or width(line + piece) <= columns:
            line, free = line + piece, False
        else:
            lines.append(line.rstrip())
            line = later + piece
    return [*lines, line.rstrip()]


def folded(text: str, columns: int) -> str:
    """Lines that end between words; what follows a label and spaces, or a dash, goes on below itself."""
    lines = list[str]()
    for line in text.split("\n"):
        first = line[: len(line) - len(line.lstrip())]
        label = _LABEL.match(line)
        lines += wrapped(line, columns, first, first if label is None else " " * width(label[0]))
    return "\n".join(lines)
