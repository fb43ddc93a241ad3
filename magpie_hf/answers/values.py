"""Evidence from values: whether two parsed answers are the same or apart, in numbers. Runs in a worker.

Not here: proofs.

Numbers are computed to 40 digits. Expressions in the same symbols are compared at fixed points; relations and
sets by the points they contain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import sympy
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

SAME, APART = "same", "apart"
# What sympy raises where it cannot compute: a sum up to 7/3, a comparison of complex numbers, a pole.
NO_VALUE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
_DIGITS = 40
# Positive whole numbers first, because almost every domain contains them.
_POINTS = [sympy.Integer(n) for n in (2, 3, 5, 7, 4, 6, 8, 9, 12)] + [
    sympy.Rational(*p) for p in ((38, 17), (9, 23), (-47, 19), (-3, 1), (29, 19), (7, 22))
]
_LEAST = 6  # points at which functions must agree: gcd(n, 4) and gcd(n, 2) do at all primes but one
_DECIMAL = re.compile(r"\d*\.\d+(?!\d|\)?\^)")  # a base is no rounded result
_WHOLE = frozenset("ijklmnpqNK")  # names of variables that may be whole numbers: n > 2 is then n >= 3


def prepared(parsed: Any) -> Any:
    """The expression with i as the imaginary unit, zeta as Riemann's, and decimals as exact fractions."""
    if not isinstance(parsed, (sympy.Basic, sympy.MatrixBase)):
        return parsed
    for call in parsed.atoms(AppliedUndef):
        if call.func.__name__ == r"\zeta" and len(call.args) == 1:
            parsed = parsed.xreplace({call: sympy.zeta(call.args[0])})
    units = {symbol: sympy.I for symbol in parsed.free_symbols if symbol.name == "i"}
    decimals = {number: sympy.Rational(str(number)) for number in parsed.atoms(sympy.Float)}
    return parsed.subs(units).xreplace(decimals) if units or decimals else parsed


def evidence(one: Any, other: Any, texts: tuple[str, str]) -> str | None:
    """SAME, APART, or None where values show neither."""
    if isinstance(one, sympy.MatrixBase) and isinstance(other, sympy.MatrixBase):
        return _matrices(one, other, texts)
    if isinstance(one, (sympy.Set, Relational, Boolean)) and isinstance(
        other, (sympy.Set, Relational, Boolean)
    ):
        return _holders(one, other)
    if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr)) or one.atoms(
        AppliedUndef
    ) | other.atoms(AppliedUndef):
        return None
    names = [sorted(symbol.name for symbol in side.free_symbols) for side in (one, other)]
    if names[0] != names[1]:
        return None
    return _functions(one, other, names[0]) if names[0] else _numbers(one, other, texts)


def number(expression: Any) -> Any | None:
    """The value of a closed expression to 40 digits, possibly infinite; None where it has none."""
    try:
        value = sympy.N(expression.doit(), _DIGITS)
    except NO_VALUE:
        return None
    if value in (sympy.oo, -sympy.oo):
        return value
    return value if value.is_number and value.is_finite and not value.has(sympy.zoo, sympy.nan) else None


def _numbers(one: Any, other: Any, texts: tuple[str, str]) -> str | None:
    first, second = number(one), number(other)
    if first is None or second is None:
        return None
    if sympy.oo in (abs(first), abs(second)):
        return SAME if first == second else APART
    if one.is_Rational and other.is_Rational:
        verdict: str | None = SAME if one == other else APART
    elif (verdict := _close(first, second)) != APART and (apart := _is_apart(one, other)) is not None:
        verdict = APART if apart else SAME
    elif bool(first.is_real) != bool(second.is_real) and not any(
        "i" in text.replace(r"\pi", "").replace("in", "") for text in texts
    ):
        return None  # a negative number's root: real in one reading, principal in the other
    else:
        verdict = _close(first, second)
    return _as_decimals(first, second, (one, other), texts) if verdict == APART else verdict


def _is_apart(one: Any, other: Any) -> bool | None:
    """Whether two numbers of which 20 digits agree differ: 1 - (5/6)^400 and 1; None where that is not known.

    The difference is computed with up to 1,000 digits, and rationals are written out.
    """
    if one.has(sympy.Integral, sympy.Sum, sympy.Product) or other.has(
        sympy.Integral, sympy.Sum, sympy.Product
    ):
        return None
    exact = [side.doit() for side in (one, other)]
    if all(side.is_Rational for side in exact):
        return bool(exact[0] != exact[1])
    try:
        apart = (exact[0] - exact[1]).evalf(30, maxn=1000)
    except NO_VALUE:
        return None
    if apart == 0:
        return False
    parts = [part for part in apart.as_real_imag() if part != 0]
    return any(part.is_Float and part._prec > 1 for part in parts)


def _close(first: Any, second: Any) -> str | None:
    apart, size = abs(first - second), max(abs(first), abs(second))
    if apart <= size * 10**-30 or apart < 10**-35:
        return SAME
    return APART if apart > size * 10**-20 and apart > 10**-30 else None


def _as_decimals(first: Any, second: Any, exact: tuple[Any, Any], texts: tuple[str, str]) -> str | None:
    """APART for values that differ; None where one may be the other, rounded or cut at its last place.

    Six equal digits, relative to the number's size, count as equal, as in math-verify.
    """
    decimals = [_DECIMAL.findall(text) for text in texts]
    places = [[len(found.partition(".")[2]) for found in side] for side in decimals]
    apart = abs(first - second) / max(abs(first), abs(second))
    most = max([0, *places[0], *places[1]])
    written_out = not any("10^" in text for text in texts) and all(
        (side * 10**most).is_Integer for side in exact
    )
    if places[0] == places[1] or (written_out and not all(places)):
        return APART  # neither is a rounded form of the other: both can be written with so many places
    if apart < 2e-6 and max(places[0] + places[1]) >= 6:
        return SAME
    units = [
        10.0 ** -len(found.partition(".")[2]) / float(found)
        for side in decimals
        for found in side
        if float(found)
    ]
    return None if units and apart <= 1.01 * max(units) else APART


def _functions(one: Any, other: Any, names: list[str]) -> str | None:
    """APART only if nearly every point shows it, because two functions may meet at one point.

    For some readers sqrt(x^2) is x; cos(n pi) is (-1)^n for all.
    """
    verdicts = [verdict for verdict in _at_points(one, other, names) if verdict]
    same = verdicts.count(SAME)
    if len(verdicts) < 3 or 1 < same < len(verdicts) or (same and len(verdicts) < _LEAST):
        return None
    return SAME if same == len(verdicts) else APART


def _at_points(one: Any, other: Any, names: list[str]) -> Iterator[str | None]:
    imaginary = one.has(sympy.I) or other.has(sympy.I)
    for start in range(len(_POINTS)):
        values = {name: _POINTS[(start + 3 * place) % len(_POINTS)] for place, name in enumerate(names)}
        first, second = (_at(side, values) for side in (one, other))
        if first is None or second is None or sympy.oo in (abs(first), abs(second)):
            continue
        if not imaginary and (abs(sympy.im(first)) > 10**-30 or abs(sympy.im(second)) > 10**-30):
            continue  # outside the domain that the answer means
        yield _close(first, second)


def equations(one: Any, other: Any) -> str | None:
    """Of what is zero in two equations: SAME where one is the other times a constant or a power of it.

    APART where their polynomials have different zeros, even complex ones: x^2 + 2 = 0 and x^2 + 3 = 0. Beside
    letters they may hold one other generator, such as e^x, without letters of its own outside of it.
    """
    if one.atoms(AppliedUndef) | other.atoms(AppliedUndef):
        return None
    if {symbol.name for symbol in one.free_symbols} != {symbol.name for symbol in other.free_symbols}:
        return None
    try:
        sides = [sympy.together(side.doit()).as_numer_denom()[0] for side in (one, other)]
        first, second = sympy.parallel_poly_from_expr([sympy.expand(side) for side in sides])[0]
        others = [generator for generator in first.gens if not generator.is_Symbol]
        bound = {symbol for generator in others for symbol in generator.free_symbols} & set(first.gens)
        bare = [poly.sqf_part() for poly in (first, second)]
        if bare[0].is_zero or bare[1].is_zero or bare[0].is_ground or bare[1].is_ground:
            return None
        if (bare[0] * bare[1].LC() - bare[1] * bare[0].LC()).is_zero:
            return SAME
        if len(others) > 1 or bound or _have_the_same_roots(first, second):
            return None
    except (*NO_VALUE, sympy.PolynomialError):
        return None
    return APART


def _have_the_same_roots(first: Any, second: Any) -> bool:
    """Whether two polynomials of one letter have the same real roots, at least one."""
    if len(first.gens) != 1:
        return False
    roots = [set(sympy.real_roots(poly)) for poly in (first, second)]
    return bool(roots[0]) and roots[0] == roots[1]


def constant(apart: Any) -> str | None:
    """SAME where a difference has one value at all points, APART where it has not."""
    if not apart.free_symbols:
        return SAME
    values = list(_real_values(apart))
    if len(values) < 3:
        return None
    verdicts = {_close(value - values[0] + 1, sympy.Integer(1)) for value in values}
    return SAME if verdicts == {SAME} else APART if APART in verdicts else None


def vanishes(expression: Any) -> bool:
    """Whether nothing shows that an expression is other than zero."""
    return all(abs(value) < 10**-30 for value in _real_values(expression))


def _real_values(expression: Any) -> Iterator[Any]:
    names = sorted(symbol.name for symbol in expression.free_symbols)
    for start in range(len(_POINTS) if names else 1):
        value = _at(
            expression,
            {name: _POINTS[(start + 3 * place) % len(_POINTS)] for place, name in enumerate(names)},
        )
        if value is not None and value.is_real and value.is_finite:
            yield value


def _at(side: Any, values: dict[str, Any]) -> Any | None:
    try:
        return number(side.subs({symbol: values[symbol.name] for symbol in side.free_symbols}))
    except NO_VALUE:
        return None


def _matrices(one: Any, other: Any, texts: tuple[str, str]) -> str | None:
    if one.shape != other.shape:
        return APART if one.shape != other.shape[::-1] else None
    verdicts = {evidence(a, b, texts) for a, b in zip(one, other, strict=True)}
    return APART if APART in verdicts else SAME if verdicts == {SAME} else None


def _holders(one: Any, other: Any) -> str | None:
    """Sets and relations in one variable: APART where a test point is in one and not in the other."""
    symbols = {
        symbol.name
        for side in (one, other)
        if not isinstance(side, sympy.Set)
        for symbol in side.free_symbols
    }
    if len(symbols) > 1 or any(isinstance(side, sympy.Set) and side.free_symbols for side in (one, other)):
        return None
    samples = sorted(
        {number for side in (one, other) for number in _bounds(side)} | {sympy.Integer(0)}, key=float
    )
    points = [
        samples[0] - 1,
        *samples,
        *((low + high) / 2 for low, high in pairwise(samples)),
        samples[-1] + 1,
        samples[-1] + sympy.Rational(7, 3),
    ]
    if symbols & _WHOLE:
        points = [sympy.floor(point) for point in points] + [sympy.ceiling(point) for point in points]
    for point in points:
        inside = [_holds(side, point) for side in (one, other)]
        if None not in inside and inside[0] != inside[1]:
            return APART
    return None


def _bounds(side: Any) -> set[Any]:
    """The closed finite numbers inside a set or a relation."""
    found = set()
    for part in sympy.preorder_traversal(side):
        if isinstance(part, sympy.Expr) and not part.free_symbols and part.is_real and part.is_finite:
            found.add(part)
    return found


def _holds(side: Any, point: Any) -> bool | None:
    try:
        inside = (
            side.contains(point)
            if isinstance(side, sympy.Set)
            else side.subs(dict.fromkeys(side.free_symbols, point)).doit()
        )
    except NO_VALUE:
        return None
    return None if inside not in (sympy.true, sympy.false) else bool(inside)
