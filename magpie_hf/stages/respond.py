"""Respond: a model solves each problem, once or k times.

Not here: whether an answer is right or liked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import CONTEXT_FULL, Completion, Engine, record
from magpie_hf.models.chat import SOLVING_INSTRUCTION, Chat, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import RESPONSE
from magpie_hf.stage import Batch, Stage, fingerprint, seed_of


@dataclass(frozen=True)
class Respond(Stage):
    """k completions per problem, each with its own seed, in the list column `column`.

    The SFT answer and the candidates are two of these stages, which differ in `column`, k and sampling alone.
    """

    name: ClassVar[str] = "respond"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed")

    engine: Engine
    column: str
    sampling: Sampling
    k: int = 1
    instruction: str = SOLVING_INSTRUCTION

    @property
    def label(self) -> str:
        return self.column

    @property
    def adds(self) -> Features:
        return Features({self.column: [RESPONSE]})

    @property
    def reuse_key(self) -> str:
        return fingerprint(replace(self, k=1, sampling=replace(self.sampling, max_tokens=1)))

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for responses in batch[self.column]:
            for one in responses or ():
                if (
                    one["text"] or one["finish_reason"] != "length"
                ):  # the text of an answer truncated by a lower bound was not kept
                    yield (
                        one["request"],
                        record(
                            Completion(
                                one["text"], one["finish_reason"], one["prompt_tokens"], one["num_tokens"]
                            )
                        ),
                    )

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids)
        prompts = chat.closed_prompts(
            chat.solving_prompt(problem, self.instruction) for problem in batch["problem"]
        )
        # Adjacent candidates share the prefix of their prompt
        completions = self.engine.complete(
            [prompt for prompt in prompts for _ in range(self.k)],
            sampling,
            [seed_of(seed, self.column, candidate) for seed in batch["seed"] for candidate in range(self.k)],
        )
        note = chat.solving_note(self.instruction)
        read = [{**_response(chat, completion), "asked_with": note} for completion in completions]
        return {self.column: [read[row * self.k : (row + 1) * self.k] for row in range(len(prompts))]}


def _response(chat: Chat, completion: Completion) -> dict[str, object]:
    response = chat.read(completion.text)
    finish = completion.finish_reason
    # An unclosed thought counts as truncated, however the completion ended; else the finish reason is the
    # reason.
    unclosed = finish != CONTEXT_FULL and response.reason == "thinking_not_closed"
    reason = response.reason if finish == "stop" or unclosed else finish
    return {
        "text": response.text,
        "thinking": response.thinking,
        "answer_text": response.answer,
        "finish_reason": finish,
        "reason": reason,
        "prompt_tokens": completion.prompt_tokens,
        "num_tokens": completion.num_tokens,
        "request": completion.request,
    }
