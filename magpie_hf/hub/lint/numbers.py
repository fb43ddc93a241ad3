"""Whether a card's numbers of samples add up to the problems that are published.

Not here: numbers that are counted in the published rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from magpie_hf.card.stats import Samples


def lint_numbers(samples: Mapping[str, Samples], problems: Mapping[str, int]) -> list[str]:
    """Complaints about the samples of each domain, one line each; problems: those published, by domain."""
    return [
        f"{domain}: {says}"
        for domain, one in samples.items()
        for says in _faults(one, problems.get(domain, 0))
    ]


def _faults(one: Samples, problems: int) -> Iterator[str]:
    if one.accepted != problems:
        yield (
            f"{one.sampled:,} samples less {sum(one.dropped.values()):,} dropped, {one.moved_away:,} moved"
            f" away and {one.moved_here:,} moved here make {one.accepted:,} problems, and {problems:,} are"
            " published"
        )
    if (contaminated := sum(one.contaminated.values())) != one.dropped.get("contaminated", 0):
        yield (
            f"{one.dropped.get('contaminated', 0):,} samples were dropped as contaminated, and the benchmarks"
            f" count {contaminated:,}"
        )
    if not 0 <= one.on_domain <= one.tagged <= one.sampled:
        yield (
            f"of {one.sampled:,} samples {one.tagged:,} are tagged, and {one.on_domain:,} of these are on the"
            " domain"
        )
