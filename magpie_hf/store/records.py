"""The record of a build: the files in its folder that say what it builds and how far it is.

Not here: writing them. Reading them loads no other library.

A record holds a checksum of its content and its place: one with a flipped byte, or one that lies in another's
place, is torn. Those of earlier versions have none.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn
from magpie_hf.text.language import tr

RUN = "run"
RECORD = "build.json"
SELECTED = "selection.json"
SAMPLES = "samples.json"
PROVENANCE = "provenance.json"
STAGE = "stage.json"
CHECKSUM = "checksum"
_OF_SHARD = {"rows", "seconds", "tokens", "reasons"}
# Of build.json and provenance.json. It goes up when a folder under run/, a column or a field of these files
# gets another name or meaning. Records of format 1 name none.
FORMAT = 2
LOCK = "lock"
CALIBRATED = "calibration.json"  # in the run of a calibration, and of builds by the same solver
CALIBRATION = "calibration"  # the purpose of a folder that holds one; a build's record names no purpose
# What reading a record raises where it is torn, or where something else wrote it.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def read_record(file: Path) -> dict[str, Any]:
    """The record in a JSON file.

    Raises FileNotFoundError where there is none, and Torn where it cannot be read, is no JSON object, or is
    not what was written there.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise torn(file, type(error).__name__) from error
    if not isinstance(record, dict):
        raise torn(file, tr("no JSON object"))
    if record.pop(CHECKSUM, None) not in (None, checksum(file, record)):
        raise torn(file, tr("its checksum does not fit"))
    return record


def checksum(file: Path, record: Mapping[str, Any]) -> str:
    """The checksum of what a JSON file holds, and of its place below the build's folder."""
    place = file.parts[-3 if file.name == STAGE else -1 :]
    content = json.dumps([place, record], sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(content.encode()):08x}"


def torn(file: Path, why: str) -> Torn:
    return Torn(f"{file} cannot be read ({why}); run the build again, which repairs it")


def stage_record(folder: Path) -> dict[str, Any] | None:
    """The record of a stage's folder; None where there is none. Raises Torn as `read_record` does."""
    try:
        record = read_record(folder / STAGE)
    except FileNotFoundError:
        return None
    if not _is_of_stage(record):
        raise torn(folder / STAGE, tr("not what a build writes"))
    return record


def _is_of_stage(record: Mapping[str, Any]) -> bool:
    shards = record.get("shards")
    return (
        isinstance(record.get("stage"), dict)
        and isinstance(record.get("reads"), list)
        and isinstance(shards, dict)
        and all(isinstance(shard, dict) and shard.keys() >= _OF_SHARD for shard in shards.values())
    )


def record_of(folder: Path) -> dict[str, Any]:
    """The record of the build in `folder`.

    Raises BadInput where there is none, or where an older or a newer version of magpie_hf wrote it; Torn
    where it cannot be read.
    """
    _check_there(folder)
    try:
        record = read_record(folder / RUN / RECORD)
        check_format(folder, record)
    except BadInput:
        raise
    except UNREADABLE as error:
        raise unreadable(folder, error) from error
    return record


def check_is_build(folder: Path, record: Mapping[str, Any]) -> None:
    """Raises BadInput where a calibration was run in the folder, which has no rows for a dataset."""
    if record.get("purpose") == CALIBRATION:
        raise BadInput(
            f"{folder} holds a calibration, and no build; for what it found in a card, give it to build as"
            " --calibration"
        )


def check_format(folder: Path, record: Mapping[str, Any]) -> None:
    """Raises BadInput where an older or a newer version of magpie_hf wrote this record of `folder`."""
    from importlib.metadata import version  # slow to load, and build --help needs none of it

    own, made_by, mine = int(record.get("format", 1)), str(record.get("magpie_hf", "")), version("magpie-hf")
    if own < FORMAT and "seed" in record:  # a torn record may lack everything
        raise BadInput(
            f"{folder} was made by an older version of magpie_hf: this version reads format {FORMAT}, not"
            f" format {own}; choose another --out, or use the version that made it"
        )
    newest = max(own, _format_of_provenance(folder))
    if _numbers(made_by) > _numbers(mine) or newest > FORMAT:
        theirs, ours = f"{made_by}, format {newest}", f"{mine}, format {FORMAT}"
        raise BadInput(
            f"{folder} was made by a newer version of magpie_hf ({theirs}; this is {ours}); update magpie_hf"
        )


def unreadable(folder: Path, error: Exception) -> Torn:
    """The error for a record that is torn, or is not what this version writes."""
    return Torn(
        f"the record in {folder / RUN} cannot be read ({type(error).__name__}: {error}); run the build again,"
        " with the version of magpie_hf that began it"
    )


def _check_there(folder: Path) -> None:
    """Raises BadInput where the folder holds no build, and Torn where its record is lost alone."""
    if (folder / RUN / RECORD).is_file():
        return
    if (folder / RUN / PROVENANCE).is_file():
        raise torn(folder / RUN / RECORD, "FileNotFoundError")
    if not folder.exists():
        raise BadInput(f"{folder} does not exist; give the --out folder of a build")
    if not folder.is_dir():
        raise BadInput(f"{folder} is a file; give the --out folder of a build")
    if not any(folder.iterdir()):
        raise BadInput(f"{folder} is empty; give the --out folder of a build")
    raise BadInput(f"{folder} holds no build (no run/build.json); give the --out folder of a build")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def _format_of_provenance(folder: Path) -> int:
    """The format of provenance.json; 0 where it is not written yet, or is torn."""
    try:
        return int(read_record(folder / RUN / PROVENANCE).get("format", 0))
    except UNREADABLE:
        return 0
