"""Checks of the rows of a dataset's parquet files: what would harm training, found before the upload.

Not here: the card.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from magpie_hf.hub.lint.complaints import LISTED, Complaints
from magpie_hf.hub.lint.layout import Split, splits_of
from magpie_hf.hub.lint.messages import MESSAGE_LISTS, Fault, conversation_faults, pair_faults, type_fault
from magpie_hf.text.language import tr, translated

_ROWS = 256  # of a batch: three columns of texts of 8,000 tokens are 25 MB

# What each column of `schema.FORBIDDEN` does in TRL 1.16, measured with this project's layouts; those from
# tools on are read in its source. Four of them harm only beside certain other columns.
RESERVED = {
    "prompt": (
        "beside messages, SFTTrainer fails; beside chosen and rejected, the user's turn is trained on twice"
    ),
    "completion": "KTOTrainer puts it in the place of chosen and rejected, silently",
    "label": "KTOTrainer takes every row as a good one, silently",
    "margin": "RewardTrainer subtracts it inside its loss",
    "input_ids": "SFTTrainer trains on it in place of messages, silently",
    "labels": "SFTTrainer fails",
    "image": "SFTTrainer takes the dataset for one of pictures, and fails",
    "images": "SFTTrainer takes the dataset for one of pictures, and fails",
    "chat_template_kwargs": "a null in any row fails",
    **dict.fromkeys(
        "ref_chosen_logps ref_rejected_logps chosen_ids rejected_ids seq_lengths environment".split(),
        "TRL keeps it for itself",
    ),
    "tools": "the trainers put it into every prompt, silently",
    "conversations": "SFTTrainer trains on it in place of messages, silently",
    **dict.fromkeys(
        ("chosen_input_ids", "rejected_input_ids"), "RewardTrainer takes it for chosen or rejected"
    ),
    **dict.fromkeys(("ref_logps", "ref_KL_logps"), "KTOTrainer takes it for the reference model's"),
    **dict.fromkeys(("completion_mask", "assistant_masks"), "SFTTrainer masks tokens by it"),
}


@dataclass
class _Seen:
    """The problems of training and test splits: by digest, the place of the first row that has it."""

    train: dict[int, str] = field(default_factory=dict)
    test: dict[int, str] = field(default_factory=dict)

    def complain(self, complaints: Complaints) -> None:
        both = [digest for digest in self.test if digest in self.train]
        places = (f"{self.test[digest]} = {self.train[digest]}" for digest in both)
        complaints.add_all(
            places,
            len(both),
            tr("the problem is for testing and for training, so a test would measure memorization"),
        )


def lint_rows(files: Mapping[str, Path]) -> list[str]:
    """Complaints about a dataset's parquet files, one line each; [] where there are none.

    files: by path in the repository, `<config>/<split>-00000-of-0000N.parquet`; other files are not read. A
    complaint names the configuration, the split and the row's id, or without ids its number from 0. Of many
    equal complaints, five are listed. Every file is read once, 256 rows at a time.
    """
    complaints, seen = Complaints(), _Seen()
    splits = splits_of(files, complaints)
    has_tests = any(split.name.startswith("test") for split in splits)
    for split in splits:
        for says in _schema_faults(split.schema):
            complaints.add(split.place, says)
        compared = has_tests and split.name.startswith(("train", "test"))
        if compared and "problem" not in split.schema.names:
            complaints.add(
                split.place,
                tr("it has no column problem, so it may hold problems of the tests"),
            )
        _lint_split(split, seen if compared else None, complaints)
    seen.complain(complaints)
    return complaints.lines()


def _schema_faults(schema: pa.Schema) -> Iterator[str]:
    names = set(schema.names)
    pairs, conversations = {"chosen", "rejected"} & names, {"messages", "chosen", "rejected"} & names
    for name, effect in RESERVED.items():
        if name not in names:
            continue
        if name == "prompt":
            harms = bool(conversations) and "completion" not in names
        else:
            harms = bool(pairs) or name not in ("completion", "label", "margin")
        if harms:
            yield tr("a column {name} is not allowed here: {effect}", name=name, effect=translated(effect))
    if "completion" in names and "prompt" not in names:
        yield tr("a column completion is not allowed here without prompt: SFTTrainer fails")
    if len(pairs) == 1:
        yield tr("{name} is here without its counterpart, so there are no pairs", name=pairs.pop())
    if "has_pair" in names and not pa.types.is_boolean(schema.field("has_pair").type):
        yield tr("has_pair is {kind}, not bool", kind=schema.field("has_pair").type)
    if "id" in names and not _has_ids(schema):
        yield tr("id is {kind}, neither text nor an integer", kind=schema.field("id").type)
    for name in MESSAGE_LISTS:
        if name in names and (says := type_fault(name, schema.field(name).type)):
            yield says


def _has_ids(schema: pa.Schema) -> bool:
    kind = schema.field("id").type if "id" in schema.names else pa.null()
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _lint_split(split: Split, seen: _Seen | None, complaints: Complaints) -> None:
    ids: set[tuple[Any, ...]] = set()
    first = 0
    for file in split.files:
        try:
            for batch in _batches(file, with_problems=seen is not None):
                rows = _Rows(split.place, first, batch)
                for mask, says in _faults(split, batch, ids):
                    complaints.add_all(rows.names(mask), int(np.count_nonzero(mask)), says)
                if seen is not None and "problem" in batch.schema.names:
                    _note(rows, seen.test if split.name.startswith("test") else seen.train)
                first += len(batch)
        except (pa.ArrowInvalid, OSError) as error:
            complaints.add(
                split.place,
                tr(
                    "its file {file} cannot be read to its end ({error})",
                    file=file.name,
                    error=type(error).__name__,
                ),
            )


@dataclass(frozen=True)
class _Rows:
    """A batch of a split, and the number of its first row."""

    place: str
    first: int
    batch: pa.RecordBatch

    def name(self, number: int) -> str:
        known = self.batch.column("id")[number].as_py() if _has_ids(self.batch.schema) else None
        row = self.first + number if known is None else known
        return tr("{place} row {row}", place=self.place, row=row)

    def names(self, mask: np.ndarray[Any, Any]) -> Iterator[str]:
        return (self.name(int(number)) for number in np.flatnonzero(mask)[:LISTED])


def _batches(file: Path, with_problems: bool) -> Iterator[pa.RecordBatch]:
    """The rows in batches of what is checked: messages, has_pair, ids, ranks, problems and floats."""
    wanted = {"id", "answer_rank", "has_pair", *MESSAGE_LISTS, *(["problem"] if with_problems else [])}
    # With pre_buffer, 44,000 rows of 8 kB took 1.2 GB instead of 50 MB, and twice the time.
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
        leaves = [parquet.schema.column(number) for number in range(len(parquet.schema))]
        floats = {leaf.path for leaf in leaves if leaf.physical_type in ("FLOAT", "DOUBLE")}
        columns = sorted((wanted & set(parquet.schema_arrow.names)) | floats)
        if columns:
            yield from parquet.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)


def _faults(split: Split, batch: pa.RecordBatch, ids: set[tuple[Any, ...]]) -> Iterator[Fault]:
    names = batch.schema.names
    right = {
        name
        for name in MESSAGE_LISTS
        if name in names and type_fault(name, batch.schema.field(name).type) is None
    }
    for name in MESSAGE_LISTS:
        if name in right:
            yield from conversation_faults(name, batch.column(name))
    flag = "has_pair" not in names or pa.types.is_boolean(batch.schema.field("has_pair").type)
    if {"chosen", "rejected"} <= right and flag and ("messages" not in names or "messages" in right):
        yield from pair_faults(batch, preferences=split.name.endswith("_prefs"))
    if _has_ids(batch.schema):
        yield from _id_faults(batch, ids)
    for name in names:
        for path, values, rows in _floats(name, batch.column(name), np.arange(len(batch))):
            odd = ~np.isfinite(np.asarray(pc.fill_null(values, 0.0)))
            mask = np.zeros(len(batch), dtype=np.bool_)
            mask[rows[odd]] = True
            yield (
                mask,
                tr(
                    "{path} is NaN or infinite, which breaks JSON, the viewer and means over the column;"
                    " write null",
                    path=path,
                ),
            )


def _id_faults(batch: pa.RecordBatch, ids: set[tuple[Any, ...]]) -> Iterator[Fault]:
    """The rows without an id, and those that repeat one; the answers of a problem differ in their rank."""
    keys = [name for name in ("id", "answer_rank") if name in batch.schema.names]
    repeated = np.zeros(len(batch), dtype=np.bool_)
    for number, row in enumerate(zip(*(batch.column(key).to_pylist() for key in keys), strict=True)):
        repeated[number] = row[0] is not None and row in ids
        ids.add(row)
    yield np.asarray(batch.column("id").is_null()), tr("its id is null")
    yield (
        repeated,
        tr("its id occurs in this split twice")
        if len(keys) == 1
        else tr("its id and answer_rank occur in this split twice"),
    )


def _floats(
    path: str, array: pa.Array, rows: np.ndarray[Any, Any]
) -> Iterator[tuple[str, pa.Array, np.ndarray[Any, Any]]]:
    """The float arrays inside a column, each with its path and the row of every value."""
    if pa.types.is_floating(array.type):
        yield path, array, rows
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _floats(f"{path}[]", array.flatten(), rows[np.asarray(pc.list_parent_indices(array))])
    elif pa.types.is_fixed_size_list(array.type):
        whole = np.asarray(array.is_valid())
        yield from _floats(f"{path}[]", array.flatten(), np.repeat(rows[whole], array.type.list_size))
    elif pa.types.is_struct(array.type):
        for inner in array.type:
            yield from _floats(f"{path}.{inner.name}", pc.struct_field(array, inner.name), rows)


def _note(rows: _Rows, seen: dict[int, str]) -> None:
    for number, text in enumerate(_texts(rows.batch.column("problem").to_pylist())):
        if text:
            digest = xxhash.xxh3_128_intdigest(text.encode())
            if digest not in seen:
                seen[digest] = rows.name(number)


def _texts(problems: Iterable[Any]) -> Iterator[str]:
    """The problems with folded case and single spaces; "" for null."""
    return (" ".join(str(problem).casefold().split()) if problem is not None else "" for problem in problems)
