"""Why a domain gives up: its reasons with examples, and the way out.

Not here: when it does (selection.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from magpie_hf.selection.reasons import OUTSIDE


def complaint(what: str, key: str, recent: Sequence[tuple[str | None, str]]) -> str:
    """What is said of a domain that gives up. recent: why each of the last samples was dropped, and its text.

    Where a band of pass rates drops most of them, the way out is there.
    """
    counts = Counter(reason for reason, _ in recent if reason)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    examples = "; ".join(
        f"{reason}: {next(_short(text) for why, text in recent if why == reason)!r}"
        for reason, _ in counts.most_common(3)
    )
    outside = sum(counts[reason] for reason in OUTSIDE)
    way_out = "`magpie-hf sweep` for a better sampling, another model or tagger, or looser rules"
    if 2 * outside > counts.total():
        way_out = "a wider --pass-rate, another --pass-model, or --harden where most are too easy"
    return (
        f"{key}: {what} ({reasons}). Examples: {examples}. The samples are kept, and run/dropped holds all"
        f" that were dropped. Try {way_out}"
    )


def _short(text: str, length: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]}…"
