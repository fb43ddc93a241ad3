"""What the list of a report shows of each row, by column, and the problems that it searches.

Not here: the details of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from magpie_hf.report.packing import MOST, cut, deflated
from magpie_hf.report.source import Row, Source, accepted, with_answers
from magpie_hf.store.splits import rows_of

TEXTS_A_BLOCK = 1_000  # problems that the search unpacks together
FIRST = 140  # characters of a problem that the list shows
_NUMBERS = ("majority_share", "votes", "score_gap", "score", "tokens")
_CODED = ("domain", "reason", "kind", "difficulty", "quality", "side")
_PROBLEM = (
    "id", "domain", "problem", "tags", "candidates.score", "majority_answer", "majority_share",
    "answer_votes", "chosen_index", "rejected_index", "pair_kind", "pair_reason",
)  # fmt: skip
_SOLVED = ("id", "answer", "solution_tokens")
_SAMPLE = ("id", "domain", "reason", "problem", "raw_instruction", "tags")


class Listing:
    """The rows of a build in the order of the report: problems first, then dropped samples.

    index: the columns of the list, compressed; a repeated value is stored as its number. texts: the problems,
    in compressed blocks of `TEXTS_A_BLOCK`. size: bytes of both.
    """

    def __init__(self, source: Source) -> None:
        columns: dict[str, list[Any]] = {
            name: [] for name in ("id", "first", "answer", "answered", *_NUMBERS, *_CODED)
        }
        values: dict[str, dict[str, int]] = {name: {} for name in _CODED}
        self.texts: list[bytes] = []
        self.problems = 0
        waiting: list[Any] = []
        for row in _shown(source):
            for name, column in columns.items():
                value = row.get(name)
                if name in values and value is not None:
                    value = values[name].setdefault(value, len(values[name]))
                column.append(round(value, 4) if isinstance(value, float) else value)
            self.problems += "side" in row
            waiting.append(cut(row["text"], MOST))
            if len(waiting) == TEXTS_A_BLOCK:
                self.texts.append(deflated(waiting))
                waiting = []
        self.texts += [deflated(waiting)] if waiting else []
        self.rows = len(columns["id"])
        names = {name: list(codes) for name, codes in values.items()}
        self.index = deflated({"columns": columns, "values": names, "problems": self.problems})
        self.size = len(self.index) + sum(map(len, self.texts))


def _shown(source: Source) -> Iterator[Row]:
    for side, split in accepted(source):
        for row, answers in with_answers(source, side, rows_of(split, _PROBLEM), _SOLVED):
            yield _problem(row, side, answers) | _common(row, row["problem"])
    for split in source.dropped.values():
        for row in rows_of(split, _SAMPLE):
            text = row["problem"] if row["problem"] is not None else row["raw_instruction"]
            yield {"reason": row["reason"]} | _common(row, text or "")


def _common(row: Row, text: str) -> Row:
    tags = row["tags"] or {}
    first = " ".join(text[: FIRST * 2].split())[:FIRST]
    return {"id": row["id"], "domain": row["domain"], "first": first, "text": text} | {
        name: tags.get(name) for name in ("difficulty", "quality")
    }


def _problem(row: Row, side: str, answers: list[Row]) -> Row:
    solved = answers[0] if answers else None
    scores, chosen, rejected = row["candidates.score"], row["chosen_index"], row["rejected_index"]
    answer = row["majority_answer"] or (solved["answer"] if solved else None)
    return {
        "answer": None if answer is None else answer[:FIRST],
        "answered": solved is not None,
        "majority_share": row["majority_share"],
        "votes": row["answer_votes"],
        "score_gap": None if rejected is None else scores[chosen] - scores[rejected],
        "score": max((score for score in scores if score is not None), default=None),
        "tokens": solved["solution_tokens"] if solved else None,
        "kind": row["pair_kind"],
        "reason": row["pair_reason"],
        "side": side,
    }
