"""A plan beside its outcome on the terminal, and why the two are far apart.

Not here: the numbers (outcome.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from magpie_hf.planning.outcome import Outcome
from magpie_hf.text.language import tr, translated
from magpie_hf.text.numbers import count, duration, scaled
from magpie_hf.text.terminal import console, print_table


def show_outcome(outcome: Outcome) -> None:
    """Print a plan's numbers beside the actual ones."""
    to = console()
    word = {"rows": count, "tokens": scaled, "seconds": duration}
    rows = [
        [
            _named(one.what),
            word[one.unit](one.planned),
            word[one.unit](one.actual),
            "" if one.ratio is None else f"{one.ratio:.2f}",
        ]
        for one in outcome.numbers
    ]
    print_table(to, [tr("what"), tr("planned"), tr("actual"), tr("ratio")], rows, (1, 2, 3))
    for why in _because(outcome):
        to.print(tr("tokens: {why}", why=why))
    if not outcome.finished:
        to.print(tr("the build has not finished"))


def _named(what: str) -> str:
    """What is compared, such as "samples algebra": its kind, and the domain or the stage."""
    kind, _, of = what.partition(" ")
    return f"{translated(kind)} {of}".rstrip()


def outcome_line(outcome: Outcome) -> str:
    """A plan's tokens and time beside the actual ones, in a line."""
    tokens = [one for one in outcome.numbers if one.unit == "tokens"]
    actual, planned = sum(one.actual for one in tokens), sum(one.planned for one in tokens)
    words = [tr("{actual} of {planned} tokens", actual=scaled(actual), planned=scaled(planned))]
    words += [
        tr(
            "{actual} of {planned} (ratio {ratio:.2f})",
            actual=duration(one.actual),
            planned=duration(one.planned),
            ratio=one.ratio,
        )
        for one in outcome.numbers
        if one.unit == "seconds" and one.ratio is not None and one.planned >= 1
    ]
    return tr("actual vs. planned: {words}", words=", ".join([*words, *_because(outcome)]))


def _because(outcome: Outcome) -> Iterator[str]:
    """Why the tokens are far from the planned ones: rows, or what one took, in the stage that is farthest."""
    far = outcome.farthest()
    if far is None:
        return
    if abs(math.log(far.length)) >= abs(math.log(far.rows)):
        yield tr(
            "because a row of {stage} took {ratio} times the planned tokens",
            stage=translated(far.stage),
            ratio=_times(far.length),
        )
    else:
        yield tr(
            "because {stage} had {ratio} times the planned rows",
            stage=translated(far.stage),
            ratio=_times(far.rows),
        )


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 0.1 else f"{ratio:.2g}"
