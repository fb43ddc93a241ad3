"""Rows as their finished shards have them, stage by stage, and the tokens of the rounds of harder problems.

Not here: making rows (local.py), and what came of harder problems (selection/hardened.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from magpie_hf.run.local import DIGESTS, finished
from magpie_hf.selection.hardened import without_round
from magpie_hf.store.own_rows import first_rows
from magpie_hf.store.rows import Made, Rows
from magpie_hf.store.shards import ShardFolder

_HARDEN, _ADOPT = "harden", "adopt"


def tokens_of_rounds(
    run: Path, domain: str, seed: int, stages: Mapping[str, str], pieces: Iterable[tuple[int, int]]
) -> int:
    """The tokens that models wrote in all rounds, in [start, stop) of a domain's samples.

    They are counted row by row, so that they are the same however rows were cut into shards. stages: the
    folders of the stages before the selection, by their labels, in order.
    """
    total = 0
    for start, stop in pieces if any(without_round(label) != label for label in stages) else ():
        rows = first_rows(run, domain, seed, start, stop)
        for label, key in stages.items():
            made = extended(rows, ShardFolder(run / domain / key, read_only=True))
            if made is None:
                break
            total += _tokens(rows, made, label)
            rows = made
    return total


def extended(rows: Rows, folder: ShardFolder) -> Rows | None:
    """The rows with the columns of a finished stage; None where a shard is missing or does not fit."""
    record = folder.record()
    if record is None:
        return None
    parents, found, at = rows.digests(record["reads"]), [], rows.start
    while at < rows.stop:
        piece, at_next = finished(folder, at, rows.stop, parents[at - rows.start :], ())
        if piece is None:
            return None
        found.append(piece)
        at = at_next
    made = Made(
        folder.path.name, tuple(piece[:3] for piece in found), np.concatenate([piece[3] for piece in found])
    )
    return rows.joined([column for column in made.columns if column not in DIGESTS], made)


def _tokens(before: Rows, after: Rows, label: str) -> int:
    """The tokens of one stage, of the rows on which it ran in its round; 0 of a stage before the rounds."""
    if (name := without_round(label)) in (label, _ADOPT):  # nobody wrote what that adds
        return 0
    number = int(label.removeprefix(f"{name}_round"))
    rounds = _values(before, "round")
    if name == _HARDEN:
        gone = _values(before, "dropped")
        ran = [(one or 0) == number - 1 and why is None for one, why in zip(rounds, gone, strict=True)]
    else:
        ran = [one == number for one in rounds]
    columns = [column for column, made in after.made.items() if made is not before.made.get(column)]
    table = after.read(columns).filter(pa.array(ran, pa.bool_()))
    return sum(map(_tokens_in, table.columns))


def _values(rows: Rows, column: str) -> Sequence[int | str | None]:
    there = column in rows.made
    found: list[int | str | None] = rows.read([column])[column].to_pylist() if there else []
    return found or [None] * (rows.stop - rows.start)


def _tokens_in(column: pa.ChunkedArray) -> int:
    """The sum of `num_tokens` in a column of structs, or of lists of them; 0 in any other."""
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        column = pc.list_flatten(column)
    if not pa.types.is_struct(column.type) or column.type.get_field_index("num_tokens") < 0:
        return 0
    return int(pc.sum(pc.struct_field(column, "num_tokens")).as_py() or 0)
