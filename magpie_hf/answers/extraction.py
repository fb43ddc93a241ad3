r"""Final answers of solutions: the last \boxed{}, else what the solution says its answer is. Not here: equivalence of answers.

What is not plainly stated is no answer: None costs a vote, a wrong extraction makes a wrong class.
"""

from __future__ import annotations

import re

_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)  # a backslash takes the next character with it
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


# --- what a solution says ----------------------------------------------------------------------------------------------------

_END = 1500  # characters at the end of a solution in which its answer is looked for
_LONGEST = 200  # a longer "answer" is a sentence
_STATED = re.compile(
    r"(?:\b(?:final\s+|correct\s+|required\s+|desired\s+)?answer(?:\s+to\s+(?:the|this)\s+(?:problem|question))?(?:\*\*)?\s*(?:is|:|=|equals)"
    r"|^#{4}(?!#)|^[#*\s]*final\s+answer[*\s:]*$|答えは|答え\s*[::])\s*(?P<rest>.+)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_CONCLUDES = re.compile(
    r"^(?:therefore|thus|hence|so|finally|consequently|it follows that|we (?:get|obtain|have|find|conclude)|this gives|in conclusion)\b",
    re.IGNORECASE,
)
_MATHS = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_VALUE = re.compile(r"[-+−]?(?:\\?\$)?\d[\d,.]*(?:\s*/\s*\d+)?(?:\s*\\?%)?|[A-H]|\([A-H]\)|yes|no|true|false|none", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"^(?:that|as follows|not|given|the following|obvious|clear|correct|wrong|below|above|in the|left)\b", re.IGNORECASE
)
_PROVED = re.compile(r"(?:q\.?\s?e\.?\s?d\.?|\\blacksquare|\\square|∎|□|■|\\qed)[.$\s]*$", re.IGNORECASE)


def final_answer(solution: str) -> str | None:
    r"""The final answer of a solution: in its last box, after "the answer is", or in the formula that its last sentence concludes with."""
    if boxed := boxed_answer(solution):
        return boxed
    text = solution.rstrip()[-_END:]
    if _PROVED.search(text):
        return None
    return _stated(text) or _concluded(text)


def _stated(text: str) -> str | None:
    """What follows the last "the answer is": one formula or one plain value, up to the end of its sentence."""
    found = None
    for found in _STATED.finditer(text):
        while (inner := _STATED.search(found["rest"])) is not None:
            found = inner
    if found is None:
        return None
    rest = re.sub(r"^[\s:*_]+", "", found["rest"])
    if maths := _MATHS.match(rest):
        after = rest[maths.end() :].lstrip("*_ ")
        listed = re.match(r"(?:,|and\b|or\b)\s*(?:and\b|or\b)?\s*(?=\$|\\\()", after)  # "$2$ and $3$": the whole list or nothing
        return _joined(rest) if listed else _clean(next(filter(None, maths.groups())))
    line = re.split(r"\.(?=\s|$)|\n|;|,(?=\s)| because | since | when | where ", rest.strip(), maxsplit=1)[0]
    line = re.sub(r"[*_`]+", "", line).strip().rstrip(".:")
    if _NO_ANSWER.match(line) or not line:
        return None
    return _clean(line) if _VALUE.fullmatch(line) or _is_formula(line) or re.fullmatch(r"[A-Za-z-]+", line) else _with_unit(line)


def _joined(rest: str) -> str | None:
    sentence = re.split(r"\.(?=\s|$)|\n", rest, maxsplit=1)[0]
    parts = [next(filter(None, maths.groups())) for maths in _MATHS.finditer(sentence)]
    words = re.sub(r"\b(?:and|or)\b|[,\s*_]", "", _MATHS.sub("", sentence))
    return _clean(", ".join(parts)) if not words else None


def _is_formula(line: str) -> bool:
    """Whether a line outside of mathematics is one formula: an operator or a digit in it, and no word."""
    bare = re.sub(r"\\[A-Za-z]+", "", line)
    return re.search(r"[\d=+^\\]", line) is not None and not re.search(
        r"[A-Za-z]{3,}", re.sub(r"\b(?:sqrt|sin|cos|tan|log|exp)\b", "", bare)
    )


def _with_unit(line: str) -> str | None:
    """A value and a word or two of what it counts: "12 ways", "$5 per hour"."""
    found = re.fullmatch(rf"({_VALUE.pattern})\s+[A-Za-z²³/]+(?:\s+[A-Za-z]+)?", line, re.IGNORECASE)
    return _clean(line) if found and line[0].isdigit() else None


def _concluded(text: str) -> str | None:
    """The last formula of the last sentence, where that sentence draws a conclusion and ends in the formula, or is nothing else."""
    last = re.split(r"\n\s*\n", text)[-1].strip()
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])", last)[-1]
    formulas = list(_MATHS.finditer(sentence))
    if not formulas or re.sub(r"[.*_\s]", "", sentence[formulas[-1].end() :]):
        return None
    if sum("=" in formula[0] for formula in formulas) > 1:
        return None  # "so x = 1 and y = 2": the last of them is not the whole
    alone = not sentence[: formulas[-1].start()].strip(" *_\n") and len(formulas) == 1
    if not alone and not _CONCLUDES.match(sentence.lstrip("*_ ")):
        return None
    formula = next(filter(None, formulas[-1].groups()))
    if re.search(r"\\text\{|\\(?:implies|iff|Rightarrow|quad|forall|exists)|\\begin|[<>]|\\[lg]e|\\in\b", formula) or "=" not in formula:
        return None  # what it concludes with is a statement, or only names something
    return _clean(_last_side(formula))


def _last_side(formula: str) -> str:
    """What a chain of equalities ends with; a single equality stays whole, for it may be an equation that was asked for."""
    sides = formula.split("=")
    return sides[-1] if len(sides) > 2 and not re.search(r"[,;]|\\text", formula) else formula


def _clean(answer: str) -> str | None:
    answer = re.sub(r"^[\s*_`]+|[\s*_`.,;:]+$", "", answer).strip()
    return answer if answer and len(answer) <= _LONGEST else None


# --- what a problem asks -----------------------------------------------------------------------------------------------------

_PROVE = re.compile(
    r"\b(?:prove|proof|show|verify|demonstrate|establish|justify|deduce|argue)\b(?!\s+(?:your|the)\s+(?:answer|work|steps|reasoning))"
    r"|証明|示せ|示しなさい|示してください",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"(?<!can )(?<!could )(?<!to )(?<!may )(?<!not )(?<!cannot )(?<!we )(?<!one )(?<!must )(?<!you )"
    r"\b(?:find|compute|calculate|evaluate|determine|solve|what|how many|how much|which|simplify|express|estimate|list|describe|classify"
    r"|state|is it|is there|are there|does there|do there|prove or disprove|prove or give|true or false"
    r"|derive (?:a|an|the) (?:formula|expression)|give an? (?:example|formula|expression))\b"
    r"|求め|いくつ|計算せよ|何(?:通り|個|人)",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(?:hint|note|recall|remark)\b.*?(?:[.!?](?=\s|$)|$)|\b(?:in what|(?:in|for|to|from|of|by|at|with|on|under) which"
    r"|which (?:is|are|has|have|was|were|satisf\w+|contains?|maps?|takes?|vanish\w*)|, which)\b|\b(?:what|which)ever\b"
    r"|\b(?:to|how to|algorithm (?:that|to)|method (?:that|to)) (?:find|determine|compute|solve|evaluate|decide|which|whether)\w*",
    re.IGNORECASE | re.DOTALL,
)


def asks_for_proof(problem: str) -> bool:
    """Whether a problem asks for a proof and for no final answer beside it: "prove that ...", but not "find ... and prove it"."""
    if not _PROVE.search(problem):
        return False
    return not _ASKS.search(_ASIDE.sub(" ", problem))
