"""The files of a build that are published: data, card, licence and plots; also as a local folder.

Not here: the Hub.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from magpie_hf.card import card
from magpie_hf.card.stats import with_rows
from magpie_hf.card.wording import Wording
from magpie_hf.dataset.folder import PARTIAL, Folder
from magpie_hf.dataset.parquet import data_in, write_data
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.errors import BadInput
from magpie_hf.hub.builds import Build, beside, build_of, in_order, joined, renamed, stated
from magpie_hf.hub.lint.card import lint_card
from magpie_hf.hub.lint.numbers import lint_numbers
from magpie_hf.hub.lint.rows import lint_rows
from magpie_hf.hub.remote import Say
from magpie_hf.models.data_licence import contradictions, licence_in, licence_with
from magpie_hf.models.licences import licences_for
from magpie_hf.review.marks import bad_rows
from magpie_hf.run.status import Status, status
from magpie_hf.schema import CANDIDATES_CONFIG
from magpie_hf.store import lock
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
from magpie_hf.store.records import LOCK, RUN, SAMPLES, check_is_build, record_of
from magpie_hf.store.splits import rows_of
from magpie_hf.text.language import tr


class Release(NamedTuple):
    """What is published: the files and the checksums of the data, by path in the repository, and the builds
    that they are of: this one, and those that are there already and stay.
    """

    files: dict[str, Content]
    sums: dict[str, Sum]
    build: Build
    kept: Sequence[Build] = ()
    order: Sequence[Build] = ()


@dataclass(frozen=True)
class Remote:
    """What the repository holds already: builds that may stay, and the own words in its card.

    download: writes the data files of builds into a folder. edited: whether the words were changed there.
    overwrite: whether they may be replaced all the same.
    """

    builds: Sequence[Build]
    download: Callable[[Sequence[Build], Path], None]
    words: str
    edited: bool
    overwrite: bool


@contextmanager
def released(
    folder: Path,
    repo: str,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
    look: Callable[[], Remote | None] = lambda: None,
) -> Iterator[Release]:
    """What is published of the build in `folder` as `repo`.

    The files are the card with its plots, LICENSE, the recipe file, and the parquet files of all
    configurations. Left out are `run/`, which holds the record of the build, and the JSON files of the
    original scripts (`*_ins*.json`, `dataset_info.json`): their rows are in the parquet files, and a reader
    that ignores the configurations would load them, too. partial: publish the finished part of a build that
    is not finished. say: called with a line for each model whose licence the data's contradicts. look: reads
    what the repository holds: builds to publish this one beside, whose files are then part of the release,
    and own words for the card. No build can start in the folder meanwhile.

    Raises BadInput where the folder holds no build, or one that runs or is not finished (without `partial`);
    for files that are missing or were changed; for rows that people marked bad; for a model whose licence is
    not known; and for rows or a card that fail the checks.
    """
    status(folder)
    with ExitStack() as held:
        held.enter_context(_kept_still(folder))
        check_is_build(folder, record_of(folder))
        state = status(folder)
        if state.finished:
            contents, unfinished = _finished(folder), None
        elif partial:
            scratch = held.enter_context(_scratch(folder / RUN, PARTIAL))
            contents, unfinished = _part(folder, scratch)
        else:
            raise BadInput(
                f"the build in {folder} is not finished ({_missing(state)}); run it again, then publish, or"
                " publish what is, with --partial"
            )
        _check_marks(folder, contents)
        wording = wording or Wording()
        licences = {
            name: asdict(one)
            for name, one in licences_for(contents.provenance["models"], wording.licences).items()
        }
        if wording.licence is not None:
            own = contents.provenance.get("own_problems", {})
            licence = licence_with(own.get("licence"), wording.licence, own.get("source", ""))
            provenance = {**contents.provenance, "licence": asdict(licence)}
            contents = replace(contents, provenance=provenance)
        made_by = [
            {**model, "licence": licences.get(model["name"]) or model["licence"]}
            for model in contents.provenance["models"]
        ]
        for line in contradictions(licence_in(contents.provenance), made_by):
            say(line)
        build = build_of(contents, unfinished)
        there = look()
        others = there if there and there.builds else None
        kept = beside(repo, others.builds, build) if others else []
        if others and kept:
            aside = held.enter_context(_scratch(folder / RUN, PARTIAL))
            contents = renamed(contents, kept, aside / "renamed")
            build = build_of(contents, unfinished)
            others.download(kept, aside / "theirs")
        builds = in_order(others.builds, kept, build) if others else (build,)
        if kept:
            contents = joined(builds, build, contents, aside / "theirs")
        text = card.files(
            contents,
            repo,
            language=wording.language,
            template=wording.template,
            licences=licences,
            unfinished={
                domain: (had, target) for one in builds for domain, (had, target) in one.unfinished.items()
            },
            words=_words(folder, repo, there, say),
        )
        files: dict[str, Content] = {**contents.files, **text}
        _check(files, contents)
        yield Release(files, contents.sums, build, kept, builds)


def _finished(folder: Path) -> card.Contents:
    """The contents of a finished build. Raises BadInput where its files are not those that it wrote."""
    sums: dict[str, str] = record_of(folder).get("sums", {})
    built = {
        path: digest
        for path, digest in sums.items()
        if path.endswith(".parquet") and path.count("/") == 1  # not run/dropped
    }
    if not built:
        raise BadInput(
            f"the record of the build in {folder} lists no files; run the build again, then publish"
        )
    contents = Folder(folder).contents(folder / path for path in built)
    odd = [path for path in built if not (folder / path).is_file()]
    if odd := odd or [path for path, digest in built.items() if contents.sums[path].sha256 != digest]:
        raise BadInput(
            f"{folder / odd[0]} is missing or was changed since it was built; run the build again, then"
            " publish"
        )
    counted = folder / RUN / SAMPLES
    if record_of(folder).get("samples") != sum_of(counted).sha256:
        raise BadInput(f"{counted} was changed since it was built; run the build again, then publish")
    return contents


def _check_marks(folder: Path, contents: card.Contents) -> None:
    """Raises BadInput where the contents hold rows that are marked bad."""
    bad = set(bad_rows(folder / RUN))
    splits = contents.data.get(CANDIDATES_CONFIG, {}).values() if bad else ()
    if count := sum(row["id"] in bad for split in splits for row in rows_of(split, ("id",))):
        raise BadInput(
            f"{folder} still has {count:,} rows that are marked bad; run the build again, which drops"
            " them, then publish"
        )


def _part(folder: Path, scratch: Path) -> tuple[card.Contents, dict[str, tuple[int, int]]]:
    """The contents of the finished part of a build, and by domain (problems so far, target)."""
    part = finished_part(folder / RUN, scratch)
    data = with_rows(part.splits)
    if not any(domain in data for domain in part.targets):
        raise BadInput(
            f"no row of the build in {folder} went through every stage yet ({_missing(status(folder))}); run"
            " it again"
        )
    to = scratch / "data"
    to.mkdir()
    write_data(data, to)
    provenance = Folder(folder).provenance
    done = {domain: (part.samples[domain].accepted, target) for domain, target in part.targets.items()}
    return card.Contents(provenance, part.samples, data_in(to.glob("*/*"), provenance)), done


def _words(folder: Path, repo: str, there: Remote | None, say: Say) -> str:
    """The own words of the card: those in the folder's, or those in the repository's."""
    built = Folder(folder)
    if built.card_was_edited:
        say(
            tr(
                "{file} was changed outside the place for your own words, and the card is written anew: that"
                " change is not published",
                file=folder / card.README,
            )
        )
    mine, theirs = built.own_words, there.words if there else ""
    if there is not None and bool(mine) != bool(theirs) and (theirs or there.edited):
        say(
            tr(
                "the card has your own words from {place}; to publish it without, remove them in {folder} and"
                " in {repo}",
                place=repo if theirs else folder / card.README,
                folder=folder / card.README,
                repo=repo,
            )
        )
    if there is None or not theirs or not mine or mine == theirs:
        return mine or theirs
    if there.edited and not there.overwrite:
        raise BadInput(
            f"your own words in the card of {repo} and in {folder / card.README} differ; make them the same,"
            " or give --overwrite to publish those of the folder"
        )
    say(tr("the own words in the card of {repo} are replaced by those of the folder", repo=repo))
    return mine


def _check(files: Mapping[str, Content], contents: card.Contents) -> None:
    """Raises BadInput where the rows would harm training, or where the Hub would refuse the card."""
    text = files[card.README]
    others = {path: file for path, file in files.items() if path != card.README}
    rows = lint_rows({path: file for path, file in others.items() if isinstance(file, Path)})
    problems = {domain: tally.funnel.problems for domain, tally in contents.tallies.items()}
    faults = [
        *rows,
        *lint_numbers(contents.samples, problems),
        *lint_card(text.decode() if isinstance(text, bytes) else text.read_text(encoding="utf-8"), others),
    ]
    if faults:
        listed = "; ".join(faults[:3])
        if more := len(faults[3:]):
            listed = tr("{listed} (and {more:,} more)", listed=listed, more=more)
        raise BadInput(f"this would do harm where it is loaded: {listed}; nothing was published")


@contextmanager
def _scratch(
    parent: Path, prefix: str, mend: Callable[[Path], None] = lambda leftover: None
) -> Iterator[Path]:
    """A new folder that is removed in the end.

    Folders that killed processes left are removed now, each after a call of `mend` with it.
    """
    for leftover in parent.glob(f"{prefix}*"):
        # Taken: a process works there. FileNotFoundError: it has just removed the folder.
        with suppress(lock.Taken, FileNotFoundError), lock.exclusive(leftover / LOCK):
            mend(leftover)
            shutil.rmtree(leftover)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as scratch,
        lock.exclusive(Path(scratch) / LOCK),
    ):
        yield Path(scratch)


@contextmanager
def _kept_still(folder: Path) -> Iterator[None]:
    """Keep builds out of the folder with a shared lock, so that others can publish at the same time."""
    file = folder / RUN / LOCK
    if not file.is_file():
        raise BadInput(f"{file} is missing; run the build again, then publish")
    with ExitStack() as held:
        try:
            held.enter_context(lock.shared(file))
        except lock.Taken as taken:
            raise BadInput(f"a build is running in {folder} ({taken}); wait for it, then publish") from taken
        yield


def _missing(state: Status) -> str:
    """What is missing until a build is finished, in a few words."""
    short = [
        tr(
            "{domain}: {count:,} of {target:,} problems accepted",
            domain=one.domain,
            count=one.accepted,
            target=one.target,
        )
        for one in state.selection
        if one.accepted < one.target
    ]
    rows = [
        tr(
            "{domain} {label}: {count:,} of {wanted:,} rows",
            domain=one.domain,
            label=one.label,
            count=one.rows,
            wanted=one.wanted,
        )
        for one in state.stages
        if one.wanted is not None and one.rows < one.wanted
    ]
    return "; ".join([*short, *rows][:6]) or tr("its files are not written yet")


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
        with _scratch(
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
