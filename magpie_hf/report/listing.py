"""The rows of a report: what its list shows of each, and all that is told of one, in blocks. Not here: numbers of many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from magpie_hf.chat import END_THINK, THINK
from magpie_hf.report.packing import MOST, Room, cut, deflated
from magpie_hf.report.source import Source
from magpie_hf.schema import CANDIDATES, CANDIDATES_CONFIG, DROPPED, SIDES
from magpie_hf.splits import rows_of

TEXTS_A_BLOCK, ROWS_A_BLOCK = 1_000, 48  # problems, which are searched; rows with all their texts, which are opened one at a time
FIRST = 140  # characters of a problem that the list shows
_SOLVED = ("id", "solution", "thinking", "answer", "solution_agrees", "solution_tokens", "generation")
_NUMBERS = ("agreement", "votes", "margin", "score", "tokens")
_CODED = ("domain", "reason", "kind", "difficulty", "quality", "side")
_OF_ROWS = ("language", "answer_kind", "majority_answer", "unknown_pairs", "chosen_index", "rejected_index", "pair_kind", "pair_reason")

Row = dict[str, Any]


class Listing:
    """What the list shows of each row, a column at a time: problems first, then dropped draws. Repeated values are numbered.

    texts: the problems as compressed blocks; details: calls back with each block of rows with all their texts.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in ("id", "first", "answer", "answered", *_NUMBERS, *_CODED)}
        self.values: dict[str, dict[str, int]] = {name: {} for name in _CODED}
        self.texts: list[bytes] = []
        self.problems = 0
        self._waiting: list[Any] = []

    def __len__(self) -> int:
        return len(self.columns["id"])

    def add(self, text: str | None, shown: Row) -> None:
        """Add a row: its problem, and values of columns; those that it does not name are null."""
        start = " ".join((text or "")[: FIRST * 2].split())[:FIRST]
        for name, values in self.columns.items():
            value = start if name == "first" else shown.get(name)
            if name in self.values and value is not None:
                value = self.values[name].setdefault(value, len(self.values[name]))
            values.append(round(value, 4) if isinstance(value, float) else value)
        self._waiting.append(cut(text or "", MOST))
        if len(self._waiting) == TEXTS_A_BLOCK:
            self.close()

    def close(self) -> None:
        """Pack the texts that wait for their block to be full."""
        if self._waiting:
            self.texts.append(deflated(self._waiting))
            self._waiting = []

    def packed(self) -> bytes:
        """All columns, compressed."""
        names = {name: list(values) for name, values in self.values.items()}
        return deflated({"columns": self.columns, "values": names, "problems": self.problems})


def details(source: Source, listing: Listing, room: Room) -> Iterator[bytes]:
    """Blocks of `ROWS_A_BLOCK` rows with all that is told of each, as compressed JSON; fills the listing on the way."""
    rows: list[Row] = []
    texts: list[tuple[Row, str]] = []
    for row in _all(source, listing):
        rows.append(row)
        places = [row, *row.get("candidates", ())]
        texts += [(place, key) for place in places for key in ("thinking", "text", "raw") if place.get(key) is not None]
        if len(rows) == ROWS_A_BLOCK:
            yield room.pack(rows, texts)
            rows, texts = [], []
    if rows:
        yield room.pack(rows, texts)
    listing.close()


def count(source: Source) -> int:
    """How many rows there will be."""
    splits = [*source.contents.data.get(CANDIDATES_CONFIG, {}).values(), *source.dropped.values()]
    return sum(len(split) for split in splits)


def _all(source: Source, listing: Listing) -> Iterator[Row]:
    data = source.contents.data
    for side in SIDES:
        if side not in data.get(CANDIDATES_CONFIG, {}):
            continue
        solved = {
            domain: _Following(rows_of(data[domain][f"{side}_sft"], _SOLVED))
            for domain in source.contents.domains
            if f"{side}_sft" in data.get(domain, {})
        }
        for row in rows_of(data[CANDIDATES_CONFIG][side], tuple(CANDIDATES)):
            follower = solved.get(row["domain"])
            yield _problem(row, side, follower.take(row["id"]) if follower else None, listing)
    listing.problems = len(listing)
    for split in source.dropped.values():
        for row in rows_of(split, tuple(DROPPED)):
            yield _draw(row, listing)


class _Following:
    """The answers of one split, which stand in the order of its problems and lack some."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self.rows, self.next = rows, next(rows, None)

    def take(self, identity: str) -> Row | None:
        if self.next is None or self.next["id"] != identity:
            return None
        found, self.next = self.next, next(self.rows, None)
        return found


def _problem(row: Row, side: str, solved: Row | None, listing: Listing) -> Row:
    candidates = row["candidates"]
    scores = [one["score"] for one in candidates]
    pair = None if row["chosen_index"] is None else (row["chosen_index"], row["rejected_index"])
    shown = {
        "id": row["id"],
        "domain": row["domain"],
        "answer": _short(row["majority_answer"] or (solved or {}).get("answer")),
        "answered": solved is not None,
        "agreement": row["answer_agreement"],
        "votes": row["answer_votes"],
        "margin": scores[pair[0]] - scores[pair[1]] if pair else None,
        "score": max((score for score in scores if score is not None), default=None),
        "tokens": solved["solution_tokens"] if solved else None,
        "kind": row["pair_kind"],
        "reason": row["pair_reason"],
        "side": side,
    }
    listing.add(row["problem"], shown | _labels(row))
    told = {name: row[name] for name in _OF_ROWS} | {"tags": row["tags"], "candidates": [_candidate(one) for one in candidates]}
    if solved is None:
        return told | {"solution_reason": row["solution_reason"]}
    named = {name: solved[name] for name in ("answer", "solution_agrees", "solution_tokens", "generation")}
    return told | named | _spoken(solved["solution"])


def _candidate(one: Mapping[str, Any]) -> Row:
    return {name: value for name, value in one.items() if name != "response" and value is not None} | _spoken(one["response"])


def _spoken(text: str | None) -> Row:
    """A whole turn as what was thought in it and the rest, as `Chat.read` splits it."""
    if text is None:
        return {}
    head, closed, tail = text.partition(END_THINK)
    if not closed:
        return {"text": text}
    return {"thinking": head.strip().removeprefix(THINK).strip(), "text": tail.strip()}


def _draw(row: Row, listing: Listing) -> Row:
    text = row["problem"] if row["problem"] is not None else row["raw_instruction"]
    listing.add(text, {"id": row["id"], "domain": row["domain"], "reason": row["reason"]} | _labels(row))
    raw = row["raw_instruction"] if row["raw_instruction"] != text else None
    return {name: row[name] for name in ("twin", "contaminated_by", "language", "tags", "raw_finish_reason")} | {"raw": raw}


def _labels(row: Row) -> Row:
    tags = row["tags"] or {}
    return {"difficulty": tags.get("difficulty"), "quality": tags.get("quality")}


def _short(text: str | None) -> str | None:
    return None if text is None else text[:FIRST]
