"""How much there is to do: rows by domain, requests and tokens by stage.

Not here: how long it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from magpie_hf.planning.belief import Belief, Range
from magpie_hf.planning.outline import SAMPLING, Outline


@dataclass(frozen=True)
class Rows:
    """What will come of a domain: samples, those that are dropped, problems, rows to train on and held-out
    ones, pairs, RL problems.
    """

    domain: str
    problems: int
    samples: Range
    train: Range
    test: Range
    pairs: Range
    rl: Range | None

    @property
    def dropped(self) -> Range:
        return Range(*(samples - self.problems for samples in self.samples))


@dataclass(frozen=True)
class Load:
    """What is asked of a model in one stage."""

    stage: str
    source: str
    requests: Range
    prompt: Range
    tokens: Range


def rows_of(outline: Outline, belief: Belief) -> list[Rows]:
    """The rows of each domain."""
    found = []
    for domain in outline.domains:
        share, count = belief.shares[domain.key], domain.count
        samples = Range(*(count / one for one in reversed(share)))
        answered = belief.complete.times(count)
        train, test = answered.times(1 - outline.test_share), answered.times(outline.test_share)
        pairs = belief.pairs.times(count)
        found.append(Rows(domain.key, count, samples, train, test, pairs, pairs if outline.rl else None))
    return found


def loads_of(outline: Outline, belief: Belief) -> list[Load]:
    """Requests and tokens of each stage that asks a model."""
    rows = rows_of(outline, belief)
    problems = sum(one.problems for one in rows)
    samples = Range(*(sum(one.samples[at] for one in rows) for at in range(3)))
    found = []
    for stage, source in outline.stages.items():
        asked = samples if stage in SAMPLING else Range(problems, problems, problems)
        requests = asked.times(belief.each[stage])
        means = [_means(belief, stage, at) for at in range(3)]
        prompt, tokens = (Range(*(requests[at] * means[at][of] for at in range(3))) for of in (0, 1))
        found.append(Load(stage, source, requests, prompt, tokens))
    return found


def generated(loads: list[Load], source: str | None = None) -> float:
    """Tokens that are likely generated, by one model or by all."""
    return sum(load.tokens.mid for load in loads if source in (None, load.source))


def _means(belief: Belief, stage: str, at: int) -> tuple[float, float]:
    example = belief.examples[at][stage]
    if not example:  # a measurement asked nothing of the kind
        return 0.0, 0.0
    return sum(one.prompt for one in example) / len(example), sum(one.tokens for one in example) / len(
        example
    )
