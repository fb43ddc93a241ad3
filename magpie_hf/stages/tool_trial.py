"""ToolTrial: a solver answers a few problems that want a program, which shows whether it writes and uses one.

Not here: the answers of a build (tool_answers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from datasets import Features, Value

from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput
from magpie_hf.stage import Batch, Stage, fingerprint
from magpie_hf.stages.tool_answers import ToolAnswers
from magpie_hf.store.rows import Rows, seed_rows

PROBLEMS = {  # each with its answer
    "How many prime numbers are smaller than 10000?": "1229",
    "What is the sum of the decimal digits of $2^{100}$?": "115",
    "How many positive divisors does $20!$ have?": "41040",
    "What is the remainder when $7^{2026}$ is divided by $10007$?": "9420",
    "How many integers from 1 to 1000 are divisible by none of 2, 3 and 5?": "266",
    "Let $F_1 = F_2 = 1$ and $F_{n+1} = F_n + F_{n-1}$. What is $F_{40}$?": "102334155",
    "In how many ways can 100 be written as a sum of coins of 1, 5, 10, 25 and 50?": "292",
    "What is the largest prime factor of $600851475143$?": "6857",
}
LEAST = 4  # of the answers, in which a program ran and the final answer is right
MOST_TOKENS = 8_192  # of an answer: a model that thinks first takes some 6,000
_COLUMN = "tool_trial"
_TRIED = {
    "runs": Value("int32"),
    "agrees": Value("bool"),
    "num_tokens": Value("int32"),
    "reason": Value("string"),
}


@dataclass(frozen=True)
class ToolTrial(Stage):
    """One answer to each of PROBLEMS, as `answers` asks for them: the programs that ran, whether it is right,
    and why it is incomplete.
    """

    name: ClassVar[str] = "tool_trial"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("index", "seed")

    answers: ToolAnswers

    @staticmethod
    def of(answers: ToolAnswers) -> ToolTrial:
        """The trial of a build's answers; how many of them are asked for, and of which problems, is alike."""
        sampling = replace(answers.sampling, max_tokens=min(answers.sampling.max_tokens, MOST_TOKENS))
        return ToolTrial(replace(answers, sampling=sampling, k=1, min_majority_share=0.0, by_reference=False))

    @property
    def engine(self) -> Engine:
        """The solver, on whose machine the stage runs."""
        return self.answers.engine

    @property
    def adds(self) -> Features:
        return Features({_COLUMN: _TRIED})

    @property
    def reuse_key(self) -> str:
        return fingerprint(self)

    def run(self, batch: Batch) -> Batch:
        known = list(PROBLEMS.items())
        asked = {
            "problem": [known[index][0] for index in batch["index"]],
            "seed": batch["seed"],
            "majority_answer": [known[index][1] for index in batch["index"]],
            "majority_share": [1.0] * len(batch["index"]),
        }
        made = self.answers.run(asked)["tool_answers"]
        return {
            _COLUMN: [{name: one[name] for name in _TRIED} | {"runs": len(one["runs"])} for (one,) in made]
        }


def tool_trial_rows(domain: str, seed: int) -> Rows:
    """A row for each of PROBLEMS."""
    return seed_rows(domain, seed, 0, len(PROBLEMS))


def check_tools(rows: Rows, answers: ToolAnswers) -> None:
    """Raises BadInput where the trial's answers show that the solver does not answer with programs."""
    read = rows.read([_COLUMN])[_COLUMN].to_pylist()
    able = sum(bool(one["runs"] and one["agrees"]) for one in read)
    cut = sum(one["reason"] == "length" for one in read)
    if able >= LEAST:
        return
    solver, most = answers.engine.model.name, answers.sampling.max_tokens
    if able + cut >= LEAST and most < MOST_TOKENS:
        raise BadInput(
            f"{solver} ran a program and gave the right answer in {able} of {len(read)} trial problems, where"
            f" {cut} answers were truncated at {most:,} tokens, and {LEAST} are asked for before it answers"
            " with tools; raise --max-tokens, leave out --tir, or give another solver"
        )
    raise BadInput(
        f"{solver} ran a program and gave the right answer in {able} of {len(read)} trial problems, and"
        f" {LEAST} are asked for before it answers with tools; leave out --tir, or give another solver"
    )
