"""The numbers of a build, computed from its rows: each domain's funnel, votes and pairs, and tokens.

Not here: how they are shown.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from magpie_hf.card.passes import Passes
from magpie_hf.domains import Domain
from magpie_hf.schema import CANDIDATES_CONFIG, OPINIONS, SIDES, TEXT_SPLITS, WITH_REFERENCE
from magpie_hf.selection.hardened import Hardened, hardened_of
from magpie_hf.stages.delta import DELTA
from magpie_hf.stages.published_answers import CHECKED
from magpie_hf.stages.take import WITHDRAWN
from magpie_hf.store.rows import Published, Rows
from magpie_hf.store.splits import Data, Readable, Split, rows_of
from magpie_hf.text.language import tr, translated

T = TypeVar("T", bound=Split)
RowsOf = TypeVar("RowsOf")


_LATER = ("topics", "coverage", "hardened")  # numbers that not every build has


@dataclass(frozen=True)
class Samples:
    """The numbers of one domain's samples, counted when they are filtered, as they are not published.

    sampled: user turns, up to the last that was needed. dropped: by reason. contaminated: those of the
    dropped that repeat a benchmark, by benchmark. moved_away: accepted for another domain. moved_here:
    samples of other domains that were accepted for this one. tagged: those with a label of the tagger.
    on_domain: those of the tagged that the tagger put into this domain. topics: as `breadth.by_topic` counts.
    coverage: as `breadth.coverage` measures. hardened: what came of harder problems, as `Hardened.plain`.
    """

    sampled: int
    dropped: dict[str, int]
    contaminated: dict[str, int]
    moved_away: int
    moved_here: int
    tagged: int
    on_domain: int
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    hardened: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The numbers as plain values, without what the build has not."""
        return {name: value for name, value in asdict(self).items() if value or name not in _LATER}

    @property
    def accepted(self) -> int:
        return self.sampled - sum(self.dropped.values()) - self.moved_away + self.moved_here

    @property
    def on_domain_share(self) -> float | None:
        """The share of the tagged samples that are in the domain; None without a tagger."""
        return self.on_domain / self.tagged if self.tagged else None

    @property
    def moved(self) -> dict[str, int]:
        moved = {tr("moved to other domains"): self.moved_away, tr("moved here"): self.moved_here}
        return {what: count for what, count in moved.items() if count}


@dataclass(frozen=True)
class Funnel:
    """One domain's way from samples to pairs, in numbers.

    problems: accepted and published. languages: problems by language, where it is known. candidates: all
    that were asked for. answered: problems with an SFT row. unanswered: those without, by reason.
    cut_candidates: incomplete candidates, by reason. unscored: complete candidates without a score, by
    reason. sft, pairs: rows of these splits, train and test together. known: problems that are known ones up
    to their numbers, by set.
    """

    domain: str
    samples: Samples
    problems: int
    languages: dict[str, int]
    candidates: int
    answered: int
    unanswered: dict[str, int]
    cut_candidates: dict[str, int]
    unscored: dict[str, int]
    sft: int
    pairs: int
    known: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """The funnel in one line of text."""
        samples = self.samples
        parts = [tr("{count:,} sampled", count=samples.sampled)]
        parts += [tr("{count:,} problems", count=self.problems) + _reasons(samples.dropped | samples.moved)]
        if self.known:
            parts[-1] += tr(", {count:,} of them known ones", count=sum(self.known.values()))
            parts[-1] += _reasons(self.known)
        parts += [tr("{count:,} answered", count=self.answered) + _reasons(self.unanswered)]
        parts += [tr("{count:,} SFT rows", count=self.sft)]
        unfit = _sorted(Counter(self.cut_candidates) + Counter(self.unscored))
        parts += [tr("{count:,} candidates", count=self.candidates) + _reasons(unfit)]
        line = " -> ".join([*parts, tr("{count:,} pairs", count=self.pairs)])
        if samples.on_domain_share is None:
            return line
        return f"{line}; " + tr(
            "{share:.0%} of {count:,} tagged samples on the domain",
            share=samples.on_domain_share,
            count=samples.tagged,
        )


@dataclass(frozen=True)
class Answers:
    """The votes of one domain's candidates on final answers.

    kinds: problems by `answer_kind`. majorities: problems with a majority answer. majority_share: its mean
    over the problems that have one; None without any. unknown_pairs: pairs of answers that could not be
    compared. solutions: SFT rows by `answer_checked`. references: problems with a reference answer by what
    the vote says of it: "agrees", "differs", "undecided" or "no majority"; empty without references.
    opinions: by "checker" and "program", problems by what it says of the majority's answer: "agrees",
    "differs" or "none"; empty without such a model.
    """

    kinds: dict[str, int]
    majorities: int
    majority_share: float | None
    unknown_pairs: int
    solutions: dict[str, int]
    references: dict[str, int] = field(default_factory=dict)
    opinions: dict[str, dict[str, int]] = field(default_factory=dict)

    def line(self) -> str:
        """The votes in one line of text."""
        problems = sum(self.kinds.values())
        parts = [
            tr(
                "{count:,} of {problems:,} problems have a majority answer",
                count=self.majorities,
                problems=problems,
            )
        ]
        parts[0] += _reasons(self.kinds)
        if self.majority_share is not None:
            parts.append(
                tr(
                    "mean majority share {majority_share:.2f}, {pairs:,} undecided pairs of answers",
                    majority_share=self.majority_share,
                    pairs=self.unknown_pairs,
                )
            )
        if self.solutions:
            parts.append(tr("SFT rows by the vote: {counts}", counts=_counts(_worded(self.solutions))))
        if self.references:
            parts.append(
                tr(
                    "the majority equals {agrees:,} of {count:,} reference answers",
                    agrees=self.references.get("agrees", 0),
                    count=sum(self.references.values()),
                )
                + _reasons(_worded({name: n for name, n in self.references.items() if name != "agrees"}))
            )
        for who, counts in self.opinions.items():
            said = {"agrees": counts.get("agrees", 0), "count": sum(counts.values())}
            line = (
                tr("the checker agrees with {agrees:,} of {count:,} majorities", **said)
                if who == "checker"
                else tr("programs agree with {agrees:,} of {count:,} majorities", **said)
            )
            others = {name: count for name, count in counts.items() if name != "agrees"}
            parts.append(line + _reasons(_worded(others)))
        return "; ".join(parts)


@dataclass(frozen=True)
class Pairs:
    """The pairs of one domain, in numbers.

    score_gaps: by kind, sorted. longer: pairs whose chosen answer has more tokens. lost: problems without a
    pair, by reason. delta: pairs with a smaller model's answer, which has no score, by whether it is right:
    "agrees", "differs" or "undecided".
    """

    score_gaps: dict[str, tuple[float, ...]]
    longer: int
    lost: dict[str, int]
    delta: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.kinds.values())

    @property
    def kinds(self) -> dict[str, int]:
        """The number of pairs of each kind that there is."""
        scored = {kind: len(score_gaps) for kind, score_gaps in self.score_gaps.items()}
        return {**scored, DELTA: sum(self.delta.values())} if self.delta else scored

    @property
    def longer_share(self) -> float | None:
        """The share of pairs whose chosen answer is the longer one: 0.5 is no bias. None without pairs."""
        return self.longer / self.count if self.count else None

    def median_score_gap(self, kind: str) -> float:
        return statistics.median(self.score_gaps[kind])

    def line(self) -> str:
        """The pairs in one line of text."""
        kinds = [
            tr(
                "{count:,} {kind} (median score gap {score_gap:.3f})",
                count=len(score_gaps),
                kind=kind,
                score_gap=self.median_score_gap(kind),
            )
            for kind, score_gaps in self.score_gaps.items()
        ]
        if self.delta:
            kinds.append(f"{self.kinds[DELTA]:,} {DELTA}{_reasons(_worded(self.delta))}")
        parts = [tr("{count:,} pairs", count=self.count) + (": " if kinds else "") + ", ".join(kinds)]
        if self.longer_share is not None:
            parts.append(tr("chosen is longer in {share:.0%}", share=self.longer_share))
        return "; ".join(
            [*parts, tr("no pair: {count:,} problems", count=sum(self.lost.values())) + _reasons(self.lost)]
        )


@dataclass(frozen=True)
class Tally:
    """All numbers of one domain. passes: None where no model measures pass rates."""

    funnel: Funnel
    answers: Answers
    pairs: Pairs
    passes: Passes | None = None

    @property
    def hardened(self) -> Hardened | None:
        """What came of harder problems; None where none are made."""
        return hardened_of(self.funnel.samples.hardened)

    def lines(self) -> list[str]:
        parts = (self.funnel, self.answers, self.passes, self.hardened, self.pairs)
        return [part.line() for part in parts if part is not None]


@dataclass(frozen=True)
class Built:
    """The finished rows of a domain.

    sources: rows with all columns, by the domain that they were sampled for. published: by configuration and
    split. dropped: the dropped samples; None without samples. samples: the numbers of its samples.
    """

    domain: Domain
    sources: Mapping[str, Sequence[Rows]]
    published: Mapping[str, Mapping[str, Published]]
    dropped: Published | None
    samples: Samples

    def problems(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The accepted problems, with these columns."""
        for part in (part for parts in self.sources.values() for part in parts):
            yield from (
                row
                for row in rows_of(part, [*columns, "accepted_as"])
                if row["accepted_as"] == self.domain.key
            )


def published(built: Sequence[Built]) -> dict[str, dict[str, Published]]:
    """The published rows of all domains, by configuration and split: domains in order, then `candidates`."""
    parts: dict[str, dict[str, list[Published]]] = {}
    for one in built:
        for config, splits in one.published.items():
            for split, rows in splits.items():
                parts.setdefault(config, {}).setdefault(split, []).append(rows)
    parts[CANDIDATES_CONFIG] = parts.pop(CANDIDATES_CONFIG)
    return {
        config: {split: Published.joined(rows) for split, rows in splits.items()}
        for config, splits in parts.items()
    }


def with_rows(data: Mapping[str, Mapping[str, T]]) -> dict[str, dict[str, T]]:
    """The configurations and splits that hold rows: `load_dataset` refuses an empty split."""
    held = {
        config: {split: rows for split, rows in splits.items() if len(rows)}
        for config, splits in data.items()
    }
    return {config: splits for config, splits in held.items() if splits}


def over_domains(data: Mapping[str, Mapping[str, RowsOf]], domains: Iterable[str]) -> dict[str, list[RowsOf]]:
    """The configuration `default`: of each split of texts, the rows of every domain that has it, in order."""
    splits = [data[domain] for domain in domains if domain in data]
    found = {
        name: [one[name] for one in splits if name in one]
        for name in (f"{side}_{text}" for side in SIDES for text in TEXT_SPLITS)
    }
    return {name: rows for name, rows in found.items() if rows}


VERDICTS = {"checker": "checked", "program": "program_agrees"}  # the columns of what these models say
# The columns in which a domain's numbers are counted: of all samples, and of the configuration `candidates`.
FILTERED = ("accepted_as", "dropped", "tags", "contaminated_by")
COUNTED = (
    "domain", "language", "solution_reason", "candidates.reason", "candidates.score",
    "candidates.score_reason", "candidates.num_tokens", "answer_kind", "majority_answer", "majority_share",
    "unknown_pairs", "chosen_index", "rejected_index", "pair_kind", "pair_reason",
)  # fmt: skip


def tallies(data: Data, samples: Mapping[str, Samples]) -> dict[str, Tally]:
    """The numbers of each domain, counted in the published rows; those of its samples are given."""
    counts = {domain: _Counts() for domain in samples}
    for split in data.get(CANDIDATES_CONFIG, {}).values():
        optional = (
            *WITH_REFERENCE, *VERDICTS.values(), "rejected_agrees", "rejected_tokens", "pass_rate",
            *OPINIONS["known"],
        )  # fmt: skip
        more = tuple(column for column in optional if column in split.features)
        for row in rows_of(split, (*COUNTED, *more)):
            counts[row["domain"]].add(row)
    return {
        domain: _tally(domain, samples[domain], count, data.get(domain, {}))
        for domain, count in counts.items()
    }


_SAID = {True: "agrees", False: "differs", None: "undecided"}


class _Counts:
    """Counters over one domain's problems."""

    def __init__(self) -> None:
        self.of: dict[str, Counter[str]] = defaultdict(Counter)
        self.majority_shares: list[float] = []
        self.score_gaps: dict[str, list[float]] = defaultdict(list)
        self.pass_rates: list[float] | None = None
        self.problems = self.candidates = self.majorities = self.unknown = self.longer = 0

    def add(self, row: Mapping[str, Any]) -> None:
        cut, scores, tokens = row["candidates.reason"], row["candidates.score"], row["candidates.num_tokens"]
        self.problems += 1
        self.candidates += len(cut)
        self.of["languages"].update([row["language"]] if row["language"] else [])
        self.of["unanswered"].update([row["solution_reason"]] if row["solution_reason"] else [])
        self.of["truncated"].update(filter(None, cut))
        self.of["unscored"].update(
            why for gone, why in zip(cut, row["candidates.score_reason"], strict=True) if gone is None and why
        )
        self.of["kinds"][row["answer_kind"]] += 1
        self.majority_shares += [row["majority_share"]] if row["majority_share"] is not None else []
        self.unknown += row["unknown_pairs"]
        self.majorities += row["majority_answer"] is not None
        if row.get("reference_answer") is not None:
            self.of["references"][_referred(row)] += 1
        for who, column in VERDICTS.items():
            if row.get(column) is not None:
                self.of[who][row[column]] += 1
        if row.get("known_same"):
            self.of["known"][row["nearest_known"].partition("/")[0]] += 1
        if "pass_rate" in row:
            self.pass_rates = self.pass_rates or []
            self.pass_rates += [row["pass_rate"]] if row["pass_rate"] is not None else []
        if row["pair_kind"] is None:
            self.of["lost"][row["pair_reason"]] += 1
        elif row["pair_kind"] == DELTA:
            self.of["delta"][_SAID[row["rejected_agrees"]]] += 1
            self.longer += tokens[row["chosen_index"]] > row["rejected_tokens"]
        else:
            chosen, rejected = row["chosen_index"], row["rejected_index"]
            self.score_gaps[row["pair_kind"]].append(scores[chosen] - scores[rejected])
            self.longer += tokens[chosen] > tokens[rejected]


def _referred(row: Mapping[str, Any]) -> str:
    """What the vote says of a problem's reference answer."""
    if row["majority_answer"] is None:
        return "no majority"
    return _SAID[row["reference_agrees"]]


def _tally(domain: str, samples: Samples, counts: _Counts, splits: Mapping[str, Split]) -> Tally:
    of = {name: _sorted(count) for name, count in counts.of.items()}
    answered, checked = 0, Counter[str]()
    for split in (split for name, split in splits.items() if name.endswith("_sft")):
        for row in rows_of(split, ["answer_rank", "answer_checked"]):
            answered += row["answer_rank"] == 1
            checked[row["answer_checked"]] += 1
    funnel = Funnel(
        domain,
        samples,
        problems=counts.problems,
        languages=of.get("languages", {}),
        candidates=counts.candidates,
        answered=answered,
        unanswered=of.get("unanswered", {}),
        cut_candidates=of.get("truncated", {}),
        unscored=of.get("unscored", {}),
        sft=checked.total(),
        pairs=sum(len(split) for name, split in splits.items() if name.endswith("_prefs")),
        known=of.get("known", {}),
    )
    mean = statistics.fmean(counts.majority_shares) if counts.majority_shares else None
    solutions = {word: checked[word] for word in CHECKED.values() if checked[word]}
    answers = Answers(
        of.get("kinds", {}),
        counts.majorities,
        mean,
        counts.unknown,
        solutions,
        of.get("references", {}),
        {who: of[who] for who in VERDICTS if who in of},
    )
    pairs = Pairs(
        {kind: tuple(sorted(values)) for kind, values in sorted(counts.score_gaps.items())},
        counts.longer,
        of.get("lost", {}),
        of.get("delta", {}),
    )
    rates = counts.pass_rates
    passes = None if rates is None else Passes.of(rates, counts.problems, samples.dropped)
    return Tally(funnel, answers, pairs, passes)


def samples_of(domain: str, sources: Mapping[str, Sequence[Readable]]) -> Samples:
    """The numbers of a domain's samples. sources: filtered rows by the domain that they were sampled for."""
    sampled = moved_away = moved_here = tagged = on_domain = 0
    dropped, contaminated = Counter[str](), Counter[str]()
    for source, parts in sources.items():
        for row in (row for part in parts for row in rows_of(part, FILTERED)):
            if source != domain:
                moved_here += row["accepted_as"] == domain
                continue
            if row["dropped"] == WITHDRAWN:  # the source no longer has it
                continue
            sampled += 1
            dropped.update([row["dropped"]] if row["dropped"] else [])
            # "<benchmark>/[<split>/]<row> (<measure>)", and no name of a benchmark has a slash.
            if row["dropped"] == "contaminated":
                contaminated[row["contaminated_by"].partition("/")[0]] += 1
            moved_away += row["accepted_as"] not in (None, domain)
            label = (row["tags"] or {}).get("domain")
            tagged += label is not None
            on_domain += label == domain
    return Samples(
        sampled, _sorted(dropped), _sorted(contaminated), moved_away, moved_here, tagged, on_domain
    )


@dataclass(frozen=True)
class Tokens:
    """Sum, mean, median and 95th percentile (nearest rank) of token counts; zeros for none."""

    sum: int
    mean: float
    median: float
    p95: int


def tokens(counts: Iterable[int]) -> Tokens:
    """Sum, mean, median and 95th percentile of token counts."""
    values = sorted(counts) or [0]
    return Tokens(
        sum(values),
        sum(values) / len(values),
        statistics.median(values),
        values[math.ceil(len(values) * 0.95) - 1],
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _reasons(counts: dict[str, int]) -> str:
    return f" ({_counts(counts)})" if counts else ""


def _worded(counts: dict[str, int]) -> dict[str, int]:
    """Counts by what a vote, a model or a program says, in the language in use."""
    return {translated(what): count for what, count in counts.items()}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())
