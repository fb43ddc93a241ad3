"""The six domains as data: the user to imagine, the number of problems, the temperatures.

Not here: any model or prompt format.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from magpie_hf.errors import BadInput
from magpie_hf.models.sampling import Sampling

MAX_PROBLEM_TOKENS = 1024
MAX_RESPONSE_TOKENS = 4096
MOST_ROWS = 10_000_000  # of a domain, in one build
CANDIDATE = Sampling(temperature=0.8, top_p=0.95, max_tokens=MAX_RESPONSE_TOKENS)
# min_p of the default sampling: at T 1.1-1.35 the bare tail is noise (usable samples of a small model: 4 %
# without, 52 % with).
TAIL_CUT = 0.1


@dataclass(frozen=True)
class Domain:
    """One field of mathematics.

    system: a text that describes the user who is about to ask. It gives no order, because an order lowers the
        quality.
    first_token: the temperature of an instruction's first token, which is then sampled on its own from the
        tokens that may open a sentence. None samples it like all other tokens.
    japanese: the name in Japanese; "" shows the key in its place.
    """

    key: str
    japanese: str = field(default="", kw_only=True)
    count: int
    subject: str
    system: str
    instruction: Sampling
    response: Sampling
    candidate: Sampling = CANDIDATE
    first_token: float | None = None


def _domain(
    key: str, japanese: str, count: int, instruction_t: float, response_t: float, subject: str, user: str
) -> Domain:
    system = (
        "You are an AI assistant that gives step-by-step solutions of mathematical problems. The user,"
        f" {user}, will ask you one challenging problem in {subject}. It is a problem at the level of the"
        " International Mathematical Olympiad, the Putnam competition or a PhD qualifying exam, completely"
        " and precisely stated, with a definite answer."
    )
    return Domain(
        key=key,
        japanese=japanese,
        count=count,
        subject=subject,
        system=system,
        instruction=Sampling(temperature=instruction_t, min_p=TAIL_CUT, max_tokens=MAX_PROBLEM_TOKENS),
        response=Sampling(temperature=response_t, max_tokens=MAX_RESPONSE_TOKENS),
    )


DOMAINS: dict[str, Domain] = {
    domain.key: domain
    for domain in (
        _domain(
            "algebra",
            "代数",
            10_000,
            1.30,
            0.05,
            "abstract algebra: groups, rings, Galois theory, field extensions or matrix theory",
            "an algebraist who writes qualifying exams",
        ),
        _domain(
            "calculus",
            "微積分",
            10_000,
            1.20,
            0.0,
            "real and complex analysis: integrals, series, measure theory or functional analysis",
            "an analyst who collects hard integrals and limits",
        ),
        _domain(
            "geometry",
            "幾何",
            6_000,
            1.35,
            0.05,
            "geometry: triangles and circles, projective, differential or algebraic geometry",
            "a geometer who sets olympiad problems",
        ),
        _domain(
            "statistics",
            "統計",
            6_000,
            1.10,
            0.0,
            "probability and statistics: random variables, measure-theoretic probability, inference or"
            " martingales",
            "a statistician who teaches a graduate course in probability",
        ),
        _domain(
            "number_theory",
            "数論",
            4_000,
            1.25,
            0.0,
            "number theory: primes, congruences, Diophantine equations, analytic and algebraic number theory"
            " or L-functions",
            "a number theorist who coaches an olympiad team",
        ),
        _domain(
            "discrete",
            "離散数学",
            8_000,
            1.30,
            0.05,
            "discrete mathematics: graphs, counting, extremal and algebraic combinatorics or complexity",
            "a combinatorialist who loves extremal problems",
        ),
    )
}


def select(keys: Iterable[str]) -> tuple[Domain, ...]:
    """The domains of these keys, in the given order.

    Raises BadInput for an unknown or repeated key, and for no key at all.
    """
    chosen = [key.strip() for key in keys]
    for key in chosen:
        if key not in DOMAINS:
            raise BadInput(f"{key!r} is not a domain; choose from {', '.join(DOMAINS)}")
    if repeated := sorted({key for key in chosen if chosen.count(key) > 1}):
        raise BadInput(f"domain {', '.join(repeated)} is named more than once; name each once")
    if not chosen:
        raise BadInput(f"no domain is named; choose from {', '.join(DOMAINS)}")
    return tuple(DOMAINS[key] for key in chosen)


def scaled(domain: Domain, scale: float) -> Domain:
    """The domain with its count times `scale`, rounded to tens (halves up) and at least 10.

    Raises BadInput unless 0 < scale < inf.
    """
    if not (scale > 0 and math.isfinite(domain.count * scale)):
        raise BadInput(f"scale is {scale:g}; give a positive number such as 0.1, 0.5, 1.0 or 2.0")
    return replace(domain, count=max(10, math.floor(domain.count * scale / 10 + 0.5) * 10))


def with_sampling(domain: Domain, sampling: Literal["default", "original"]) -> Domain:
    """The domain with its own sampling, or with the original's exact values (no tail cut)."""
    if sampling == "default":
        return domain
    if sampling == "original":
        return replace(domain, instruction=replace(domain.instruction, min_p=0.0))
    raise BadInput(f"sampling is {sampling!r}; choose default or original")
