"""The details of each row of a report, in blocks of rows.

Not here: what the list shows of a row, and its problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from magpie_hf.models.thinking import parted
from magpie_hf.report.finding import own_columns
from magpie_hf.report.packing import Room
from magpie_hf.report.source import Row, Source, accepted, with_answers
from magpie_hf.schema import CANDIDATES, CANDIDATES_CONFIG, OPINIONS, TOPIC, WITH_DELTA
from magpie_hf.stages.delta import DELTA
from magpie_hf.stages.harden import HARDEN
from magpie_hf.stages.pass_rate import PASS_RATE
from magpie_hf.store.splits import rows_of

ROWS_A_BLOCK = 48  # unpacked in a few milliseconds when one of them is opened
_LONG = ("thinking", "text", "raw")
_PROBLEM = tuple(column for column in CANDIDATES if column != "problem")
_SOLVED = (
    "id", "solution", "answer_rank", "answer", "answer_count", "answer_checked", "solution_tokens",
    "generation",
)  # fmt: skip
_WITH_TOOLS = ("id", "solution", "answer_rank", "runs", "solution_tokens")
_SAMPLE = (
    "problem",
    "raw_instruction",
    "near_duplicate",
    "contaminated_by",
    "language",
    "tags",
    "raw_finish_reason",
)


def details(source: Source, room: Room) -> Iterator[bytes]:
    """Blocks of `ROWS_A_BLOCK` rows, in the order of the listing, as compressed JSON."""
    found = _rows(source)
    while rows := list(islice(found, ROWS_A_BLOCK)):
        places = (place for row in rows for place in (row, *row.get("candidates", ()), *row.get("tools", ())))
        texts = [(place, key) for place in places for key in _LONG if place.get(key) is not None]
        problems = sum("candidates" in row for row in rows)
        yield room.pack(rows, texts, weight_of(problems, len(rows) - problems))


def weight_of(problems: int, samples: int) -> float:
    """The weight of rows in a `Room`: a dropped sample has its text in the list, so few details are left."""
    return problems + samples / 50


def _rows(source: Source) -> Iterator[Row]:
    own: dict[str, list[str]] = {kind: [] for kind in ("candidates", "sft", "prefs", "rl")}
    for column in own_columns(source.contents.provenance):
        own[next(kind for kind in own if kind in column["to"])].append(column["name"])
    for side, split in accepted(source):
        optional = (TOPIC, WITH_DELTA[CANDIDATES_CONFIG], *OPINIONS.values())
        more = [name for columns in optional for name in columns if name in split.features]
        rows: Iterator[Row] = rows_of(split, (*_PROBLEM, *more, *own["candidates"]))
        for kind in ("sft", "prefs", "rl"):
            if own[kind]:
                rows = _with_own(source, side, rows, own[kind], kind)
        rows = _with_tools(source, side, rows)
        for row, answers in with_answers(source, side, rows, _SOLVED):
            yield _problem(row, answers)
    for split in source.samples:
        rated = (PASS_RATE, HARDEN)
        more = [name for of in rated for name in OPINIONS[of] if name in split.features]
        for row in rows_of(split, (*_SAMPLE, *more)):
            known = row["problem"] in (None, row["raw_instruction"]) or row.get("round")
            raw = None if known else row["raw_instruction"]  # of a harder problem the sample is another one
            yield {name: row[name] for name in (*_SAMPLE[2:], *more)} | {"raw": raw}


def _with_own(
    source: Source, side: str, rows: Iterator[Row], columns: Sequence[str], kind: str
) -> Iterator[Row]:
    """The problems with columns of one's own, from another split that has them."""
    for row, found in with_answers(source, side, rows, ("id", *columns), kind):
        yield row | {column: found[0][column] for column in columns if found}


def _with_tools(source: Source, side: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The problems with their answers with tools, where they have some."""
    for row, found in with_answers(source, side, rows, _WITH_TOOLS, "tir"):
        tools = [
            {"answer_rank": one["answer_rank"], "runs": one["runs"], "num_tokens": one["solution_tokens"]}
            | _spoken(one["solution"])
            for one in found
        ]
        yield row | {"tools": tools} if tools else row


def _problem(row: Row, answers: list[Row]) -> Row:
    """The details of a problem: its best answer as a whole, and of the others only which candidate it is."""
    ranks = {answer["solution"]: answer["answer_rank"] for answer in answers}
    details = row | {"candidates": [_candidate(one, ranks) for one in row["candidates"]]}
    smaller = [details.pop(name, None) for name in WITH_DELTA[CANDIDATES_CONFIG]]
    if row["pair_kind"] == DELTA:
        text, tokens, agrees = smaller
        details["candidates"].append(
            {"smaller": True, "num_tokens": tokens, "agrees": agrees} | _spoken(text)
        )
    for best in answers[:1]:
        details |= {name: best[name] for name in _SOLVED[3:]} | _spoken(best["solution"])
    return details


def _candidate(one: Mapping[str, Any], ranks: Mapping[str, int]) -> Row:
    told = {**one, "answer_rank": ranks.get(one["response"])}
    return {
        name: value for name, value in told.items() if name != "response" and value is not None
    } | _spoken(one["response"])


def _spoken(text: str | None) -> Row:
    """A response as its thinking and the rest."""
    if text is None:
        return {}
    thinking, rest = parted(text)
    return {"text": rest} if thinking is None else {"thinking": thinking, "text": rest}
