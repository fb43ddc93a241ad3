"""Cut: a problem ends where the tagger says that the task does, and a solution behind it is cut off.

Not here: asking the tagger, and dropping what cannot be cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.problems.cleaning.lexicon import has_task
from magpie_hf.problems.cleaning.rules import reason_of
from magpie_hf.schema import CLEAN
from magpie_hf.stage import Batch, Stage

SOLUTION = "contains_solution"  # in `trimmed`
_CLOSED = re.compile(r"[.?!。？！．][\"'”’)*_$]{0,3}\Z")  # long last words come cut off from the tagger


@dataclass(frozen=True)
class Cut(Stage):
    """The problem as far as the task goes, in place of the one of Clean; `trimmed` says so.

    It is cut only where the tagger saw a solution begin, at last words that stand there once and verbatim,
    and only if what is left passes all rules. Everything after it reads the problem that is left.
    """

    name: ClassVar[str] = "cut"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("problem", "trimmed", "tags")

    @property
    def adds(self) -> Features:
        return Features({name: CLEAN[name] for name in ("problem", "trimmed")})

    def run(self, batch: Batch) -> Batch:
        rows = [
            _cut(problem, trimmed, tags)
            for problem, trimmed, tags in zip(batch["problem"], batch["trimmed"], batch["tags"], strict=True)
        ]
        return {"problem": [problem for problem, _ in rows], "trimmed": [trimmed for _, trimmed in rows]}


def _cut(problem: str, trimmed: str | None, tags: dict[str, Any]) -> tuple[str, str | None]:
    end = (tags["end"] or "").strip()
    if tags["solution"] != "begun" or not end or problem.count(end) != 1:
        return problem, trimmed
    task = problem[: problem.index(end) + len(end)].rstrip()
    closed = _CLOSED.search(task) is not None or problem[len(task) :].startswith("\n")
    if task == problem or not closed or not has_task(task) or reason_of(task) is not None:
        return problem, trimmed
    return task, "+".join(dict.fromkeys([*((trimmed or "").split("+") if trimmed else ()), SOLUTION]))
