"""Statistics with known answers: probabilities by enumeration, means, variances, Bayes, steps.

Not here: other domains.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb
from random import Random

from magpie_hf.review.calibration.family import Made, families, fraction


def dice_sum(chance: Random, level: int) -> Made:
    """Every roll is looked at."""
    dice, sides = level + 1, chance.choice((4, 6, 8))
    wanted = chance.randint(dice + 1, dice * sides - 1)
    relation = chance.choice(("exactly", "at least"))
    rolls = [sum(roll) for roll in product(range(1, sides + 1), repeat=dice)]
    good = sum(total == wanted if relation == "exactly" else total >= wanted for total in rolls)
    return (
        f"{dice} fair dice, whose {sides} sides each are numbered from 1 to {sides}, are rolled. What is the "
        f"probability that their sum is {relation} {wanted}? Give a fraction in lowest terms."
    ), fraction(Fraction(good, len(rolls)))


def urn(chance: Random, level: int) -> Made:
    """Without replacement: each set of balls is as likely as any other."""
    red, blue = chance.randint(3, 4 + 2 * level), chance.randint(3, 4 + 2 * level)
    taken = chance.randint(2, min(red, blue))
    wanted = chance.randint(1, taken - 1)
    good = sum(comb(red, k) * comb(blue, taken - k) for k in range(wanted, taken + 1))
    return (
        f"An urn holds {red} red and {blue} blue balls. {taken} balls are taken at random without "
        "replacement. "
        f"What is the probability that at least {wanted} of them {'is' if wanted == 1 else 'are'} "
        "red? Give a "
        "fraction in lowest terms."
    ), fraction(Fraction(good, comb(red + blue, taken)))


def expected_extreme(chance: Random, level: int) -> Made:
    """The mean of the largest or smallest of several numbers, over all cases."""
    most, number = chance.randint(4, 8 + 2 * level), level + 1
    kind = chance.choice(("largest", "smallest"))
    cases = [
        max(case) if kind == "largest" else min(case) for case in product(range(1, most + 1), repeat=number)
    ]
    return (
        f"{number} numbers are chosen independently and uniformly from the integers from 1 to "
        f"{most}. What is the "
        f"expected value of the {kind} of them? Give a fraction in lowest terms."
    ), fraction(Fraction(sum(cases), len(cases)))


def bayes(chance: Random, level: int) -> Made:
    """The share of an origin among the faulty ones."""
    names = ("A", "B", "C", "D")[: level + 1]
    cuts = sorted(chance.sample(range(1, 20), len(names) - 1))
    shares = [5 * (b - a) for a, b in zip([0, *cuts], [*cuts, 20], strict=True)]
    faults = [chance.randint(1, 12) for _ in names]
    made = ", ".join(f"{share}% by machine {name}" for share, name in zip(shares, names, strict=True))
    bad = ", ".join(f"{fault}% for {name}" for fault, name in zip(faults, names, strict=True))
    place = chance.randrange(len(names))
    total = sum(a * b for a, b in zip(shares, faults, strict=True))
    return (
        f"Of a factory's parts, {made} are made. The share of faulty parts is {bad}. A part "
        "chosen at random is "
        f"faulty. What is the probability that machine {names[place]} made it? Give a fraction in "
        "lowest terms."
    ), fraction(Fraction(shares[place] * faults[place], total))


def variance(chance: Random, level: int) -> Made:
    """Of a list of numbers, as a population or as a sample."""
    values = [chance.randint(-5, 10 * level) for _ in range(3 + 2 * level)]
    mean = Fraction(sum(values), len(values))
    kind = chance.choice(("population", "sample"))
    divisor = len(values) - (kind == "sample")
    value = sum(((one - mean) ** 2 for one in values), Fraction(0)) / divisor
    return (
        f"Compute the {kind} variance (with divisor {divisor}) of the numbers "
        f"{', '.join(map(str, values))}. Give "
        "an integer or a fraction in lowest terms."
    ), fraction(value)


def moving_token(chance: Random, level: int) -> Made:
    """Where a token is after some steps, step by step."""
    steps = chance.randint(3 + level, 4 + 2 * level)
    numerator, denominator = chance.choice(((1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (2, 5)))
    right = Fraction(numerator, denominator)
    places = {0: Fraction(1)}
    for _ in range(steps):
        moved: dict[int, Fraction] = {}
        for place, share in places.items():
            for to, part in ((place + 1, share * right), (place - 1, share * (1 - right))):
                moved[to] = moved.get(to, Fraction(0)) + part
        places = moved
    place = chance.choice(sorted(places)[1:-1])
    return (
        f"A token starts at 0 on the number line. At each of {steps} steps it moves one unit to "
        "the right with "
        f"probability ${fraction(right)}$ and one unit to the left otherwise, independently. What is the "
        f"probability that it ends at {place}? Give a fraction in lowest terms."
    ), fraction(places[place])


FAMILIES = families("statistics", dice_sum, urn, expected_extreme, bayes, variance, moving_token)
