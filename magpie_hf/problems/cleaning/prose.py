"""Separates mathematics from words in a text, in one pass.

Not here: what the words say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

FORMULA = "\ue000"  # stands for one formula; a private-use character, which no text holds
_TOKEN = re.compile(
    r"\\\\|\\[$%&#_{}]|\\[()\[\]]|\$\$?|\\(?P<edge>begin|end)[ \t]*\{(?P<name>[A-Za-z]{1,20}\*?)\}"
    r"|\\(?:text|mbox|textrm|textbf|textit|operatorname)[ \t]*\{|[{}]|\n[ \t]*\n"
)
_CLOSERS = {"\\(": "\\)", "\\[": "\\]", "$": "$", "$$": "$$"}
_TRANSPARENT = frozenset(
    "enumerate itemize description theorem problem exercise question document center proof lemma"
    " quote".split()
)
_LEFT = re.compile(r"\\left(?![A-Za-z])")
_RIGHT = re.compile(r"\\right(?![A-Za-z])")
# "$5", "$ 1.10", "$.25", and "15$" behind a number: a sum of money where words follow, and not a formula
# such as "$5$", "$2 + x$" or "$1-\\cdots $".
_AMOUNT = re.compile(r"\$\s?(?:\d[\d,]{0,20}(?:\.\d{1,4})?|\.\d{1,4})|(?<=\d)\$(?![\w$\\{(])")
_COMMAND = re.compile(r"\\(?:text|mbox|mathrm|operatorname|textbf|textit)\s?\{[^{}]{0,200}\}|\\[A-Za-z]+")
_SAID = re.compile(
    r"(?<![A-Za-z])(?!(?:sin|cos|tan|log|ln|exp|lim|max|min|mod|gcd|lcm|cm|mm|km|kg)\b)"
    r"(?:[A-Za-z]{3,}|(?i:an?(?=\s[a-z]{3})|is|it|he|of|to|or|on|in|at|as|by|if|we))(?![A-Za-z])"
    r"|[\u3041-\u30ff]"
)
_BETWEEN_PRICES = re.compile(r"\s*\(?[A-F][).:]\s?|\s?[-–/~～,、]\s?|\s?(?:and|or|to)\s")
_OPTION = re.compile(r"[\s(][A-F]\)\s?\Z")
_ENDS_HERE = re.compile(r"[\s.,;:?!)\"']*(?:\Z|\n)")
_SENTENCE_END = re.compile(r"(?<=[.?!])[\"'”’)*_]{0,3}\s+|(?<=[。？！])|\n+")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class Prose:
    r"""A text split into words and formulas.

    words: the text with FORMULA in the place of each formula.
    formulas: these, with their delimiters, in order.
    balanced: whether all formulas and environments are closed, and all braces and \left in each formula.
    """

    words: str
    formulas: tuple[str, ...]
    balanced: bool


@dataclass
class _Open:
    """The formula being read: its start, its closing delimiter, its environments, its open braces.

    braces: for each open brace, whether it holds words.
    """

    start: int
    closer: str
    names: list[str] = field(default_factory=list)
    braces: list[bool] = field(default_factory=list)


@lru_cache(maxsize=256)
def read(text: str) -> Prose:
    """Split a text. Takes linear time."""
    tokens = list(_TOKEN.finditer(text))
    dollars = [token.start() for token in tokens if token.group() in ("$", "$$")]
    spans: list[tuple[int, int]] = []
    opened: _Open | None = None
    outer: list[str] = []
    balanced = True
    passed = 0  # dollars before the token
    for token in tokens:
        what = token.group()
        passed += what in ("$", "$$")
        if opened is None:
            following = dollars[passed] if passed < len(dollars) else None
            opened, fits = _outside(text, token, following, outer)
            balanced &= fits
            continue
        if what == "$$" and opened.closer == "$" and True not in opened.braces:  # "$x$$y$"
            spans.append((opened.start, token.start() + 1))
            balanced &= not opened.braces
            opened = _Open(token.start() + 1, "$")
            continue
        closed, fits = _inside(token, opened)
        balanced &= fits
        if closed:
            spans.append((opened.start, token.end()))
            opened = None
    formulas = tuple(text[start:end] for start, end in spans)
    balanced &= opened is None and not outer and all(_paired(formula) for formula in formulas)
    if opened is not None:
        spans.append((opened.start, len(text)))
    return Prose(_masked(text, spans), formulas, balanced)


def _outside(
    text: str, token: re.Match[str], following: int | None, outer: list[str]
) -> tuple[_Open | None, bool]:
    """The formula that the token opens, if any, and whether the token may stand there.

    following: the position of the next dollar.
    """
    what = token.group()
    if what == "$" and _is_price(text, token.start(), following):
        return None, True
    if what in _CLOSERS:
        return _Open(token.start(), _CLOSERS[what]), True
    if token["edge"] == "begin":
        if token["name"] in _TRANSPARENT:
            outer.append(token["name"])
            return None, True
        return _Open(token.start(), "", [token["name"]]), True
    if token["edge"] == "end":
        return None, bool(outer) and outer.pop() == token["name"]
    return None, what not in ("\\)", "\\]")


def _inside(token: re.Match[str], opened: _Open) -> tuple[bool, bool]:
    """Whether the token closes the formula, and whether it may stand there."""
    what = token.group()
    if what == "}":
        fits = bool(opened.braces)
        if fits:
            opened.braces.pop()
        return False, fits
    if what.endswith("{") and what != "\\{":
        opened.braces.append(what != "{")
    elif True in opened.braces:  # \text{if $x > 0$} has dollars of its own
        return False, True
    elif token["edge"] == "begin":
        opened.names.append(token["name"])
    elif token["edge"] == "end":
        fits = bool(opened.names) and opened.names.pop() == token["name"]
        return not opened.closer and not opened.names, fits
    elif what == opened.closer:
        return True, not opened.braces and not opened.names
    elif what.startswith("\n"):
        return False, opened.closer not in ("$", "\\)")
    return False, True


def _is_price(text: str, start: int, following: int | None) -> bool:
    """Whether the dollar is money: words follow the amount, or the next amount, or nothing.

    following: the position of the next dollar, which must not close a formula.
    """
    amount = _AMOUNT.match(text, start)
    if amount is None:
        return False
    rest = text[amount.end() : len(text) if following is None else following].partition("\n\n")[0]
    if following is None:
        return _ENDS_HERE.match(rest) is not None or _SAID.search(_COMMAND.sub(" ", rest)) is not None
    before, after = text[following - 1], text[following + 1 : following + 2]
    if after.isdigit() and _BETWEEN_PRICES.fullmatch(rest):
        return True
    opens = before.isspace() or before >= "\u3000" or before == "(" or after.isdigit()
    opens |= _OPTION.search(text[max(0, following - 4) : following]) is not None  # "must be: A) $5"
    opens |= before.isdigit() and after in (" ", ".", "?", ",") and len(rest.split()) > 3
    return opens and _SAID.search(_COMMAND.sub(" ", rest)) is not None


def _paired(formula: str) -> bool:
    return len(_LEFT.findall(formula)) == len(_RIGHT.findall(formula))


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], FORMULA]
        at = end
    return "".join([*pieces, text[at:]])


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, with masked formulas, without empty ones."""
    return [piece.strip() for piece in _SENTENCE_END.split(read(text).words) if piece.strip()]


def words(text: str) -> list[str]:
    """The words outside formulas, in lower case."""
    return [word.lower() for word in _WORD.findall(read(text).words)]
