"""Trial: a solver answers a few easy problems, which shows how it writes before many answers are paid for.

Not here: the answers of a build (respond.py), and when it gives up (selection/first_answers.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import ClassVar

from datasets import Features, Value

from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.stage import Batch, Stage, fingerprint, seed_of
from magpie_hf.stages.solving import Instruction, solving_prompts
from magpie_hf.store.rows import Rows, seed_rows
from magpie_hf.text.language import tr
from magpie_hf.text.terminal import harmless

PROBLEMS = (
    "Compute 17 + 25.",
    "Factor the polynomial $x^2 - 5x + 6$.",
    "How many subsets does a set of four elements have?",
    "The legs of a right triangle have the lengths 3 and 4. How long is its hypotenuse?",
)
MOST_TOKENS = 2_048  # of an answer; a reasoner needs a few hundred for such problems
_COLUMN = "trial"


@dataclass(frozen=True)
class Trial(Stage):
    """One answer to each of PROBLEMS: the marks of its thinking, "" for one that it has not, or null without
    thinking, why it is incomplete, or null, and its tokens.
    """

    name: ClassVar[str] = "trial"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("index", "seed")

    engine: Engine
    sampling: Sampling
    instruction: Instruction
    most: int = field(default=MOST_TOKENS, compare=False)  # another bound asks for no other trial

    @property
    def adds(self) -> Features:
        text = Value("string")
        return Features(
            {_COLUMN: {"opening": text, "closing": text, "reason": text, "num_tokens": Value("int32")}}
        )

    @property
    def reuse_key(self) -> str:
        return fingerprint(self)

    def run(self, batch: Batch) -> Batch:
        chat = chat_of(self.engine.model)
        sampling = replace(
            self.sampling, max_tokens=self.most, stop_token_ids=chat.end_ids, stop=chat.end_texts
        )
        prompts, _ = solving_prompts(chat, [PROBLEMS[index] for index in batch["index"]], self.instruction)
        seeds = [seed_of(seed, _COLUMN) for seed in batch["seed"]]
        read = []
        for completion in self.engine.complete(prompts, sampling, seeds):
            marks = chat.thinking.marks_in(completion.text.strip())
            opening, closing = map(_in_one_line, marks) if marks else (None, None)
            stopped = completion.finish_reason == "stop"
            reason = chat.read(completion.text).reason if stopped else completion.finish_reason
            read.append(
                {
                    "opening": opening,
                    "closing": closing,
                    "reason": reason,
                    "num_tokens": completion.num_tokens,
                }
            )
        return {_COLUMN: read}


def _in_one_line(mark: str) -> str:
    """A mark as the model wrote it, without what a terminal would obey."""
    return harmless(" ".join(mark.split()))


def trial_rows(domain: str, seed: int) -> Rows:
    """A row for each of PROBLEMS."""
    return seed_rows(domain, seed, 0, len(PROBLEMS))


def finding(rows: Rows) -> str:
    """What the answers show, in one line."""
    read = rows.read([_COLUMN])[_COLUMN].to_pylist()
    marks = Counter((one["opening"], one["closing"]) for one in read if one["opening"] is not None)
    parts = [_thinks(*pair, count, len(read)) for pair, count in marks.most_common()]
    if not parts:
        parts.append(tr("no thinking in {all} of {all} trial answers", all=len(read)))
    reasons = Counter(one["reason"] for one in read if one["reason"])
    parts += [tr("{count} incomplete ({reason})", count=count, reason=why) for why, count in reasons.items()]
    return "; ".join(parts)


def _thinks(opening: str, closing: str, count: int, whole: int) -> str:
    values = {"opening": opening, "closing": closing, "n": count, "all": whole}
    if not closing:
        return tr("thinks without an end: in {n} of {all} trial answers", **values)
    if not opening:  # the template opened it
        return tr("thinks up to {closing}: in {n} of {all} trial answers", **values)
    return tr("thinks between {opening} and {closing}: in {n} of {all} trial answers", **values)
