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

    Texts beyond `MOST` words are compared that far, and what follows is one change if it differs.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    codes = SequenceMatcher(None, old[:MOST], new[:MOST], autojunk=False).get_opcodes()
    for kind, old_from, old_to, new_from, new_to in codes:
        if kind == "equal":
            pieces.append(("same", "".join(old[old_from:old_to])))
            continue
        pieces += [("removed", "".join(old[old_from:old_to]))] if old_to > old_from else []
        pieces += [("added", "".join(new[new_from:new_to]))] if new_to > new_from else []
    rest, new_rest = "".join(old[MOST:]), "".join(new[MOST:])
    if rest != new_rest:
        pieces += [("removed", rest)] if rest else []
        pieces += [("added", new_rest)] if new_rest else []
    return list(_shortened(pieces))


def _shortened(pieces: list[Piece]) -> Iterator[Piece]:
    for number, (kind, text) in enumerate(pieces):
        words = _WORDS.findall(text) if kind == "same" else []
        head = CONTEXT if number > 0 else 0
        tail = CONTEXT if number < len(pieces) - 1 else 0
        if len(words) > head + tail + 1:
            text = "".join([*words[:head], "…", *words[len(words) - tail :]])
        yield kind, text
