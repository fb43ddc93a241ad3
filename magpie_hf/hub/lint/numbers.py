"""Whether a card's numbers of samples add up to the problems that are published.

Not here: numbers that are counted in the published rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from magpie_hf.card.stats import Samples
from magpie_hf.text.language import tr


def lint_numbers(samples: Mapping[str, Samples], problems: Mapping[str, int]) -> list[str]:
    """Complaints about the samples of each domain, one line each; problems: those published, by domain."""
    return [
        f"{domain}: {says}"
        for domain, one in samples.items()
        for says in _faults(one, problems.get(domain, 0))
    ]


def _faults(one: Samples, problems: int) -> Iterator[str]:
    if one.accepted != problems:
        yield tr(
            "{sampled:,} samples less {dropped:,} dropped, {away:,} moved away and {here:,} moved here make"
            " {accepted:,} problems, and {problems:,} are published",
            sampled=one.sampled,
            dropped=sum(one.dropped.values()),
            away=one.moved_away,
            here=one.moved_here,
            accepted=one.accepted,
            problems=problems,
        )
    if (contaminated := sum(one.contaminated.values())) != one.dropped.get("contaminated", 0):
        yield tr(
            "{dropped:,} samples were dropped as contaminated, and the benchmarks count {contaminated:,}",
            dropped=one.dropped.get("contaminated", 0),
            contaminated=contaminated,
        )
    if not 0 <= one.on_domain <= one.tagged <= one.sampled:
        yield tr(
            "of {sampled:,} samples {tagged:,} are tagged, and {on_domain:,} of these are on the domain",
            sampled=one.sampled,
            tagged=one.tagged,
            on_domain=one.on_domain,
        )
