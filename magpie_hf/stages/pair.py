"""Pair: right before liked. Which two candidates of a problem make a preference pair, and why none does. Not here: votes and scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.limits import check_pairs
from magpie_hf.schema import PAIR
from magpie_hf.stage import Batch, Stage

CORRECTNESS, STYLE = "correctness", "style"
Candidate = dict[str, Any]


@dataclass(frozen=True)
class Pair(Stage):
    """Two complete, scored candidates of one problem as chosen and rejected, with the widest score margin that the rules allow.

    Where the candidates have a majority answer, chosen is one that gives it; where others are shown to differ from it, rejected is one
    of those: a "correctness" pair. Where none differs, or there is no majority, the score alone decides: a "style" pair (inside the
    majority, where there is one). A row that could have a correctness pair never gets a style pair in its place.

    min_agreement: the least share of the voters that makes a majority here. min_margin: the least score margin of a style pair, which is
    never a tie. min_correctness_margin: the same for correctness pairs; None accepts a right answer that the scorer likes less than
    a wrong one. max_length_ratio: tokens of the longer by the shorter.
    `pair_reason` says what left a row without a pair: "incomplete" (fewer than two complete candidates), "unscored", "same_text",
    "length_ratio" or "margin".
    """

    name: ClassVar[str] = "pair"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("candidates", "scores", "in_majority", "agreement")

    min_agreement: float = 0.5
    min_margin: float = 0.0
    min_correctness_margin: float | None = None
    max_length_ratio: float = 4.0

    def __post_init__(self) -> None:
        check_pairs(self.min_agreement, self.min_margin, self.min_correctness_margin, self.max_length_ratio)
        for name in ("min_agreement", "min_margin", "min_correctness_margin", "max_length_ratio"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(value))

    @property
    def adds(self) -> Features:
        return Features(PAIR)

    def run(self, batch: Batch) -> Batch:
        rows = zip(batch["candidates"], batch["scores"], batch["in_majority"], batch["agreement"], strict=True)
        pairs = [self._pair(*row) for row in rows]
        return {column: [pair[column] for pair in pairs] for column in PAIR}

    def _pair(
        self, candidates: Sequence[Candidate], scores: Sequence[Candidate], in_majority: Sequence[bool | None], agreement: float | None
    ) -> Candidate:
        complete = [j for j, candidate in enumerate(candidates) if candidate["reason"] is None]
        scored = {j: float(scores[j]["score"]) for j in complete if scores[j]["score"] is not None}
        pairs: Iterable[tuple[int, int]] = permutations(scored, 2)
        kind = STYLE
        if agreement is not None and agreement >= self.min_agreement and True in in_majority:
            right, wrong = ([j for j in scored if in_majority[j] is given] for given in (True, False))
            kind = CORRECTNESS if wrong else STYLE
            pairs = product(right, wrong) if wrong else permutations(right, 2)
        margins = {(chosen, rejected): scored[chosen] - scored[rejected] for chosen, rejected in pairs}
        if not margins:
            return _none("incomplete" if len(complete) < 2 else "unscored")
        rules = (
            ("same_text", lambda chosen, rejected: candidates[chosen]["text"] != candidates[rejected]["text"]),
            ("length_ratio", lambda chosen, rejected: _length_ratio(candidates[chosen], candidates[rejected]) <= self.max_length_ratio),
            ("margin", lambda chosen, rejected: self._is_wide(margins[chosen, rejected], kind)),
        )
        for reason, rule in rules:
            margins = {pair: margin for pair, margin in margins.items() if rule(*pair)}
            if not margins:
                return _none(reason)
        chosen, rejected = max(margins, key=lambda pair: (margins[pair], -pair[0], -pair[1]))
        return {"chosen_index": chosen, "rejected_index": rejected, "pair_kind": kind, "pair_reason": None}

    def _is_wide(self, margin: float, kind: str) -> bool:
        if kind == STYLE:
            return margin > 0 and margin >= self.min_margin
        return self.min_correctness_margin is None or margin >= self.min_correctness_margin


def _none(reason: str) -> Candidate:
    return {"chosen_index": None, "rejected_index": None, "pair_kind": None, "pair_reason": reason}


def _length_ratio(one: Candidate, other: Candidate) -> float:
    shorter, longer = sorted((one["num_tokens"], other["num_tokens"]))
    return float(longer / max(1, shorter))
