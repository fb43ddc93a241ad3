"""SecondOpinion: another model answers the problems that have a majority, and agrees with it or does not.

Not here: the vote of the solver's answers, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.votes import vote
from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import SECOND_OPINION
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.solving import Instruction, solving_prompts

AGREES, DIFFERS, NONE = "agrees", "differs", "none"
Response = dict[str, Any]


@dataclass(frozen=True)
class SecondOpinion(Stage):
    """One cold answer of the checker a problem; where that does not agree, one more cold one and a warm one.

    The first answer that equals the majority's settles it. Else the three vote as the candidates do, and
    their majority is the checker's answer. `checked` is "agrees" where it equals the solver's, "differs"
    where it is shown to differ, and "none" where the checker has no answer, or the two cannot be compared.
    Problems without a majority are not asked, and their columns are null.
    """

    name: ClassVar[str] = "second_opinion"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed", "majority_answer")

    engine: Engine
    cold: Sampling
    warm: Sampling
    instruction: Instruction = SOLVING_INSTRUCTION
    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(SECOND_OPINION)

    @property
    def reuse_key(self) -> str:
        short = {step: replace(getattr(self, step), max_tokens=1) for step in ("cold", "warm")}
        return fingerprint({**identity(replace(self, **short, limits=Limits())), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch["checker_responses"]:
            yield from map(recorded, responses or ())

    def run(self, batch: Batch) -> Batch:
        found = [(place, answer) for place, answer in enumerate(batch["majority_answer"]) if answer]
        given: dict[int, list[Response]] = {place: [] for place, _ in found}
        self._ask(batch, given, [("cold", 0)])
        opinions = self._compared(found, given)
        open_ = {place: given[place] for place, _ in found if opinions[place][1] != AGREES}
        self._ask(batch, open_, [("cold", 1), ("warm", 2)])
        opinions |= self._compared([one for one in found if one[0] in open_], open_)
        rows = [(*opinions.get(place, (None, None)), given.get(place)) for place in range(len(batch["seed"]))]
        return {column: [row[at] for row in rows] for at, column in enumerate(SECOND_OPINION)}

    def _ask(self, batch: Batch, given: dict[int, list[Response]], asked: Sequence[tuple[str, int]]) -> None:
        """Adds the answers of these steps to each problem's own."""
        chat = chat_of(self.engine.model)
        problems = [batch["problem"][place] for place in given]
        prompts, notes = solving_prompts(chat, problems, self.instruction)
        for step, number in asked:
            sampling = replace(getattr(self, step), stop_token_ids=chat.end_ids, stop=chat.end_texts)
            seeds = [seed_of(batch["seed"][place], self.name, number) for place in given]
            completions = self.engine.complete(prompts, sampling, seeds)
            for place, note, completion in zip(given, notes, completions, strict=True):
                given[place].append(response_of(chat, note, completion))

    def _compared(
        self, found: Sequence[tuple[int, str]], given: dict[int, list[Response]]
    ) -> dict[int, tuple[str | None, str]]:
        """The checker's answer to each problem, and whether it agrees."""
        with ThreadPoolExecutor(self.processes) as pool:
            made = pool.map(lambda one: self._opinion(one[1], given[one[0]]), found)
            return {place: opinion for (place, _), opinion in zip(found, made, strict=True)}

    def _opinion(self, majority: str, responses: Sequence[Response]) -> tuple[str | None, str]:
        answers = [final_answer(one["answer_text"]) if one["reason"] is None else None for one in responses]
        if answers[0] is not None and self._relation(answers[0], majority) == "equal":
            return answers[0], AGREES
        votes = vote(answers, self._relation)
        if not votes.has_majority:
            return None, NONE
        answer = next(one for one, n in zip(answers, votes.clusters, strict=True) if n == 0)
        assert answer is not None
        relation = self._relation(answer, majority)
        return answer, {"equal": AGREES, "different": DIFFERS}.get(relation, NONE)

    def _relation(self, one: str, other: str) -> str:
        return compare(one, other, self.limits, self.processes).relation
