"""The columns by which the rows of a report can be filtered, as the schema of the build's splits has them.

Not here: what the list shows of a row (listing.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from magpie_hf.problems.labels import CATEGORIES, DIFFICULTIES, QUALITIES, SOLVABILITIES
from magpie_hf.report.source import Row
from magpie_hf.store.splits import Split

# Values of a choice, and characters of one: what has more is no choice but a text, which the search finds.
MOST_CHOICES = 200
LONGEST_CHOICE = 80
DIGITS = 4  # of a number with a fraction
# Whole texts, which take long to read and which the search finds; what says how the whole build was made; and
# positions and numbers that mean nothing by themselves.
_LEFT_OUT = frozenset(
    "id problem raw_instruction messages chosen rejected chosen_text rejected_text rejected_response response"
    " solution thinking answer majority_answer reference_answer checker_answer program_answer near_duplicate"
    " contaminated_by nearest_known generation parent chosen_index rejected_index has_pair score_gap"
    " answer_rank".split()
)
# The last four are filters of the page itself, and no column but one of the user's own is named so.
_NAMES = {"pair_kind": "kind", "pair_reason": "reason", "tags.domain": "tag_domain"}
_NAMES |= {name: f"{name}_column" for name in ("show", "mark", "sample", "region")}
SCALES = {
    "difficulty": DIFFICULTIES,
    "quality": QUALITIES,
    "solvability": SOLVABILITIES,
    "category": CATEGORIES,
}
YES = {True: "yes", False: "no"}

Kind = Literal["choice", "range"]


@dataclass(frozen=True)
class Field:
    """A column of a split, or one field of a column of structs (`part`). name: of its filter."""

    name: str
    column: str
    part: str
    kind: Kind

    def of(self, row: Row) -> Any:
        value = row[self.column]
        return (value or {}).get(self.part) if self.part else value


def fields_of(split: Split) -> list[Field]:
    """The columns of a split that a reader can filter by; those of a list of structs are lists of values."""
    return list(_fields(split.features.arrow_schema))


def _fields(schema: pa.Schema) -> Iterator[Field]:
    for one in schema:
        if one.name in _LEFT_OUT:
            continue
        if pa.types.is_struct(one.type):
            for inner in one.type:
                if kind := _kind(inner.type):
                    path = f"{one.name}.{inner.name}"
                    yield Field(_NAMES.get(path, inner.name), one.name, inner.name, kind)
        elif pa.types.is_list(one.type) and pa.types.is_struct(one.type.value_type):
            for inner in one.type.value_type:
                if inner.name not in _LEFT_OUT and (kind := _kind(inner.type)):
                    yield Field(f"{one.name}.{inner.name}", f"{one.name}.{inner.name}", "", kind)
        elif kind := _kind(one.type.value_type if pa.types.is_list(one.type) else one.type):
            yield Field(_NAMES.get(one.name, one.name), one.name, "", kind)


def _kind(of: pa.DataType) -> Kind | None:
    if pa.types.is_string(of) or pa.types.is_boolean(of):
        return "choice"
    return "range" if pa.types.is_integer(of) or pa.types.is_floating(of) else None


@dataclass
class Column:
    """The values of all rows in one column: a repeated value of a choice is stored as its number.

    A row may have a list of values, as a problem with several candidates has; it passes a filter if one of
    them does.
    """

    name: str
    kind: Kind
    values: list[Any] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    is_text: bool = False
    low: float = math.inf
    high: float = -math.inf
    is_whole: bool = True

    def add(self, row: int, value: Any) -> None:
        """Set the value of a row; rows in between have none."""
        if self.is_text:
            return
        self.values += [None] * (row - len(self.values))
        self.values.append(
            [self._one(one) for one in value if one is not None]
            if isinstance(value, list)
            else self._one(value)
        )

    def _one(self, value: Any) -> Any:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if self.kind == "choice":
            self.is_text = len(self.codes) > MOST_CHOICES or (
                isinstance(value, str) and len(value) > LONGEST_CHOICE
            )
            return self.codes.setdefault(YES.get(value, value), len(self.codes))
        if isinstance(value, float):
            value = round(value, DIGITS)
            self.is_whole = self.is_whole and value.is_integer()
        self.low, self.high = min(self.low, value), max(self.high, value)
        return value

    @property
    def is_filter(self) -> bool:
        """Whether rows differ in it."""
        if self.kind == "range":
            return self.low < self.high
        return not self.is_text and (
            len(self.codes) > 1 or (len(self.codes) == 1 and any(one in (None, []) for one in self.values))
        )

    @property
    def filter(self) -> dict[str, Any]:
        """What the page needs to know to offer the filter."""
        if self.kind == "range":
            return {"name": self.name, "kind": "range", "low": self.low, "high": self.high}
        found = set(self.codes)
        order = [value for value in SCALES.get(self.name, ()) if value in found]
        if self.name != "domain":  # which has the order of the recipe
            order += sorted(found - set(order))
        return {"name": self.name, "kind": "choice", "values": order or list(self.codes)}

    @property
    def stored(self) -> dict[str, Any]:
        return {"values": self.values, "codes": list(self.codes)}


def columns_read(fields: Iterable[Field], also: Sequence[str]) -> list[str]:
    """The columns of a split that these fields and others need, each once."""
    return list(dict.fromkeys([*also, *(one.column for one in fields)]))
