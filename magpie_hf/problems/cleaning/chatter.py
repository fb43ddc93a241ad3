"""Chatter: talk with or about an assistant, and requests for anything but mathematics.

Not here: how good a problem is.
"""

from __future__ import annotations

import re

from magpie_hf.problems.cleaning.lexicon import (
    asks,
    asks_a_quantity,
    has_options,
    is_english,
    is_japanese,
    orders,
    shows_mathematics,
    shows_numbers,
)
from magpie_hf.problems.cleaning.prose import FORMULA, read, sentences, words

STORY = 20  # words: a question of quantity behind so many is no talk

_THING = (
    r"(?:problems?|questions?|homework|assignments?|exercises?|tasks?|equations?|maths?|mathematics|algebra"
    r"|calculus|geometry|statistics"
    r"|solutions?|exam|test|it|that)"
)
# Words of sentences that say nothing about any problem's content.
_EMPTY = rf"""(?:me|us|with|my|an?|the|some|this|that|these|those|more|your|to|out|on|for|of|any|in|by|if|at
    |is|are|about|related|understand|understanding|solve|solving|answer|answering|hint|example|sample
    |challenging|difficult|hard|interesting|new|another|following|one|using|math|mathematical|please|providing
    |full|complete|know|you|have|details?|more|free|very|level|area|field|purely|classic|completely|precisely
    |stated|advanced|euclidean|abstract|given|above|described|first|next|do|work|finding|find|need|help|so|i
    |can|and|how|{_THING})"""
# Talk even with words of mathematics in it; searched for in the whole sentence, since `[^=]` only goes so
# far.
_PLAIN_TALK = re.compile(
    rf"""(?:
      (?:(?:can|could|would|will)\ (?:you|i|we|anyone|someone|somebody)|(?:i|we)\ (?:need|want|would\ like
        |have)|please|kindly)
      \ (?:please\ |kindly\ |also\ )?(?:help|assist|explain|solve|do|give|provide|ask|tell|share|write|show
        |suggest|recommend|answer|generate|create|check|have|get)\b
      (?:\s+{_EMPTY}\b)*
    | (?:please\ )?(?:provide|give|ask|send|share|enter|type|submit|post|present|tell|start|begin|continue
        |proceed|go\ ahead|wait|let\ me\ know|feel\ free|take\ your\ time|solve|answer|explain
        |help)\b(?:\s+{_EMPTY}\b)*
    | (?:this|the|my|our)\ (?:following\ )?(?:problem|question|task|exercise|one|topic|subject)?\ ?(?:is
        |was)\b(?:\s+{_EMPTY}\b)+
    | (?:here\ (?:is|are)|here's|here’s|below\ is)(?:\s+{_EMPTY}\b)+(?:\ [a-z]+\ ?){{0,3}}
    | (?:sure|certainly|of\ course|great|absolutely|no\ problem)\b[!,.]?(?:\s+{_EMPTY}\b)*
    | (?:what|which|who)(?:\ \w+)?\ (?:is|are|was|were|can|do|does|would)\ (?:you|your)\b
      (?!\ (?:total|average|expected|net|profit|chances?|probability|savings|score)\b).{{0,160}}
    | (?:you\ are|you're|you’re|act\ as|pretend\ to\ be)\ (?:an?|the|my
        |now\ an?)\ (?:[\w-]+\ ){{0,3}}(?:expert|assistant|ai|tutor|teacher|professor|mathematician|detective
        |writer|chatbot|bot|player|character|student|scientist|engineer|doctor|lawyer)\b.{{0,240}}
    | (?:(?:can|could|would)\ you\ )?(?:please\ )?(?:write|tell|compose|draft|summari[sz]e|translate|create
        |design|generate|show|make|give|say)\b(?:\ (?!equation)[\w-]+){{0,4}}
      \ (?:story|poem|essay|jokes?|song|letter|e-?mail|article|blog|script|app|website|recipe|speech|novel
        |haiku|tweet|resume|review|python|code)\b.{{0,300}}
    | (?:user|assistant|human|system|bot)\s?:.{{0,400}}
    )\s*[.?!,:)…]*$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# Beginnings of talk: such a sentence is talk unless it shows mathematics.
_TALK = re.compile(
    r"""(?:hello|hi|hey|greetings|good\ (?:morning|evening|afternoon)|dear|thanks?|thank\ you|welcome|bye
        |cheers|sorry|please|sure|certainly|of\ course
    |great|absolutely|alright|no\ problem|as\ an?|imagine|pretend|act\ as|here\ (?:is|are)|here's|here’s
        |below\ is
    |(?:okay|ok)(?!,?\s(?:so|let|i|we)\b)
    |i(?:'m|’m|'ve|’ve|'d|’d|'ll|’ll|\ (?:am|need|want|would|will|can|could|don't|don’t|do|was|believe|think
        |hope|just|like|love|feel))
    |i\ have(?!\ (?:\d|two|three|four|five|six|an?\ (?:bag|box|fair|deck|jar)))
    |(?:can|could|would|will|do|are)\ (?:you|i|we|anyone|someone|somebody)
        (?!\ (?:determine|calculate|compute|find|tell\ me)\ how
        |\ (?:determine|calculate|compute|tell\ me)\ the)
    |you\ are|you're|you’re|let\ me|let's|let’s
    |how\ (?:are|do|did|can|could|would|should|may|will)\ (?:you|i|we|a\ person|someone|people)|my
    |this(?!\ (?:year|month|week|morning|afternoon|time)\b)
        |the\ (?:problem|question|user|assistant))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_TALK_IN_JAPANESE = re.compile(
    r"こんにちは|こんばんは|おはよう|はじめまして|ありがとう|すみません|もちろん|よろしく|わかりました|承知"
    r"|手伝"
    r"|助けて"
    r"|宿題"
    r"|何か質問"
    r"|お手伝い|あなたは"
    r"|問題を(?:一つ|ひとつ|もっと)?(?:出し|教え|解い|提示|作っ)"
)
# Asks for a text, for teaching material or for advice, and not for mathematics
_TEXT_ASKED_FOR = re.compile(
    r"""\b(?:write|give|provide|create|design|prepare|compose|draft|make)\b[^.?!]{0,40}\b(?:essays?"
    r"|reports?|overview
        |introduction|summary|blog|articles?|lesson\ plans?|quiz(?:zes)?|worksheets?|practice\ (?:problems
        |questions)
        |curriculum|syllabus|biography)\b
    | \b(?:discuss|describe|explain|outline|summari[sz]e|compare|trace|what\ (?:is|are|was|were)
        |explore)\b[^.?!]{0,60}
      \b(?:importance|significance|role|evolution|history|life|contributions?|influence|impact
        |philosoph(?:y|ies)
        |(?:real-?(?:life|world)|practical)\ (?:applications?|uses|examples)|advantages|benefits)\b
    | \b(?:influenced|revolutioni[sz]ed)\b[^.?!]{0,80}\? | \b(?:assist|help)\ me\s?[.?!]*\Z
    | \b(?:recommend|suggest)\b[^.?!]{0,40}\b(?:books?|websites?|resources?|courses?|ways?)\b
    | \bis\ there\ an?\ (?:\w+\ )?(?:website|app|book|course|tool)\b
        | \btranslate\b[^.?!]{0,80}\binto
      \ (?:english|french|german|spanish|italian|chinese|japanese|russian|latin)\b
    | \bexplain\b[^.?!]{0,80}\b(?:simple|your\ own|plain)\ (?:words|terms|language)\b | \bcan\ we\ talk\b
    | \bwhere\ should\ i\ start\b | \bwhat\ kinds?\ of\ (?:jobs?|careers?)\b
    | \bhow\ (?:do|can|should)\ i\ (?:become|get\ better|improve|study|learn|prepare|practi[sc]e)\b
    | (?:業績|応用例?|歴史|役割)について
    |何を(?:勉強|話)|について[^。]{0,12}(?:論じ|作文|レポート|説明して(?:くだ|下)さい)|(?:役割|歴史
        |重要性)について
    | (?:教科書|参考書|本)を(?:教え|紹介し)|問題を(?:いくつか|たくさん|\d問)?作""",
    re.IGNORECASE | re.VERBOSE,
)
_ASSISTANT = re.compile(
    r"\b(?:i am|i'm|i’m|as) (?:an? |just an? )?(?:ai|artificial intelligence|(?:large )?language model)\b",
    re.IGNORECASE,
)


def is_chat(text: str) -> bool:
    """Whether no possible problem is left once the talk is removed.

    Polite talk before a problem is not a chat.
    """
    if _ASSISTANT.search(text):
        return True
    if FORMULA not in read(text).words and not asks_a_quantity(text) and _TEXT_ASKED_FOR.search(text):
        return True
    if has_options(text) and shows_numbers(text):
        return False
    said = sentences(text)
    left = [sentence for sentence in said if not _is_talk(sentence)]
    rest = " ".join(left)
    if not rest:
        return True
    if not (is_english(text) or is_japanese(text)) or shows_mathematics(rest):
        return False
    if asks_a_quantity(rest) and (shows_numbers(text) or len(words(text)) >= STORY):
        return False  # a story in the first person
    return len(left) < len(said) or not (shows_numbers(rest) and (asks(rest) or orders(rest)))


def _is_talk(sentence: str) -> bool:
    if is_japanese(sentence):
        return _TALK_IN_JAPANESE.search(sentence) is not None and not shows_mathematics(
            sentence.replace("数学", "")
        )
    return _PLAIN_TALK.match(sentence) is not None or (
        _TALK.match(sentence) is not None and not shows_mathematics(sentence)
    )
