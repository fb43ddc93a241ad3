"""Numbers in few characters: counts, ranges, durations, sizes.

Not here: sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from magpie_hf.text.language import tr

UNKNOWN = "–"


def count(value: float) -> str:
    """A whole number with commas: 44,000."""
    return f"{value:,.0f}"


def short(number: int) -> str:
    """A whole number in at most four characters, up to a billion: 9999, 44k, 12M."""
    if number < 10_000:
        return str(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"


def scaled(value: float) -> str:
    """A number in about three digits, with k, M or G: 8.8k, 97.7M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}" if value < 100 * size else f"{value / size:,.0f}{letter}"
    return f"{value:.0f}"


def span(values: Iterable[float], word: Callable[[float], str]) -> str:
    """The least and the most with the likely one in brackets; one number where these are the same."""
    low, mid, high = map(word, values)
    return mid if low == high else f"{low}–{high} ({mid})"


def gigabytes(size: float) -> str:
    """Bytes as GB of 10^9, or as MB where they are few."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours: 4.4 h."""
    if seconds < 100:
        return tr("{seconds:.0f} s", seconds=seconds)
    if seconds < 6000:
        return tr("{minutes:.0f} min", minutes=seconds / 60)
    return tr("{hours} h", hours=f"{seconds / 3600:{'.1f' if seconds < 36e4 else ',.0f'}}")


def clock(seconds: float | None) -> str:
    """A duration as hours, minutes and seconds: 1:02:03."""
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def dollars(low: float, high: float) -> str:
    """A range of whole US dollars."""
    return f"{low:,.0f}" if f"{low:.0f}" == f"{high:.0f}" else f"{low:,.0f}–{high:,.0f}"
