"""Where a problem ends and its own solution starts, and where its label ends.

Not here: other faults of a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from magpie_hf.problems.cleaning.lexicon import asks, orders
from magpie_hf.problems.cleaning.prose import FORMULA, read

_MARK = r"[#>*_\s]{0,12}+"  # Markdown before a heading
_NAMES = r"(?:problem(?: statement)?|question|task|exercise|challenge|prompt|instruction|puzzle|q)"
# What may stand before these; any other word is the problem's name: "Halting problem: ..."
_SORT = (
    r"(?:(?:challeng\w+|difficult|hard|easy|advanced|interesting|new|sample|practi[cs]e|example|maths?"
    r"|mathematics|mathematical|original|bonus|extra|next|first|another|your|my|the|an?|olympiad|competition"
    r"|contest|exam|homework|test|algebra|geometry|calculus|number|theory|statistics|probability"
    r"|combinatorics|discrete|topology|analysis|user)\s)"
)
_NUMBER = r"(?:\s{0,2}(?:no\.?\s?|#)?\d{1,4}(?:\.\d{1,3}){0,3}|\s[ivx]{1,4}\b|\s[A-D]\b)?"
# Labels at the start of a problem. They are cut off as often as one matches.
_LABELS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "Problem:", "**Problem 1.**", "### Question 3 (Algebra)\n", "Challenging Problem:"
        rf"{_MARK}{_SORT}{{0,3}}{_NAMES}{_NUMBER}(?:\s?\([^()\n]{{1,60}}\))?[*_]{{0,3}}\s{{0,2}}"
        rf"(?:[:：]|[.)](?=[\s*_])|(?<=[*_])|(?=\n))[*_]{{0,3}}\s*",
        rf"\s*\\(?:text|math)bf\{{\s?{_NAMES}[^{{}}\n]{{0,40}}\}}\s*[:.]?\s*",
        r"\s*[【\[（(〔]\s?(?:問題|問|設問|例題|課題)\s?[\d０-９一二三四五]{0,3}\s?[】\]）)〕]\s*[:：]?\s*",
        r"[#*_\s]{0,8}(?:問題|問|設問|例題|課題)\s?[\d０-９一二三四五]{0,3}[*_]{0,3}\s?(?:[:：.．]|(?<=\d)\s"
        r"|\n)[*_]{0,3}\s*",
        # "Sure! Here is a challenging problem for you:"
        r"(?:(?:sure|certainly|of course|okay|ok|great|absolutely|alright)\b[^\n:]{0,40}?[!.,]\s{0,2})?"
        r"(?:here(?:'s|’s| is)|below is|the following is|you have the following)\b[^\n:.?$\\]{0,160}?"
        r"(?:problem|question|exercise|one)\b[^\n:.?$\\]{0,120}:\s*",
    )
)
_FIRST_ITEM = re.compile(r"\s*(?:\*\*)?(?:1[.)]|\(1\))(?:\*\*)?\s+(?=\S)")
_SECOND_ITEM = re.compile(
    r"^\s{0,4}(?:\*\*)?(?:2[.)]|\(2\))|(?<=[.?。])\s+\(?2[.)]\s|(?<=。)[(（]2[)）]", re.MULTILINE
)
_ASKER = re.compile(r"[#*_\s]{0,8}(?:q|question)\b", re.IGNORECASE)

_KIND = (
    r"(?:(?:detailed|full|final|sample|model|short|correct|proposed|suggested|complete|possible|official"
    r"|expected|step-by-step|my) )?"
)
# Marks on a line of their own, or at its start, that only a solution has.
_HEADINGS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        (
            rf"^{_MARK}{_KIND}(?:solution|answer|ans|sol|solution outline|answer key)(?:"
            r" \d)?[*_]{0,3}\s?[:：]"
        ),
        (
            rf"^(?:#{{1,6}}\s?[*_]{{0,3}}|[*_]{{1,3}}){_KIND}(?:solution|answer|explanation|proof)(?:"
            r" \d)?\.?[*_]{0,3}[ \t]*$"
        ),
        rf"^[ \t]*{_KIND}(?:solution|answer|proof)\.?[ \t]*$",
        rf"^{_MARK}(?:solution|sol|ans|proof)\.[*_]{{0,3}}(?=\s|$)",
        rf"^{_MARK}proof[*_]{{0,3}}\s?:",
        r"^[ \t]*\\begin\{(?:solution|proof|answer)\}",
        r"^[#*_\s]{0,8}[【\[（(]?(?:解答|解説|解答例|解法|略解|模範解答|答え|解き方"
        r"|正解)[】\]）)]?[*_]{0,3}\s?(?:[:：]"
        r"|$)",
        r"^[#*_\s]{0,8}【(?:解|答|証明|解答|解説|解答例|解法|略解|模範解答|答え)】|^[#*_\s]{0,8}(?:解|答"
        r"|証明)\s?[:：]",
        # The next turn of a chat
        r"^[#*_\s<|\[]{0,8}(?:assistant|chatbot|response)[*_|>\]]{0,4}[ \t]*(?:[:：]|$)",
        r"\s[(\[](?:answer|ans|答)\s?[:.：][^()\[\]\n]{0,120}[)\]][ \t]*\.?[ \t]*$",
    )
)
_ANSWER_MARK = re.compile(r"^[ \t*_]{0,6}a[*_]{0,3}\s?:", re.IGNORECASE | re.MULTILINE)
_OTHER_OPTION = re.compile(r"^[ \t*_]{0,6}b[*_]{0,3}\s?[:.)]", re.IGNORECASE | re.MULTILINE)
# May as well hold what the task speaks of, as in "nice words ... Explanation: a word is nice if"
_EXPLANATION = re.compile(
    rf"^{_MARK}explanation[*_]{{0,3}}\s?[:：](?!\s?an?\s[^.\n]{{1,60}}\sis\s)", re.IGNORECASE | re.MULTILINE
)
_STEP = re.compile(rf"^{_MARK}step (?:1|one)\b[*_]{{0,3}}\s?[:.\-–—]?", re.IGNORECASE | re.MULTILINE)
_PROCEDURE = re.compile(
    r"step \d|algorithm|procedure|process|protocol|steps|game|construct|operation|method"
    r"|strategy",
    re.IGNORECASE,
)

_START = r"(?:^|(?<=[.?!:。？！]\s)|(?<=[.?!:。？！]\*\*\s)|(?<=\n)|(?<=\$\$ )|(?<=\\\] ))[ \t>*_]{0,6}"
# Beginnings of a solution: at the start of the text, or after a task.
_PHRASES = re.compile(
    _START
    + r"""(?:
      to\ (?:solve|answer|tackle|approach|prove)\ (?:this|the\ (?:problem|question|given|equation
        |integral))\b(?![^.\n]{0,80}\b(?:must|you)\b)
    | (?:in\ order\ )?to\ (?:solve|find|prove|show|determine|compute|evaluate|calculate)\b
      (?:[^.?!\n]|\.(?=\d)){0,400},\ (?:we|let's|i|one\ can)\b
    | let(?:'s|’s|\ us|\ me)\ (?:solve|start|begin|first|analy[sz]e|break|think|try\ to|find|compute|calculate
        |use|apply|look|consider\ the\ given|denote\ the\ answer|see)\b
    | we\ (?:can\ |will\ |may\ |shall\ )?(?:start|begin|proceed)\ (?:by|with)\b
    | we\ (?:need|have|want|are\ asked)\ to\ (?:find|show|prove|determine|compute|calculate|evaluate|check
        |solve)\b
    | we\ (?:see|note|observe|claim|first|apply|get|obtain)\b
    | we\ (?:can|will|shall)\ (?:now\ |first\ |then\ )?(?:re)?(?:use|write|solve|find|see|factor|express
        |simplify|apply|show|prove|compute)\b
    | first(?:ly)?,?\ (?:we|i|let's|let\ us|note|observe|notice|recall)\ (?:\w+ly\ )?
      (?!choose|draw|pick|toss|flip|roll|select|paint|colou?r|place|throw|sample)
    | (?:dividing|multiplying|adding|subtracting|squaring|rearranging|expanding|factoring|integrating
        |differentiating|substituting|simplifying|taking)\b[^.?!\n]{0,80},\ (?:we|it|this)\b
    | (?:dividing|multiplying|adding|subtracting|squaring|rearranging|expanding
        |factoring)\ [^.?!\n]{0,80}\ (?:gives?|yields?|shows?)\b
    | we\ (?:integrate|differentiate|substitute|expand|factor|rewrite|simplify|multiply|divide)\b
    | (?:suppose|assume)\ (?:not|otherwise|the\ contrary)\b
    | (?:certainly|of\ course|sure(?:\ thing)?|absolutely|definitely|great|(?:great|good)\ question
        |glad\ you\ asked|no\ problem)[!,.]
    | (?:okay|alright|well|so|hmm|sure|great)[,!.]?\ (?:so\ )?(?:i|let|we)\b
    | (?:yes|no),?\ (?:because|since|it|this|the|we|they|there|in\ fact)\b | indeed,
    | (?:so|thus|therefore|hence|finally|then),?\ the\ (?:final\ |correct\ )?(?:answer|solution|value|sum
        |probability|result)\ (?:is|equals)\b
    | the\ (?:final\ |correct\ )?(?:answer|solution)\ (?:to\ (?:this|the)\ (?:\w+\ )?(?:problem|question
        |equation)\ )?is\b
      (?!\ (?:\$?[a-z]\$?\b(?!\s?=)|yes\b|"|'|the\ letter
        |an?\ (?:integer|number|fraction|real|rational|positive|pair|polynomial|function|set)
        |of\ the\ form|to\ be|given|required|unique|not)|[^.\n]{0,120}\?)
    | by\ (?:the\ )?[\w'’\-–]{2,30}(?:\ [\w'’\-–]{1,20}){0,4},\ we\b
    | (?:here\ is|here's|below\ is)\ (?:the|a|my|one|our)\ (?:[\w-]+\ )?(?:solution|proof|answer|explanation
        |approach)\b
    | (?:using|applying|substituting|simplifying|given\ that|since)\b(?:[^.?!\n]|\.(?=\d)){0,150},\ (?:we
        |it\ follows\ that\ we)\ (?:have|get|obtain|can|need|find|see)\b
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# Beginnings of a solution after a task; before one they set the scene.
_PHRASES_AFTER = re.compile(
    _START
    + r"""(?:
      (?:in\ order\ )?to\ (?!(?:be|clarify|avoid|say|win|get|make|play)\b)[a-z]+\b
      (?:[^.?!\n]|\.(?=\d)){0,400},\ (?:we|let's|let’s|let\ us|i)
      (?:\ (?:will|can|must|should|may|first|need|have|could|shall|now|simply|start|begin|use|apply
        |consider|note|observe|rewrite|calculate|compute|find|look|look\ at|recall|examine)\b|'ll\b|’ll\b)
    | the\ formula\ for\b | it\ (?:is|does|has|can)\ ?(?:not|n't)?,?\ (?:since|because)\b
    | suppose\ there\ (?:are|is|were)\ only\b | proof\ by\b | we\ (?:know|have)\ that\b
    | (?:assume|suppose),?\ (?:for\ (?:the\ sake\ of\ )?(?:an?\ )?|by\ (?:way\ of\ )?)contradiction\b
    | here(?:'s|’s|\ is)\ (?:how|why|a\ step)\b
    | i(?:['’](?:d|ll|m)|\ (?:would|will|am|can))\ (?:be\ )?
      (?:happy|glad|pleased|love|help|explain|show|walk|guide)\b
    | let\ me\ (?:help|explain|show|walk|guide)\b
    | step\ 1[:.]\ (?:recall|identify|understand|analy[sz]e|recogni[sz]e|note|we|determine|simplify)\b
    | by\ [\w'’\-]{2,30}(?:\ [\w'’\-]{1,20}){0,3},\ (?:there\ (?:is|are|exists?)|it|this|the|every|each)\b
    | given\ the\ [^.?!\n]{0,80},\ we\b
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# Beginnings of a solution after a task, if nothing is asked behind them: "To minimise it, set its derivative
# to zero"; but "To get full marks, show your work" asks.
_LAST_PHRASES = re.compile(
    _START
    + r"""(?:
      let(?:'s|’s|\ us)\ \w+\b
    | (?:using|applying|by)\ (?!convention|definition|an?\b)[^.?!\n]{3,120},\ (?:the|this|it|one|there)\b
    | (?:hence|thus|therefore|so),?\ (?!or\b)\w
    | (?:in\ order\ )?to\ (?:solve|find|evaluate|compute|calculate|determine|prove|show|answer|check|see
        |verify
        |count|simplify|integrate|differentiate|factor|expand|sum|minimi[sz]e|maximi[sz]e|establish
        |demonstrate
        |derive|obtain|get|identify|tackle|handle|approach|understand|construct|do|rewrite|express|convert
        |decide|justify|estimate|explain|illustrate|begin|start|proceed)\b(?:[^.?!\n]|\.(?=\d)){0,400}
      (?:,\ |\ (?=we\b))(?!(?:you|your|the\ answer|express|give|round)\b)\w
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# Endings of a solution, after a task.
_ENDINGS = re.compile(
    r"\b(?:so|hence|thus|therefore|and),? the (?:final |correct )?answer (?:is|equals)\b"
    r"|\bthe final answer is\b(?! (?:an?|of|to be|not)\b)|\bq\.?e\.?d\b|∎|\\qed\b|\\blacksquare\b"
    r"|\b(?:so|hence|thus|therefore)\b[^.?!\n]{0,60}\bwe (?:get|obtain|conclude)\b"
    r"|\?\s{1,4}(?:it (?:is|equals)|it['’]s|that is|they are) (?:exactly )?(?:\d|\$|\\\()[^?\n]{0,120}\Z"
    r"|[.?]\s{0,4}\n\s{0,4}\$?[a-z]\s?=\s?[-\d./]{1,12}\$?\s{0,2}\.?\Z",
    re.IGNORECASE,
)
# The last sentence: "Then $E=1+\frac56E$, so $E=6$."
_CONCLUSION = re.compile(
    r"(?:(?<=[.?!]\s)|(?<=\n))[^.?!\n]{0,200}\b(?:so|hence|thus|therefore),? (?:there (?:are|is)"
    r"|it (?:is|equals)|\$[^$\n]{1,80}=)[^.?!\n]{0,80}[\d$][.\s]*\Z",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\bhow many (?P<of>\w{2,20})\b[^?]{0,300}\?\s{1,4}there (?:are"
    r"|is) (?:exactly )?\S{1,20} (?P=of)\b(?! in the\b)",
    re.IGNORECASE,
)
# The answer said right behind what asks for it: "Find the order of ... The order is 3", "12 times 13 is"
_ECHO = re.compile(
    r"\b(?:find|determine|compute|evaluate|calculate|what (?:is|are))"
    r" the (?P<what>\w{3,20}(?: \w{3,20})?)\b[^.?!\n]{0,200}[.?!]\s{1,4}"
    r"the (?P=what) (?:is|are|equals?|evaluates? to|can be)\b(?! (?:an?|the|defined|bounded|said|called"
    r"|given)\b)"
    # "... Since 23 leaves the remainder 3, the last digit is 8."
    r"|\b(?:find|determine|compute|calculate|what (?:is|are)) the (?P<sought>\w{3,20}(?: \w{3,20})?)\b"
    r"[^?]{0,300}[.?]\s[^?]{0,600}\b(?:since|because|so|hence|thus|therefore)\b[^.?!\n]{0,200}"
    r"\bthe (?P=sought)\b[^.?!\n]{0,80}\b(?:is|equals|are) (?:\$[^$?\n]{1,60}\$"
    r"|[-\d][^?\s]{0,20})[.\s]*\Z"
    r"|\bwhat is (?P<said>[^?\n]{3,80})\?\s{1,4}(?P=said) (?:is|=|equals)"
    r"|\?\s{1,4}(?:yes|no)\b[,.:!]",
    re.IGNORECASE,
)
# A formula and no more: "Evaluate $\int_0^1 x\,dx$."
_ASKED_FORMULA = re.compile(
    rf"\b(?:compute|calculate|evaluate|simplify|find|expand|what is)(?: the \w+(?: of)?)?:?\s{{1,2}}{FORMULA}"
    rf"\s?(?:[.?]|(?=\s))|{FORMULA}\s?(?:の値)?を(?:求め|計算)",
    re.IGNORECASE,
)
_SHORT_FORMULA = 4  # characters: "x = ..." may be given
# A problem that asks to examine an argument.
_ABOUT_A_PROOF = re.compile(
    r"\b(?:wrong|errors?|mistakes?|flaws?|fallacy|gaps?)\b[^.?!\n]{0,40}\b(?:proof|argument|reasoning"
    r"|solution|claim|calculation|derivation)\b"
    r"|\b(?:grade|critique|critici[sz]e|assess|following|given|student['’]s) (?:\w+ ){0,2}(?:proof|argument"
    r"|reasoning|solution|calculation|derivation)\b"
    r"|\b(?:proof|argument|reasoning|solution|calculation|derivation) (?:below|that follows)\b"
    r"|\b(?:below is|here is|this is) (?:an?|the|one) (?:\w+ ){0,2}(?:attempt|proof|argument"
    r"|answer)\b[^\n]{0,200}"
    r"\b(?:why|where|whether|correct|fails?|valid)\b|\b(?:two|these|this|both) (?:proofs?|solutions?"
    r"|arguments?)\b"
    r"|(?:次|以下)の(?:証明|解答|議論|推論|論証)|(?:証明|解答|議論|推論|論証)[^。\n]{0,12}(?:誤り|間違い"
    r"|不備)",
    re.IGNORECASE,
)
_YOURS = re.compile(
    r"\byour?\b|(?:[.!,]|\band|hence|thus|therefore)\s(?:find|prove|show|compute|determine|evaluate"
    r"|deduce|solve"
    r"|calculate|sketch|state|write|conclude|give|explain|decide|verify|obtain|derive)\b",
    re.IGNORECASE,
)
_EXPLORES = re.compile(r"\W*let(?:'s|’s|\sus) (?:tackle|dive|delve|explore|take a look)\b", re.IGNORECASE)
_MAY_SET_THE_SCENE = re.compile(r"(?:we|first|firstly|since|by|using|given|applying|the)\b", re.IGNORECASE)
_INLINE = re.compile(
    r"(?:^|(?<=[.?!)\]$。？！*]\s)|(?<=[.?!$。]\s\s))[*_]{0,3}(?:solution|answer|ans)\s?:\s?(?=\S)"
    r"|#{2,6}\s?(?:response|answer|solution)\b|もちろんです|[よせけなさい]。(?:では|それでは)、|(?<=[。？?])\s?(?:(?:はい|ええ|もちろん)、"
    r"|承知|かしこまり)"
    r"|(?:求めよ|示せ|解け|せよ|なさい|下さい|ください)。\s{0,3}(?!ただし|なお|また|ここで)[^。\n]{1,160}"
    r"(?<!と)(?:です|なります|得られます|求まります|分かります|わかります)。?\Z|解答\s?[:：]"
    r"|(?:求めよ|なさい|ください)。\s{0,3}(?:これ|答え?|値|和|積)は[^。\n]{1,60}(?:となる|となります)。?\Z"
    r"|答え?\s?[:：]|(?:よって|したがって|ゆえに|故に)、"
    r"?(?:求める)?答えは"
    r"|答えは[^。\n]{1,40}(?:です|である|となる|になる)[。\n]?|まず、[^。"
    r"\n]{1,120}(?:を考える|に注意する|と置く|とおく|を用いる"
    r"|が成り立つ)。"
    r"|^(?:解く|証明する)ために、|(?:解く|示す|求める|証明する|計算する)(?:には|ためには?)、まず"
    r"|(?:求めよ|示せ|解け|せよ|なさい|ください)。\s{0,3}(?:(?:まず|はじめに|最初に)、|[^。\n]{1,30}(?:には"
    r"|ため(?:に"
    r"|には))、)",
    re.IGNORECASE | re.MULTILINE,
)
_LEADS_TO_INLINE = re.compile(
    r"(?:your|the|final|each|an|write|give|format|best|correct|right|one|short)\s{1,2}[*_\"]{0,2}$",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(r"例えば|たとえば|の?場合、")  # "for example, the answer is 3 for ..."
_BOXED = re.compile(r"\\f?boxed\s?\{([^{}\n]{0,40})")
_BLANK_BOX = re.compile(r"(?:\\(?:q?quad|hspace|phantom|[ ,;:!~]|text|rm|bf)?|[\s~?]|[ア-ンあ-ん])*")
_DEFINES_A_BOX = re.compile(
    r"\blet\s?\$?\s?\\boxed|\\boxed\s?\{[^{}\n]{1,20}\}\s?\$?\s(?:is defined|denotes?|means?|be)\b",
    re.IGNORECASE,
)
_ASKS_FOR_BOX = re.compile(
    r"(?:put|place|write|give|express|enclose|present|box|report|state|within|inside|入れ|囲)[^\n]{0,120}$",
    re.IGNORECASE,
)


def without_label(text: str) -> str:
    """The problem without the label before it, unless nothing else is left.

    Labels are such as "Problem 3.", "問題：" or "Sure! Here is a problem:".
    """
    for _ in range(3):
        for label in _LABELS:
            if (found := label.match(text)) and text[found.end() :].strip():
                text = text[found.end() :].strip()
                break
        else:
            break
    if (found := _FIRST_ITEM.match(text)) and not _SECOND_ITEM.search(text):
        text = text[found.end() :].strip()
    return text


def heading_of_solution(text: str, raw: str) -> int | None:
    """Where the mark of a solution ends the problem; None without one.

    raw: the text with its label.
    """
    if _ABOUT_A_PROOF.search(text):
        return None
    places = [found.start() for heading in _HEADINGS if (found := heading.search(text))]
    if _ASKER.match(raw) and not _OTHER_OPTION.search(text) and (found := _ANSWER_MARK.search(text)):
        places.append(found.start())
    if (step := _first_step(text)) is not None:
        places.append(step)
    return min(places, default=None)


def may_be_data(text: str, end: int) -> bool:
    """Whether what stands from `end` on may as well be a part of the task as its solution."""
    step = _STEP.match(text, end)
    return _EXPLANATION.match(text, end) is not None or (
        step is not None and step.group().lstrip()[0].isalpha()  # without Markdown
    )


def _first_step(text: str) -> int | None:
    """Where steps or an explanation begin that no process before them announces."""
    places = [found.start() for mark in (_STEP, _EXPLANATION) if (found := mark.search(text))]
    start = min(places, default=None)
    return None if start is None or _PROCEDURE.search(text, 0, start) else start


def contains_solution(text: str) -> bool:
    """Whether the text starts to solve its own problem, or states its answer."""
    if _ABOUT_A_PROOF.search(text):
        return False
    if (
        heading_of_solution(text, text) is not None
        or _states_a_box(text)
        or _COUNTED.search(text)
        or _ECHO.search(text)
        or _works_out(text)
    ):
        return True
    for found in _INLINE.finditer(text):
        if not (
            _LEADS_TO_INLINE.search(text, max(0, found.start() - 20), found.start())
            or _EXAMPLE.search(text, text.rfind("。", 0, found.start()) + 1, found.start())
        ):
            return True
    return (
        _begins_to_solve(text)
        or any(True for _ in _after_task(_ENDINGS, text))
        or any(not asks(found.group()) for found in _after_task(_CONCLUSION, text))
    )


def _begins_to_solve(text: str) -> bool:
    first = _PHRASES.match(text)
    rest = text[first.end() :] if first else ""
    if _EXPLORES.match(text) and "?" not in text and not orders(text):
        return True
    if first and not (
        (_MAY_SET_THE_SCENE.match(first.group().strip()) and asks(rest))
        or (first.group().lower().startswith(("to ", "in order ")) and "?" in rest)
    ):
        return True  # "We start by placing a ball in an urn. What is" describes a process before the task
    if any(True for phrases in (_PHRASES, _PHRASES_AFTER) for _ in _after_task(phrases, text)):
        return True
    return any(
        "?" not in text[found.end() :] and not _YOURS.search(text, found.start())
        for found in _after_task(_LAST_PHRASES, text)
    )


def _after_task(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of the pattern behind something that asks."""
    read_to, asked = 0, False
    for found in pattern.finditer(text):
        end = found.start() + found.group().startswith("?")
        asked = asked or asks(text[read_to:end])
        read_to = end
        if asked:
            yield found


def _works_out(text: str) -> bool:
    """Whether the formula that is asked for is the left side of a later one: "Compute $2^9$. $2^9=512$"."""
    plain = read(text)
    bare = [re.sub(r"[\s${}]|\\[\[\](),;!]", "", formula) for formula in plain.formulas]
    for found in _ASKED_FORMULA.finditer(plain.words):
        place = plain.words.count(FORMULA, 0, found.start() + found.group().find(FORMULA))
        asked = bare[place].rstrip(".?=")
        if len(asked) >= _SHORT_FORMULA and any(one.startswith(f"{asked}=") for one in bare[place + 1 :]):
            return True
    return False


def _states_a_box(text: str) -> bool:
    """Whether an answer stands in a box; asking for an answer in a box does not count."""
    if _DEFINES_A_BOX.search(text):
        return False
    for found in _BOXED.finditer(text):
        held = found[1].strip(" .…")
        line = max(text.rfind("\n", 0, found.start()) + 1, found.start() - 160)
        if (
            held
            and held.lower() not in ("answer", "your answer", "\\ldots", "\\dots", "ans")
            and not _BLANK_BOX.fullmatch(held)
            and not _ASKS_FOR_BOX.search(text, line, found.start())
        ):
            return True
    return False
