"""How a model marks its thinking: cut out of its chat template, and read in what it writes.

Not here: prompts and the tokens that end a turn (chat.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from magpie_hf.errors import BadInput

# The form in which every dataset keeps thinking, whatever marks the model writes.
THINK, END_THINK = "<think>", "</think>"


@dataclass(frozen=True)
class Marks:
    """Patterns of what stands before and after a thought.

    end: what closes a thought, as text. again: between two thoughts of one turn. prose: these are words that
    anyone may write, so that they count only where both stand.
    """

    open: str
    close: str
    end: str
    again: str | None = None
    prose: bool = False


def _literal(text: str) -> str:
    """The pattern of a text in which any white space may stand, or none."""
    return r"\s*".join(map(re.escape, text.split()))


def _marks(opening: str, end: str) -> Marks:
    return Marks(_literal(opening), _literal(end), end)


# Marks of the families whose template shows none, or leaves them to the model. Sources: the template of a
# model on the Hub (T), vLLM 0.32's reasoning parser of that name (V), or the model's card (C).
KNOWN = (
    # DeepSeek-R1, Qwen3, QwQ, GLM, Kimi K2, MiniMax M2, Nemotron, SmolLM3, Phi-4 reasoning, Hunyuan,
    # ERNIE 4.5, Granite 3.3, EXAONE 4, OLMo 3, Step 3, MiMo, LFM2.5, Falcon H1R (T)
    _marks(THINK, END_THINK),
    _marks("<thinking>", "</thinking>"),  # Apriel's tool calls (T), Reflection (C)
    _marks("<thought>", "</thought>"),  # EXAONE Deep (T)
    _marks("<Thought>", "</Thought>"),  # Marco-o1 (C)
    _marks("<reasoning>", "</reasoning>"),  # Reka Flash 3 (C)
    _marks("<mm:think>", "</mm:think>"),  # MiniMax M3 (V minimax_m3)
    _marks("<seed:think>", "</seed:think>"),  # Seed-OSS (T)
    _marks("[THINK]", "[/THINK]"),  # Magistral, Ministral 3 reasoning (T, V mistral)
    _marks("◁think▷", "◁/think▷"),  # Kimi-VL thinking, Kimi-Dev (C)
    _marks("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus (T)
    _marks("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1, Bespoke-Stratos (C)
    _marks("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A reasoning (T, V cohere_command3)
    _marks("<|channel>thought", "<channel|>"),  # Gemma 4 (T, V gemma4)
    _marks("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),  # PLaMo 3 (V plamo3)
    # Hunyuan 3 and 4: a suffix that differs by checkpoint (V hy_v3, hy_v4)
    Marks(r"<think:[^\s<>]+>", r"</think:[^\s<>]+>", END_THINK),
    # K2 Horizon: three efforts (V k2_horizon)
    Marks(r"<ifm\|think\w*>", r"</ifm\|think\w*>", "</ifm|think>"),
    # gpt-oss: every channel but the final one is thinking (T, V openai_gptoss)
    Marks(
        r"<\|channel\|>(?:analysis|commentary)[^\n]{0,60}?<\|message\|>",
        r"<\|end\|>(?:<\|start\|>assistant)?<\|channel\|>final[^\n]{0,60}?<\|message\|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        r"<\|end\|>(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^\n]{0,60}?<\|message\|>",
    ),
    # Solar Open (T)
    Marks(
        r"<\|think\|>",
        r"<\|end\|>(?:<\|begin\|>assistant)?<\|content\|>",
        "<|end|><|begin|>assistant<|content|>",
        r"<\|end\|>(?:<\|begin\|>assistant)?<\|think\|>",
    ),
    # Kimi K3 (T, V kimi_k3)
    Marks(
        r"<\|open\|>\s*think\s*<\|sep\|>",
        r"<\|close\|>\s*think\s*<\|sep\|>\s*<\|open\|>\s*response\s*<\|sep\|>",
        "<|close|>think<|sep|><|open|>response<|sep|>",
    ),
    # Inkling (V inkling)
    Marks(
        r"(?:<\|message_model\|>)?<\|content_thinking\|>",
        r"<\|end_message\|>(?:<\|message_model\|>)?<\|content_text\|>",
        "<|end_message|><|message_model|><|content_text|>",
        r"<\|end_message\|>(?:<\|message_model\|>)?<\|content_thinking\|>",
    ),
    # s1 and s1.1 (github.com/simplescaling/s1)
    Marks(r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b", "<|im_start|>answer\n"),
    # Apriel 1.5 and 1.6 (T)
    Marks(r"Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]", "[BEGIN FINAL RESPONSE]", prose=True),
    # Granite 3.2 (T, V granite)
    Marks(
        r"(?:Here is|Here's) my thought process:",
        r"(?:Here is|Here's) my response:",
        "Here is my response:",
        prose=True,
    ),
)

# What may stand around the answer alone, as patterns; after a token that ends an answer nothing may follow.
WRAPPERS = (
    (r"<answer>", r"</answer>"),  # Hunyuan A13B (T), AM-Thinking, K2-Think, Open-Reasoner-Zero (C)
    (r"<response>", r"</response>"),  # Granite 3.3 (T), ERNIE 4.5 thinking (V ernie45)
    (r"<[Oo]utput>", r"</[Oo]utput>"),  # Marco-o1, Reflection (C)
    (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>\Z"),  # OpenThinker, Sky-T1 (C)
    (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>\Z"),  # Command A reasoning, Command R7B (T)
    (r"<\|START_TEXT\|>", r"<\|END_TEXT\|>\Z"),  # Command 4 (V cohere_command4)
    (r"\[BEGIN FINAL RESPONSE\]", r"\[END FINAL RESPONSE\]"),  # Apriel (T)
    (r"<\|channel\|>final[^\n]{0,60}?<\|message\|>", r"<\|(?:end|return)\|>\Z"),  # gpt-oss (T)
    (r"<\|content\|>", r"<\|(?:end|flush)\|>\Z"),  # Solar Open (T)
    (r"(?:<\|message_model\|>)?<\|content_text\|>", r"<\|end_message\|>\Z"),  # Inkling (V inkling)
    (
        r"<\|open\|>response<\|sep\|>",
        r"<\|close\|>response<\|sep\|>(?:<\|close\|>message<\|sep\|>)?",
    ),  # K3 (T)
)

_FIELDS = ("reasoning_content", "thinking", "reasoning")
_USED = re.compile(r"""\breasoning_content\b|[.]\s*(?:thinking|reasoning)\b|["'](?:thinking|reasoning)["']""")
_USER, _THOUGHT, _ANSWER = "MagpieAsksHere", "MagpieThinksHere", "MagpieAnswersHere"
_MARK = re.compile(r"(?:<[^<>\n]+>|\[[^\[\]\n]+\]|◁[^◁▷\n]+▷)\Z")


@dataclass(frozen=True)
class Parts:
    """A turn as thinking (None where none began) and answer.

    closed: whether the thinking ended. left: whether a mark of thinking stands in one of the parts.
    """

    thinking: str | None
    answer: str
    closed: bool
    left: bool


@dataclass(frozen=True)
class Thinking:
    """The ways in which one model may write its thinking, and its answer.

    marks: what it writes around thinking, the likeliest first. opened: those that the head of the assistant's
    turn opens already. wrappers: patterns around an answer. answer_head: what the template writes before an
    answer without thinking. closing: what it writes between thinking and answer. known: False where the
    template names a way of thinking that could not be cut out of it, and that nobody described.
    """

    marks: tuple[Marks, ...]
    opened: Marks | None
    wrappers: tuple[tuple[str, str], ...]
    answer_head: str
    closing: str
    known: bool

    def split(self, turn: str) -> Parts:
        """A completion without white space around it, split into its parts."""
        marks, start = next(self._opening(turn), (self.opened, 0))
        if marks is None:
            return Parts(None, self._unwrapped(turn, ""), True, self._left(turn))
        if (closing := re.search(marks.close, turn[start:])) is None:
            return Parts(turn[start:].strip(), "", False, False)
        thinking = turn[start : start + closing.start()]
        if marks.again:
            thinking = re.sub(rf"\s*{marks.again}\s*", "\n\n", thinking)
        thinking = thinking.strip()
        answer = self._unwrapped(turn[start + closing.end() :].strip(), closing.group())
        return Parts(thinking, answer, True, self._left(thinking, marks) or self._left(answer, marks))

    def _opening(self, turn: str) -> Iterator[tuple[Marks, int]]:
        for marks in self.marks:
            opening = re.match(marks.open, turn)
            if opening and (not marks.prose or re.search(marks.close, turn)):
                yield marks, opening.end()

    def _unwrapped(self, answer: str, closing: str) -> str:
        """The answer without what opened it, at its beginning or as the end of what closed the thinking."""
        for opening, end in self.wrappers:
            if opened := re.match(opening, answer):
                body = answer[opened.end() :]
            elif re.search(rf"(?:{opening})\s*\Z", closing):
                body = answer
            else:
                continue
            ends = list(re.finditer(end, body)) if end else []
            if ends:
                body = f"{body[: ends[-1].start()].rstrip()}\n\n{body[ends[-1].end() :].lstrip()}"
            return body.strip()
        return answer

    @staticmethod
    def _left(text: str, marks: Marks | None = None) -> bool:
        patterns = [re.escape(THINK), re.escape(END_THINK)]
        if marks is not None and not marks.prose:
            patterns += [marks.open, marks.close]
        return re.search("|".join(patterns), text) is not None


def thinking_of(render: Callable[[Sequence[dict[str, str]], bool], str], template: str) -> Thinking:
    """How a model thinks, found by rendering a thought beside an answer with its template.

    render: (messages, whether the head of the assistant's turn follows) to text. template: its source.
    """

    def turn(answered: dict[str, str] | None) -> str:
        messages = [{"role": "user", "content": _USER}, *([answered] if answered else [])]
        return render(messages, answered is None).partition(_USER)[2]

    head, said = turn(None), {"role": "assistant", "content": _ANSWER}
    bare = turn(said).partition(_ANSWER)[0]
    answer_head = ""
    marks: tuple[Marks, ...] = KNOWN
    wrappers: tuple[tuple[str, str], ...] = WRAPPERS
    shown = _shown(head, lambda field: turn({**said, field: _THOUGHT}))
    if shown is not None:
        opening, closing, tail = shown
        if bare.startswith(head):
            answer_head = bare[len(head) :].strip()
        if closing in answer_head:  # the template writes an empty thought where there is none
            answer_head = answer_head.partition(closing)[2].strip()
        if answer_head:
            wrappers = (*WRAPPERS, (_literal(answer_head), _ends(tail)))
        marks = (_described(opening, closing, answer_head), *KNOWN)
    opened = next((one for one in marks if re.search(rf"(?:{one.open})\s*\Z", head)), None)
    named = opened is not None or any(re.search(one.open, template) for one in KNOWN)
    known = shown is not None or named or not _USED.search(template)
    return Thinking(marks, opened, wrappers, answer_head, shown[1] if shown else "", known)


def _described(opening: str, closing: str, answer_head: str) -> Marks:
    """The marks that a template shows, or the same ones of the table, which knows their variants."""
    for one in KNOWN:
        if re.fullmatch(one.open, opening) and re.match(one.close, closing):
            return one
    again = None
    if answer_head and closing.endswith(answer_head) and closing != answer_head:
        again = _literal(closing.removesuffix(answer_head)) + r"\s*" + _literal(opening)
    return Marks(_literal(opening), _literal(closing), closing, again)


def _shown(head: str, turn: Callable[[str], str]) -> tuple[str, str, str] | None:
    """The marks of the first field of a message that the template writes as thinking."""
    for field in _FIELDS:
        try:
            shown = _cut(head, turn(field))
        except BadInput:  # this template takes no such field
            continue
        if shown is not None:
            return shown
    return None


def _cut(head: str, turn: str) -> tuple[str, str, str] | None:
    """What stands before the thought, between it and the answer, and after the answer; None where the turn
    does not show them so.
    """
    before, thought, rest = turn.partition(_THOUGHT)
    closing, answer, tail = rest.partition(_ANSWER)
    if not thought or not answer or not closing.strip() or _THOUGHT in rest:
        return None
    if before.startswith(head) and before[len(head) :].strip():
        opening = before[len(head) :].strip()
    elif head.startswith(before) and (opened := head[len(before) :].partition(closing.strip())[0].strip()):
        opening = opened  # Apriel 1.6 opens thinking in the head alone
    else:
        found = _MARK.search(before.rstrip())
        if found is None:
            return None
        opening = found.group()
    return opening, closing.strip(), tail.strip()


def _ends(tail: str) -> str:
    """The pattern of the marks after an answer, as many of them as the model wrote before its turn ended."""
    pattern = ""
    for mark in reversed(re.findall(r"<[^<>]+>|\[[^\[\]]+\]|[^<>\[\]\s]+", tail)):
        pattern = re.escape(mark) + (rf"\s*(?:{pattern})?" if pattern else "")
    return rf"(?:{pattern})\s*\Z" if pattern else ""


def parted(turn: str) -> tuple[str | None, str]:
    """The thinking of a published turn (None where it has none that ends), and the rest."""
    if not turn.startswith(THINK):
        return None, turn
    head, closed, tail = turn.partition(END_THINK)
    return (head.removeprefix(THINK).strip(), tail.strip()) if closed else (None, turn)


def written(parts: Parts, opened: bool) -> str:
    """A turn in the one form in which thinking is published.

    An empty thought is written only where the head of the turn opens one (`opened`).
    """
    if parts.closed and not parts.thinking and not opened:
        return parts.answer
    thought = f"{THINK}\n{parts.thinking}"
    return f"{thought}\n{END_THINK}\n\n{parts.answer}".rstrip() if parts.closed else thought
