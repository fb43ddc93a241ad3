"""How the turns of a chat end: by token ids, and by texts where a template ends them with no token.

Not here: reading what a model wrote (chat.py, thinking.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from magpie_hf.errors import BadInput, shortened
from magpie_hf.models.model import Model, json_of
from magpie_hf.models.rendering import PROBES
from magpie_hf.models.template import Template

# What begins the next turn, as far as every such turn has it: a mark in brackets, or a line up to its colon.
# A line break before it is a part of it, because a text may have "Answer:" inside a line.
_MARK = re.compile(r"\n?(?P<mark>(?!\s)(?:<[^<>\s]+>|\[[^\[\]\s]+\]|[^\n:：]*[:：]|[^\n]*\S))")
_WORD, _LETTER = re.compile(r"[^\W\d_]{2}"), re.compile(r"[^\W\d_]")


class Ends:
    """The ends of turns, each as (ids, texts).

    known: ids of the model's generation config. closing: what the template writes between thinking and
    answer.
    """

    def __init__(self, template: Template, known: Sequence[int], closing: str) -> None:
        self._template, self._known, self._closing = template, known, closing

    @cached_property
    def of_answer(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Those of an assistant's turn, from the tokenizer, the generation config and the template."""
        ids = {self._template.tokenizer.eos_token_id, *self._known}
        after = self._template.after_answer()
        token, text = self._end(after)
        # Solar Open ends each part of a turn with one token, and the turn with another.
        if token is not None and self._added(self._closing) != token:
            ids.add(token)
        known = tuple(sorted(i for i in ids if i is not None))
        # A mark that the template writes before a token belongs to the answer, such as </response>.
        ended = any(one in known for one in self._template.encode(after))
        return known, () if ended or text is None else (text,)

    @cached_property
    def of_user(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Those of a user's turn: the ids that end an answer, and what follows the user's text."""
        token, text = self._end(self._template.around(None, PROBES[0])[1])
        ends = self.of_answer[0]
        ids = ends if token is None else tuple(sorted({*ends, token}))
        return ids, () if text is None else (text,)

    def _end(self, after: str) -> tuple[int | None, str | None]:
        """The ends of a turn after which a template goes on so: an added token's id, and a text before it."""
        first = self._added_pattern.split(after, maxsplit=1)[0]
        token, mark = self._added(after[len(first) :]), _MARK.search(first)
        if mark is not None and _WORD.search(mark["mark"]):
            return token, mark.group()
        # What mathematics may write, such as "A:", ends a turn only as the template writes it, and no full
        # stop does
        whole = first.rstrip()
        return token, whole if token is None and _LETTER.search(whole) else None

    def _added(self, text: str) -> int | None:
        """The id of the added token at the start of the text; None without one, or for white space."""
        ids = self._template.encode(text)
        token = self._template.tokenizer.added_tokens_decoder.get(ids[0]) if ids else None
        return ids[0] if token is not None and token.content.strip() else None

    @cached_property
    def _added_pattern(self) -> re.Pattern[str]:
        """Matches the added tokens that are no white space."""
        added = [token.content for token in self._template.tokenizer.added_tokens_decoder.values()]
        longest_first = sorted(filter(str.strip, added), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def ends_in_config(model: Model) -> list[int]:
    """The end-of-sequence ids of the model's generation config; empty without such a file."""
    config = json_of(model, "generation_config.json") or {}
    ends = config.get("eos_token_id")
    ids = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(type(i) is int and 0 <= i < 2**31 for i in ids):
        said = shortened(ends)
        raise BadInput(
            f"eos_token_id in the generation_config.json of {model.name} is {said}; give a token id"
            " or a list of them"
        )
    return ids
