"""The builds that a repository holds: told apart, and joined into one dataset with one card.

Not here: the Hub's requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from magpie_hf.card.card import README
from magpie_hf.card.contents import Contents
from magpie_hf.card.own_words import rest_of
from magpie_hf.card.provenance import writer_of
from magpie_hf.card.stats import Samples
from magpie_hf.errors import BadInput
from magpie_hf.schema import SUFFIXES
from magpie_hf.store.manifest import Content
from magpie_hf.store.splits import ParquetSplit
from magpie_hf.text.language import tr

# Of the provenance: what two builds that are joined may differ in.
_OWN = ("domains", "recipe", "versions", "format", "reviewed", "calibration")
# A data file: config/name.parquet, neither of which leads out of the folder.
_DATA = re.compile(r"(?!\.)[^/\\\0]+/(?!\.)[^/\\\0]+\.parquet")
_COUNTS = {one.name for one in fields(Samples)}


@dataclass(frozen=True)
class Identity:
    """What tells builds apart: the model that writes the problems, the seed, and the domains."""

    name: str
    model: str
    seed: int
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """A published build, as the manifest keeps it.

    provenance, samples: of its card, as plain JSON. files: its data files, by path. unfinished: of a part of
    a build, [problems, target] by domain.
    """

    provenance: Mapping[str, Any]
    samples: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[str] = ()
    unfinished: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        writer = writer_of(self.provenance)
        domains = tuple(domain["key"] for domain in self.provenance["domains"])
        return Identity(writer["name"], writer["revision"], self.provenance["seed"], domains)


_FIELDS = {one.name for one in fields(Build)}


def build_of(contents: Contents, unfinished: Mapping[str, tuple[int, int]] | None) -> Build:
    """The build with these contents, as plain JSON."""
    samples = {domain: one.plain() for domain, one in contents.samples.items()}
    stated = {
        "provenance": contents.provenance,
        "samples": samples,
        "files": sorted(contents.files),
        "unfinished": unfinished or {},
    }
    return Build(**json.loads(json.dumps(stated)))


class Unreadable(ValueError):
    """A manifest that cannot be read; the message says in short why."""


def builds_in(manifest: bytes) -> tuple[Build, ...]:
    """The builds that a manifest lists; none where it lists none, as that of an earlier version.

    Raises Unreadable where they are not what this version writes. Somebody else may have written the
    manifest, and its paths become those of files here: only data files that it lists are let through.
    """
    try:
        stated = json.loads(manifest)
        listed, files = stated.get("builds", []), set(stated.get("files", ()))
        if any(set(one) - _FIELDS or set(samples) - _COUNTS for one in listed for samples in _samples(one)):
            raise Unreadable(tr("a newer version of magpie_hf wrote it"))
        builds = tuple(Build(**one) for one in listed)
    except Unreadable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from None
    if not all(_is_sound(one, files) for one in builds):
        raise Unreadable(tr("a build in it is not what this version writes"))
    return builds


def _samples(build: Any) -> list[Any]:
    return [*build.get("samples", {}).values(), ()]


def _is_sound(build: Build, files: set[str]) -> bool:
    try:
        identity, counts = build.identity, [Samples(**one) for one in build.samples.values()]
        words = [identity.name, identity.model, *identity.domains, *_texts(build.provenance["versions"])]
        return (
            all(isinstance(one, str) for one in words)
            and type(identity.seed) is int
            and set(build.samples) == set(identity.domains)
            and all(isinstance(one, int) for each in counts for one in _numbers(each))
            and all(isinstance(one, int | float) for each in counts for one in each.coverage.values())
            and isinstance(build.files, (list, tuple))
            and all(_DATA.fullmatch(path) and path in files for path in build.files)
            and all(had <= target for had, target in build.unfinished.values())
        )
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return False


def _texts(versions: Mapping[str, Any]) -> list[Any]:
    return [*versions, *versions.values()]


def _numbers(samples: Samples) -> list[Any]:
    counts = asdict(samples)
    del counts["coverage"]  # shares, and no counts
    hardened = counts.pop("hardened")
    for reasons in ("reasons", "dropped"):
        hardened |= {f"{reasons} {reason}": count for reason, count in hardened.pop(reasons, {}).items()}
    topics = [count for one in counts.pop("topics").values() for count in one.values()]
    return [
        *topics,
        *hardened.values(),
        *counts.pop("dropped").values(),
        *counts.pop("contaminated").values(),
        *counts.values(),
    ]


def card_in(manifest: bytes) -> str | None:
    """What `own_words.rest_of` says of the card that a manifest lists; None where it does not say it."""
    try:
        return str(json.loads(manifest)["card"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def stated(files: Mapping[str, Content], builds: Sequence[Build]) -> dict[str, Any]:
    """What the manifest says besides the files: their builds, and the card without its own words."""
    card = {"card": rest_of(text_of(files[README]))} if README in files else {}
    return {**card, **({"builds": [asdict(one) for one in builds]} if builds else {})}


def text_of(content: Content) -> str:
    return (content if isinstance(content, bytes) else content.read_bytes()).decode(errors="replace")


def check_builds(repo: str, there: Iterable[Build], mine: Identity, kept: Sequence[Build] = ()) -> None:
    """Raises BadInput where `there` has a build that is neither `mine` nor one of those that are kept."""
    for one in there:
        if one in kept:
            continue
        other = one.identity
        if other.model != mine.model:
            raise BadInput(
                f"{repo} holds another build (its model is {other.name} at {other.model[:8]}, not"
                f" {mine.name} at {mine.model[:8]}); give --overwrite to replace it, or another name"
            )
        if other.seed != mine.seed:
            raise BadInput(
                f"{repo} holds another build (its seed is {other.seed}, not {mine.seed}); give --overwrite to"
                " replace it, or another name"
            )
        if gone := [domain for domain in other.domains if domain not in mine.domains]:
            raise BadInput(
                f"{repo} holds another build (its domains {', '.join(gone)} are not in this one); give --add"
                " to publish both, --overwrite to replace it, or another name"
            )


def beside(repo: str, there: Iterable[Build], mine: Build) -> list[Build]:
    """The builds that stay when `mine` is added.

    Raises BadInput where a domain would be there twice, or where the builds differ in more than domains.
    """
    stay, domains = [], set(mine.identity.domains)
    for one in there:
        others = set(one.identity.domains)
        if others <= domains:  # an earlier version of this build
            check_builds(repo, [one], mine.identity)
            continue
        if both := sorted(others & domains):
            raise BadInput(
                f"{repo} holds {', '.join(both)} of another build; --add takes builds of other domains"
            )
        for key in sorted(set(one.provenance) | set(mine.provenance)):
            theirs, ours = one.provenance.get(key), mine.provenance.get(key)
            if key == "licence" and theirs != ours:
                raise BadInput(
                    f"the build in {repo} is under another licence ({_short(theirs)}, not {_short(ours)}),"
                    " and one card names one; give its --license, or publish under another name"
                )
            if key not in _OWN and theirs != ours:
                raise BadInput(
                    f"the build in {repo} was made otherwise (its {key} is {_short(theirs)}, not"
                    f" {_short(ours)}), and one card cannot describe both; publish under another name"
                )
        if any(set(domain) != set(mine.provenance["domains"][0]) for domain in one.provenance["domains"]):
            raise BadInput(
                f"the build in {repo} was made by another version of magpie_hf, and one card cannot describe"
                " both; publish under another name"
            )
        stay.append(one)
    return stay


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def in_order(there: Iterable[Build], stay: Sequence[Build], mine: Build) -> tuple[Build, ...]:
    """All builds: those that stay where they are, and `mine` in place of its earlier version, or last."""
    builds: list[Build] = []
    for one in there:
        builds += [one] if one in stay else [mine] if mine not in builds else []
    return tuple(builds if mine in builds else [*builds, mine])


def renamed(contents: Contents, kept: Sequence[Build], scratch: Path) -> Contents:
    """The contents, where files whose paths the builds that stay have, such as those of `candidates`, are
    links in `scratch` with the domains in their names.
    """
    taken = {path for one in kept for path in one.files}
    word = ".".join(re.sub(r"\W", "_", domain) for domain in contents.domains)
    data = {
        config: {
            split: ParquetSplit(tuple(_renamed(file, taken, word, scratch) for file in part.files))
            for split, part in splits.items()
        }
        for config, splits in contents.data.items()
    }
    return replace(contents, data=data)


def joined(builds: Sequence[Build], mine: Build, contents: Contents, theirs: Path) -> Contents:
    """The contents of all builds together.

    contents: of `mine`. theirs: a folder with the data files of the others, by path.
    """
    files: dict[str, dict[str, list[Path]]] = {}
    for one in builds:
        there = contents.files if one is mine else {path: theirs / path for path in one.files}
        for path, file in sorted(there.items()):
            config, _, name = path.partition("/")
            split = name.partition("-")[0].partition(".")[0]
            files.setdefault(config, {}).setdefault(split, []).append(file)
    provenance = {
        **mine.provenance,
        "domains": [domain for one in builds for domain in one.provenance["domains"]],
        "versions": _versions(builds),
        "recipe": _recipe(builds),
        "built_apart": [list(one.identity.domains) for one in builds],
    }
    if read := [one.provenance["reviewed"] for one in builds if "reviewed" in one.provenance]:
        provenance["reviewed"] = {name: sum(one[name] for one in read) for name in ("read", "good")}
    if any(one.provenance.get("calibration") != mine.provenance.get("calibration") for one in builds):
        provenance.pop("calibration", None)  # which says nothing of the others' labels
    samples = {domain: Samples(**counts) for one in builds for domain, counts in one.samples.items()}
    domains = [domain["key"] for domain in provenance["domains"]]
    data = {
        config: {split: ParquetSplit(tuple(parts)) for split, parts in sorted(splits.items(), key=_place)}
        for config, splits in sorted(files.items(), key=lambda one: _rank(one[0], domains))
    }
    return Contents(provenance, samples, data)


def _recipe(builds: Sequence[Build]) -> dict[str, Any] | None:
    """The recipe over the domains of all builds; None where one has none, or they differ otherwise."""
    recipes: list[Any] = [one.provenance.get("recipe") for one in builds]
    if not all(isinstance(one, dict) and isinstance(one.get("domains"), dict) for one in recipes):
        return None
    domains = {key: domain for one in recipes for key, domain in one["domains"].items()}
    joined = [{**one, "domains": domains} for one in recipes]
    return joined[0] if all(one == joined[0] for one in joined) else None


def _rank(config: str, domains: Sequence[str]) -> tuple[int, str]:
    """Domains in their order, each before its RL problems and its answers with tools, then `candidates`."""
    for at, domain in enumerate(domains):
        if config in (domain, *(domain + suffix for suffix in SUFFIXES)):
            return at, config
    return len(domains), config


def _place(split: tuple[str, Any]) -> tuple[bool, bool]:
    """Train before test, SFT before preferences, as in a build of one folder."""
    return split[0].startswith("test"), split[0].endswith("prefs")


def _renamed(file: Path, taken: set[str], word: str, scratch: Path) -> Path:
    if f"{file.parent.name}/{file.name}" not in taken:
        return file
    split, shard = file.name.split("-", 1)
    link = scratch / file.parent.name / f"{split}.{word}-{shard}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(file.resolve())
    return link


def _versions(builds: Sequence[Build]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for one in builds:
        for package, version in one.provenance["versions"].items():
            found.setdefault(package, []).append(version)
    return {package: " / ".join(dict.fromkeys(versions)) for package, versions in found.items()}
