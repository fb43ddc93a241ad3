"""What a solution states without a box: "the answer is ...", or the value that its last sentence ends with.

Not here: boxes, and which of several answers counts.
"""

from __future__ import annotations

import re
from itertools import pairwise

from magpie_hf.answers.units import known_unit
from magpie_hf.answers.words import choice, words

LONGEST = 200  # a longer "answer" is a sentence
_STATED = re.compile(
    r"(?:(?:\b|(?<=_))(?:final\s+|correct\s+|required\s+|desired\s+)?answer"
    r"(?:\s+to\s+(?:the|this)\s+(?:problem|question))?(?:\*\*|__)?\s*"
    r"(?:,\s*(?:then|therefore|thus|hence),|\s+(?:that\s+)?we\s+\w+)?\s*"
    r"(?:is|:|=|equals"
    r"|of(?=\s+[-\d$\\])|(?:must|should|will|would) be"
    r"|comes out (?:to|as)|turns out to be|\s[-–—](?=\s))|\bans(?:\s*[:=]|\.\s)"
    r"|\b(?:correct|right)\s+(?:option|choice)\s+is|\bfinal\s+result(?:\*\*)?\s*(?:is|:|=)"
    r"|^#{4}(?!#)|^[#*\s]*(?:final\s+)?answer[*\s:]*$"
    r"|^[#*\s]*(?:result|solution|output|conclusion)[*\s]*[:=](?=[^\n]*\s*\Z)"  # its last line
    r"|求める[^。、\n]{0,20}は|[【(（\[《〈〔「]\s*(?:最終)?(?:答え?|解答)\s*[】)）\]》〉〕」]は?"
    r"|(?:答え|解答|解|答案|答)(?:\*\*)?(?:は(?![、\s]*次)|是|为|為|\s*[:：]|\s+(?=[-\d$\\]))|答案(?:是|为)?)"
    r"\s*(?P<rest>.+)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
# What stands between "the answer is" and the answer, and says nothing about it
_ADVERB = re.compile(
    r"(?:(?:exactly|only|simply|just|precisely|indeed|therefore|thus|hence|clearly|now|then|equal to|given by"
    r"|found to be"
    r"|approximately|about|roughly)\s+|約\s*|およそ\s*"
    r"|(?:全部で|全体で|合計で?|ちょうど)、?\s*)+(?=[-+\d$\\(\[{.a-h])",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:(?:the|our|its?)\b[^.=\n]{0,80}?\s(?:is|are|equals)|there (?:is|are))\s+(?=\S)", re.IGNORECASE
)
_DOUBTS = re.compile(
    r"\b(?:doubt|unsure|not (?:sure|certain|clear|obvious|true)|don't|do not|doesn't|cannot|can't|unlikely"
    r"|if|whether|suppose|assume|assuming|guess|claims?|might|may|maybe|perhaps|possibly|wrong|incorrect"
    r"|tempting|naive\w*|would|could)\b[^.!?\n]*$",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^(?:therefore|thus|hence|so|finally|consequently|it follows that|the (?:required|desired|requested)|we"
    r" (?:get|obtain|have|find|conclude)|this gives|in conclusion)\b"
    r"|^(?:よって|したがって|従って|ゆえに|故に|以上より|以上から|すなわち|つまり|これより|因此|所以)",
    re.IGNORECASE,
)
_TOTAL = re.compile(  # "Therefore, the number of ways is"
    r"(?!.*\b(?:if|when|unless|whether|sides?|cases?|steps?)\b)[^.=$]{0,40}?\bthe\b"
    r"(?:(?!\s(?:is|are|equals)\s)(?:\$[^$=]*\$|[^.=$])){1,200}\s(?:is|are|equals)\s+(?:equal to\s+)?"
    r"(?=[-\d$\\({])(?!\$?[^$]*(?:[<>]|\\[lg]eq?\b|\\in\b|\\text))",
    re.IGNORECASE,
)
# "Therefore, 17 is the answer"
_IS_THE_ANSWER = re.compile(
    r"(?:^|.*\s)(\$[^$]+\$|-?\d[\d.,/]*) is (?:the|our) (?:final |correct )?answer\W*", re.IGNORECASE
)
_SUMS_UP = r"(?:so|thus|hence|therefore|finally|in total|altogether|overall),?"
_RESULT = re.compile(
    rf"\W*(?:(?:{_SUMS_UP} )?the (?:(?:final )?(?:result|solution)|final value) is"
    rf"|{_SUMS_UP} there (?:is|are)) (?=[-\d$\\])",
    re.IGNORECASE,
)
# "Hence there are 35 such subsets": whatever is counted
_COUNTED = re.compile(
    rf"\W*{_SUMS_UP} there (?:is|are) \$?(\d[\d,]*)\$?(?: (?!(?:if|for|when|or|and|to)\b)[a-z-]+)*\W*",
    re.IGNORECASE,
)
_TOTAL_IN_JAPANESE = re.compile(r"[^。$=]{2,60}?(?:は|全部で|合計で?|全体で)、?\s*(?=-?\d)")
_NAMED = re.compile(r"(?:は|最大値|最小値|極大値|極小値)\s*$")
_OR = re.compile(r"\s*,?\s*(?:or|または|,|、)\s*")
_MATHS = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_VALUE = re.compile(
    r"[-+−]?(?:\\?\$)?\d[\d,.]*(?:\s*/\s*\d+|分の\d+)?(?:\s*\\?%)?|[A-H]|\([A-H]\)|yes|no|true|false|none",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"^(?:that|as follows|not|given|the following|obvious|clear|unclear|ambiguous|uncertain|unknown|trivial"
    r"|simple|easy|straightforward|immediate|correct|wrong|below|above|in the|left)\b",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    r",?\s(?:since|because|as|by|which|so|where|i\.e\.|that is|namely|hence|thus"
    r"|(?:attained|achieved|reached|taken) (?:at|when|for))\s",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|for|when|whenever|unless|otherwise|else|while|whereas|and|or|also|but|plus|minus|respectively"
    r"|modulo|mod|either|depend(?:s|ing))\b",
    re.IGNORECASE,
)
_JAPANESE_IS = re.compile(
    r"\s*(?:です|である|であった|となる|となります|になる|になります|を得る|をとる|をとります|が得られる|と求まる|と求められる|だ|が(?:答え?|解)(?:です|である|となる)?)$"
)
_APPROXIMATES = re.compile(
    r",?\s*\(?(?:or|which is|that is)?\s*(?:approximately|about|roughly|\\approx|≈)\s", re.IGNORECASE
)
_RESIDUE = re.compile(r"(-?\d+)\s*\(?\s*mod(?:ulo)?\s*(\d+)\)?", re.IGNORECASE)


def stated(text: str) -> str | None:
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
        return cleaned(formula) if _adds_nothing(after) else None
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
        return None if re.search(r"\sor\s", line) and all(map(choice, pieces)) else cleaned(line)
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
    return _plain(line[: len(line) - len(rest)])


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
    return cleaned(", ".join(parts)) if not words else None


def _is_formula(line: str) -> bool:
    """Whether a line outside of mathematics is one formula: it has an operator or a digit, and no word."""
    bare = re.sub(r"\\[A-Za-z]+|\b(?:sqrt|sin|cos|tan|log|exp)\b|または|もしくは|および|ならびに", "", line)
    return re.search(r"[\d=+^\\]", line) is not None and not re.search(
        r"[A-Za-z]{3,}|[ぁ-んァ-ヶ一-鿿]", bare
    )


def _with_unit(line: str) -> str | None:
    """A value and what it counts: "12 ways", "$5 per hour"."""
    found = re.fullmatch(rf"({_VALUE.pattern})(?P<space>\s*)(?P<unit>[^\d\s].*)", line, re.IGNORECASE)
    if found is None or not re.match(r"\\?\$?\d", line) or (not found["space"] and found["unit"].isascii()):
        return None
    return cleaned(line) if known_unit(found["unit"]) or re.fullmatch(r"per [a-z]+", found["unit"]) else None


def concluded(text: str) -> str | None:
    """The last formula of the last sentence, if that sentence concludes with it or is nothing else."""
    last = re.split(r"\n\s*\n", text)[-1].strip()
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|(?<=。)(?=.)", last)[-1]
    formulas = list(_MATHS.finditer(sentence))
    behind = sentence[formulas[-1].end() :] if formulas else sentence
    if result := _RESULT.match(sentence):
        counted = _COUNTED.fullmatch(sentence)
        return stated(f"The answer is {sentence[result.end() :]}") or (counted[1] if counted else None)
    if (said := _IS_THE_ANSWER.fullmatch(sentence)) and not _DOUBTS.search(sentence[: said.start(1)]):
        return stated(f"The answer is {said[1]}")
    if _CONCLUDES.match(sentence.lstrip("*_ ")) and (total := _TOTAL.match(sentence)):
        return stated(f"The answer is {sentence[total.end() :]}")
    if _CONCLUDES.match(sentence) and (total := _TOTAL_IN_JAPANESE.match(sentence)):
        return stated(f"答えは {sentence[total.end() :]}")
    if not formulas or re.sub(r"[.*_\s。]", "", _JAPANESE_IS.sub("", behind.rstrip(" 。"))):
        return None
    concludes = _CONCLUDES.match(sentence.lstrip("*_ "))
    if sum("=" in formula[0] for formula in formulas) > 1:
        return _alternatives(sentence, formulas) if concludes else None
    alone = not sentence[: formulas[-1].start()].strip(" *_\n") and len(formulas) == 1
    if not alone and not concludes:
        return None
    formula = next(filter(None, formulas[-1].groups()))
    if re.search(
        r"\\text\{|\\(?:implies|iff|Rightarrow|quad|forall|exists)|\\begin|[<>]|\\[lg]e|\\in\b", formula
    ) or ("=" not in formula and not _NAMED.search(sentence[: formulas[-1].start()])):
        return None  # it concludes with a statement, or only names something
    if not re.search(r"(?<![\^_\d])(?<![\^_]\{)\d|\\pi|\\infty", formula.split("=")[-1]):
        return None  # f = g is a statement
    return cleaned(_last_side(formula))


def _alternatives(sentence: str, formulas: list[re.Match[str]]) -> str | None:
    """The values of one unknown, "x = 1 or x = 2"; None for "x = 1 and y = 2", whose last is only a part."""
    gaps = [sentence[one.end() : other.start()] for one, other in pairwise(formulas)]
    sides = [next(filter(None, one.groups())).split("=") for one in formulas]
    names = {side[0].strip() for side in sides if len(side) == 2}
    if len(names) > 1 or any(len(side) != 2 for side in sides) or not all(map(_OR.fullmatch, gaps)):
        return None
    return cleaned(", ".join(side[1].strip() for side in sides))


def _last_side(formula: str) -> str:
    """The right end of a chain of equalities.

    A single equality stays whole, because the problem may ask for an equation.
    """
    sides = formula.split("=")
    return sides[-1] if len(sides) > 2 and not re.search(r"[,;]|\\text", formula) else formula


def cleaned(answer: str) -> str | None:
    """An answer without what stands around it; None for a sentence, or a part of a formula."""
    answer = re.sub(r"^[\s*_`]+|[\s*_`.,;:]+$", "", answer).strip()
    is_part = re.search(r"[-+*/=^<>]$|^[=*/^]", answer) is not None
    return answer if answer and len(answer) <= LONGEST and not is_part else None
