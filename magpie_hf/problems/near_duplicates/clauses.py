"""The clauses of a problem: what each says, and whether it is asked or given.

Not here: comparing clauses.
"""

from __future__ import annotations

from typing import NamedTuple

from magpie_hf.problems.near_duplicates.normal import Token
from magpie_hf.problems.near_duplicates.words import (
    PHRASES,
    TAILS,
    as_number,
    is_linking,
    one_spelling,
)

_ASKING = frozenset(
    "find determine compute calculate evaluate solve prove show demonstrate verify what whats how which who"
    " when simplify factor express estimate is are does do can".split()
)
# Those of them that ask only as the first word of a sentence
_ONLY_FIRST = frozenset("is are does do can when verify express factor estimate which who".split())
_GIVING = frozenset("if when whenever suppose assume given let where such consider denote define".split())
_JOINING = frozenset("and with for".split())
# Words before a number, letter or name that say what it is for
GUIDING = frozenset("by from to than until base mod modulo over at".split())
_WIDE = "\u3000"


class Clause(NamedTuple):
    """What a clause says, in order: words in one spelling per meaning, and numbers, letters, names and signs.

    Linking words are left out. joined: of each item, whether it follows the one before it directly.
    """

    asked: bool
    items: tuple[Token, ...]
    joined: tuple[bool, ...]

    @property
    def words(self) -> list[str]:
        return [item.text for item in self.items if item.kind == "word"]


def clauses(found: list[Token]) -> list[Clause]:
    """The clauses of a problem, in order. The last sentence asks where no other does."""
    sentences: list[list[Clause]] = [[]]
    items: list[Token] = []
    joined: list[bool] = []
    asks = False  # the sentence, so far
    asked = False  # the clause
    first = direct = True
    depth = skip = 0

    def cut(role: bool) -> None:
        nonlocal asked
        if items:
            sentences[-1].append(Clause(asked, tuple(items), tuple(joined)))
            items.clear()
            joined.clear()
        asked = role

    for at, token in enumerate(found):
        kind, text = token
        if skip:
            skip -= 1
            continue
        if kind not in ("word", "stop") or (text in (",", ":", ";") and kind == "stop" and depth > 0):
            depth = max(0, depth + _DEPTH.get(text, 0))
            items.append(_constant(found, at))
            joined.append(direct)
            first, direct = False, True
            continue
        if kind == "stop":
            depth = 0
            cut(asks and asked)
            if text in ".?!":
                if sentences[-1]:
                    sentences.append([])
                asks = asked = False
                first = True
            direct = False
            continue
        after = found[at + 1] if at + 1 < len(found) else Token("stop", ".")
        if text in _ASKING and (first or text not in _ONLY_FIRST):
            cut(True)
            asks = True
        elif text == "then":
            cut(asks)
        elif text in _GIVING:
            cut(False)
        elif text in _JOINING:
            cut(asked)
        said = items[-1].text if items and items[-1].kind == "word" else ""
        first = False
        if text in TAILS.get(said, ()):
            direct = True
            continue
        phrase = PHRASES.get(f"{text} {after.text}") if after.kind == "word" else None
        if phrase is not None:
            word, skip = phrase, 1
        elif (number := as_number(text)) is not None:
            items.append(Token("number", number))
            joined.append(direct)
            direct = True
            continue
        elif text in GUIDING and after.kind in ("number", "letter", "name", "sign"):
            word = text
        elif is_linking(text):
            direct = False
            continue
        else:
            word = one_spelling(text)
        items.append(Token("word", word))
        joined.append(direct)
        direct = True
    cut(False)
    if not sentences[-1]:
        sentences.pop()
    if sentences and not any(clause.asked for sentence in sentences for clause in sentence):
        sentences[-1] = [clause._replace(asked=True) for clause in sentences[-1]]
    return [clause for sentence in sentences for clause in sentence]


_DEPTH = {"(": 1, "[": 1, "\\{": 1, ")": -1, "]": -1, "\\}": -1}


def _constant(found: list[Token], at: int) -> Token:
    r"""The token; a sign where it is a letter of fixed meaning: e with a power, or the R of \mathbb{R}."""
    token = found[at]
    if token.kind != "letter":
        return token
    after = found[at + 1].text if at + 1 < len(found) else ""
    before = found[at - 1].text if at else ""
    fixed = (token.text == "e" and after == "^") or before in ("mathbb", "mathcal", "mathfrak")
    return Token("sign", token.text) if fixed else token
