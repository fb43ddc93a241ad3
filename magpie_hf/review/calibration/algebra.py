"""Algebra with known answers: systems, roots, determinants, inequalities, recurrences, compositions.

Not here: other domains.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from random import Random

from magpie_hf.review.calibration.family import (
    Made,
    combination,
    families,
    fraction,
    nonzero,
    polynomial,
    signed,
)


def linear_system(chance: Random, level: int) -> Made:
    """Made from its solution, which is the only one where the determinant is not 0."""
    names = "xyzw"[: level + 1]
    while True:
        rows = [[nonzero(chance, 9) for _ in names] for _ in names]
        if _determinant(rows):
            break
    solution = [chance.randint(-12, 12) for _ in names]
    lines = [
        f"{combination(row, names)} &= {sum(a * b for a, b in zip(row, solution, strict=True))}"
        for row in rows
    ]
    weights = [chance.randint(1, 5) for _ in names]
    wanted = combination(weights, names)
    system = " \\\\\n".join(lines)
    return (
        f"The numbers ${', '.join(names)}$ satisfy the system\n\\begin{{align*}}\n{system}\n\\end{{align*}}\n"
        f"Find the value of ${wanted}$."
    ), str(sum(a * b for a, b in zip(weights, solution, strict=True)))


def roots(chance: Random, level: int) -> Made:
    """A sum over the roots of a polynomial, made from its roots."""
    held = [nonzero(chance, 4 + 2 * level) for _ in range(level + 1)]
    coefficients = [1]
    for root in held:
        coefficients = [
            a - root * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)
        ]  # times (x - root)
    names = [f"r_{number}" for number in range(1, len(held) + 1)]
    power = chance.choice((2, 3)) if level > 1 else 2
    listed = ", ".join(f"${name}$" for name in names[:-1]) + f" and ${names[-1]}$"
    wanted = " + ".join(f"{name}^{power}" for name in names)
    return (
        f"Let {listed} be the roots of the polynomial ${polynomial(coefficients)}$, each as often as its "
        f"multiplicity says. Compute ${wanted}$."
    ), str(sum(root**power for root in held))


def determinant(chance: Random, level: int) -> Made:
    """Of a matrix of whole numbers, by expansion."""
    size = level + 2
    rows = [[chance.randint(-6, 6) for _ in range(size)] for _ in range(size)]
    matrix = " \\\\ ".join(" & ".join(map(str, row)) for row in rows)
    return (f"Compute the determinant of the matrix $\\begin{{pmatrix}} {matrix} \\end{{pmatrix}}$."), str(
        _determinant(rows)
    )


def inequality(chance: Random, level: int) -> Made:
    """The whole numbers that satisfy a product's inequality, counted one by one."""
    held = sorted(chance.sample(range(-5 * level - 5, 5 * level + 6), 2 * level))
    factors = "".join(f"(x {signed(-root)})" if root else "x" for root in held)
    bound = chance.randint(0, 40) * (10 ** (level - 1))
    found = sum(prod(x - root for root in held) <= bound for x in range(-2000, 2001))
    return f"How many integers $x$ satisfy ${factors} \\le {bound}$?", str(found)


def recurrence(chance: Random, level: int) -> Made:
    """A term of a linear recurrence, term by term."""
    order = 1 + (level > 1)
    factors = [nonzero(chance, 3) for _ in range(order)]
    added, number = nonzero(chance, 9), chance.randint(4 + level, 6 + 2 * level)
    terms = [chance.randint(-4, 6) for _ in range(order)]
    first = ", ".join(f"$a_{place} = {term}$" for place, term in enumerate(terms))
    while len(terms) <= number:
        terms.append(sum(a * b for a, b in zip(factors, reversed(terms[-order:]), strict=True)) + added)
    past = [f"a_{{n-{back}}}" for back in range(1, order + 1)]
    rule = combination([*factors, added], [*past, ""])
    return (
        f"A sequence begins with {first}, and $a_n = {rule}$ for every $n \\ge {order}$. "
        f"Find $a_{{{number}}}$."
    ), str(terms[number])


def composition(chance: Random, level: int) -> Made:
    """The argument that a function, applied several times, takes to a value."""
    factor, added = nonzero(chance, 5), nonzero(chance, 9)
    times, value = level + 1, nonzero(chance, 60)
    x = Fraction(value)
    for _ in range(times):
        x = (x - added) / factor
    chain = "f(" * times + "x" + ")" * times
    return (
        f"Let $f(x) = {polynomial((factor, added))}$. For which real number $x$ is ${chain} = {value}$?"
    ), fraction(x)


def _determinant(rows: list[list[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** column * value * _determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
        for column, value in enumerate(rows[0])
    )


FAMILIES = families("algebra", linear_system, roots, determinant, inequality, recurrence, composition)
