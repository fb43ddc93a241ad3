"""Numbers of a plan in a few letters: ranges, durations, sizes.

Not here: sentences.
"""

from __future__ import annotations

from collections.abc import Callable

from magpie_hf.planning.belief import Range


def span(values: Range, word: Callable[[float], str]) -> str:
    """The least and the most with the likely one in brackets; one word where they are the same."""
    low, mid, high = map(word, values)
    return mid if low == high else f"{low}–{high} ({mid})"


def count(value: float) -> str:
    return f"{value:,.0f}"


def million(value: float) -> str:
    """A count in three digits or so, with k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}" if value < 100 * size else f"{value / size:,.0f}{letter}"
    return f"{value:.0f}"


def gigabytes(size: float) -> str:
    """Bytes as GB of 10^9, MB where they are few."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """Seconds, minutes, or hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36e4 else f"{seconds / 3600:,.0f} h"


def dollars(low: float, high: float) -> str:
    return f"{low:,.0f}" if f"{low:.0f}" == f"{high:.0f}" else f"{low:,.0f}–{high:,.0f}"
