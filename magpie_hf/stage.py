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
    """A frozen dataclass that maps a batch to the same batch with more columns.

    A batch is a dict of plain lists. `reads` names the columns that the stage depends on, `reads_too` those
    that not every recipe makes; `adds` names those that it makes, with their Arrow types. Rows with a reason
    in `dropped` pass through with nulls.

    Two stages are equal exactly if they turn the same rows into the same rows. `version` goes up when the
    same fields give other rows. A field that only says where the work is done is declared with
    `field(compare=False)`.

    A stage is a function for `Dataset.map(stage, batched=True, features=...)` and a body for Ray Data's
    `map_batches`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]]
    reads_too: ClassVar[tuple[str, ...]] = ()

    @property
    def label(self) -> str:
        """The name of its folder and of its lines in a report."""
        return self.name

    @property
    @abstractmethod
    def adds(self) -> Features:
        """The columns that the stage makes, with their types."""

    @property
    def reuse_key(self) -> str:
        """A key that stages share if one can reuse results in finished rows of another; "" for none.

        Such stages differ only in bounds and counts. A stage of one's own that has an engine shares the
        requests of all its versions, which are kept beside its rows.
        """
        return self.name if getattr(self, "engine", None) is not None else ""

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        """Results in finished rows of a stage with the same reuse key, as (request key, journal value)."""
        return iter(())

    def counted(self, batch: Batch, added: Batch) -> Batch:
        """What `status` counts of the added columns: tokens and reasons of rows that the stage made itself.

        batch: what it was called with.
        """
        return added

    @abstractmethod
    def run(self, batch: Batch) -> Batch:
        """The added columns of a batch without dropped rows."""

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
            made = added.get(column, ())
            if len(made) != len(alive):
                raise ValueError(f"{len(made)} values of {column} for {len(alive)} rows")
            for row, value in zip(alive, made, strict=True):
                values[row] = value
            out[column] = values
        return out


def identity(thing: Any) -> Any:
    """What determines an object's results, as plain JSON: name, version and comparing fields, recursively.

    A field whose metadata says "later" takes part only where it has not its default. What is the user's own
    and is called, such as a stage, has its module and class, too. Raises TypeError for a value without a
    stable identity, such as a function.
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
            if field.compare and not _unset(thing, field)
        }
        name = getattr(thing, "name", None) if isinstance(thing, Stage) else type(thing).__name__
        own = {"use": use} if callable(thing) and (use := use_of(thing)) else {}
        return {"is": name, **own, "version": getattr(thing, "version", 1), **fields}
    if isinstance(thing, (list, tuple)):
        return [identity(item) for item in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted((identity(item) for item in thing), key=canonical)
    if isinstance(thing, Mapping) and all(isinstance(key, str) for key in thing):
        return {key: identity(value) for key, value in thing.items()}
    raise TypeError(f"{type(thing).__name__} {thing!r} has no stable identity")


def use_of(thing: Any) -> str:
    """The class of an object of the user's own as "module:Class"; "" for one of this package."""
    kind = type(thing)
    return (
        "" if kind.__module__.partition(".")[0] == "magpie_hf" else f"{kind.__module__}:{kind.__qualname__}"
    )


def _unset(thing: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a field that came later has its default, so that results from before it are still found."""
    return bool(field.metadata.get("later")) and getattr(thing, field.name) == field.default


def canonical(value: Any) -> str:
    """Canonical JSON: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def fingerprint(*things: Any) -> str:
    """16 hexadecimal digits that identify what determines the results of these things."""
    return hashlib.sha256(canonical([identity(thing) for thing in things]).encode()).hexdigest()[:16]


def seed_of(*parts: Any) -> int:
    """A seed of 48 bits for its purpose: build seed, domain, row, stage, candidate.

    48 bits are exact in every JSON reader.
    """
    return int.from_bytes(hashlib.sha256(canonical(list(parts)).encode()).digest()[:6], "big")
