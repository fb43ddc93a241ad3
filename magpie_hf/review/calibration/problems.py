"""Any number of problems with known answers, from a seed.

Not here: the families (one file a domain).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from magpie_hf.errors import BadInput
from magpie_hf.review.calibration import algebra, calculus, discrete, geometry, number_theory, statistics
from magpie_hf.review.calibration.family import LEVELS, Family

FAMILIES: tuple[Family, ...] = (
    *algebra.FAMILIES,
    *calculus.FAMILIES,
    *geometry.FAMILIES,
    *statistics.FAMILIES,
    *number_theory.FAMILIES,
    *discrete.FAMILIES,
)
TRIES = 50  # for a problem that a family has not made yet


@dataclass(frozen=True)
class Known:
    """A problem and its answer, as LaTeX without dollars; level: 1, 2 or 3, the hardest."""

    domain: str
    family: str
    level: int
    problem: str
    answer: str


def known_problems(
    count: int, seed: int = 0, domains: tuple[str, ...] = (), levels: tuple[int, ...] = LEVELS
) -> list[Known]:
    """`count` different problems, spread evenly over families and levels; the same for the same arguments.

    A larger count begins with the problems of a smaller one. domains: keys of the six domains; () is all.
    Raises BadInput for an unknown domain or level, and where the families cannot make so many.
    """
    offered = {family.domain for family in FAMILIES}
    if unknown := set(domains) - offered:
        raise BadInput(
            f"there are no problems with known answers of the domain {min(unknown)}; there are some of"
            f" {', '.join(sorted(offered))}"
        )
    if not levels or set(levels) - set(LEVELS):
        raise BadInput(f"levels are {', '.join(map(str, levels))}; choose from 1, 2 and 3")
    families = [family for family in FAMILIES if not domains or family.domain in domains]
    made = list(islice(_endless(families, levels, seed), count))
    if len(made) < count:
        raise BadInput(
            f"{count:,} problems with known answers are asked for, and the families make {len(made):,} of "
            "these domains and levels; ask for fewer"
        )
    return made


def _endless(families: list[Family], levels: tuple[int, ...], seed: int) -> Iterator[Known]:
    """A problem of each family in turn, until no family makes a new one."""
    kinds = [(family, level) for level in levels for family in families]
    random.Random(f"{seed} kinds").shuffle(kinds)  # so that a few problems are of all levels, too
    seen: set[str] = set()
    number = 0
    while kinds:
        for kind in list(kinds):
            family, level = kind
            for attempt in range(TRIES):
                chance = random.Random(f"{seed} {family.name} {level} {number} {attempt}")
                problem, answer = family.make(chance, level)
                if problem not in seen:
                    seen.add(problem)
                    yield Known(family.domain, family.name, level, problem, answer)
                    break
            else:
                kinds.remove(kind)
        number += 1
