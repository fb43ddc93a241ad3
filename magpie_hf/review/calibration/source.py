"""The problems of a calibration, as given problems with reference answers: of the families, or a public set.

Not here: asking for answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.names import place_and_columns
from magpie_hf.review.calibration.problems import Known, known_problems

PROBLEM, ANSWER, DOMAIN = "problem", "answer", "domain"  # the columns of the file of the families


@dataclass(frozen=True)
class KnownAnswers:
    """Where the problems are, with their columns; known: those of the families, by problem."""

    place: str
    problem: str
    answer: str
    domain: str | None = None
    known: Mapping[str, Known] = field(default_factory=dict)

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
    file = folder / "known.jsonl"
    lines = (
        json.dumps({PROBLEM: one.problem, ANSWER: f"${one.answer}$", DOMAIN: one.domain}) for one in made
    )
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return KnownAnswers(str(file), PROBLEM, ANSWER, DOMAIN, {one.problem: one for one in made})


def of_set(text: str) -> KnownAnswers:
    """A public set by its place, as in `openai/gsm8k:main#question,answer`, or a file.

    Raises BadInput where the columns are not two.
    """
    place, columns = place_and_columns(text)
    names = columns or [PROBLEM, ANSWER]
    if len(names) != 2 or not all(names) or not place:
        raise BadInput(
            f"--known {text!r} names no two columns; give the place, # and the columns of problem and answer,"
            " as in openai/gsm8k:main#question,answer"
        )
    return KnownAnswers(place, problem=names[0], answer=names[1])


def levels_of(text: str) -> tuple[int, ...]:
    """Levels with commas. Raises BadInput for what is none."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part in ("1", "2", "3") for part in parts):
        raise BadInput(f"levels are {text}; choose from 1, 2 and 3")
    return tuple(sorted({int(part) for part in parts}))
