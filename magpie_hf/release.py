"""What of a build's folder is published: the card and the files that it names; also as a local folder. Not here: the Hub."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from magpie_hf.errors import BadInput
from magpie_hf.manifest import MANIFEST, Changes, Content, Sum, There, changes, read_manifest, sum_of, with_manifest
from magpie_hf.status import Status, status

README = "README.md"
PLACEHOLDER = "path/or/name"  # what a build's card says in load_dataset, as it does not know where it will lie


@contextmanager
def released(folder: Path, repo: str) -> Iterator[dict[str, Content]]:
    """What is published of the build in `folder` as `repo`, path -> file or bytes; no build can begin there meanwhile.

    That is README.md, whose example then loads `repo`, and the parquet files of its configs. Left out: `run/`, which is the record of a
    build and no data; the original scripts' JSON files (`*_ins*.json`, `dataset_info.json`), whose rows all stand in the parquet files, and
    which a reader without configs would take for data of their own.

    Raises BadInput where no build is, where one runs or is not finished, or where files are missing or were changed.
    """
    status(folder)
    with _kept_still(folder):
        state = status(folder)
        if not state.finished:
            raise BadInput(f"the build in {folder} is not finished ({_missing(state)}); run it again, then publish")
        text = _card(folder)
        sizes = json.loads((folder / "run" / "build.json").read_text(encoding="utf-8")).get("files", {})
        files: dict[str, Content] = {}
        for path in _data_files(folder, text):
            file = folder / path
            if not file.is_file() or file.stat().st_size != sizes.get(path):
                raise BadInput(f"{file} is missing or was changed since it was built; run the build again, then publish")
            files[path] = file
        yield {**files, README: text.replace(PLACEHOLDER, repo).encode()}


@contextmanager
def _kept_still(folder: Path) -> Iterator[None]:
    """Keep builds out of the folder, by the lock that they take; others may read it, too."""
    file = folder / "run" / "lock"
    if not file.is_file():
        raise BadInput(f"{file} is missing; run the build again, then publish")
    with file.open(encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"a build is running in {folder} ({lock.read().strip()}); wait for it, then publish") from error
        yield


def _missing(state: Status) -> str:
    """What a build lacks, in a few words."""
    short = [f"{one.domain}: {one.accepted:,} of {one.target:,} problems accepted" for one in state.harvest if one.accepted < one.target]
    rows = [
        f"{one.domain} {one.label}: {one.rows:,} of {one.wanted:,} rows"
        for one in state.stages
        if one.wanted is not None and one.rows < one.wanted
    ]
    return "; ".join([*short, *rows][:6]) or "its files are not written yet"


def _card(folder: Path) -> str:
    try:
        return (folder / README).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder / README} cannot be read ({error.strerror}); run the build again, then publish") from error


def _data_files(folder: Path, card: str) -> list[str]:
    """The files that the card's configs name."""
    parts = card.split("---\n", 2)
    try:
        metadata: dict[str, Any] = yaml.safe_load(parts[1])
        named = [split["path"] for config in metadata["configs"] for split in config["data_files"]]
        paths = sorted({path for one in named for path in ([one] if isinstance(one, str) else one)})
        fit = bool(paths) and all(not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts for path in paths)
    except (yaml.YAMLError, IndexError, KeyError, TypeError):
        fit = False
    if not fit:
        raise BadInput(f"{folder / README} names no data files of this folder, so it is no finished build's; run the build again")
    return paths


def rows_of(files: Mapping[str, Content]) -> dict[str, int]:
    """How many rows each parquet file holds, by its path."""
    import pyarrow.parquet as pq

    parquet = {path: file for path, file in files.items() if isinstance(file, Path) and file.suffix == ".parquet"}
    return {path: int(pq.read_metadata(file).num_rows) for path, file in parquet.items()}


def to_folder(files: Mapping[str, Content], folder: Path) -> Changes:
    """Write what `hub.push` would publish into a local folder, which `load_dataset` reads; what that changed.

    The files are copied aside and the folder takes their place by a rename, so it is never seen half written. Raises BadInput where it
    holds anything that an earlier call did not write as it is.
    """
    contents, sums = with_manifest(files)
    before = _earlier(folder)
    there = {path: There(one.size, one.sha256) for path, one in _sums(folder, before).items()}
    change = changes(sums, there, before)
    if change.none:
        return change
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".magpie-", dir=folder.parent))
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror}); choose another folder") from error
    try:
        _write(contents, aside / "new")
        _swap(aside, folder)
    finally:
        shutil.rmtree(aside)
    return change


def _swap(aside: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(aside / "old")
    try:
        (aside / "new").rename(folder)
    except OSError:
        if (aside / "old").exists():
            (aside / "old").rename(folder)
        raise


def _earlier(folder: Path) -> dict[str, Sum] | None:
    """What an earlier call wrote; None where nothing lies there. Raises BadInput for another's files, without reading them."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder; choose another")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    before = read_manifest((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else None
    if before is None:
        raise BadInput(f"{folder} holds other files; choose an empty or a new folder")
    return before


def _sums(folder: Path, before: Mapping[str, Sum] | None) -> dict[str, Sum]:
    """Checksums of what lies in the folder. Raises BadInput where that is not what `before` says."""
    if before is None:
        return {}
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    if others := sorted(set(paths) - set(before) - {MANIFEST}):
        raise BadInput(f"{folder} holds other files, such as {others[0]}; choose an empty or a new folder")
    sums = {path: sum_of(folder / path) for path in paths}
    if others := [path for path in paths if path != MANIFEST and sums[path] != before[path]]:
        raise BadInput(f"{folder} was changed since it was written ({others[0]}); choose an empty or a new folder")
    return sums


def _write(contents: Mapping[str, Content], folder: Path) -> None:
    for path, content in contents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
