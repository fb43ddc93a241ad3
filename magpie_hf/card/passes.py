"""The pass rates of a domain's problems, in numbers, and what a band of them dropped.

Not here: measuring a rate.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from magpie_hf.selection.reasons import OUTSIDE, inside_share
from magpie_hf.text.language import tr


@dataclass(frozen=True)
class Passes:
    """Pass rates of one domain.

    never, between, always: problems with a rate of 0, of more, and of 1. mean: over these problems; None
    without any. outside: samples that the band dropped, by reason. inside: the share of the samples that were
    answered which is inside the band; None without a band.
    """

    never: int
    between: int
    always: int
    mean: float | None
    outside: dict[str, int]
    inside: float | None

    @staticmethod
    def of(rates: Sequence[float], problems: int, dropped: Mapping[str, int]) -> Passes:
        """rates: of the problems that have one. problems: accepted ones. dropped: samples by reason."""
        never, always = rates.count(0), rates.count(1)
        return Passes(
            never,
            len(rates) - never - always,
            always,
            statistics.fmean(rates) if rates else None,
            {reason: dropped[reason] for reason in OUTSIDE if reason in dropped},
            inside_share(problems, dropped),
        )

    @property
    def count(self) -> int:
        return self.never + self.between + self.always

    def line(self) -> str:
        """The pass rates in one line of text."""
        line = tr(
            "pass rates of {count:,} problems: {never:,} never, {between:,} at times, {always:,} always",
            count=self.count,
            never=self.never,
            between=self.between,
            always=self.always,
        )
        if self.mean is not None:
            line += ", " + tr("mean {mean:.2f}", mean=self.mean)
        if self.inside is not None:
            line += "; " + tr("{share:.0%} of the answered samples inside the band", share=self.inside)
            line += f" ({', '.join(f'{count:,} {why}' for why, count in self.outside.items())})"
        return line
