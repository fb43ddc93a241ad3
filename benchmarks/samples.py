"""Problems, and samples that are no problems, made from a number.

Not here: what uses them. Distinct numbers give texts that share few words.
"""

from __future__ import annotations

import json
import random

_SUBJECTS = (
    "abelian group", "finite field", "polynomial ring", "convex polygon", "quadrilateral", "planar graph",
    "random walk", "martingale", "series", "contour integral", "prime ideal", "lattice", "binary tree",
    "Markov chain", "projective plane", "hyperbola", "matrix", "permutation", "partition", "congruence",
    "Dirichlet series", "measure", "linear operator", "Hilbert space", "simplex", "tournament", "triangle",
    "ellipse", "sample mean", "likelihood", "estimator", "recurrence", "determinant", "eigenvalue", "form",
    "manifold",
)  # fmt: skip
_ADJECTIVES = (
    "nontrivial", "symmetric", "bounded", "monotone", "irreducible", "separable", "maximal", "regular",
    "compact", "ordered", "weighted", "oriented", "smooth", "discrete", "uniform", "primitive", "normal",
    "simple", "perfect", "generic", "stable", "reduced", "isolated",
)  # fmt: skip
_TASKS = (
    "Determine the largest possible value of {f} over every {a} {s}",
    "Compute {f} for the {a} {s} that is described above the {b} {t} by its order",
    "Find all positive integers $n$ for which some {a} {s} carries a {b} {t} with {f}",
    "Prove that each {a} {s} contains a {b} {t} such that {f}",
    "Let $X$ be a {a} {s} and let $Y$ be a {b} {t}. Evaluate {f} in closed form",
    "How many {a} {s} structures admit a {b} {t} whose invariant equals {f}?",
)  # fmt: skip


def problem(number: int) -> str:
    """A problem that Clean keeps."""
    dice = random.Random(number)
    formula = f"$x^{{{dice.randint(2, 9)}}} + {dice.randint(2, 10**6)}x = {dice.randint(2, 10**6)}$"
    words = {
        "f": formula,
        "a": dice.choice(_ADJECTIVES),
        "s": dice.choice(_SUBJECTS),
        "b": dice.choice(_ADJECTIVES),
        "t": dice.choice(_SUBJECTS),
    }
    text = dice.choice(_TASKS).format(**words)
    more = (
        f"Here the {dice.choice(_ADJECTIVES)} {dice.choice(_SUBJECTS)} of rank {dice.randint(2, 10**6)} acts"
        f" on a {dice.choice(_SUBJECTS)}."
    )
    return f"{more} {text}{'' if text[-1] == '?' else '.'}"


def junk(number: int) -> str:
    """A sample that Clean drops."""
    dice = random.Random(number)
    return dice.choice(
        (
            f"{problem(number)[:-1]} such that",
            f"Hello! How are you today? My cat is called Tom {number}.",
            f"Solve $x^2 + {number} = \\frac{{1",
            f"What is the area of the region shown in the figure below, number {number}?",
            "",
        )
    )


def labels(domain: str, **values: str) -> str:
    """The labels that a tagger gives to a problem, as JSON."""
    good = {"quality": "good", "difficulty": "hard", "solvability": "solvable", "category": "computation"}
    good |= {"kind": "computation", "complete": "yes", "solution": "none", "end": ""}
    return json.dumps({"domain": domain, **good, **values})
