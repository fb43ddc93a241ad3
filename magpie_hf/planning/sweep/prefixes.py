"""The pre-query prefix, checked: what a model is shown before it writes, its BOS and its end tokens.

Not here: how it is cut from the chat template (models/chat.py).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from magpie_hf.domains import Domain
from magpie_hf.models.chat import Chat
from magpie_hf.text.language import tr, translated


@dataclass(frozen=True)
class PreQueryPrefix:
    """What the model is shown before it writes, in one domain.

    text: the whole prefix; tokens: its length; bos: the tokenizer's BOS token, None where it has none;
    bos_count: how often the prefix holds it; bos_opens_turns: whether that is twice because it opens both
    turns, the system's and the user's; ends: the tokens that end the user's turn, by id.
    """

    domain: str
    text: str
    tokens: int
    bos: str | None
    bos_count: int
    bos_opens_turns: bool
    ends: dict[int, str]

    @property
    def bos_note(self) -> str:
        """How many BOS tokens there are, and whether that is right."""
        if self.bos is None:
            return "none; the tokenizer has none"
        if self.bos_opens_turns:
            return f"{self.bos}, once a turn: it opens the system's and the user's"
        notes = {0: f"none; the template writes no {self.bos}", 1: f"{self.bos}, once"}
        return notes.get(
            self.bos_count, f"{self.bos}, {self.bos_count} times where once is right; mend the chat template"
        )

    @property
    def bos_is_right(self) -> bool:
        """Whether there is no BOS token, one, or one a turn."""
        return self.bos_count <= 1 or self.bos_opens_turns

    def lines(self, width: int) -> Iterator[str]:
        """The prefix as it is, and its BOS token, wrapped at `width` columns."""
        yield tr("pre-query prefix of {domain}, {tokens} tokens", domain=self.domain, tokens=self.tokens)
        for line in self.text.split("\n"):
            yield from textwrap.wrap(line, width, initial_indent="| ", subsequent_indent="| ") or ["|"]
        yield f"BOS     {translated(self.bos_note)}"


def prefix_of(chat: Chat, domain: Domain) -> PreQueryPrefix:
    """The pre-query prefix of a domain. Raises BadInput where the chat template cannot be cut there."""
    text, ids = chat.prefix_text(domain.system), chat.pre_query_prefix(domain.system)
    bos = chat.tokenizer.bos_token
    count = 0 if bos is None else ids.count(chat.tokenizer.bos_token_id)
    around = text.split(domain.system.strip())  # two parts, as `prefix_text` makes sure
    opens_turns = count == 2 and all(part.count(bos) == 1 for part in around)
    ends = {token: str(chat.tokenizer.convert_ids_to_tokens(token)) for token in chat.turn_end_ids}
    return PreQueryPrefix(domain.key, text, len(ids), bos, count, opens_turns, ends)
