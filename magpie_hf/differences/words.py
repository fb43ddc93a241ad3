"""The difference of two texts word by word.

Not here: how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

# A word of letters and digits, a stretch of white space, or any other character alone; Japanese has no
# spaces, so each of its characters is a word.
_WORDS = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]+|\s+|.", re.DOTALL)
MOST = 4_000  # words of a text that are compared, as the time grows with their square
CONTEXT = 12  # words kept on either side of a change
Kind = Literal["same", "removed", "added"]
Piece = tuple[Kind, str]


def word_difference(before: str, after: str) -> list[Piece]:
    """Pieces of both texts in order; what is the same is cut to `CONTEXT` words around each change.

    Between what both begin and end with, `MOST` words are compared, and the rest is one change.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    middle = [words[head : len(words) - tail] for words in (old, new)]
    pieces: list[Piece] = [("same", "".join(old[:head]))]
    for kind, *spans in SequenceMatcher(
        None, *(words[:MOST] for words in middle), autojunk=False
    ).get_opcodes():
        texts = ["".join(middle[side][spans[2 * side] : spans[2 * side + 1]]) for side in (0, 1)]
        if kind == "equal":
            pieces.append(("same", texts[0]))
        else:
            pieces += [("removed", texts[0]), ("added", texts[1])]
    pieces += [("removed", "".join(middle[0][MOST:])), ("added", "".join(middle[1][MOST:]))]
    pieces.append(("same", "".join(old[len(old) - tail :])))
    return list(_shortened([piece for piece in pieces if piece[1]]))


def _common(old: list[str], new: list[str]) -> int:
    """How many words two texts have in common from their beginning on."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))


def _shortened(pieces: list[Piece]) -> Iterator[Piece]:
    for number, (kind, text) in enumerate(pieces):
        words = _WORDS.findall(text) if kind == "same" else []
        head = CONTEXT if number > 0 else 0
        tail = CONTEXT if number < len(pieces) - 1 else 0
        if len(words) > head + tail + 1:
            text = "".join([*words[:head], "…", *words[len(words) - tail :]])
        yield kind, text
