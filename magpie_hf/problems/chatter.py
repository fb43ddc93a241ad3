"""Chatter: talk to or of an assistant, and requests for anything but mathematics. Not here: how good a problem is."""

from __future__ import annotations

import re

from magpie_hf.problems.lexicon import asks, has_mathematics, is_english, is_japanese
from magpie_hf.problems.prose import FORMULA, sentences

_THING = r"(?:problems?|questions?|homework|assignments?|exercises?|tasks?|equations?|maths?|mathematics|algebra|calculus|geometry|statistics|exam|test|it|that)"
# A sentence that says nothing of a problem's content, whatever words of mathematics it drops.
_SENTENCE = re.compile(
    rf"""(?:
      (?:hello|hi|hey|greetings|good\ (?:morning|evening|afternoon)|dear|thanks?|thank\ you|welcome|bye|cheers|sorry|please\ help)\b[^{FORMULA}=]{{0,100}}
    | (?:can|could|would|will)\ (?:you|i|we|anyone|someone|somebody)\ (?:please\ |kindly\ |also\ )?(?:help|assist|explain|solve|do|give|provide|ask|tell
      |share|write|show|suggest|recommend|answer|generate|create|check|have|get)\b
      (?:\ (?:me|us|with|my|a|an|the|some|this|that|these|more|your|to|out|on|for|of|any|solve|solving|understand|understanding|answer|hint|example|sample
      |challenging|difficult|hard|interesting|new|another|following|one|using|problem|described|math|{_THING}))*
    | (?:i\ am|i'm|i’m|i've|i’ve|i\ (?:have|need|want|would\ like|will|can|don't|don’t|do\ not|was|am|believe|think|hope|just))\b
      [^{FORMULA}=\d]{{0,240}}
    | (?:you\ are|you're|you’re|imagine\ you\ are|act\ as|pretend)\ (?:an?|the|my|now)\b[^{FORMULA}=]{{0,240}}
    | as\ an?\ (?:ai|assistant|language|expert|mathematician|tutor|large)\b[^{FORMULA}=]{{0,240}}
    | (?:sure|certainly|of\ course|okay|ok|great|absolutely|alright|no\ problem)\b[^{FORMULA}=]{{0,160}}
    | (?:here\ (?:is|are)|here's|here’s|below\ is)\ [^{FORMULA}=]{{0,160}}
    | (?:please\ )?(?:provide|give|ask|send|share|enter|type|state|submit|post|present|tell|choose|pick|start|begin|continue|proceed|go\ ahead|wait
      |let\ me\ know|feel\ free|take\ your\ time)\b(?:\ (?:me|us|with|by|providing|a|an|the|your|some|another|challenging|math|mathematical|mathematics
      |difficult|new|following|hard|example|sample|to|solution|answer|full|complete|of|for|in|know|if|any|you|have|questions?|details?|more|free|{_THING}))*
    | (?:this|the|my|our)\ (?:is|was|following|problem|question|task|exercise|one|topic|subject)\b(?:\ (?:is|are|about|on|of|in|with|related|to|from|an?|the|very
      |this|my|level|area|field|purely|classic|example|mathematical|completely|precisely|stated|hard|challenging|euclidean|abstract|known|{_THING}))+
    | (?:what|which|who)\ (?:is|are|was|were|can|do|does|would)\ (?:you|your|i|we|my)\b[^{FORMULA}=]{{0,160}}
    | how\ (?:are|do|did|can|could|would|should|may|will)\ (?:you|i|we|a\ person|someone|people)\b[^{FORMULA}=\d]{{0,160}}
    | (?:(?:can|could|would)\ you\ )?(?:please\ )?(?:write|tell|compose|draft|summari[sz]e|translate|create|design|generate|describe|make|give|procure)\ (?:me\ |us\ )?
      (?:an?|the|some|my|this)\ (?:[\w-]+\ )?(?:story|poem|essay|joke|song|letter|email|e-mail|article|blog|script|code|program|app|website|recipe|speech
      |report|review|paragraph|novel|haiku|business|plan|time|tweet|post|resume|function\ in\ python|python)\b.{{0,300}}
    | (?:let\ me|let\ us|let's|let’s)\ (?:know|chat|talk|try|do|start|begin|play)\b[^{FORMULA}=]{{0,160}}
    | (?:user|assistant|human|ai|system|bot)\s?:.{{0,400}}
    )\s*[.?!,:)…]*""",
    re.IGNORECASE | re.VERBOSE,
)
_JAPANESE_SENTENCE = re.compile(
    r"(?:こんにちは|こんばんは|おはよう|はじめまして|ありがとう|すみません|もちろん|はい、|よろしく|わかりました|承知|助けて|手伝って|教えて(?:ください|下さい)"
    r"|宿題|数学の問題を(?:出し|教え|一つ|解いて)|問題を(?:出して|教えて|提示)|あなたは|私は|どの(?:よう|問題)|何か質問|お手伝い)[^=]{0,80}"
)


def is_chat(text: str) -> bool:
    """Whether nothing that could be a problem is left when the talk around it is taken away. Polite talk before a problem is no chat."""
    left = []
    for sentence in sentences(text):
        talk = (_JAPANESE_SENTENCE if is_japanese(sentence) else _SENTENCE).match(sentence)
        if talk is None or has_substance(sentence[talk.end() :]):
            left.append(sentence)
    rest = " ".join(left)
    if not rest:
        return True
    if len(left) < len(sentences(text)) and not asks(rest) and not has_mathematics(rest):
        return True
    return (is_english(text) or is_japanese(text)) and not has_mathematics(rest)


def has_substance(text: str) -> bool:
    """Whether what follows polite words is a task of its own: "Could you show me that every group of order 15 is cyclic?" """
    return len(text.split()) >= 3 and has_mathematics(text) or FORMULA in text
