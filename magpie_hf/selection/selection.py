"""Selection: which samples are accepted, until every domain has exactly as many as its count.

Not here: sampling, tagging and threads.

Samples are filtered in one order, however they arrive: by number, and at equal numbers in the order of the
domains. A sample is accepted if its own columns allow it (with a band of pass rates, those of its answers,
too), no sample accepted before it is a near-duplicate, no person marked it bad, and its domain is not full.
So the accepted set depends on the samples and the marks alone, not on rounds, on shards or on samples beyond
those that were needed.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from datasets import Features

from magpie_hf.domains import MOST_ROWS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.limits import MIN_YIELD, check_band, check_min_yield
from magpie_hf.problems.labels import DIFFICULTIES, QUALITIES
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.review.marks import REVIEWED
from magpie_hf.schema import SELECTION
from magpie_hf.selection.complaint import complaint
from magpie_hf.selection.demand import FIRST_LOOK, samples_needed
from magpie_hf.selection.rules import Rule, check_rules, reason_of
from magpie_hf.stage import fingerprint
from magpie_hf.store.rows import NO_TOPIC, Rows, in_memory

SECOND_LOOK = 256
WINDOW = 1024  # samples over which the yield is measured from then on
VERSION = 3  # goes up when the same samples would be filtered differently
KEY = f"selection-{fingerprint(VERSION)}"

# The columns that a sample is filtered by, and those that an error quotes.
FILTERED = (
    "id", "raw_instruction", "problem", "trimmed", "dropped", "tags", "contaminated_by", "normal_hash",
    "signature", "symbols_hash", "num_symbols", "embedding",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Acceptance:
    """The rules for accepting a sample.

    off_topic: what to do with a problem that the tagger puts into another domain: "drop", "move" (accept it
    for that domain, if the build has it) or "keep". min_quality, min_difficulty: the least label of the
    tagger. drop_unsolvable: whether a problem must be solvable, complete, without a solution and no talk, by
    the tagger. Without a tagger none of these applies. min_yield: the share of accepted samples below which a
    build gives up. reviewed: the ids of the samples that a person marked bad. Problems that repeat one of
    them stay near-duplicates of it, so a mark changes no other problem. rules: of one's own, asked for
    samples that all others accept (`selection.rules.Rule`). pass_rate: the least and the greatest pass rate
    of a problem, which is then answered before it is accepted; None bounds it not. It is asked before
    near-duplicates are looked for, so that a problem outside it makes no other a duplicate.

    Reasons for dropping a sample: "contaminated", "not_tagged" (the tagger gave no valid label), "chat",
    "not_alone", "contains_solution", "unsolvable", "quality", "difficulty", "off_topic", "near_duplicate",
    "reviewed", and with `pass_rate` "ill_posed", "no_label", "too_hard", "too_easy" and "not_harder". Raises
    BadInput.
    """

    version: ClassVar[int] = VERSION

    off_topic: Literal["drop", "move", "keep"] = "drop"
    min_quality: str = "average"
    min_difficulty: str = DIFFICULTIES[0]
    drop_unsolvable: bool = True
    min_yield: float = field(default=MIN_YIELD, compare=False)
    reviewed: tuple[str, ...] = field(default=(), metadata={"later": True})
    rules: tuple[Rule, ...] = field(default=(), metadata={"later": True})
    pass_rate: tuple[float, float] | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        if self.off_topic not in ("drop", "move", "keep"):
            raise BadInput(f"off_topic is {self.off_topic!r}; choose drop, move or keep")
        for name, values in (("min_quality", QUALITIES), ("min_difficulty", DIFFICULTIES)):
            if getattr(self, name) not in values:
                raise BadInput(f"{name} is {getattr(self, name)!r}; choose from {', '.join(values)}")
        check_min_yield(self.min_yield)
        check_rules(self.rules)
        object.__setattr__(self, "pass_rate", check_band(self.pass_rate))

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that a sample is filtered by."""
        own = [column for rule in self.rules for column in rule.reads]
        return tuple(dict.fromkeys((*FILTERED, *own, *(("pass_rate",) if self.pass_rate else ()))))

    def outside(self, row: Row) -> str | None:
        """Why the pass rate of a problem is outside the band; None where it is inside, or there is none."""
        if self.pass_rate is None:
            return None
        if (rate := row["pass_rate"]) is None:
            return "no_label"
        least, greatest = self.pass_rate
        return "too_hard" if rate < least else "too_easy" if rate > greatest else None

    def place(self, row: Row, sampled_for: str, domains: Sequence[str]) -> tuple[str, str | None]:
        """The domain that a sample belongs to by its own columns, and the reason to drop it (or None)."""
        tags = row["tags"]
        if row["dropped"] is not None:
            return sampled_for, str(row["dropped"])
        if row["contaminated_by"] is not None:
            return sampled_for, "contaminated"
        if tags is None:
            return sampled_for, None
        if tags["reason"] is not None:
            return sampled_for, "not_tagged"
        if self.drop_unsolvable and (fault := _fault(row, tags)) is not None:
            return sampled_for, fault
        for name, least, values in (
            ("quality", self.min_quality, QUALITIES),
            ("difficulty", self.min_difficulty, DIFFICULTIES),
        ):
            if values.index(tags[name]) < values.index(least):
                return sampled_for, name
        if tags["domain"] == sampled_for or self.off_topic == "keep":
            return sampled_for, None
        if self.off_topic == "move" and tags["domain"] in domains:
            return str(tags["domain"]), None
        return sampled_for, "off_topic"


class Selection:
    """The filtering of one build's samples.

    Pieces of samples come in, in any order; the same rows come out with the columns of `schema.SELECTION`.
    near_duplicates: None looks for none. given: by domain, how many problems there are, where they are given
    and not sampled; then a domain ends with them, however few are accepted. most: problems of all domains
    together, after which it stops; None for all. hopeless: why a domain gives up, or None; once it is set,
    nothing more is filtered or wanted.
    """

    def __init__(
        self,
        domains: Sequence[Domain],
        acceptance: Acceptance,
        near_duplicates: NearDuplicates | None,
        given: Mapping[str, int] | None = None,
        most: int | None = None,
    ) -> None:
        self.acceptance, self.near_duplicates, self.most = acceptance, near_duplicates, most
        self._reviewed = frozenset(acceptance.reviewed)
        self.quotas = {
            domain.key: Quota(
                domain.key, domain.count, None if given is None else given[domain.key], acceptance.reads
            )
            for domain in domains
        }
        self.hopeless: str | None = None

    def wanted(self, shard_rows: int) -> list[tuple[str, int, int]]:
        """(domain, start, stop) of the samples that should be made next, in the order of filtering."""
        if self.is_over:
            return []
        pieces = [
            (key, start, stop)
            for key, quota in self.quotas.items()
            for start, stop in quota.wanted(self._floor, shard_rows, self._share(quota))
        ]
        order = list(self.quotas)
        return sorted(pieces, key=lambda piece: (piece[1], order.index(piece[0])))

    def offer(self, rows: Rows) -> list[Rows]:
        """Take a sampled piece, and return the pieces whose filtering is finished now.

        They are cut at the last sample that their domain needed.
        """
        self.quotas[rows.domain].waiting[rows.start] = rows
        while (
            quota := min(
                (one for one in self.quotas.values() if not one.is_done),
                key=lambda one: one.filtered,
                default=None,
            )
        ) is not None:
            row = None if self.is_over else quota.next_row()
            if row is None:
                break
            quota.record(row, *self._filter(quota, row))
            self.hopeless = self._hopeless(quota)
        return [piece for quota in self.quotas.values() for piece in quota.settled(self.is_over)]

    def restore(self, filtered: Sequence[Rows]) -> None:
        """Count samples that an earlier build filtered."""
        for rows in filtered:
            quota = self.quotas[rows.domain]
            columns = rows.read(["accepted_as", "dropped", *_topic_in(rows)]).to_pydict()
            quota.filtered += len(columns["dropped"])
            quota.reasons.update(reason for reason in columns["dropped"] if reason)
            for counted in zip(columns.get("topic", ()), columns["dropped"], strict=False):
                quota.count(*counted)
            for domain in columns["accepted_as"]:
                if domain is not None:
                    self.quotas[domain].accepted += 1

    @property
    def is_complete(self) -> bool:
        return all(quota.is_done for quota in self.quotas.values())

    @property
    def is_over(self) -> bool:
        """Whether nothing more is filtered although a domain may not be full."""
        return self.hopeless is not None or (self.most is not None and self._missing <= 0)

    def has_enough(self, domain: str) -> bool:
        """Whether no more samples of a domain are needed."""
        return self.quotas[domain].is_full or self.is_over

    @property
    def _missing(self) -> int:
        """Problems that are missing in all, of `most`."""
        return (self.most or 0) - sum(quota.accepted for quota in self.quotas.values())

    def _share(self, quota: Quota) -> int:
        """The problems to sample for: all of a domain, or an equal share of what is missing of `most`."""
        if self.most is None:
            return quota.target
        several = sum(not one.is_done for one in self.quotas.values())
        return min(quota.target, quota.accepted + math.ceil(self._missing / max(1, several)))

    @property
    def _floor(self) -> float:
        return max(self.acceptance.min_yield, 1 / WINDOW)

    def _filter(self, quota: Quota, row: Row) -> tuple[str | None, str | None, str | None]:
        domain, reason = self.acceptance.place(row, quota.key, list(self.quotas))
        # A full domain filters no more samples of its own, so this is another domain.
        if reason is None and self.quotas[domain].is_full:
            reason = "off_topic"
        reason = reason or reason_of(self.acceptance.rules, row) or self.acceptance.outside(row)
        if reason is not None:
            return None, None, reason
        if self.near_duplicates is not None:
            if (near_duplicate := self.near_duplicates.find(row)) is not None:
                return None, near_duplicate, "near_duplicate"
            self.near_duplicates.add(row["id"], row)
        if row["id"] in self._reviewed:
            return None, None, REVIEWED
        self.quotas[domain].accepted += 1
        return domain, None, None

    def _hopeless(self, quota: Quota) -> str | None:
        """Why a domain must give up, now that it has filtered one more sample; None where it goes on.

        The first two looks are at few samples: at a true yield of twice the floor, one of them stops the
        build in about one case of ten.
        """
        floor = self.acceptance.min_yield
        seen = WINDOW if quota.filtered % WINDOW == 0 else 0
        if floor and quota.filtered in (FIRST_LOOK, SECOND_LOOK):
            seen = quota.filtered
        if quota.is_done or quota.given is not None:
            return None
        if quota.filtered >= MOST_ROWS:
            return complaint(
                f"{MOST_ROWS:,} samples gave {quota.accepted} of {quota.target} problems, and no more are"
                " sampled",
                quota.key,
                list(quota.recent),
            )
        # What a person marked bad was accepted: it says nothing of the sampling.
        recent = list(quota.recent)[-seen:]
        good = sum(reason in (None, REVIEWED) for reason, _ in recent)
        if not seen or good >= max(1, math.floor(floor * seen)):
            return None
        return complaint(
            f"{good} of {seen} samples were accepted{f', below the floor of {floor:.1%}' if floor else ''}",
            quota.key,
            recent,
        )


class Quota:
    """The samples of one domain: those that were asked for, those that wait, and those that were filtered."""

    def __init__(
        self, key: str, target: int, given: int | None = None, reads: Sequence[str] = FILTERED
    ) -> None:
        self.key, self.target, self.given, self.reads = key, target, given, reads
        self.sampled = self.filtered = self.accepted = 0
        self.waiting: dict[int, Rows] = {}
        self.reasons: Counter[str] = Counter()
        self.topics: dict[str, Counter[str]] = {}  # as `card.breadth.by_topic` counts
        # (reason or None, text) of the samples that were filtered last.
        self.recent: deque[tuple[str | None, str]] = deque(maxlen=WINDOW)
        self._rows: deque[Row] = deque()
        self._filtering: Rows | None = None
        self._results: list[tuple[str | None, str | None, str | None]] = []
        self._settled: list[Rows] = []

    @property
    def is_full(self) -> bool:
        return self.accepted >= self.target

    @property
    def is_done(self) -> bool:
        """Whether no more samples are filtered: the domain is full, or no problem is left."""
        return self.is_full or self.filtered == self.given

    def wanted(self, floor: float, shard_rows: int, target: int) -> Iterator[tuple[int, int]]:
        """[start, stop) of the next samples to make for `target` problems, at most `shard_rows` a piece."""
        if self.is_done:
            return
        most = MOST_ROWS if self.given is None else self.given
        stop = samples_needed(target, self.sampled, self.filtered, self.accepted, floor, most)
        while self.sampled < stop:
            start, self.sampled = self.sampled, min(stop, self.sampled + shard_rows)
            yield start, self.sampled

    def next_row(self) -> Row | None:
        """The next sample to filter; None where it has not been sampled yet."""
        if not self._rows:
            if self.filtered not in self.waiting:
                return None
            self._filtering = self.waiting.pop(self.filtered)
            columns = self._filtering.read([*self.reads, *_topic_in(self._filtering)]).to_pydict()
            self._rows.extend(
                dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
            )
        return self._rows.popleft()

    def record(
        self, row: Row, accepted_as: str | None, near_duplicate: str | None, dropped: str | None
    ) -> None:
        """Record the result for the sample that `next_row` returned last."""
        self.filtered += 1
        self._results.append((accepted_as, near_duplicate, dropped))
        self.recent.append((dropped, str(row["problem"] or row["raw_instruction"])))
        if dropped is not None:
            self.reasons[dropped] += 1
        self.count(row.get("topic"), dropped)
        if not self._rows:
            self._close()

    def count(self, topic: str | None, dropped: str | None) -> None:
        """Count a filtered sample by its topic, if it has one."""
        if topic is not None:
            found = self.topics.setdefault(topic, Counter(sampled=0, accepted=0, near_duplicates=0))
            found.update(sampled=1, accepted=dropped is None, near_duplicates=dropped == "near_duplicate")

    def settled(self, ending: bool) -> list[Rows]:
        """The pieces filtered since the last call, with the columns of the selection.

        ending: whether the rest of the current piece will not be filtered.
        """
        if (self.is_done or ending) and self._results:
            self._close()
        settled, self._settled = self._settled, []
        return settled

    def _close(self) -> None:
        """Add the columns of the selection to the filtered rows of the current piece."""
        assert self._filtering is not None
        columns = {
            name: [result[at] for result in self._results]
            for at, name in enumerate(("accepted_as", "near_duplicate", "dropped"))
        }
        features = Features(SELECTION)
        rows = self._filtering.head(self._filtering.start + len(self._results))
        self._settled.append(rows.joined(features, in_memory(KEY, features, columns)))
        self._filtering, self._results = None, []
        self._rows.clear()


def _topic_in(rows: Rows) -> list[str]:
    return ["topic"] if "topic" in rows.made and rows.made["topic"].key != NO_TOPIC else []


def _fault(row: Row, tags: dict[str, Any]) -> str | None:
    """Why a problem cannot be worked on, by the tagger; a solution that was cut off is no fault."""
    if tags["kind"] == "talk":
        return "chat"
    if tags["complete"] == "no":
        return "not_alone"
    if tags["solution"] == "begun" and "contains_solution" not in (row["trimmed"] or ""):
        return "contains_solution"
    return "unsolvable" if tags["solvability"] != "solvable" else None
