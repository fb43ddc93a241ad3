"""Respond: a model solves each problem, once or k times.

Not here: whether an answer is right or liked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.repetition import ends_in_repetition
from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, record
from magpie_hf.engines.journal import spanning
from magpie_hf.models.chat import SOLVING_INSTRUCTION, Chat, Response, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import RESPONSE
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.solving import Instruction, solving_prompts


@dataclass(frozen=True)
class Respond(Stage):
    """k completions per problem, each with its own seed, in the list column `column`.

    The SFT answer and the candidates are two of these stages, which differ in `column`, k and sampling alone.

    auto_extend: how often the bound of truncated completions is doubled, once all others are done. One that
    runs in circles, or that fills the model's context, stays as it is.
    """

    name: ClassVar[str] = "respond"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed")

    engine: Engine
    column: str
    sampling: Sampling
    k: int = 1
    instruction: Instruction = SOLVING_INSTRUCTION
    auto_extend: int = 0

    @property
    def label(self) -> str:
        return self.column

    @property
    def adds(self) -> Features:
        return Features({self.column: [RESPONSE]})

    @property
    def reuse_key(self) -> str:
        same = identity(replace(self, k=1, sampling=replace(self.sampling, max_tokens=1)))
        del same["auto_extend"]  # another bound, too
        same["version"] = 2  # requests carry all that changed since
        return fingerprint(same)

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch[self.column]:
            for one in responses or ():
                # The text of an answer truncated by a lower bound than it was made under was not kept
                if one["text"] or one["finish_reason"] != "length":
                    yield recorded(one)

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        prompts, told = solving_prompts(chat, batch["problem"], self.instruction)
        # Adjacent candidates share the prefix of their prompt
        asked = [prompt for prompt in prompts for _ in range(self.k)]
        seeds = [
            seed_of(seed, self.column, candidate) for seed in batch["seed"] for candidate in range(self.k)
        ]
        notes = [note for note in told for _ in range(self.k)]
        with spanning():
            completions = self.engine.complete(asked, sampling, seeds)
            read = [response_of(chat, *one) for one in zip(notes, completions, strict=True)]
            for _ in range(self.auto_extend):
                longer = [
                    at
                    for at, completion in enumerate(completions)
                    if read[at]["reason"] != "repetition" and self._ran_out(completion, sampling.max_tokens)
                ]
                sampling = replace(sampling, max_tokens=2 * sampling.max_tokens)
                extended = self.engine.complete(
                    [asked[at] for at in longer], sampling, [seeds[at] for at in longer]
                )
                for at, completion in zip(longer, extended, strict=True):
                    completions[at], read[at] = completion, response_of(chat, notes[at], completion)
        return {self.column: [read[row * self.k : (row + 1) * self.k] for row in range(len(prompts))]}

    def _ran_out(self, completion: Completion, max_tokens: int) -> bool:
        """Whether the bound truncated the completion, and not the model's own limit."""
        longest = self.engine.max_length
        full = longest is not None and completion.prompt_tokens + max_tokens >= longest
        return completion.finish_reason == "length" and completion.num_tokens >= max_tokens and not full


def recorded(response: dict[str, Any]) -> tuple[str, Any]:
    """The request of a response and its record in the journal, so that it is not asked again."""
    completion = Completion(
        response["text"],
        response["finish_reason"],
        response["prompt_tokens"],
        response["num_tokens"],
        # rows of earlier versions have neither
        token_ids=tuple(response.get("token_ids") or ()),
        segments=tuple(response.get("segments") or ()),
    )
    return response["request"], record(completion)


def response_of(chat: Chat, note: str, completion: Completion) -> dict[str, Any]:
    """What `schema.RESPONSE` holds of a completion. note: what the model was told besides the problem."""
    response = chat.read(completion.text)
    finish = completion.finish_reason
    # Circles are told apart, however the completion ended; an unclosed thought counts as truncated, however
    # it ended; else the finish reason is the reason.
    unclosed = finish != CONTEXT_FULL and response.reason == "thinking_not_closed"
    if finish == "repetition" or (finish not in (CONTEXT_FULL, KILLED_ENGINE) and _in_circles(response)):
        reason: str | None = "repetition"
    else:
        reason = response.reason if finish == "stop" or unclosed else finish
    return {
        "text": response.text,
        "thinking": response.thinking,
        "answer_text": response.answer,
        "finish_reason": finish,
        "reason": reason,
        "asked_with": note,
        "prompt_tokens": completion.prompt_tokens,
        "num_tokens": completion.num_tokens,
        "request": completion.request,
        "token_ids": list(completion.token_ids) or None,
        "segments": list(completion.segments) or None,
    }


def _in_circles(response: Response) -> bool:
    """Whether the answer or the thinking ends in a repetition."""
    return any(ends_in_repetition(text) for text in (response.answer, response.thinking) if text)
