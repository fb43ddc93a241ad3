"""Whether two problems are the same: a model that reads them says so, asked in both orders.

Not here: which problems are compared (recognise.py, recognise_known.py).
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, record
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.stage import Batch, Stage, fingerprint

INVALID = "invalid"  # reason of an answer that is not the requested JSON object
MAX_TOKENS = 16  # an answer is one of two, of about 8 tokens

Near = dict[str, Any]  # a near problem, as in `schema.NEAREST`


def _answer(same: str) -> str:
    return json.dumps({"same": same}, separators=(",", ":"))


@dataclass(frozen=True)
class SameProblem(Stage):
    """Compares problems by two constrained, greedy completions, one in each order.

    guide, closing: what the model is told and asked. examples: pairs with their answers, as turns before the
    question.
    """

    guide: ClassVar[str]
    closing: ClassVar[str]
    examples: ClassVar[tuple[tuple[str, str, str], ...]]

    engine: Engine

    @property
    def _asked(self) -> dict[str, Any]:
        return {
            "is": self.name,
            "version": self.version,
            "engine": self.engine,
            "asked": self.conversation("", ""),
            "schema": self.schema,
        }

    @property
    def reuse_key(self) -> str:
        return fingerprint(self._asked)

    @property
    def schema(self) -> str:
        """The JSON schema of an answer."""
        whole = {
            "type": "object",
            "properties": {"same": {"type": "string", "enum": ["yes", "no"]}},
            "required": ["same"],
            "additionalProperties": False,
        }
        return json.dumps(whole, separators=(",", ":"))

    def check(self) -> None:
        """Raises BadInput where the chat template of the model cannot be used."""
        chat_of(self.engine.model).answer_prompts([self.conversation("one", "another")])

    def conversation(self, one: str, other: str) -> list[Message]:
        """The prompt; what is the same for all pairs comes first, so that its computation is shared."""
        turns: list[Message] = []
        for first, second, same in self.examples:
            turns.append({"role": "user", "content": self._question(first, second)})
            turns.append({"role": "assistant", "content": _answer(same)})
        turns.append({"role": "user", "content": self._question(one, other)})
        turns[0]["content"] = f"{self.guide}\n\n{turns[0]['content']}"
        return turns

    @abstractmethod
    def comparisons(self, batch: Batch) -> Iterator[dict[str, Any]]:
        """The comparisons in finished rows, each as `schema.RECOGNITION` has it."""

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for known in self.comparisons(batch):
            for verdict, request in zip(known["verdicts"], known["requests"], strict=True):
                if verdict == KILLED_ENGINE:
                    yield request, record(Completion("", KILLED_ENGINE, 0, 0))
                elif verdict != CONTEXT_FULL:  # costs nothing to ask again
                    yield request, record(Completion(_answer(verdict), "stop", 0, 0))

    def compared(self, pairs: Sequence[tuple[str, Near]]) -> list[dict[str, Any]]:
        """What the model says of each problem and the near one, as `schema.RECOGNITION` has it."""
        texts = [(problem, near["problem"]) for problem, near in pairs]
        completions = self._complete([pair for one, other in texts for pair in ((one, other), (other, one))])
        found = []
        for (_, near), both in zip(pairs, zip(completions[::2], completions[1::2], strict=True), strict=True):
            verdicts = [_verdict(completion) for completion in both]
            found.append(
                {
                    "row": near["row"],
                    "similarity": near["similarity"],
                    "verdicts": verdicts,
                    "reason": next((verdict for verdict in verdicts if verdict not in ("yes", "no")), None),
                    "num_tokens": sum(completion.num_tokens for completion in both),
                    "requests": [completion.request for completion in both],
                }
            )
        return found

    def _complete(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Completion]:
        if not pairs:
            return []  # so that no engine is loaded
        chat = chat_of(self.engine.model)
        prompts = chat.answer_prompts(self.conversation(*pair) for pair in pairs)
        sampling = Sampling(
            temperature=0.0, max_tokens=MAX_TOKENS, stop_token_ids=chat.end_ids, schema=self.schema
        )
        return self.engine.complete(prompts, sampling, [0] * len(prompts))

    def _question(self, one: str, other: str) -> str:
        return f"<problem>\n{one}\n</problem>\n\n<problem>\n{other}\n</problem>\n\n{self.closing}"


def is_same(comparison: dict[str, Any]) -> bool:
    """Whether both answers say yes."""
    return bool(comparison["verdicts"] == ["yes", "yes"])


def _verdict(completion: Completion) -> str:
    """What an answer says, or why it says nothing."""
    if completion.finish_reason in (CONTEXT_FULL, KILLED_ENGINE):
        return completion.finish_reason
    try:
        found = json.loads(completion.text)
    except (ValueError, RecursionError):
        return INVALID
    whole = completion.finish_reason == "stop" and found in ({"same": "yes"}, {"same": "no"})
    return str(found["same"]) if whole else INVALID
