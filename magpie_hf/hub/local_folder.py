"""What is published, as a local folder: written beside it and then renamed.

Not here: which files those are (release.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from magpie_hf.errors import BadInput
from magpie_hf.hub.builds import Build, stated
from magpie_hf.store.manifest import (
    MANIFEST,
    Changes,
    Content,
    Sum,
    There,
    changes,
    read_manifest,
    sum_of,
    with_manifest,
)
from magpie_hf.store.scratch import scratch_folder


def to_folder(
    files: Mapping[str, Content],
    folder: Path,
    known: Mapping[str, Sum] | None = None,
    builds: Sequence[Build] = (),
) -> Changes:
    """Write what `push` would publish into a local folder, and return what that changed.

    `load_dataset` reads the folder. known: the checksums of files that need not be computed again, by path.
    builds: those that the files are of. The files are copied beside the folder and then renamed, so that no
    reader sees a part of them. Raises
    BadInput where the folder holds files that no earlier call wrote, or that were changed since; and where
    a file is not what `known` says.
    """
    folder = folder.resolve()
    contents, sums = with_manifest(files, known, stated(files, builds))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(
            folder.parent, f".magpie-{folder.name}-", lambda left: _put_back(folder, left)
        ) as aside:
            before = _earlier(folder)
            if folder == Path.cwd():
                raise BadInput(
                    f"{folder} is the folder that you are in, and would be replaced under your feet; give"
                    " another"
                )
            there = {path: There(one.size, one.sha256) for path, one in _sums(folder, before).items()}
            change = changes(sums, there, before)
            if not change.none:
                _write(contents, sums, aside / "new")
                _swap(aside, folder)
            return change
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror}); choose another folder") from error


def _put_back(folder: Path, aside: Path) -> None:
    """Undo the first rename of `_swap` where a process was killed before the second."""
    if not folder.exists() and (aside / "old").is_dir():
        (aside / "old").rename(folder)


def _swap(aside: Path, folder: Path) -> None:
    try:
        if folder.exists():
            folder.rename(aside / "old")
        (aside / "new").rename(folder)
    except OSError as error:
        if (aside / "old").exists():
            (aside / "old").rename(folder)
        raise BadInput(f"{folder} cannot be replaced ({error.strerror}); choose another folder") from error


def _earlier(folder: Path) -> dict[str, Sum] | None:
    """The checksums that an earlier call wrote down; None where the folder is missing or empty.

    Raises BadInput for a folder with other files, without reading them.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder; choose another")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    before = read_manifest((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else None
    if before is None:
        raise BadInput(f"{folder} holds other files; choose an empty or a new folder")
    return before


def _sums(folder: Path, before: Mapping[str, Sum] | None) -> dict[str, Sum]:
    """The checksums of the files in the folder. Raises BadInput where they differ from `before`."""
    if before is None:
        return {}
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    if others := sorted(set(paths) - set(before) - {MANIFEST}):
        raise BadInput(f"{folder} holds other files, such as {others[0]}; choose an empty or a new folder")
    sums = {path: sum_of(folder / path) for path in paths}
    if others := [path for path in paths if path != MANIFEST and sums[path] != before[path]]:
        raise BadInput(
            f"{folder} was changed since it was written ({others[0]}); choose an empty or a new folder"
        )
    return sums


def _write(contents: Mapping[str, Content], sums: Mapping[str, Sum], folder: Path) -> None:
    """Write the files into a new folder. Raises BadInput where a copy has other checksums than `sums`."""
    for path, content in contents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
            continue
        shutil.copyfile(content, file)
        if sum_of(file) != sums[path]:
            raise BadInput(f"{content} was changed while it was published; run the build again, then publish")
