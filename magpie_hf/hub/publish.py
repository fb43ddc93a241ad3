"""Publishing a build: from its folder to the Hub or to another folder.

Not here: which files are published (release.py), and the upload (push.py).
"""

from __future__ import annotations

from pathlib import Path

from magpie_hf.card import plots
from magpie_hf.card.wording import Wording
from magpie_hf.hub import push as hub
from magpie_hf.hub.lint.files import rows_of
from magpie_hf.hub.release import released, to_folder
from magpie_hf.hub.remote import Say, check_names
from magpie_hf.store.manifest import Changes


def publish(
    folder: str | Path,
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    tag: str | None = None,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
) -> hub.Pushed:
    """Publish the finished build in `folder` as the dataset `repo` ("user/name") on the Hub.

    It makes one commit, or none where nothing changed. private: False makes the dataset public after the
    upload. overwrite: replace files that magpie_hf did not write. tag: a name for the version. wording: how
    the card is written. partial: publish the finished part of a build that is not finished. say: called with
    a line of text for each step. A call that is killed leaves the old version or the new one; the next call
    sends the rest.

    Raises BadInput before anything is uploaded: for a build that is not finished or was changed, for names
    and tokens that do not fit, and for a public dataset or one of others with that name. Raises HubError
    where the Hub cannot be reached or refuses a step.
    """
    check_names(repo, tag)
    _say_missing(say)
    with released(Path(folder).expanduser(), repo, wording, partial, say) as (files, sums):
        return hub.push(files, repo, private=private, overwrite=overwrite, tag=tag, known=sums, say=say)


def preview(
    folder: str | Path,
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    tag: str | None = None,
    wording: Wording | None = None,
    partial: bool = False,
    say: Say = lambda line: None,
) -> tuple[Changes, dict[str, int]]:
    """What `publish` would change, and the rows of each parquet file, without writing anything.

    Raises what `publish` would raise before it writes.
    """
    check_names(repo, tag)
    _say_missing(say)
    with released(Path(folder).expanduser(), repo, wording, partial, say) as (files, sums):
        change = hub.preview(files, repo, private=private, overwrite=overwrite, tag=tag, known=sums, say=say)
        return change, rows_of(files)


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
    with released(Path(folder).expanduser(), repo, wording, partial, say) as (files, sums):
        return to_folder(files, Path(to).expanduser(), sums), rows_of(files)


def _say_missing(say: Say) -> None:
    if (reason := plots.missing()) is not None:
        say(reason)
