"""Texts and values as compressed blocks of a page, within a budget of bytes. Not here: which values."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

Text = str | list[str | int]  # whole; or its beginning, how many characters are left out, and its end
MOST = 100_000  # characters of any text: a browser takes a second to lay out a line of a million
LEAST = 200  # characters to which a text is cut at the worst
THINKING = 4  # how much less room a text of thinking gets than an answer: one reads the end of it, if anything


def cut(text: str | None, most: int) -> Text | None:
    """The text, without its middle where it is longer than so many characters."""
    if text is None or len(text) <= most:
        return text
    head = most * 2 // 3
    tail = most - head
    return [text[:head], len(text) - most, text[len(text) - tail :]]


def deflated(value: Any) -> bytes:
    """JSON, compressed. Lone surrogates pass, and a browser shows them as what they are: no character."""
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def block(name: str, data: bytes) -> str:
    """Data as an element that a browser neither shows nor runs; base64 cannot end it."""
    return f'<script type="application/octet-stream" id="{name}">{base64.b64encode(data).decode()}</script>\n'


class Room:
    """Divides bytes evenly over the blocks that are still to come: each cuts its long texts as far as it must."""

    def __init__(self, size: int, blocks: int) -> None:
        self.left, self.blocks = size, blocks
        self.density = 2.5  # characters of text a byte; that of the last block, from the first one on
        self.cut = self.texts = 0

    def pack(self, rows: list[dict[str, Any]], texts: list[tuple[dict[str, Any], str]]) -> bytes:
        """A block of rows. texts: where their long texts stand, as (dictionary, key); those of thinking have a key that says so."""
        share, whole = self.left / self.blocks, [place[key] for place, key in texts]
        parts = [THINKING if key == "thinking" else 1 for _, key in texts]
        while True:
            most = _fitting([len(text) for text in whole], parts, share * self.density)
            bounds = [_bound(most, part) for part in parts]
            for (place, key), text, bound in zip(texts, whole, bounds, strict=True):
                place[key] = cut(text, bound)
            data = deflated(rows)
            self.density = max(0.1, sum(map(min, map(len, whole), bounds)) / len(data))
            if len(data) <= share or most <= LEAST:
                break
        self.left, self.blocks = max(0, self.left - len(data)), self.blocks - 1
        self.texts += len(texts)
        self.cut += sum(isinstance(place[key], list) for place, key in texts)
        return data


def _bound(most: int, part: int) -> int:
    """The characters of a text that gets the part-th part of the room of others."""
    return min(MOST, max(LEAST, most // part))


def _fitting(lengths: list[int], parts: list[int], room: float) -> int:
    """The most characters of a text of the first part with which all texts fit together."""
    low, high = LEAST, MOST * THINKING
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(length, _bound(middle, part)) for length, part in zip(lengths, parts, strict=True)) <= room:
            low = middle
        else:
            high = middle - 1
    return low
