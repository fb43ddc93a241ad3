"""PassRate: how often a model, often a smaller one, gives a problem's label: difficulty by behaviour.

Not here: which rates a build asks for (limits.py), and what is dropped for them (selection).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.words import EQUAL
from magpie_hf.engines.base import Engine
from magpie_hf.limits import check_band, check_pass_votes
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import PASSES
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.solving import Instruction, solving_prompts

PASS_RATE = "pass_rate"  # among the opinions of a recipe
FIRST = 2  # answers, after which a problem that is too easy is asked no more


@dataclass(frozen=True)
class PassRate(Stage):
    """`votes` answers to each problem that has a label, and the share of them that is shown to equal it.

    The label is the majority's answer, or with `by_reference` the reference answer where there is one; a
    problem without a label is not asked, and its columns are null. Answers that are truncated, or that cannot
    be compared, count as wrong, as a reward would count them.

    band: the rates that the build keeps; None keeps all. Where 1 lies above it, a problem whose first two
    answers are right is asked no more: its rate is 1, of two votes. So a problem that the model passes with
    probability p leaves the band there with p squared.
    """

    name: ClassVar[str] = PASS_RATE
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed", "majority_answer")
    reads_too: ClassVar[tuple[str, ...]] = ("reference_answer",)

    engine: Engine
    sampling: Sampling
    votes: int = 8
    band: tuple[float, float] | None = None
    by_reference: bool = False
    instruction: Instruction = SOLVING_INSTRUCTION
    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    def __post_init__(self) -> None:
        check_pass_votes(self.votes)
        check_band(self.band)

    @property
    def adds(self) -> Features:
        return Features(PASSES)

    @property
    def reuse_key(self) -> str:
        short = replace(self.sampling, max_tokens=1)
        asked = type(self)(self.engine, short, instruction=self.instruction)
        return fingerprint({**identity(asked), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch["pass_responses"]:
            yield from map(recorded, responses or ())

    def run(self, batch: Batch) -> Batch:
        references = batch.get("reference_answer") if self.by_reference else None
        labels = [
            reference or majority
            for reference, majority in zip(
                references or [None] * len(batch["seed"]), batch["majority_answer"], strict=True
            )
        ]
        given: dict[int, list[dict[str, Any]]] = {at: [] for at, label in enumerate(labels) if label}
        right = dict.fromkeys(given, 0)
        first = FIRST if self.band is not None and self.band[1] < 1 else self.votes
        for start, stop in ((0, min(first, self.votes)), (first, self.votes)):
            asked = [at for at in given if start < stop and (not start or right[at] < start)]
            for at, responses in zip(asked, self._answers(batch, asked, range(start, stop)), strict=True):
                given[at] += responses
            with ThreadPoolExecutor(self.processes) as pool:
                counts = pool.map(lambda at: self._right(given[at], str(labels[at])), asked)
                right |= dict(zip(asked, counts, strict=True))
        places = range(len(labels))
        return {
            "pass_rate": [right[at] / len(given[at]) if at in given else None for at in places],
            "pass_votes": [len(given[at]) if at in given else None for at in places],
            "pass_responses": [given.get(at) for at in places],
        }

    def _answers(self, batch: Batch, asked: Sequence[int], numbers: range) -> list[list[dict[str, Any]]]:
        """The answers of these numbers to each of these problems."""
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        prompts, notes = solving_prompts(chat, [batch["problem"][at] for at in asked], self.instruction)
        each = [prompt for prompt in prompts for _ in numbers]
        told = [note for note in notes for _ in numbers]
        seeds = [seed_of(batch["seed"][at], self.name, number) for at in asked for number in numbers]
        completions = self.engine.complete(each, sampling, seeds) if each else []
        made = [response_of(chat, *one) for one in zip(told, completions, strict=bool(each))]
        many = len(numbers)
        return [made[place * many : (place + 1) * many] for place in range(len(asked))]

    def _right(self, responses: Sequence[dict[str, Any]], label: str) -> int:
        """How many answers are shown to equal the label."""
        answers = [final_answer(one["answer_text"]) if one["reason"] is None else None for one in responses]
        return sum(
            answer is not None and compare(answer, label, self.limits, self.processes).relation == EQUAL
            for answer in answers
        )
