"""How a model marks its thinking: cut out of its chat template, and read in what it writes.

Not here: prompts (chat.py), and the tokens that end a turn (ends.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from magpie_hf.errors import BadInput
from magpie_hf.models.marks import END_THINK, KNOWN, THINK, WRAPPERS, Marks, literal
from magpie_hf.models.rendering import THINKING_PROBES

_FIELDS = ("reasoning_content", "thinking", "reasoning")
_USED = re.compile(r"""\breasoning_content\b|[.]\s*(?:thinking|reasoning)\b|["'](?:thinking|reasoning)["']""")
_USER, _THOUGHT, _ANSWER = THINKING_PROBES
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
        marks, start = self._begun(turn)
        if marks is None:
            return Parts(None, self._unwrapped(turn, ""), True, self._left(turn) or self._stands(turn))
        if (closing := re.search(marks.close, turn[start:])) is None:
            return Parts(turn[start:].strip(), "", False, False)
        thinking = turn[start : start + closing.start()]
        if marks.again:
            thinking = re.sub(rf"\s*{marks.again}\s*", "\n\n", thinking)
        thinking = thinking.strip()
        answer = self._unwrapped(turn[start + closing.end() :].strip(), closing.group())
        left = any(self._left(part, marks) for part in (thinking, answer)) or self._stands(answer)
        return Parts(thinking, answer, True, left)

    def marks_in(self, turn: str) -> tuple[str, str] | None:
        """What a completion writes before and after its thought ("" for nothing); None without a thought.

        No words of the model's own, which some marks leave room for.
        """
        marks, start = self._begun(turn)
        if marks is None:
            return None
        opening, closing = turn[:start].strip(), re.search(marks.close, turn[start:])
        if marks.begin:
            return marks.begin if opening else "", "" if closing is None else marks.end
        return opening, "" if closing is None else closing.group()

    def _begun(self, turn: str) -> tuple[Marks | None, int]:
        """The marks of the thought that a turn begins with, and where the thought begins."""
        return next(self._opening(turn), (self.opened, 0))

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

    def _left(self, text: str, marks: Marks | None = None) -> bool:
        """Whether a mark stands there: of the published form, of the template, or of `marks`."""
        patterns = [re.escape(THINK), re.escape(END_THINK)]
        for one in (marks, self.marks[0] if self.closing else None):
            if one is not None and not one.prose:
                patterns += [one.open, one.close]
        return re.search("|".join(patterns), text) is not None

    def _stands(self, text: str) -> bool:
        """Whether a whole thought stands there, in any known marks; one mark alone may be words."""
        return any(
            re.search(one.close, text[opening.end() :])
            for one in self.marks
            if not one.prose and (opening := re.search(one.open, text))
        )


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
            wrappers = (*WRAPPERS, (literal(answer_head), _ends(tail)))
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
        again = literal(closing.removesuffix(answer_head)) + r"\s*" + literal(opening)
    return Marks(literal(opening), literal(closing), closing, again)


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


def published(turn: str, parts: Parts, opened: bool) -> str:
    """A turn in the one form in which thinking is published: as it is, where it has that form.

    opened: whether the head of the turn opens a thought; its <think> is put back.
    """
    own = f"{THINK}\n{turn}" if opened and not turn.startswith(THINK) else turn
    if parts.closed:
        same = parted(own) == (parts.thinking, parts.answer)
    else:
        same = own.removeprefix(THINK).strip() == parts.thinking
    return own if same else _written(parts, opened)


def _written(parts: Parts, opened: bool) -> str:
    """An empty thought is written only where the head of the turn opens one (`opened`)."""
    if parts.closed and not parts.thinking and not opened:
        return parts.answer
    thought = f"{THINK}\n{parts.thinking}"
    return f"{thought}\n{END_THINK}\n\n{parts.answer}".rstrip() if parts.closed else thought
