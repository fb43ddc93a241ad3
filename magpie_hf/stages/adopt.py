"""Adopt: a harder problem takes the place of the one that it was made of, in its row.

Not here: making it (harden.py), and its labels and answers, which are made anew (again.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.cleaning.rules import suspicions_of
from magpie_hf.schema import ADOPTED, CLEAN, INSTRUCTION, PARENT, REFERENCE, SUSPICIONS
from magpie_hf.stage import Batch, Stage
from magpie_hf.stages.again import in_round, put

NOT_HARDER = "not_harder"  # why a harder problem inside the band is dropped all the same
LEAST_FALL = 0.25  # of the pass rate
LEAST_SHARE = 0.5  # of the votes, for the majority's answer
_TAKEN = ("id", "problem", "language", "trimmed", "raw_num_tokens")
_MARK = re.compile(r"-h[12]\Z")  # behind the id of the sample, whose own ends in a hash


def sampled_id(identifier: str) -> str:
    """The id of the sample that a row began with, whatever problem stands there now."""
    return _MARK.sub("", identifier)


@dataclass(frozen=True)
class Adopt(Stage):
    """The harder problem of each row that got one in `round`, with an id of its own; all others stay.

    model: in whose tokens a problem is counted. suspicions, reference: whether the rows have these columns.
    What a source says of the answer is not an answer to the harder problem, so there is none.
    """

    name: ClassVar[str] = "adopt"
    version: ClassVar[int] = 1

    model: Model
    round: int = 1
    suspicions: bool = False
    reference: bool = False

    @property
    def label(self) -> str:
        return in_round(self.name, self.round)

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        before = tuple(ADOPTED) if self.round > 1 else ()
        replaced = tuple(name for name in self.adds if name not in ADOPTED)
        return (*replaced, *before, "pass_rate", "harder_problem")

    @property
    def adds(self) -> Features:
        more = {**(SUSPICIONS if self.suspicions else {}), **(REFERENCE if self.reference else {})}
        taken = {name: {**INSTRUCTION, **CLEAN}[name] for name in _TAKEN}
        return Features({**taken, **more, **ADOPTED})

    def run(self, batch: Batch) -> Batch:
        none = [None] * len(batch["id"])
        rounds, dropped = batch.get("round") or none, batch.get("dropped") or none
        columns = zip(batch["harder_problem"], rounds, dropped, strict=True)
        places = [
            at
            for at, (harder, number, gone) in enumerate(columns)
            if harder is not None and (number or 0) == self.round - 1 and gone is None
        ]
        texts = [batch["harder_problem"][at] for at in places]
        tokenizer = chat_of(self.model).tokenizer
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []
        rows = [
            self._row({name: values[at] for name, values in batch.items()}, len(tokens))
            for at, tokens in zip(places, ids, strict=True)
        ]
        return put(batch, places, {column: [row[column] for row in rows] for column in self.adds})

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, **self.run(batch)}  # a dropped row, too, keeps what it has

    def counted(self, batch: Batch, added: Batch) -> Batch:
        return {}  # nobody wrote what it adds

    def _row(self, row: Mapping[str, Any], tokens: int) -> dict[str, Any]:
        problem = row["harder_problem"]
        return {
            "id": f"{sampled_id(row['id'])}-h{self.round}",
            "problem": problem,
            "language": language_of(problem),
            "trimmed": None,
            "raw_num_tokens": tokens,
            "suspicions": suspicions_of(problem)[1],
            "reference": None,
            PARENT: row["problem"],
            "round": self.round,
            "pass_rate_before": row["pass_rate"],
        }


@dataclass(frozen=True)
class ConfirmHarder(Stage):
    """The reason to drop a problem that took another's place, is inside the band, and yet not much harder.

    Its pass rate must be lower by LEAST_FALL than that of the problem before it, and its majority must have
    LEAST_SHARE of the votes. Outside of `band` the selection drops it in any case.
    """

    name: ClassVar[str] = "confirm_harder"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("round", "pass_rate", "pass_rate_before", "majority_share", "dropped")

    band: tuple[float, float]

    @property
    def adds(self) -> Features:
        return Features({"dropped": CLEAN["dropped"]})

    def counted(self, batch: Batch, added: Batch) -> Batch:
        return {"dropped": [reason for reason in added["dropped"] if reason == NOT_HARDER]}

    def run(self, batch: Batch) -> Batch:
        columns = (batch[name] for name in self.reads if name != "dropped")
        return {"dropped": [self._reason(*row) for row in zip(*columns, strict=True)]}

    def _reason(
        self, number: int | None, rate: float | None, before: float | None, share: float | None
    ) -> str | None:
        least, greatest = self.band
        if not number or rate is None or before is None or not least <= rate <= greatest:
            return None
        fell = round(before - rate, 9) >= LEAST_FALL  # rates are shares of a few votes
        return None if fell and share is not None and share >= LEAST_SHARE else NOT_HARDER
