"""The texts of benchmarks, read by `datasets` and pinned to a revision.

Not here: comparing (overlap.py).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.hub import failed, pin, unavailable
from magpie_hf.problems.benchmarks.names import READERS, Benchmark, Loaded, NotChecked


def load_benchmark(benchmark: Benchmark) -> Loaded | NotChecked:
    """The texts of a benchmark, pinned to the revision that was read, kept for the life of the process.

    NotChecked for one that is gated or out of reach, and for a preset that the Hub no longer has. Raises
    BadInput for one that does not exist or has no text column.
    """
    with _LOADING:
        if (kept := _LOADED.get(benchmark)) is not None:
            return kept
        if benchmark.is_local:
            pinned: Benchmark | NotChecked = _pinned_folder(benchmark)
        else:
            pinned = pin(benchmark)
        if isinstance(pinned, NotChecked):
            return pinned
        if (kept := _LOADED.get(pinned)) is not None:
            return kept
        splits = _local_splits(pinned) if pinned.is_local else _hub_splits(pinned)
        if isinstance(splits, NotChecked):
            return splits
        loaded = _read_files(pinned, splits) if isinstance(splits, list) else _read(pinned, splits)
        _LOADED[pinned] = loaded
        return loaded


def load_benchmarks(benchmarks: Iterable[Benchmark]) -> list[Loaded | NotChecked]:
    """What `load_benchmark` says of each, and the files of folders that hold no problems.

    A Hub that does not answer for one is not asked for the others.
    """
    found: list[Loaded | NotChecked] = []
    for benchmark in benchmarks:
        silent = next((one for one in found if isinstance(one, NotChecked) and one.offline), None)
        found.append(
            load_benchmark(benchmark)
            if silent is None or benchmark.is_local
            else replace(silent, name=benchmark.name)
        )
    return found + [unread for one in found if isinstance(one, Loaded) for unread in one.unread]


def loaded_again(benchmark: Benchmark) -> Loaded:
    """A pinned benchmark that was loaded before, maybe in another process.

    Raises BadInput where it cannot be loaded now.
    """
    loaded = load_benchmark(benchmark)
    if not isinstance(loaded, Loaded):
        raise BadInput(
            f"the problem set {benchmark.name} could be loaded before, but cannot be now: {loaded.reason}"
        )
    return loaded


TEXT_COLUMNS = (
    "problem",
    "question",
    "prompt",
    "informal_statement",
    "query",
    "instruction",
    "input",
    "text",
)
_LOADED: dict[Benchmark, Loaded] = {}  # by pinned benchmark
_LOADING = threading.Lock()


def _pinned_folder(benchmark: Benchmark) -> Benchmark:
    place = Path(benchmark.source)
    if not place.exists():
        raise BadInput(
            f"the problem set {benchmark.source} does not exist any more; put it back, or leave it out"
        )
    files = [place] if place.is_file() else _files(place)
    digest = hashlib.sha256()
    for file in files:
        name = file.relative_to(place).as_posix() if file != place else file.suffix
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    revision = f"sha256:{digest.hexdigest()[:40]}"
    if benchmark.revision not in (None, revision):
        raise BadInput(
            f"the problem set {benchmark.source} has changed since the build began; put it back, or begin"
            " anew"
        )
    return replace(benchmark, revision=revision)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def _local_splits(benchmark: Benchmark) -> Mapping[str, Any] | list[Path]:
    """What save_to_disk wrote, or the files of a folder; a file is a folder of one."""
    from datasets import Dataset, DatasetDict, load_from_disk

    place = Path(benchmark.source)
    if place.is_file():
        return [place]
    if not ((place / "dataset_dict.json").is_file() or (place / "state.json").is_file()):
        return [
            file for file in _files(place) if file.suffix.lower() not in _PROSE and file.stem != "LICENSE"
        ]
    try:
        found = load_from_disk(str(place))
    except (ValueError, OSError, RuntimeError) as error:
        raise BadInput(
            f"the problem set {benchmark.source} cannot be read ({_line(error)}); give a folder that"
            " load_dataset reads"
        ) from error
    splits: Mapping[str, Any] = DatasetDict({"test": found}) if isinstance(found, Dataset) else found
    return splits


_PROSE = (".md", ".txt")  # what comes with a benchmark


def _read_files(benchmark: Benchmark, files: list[Path]) -> Loaded:
    """A benchmark of files, each with columns of its own.

    Raises BadInput where none holds problems.
    """
    place = Path(benchmark.source)
    named = {
        "test" if file == place else file.relative_to(place).with_suffix("").as_posix(): file
        for file in files
    }
    chosen = benchmark.splits or tuple(named)
    _check_splits(benchmark, named)
    texts: list[str] = []
    rows: list[str] = []
    unread: list[NotChecked] = []
    for name in chosen:
        file = named[name]
        title = (
            benchmark.name if len(chosen) == 1 else f"{benchmark.name}/{file.relative_to(place).as_posix()}"
        )
        try:
            part = _read(replace(benchmark, name=title, splits=()), {name: _table(file)})
        except BadInput as error:
            if len(chosen) == 1:
                raise
            unread.append(NotChecked(title, str(error)))
        else:
            texts += part.texts
            rows += part.rows if len(chosen) == 1 else [f"{name}/{row}" for row in part.rows]
    if not texts:
        why = unread[0].reason if unread else "it holds no file"
        raise BadInput(
            f"the problem set {benchmark.source} cannot be read ({why}); give a folder that load_dataset"
            " reads"
        )
    return Loaded(benchmark, tuple(texts), tuple(rows), tuple(unread))


def _check_splits(benchmark: Benchmark, found: Iterable[str]) -> None:
    if missing := [name for name in benchmark.splits if name not in found]:
        raise BadInput(
            f"the problem set {benchmark.name} has no split {missing[0]!r}, only {', '.join(found)}; leave"
            " it out"
        )


def _table(file: Path) -> Any:
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    if file.suffix.lower() not in READERS:
        raise BadInput(f"{file.name} is no {', '.join(READERS)} file; convert it or leave it out")
    try:
        return load_dataset(READERS[file.suffix.lower()], data_files={"test": str(file)})["test"]
    # StopIteration: an empty file
    except (ValueError, OSError, RuntimeError, StopIteration, DatasetGenerationError) as error:
        raise BadInput(
            f"the problem set {file} cannot be read ({_line(error)}); mend it or leave it out"
        ) from error


def _hub_splits(benchmark: Benchmark) -> Mapping[str, Any] | NotChecked:
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    try:
        splits: Mapping[str, Any] = load_dataset(
            benchmark.source, benchmark.config, revision=benchmark.revision
        )
    except unavailable() as error:
        return failed(benchmark, error)
    except (ValueError, OSError, RuntimeError, DatasetGenerationError) as error:
        remedy = f"name a configuration, as in {benchmark.source}:CONFIG, or leave it out"
        raise BadInput(
            f"the problem set {benchmark.source} cannot be read ({_line(error)}); {remedy}"
        ) from error
    return splits


def _read(benchmark: Benchmark, splits: Mapping[str, Any]) -> Loaded:
    _check_splits(benchmark, splits)
    chosen = benchmark.splits or tuple(splits)
    texts: list[str] = []
    rows: list[str] = []
    for split in chosen:
        column = _text_column(benchmark, splits[split])
        for number, text in enumerate(splits[split].select_columns([column])[column]):
            if text and text.strip():
                texts.append(text)
                rows.append(str(number) if len(chosen) == 1 else f"{split}/{number}")
    if not texts:
        raise BadInput(f"the problem set {benchmark.name} holds no text; give another, or leave it out")
    return Loaded(benchmark, tuple(texts), tuple(rows))


def _text_column(benchmark: Benchmark, rows: Any) -> str:
    """The text column: the one that was named, or the first known name.

    Raises BadInput where there is none.
    """
    texts = {
        name
        for name, feature in rows.features.items()
        if getattr(feature, "dtype", None) in ("string", "large_string")
    }
    known = {name.lower(): name for name in sorted(texts, reverse=True)}
    found = benchmark.column if benchmark.column in texts else None
    if benchmark.column is None:
        found = next((known[name] for name in TEXT_COLUMNS if name in known), None)
    if found is None:
        wanted = (
            f"column {benchmark.column!r} of texts"
            if benchmark.column
            else "column of texts that is known by its name"
        )
        raise BadInput(
            f"the problem set {benchmark.name} has no {wanted}; its columns are"
            f" {', '.join(rows.column_names)}:"
            f" name one of them, as in {benchmark.source if not benchmark.is_local else 'PATH'}#COLUMN"
        )
    return found


def _line(error: BaseException) -> str:
    """The first line of an error's text, shortened."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
