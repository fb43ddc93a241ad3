"""How broad the problems of a domain are: the yield of each topic, and what embeddings cover.

Not here: how they are shown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from magpie_hf.store.rows import NO_TOPIC, Rows

SAMPLED, ACCEPTED, NEAR_DUPLICATES, RATE = "sampled", "accepted", "near_duplicates", "pass_rate"
_DIGITS = 4


def by_topic(domain: str, sources: Mapping[str, Sequence[Rows]]) -> dict[str, dict[str, Any]]:
    """Samples, accepted ones and near-duplicates among them, by topic; {} without topics.

    Where a model measures pass rates, also the mean one of the accepted; None where none of them has one.

    sources: filtered rows by the domain that they were sampled for. A sample counts where it was sampled.
    """
    found: dict[str, dict[str, Any]] = {}
    rates: dict[str, list[float]] = {}
    for part in sources.get(domain, ()):
        if "topic" not in part.made or part.made["topic"].key == NO_TOPIC:
            continue
        rated = [RATE] if RATE in part.made else []
        for batch in part.batches(["topic", "dropped", *rated]):
            measured = batch.get(RATE, [None] * len(batch["topic"]))
            for topic, dropped, rate in zip(batch["topic"], batch["dropped"], measured, strict=True):
                if topic is not None:
                    counts = found.setdefault(topic, dict.fromkeys((SAMPLED, ACCEPTED, NEAR_DUPLICATES), 0))
                    counts[SAMPLED] += 1
                    counts[ACCEPTED] += dropped is None
                    counts[NEAR_DUPLICATES] += dropped == "near_duplicate"
                    known = rates.setdefault(topic, []) if rated else []
                    known += [rate] if dropped is None and rate is not None else []
    for topic, known in rates.items():
        found[topic][RATE] = round(statistics.fmean(known), _DIGITS) if known else None
    return dict(sorted(found.items()))


def has_rates(topics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bool:
    """Whether a model measured pass rates. topics: of each domain, as `by_topic` counts."""
    return any(RATE in one for found in topics.values() for one in found.values())


def coverage(domain: str, sources: Mapping[str, Sequence[Rows]]) -> dict[str, float]:
    """What the embeddings of a domain's accepted problems cover; {} for fewer than two.

    problems: how many have an embedding. distance: the mean cosine distance of a problem to the nearest other
    one of the build. vendi: the Vendi score, the effective number of different problems (arXiv 2210.02410).
    """
    rows = [row for parts in sources.values() for part in parts for row in _embedded(domain, part)]
    if len(rows) < 2:
        return {}
    known = [distance for _, distance in rows if distance is not None]
    vectors = np.array([vector for vector, _ in rows], np.float64)
    found: dict[str, float] = {"problems": len(rows), "vendi": vendi(vectors)}
    return {**found, "distance": math.fsum(known) / len(known)} if known else found


def _embedded(domain: str, part: Rows) -> Iterator[tuple[list[float], float | None]]:
    for batch in part.batches(["accepted_as", "embedding", "min_neighbor_distance"]):
        for accepted_as, vector, distance in zip(*batch.values(), strict=True):
            if accepted_as == domain and vector is not None:
                yield vector, distance


def vendi(vectors: npt.NDArray[np.float64]) -> float:
    """The Vendi score of N vectors of length 1 with the cosine as kernel: from 1 to N.

    The kernel's eigenvalues that are not 0 are those of the width x width matrix, which is small for any N.
    """
    tall = len(vectors) > vectors.shape[1]
    matrix = vectors.T @ vectors if tall else vectors @ vectors.T
    shares = np.linalg.eigvalsh(matrix / len(vectors))
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))
