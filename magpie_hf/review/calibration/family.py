"""A family: a kind of problem, and how formulas are written.

Not here: the families themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

LEVELS = (1, 2, 3)
Made = tuple[str, str]  # a problem, and its answer


@dataclass(frozen=True)
class Family:
    """make(chance, level): a problem and its answer; the same for the same state of `chance`."""

    name: str
    domain: str
    make: Callable[[Random, int], Made]


def families(domain: str, *makers: Callable[[Random, int], Made]) -> tuple[Family, ...]:
    """The families of a domain, named as their functions are."""
    return tuple(Family(maker.__name__, domain, maker) for maker in makers)


def fraction(value: Fraction | int) -> str:
    r"""A rational number: 7, -\frac{2}{3}."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def latex(expression: Any) -> str:
    """A formula of sympy."""
    import sympy

    return str(sympy.latex(sympy.sympify(expression)))


def nonzero(chance: Random, most: int) -> int:
    """A whole number from -most to most that is not 0."""
    return chance.choice((-1, 1)) * chance.randint(1, most)


def signed(value: int) -> str:
    """The number as a term behind others: "+ 3", "- 2"."""
    return f"{'-' if value < 0 else '+'} {abs(value)}"


def combination(values: Iterable[int], names: Iterable[str]) -> str:
    """The sum of the names, each so many times: "-x + 3y - 2z"; "" is a name, too."""
    text = ""
    for value, name in zip(values, names, strict=True):
        if value:
            size = name if abs(value) == 1 and name else f"{abs(value)}{name}"
            text += f" {'-' if value < 0 else '+'} {size}" if text else f"{'-' if value < 0 else ''}{size}"
    return text or "0"


def polynomial(coefficients: Sequence[int], variable: str = "x") -> str:
    """The polynomial with these coefficients, from the highest power down."""
    powers = range(len(coefficients) - 1, -1, -1)
    names = ["" if power == 0 else variable if power == 1 else f"{variable}^{{{power}}}" for power in powers]
    return combination(coefficients, names)
