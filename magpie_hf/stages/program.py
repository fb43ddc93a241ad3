"""WritePrograms and RunPrograms: a model writes programs that print a problem's answer, and they are run.

Not here: the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare
from magpie_hf.answers.programs.sandbox import Ran, Sandbox
from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import PROGRAM, PROGRAM_TEXT
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.second_opinion import AGREES, DIFFERS, NONE

INSTRUCTION = (
    "Write one complete Python program that computes the final answer and prints it, alone, on its last line:"
    " a number, or an exact expression as sympy prints it, not rounded. It may import the standard library"
    " and sympy. It gets no input. Put it into one block that begins with ```python and ends with ```."
)
_FLOAT = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?", re.IGNORECASE)
_DOUBLE = 15  # digits from which a printed number is one that the processor rounded
_BLOCK = re.compile(r"```(?:python3?|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class WritePrograms(Stage):
    """k programs for each problem that has a majority, in `program_texts`; null for the others."""

    name: ClassVar[str] = "write_programs"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed", "majority_answer")

    engine: Engine
    sampling: Sampling
    k: int = 2
    instruction: str = INSTRUCTION

    @property
    def adds(self) -> Features:
        return Features(PROGRAM_TEXT)

    @property
    def reuse_key(self) -> str:
        same = identity(replace(self, k=1, sampling=replace(self.sampling, max_tokens=1)))
        return fingerprint({**same, "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch["program_texts"]:
            yield from map(recorded, responses or ())

    def conversation(self, problem: str) -> list[Message]:
        """The problem as a conversation that asks for a program."""
        return [{"role": "user", "content": f"{problem}\n\n{self.instruction}"}]

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        asked = [place for place, answer in enumerate(batch["majority_answer"]) if answer is not None]
        prompts = chat.closed_prompts(self.conversation(batch["problem"][place]) for place in asked)
        each = [prompt for prompt in prompts for _ in range(self.k)]
        seeds = [
            seed_of(batch["seed"][place], self.name, number) for place in asked for number in range(self.k)
        ]
        made = [
            response_of(chat, f"user: {self.instruction}", completion)
            for completion in self.engine.complete(each, sampling, seeds)
        ]
        texts: list[list[dict[str, Any]] | None] = [None] * len(batch["seed"])
        for at, place in enumerate(asked):
            texts[place] = made[at * self.k : (at + 1) * self.k]
        return {"program_texts": texts}


@dataclass(frozen=True)
class RunPrograms(Stage):
    """What the programs print, in a sandbox, and whether it is the majority's answer.

    `program_answer` is what all programs that ran to their end print on their last line, if they print the
    same; null else. `program_agrees` is "agrees", "differs", or "none" without such an answer or where the
    two cannot be compared; null where no program was asked for. Columns: `schema.PROGRAM`.
    """

    name: ClassVar[str] = "run_programs"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("program_texts", "majority_answer")

    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(PROGRAM)

    def run(self, batch: Batch) -> Batch:
        sources = [
            [source_of(one["answer_text"]) if one["reason"] is None else None for one in texts or ()]
            for texts in batch["program_texts"]
        ]
        flat = [source for row in sources for source in row if source is not None]
        ran = iter(Sandbox.found().run_all(flat) if flat else ())
        rows = [[None if source is None else (source, next(ran)) for source in row] for row in sources]
        with ThreadPoolExecutor(self.processes) as pool:
            verdicts = list(pool.map(self._verdict, rows, batch["majority_answer"]))
        return {
            "programs": [
                None if texts is None else [_column(one) for one in row]
                for texts, row in zip(batch["program_texts"], rows, strict=True)
            ],
            "program_answer": [answer for answer, _ in verdicts],
            "program_agrees": [
                None if texts is None else verdict
                for texts, (_, verdict) in zip(batch["program_texts"], verdicts, strict=True)
            ],
        }

    def _verdict(self, row: Sequence[tuple[str, Ran] | None], majority: str | None) -> tuple[str | None, str]:
        """The programs' answer, and whether it agrees."""
        printed = [last for one in row if one is not None and (last := _printed(one[1])) is not None]
        if (
            majority is None
            or not printed
            or any(self._relation(printed[0], one) != "equal" for one in printed[1:])
        ):
            return None, NONE
        relation = self._relation(printed[0], majority)
        return printed[0], {"equal": AGREES, "different": DIFFERS}.get(relation, NONE)

    def _relation(self, one: str, other: str) -> str:
        """How two answers compare, of which the first was printed; a rounded number also to 12 digits."""
        relation = compare(one, other, self.limits, self.processes).relation
        if relation == "different" and (_rounded(one), _rounded(other)) != (one, other):
            return compare(_rounded(one), _rounded(other), self.limits, self.processes).relation
        return relation


def source_of(text: str) -> str | None:
    """The program in an answer: its last block of code; None where it has none."""
    blocks = [block for block in _BLOCK.findall(text) if block.strip()]
    return blocks[-1] if blocks else None


def _printed(ran: Ran) -> str | None:
    """The last line that a program printed, if it ran to its end."""
    lines = [line.strip() for line in ran.output.splitlines() if line.strip()]
    return lines[-1] if lines and ran.ending == "ok" else None


def _rounded(text: str) -> str:
    """A number that a processor rounded, without the digits that this spoils; other texts as they are."""
    if not _FLOAT.fullmatch(text) or len(re.sub(r"e.*|\D", "", text.lower()).lstrip("0")) < _DOUBLE:
        return text
    return f"{float(text):.12g}"


def _column(one: tuple[str, Ran] | None) -> dict[str, str | None]:
    if one is None:
        return {"source": None, "output": None, "ending": "no_program", "error": None}
    source, ran = one
    return {"source": source, "output": ran.output, "ending": ran.ending, "error": ran.error or None}
