"""How much there is to do: lengths and yields, rows, and the requests of each.

Not here: what stages ask of models in all (loads.py), what of it is done (reuse.py), and how long it takes
(speeds.py, simulation.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from magpie_hf.domains import Domain
from magpie_hf.limits import PASS_TOKENS
from magpie_hf.planning.lengths import BETWEEN, Law
from magpie_hf.planning.outline import LOOKS, PROGRAMS, SAMPLING, SELECTED, Outline
from magpie_hf.text.language import tr

# All lengths are log-normal: the median in tokens, and the standard deviation of the logarithm.
PROBLEM = Law(140, 0.6)
SHORT_ANSWER = Law(800, 0.6)
LONG_ANSWER = Law(
    5000, 0.6
)  # of a model that thinks first: about 6,000 tokens on average, as in competitions
SPREAD = (0.65, 1.0, 1.35)  # times the assumed lengths
YIELD = (0.30, 0.50, 0.75)  # share of the samples that is accepted
PAIRS = (0.30, 0.55, 0.80)  # share of the problems with two complete candidates that gives a pair
AGREEING = (0.60, 0.75, 0.90)  # share of the complete answers that the majority does not speak against
AROUND = {
    "instruct": 110,
    "tag": 1650,
    "solutions": 70,
    "programs": 120,
    "harden": 220,
    "score": 140,
}  # prompt tokens beside the texts
INSIDE = 0.4  # share of the answered samples inside a band of pass rates
ABOVE = 0.35  # the same above it
MADE = 0.6  # harder problems of those asked for that stand in marks, and that rules and the tagger let pass
HARDER_INSIDE, STILL_ABOVE = 0.35, 0.3  # of these, inside the band and much harder, and still above it
MAJORITIES = 0.85  # share of the problems that have a majority, of which other models are asked
UNANIMOUS = 0.4  # share of problems whose candidates all agree, where a smaller model is asked
OPINIONS_EACH = 1.4  # answers of a checker to one of these, who agrees at once with four in five
ROUNDS = 2.5  # of an answer with tools: requests, each of which but the last ends in a program
WITH_TOOLS = (0.2, 0.5, 0.8)  # share of such answers in which a program ran and that give the label
PROGRAM, LOOK = Law(350, 0.5), Law(200, 0.5)
DOUBTFUL = 0.25  # share of the problems without a majority, or that a candidate objects to
TAGS = 52  # tokens of the tagger's answer
FINAL = 600  # tokens of a thinking model's answer without its thinking
BLOCK = 16  # tokens that the prefix cache keeps together
TAIL = 128  # tokens of the tagger's prompt after the problem


@dataclass(frozen=True)
class Request:
    """One request in tokens.

    prompt: of its prompt; fresh: those of the prompt that the prefix cache lacks; tokens: of its completion.
    """

    prompt: int
    fresh: int
    tokens: int


class Range(NamedTuple):
    """The least, the likely and the most."""

    low: float
    mid: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.mid * factor, self.high * factor)


# Lengths and yields

Examples = Mapping[str, tuple[Request, ...]]


@dataclass(frozen=True)
class Estimates:
    """Lengths and yields, assumed or measured.

    examples: requests of each stage at short, likely and long lengths; each: requests a row of each stage;
    shares: the yield of each domain; laws: of the answers' lengths, short, likely and long; agreeing: share
    of the complete answers that the majority does not speak against; pairs: share of the problems that give a
    pair; words: where these numbers come from, a sentence each.
    """

    examples: tuple[Examples, Examples, Examples]
    each: Mapping[str, float]
    shares: Mapping[str, Range]
    laws: tuple[Law, Law, Law]
    agreeing: Range
    pairs: Range
    words: tuple[str, ...]


def assumed(outline: Outline) -> Estimates:
    """The estimates where nothing was measured."""
    thinks = outline.reasoning
    law = LONG_ANSWER if thinks else SHORT_ANSWER
    # Where the solver's files could not be read it may think first, which the highest estimate takes in
    longest = LONG_ANSWER if outline.unread else law
    laws = law.times(SPREAD[0]), law, longest.times(SPREAD[2])
    kind = tr("a model that thinks first") if thinks else tr("a model that answers at once")
    bound = max(outline.bound(domain) for domain in outline.domains)
    words = (
        tr(
            "answers and candidates: {mean:,.0f} tokens on average, at most {bound:,}: assumed for {kind}",
            mean=law.mean(bound),
            bound=bound,
            kind=kind,
        ),
        tr("problems: a median of {median} tokens: assumed", median=PROBLEM.median),
        tr("yield: all given problems are answered: assumed; rules may drop some")
        if outline.given
        else tr(
            "yield: {low:.0%} to {high:.0%} of the samples are accepted: assumed",
            low=YIELD[0],
            high=YIELD[-1],
        ),
        tr(
            "actual lengths may be {low:g} to {high:g} times these; --measure measures lengths and yield",
            low=SPREAD[0],
            high=SPREAD[-1],
        ),
        *row_words(outline, Range(*AGREEING), measured=False),
    )
    if outline.unread:
        words += (
            tr(
                "whether {model} thinks first is not known; if it does, the highest numbers are likely",
                model=outline.sources["solver"],
            ),
        )
    short, likely, long = (
        _assumed_examples(outline, factor, thinks or (bool(outline.unread) and factor == SPREAD[2]))
        for factor in SPREAD
    )
    each = {stage: float(outline.each(stage)) for stage in outline.stages}
    each["score"] *= 1 - truncated_of(outline, law)
    asked = {
        "tool_answers": outline.tir * ROUNDS * MAJORITIES,
        "objections": LOOKS * DOUBTFUL,
        "second_opinion": OPINIONS_EACH * MAJORITIES,
        "write_programs": PROGRAMS * MAJORITIES,
        "pass_rate": outline.pass_votes * MAJORITIES,
        "delta": UNANIMOUS,
    }
    each |= {stage: count for stage, count in asked.items() if stage in each}
    each, shares = _banded(outline, each, Range(1, 1, 1) if outline.given else Range(*YIELD))
    two = [_problems_with(2, outline, one) for one in reversed(laws)]
    return Estimates(
        (short, likely, long),
        each,
        {domain.key: shares for domain in outline.domains},
        laws,
        Range(*AGREEING),
        Range(*(share * part for share, part in zip(PAIRS, two, strict=True))),
        words,
    )


def _banded(outline: Outline, each: dict[str, float], shares: Range) -> tuple[dict[str, float], Range]:
    """Requests an accepted problem of each stage, and the yield, where a band drops answered samples, too."""
    if not outline.band:
        return each, shares
    calls, made, more = hardened_of(outline)
    inside = INSIDE + more
    found = {
        stage: count if stage in SAMPLING or not outline.of_samples(stage) else count * (1 + made) / inside
        for stage, count in each.items()
    }
    found |= {stage: each[stage] * (1 + shares.mid * made) for stage in ("tag", "embed") if stage in each}
    return {**found, **({"harden": calls / inside} if "harden" in each else {})}, shares.times(inside)


def rounds_of(outline: Outline) -> list[tuple[float, float]]:
    """Of one answered sample, for each round: calls for a harder problem, and such problems."""
    above = [ABOVE * (MADE * STILL_ABOVE) ** at for at in range(outline.harden)]
    return [(one, one * MADE) for one in above]


def hardened_of(outline: Outline) -> tuple[float, float, float]:
    """Of one answered sample: calls for a harder problem, such problems, and those that are accepted."""
    calls, made = (sum(one[at] for one in rounds_of(outline)) for at in range(2))
    return calls, made, made * HARDER_INSIDE


def shares_of_rounds(outline: Outline, stage: str) -> list[float]:
    """Of a stage's requests, the share of the sampled problems, and that of each round of harder ones."""
    rounds = rounds_of(outline)
    if stage == "harden":
        parts = [0.0, *(calls for calls, _ in rounds)]
    elif stage == "instruct" or stage in SELECTED:
        parts = [1.0, *(0.0 for _ in rounds)]
    else:  # of a sample, or of one that is answered
        answered = YIELD[1] if stage in SAMPLING else 1.0
        parts = [1.0, *(answered * made for _, made in rounds)]
    return [part / sum(parts) for part in parts]


def row_words(outline: Outline, agreeing: Range, measured: bool, inside: float | None = None) -> list[str]:
    """What is assumed of the rows, a sentence each; `measured`: the share of the agreeing answers is.

    inside: the share of the answered samples inside the band, where that is known.
    """
    words = [
        tr(
            "lengths are log-normal, and {share:.0%} of the variance of their logarithms is between problems:"
            " assumed",
            share=BETWEEN,
        )
    ]
    if outline.tir:
        words.append(
            tr(
                "answers with tools: {low:.0%} to {high:.0%} of those asked for give the label: assumed",
                low=WITH_TOOLS[0],
                high=WITH_TOOLS[-1],
            )
        )
    if outline.band and inside is not None:
        words.append(tr("{share:.0%} of the answered samples inside the band: measured", share=inside))
    elif outline.band:
        words.append(tr("{share:.0%} of the answered samples inside the band: assumed", share=INSIDE))
    if outline.harden:
        calls, made, accepted = hardened_of(outline)
        words.append(
            tr(
                "harder problems: asked for of {calls:.0%} of the answered samples, made of {made:.0%},"
                " accepted of {accepted:.0%}: assumed; what they go through is counted with its stages",
                calls=calls,
                made=made,
                accepted=accepted,
            )
        )
    if "embed" in outline.stages:
        words.append(tr("comparisons with benchmarks' problems of near meaning: not counted"))
    if outline.known:
        words.append(tr("embeddings of known problems, and comparisons with them: not counted"))
    if outline.own:
        words.append(
            tr("what your own steps ask a model ({steps}): not counted", steps=", ".join(outline.own))
        )
    if outline.sft == "best":
        words.append(tr("SFT rows: one of every problem with at least one complete answer"))
    elif not outline.keep_minority:
        words.append(
            tr(
                "SFT rows: {share:.0%} of the complete answers are not against the majority: measured",
                share=agreeing.mid,
            )
            if measured
            else tr(
                "SFT rows: {low:.0%} to {high:.0%} of the complete answers are not against the majority:"
                " assumed",
                low=agreeing.low,
                high=agreeing.high,
            )
        )
    return words


def truncated_of(outline: Outline, law: Law) -> float:
    """The share of all candidates that are longer than their bound."""
    problems = sum(domain.count for domain in outline.domains)
    cut = sum(domain.count * law.truncated(outline.bound(domain)) for domain in outline.domains)
    return cut / problems


def _problems_with(complete: int, outline: Outline, law: Law, domain: Domain | None = None) -> float:
    """The share of the problems, of all domains or of one, with so many complete candidates or more."""
    domains = [domain] if domain else outline.domains
    found = sum(one.count * sum(law.complete(outline.k, outline.bound(one))[complete:]) for one in domains)
    return found / sum(one.count for one in domains)


def rows_a_problem(outline: Outline, domain: Domain, law: Law, agreeing: float) -> float:
    """SFT rows of a problem on average, where answers are as long as the law says."""
    agreeing = 1.0 if outline.keep_minority else agreeing
    if outline.sft == "cold":
        return (1 - law.truncated(outline.bound(domain, "solutions"))) * agreeing
    most = {"best": 1, "all": outline.k}.get(str(outline.sft)) or int(outline.sft)
    shares = law.complete(outline.k, outline.bound(domain))
    return sum(share * min(most, max(1.0, agreeing * at)) for at, share in enumerate(shares) if at)


def share_of(good: int, of: int) -> float:
    """The share that so many of so many make likely, never 0 or 1."""
    return (good + 0.5) / (of + 1)


def share_range(good: int, of: int) -> Range:
    """A share with about one standard error of it either way (Agresti and Coull)."""
    share = share_of(good, of)
    error = math.sqrt(share * (1 - share) / (of + 1))
    return Range(max(0.01, share - error), share, min(1.0, share + error))


def _assumed_examples(outline: Outline, factor: float, thinks: bool) -> Examples:
    """Requests of each stage, where all lengths are `factor` times the assumed ones."""
    first = outline.domains[0]
    problems = PROBLEM.times(factor).lengths(first.instruction.max_tokens)
    law = (LONG_ANSWER if thinks else SHORT_ANSWER).times(factor)
    mean = round(sum(problems) / len(problems))
    solving, scoring = AROUND["solutions"] + mean, AROUND["score"] + mean
    candidates = law.lengths(outline.bound(first))
    read = [length if outline.whole or not thinks else FINAL for length in candidates]
    found = {
        "instruct": tuple(Request(AROUND["instruct"], 1, length) for length in problems),
        "tag": tuple(Request(AROUND["tag"] + length, length + TAIL, TAGS) for length in problems),
        "embed": tuple(Request(length, length, 1) for length in problems),
        "solutions": tuple(
            Request(solving, solving, length) for length in law.lengths(outline.bound(first, "solutions"))
        ),
        "candidates": tuple(Request(solving, BLOCK, length) for length in candidates),
        "tool_answers": tuple(
            Request(solving + length // 2, 4 * BLOCK, max(1, round(length / ROUNDS))) for length in candidates
        ),
        "objections": tuple(
            Request(AROUND["programs"] + mean, BLOCK, length)
            for length in LOOK.times(factor).lengths(outline.bound(first))
        ),
        "second_opinion": tuple(Request(solving, solving, length) for length in candidates),
        "pass_rate": tuple(Request(solving, BLOCK, min(length, PASS_TOKENS)) for length in candidates),
        "harden": tuple(Request(AROUND["harden"] + mean, mean, length) for length in candidates),
        "delta": tuple(Request(solving, solving, length) for length in candidates),
        "write_programs": tuple(
            Request(AROUND["programs"] + mean, BLOCK, length)
            for length in PROGRAM.times(factor).lengths(outline.bound(first))
        ),
        "score": tuple(Request(scoring + length, length + BLOCK, 1) for length in read),
    }
    return {stage: found[stage] for stage in outline.stages}


# Rows, requests and tokens


@dataclass(frozen=True)
class Rows:
    """The rows of a domain: samples, problems, SFT rows to train on and to test with, pairs, RL problems,
    answers with tools.

    files: records of the original's four files, by the ends of their names.
    """

    domain: str
    problems: int
    samples: Range
    train: Range
    test: Range
    pairs: Range
    rl: Range | None
    tir: Range | None
    files: Mapping[str, Range]

    @property
    def dropped(self) -> Range:
        return Range(*(samples - self.problems for samples in self.samples))


def rows_of(outline: Outline, estimates: Estimates) -> list[Rows]:
    """The rows of each domain."""
    found = []
    for domain in outline.domains:
        share, count = estimates.shares[domain.key], domain.count
        samples = Range(*(count / one for one in reversed(share)))
        long_first = list(zip(reversed(estimates.laws), estimates.agreeing, strict=True))
        rows = Range(*(count * rows_a_problem(outline, domain, *one) for one in long_first))
        train, test = rows.times(1 - outline.test_share), rows.times(outline.test_share)
        pairs = estimates.pairs.times(count)
        one, two = (
            Range(*(count * _problems_with(least, outline, law, domain) for law, _ in long_first))
            for least in (1, 2)
        )
        files = {
            "_ins.json": Range(count, count, count),
            "_ins_res.json": rows if outline.sft == "cold" else one,
            f"_ins_{outline.k}res.json": two,
            f"_ins_{outline.k}res_{outline.scorer_suffix}.json": two,
        }
        rl = pairs if outline.rl else None
        tir = Range(*WITH_TOOLS).times(count * outline.tir * MAJORITIES) if outline.tir else None
        found.append(Rows(domain.key, count, samples, train, test, pairs, rl, tir, files))
    return found
