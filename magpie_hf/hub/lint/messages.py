"""Whether lists of messages are conversations, and chosen and rejected are pairs, for a batch of rows.

Not here: reading the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from magpie_hf.text.language import tr

MESSAGE_LISTS = ("messages", "chosen", "rejected", "prompt")
_ROLES = pa.array(["system", "user", "assistant"])

# A fault of some rows of a batch: a mask over the rows, and the text of the complaint.
Fault = tuple[np.ndarray[Any, np.dtype[np.bool_]], str]


def type_fault(name: str, kind: pa.DataType) -> str | None:
    """What is wrong with the Arrow type of a list of messages; None where nothing is."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list and pa.types.is_struct(kind.value_type):
        fields = {field.name: field.type for field in kind.value_type}
        text = all(pa.types.is_string(field) or pa.types.is_large_string(field) for field in fields.values())
        if fields.keys() == {"role", "content"} and text:
            return None
        if fields.keys() > {"role", "content"}:
            more = ", ".join(sorted(fields.keys() - {"role", "content"}))
            return tr(
                "its messages hold {more} besides role and content, which most chat templates ignore or fail"
                " on",
                more=more,
            )
    return tr(
        "{name} is {kind}, which is no list of messages {{role, content}}: TRL sees no conversations",
        name=name,
        kind=kind,
    )


def conversation_faults(name: str, lists: pa.Array) -> Iterator[Fault]:
    """The faults of a column of lists of messages that has the right type."""
    last_role = "user" if name == "prompt" else "assistant"
    size = len(lists)
    lengths = _lengths(lists)
    nulls = np.asarray(lists.is_null())
    yield (
        nulls,
        tr("{name} is null, and whether TRL then sees conversations depends on PYTHONHASHSEED", name=name),
    )
    yield ~nulls & (lengths == 0), tr("{name} holds no message", name=name)
    flat, parents, starts = lists.flatten(), np.repeat(np.arange(size), lengths), np.cumsum(lengths) - lengths
    roles = np.asarray(pc.fill_null(pc.index_in(pc.struct_field(flat, "role"), value_set=_ROLES), -1))
    content = pc.struct_field(flat, "content")
    filled = lengths > 0
    system = np.zeros(size, dtype=np.int64)
    system[filled] = roles[starts[filled]] == 0
    turn = np.arange(len(parents)) - starts[parents] - system[parents]
    expected = np.where(turn < 0, 0, np.where(turn % 2 == 0, 1, 2))
    yield (
        _any(size, parents, roles != expected),
        tr("the roles of {name} are not system (or none), then user and assistant in turn", name=name),
    )
    wrong_end = np.zeros(size, dtype=np.bool_)
    wrong_end[filled] = roles[(starts + lengths - 1)[filled]] != ("system", "user", "assistant").index(
        last_role
    )
    yield wrong_end, tr("the last message of {name} is not the {role}'s", name=name, role=last_role)
    empty = pc.or_kleene(pc.equal(pc.binary_length(content), 0), pc.utf8_is_space(content))
    yield (
        _any(size, parents, np.asarray(pc.fill_null(empty, True))),
        tr("a message of {name} has no text", name=name),
    )


def pair_faults(batch: pa.RecordBatch, preferences: bool) -> Iterator[Fault]:
    """The faults of chosen and rejected, also beside has_pair and messages; all have the right types.

    preferences: whether every row of the split must have a pair. Without has_pair every row counts as one.
    """
    chosen, rejected = batch.column("chosen"), batch.column("rejected")
    equal, shared = _compare(chosen, rejected)
    yield (
        ~shared,
        tr("chosen and rejected differ before their last message, so they answer different prompts"),
    )
    if "has_pair" in batch.schema.names:
        flag = batch.column("has_pair")
        yield (
            np.asarray(flag.is_null()),
            tr("has_pair is null, so it is unknown whether rejected is the worse answer"),
        )
        pair = np.asarray(pc.fill_null(flag, False))
        none = np.asarray(pc.fill_null(pc.invert(flag), False))
        yield (
            none & ~equal,
            tr(
                "has_pair is false, but chosen differs from rejected, so training would learn a preference"
                " that was not found"
            ),
        )
        if "messages" in batch.schema.names:
            repeats, _ = _compare(chosen, batch.column("messages"))
            yield (
                none & equal & ~repeats,
                tr("has_pair is false, but chosen and rejected do not repeat messages"),
            )
        if preferences:
            yield (
                none,
                tr("has_pair is false in a split of preferences, where every row is trained on as a pair"),
            )
    else:
        pair = np.ones(len(chosen), dtype=np.bool_)
    yield pair & equal, tr("chosen equals rejected, which is a pair that prefers nothing")


def _compare(one: pa.Array, other: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Row by row: whether two columns of messages are equal, and whether all but the last message are."""
    size = len(one)
    alike = _lengths(one) == _lengths(other)
    equal, shared = alike.copy(), alike.copy()
    rows = np.flatnonzero(alike)
    mask = pa.array(alike)
    one, other = one.filter(mask), other.filter(mask)
    lengths = _lengths(one)
    parents = np.repeat(rows, lengths)
    last = np.zeros(len(parents), dtype=np.bool_)
    last[(np.cumsum(lengths) - 1)[lengths > 0]] = True
    left, right = one.flatten(), other.flatten()
    same = np.ones(len(parents), dtype=np.bool_)
    for key in ("role", "content"):
        same &= np.asarray(
            pc.fill_null(pc.equal(pc.struct_field(left, key), pc.struct_field(right, key)), False)
        )
    return equal & ~_any(size, parents, ~same), shared & ~_any(size, parents, ~same & ~last)


def _lengths(lists: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


def _any(
    size: int, parents: np.ndarray[Any, Any], wrong: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A mask of the `size` rows that have a wrong element. parents: the row of each element."""
    rows = np.zeros(size, dtype=np.bool_)
    rows[parents[wrong]] = True
    return rows
