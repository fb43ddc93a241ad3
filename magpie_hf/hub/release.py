"""The files of a build that are published: data, card, licence and plots.

Not here: the Hub (push.py), and the local folder that holds them (local_folder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from magpie_hf.hub.builds import Build, beside, build_of, in_order, joined, renamed
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
    Content,
    Sum,
    sum_of,
)
from magpie_hf.store.records import LOCK, RUN, SAMPLES, check_is_build, record_of
from magpie_hf.store.scratch import scratch_folder
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
            scratch = held.enter_context(scratch_folder(folder / RUN, PARTIAL))
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
            aside = held.enter_context(scratch_folder(folder / RUN, PARTIAL))
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
