"""Texts and values as compressed blocks of a page, within a budget of bytes.

Not here: which values.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from typing import Any

import numpy as np

Text = str | list[str | int]  # whole; or its beginning, the number of characters left out, and its end
MOST = 100_000  # characters of any text: a browser takes a second to lay out a line of a million
LEAST = 200  # characters that are kept of any text
THINKING = 4  # thinking gets this part of an answer's room, since readers look at it least


def cut(text: str | None, most: int) -> Text | None:
    """The text, without its middle if it is longer than `most` characters."""
    if text is None or len(text) <= most:
        return text
    head = most * 2 // 3
    tail = most - head
    return [text[:head], len(text) - most, text[len(text) - tail :]]


def deflated(value: Any) -> bytes:
    """JSON, compressed. Lone surrogates pass, and a browser shows them as replacement characters."""
    return zlib.compress(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    )


def block(name: str, data: bytes) -> str:
    """Data as an element that a browser neither shows nor runs; base64 cannot close it."""
    kind, text = "application/octet-stream", base64.b64encode(data).decode()
    return f'<script type="{kind}" id="{html.escape(name)}">{text}</script>\n'


class Room:
    """Divides a budget of bytes over blocks of rows; what a block leaves goes to the following ones.

    cut, texts: how many texts were cut, and how many there were.
    """

    def __init__(self, size: int, weight: float) -> None:
        """size: the bytes of the budget; weight: of all rows together."""
        self.left, self.weight = size, weight
        self.density = 2.5  # characters per compressed byte: a guess, then that of the last block
        self.cut = self.texts = 0

    def pack(
        self, rows: list[dict[str, Any]], texts: list[tuple[dict[str, Any], str]], weight: float
    ) -> bytes:
        """A block of rows, compressed, with its long texts cut to fit.

        texts: the places of the long texts, as (dictionary, key). weight: of these rows.
        """
        share, whole = self.left * weight / self.weight, [place[key] for place, key in texts]
        lengths = np.array([len(text) for text in whole])
        parts = np.array([THINKING if key == "thinking" else 1 for _, key in texts])
        while True:
            most = _fitting(lengths, parts, share * self.density)
            bounds = _bounds(most, parts)
            for (place, key), text, bound in zip(texts, whole, bounds.tolist(), strict=True):
                place[key] = cut(text, bound)
            data = deflated(rows)
            self.density = max(0.1, int(np.minimum(lengths, bounds).sum()) / len(data))
            if len(data) <= share or most <= LEAST:
                break
        self.left, self.weight = max(0, self.left - len(data)), max(weight, self.weight - weight)
        self.texts += len(texts)
        self.cut += int((lengths > bounds).sum())
        return data


def _bounds(most: int, parts: np.ndarray) -> np.ndarray:
    """The most characters of each text; a text with part n gets the n-th part of the others' room."""
    return np.clip(most // parts, LEAST, MOST)


def _fitting(lengths: np.ndarray, parts: np.ndarray, room: float) -> int:
    """The largest bound of the texts with part 1 for which all texts fit together."""
    low, high = LEAST, MOST * THINKING
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(lengths, _bounds(middle, parts)).sum() <= room:
            low = middle
        else:
            high = middle - 1
    return low
