"""The problems of a source, pinned: each once, with its domain and its reference.

Not here: where they go in a build (store/own_rows.py).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

from magpie_hf.errors import BadInput, shortened
from magpie_hf.limits import no_derivatives
from magpie_hf.problems.own import hub
from magpie_hf.problems.own.files import Row, digest_of, files_of, rows_of
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.schema import SUFFIXES, TAKEN

_HALF = re.compile("[\ud800-\udfff]")  # of a character; JSON can say it, and no file can hold it as UTF-8
_NO_KEY = re.compile(r"[^A-Za-z0-9_-]+")  # becomes "_": a domain's key names a folder and a configuration
MOST_DOMAINS = 50  # values of the column of the domains; more are no domains


class Problem(NamedTuple):
    """text: without white space around it. reference: as it stands in the source, or None."""

    text: str
    domain: str | None
    reference: str | None


@dataclass(frozen=True)
class Loaded:
    """What a source holds.

    own: pinned. rows: that were read, with `left_out` that `where` left out, `empty` without a problem, and
    `doubles` of an earlier one. licence: of the source, as its card or `own` states it; None without either.
    """

    own: OwnProblems
    problems: tuple[Problem, ...] = field(repr=False)
    rows: int
    left_out: int
    empty: int
    doubles: int
    licence: str | None

    @property
    def domains(self) -> dict[str | None, int]:
        """The number of problems of each domain, in the order of the source; None without a column."""
        return dict(Counter(problem.domain for problem in self.problems))

    @property
    def longest(self) -> int:
        """Characters of the longest problem."""
        return max(len(problem.text) for problem in self.problems)


_LOADED: dict[OwnProblems, Loaded] = {}  # by pinned problems
_LOADING = threading.Lock()


def load(own: OwnProblems) -> Loaded:
    """The problems of the source, kept for the life of the process.

    Raises BadInput where it cannot be read, lacks a column, holds other types or no problem, and where it is
    not what `revision` names.
    """
    with _LOADING:
        if own.revision is not None and (kept := _LOADED.get(own)) is not None:
            return replace(kept, own=own)  # of files as they are called now
        pinned, licence, rows = _local(own) if own.is_local else _of_hub(own)
        if (kept := _LOADED.get(pinned)) is None:
            kept = _LOADED[pinned] = _loaded(pinned, licence, rows)
        return replace(kept, own=pinned)


def _columns(own: OwnProblems) -> list[str]:
    named = (own.column, own.answer, own.domain, *(column for column, _ in own.where))
    return list(dict.fromkeys(name for name in named if name is not None))


def _local(own: OwnProblems) -> tuple[OwnProblems, str | None, Iterable[Row]]:
    files = files_of(own.path)
    digest = digest_of(files)
    if own.revision not in (None, digest):
        raise BadInput(
            f"{own.source} is not what its revision {own.revision} names; leave that out to read it as it is"
        )
    rows = chain.from_iterable(rows_of(file, _columns(own)) for file in files)
    return replace(own, revision=digest), own.licence, rows


def _of_hub(own: OwnProblems) -> tuple[OwnProblems, str | None, Iterable[Row]]:
    pinned = hub.pinned(own)
    stated, name = hub.licences_of(pinned)
    licence = next(filter(no_derivatives, (*stated, name)), None)  # which `check_source` refuses
    if licence is None and own.licence is not None and stated and own.licence not in stated:
        raise BadInput(
            f"the licence of {own.source} is {', '.join(stated)} by its card, not {own.licence}; leave out"
            " --problems-licence"
        )
    if licence is None and own.licence is None and len(stated) > 1:
        raise BadInput(
            f"the card of {own.source} states several licences, {', '.join(stated)}; give the one that holds"
            " for the problems with --problems-licence"
        )
    licence = licence or own.licence or next(iter(stated), None)
    return pinned, licence, hub.rows_of(pinned, _columns(own))


def _loaded(own: OwnProblems, licence: str | None, rows: Iterable[Row]) -> Loaded:
    seen: set[tuple[str, str | None]] = set()
    problems: list[Problem] = []
    values: dict[str, str] = {}  # of the column of the domains, with the key that each becomes
    count = left_out = empty = doubles = 0
    for count, row in enumerate(rows, 1):
        if any(_text(own, row, column) != value for column, value in own.where):
            left_out += 1
        elif (problem := _problem(own, row)) is None:
            empty += 1
        elif half := _HALF.search(f"{problem.text}{problem.reference}"):
            raise BadInput(
                f"row {count:,} of {own.source} holds {half[0]!a}, which is half a character; mend it"
            )
        elif (key := (problem.text, problem.domain)) in seen:
            doubles += 1
        else:
            seen.add(key)
            problems.append(problem)
            if own.domain is not None:
                values.setdefault(_text(own, row, own.domain).strip(), str(problem.domain))
    if not count:
        raise BadInput(f"{own.source} is empty; give a source that holds problems")
    if not problems:
        kept = (
            f"{left_out:,} are left out by --problems-where"
            if left_out
            else f"column {own.column!r} is empty"
        )
        raise BadInput(
            f"none of the {count:,} rows of {own.source} is a problem to take: {kept}; give others"
        )
    found = {problem.domain for problem in problems}
    if len(found) > MOST_DOMAINS:
        raise BadInput(
            f"column {own.domain!r} of {own.source} has {len(found):,} values, and a domain each are too many"
            f" (at most {MOST_DOMAINS}); name another column, or leave it out"
        )
    if own.domain is not None:
        _check_domains(own, values)
    return Loaded(own, tuple(problems), count, left_out, empty, doubles, licence)


def _problem(own: OwnProblems, row: Row) -> Problem | None:
    text = row[own.column]
    if text is not None and not isinstance(text, str):
        raise BadInput(
            f"column {own.column!r} of {own.source} holds {_kind(text)} ({shortened(text)}), and a problem is"
            " a text; name a column of texts"
        )
    if not (text or "").strip():
        return None
    domain = None if own.domain is None else _text(own, row, own.domain).strip()
    if domain is not None and not (domain := _NO_KEY.sub("_", domain).strip("_-")):
        raise BadInput(
            f"column {own.domain!r} of {own.source} holds {shortened(row[str(own.domain)])}, which names no"
            " domain in letters and digits; fill it in, or leave the column out"
        )
    reference = None if own.answer is None else _text(own, row, own.answer).strip() or None
    return Problem(str(text).strip(), domain, reference)


def _check_domains(own: OwnProblems, values: Mapping[str, str]) -> None:
    """Raises BadInput for values that would be one domain, or cannot be one.

    values: each with its key. Folders of two keys that differ in case alone are one on some disks.
    """
    first: dict[str, str] = {}
    for value, key in values.items():
        if (other := first.setdefault(key.lower(), value)) != value:
            raise BadInput(
                f"column {own.domain!r} of {own.source} holds {shortened(other)} and {shortened(value)},"
                f" which would be one domain, {key}; write them alike, or tell them apart in Latin letters"
                " and digits"
            )
    for value, key in values.items():
        others = {key.removesuffix(suffix) for suffix in SUFFIXES} - {key}
        if key.lower() in TAKEN or others & set(values.values()):
            raise BadInput(
                f"column {own.domain!r} of {own.source} holds {shortened(value)}, which names another part of"
                " a build; call the domain otherwise"
            )


def _text(own: OwnProblems, row: Row, column: str) -> str:
    """A value as text, "" for none."""
    value = row[column]
    if value is None or value != value:  # NaN, as pandas writes a missing value
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        if isinstance(value, bool) and column not in (own.answer, own.domain):
            return str(value).lower()
        raise BadInput(
            f"column {column!r} of {own.source} holds {_kind(value)} ({shortened(value)}); name a column of"
            " texts or numbers"
        )
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "objects"
    return {list: "lists", bool: "truth values", bytes: "bytes"}.get(type(value), "numbers")


def by_domain(loaded: Loaded, domain: str | None) -> Iterator[Problem]:
    """The problems of one domain, in the order of the source."""
    return (problem for problem in loaded.problems if problem.domain == domain)
