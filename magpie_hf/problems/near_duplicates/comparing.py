"""Whether two problems ask the same of the same things: their words, where their formulas are the same.

Not here: which problems are compared (index.py, benchmarks/overlap.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from magpie_hf.problems.near_duplicates.clauses import GUIDING, Clause, clauses
from magpie_hf.problems.near_duplicates.normal import Token, tokens
from magpie_hf.problems.near_duplicates.symbols import colours_of, formulas_of, shapes_of
from magpie_hf.problems.near_duplicates.words import deciding

_MOST = 2  # words that only one of two problems has; more of them say more
_FEW = 12  # content words: a text of fewer is known by its formulas
_THIRD = 3  # of its numbers: |x| = 1 and |x| = 8 are two exercises
_LONG = 60  # content words: texts of more that share most of their runs are copies, whatever was changed
_FRAME = 2  # a longer beginning or end in place of another is a frame


class _Said(NamedTuple):
    """What is compared.

    asked: the words of the clauses that ask. text: all words and numbers in order, a formula as one item.
    roles: letters and names in the prose, by their place in formulas and order, between the words. shapes:
    the formulas without their numbers. formulas: a text of them with their numbers, whatever their letters
    are called.
    """

    words: frozenset[str]
    asked: frozenset[str]
    deciding: list[str]
    pairs: frozenset[str]
    wide: list[str]
    text: list[str]
    roles: list[str]
    entities: int
    numbers: Counter[str]
    shapes: Counter[str]
    formulas: str


def same_words(one: str, other: str) -> bool:
    """Whether two problems, whose formulas are the same, differ in no word that decides.

    Such words are those of what is asked, and any in place of another: "parallel" for "perpendicular", "if p
    then q" for "if q then p". Words that only one of them has decide where they are known to, such as "not"
    and "prime". Where several letters or persons are spoken of, each must stand where its counterpart stands.
    """
    a, b = _said(one), _said(other)
    if a.asked != b.asked or a.wide != b.wide or a.deciding != b.deciding:
        return False
    if a.pairs - b.pairs and b.pairs - a.pairs:
        return False  # the first row and second column, and the second row and first column
    if max(len(a.words - b.words), len(b.words - a.words)) > _MOST:
        return False
    if _swapped(a, b):
        return False
    # Which blocks match depends on the order
    return not any(
        _words(first.text[start:end], second.text[begin:stop])
        and _words(second.text[begin:stop], first.text[start:end])
        for first, second in ((a, b), (b, a))
        for _, start, end, begin, stop in _differences(first.text, second.text)
    )


def holds(problem: str, row: str) -> bool:
    """Whether a problem asks what a benchmark's row asks, perhaps of other numbers, or with more around it.

    Runs of tokens do not show that: all problems of a chapter share phrases and parts of formulas. So no word
    of the question may be missing. Between what the texts share, none may stand in place of another, except
    what is counted, since five apples are as good as five pears, and none may be missing that decides. A
    short text must also have the same formulas, and differ in one number of three at most.
    """
    a, b = _said(row), _said(problem)
    part, whole = (a, b) if len(a.text) <= len(b.text) else (b, a)
    if not part.asked <= whole.words:
        return False
    if len(part.words) > _LONG:
        return True
    if a.numbers == b.numbers and a.shapes == b.shapes and (a.formulas != b.formulas or _swapped(a, b)):
        return False  # the same numbers in other places, or another unknown
    if len(part.words) < _FEW and not (
        len(part.words - whole.words) <= 1
        and part.shapes <= whole.shapes
        and (part.numbers - whole.numbers).total() <= part.numbers.total() // _THIRD
    ):
        return False
    return not any(_decides(first, second) for first, second in ((a, b), (b, a)))


def _decides(one: _Said, other: _Said) -> bool:
    codes = _differences(one.text, other.text)
    for _, start, end, begin, stop in codes:
        gone, come = one.text[start:end], other.text[begin:stop]
        only, instead = _words(gone, come), _words(come, gone)
        outside = min(start, begin) == 0 or (end == len(one.text) or stop == len(other.text))
        if outside and max(len(gone), len(come)) > _FRAME:
            continue
        counted = len(gone) == len(come) == 1 and any(
            item[0].isdigit() for item in one.text[max(0, start - 2) : start]
        )
        if only and instead and not counted:
            return True
        if any(deciding((word,)) or _is_wide(word) for word in (*only, *instead)) and not (
            outside and not (only and instead)
        ):
            return True
    return False


def _differences(one: list[str], other: list[str]) -> list[tuple[str, int, int, int, int]]:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return [code for code in matcher.get_opcodes() if code[0] != "equal"]


def _words(items: Iterable[str], others: Sequence[str]) -> set[str]:
    """The words among the items that are not among others."""
    return {item for item in items if item.isalpha() and item not in GUIDING} - set(others)


def _tells(word: str) -> bool:
    """Whether a word says something by itself; the place of particles and kana is seen in the text."""
    return word not in GUIDING and not "\u3041" <= word <= "\u309f"


def _is_wide(word: str) -> bool:
    """Whether a word is a character of Japanese that is no inflection."""
    return word > "\u3000" and _tells(word)


def _swapped(one: _Said, other: _Said) -> bool:
    """Whether letters or names have changed places among the words."""
    return max(one.entities, other.entities) > 1 and _common(one, other) != _common(other, one)


def _common(one: _Said, other: _Said) -> list[str]:
    """Letters and names, and the words that both problems have, in one's order."""
    return [item for item in one.roles if item[0] == "#" or item in other.words]


@lru_cache(4096)  # a problem is compared with several in a row
def _said(problem: str) -> _Said:
    said = clauses(tokens(problem))
    words = [word for clause in said for word in clause.words if _tells(word)]
    colours = colours_of(said)
    order: dict[Token, int] = {}
    text: list[str] = []
    roles: list[str] = []
    for clause in said:
        for run in _runs(clause):
            if run[0].kind == "word":
                text.append(run[0].text)
                roles.append(run[0].text)
            elif len(run) == 1 and run[0].kind in ("letter", "name"):
                text.append("#")
                roles.append(f"#{colours[run[0]]} {order.setdefault(run[0], len(order))}")
            else:
                text.append(run[0].text if len(run) == 1 else "#")
    return _Said(
        frozenset(words),
        frozenset(word for clause in said if clause.asked for word in clause.words if _tells(word)),
        deciding(words),
        frozenset(deciding(_pairs(said))),
        [word for word in words if _is_wide(word)],
        text,
        roles,
        len(order),
        Counter(item.text for clause in said for item in clause.items if item.kind == "number"),
        shapes_of(said),
        formulas_of(said),
    )


def _pairs(said: Sequence[Clause]) -> Iterator[str]:
    """Words that follow one another directly."""
    for clause in said:
        for (one, _), (other, joined) in pairwise(zip(clause.items, clause.joined, strict=True)):
            if joined and one.kind == other.kind == "word":
                yield f"{one.text} {other.text}"


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
