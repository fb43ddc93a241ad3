"""The problems of a calibration, as given problems with reference answers: of the families, or a public set.

Not here: asking for answers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.names import place_and_columns
from magpie_hf.problems.own.loading import load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.review.calibration.problems import Known, known_problems

PROBLEM, ANSWER, DOMAIN = "problem", "answer", "domain"  # the columns of the file that is written


@dataclass(frozen=True)
class KnownAnswers:
    """Where the problems are, with their columns; known: those of the families, by problem.

    named: what a set is called, and its revision; empty for the families.
    """

    place: str
    problem: str
    answer: str
    domain: str | None = None
    known: Mapping[str, Known] = field(default_factory=dict)
    named: Mapping[str, Any] = field(default_factory=dict)

    def groups(self, problem: str, domain: str) -> dict[str, str]:
        """What a problem belongs to: its domain and, of the families, its family and level."""
        if (one := self.known.get(problem)) is None:
            return {"domain": domain}
        return {"domain": domain, "family": one.family, "level": str(one.level)}


def of_families(
    folder: Path, count: int, seed: int, domains: Sequence[str], levels: tuple[int, ...]
) -> KnownAnswers:
    """Write problems of the families into a file in this folder. Raises BadInput as `known_problems` does."""
    made = known_problems(count, seed, tuple(domains), levels)
    rows = ({PROBLEM: one.problem, ANSWER: f"${one.answer}$", DOMAIN: one.domain} for one in made)
    file = _write(folder, rows)
    return KnownAnswers(str(file), PROBLEM, ANSWER, DOMAIN, {one.problem: one for one in made})


def of_set(folder: Path, text: str, count: int, seed: int, **which: Any) -> KnownAnswers:
    """Write `count` problems with answers of a public set, chosen by the seed, into a file in this folder.

    All of them where it has no more; a larger count begins with the problems of a smaller one. text: the
    set's place and columns, as in `openai/gsm8k:main#question,answer`, or a file's. which: the split, the
    rows and the revision, as fields of OwnProblems. Raises BadInput where the columns are not two, and as
    `load` does.
    """
    place, columns = place_and_columns(text)
    names = columns or [PROBLEM, ANSWER]
    if len(names) != 2 or not all(names) or not place:
        raise BadInput(
            f"--known {text!r} names no two columns; give the place, # and the columns of problem and answer,"
            " as in openai/gsm8k:main#question,answer"
        )
    loaded = load(OwnProblems(place, names[0], names[1], **which))
    known = [one for one in loaded.problems if one.reference is not None]
    if not known:
        raise BadInput(
            f"column {names[1]!r} of {place} holds no answer; name the column of the answers behind the #"
        )
    random.Random(f"{seed} known").shuffle(known)
    file = _write(folder, ({PROBLEM: one.text, ANSWER: one.reference} for one in known[:count]))
    named = {"name": loaded.own.name, "revision": loaded.own.revision}
    return KnownAnswers(str(file), PROBLEM, ANSWER, named=named)


def _write(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    file = folder / "known.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def levels_of(text: str) -> tuple[int, ...]:
    """Levels with commas. Raises BadInput for what is none."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part in ("1", "2", "3") for part in parts):
        raise BadInput(f"levels are {text}; choose from 1, 2 and 3")
    return tuple(sorted({int(part) for part in parts}))
