"""Rows of a build for people to mark: their labels, and a random sheet of them.

Not here: marks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator
from typing import Any

from magpie_hf.report.source import Row, Source, accepted, with_answers
from magpie_hf.review.marks import Labels
from magpie_hf.review.precision import level
from magpie_hf.store.splits import rows_of

_LABELS = ("id", "domain", "majority_share", "pair_kind", "pair_reason")


def labels_of(source: Source, ids: Collection[str]) -> dict[str, Labels]:
    """What the build says of the rows with these ids, accepted or dropped, as far as it has them."""
    found = {row["id"]: _labels(row) for row in _accepted(source) if row["id"] in ids}
    for split in source.dropped.values():
        for row in rows_of(split, ("id", "domain", "reason")):
            if row["id"] in ids and row["id"] not in found:
                found[row["id"]] = Labels(row["domain"], dropped=row["reason"])
    return found


def sheet(source: Source, count: int, seed: int) -> list[dict[str, Any]]:
    """Random accepted rows to mark, in random order: the same ones for the same build and seed.

    Each stratum, a domain at a level of the majority share, has its share of the rows, and at least one where
    `count` allows it, so that the whole stands for the dataset.
    """
    strata: dict[tuple[str, str], list[str]] = {}
    for row in _accepted(source):
        strata.setdefault((row["domain"], level(row["majority_share"])), []).append(row["id"])
    chosen: list[str] = []
    dice = random.Random(seed)
    for stratum, size in sorted(_sizes({key: len(ids) for key, ids in strata.items()}, count).items()):
        chosen += dice.sample(sorted(strata[stratum]), size)
    dice.shuffle(chosen)
    places = {name: place for place, name in enumerate(chosen)}
    shown: list[dict[str, Any]] = [{} for _ in chosen]
    for side, split in accepted(source):
        columns = (*_LABELS, "problem")
        for row, answers in with_answers(source, side, rows_of(split, columns), ("id", "solution")):
            if (place := places.get(row["id"])) is not None:
                labels = _labels(row)
                shown[place] = {
                    "id": row["id"],
                    "mark": "",
                    "note": "",
                    "domain": labels.domain,
                    "majority_share": labels.majority_share,
                    "pair": labels.pair,
                    "problem": row["problem"],
                    "solution": answers[0]["solution"] if answers else None,
                }
    return shown


def _accepted(source: Source) -> Iterator[Row]:
    for _, split in accepted(source):
        yield from rows_of(split, _LABELS)


def _labels(row: Row) -> Labels:
    pair = row["pair_kind"] or f"none: {row['pair_reason']}"
    return Labels(row["domain"], row["majority_share"], pair)


def _sizes(sizes: dict[tuple[str, str], int], count: int) -> dict[tuple[str, str], int]:
    """How many rows of each stratum: in proportion, by largest remainders, each at least one if possible."""
    whole = sum(sizes.values())
    count = min(count, whole)
    least = int(count >= len(sizes))
    exact = {key: count * size / whole for key, size in sizes.items()}
    taken = {key: min(sizes[key], max(least, math.floor(share))) for key, share in exact.items()}
    order = sorted(sizes, key=lambda key: (taken[key] - exact[key], key))
    while (missing := count - sum(taken.values())) > 0:
        for key in [key for key in order if taken[key] < sizes[key]][:missing]:
            taken[key] += 1
    while sum(taken.values()) > count:  # the strata of one row took more than the remainders
        taken[
            max((key for key in taken if taken[key] > least), key=lambda key: (taken[key] - exact[key], key))
        ] -= 1
    return taken
