"""The numbers and symbols of a problem, independent of the names of variables and the order of formulas.

Not here: words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from xxhash import xxh3_64_intdigest

from magpie_hf.problems.near_duplicates.normal import Token
from magpie_hf.problems.near_duplicates.words import as_number, is_linking, one_spelling

# of refining letters by their places; letters that are still alike may swap
_ROUNDS = 3
_ASKING = frozenset("find determine compute calculate evaluate solve value".split())
# Words before a number that say what it is for
_GUIDING = frozenset("by from to than until base mod modulo over".split())

Formula = tuple[Token, ...]


def symbols_of(found: list[Token]) -> tuple[str, int]:
    """A text for the problem's formulas and numbers, and how many numbers and symbols it is made of.

    Two texts are equal if the formulas become the same by renaming letters one to one, in any order.
    Otherwise they differ, except for rare symmetries. Letters are told apart by their places alone, by colour
    refinement of graphs (Weisfeiler and Leman, 1968): a letter's colour is where it stands in which formulas,
    and a formula's is its tokens with the colours of its letters.
    """
    formulas = list(dict.fromkeys(_formulas(found)))
    colours: dict[str, int] = defaultdict(int)
    coloured: list[int] = []
    for _ in range(_ROUNDS):
        coloured = [_colour(formula, colours) for formula in formulas]
        places: dict[str, list[str]] = defaultdict(list)
        for formula, colour in zip(formulas, coloured, strict=True):
            for at, token in enumerate(formula):
                if token.kind == "letter":
                    places[token.text].append(f"{colour} {at}")
        colours = defaultdict(
            int,
            {letter: xxh3_64_intdigest(";".join(sorted(where)).encode()) for letter, where in places.items()},
        )
    return " ".join(map(str, sorted(coloured))), sum(map(len, formulas))


def _colour(formula: Formula, colours: dict[str, int]) -> int:
    """A hash of the formula: its tokens, each letter by its colour and its first place here."""
    order: dict[str, int] = {}
    parts = [
        (
            f"{colours[token.text]}.{order.setdefault(token.text, len(order))}"
            if token.kind == "letter"
            else token.text
        )
        for token in formula
    ]
    return xxh3_64_intdigest(" ".join(parts).encode())


def _formulas(found: list[Token]) -> Iterator[Formula]:
    """Runs of tokens that are no words, cut at stops outside brackets.

    A lone number comes with the words beside it that say what it counts. A lone letter is left out, because
    it only names what the words are about, unless the problem asks for it.
    """
    run: list[Token] = []
    before = ""  # the last word
    depth = 0
    for at, token in enumerate([*_constants(found), Token("stop", ".")]):
        if token.kind not in ("word", "stop") or (token.text == "," and depth > 0):
            depth += _DEPTH.get(token.text, 0)
            run.append(token)
            continue
        if run:
            if len(run) > 1:
                yield tuple(run)
            elif run[0].kind != "letter" or before in _ASKING:
                yield tuple(
                    _lone(
                        run[0], before, found[at].text if at < len(found) and found[at].kind == "word" else ""
                    )
                )
            run, depth = [], 0
        if token.kind == "word" and not (token.text in ("of", "the") and before in _ASKING):
            before = token.text
        elif token.kind == "stop":
            before = ""


_DEPTH = {"(": 1, "[": 1, "\\{": 1, ")": -1, "]": -1, "\\}": -1}


def _lone(token: Token, before: str, after: str) -> Iterator[Token]:
    """A lone number or letter with the word beside it.

    Such as "5 red" and "7 blue", "order 12" and "index 3", "by 7", "find x".
    """
    counted = token.kind == "number" and after and not is_linking(after)
    if token.kind == "letter":
        yield Token("word", "asked")
    elif before in _GUIDING or (before and not counted and not is_linking(before)):
        yield Token("word", one_spelling(before))
    yield token
    if counted:
        yield Token("word", one_spelling(after))


def _constants(found: list[Token]) -> Iterator[Token]:
    r"""The tokens, with letters of fixed meaning as signs and words for numbers as numbers.

    Such letters are e with a power, and the R of \mathbb{R}.
    """
    for at, token in enumerate(found):
        if token.kind == "letter":
            after = found[at + 1].text if at + 1 < len(found) else ""
            before = found[at - 1].text if at else ""
            fixed = (token.text == "e" and after == "^") or before in ("mathbb", "mathcal", "mathfrak")
            yield Token("sign", token.text) if fixed else token
        elif token.kind == "word" and (number := as_number(token.text)) is not None:
            yield Token("number", number)
        else:
            yield token
