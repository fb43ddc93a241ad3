"""The record of a build: the files in its folder that say whose and how far it is, read without loading
anything.

Not here: writing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn

RUN = "run"
RECORD = "build.json"
SELECTED = "selection.json"
PROVENANCE = "provenance.json"
FORMAT = 1  # of provenance.json; goes up when a card needs something else
LOCK = "lock"
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)  # what reading a record raises that is torn, or another's


def record_of(folder: Path) -> dict[str, Any]:
    """The record of the build in `folder`.

    Raises BadInput where there is none, and where a newer version of magpie_hf wrote it; Torn where it cannot
    be read.
    """
    from importlib.metadata import version  # slow to load, and build --help needs none of it

    _check_there(folder)
    try:
        record = json.loads((folder / RUN / RECORD).read_text(encoding="utf-8"))
        made_by, mine = str(record.get("magpie_hf", "")), version("magpie-hf")
        facts = _format(folder)
        newer = _numbers(made_by) > _numbers(mine) or facts > FORMAT
    except UNREADABLE as error:
        raise unreadable(folder, error) from error
    if newer:
        theirs, ours = f"{made_by}, format {facts}", f"{mine}, format {FORMAT}"
        raise BadInput(
            f"{folder} was made by a newer version of magpie_hf ({theirs}; this is {ours}); update magpie_hf"
        )
    return dict(record)


def unreadable(folder: Path, error: Exception) -> Torn:
    """What to raise where the record turns out to be torn, or not what this version writes."""
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


def _format(folder: Path) -> int:
    """Of the facts, where they are there already and whole."""
    try:
        return int(json.loads((folder / RUN / PROVENANCE).read_text(encoding="utf-8")).get("format", 0))
    except UNREADABLE:
        return 0
