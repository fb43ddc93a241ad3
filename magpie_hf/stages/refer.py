"""Refer: the reference answer of a given problem, and which answers equal it.

Not here: the vote (verify.py), and what the reference is used for (pairs, published answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare, is_readable
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.words import DIFFERENT, EQUAL
from magpie_hf.schema import REFERRED
from magpie_hf.stage import Batch, Stage

_KNOWN = {EQUAL: True, DIFFERENT: False}
MOST_OF_ANSWER = 80  # characters of a line that is a final answer itself; a longer one is a sentence


@dataclass(frozen=True)
class Refer(Stage):
    """The reference's final answer, whether the majority's equals it, and which candidates give it.

    Answers are compared as Verify compares them. For the columns see `schema.REFERRED`. processes: how many
    workers compare answers at once, over all threads.
    """

    name: ClassVar[str] = "refer"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (
        "reference",
        "answer_kind",
        "answers",
        "majority_answer",
        "solutions",
    )

    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(REFERRED)

    def run(self, batch: Batch) -> Batch:
        with ThreadPoolExecutor(self.processes) as pool:
            rows = list(pool.map(self._row, *(batch[column] for column in self.reads)))
        return {column: [row[column] for row in rows] for column in REFERRED}

    def _row(
        self,
        reference: str | None,
        kind: str,
        answers: Sequence[str | None],
        majority: str | None,
        solutions: Sequence[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        gold = None if reference is None or kind == "proof" else reference_answer(reference)
        if gold is None:
            return dict.fromkeys(REFERRED)
        cold = next(iter(solutions or ()), None)
        cold_answer = None if cold is None or cold["reason"] else final_answer(cold["answer_text"])
        return {
            "reference_answer": gold,
            "reference_agrees": self._equals(majority, gold),
            "matches_reference": [self._equals(answer, gold) for answer in answers],
            "solution_matches": self._equals(cold_answer, gold),
            "reference_readable": is_readable(gold, self.limits, self.processes),
        }

    def _equals(self, answer: str | None, gold: str) -> bool | None:
        if answer is None:
            return None
        return _KNOWN.get(compare(answer, gold, self.limits, self.processes).relation)


def reference_answer(reference: str) -> str | None:
    """The final answer of a reference, which is a solution or the answer itself; None without one."""
    if (found := final_answer(reference)) is not None:
        return found
    line = reference.strip()
    if "\n" in line or len(line) > MOST_OF_ANSWER:
        return None
    if line.count("$") == 2 and line[0] == line[-1] == "$":
        line = line[1:-1]
    return final_answer(f"\\boxed{{{line}}}")
