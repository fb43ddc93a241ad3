"""Whether a problem asks for a proof.

Not here: problems that are open for other reasons, which the tagger names.
"""

from __future__ import annotations

import re

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
