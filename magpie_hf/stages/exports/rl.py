"""`<domain>_rl`: problems with a ground truth for reinforcement learning.

Not here: how a majority is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from datasets import Features

from magpie_hf.answers.notation import for_reward
from magpie_hf.limits import check_band, check_easy_share, check_rl
from magpie_hf.models.chat import SOLVING_INSTRUCTION
from magpie_hf.schema import (
    RL,
    RL_SUFFIX,
)
from magpie_hf.stage import seed_of
from magpie_hf.stages.exports.base import Divided, Row
from magpie_hf.stages.opinions import is_confirmed
from magpie_hf.stages.pass_rate import PASS_RATE
from magpie_hf.stages.solving import Instruction, instruction_for
from magpie_hf.stages.step import OwnColumn

ABOVE_NEVER, BELOW_ALWAYS = 1e-9, 1 - 1e-9  # of shares of at most 256 answers: 0 < p < 1


@dataclass(frozen=True)
class ExportRL(Divided):
    """`<domain>_rl`, train and test: problems with a majority answer as the ground truth.

    min_majority_share: the least majority share.
    pass_rate: the least and the greatest pass rate, where that is known; None takes all between 0 and 1,
    without both, as no reward differs there. easy_share: of the problems above it, the share that stays.
    first: added to the numbers of samples in `extra_info`, so that those of several domains differ.

    A reference answer that is used stands in the place of the majority's, whatever the votes say. Answers
    that a reward cannot check are left out, and majorities that the opinions do not confirm. The prompt is
    the problem and the solving instruction, because a reward reads the answer from a box; the answer is
    written as TRL's reads it (`for_reward`). A majority is no proof: the ground truth is what the solver says
    most often.
    """

    version: ClassVar[int] = 5
    COLUMNS: ClassVar[Features] = RL
    shows_references: ClassVar[bool] = False
    READS: ClassVar[tuple[str, ...]] = (
        "index",
        "id",
        "problem",
        "cluster_sizes",
        "majority_answer",
        "majority_share",
        "mean_num_tokens",
        "is_readable",
        "accepted_as",
        "normal_hash",
    )
    suffix: ClassVar[str] = RL_SUFFIX

    min_majority_share: float
    instruction: Instruction = SOLVING_INSTRUCTION
    moved: bool = False
    first: int = 0
    reference: str = field(default="", metadata={"later": True})
    own: tuple[OwnColumn, ...] = field(default=(), metadata={"later": True})
    opinions: tuple[str, ...] = field(default=(), metadata={"later": True})
    topics: bool = field(default=False, metadata={"later": True})
    pass_rate: tuple[float, float] | None = field(default=None, metadata={"later": True})
    easy_share: float = field(default=0.0, metadata={"later": True})

    @property
    def config(self) -> str:
        return self.domain + self.suffix

    @property
    def split(self) -> str:
        return self.side

    def __post_init__(self) -> None:
        check_rl(self.min_majority_share)
        check_band(self.pass_rate)
        check_easy_share(self.easy_share)
        object.__setattr__(self, "min_majority_share", float(self.min_majority_share))

    def rows(self, row: Row) -> list[Row]:
        if self.by_reference and row["reference_answer"] is not None:
            answer, fits = row["reference_answer"], row["reference_readable"]
        else:
            answer, fits = row["majority_answer"], row["is_readable"]
            fits = answer is not None and fits and row["majority_share"] >= self.min_majority_share
            fits = fits and is_confirmed(row, self.opinions)
        if not fits or not self._teaches(row):
            return []
        gold = for_reward(answer)
        told = instruction_for(row["problem"], self.instruction)
        published = {
            "id": row["id"],
            "problem": row["problem"],
            "prompt": [{"role": "user", "content": f"{row['problem']}\n\n{told}"}],
            "solution": f"$\\boxed{{{gold}}}$",
            "data_source": f"magpie_hf/{self.domain}",
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": gold},
            "extra_info": {"index": self.first + row["index"], "split": self.side},
            "majority_share": row["majority_share"],
            "answer_votes": sum(row["cluster_sizes"]),
            "candidate_tokens": row["mean_num_tokens"],
        }
        return [published]

    @property
    def reads(self) -> tuple[str, ...]:
        return (*super().reads, *(("seed",) if self.easy_share else ()))

    def _teaches(self, row: Row) -> bool:
        """Whether the pass rate is in its band, or above it and among those that stay."""
        rate = row.get(PASS_RATE)  # none without a model that measures it
        if rate is None:
            return True
        least, greatest = self.pass_rate or (ABOVE_NEVER, BELOW_ALWAYS)
        if rate <= greatest or not self.easy_share:
            return bool(least <= rate <= greatest)
        return seed_of(row["seed"], "easy_share") < self.easy_share * 2**48
