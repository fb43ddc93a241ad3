"""Harvest: which draws are accepted, until every domain has exactly what was asked for. Not here: drawing, tagging, and any thread.

Draws are judged in one order, whatever comes first: by their number, and of equal numbers by the order of the domains. A draw is accepted
if its own columns allow it, no accepted one before it is its twin, and its domain is not full. So the accepted set depends on the draws
alone, not on rounds, shards or what was drawn beyond need.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from datasets import Features

from magpie_hf.domains import MOST_ROWS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.limits import MIN_YIELD, check_min_yield
from magpie_hf.problems.labels import DIFFICULTIES, QUALITIES
from magpie_hf.problems.near_duplicates.index import Twins
from magpie_hf.schema import HARVEST
from magpie_hf.selection.demand import PROBE, draws_wanted
from magpie_hf.stage import fingerprint
from magpie_hf.store.rows import Rows, in_memory

SECOND_LOOK = 256
WINDOW = 1024  # draws over which the yield is watched from then on
VERSION = 1  # goes up when the same draws would be judged otherwise
KEY = f"harvest-{fingerprint(VERSION)}"

# What a draw is judged by, and what is kept of it for a sample.
JUDGED = (
    "id", "raw_instruction", "problem", "dropped", "tags", "contaminated_by", "normal_hash", "signature", "symbols_hash",
    "num_symbols", "embedding",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class Acceptance:
    """Which draws are good enough.

    off_domain: what becomes of a problem that the tagger puts into another domain: "drop", "move" (it counts for that domain, where the
    build makes it) or "keep". min_quality, min_difficulty: the least that the tagger may say; drop_unsolvable: whether a problem must be
    solvable. Without a tagger none of these applies. min_yield: the share of accepted draws below which a build gives up.

    Reasons: "contaminated", "not_tagged" (the tagger's answer is not valid), "unsolvable", "quality", "difficulty", "off_domain", "twin".
    """

    version: ClassVar[int] = VERSION

    off_domain: Literal["drop", "move", "keep"] = "drop"
    min_quality: str = "average"
    min_difficulty: str = DIFFICULTIES[0]
    drop_unsolvable: bool = True
    min_yield: float = field(default=MIN_YIELD, compare=False)

    def __post_init__(self) -> None:
        if self.off_domain not in ("drop", "move", "keep"):
            raise BadInput(f"off_domain is {self.off_domain!r}; choose drop, move or keep")
        for name, values in (("min_quality", QUALITIES), ("min_difficulty", DIFFICULTIES)):
            if getattr(self, name) not in values:
                raise BadInput(f"{name} is {getattr(self, name)!r}; choose from {', '.join(values)}")
        check_min_yield(self.min_yield)

    def place(self, row: Row, drawn_for: str, domains: Sequence[str]) -> tuple[str, str | None]:
        """The domain that a draw would count for, and the reason why it does not, by its own columns."""
        tags = row["tags"]
        if row["dropped"] is not None:
            return drawn_for, str(row["dropped"])
        if row["contaminated_by"] is not None:
            return drawn_for, "contaminated"
        if tags is None:
            return drawn_for, None
        if tags["reason"] is not None:
            return drawn_for, "not_tagged"
        if self.drop_unsolvable and tags["solvability"] != "solvable":
            return drawn_for, "unsolvable"
        for name, least, values in (("quality", self.min_quality, QUALITIES), ("difficulty", self.min_difficulty, DIFFICULTIES)):
            if values.index(tags[name]) < values.index(least):
                return drawn_for, name
        if tags["domain"] == drawn_for or self.off_domain == "keep":
            return drawn_for, None
        if self.off_domain == "move" and tags["domain"] in domains:
            return str(tags["domain"]), None
        return drawn_for, "off_domain"


class Harvest:
    """The judging of one build's draws: pieces of draws in, in any order; the same rows with `schema.HARVEST` out, once they are judged.

    hopeless: why the yield of a domain is hopeless, once it is; then nothing more is judged or wanted.
    """

    def __init__(self, domains: Sequence[Domain], acceptance: Acceptance, twins: Twins) -> None:
        self.acceptance, self.twins = acceptance, twins
        self.lanes = {domain.key: Lane(domain.key, domain.count) for domain in domains}
        self.hopeless: str | None = None

    def wanted(self, shard_rows: int) -> list[tuple[str, int, int]]:
        """(domain, start, stop) of the draws that are likely still needed, beyond those that were named before, in the order of judging."""
        if self.hopeless is not None:
            return []
        pieces = [(key, start, stop) for key, lane in self.lanes.items() for start, stop in lane.wanted(self._floor, shard_rows)]
        order = list(self.lanes)
        return sorted(pieces, key=lambda piece: (piece[1], order.index(piece[0])))

    def offer(self, rows: Rows) -> list[Rows]:
        """Take in a drawn piece; returns what is judged since, cut at the last draw that its domain needed."""
        self.lanes[rows.domain].waiting[rows.start] = rows
        while (lane := min((one for one in self.lanes.values() if not one.is_full), key=lambda one: one.judged, default=None)) is not None:
            row = None if self.hopeless is not None else lane.next_row()
            if row is None:
                break
            lane.decide(row, *self._judge(lane, row))
            self.hopeless = self._hopeless(lane)
        return [piece for lane in self.lanes.values() for piece in lane.settled(self.hopeless is not None)]

    def recall(self, judged: Sequence[Rows]) -> None:
        """Take the counts of draws that were judged before."""
        for rows in judged:
            lane = self.lanes[rows.domain]
            decided = rows.read(["accepted_as", "dropped"]).to_pydict()
            lane.judged += len(decided["dropped"])
            lane.reasons.update(reason for reason in decided["dropped"] if reason)
            for domain in decided["accepted_as"]:
                if domain is not None:
                    self.lanes[domain].accepted += 1

    @property
    def is_complete(self) -> bool:
        return all(lane.is_full for lane in self.lanes.values())

    @property
    def _floor(self) -> float:
        return max(self.acceptance.min_yield, 1 / WINDOW)

    def _judge(self, lane: Lane, row: Row) -> tuple[str | None, str | None, str | None]:
        domain, reason = self.acceptance.place(row, lane.key, list(self.lanes))
        if reason is None and self.lanes[domain].is_full:  # of another domain, since one that is full judges no more draws
            reason = "off_domain"
        if reason is not None:
            return None, None, reason
        if (twin := self.twins.find(row)) is not None:
            return None, twin, "twin"
        self.twins.add(row["id"], row)
        self.lanes[domain].accepted += 1
        return domain, None, None

    def _hopeless(self, lane: Lane) -> str | None:
        """Why a domain must give up, now that it has judged one more draw; None where it goes on.

        The first looks are at few draws, so they stop what is below the floor by any luck alone: at a true yield of twice the floor one
        of them is wrong in about one case of ten.
        """
        floor = self.acceptance.min_yield
        seen = lane.judged if lane.judged in (PROBE, SECOND_LOOK) and floor else WINDOW if lane.judged % WINDOW == 0 else 0
        if lane.is_full:
            return None
        if lane.judged >= MOST_ROWS:
            return lane.complaint(f"{lane.accepted} of {lane.target} problems came of {MOST_ROWS:,} draws, and no more are drawn", WINDOW)
        good = sum(reason is None for reason, _ in list(lane.recent)[-seen:])
        if not seen or good >= max(1, math.floor(floor * seen)):
            return None
        return lane.complaint(f"{good} of {seen} draws were accepted{f', below the floor of {floor:.1%}' if floor else ''}", seen)


class Lane:
    """One domain's draws: which were asked for, which wait to be judged, what was decided."""

    def __init__(self, key: str, target: int) -> None:
        self.key, self.target = key, target
        self.drawn = self.judged = self.accepted = 0
        self.waiting: dict[int, Rows] = {}
        self.reasons: Counter[str] = Counter()
        self.recent: deque[tuple[str | None, str]] = deque(maxlen=WINDOW)  # of the last decisions: the reason, and the text
        self._rows: deque[Row] = deque()
        self._judging: Rows | None = None
        self._decided: list[tuple[str | None, str | None, str | None]] = []
        self._settled: list[Rows] = []

    @property
    def is_full(self) -> bool:
        return self.accepted >= self.target

    def wanted(self, floor: float, shard_rows: int) -> Iterator[tuple[int, int]]:
        """The next draws: at first a probe, then what the yield so far makes likely, and some more."""
        if self.is_full:
            return
        stop = draws_wanted(self.target, self.drawn, self.judged, self.accepted, floor, MOST_ROWS)
        while self.drawn < stop:
            start, self.drawn = self.drawn, min(stop, self.drawn + shard_rows)
            yield start, self.drawn

    def next_row(self) -> Row | None:
        """The next draw to judge; None where it has not come yet."""
        if not self._rows:
            if self.judged not in self.waiting:
                return None
            self._judging = self.waiting.pop(self.judged)
            columns = self._judging.read(JUDGED).to_pydict()
            self._rows.extend(dict(zip(JUDGED, values, strict=True)) for values in zip(*(columns[name] for name in JUDGED), strict=True))
        return self._rows.popleft()

    def decide(self, row: Row, accepted_as: str | None, twin: str | None, dropped: str | None) -> None:
        """Record what was decided of the draw that `next_row` gave last."""
        self.judged += 1
        self._decided.append((accepted_as, twin, dropped))
        self.recent.append((dropped, str(row["problem"] or row["raw_instruction"])))
        if dropped is not None:
            self.reasons[dropped] += 1
        if not self._rows:
            self._close()

    def settled(self, ending: bool) -> list[Rows]:
        """Pieces judged since the last call, with their decisions; ending: whether no more of the piece at hand will be judged."""
        if (self.is_full or ending) and self._decided:
            self._close()
        settled, self._settled = self._settled, []
        return settled

    def complaint(self, what: str, seen: int) -> str:
        """Why the domain gives up, with the reasons and a sample of the draws seen last."""
        recent = list(self.recent)[-seen:]
        counts = Counter(reason for reason, _ in recent if reason)
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
        samples = "; ".join(
            f"{reason}: {next(_short(text) for why, text in recent if why == reason)!r}" for reason, _ in counts.most_common(3)
        )
        return (
            f"{self.key}: {what} ({reasons}). Such as {samples}. What was drawn is kept, and run/dropped has all that was dropped. "
            "Try `magpie-hf probe` for a better sampling, another model or tagger, or looser rules"
        )

    def _close(self) -> None:
        """Give the judged rows of the piece at hand their decisions."""
        assert self._judging is not None
        columns = {name: [decision[at] for decision in self._decided] for at, name in enumerate(("accepted_as", "twin", "dropped"))}
        features = Features(HARVEST)
        rows = self._judging.head(self._judging.start + len(self._decided))
        self._settled.append(rows.joined(features, in_memory(KEY, features, columns)))
        self._judging, self._decided = None, []
        self._rows.clear()


def _short(text: str, length: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]}…"
