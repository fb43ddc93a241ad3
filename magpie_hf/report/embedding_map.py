"""The map of a report: each sample that has an embedding as a point, by two principal components of them all.

Not here: making embeddings (stages/embed.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from magpie_hf.report.samples import Sampled

AXES_FROM = 2_000  # embeddings that the axes are found from: of 1,024 numbers each it takes a second
SIDE = 1_000  # places along each side


def embedding_map(sampled: Mapping[str, Sampled], ids: Sequence[str]) -> dict[str, Any] | None:
    """The places of the rows with these ids, in [0, SIDE]; None without two embeddings that differ.

    rows: their numbers; x, y: along the first and the second principal component; shares: of the variance,
    that of each. The axes are those of `AXES_FROM` embeddings, spread evenly over all.
    """
    rows = {name: row for row, name in enumerate(ids)}
    count = sum(len(names) for names, _ in _embeddings(sampled, rows))
    if count < 2:
        return None
    some = np.linspace(0, count - 1, min(count, AXES_FROM)).astype(int)
    parts, at = [], 0
    for names, vectors in _embeddings(sampled, rows):
        inside = some[(some >= at) & (some < at + len(names))] - at
        parts.append(vectors[inside])
        at += len(names)
    sample = np.concatenate(parts).astype(np.float64)
    middle = sample.mean(axis=0)
    _, sizes, axes = np.linalg.svd(sample - middle, full_matrices=False)
    if sizes[0] < 1e-6:
        return None
    axes = axes[:2] if len(axes) > 1 else np.vstack([axes, np.zeros_like(axes)])
    axes *= np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]
    found, places = [], []
    for names, vectors in _embeddings(sampled, rows):
        found += [rows[name] for name in names]
        places.append((vectors - middle) @ axes.T)
    x, y = (_scaled(values) for values in np.concatenate(places).T)
    shares = (sizes[:2] ** 2 / (sizes**2).sum()).round(3).tolist()
    return {"rows": found, "x": x, "y": y, "shares": shares}


def _embeddings(
    sampled: Mapping[str, Sampled], rows: Mapping[str, int]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """The ids and embeddings of each shard, of the rows that have both."""
    for stages in sampled.values():
        for names, vectors in stages.embeddings():
            good = [at for at, name in enumerate(names) if name in rows]
            if good:
                yield [names[at] for at in good], vectors[good]


def _scaled(values: np.ndarray) -> list[int]:
    low, high = values.min(), values.max()
    scaled: list[int] = np.rint((values - low) / max(high - low, 1e-9) * SIDE).astype(int).tolist()
    return scaled
