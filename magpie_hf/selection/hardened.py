"""What came of the harder problems of a domain, in numbers: asked for, made, accepted, dropped, and paid.

Not here: making them, and how a card shows the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.store.rows import Rows


@dataclass(frozen=True)
class Hardened:
    """The harder problems of a domain, of all rounds together.

    asked: calls. made: problems that took another's place. reasons: why there was none, by count. accepted,
    dropped: what became of the rows with such a problem, dropped by reason. tokens: that models wrote in the
    rounds, for the calls, the labels and the answers.
    """

    asked: int
    made: int
    reasons: dict[str, int]
    accepted: int
    dropped: dict[str, int]
    tokens: int

    @property
    def tokens_each(self) -> float | None:
        """Tokens for each accepted one; None where none is."""
        return self.tokens / self.accepted if self.accepted else None

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        """The numbers in one line of text."""
        parts = [
            tr("{count:,} asked to be harder", count=self.asked),
            tr("{count:,} made", count=self.made) + _counts(self.reasons),
            tr("{count:,} accepted", count=self.accepted) + _counts(self.dropped),
        ]
        line = " -> ".join(parts)
        if self.tokens_each is None:
            return f"{line}; " + tr("{tokens:,} tokens", tokens=self.tokens)
        each = {"tokens": self.tokens, "each": self.tokens_each}
        return f"{line}; " + tr("{tokens:,} tokens, {each:,.0f} for each accepted", **each)


def hardened(parts: Sequence[Rows], tokens: int) -> Hardened | None:
    """The numbers of a domain's filtered rows; None where no problem is made harder.

    tokens: as in `Hardened`, of the same rows.
    """
    if not parts or "round" not in parts[0].made:
        return None
    made, accepted, reasons, dropped = 0, 0, Counter[str](), Counter[str]()
    for part in parts:
        for batch in part.batches(["round", "harder_reason", "accepted_as", "dropped"]):
            for number, reason, accepted_as, gone in zip(*batch.values(), strict=True):
                made += number or 0
                reasons.update([reason] if reason else [])
                if number:
                    accepted += accepted_as is not None
                    dropped.update([gone] if gone else [])
    asked = made + reasons.total()  # a row of the second round was made in the first one, too
    return Hardened(asked, made, _sorted(reasons), accepted, _sorted(dropped), tokens)


def hardened_of(plain: Mapping[str, Any]) -> Hardened | None:
    """What `Hardened.plain` gave; None for none."""
    return Hardened(**plain) if plain else None


def without_round(label: str) -> str:
    """The label of a stage without the round of harder problems to which it belongs, if it does."""
    before, mark, number = label.rpartition("_round")
    return before if before and mark and number.isdecimal() else label


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _counts(counts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {reason}' for reason, count in counts.items())})" if counts else ""
