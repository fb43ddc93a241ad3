"""Opinions on the majority's answer, beside the votes: who is asked for them, and which labels they confirm.

Not here: asking (second_opinion.py, program.py), and the votes, with which they are never mixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import Limits
from magpie_hf.domains import Domain, opinion_sampling
from magpie_hf.engines.base import Engine
from magpie_hf.schema import PAIR
from magpie_hf.stage import Batch, Stage
from magpie_hf.stages.objections import Objections
from magpie_hf.stages.pair import CORRECTNESS, no_pair
from magpie_hf.stages.program import RunPrograms, WritePrograms
from magpie_hf.stages.second_opinion import AGREES, DIFFERS, SecondOpinion
from magpie_hf.stages.solving import Instruction

CHECKER, PROGRAM, OBJECTIONS = "checker", "program", "objections"
UNCONFIRMED = "unconfirmed"  # why a problem has no pair


def opinion_stages(
    domain: Domain,
    instruction: Instruction,
    limits: Limits,
    checker: Engine | None = None,
    programmer: Engine | None = None,
    looker: Engine | None = None,
    selected: bool = True,
) -> Iterator[tuple[str, Engine | None, list[list[Stage]]]]:
    """The stages that ask for opinions on a domain's answers, each at its place of `selection.Places`.

    selected: whether they stand behind the selection.
    """
    if looker is not None:
        _, warm = opinion_sampling(domain, looker.model)
        yield "", looker, [[Objections(looker, warm, selected)]]
    if checker is not None:
        cold, warm = opinion_sampling(domain, checker.model)
        yield "", checker, [[SecondOpinion(checker, cold, warm, instruction, limits)]]
    if programmer is not None:
        _, warm = opinion_sampling(domain, programmer.model)
        yield "", programmer, [[WritePrograms(programmer, warm)]]
        yield "", None, [[RunPrograms(limits)]]


def is_confirmed(row: Mapping[str, Any], opinions: Sequence[str]) -> bool:
    """Whether the checker, where there is one, agrees with the majority, and no program differs from it."""
    agrees = CHECKER not in opinions or row["checked"] == AGREES
    return agrees and (PROGRAM not in opinions or row["program_agrees"] != DIFFERS)


@dataclass(frozen=True)
class Confirm(Stage):
    """The pairs without the correctness pairs of majorities that the opinions do not confirm.

    by_reference: whether pairs are made by reference answers, where there are any; these are right anyhow.
    """

    name: ClassVar[str] = "confirm"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = tuple(PAIR)
    reads_too: ClassVar[tuple[str, ...]] = ("checked", "program_agrees", "reference_answer")

    opinions: tuple[str, ...]
    by_reference: bool = False

    @property
    def adds(self) -> Features:
        return Features(PAIR)

    def run(self, batch: Batch) -> Batch:
        pairs = []
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            referred = self.by_reference and row["reference_answer"] is not None
            held = row["pair_kind"] != CORRECTNESS or referred or is_confirmed(row, self.opinions)
            pairs.append(row if held else no_pair(UNCONFIRMED))
        return {column: [pair[column] for pair in pairs] for column in PAIR}
