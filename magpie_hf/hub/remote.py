"""Reading from the Hub: who may write, the newest commit of a repository, its tags.

Not here: writing to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.card.card import README
from magpie_hf.card.own_words import rest_of, words_in
from magpie_hf.errors import BadInput
from magpie_hf.hub.builds import Build, Unreadable, builds_in, card_in
from magpie_hf.hub.retry import odd_answer, retried
from magpie_hf.store.manifest import MANIFEST, Sum, There, read_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Say = Callable[[str], None]
KIND = "dataset"
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPO = re.compile(f"{_PART}/{_PART}")
_TAG = re.compile(_PART)
_COMMIT = re.compile("[0-9a-fA-F]{40}")
_TOKEN = re.compile("[!-~]+")


@dataclass(frozen=True)
class Head:
    """The newest commit of a repository: its files, and of its manifest the checksums (None without one),
    the builds and the card's; and the card itself, where there is a manifest. unreadable: why the builds
    cannot be read; "" where they can.
    """

    commit: str
    private: bool
    files: dict[str, There]
    before: dict[str, Sum] | None
    builds: tuple[Build, ...] = ()
    card: str | None = None
    readme: str = ""
    unreadable: str = ""

    @property
    def edited(self) -> bool:
        """Whether the card was changed there, in the place for own words alone."""
        return (
            self.before is not None
            and README in self.before
            and README in self.files
            and not self.before[README].is_at(self.files[README])
            and rest_of(self.readme) == self.card
        )

    @property
    def words(self) -> str:
        """The own words in the card there; "" without any."""
        return words_in(self.readme) or ""


def check_names(repo: str, tag: str | None) -> None:
    """Raises BadInput for names that the Hub does not allow, without a request."""
    if not _REPO.fullmatch(repo) or "--" in repo or ".." in repo or repo.endswith(".git") or len(repo) > 96:
        raise BadInput(
            f"{repo!r} is no name that the Hub allows; give user/name, of letters, digits, '-', '_' and '.'"
        )
    if tag is not None and (
        not _TAG.fullmatch(tag)
        or len(tag) > 255
        or _COMMIT.fullmatch(tag)
        or ".." in tag
        or tag.endswith(".lock")
        or tag in ("main", "HEAD")
        or tag.startswith("refs")
    ):
        raise BadInput(
            f"tag {tag!r} is no name for a tag; give letters, digits, '.', '-' and '_', such as v1"
        )


def check_way(add: bool, overwrite: bool) -> None:
    """Raises BadInput where other builds shall both stay and be replaced."""
    if add and overwrite:
        raise BadInput("--add keeps the other builds there, and --overwrite replaces them; give one of both")


def login(repo: str, say: Say) -> HfApi:
    """The Hub's client with a token that may write to the owner of `repo`. Raises BadInput without one."""
    from huggingface_hub import HfApi, get_token

    if (token := get_token()) is None:
        raise BadInput(
            "no token of the Hub is on this machine; log in with `hf auth login`, or write a folder with"
            " publish --to FOLDER, which needs none"
        )
    if not _TOKEN.fullmatch(token):
        raise BadInput(
            "the token of the Hub holds characters that no token has (HF_TOKEN or `hf auth login`); copy it"
            " again"
        )
    api, asking = HfApi(), "asking the Hub who you are"
    who: Any = retried(asking, api.whoami, say)
    try:
        orgs = who.get("orgs") or []
        owners = [str(one["name"]) for one in (who, *orgs)]
        role = ((who.get("auth") or {}).get("accessToken") or {}).get("role")
    except (KeyError, TypeError, AttributeError):
        raise odd_answer(asking) from None
    if role == "read":
        raise BadInput(
            f"the token of {who['name']} may only read; log in with `hf auth login` and a token that may"
            " write"
        )
    owner = repo.split("/")[0]
    if owner.lower() not in map(str.lower, owners):
        raise BadInput(
            f"{owner} is neither you nor an organisation of yours, so you may not publish {repo}; give one of"
            f" {', '.join(owners)} in front of the name"
        )
    return api


def head_of(api: HfApi, repo: str, say: Say) -> Head | None:
    """The newest commit of the repository; None where there is no such repository."""
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import RepositoryNotFoundError

    def info() -> Any:
        try:
            return api.repo_info(repo, repo_type=KIND)
        except RepositoryNotFoundError:
            return None
        except (KeyError, TypeError, AttributeError):
            raise odd_answer(f"reading {repo}") from None

    def listed(commit: str) -> dict[str, There]:
        tree = api.list_repo_tree(repo, recursive=True, revision=commit, repo_type=KIND)
        return {
            one.path: There(one.size, one.lfs.sha256 if one.lfs else one.blob_id)
            for one in tree
            if isinstance(one, RepoFile)
        }

    found = retried(f"reading {repo}", info, say)
    if found is None:
        return None
    commit = str(found.sha)
    files = retried(f"listing {repo}", lambda: listed(commit), say)
    if MANIFEST not in files:
        return Head(commit, bool(found.private), files, None)
    manifest = retried(
        f"reading the manifest of {repo}", lambda: content_of(api, repo, commit, MANIFEST), say
    )
    readme = b""
    if README in files:
        readme = retried(f"reading the card of {repo}", lambda: content_of(api, repo, commit, README), say)
    builds: tuple[Build, ...] = ()
    unreadable = ""
    try:
        builds = builds_in(manifest)
    except Unreadable as error:
        unreadable = str(error)
    return Head(
        commit,
        bool(found.private),
        files,
        read_manifest(manifest),
        builds,
        card_in(manifest),
        readme.decode(errors="replace"),
        unreadable,
    )


def content_of(api: HfApi, repo: str, commit: str, path: str) -> bytes:
    """A small file of the repository."""
    from huggingface_hub import get_session, get_token, hf_raise_for_status

    url = f"{api.endpoint}/datasets/{repo}/resolve/{commit}/{path}"
    response = get_session().get(url, headers={"Authorization": f"Bearer {get_token()}"})
    hf_raise_for_status(response)
    return response.content


def download(api: HfApi, repo: str, commit: str, path: str, to: Path) -> None:
    """Write a file of the repository to the disk."""
    from huggingface_hub import get_session, get_token, hf_raise_for_status

    url = f"{api.endpoint}/datasets/{repo}/resolve/{commit}/{path}"
    to.parent.mkdir(parents=True, exist_ok=True)
    with get_session().stream("GET", url, headers={"Authorization": f"Bearer {get_token()}"}) as response:
        hf_raise_for_status(response)
        with to.open("wb") as file:
            for part in response.iter_bytes():
                file.write(part)


def tags_of(api: HfApi, repo: str) -> dict[str, str]:
    return {one.name: one.target_commit for one in api.list_repo_refs(repo, repo_type=KIND).tags}
