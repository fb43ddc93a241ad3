"""The record of a build: the files in its folder that say what it builds and how far it is.

Not here: writing them. Reading them loads no other library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn

RUN = "run"
RECORD = "build.json"
SELECTED = "selection.json"
PROVENANCE = "provenance.json"
# Of build.json and provenance.json. It goes up when a folder under run/, a column or a field of these files
# gets another name or meaning. Records of format 1 name none.
FORMAT = 2
LOCK = "lock"
# What reading a record raises where it is torn, or where something else wrote it.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def record_of(folder: Path) -> dict[str, Any]:
    """The record of the build in `folder`.

    Raises BadInput where there is none, or where an older or a newer version of magpie_hf wrote it; Torn
    where it cannot be read.
    """
    _check_there(folder)
    try:
        record: dict[str, Any] = json.loads((folder / RUN / RECORD).read_text(encoding="utf-8"))
        check_format(folder, record)
    except BadInput:
        raise
    except UNREADABLE as error:
        raise unreadable(folder, error) from error
    return dict(record)


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
    """Raises BadInput where the folder holds no build."""
    if (folder / RUN / RECORD).is_file():
        return
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
        return int(json.loads((folder / RUN / PROVENANCE).read_text(encoding="utf-8")).get("format", 0))
    except UNREADABLE:
        return 0
