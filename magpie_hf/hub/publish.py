"""Publishing a build: from its folder to the Hub or to another folder.

Not here: which files are published (release.py), and the upload (push.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial as partial_
from pathlib import Path
from typing import Any

from magpie_hf.card import plots
from magpie_hf.card.wording import Wording
from magpie_hf.errors import BadInput
from magpie_hf.hub import push as hub
from magpie_hf.hub.builds import Build
from magpie_hf.hub.connection import bounded
from magpie_hf.hub.lint.files import rows_of
from magpie_hf.hub.local_folder import to_folder
from magpie_hf.hub.release import Remote, released
from magpie_hf.hub.remote import Say, check_names, check_way, download, head_of, login
from magpie_hf.hub.retry import retried
from magpie_hf.store.manifest import Changes, Content, sum_of
from magpie_hf.text.language import tr


@bounded()
def publish(
    folder: str | Path,
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    add: bool = False,
    tag: str | None = None,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
) -> hub.Pushed:
    """Publish the finished build in `folder` as the dataset `repo` ("user/name") on the Hub.

    It makes one commit, or none where nothing changed. private: False makes the dataset public after the
    upload. overwrite: replace another build, and files that magpie_hf did not write. add: publish beside a
    build of other domains, whose files stay; the card counts both. tag: a name for the version. wording: how
    the card is written. partial: publish the finished part of a build that is not finished. say: called with
    a line of text for each step, and for each file that is deleted. A call that is killed leaves the old
    version or the new one; the next call sends the rest.

    Raises BadInput before anything is uploaded: for a build that is not finished or was changed, for names
    and tokens that do not fit, and for a public dataset or one of others or of another build with that name.
    Raises HubError
    where the Hub cannot be reached or refuses a step.
    """
    how: dict[str, Any] = {"private": private, "overwrite": overwrite, "tag": tag}
    with _ready(folder, repo, add, wording, partial, say, how) as (files, more):
        return hub.push(files, repo, **how, **more)


@bounded()
def preview(
    folder: str | Path,
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    add: bool = False,
    tag: str | None = None,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
) -> tuple[Changes, dict[str, int]]:
    """What `publish` would change, and the rows of each parquet file, without writing anything.

    Raises what `publish` would raise before it writes.
    """
    how: dict[str, Any] = {"private": private, "overwrite": overwrite, "tag": tag}
    with _ready(folder, repo, add, wording, partial, say, how) as (files, more):
        return hub.preview(files, repo, **how, **more), rows_of(files)


def publish_to_folder(
    folder: str | Path,
    repo: str,
    to: str | Path,
    *,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
) -> tuple[Changes, dict[str, int]]:
    """Write what `publish` would publish into the local folder `to`, which `load_dataset` reads.

    Returns what changed, and the rows of each parquet file. Raises BadInput as `publish` does, and where
    `to` holds other files.
    """
    check_names(repo, None)
    _say_missing(say)
    with released(Path(folder).expanduser(), repo, wording, partial, say) as release:
        change = to_folder(release.files, Path(to).expanduser(), release.sums, release.order)
        return change, rows_of(release.files)


@contextmanager
def _ready(
    folder: str | Path,
    repo: str,
    add: bool,
    wording: Wording | None,
    partial: bool,
    say: Say,
    how: Mapping[str, Any],
) -> Iterator[tuple[dict[str, Content], dict[str, Any]]]:
    """The files to publish, and what `hub.push` and `hub.preview` need besides `how`."""
    check_names(repo, how["tag"])
    check_way(add, how["overwrite"])
    _say_missing(say)
    look = partial_(_there, repo, add, how["overwrite"], say)
    with released(Path(folder).expanduser(), repo, wording, partial, say, look) as release:
        builds = hub.Builds(release.build, release.kept, release.order)
        yield release.files, {"known": release.sums, "builds": builds, "say": say}


def _there(repo: str, add: bool, overwrite: bool, say: Say) -> Remote | None:
    """What the repository holds; None where there is no such repository."""
    api = login(repo, say)
    if (head := head_of(api, repo, say)) is None:
        return None

    def fetch(builds: Sequence[Build], to: Path) -> None:
        for path in (path for one in builds for path in one.files):
            say(tr("reading {path} of {repo}", path=path, repo=repo))
            retried(
                f"reading {path} of {repo}",
                partial_(download, api, repo, head.commit, path, to / path),
                say,
            )
            if head.before is None or sum_of(to / path) != head.before[path]:
                raise BadInput(
                    f"{path} of {repo} is not what its manifest says; put it right there, or choose another"
                    " name"
                )

    return Remote(head.builds if add else (), fetch, head.words, head.edited, overwrite)


def _say_missing(say: Say) -> None:
    if (reason := plots.missing()) is not None:
        say(reason)
