r"""Final answers of solutions: the last \boxed{}, else the answer that the solution states.

Not here: equivalence of answers.

An answer must be stated plainly: None costs a vote, but a wrong extraction makes a wrong cluster.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from magpie_hf.answers.units import known_unit
from magpie_hf.answers.words import choice, words

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
_LONGEST = 200  # a longer "answer" is a sentence
_STATED = re.compile(
    r"(?:\b(?:final\s+|correct\s+|required\s+|desired\s+)?answer(?:\s+to\s+(?:the|this)\s+(?:problem"
    r"|question))?(?:\*\*)?\s*(?:,\s*(?:then|therefore|thus|hence),|\s+(?:that\s+)?we\s+\w+)?\s*"
    r"(?:is|:|=|equals"
    r"|of(?=\s+[-\d$\\])|(?:must|should|will|would) be"
    r"|comes out (?:to|as)|turns out to be|\s[-–—](?=\s))|\bans(?:\s*[:=]|\.\s)"
    r"|\b(?:correct|right)\s+(?:option|choice)\s+is|\bfinal\s+result(?:\*\*)?\s*(?:is|:|=)"
    r"|^#{4}(?!#)|^[#*\s]*(?:final\s+)?answer[*\s:]*$"
    r"|^[#*\s]*(?:result|solution|output|conclusion)[*\s]*[:=](?=[^\n]*\s*\Z)"  # its last line
    r"|求める[^。、\n]{0,20}は|[【(（\[《〈]\s*(?:最終)?(?:答え?|解答)\s*[】)）\]》〉]"
    r"|(?:答え|解答|解|答案|答)(?:\*\*)?(?:は(?![、\s]*次)|是|为|為|\s*[:：]|\s+(?=[-\d$\\]))|答案(?:是|为)?)"
    r"\s*(?P<rest>.+)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_LATER = re.compile(
    r"^####|\banswer(?:\*\*)?\s*(?:is|:)|\bfinal\s+(?:answer|result)\b|答え|答案",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<answer>(?P<answer>(?:(?!</?answer>).){1,400})</answer>", re.IGNORECASE | re.DOTALL)
# What stands between "the answer is" and the answer, and says nothing about it
_ADVERB = re.compile(
    r"(?:(?:exactly|only|simply|just|precisely|indeed|therefore|thus|hence|clearly|now|then|equal to|given by"
    r"|found to be"
    r"|approximately|about|roughly)\s+|約\s*|およそ\s*)+(?=[-+\d$\\(\[{.a-h])",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:(?:the|our|its?)\b[^.=\n]{0,80}?\s(?:is|are|equals)|there (?:is|are))\s+(?=\S)", re.IGNORECASE
)
_DOUBTS = re.compile(
    r"\b(?:doubt|unsure|not sure|not certain|not clear|not obvious|don't|do not|doesn't|cannot|can't|unlikely"
    r"|if|whether|"
    r"suppose|assume"
    r"|assuming|guess|claims?|might|may|maybe|perhaps|possibly|wrong|incorrect)\b[^.!?\n]*$",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^(?:therefore|thus|hence|so|finally|consequently|it follows that|we"
    r" (?:get|obtain|have|find|conclude)|this gives|in conclusion)\b"
    r"|^(?:よって|したがって|従って|ゆえに|故に|以上より|以上から|すなわち|つまり|これより|因此|所以)",
    re.IGNORECASE,
)
_TOTAL = re.compile(  # "Therefore, the number of ways is"
    r"[^.=$]*\bthe\b(?:(?!\s(?:is|equals)\s)[^.=$\d])*\b(?:number|values?|sum|total|area|volume|length|"
    r"distance|probability|remainder|maximum|minimum"
    r"|largest|smallest|product|ratio|perimeter|cost|price|average|difference|result)\b(?:(?!\s(?:is|"
    r"equals)\s)[^.=\d])*\s(?:is|equals)\s+",
    re.IGNORECASE,
)
_SUMS_UP = r"(?:so|thus|hence|therefore|finally|in total|altogether|overall),?"
_RESULT = re.compile(
    rf"\W*(?:(?:{_SUMS_UP} )?the (?:(?:final )?(?:result|solution)|final value) is"
    rf"|{_SUMS_UP} there (?:is|are)) (?=[-\d$\\])",
    re.IGNORECASE,
)
_MATHS = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_VALUE = re.compile(
    r"[-+−]?(?:\\?\$)?\d[\d,.]*(?:\s*/\s*\d+)?(?:\s*\\?%)?|[A-H]|\([A-H]\)|yes|no|true|false|none",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"^(?:that|as follows|not|given|the following|obvious|clear|unclear|ambiguous|uncertain|unknown|trivial"
    r"|simple|easy|straightforward|immediate|correct|wrong|below|above|in the|left)\b",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    r",?\s(?:since|because|as|by|which|so|where|i\.e\.|that is|namely|hence|thus)\s", re.IGNORECASE
)
_CONDITION = re.compile(
    r"\b(?:if|for|when|whenever|unless|otherwise|else|while|whereas|and|or|also|but|plus|minus|respectively"
    r"|modulo|mod|either)\b",
    re.IGNORECASE,
)
_JAPANESE_IS = re.compile(
    r"\s*(?:です|である|であった|となる|となります|になる|になります|を得る|が得られる|と求まる|と求められる|だ|が(?:答え?|解)(?:です|である|となる)?)$"
)
_APPROXIMATES = re.compile(
    r",?\s*\(?(?:or|which is|that is)?\s*(?:approximately|about|roughly|\\approx|≈)\s", re.IGNORECASE
)
_RESIDUE = re.compile(r"(-?\d+)\s*\(?\s*mod(?:ulo)?\s*(\d+)\)?", re.IGNORECASE)
_ASIDE_BOX = re.compile(
    r"\b(?:would be|is|was) (?:wrong|incorrect|an? (?:\w+ )?(?:mistake|error)|not (?:the )?(?:right|correct))"
    r"|\b(?:wrong|incorrect) (?:answer|result)"
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
        return final_answer(inside) if _boxes(inside) else _clean(inside.strip(" $"))
    boxes = [_with_neighbours(solution, box) for box in _boxes(solution)[-_MOST_BOXES:]]
    answers = [box for box in boxes if not _SAYS_PROVED.fullmatch(box.answer)]
    answers = [box for box in answers if not _is_aside(solution, box)] or answers
    if boxes and not answers:
        return None
    if boxes:
        later = solution[answers[-1].end :]
        stated = _stated(later[-_END:]) if answers[-1] is boxes[-1] and _LATER.search(later) else None
        return stated if stated and not choice(stated) else _boxed(solution, answers)
    text = solution.rstrip()[-_END:]
    if _PROVED.search(text):
        return None
    return _stated(text) or _concluded(text)


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
    before, behind = text[max(0, box.start - _LONGEST) : box.start], text[box.end : box.end + _LONGEST]
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


# --- what is stated -----------------------------------------------------------------------------------------


def _stated(text: str) -> str | None:
    """All values or formulas between the last "the answer is" and the end of its sentence, or None."""
    rest = None
    while (found := _STATED.search(rest if rest is not None else text)) is not None:
        begin, rest = len(text) - len(found.string) + found.start(), found["rest"]
    if rest is None or _DOUBTS.search(text[:begin]):
        return None
    rest = re.sub(r"^[\s:：*_「『【、]+", "", rest)
    rest = _ADVERB.sub("", rest, count=1) if _ADVERB.match(rest) else rest
    if (subject := _SUBJECT.match(rest)) and not _MATHS.match(rest):
        rest = rest[subject.end() :]
    if maths := _MATHS.match(rest):
        formula = next(filter(None, maths.groups()))
        after = _sentence(rest[maths.end() :])
        if re.match(r"[*_ ]*(?:,|and\b|or\b)\s*(?:and\b|or\b)?\s*(?=\$|\\\()", after):  # "$2$ and $3$"
            return _joined(rest[: maths.end()] + after)
        return _clean(formula) if _adds_nothing(after) else None
    # Markdown is at the edge of a word; in 2*3 and 12_3 the signs are the answer's
    line = (
        re.sub(r"(?<![\w)}\]*])[*_]+(?=\S)|(?<=\S)[*_]+(?![\w({\\*])|`+", "", _sentence(rest))
        .strip()
        .rstrip(".:")
    )
    if residue := _RESIDUE.fullmatch(line):
        return rf"{residue[1]} \pmod{{{residue[2]}}}"
    line = re.sub(r"\s*\(not [^()]*\)$", "", line)
    if _NO_ANSWER.match(line) or not line or re.search(r"[!?]$|\bor so$", line):
        return None  # "The answer is 5!": a factorial or an exclamation
    return _plain(line)


def _sentence(text: str) -> str:
    """The text up to the end of the sentence, or to the beginning of an explanation."""
    text = re.split(r"\.(?=[\s*_]|$)|\n|;|。", text.lstrip("*_ "), maxsplit=1)[0]
    return _EXPLAINS.split(_JAPANESE_IS.sub("", text.strip("*_ ")), maxsplit=1)[0].strip("*_ 「」『』【】")


def _adds_nothing(after: str) -> bool:
    """Whether a formula is the whole answer despite the text after it in its sentence.

    A unit may follow, or words after a comma without a value.
    """
    after = after.strip(" .*_")
    if not after or re.fullmatch(r"\((?!mod)[a-z -]+\)|[!:]", after):
        return True
    if _APPROXIMATES.match(after):
        return True
    if re.search(r"[\d$\\]", after) or _CONDITION.search(after):
        return False
    return after.startswith(",") or known_unit(after) is not None


def _plain(line: str) -> str | None:
    """An answer outside of mathematics: one value, or all values of a list.

    After a comma, a clause without a value may follow.
    """
    pieces = _pieces(line)
    if pieces is None:
        return None
    places = [place for place, piece in enumerate(pieces) if not _is_value(piece)]
    if not places:
        return None if " or " in line and all(map(choice, pieces)) else _clean(line)
    kept = pieces[: places[0]]
    rest = line[line.index(pieces[places[0]], sum(map(len, kept))) :] if kept else ""
    joined = re.search(r"\b(?:and|or)\s*$", line[: len(line) - len(rest)])
    if (
        not kept
        or joined
        or _CONDITION.search(rest)
        or re.search(r"[\d$\\=]", rest.removeprefix("not ").lstrip("0123456789"))
    ):
        return None
    return _clean(line[: len(line) - len(rest)])


def _pieces(line: str) -> list[str] | None:
    """The line cut at commas, "and" and "or" outside brackets; None where a bracket is not closed."""
    pieces, depth = [""], 0
    for token in re.split(r"(\\.|[()\[\]{}]|,(?=\s)|\s(?:and|or)\s)", line):
        depth += token in ("(", "[", "{", r"\{")
        depth -= token in (")", "]", "}", r"\}")
        if depth < 0 and not re.fullmatch(r"[A-H]\).*", line):
            return None
        if depth == 0 and re.fullmatch(r",|\s(?:and|or)\s", token):
            pieces.append("")
        else:
            pieces[-1] += token
    return None if depth > 0 else [piece.strip() for piece in pieces if piece.strip()]


def _is_value(text: str) -> bool:
    return (
        _VALUE.fullmatch(text) is not None
        or _is_formula(text)
        or re.fullmatch(r"[A-Za-z-]+", text) is not None
        or (not text.isascii() and words(text) is not None)
        or _with_unit(text) is not None
    )


def _joined(sentence: str) -> str | None:
    parts = [next(filter(None, maths.groups())) for maths in _MATHS.finditer(sentence)]
    words = re.sub(r"\b(?:and|or)\b|[,\s*_]", "", _MATHS.sub("", sentence))
    return _clean(", ".join(parts)) if not words else None


def _is_formula(line: str) -> bool:
    """Whether a line outside of mathematics is one formula: it has an operator or a digit, and no word."""
    bare = re.sub(r"\\[A-Za-z]+", "", line)
    return re.search(r"[\d=+^\\]", line) is not None and not re.search(
        r"[A-Za-z]{3,}", re.sub(r"\b(?:sqrt|sin|cos|tan|log|exp)\b", "", bare)
    )


def _with_unit(line: str) -> str | None:
    """A value and what it counts: "12 ways", "$5 per hour"."""
    found = re.fullmatch(rf"({_VALUE.pattern})(?P<space>\s*)(?P<unit>[^\d\s].*)", line, re.IGNORECASE)
    if found is None or not re.match(r"\\?\$?\d", line) or (not found["space"] and found["unit"].isascii()):
        return None
    return _clean(line) if known_unit(found["unit"]) or re.fullmatch(r"per [a-z]+", found["unit"]) else None


def _concluded(text: str) -> str | None:
    """The last formula of the last sentence, if that sentence concludes with it or is nothing else."""
    last = re.split(r"\n\s*\n", text)[-1].strip()
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|(?<=。)(?=.)", last)[-1]
    formulas = list(_MATHS.finditer(sentence))
    behind = sentence[formulas[-1].end() :] if formulas else sentence
    if result := _RESULT.match(sentence):
        return _stated(f"The answer is {sentence[result.end() :]}")
    if _CONCLUDES.match(sentence.lstrip("*_ ")) and (total := _TOTAL.match(sentence)):
        return _stated(f"The answer is {sentence[total.end() :]}")
    if not formulas or re.sub(r"[.*_\s。]", "", _JAPANESE_IS.sub("", behind.rstrip(" 。"))):
        return None
    if sum("=" in formula[0] for formula in formulas) > 1:
        return None  # "so x = 1 and y = 2": the last formula is only a part
    alone = not sentence[: formulas[-1].start()].strip(" *_\n") and len(formulas) == 1
    if not alone and not _CONCLUDES.match(sentence.lstrip("*_ ")):
        return None
    formula = next(filter(None, formulas[-1].groups()))
    if re.search(
        r"\\text\{|\\(?:implies|iff|Rightarrow|quad|forall|exists)|\\begin|[<>]|\\[lg]e|\\in\b", formula
    ) or ("=" not in formula and not re.search(r"は\s*$", sentence[: formulas[-1].start()])):
        return None  # it concludes with a statement, or only names something
    if not re.search(r"(?<![\^_\d])(?<![\^_]\{)\d|\\pi|\\infty", formula.split("=")[-1]):
        return None  # f = g is a statement
    return _clean(_last_side(formula))


def _last_side(formula: str) -> str:
    """The right end of a chain of equalities.

    A single equality stays whole, because the problem may ask for an equation.
    """
    sides = formula.split("=")
    return sides[-1] if len(sides) > 2 and not re.search(r"[,;]|\\text", formula) else formula


def _clean(answer: str) -> str | None:
    answer = re.sub(r"^[\s*_`]+|[\s*_`.,;:]+$", "", answer).strip()
    is_part = re.search(r"[-+*/=^<>]$|^[=*/^]", answer) is not None
    return answer if answer and len(answer) <= _LONGEST and not is_part else None


# --- what a problem asks ------------------------------------------------------------------------------------

_CLAIM = r"(?:that|the|an?|every|each|any|all|why|both|if|directly|by|it|this|for|\$|\\)"
_PROVE = re.compile(
    r"\bprov(?:e|ing)\b(?!\s+(?:your|the)\s+(?:answer|work|steps|reasoning))"
    rf"|\b(?:show|verify|demonstrate|establish|justify|deduce|argue)\s+{_CLAIM}(?!\s*(?:answer|work|steps"
    rf"|reasoning)\b)"
    r"|\b(?:give|write|provide|find|present|construct|need|outline|sketch|is|want)\s+(?:me\s+)?(?:a|an|the"
    r"|another)\s+(?:\w+\s+)?proof\b"
    r"|\bexplain why\b"
    r"|証明|示せ|示しなさい|示してください",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"(?<!can )(?<!could )(?<!to )(?<!may )(?<!not )(?<!cannot )(?<!we )(?<!one )(?<!must )(?<!you )"
    r"\b(?:find|compute|calculate|evaluate|determine|solve|what|how many|how"
    r" much|which|simplify|express|estimate|list|describe|classify"
    r"|state|identify|refute|counter-?example|is it|is there|are there|does there|do there|prove or|true or"
    r" false"
    r"|derive (?:a|an|the) (?:formula|expression)|give (?:the|an?)(?! (?:\w+ )?proof)|show me)\b"
    r"|求め|いくつ|計算せよ|何(?:通り|個|人)|解き|解け",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(?:hint|note|recall|remark)\b.*?(?:[.!?](?=\s|$)|$)|\b(?:in"
    r" what|(?:in|for|to|from|of|by|at|with|on|under) which"
    r"|which (?:is|are|has|have|was|were|satisf\w+|contains?|maps?|takes?|vanish\w*)|,"
    r" which)\b|\b(?:what|which)ever\b"
    r"|\b(?:to|how to|algorithm (?:that|to)|method (?:that|to))"
    r" (?:find|determine|compute|solve|evaluate|decide|which|whether)\w*"
    r"|\b(?:find|what is) (?:a|the|another) (?:\w+ )?proof\b|\b(?:is|are) no counter-?examples?\b",
    re.IGNORECASE | re.DOTALL,
)
_QUESTION = re.compile(r"^\W*(?:is|are|does|do(?! i\b)|for (?:which|what))\b", re.IGNORECASE)
_TALK = re.compile(r"\b(?:you|I|me|my)\b")


def asks_for_proof(problem: str) -> bool:
    """Whether a problem asks for a proof and for no final answer.

    It does with "prove that ...", but not with "find ... and prove it".
    """
    if not _PROVE.search(problem) or _ASKS.search(_ASIDE.sub(" ", problem)):
        return False
    questions = [
        piece for piece in re.split(r"(?<=[.!?])\s+|\n\s*\n", problem) if piece.rstrip().endswith("?")
    ]
    return not any(
        _QUESTION.match(piece) or not (_PROVE.search(piece) or _TALK.search(piece)) for piece in questions
    )
