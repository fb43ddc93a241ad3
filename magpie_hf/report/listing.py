"""What the list of a report shows of each row, by column, what filters it, and the problems that it searches.

Not here: the details of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from magpie_hf.report.columns import Column, Field, Kind, columns_read, fields_of
from magpie_hf.report.packing import MOST, cut, deflated
from magpie_hf.report.source import Row, Source, accepted, with_answers
from magpie_hf.store.splits import rows_of

TEXTS_A_BLOCK = 1_000  # problems that the search unpacks together
FIRST = 140  # characters of a problem that the list shows
# What the list itself shows; the other columns are unpacked when a filter wants them.
SHOWN: dict[str, Kind] = {
    "domain": "choice", "kind": "choice", "reason": "choice", "majority_share": "range",
    "answer_votes": "range", "score_gap": "range", "score": "range", "side": "choice",
}  # fmt: skip
# What this module makes of several columns.
_MADE: dict[str, Kind] = {**SHOWN, "answered": "choice", "pair": "choice"}
# The filters that are always in sight, in this order; all others are behind a button.
IN_SIGHT = (
    "domain", "kind", "reason", "difficulty", "quality", "side", "pair", "answered", "majority_share",
    "score_gap", "score",
)  # fmt: skip
_PROBLEM = (
    "id", "problem", "candidates.score", "majority_answer", "chosen_index", "rejected_index", "pair_kind",
)  # fmt: skip
_SOLVED = ("id", "answer")
_SAMPLE = ("id", "problem", "raw_instruction")


class Listing:
    """The rows of a build in the order of the report: problems, then dropped samples, then those that wait.

    index: what the list shows, compressed. columns: those that filter, by name, with their values,
    compressed. filters: what the page needs to know of them. texts: the problems, in compressed blocks of
    `TEXTS_A_BLOCK`. ids: of all rows. size: bytes of index, columns and texts.
    """

    def __init__(self, source: Source) -> None:
        self.ids: list[str] = []
        self.texts: list[bytes] = []
        self.problems = self.dropped = 0
        first: list[str] = []
        answers: list[str | None] = []
        columns = {name: Column(name, kind) for name, kind in SHOWN.items()}
        waiting: list[Any] = []
        for row in _rows(source):
            for name, (kind, value) in row["values"].items():
                columns.setdefault(name, Column(name, kind)).add(len(self.ids), value)
            self.ids.append(row["id"])
            first.append(" ".join(row["text"][: FIRST * 2].split())[:FIRST])
            answers.append(row.get("answer"))
            self.problems += "answer" in row
            self.dropped += row.get("is_dropped", False)
            waiting.append(cut(row["text"], MOST))
            if len(waiting) == TEXTS_A_BLOCK:
                self.texts.append(deflated(waiting))
                waiting = []
        self.texts += [deflated(waiting)] if waiting else []
        self.rows = len(self.ids)
        found = {name: column for name, column in columns.items() if column.is_filter}
        self.columns = {name: deflated(column.stored) for name, column in found.items()}
        order = [name for name in IN_SIGHT if name in found]
        order += sorted(found.keys() - set(order))
        self.filters = [found[name].filter | {"in_sight": name in IN_SIGHT} for name in order]
        self.index = deflated(
            {
                "ids": self.ids,
                "first": first,
                "answers": answers,
                "problems": self.problems,
                "dropped": self.dropped,
                "columns": {name: columns[name].stored for name in SHOWN},
            }
        )
        self.size = len(self.index) + sum(map(len, (*self.texts, *self.columns.values())))


def _rows(source: Source) -> Iterator[Row]:
    """The id and text of each row, its values by filter, and the final answer of a problem."""
    for side, split in accepted(source):
        fields = [field for field in fields_of(split) if field.name not in _MADE or field.name in SHOWN]
        solved = _solved(source, side, {field.name for field in fields})
        rows = rows_of(split, columns_read(fields, _PROBLEM))
        for row, answers in with_answers(source, side, rows, columns_read(solved, _SOLVED)):
            yield _problem(row, side, answers, fields, solved)
    for splits, is_dropped in ((source.dropped, True), (source.waiting, False)):
        for split in splits.values():
            fields = fields_of(split)
            for row in rows_of(split, columns_read(fields, _SAMPLE)):
                text = row["problem"] if row["problem"] is not None else row["raw_instruction"]
                values = {field.name: (field.kind, field.of(row)) for field in fields}
                yield {"id": row["id"], "text": text or "", "values": values, "is_dropped": is_dropped}


def _solved(source: Source, side: str, known: set[str]) -> list[Field]:
    """The columns of the published answers that the problems do not have themselves."""
    found: dict[str, Field] = {}
    for domain in source.contents.domains:
        split = source.contents.data.get(domain, {}).get(f"{side}_sft")
        for field in fields_of(split) if split is not None else ():
            if field.name not in known and field.name not in _MADE:
                found[field.name] = field
    return list(found.values())


def _problem(row: Row, side: str, answers: list[Row], fields: list[Field], solved: list[Field]) -> Row:
    scores, chosen, rejected = row["candidates.score"], row["chosen_index"], row["rejected_index"]
    answer = row["majority_answer"] or (answers[0]["answer"] if answers else None)
    made = {
        "side": side,
        "answered": bool(answers),
        "pair": row["pair_kind"] is not None,
        "score": max((score for score in scores if score is not None), default=None),
        "score_gap": None if rejected is None else scores[chosen] - scores[rejected],
    }
    values = {field.name: (field.kind, field.of(row)) for field in fields}
    values |= {field.name: (field.kind, _all(field, answers)) for field in solved}
    values |= {name: (_MADE[name], value) for name, value in made.items()}
    return {
        "id": row["id"],
        "text": row["problem"],
        "answer": None if answer is None else answer[:FIRST],
        "values": values,
    }


def _all(field: Field, answers: list[Row]) -> Any:
    """The value of a problem's published answer, or those of several."""
    values = [field.of(answer) for answer in answers]
    return values[0] if len(values) == 1 else values or None
