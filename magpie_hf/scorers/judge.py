"""The judge: a chat model that rates candidates.

Not here: reward models.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from magpie_hf.engines.base import CONTEXT_FULL, Completion, Engine
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.scorers.base import Score

RUBRIC = (
    "You grade solutions of mathematics problems. Below are a problem and a solution. Check every step of the"
    " solution, then rate it from 1 to 5: 1 is wrong or off the problem, 2 has serious errors, 3 is partly"
    " right, 4 is right with gaps, 5 is right, complete and"
    " clear.\n\nProblem:\n{problem}\n\nSolution:\n{response}\n\nAnswer with the rating alone, in the form"
    ' "Rating: 1" to "Rating: 5".'
)
RATINGS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Judge:
    """A chat model that rates a response from 1 to 5.

    The score is the mean rating under the model's own probabilities of the five rating tokens (after G-Eval,
    arXiv:2303.16634). No text is parsed, so it is fine-grained, and deterministic up to the engine. Where the
    ratings hold less than `min_mass` of the probability among the top tokens, there is no score
    ("not_rated"); a prompt that is too long gives "context_full".
    """

    version: ClassVar[int] = 2
    suffix: ClassVar[str] = "judge"
    names: ClassVar[tuple[str, ...]] = ()
    least_score_gap: ClassVar[float] = 0.1  # a tenth of one step of its scale

    engine: Engine
    rubric: str = RUBRIC
    min_mass: float = 0.05
    read: Literal["answer", "whole"] = "answer"

    @property
    def title(self) -> str:
        return f"judge {self.engine.model.name}"

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_mass", float(self.min_mass))
        if self.read not in ("answer", "whole"):
            raise BadInput(f"read is {self.read!r}; choose answer or whole")
        if self.rubric.count("{problem}") != 1 or "{response}" not in self.rubric.partition("{problem}")[2]:
            raise BadInput(
                "the rubric lacks {problem} and after it {response}; give a text with both, in this order"
            )

    @property
    def sampling(self) -> Sampling:
        return Sampling(temperature=0.0, max_tokens=1, logprobs=20)

    def check(self) -> None:
        self._prompts(["problem"], ["response"])

    def __call__(self, problems: Sequence[str], responses: Sequence[str]) -> list[Score]:
        prompts, tokens = self._prompts(problems, responses)
        completions = self.engine.complete(prompts, self.sampling, [0] * len(prompts))
        return [self._score(completion, tokens) for completion in completions]

    def _prompts(
        self, problems: Sequence[str], responses: Sequence[str]
    ) -> tuple[list[array[int]], list[int]]:
        # Inserted one after the other, so that braces in the texts are left alone.
        head, tail = self.rubric.split("{problem}")
        middle, _, end = tail.partition("{response}")
        questions = (
            "".join((head, problem, middle, response, end))
            for problem, response in zip(problems, responses, strict=True)
        )
        conversations = ([{"role": "user", "content": question}] for question in questions)
        return chat_of(self.engine.model).choice_prompts(conversations, "Rating: ", RATINGS)

    def _score(self, completion: Completion, tokens: Sequence[int]) -> Score:
        if completion.finish_reason == CONTEXT_FULL:
            return Score(None, CONTEXT_FULL)
        probability = {token: math.exp(log) for token, log in completion.first}
        masses = [probability.get(token, 0.0) for token in tokens]
        mass = sum(masses)
        if not mass >= self.min_mass or mass == 0:  # also catches NaN
            return Score(None, "not_rated")
        return Score(sum(rating * part for rating, part in enumerate(masses, start=1)) / mass)
