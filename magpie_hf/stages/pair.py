"""Pair: which two candidates of a problem make a preference pair, and why none do.

Not here: votes and scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.limits import check_pairs
from magpie_hf.schema import PAIR
from magpie_hf.stage import Batch, Stage

CORRECTNESS, SCORE = "correctness", "score"
Candidate = dict[str, Any]


@dataclass(frozen=True)
class Pair(Stage):
    """Two complete, scored candidates of a problem as chosen and rejected, with the widest allowed score gap.

    A "correctness" pair: chosen gives the majority answer, rejected is shown to differ from it. A "score"
    pair: the score alone decides, because no candidate differs (both are then of the majority) or there is no
    majority. A row that could have a correctness pair never gets a score pair.

    min_majority_share: the least share of the voters that makes a majority here.
    min_score_gap: the least score gap of a score pair, which is never a tie.
    min_correctness_score_gap: the same for correctness pairs; None accepts a right answer that the scorer
        likes less than a wrong one.
    max_length_ratio: tokens of the longer by the shorter.

    `pair_reason` says why a row has no pair: "incomplete" (fewer than two complete candidates), "unscored",
    "same_text", "length_ratio" or "score_gap".
    """

    name: ClassVar[str] = "pair"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("candidates", "scores", "in_majority", "majority_share")

    min_majority_share: float = 0.5
    min_score_gap: float = 0.0
    min_correctness_score_gap: float | None = None
    max_length_ratio: float = 4.0

    def __post_init__(self) -> None:
        check_pairs(
            self.min_majority_share, self.min_score_gap, self.min_correctness_score_gap, self.max_length_ratio
        )
        for name in ("min_majority_share", "min_score_gap", "min_correctness_score_gap", "max_length_ratio"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(value))

    @property
    def adds(self) -> Features:
        return Features(PAIR)

    def run(self, batch: Batch) -> Batch:
        rows = zip(
            batch["candidates"], batch["scores"], batch["in_majority"], batch["majority_share"], strict=True
        )
        pairs = [self._pair(*row) for row in rows]
        return {column: [pair[column] for pair in pairs] for column in PAIR}

    def _pair(
        self,
        candidates: Sequence[Candidate],
        scores: Sequence[Candidate],
        in_majority: Sequence[bool | None],
        majority_share: float | None,
    ) -> Candidate:
        complete = [j for j, candidate in enumerate(candidates) if candidate["reason"] is None]
        scored = {j: float(scores[j]["score"]) for j in complete if scores[j]["score"] is not None}
        pairs: Iterable[tuple[int, int]] = permutations(scored, 2)
        kind = SCORE
        if majority_share is not None and majority_share >= self.min_majority_share and True in in_majority:
            right, wrong = ([j for j in scored if in_majority[j] is given] for given in (True, False))
            kind = CORRECTNESS if wrong else SCORE
            pairs = product(right, wrong) if wrong else permutations(right, 2)
        score_gaps = {(chosen, rejected): scored[chosen] - scored[rejected] for chosen, rejected in pairs}
        if not score_gaps:
            return no_pair("incomplete" if len(complete) < 2 else "unscored")
        rules = (
            (
                "same_text",
                lambda chosen, rejected: candidates[chosen]["text"] != candidates[rejected]["text"],
            ),
            (
                "length_ratio",
                lambda chosen, rejected: (
                    length_ratio(candidates[chosen], candidates[rejected]) <= self.max_length_ratio
                ),
            ),
            ("score_gap", lambda chosen, rejected: self._is_wide(score_gaps[chosen, rejected], kind)),
        )
        for reason, rule in rules:
            score_gaps = {pair: score_gap for pair, score_gap in score_gaps.items() if rule(*pair)}
            if not score_gaps:
                return no_pair(reason)
        chosen, rejected = max(score_gaps, key=lambda pair: (score_gaps[pair], -pair[0], -pair[1]))
        return {"chosen_index": chosen, "rejected_index": rejected, "pair_kind": kind, "pair_reason": None}

    def _is_wide(self, score_gap: float, kind: str) -> bool:
        if kind == SCORE:
            return score_gap > 0 and score_gap >= self.min_score_gap
        return self.min_correctness_score_gap is None or score_gap >= self.min_correctness_score_gap


@dataclass(frozen=True)
class PairByReference(Pair):
    """Pair, where a problem with a reference answer needs no majority: right is what equals the reference.

    Such a problem has no pair, for the reason "no_correct", where no scored candidate is shown to equal it.
    """

    name: ClassVar[str] = "pair_by_reference"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (*Pair.reads, "reference_answer", "matches_reference")

    @property
    def label(self) -> str:
        return Pair.name

    def run(self, batch: Batch) -> Batch:
        pairs = []
        for *row, reference, matches in zip(*(batch[column] for column in self.reads), strict=True):
            candidates, scores, in_majority, share = row
            if reference is None:
                pairs.append(self._pair(candidates, scores, in_majority, share))
            elif True not in matches:
                pairs.append(no_pair("no_correct"))
            else:
                pairs.append(self._pair(candidates, scores, matches, 1.0))
        return {column: [pair[column] for pair in pairs] for column in PAIR}


def no_pair(reason: str) -> Candidate:
    return {"chosen_index": None, "rejected_index": None, "pair_kind": None, "pair_reason": reason}


def length_ratio(one: Candidate, other: Candidate) -> float:
    shorter, longer = sorted((one["num_tokens"], other["num_tokens"]))
    return float(longer / max(1, shorter))
