"""The vote of one problem's candidates, over clusters of equal answers.

Not here: how two answers are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from magpie_hf.answers.notation import normalise

# Longest answer, in characters, that is normalised; `compare` may refuse a longer one
_LONGEST = 4000


@dataclass(frozen=True)
class Votes:
    """The result of a vote.

    clusters: the cluster of each answer, None for no answer. Cluster 0 is the largest; of equal ones, the one
        whose first answer comes first.
    sizes: voters of each cluster.
    unknown: pairs of clusters that nothing shows to be different, so they may be one.
    apart: of each cluster, whether something shows it to be different from cluster 0.
    """

    clusters: tuple[int | None, ...]
    sizes: tuple[int, ...]
    unknown: int
    apart: tuple[bool, ...] = ()

    @property
    def has_majority(self) -> bool:
        """Whether one cluster is larger than all others and has at least two voters."""
        return len(self.sizes) > 0 and self.sizes[0] > max(1, *self.sizes[1:], 1)

    @property
    def in_majority(self) -> tuple[bool | None, ...]:
        """Whether each answer is the majority's; None where unknown, and for all without a majority."""
        if not self.has_majority:
            return (None,) * len(self.clusters)
        return tuple(
            None if n is None else True if n == 0 else False if self.apart[n] else None for n in self.clusters
        )


def vote(answers: Sequence[str | None], compare: Callable[[str, str], str]) -> Votes:
    """Clusters of equal answers.

    compare: "equal", "different" or "unknown", in either order. Answers with one spelling are compared once,
    by the shortest.

    Each spelling is compared with each cluster at most once, apart from clusters that it may still join.
    Spellings come shortest first, so the clusters do not depend on the order of the candidates.
    """
    spellings = [None if answer is None else _spelling(answer) for answer in answers]
    written: dict[str, str] = {}
    for answer, spelling in zip(answers, spellings, strict=True):
        if answer is not None and spelling is not None:
            written[spelling] = min(answer, written.get(spelling, answer), key=lambda one: (len(one), one))
    known: dict[frozenset[str], str] = {}

    def verdict(one: str, other: str) -> str:
        key = frozenset((one, other))
        if key not in known:
            known[key] = compare(written[one], written[other])
        return known[key]

    def differ(first: Sequence[str], second: Sequence[str]) -> bool:
        return any(known.get(frozenset((one, other))) == "different" for one in first for other in second)

    groups: list[list[str]] = []
    for spelling in sorted(
        {spelling for spelling in spellings if spelling is not None}, key=lambda one: (len(one), one)
    ):
        joined, apart = [spelling], []
        for group in groups:
            if not differ(group, joined) and _relation(spelling, group, verdict) == "equal":
                joined = [*group, *joined]
            else:
                apart.append(group)
        groups = [*apart, joined]
    votes = _numbered(
        spellings, groups, sum(not differ(first, second) for first, second in combinations(groups, 2))
    )
    members = [
        [s for s, n in zip(spellings, votes.clusters, strict=True) if s is not None and n == number]
        for number in range(len(groups))
    ]
    return replace(votes, apart=tuple(differ(members[0], other) for other in members))


def _spelling(answer: str) -> str | None:
    return (normalise(answer) if len(answer) <= _LONGEST else answer.strip()) or None


def _relation(spelling: str, group: Sequence[str], verdict: Callable[[str, str], str]) -> str:
    """The relation of a spelling to a cluster, by the first member that decides it."""
    for member in group:
        if (relation := verdict(member, spelling)) != "unknown":
            return relation
    return "unknown"


def _numbered(spellings: Sequence[str | None], groups: Sequence[Sequence[str]], unknown: int) -> Votes:
    group_of = {spelling: number for number, group in enumerate(groups) for spelling in group}
    voters: dict[int, list[int]] = {}
    for place, spelling in enumerate(spellings):
        if spelling is not None:
            voters.setdefault(group_of[spelling], []).append(place)
    ordered = sorted(voters.values(), key=lambda places: (-len(places), places[0]))
    cluster_of = {place: number for number, places in enumerate(ordered) for place in places}
    return Votes(
        tuple(cluster_of.get(place) for place in range(len(spellings))), tuple(map(len, ordered)), unknown
    )
