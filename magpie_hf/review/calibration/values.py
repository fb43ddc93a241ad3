"""The exact value of a simple answer, read apart from the answers' own reader, which it is measured by.

Not here: lists, units, words and unknowns, which have no value here.
"""

from __future__ import annotations

import re
from typing import Any

_TOKENS = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>\\[A-Za-z]+|[A-Za-z]+)|(?P<sign>[-+*/^(){}\[\]]))"
)
_SPELLED = (
    (r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|[$~]", " "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:cdot|times)(?![A-Za-z])|[·×]", "*"),
    (r"\\div(?![A-Za-z])|÷", "/"),
    (r"[−–]", "-"),
    (r"π", r"\\pi "),
    (r"√", r"\\sqrt "),
    (r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))", ""),
    (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
)
_SEVERAL = re.compile(r"[=,;]|\b(?:or|and)\b|\\(?:lor|land|vee|wedge|cup|quad)(?![A-Za-z])|[∨∧∪]|または")
MOST = 300  # characters
MOST_BITS = 50_000  # of a power of a rational number


class _NoValueError(Exception):
    pass


def value_of(text: str) -> Any | None:
    r"""A number as sympy holds it: 7, -\frac{2}{3}, 0.75, 2\sqrt{5}, \frac{e^{3} - 1}{9}; None for others.

    Of an equation it is the value of the last side.
    """
    name, _, text = text.rpartition("=")
    text = text.strip().rstrip(".")
    if len(text) > MOST or _SEVERAL.search(name):
        return None
    for pattern, spelled in _SPELLED:
        text = re.sub(pattern, spelled, text)
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        if (found := _TOKENS.match(text, at)) is None:
            return None
        tokens.append(found)
        at = found.end()
    try:
        reader = _Reader(tokens)
        value = reader.sum()
        return value if reader.is_over and value.is_finite else None
    except (_NoValueError, RecursionError):
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, to 40 digits."""
    import sympy

    gap = sympy.N(one - other, 40)
    return bool(abs(gap) <= sympy.Float("1e-35", 40) * (1 + abs(sympy.N(other, 40))))


class _Reader:
    """Reads a sum of products of powers, a token after another."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def is_over(self) -> bool:
        return self._at == len(self._tokens)

    @property
    def _next(self) -> str:
        return "" if self.is_over else self._tokens[self._at].group().strip()

    @property
    def _follows_whole(self) -> bool:
        return self._tokens[self._at - 1].group().strip().isdigit()

    def _take(self, wanted: str | None = None) -> str:
        found = self._next
        if not found or (wanted is not None and found != wanted):
            raise _NoValueError
        self._at += 1
        return found

    def sum(self) -> Any:
        value = self._product()
        while self._next in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> Any:
        if self._next in ("+", "-"):
            return -self._product() if self._take() == "-" else self._product()
        value = self._power()
        while (sign := self._next) and sign not in ("+", "-", ")", "}", "]", "^"):
            if sign in ("*", "/"):
                self._take()
            elif sign[0].isdigit() or (sign == r"\frac" and self._follows_whole):  # a mixed number
                raise _NoValueError
            part = self._signed() if sign in ("*", "/") else self._power()
            if sign == "/" and part == 0:
                raise _NoValueError
            value = value / part if sign == "/" else value * part
        return value

    def _signed(self) -> Any:
        if self._next == "-":
            self._take()
            return -self._power()
        return self._power()

    def _power(self) -> Any:
        base = self._atom()
        if self._next != "^":
            return base
        self._take()
        exponent = self._signed()
        if not (exponent.is_rational or base.is_positive):
            raise _NoValueError
        bits = max(int(base.p).bit_length(), int(base.q).bit_length()) if base.is_Rational else 1
        if abs(exponent) * bits > MOST_BITS or (base == 0 and not exponent.is_positive):
            raise _NoValueError
        return base**exponent

    def _atom(self) -> Any:
        import sympy

        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            return sympy.Rational(token)
        if token in ("(", "{", "["):
            value = self.sum()
            self._take({"(": ")", "{": "}", "[": "]"}[token])
            return value
        if token == r"\frac":
            above, below = self._atom(), self._atom()
            if below == 0:
                raise _NoValueError
            return above / below
        if token in (r"\sqrt", "sqrt"):
            root = sympy.Integer(2)
            if self._next == "[":
                root = self._atom()
            value = self._atom()
            if not (value.is_nonnegative and root.is_positive):
                raise _NoValueError
            return sympy.root(value, root)
        named = {r"\pi": sympy.pi, "pi": sympy.pi, "e": sympy.E}
        if token in named:
            return named[token]
        raise _NoValueError
