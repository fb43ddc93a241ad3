r"""Final answers of solutions: the last \boxed{}, else the answer that the solution states.

Not here: what a solution states without a box, equivalence of answers.

An answer must be stated plainly: None costs a vote, but a wrong extraction makes a wrong cluster.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from magpie_hf.answers.statements import LONGEST, cleaned, concluded, stated
from magpie_hf.answers.words import choice

_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)  # a backslash escapes the next character
_BOXES = (r"\boxed{", r"\fbox{")


def boxed_answer(text: str) -> str | None:
    end = len(text)
    while True:
        start, opener = max((text.rfind(opener, 0, end), opener) for opener in _BOXES)
        if start < 0:
            return None
        inside, depth = start + len(opener), 1
        for token in _BRACES.finditer(text, inside, end):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                if answer := text[inside : token.start()].strip():
                    return answer
                break
        end = start


# --- what a solution says -----------------------------------------------------------------------------------

_END = 1500  # characters at the end of a solution that are searched for its answer
_LATER = re.compile(
    r"^####|\banswer(?:\*\*)?\s*(?:is|:)|\bfinal\s+(?:answer|result)\b|答え|答案",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<answer>(?P<answer>(?:(?!</?answer>).){1,400})</answer>", re.IGNORECASE | re.DOTALL)
_ASIDE_BOX = re.compile(
    r"\b(?:would be|is|was) (?:wrong|incorrect|an? (?:\w+ )?(?:mistake|error)|not (?:the )?(?:right|correct))"
    r"|\b(?:wrong|incorrect) (?:answer|result)"
    r"|\b(?:common|typical|frequent|easy|tempting)\s(?:mistake|error|slip)\b|\btempting\b|\bmistakenly\b"
    r"|\b(?:such as|for example|e\.g\.|instead of|rather than|not)(?=\W*$)",
    re.IGNORECASE,
)
# A remark behind the answer, about what it would be otherwise
_REMARK = re.compile(
    r"\W*(?:note|remark|caution|warning|comment|注意?|備考|補足)\b|\W*(?:注意|備考|補足)", re.IGNORECASE
)
_OTHERWISE = re.compile(
    r"\b(?:would|mistakes?|errors?|forg[oe]t|without|instead|wrong|incorrect|had we|if we (?:had|did))\b"
    r"|なければ|誤り|間違",
    re.IGNORECASE,
)
_SO = re.compile(r"\b(?:so|therefore|thus|hence|final|finally)\b|よって|したがって|ゆえに", re.IGNORECASE)
# Beside a box, in the same formula: 10^4, \\pi, a percent sign behind it, a minus in front of it
_BEHIND = re.compile(
    r"(?:\s|\\[,;! ])*(?P<more>\\?%|\\text ?\{ ?per ?cent\}"
    r"|(?:\\(?:times|cdot|pi|sqrt|frac|pm|ln|log|sin|cos|tan)(?![A-Za-z])|[-+*/^!]|[A-Za-z]"
    r"(?![A-Za-z]))"
    r"(?:[^$=,;.\n\\]|\.\d|\\(?!boxed|fbox|text|q?quad|end|\]|\)|\\)[A-Za-z]+|\\[{}%])*)(?=\s*[.,"
    r"]?\s*(?:\$|\\\]|\\\)))"
)
_BEFORE = re.compile(
    r"(?:^|[=$\[(]|\\(?:approx|implies|Rightarrow))\s*"
    r"(?P<sign>[-+]?(?:\d{1,9}(?:\.\d+)?|\\pi)(?:\s*\\(?:cdot|times))?"
    r"|-|\\pm)\s*$"
)
_PERCENT = re.compile(r"\s?(?:\$|\\\)|\\\])?\s?(?P<more>per ?cent(?![a-z])|パーセント|％)", re.IGNORECASE)
_BOX_TOKEN = re.compile(
    r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\(?:boxed|fbox)\s*(?P<number>-?\d+(?:\.\d+)?)|\\.|[{}]", re.DOTALL
)
_ENDS = re.compile(r"[.!?:;。](?=[\s$*\\])|\n\s*\n")  # between two boxes: they are in different sentences
_BETWEEN = re.compile(r"[\s,]*(?:and|or)?\s*(?:(?P<name>[A-Za-z]\w*)\s*=)?\s*")
_PART = re.compile(
    r"(?:^|[\s*])\(?(?:[b-h]|i{2,3}|iv)\)|\bpart\s+\(?(?:[b-hB-H2-9]|ii)\b|^[\s*#(]*[2-9][.)]\s",
    re.MULTILINE | re.IGNORECASE,
)
_SAYS_PROVED = re.compile(
    r"(?:\\(?:text|mathrm|textbf)\s*\{)?\s*(?:\$?\\(?:blacksquare|square|Box|qed)\$?|q\.?\s?e\.?\s?d\.?"
    r"|proved|proven|[∎□■])[.!\s]*\}?",
    re.IGNORECASE,
)
_PROVED = re.compile(r"(?:q\.?\s?e\.?\s?d\.?|\\blacksquare|\\square|∎|□|■|\\qed)[.$\s]*$", re.IGNORECASE)


def final_answer(solution: str) -> str | None:
    """The final answer of a solution, or None.

    It is in the last box, after "the answer is", or in the formula that concludes the last sentence.
    """
    if tagged := list(_TAGGED.finditer(solution)):
        inside = tagged[-1]["answer"]
        return final_answer(inside) if _boxes(inside) else cleaned(inside.strip(" $"))
    boxes = [_with_neighbours(solution, box) for box in _boxes(solution)[-_MOST_BOXES:]]
    answers = [box for box in boxes if not _SAYS_PROVED.fullmatch(box.answer)]
    answers = [box for box in answers if not _is_aside(solution, box)] or answers
    if boxes and not answers:
        return None
    if boxes:
        later = solution[answers[-1].end :]
        said = stated(later[-_END:]) if answers[-1] is boxes[-1] and _LATER.search(later) else None
        return said if said and not choice(said) else _boxed(solution, answers)
    text = solution.rstrip()[-_END:]
    if _PROVED.search(text):
        return None
    return stated(text) or concluded(text)


_MOST_BOXES = 50  # of a text that boxes everything, only the last ones are read

# --- boxes --------------------------------------------------------------------------------------------------


class _Box(NamedTuple):
    start: int
    end: int
    answer: str


def _boxes(text: str) -> list[_Box]:
    r"""The innermost boxes that are closed and not empty; also \boxed 5 without braces."""
    found: list[_Box] = []
    opened: list[tuple[int, int] | None] = []  # per open brace: where its box and its content begin
    for token in _BOX_TOKEN.finditer(text):
        if token["number"]:
            found.append(_Box(token.start(), token.end(), token["number"]))
        elif token[0] == "}":
            box = opened.pop() if opened else None
            answer = text[box[1] : token.start()].strip() if box else ""
            if box and answer and not (found and found[-1].start > box[0]):
                found.append(_Box(box[0], token.end(), answer))
        elif token[0].endswith("{") and not token[0].startswith("\\{"):
            opened.append((token.start(), token.end()) if token["box"] else None)
    return found


def _with_neighbours(text: str, box: _Box) -> _Box:
    r"""The box with what belongs to its value: -\boxed{3}, \boxed{12}\pi, \boxed{35}\%."""
    before, behind = text[max(0, box.start - LONGEST) : box.start], text[box.end : box.end + LONGEST]
    if _in_formula(text[: box.start]):
        more, sign = _BEHIND.match(behind), _BEFORE.search(before)
    else:
        more, sign = re.match(r"\s?(?P<more>\\?%)", behind), re.search(r"(?:^|[\s=])(?P<sign>-)$", before)
    more = more or re.match(r"\s?(?:\$|\\\)|\\\])\s?(?P<more>\\?%)", behind)
    percent = None if more else _PERCENT.match(behind)
    more = more or percent
    if more is None and sign is None:
        return box
    answer = box.answer
    if (
        re.search(r"[^\s\\]\s*[-+]|=", answer)
        or (more and more["more"].startswith(("^", "!")) and len(answer) > 1 and not answer.isdigit())
        or (sign and sign["sign"] not in ("-", r"\pm"))
    ):
        answer = f"({answer})"
    factor = sign["sign"].rstrip() if sign else ""
    if re.search(r"\d$|pi$|cdot$|times$", factor):
        factor = re.sub(r"\s*\\(?:cdot|times)$", "", factor)
        factor += r" \cdot "
    return _Box(
        sign.start("sign") if sign else box.start,
        box.end + (more.end() if more else 0),
        factor + answer + ("%" if percent else more["more"].rstrip() if more else ""),
    )


def _in_formula(before: str) -> bool:
    dollars = len(re.findall(r"(?<!\\)\$", before)) % 2 == 1
    return dollars or any(
        before.rfind(opener) > before.rfind(closer) for opener, closer in ((r"\(", r"\)"), (r"\[", r"\]"))
    )


def _is_aside(text: str, box: _Box) -> bool:
    """Whether the sentence of a box says that it is wrong, or takes it for an example."""
    begin = max(text.rfind(end, 0, box.start) for end in ("\n", ". ", "! ", "? ")) + 1
    behind = re.split(r"[.!?]\s|\n", text[box.end :], maxsplit=1)[0]
    before = text[begin : box.start].strip()
    return bool(
        _ASIDE_BOX.search(before)
        or re.match(
            r"\W*(?:for (?:example|instance)|if we had|had we|common (?:mistake|error))\b",
            before,
            re.IGNORECASE,
        )
        or _ASIDE_BOX.match(behind.lstrip(" $,"))
        or (_REMARK.match(before) and _OTHERWISE.search(before + behind) and not _SO.search(before))
    )


def _boxed(text: str, boxes: list[_Box]) -> str | None:
    """The last box; of several in one sentence, or of the parts (a), (b), all of them or nothing."""
    last = boxes[-1]
    gap = text[boxes[-2].end : last.start] if len(boxes) > 1 else ""
    if len(boxes) == 1 or boxes[-2].answer == last.answer:
        return last.answer
    if _PART.search(gap):
        return None
    if _ENDS.search(gap) and gap.strip(" \n$.*"):
        return last.answer
    first = len(boxes) - 1
    while first and not _ENDS.search(text[boxes[first - 1].end : boxes[first].start]):
        first -= 1
    gaps = [text[one.end : other.start] for one, other in pairwise(boxes[first:])]
    before = re.split(r"[\n$.,(\[]", text[: boxes[first].start])[-1]
    between = [_BETWEEN.fullmatch(re.sub(r"\\[()\[\]]|\$|\\q?quad|\\text|[{}*]", " ", one)) for one in gaps]
    if not all(between):
        return None
    start = re.search(r"([A-Za-z]\w*) ?= ?$", before)
    names = [start[1] if start else None, *(one["name"] for one in between if one)]
    if len(set(names)) == 1:
        return ", ".join(box.answer for box in boxes[first:])
    return (
        None
        if None in names
        else ", ".join(f"{name} = {box.answer}" for name, box in zip(names, boxes[first:], strict=True))
    )
