"""Delta: where all candidates are right, a smaller model's answer is the rejected one of a pair.

Not here: the other pairs (pair.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.words import DIFFERENT, EQUAL
from magpie_hf.engines.base import Engine
from magpie_hf.limits import check_chosen
from magpie_hf.models.chat import SOLVING_INSTRUCTION, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import PAIR, REJECTED
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.opinions import is_confirmed
from magpie_hf.stages.pair import CORRECTNESS, length_ratio
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.solving import Instruction, solving_prompts

BEST, SHORTEST = "best", "shortest"
DELTA = "delta"  # the kind of pair
Row = dict[str, Any]
_AGREES = {EQUAL: True, DIFFERENT: False}


@dataclass(frozen=True)
class Delta(Stage):
    """One answer of a smaller model to each problem whose complete candidates are all right, and its pair.

    Right is what gives the majority's answer, of at least `min_majority_share`, or with `by_reference` what
    equals the reference answer, where there is one; a single candidate that is shown to differ leaves the
    pair as it is. Chosen is the right candidate with the best score, or the shortest; rejected is the smaller
    model's answer, right or wrong: the difference between the models is what is learned (Delta Learning,
    arXiv 2507.06187). It takes the place of a score pair, unless the answer is incomplete, or no two texts
    differ and fit `max_length_ratio`.

    opinions: those that must confirm the majority, as `opinions.is_confirmed` says; () asks for none.
    """

    name: ClassVar[str] = "delta"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (
        "problem",
        "seed",
        "candidates",
        "scores",
        "in_majority",
        "majority_answer",
        "majority_share",
        *PAIR,
    )
    reads_too: ClassVar[tuple[str, ...]] = (
        "reference_answer",
        "matches_reference",
        "checked",
        "program_agrees",
    )

    engine: Engine
    sampling: Sampling
    instruction: Instruction = SOLVING_INSTRUCTION
    chosen: str = BEST
    min_majority_share: float = 0.5
    max_length_ratio: float = 4.0
    by_reference: bool = False
    opinions: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    def __post_init__(self) -> None:
        check_chosen(self.chosen)

    @property
    def adds(self) -> Features:
        return Features({**REJECTED, **PAIR})

    @property
    def reuse_key(self) -> str:
        sampling = replace(self.sampling, max_tokens=1)
        asked = type(self)(self.engine, sampling, self.instruction)  # the rules tell only whom to ask
        return fingerprint({**identity(asked), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        yield from (recorded(one) for one in batch["rejected_response"] if one is not None)

    def run(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        asked = [row for row in rows if self._right(row)]
        chat = chat_of(self.engine.model)
        prompts, notes = solving_prompts(chat, [row["problem"] for row in asked], self.instruction)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        seeds = [seed_of(row["seed"], self.name, 0) for row in asked]
        made = [dict.fromkeys(REJECTED) | {name: row[name] for name in PAIR} for row in rows]
        answered = [pair for row, pair in zip(rows, made, strict=True) if self._right(row)]
        completions = self.engine.complete(prompts, sampling, seeds)
        for pair, note, completion in zip(answered, notes, completions, strict=True):
            pair["rejected_response"] = response_of(chat, note, completion)
        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(self._take, asked, answered))
        return {column: [pair[column] for pair in made] for column in self.adds}

    def _right(self, row: Row) -> list[int]:
        """The complete candidates that are right; [] where another may be wrong, or nothing says so."""
        referred = self.by_reference and row.get("reference_answer") is not None
        sides: Sequence[bool | None] = row["matches_reference"] if referred else row["in_majority"]
        complete = [at for at, one in enumerate(row["candidates"]) if one["reason"] is None]
        share = row["majority_share"]
        trusted = share is not None and share >= self.min_majority_share and is_confirmed(row, self.opinions)
        if row["pair_kind"] == CORRECTNESS or not (referred or trusted):
            return []
        return [] if False in (sides[at] for at in complete) else [at for at in complete if sides[at]]

    def _take(self, row: Row, pair: Row) -> None:
        """Make the pair of a row from its answer of the smaller model, where the two fit."""
        rejected = pair["rejected_response"]
        if rejected["reason"] is not None:
            return
        answer = final_answer(rejected["answer_text"])
        gold = (self.by_reference and row.get("reference_answer")) or row["majority_answer"]
        if answer is not None and gold is not None:
            verdict = compare(answer, gold, self.limits, self.processes)
            pair["rejected_agrees"] = _AGREES.get(verdict.relation)
        fitting = [
            at
            for at in self._right(row)
            if row["candidates"][at]["text"] != rejected["text"]
            and length_ratio(row["candidates"][at], rejected) <= self.max_length_ratio
        ]
        if fitting:
            chosen = min(fitting, key=lambda at: self._order(row, at))
            pair |= {"chosen_index": chosen, "rejected_index": None, "pair_kind": DELTA, "pair_reason": None}

    def _order(self, row: Row, at: int) -> tuple[float, int]:
        score = row["scores"][at]["score"]
        best = float("inf") if score is None else -float(score)
        return (float(row["candidates"][at]["num_tokens"]) if self.chosen == SHORTEST else best), at
