"""What the finished rows of a folder show of lengths and yields, and how much work is left beside them.

Not here: which rows stay under changed options (reuse.py), and how fast the work is done (plan.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from magpie_hf.planning.lengths import Length, fitted
from magpie_hf.planning.loads import Load, load_of, means_of
from magpie_hf.planning.outline import ANSWERING, ANSWERS, SAMPLING, Outline
from magpie_hf.planning.reuse import HARDEN, Reuse
from magpie_hf.planning.workload import (
    Estimates,
    Range,
    Request,
    hardened_of,
    row_words,
    share_of,
    share_range,
)
from magpie_hf.run.status import StageStatus, status
from magpie_hf.selection.hardened import without_round
from magpie_hf.selection.reasons import OUTSIDE, inside_of
from magpie_hf.text.language import tr

LEAST = 4  # problems with finished candidates, or samples, below which a folder shows too little
MOST_SHARDS = 4  # of a domain that are read, spread over it: 1,024 problems are enough for a length


@dataclass(frozen=True)
class Seen:
    """What a folder's finished rows show.

    lengths: of the candidates of each problem; agreeing: complete candidates that the majority does not speak
    against, and all complete ones; yields: samples accepted and filtered, by domain; tokens: of a row, by
    stage, and of an accepted one where the stage answers; inside: of a band of pass rates, the samples inside
    it and those that were answered; by_rates: whether `yields` are such samples, as none was selected yet.
    """

    lengths: tuple[tuple[Length, ...], ...]
    agreeing: tuple[int, int]
    yields: Mapping[str, tuple[int, int]]
    tokens: Mapping[str, float]
    inside: tuple[int, int] = (0, 0)
    by_rates: bool = False

    @property
    def answered(self) -> float:
        """Answered samples by accepted ones: a band of pass rates drops answered ones, too."""
        accepted = sum(accepted for accepted, _ in self.yields.values())
        return max(1.0, self.inside[1] / accepted) if self.inside[1] and accepted else 1.0


def seen_in(folder: Path, reuse: Reuse, band: tuple[float, float] | None = None) -> Seen | None:
    """What the rows show that a build would keep; None where these are too few.

    band: of pass rates, which may be another one than the samples were selected by.
    """
    kept = {(one.domain, one.stage) for one in reuse.stages if one.kept}
    if not kept:
        return None
    state = status(folder)
    # Given problems are sampled by nobody
    first = "instruct" if any(one.stage == "instruct" for one in reuse.stages) else "candidates"
    yields = {
        one.domain: (one.accepted, one.filtered)
        for one in state.selection
        if (one.domain, first) in kept and one.filtered and one.domain in reuse.selected
    }
    shares = {one.domain: one.accepted / max(1, one.filtered) for one in state.selection}
    stages = [one for one in state.stages if (one.domain, without_round(one.label)) in kept]
    tokens = dict(_tokens_a_row(stages, shares))
    banded = [one for one in state.selection if one.domain in yields]
    inside = sum(inside_of(one.accepted, one.reasons) for one in banded)
    outside = sum(one.reasons.get(reason, 0) for one in banded for reason in OUTSIDE)
    answered = inside + outside
    for domain, rates_in in reuse.refiltered.items():
        rates = _column(rates_in, "pass_rate", MOST_SHARDS).values()
        known = [rate for rate in rates if rate is not None]
        within = sum(band is None or band[0] <= rate <= band[1] for rate in known)
        yields[domain] = within, len(rates)
        inside, answered = inside + within, answered + len(known)
    domains = [domain for domain, stage in kept if stage == "candidates"]
    lengths, agreeing = answers_of(folder / "run", domains, MOST_SHARDS)
    if len(lengths) < LEAST and sum(filtered for _, filtered in yields.values()) < LEAST:
        return None
    return Seen(lengths, agreeing, yields, tokens, (inside, answered), bool(reuse.refiltered))


def _tokens_a_row(stages: Sequence[StageStatus], shares: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Tokens of a row by stage, with those of its rounds. shares: of accepted samples by domain, as others
    have no answers.
    """
    for label in {without_round(one.label) for one in stages}:
        alike = [one for one in stages if without_round(one.label) == label]
        rows = sum(
            one.rows * (shares[one.domain] if label in ANSWERING else 1)
            if one.problems is None
            else one.problems
            for one in alike
            if one.label in (label, f"{HARDEN}1")
        )
        tokens = sum(one.tokens for one in alike)
        if rows and tokens:
            yield label, tokens / rows


def answers_of(
    run: Path, domains: Sequence[str] | None = None, most: int | None = None
) -> tuple[tuple[tuple[Length, ...], ...], tuple[int, int]]:
    """The lengths of the candidates of each problem; agreeing candidates of the complete ones, and these.

    domains: None for all; most: shards of a domain to read, None for all.
    """
    lengths, good, complete = [], 0, 0
    pipeline = json.loads((run / "build.json").read_text(encoding="utf-8"))["pipeline"]
    for key in pipeline if domains is None else sorted(domains):
        stages = {**pipeline[key]["samples"], **pipeline[key]["answers"]}  # a band has them before it selects
        candidates = _column(run / key / stages["candidates"], "candidates", most)
        votes = _column(run / key / stages["verify"], "in_majority", most)
        for row, found in candidates.items():
            if found is None:  # a dropped sample
                continue
            lengths.append(
                tuple(Length(one["num_tokens"], one["finish_reason"] == "length") for one in found)
            )
            whole = [at for at, one in enumerate(found) if one["reason"] is None]
            if row not in votes:  # not compared yet
                continue
            vote = votes[row] or []
            agreeing = sum(vote[at] is True for at in whole if at < len(vote))
            complete += len(whole)
            good += agreeing or len(whole)  # without a majority, none of them is against it
    return tuple(lengths), (good, complete)


def _column(folder: Path, column: str, most: int | None) -> dict[int, Any]:
    """A column of a stage's finished rows, by row."""
    from magpie_hf.store.shards import ShardFolder

    shards, found = ShardFolder(folder, read_only=True), dict[int, Any]()
    spans = list(shards.spans("arrow"))
    step = max(1, -(-len(spans) // most)) if most else 1
    for start, stop, file in spans[::step]:
        if (rows := shards.rows(start, stop, file, [column])) is not None:
            values = enumerate(rows.column(column).to_pylist(), start)
            found.update(values)
    return found


def refined(outline: Outline, before: Estimates, seen: Seen) -> Estimates:
    """The estimates by what a folder's rows show; what they do not show stays as it was."""
    examples, each, laws = before.examples, dict(before.each), before.laws
    answers = [one for of_problem in seen.lengths for one in of_problem]
    words = []
    if len(seen.lengths) >= LEAST:
        law = fitted(answers, before.laws[1])
        error = min(0.5, law.spread / len(seen.lengths) ** 0.5)
        laws = law.times(1 - error), law, law.times(1 + error)
        words.append(
            tr(
                "answers: {cut} of {answers} in this folder were truncated; a median of {median:,.0f} tokens"
                " is likely for all",
                cut=sum(one.truncated for one in answers),
                answers=len(answers),
                median=law.median,
            )
        )
        bounds = {stage: outline.bound(outline.domains[0], stage) for stage in ANSWERS}
        examples = tuple(  # type: ignore[assignment]
            {
                **example,
                **{
                    stage: _long(example[stage], law.lengths(bounds[stage]))
                    for stage in bounds
                    if stage in example
                },
            }
            for example, law in zip(examples, laws, strict=True)
        )
        again = 1 + hardened_of(outline)[1]
        each |= {stage: outline.each(stage) * seen.answered * again for stage in ANSWERS if stage in each}
    others = {stage: tokens for stage, tokens in seen.tokens.items() if stage not in ANSWERS}
    likely = {
        stage: _scaled(example, others[stage] / each[stage])
        if stage in others and each.get(stage)
        else example
        for stage, example in examples[1].items()
    }
    examples = tuple(  # type: ignore[assignment]
        {**example, **{stage: likely[stage] for stage in others if stage in example}} for example in examples
    )
    accepted, filtered = (sum(counts[at] for counts in seen.yields.values()) for at in (0, 1))
    shares = dict(before.shares)
    if filtered >= LEAST and (outline.band or not outline.given):
        shares = {key: share_range(*seen.yields.get(key, (accepted, filtered))) for key in shares}
        counts = {"accepted": accepted, "filtered": filtered}
        words.append(
            tr("yield: {accepted:,} of {filtered:,} samples in this folder are inside the band", **counts)
            if seen.by_rates
            else tr("yield: {accepted:,} of {filtered:,} samples in this folder were accepted", **counts)
        )
    agreeing = share_range(*seen.agreeing) if seen.agreeing[1] else before.agreeing
    inside = share_of(*seen.inside) if seen.inside[1] >= LEAST else None
    words += row_words(outline, agreeing, seen.agreeing[1] > 0, inside)
    return Estimates(
        (examples[0], examples[1], examples[2]), each, shares, laws, agreeing, before.pairs, tuple(words)
    )


def _long(example: Sequence[Request], lengths: Sequence[int]) -> tuple[Request, ...]:
    """Requests of these lengths, with prompts as in the example."""
    prompt, fresh = (
        round(sum(getattr(one, name) for one in example) / max(1, len(example)))
        for name in ("prompt", "fresh")
    )
    return tuple(Request(prompt, fresh, length) for length in lengths)


def _scaled(example: Sequence[Request], mean: float) -> tuple[Request, ...]:
    """The requests with this mean of tokens."""
    factor = mean / max(1e-9, means_of(example)[2])
    return tuple(replace(one, tokens=max(1, round(one.tokens * factor))) for one in example)


def within_given(outline: Outline, estimates: Estimates, reuse: Reuse) -> Outline:
    """With no more problems than the given ones are likely to have inside a band of pass rates."""
    if not outline.band or not outline.there:
        return outline
    domains = []
    for domain in outline.domains:
        accepted, filtered = reuse.selected.get(domain.key, (0, 0))
        inside = (outline.there[domain.key] - filtered) * estimates.shares[domain.key].mid
        domains.append(replace(domain, count=max(1, min(domain.count, accepted + round(inside)))))
    return replace(outline, domains=tuple(domains))


def left_of(outline: Outline, estimates: Estimates, reuse: Reuse) -> list[Load]:
    """The requests and tokens of each stage that are left beside the rows that stay."""
    kept = {(one.domain, one.stage): one for one in reuse.stages if one.kept or not one.why}
    found = []
    for stage, source in outline.stages.items():
        each = estimates.each[stage]
        requests = [0.0, 0.0, 0.0]
        for domain in outline.domains:
            one = kept.get((domain.key, stage))
            rows, under_way, asked = (one.kept, one.under_way, one.asked) if one else (0, 0, 0)
            accepted, filtered = reuse.selected.get(domain.key, (0, 0))
            # Of samples that are answered before they are selected, some are accepted
            for at in range(3):
                needed, there = float(domain.count), float(rows)
                if outline.of_samples(stage) and stage not in SAMPLING:
                    share = estimates.shares[domain.key][2 - at]
                    there *= accepted / filtered if filtered else share
                if stage in SAMPLING:
                    missing = max(0, domain.count - accepted)
                    needed = filtered + missing / estimates.shares[domain.key][2 - at]
                requests[at] += max(0.0, max(0.0, needed - there) * each + asked - under_way)
        found.append(load_of(stage, source, Range(*requests), estimates))
    return found
