"""What a plan assumes: lengths, yields and shares, assumed, or measured by a measurement.

Not here: speeds, and what follows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.planning.engine import Request
from magpie_hf.planning.measured import Measured
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.simulation import share_of
from magpie_hf.text.language import tr

Examples = Mapping[str, tuple[Request, ...]]

PROBLEM = (
    140,
    0.6,
)  # tokens of a problem: median, and the standard deviation of the logarithm; of all lengths here
SHORT_ANSWER = (800, 0.6)
LONG_ANSWER = (
    5000,
    0.6,
)  # of a model that thinks first: about 6,000 tokens on competition problems in the mean
SPREAD = (0.65, 1.0, 1.35)  # times the assumed lengths
YIELD = (0.30, 0.50, 0.75)
PAIRS = (0.30, 0.55, 0.80)  # problems that come to a pair
TOLD = {
    "instruct": 110,
    "tag": 1500,
    "solutions": 70,
    "score": 140,
}  # tokens of a prompt beside problem and answer
TAGS = 40  # tokens of the tagger's answer
FINAL = 600  # tokens of a thinking model's answer without its thinking
BLOCK = 16  # tokens of a prompt that the cache of prompts keeps together
TAIL = 96  # tokens that the tagger is told after the problem
QUANTILES = 48


class Range(NamedTuple):
    """The least, the likely and the most."""

    low: float
    mid: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.mid * factor, self.high * factor)


@dataclass(frozen=True)
class Belief:
    """What is assumed.

    examples: requests of each stage at short, likely and long lengths; each: how many of them a row has in
    the mean; shares: the yield of each domain; complete: answers that end before their bound; pairs: problems
    that come to a pair; words: where all that comes from, a sentence each.
    """

    examples: tuple[Examples, Examples, Examples]
    each: Mapping[str, float]
    shares: Mapping[str, Range]
    complete: Range
    pairs: Range
    words: tuple[str, ...]


def assumed(outline: Outline) -> Belief:
    """What is assumed where nothing was measured."""
    thinks = _thinks(outline.sources["solver"])
    median, spread = LONG_ANSWER if thinks else SHORT_ANSWER
    bound = max(max(domain.response.max_tokens, domain.candidate.max_tokens) for domain in outline.domains)
    complete = [
        NormalDist(math.log(median * factor), spread).cdf(math.log(bound)) for factor in reversed(SPREAD)
    ]
    kind = tr("a model that thinks first") if thinks else tr("a model that answers at once")
    answers = _lengths(median, spread, bound)
    words = (
        tr(
            "answers and candidates: {mean:,.0f} tokens in the mean, bounded by {bound:,}: assumed of {kind}",
            mean=sum(answers) / len(answers),
            bound=bound,
            kind=kind,
        ),
        tr("problems: a median of {median} tokens: assumed", median=PROBLEM[0]),
        tr(
            "yield: {low:.0%} to {high:.0%} of the samples are accepted: assumed",
            low=YIELD[0],
            high=YIELD[-1],
        ),
        tr(
            "lengths may be {low:g} to {high:g} times these; a measurement (--measure) measures all of it",
            low=SPREAD[0],
            high=SPREAD[-1],
        ),
    )
    short, likely, long = (_assumed_samples(outline, factor, thinks) for factor in SPREAD)
    shares = {domain.key: Range(*YIELD) for domain in outline.domains}
    each = {stage: float(outline.each(stage)) for stage in outline.stages}
    each["score"] *= complete[1]
    return Belief(
        (short, likely, long),
        each,
        shares,
        Range(*complete),
        Range(*(share * max(complete) for share in PAIRS)),
        words,
    )


def believed(outline: Outline, measured: Measured) -> Belief:
    """What a measurement says, as far as its few rows tell it. Stages that the measurement did not have are
    assumed.
    """
    default = assumed(outline)
    error = max(
        (
            _relative_error([one.tokens for one in example])
            for example in measured.examples.values()
            if example
        ),
        default=0.0,
    )
    examples = tuple(
        {
            **default.examples[1],
            **{stage: _scaled(example, factor) for stage, example in measured.examples.items()},
        }
        for factor in (1 - error, 1.0, 1 + error)
    )
    accepted, filtered = (sum(counts[at] for counts in measured.yields.values()) for at in (0, 1))
    shares = {
        domain.key: _share(*measured.yields.get(domain.key, (accepted, filtered)))
        for domain in outline.domains
    }
    words = (
        tr(
            "lengths, yield and speed: measured by the measurement of {date} ({filtered} samples, {answers}"
            " answers and candidates)",
            date=measured.date,
            filtered=filtered,
            answers=sum(len(measured.examples.get(stage, ())) for stage in ("solutions", "candidates")),
        ),
    )
    each = {**default.each, **each_of(measured.examples, outline)}
    return Belief(
        (examples[0], examples[1], examples[2]),
        each,
        shares,
        _share(*measured.complete),
        _share(*measured.pairs),
        words,
    )


def each_of(examples: Examples, outline: Outline) -> dict[str, float]:
    """Requests a row of each stage, by those that were made: not every sample is labelled, and a candidate
    that was cut is not scored.
    """
    rows = {"tag": "instruct", "embed": "instruct", "score": "candidates"}
    found = {
        stage: len(examples[stage]) / len(examples[of])
        for stage, of in rows.items()
        if stage in examples and examples.get(of)
    }
    return {stage: share * outline.each(stage) for stage, share in found.items()}


def _thinks(source: str) -> bool:
    return any(model.reasoning for model in KNOWN_MODELS.values() if model.repository == source)


def _lengths(median: float, spread: float, bound: int) -> list[int]:
    """Quantiles of a log-normal distribution, cut at the bound."""
    normal = NormalDist(math.log(median), spread)
    return [
        min(bound, max(1, round(math.exp(normal.inv_cdf((at + 0.5) / QUANTILES))))) for at in range(QUANTILES)
    ]


def _assumed_samples(outline: Outline, factor: float, thinks: bool) -> Examples:
    first = outline.domains[0]
    problems = _lengths(PROBLEM[0] * factor, PROBLEM[1], first.instruction.max_tokens)
    median, spread = LONG_ANSWER if thinks else SHORT_ANSWER
    answers, candidates = (
        _lengths(median * factor, spread, one.max_tokens) for one in (first.response, first.candidate)
    )
    mean = round(sum(problems) / len(problems))
    read = [length if outline.whole or not thinks else FINAL for length in candidates]
    return {
        "instruct": tuple(Request(TOLD["instruct"], 1, length) for length in problems),
        "tag": tuple(Request(TOLD["tag"] + length, length + TAIL, TAGS) for length in problems),
        "embed": tuple(Request(length, length, 1) for length in problems),
        "solutions": tuple(
            Request(TOLD["solutions"] + mean, TOLD["solutions"] + mean, length) for length in answers
        ),
        "candidates": tuple(Request(TOLD["solutions"] + mean, BLOCK, length) for length in candidates),
        "score": tuple(Request(TOLD["score"] + mean + length, length + BLOCK, 1) for length in read),
    }


def _scaled(example: tuple[Request, ...], factor: float) -> tuple[Request, ...]:
    return (
        example
        if factor == 1
        else tuple(replace(one, tokens=max(1, round(one.tokens * factor))) for one in example)
    )


def _relative_error(values: list[int]) -> float:
    """The standard error of the mean, relative to it."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return min(0.5, math.sqrt(variance / len(values)) / mean) if mean else 0.0


def _share(good: int, of: int) -> Range:
    """A share with about one standard error of it either way (Agresti and Coull)."""
    share = share_of(good, of)
    error = math.sqrt(share * (1 - share) / (of + 1))
    return Range(max(0.01, share - error), share, min(1.0, share + error))
