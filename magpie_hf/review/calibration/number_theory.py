"""Number theory with known answers: divisors, congruences, powers, remainders, all by trying.

Not here: other domains.
"""

from __future__ import annotations

from math import gcd, lcm, prod
from random import Random

from magpie_hf.review.calibration.family import Made, combination, families

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def common_divisor(chance: Random, level: int) -> Made:
    """Of numbers with planted common factors."""
    common = chance.randint(6, 30 * 10**level)
    values = [common * chance.randint(2, 10 * 10**level) for _ in range(2 + (level > 1))]
    listed = ", ".join(map(str, values[:-1])) + f" and {values[-1]}"
    return f"What is the greatest common divisor of {listed}?", str(gcd(*values))


def congruence(chance: Random, level: int) -> Made:
    """The least solution, by trying all."""
    modulus = chance.randint(20 * level, 120 * level)
    while True:
        factor, rest = chance.randint(2, modulus - 1), chance.randint(1, modulus - 1)
        solutions = [x for x in range(1, modulus + 1) if (factor * x - rest) % modulus == 0]
        if solutions:
            break
    return (
        f"Find the smallest positive integer $x$ with ${factor}x \\equiv {rest} \\pmod{{{modulus}}}$."
    ), str(solutions[0])


def power_remainder(chance: Random, level: int) -> Made:
    """The remainder of a power, or of a tower of two."""
    base, modulus = chance.randint(2, 30 * level), chance.randint(7, 60 * level)
    if level == 3:
        middle, top = chance.randint(3, 20), chance.randint(3, 12)
        return (f"What is the remainder when ${base}^{{{middle}^{{{top}}}}}$ is divided by {modulus}?"), str(
            pow(base, middle**top, modulus)
        )
    exponent = chance.randint(20, 10 ** (level + 2))
    return (f"What is the remainder when ${base}^{{{exponent}}}$ is divided by {modulus}?"), str(
        pow(base, exponent, modulus)
    )


def remainders(chance: Random, level: int) -> Made:
    """The least number with given remainders, by trying all."""
    while True:
        moduli = chance.sample(range(3, 10 + 5 * level), 2 + (level > 1))
        if lcm(*moduli) == prod(moduli):
            break
    number = chance.randint(1, prod(moduli))
    rests = [number % modulus for modulus in moduli]
    found = next(
        x
        for x in range(1, prod(moduli) + 1)
        if all(x % modulus == rest for modulus, rest in zip(moduli, rests, strict=True))
    )
    said = [f"{rest} when divided by {modulus}" for rest, modulus in zip(rests, moduli, strict=True)]
    listed = ", ".join(said[:-1]) + f" and {said[-1]}"
    return f"What is the smallest positive integer that leaves the remainders {listed}?", str(found)


def divisors(chance: Random, level: int) -> Made:
    """Their number or their sum, counted one by one."""
    while True:
        number = prod(chance.choice(PRIMES[: 3 + level]) ** chance.randint(1, 3) for _ in range(level + 1))
        if 30 < number < 300_000:
            break
    held = [one for one in range(1, number + 1) if number % one == 0]
    kind = chance.choice(("number", "sum"))
    return (f"What is the {kind} of the positive divisors of {number}?"), str(
        len(held) if kind == "number" else sum(held)
    )


def quadratic_residues(chance: Random, level: int) -> Made:
    """The solutions of a quadratic congruence in one period, counted one by one."""
    modulus = chance.randint(15, 120 * level)
    linear, root = chance.randint(0, 9), chance.randrange(modulus)
    constant = -(root * root + linear * root) % modulus
    count = sum((x * x + linear * x + constant) % modulus == 0 for x in range(modulus))
    left = combination((1, linear, constant), ("x^2", "x", ""))
    return (
        f"How many integers $x$ with $0 \\le x < {modulus}$ satisfy ${left} \\equiv 0 \\pmod{{{modulus}}}$?"
    ), str(count)


FAMILIES = families(
    "number_theory", common_divisor, congruence, power_remainder, remainders, divisors, quadratic_residues
)
