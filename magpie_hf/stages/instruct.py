"""Instruct: the model continues the pre-query prefix, which gives a raw instruction.

Not here: filtering instructions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion, Engine, record
from magpie_hf.errors import BadInput
from magpie_hf.limits import check_first_token
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.schema import INSTRUCTION, TOPIC
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of

# Joins the request key of a two-step sample: first key, length of the first token's text, second key
_BETWEEN = "+"
_ANY = (SystemText("any of several"),)  # in the place of texts, for the key of requests


@dataclass(frozen=True)
class Instruct(Stage):
    """Samples one user turn per row, from the row's seed, after a system text that describes the user.

    Source: Magpie, arXiv:2406.08464.

    first_token: None samples a turn by one request. A number is the temperature of the first token, sampled
    on its own from the tokens that may open a sentence (`openers`). A second request, whose prompt is the
    pre-query prefix and that token, samples the rest; `request` then names both. Where the template has a
    space before the user's text that is a part of the first token (`Chat.leaves_space`), a turn is always
    sampled so, its first token from those that begin with the space, which raw_instruction is without.
    system: None steers nothing, as Magpie itself does. texts: several in its place, of which the row's seed
    chooses one; then there are the columns `topic` and `persona`, too. place: where the text stands, "user"
    for the beginning of the user's turn; None for the template's own place.

    Raises BadInput for a first_token that is no temperature.
    """

    name: ClassVar[str] = "instruct"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("domain", "seed")

    engine: Engine
    system: str | None
    sampling: Sampling
    first_token: float | None = field(default=None, metadata={"later": True})
    place: str | None = field(default=None, metadata={"later": True})
    texts: tuple[SystemText, ...] = field(default=(), metadata={"later": True})

    def __post_init__(self) -> None:
        if self.first_token is not None:
            object.__setattr__(self, "first_token", _temperature(self.first_token))

    @property
    def adds(self) -> Features:
        return Features({**INSTRUCTION, **TOPIC} if self.texts else INSTRUCTION)

    @property
    def reuse_key(self) -> str:
        # Requests carry the text that they were made with, so other weights find them, too
        same = identity(
            replace(self, sampling=replace(self.sampling, max_tokens=1), texts=self.texts and _ANY)
        )
        same["version"] = 1  # requests carry all that changed since
        return fingerprint(same)

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        lead = " " if self._spaced(chat_of(self.engine.model)) else ""
        columns = ("request", "raw_instruction", "raw_finish_reason", "raw_prompt_tokens", "raw_num_tokens")
        for request, *completion in zip(*(batch[column] for column in columns), strict=True):
            key, known = request, Completion(*completion)
            if _BETWEEN in request:
                first, length, key = request.split(_BETWEEN)
                text = lead + known.text
                first_token, rest = text[: int(length)], text[int(length) :]
                yield first, record(Completion(first_token, "length", known.prompt_tokens, 1))
                known = Completion(rest, known.finish_reason, known.prompt_tokens + 1, known.num_tokens - 1)
            if known.text or known.finish_reason != "length":  # it was truncated by a lower bound
                yield key, record(known)

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        spaced = self._spaced(chat)
        texts = [chosen(self.texts, seed) for seed in batch["seed"]] if self.texts else None
        systems = [self.system] * len(batch["seed"]) if texts is None else [text.system for text in texts]
        prefixes = {one: chat.pre_query_prefix(one, self.place) for one in dict.fromkeys(systems)}
        prompts = [prefixes[one] for one in systems]
        sampling = replace(self.sampling, stop_token_ids=chat.turn_end_ids, stop=chat.turn_end_texts)
        seeds = [seed_of(seed, self.name) for seed in batch["seed"]]
        sampled_from = [replace(sampling, max_tokens=1)]
        if self.first_token is None and not spaced:
            samples = self.engine.complete(prompts, sampling, seeds)
        else:
            tokens = openers(chat, spaced) if self.first_token is not None else with_space(chat)
            first = self._first(tokens)
            samples = self._in_two_steps(tokens, prompts, first, sampling, batch["seed"])
            sampled_from.append(first)
        # The id stands for all that determines the sample but its length bound, so that a higher bound keeps
        # the ids.
        known_by = {
            system: fingerprint(self.engine, prefix, *sampled_from) for system, prefix in prefixes.items()
        }
        return {
            "id": [
                f"{domain}-{fingerprint(known_by[system], seed)}"
                for domain, system, seed in zip(batch["domain"], systems, batch["seed"], strict=True)
            ],
            "raw_instruction": [sample.text.removeprefix(" " if spaced else "") for sample in samples],
            "raw_finish_reason": [sample.finish_reason for sample in samples],
            "raw_prompt_tokens": [sample.prompt_tokens for sample in samples],
            "raw_num_tokens": [sample.num_tokens for sample in samples],
            "request": [sample.request for sample in samples],
            **({column: [getattr(text, column) for text in texts] for column in TOPIC} if texts else {}),
        }

    def _spaced(self, chat: Chat) -> bool:
        """Whether a template's space is left to the first token, which no text in front of it changes."""
        return chat.leaves_space(self.texts[0].system if self.texts else self.system, self.place)

    def _first(self, tokens: Mapping[str, int]) -> Sampling:
        """The sampling of the first token: from these only, and at its own temperature where it has one."""
        own = self.sampling.temperature if self.first_token is None else self.first_token
        return replace(self.sampling, temperature=own, max_tokens=1, allowed_token_ids=tuple(tokens.values()))

    def _in_two_steps(
        self,
        tokens: Mapping[str, int],
        prompts: Sequence[Sequence[int]],
        first: Sampling,
        sampling: Sampling,
        seeds: Sequence[int],
    ) -> list[Completion]:
        """Samples first tokens, then their continuations; without one of `tokens`, a sample ends there."""
        if sampling.max_tokens < 2:
            raise BadInput(
                f"max_tokens is {sampling.max_tokens}, and the first token is sampled on its own; give at"
                " least 2"
            )
        first_tokens = self.engine.complete(prompts, first, [seed_of(seed, "first_token") for seed in seeds])
        opened = [row for row, one in enumerate(first_tokens) if one.text in tokens]
        rests = self.engine.complete(
            [[*prompts[row], tokens[first_tokens[row].text]] for row in opened],
            replace(sampling, max_tokens=sampling.max_tokens - 1),
            [seed_of(seeds[row], self.name) for row in opened],
        )
        # The engine's own finish reasons stay; any other first token truncates the turn.
        samples = [
            one
            if one.finish_reason in (CONTEXT_FULL, KILLED_ENGINE)
            else replace(one, finish_reason="length")
            for one in first_tokens
        ]
        for row, rest in zip(opened, rests, strict=True):
            samples[row] = _joined(first_tokens[row], rest)
        return samples


def chosen(texts: Sequence[SystemText], seed: int) -> SystemText:
    """The text of the row with this seed: the same in every build with these texts."""
    ends = list(accumulate(text.weight for text in texts))
    at = bisect_right(ends, seed_of(seed, "system_text") / 2**48 * ends[-1])
    return texts[min(at, len(texts) - 1)]


def _joined(first_token: Completion, rest: Completion) -> Completion:
    """One sample made of two completions.

    First tokens are whole characters, so the texts join as the tokens do.
    """
    request = _BETWEEN.join((first_token.request, str(len(first_token.text)), rest.request))
    tokens = first_token.num_tokens + rest.num_tokens
    return Completion(
        first_token.text + rest.text, rest.finish_reason, first_token.prompt_tokens, tokens, request=request
    )


def _temperature(first_token: float) -> float:
    check_first_token(first_token)
    return float(first_token) + 0.0


# A capital letter, a digit, a Japanese, Chinese or Korean character, or a beginning of mathematics. No
# Markdown (#, *), and no lower case, which continues something unsaid.
_OPENS = re.compile(
    r" ?(?:[0-9$\\(\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]|(?P<letter>[^\W\d_]))"
)


@lru_cache(maxsize=8)
def openers(chat: Chat, spaced: bool = False) -> dict[str, int]:
    """The tokens that may open a sentence, by the text that each adds to the pre-query prefix.

    Only whole characters on one line, and no special or added tokens; of tokens with one text, the first.
    spaced: only those that begin with a space. Raises BadInput for a tokenizer without any.
    """
    found = {
        text: one
        for text, one in _added_texts(chat).items()
        if _opens(text) and (text[0] == " " or not spaced)
    }
    if not found:
        raise BadInput(
            f"the tokenizer of {chat.name} has no token that may open a sentence; use no first-token sampling"
        )
    return found


@lru_cache(maxsize=8)
def with_space(chat: Chat) -> dict[str, int]:
    """The tokens that begin with one space, by their text; the space alone is one of them.

    In chats that is the first token of a text whose first character joins with no space, such as a digit.
    """
    return {text: one for text, one in _added_texts(chat).items() if text[0] == " " and text[1:2] != " "}


@lru_cache(maxsize=8)
def _added_texts(chat: Chat) -> dict[str, int]:
    """The tokens that add whole characters on one line to the pre-query prefix, by what they add.

    No special or added tokens; of tokens with one text, the first.
    """
    tail = chat.pre_query_prefix(None)[-1:]
    ids = sorted(
        set(chat.tokenizer.get_vocab().values())
        - set(chat.tokenizer.added_tokens_decoder)
        - set(chat.tokenizer.all_special_ids)
    )
    head, *texts = chat.tokenizer.batch_decode(
        [tail, *([*tail, one] for one in ids)], clean_up_tokenization_spaces=False
    )
    found: dict[str, int] = {}
    for one, text in zip(ids, texts, strict=True):
        added = text.removeprefix(head)
        # Half a character decodes as U+FFFD
        if text.startswith(head) and added and added.isprintable() and "\ufffd" not in added:
            found.setdefault(added, one)
    return found


def _opens(text: str) -> bool:
    start = _OPENS.match(text)
    return start is not None and (start["letter"] is None or start["letter"].isupper())
