"""Numbers of a build, computed from its rows: a domain's funnel, votes and pairs, and tokens. Not here: how they are shown."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset

from magpie_hf.domains import Domain
from magpie_hf.rows import Published, Rows


@dataclass(frozen=True)
class Funnel:
    """What became of one domain's draws.

    drawn: user turns drawn, up to the last that was needed; dropped: those that were not accepted, by reason; moved_away: those that count
    for another domain; moved_here: other domains' draws that count for this one; tagged, on_domain: draws that the tagger could label, and
    those of them that it put into this domain; problems: accepted ones; cut_solutions and cut_candidates: incomplete answers, by reason;
    unscored: complete candidates without a score, by reason; sft, pairs: rows of the two splits; contaminated: dropped draws by the
    benchmark that they repeat; languages: accepted problems by language, where one could be told.
    """

    domain: str
    drawn: int
    dropped: dict[str, int]
    contaminated: dict[str, int]
    languages: dict[str, int]
    moved_away: int
    moved_here: int
    tagged: int
    on_domain: int
    candidates: int
    cut_solutions: dict[str, int]
    cut_candidates: dict[str, int]
    unscored: dict[str, int]
    sft: int
    pairs: int

    @property
    def problems(self) -> int:
        return self.drawn - sum(self.dropped.values()) - self.moved_away + self.moved_here

    @property
    def on_domain_share(self) -> float | None:
        """The share of the tagged draws that are in the domain; None without a tagger."""
        return self.on_domain / self.tagged if self.tagged else None

    def line(self) -> str:
        """The funnel in one line of text."""
        parts = [f"{self.drawn:,} drawn", f"{self.problems:,} problems{_reasons(self.dropped | self._moved)}"]
        parts += [f"{self.sft:,} answered{_reasons(self.cut_solutions)}"]
        parts += [f"{self.candidates:,} candidates{_reasons(_sorted(Counter(self.cut_candidates) + Counter(self.unscored)))}"]
        line = " -> ".join([*parts, f"{self.pairs:,} pairs"])
        return line if self.on_domain_share is None else f"{line}; {self.on_domain_share:.0%} of {self.tagged:,} tagged draws on the domain"

    @property
    def _moved(self) -> dict[str, int]:
        moved = {"moved to other domains": self.moved_away, "moved here": self.moved_here}
        return {what: count for what, count in moved.items() if count}


@dataclass(frozen=True)
class Answers:
    """How the candidates of one domain's problems agree on final answers.

    kinds: problems by `answer_kind`; majorities: those with a majority answer; agreement: its mean over problems with voters, None
    without any; unknown_pairs: pairs of answers that nothing shows to be equal or different; solutions: published answers by whether
    they are the majority's ("agree", "differ", "unknown").
    """

    kinds: dict[str, int]
    majorities: int
    agreement: float | None
    unknown_pairs: int
    solutions: dict[str, int]

    def line(self) -> str:
        """The votes in one line of text."""
        parts = [f"{self.majorities:,} of {sum(self.kinds.values()):,} problems have a majority answer{_reasons(self.kinds)}"]
        if self.agreement is not None:
            parts.append(f"mean agreement {self.agreement:.2f}, {self.unknown_pairs:,} undecided pairs of answers")
        if self.solutions:
            parts.append(f"answers that are the majority's: {', '.join(f'{count:,} {what}' for what, count in self.solutions.items())}")
        return "; ".join(parts)


@dataclass(frozen=True)
class Pairs:
    """The pair report of one domain.

    margins: the score margins of its pairs by kind, sorted; longer: pairs whose chosen answer has more tokens; lost: problems without
    a pair, by reason.
    """

    margins: dict[str, tuple[float, ...]]
    longer: int
    lost: dict[str, int]

    @property
    def count(self) -> int:
        return sum(map(len, self.margins.values()))

    @property
    def longer_share(self) -> float | None:
        """The share of pairs whose chosen answer is the longer one: 0.5 is no bias. None without pairs."""
        return self.longer / self.count if self.count else None

    def median_margin(self, kind: str) -> float:
        return statistics.median(self.margins[kind])

    def line(self) -> str:
        """The report in one line of text."""
        kinds = [f"{len(margins):,} {kind} (median margin {self.median_margin(kind):.3f})" for kind, margins in self.margins.items()]
        parts = [f"{self.count:,} pairs{': ' if kinds else ''}{', '.join(kinds)}"]
        if self.longer_share is not None:
            parts.append(f"chosen is longer in {self.longer_share:.0%}")
        return "; ".join([*parts, f"no pair: {sum(self.lost.values()):,} problems{_reasons(self.lost)}"])


@dataclass(frozen=True)
class Tally:
    """All that is counted of one domain's rows."""

    funnel: Funnel
    answers: Answers
    pairs: Pairs

    def lines(self) -> list[str]:
        return [self.funnel.line(), self.answers.line(), self.pairs.line()]


@dataclass(frozen=True)
class Built:
    """A domain's finished rows: all stage columns by the domain that they were drawn for (`sources`), what is published of them by
    configuration and split, the draws that were dropped (None without draws), and its numbers."""

    domain: Domain
    sources: Mapping[str, Sequence[Rows]]
    published: Mapping[str, Mapping[str, Published]]
    dropped: Published | None
    tally: Tally

    def problems(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The accepted problems, with these columns."""
        for row in _rows((part for parts in self.sources.values() for part in parts), [*columns, "accepted_as"]):
            if row["accepted_as"] == self.domain.key:
                yield row

    @property
    def funnel(self) -> Funnel:
        return self.tally.funnel

    @property
    def configs(self) -> dict[str, dict[str, Published]]:
        """The published configurations and splits that hold rows: `load_dataset` refuses an empty split, so none is written."""
        held = {name: {split: rows for split, rows in splits.items() if len(rows)} for name, splits in self.published.items()}
        return {name: splits for name, splits in held.items() if splits}

    @property
    def splits(self) -> dict[str, Published]:
        """The splits of the domain's own configuration that hold rows."""
        return self.configs.get(self.domain.key, {})


AGREES = {True: "agree", False: "differ", None: "unknown"}
# The columns that a domain's numbers are counted from: of all draws, and of those that count for it.
JUDGED = ("accepted_as", "dropped", "tags", "contaminated_by", "language")
ANSWERED = (
    "accepted_as", "solutions", "candidates", "scores", "answer_kind", "majority_answer", "agreement", "unknown_pairs", "solution_agrees",
    "chosen_index", "rejected_index", "pair_kind", "pair_reason",
)  # fmt: skip


class Readable(Protocol):
    """Rows whose columns can be read a few rows at a time, such as `rows.Rows`."""

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]: ...


def _rows(parts: Iterable[Readable], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows as dicts, read a few at a time: memory does not grow with rows."""
    for batch in (batch for part in parts for batch in part.batches(columns)):
        for values in zip(*(batch[column] for column in columns), strict=True):
            yield dict(zip(columns, values, strict=True))


def tally(domain: str, sources: Mapping[str, Sequence[Readable]], sft: int) -> Tally:
    """The numbers of a domain, from its own draws and those of other domains that count for it; sft: rows of its train_sft."""
    draws = _Draws(domain, sources)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    agreements: list[float] = []
    margins: dict[str, list[float]] = defaultdict(list)
    candidates = majorities = unknown = longer = 0
    for row in _rows((part for parts in sources.values() for part in parts), ANSWERED):
        if row["accepted_as"] != domain:
            continue
        tries, scores, solution = row["candidates"], row["scores"], row["solutions"][0]
        candidates += len(tries)
        counts["solutions"].update([solution["reason"]] if solution["reason"] else [])
        counts["cut"].update(one["reason"] for one in tries if one["reason"])
        counts["unscored"].update(s["reason"] for one, s in zip(tries, scores, strict=True) if one["reason"] is None and s["reason"])
        counts["kinds"][row["answer_kind"]] += 1
        agreements += [row["agreement"]] if row["agreement"] is not None else []
        unknown += row["unknown_pairs"]
        majorities += row["majority_answer"] is not None
        counts["agrees"].update([AGREES[row["solution_agrees"]]] if solution["reason"] is None else [])
        if row["pair_kind"] is None:
            counts["lost"][row["pair_reason"]] += 1
        else:
            chosen, rejected = row["chosen_index"], row["rejected_index"]
            margins[row["pair_kind"]].append(scores[chosen]["score"] - scores[rejected]["score"])
            longer += tries[chosen]["num_tokens"] > tries[rejected]["num_tokens"]
    plain = {name: _sorted(count) for name, count in counts.items()}
    pairs = Pairs({kind: tuple(sorted(values)) for kind, values in sorted(margins.items())}, longer, plain.get("lost", {}))
    mean = statistics.fmean(agreements) if agreements else None
    answers = Answers(plain.get("kinds", {}), majorities, mean, unknown, plain.get("agrees", {}))
    return Tally(
        Funnel(
            domain, draws.drawn, _sorted(draws.dropped), _sorted(draws.contaminated), _sorted(draws.languages),
            draws.moved_away, draws.moved_here, draws.tagged, draws.on_domain, candidates,
            plain.get("solutions", {}), plain.get("cut", {}), plain.get("unscored", {}), sft, pairs.count,
        ),
        answers,
        pairs,
    )  # fmt: skip


class _Draws:
    """What a domain's draws were judged to be, counted."""

    def __init__(self, domain: str, sources: Mapping[str, Sequence[Readable]]) -> None:
        self.drawn = self.moved_away = self.moved_here = self.tagged = self.on_domain = 0
        self.dropped, self.contaminated, self.languages = Counter[str](), Counter[str](), Counter[str]()
        for source, parts in sources.items():
            for row in _rows(parts, JUDGED):
                counts_here = row["accepted_as"] == domain
                self.languages.update([row["language"]] if counts_here and row["language"] else [])
                if source != domain:
                    self.moved_here += counts_here
                    continue
                self.drawn += 1
                self.dropped.update([row["dropped"]] if row["dropped"] else [])
                if row["dropped"] == "contaminated":  # by "<benchmark>/[<split>/]<row> (<measure>)", and no benchmark's name has a slash
                    self.contaminated[row["contaminated_by"].partition("/")[0]] += 1
                self.moved_away += row["accepted_as"] not in (None, domain)
                label = (row["tags"] or {}).get("domain")
                self.tagged += label is not None
                self.on_domain += label == domain


def tokens(split: Dataset, column: str = "solution_tokens") -> dict[str, Any]:
    """Sum, mean, median and 95th percentile (nearest rank) of a token column; zeros for an empty split."""
    values = sorted(split[column]) if len(split) else [0]
    total = sum(values)
    return {
        "sum": total,
        "mean": total / len(values),
        "median": statistics.median(values),
        "p95": values[math.ceil(len(values) * 0.95) - 1],
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {reason}' for reason, count in counts.items())})" if counts else ""
