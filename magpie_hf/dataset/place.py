"""Where a build can be made: in a new or an empty folder, and in one that holds the same build.

Not here: what a build's folder holds (folder.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.recipe import Recipe
from magpie_hf.store.own_rows import is_own
from magpie_hf.store.records import LOCK


def has_others(folder: Path, run: Path) -> bool:
    """Whether the folder holds anything besides the run of a build.

    Raises BadInput where nothing can be written there; leaves nothing behind.
    """
    try:
        ground = next(
            path
            for path in (folder.absolute(), *folder.absolute().parents)
            if path.exists() or path.is_symlink()
        )
        if not ground.is_dir():
            raise BadInput(f"{ground} is no folder, so {folder} cannot be one; choose another --out")
        probe = Path(tempfile.mkdtemp(prefix=".magpie-", dir=ground))
        try:
            (probe / folder.name).is_dir()  # a name that is too long fails here
        finally:
            probe.rmdir()
        return folder.is_dir() and any(file != run for file in folder.iterdir())
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror}); choose another --out") from error


def is_begun(run: Path) -> bool:
    """Whether the run of a build holds more than locks and what a killed process was writing."""
    return run.is_dir() and any(
        file.name.partition(".")[0] != LOCK and file.suffix != ".tmp" for file in run.iterdir()
    )


def check_same(record: Mapping[str, Any], recipe: Recipe, purpose: str, folder: Path, run: Path) -> None:
    """Raises BadInput where the folder, whose record this is, holds another build than that of the recipe.

    record: empty where it is lost.
    """
    if record and is_own(run) != (recipe.problems is not None):
        if is_own(run):
            raise BadInput(
                f"{folder} holds a build of given problems; give --problems, or choose another --out"
            )
        raise BadInput(
            f"{folder} holds a build of sampled problems; leave out --problems or choose another --out"
        )
    if record.get("purpose", "") != purpose:
        if purpose:
            raise BadInput(f"{folder} holds a build, and no calibration; choose another --out")
        raise BadInput(f"{folder} holds a calibration, and no build; choose another --out")
    mine = {"model": recipe.generator.model.revision, "seed": recipe.seed}
    for what, value in mine.items():
        if value != record.get(what, value):
            name = f" ({record['name']})" if what == "model" else ""
            raise BadInput(
                f"{folder} holds another build: its {what} is {record[what]}{name}, not {value};"
                " choose another --out"
            )
