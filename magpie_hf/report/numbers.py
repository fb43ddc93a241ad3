"""The numbers of a report: funnel, reasons and distributions, as the card counts them.

Not here: how the page shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from magpie_hf.card.contents import Contents
from magpie_hf.card.stats import Tally
from magpie_hf.report.columns import DIGITS, SCALES

BINS = 24
STEP = 10**-DIGITS
# Bins centred on the tenths: a share such as 3/5 would lie on the edge of other bins.
_TENTHS = np.linspace(-0.05, 1.05, 12)

Values = Mapping[str, Mapping[str, Sequence[float]]]  # by series, by domain


def funnels(contents: Contents) -> list[dict[str, Any]]:
    """The counts of each domain from samples to pairs, in the order of the recipe."""
    targets = {domain["key"]: domain["count"] for domain in contents.provenance["domains"]}
    return [_funnel(domain, targets[domain], contents.tallies[domain]) for domain in contents.domains]


def _funnel(domain: str, target: int, tally: Tally) -> dict[str, Any]:
    funnel, samples, pairs = tally.funnel, tally.funnel.samples, tally.pairs
    complete = funnel.candidates - sum(funnel.cut_candidates.values())
    return {
        "domain": domain,
        "target": target,
        "sampled": samples.sampled,
        "dropped": sum(samples.dropped.values()),
        "moved_away": samples.moved_away,
        "moved_here": samples.moved_here,
        "problems": funnel.problems,
        "answered": funnel.answered,
        "sft": funnel.sft,
        "candidates": funnel.candidates,
        "complete": complete,
        "scored": complete - sum(funnel.unscored.values()),
        "pairs": pairs.count,
        "on_domain": samples.on_domain_share,
        "tagged": samples.tagged,
        "majorities": tally.answers.majorities,
        "majority_share": tally.answers.majority_share,
        "references": tally.answers.references,
        "opinions": tally.answers.opinions,
        "longer": pairs.longer_share,
    }


def reasons(contents: Contents) -> list[dict[str, Any]]:
    """Every reason for leaving something out, by step, with its count by domain; the most frequent first."""
    numbers = contents.tallies
    steps = {
        "samples": {key: one.funnel.samples.dropped for key, one in numbers.items()},
        "answers": {key: one.funnel.unanswered for key, one in numbers.items()},
        "candidates": {key: one.funnel.cut_candidates for key, one in numbers.items()},
        "scores": {key: one.funnel.unscored for key, one in numbers.items()},
        "pairs": {key: one.pairs.lost for key, one in numbers.items()},
    }
    found = [
        {
            "step": step,
            "reason": reason,
            "counts": {key: counts.get(reason, 0) for key, counts in by_domain.items()},
        }
        for step, by_domain in steps.items()
        for reason in {reason: None for counts in by_domain.values() for reason in counts}
    ]
    order = list(steps)
    return sorted(
        found, key=lambda one: (order.index(one["step"]), -sum(one["counts"].values()), one["reason"])
    )


def charts(contents: Contents) -> list[dict[str, Any]]:
    """The distributions that have any values."""
    seen, lengths = contents.seen, contents.lengths

    def tokens(column: str, text: str) -> dict[str, list[float]]:
        return {
            domain: [
                float(value)
                for side in ("train", "test")
                for value in lengths.get(domain, {}).get(f"{side}_{text}", {}).get(column, [])
            ]
            for domain in seen
        }

    score_gaps = {
        kind: {domain: one.score_gaps.get(kind, []) for domain, one in seen.items()}
        for kind in _kinds(contents)
    }
    by_domain = seen.items()
    spread = [
        _tokens("problem_tokens", "problems", {"problem_tokens": tokens("problem_tokens", "sft")}),
        _tokens("solution_tokens", "answers", {"solution_tokens": tokens("solution_tokens", "sft")}),
        _tokens(
            "pair_tokens",
            "pairs",
            {f"{name}_tokens": tokens(f"{name}_tokens", "prefs") for name in ("chosen", "rejected")},
        ),
        _histogram(
            "scores",
            {"candidates.score": {domain: one.scores for domain, one in by_domain}},
            ("score", "candidates"),
        ),
        _histogram(
            "score_gaps",
            score_gaps,
            ("score_gap", "pairs"),
            filters=dict.fromkeys(score_gaps, "score_gap"),
            choice="kind",
        ),
        _histogram(
            "majority_share",
            {"majority_share": {domain: one.majority_shares for domain, one in by_domain}},
            ("majority_share", "problems"),
            edges=_TENTHS,
        ),
    ]
    scales = [
        _bars(label, scale, {domain: one.labels[label] for domain, one in by_domain})
        for label, scale in SCALES.items()
    ]
    spoken = {domain: tally.funnel.languages for domain, tally in contents.tallies.items()}
    kinds = {domain: tally.pairs.kinds for domain, tally in contents.tallies.items()}
    more = [
        _bars("language", _keys(spoken.values()), spoken),
        _bars("pair_kind", _keys(kinds.values()), kinds, filters="kind"),
    ]
    return [chart for chart in (*spread, *scales, *more) if chart is not None]


def _kinds(contents: Contents) -> list[str]:
    return sorted({kind for one in contents.seen.values() for kind in one.score_gaps})


def _keys(counted: Iterable[Mapping[str, int]]) -> list[str]:
    return sorted({key for counts in counted for key in counts})


def _tokens(name: str, counted: str, values: Values) -> dict[str, Any] | None:
    return _histogram(name, values, ("tokens", counted), ratio=True, step=1)


def _histogram(
    name: str,
    values: Values,
    axes: tuple[str, str],
    ratio: bool = False,
    edges: np.ndarray | None = None,
    step: float = STEP,
    filters: Mapping[str, str] | None = None,
    choice: str | None = None,
) -> dict[str, Any] | None:
    """Counts between edges, and medians, by series and domain ("" for all).

    axes: what lies along each, by the words of the page. ratio: let the bins grow by a constant ratio if the
    values span a factor of more than 4. step: values and edges are multiples of it, as in the columns, so
    that the rows of a bar are those from an edge to a step before the next one. filters: the filter of each
    series, by default that of its name. choice: the filter whose value is the series.
    """
    rounded = {
        series: {domain: np.round(np.asarray(one, float) / step) * step for domain, one in by_domain.items()}
        for series, by_domain in values.items()
    }
    found = [one for by_domain in rounded.values() for one in by_domain.values()]
    every = np.concatenate([np.zeros(0), *found])
    if not every.size:
        return None
    low, high = float(every.min()), float(every.max())
    ratio = ratio and low >= 1 and high > 4 * low
    if edges is None:
        edges = _edges(low, high, ratio, step)
    edges = np.round(edges, DIGITS)
    counts = {
        series: {domain: _counts(np.round(one, DIGITS), edges) for domain, one in by_domain.items()}
        for series, by_domain in rounded.items()
    }
    medians = {
        series: {
            "": _median(np.concatenate(list(by_domain.values()))),
            **{key: _median(one) for key, one in by_domain.items()},
        }
        for series, by_domain in rounded.items()
    }
    return {
        "name": name,
        "axes": axes,
        "edges": edges.tolist(),
        "ratio": ratio,
        "step": step,
        "filters": filters or {series: series for series in values},
        "choice": choice,
        "counts": counts,
        "medians": medians,
    }


def _edges(low: float, high: float, ratio: bool, step: float) -> np.ndarray:
    """About `BINS` edges on multiples of `step`; the last bin holds its upper edge, too.

    Of whole numbers the last edge is one that no value reaches, so that no bin is wider than the others.
    """
    if step == 1:
        high += 1
    if high - low <= step:
        return np.array([low, low + step])
    edges = np.geomspace(low, high, BINS + 1) if ratio else np.linspace(low, high, BINS + 1)
    edges = np.round(edges / step) * step
    edges[0], edges[-1] = low, high  # exact, where rounding moves them
    found: np.ndarray = np.unique(np.round(edges, DIGITS))
    return found


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _counts(values: np.ndarray, edges: np.ndarray) -> list[int]:
    found: list[int] = np.histogram(values, edges)[0].tolist()
    return found


def _bars(
    name: str, scale: Sequence[str], counts: Mapping[str, Mapping[str, int]], filters: str | None = None
) -> dict[str, Any] | None:
    """Counts by value and domain, in the order of the scale. filters: their filter, by default `name`."""
    if not any(counts.values()):
        return None
    return {
        "name": name,
        "filter": filters or name,
        "values": list(scale),
        "counts": {domain: [one.get(value, 0) for value in scale] for domain, one in counts.items()},
    }
