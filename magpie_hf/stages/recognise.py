"""Recognise: a model that reads says whether a problem is the benchmark's that lies nearest in meaning.

Not here: finding the nearest (selection/nearest.py), words and symbols (decontaminate.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, record
from magpie_hf.limits import ASKED_FROM
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.schema import CONTAMINATION, RECOGNITION
from magpie_hf.stage import Batch, Stage, fingerprint

INVALID = "invalid"  # reason of an answer that is not the requested JSON object
MAX_TOKENS = 16  # an answer is one of two, of about 8 tokens

GUIDE = (
    "You compare two mathematics problems. They are the same problem if a solution of one, with its final"
    " answer, is a solution of the other, too. Other words, other names and letters, another story or another"
    " language make no other problem. Another number, another condition or another question does."
)
CLOSING = 'Are they the same problem? Answer with one JSON object: {"same": "yes"} or {"same": "no"}'
# Pairs with their answers, as turns before the question: neither all words in common, nor none, says anything
EXAMPLES: tuple[tuple[str, str, str], ...] = (
    (
        "How many diagonals does a regular polygon with 9 sides have?",
        "Wie viele Diagonalen hat ein regelmäßiges Neuneck?",
        "yes",
    ),
    (
        "A rope of 30 m is cut into two pieces, one of them 6 m longer. How long is the longer piece?",
        "A rope of 30 m is cut into two pieces, one of them 4 m longer. How long is the longer piece?",
        "no",
    ),
    (
        r"Find the remainder of $7^{20}$ by division by 5.",
        r"Find the last digit of $7^{20}$.",
        "no",
    ),
    (
        r"Given are positive $x$ and $y$ with $x + y = 1$. What is the least value of $\frac1x + \frac1y$?",
        "Two positive numbers have the sum 1. How small can the sum of their reciprocals be?",
        "yes",
    ),
)


def _answer(same: str) -> str:
    return json.dumps({"same": same}, separators=(",", ":"))


@dataclass(frozen=True)
class Recognise(Stage):
    """`contaminated_by` names the benchmark's row too where it is the same problem in other words.

    Each problem with a `nearest_benchmark` is compared with it by two constrained, greedy completions, one in
    each order; only two times "yes" is a hit. Nothing is asked of a problem that is named already. See
    `schema.RECOGNITION`; an invalid answer is no hit, and `reason` says why.

    benchmarks: pinned; with the embeddings they determine `nearest_benchmark`.
    """

    name: ClassVar[str] = "recognise"
    reads: ClassVar[tuple[str, ...]] = ("problem", "contaminated_by", "embedding", "nearest_benchmark")

    engine: Engine
    benchmarks: tuple[Benchmark, ...]

    def identity(self) -> dict[str, Any]:
        """What determines the rows: the model, the full text of its prompt, and what makes a row near."""
        return {**self._asked, "benchmarks": self.benchmarks, "asked_from": ASKED_FROM}

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
    def adds(self) -> Features:
        return Features({**CONTAMINATION, **RECOGNITION})

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
        for first, second, same in EXAMPLES:
            turns.append({"role": "user", "content": _question(first, second)})
            turns.append({"role": "assistant", "content": _answer(same)})
        turns.append({"role": "user", "content": _question(one, other)})
        turns[0]["content"] = f"{GUIDE}\n\n{turns[0]['content']}"
        return turns

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for known in filter(None, batch["recognised"]):
            for verdict, request in zip(known["verdicts"], known["requests"], strict=True):
                if verdict == KILLED_ENGINE:
                    yield request, record(Completion("", KILLED_ENGINE, 0, 0))
                elif verdict != CONTEXT_FULL:  # costs nothing to ask again
                    yield request, record(Completion(_answer(verdict), "stop", 0, 0))

    def run(self, batch: Batch) -> Batch:
        asked = [
            row
            for row, nearest in enumerate(batch["nearest_benchmark"])
            if nearest is not None and batch["contaminated_by"][row] is None
        ]
        named: list[str | None] = list(batch["contaminated_by"])
        recognised: list[dict[str, Any] | None] = [None] * len(named)
        pairs = [(batch["problem"][row], batch["nearest_benchmark"][row]["problem"]) for row in asked]
        completions = self._compared([pair for one, other in pairs for pair in ((one, other), (other, one))])
        for row, both in zip(asked, zip(completions[::2], completions[1::2], strict=True), strict=True):
            nearest = batch["nearest_benchmark"][row]
            verdicts = [_verdict(completion) for completion in both]
            if verdicts == ["yes", "yes"]:
                named[row] = f"{nearest['row']} (by meaning {nearest['similarity']:.2f})"
            recognised[row] = {
                "row": nearest["row"],
                "similarity": nearest["similarity"],
                "verdicts": verdicts,
                "reason": next((verdict for verdict in verdicts if verdict not in ("yes", "no")), None),
                "num_tokens": sum(completion.num_tokens for completion in both),
                "requests": [completion.request for completion in both],
            }
        return {"contaminated_by": named, "recognised": recognised}

    def _compared(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Completion]:
        if not pairs:
            return []  # so that no engine is loaded
        chat = chat_of(self.engine.model)
        prompts = chat.answer_prompts(self.conversation(*pair) for pair in pairs)
        sampling = Sampling(
            temperature=0.0, max_tokens=MAX_TOKENS, stop_token_ids=chat.end_ids, schema=self.schema
        )
        return self.engine.complete(prompts, sampling, [0] * len(prompts))


def _question(one: str, other: str) -> str:
    return f"<problem>\n{one}\n</problem>\n\n<problem>\n{other}\n</problem>\n\n{CLOSING}"


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
