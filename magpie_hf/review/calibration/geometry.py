"""Geometry with known answers, by coordinates: areas, distances, circles, lattice points, volumes.

Not here: other domains.
"""

from __future__ import annotations

from fractions import Fraction
from math import atan2
from random import Random

from magpie_hf.review.calibration.family import Made, families, fraction, latex, nonzero

Point = tuple[int, int]


def polygon_area(chance: Random, level: int) -> Made:
    """Of a polygon whose vertices go once around the origin, by the shoelace formula."""
    corners = level + 3
    while True:
        points = {(nonzero(chance, 12), nonzero(chance, 12)) for _ in range(corners)}
        angles = sorted(atan2(y, x) for x, y in points)
        wide = [(b - a) for a, b in zip(angles, [*angles[1:], angles[0] + 2 * 3.2], strict=True)]
        if len(points) == corners and all(0.2 < one < 3.0 for one in wide):
            break
    around = sorted(points, key=lambda point: atan2(point[1], point[0]))
    twice = sum(x * v - u * y for (x, y), (u, v) in zip(around, [*around[1:], around[0]], strict=True))
    listed = ", ".join(f"$({x}, {y})$" for x, y in around)
    return f"A polygon has the vertices {listed}, in this order. What is its area?", fraction(
        Fraction(abs(twice), 2)
    )


def distance(chance: Random, level: int) -> Made:
    """Between a point and a line through two points, or between two parallel lines."""
    import sympy

    (a, b), (c, d), (e, f) = _triangle(chance, 5 * level)
    value = sympy.Abs((c - a) * (f - b) - (e - a) * (d - b)) / sympy.sqrt((c - a) ** 2 + (d - b) ** 2)
    return (
        f"Find the distance from the point $({e}, {f})$ to the line through $({a}, {b})$ and $({c}, {d})$."
    ), latex(sympy.nsimplify(sympy.radsimp(value)))


def circumradius(chance: Random, level: int) -> Made:
    """Of a triangle by coordinates: the product of the sides over four times the area."""
    import sympy

    points = _triangle(chance, 4 * level)
    (a, b), (c, d), (e, f) = points
    twice = abs((c - a) * (f - b) - (e - a) * (d - b))
    squares = [
        (x - u) ** 2 + (y - v) ** 2 for (x, y), (u, v) in zip(points, [*points[1:], points[0]], strict=True)
    ]
    radius = sympy.sqrt(squares[0] * squares[1] * squares[2]) / (2 * twice)
    listed = ", ".join(f"$({x}, {y})$" for x, y in points)
    return (
        f"A triangle has the vertices {listed}. Find the radius of the circle through all three of them."
    ), latex(radius)


def lattice_points(chance: Random, level: int) -> Made:
    """In a disc or an ellipse, counted one by one."""
    a, b = (1, 1) if level == 1 else (chance.randint(1, 3), chance.randint(1, 4))
    bound = chance.randint(10, 25 * level + 15)
    found = sum(a * x * x + b * y * y <= bound for x in range(-99, 100) for y in range(-99, 100))
    left = " + ".join(f"{'' if factor == 1 else factor}{name}^2" for factor, name in ((a, "x"), (b, "y")))
    return (f"How many points $(x, y)$ with integer coordinates satisfy ${left} \\le {bound}$?"), str(found)


def tetrahedron(chance: Random, level: int) -> Made:
    """The volume by coordinates, a sixth of a determinant."""
    while True:
        points = [tuple(chance.randint(-3 - level, 3 + level) for _ in range(3)) for _ in range(4)]
        (p, q, r), *others = points
        (a, b, c), (d, e, f), (g, h, i) = [(x - p, y - q, z - r) for x, y, z in others]
        six = abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
        if six:
            break
    listed = ", ".join(f"$({x}, {y}, {z})$" for x, y, z in points)
    return f"A tetrahedron has the vertices {listed}. What is its volume?", fraction(Fraction(six, 6))


def tangent_length(chance: Random, level: int) -> Made:
    """From a point outside to a circle, by Pythagoras."""
    import sympy

    a, b = nonzero(chance, 4 * level), nonzero(chance, 4 * level)
    radius = chance.randint(1, 2 + 2 * level)
    while True:
        x, y = a + nonzero(chance, 12), b + nonzero(chance, 12)
        power = (x - a) ** 2 + (y - b) ** 2 - radius**2
        if power > 0:
            break
    return (
        f"A circle has the centre $({a}, {b})$ and the radius ${radius}$. A line through $({x}, "
        f"{y})$ touches "
        "it. How far is it from that point to the point of contact?"
    ), latex(sympy.sqrt(power))


def _triangle(chance: Random, most: int) -> list[Point]:
    """Three points that are on no line."""
    while True:
        points = [(chance.randint(-most, most), chance.randint(-most, most)) for _ in range(3)]
        (a, b), (c, d), (e, f) = points
        if (c - a) * (f - b) != (e - a) * (d - b):
            return points


FAMILIES = families(
    "geometry", polygon_area, distance, circumradius, lattice_points, tetrahedron, tangent_length
)
