"""Scorers of one's own: what they must have, and how a recipe file names one.

Not here: the scorers of the package.
"""

from __future__ import annotations

from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.named import is_frozen, object_of
from magpie_hf.scorers.base import Scorer
from magpie_hf.stage import identity, use_of


def scorer_of(spec: Any, where: str = "scorer") -> Scorer:
    """The scorer of a recipe file: a dict with use and with, as in `named.SCHEMA`.

    Its field `engine` may be the name of a role, as a step's. Raises BadInput in one line, which begins with
    its place.
    """
    scorer: Scorer = object_of(spec, where)
    try:
        check_scorer(scorer)
    except BadInput as error:
        raise BadInput(f"{where}.use: {error}") from error
    return scorer


def check_scorer(scorer: Any) -> None:
    """Raises BadInput for a scorer of one's own that lacks a part, or has no stable identity."""
    use = use_of(scorer)
    parts = ("suffix", "title", "engine", "read", "names", "least_score_gap", "check", "__call__")
    if lacking := [part for part in parts if not hasattr(scorer, part)]:
        raise BadInput(f"{use} is no scorer, as it has no {', '.join(lacking)}; see magpie_hf.Scorer")
    if not is_frozen(scorer):
        raise BadInput(f"{use} is no frozen dataclass; decorate it with @dataclass(frozen=True)")
    if scorer.read not in ("answer", "whole"):
        raise BadInput(f"read of {use} is {scorer.read!r}; choose answer or whole")
    try:
        hash(scorer)
        identity(scorer)
    except TypeError as error:
        raise BadInput(f"{use} has a field without a stable identity ({error}); give plain values") from error
