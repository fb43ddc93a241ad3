"""Stage: one callable `batch -> batch` with a stable identity.

Not here: where and in which order stages run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from datasets import Features

Batch = dict[str, list[Any]]


class Stage(ABC):
    """A frozen dataclass that turns a batch into the same batch with more columns (plain lists in, plain
    lists out).

    `reads` names the columns it depends on and `adds` those it makes, with their Arrow types. Two stages are
    equal exactly if they turn the same rows into the same rows: `version` goes up when the same fields give
    other rows, and a field that says only where the work is done is declared with `field(compare=False)`.
    Rows that carry a reason in `dropped` pass through with nulls.

    As it is, a stage is a function for `Dataset.map(stage, batched=True, features=...)` and a body for Ray
    Data's `map_batches`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]]

    @property
    def label(self) -> str:
        """What its folder and its lines in a report are called."""
        return self.name

    @property
    @abstractmethod
    def adds(self) -> Features:
        """The columns that the stage makes, with their types."""

    @property
    def reuse_key(self) -> str:
        """Names the stages whose finished rows may hold results of this one's: the same but for bounds and
        numbers. "" for none.
        """
        return ""

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        """What finished rows of a stage of the same reuse key know, as the journal keeps it: results by
        request key.
        """
        return iter(())

    @abstractmethod
    def run(self, batch: Batch) -> Batch:
        """The added columns for a batch of rows that are all alive."""

    def __call__(self, batch: Batch) -> Batch:
        size = len(next(iter(batch.values())))
        dropped = batch.get("dropped") or [None] * size
        alive = [row for row in range(size) if dropped[row] is None]
        out = dict(batch)
        added = (
            self.run({column: [values[row] for row in alive] for column, values in batch.items()})
            if alive
            else {}
        )
        for column in self.adds:
            values: list[Any] = list(dropped) if column == "dropped" else [None] * size
            for row, value in zip(alive, added.get(column, ()), strict=True):
                values[row] = value
            out[column] = values
        return out


def identity(thing: Any) -> Any:
    """What determines an object's results, as plain JSON values: name, version and the comparing fields,
    recursively.

    Raises TypeError for a value without a stable identity, such as a function.
    """
    if thing is None or isinstance(thing, (bool, int, str)):
        return thing
    if isinstance(thing, float):
        if not math.isfinite(thing):
            raise TypeError(f"{thing!r} has no stable identity")
        return thing
    if hasattr(thing, "identity") and not isinstance(thing, type):
        return identity(thing.identity())
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {
            field.name: identity(getattr(thing, field.name))
            for field in dataclasses.fields(thing)
            if field.compare
        }
        name = getattr(thing, "name", None) if isinstance(thing, Stage) else type(thing).__name__
        return {"is": name, "version": getattr(thing, "version", 1), **fields}
    if isinstance(thing, (list, tuple)):
        return [identity(item) for item in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted((identity(item) for item in thing), key=canonical)
    if isinstance(thing, Mapping) and all(isinstance(key, str) for key in thing):
        return {key: identity(value) for key, value in thing.items()}
    raise TypeError(f"{type(thing).__name__} {thing!r} has no stable identity")


def canonical(value: Any) -> str:
    """Canonical JSON: one text for one value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def fingerprint(*things: Any) -> str:
    """16 hexadecimal digits that name what determines the things' results."""
    return hashlib.sha256(canonical([identity(thing) for thing in things]).encode()).hexdigest()[:16]


def seed_of(*parts: Any) -> int:
    """A seed of 48 bits (exact in any JSON reader) from what it is for: build seed, domain, row, stage,
    candidate.
    """
    return int.from_bytes(hashlib.sha256(canonical(list(parts)).encode()).digest()[:6], "big")
