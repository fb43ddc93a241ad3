"""What each stage asks of a model in all: requests and tokens.

Not here: how many requests a row has, and how long they are (workload.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from magpie_hf.planning.outline import SAMPLING, Outline
from magpie_hf.planning.workload import Estimates, Range, Request, rows_of


@dataclass(frozen=True)
class Load:
    """What one stage asks of a model: requests, and tokens of their prompts, of those the prefix cache lacks,
    and of completions.
    """

    stage: str
    source: str
    requests: Range
    prompt: Range
    fresh: Range
    tokens: Range


def loads_of(outline: Outline, estimates: Estimates) -> list[Load]:
    """Requests and tokens of each stage that asks a model."""
    rows = rows_of(outline, estimates)
    problems = sum(one.problems for one in rows)
    samples = Range(*(sum(one.samples[at] for one in rows) for at in range(3)))
    found = []
    for stage, source in outline.stages.items():
        made = samples if stage in SAMPLING else Range(problems, problems, problems)
        requests = made.times(estimates.each[stage])
        found.append(load_of(stage, source, requests, estimates))
    return found


def context_of(loads: Sequence[Load], at: int) -> float:
    """Tokens that a sequence of these has on average over its life, at least one; long ones live long."""
    lives = sum(load.tokens[at] for load in loads)
    held = sum(
        load.tokens[at] * (load.prompt[at] + load.tokens[at] / 2) / load.requests[at]
        for load in loads
        if load.requests[at]
    )
    return max(1.0, held / lives) if lives else 1.0


def load_of(stage: str, source: str, requests: Range, estimates: Estimates) -> Load:
    """So many requests of a stage, and their tokens."""
    means = [means_of(example[stage]) for example in estimates.examples]
    tokens = (Range(*(requests[at] * means[at][of] for at in range(3))) for of in range(3))
    return Load(stage, source, requests, *tokens)


def means_of(example: Sequence[Request]) -> tuple[float, float, float]:
    """Mean tokens of prompts, of those the prefix cache lacks, and of completions.

    All are 0 where a measurement made no such request.
    """
    count = len(example) or 1
    prompt, fresh, tokens = (
        sum(getattr(one, name) for one in example) / count for name in ("prompt", "fresh", "tokens")
    )
    return prompt, fresh, tokens
