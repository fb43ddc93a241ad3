"""Problems with known answers: their answers by another way, their texts by the product's own rules.

Not here: what a solver makes of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sympy
from sympy.ntheory.modular import crt
from sympy.parsing.sympy_parser import (
    convert_xor,
    implicit_multiplication_application,
    parse_expr,
    standard_transformations,
)

from magpie_hf.answers.comparison import Limits, compare
from magpie_hf.answers.equality import relation
from magpie_hf.answers.extraction import final_answer
from magpie_hf.domains import DOMAINS
from magpie_hf.errors import BadInput
from magpie_hf.problems.cleaning.rules import reason_of, trim
from magpie_hf.review.calibration.problems import FAMILIES, Known, known_problems
from magpie_hf.review.calibration.values import value_of

READ = (*standard_transformations, convert_xor, implicit_multiplication_application)
X = sympy.Symbol("x")


def formula(text: str) -> Any:
    text = re.sub(r"\\frac\{(.*?)\}\{(.*?)\}", r"(\1)/(\2)", text)
    text = re.sub(r"\\(?=[a-z])", "", text.replace("{", "(").replace("}", ")"))
    return parse_expr(text, {"e": sympy.E}, transformations=READ)


def whole(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"(?<![\d.])-?\d+", text)]


def points(text: str) -> list[tuple[int, ...]]:
    return [tuple(whole(one)) for one in re.findall(r"\(([-\d, ]+)\)", text)]


def found(pattern: str, text: str) -> list[str]:
    match = re.search(pattern, text)
    assert match, text
    return list(match.groups())


def matrix(text: str) -> Any:
    rows = found(r"begin\{pmatrix\} (.*) \\end", text)[0].split(r"\\")
    return sympy.Matrix([whole(row) for row in rows]).det(method="berkowitz")


def system(text: str) -> Any:
    lines = found(r"align\*\}\n([\s\S]*)\n\\end", text)[0].split(r"\\")
    sides = [[formula(side.replace("&", "")) for side in line.split("&=")] for line in lines]
    solution = sympy.solve([left - right for left, right in sides], dict=True)[0]
    return formula(found(r"value of \$(.*)\$\.", text)[0]).subs(solution)


def roots(text: str) -> Any:
    held, power = found(r"polynomial \$([^$]*)\$.*\^(\d)\$", text)
    return sum(root ** int(power) for root in sympy.Poly(formula(held), X).nroots(n=60))


def derivative(text: str) -> Any:
    function, at = found(r"f\(x\) = (.*)\$\. Compute \$f'\((-?\d+)\)", text)
    return sympy.diff(sympy.expand(formula(function)), X).subs(X, int(at))


def integral(text: str) -> Any:
    low, high, function = found(r"int_\{(-?\d+)\}\^\{(-?\d+)\} \\left\((.*)\\right\)", text)
    return sympy.integrate(formula(function), (X, int(low), int(high)))


def integral_by_parts(text: str) -> Any:
    high, factor, shape = found(r"int_\{0\}\^\{(.*?)\} \\left\((.*)\\right\) (.*) \\, dx", text)
    function = formula(factor) * formula(shape)
    return sympy.Integral(function, (X, 0, formula(high))).evalf(40)


def limit(text: str) -> Any:
    at, top, below = found(r"to (-?\d+)\} \\frac\{(.*)\}\{(.*)\}\$\.", text)
    return sympy.limit(formula(top) / formula(below), X, int(at))


def extreme(text: str) -> Any:
    kind, function, low, high = found(r"the (\w+) value .* = (.*)\$ on .*\[(-?\d+), (-?\d+)\]", text)
    f = formula(function)
    inside = [x for x in sympy.roots(sympy.Poly(sympy.diff(f, X), X)) if int(low) <= x <= int(high)]
    return {"maximum": max, "minimum": min}[kind](f.subs(X, x) for x in (*inside, int(low), int(high)))


def series(text: str) -> Any:
    power, exponent, below = found(r"x\^\{(\d+)\}\$ in .*e\^\{(.*)\}\}\{(.*)\}\$ about", text)
    function = sympy.exp(formula(exponent)) / formula(below)
    return sympy.diff(function, X, int(power)).subs(X, 0) / sympy.factorial(int(power))


def distance(text: str) -> Any:
    point, one, other = points(text)
    return sympy.Line(sympy.Point(one), sympy.Point(other)).distance(sympy.Point(point))


def tetrahedron(text: str) -> Any:
    return abs(sympy.Matrix([[*point, 1] for point in points(text)]).det()) / sympy.Integer(6)


def tangent(text: str) -> Any:
    centre, point = points(text)
    radius = int(found(r"radius \$(\d+)\$", text)[0])
    line = sympy.Circle(sympy.Point(centre), radius).tangent_lines(sympy.Point(point))[0]
    touching = sympy.Circle(sympy.Point(centre), radius).intersection(line)[0]
    return sympy.Point(point).distance(touching)


def dice(text: str) -> Any:
    number, sides, _, _, relation, wanted = found(
        r"^(\d+) fair dice, whose (\d+) sides .* (\d+) to (\d+),.* is (exactly|at least) (\d+)\?", text
    )
    power = sympy.Poly(sum(X**k for k in range(1, int(sides) + 1)) ** int(number), X)
    totals = {exponent: count for (exponent,), count in power.terms()}
    exactly = relation == "exactly"
    good = [n for total, n in totals.items() if total == int(wanted) or (total > int(wanted) and not exactly)]
    return sympy.Rational(sum(good), int(sides) ** int(number))


def urn(text: str) -> Any:
    numbers = found(r"(\d+) red and (\d+) blue .*? (\d+) balls .* least (\d+)", text)
    red, blue, taken, least = map(int, numbers)
    fewer = sum(sympy.binomial(red, k) * sympy.binomial(blue, taken - k) for k in range(least))
    return 1 - sympy.Rational(fewer, sympy.binomial(red + blue, taken))


def expected(text: str) -> Any:
    number, most, kind = found(r"^(\d+) numbers .* 1 to (\d+)\. .* of the (\w+) of", text)
    largest = int(most) - sum(sympy.Rational(k, int(most)) ** int(number) for k in range(1, int(most)))
    return largest if kind == "largest" else int(most) + 1 - largest


def bayes(text: str) -> Any:
    shares, faults = re.findall(r"(\d+)% by machine", text), re.findall(r"(\d+)% for", text)
    wanted = "ABCD".index(found(r"machine (\w) made it", text)[0])
    each = [int(a) * int(b) for a, b in zip(shares, faults, strict=True)]
    return sympy.Rational(each[wanted], sum(each))


def token(text: str) -> Any:
    steps, top, below, place = found(r"of (\d+) steps .*\\frac\{(\d+)\}\{(\d+)\}.* ends at (-?\d+)\?", text)
    right, p = (int(steps) + int(place)) // 2, sympy.Rational(int(top), int(below))
    return sympy.binomial(int(steps), right) * p**right * (1 - p) ** (int(steps) - right)


def congruence(text: str) -> Any:
    factor, rest, modulus = (int(one) for one in found(r"\$(\d+)x .*equiv (\d+) .*pmod\{(\d+)\}", text))
    common = sympy.igcd(factor, modulus)
    modulus //= common
    return (rest // common * sympy.mod_inverse(factor // common, modulus) - 1) % modulus + 1


def power(text: str) -> Any:
    base, exponent, modulus = found(r"\$(\d+)\^\{(.*)\}\$ is divided by (\d+)", text)
    value, (one, *more) = int(base), whole(exponent)
    for _ in range(more[0] if more else 1):  # a power of a power of ...
        value = value**one % int(modulus)
    return value


def remainders(text: str) -> Any:
    pairs = [(int(a), int(b)) for a, b in re.findall(r"(\d+) when divided by (\d+)", text)]
    value, modulus = crt([b for _, b in pairs], [a for a, _ in pairs])
    return value or modulus


def divisors(text: str) -> Any:
    kind, number = found(r"the (\w+) of the positive divisors of (\d+)", text)
    return sympy.divisor_count(int(number)) if kind == "number" else sympy.divisor_sigma(int(number))


def trees(text: str) -> Any:
    size = int(found(r"1 to (\d+) and", text)[0])
    laplacian = sympy.zeros(size, size)
    for a, b in re.findall(r"(\d+)-(\d+)", text):
        for one, other in ((int(a) - 1, int(b) - 1), (int(b) - 1, int(a) - 1)):
            laplacian[one, one] += 1
            laplacian[one, other] -= 1
    values = [value for value in laplacian.eigenvals(multiple=True, rational=True) if value != 0]
    return sympy.re(sympy.N(sympy.prod(values) / size, 30)).round()


def bounded(text: str) -> Any:
    total = int(found(r"= (\d+)\$ have", text)[0])
    bounds = [int(bound) for bound in re.findall(r"le (\d+)\$", text)]
    each = [sum(X**k for k in range(bound + 1)) for bound in bounds]
    return sympy.Poly(sympy.prod(each), X).coeff_monomial(X**total)


# Each in another way than the family's own
OTHERWISE: dict[str, Callable[[str], Any]] = {
    "linear_system": system, "roots": roots, "determinant": matrix, "derivative": derivative,
    "integral": integral, "integral_by_parts": integral_by_parts, "limit": limit, "maximum": extreme,
    "series_coefficient": series, "distance": distance, "tetrahedron": tetrahedron, "tangent_length": tangent,
    "polygon_area": lambda text: abs(sympy.Polygon(*map(sympy.Point, points(text))).area),
    "circumradius": lambda text: sympy.Triangle(*map(sympy.Point, points(text))).circumradius,
    "dice_sum": dice, "urn": urn, "expected_extreme": expected, "bayes": bayes, "moving_token": token,
    "common_divisor": lambda text: sympy.igcd(*whole(text)), "congruence": congruence,
    "power_remainder": power, "remainders": remainders, "divisors": divisors, "spanning_trees": trees,
    "bounded_solutions": bounded,
}  # fmt: skip
PROBLEMS = known_problems(len(FAMILIES) * 2, seed=4, levels=(1, 3))


@pytest.mark.parametrize("one", PROBLEMS, ids=lambda one: f"{one.family}-{one.level}")
def test_each_is_a_problem_with_its_answer(one: Known) -> None:
    assert trim(one.problem) == (one.problem, None)
    assert reason_of(one.problem) is None
    assert final_answer(f"So the answer is $\\boxed{{{one.answer}}}$.") == one.answer
    assert relation(one.answer, one.answer) == "equal"
    if otherwise := OTHERWISE.get(one.family):
        value = otherwise(one.problem)
        assert abs(sympy.N(value - formula(one.answer), 30)) < 1e-20, value


def test_many_from_a_seed() -> None:
    fewer, more = known_problems(100, 7), known_problems(500, 7)
    assert more[:100] == fewer
    assert len({one.problem for one in more}) == 500
    assert known_problems(500, 7) == more
    assert known_problems(100, 8) != fewer
    assert {one.domain for one in more} == set(DOMAINS)
    assert len(FAMILIES) >= 30
    spread = Counter((one.family, one.level) for one in known_problems(3 * len(FAMILIES), 1))
    assert set(spread.values()) == {1}
    assert {one.level for one in fewer[:12]} == {1, 2, 3}
    assert {one.level for one in known_problems(30, 1, ("algebra",), (2,))} == {2}
    with pytest.raises(BadInput, match="no problems with known answers of the domain topology"):
        known_problems(1, domains=("topology",))
    with pytest.raises(BadInput, match="levels are 4; choose from 1, 2 and 3"):
        known_problems(1, levels=(4,))


def spellings(one: Known) -> Iterator[str]:
    """Sentences in which a solver might say the answer."""
    answer, value = one.answer, value_of(one.answer)
    dfrac = answer.replace("\\frac", "\\dfrac")
    yield from (f"So $\\boxed{{{text}}}$." for text in (answer, dfrac, f"x = {answer}"))
    yield f"Hence\n\\[\n\\boxed{{{answer}}}\n\\]"
    yield from (f"**Final Answer:** ${answer}$", f"The answer is ${answer}$.")
    if value is not None and value.is_Rational and not value.is_Integer:
        yield f"So $\\boxed{{{value}}}$."
    if value is not None and value.is_Integer:
        yield f"So $\\boxed{{{int(value):,}}}$."


def test_the_answers_reader_reads_what_a_solver_writes_of_each_family() -> None:
    each = {one.family: one for one in known_problems(3 * len(FAMILIES))}
    said = [(one, text) for one in each.values() for text in spellings(one)]
    lost = [
        (one.family, text, one.answer)
        for one, text in said
        if compare(final_answer(text) or "", one.answer, Limits()).relation != "equal"
    ]
    assert not lost
    assert each.keys() == {family.name for family in FAMILIES}
