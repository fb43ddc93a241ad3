"""Texts that do not depend on the names of variables and persons, or on the order of clauses and formulas.

Not here: which words matter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from xxhash import xxh3_64_intdigest

from magpie_hf.problems.near_duplicates.clauses import GUIDING, Clause
from magpie_hf.problems.near_duplicates.normal import Token

# of refining letters by their places; letters that are still alike may swap
_ROUNDS = 3

Formula = tuple[Token, ...]


def statement_of(said: Sequence[Clause]) -> str:
    """A text that is equal for problems of the same clauses: words, formulas, and what of them is asked."""
    return _renamed([(Token("sign", "asked" if one.asked else "given"), *one.items) for one in said])


def symbols_of(said: Sequence[Clause]) -> tuple[str, int]:
    """A text for the problem's formulas and numbers, and how many numbers and symbols it is made of."""
    formulas = list(dict.fromkeys(formula for clause in said for formula in _formulas(clause)))
    return _renamed(formulas), sum(map(len, formulas))


def formulas_of(said: Sequence[Clause]) -> str:
    """As `symbols_of`, without the numbers that come with a word."""
    return _renamed(list(_wordless(said)))


def shapes_of(said: Sequence[Clause]) -> Counter[str]:
    """The formulas of more than one item, without numbers and names of letters, and how often each stands."""
    return Counter(_shape(formula) for formula in _wordless(said) if len(formula) > 1)


def _wordless(said: Sequence[Clause]) -> Iterator[Formula]:
    for clause in said:
        yield from (one for one in _formulas(clause) if all(token.kind != "word" for token in one))


def _shape(formula: Formula) -> str:
    order: dict[Token, str] = {}
    return " ".join(
        (
            order.setdefault(token, f"{token.kind}{len(order)}")
            if token.kind in ("letter", "name")
            else ("0" if token.kind == "number" else token.text)
        )
        for token in formula
    )


def _renamed(formulas: Sequence[Formula]) -> str:
    """Two texts are equal if the formulas become the same by renaming letters one to one, in any order.

    Otherwise they differ, except for rare symmetries. Letters are told apart by their places alone, by colour
    refinement of graphs (Weisfeiler and Leman, 1968): a letter's colour is where it stands in which formulas,
    and a formula's is its tokens with the colours of its letters.
    """
    return " ".join(map(str, sorted(_refined(formulas)[0])))


def colours_of(said: Sequence[Clause]) -> dict[Token, int]:
    """The letters and names of the formulas, each by where it stands in them; 0 for others."""
    return _refined(list(_wordless(said)))[1]


def _refined(formulas: Sequence[Formula]) -> tuple[list[int], dict[Token, int]]:
    """The colours of formulas and of letters."""
    colours: dict[Token, int] = defaultdict(int)
    coloured: list[int] = []
    for _ in range(_ROUNDS):
        coloured = [_colour(formula, colours) for formula in formulas]
        places: dict[Token, list[str]] = defaultdict(list)
        for formula, colour in zip(formulas, coloured, strict=True):
            for at, token in enumerate(formula):
                if token.kind in ("letter", "name"):
                    places[token].append(f"{colour} {at}")
        colours = defaultdict(
            int,
            {letter: xxh3_64_intdigest(";".join(sorted(where)).encode()) for letter, where in places.items()},
        )
    return coloured, colours


def _colour(formula: Formula, colours: dict[Token, int]) -> int:
    """A hash of the formula: its tokens, each letter by its colour and its first place here."""
    order: dict[Token, int] = {}
    parts = [
        (
            f"{token.kind} {colours[token]}.{order.setdefault(token, len(order))}"
            if token.kind in ("letter", "name")
            else token.text
        )
        for token in formula
    ]
    return xxh3_64_intdigest(" ".join(parts).encode())


def _formulas(clause: Clause) -> Iterator[Formula]:
    """Runs of items that are no words.

    A lone number comes with the word beside it that says what it counts: "5 red" and "7 blue", "order 12" and
    "index 3", "by 7". A lone letter only names what the words are about, and is left out, unless it is asked
    for.
    """
    start = 0
    items = clause.items
    for at in range(len(items) + 1):
        if at < len(items) and items[at].kind != "word":
            continue
        run = items[start:at]
        if len(run) > 1:
            yield run
        elif run and run[0].kind in ("letter", "name"):
            if clause.asked:
                yield (Token("sign", "asked"), run[0])
        elif run:
            before = items[start - 1] if start and clause.joined[start] else None
            after = items[at] if at < len(items) and clause.joined[at] else None
            if before is not None and (before.text in GUIDING or after is None):
                yield (before, run[0])
            elif after is not None:
                yield (run[0], after)
            else:
                yield run
        start = at + 1
