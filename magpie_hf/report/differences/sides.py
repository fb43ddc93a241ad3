"""One side of a comparison: the published files of a folder, or of a dataset on the Hub at a revision.

Not here: comparing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from magpie_hf.dataset.folder import Folder
from magpie_hf.errors import BadInput, HubError
from magpie_hf.hub.builds import Build, Unreadable, builds_in
from magpie_hf.hub.remote import KIND, Say, check_names
from magpie_hf.hub.retry import one_line, refusal, retried
from magpie_hf.store.manifest import MANIFEST, sum_of
from magpie_hf.store.records import PROVENANCE, RUN, SAMPLES, read_record, record_of
from magpie_hf.store.splits import ParquetSplit
from magpie_hf.text.language import tr

_OF_HUB = re.compile(r"(?:hf://datasets/)?(?P<repo>[^/@:]+/[^/@:]+)(?:@(?P<revision>[^@\s]+))?")
# As a build writes them, "algebra/train_sft-00000-of-00001.parquet"; several builds in one repository have
# their domains in the name of a file of `candidates`, as "train.algebra-00000-of-00001.parquet".
_DATA = re.compile(r"(?P<config>[^/]+)/(?P<split>[^/.-]+)[^/]*-of-\d+\.parquet")
Place = tuple[str, str]  # a configuration and a split


@dataclass(frozen=True)
class Side:
    """The published rows of one side, and how they were made.

    name: as it is shown. paths: of all files. sum_of: the SHA-256 of a data file; local: its place on this
    machine, where it is downloaded to if need be. builds: with provenance and counts of samples; none where
    nothing says them. notes: what a reader should know of it, in lines.
    """

    name: str
    paths: tuple[str, ...]
    sum_of: Callable[[str], str]
    local: Callable[[str], Path]
    builds: tuple[Build, ...] = ()
    notes: tuple[str, ...] = ()
    _found: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[Place, list[str]]:
        """The data files of each split."""
        found: dict[Place, list[str]] = {}
        for path in sorted(self.paths):
            if match := _DATA.fullmatch(path):
                found.setdefault((match["config"], match["split"]), []).append(path)
        return found

    def sums(self, place: Place) -> list[str]:
        """The checksums of a split's files, in order."""
        return [self.sum_of(path) for path in self.places[place]]

    def split(self, place: Place) -> ParquetSplit:
        """The rows of a split. Raises as reading the Hub does."""
        for path in self.places[place]:
            if path not in self._found:
                self._found[path] = self.local(path)
        return ParquetSplit(tuple(self._found[path] for path in self.places[place]))

    @cached_property
    def data(self) -> dict[str, dict[str, ParquetSplit]]:
        """All splits by configuration."""
        found: dict[str, dict[str, ParquetSplit]] = {}
        for config, split in self.places:
            found.setdefault(config, {})[split] = self.split((config, split))
        return found


def side_of(text: str, say: Say) -> Side:
    """The side that a user names: a folder, or user/name[@revision] on the Hub.

    say: called with a line before each new try. Raises BadInput for what is neither, or holds no rows of a
    build; HubError where the Hub fails.
    """
    folder = Path(text).expanduser()
    match = _OF_HUB.fullmatch(text)
    if folder.is_dir() and not text.startswith("hf://"):
        side = _of_folder(text, folder)
    elif match is None:
        raise BadInput(
            f"{text!r} is no folder and no dataset on the Hub; give the folder of a build, or"
            " user/name@revision"
        )
    else:
        side = _of_hub(match["repo"], match["revision"], say)
    if not side.places:
        raise BadInput(f"{text} holds no rows of a build (no <domain>/<split>-*.parquet); give another")
    return side


def _of_folder(name: str, folder: Path) -> Side:
    paths = [file.relative_to(folder).as_posix() for file in folder.glob("*/*.parquet")]
    builds: tuple[Build, ...] = ()
    notes: tuple[str, ...] = ()
    if (folder / RUN / PROVENANCE).is_file():
        samples = folder / RUN / SAMPLES
        builds = (Build(Folder(folder).provenance, read_record(samples) if samples.is_file() else {}),)
        if not record_of(folder).get("finished"):
            notes = (tr("{folder} is not finished; these rows are of its last finished state", folder=name),)
    elif (folder / MANIFEST).is_file():
        builds, notes = _builds(name, (folder / MANIFEST).read_bytes())
    return Side(
        name,
        tuple(paths),
        lambda path: sum_of(folder / path).sha256,
        lambda path: folder / path,
        builds,
        notes,
    )


def _builds(name: str, manifest: bytes) -> tuple[tuple[Build, ...], tuple[str, ...]]:
    try:
        return builds_in(manifest), ()
    except Unreadable as error:
        said = tr(
            "what {file} of {name} says of its builds cannot be read: {error}",
            file=MANIFEST,
            name=name,
            error=error,
        )
        return (), (said,)


def _of_hub(repo: str, revision: str | None, say: Say) -> Side:
    from huggingface_hub import HfApi, RepoFile, constants
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    check_names(repo, None)
    if constants.HF_HUB_OFFLINE:
        raise BadInput(f"HF_HUB_OFFLINE is set, so {repo} cannot be read; unset it, or give a folder")
    api = HfApi()

    def commit() -> str:
        try:
            return str(api.repo_info(repo, repo_type=KIND, revision=revision).sha)
        except RevisionNotFoundError:
            raise BadInput(f"{repo} has no revision {revision!r}; give a tag, a branch or a commit") from None
        except RepositoryNotFoundError:
            raise BadInput(
                f"{repo} is neither a folder nor a dataset on the Hub that you may read; check the name, or"
                " log in with `hf auth login`"
            ) from None

    def listed(at: str) -> Sequence[Any]:
        return list(api.list_repo_tree(repo, recursive=True, revision=at, repo_type=KIND))

    at = retried(f"reading {repo}", commit, say)
    files: Mapping[str, Any] = {
        one.path: one
        for one in retried(f"listing {repo}", partial(listed, at), say)
        if isinstance(one, RepoFile)
    }

    def local(path: str) -> Path:
        return _downloaded(repo, at, path, api.endpoint)

    def sum_there(path: str) -> str:
        lfs = files[path].lfs
        return str(lfs.sha256) if lfs else sum_of(local(path)).sha256

    builds, notes = _builds(repo, local(MANIFEST).read_bytes()) if MANIFEST in files else ((), ())
    name = f"{repo}@{revision}" if revision else repo
    return Side(f"{name} ({at[:8]})", tuple(files), sum_there, local, builds, notes)


def _downloaded(repo: str, commit: str, path: str, endpoint: str) -> Path:
    """The file in the cache of the Hub's client, where an earlier comparison may have put it."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    what = f"reading {path} of {repo}"
    cache = constants.HF_HUB_CACHE
    try:  # the client itself tries again
        return Path(
            hf_hub_download(repo, path, repo_type=KIND, revision=commit, endpoint=endpoint, cache_dir=cache)
        )
    except LocalEntryNotFoundError:
        raise HubError(f"{what} failed: the connection failed; run the same command again") from None
    except HfHubHTTPError as error:
        raise refusal(what, error.response.status_code, one_line(error.server_message or "")) from None


def provenance_of(side: Side) -> dict[str, Any]:
    """The provenance of all builds of a side together: they differ in their domains alone."""
    joined: dict[str, Any] = {}
    for build in side.builds:
        domains = [*joined.get("domains", []), *build.provenance["domains"]]
        joined |= {**json.loads(json.dumps(build.provenance)), "domains": domains}
    return joined
