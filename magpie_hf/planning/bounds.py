"""What larger bounds of the answers are likely to give.

Not here: the lengths on which that depends (workload.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from magpie_hf.planning.loads import loads_of
from magpie_hf.planning.outline import ANSWERS, Outline
from magpie_hf.planning.workload import Estimates, Request, rows_a_problem, truncated_of

FACTORS = (1, 2, 4)  # of the answers' bound, which a plan compares


@dataclass(frozen=True)
class Bound:
    """What a bound of the answers is likely to give.

    tokens: the bound, or what the context leaves where that is less; final: with the doublings of truncated
    answers; truncated: share of the answers that are longer than that; generated: tokens of the whole build;
    rows: SFT rows; hours: None where not known.
    """

    tokens: int
    final: int
    truncated: float
    generated: float
    rows: float
    hours: float | None


def bounds_of(
    outline: Outline, estimates: Estimates, hours: Callable[[Outline, Estimates], float | None]
) -> list[Bound]:
    """The bound of the build and its multiples by FACTORS, as far as the context lets these give more."""
    tokens = sum(load.tokens.mid for load in loads_of(outline, estimates))
    found: list[Bound] = []
    for factor in FACTORS:
        larger = outline.larger(factor)
        final = max(larger.bound(domain) for domain in larger.domains)
        if found and final == found[-1].final:
            break
        longer = estimates if factor == 1 else _longer(outline, larger, estimates)
        law = estimates.laws[1]
        rows = (
            domain.count * rows_a_problem(larger, domain, law, estimates.agreeing.mid)
            for domain in larger.domains
        )
        found.append(
            Bound(
                min(final, max(domain.candidate.max_tokens for domain in larger.domains)),
                final,
                truncated_of(larger, law),
                tokens + _more(outline, larger, estimates),
                sum(rows),
                hours(larger, longer),
            )
        )
    return found


def _more(outline: Outline, larger: Outline, estimates: Estimates) -> float:
    """Tokens that the answers take under larger bounds beyond those that they take anyway."""
    law = estimates.laws[1]
    return sum(
        domain.count
        * _each(outline, estimates, stage)
        * (law.mean(most) - law.mean(outline.bound(domain, stage)))
        for stage in ANSWERS
        if stage in outline.stages
        for domain, more in zip(outline.domains, larger.domains, strict=True)
        if (most := larger.bound(more, stage))
    )


def _longer(outline: Outline, larger: Outline, estimates: Estimates) -> Estimates:
    """The estimates where the answers' bounds are those of `larger`, at likely lengths alone."""
    law, first = estimates.laws[1], larger.domains[0]
    examples, each = dict(estimates.examples[1]), dict(estimates.each)
    for stage in ANSWERS:
        if example := examples.get(stage):
            prompt, fresh = (round(mean) for mean in _prompts(example))
            lengths = law.lengths(larger.bound(first, stage))
            examples[stage] = tuple(Request(prompt, fresh, length) for length in lengths)
            each[stage] = _each(outline, estimates, stage)
    each["score"] *= (1 - truncated_of(larger, law)) / max(1e-9, 1 - truncated_of(outline, law))
    return replace(estimates, examples=(examples, examples, examples), each=each)


def _each(outline: Outline, estimates: Estimates, stage: str) -> float:
    """Answers an accepted problem; a band of pass rates has others answered, too."""
    return estimates.each[stage] if outline.band else outline.each(stage)


def _prompts(example: Sequence[Request]) -> tuple[float, float]:
    """Mean tokens of prompts, and of what the prefix cache lacks of them."""
    return sum(one.prompt for one in example) / len(example), sum(one.fresh for one in example) / len(example)
