"""Discrete mathematics with known answers: strings, paths, solutions, trees, subsets, permutations.

Not here: other domains.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from random import Random

from magpie_hf.review.calibration.family import Made, families


def strings(chance: Random, level: int) -> Made:
    """Strings without a run, each looked at."""
    letters = 2 + (level > 1)
    length = chance.randint(5, 8) if letters == 3 else chance.randint(6, 12)
    run = chance.randint(2, 3)
    letter = chance.choice("ABC"[:letters])
    count = sum(letter * run not in "".join(word) for word in product("ABC"[:letters], repeat=length))
    alphabet = " and ".join(", ".join("ABC"[:letters]).rsplit(", ", 1))
    return (
        f"How many strings of {length} letters, each of them {alphabet.replace(' and ', ' or ')}, "
        f"have no {run} "
        f"consecutive letters {letter}?"
    ), str(count)


def lattice_paths(chance: Random, level: int) -> Made:
    """Paths that avoid points, square by square."""
    width, height = chance.randint(4, 5 + 2 * level), chance.randint(4, 5 + 2 * level)
    inner = [(x, y) for x in range(1, width) for y in range(1, height)]
    avoided = chance.sample(inner, level)
    paths = {(0, 0): 1}
    for x in range(width + 1):
        for y in range(height + 1):
            if (x, y) != (0, 0):
                paths[x, y] = 0 if (x, y) in avoided else paths.get((x - 1, y), 0) + paths.get((x, y - 1), 0)
    points = " or ".join(f"$({x}, {y})$" for x, y in sorted(avoided))
    return (
        f"A path goes from $(0, 0)$ to $({width}, {height})$ in unit steps to the right or "
        "upwards. How many such "
        f"paths do not pass through {points}?"
    ), str(paths[width, height])


def bounded_solutions(chance: Random, level: int) -> Made:
    """Solutions of an equation in whole numbers with bounds, each looked at."""
    unknowns = level + 2
    bounds = [chance.randint(2, 6) for _ in range(unknowns)]
    total = chance.randint(unknowns, sum(bounds) - 1)
    count = sum(sum(case) == total for case in product(*(range(bound + 1) for bound in bounds)))
    left = " + ".join(f"x_{number}" for number in range(1, unknowns + 1))
    said = ", ".join(f"$0 \\le x_{number} \\le {bound}$" for number, bound in enumerate(bounds, 1))
    return f"How many integer solutions does the equation ${left} = {total}$ have with {said}?", str(count)


def spanning_trees(chance: Random, level: int) -> Made:
    """By Kirchhoff's theorem, in fractions."""
    size = level + 3
    pairs = [(a, b) for a in range(size) for b in range(a + 1, size)]
    while True:
        edges = sorted(chance.sample(pairs, chance.randint(size, min(len(pairs), size + 3))))
        count = _trees(size, edges)
        if count > 1:
            break
    listed = ", ".join(f"{a + 1}-{b + 1}" for a, b in edges)
    return (
        f"A graph has the vertices 1 to {size} and the edges {listed}. How many spanning trees does it have?"
    ), str(count)


def subsets(chance: Random, level: int) -> Made:
    """Subsets whose sum has a divisor, sum by sum."""
    most, divisor = chance.randint(6, 8 + 3 * level), chance.randint(3, 4 + 2 * level)
    sums = {0: 1}
    for number in range(1, most + 1):
        grown = dict(sums)
        for rest, count in sums.items():
            grown[(rest + number) % divisor] = grown.get((rest + number) % divisor, 0) + count
        sums = grown
    return (
        f"How many subsets of $\\{{1, 2, \\dots, {most}\\}}$ have a sum of elements that is "
        f"divisible by {divisor}? "
        "The empty set, with sum 0, counts."
    ), str(sums[0])


def fixed_points(chance: Random, level: int) -> Made:
    """Permutations with so many fixed points or so many inversions, each looked at."""
    size = chance.randint(4, 4 + level)
    held = list(permutations(range(size)))
    if chance.random() < 0.5:
        wanted = chance.randint(0, size - 2)
        count = sum(sum(place == one for place, one in enumerate(case)) == wanted for case in held)
        said = f"exactly {wanted} fixed points" if wanted != 1 else "exactly 1 fixed point"
    else:
        wanted = chance.randint(2, size + 2)
        count = sum(
            sum(a > b for place, a in enumerate(case) for b in case[place + 1 :]) == wanted for case in held
        )
        said = f"exactly {wanted} inversions"
    return f"How many permutations of the numbers from 1 to {size} have {said}?", str(count)


def _trees(size: int, edges: list[tuple[int, int]]) -> int:
    rows = [[Fraction(0)] * size for _ in range(size)]
    for a, b in edges:
        rows[a][a] += 1
        rows[b][b] += 1
        rows[a][b] -= 1
        rows[b][a] -= 1
    minor = [row[1:] for row in rows[1:]]
    value = Fraction(1)
    for place in range(size - 1):
        pivot = next((row for row in range(place, size - 1) if minor[row][place]), None)
        if pivot is None:
            return 0
        if pivot != place:
            minor[place], minor[pivot], value = minor[pivot], minor[place], -value
        value *= minor[place][place]
        for row in range(place + 1, size - 1):
            part = minor[row][place] / minor[place][place]
            minor[row] = [a - part * b for a, b in zip(minor[row], minor[place], strict=True)]
    return int(value)


FAMILIES = families(
    "discrete", strings, lattice_paths, bounded_solutions, spanning_trees, subsets, fixed_points
)
