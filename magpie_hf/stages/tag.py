"""Tag: a model labels each problem, and says whether it is whole and where it ends.

Not here: which problems are kept, and where they are cut (cut.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, record
from magpie_hf.errors import BadInput
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.cleaning.rules import RULES
from magpie_hf.problems.labels import CATEGORY, COMPLETE, DIFFICULTY, KIND, QUALITY, SOLUTION, SOLVABILITY
from magpie_hf.schema import TAGS
from magpie_hf.stage import Batch, Stage, fingerprint

_MEANS = {rule.reason: rule.doc for rule in RULES}
OTHER_MATH, NO_MATH = "other_math", "no_math"
INVALID = "invalid"  # reason of an answer that is not the requested JSON object
END = "end"  # the one value that is no choice: the last words of the task
END_CHARACTERS = 60
MAX_TOKENS = 128  # END_CHARACTERS may be as many tokens, and the rest is about 55 of SmolLM2

GUIDE = (
    "You sort a collection of mathematics problems. Read the problem below, do not solve it, and judge it on"
    " the scales that follow. Say, too, where the task ends: its last words, copied exactly from the text,"
    " without any solution behind them."
)
CLOSING = (
    "Answer with one JSON object. Its values are taken word by word from the scales above, and the last one"
    " from the problem:"
)
_OUTSIDE = {
    OTHER_MATH: "mathematics, but none of the fields above",
    NO_MATH: "no mathematics: programming, physics, language, general knowledge, or no meaning at all",
}
_TASK = ("computation", "yes", "none")
# Problems with their answers, in the order of the scales, as turns before the question. The values vary, and
# so does the last one, since a small model repeats it. Without examples a model of 135M gives every problem
# the first value of every scale.
EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"How many subsets of $\{1, 2, \dots, 10\}$ contain no two consecutive numbers?",
        ("discrete", "counting", "solvable", "medium", "excellent", *_TASK, "no two consecutive numbers?"),
    ),
    (
        "A bag holds red and blue balls, and one is drawn. What is the probability that it is red?",
        ("statistics", "counting", "underdetermined", "easy", "poor", *_TASK, "that it is red?"),
    ),
    (
        "show that the bisectors in a triangle meet.",
        ("geometry", "proof", "solvable", "easy", "average", "proof", "yes", "none", "in a triangle meet."),
    ),
    (
        r"Find $\lim_{x \to 0} \frac{\sin 3x}{x}$.",
        ("calculus", "computation", "solvable", "easy", "good", *_TASK, r"\frac{\sin 3x}{x}$."),
    ),
    (
        r"Determine the Galois group of the splitting field of $x^5 - 4x + 2$ over $\mathbb{Q}$.",
        ("algebra", "computation", "solvable", "hard", "excellent", *_TASK, r"over $\mathbb{Q}$."),
    ),
    (
        "How many divisors has 12? To count them, we write 12 as a product of primes.",
        ("number_theory", "counting", "solvable", "easy", "good", "computation", "yes", "begun", "has 12?"),
    ),
    (
        "I love long walks by the sea. Tell me something about yourself!",
        (
            NO_MATH,
            "other",
            "not_a_problem",
            "very easy",
            "very poor",
            "talk",
            "no",
            "none",
            "about yourself!",
        ),
    ),
)


@dataclass(frozen=True)
class Tag(Stage):
    """One constrained, greedy completion per problem: the labels of `labels.py`, and where the task ends.

    domains: (key, subject) of each, in the order in which they are offered, before "other_math" and
        "no_math".
    guide, closing: the texts before the scales and after the problem.
    examples: problems with their values; those of a domain that is not offered are left out.
    engine: runs the tagger, which may be another model than the problem's.

    An invalid answer has null labels and a reason: "invalid" (truncated, not JSON, another value),
    "context_full" or "killed_engine". Raises BadInput for no domain, or one named twice.
    """

    name: ClassVar[str] = "tag"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[str, ...]] = ("problem", "suspicions")

    engine: Engine
    domains: tuple[tuple[str, str], ...]
    guide: str = GUIDE
    closing: str = CLOSING
    examples: tuple[tuple[str, tuple[str, ...]], ...] = EXAMPLES

    def __post_init__(self) -> None:
        keys = [key for key, _ in self.domains]
        if not keys or len({*keys, *_OUTSIDE}) < len(keys) + len(_OUTSIDE):
            named = ", ".join(keys) or "none"
            raise BadInput(
                f"the tagger's domains are {named}; name at least one, each once, and neither {OTHER_MATH}"
                f" nor {NO_MATH}"
            )

    def identity(self) -> dict[str, Any]:
        """What determines the rows: the model and the full text of its prompt."""
        return {
            "is": self.name,
            "version": self.version,
            "engine": self.engine,
            "asked": self.conversation(""),
            "schema": self.schema,
        }

    @property
    def adds(self) -> Features:
        return Features({"tags": TAGS})

    @property
    def reuse_key(self) -> str:
        return fingerprint(self)

    @property
    def scales(self) -> dict[str, dict[str, str]]:
        """The values of each scale with their meanings, in the order of the answer."""
        return {
            "domain": {**dict(self.domains), **_OUTSIDE},
            "category": CATEGORY,
            "solvability": SOLVABILITY,
            "difficulty": DIFFICULTY,
            "quality": QUALITY,
            "kind": KIND,
            "complete": COMPLETE,
            "solution": SOLUTION,
        }

    @property
    def named(self) -> tuple[str, ...]:
        """The names of an answer's values, in their order."""
        return (*self.scales, END)

    @property
    def schema(self) -> str:
        """The JSON schema of an answer."""
        properties: dict[str, dict[str, Any]] = {
            scale: {"type": "string", "enum": list(values)} for scale, values in self.scales.items()
        }
        properties[END] = {"type": "string", "maxLength": END_CHARACTERS}
        whole = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))

    def check(self) -> None:
        """Raises BadInput where the chat template of the tagger's model cannot be used."""
        chat_of(self.engine.model).answer_prompts([self.conversation("problem")])

    def conversation(self, problem: str, suspicions: Sequence[str] = ()) -> list[Message]:
        """The tagger's prompt. suspicions: reasons of uncertain rules, which are named behind the problem.

        The part that is the same for all problems comes first, so that its computation is shared. The form
        of an answer stands in the first turn and in the last: in every one of them it takes 600 tokens.
        """
        lists = [
            "\n".join([f"{scale}:", *(f'- "{value}": {meaning}' for value, meaning in values.items())])
            for scale, values in self.scales.items()
        ]
        form = f"{self.closing}\n{{" + ", ".join(f'"{name}": "..."' for name in self.named) + "}"
        turns: list[Message] = []
        for example, values in self.examples:
            if values[0] in self.scales["domain"]:
                turns.append({"role": "user", "content": _question(example, "" if turns else form)})
                turns.append({"role": "assistant", "content": _object(zip(self.named, values, strict=True))})
        hints = [_MEANS[reason] for reason in suspicions]
        look = f"Look closely: a check by patterns, which may be wrong, found {', and '.join(hints)}.\n\n"
        turns.append({"role": "user", "content": _question(problem, (look if hints else "") + form)})
        turns[0]["content"] = "\n\n".join([self.guide, *lists, turns[0]["content"]])
        return turns

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for tags in batch["tags"]:
            if tags["reason"] == KILLED_ENGINE:
                yield tags["request"], record(Completion("", KILLED_ENGINE, 0, 0))
            elif tags["reason"] != CONTEXT_FULL:  # costs nothing to ask again
                text = "" if tags["reason"] else _object((name, tags[name]) for name in self.named)
                yield tags["request"], record(Completion(text, "stop", 0, tags["num_tokens"]))

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        suspicions = [found or () for found in batch["suspicions"]]
        prompts = chat.answer_prompts(map(self.conversation, batch["problem"], suspicions))
        sampling = Sampling(
            temperature=0.0, max_tokens=MAX_TOKENS, stop_token_ids=chat.end_ids, schema=self.schema
        )
        return {
            "tags": [
                self._tags(completion)
                for completion in self.engine.complete(prompts, sampling, [0] * len(prompts))
            ]
        }

    def _tags(self, completion: Completion) -> dict[str, object]:
        tags: dict[str, object] = dict.fromkeys(self.named)
        reason: str | None = completion.finish_reason
        if reason not in (CONTEXT_FULL, KILLED_ENGINE):
            read = self._read(completion)
            reason = INVALID if read is None else None
            tags.update(read or {})
        return {**tags, "reason": reason, "num_tokens": completion.num_tokens, "request": completion.request}

    def _read(self, completion: Completion) -> dict[str, str] | None:
        """The values of an answer; None for one that is not exactly as requested."""
        try:
            # An object becomes a tuple, so that a repeated name is noticed
            pairs = json.loads(completion.text, object_pairs_hook=tuple)
        except (ValueError, RecursionError):
            return None
        if (
            completion.finish_reason != "stop"
            or not isinstance(pairs, tuple)
            or sorted(name for name, _ in pairs) != sorted(self.named)
        ):
            return None
        found = dict(pairs)
        fits = all(found[scale] in list(values) for scale, values in self.scales.items())
        return found if fits and isinstance(found[END], str) else None


def _question(problem: str, form: str) -> str:
    return f"The problem:\n<problem>\n{problem}\n</problem>\n\n{form}".rstrip()


def _object(pairs: Iterable[tuple[str, str]]) -> str:
    """A JSON object in the schema's form: the scales in their order, without white space between them."""
    return json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))
