"""What a solver's votes are worth on problems with known answers: precision and recall of the label.

Not here: making the votes, and files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magpie_hf.review.calibration.values import same, value_of
from magpie_hf.review.precision import Share

SHARES = (0.0, 0.5, 0.6, 0.8, 1.0)  # least majority shares; 0 is any majority
# Columns of other opinions on the majority's answer, and what a label is called that has them on its side.
# "agrees" in such a column is a yes; a build without these models has no such column.
OPINIONS = {"checked": "and checked", "program_agrees": "and by a program"}
AGREES = "agrees"
READS = (
    "problem",
    "accepted_as",
    "candidates",
    "answers",
    "majority_answer",
    "majority_share",
    "reference_answer",
    "reference_agrees",
    "matches_reference",
    "chosen_index",
    "rejected_index",
    "pair_kind",
)
_LAST_LINE = re.compile(r"\\(?:[dtc]?frac\{[^{}]*\}\{[^{}]*\})|-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True)
class Outcome:
    """One problem with a known answer, and what became of it.

    groups: what it belongs to, such as its domain, family and level. share: of the majority; None without a
    majority. right: whether the majority's answer is the known one; None where nothing shows it. by_value:
    whether the values say so, and the answers' reader another thing or nothing. opinions: of those that were
    asked, whether each agrees. pair: whether chosen is right and rejected is wrong, of a correctness pair.
    complete: answers that ended; unread: of these, those in which no final answer was found, and unread_right
    those of them that end with the known value. misread, mistaken: answers that equal the known one by value
    alone, and by the reader alone.
    """

    groups: Mapping[str, str]
    share: float | None
    right: bool | None
    by_value: bool
    opinions: Mapping[str, bool]
    pair: tuple[bool, bool] | None
    complete: int
    unread: int
    unread_right: int
    misread: int
    mistaken: int


def outcome(row: Mapping[str, Any], groups: Mapping[str, str]) -> Outcome | None:
    """What became of a problem, from its row with the columns READS; None for one without a known answer."""
    gold = row["reference_answer"]
    if gold is None:
        return None
    known = value_of(gold)

    def truth(answer: str | None, by_reader: bool | None) -> bool | None:
        """Whether an answer is the known one: by value where both have one."""
        if answer is None:
            return None
        value = None if known is None else value_of(answer)
        return by_reader if value is None else same(value, known)

    read = list(zip(row["answers"], row["matches_reference"], strict=True))
    right_ones = [truth(answer, by_reader) for answer, by_reader in read]
    right = truth(row["majority_answer"], row["reference_agrees"])
    unread = [
        candidate["answer_text"]
        for candidate, answer in zip(row["candidates"], row["answers"], strict=True)
        if candidate["reason"] is None and answer is None
    ]
    pair = None
    if row["pair_kind"] == "correctness":
        chosen, rejected = right_ones[row["chosen_index"]], right_ones[row["rejected_index"]]
        pair = bool(chosen), rejected is False
    seen = [(found, by_reader) for found, (_, by_reader) in zip(right_ones, read, strict=True)]
    return Outcome(
        groups,
        row["majority_share"] if row["majority_answer"] is not None else None,
        right,
        right is True and row["reference_agrees"] is not True,
        {name: row[name] == AGREES for name in OPINIONS if row.get(name) is not None},
        pair,
        sum(candidate["reason"] is None for candidate in row["candidates"]),
        len(unread),
        sum(known is not None and _ends_with(text or "", known) for text in unread),
        sum(found is True and by_reader is not True for found, by_reader in seen),
        sum(found is False and by_reader is True for found, by_reader in seen),
    )


def _ends_with(text: str, known: Any) -> bool:
    """Whether the last number of a text is the known one."""
    found = _LAST_LINE.findall(text[-500:])
    value = value_of(found[-1]) if found else None
    return value is not None and same(value, known)


def measured(outcomes: Sequence[Outcome], least: float) -> dict[str, Any]:
    """The numbers of all outcomes, as plain JSON. least: the share from which the build trusts a label.

    levels: of labels by least majority share, and by the opinions on their side. groups: at `least`. shares:
    [majority share, labels, right ones], from which those of any other level follow.
    """
    by_share: dict[float, list[bool]] = defaultdict(list)
    for one in outcomes:
        if one.share is not None:
            by_share[one.share].append(one.right is True)
    groups: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for one in outcomes:
        for group, name in one.groups.items():
            groups[group][name].append(one)
    asked = [name for name in OPINIONS if any(name in one.opinions for one in outcomes)]
    sides: list[tuple[str, ...]] = [(), *((name,) for name in asked), *([tuple(asked)] if asked[1:] else [])]
    pairs = [one.pair for one in outcomes if one.pair is not None]
    return {
        "problems": len(outcomes),
        "least": least,
        "levels": [
            {"majority_share": level, "opinions": list(side), **_labels(outcomes, level, side)}
            for side in sides
            for level in sorted({*SHARES, least})
        ],
        "groups": {
            group: {name: _labels(some, least) for name, some in sorted(parts.items())}
            for group, parts in groups.items()
        },
        "shares": [[share, len(right), sum(right)] for share, right in sorted(by_share.items())],
        "pairs": {
            "correctness": len(pairs),
            "chosen_right": sum(chosen for chosen, _ in pairs),
            "rejected_wrong": sum(rejected for _, rejected in pairs),
        },
        "reader": {
            "complete": sum(one.complete for one in outcomes),
            "unread": sum(one.unread for one in outcomes),
            "unread_right": sum(one.unread_right for one in outcomes),
            "misread": sum(one.misread for one in outcomes),
            "mistaken": sum(one.mistaken for one in outcomes),
            "labels_by_value": sum(one.by_value for one in outcomes),
            "undecided": sum(one.share is not None and one.right is None for one in outcomes),
        },
    }


def _labels(outcomes: Iterable[Outcome], least: float, side: tuple[str, ...] = ()) -> dict[str, Any]:
    """The labels of these problems from a majority share on.

    precision: of the labels. found: the share of all these problems that have a right label. What nothing
    shows to be right counts as wrong.
    """
    outcomes = list(outcomes)
    labels = [
        one
        for one in outcomes
        if one.share is not None and one.share >= least and all(one.opinions.get(name) for name in side)
    ]
    right = sum(one.right is True for one in labels)
    return {
        "problems": len(outcomes),
        "labels": len(labels),
        "right": right,
        **_with_interval("precision", right, len(labels)),
        **_with_interval("found", right, len(outcomes)),
    }


def _with_interval(name: str, right: int, of: int) -> dict[str, Any]:
    """A share and Wilson's interval of 95 %; null of none."""
    if not of:
        return {name: None, f"{name}_interval": None}
    return {name: right / of, f"{name}_interval": list(Share(right, of).interval)}
