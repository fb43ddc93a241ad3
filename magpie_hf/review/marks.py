"""Marks of people on rows: read from JSON lines, and kept in the folder of a build.

Not here: what a build does with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn, shortened
from magpie_hf.store import lock
from magpie_hf.store.records import RUN, UNREADABLE, read_record
from magpie_hf.store.shards import write_record

KEPT = "marks.json"
LOCK = "marks.lock"
GOOD, BAD = "good", "bad"
VALUES = (GOOD, BAD)
REVIEWED = "reviewed"  # the reason of an acceptable row that is dropped for its mark
WITHDRAWN = "withdrawn"  # of a mark that was taken before: the row has none any more
SHOWN = ("domain", "majority_share", "pair", "problem", "solution")  # of a sheet, for who reads it


@dataclass(frozen=True)
class Labels:
    """What the build said of a row when it was read.

    majority_share: None where there was no vote. pair: the kind of its pair, or why it has none. dropped: the
    reason of a sample that was not accepted.
    """

    domain: str
    majority_share: float | None = None
    pair: str | None = None
    dropped: str | None = None


@dataclass(frozen=True)
class Mark:
    """What a person says of a row, by whom, and when.

    mark: "good", "bad", "withdrawn" in a file alone, or None for a note without any.
    """

    id: str
    mark: str | None
    note: str = ""
    by: str | None = None
    at: str | None = None


@dataclass(frozen=True)
class Kept:
    """A mark in a build's folder, with what the build said of the row when it was first read."""

    mark: Mark
    labels: Labels


_FIELDS = tuple(field.name for field in fields(Mark))


def read_marks(file: Path) -> list[tuple[int, Mark]]:
    """The marks in a file of JSON lines, each with the number of its line.

    Lines without mark and note, as in a sheet that is not filled in, are left out. Raises BadInput for a file
    that cannot be read, and for a line that is torn or has another field or value.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: a text may hold U+2028
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is no UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); give a file of marks") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and (mark := _mark(file, number, line)) is not None:
            found.append((number, mark))
    if not found:
        raise BadInput(f"{file} holds no mark; mark rows in the report, or fill in a sheet")
    return found


def _mark(file: Path, number: int, line: str) -> Mark | None:
    """The mark in one line; None where it holds none yet."""
    try:
        stated = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"line {number} of {file} is no JSON, or torn; export the marks again") from error
    if not isinstance(stated, dict) or not isinstance(stated.get("id"), str):
        raise BadInput(f"line {number} of {file} is no object with an id; give id, mark and note")
    for name in stated.keys() - {*_FIELDS, *SHOWN}:
        raise BadInput(
            f"line {number} of {file} has the field {shortened(name)}; a mark has {', '.join(_FIELDS)}"
        )
    for name in ("note", "by", "at"):
        if not isinstance(stated.get(name, ""), str | None):
            raise BadInput(f"line {number} of {file}: its {name} is no text; write it in quotes")
        if not _is_text(stated.get(name) or ""):
            raise BadInput(f"line {number} of {file}: its {name} holds half a character; write it again")
    if stated.get("mark") not in (*VALUES, WITHDRAWN, "", None):
        said = shortened(json.dumps(stated["mark"], ensure_ascii=False))
        raise BadInput(f"line {number} of {file}: its mark is {said}; give good, bad or withdrawn")
    mark = Mark(
        stated["id"],
        stated.get("mark") or None,
        (stated.get("note") or "").strip(),
        stated.get("by") or None,
        stated.get("at") or None,
    )
    return mark if mark.mark or mark.note else None


def _is_text(value: str) -> bool:
    """Whether a value has no half of a pair of surrogates, which UTF-8 cannot write."""
    try:
        return value.encode() is not None
    except UnicodeEncodeError:
        return False


def write_marks(file: Path, marks: Iterable[Mark]) -> None:
    """Write marks as JSON lines, which `read_marks` and the report read."""
    lines = (json.dumps(asdict(mark), ensure_ascii=False) for mark in marks)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def kept_marks(run: Path) -> dict[str, Kept]:
    """The marks in the folder `run` of a build, by id. Raises BadInput where they cannot be read."""
    try:
        record = read_record(run / KEPT)
        return {
            name: Kept(Mark(name, **one["mark"]), Labels(**one["labels"]))
            for name, one in record["marks"].items()
        }
    except FileNotFoundError:
        return {}
    # A build that went on without them would publish what people marked bad.
    except (Torn, *UNREADABLE) as error:
        raise BadInput(
            f"{run / KEPT} is torn, and without it the rows that are marked bad would come back; remove"
            " it, and take the marks again with magpie-hf review"
        ) from error


def bad_rows(run: Path) -> tuple[str, ...]:
    """The ids of all rows that are marked bad, in order; dropped ones, too, as they may be accepted later."""
    return tuple(sorted(name for name, one in kept_marks(run).items() if one.mark.mark == BAD))


@dataclass(frozen=True)
class Taken:
    """What came of new marks: how many rows got their first, and (before, after) of those that changed.

    A mark that was withdrawn has neither good nor bad nor a note after.
    """

    new: int
    changed: tuple[tuple[Mark, Mark], ...]


def take(folder: Path, marks: Sequence[Mark], labels: Mapping[str, Labels]) -> Taken:
    """Add marks to those in the folder of a build, at once or not at all; of a row, the last one counts.

    A mark without good or bad adds its note alone; one without a note keeps that of the same mark before; one
    that is withdrawn leaves its note, or nothing. One without a time gets that of now. labels: of all marked
    rows, as the build has them now; a row that was read while it was accepted keeps its own. Raises BadInput
    where another command takes marks.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # as a browser writes
    run = folder / RUN
    try:
        with lock.exclusive(run / LOCK):
            kept = kept_marks(run)
            merged, before = dict(kept), {name: one.mark for name, one in kept.items()}
            for mark in marks:
                known = merged.pop(mark.id, None)
                after = _after(known.mark if known else None, replace(mark, at=mark.at or now))
                if after is not None:
                    merged[mark.id] = Kept(after, _read(mark.id, kept, labels))
            if merged != kept:
                write_record(run / KEPT, {"marks": {name: _plain(one) for name, one in merged.items()}})
    except lock.Taken as taken:
        raise BadInput(f"another command takes marks in {folder} ({taken}); try again") from taken
    then = {name: merged[name].mark if name in merged else Mark(name, None) for name in before}
    changed = [
        (one, then[name])
        for name, one in before.items()
        if (one.mark, one.note) != (then[name].mark, then[name].note)
    ]
    return Taken(len(merged.keys() - kept.keys()), tuple(changed))


def _after(before: Mark | None, mark: Mark) -> Mark | None:
    """The mark of a row after a new one; None where it has none any more."""
    if mark.mark == WITHDRAWN:
        return replace(mark, mark=None) if mark.note else None
    if before is None:
        return mark
    if mark.mark is None:
        return replace(mark, mark=before.mark)
    return replace(mark, note=mark.note or before.note) if mark.mark == before.mark else mark


def _read(name: str, kept: Mapping[str, Kept], labels: Mapping[str, Labels]) -> Labels:
    """What the build said of a row when it was first read; of one dropped then and accepted now, says now."""
    if name not in kept:
        return labels[name]
    then, now = kept[name].labels, labels.get(name)
    return now if then.dropped is not None and now is not None and now.dropped is None else then


def _plain(one: Kept) -> dict[str, Any]:
    mark = {name: value for name, value in asdict(one.mark).items() if name != "id"}
    return {"mark": mark, "labels": asdict(one.labels)}
