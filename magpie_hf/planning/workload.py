"""How much there is to do: lengths and yields, rows, requests and tokens, and what a folder already holds.

Not here: how long it takes (speeds.py, simulation.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput, Torn
from magpie_hf.limits import PASS_TOKENS
from magpie_hf.planning.inputs import ANSWERING, ANSWERS, LOOKS, PROGRAMS, SAMPLING, Outline
from magpie_hf.planning.lengths import BETWEEN, Law
from magpie_hf.run.status import StageStatus, status
from magpie_hf.store.records import read_record, stage_record
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
    "score": 140,
}  # prompt tokens beside the texts
INSIDE = 0.4  # share of the answered samples inside a band of pass rates
MAJORITIES = 0.85  # share of the problems that have a majority, of which other models are asked
UNANIMOUS = 0.4  # share of problems whose candidates all agree, where a smaller model is asked
OPINIONS_EACH = 1.4  # answers of a checker to one of these, who agrees at once with four in five
PROGRAM, LOOK = Law(350, 0.5), Law(200, 0.5)
DOUBTFUL = 0.25  # share of the problems without a majority, or that a candidate objects to
TAGS = 52  # tokens of the tagger's answer
FINAL = 600  # tokens of a thinking model's answer without its thinking
BLOCK = 16  # tokens that the prefix cache keeps together
TAIL = 128  # tokens of the tagger's prompt after the problem
FACTORS = (1, 2, 4)  # of the answers' bound, which a plan compares


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
    laws = law.times(SPREAD[0]), law, law.times(SPREAD[2])
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
    short, likely, long = (_assumed_examples(outline, factor, thinks) for factor in SPREAD)
    each = {stage: float(outline.each(stage)) for stage in outline.stages}
    each["score"] *= 1 - truncated_of(outline, law)
    asked = {
        "objections": LOOKS * DOUBTFUL,
        "second_opinion": OPINIONS_EACH * MAJORITIES,
        "write_programs": PROGRAMS * MAJORITIES,
        "pass_rate": outline.pass_votes * MAJORITIES,
        "delta": UNANIMOUS,
    }
    each |= {stage: count for stage, count in asked.items() if stage in each}
    each, shares = _banded(outline, each, Range(*YIELD))
    two = [_problems_with(2, outline, one) for one in reversed(laws)]
    return Estimates(
        (short, likely, long),
        each,
        dict.fromkeys((domain.key for domain in outline.domains), Range(1, 1, 1))
        if outline.given
        else {domain.key: shares for domain in outline.domains},
        laws,
        Range(*AGREEING),
        Range(*(share * part for share, part in zip(PAIRS, two, strict=True))),
        words,
    )


def _banded(outline: Outline, each: dict[str, float], shares: Range) -> tuple[dict[str, float], Range]:
    """Requests an accepted problem of each stage, and the yield, where a band drops answered samples, too."""
    if not outline.band:
        return each, shares
    return {
        stage: count if stage in (*SAMPLING, "delta", "score") else count / INSIDE
        for stage, count in each.items()
    }, shares.times(INSIDE)


def row_words(outline: Outline, agreeing: Range, measured: bool) -> list[str]:
    """What is assumed of the rows, a sentence each; `measured`: the share of the agreeing answers is."""
    words = [
        tr(
            "lengths are log-normal, and {share:.0%} of the variance of their logarithms is between problems:"
            " assumed",
            share=BETWEEN,
        )
    ]
    if outline.band:
        words.append(tr("{share:.0%} of the answered samples inside the band: assumed", share=INSIDE))
    if "embed" in outline.stages:
        words.append(tr("comparisons with benchmarks' problems of near meaning: not counted"))
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
        "objections": tuple(
            Request(AROUND["programs"] + mean, BLOCK, length)
            for length in LOOK.times(factor).lengths(outline.bound(first))
        ),
        "second_opinion": tuple(Request(solving, solving, length) for length in candidates),
        "pass_rate": tuple(Request(solving, BLOCK, min(length, PASS_TOKENS)) for length in candidates),
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
    """The rows of a domain: samples, problems, SFT rows to train on and to test with, pairs, RL problems.

    files: records of the original's four files, by the ends of their names.
    """

    domain: str
    problems: int
    samples: Range
    train: Range
    test: Range
    pairs: Range
    rl: Range | None
    files: Mapping[str, Range]

    @property
    def dropped(self) -> Range:
        return Range(*(samples - self.problems for samples in self.samples))


@dataclass(frozen=True)
class Load:
    """What one stage asks of a model: requests, and tokens of their prompts and completions."""

    stage: str
    source: str
    requests: Range
    prompt: Range
    tokens: Range


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
        found.append(
            Rows(domain.key, count, samples, train, test, pairs, pairs if outline.rl else None, files)
        )
    return found


def loads_of(outline: Outline, estimates: Estimates) -> list[Load]:
    """Requests and tokens of each stage that asks a model."""
    rows = rows_of(outline, estimates)
    problems = sum(one.problems for one in rows)
    samples = Range(*(sum(one.samples[at] for one in rows) for at in range(3)))
    found = []
    for stage, source in outline.stages.items():
        made = samples if stage in SAMPLING else Range(problems, problems, problems)
        requests = made.times(estimates.each[stage])
        means = [_means(example[stage]) for example in estimates.examples]
        prompt, tokens = (Range(*(requests[at] * means[at][of] for at in range(3))) for of in (0, 1))
        found.append(Load(stage, source, requests, prompt, tokens))
    return found


def _means(example: Sequence[Request]) -> tuple[float, float]:
    """Mean tokens of prompts and completions; 0 where a measurement made no such request."""
    count = len(example) or 1
    return sum(one.prompt for one in example) / count, sum(one.tokens for one in example) / count


# Larger bounds


@dataclass(frozen=True)
class Bound:
    """What a bound of the answers is likely to give.

    tokens: the bound; final: with the doublings of truncated answers; truncated: share of the answers that
    are longer than that; generated: tokens of the whole build; rows: SFT rows; hours: None where not known.
    """

    tokens: int
    final: int
    truncated: float
    generated: float
    rows: float
    hours: float | None


def bounds_of(
    outline: Outline, estimates: Estimates, hours: Callable[[Outline, Estimates], float | None]
) -> list[Bound]:
    """The bound of the build and its multiples by FACTORS."""
    tokens = sum(load.tokens.mid for load in loads_of(outline, estimates))
    found = []
    for factor in FACTORS:
        larger = outline.larger(factor)
        longer = estimates if factor == 1 else _longer(outline, larger, estimates)
        law = estimates.laws[1]
        rows = (
            domain.count * rows_a_problem(larger, domain, law, estimates.agreeing.mid)
            for domain in larger.domains
        )
        found.append(
            Bound(
                max(domain.candidate.max_tokens for domain in larger.domains),
                max(larger.bound(domain) for domain in larger.domains),
                truncated_of(larger, law),
                tokens + _more(outline, larger, law),
                sum(rows),
                hours(larger, longer),
            )
        )
    return found


def _more(outline: Outline, larger: Outline, law: Law) -> float:
    """Tokens that the answers take under larger bounds beyond those that they take anyway."""
    return sum(
        domain.count * outline.each(stage) * (law.mean(most) - law.mean(outline.bound(domain, stage)))
        for stage in ANSWERS
        if stage in outline.stages
        for domain, more in zip(outline.domains, larger.domains, strict=True)
        if (most := larger.bound(more, stage))
    )


def _longer(outline: Outline, larger: Outline, estimates: Estimates) -> Estimates:
    """The estimates where the answers' bounds are those of `larger`, at likely lengths alone."""
    law, first = estimates.laws[1], larger.domains[0]
    examples, each = dict(estimates.examples[1]), dict(estimates.each)
    for stage in ANSWERS:
        if example := examples.get(stage):
            prompt, fresh = (round(mean) for mean in _prompts(example))
            lengths = law.lengths(larger.bound(first, stage))
            examples[stage] = tuple(Request(prompt, fresh, length) for length in lengths)
            each[stage] = outline.each(stage)
    each["score"] *= (1 - truncated_of(larger, law)) / max(1e-9, 1 - truncated_of(outline, law))
    return replace(estimates, examples=(examples, examples, examples), each=each)


def _prompts(example: Sequence[Request]) -> tuple[float, float]:
    """Mean tokens of prompts, and of what the prefix cache lacks of them."""
    return sum(one.prompt for one in example) / len(example), sum(one.fresh for one in example) / len(example)


# What a folder already holds

# The stages whose rows a stage reads.
_BEFORE = {
    "instruct": (),
    "tag": ("instruct",),
    "embed": ("instruct",),
    "solutions": ("instruct",),
    "candidates": ("instruct",),
    "objections": ("candidates",),
    "second_opinion": ("candidates",),
    "write_programs": ("candidates",),
    "pass_rate": ("candidates",),
    "delta": ("candidates",),
    "score": ("candidates",),
}
_BOUND = "max_tokens"


@dataclass(frozen=True)
class Done:
    """Rows of a domain that exist already: sampled, and answered by every stage."""

    sampled: int = 0
    answered: int = 0


@dataclass(frozen=True)
class Kept:
    """What becomes of one stage's finished rows in a domain; of answers, those of accepted problems.

    rows: that exist; kept: that stay, for which `asked` more requests are made, at `each` requests a row;
    why: what differs, "" where nothing does; under_way: requests that are kept of unfinished shards.
    """

    domain: str
    stage: str
    rows: int
    kept: int
    asked: int
    each: int
    why: str
    under_way: int

    @property
    def whole(self) -> int:
        """Rows that need no more requests."""
        return self.kept - math.ceil(self.asked / self.each) if self.kept else 0


@dataclass(frozen=True)
class Reuse:
    """What is kept of a folder, stage by stage; answering: the stages that answer a problem whole."""

    stages: tuple[Kept, ...] = ()
    answering: tuple[str, ...] = ANSWERING

    @property
    def done(self) -> dict[str, Done]:
        """How much of each domain is done."""
        found: dict[str, dict[str, int]] = {}
        for one in self.stages:
            found.setdefault(one.domain, {})[one.stage] = one.whole
        return {
            domain: Done(
                min((kept[stage] for stage in SAMPLING if stage in kept), default=0),
                min(kept.get(stage, 0) for stage in self.answering),
            )
            for domain, kept in found.items()
        }


def reuse_of(outline: Outline, folder: Path) -> Reuse:
    """What the build would keep of `folder`, by the records of its stages; rows are not read.

    Nothing where the folder holds no build. Raises BadInput where it holds another one.
    """
    file = folder / "run" / "build.json"
    if not file.is_file():
        return Reuse()
    try:
        state = status(folder)
    except Torn:  # a build goes on from the rows that it finds itself
        return Reuse()
    if state.seed != outline.seed:
        raise BadInput(
            f"{folder} holds another build: its seed is {state.seed}, not {outline.seed}; choose another"
            " --out"
        )
    if state.model not in (name := outline.sources["model"], Path(name).name):
        raise BadInput(
            f"{folder} holds another build: its model is {state.model}, not {name}; choose another --out"
        )
    record = read_record(file)
    found: list[Kept] = []
    for domain in outline.domains:
        pipeline = record.get("pipeline", {}).get(domain.key, {})
        keys = {**pipeline.get("samples", {}), **pipeline.get("answers", {})}
        rows = {stage.label: stage for stage in state.stages if stage.domain == domain.key}
        quota = next(one for one in state.selection if one.domain == domain.key) if keys else None
        changes = _Changes(quota.accepted / max(1, quota.filtered) if quota else 1.0)
        for stage in outline.stages:
            if stage in keys and stage in rows:
                part = folder / "run" / domain.key / keys[stage]
                found.append(_kept(outline, domain, rows[stage], part, changes))
    return Reuse(tuple(found), tuple(stage for stage in ANSWERING if stage in outline.stages))


@dataclass
class _Changes:
    """What changes in a domain.

    share: of its samples that is accepted; anew: why stages are made anew; asked: by stage, the further
    requests for existing rows, and why.
    """

    share: float
    anew: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[int, str]] = field(default_factory=dict)


def _kept(outline: Outline, domain: Domain, state: StageStatus, folder: Path, changes: _Changes) -> Kept:
    """What becomes of one stage; `changes` takes in what that means for later stages."""
    stage, each = state.label, outline.each(state.label)
    rows = round(state.rows * changes.share) if stage in ANSWERING else state.rows
    before = next((why for one in _BEFORE[stage] if (why := changes.anew.get(one))), "")
    differing = _differing(outline, domain, stage, _identity(folder))
    bound, k, extend = (differing.pop(name, (0, 0)) for name in (_BOUND, "k", "auto_extend"))
    if differing or before:
        why = before or ", ".join(f"{name} {old} → {new}" for name, (old, new) in differing.items())
        changes.anew[stage] = why
        return Kept(domain.key, stage, rows, 0, rows * each, each, why, 0)
    asked, why = changes.asked.get("candidates", (0, "")) if stage == "score" else (0, "")
    if k[1] > k[0]:
        asked = rows * (k[1] - k[0])
        why = tr("k {old} → {new}: only the missing candidates are generated", old=k[0], new=k[1])
    if bound[1] > bound[0]:
        asked += state.reasons.get("length", 0)
        longer = tr(
            "max-tokens {old} → {new}: only truncated answers are continued", old=bound[0], new=bound[1]
        )
        why = "; ".join(filter(None, (why, longer)))
    elif extend[1] > extend[0]:
        asked += state.reasons.get("length", 0)
        longer = tr("auto-extend {old} → {new}: truncated answers go on", old=extend[0], new=extend[1])
        why = "; ".join(filter(None, (why, longer)))
    changes.asked[stage] = asked, why
    return Kept(domain.key, stage, rows, rows, min(asked, rows * each), each, why, state.requests_under_way)


def _identity(folder: Path) -> Mapping[str, Any]:
    """What a stage was, by its record; {} where it has none yet. Raises Torn."""
    return dict((stage_record(folder) or {"stage": {}})["stage"])


def _differing(
    outline: Outline, domain: Domain, stage: str, was: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """By name, what the stage was and what the options ask for, where these differ."""
    if not was:
        return {}
    wanted: dict[str, Any] = {"model": Path(outline.stages[stage]).name}
    engine = was.get("engine") or (was.get("scorer") or {}).get("engine") or {}
    known: dict[str, Any] = {"model": Path(str(engine.get("name", ""))).name}
    if stage == "candidates":
        wanted["k"], known["k"] = outline.k, was.get("k")
    if stage in ANSWERS:
        wanted["auto_extend"], known["auto_extend"] = outline.auto_extend, was.get("auto_extend", 0)
    samplings = {"instruct": domain.instruction, "solutions": domain.response, "candidates": domain.candidate}
    if stage in samplings and isinstance(was.get("sampling"), Mapping):
        wanted |= _values(samplings[stage].identity())
        known |= _values(was["sampling"])
    if stage == "instruct":
        name = "first-token-temperature"
        wanted[name], known[name] = domain.first_token, was.get("first_token")
        wanted["steer"] = outline.steer if outline.steer in ("user", "none") else "default"
        known["steer"] = "none" if was.get("system", "") is None else was.get("place", "default")
    others = {"objections": outline.looker, "second_opinion": "checker", "write_programs": "program"}
    others |= {"pass_rate": "pass", "delta": "rejected"}
    role = {"instruct": "model", "tag": "tagger", "score": "judge", **others}.get(stage, "solver")
    given = [(name, value) for name, value in outline.chat.get(role, {}).items() if value is not None]
    for which, options in ((wanted, sorted(given)), (known, engine.get("chat_options", ()))):
        which["chat-option"] = ", ".join(f"{name}={value}" for name, value in options) or "default"
    return {name: (known[name], wanted[name]) for name in wanted if known.get(name) != wanted[name]}


def _values(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sampling that a user or a model chooses; an identity without top_k has no limit."""
    names = ("temperature", "top_p", "min_p", "repetition_penalty", _BOUND)
    return {"top_k": identity.get("top_k", 0), **{name: identity[name] for name in names if name in identity}}
