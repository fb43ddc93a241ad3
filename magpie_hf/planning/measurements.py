"""What a measurement found: its record in `run/measured.json`, and the estimates that follow from it.

Not here: measuring (measure.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.lengths import Length, fitted
from magpie_hf.planning.outline import ANSWERS, OPINIONS, Outline
from magpie_hf.planning.speeds import Speed
from magpie_hf.planning.workload import Estimates, Examples, Request, assumed, row_words, share_range
from magpie_hf.text.language import tr

FORMAT = 2  # goes up when the file means something else
MEASURED = "measured.json"


@dataclass(frozen=True)
class Timing:
    """Seconds of a build beside its engines.

    before: until the first engine is opened, with all that is loaded once; beside: in which the engine waits;
    after: from the last request on; cpu: a shard and a row of each stage without a model.
    """

    before: float
    beside: float
    after: float
    cpu: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Measured:
    """What a measurement found.

    date: YYYY-MM-DD; said: the options on which lengths and yields depend; speeds: of each model's engine, by
    its repository or folder; examples: requests of each stage that asks a model; yields: samples accepted and
    filtered, by domain; lengths: of the candidates of each problem; agreeing: complete candidates that the
    majority does not speak against, and all complete ones; pairs: pairs, and problems.
    """

    date: str
    said: Mapping[str, Any]
    speeds: Mapping[str, Speed]
    examples: Mapping[str, tuple[Request, ...]]
    yields: Mapping[str, tuple[int, int]]
    lengths: tuple[tuple[Length, ...], ...]
    agreeing: tuple[int, int]
    pairs: tuple[int, int]
    timing: Timing

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        examples = {
            stage: [[one.prompt, one.fresh, one.tokens] for one in example]
            for stage, example in self.examples.items()
        }
        return {**asdict(self), "format": FORMAT, "examples": examples}


def measured_of(record: Mapping[str, Any]) -> Measured:
    """The inverse of `Measured.to_dict`."""
    return Measured(
        record["date"],
        record["said"],
        {source: Speed(**speed) for source, speed in record["speeds"].items()},
        {stage: tuple(Request(*one) for one in example) for stage, example in record["examples"].items()},
        {domain: (counts[0], counts[1]) for domain, counts in record["yields"].items()},
        tuple(tuple(Length(*one) for one in of_problem) for of_problem in record["lengths"]),
        (record["agreeing"][0], record["agreeing"][1]),
        (record["pairs"][0], record["pairs"][1]),
        _timing_of(record["timing"]),
    )


def _timing_of(record: Mapping[str, Any]) -> Timing:
    return Timing(**{**record, "cpu": {label: (cost[0], cost[1]) for label, cost in record["cpu"].items()}})


def read_measured(folder: Path) -> Measured | None:
    """The measurement in a build's folder; None where there is none, or one of an older version.

    An older one knows no lengths, so it serves no plan. Raises BadInput for an invalid one.
    """
    record = read_json(folder / "run" / MEASURED, FORMAT)
    try:
        return None if record is None or record["format"] < FORMAT else measured_of(record)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadInput(
            f"{folder / 'run' / MEASURED} is not a valid measurement ({error!r}); remove it and measure again"
        ) from error


def read_json(file: Path, newest: int) -> dict[str, Any] | None:
    """A record of a plan or measurement; None where there is none.

    Raises Torn where it cannot be read, BadInput where its format is above `newest`.
    """
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        written = record["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Torn(
            f"{file} cannot be read ({type(error).__name__}); remove it, and it is made anew"
        ) from error
    if not isinstance(written, int) or written > newest:
        raise BadInput(
            f"{file} was written by a newer magpie_hf (format {written}, and this one reads {newest});"
            " update it"
        )
    return dict(record)


def measured_estimates(outline: Outline, measured: Measured) -> Estimates:
    """The estimates that a measurement gives, with the error of its few rows.

    Stages that the measurement did not have are assumed.
    """
    default = assumed(outline)
    answers = [one for of_problem in measured.lengths for one in of_problem]
    law = fitted(answers, default.laws[1])
    agreeing = share_range(*measured.agreeing) if measured.agreeing[1] else default.agreeing
    tokens = ([one.tokens for one in example] for example in measured.examples.values() if example)
    error = max(map(_relative_error, tokens), default=0.0)
    short, likely, long = (
        {**default.examples[1], **{key: _scaled(one, factor) for key, one in measured.examples.items()}}
        for factor in (1 - error, 1.0, 1 + error)
    )
    accepted, filtered = (sum(counts[at] for counts in measured.yields.values()) for at in (0, 1))
    counts = {domain.key: measured.yields.get(domain.key, (accepted, filtered)) for domain in outline.domains}
    words = tr(
        "lengths, yield and speed: measured on {date} ({filtered} samples, {answers} answers and candidates)",
        date=measured.date,
        filtered=filtered,
        answers=len(answers),
    )
    lengths = tr(
        "answers: {cut} of {answers} were truncated; a median of {median:,.0f} tokens is likely for all",
        cut=sum(one.truncated for one in answers),
        answers=len(answers),
        median=law.median,
    )
    return Estimates(
        (short, likely, long),
        {**default.each, **each_of(measured.examples, outline, measured.lengths, accepted)},
        {key: share_range(*one) for key, one in counts.items()},
        (law.times(1 - error), law, law.times(1 + error)),
        agreeing,
        share_range(*measured.pairs),
        (words, lengths, *row_words(outline, agreeing, measured.agreeing[1] > 0)),
    )


def each_of(
    examples: Examples, outline: Outline, lengths: Sequence[Sequence[Length]], accepted: int
) -> dict[str, float]:
    """Requests a row of each stage, by those that were made; accepted: samples, of which a band answers more.

    Not every sample is labelled, a truncated candidate is not scored, and a truncated answer that goes on is
    one request more for every doubling of its bound.
    """
    rows = {"tag": "instruct", "embed": "instruct", "score": "candidates"}
    found = {stage: float(outline.each(stage)) for stage in ("tag", "embed") if stage in examples}
    found |= {
        stage: len(examples[stage]) / len(examples[of]) * outline.each(stage)
        for stage, of in rows.items()
        if stage in examples and examples.get(of)
    }
    problems = max(1, accepted if outline.band else len(lengths))
    counted = (*OPINIONS, "score") if outline.band else OPINIONS
    opinions = {stage: len(examples[stage]) / problems for stage in counted if stage in examples}
    first = min(domain.candidate.max_tokens for domain in outline.domains)
    every = [one.tokens for of_problem in lengths for one in of_problem]
    went_on = sum(tokens > first * 2**at for tokens in every for at in range(outline.auto_extend))
    more = 1 + went_on / max(1, len(every))
    found = {stage: each * (more if stage == "score" else 1) for stage, each in found.items()}
    return {
        **found,
        **opinions,
        **{
            stage: len(examples[stage]) / problems if outline.band else outline.each(stage) * more
            for stage in ANSWERS
            if stage in examples
        },
    }


def _scaled(example: tuple[Request, ...], factor: float) -> tuple[Request, ...]:
    if factor == 1:
        return example
    return tuple(replace(one, tokens=max(1, round(one.tokens * factor))) for one in example)


def _relative_error(values: Sequence[int]) -> float:
    """The standard error of the mean, relative to it."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return min(0.5, math.sqrt(variance / len(values)) / mean) if mean else 0.0
