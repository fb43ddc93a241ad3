"""What the rows of a build that is under way cost, and what the whole build would by that.

Not here: a plan, which simulates full batches (plan.py), and measuring an engine (measure.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from magpie_hf.run.pace import pace, tokens_left
from magpie_hf.run.status import status
from magpie_hf.text.language import tr
from magpie_hf.text.numbers import duration, scaled
from magpie_hf.text.terminal import print_table

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class StageCost:
    """A stage over all domains: its rows without dropped ones, and on average the tokens and seconds of one.

    seconds: from when the stage began with a row to when it was done, while others were worked on, too.
    """

    stage: str
    rows: int
    tokens: float
    seconds: float


@dataclass(frozen=True)
class Whole:
    """A whole build by what its first rows cost.

    tokens, seconds: of all of it; seconds is None where no speed was recorded. tokens_per_second: of the rows
    so far, which were few at once.
    """

    problems: int
    samples: float
    tokens: float
    seconds: float | None
    tokens_per_second: float | None


@dataclass(frozen=True)
class Costs:
    """What the finished rows of a build cost.

    problems, samples: accepted, of so many that were filtered; reasons: why the others were dropped. whole:
    None where a domain has no problem yet, so that its share is not known.
    """

    problems: int
    samples: int
    reasons: dict[str, int]
    stages: tuple[StageCost, ...]
    whole: Whole | None

    def show(self, to: Console) -> None:
        """Print a table of the stages, the share that was kept, and the whole build."""
        head = [tr("stage"), tr("rows"), tr("tokens a row"), tr("seconds a row")]
        rows = [
            [one.stage, f"{one.rows:,}", f"{one.tokens:,.1f}" if one.tokens else "", f"{one.seconds:.2f}"]
            for one in self.stages
        ]
        print_table(to, head, rows, range(1, len(head)))
        reasons = "".join(f", {count:,} {reason}" for reason, count in self.reasons.items())
        share = self.problems / self.samples if self.samples else 0
        to.print(
            tr(
                "kept: {problems:,} of {samples:,} samples ({share:.0%})",
                problems=self.problems,
                samples=self.samples,
                share=share,
            )
            + reasons
        )
        to.print(self._whole())

    def _whole(self) -> str:
        if (whole := self.whole) is None:
            return tr("the whole build: not known, as a domain has no problem yet; give a larger -n")
        values = {
            "problems": whole.problems,
            "samples": scaled(whole.samples),
            "tokens": scaled(whole.tokens),
        }
        if whole.seconds is None or whole.tokens_per_second is None:
            return tr(
                "the whole build: {problems:,} problems of about {samples} samples, {tokens} tokens", **values
            )
        return tr(
            "the whole build: {problems:,} problems of about {samples} samples, {tokens} tokens; at most"
            " {duration} at the {speed} tokens/s of these few rows, as full batches are faster"
            " (magpie-hf plan --measure)",
            **values,
            duration=duration(whole.seconds),
            speed=scaled(whole.tokens_per_second),
        )


def costs_of(folder: Path) -> Costs:
    """The costs of the finished rows in a build's folder. Raises BadInput as `status` does."""
    state = status(folder)
    rows, tokens, seconds = Counter[str](), Counter[str](), Counter[str]()
    for stage in state.stages:
        rows[stage.label] += stage.done
        tokens[stage.label] += stage.tokens
        seconds[stage.label] += stage.seconds  # type: ignore[assignment]
    stages = tuple(
        StageCost(label, count, tokens[label] / count, round(seconds[label] / count, 3))
        for label, count in rows.items()
        if count
    )
    accepted, filtered = (
        sum(getattr(one, name) for one in state.selection) for name in ("accepted", "filtered")
    )
    reasons = sum((Counter(one.reasons) for one in state.selection), Counter[str]())
    left, speed = tokens_left(state), pace(folder, state)
    whole = None
    if left is not None:
        needed = sum(
            max(one.filtered, one.target * one.filtered / max(1, one.accepted)) for one in state.selection
        )
        rate = speed.average_tokens_per_second if speed else None
        total = tokens.total() + left
        whole = Whole(
            sum(one.target for one in state.selection),
            needed,
            total,
            total / rate if rate else None,
            rate or None,
        )
    return Costs(accepted, filtered, dict(reasons.most_common()), stages, whole)
