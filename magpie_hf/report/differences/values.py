"""Recipes and numbers of two sides as flat names with their values, where these differ.

Not here: rows.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from magpie_hf.card.stats import Samples, Tally, tallies
from magpie_hf.errors import BadInput
from magpie_hf.report.differences.sides import Side, provenance_of

_NAMES = ("key", "name", "title")  # what tells the members of a list apart
Values = dict[str, Any]
Changed = dict[str, tuple[Any, Any]]  # name -> the values of both sides; None where one has none


def recipe_differences(before: Side, after: Side) -> Changed:
    """What differs in the recipes; none where one side does not say how it was made."""
    if not (before.builds and after.builds):
        return {}
    recipes = [provenance_of(side) for side in (before, after)]
    for recipe in recipes:
        recipe.pop("format", None)
    return differing(*(dict(_flat(recipe)) for recipe in recipes))


def number_differences(before: Side, after: Side) -> Changed:
    """The numbers of the cards that differ; none where one side does not count its samples."""
    sides = [_numbers(side) for side in (before, after)]
    return differing(*sides) if all(sides) else {}


def differing(before: Values, after: Values) -> Changed:
    """The names whose values differ, in the order of the first side and then of the second."""
    return {
        name: (before.get(name), after.get(name))
        for name in {**before, **after}
        if name not in before or name not in after or before[name] != after[name]
    }


def _numbers(side: Side) -> Values:
    samples = {key: Samples(**counts) for build in side.builds for key, counts in build.samples.items()}
    try:
        found = tallies(side.data, samples)
    except (BadInput, KeyError):  # columns of another version
        return {}
    return {f"{domain}.{name}": value for domain, one in found.items() for name, value in _tally(one)}


def _tally(one: Tally) -> list[tuple[str, Any]]:
    pairs = one.pairs
    gaps = {
        kind: {"count": len(values), "median_score_gap": round(statistics.median(values), 4)}
        for kind, values in pairs.score_gaps.items()
    }
    funnel = {key: value for key, value in asdict(one.funnel).items() if key != "domain"}
    share = one.answers.majority_share
    answers = {**asdict(one.answers), "majority_share": None if share is None else round(share, 4)}
    passes = {} if one.passes is None else asdict(one.passes)
    means = {
        name: None if (value := passes[name]) is None else round(value, 4)
        for name in ("mean", "inside")
        if passes
    }
    parts = {
        **funnel,
        **answers,
        "pass_rates": {**passes, **means},
        "pair_kinds": gaps,
        "delta": pairs.delta,
        "chosen_longer": pairs.longer,
        "no_pair": pairs.lost,
    }
    return _flat(parts)


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Names joined by dots, with plain values; a list of plain values is one value."""
    if isinstance(value, Mapping):
        return [pair for key, one in value.items() for pair in _flat(one, f"{name}.{key}" if name else key)]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        named: dict[str, Any] = {}
        for number, one in enumerate(value):
            known = next((str(one[key]) for key in _NAMES if one.get(key)), str(number))
            named[known if known not in named else f"{known}#{number}"] = {
                key: part for key, part in one.items() if str(part) != known
            }
        return _flat(named, name)
    if isinstance(value, list):
        plain = all(isinstance(one, str) for one in value)
        return [(name, ", ".join(value) if plain else json.dumps(value, ensure_ascii=False))]
    return [(name, value)]
