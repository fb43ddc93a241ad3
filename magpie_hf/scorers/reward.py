"""Reward models as scorers: the prompts for each kind of head, and the score from its values.

Not here: how values are computed (engines).
"""

from __future__ import annotations

import math
import operator
import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from magpie_hf.engines.base import KILLED_ENGINE, NAN, Engine, Pooling, Rating
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.heads import OBJECTIVES, Head, check_tensors, head_of
from magpie_hf.models.known import ARMORM
from magpie_hf.scorers.base import Score

# The tokens between the user's and the assistant's text in Llama 3's format. ArmoRM's gate is read at the
# first.
GATE_TOKENS = ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
GATE_MARK = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
STEP_TOKEN = "<extra_0>"  # the mark after each step of a solution, from Qwen2.5-Math-PRM's card
# The reason of an answer whose first characters the tokenizer merges with the mark, so that no gate can be
# read
NO_GATE = "no_gate"
STEP_IN_TEXT = "step_token_in_text"  # of a text that holds a step token itself
EMPTY = "empty"  # of an answer without a step
FEWEST = 20  # fewest scores for the share of faults to count

# By head. A difference of 0.5 between two logits of a Bradley-Terry model is a preference of 62 %. Half of
# the original's pairs by ArmoRM lie within 0.028. A step's probability is not accurate below a twentieth.
LEAST_SCORE_GAPS: dict[Head, float] = {"sequence": 0.5, "last_token": 0.5, "gated": 0.01, "steps": 0.05}

Parts = list[Sequence[int]]


class _Reading(Protocol):
    """How to prompt one kind of head, and how to score its values."""

    @property
    def pooling(self) -> Pooling: ...

    def text(self, response: str) -> str:
        """The text of the assistant's turn."""

    def parts(self, prompt: Sequence[int], response: str) -> Parts | str:
        """The prompts to rate for one response, or the reason why it has no score."""

    def score(self, ratings: Sequence[Rating]) -> Score: ...


@dataclass(frozen=True)
class _Plain:
    """One value of the whole, or of its last token."""

    pooling: Pooling

    def text(self, response: str) -> str:
        return response

    def parts(self, prompt: Sequence[int], response: str) -> Parts | str:
        return [prompt]

    def score(self, ratings: Sequence[Rating]) -> Score:
        return Score(ratings[0].values[0])


@dataclass(frozen=True)
class _Gated:
    """ArmoRM: the gate at the end of the user's turn, the rewards at the end of the answer."""

    mark: tuple[int, ...]
    pooling: ClassVar[Pooling] = Pooling("sequence")

    def text(self, response: str) -> str:
        return response

    def parts(self, prompt: Sequence[int], response: str) -> Parts | str:
        ids, length = array("i", prompt), len(self.mark)
        mark = array("i", self.mark)
        at = next(
            (
                i
                for i in range(len(ids) - length, -1, -1)
                if ids[i] == mark[0] and ids[i : i + length] == mark
            ),
            None,
        )
        return NO_GATE if at is None else [ids[: at + 1], ids]

    def score(self, ratings: Sequence[Rating]) -> Score:
        count = len(OBJECTIVES)
        gate = ratings[0].values[2 * count :]
        rewards = ratings[1].values
        return Score(sum(map(operator.mul, gate, rewards[count : 2 * count])), None, rewards[:count], gate)


@dataclass(frozen=True)
class _Steps:
    """A process reward model: the probability that each step is right, combined."""

    step_token: int
    over: Literal["min", "product"]

    @property
    def pooling(self) -> Pooling:
        return Pooling("steps", self.step_token)

    def text(self, response: str) -> str:
        return "".join(f"{step}{STEP_TOKEN}" for step in _steps(response))

    def parts(self, prompt: Sequence[int], response: str) -> Parts | str:
        steps = len(_steps(response))
        if not steps:
            return EMPTY
        return [prompt] if sum(token == self.step_token for token in prompt) == steps else STEP_IN_TEXT

    def score(self, ratings: Sequence[Rating]) -> Score:
        logits = ratings[0].values
        right = tuple(
            1 / (1 + math.exp(min(no - yes, 700.0)))
            for no, yes in zip(logits[::2], logits[1::2], strict=True)
        )
        return Score(min(right) if self.over == "min" else math.prod(right), None, right)


def _steps(response: str) -> list[str]:
    """The steps of a solution, separated by empty lines, as Qwen2.5-Math writes them."""
    return [step for part in response.split("\n\n") if (step := part.strip())]


@dataclass(frozen=True)
class RewardModel:
    """A reward model that rates whole answers; `engine` runs it, as VLLM(model, runner="pooling").

    The architecture decides how it is used: ArmoRM, a *ForSequenceClassification with one label,
    Qwen2ForRewardModel, or the process reward model Qwen2ForProcessRewardModel.

    over_steps: how a process reward model's steps become a score: "min", the least probability (the default,
        because a product falls with the number of steps), or "product".
    read: "answer" leaves a reasoning model's thinking out, "whole" includes it.
    most_faults: scoring stops where more than this share of at least 20 scores is no number, or killed the
        engine: the model is then at fault, not the answers.

    Scores are logits, except a process reward model's. ArmoRM's come with their 19 objectives (`names`) and
    the gate that weighed them.
    """

    version: ClassVar[int] = 1

    engine: Engine
    read: Literal["answer", "whole"] = "answer"
    over_steps: Literal["min", "product"] = "min"
    most_faults: float = field(default=0.05, compare=False)

    def __post_init__(self) -> None:
        if self.read not in ("answer", "whole"):
            raise BadInput(f"read is {self.read!r}; choose answer or whole")
        if self.over_steps not in ("min", "product"):
            raise BadInput(f"over_steps is {self.over_steps!r}; choose min or product")

    @property
    def suffix(self) -> str:
        return "armorm" if head_of(self.engine.model) == "gated" else "reward"

    @property
    def title(self) -> str:
        named = f"reward model {self.engine.model.name}"
        return f"{named} ({self.over_steps} over steps)" if head_of(self.engine.model) == "steps" else named

    @property
    def least_score_gap(self) -> float:
        return LEAST_SCORE_GAPS[head_of(self.engine.model)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a score's objectives and of the gate's weights; () where a score has no named parts."""
        return OBJECTIVES if head_of(self.engine.model) == "gated" else ()

    def check(self) -> None:
        if not self.engine.rates:
            raise BadInput(
                f'the engine of {self.engine.model.name} rates nothing; give it the runner "pooling"'
            )
        reading = self._reading()
        check_tensors(self.engine.model)
        (prompt,) = self._prompts(reading, ["problem"], ["answer"])
        if not isinstance(reading.parts(prompt, "answer"), list):
            raise BadInput(
                f"the chat template of {self.engine.model.name} does not end the user's turn with"
                f" {GATE_MARK!r}, where ArmoRM's gate is read; put the tokenizer of {ARMORM} beside the"
                " weights"
            )

    def __call__(self, problems: Sequence[str], responses: Sequence[str]) -> list[Score]:
        reading = self._reading()
        prompts = self._prompts(reading, problems, responses)
        asked = [reading.parts(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        # An answer's parts are adjacent, and its first part is the one its rivals share, so the engine
        # computes it once.
        ratings = iter(
            self.engine.rate(
                [part for parts in asked if isinstance(parts, list) for part in parts], reading.pooling
            )
        )
        scores = [
            Score(None, parts) if isinstance(parts, str) else _score(reading, [next(ratings) for _ in parts])
            for parts in asked
        ]
        self._stop_at_faults(scores)
        return scores

    def _reading(self) -> _Reading:
        model = self.engine.model
        chat, head = chat_of(model), head_of(model)
        if head == "gated":
            _token(chat, *GATE_TOKENS)
            return _Gated(tuple(chat.ids(GATE_MARK)))
        if head == "steps":
            return _Steps(_token(chat, STEP_TOKEN), self.over_steps)
        return _Plain(Pooling(head))

    def _prompts(
        self, reading: _Reading, problems: Sequence[str], responses: Sequence[str]
    ) -> list[array[int]]:
        texts = (reading.text(response) for response in responses)
        return chat_of(self.engine.model).finished_prompts(
            [{"role": "user", "content": problem}, {"role": "assistant", "content": text}]
            for problem, text in zip(problems, texts, strict=True)
        )

    def _stop_at_faults(self, scores: Sequence[Score]) -> None:
        """Raises EngineError where too many of this model's scores in this process are the model's fault."""
        with _COUNTING:
            counts = _COUNTS.setdefault(self, [0, 0])
            counts[0] += len(scores)
            counts[1] += sum(score.reason in (NAN, KILLED_ENGINE) for score in scores)
            asked, faults = counts
            if asked >= FEWEST and faults > self.most_faults * asked:
                del _COUNTS[self]  # another build in this process starts a new count
        if asked >= FEWEST and faults > self.most_faults * asked:
            raise EngineError(
                f"{faults:,} of {asked:,} scores of {self.engine.model.name} are no numbers or killed the"
                f" engine, more than {self.most_faults:.0%}: its weights are damaged or its dtype is too"
                " narrow; download it again, or try the dtype float32"
            )


_COUNTS: dict[RewardModel, list[int]] = {}  # scores asked for, and faults
_COUNTING = threading.Lock()


def _score(reading: _Reading, ratings: Sequence[Rating]) -> Score:
    reason = next((rating.reason for rating in ratings if rating.reason), None)
    return reading.score(ratings) if reason is None else Score(None, reason)


def _token(chat: Chat, *texts: str) -> int:
    """The id of a marker of the format, given as texts. Raises BadInput where the tokenizer lacks one."""
    ids = {text: chat.ids(text) for text in texts}
    if missing := [text for text, found in ids.items() if len(found) != 1]:
        raise BadInput(
            f"the tokenizer of {chat.name} has no {', '.join(missing)}, by which this reward model finds its"
            " place; put the tokenizer that the model was published with beside the weights"
        )
    return ids[texts[0]][0]
