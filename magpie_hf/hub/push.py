"""Publishing files as a dataset on the Hub: uploads first, then one commit with all of them, then a tag.

Not here: which files.

An upload is invisible until a commit names it. A commit names its parent, so the Hub answers 412 if another
commit came in between; then all files are compared with the new head again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magpie_hf.card.card import README
from magpie_hf.card.own_words import words_in
from magpie_hf.errors import BadInput, HubError
from magpie_hf.hub.builds import Build, Identity, check_builds, stated, text_of
from magpie_hf.hub.connection import bounded
from magpie_hf.hub.remote import KIND, Head, Say, check_names, head_of, login, tags_of
from magpie_hf.hub.retry import one_line, retried
from magpie_hf.hub.upload import upload
from magpie_hf.store.manifest import (
    GIVEN,
    MANIFEST,
    Changes,
    Content,
    Sum,
    changes,
    foreign,
    with_manifest,
)
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MESSAGE = "Publish with magpie_hf"


@dataclass(frozen=True)
class Builds:
    """Of which builds the files are: the one that is published, those that stay, and all in order."""

    mine: Build
    kept: Sequence[Build]
    order: Sequence[Build]


@dataclass(frozen=True)
class Pushed:
    """The result of a push: the repository, its URL, the commit with the files, and what it changed."""

    repo: str
    url: str
    commit: str
    changes: Changes
    tag: str | None = None

    @property
    def committed(self) -> bool:
        """Whether a commit was made; none is made where the repository holds the same files."""
        return not self.changes.none


@bounded()
def push(
    files: Mapping[str, Content],
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    tag: str | None = None,
    message: str = MESSAGE,
    known: Mapping[str, Sum] | None = None,
    builds: Builds | None = None,
    say: Say = lambda line: None,
) -> Pushed:
    """Make the dataset `repo` ("owner/name") consist of `files` in one commit.

    files: by path in the repository, a local file or bytes. No commit is made where the repository holds the
    same files already. Files of an earlier push that are not in `files` are deleted, with a line for each;
    files that magpie_hf did not write stay. private: False makes the repository public after the upload: a
    new one is private until its files are there. overwrite: replace another build, and files that magpie_hf
    did not write. tag: a name for the commit. known: checksums that need not be computed again, by path.
    builds: those that the files are of, where they are of builds. A push that is killed leaves the old
    version or the new one; the next push sends the rest.

    Raises BadInput without a token that may write; for a name that the Hub does not allow; for a public
    repository where `private` is asked for; for files of others and another build without `overwrite`; for a
    repository of somebody else; for a tag that names another commit; and for a file that is not what `known`
    says. Raises HubError where the Hub cannot be reached or refuses a step.
    """
    check_names(repo, tag)
    api = login(repo, say)
    contents, sums = with_manifest(files, known, stated(files, builds.order if builds else ()))
    head = head_of(api, repo, say) or _create(api, repo, say)
    change = _checked(api, repo, head, files, sums, private, overwrite, tag, builds, say)
    _check_card(files, say)
    if not change.none:
        said = set[str]()
        commit = retried(
            f"the commit to {repo}",
            lambda: _commit(api, repo, contents, sums, overwrite, builds, message, say, said),
            say,
        )
    else:
        commit = head.commit
        say(tr("{repo} holds these files already", repo=repo))
    if head.private and not private:
        retried(
            f"making {repo} public",
            lambda: api.update_repo_settings(repo, repo_type=KIND, visibility="public"),
            say,
        )
        say(tr("{repo} was made public", repo=repo))
    if tag is not None:
        retried(f"the tag {tag} of {repo}", lambda: _tag(api, repo, tag, commit), say)
    return Pushed(repo, f"{api.endpoint}/datasets/{repo}", commit, change, tag)


@bounded()
def preview(
    files: Mapping[str, Content],
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    tag: str | None = None,
    known: Mapping[str, Sum] | None = None,
    builds: Builds | None = None,
    say: Say = lambda line: None,
) -> Changes:
    """What `push` would change, without writing anything. Raises what `push` would raise before it writes."""
    check_names(repo, tag)
    api = login(repo, say)
    _, sums = with_manifest(files, known, stated(files, builds.order if builds else ()))
    head = head_of(api, repo, say)
    change = (
        changes(sums, {}, None)
        if head is None
        else _checked(api, repo, head, files, sums, private, overwrite, tag, builds, say)
    )
    if head is None:
        say(tr("{repo} would be created, private", repo=repo))
    if not private and (head is None or head.private):
        say(tr("{repo} would be made public once its files are there", repo=repo))
    return change


@bounded()
def check_target(
    repo: str,
    *,
    private: bool = True,
    overwrite: bool = False,
    tag: str | None = None,
    say: Say = lambda line: None,
) -> Head | None:
    """The repository as it is; None where there is none.

    Raises BadInput for names, tokens and datasets that `push` would refuse, before there are files.
    """
    check_names(repo, tag)
    api = login(repo, say)
    if (head := head_of(api, repo, say)) is not None:
        _check_public(repo, head, private)
        if not overwrite and head.before is None and (others := sorted(set(head.files) - {GIVEN})):
            raise _foreign(repo, others)
        if tag is not None:
            tagged = retried(f"reading the tags of {repo}", lambda: tags_of(api, repo), say).get(tag)
            if tagged not in (None, head.commit):  # the head may hold what will be pushed
                raise _tagged(repo, tag, str(tagged))
    return head


def check_build(repo: str, head: Head | None, mine: Identity, kept: Sequence[Build] = ()) -> None:
    """Raises BadInput where the repository holds another build than `mine` and those that are kept."""
    if head is None or head.before is None:  # without a manifest, all its files are of others
        return
    if head.unreadable:
        raise BadInput(
            f"{repo} holds another build (its manifest cannot be read: {head.unreadable}); give --overwrite"
            " to replace it, or another name"
        )
    if not head.builds:
        raise BadInput(
            f"{repo} holds another build (its manifest does not say of which model); give --overwrite to"
            " replace it, or another name"
        )
    check_builds(repo, head.builds, mine, kept)


def _create(api: HfApi, repo: str, say: Say) -> Head:
    # Private, also with --public: nobody sees it before its files are there. exist_ok: the answer to an
    # earlier try may be lost, and another process may create it first.
    retried(
        f"creating {repo}", lambda: api.create_repo(repo, repo_type=KIND, private=True, exist_ok=True), say
    )
    head = head_of(api, repo, say)
    if head is None:
        raise HubError(
            f"the Hub created {repo} and does not show it to this token; give the token the right to read it"
        )
    return head


def _checked(
    api: HfApi,
    repo: str,
    head: Head,
    files: Mapping[str, Content],
    sums: Mapping[str, Sum],
    private: bool,
    overwrite: bool,
    tag: str | None,
    builds: Builds | None,
    say: Say,
) -> Changes:
    """What the push changes. Raises BadInput where that is not allowed."""
    change = changes(sums, head.files, head.before)
    _check_public(repo, head, private)
    _check_replaced(repo, head, change, files, overwrite, builds)
    if tag is not None:
        tagged = retried(f"reading the tags of {repo}", lambda: tags_of(api, repo), say).get(tag)
        if tagged is not None and (tagged != head.commit or not change.none):
            raise _tagged(repo, tag, tagged)
    return change


def _check_public(repo: str, head: Head, private: bool) -> None:
    if private and not head.private:
        raise BadInput(
            f"{repo} is public; give --public to publish there, another name, or make it private in its"
            " settings"
        )


def _tagged(repo: str, tag: str, commit: str) -> BadInput:
    return BadInput(f"tag {tag} of {repo} names another version (commit {commit[:8]}); choose another --tag")


def _foreign(repo: str, others: list[str]) -> BadInput:
    more = tr(" and {count} more", count=len(others) - 3) if len(others) > 3 else ""
    what = f"{', '.join(others[:3])}{more}"
    return BadInput(
        f"{repo} holds what this project did not put there ({what}); give --overwrite to replace it, or"
        " another name"
    )


def _check_replaced(
    repo: str,
    head: Head,
    change: Changes,
    files: Mapping[str, Content],
    overwrite: bool,
    builds: Builds | None,
) -> None:
    """Raises BadInput for files of others, and for another build, that would be replaced or deleted.

    A card that was changed in the place for own words alone may be replaced by one with the same words.
    """
    if overwrite:
        return
    others = foreign(change, head.files, head.before)
    mine = words_in(text_of(files[README])) if README in files else None
    if README in others and head.edited and head.words in ("", mine):
        others.remove(README)
    if others == [README] and head.edited:
        raise BadInput(
            f"the own words in the card of {repo} were changed there meanwhile; run the same command again"
        )
    if others == [README] and head.before is not None and README in head.before:
        raise BadInput(
            f"README.md of {repo} was edited on the Hub outside its place for own words; undo that there, or"
            " give --overwrite to replace it"
        )
    if others:
        raise _foreign(repo, others)
    if builds is not None and not change.none:
        check_build(repo, head, builds.mine.identity, builds.kept)


def _check_card(files: Mapping[str, Content], say: Say) -> None:
    """Let the Hub check the metadata of the card before anything is uploaded."""
    from huggingface_hub import DatasetCard

    if README in files:
        card = files[README]
        text = card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")
        try:
            retried(
                "checking the card", lambda: DatasetCard(text, ignore_metadata_errors=True).validate(), say
            )
        except ValueError as error:
            if isinstance(error, BadInput):
                raise
            raise HubError(f"the Hub does not accept the card's metadata: {one_line(str(error))}") from None


def _commit(
    api: HfApi,
    repo: str,
    contents: Mapping[str, Content],
    sums: Mapping[str, Sum],
    overwrite: bool,
    builds: Builds | None,
    message: str,
    say: Say,
    said: set[str],
) -> str:
    """Upload new files, make one commit, and return its id.

    said: the lines of what is deleted that were printed; new ones are printed and added.

    After a failure it is called again, and reads the head of the repository again. So it finds its own
    commit where only the answer was lost. After a commit of others it plans the operations anew: those of
    the earlier attempt belong to the old head, and would keep the other commit's file.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    head = head_of(api, repo, say)
    if head is None:
        raise HubError(f"{repo} is gone: it was deleted during the push")
    change = changes(sums, head.files, head.before)
    if change.none:
        return head.commit
    _check_replaced(repo, head, change, contents, overwrite, builds)
    for line in change.deletions():
        if line not in said:
            say(line)
            said.add(line)
    paths = sorted({*change.added, *change.changed}, key=lambda path: (path in (README, MANIFEST), path))
    additions = [CommitOperationAdd(path, contents[path]) for path in paths]
    for one in additions:  # huggingface_hub has just hashed the content
        if one.upload_info.sha256.hex() != sums[one.path_in_repo].sha256:
            raise BadInput(
                f"{contents[one.path_in_repo]!s} was changed while it was published; run the build again,"
                " then publish"
            )
    upload(api, repo, additions, contents, say)
    deletions = [CommitOperationDelete(path, is_folder=False) for path in sorted(change.deleted)]
    made = api.create_commit(
        repo, [*additions, *deletions], commit_message=message, repo_type=KIND, parent_commit=head.commit
    )
    return str(made.oid)


def _tag(api: HfApi, repo: str, tag: str, commit: str) -> None:
    """Tag the commit, unless an earlier attempt did."""
    there = tags_of(api, repo).get(tag)
    if there is None:
        api.create_tag(repo, tag=tag, revision=commit, repo_type=KIND)
    elif there != commit:
        raise BadInput(
            f"the files are published, but tag {tag} of {repo} names another version; choose another --tag"
        )
