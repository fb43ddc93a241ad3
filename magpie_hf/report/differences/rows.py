"""The rows of one split on two sides: which were added, removed or changed, and in which columns.

Not here: finding the files, and what is shown.

Memory holds the ids, and eight bytes a row for each side and for the column at hand: columns are read one
after the other. Two splits of 44,000 rows on either side, 380 MB of parquet: 12 s of one core, 261 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xxhash

from magpie_hf.errors import BadInput
from magpie_hf.report.finding import LEFT_OUT, rows_in
from magpie_hf.store.splits import ParquetSplit

_KEY = "id"
Kind = Literal["changed", "added", "removed"]


@dataclass(frozen=True)
class Example:
    """A row that differs. columns: of a changed one, each that changed, with the values of both sides."""

    kind: Kind
    id: Any
    problem: str
    columns: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class SplitDifference:
    """What changed in a split.

    before, after: rows; None where the side has no such split, or where equal files need not be fetched.
    columns: changed rows by column. gone, new: columns that only one side has; types: those of another type.
    """

    config: str
    split: str
    before: int | None
    after: int | None
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    types: dict[str, tuple[str, str]] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    @property
    def is_none(self) -> bool:
        return not (self.added or self.removed or self.changed or self.gone or self.new or self.types)


def split_difference(
    config: str, split: str, before: ParquetSplit | None, after: ParquetSplit | None, most: int
) -> SplitDifference:
    """What changed between the rows of two sides; None is a side without the split.

    Rows are the same if they have the same id; those with the same id, such as several answers of a problem,
    are numbered in their order. The order of rows does not count. most: examples of each kind.

    Raises BadInput for rows without ids, or a file that cannot be read.
    """
    old, new = (_keys(side) if side is not None else {} for side in (before, after))
    removed = [number for key, number in old.items() if key not in new]
    added = [number for key, number in new.items() if key not in old]
    examples = [
        *_alone("removed", before, removed[:most]),
        *_alone("added", after, added[:most]),
    ]
    sizes = len(old) if before is not None else None, len(new) if after is not None else None
    if before is None or after is None:
        return SplitDifference(config, split, *sizes, len(added), len(removed), examples=tuple(examples))
    old_types, new_types = (_types(side) for side in (before, after))
    both = [name for name in old_types if name in new_types and name != _KEY]
    pairs = np.array([(number, new[key]) for key, number in old.items() if key in new], np.int64)
    pairs = pairs.reshape(-1, 2)
    changed, unequal = np.zeros(len(pairs), bool), {}
    for name in both:
        mask = _hashes(before, name)[pairs[:, 0]] != _hashes(after, name)[pairs[:, 1]]
        if mask.any():
            unequal[name] = mask
            changed |= mask
    chosen = np.flatnonzero(changed)[:most]
    columns = [_shown(split, [name for name, mask in unequal.items() if mask[at]]) for at in chosen]
    counts = sorted(((name, int(mask.sum())) for name, mask in unequal.items()), key=lambda one: -one[1])
    return SplitDifference(
        config,
        split,
        *sizes,
        len(added),
        len(removed),
        int(changed.sum()),
        dict(counts),
        tuple(name for name in old_types if name not in new_types),
        tuple(name for name in new_types if name not in old_types),
        {name: (old_types[name], new_types[name]) for name in both if old_types[name] != new_types[name]},
        (*_changed(before, after, pairs[chosen].tolist(), columns), *examples),
    )


def _types(rows: ParquetSplit) -> dict[str, str]:
    return {one.name: str(one.type) for one in rows.features.arrow_schema}


def _keys(rows: ParquetSplit) -> dict[tuple[str, int], int]:
    """The number of each row by its id, and by its place among those with the same id."""
    if _KEY not in rows.features:
        raise BadInput(f"the rows of {rows.files[0]} have no ids to compare by; give a build of magpie_hf")
    seen, found = Counter[str](), dict[tuple[str, int], int]()
    for batch in rows.batches([_KEY]):
        for value in batch[_KEY]:
            found[value, seen[value]] = len(found)
            seen[value] += 1
    return found


def _hashes(rows: ParquetSplit, column: str) -> np.ndarray:
    """A hash of each value of a column."""
    found = np.empty(len(rows), np.uint64)
    at = 0
    for batch in rows.batches([column]):
        for value in batch[column]:
            # The text "None" is not the value None.
            text = f"s{value}" if isinstance(value, str) else f"={value!r}"
            found[at] = xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass"))
            at += 1
    return found


def _shown(split: str, columns: Sequence[str]) -> list[str]:
    """The columns without those that repeat others, where there are others."""
    repeated = LEFT_OUT.get(split.rpartition("_")[2], ())
    return [name for name in columns if name not in repeated] or list(columns)


def _alone(kind: Kind, rows: ParquetSplit | None, numbers: Sequence[int]) -> Iterator[Example]:
    if rows is not None:
        for row in _at(rows, numbers):
            yield Example(kind, row[_KEY], str(row.get("problem") or ""), {})


def _changed(
    before: ParquetSplit,
    after: ParquetSplit,
    pairs: Sequence[Sequence[int]],
    columns: Sequence[Sequence[str]],
) -> Iterator[Example]:
    old, new = _at(before, [one for one, _ in pairs]), _at(after, [one for _, one in pairs])
    for one, other, names in zip(old, new, columns, strict=True):
        values = {name: (one[name], other[name]) for name in names}
        yield Example("changed", one[_KEY], str(one.get("problem") or ""), values)


def _at(rows: ParquetSplit, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """The rows with these numbers, in this order."""
    found, first = dict[int, dict[str, Any]](), 0
    for file in rows.files:
        count = len(ParquetSplit((file,)))
        inside = sorted(number - first for number in numbers if first <= number < first + count)
        found |= {number + first: row for number, row in rows_in(file, inside, ())}
        first += count
    return [found[number] for number in numbers]
