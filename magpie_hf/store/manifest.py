"""The files of a published dataset by checksum, and what a new version would change.

Not here: the Hub.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr

MANIFEST = "magpie_hf.json"
GIVEN = ".gitattributes"  # the Hub itself adds it to a new repository

Content = Path | bytes


@dataclass(frozen=True)
class Sum:
    """A file's size in bytes, the SHA-256 of its content, and its SHA-1 as a git blob."""

    size: int
    sha256: str
    blob: str

    def is_at(self, there: There) -> bool:
        """Whether a file of a repository is this one: the Hub names it by SHA-256 if in LFS, else as git."""
        return there.name in (self.sha256, self.blob)


@dataclass(frozen=True)
class There:
    """A file that is published already: its size in bytes, and its checksum (SHA-256, or git's SHA-1)."""

    size: int
    name: str


@dataclass(frozen=True)
class Changes:
    """Paths with sizes in bytes: files that are new, replaced, deleted, and the same as before."""

    added: dict[str, int]
    changed: dict[str, int]
    deleted: dict[str, int]
    same: dict[str, int]

    @property
    def none(self) -> bool:
        return not (self.added or self.changed or self.deleted)

    def deletions(self) -> list[str]:
        """One line for each file that is deleted."""
        return [_line(tr("delete"), size, "", path) for path, size in sorted(self.deleted.items())]

    def lines(self, rows: Mapping[str, int] | None = None) -> list[str]:
        """One line for each file that changes, and one with the totals. rows: rows of the files, by path."""
        parts = ((tr("add"), self.added), (tr("change"), self.changed), (tr("delete"), self.deleted))
        counts = {
            path: tr("{count:,} rows", count=number)
            for path, number in (rows or {}).items()
            if path not in self.deleted
        }
        files = [
            _line(word, size, counts.get(path, ""), path)
            for word, paths in parts
            for path, size in sorted(paths.items())
        ]
        added, changed, deleted, same = map(len, (self.added, self.changed, self.deleted, self.same))
        sums = tr(
            "{added:,} to add, {changed:,} to change, {deleted:,} to delete, {same:,} the same",
            added=added,
            changed=changed,
            deleted=deleted,
            same=same,
        )
        sums += "; " + tr(
            "{size:,} bytes to send", size=sum(self.added.values()) + sum(self.changed.values())
        )
        return [*files, sums + ("; " + tr("{count:,} rows in all", count=sum(rows.values())) if rows else "")]


def _line(word: str, size: int, rows: str, path: str) -> str:
    return f"{padded(word, 7)} {tr('{size:>15,} bytes', size=size)}  {rows:>14}  {path}"


def size_of(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def sum_of(content: Content) -> Sum:
    """The checksums of a file or of some bytes. Raises BadInput for a file that cannot be read."""
    try:
        size = size_of(content)
        sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        if isinstance(content, bytes):
            sha256.update(content)
            blob.update(content)
        else:
            with content.open("rb") as stream:
                while part := stream.read(1 << 20):
                    sha256.update(part)
                    blob.update(part)
    except OSError as error:
        raise BadInput(f"{content!s} cannot be read ({error.strerror}); build it again") from error
    return Sum(size, sha256.hexdigest(), blob.hexdigest())


def with_manifest(
    files: Mapping[str, Content],
    known: Mapping[str, Sum] | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[dict[str, Content], dict[str, Sum]]:
    """The files and, last, the manifest that lists them; and the checksums of all of these.

    known: checksums that need not be computed again, by path. more: what the manifest says besides. The same
    files make the same manifest. Raises BadInput for no files, and for a file with the name of the manifest
    or of one that the Hub writes.
    """
    if MANIFEST in files or GIVEN in files or not files:
        raise BadInput(
            f"{', '.join(files) or 'no file'} cannot be published: give files besides {MANIFEST} and {GIVEN}"
        )
    known = known or {}
    sums = {path: known.get(path) or sum_of(content) for path, content in sorted(files.items())}
    listed = {path: asdict(one) for path, one in sums.items()}
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    stated: dict[str, Any] = {"magpie_hf": version("magpie-hf"), "content": digest, "files": listed}
    stated |= more
    manifest = (json.dumps(stated, indent=1, ensure_ascii=False) + "\n").encode()
    return {**files, MANIFEST: manifest}, {**sums, MANIFEST: sum_of(manifest)}


def read_manifest(text: bytes) -> dict[str, Sum] | None:
    """The checksums in a manifest, by path; None where the text is no manifest of magpie_hf."""
    try:
        stated: dict[str, Any] = json.loads(text)
        return {
            path: Sum(int(one["size"]), str(one["sha256"]), str(one["blob"]))
            for path, one in stated["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def changes(
    wanted: Mapping[str, Sum], there: Mapping[str, There], before: Mapping[str, Sum] | None
) -> Changes:
    """What changes when `wanted` replaces the files `there`.

    before: the checksums in the manifest there; None without one. Its files that are not in `wanted` are
    deleted.
    """
    new = {path: one.size for path, one in wanted.items() if path not in there}
    same = {path: one.size for path, one in wanted.items() if path in there and one.is_at(there[path])}
    if MANIFEST in there and before == {path: one for path, one in wanted.items() if path != MANIFEST}:
        same[MANIFEST] = there[MANIFEST].size  # another version of magpie_hf wrote it, of the same files
    changed = {path: one.size for path, one in wanted.items() if path not in new and path not in same}
    stale = {path: there[path].size for path in before or {} if path in there and path not in wanted}
    return Changes(new, changed, stale, same)


def foreign(change: Changes, there: Mapping[str, There], before: Mapping[str, Sum] | None) -> list[str]:
    """The files of others that a change would replace or delete.

    Without a manifest these are all files; else those that the manifest does not list as they are.
    """
    if before is None:
        return [] if change.none else sorted(set(there) - {GIVEN})
    touched = {*change.changed, *change.deleted} - {MANIFEST}
    return sorted(path for path in touched if path not in before or not before[path].is_at(there[path]))
