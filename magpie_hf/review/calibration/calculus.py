"""Calculus with known answers: derivatives, integrals, limits, extremes, series.

Not here: other domains.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from random import Random

from magpie_hf.review.calibration.family import Made, families, fraction, latex, nonzero, polynomial, signed


def derivative(chance: Random, level: int) -> Made:
    """Of a power of a quadratic times a linear term, by the product rule in whole numbers."""
    a, b, c, d, e = (nonzero(chance, 4) for _ in range(5))
    power, x = level + 1, chance.randint(-3, 3)
    inner, outer = a * x * x + b * x + c, d * x + e
    slope = power * inner ** (power - 1) * (2 * a * x + b) * outer + inner**power * d
    return (
        f"Let $f(x) = ({polynomial((a, b, c))})^{{{power}}} ({polynomial((d, e))})$. Compute $f'({x})$."
    ), str(slope)


def integral(chance: Random, level: int) -> Made:
    """Of a polynomial between whole numbers."""
    coefficients = [nonzero(chance, 9) for _ in range(level + 2)]
    low = chance.randint(-3, 1)
    high = low + chance.randint(1, 2 + level)
    degree = len(coefficients) - 1
    value = sum(
        (
            Fraction(coefficient, degree - place + 1)
            * (high ** (degree - place + 1) - low ** (degree - place + 1))
            for place, coefficient in enumerate(coefficients)
        ),
        Fraction(0),
    )
    return (
        f"Evaluate the integral $\\int_{{{low}}}^{{{high}}} "
        f"\\left({polynomial(coefficients)}\\right) \\, dx$."
    ), fraction(value)


def integral_by_parts(chance: Random, level: int) -> Made:
    """A polynomial times an exponential function or a sine: each part leaves one derivative more."""
    import sympy

    x = sympy.Symbol("x")
    coefficients = [nonzero(chance, 5) for _ in range(level + 1)]
    rate, waves = chance.randint(1, 3), chance.random() < 0.5
    parts = [sympy.Poly(coefficients, x)]
    while parts[-1].degree() > 0:
        parts.append(parts[-1].diff(x))
    every = 2 if waves else 1  # those between are multiplied by a sine, which is 0 at both ends
    whole = sum(
        (-1) ** place * part.as_expr() / sympy.Integer(rate) ** (every * place + 1)
        for place, part in enumerate(parts[::every])
    )
    exponent = "x" if rate == 1 else f"{rate}x"
    name, end, high = (f"\\sin({exponent})", "\\pi", sympy.pi) if waves else (f"e^{{{exponent}}}", "1", 1)
    last, first = whole.subs(x, high), whole.subs(x, 0)
    value = first - (-1) ** rate * last if waves else sympy.E**rate * last - first
    return (
        f"Evaluate $\\int_{{0}}^{{{end}}} \\left({polynomial(coefficients)}\\right) {name} \\, dx$ exactly."
    ), latex(sympy.expand(value))


def limit(chance: Random, level: int) -> Made:
    """A quotient of polynomials with a common root, from its other factors."""
    root = nonzero(chance, 6)
    top = [nonzero(chance, 5) for _ in range(level + 1)]
    below = [nonzero(chance, 5) for _ in range(level + 1)]
    while _value(below, root) == 0:
        below = [nonzero(chance, 5) for _ in range(level + 1)]
    upper, lower = (polynomial(_times(part, root)) for part in (top, below))
    return (f"Find $\\lim_{{x \\to {root}}} \\frac{{{upper}}}{{{lower}}}$."), fraction(
        Fraction(_value(top, root), _value(below, root))
    )


def maximum(chance: Random, level: int) -> Made:
    """Of a cubic on an interval: its critical points are whole numbers, since it is made from them."""
    first = chance.randint(-5, 3)
    second = first + 2 * chance.randint(1, 2 + level)
    scale, shift = 6 * chance.choice((-1, 1)), nonzero(chance, 20)
    # the derivative is scale (x - first) (x - second)
    coefficients = (scale // 3, -scale * (first + second) // 2, scale * first * second, shift)
    low, high = first - chance.randint(1, 4), second + chance.randint(1, 4)
    values = [_value(list(coefficients), x) for x in (low, first, second, high)]
    kind = chance.choice(("maximum", "minimum"))
    wanted = max(values) if kind == "maximum" else min(values)
    return (
        f"Find the {kind} value of $f(x) = {polynomial(coefficients)}$ on the interval $[{low}, {high}]$."
    ), str(wanted)


def series_coefficient(chance: Random, level: int) -> Made:
    """Of a product of the exponential and the geometric series, summed term by term."""
    a, b, power = nonzero(chance, 3), nonzero(chance, 4), level + 2
    value = sum((Fraction(a**k, factorial(k)) * b ** (power - k) for k in range(power + 1)), Fraction(0))
    exponent = {1: "x", -1: "-x"}.get(a, f"{a}x")
    below = f"1 {signed(-b)}x" if abs(b) > 1 else f"1 {'-' if b > 0 else '+'} x"
    return (
        f"Find the coefficient of $x^{{{power}}}$ in the Taylor series of "
        f"$\\frac{{e^{{{exponent}}}}}{{{below}}}$ "
        "about $x = 0$."
    ), fraction(value)


def _value(coefficients: list[int], x: int) -> int:
    value = 0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


def _times(coefficients: list[int], root: int) -> list[int]:
    """The polynomial times (x - root)."""
    return [a - root * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)]


FAMILIES = families("calculus", derivative, integral, integral_by_parts, limit, maximum, series_coefficient)
