"""A model's chat format, derived from its own chat template: pre-query prefix, prompts, thinking and answer.

Not here: a table of templates, rendering one (template.py), and how turns end (ends.py).
"""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from string import ascii_uppercase
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.ends import Ends, ends_in_config
from magpie_hf.models.model import Model, vocabulary
from magpie_hf.models.rendering import INSTRUCTION, PROBES, tried
from magpie_hf.models.switches import values_of
from magpie_hf.models.template import Template
from magpie_hf.models.thinking import Thinking, published, thinking_of
from magpie_hf.models.tokenizer import BROKEN, tokenizer_of

Message = dict[str, str]

SOLVING_INSTRUCTION = INSTRUCTION
_SYSTEM_PROBE = "MagpieReadsTheSystemTextHere"
# Markers of other chat formats. The list of names between bars is short, because |AB|<|BC|>|CA| is
# mathematics.
_FOREIGN_MARKERS = (
    r"<\|(?:[A-Za-z0-9]{2,}_[A-Za-z0-9_]{2,}|endoftext|user|assistant|system|end|EOT)\|>"
    r"|<｜[^｜\n]{2,40}｜>|<(?:start|end)_of_(?:turn|text)>|<</?SYS>>|\[/?INST\]"
)


@dataclass(frozen=True)
class Response:
    """A completion of a closed prompt, split into thinking and answer.

    text: the whole assistant turn as it is published: the model's own text where its thinking stands in
        <think>, else thinking and answer written so.
    thinking: what stands between the marks of thinking; None without it.
    answer: the rest, without what stands around it.
    reason: why the response is incomplete ("thinking_not_closed", "empty", "special_tokens",
        "broken_characters"); None where it is complete.
    """

    text: str
    thinking: str | None
    answer: str
    reason: str | None


class Chat:
    """The chat format of one tokenizer, found by rendering a probe with its template and cutting there.

    Raises BadInput, with the reason, for a tokenizer that does not give a text back, and for a template that
    cannot be cut: there is none, it changes the user's text, or the text does not appear exactly once.

    options: values of the template's own variables, with which it is always rendered.
    """

    def __init__(
        self,
        tokenizer: Any,
        end_ids: Sequence[int] = (),
        name: str = "the tokenizer",
        options: Mapping[str, Any] = {},
    ) -> None:
        self._template = Template(tokenizer, name, options)
        self.tokenizer = tokenizer
        self.name = name
        self._model_end_ids = tuple(end_ids)
        self._known_choices: dict[tuple[str, tuple[str, ...]], tuple[int, tuple[int, ...]]] = {}
        self.pre_query_prefix(None)
        if not self.end_ids:
            raise BadInput(
                f"{name} names no end-of-turn token, so no completion would end; give an aligned (instruct)"
                " model"
            )

    # --- the pre-query prefix -------------------------------------------------------------------------------

    def prefix_text(self, system: str | None, place: str | None = None) -> str:
        """All before the user's text, as text, with the system text if given.

        place: where that stands, "user" or None for `system_place`. White space around it may be cut by the
        template.
        """
        text = None if system is None else system.strip()
        if text == "":
            raise BadInput(
                "the system text is empty; leave it out (None) or describe the user who is about to ask"
            )
        lead = None
        if text is not None and (place or self.system_place) == "user":
            system, lead = None, text
        before = self._template.around(system, PROBES[0], lead)[0]
        if before != self._template.around(system, PROBES[1], lead)[0]:
            raise BadInput(
                f"the chat template of {self.name} writes another beginning for another user text, so it"
                " cannot be cut; use another model"
            )
        if text is not None and (times := before.count(text)) != 1:
            raise BadInput(
                f"the chat template of {self.name} shows the system text {times} times in the user's turn, so"
                " a domain could not steer it; use another model"
            )
        return before

    @cached_property
    def system_place(self) -> str:
        """Where a domain's text goes: "system", or "user" where the template has no system role.

        user: at the beginning of the user's turn, before an empty line, where Gemma 3's template puts it;
            Gemma 2, Mixtral and Mistral v0.1 have no system role.
        """
        try:
            before = self._template.around(_SYSTEM_PROBE, PROBES[0])[0]
        except BadInput:
            return "user"
        return "system" if _SYSTEM_PROBE in before else "user"

    def check_system(self) -> None:
        """Raises BadInput where the template has no system role."""
        if self.system_place != "system":
            raise BadInput(
                f"the chat template of {self.name} has no system role, so --steer system is not possible;"
                " give --steer user or none"
            )

    def pre_query_prefix(self, system: str | None, place: str | None = None) -> list[int]:
        """Token ids of the pre-query prefix, with the template's own BOS and no other.

        They begin the ids of a whole chat, so a space at the end may be left to the sample: see
        `leaves_space`.
        """
        ids = self._prefix(system, place)[0]
        bos = self.tokenizer.bos_token_id
        if not ids:
            raise BadInput(
                f"the chat template of {self.name} writes nothing before the user's text, so there is no turn"
                " to open; use another model"
            )
        if bos is not None and ids[:2] == [bos, bos]:
            raise BadInput(f"the chat template of {self.name} writes its BOS token twice; mend the template")
        return ids

    def leaves_space(self, system: str | None, place: str | None = None) -> bool:
        """Whether the template's space before the user's text is left to the first token of a sample.

        In chats it is a part of that token (" What"), and a token of its own only before what takes none,
        such as a digit.
        """
        return self._prefix(system, place)[1]

    def _prefix(self, system: str | None, place: str | None) -> tuple[list[int], bool]:
        """The ids of the pre-query prefix, and whether its last space is left out of them."""
        text = self.prefix_text(system, place)
        ids = self._template.encode(text)
        if not text.endswith(" "):
            return ids, False
        shorter = self._template.encode(text.removesuffix(" "))
        chats = [self._template.encode(text + letter) for letter in ascii_uppercase]
        joined = any(chat[: len(ids)] != ids for chat in chats)
        left = joined and all(chat[: len(shorter)] == shorter for chat in chats)
        return (shorter, True) if left else (ids, False)

    # --- closed prompts -------------------------------------------------------------------------------------

    def closed_text(self, messages: Sequence[Message]) -> str:
        """The conversation and the head of the assistant's turn, as text."""
        return self._template.render(messages)

    def closed_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the conversation and the head of the assistant's turn."""
        return self._template.encode(self.closed_text(messages))

    def closed_prompts(self, conversations: Iterable[Sequence[Message]]) -> list[array[int]]:
        """`closed_prompt` of many conversations, on all cores."""
        return self._template.encode_all(self.closed_text(messages) for messages in conversations)

    def finished_prompts(self, conversations: Iterable[Sequence[Message]]) -> list[array[int]]:
        """Token ids of whole conversations up to the last end of turn, as a reward model reads them."""
        return self._template.encode_all(
            self._template.render(messages, generation=False) for messages in conversations
        )

    def answer_prompts(self, conversations: Iterable[Sequence[Message]]) -> list[array[int]]:
        """Prompts that the answer follows directly: a template that opens a thought gets an empty one."""
        return self._template.encode_all(self._before_choice(messages, "") for messages in conversations)

    def choice_prompts(
        self, conversations: Iterable[Sequence[Message]], lead: str, choices: Sequence[str]
    ) -> tuple[list[array[int]], list[int]]:
        """Prompts whose next token is the choice, as (token ids per conversation, one token id per choice).

        The assistant's turn begins with `lead`. Every lead + choice is tokenized as a whole and cut where the
        choices differ, because some tokenizers join a space to a digit. A template that opens a thought gets
        an empty one. Raises BadInput where the choices do not differ in one token.
        """
        tail, tokens = self._choices(lead, tuple(choices))
        prompts = self._template.encode_all(
            self._before_choice(messages, lead) + choices[0] for messages in conversations
        )
        if any(ids[-tail] != tokens[0] for ids in prompts):
            raise BadInput(
                f"the tokenizer of {self.name} joins {lead!r} to what comes before it; use another judge"
            )
        return [ids[:-tail] for ids in prompts], list(tokens)

    def _before_choice(self, messages: Sequence[Message], lead: str) -> str:
        opened = self.thinking.opened
        return (
            self.closed_text(messages)
            + (f"\n{opened.end}\n\n" if opened else self.thinking.answer_head)
            + lead
        )

    def _choices(self, lead: str, choices: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
        """How many tokens come from the choice on, and the first token of each choice.

        Found once, on a short conversation: text long before the choice does not change its tokens.
        """
        if (lead, choices) not in self._known_choices:
            text = self._before_choice([{"role": "user", "content": "x"}], lead)
            whole = [self._template.encode(text + choice) for choice in choices]
            cut = next((i for i, ids in enumerate(zip(*whole, strict=False)) if len(set(ids)) > 1), None)
            if (
                cut is None
                or len({ids[cut] for ids in whole}) != len(choices)
                or len({len(ids) for ids in whole}) != 1
            ):
                raise BadInput(
                    f"the tokenizer of {self.name} does not tell {', '.join(choices)} apart by one token; use"
                    " another judge"
                )
            self._known_choices[lead, choices] = len(whole[0]) - cut, tuple(ids[cut] for ids in whole)
        return self._known_choices[lead, choices]

    def solving_prompt(self, problem: str, instruction: str = SOLVING_INSTRUCTION) -> list[Message]:
        """The problem as a conversation that asks for step-by-step reasoning.

        A default system text is the template's to write and is never handed back: some templates change what
        they are given. The published user turn holds the problem alone.
        """
        told = problem if self.solving_place == "default_system" else f"{problem}\n\n{instruction}"
        return [{"role": "user", "content": told}]

    def solving_note(self, instruction: str = SOLVING_INSTRUCTION) -> str:
        """What the model is told besides the problem, with its place: "system: ..." or "user: ..."."""
        if self.solving_place == "default_system":
            return f"system: {self.default_system}"
        return f"user: {instruction}"

    @cached_property
    def solving_place(self) -> str:
        r"""Where the solving instruction stands: "default_system" or "user".

        default_system: the template's own system text already asks for \boxed{}.
        user: after the problem.
        """
        return "default_system" if r"\boxed" in (self.default_system or "") else "user"

    @cached_property
    def default_system(self) -> str | None:
        """The system text that the template writes when none is given; None where it writes none."""
        bare = self.prefix_text(None)
        try:
            before, after = self.prefix_text(_SYSTEM_PROBE).split(_SYSTEM_PROBE)
        except BadInput:  # a template that shows system texts twice has no default one
            return None
        if not (bare.startswith(before) and bare.endswith(after) and len(bare) > len(before) + len(after)):
            return None
        return bare[len(before) : len(bare) - len(after)].strip() or None

    # --- reading completions --------------------------------------------------------------------------------

    @cached_property
    def thinking(self) -> Thinking:
        """How the model marks its thinking."""
        return thinking_of(self._template.render, str(self.tokenizer.chat_template))

    def check_solving(self) -> None:
        """Raises BadInput where the model's thinking could not be told from its answers."""
        if not self.thinking.known:
            raise BadInput(
                f"the chat template of {self.name} names a way of thinking, but does not show what stands"
                " around it, so its answers could not be told apart from it; use another solver, or mend the"
                " template"
            )

    @property
    def opens_thinking(self) -> bool:
        """Whether the head of the assistant's turn already opens thinking, as in DeepSeek-R1."""
        return self.thinking.opened is not None

    def read(self, completion: str) -> Response:
        """A finished completion, split into thinking and answer, with no mark in either.

        A thought counts where it begins the completion, or where the template opened it. Reading the text of
        a response again gives the same response.
        """
        turn = completion.strip()
        parts = self.thinking.split(turn)
        reason = None
        if not parts.closed:
            reason = "thinking_not_closed"
        elif not parts.answer:
            reason = "empty"
        elif parts.left or self.special_pattern.search(f"{parts.thinking or ''}\n{parts.answer}"):
            reason = "special_tokens"
        elif BROKEN.search(turn):
            reason = "broken_characters"
        return Response(
            published(turn, parts, self.opens_thinking), parts.thinking or None, parts.answer, reason
        )

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end an assistant's turn, from the tokenizer, the generation config and the template."""
        return self._ends.of_answer[0]

    @property
    def end_texts(self) -> tuple[str, ...]:
        """Texts that end an assistant's turn where the template ends it with no token, such as RWKV's."""
        return self._ends.of_answer[1]

    @property
    def turn_end_ids(self) -> tuple[int, ...]:
        """Ids that end a user's turn: `end_ids` and the template's marker after the user's text.

        Never a newline.
        """
        return self._ends.of_user[0]

    @property
    def turn_end_texts(self) -> tuple[str, ...]:
        r"""Texts that end a user's turn where the template's marker is none of the tokenizer's.

        Such as "\nAssistant:" and "[/INST]".
        """
        return self._ends.of_user[1]

    @cached_property
    def _ends(self) -> Ends:
        return Ends(self._template, self._model_end_ids, self.thinking.closing)

    @cached_property
    def special_pattern(self) -> re.Pattern[str]:
        """Matches what must not stand in a published text: special tokens and role markers.

        These are the tokenizer's own, and well-known ones of other formats.
        """
        longest_first = sorted(self._template.markers(), key=lambda content: (-len(content), content))
        return re.compile("|".join([_FOREIGN_MARKERS, *map(re.escape, longest_first)]))

    def ids(self, text: str) -> list[int]:
        """Token ids of a piece of the format, with nothing added."""
        return self._template.encode(text)


def chat_of(model: Model) -> Chat:
    """The chat format of a model, from its own tokenizer and generation config.

    No remote code runs. Raises BadInput where the files are missing or broken.
    """
    with _LOADING:
        return _load_chat(model)


_LOADING = threading.Lock()


@lru_cache(maxsize=8)
def _load_chat(model: Model) -> Chat:
    tokenizer, options = tokenizer_of(model), values_of(model)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if isinstance(template, str) and template:
        tried(template, model.name, options)
    chat = Chat(tokenizer, ends_in_config(model), model.name, options)
    _check_vocabulary(model, chat)
    return chat


def _check_vocabulary(model: Model, chat: Chat) -> None:
    """Raises BadInput where the format's tokens have no row in the model's embedding."""
    rows = vocabulary(model)
    highest = max(*chat.pre_query_prefix(None), *chat.turn_end_ids)
    if rows is not None and highest >= rows:
        raise BadInput(
            f"the chat format of {model.name} has token {highest}, and the vocab_size in its config.json is"
            f" {rows}; give the tokenizer that came with the weights"
        )
