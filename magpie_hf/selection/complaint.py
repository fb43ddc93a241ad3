"""Why a domain gives up: its reasons with examples, and the way out.

Not here: when it does (selection.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from magpie_hf.selection.reasons import OUTSIDE

# The way out where one reason drops more than half of the samples
_WAYS = {
    "length": "a larger --instruction-max-tokens",
    "not_tagged": "another --tagger: this one gives no valid labels",
    "off_topic": "--off-topic keep, or a better --tagger",
    "quality": "a lower --min-quality, or a better model or --tagger",
    "difficulty": "a lower --min-difficulty, or another model",
    "unsolvable": "--unsolvable keep, or a better model or --tagger",
    "near_duplicate": "a higher --instruction-temperature, or --topics: the model repeats itself",
} | dict.fromkeys(OUTSIDE, "a wider --pass-rate, another --pass-model, or --harden where most are too easy")
_ANY = "`magpie-hf sweep` for a better sampling, another model or tagger, or looser rules"


def complaint(what: str, key: str, recent: Sequence[tuple[str | None, str]]) -> str:
    """What is said of a domain that gives up.

    recent: why each of the last samples was dropped (None where it was not), and its text.
    """
    counts = Counter(reason for reason, _ in recent if reason)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    examples = "; ".join(
        f"{reason}: {next(_short(text) for why, text in recent if why == reason)!r}"
        for reason, _ in counts.most_common(3)
    )
    ways: Counter[str] = Counter()
    for reason, count in counts.items():
        ways[_WAYS.get(reason, _ANY)] += count
    way_out = next((way for way, count in ways.items() if 2 * count > counts.total()), _ANY)
    return (
        f"{key}: {what} ({reasons}). Examples: {examples}. The samples are kept, and run/dropped holds all"
        f" that were dropped. Try {way_out}"
    )


def _short(text: str, length: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]}…"
