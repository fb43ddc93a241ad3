"""Rows of files: JSON, JSON lines, parquet and CSV, a few columns of them.

Not here: what the columns mean.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magpie_hf.errors import BadInput

SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")
Row = Mapping[str, Any]


def files_of(place: Path) -> list[Path]:
    """The file, or the files of a folder that hold rows, in the order of their names.

    Raises BadInput for a file of another kind, and for a folder without any.
    """
    if place.is_file():
        if place.suffix.lower() not in SUFFIXES:
            raise BadInput(f"{place} is no {', '.join(SUFFIXES)} file; convert it")
        return [place]
    found = sorted(file for file in place.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    found = [
        file for file in found if not any(part.startswith(".") for part in file.relative_to(place).parts)
    ]
    if not found:
        raise BadInput(f"{place} holds no {', '.join(SUFFIXES)} file; give another folder, or a file")
    return found


def digest_of(files: list[Path]) -> str:
    """`sha256:...` over the contents, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.suffix}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:40]}"


def rows_of(file: Path, columns: Collection[str]) -> Iterator[Row]:
    """The rows of a file, with these columns. Raises BadInput where it is torn, or lacks a column."""
    reader = {".parquet": _parquet, ".csv": _csv, ".json": _json}.get(file.suffix.lower(), _json_lines)
    try:
        yield from reader(file, columns)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error, RecursionError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        first = next(iter(str(error).splitlines()), "")[:120]
        raise BadInput(f"{file} cannot be read ({type(error).__name__}: {first}); write it again") from error


def check_columns(where: object, wanted: Collection[str], found: Collection[str]) -> None:
    """Raises BadInput where a column is missing, with those that there are, or stands twice."""
    if missing := [name for name in wanted if name not in found]:
        raise BadInput(
            f"{where} has no column {missing[0]!r}; its columns are {', '.join(map(str, found)) or 'none'}:"
            " name one of them"
        )
    if twice := [name for name in wanted if list(found).count(name) > 1]:
        raise BadInput(f"{where} has two columns {twice[0]!r}; rename one of them")


def _parquet(file: Path, columns: Collection[str]) -> Iterator[Row]:
    with pq.ParquetFile(file) as opened:
        check_columns(file, columns, opened.schema_arrow.names)
        for batch in opened.iter_batches(columns=list(columns)):
            yield from batch.to_pylist()


def _csv(file: Path, columns: Collection[str]) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        csv.field_size_limit(1 << 30)  # Python's own limit is 131,072 characters
        reader = csv.DictReader(stream, strict=True)
        check_columns(file, columns, reader.fieldnames or ())
        for row in reader:
            if None in row or None in row.values():
                raise BadInput(
                    f"line {reader.line_num} of {file} has not one value a column; put values with commas"
                    " into double quotes"
                )
            yield row


def _json(file: Path, columns: Collection[str]) -> Iterator[Row]:
    text = file.read_text(encoding="utf-8-sig")
    if text.lstrip()[:1] != "[":  # JSON lines under the other name
        yield from _json_lines(file, columns)
        return
    for number, row in enumerate(json.loads(text), 1):
        yield _checked(f"row {number} of {file}", row, columns)


def _json_lines(file: Path, columns: Collection[str]) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadInput(f"line {number} of {file} is no JSON ({error}); mend it") from error
            yield _checked(f"line {number} of {file}", row, columns)


def _checked(where: str, row: Any, columns: Collection[str]) -> Row:
    if not isinstance(row, dict):
        raise BadInput(f'{where} is no object with columns, as in {{"problem": "..."}}; mend it')
    check_columns(where, columns, row)
    return row
