"""Which answers of a problem are published, best first.

Not here: the published rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# What the vote says of an answer, by `in_majority`; a complete answer can be left out for the second.
CHECKED = {True: "majority", False: "minority", None: "no vote"}
NO_CORRECT = "no_correct"  # reason of a problem whose answers do not give its reference
_ORDER = (True, None, False)


class Answer(NamedTuple):
    """A complete answer of a problem.

    response: as in `schema.RESPONSE`. in_majority: as in `schema.VERIFY`. is_cold: whether it was asked for
    on its own (`schema.COLD`) and is no candidate.
    """

    response: dict[str, Any]
    in_majority: bool | None
    is_cold: bool = False


def published_answers(
    row: Mapping[str, Any], sft: str | int, keep_minority: bool, by_reference: bool = False
) -> list[Answer]:
    """The published answers of a problem, the best one first.

    row: with candidates, scores, and the columns of `schema.COLD` and `schema.VERIFY`. sft, keep_minority: as
    in a Recipe.

    They are the complete candidates of the majority, or without a majority all complete ones, by score and
    then by position. Of texts that differ in white space alone, the first counts. With keep_minority those
    that the vote cannot place follow, and then those against the majority. "cold" publishes the cold answer
    alone, and not against the majority.

    by_reference: whether a reference answer takes the majority's place, where the problem has one; then only
    answers that equal it are published, and with keep_minority the others after them.
    """
    referred = by_reference and row["reference_answer"] is not None
    if sft == "cold":
        cold = Answer(row["solutions"][0], row["solution_agrees"], is_cold=True)
        right = bool(row["solution_matches"]) if referred else cold.in_majority is not False
        return [cold] if cold.response["reason"] is None and (keep_minority or right) else []
    votes, scores = row["in_majority"], [score["score"] for score in row["scores"]]
    right_ones = row["matches_reference"] if referred else votes
    places = [
        place
        for place, candidate in enumerate(row["candidates"])
        if candidate["reason"] is None
        and (keep_minority or right_ones[place] or (True not in votes and not referred))
    ]
    places.sort(
        key=lambda place: (_ORDER.index(right_ones[place]), scores[place] is None, -(scores[place] or 0.0))
    )
    answers: dict[str, Answer] = {}
    for place in places:
        response = row["candidates"][place]
        answers.setdefault(" ".join(response["text"].split()), Answer(response, votes[place]))
    most = None if sft == "all" else 1 if sft == "best" else int(sft)
    return list(answers.values())[:most]


def missing_reason(
    row: Mapping[str, Any], sft: str | int, keep_minority: bool, by_reference: bool = False
) -> str | None:
    """Why no answer of a problem is published; None where one is."""
    if published_answers(row, sft, keep_minority, by_reference):
        return None
    if by_reference and row["reference_answer"] is not None:
        return NO_CORRECT
    first = row["solutions" if sft == "cold" else "candidates"][0]
    return first["reason"] or CHECKED[False]
