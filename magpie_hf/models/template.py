"""The chat template of a tokenizer: it renders conversations, and shows what it writes around a text.

Not here: what that means (chat.py, ends.py, thinking.py), and the trial of a template (rendering.py).
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.rendering import PROBES

# A text that every tokenizer of a chat model gives back; the Japanese is "solve the problem".
_ROUND_TRIP = "Let $x < y$ , and \\frac{1}{2} = z:\n\n問題を解け 。\nThen stop ."
# Some templates print today's date. A fixed date makes a build that is resumed tomorrow ask the same prompts.
_TODAY = datetime.datetime(2024, 7, 26)


class Template:
    """The chat template of one tokenizer, with values for its own variables.

    Raises BadInput, with the reason, for a tokenizer that does not give a text back or has no template.
    """

    def __init__(self, tokenizer: Any, name: str, options: Mapping[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self._options = dict(options)
        back = tokenizer.decode(self.encode(_ROUND_TRIP), clean_up_tokenization_spaces=False)
        if back != _ROUND_TRIP:
            raise BadInput(
                f"the tokenizer of {name} does not give a text back as it was ({back!r}); use another model,"
                " or a copy with the tokenizer.json that it was trained with"
            )
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, dict) and "default" not in template:
            named = ", ".join(map(str, template))
            raise BadInput(
                f"{name} has chat templates for {named} and none by default; save the right one"
                " as chat_template.jinja in a local copy of the model"
            )
        if not template:
            raise BadInput(
                f"{name} has no chat template, so it has no user turn to open; give an aligned (instruct)"
                " model"
            )

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with nothing added."""
        return [int(i) for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def encode_all(self, texts: Iterable[str]) -> list[array[int]]:
        """Token ids of many texts, encoded in blocks on all cores.

        The blocks bound the memory of the tokenizer's own records. Ids are arrays of four bytes each: a
        shard's prompts as lists of Python integers take ten times as much.
        """
        prompts: list[array[int]] = []
        waiting = iter(texts)
        while some := list(islice(waiting, 64)):
            encoded = self.tokenizer(some, add_special_tokens=False, return_attention_mask=False)["input_ids"]
            prompts += [array("i", ids) for ids in encoded]
        return prompts

    def render(self, messages: Sequence[dict[str, str]], generation: bool = True) -> str:
        """A conversation as text. generation: whether the head of the assistant's turn follows."""
        return self._rendered(messages, generation, self._as_parts)

    def _rendered(self, messages: Sequence[dict[str, str]], generation: bool, as_parts: bool) -> str:
        shaped: list[Any] = list(messages)
        if as_parts:
            shaped = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        try:
            text = self.tokenizer.apply_chat_template(
                shaped,
                tokenize=False,
                add_generation_prompt=generation,
                strftime_now=_TODAY.strftime,
                **self._options,
            )
            text.encode()  # no tokenizer takes half a character
        except Exception as error:  # a template is a program: it may raise anything
            roles = ", ".join(message["role"] for message in messages)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(
                f"the chat template of {self.name} refuses a conversation of {roles}: {reason}; use another"
                " model, or save a mended chat_template.jinja in a local copy of it"
            ) from error
        return str(text)

    @cached_property
    def _as_parts(self) -> bool:
        """Whether the template shows a text only as a list of parts, as those of models of images do.

        A list that is merely printed does not pass, for it escapes the line breaks of the probe.
        """
        messages = [{"role": "user", "content": PROBES[1]}]
        for as_parts in (False, True):
            with suppress(BadInput):
                if PROBES[1] in self._rendered(messages, True, as_parts):
                    return as_parts
        return False

    def around(self, system: str | None, probe: str, lead: str | None = None) -> tuple[str, str]:
        """What the template writes before and after the user's text, whose turn begins with the lead.

        Raises BadInput where the text does not appear exactly once.
        """
        messages = [{"role": "user", "content": probe if lead is None else f"{lead}\n\n{probe}"}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        parts = self.render(messages).split(probe)
        if len(parts) != 2:
            what = (
                "changes or leaves out the user's text"
                if len(parts) == 1
                else f"writes the user's text {len(parts) - 1} times"
            )
            raise BadInput(
                f"the chat template of {self.name} {what}, so it cannot be cut before the user's turn; use"
                " another model"
            )
        return parts[0], parts[1]

    def after_answer(self) -> str:
        """What the template writes after an answer; where that is nothing, what it writes before a next turn.

        RWKV's and LLaVA's show an answer's end in a next turn alone.
        """
        messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": PROBES[0]}]
        after = self.render(messages, generation=False).partition(PROBES[0])[2]
        with suppress(BadInput):
            if not after.strip():
                messages.append({"role": "user", "content": PROBES[1]})
                between = self.render(messages, generation=False).partition(PROBES[0])[2]
                return between.partition(PROBES[1])[0] if PROBES[1] in between else after
        return after

    def markers(self) -> set[str]:
        """The tokenizer's special tokens, and its other added tokens that the template writes."""
        rendered = self.render(
            [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], generation=False
        )
        rendered += self.render([{"role": "user", "content": "x"}])
        return {
            token.content
            for token in self.tokenizer.added_tokens_decoder.values()
            if token.content.strip() and (token.special or token.content in rendered)
        }
