"""Whether two problems with the same formulas ask the same of the same things.

Not here: which problems are compared (index.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from magpie_hf.problems.near_duplicates.clauses import GUIDING, Clause, clauses
from magpie_hf.problems.near_duplicates.normal import Token, tokens
from magpie_hf.problems.near_duplicates.words import deciding

_HIRAGANA = ("\u3041", "\u309f")
_MOST = 2  # words that only one of two problems has; more of them say more
_ENTITY = ("letter", "name")


class _Said(NamedTuple):
    """What is compared.

    asked: the words of the clauses that ask. text: all words and numbers in order, a formula as one item.
    roles: letters and names in the prose, by order of appearance, between the words.
    """

    words: frozenset[str]
    deciding: list[str]
    asked: frozenset[str]
    wide: tuple[str, ...]
    text: tuple[str, ...]
    roles: tuple[str, ...]
    entities: int


def same_words(one: str, other: str) -> bool:
    """Whether two problems, whose formulas are the same, differ in no word that decides.

    Such words are those of what is asked, and any in place of another: "parallel" for "perpendicular", "if p
    then q" for "if q then p". Words that only one of them has decide where they are known to, such as "not"
    and "prime". Where several letters or persons are spoken of, each must stand where its counterpart stands.
    """
    a, b = _said(one), _said(other)
    if a.asked != b.asked or a.wide != b.wide or a.deciding != b.deciding:
        return False
    if max(len(a.words - b.words), len(b.words - a.words)) > _MOST:
        return False
    if max(a.entities, b.entities) > 1 and _common(a, b) != _common(b, a):
        return False
    return not any(_replaced(a, b)) and not any(_replaced(b, a))  # blocks that match depend on the order


def _replaced(a: _Said, b: _Said) -> Iterator[bool]:
    for kind, start, end, first, last in SequenceMatcher(None, a.text, b.text, autojunk=False).get_opcodes():
        if kind == "replace":
            gone, come = ({word for word in part if word.isalpha()} for part in (a.text[start:end], b.text[first:last]))
            yield bool(gone - come and come - gone)


def _common(one: _Said, other: _Said) -> list[str]:
    """Letters and names, and the words that both problems have, in one's order."""
    return [item for item in one.roles if item[0] == "#" or item in other.words]


@lru_cache(4096)  # a problem is compared with several in a row
def _said(problem: str) -> _Said:
    said = clauses(tokens(problem))
    words = [word for clause in said for word in clause.words if word not in GUIDING]
    order: dict[Token, int] = {}
    text: list[str] = []
    roles: list[str] = []
    for clause in said:
        for run in _runs(clause):
            if run[0].kind == "word":
                text.append(run[0].text)
                roles.append(run[0].text)
            elif len(run) == 1 and run[0].kind in _ENTITY:
                text.append("#")
                roles.append(f"#{order.setdefault(run[0], len(order))}")
            else:
                text.append(run[0].text if len(run) == 1 else "#")
    return _Said(
        frozenset(words),
        deciding(words),
        frozenset(word for clause in said if clause.asked for word in clause.words if word not in GUIDING),
        tuple(word for word in words if word > "\u3000" and not _HIRAGANA[0] <= word <= _HIRAGANA[1]),
        tuple(text),
        tuple(roles),
        len(order),
    )


def _runs(clause: Clause) -> Iterator[tuple[Token, ...]]:
    """Single words, and runs of items that are no words."""
    run: list[Token] = []
    for item in clause.items:
        if item.kind == "word":
            if run:
                yield tuple(run)
                run = []
            yield (item,)
        else:
            run.append(item)
    if run:
        yield tuple(run)
