"""What a measurement measured, as it is kept in `run/measured.json`.

Not here: measuring, and what a plan makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.engine import Request, Speed

FORMAT = 1  # goes up when the file means something else
MEASURED = "measured.json"


@dataclass(frozen=True)
class Timing:
    """Seconds of a build beside its engines: `before` the first is opened, with all that is loaded once,
    `beside` for what the engine waits for now and then, and `after` the last request. cpu: of each stage that
    asks no model, seconds a shard and a row.
    """

    before: float
    beside: float
    after: float
    cpu: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Measured:
    """What a measurement found.

    date: when, as YYYY-MM-DD; said: what the recipe was, by the options that lengths and yields hang on;
    speeds: of each model's engine, by its repository or folder; examples: requests of each stage that asks a
    model; yields: of each domain, samples accepted and filtered; complete: answers that are complete, and
    all; pairs: the pairs that came, and the problems.
    """

    date: str
    said: Mapping[str, Any]
    speeds: Mapping[str, Speed]
    examples: Mapping[str, tuple[Request, ...]]
    yields: Mapping[str, tuple[int, int]]
    complete: tuple[int, int]
    pairs: tuple[int, int]
    timing: Timing

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        examples = {
            stage: [[one.prompt, one.fresh, one.tokens] for one in example]
            for stage, example in self.examples.items()
        }
        return {**asdict(self), "format": FORMAT, "examples": examples}


def measured_of(facts: Mapping[str, Any]) -> Measured:
    """What `facts` were made of."""
    return Measured(
        facts["date"],
        facts["said"],
        {source: Speed(**speed) for source, speed in facts["speeds"].items()},
        {stage: tuple(Request(*one) for one in example) for stage, example in facts["examples"].items()},
        {domain: (counts[0], counts[1]) for domain, counts in facts["yields"].items()},
        (facts["complete"][0], facts["complete"][1]),
        (facts["pairs"][0], facts["pairs"][1]),
        Timing(
            **{
                **facts["timing"],
                "cpu": {label: (cost[0], cost[1]) for label, cost in facts["timing"]["cpu"].items()},
            }
        ),
    )


def read_measured(folder: Path) -> Measured | None:
    """What a measurement measured in this build's folder; None where there was none. Raises BadInput for what
    cannot be read.
    """
    facts = read_json(folder / "run" / MEASURED, FORMAT)
    try:
        return None if facts is None else measured_of(facts)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadInput(
            f"{folder / 'run' / MEASURED} is no measurement's record ({error!r}); remove it and measurement"
            " again"
        ) from error


def read_json(file: Path, newest: int) -> dict[str, Any] | None:
    """A record of a plan's; None where there is none. Raises Torn where it cannot be read, BadInput where it
    is of a newer version.
    """
    if not file.is_file():
        return None
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        written = facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Torn(
            f"{file} cannot be read ({type(error).__name__}); remove it, and it is made anew"
        ) from error
    if not isinstance(written, int) or written > newest:
        raise BadInput(
            f"{file} was written by a newer magpie_hf (format {written}, and this one reads {newest});"
            " update it"
        )
    return dict(facts)
