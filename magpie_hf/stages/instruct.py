"""Instruct: the model continues an open user turn, which makes a raw instruction. Not here: judging what came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.engines.base import KILLED_ENGINE, NO_ROOM, Completion, Engine, record
from magpie_hf.errors import BadInput
from magpie_hf.limits import check_opening
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import INSTRUCTION
from magpie_hf.stage import Batch, Stage, fingerprint, seed_of

_BETWEEN = "+"  # parts of the request of a draw in two steps: first key, length of the opening text, second key


@dataclass(frozen=True)
class Instruct(Stage):
    """Draws one user turn a row, from the row's seed, after the system text that describes the user (Magpie, arXiv:2406.08464).

    opening: None draws a turn by one free request. A number draws the first token apart, at this temperature, from the tokens that may
    open a sentence (`openers`), and the rest by a second request whose prompt is the open turn and that token; `request` then names both.

    Raises BadInput for an opening that is no temperature.
    """

    name: ClassVar[str] = "instruct"
    reads: ClassVar[tuple[str, ...]] = ("domain", "seed")

    engine: Engine
    system: str
    sampling: Sampling
    opening: float | None = None

    def __post_init__(self) -> None:
        if self.opening is not None:
            object.__setattr__(self, "opening", _temperature(self.opening))

    def identity(self) -> dict[str, Any]:
        """What determines the rows. The opening takes part only where there is one, so that earlier free draws are still found."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.opening is None:
            del known["opening"]
        return {"is": self.name, "version": self.version, **known}

    @property
    def adds(self) -> Features:
        return Features(INSTRUCTION)

    @property
    def kin(self) -> str:
        return fingerprint(replace(self, sampling=replace(self.sampling, max_tokens=1)))

    def recall(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        columns = ("request", "raw_instruction", "raw_finish_reason", "raw_prompt_tokens", "raw_num_tokens")
        for request, *completion in zip(*(batch[column] for column in columns), strict=True):
            key, known = request, Completion(*completion)
            if _BETWEEN in request:
                first, length, key = request.split(_BETWEEN)
                opening, rest = known.text[: int(length)], known.text[int(length) :]
                yield first, record(Completion(opening, "length", known.prompt_tokens, 1))
                known = Completion(rest, known.finish_reason, known.prompt_tokens + 1, known.num_tokens - 1)
            if known.text or known.finish_reason != "length":  # a text that a lowered bound cut was not kept
                yield key, record(known)

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        prompt = chat.open_turn(self.system)
        sampling = replace(self.sampling, stop_token_ids=chat.turn_end_ids)
        seeds = [seed_of(seed, self.name) for seed in batch["seed"]]
        if self.opening is None:
            draws = self.engine.complete([prompt] * len(seeds), sampling, seeds)
            drawn_from = [prompt, replace(sampling, max_tokens=1)]
        else:
            first = self._first(chat)
            draws = self._in_two_steps(chat, prompt, first, sampling, batch["seed"])
            drawn_from = [prompt, replace(sampling, max_tokens=1), first]
        # The id names the draw by all that determines it but the bound on its length, so that a raised bound keeps the ids.
        known_by = fingerprint(self.engine, *drawn_from)
        return {
            "id": [f"{d}-{fingerprint(known_by, s)}" for d, s in zip(batch["domain"], batch["seed"], strict=True)],
            "raw_instruction": [draw.text for draw in draws],
            "raw_finish_reason": [draw.finish_reason for draw in draws],
            "raw_prompt_tokens": [draw.prompt_tokens for draw in draws],
            "raw_num_tokens": [draw.num_tokens for draw in draws],
            "request": [draw.request for draw in draws],
        }

    def _first(self, chat: Chat) -> Sampling:
        """How the first token is drawn: as all others, but at its own temperature and from the openers."""
        assert self.opening is not None
        allowed = tuple(openers(chat).values())
        return replace(self.sampling, temperature=self.opening, max_tokens=1, allowed_token_ids=allowed)

    def _in_two_steps(
        self, chat: Chat, prompt: Sequence[int], first: Sampling, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """First tokens, then what follows each; a draw whose first token is no opener ends with it."""
        if sampling.max_tokens < 2:
            raise BadInput(f"max_tokens is {sampling.max_tokens}, and the first token is drawn apart; give at least 2, or no opening")
        tokens = openers(chat)
        openings = self.engine.complete([prompt] * len(seeds), first, [seed_of(seed, "opening") for seed in seeds])
        opened = [row for row, one in enumerate(openings) if one.text in tokens]
        rests = self.engine.complete(
            [[*prompt, tokens[openings[row].text]] for row in opened],
            replace(sampling, max_tokens=sampling.max_tokens - 1),
            [seed_of(seeds[row], self.name) for row in opened],
        )
        # What the engine could not even begin says so itself; whatever else came in place of an opener cut the turn.
        draws = [one if one.finish_reason in (NO_ROOM, KILLED_ENGINE) else replace(one, finish_reason="length") for one in openings]
        for row, rest in zip(opened, rests, strict=True):
            draws[row] = _joined(openings[row], rest)
        return draws


def _joined(opening: Completion, rest: Completion) -> Completion:
    """One draw made of two completions. Openers are whole characters, so that the two texts join as their tokens do."""
    request = _BETWEEN.join((opening.request, str(len(opening.text)), rest.request))
    tokens = opening.num_tokens + rest.num_tokens
    return Completion(opening.text + rest.text, rest.finish_reason, opening.prompt_tokens, tokens, request=request)


def _temperature(opening: float) -> float:
    check_opening(opening)
    return float(opening) + 0.0


# A capital letter, a digit, a Japanese, Chinese or Korean character, or what mathematics begins with. No Markdown (#, *), no lower case,
# with which a turn begins that goes on with something unsaid.
_OPENS = re.compile(r" ?(?:[0-9$\\(\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]|(?P<letter>[^\W\d_]))")


@lru_cache(maxsize=8)
def openers(chat: Chat) -> dict[str, int]:
    """The tokens that may open a sentence, by the text that each adds to an open turn; of tokens of one text, the first.

    Only whole characters on one line; never a special or an added token. Raises BadInput for a tokenizer that has none.
    """
    tail = chat.open_turn(None)[-1:]
    ids = sorted(set(chat.tokenizer.get_vocab().values()) - set(chat.tokenizer.added_tokens_decoder) - set(chat.tokenizer.all_special_ids))
    head, *texts = chat.tokenizer.batch_decode([tail, *([*tail, one] for one in ids)], clean_up_tokenization_spaces=False)
    found: dict[str, int] = {}
    for one, text in zip(ids, texts, strict=True):
        added = text.removeprefix(head)
        if text.startswith(head) and _opens(added):
            found.setdefault(added, one)
    if not found:
        raise BadInput(f"the tokenizer of {chat.name} has no token that may open a sentence; draw without an opening")
    return found


def _opens(text: str) -> bool:
    start = _OPENS.match(text)
    if start is None or not text.isprintable() or "\ufffd" in text:  # half a character is decoded as U+FFFD
        return False
    return start["letter"] is None or start["letter"].isupper()
