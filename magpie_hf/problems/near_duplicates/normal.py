"""The normal form of a problem: tokens that do not depend on typesetting.

Not here: which words or symbols tell problems apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from magpie_hf.problems.near_duplicates.japanese import with_persons, without_endings
from magpie_hf.problems.near_duplicates.persons import persons
from magpie_hf.problems.near_duplicates.typesetting import spelled
from magpie_hf.text.typesetting import GREEK_NAMES

Kind = Literal["word", "number", "letter", "name", "sign", "stop"]


class Token(NamedTuple):
    """A word, number, letter (a variable), name (of a person), sign (operator, bracket, function) or stop.

    A stop ends a clause. Letters keep their case, since A and a are two variables; all else is in lower case.
    """

    kind: Kind
    text: str


# Formulas between dollars. A price is no formula: the closing dollar has no space before it and no digit
# after it.
_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$(?! )((?:[^$\\]|\\.)+?)(?<! )\$(?!\d)"
)
_INNER_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|emph) ?\{([^{}]*)\}")
_ROWS = re.compile(r"\\matrix|\\begin")
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)|\\(?P<command>[A-Za-z]+)|\\(?P<escaped>[{}|#&_\\])"
    r"|(?P<letters>[A-Za-z]{2,}'(?:s|t|re|ll|ve|d|m)(?![A-Za-z])|[A-Za-z]+)"
    r"|(?P<wide>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
    r"|(?P<other>[^\W\d_]+)"
    r"|(?P<stop>[.,;:?!])|(?P<sign>[^\s\w$\"`']|_|')"
)
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim sup inf max min gcd lcm det"
    " dim ker deg arg mod sqrt rank tr trace re im".split()
)
_WORDS_IN_FORMULAS = frozenset(
    "and or for if all are the with not where such that when to is in of at by odd even".split()
)
_SHORT_WORDS = frozenset(
    "a i am an as at be by do go he if in is it me my no of on or so to up us we".split()
)
_TOUCHING = frozenset("^_=+-/<>|()[]{}'")
_SPOKEN = frozenset(
    FUNCTIONS - {"max", "min", "re", "im", "tr", "sup", "inf", "arg", "exp", "deg", "dim", "ker", "det"}
)


def tokens(problem: str) -> list[Token]:
    r"""The tokens of a problem, in order.

    They are the same for `$\dfrac{1}{2}x \leq 3$`, `\(\frac12 x\le 3\)` and `1/2 x <= 3`.
    """
    text, called = with_persons(without_endings(spelled(problem)))
    names = persons(text) | called
    found: list[Token] = []
    at = 0
    for match in _FORMULA.finditer(text):
        found += _read(text[at : match.start()], False, names)
        inner = next(group for group in match.groups() if group is not None)
        if not _ROWS.search(inner):
            inner = inner.replace("\\\\", ", ").replace("&", " ")
        start = 0
        for words in _INNER_TEXT.finditer(inner):
            found += [*_read(inner[start : words.start()], True), *_read(words[1], False, names)]
            start = words.end()
        found += _read(inner[start:], True)
        at = match.end()
    found += _read(_INNER_TEXT.sub(r" \1 ", text[at:]), False, names)
    found = _products(_without_fractions(_without_braces(found)))
    # A lone person may as well be he or she, or not be named at all
    alone = len({token.text for token in found if token.kind == "name"}) == 1
    return [token for token in found if token.kind != "name"] if alone else found


def normal_form(found: list[Token]) -> str:
    """A text that is equal for problems that differ only in typesetting, punctuation, case or white space."""
    return " ".join(token.text.lower() for token in found if token.kind != "stop")


def _read(text: str, formula: bool, names: frozenset[str] = frozenset()) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind, word = match.lastgroup, match[match.lastgroup or 0]
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if kind == "letters":
            if not formula and word.removesuffix("'s") in names:
                found.append(Token("name", word.removesuffix("'s").lower()))
            elif (
                not formula
                and word == "A"
                and text[max(0, match.start() - 9) : match.start()].rstrip()[-1:] not in _BEGINNINGS
            ):
                found.append(Token("letter", word))
            else:
                found += _letters(word, formula, before, after)
        elif kind == "command":
            found.append(Token("letter" if word.lower() in GREEK_NAMES else "sign", word))
        elif kind == "number":
            found.append(Token("number", word))
        elif kind == "stop":
            two = text[max(0, match.start() - 2) : match.start()]
            letter = two[-1:].isalpha() and not two[:-1].isalpha()
            factorial = word == "!" and (formula or letter or before.isdigit() or before == ")")
            found.append(Token("sign" if factorial else "stop", word))
        elif kind in ("wide", "other"):
            found.append(Token("word", word.lower()))
        elif word != "'" or formula or len(found) == 0 or found[-1].kind not in ("word", "name"):
            found.append(Token("sign", f"\\{word}" if kind == "escaped" else word))
    return found


_BEGINNINGS = frozenset(["", *".?!:;\"'()*"])


def _letters(word: str, formula: bool, before: str, after: str) -> list[Token]:
    """The tokens of a run of Latin letters: a word, a function, or single variables."""
    low = word.lower()
    if low in (FUNCTIONS if formula else _SPOKEN) and (formula or after == "(" or low not in ("gcd", "lcm")):
        return [Token("sign", low)]
    touches = before in _TOUCHING or after in _TOUCHING or before.isdigit()
    if formula:
        single = (len(word) < 4 and low not in _WORDS_IN_FORMULAS) or word.isupper()
    elif len(word) == 1:
        single = low not in "ai" or (touches and after != ")")
    else:
        single = (word.isupper() and len(word) < 5) or (len(word) < 3 and low not in _SHORT_WORDS and touches)
    return [Token("letter", letter) for letter in word if letter != "'"] if single else [Token("word", low)]


# Commands whose arguments stand in braces; other braces only group, and nobody sees them
_TAKING = FUNCTIONS | frozenset(
    "^ _ / frac binom overline underline vec hat tilde dot ddot check overrightarrow overleftrightarrow"
    " overset underset stackrel overbrace underbrace mathbb mathcal mathfrak begin end cancel boxed".split()
)
_TWO = frozenset(("frac", "binom", "overset", "underset", "stackrel"))
_INFIX = {"over": "frac", "choose": "binom"}
_OPEN, _CLOSE = Token("sign", "("), Token("sign", ")")


def _without_braces(found: list[Token]) -> list[Token]:
    r"""Turns the braces of arguments into round brackets, and drops those that only group or hold one token.

    `{A \over B}` becomes `\frac{A}{B}`. Round brackets around a single token are dropped only behind a
    function or a power.
    """
    out: list[Token] = []
    # Position, bracket, the position of an \over, and whether it is a second argument
    opened: list[tuple[int, str, int, bool]] = []
    second = 0  # where a second argument begins

    def ends(start: int) -> None:
        nonlocal second
        if start and out[start - 1].text in _TWO and out[start - 1].kind == "sign":
            second = len(out)

    for token in found:
        if token.kind != "sign":
            out.append(token)
            ends(len(out) - 1)
        elif token.text in ("{", "("):
            opened.append((len(out), token.text, 0, len(out) == second > 0))
            out.append(_OPEN)
        elif token.text in _INFIX and opened and opened[-1][1] == "{" and not opened[-1][2]:
            opened[-1] = (*opened[-1][:2], len(out), opened[-1][3])
            out.append(Token("sign", _INFIX[token.text]))
        elif token.text in ("}", ")"):
            if not opened or (opened[-1][1] == "{") != (token.text == "}"):
                out.append(_CLOSE)
                continue
            at, bracket, over, other = opened.pop()
            before = out[at - 1].text if at else ""
            if over:
                above, below = out[at + 1 : over], out[over + 1 :]
                parts = [part if len(part) == 1 else [_OPEN, *part, _CLOSE] for part in (above, below)]
                out[at:] = [out[over], *parts[0], *parts[1]]
                ends(at)
                continue
            takes = before in _TAKING or before == "]" or other
            # \cos{2x} is \cos 2x
            product = before in FUNCTIONS - {"sqrt"} and all(
                token.kind in ("letter", "number") for token in out[at + 1 :]
            )
            indexed = at > 2 and out[at - 2].text in ("^", "_") and out[at - 3].text in FUNCTIONS
            bound = indexed or before in FUNCTIONS or before in ("^", "_")
            single = len(out) == at + 2 and out[-1].text not in _BRACKETS
            if (bracket == "{" and (single or product or not takes)) or (bracket == "(" and single and bound):
                del out[at]
            else:
                out.append(_CLOSE)
            ends(at)
        else:
            out.append(token)
            ends(len(out) - 1)
    return out


_BRACKETS = frozenset("()[]")
_CLOSING = {"(": 1, ")": -1}


def _without_fractions(found: list[Token]) -> list[Token]:
    r"""`\frac` A B becomes A / B. A loses its brackets where it is a product, and B where it is one factor.

    `\frac{\sin x}{x}` is sin x / x, and `\frac{1}{w^3}` is 1 / w ^ 3.
    """
    if not any(token.text in ("frac", "/") for token in found):
        return found
    out: list[Token] = []
    breaks, gone = set(), set()
    for at, token in enumerate(found):
        if token.kind == "sign" and token.text == "frac":
            end = _end(found, at + 1)
            breaks.add(end)
            if found[at + 1 : at + 2] == [_OPEN] and (
                all(
                    token.kind in ("letter", "number") or token.text in FUNCTIONS
                    for token in found[at + 2 : end - 1]
                )
                or _is_factor(found[at + 2 : end - 1])
            ):
                gone |= {at + 1, end - 1}
            gone |= _bare(found, end)
            continue
        if at in breaks:
            out.append(Token("sign", "/"))
        elif token.text == "/" and token.kind == "sign":
            gone |= _bare(found, at + 1)
        if at not in gone:
            out.append(token)
    return out


def _bare(found: list[Token], start: int) -> set[int]:
    """The positions of the brackets around a single factor that begins at `start`, if it does."""
    if found[start : start + 1] != [_OPEN]:
        return set()
    # A longer factor is none that anybody writes without brackets
    end = next((at for at in range(start, min(start + 12, len(found))) if found[at] == _CLOSE), 0)
    return {start, end} if _is_factor(found[start + 1 : end]) else set()


def _is_factor(found: list[Token]) -> bool:
    """Whether tokens are a letter or number, alone, with one index or power, or behind a root or function."""
    if not 1 <= len(found) <= 3 or found[-1].kind not in ("letter", "number"):
        return False
    if len(found) == 3:
        return found[0].kind in ("letter", "number") and found[1].text in ("^", "_")
    return len(found) == 1 or found[0].text in FUNCTIONS


def _products(found: list[Token]) -> list[Token]:
    r"""Drops signs of multiplication that may be left out, as in `3 \cdot n`.

    `\times` is one of numbers alone: between letters it is the product of vectors or sets, another one than
    `\cdot`.
    """
    out: list[Token] = []
    for at, token in enumerate(found):
        if token.kind == "sign" and token.text in ("cdot", "times"):
            left = _operand(reversed(out[-4:]), ")")
            right = _operand(iter(found[at + 1 : at + 5]), "(")
            number = "number" in (left, right)
            if token.text == "times" and number:
                token = Token("sign", "cdot")
            bare = number and right != "number" and out[-1:] != [_OPEN]
            if token.text == "cdot" and bare and right in ("letter", "function"):
                continue
        out.append(token)
    return out


def _operand(side: Iterable[Token], bracket: str) -> str:
    """What stands on a side of a sign: a number, letter or function, past brackets and signs of numbers."""
    for token in side:
        if token.text in FUNCTIONS:
            return "function"
        if token.text not in (bracket, "-", "+"):
            return str(token.kind)
    return ""


def _end(found: list[Token], start: int) -> int:
    """The position behind the operand that begins at `start`."""
    depth = 0
    for at in range(start, len(found)):
        depth += _CLOSING.get(found[at].text, 0)
        if depth <= 0:
            return at + 1
    return len(found)
