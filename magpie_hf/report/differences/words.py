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
MANY = 500  # words from which those that are more than 1 % of a text are not looked for
CONTEXT = 12  # words kept on either side of a change
CHANGED = 200  # words kept of a change
Kind = Literal["same", "removed", "added"]
Piece = tuple[Kind, str]


def word_difference(before: str, after: str) -> list[Piece]:
    """Pieces of both texts in order; what is the same is cut to `CONTEXT` words around each change, and
    a change to `CHANGED` words.

    Between what both begin and end with, `MOST` words are compared, and the rest is one change.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    head = _common(old, new)
    tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    old_middle, new_middle = (words[head : len(words) - tail] for words in (old, new))
    pieces: list[Piece] = [("same", "".join(old[:head]))]
    # Among words that stand everywhere each is tried with each, again and again
    many = max(len(old_middle), len(new_middle)) > MANY
    matcher = SequenceMatcher(None, old_middle[:MOST], new_middle[:MOST], autojunk=many)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        was, now = "".join(old_middle[old_from:old_to]), "".join(new_middle[new_from:new_to])
        pieces += [("same", was)] if kind == "equal" else [("removed", was), ("added", now)]
    pieces += [("removed", "".join(old_middle[MOST:])), ("added", "".join(new_middle[MOST:]))]
    pieces.append(("same", "".join(old[len(old) - tail :])))
    return list(_shortened([piece for piece in pieces if piece[1]]))


def _common(old: list[str], new: list[str]) -> int:
    """How many words two texts have in common from their beginning on."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))


def _shortened(pieces: list[Piece]) -> Iterator[Piece]:
    for number, (kind, text) in enumerate(pieces):
        words = _WORDS.findall(text)
        if kind == "same":
            head = CONTEXT if number > 0 else 0
            tail = CONTEXT if number < len(pieces) - 1 else 0
        else:
            head = tail = CHANGED // 2
        if len(words) > head + tail + 1:
            text = "".join([*words[:head], "…", *words[len(words) - tail :]])
        yield kind, text
