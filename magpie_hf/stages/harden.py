"""Harden: a reasoning model makes a harder problem of one that is too easy.

Not here: which problems are too easy, and answers to the harder ones. No recipe has this stage yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.engines.base import Engine
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.cleaning.rules import reason_of, trim
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.schema import HARDER
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.signature import Signature

NO_PROBLEM = "no_problem"  # the answer holds none, in marks
SAME_PROBLEM = "same_problem"  # it repeats the one that it was made of
NO_ANSWER = "no_answer"  # it asks for a proof
GUIDE = (
    "Here is a mathematics problem that a solver finds easy. Make one harder problem of it that cannot be"
    " solved without the concept named below: change what is given or what is asked, not only the numbers."
    " It must stand alone, ask exactly one question, give all that is needed, contradict itself nowhere, and"
    " have exactly one right answer that can be checked: a number or an expression, no proof. First say in a"
    " few sentences what makes it harder, how it is solved, and why its answer is the only one. Then write"
    " the problem alone, without hints and without its solution, between <problem> and </problem>."
)
_MARKED = re.compile(r"<problem>(.*?)</problem>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Harden(Stage):
    """One call for each problem with a majority answer: the rationale first, then the new problem in marks.

    The model is told the problem, its agreed answer, its pass rate where it is known, and one of `concepts`,
    chosen by the row's seed. Of several problems in marks the last counts. `harder_reason` says why there is
    none: the reason of an incomplete answer, "no_problem", "same_problem", "no_answer", or that of a rule of
    cleaning. Whether it asks one question and can be solved is for the tagger to say, which reads it as it
    reads a sample.
    """

    name: ClassVar[str] = "harden"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed", "majority_answer")
    reads_too: ClassVar[tuple[str, ...]] = ("pass_rate",)

    engine: Engine
    sampling: Sampling
    concepts: tuple[str, ...]

    @property
    def adds(self) -> Features:
        return Features(HARDER)

    @property
    def reuse_key(self) -> str:
        same = replace(self, sampling=replace(self.sampling, max_tokens=1))
        return fingerprint({**identity(same), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        yield from (recorded(one) for one in batch["harder_response"] if one is not None)

    def concept(self, seed: int) -> str:
        """The concept that a row's problem is to need."""
        return self.concepts[seed_of(seed, self.name, "concept") % len(self.concepts)]

    def conversation(self, row: Mapping[str, Any]) -> list[Message]:
        """The prompt for a row's problem."""
        said = [f"The problem:\n<problem>\n{row['problem']}\n</problem>"]
        said.append(f"Its answer: {row['majority_answer']}")
        if (rate := row.get("pass_rate")) is not None:
            said.append(f"The solver's share of right answers: {rate:.0%}")
        said.append(f"The concept: {self.concept(row['seed'])}")
        return [{"role": "user", "content": "\n\n".join([GUIDE, *said])}]

    def run(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        asked = [row for row in rows if row["majority_answer"] is not None]
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        prompts = chat.closed_prompts(map(self.conversation, asked))
        seeds = [seed_of(row["seed"], self.name, 0) for row in asked]
        completions = iter(self.engine.complete(prompts, sampling, seeds) if asked else ())
        made = [
            dict.fromkeys(HARDER)
            if row["majority_answer"] is None
            else self._made(row, response_of(chat, f"user: {GUIDE}", next(completions)))
            for row in rows
        ]
        return {column: [one[column] for one in made] for column in HARDER}

    def _made(self, row: Mapping[str, Any], response: dict[str, Any]) -> dict[str, Any]:
        rationale, problem = parsed(response["answer_text"] or "")
        reason = response["reason"] or (NO_PROBLEM if problem is None else fault(row["problem"], problem))
        return {
            "harder_problem": None if reason else problem,
            "harder_rationale": rationale,
            "harder_concept": self.concept(row["seed"]),
            "harder_reason": reason,
            "harder_response": response,
        }


def parsed(answer: str) -> tuple[str | None, str | None]:
    """The rationale and the problem of an answer: the text before the marks, and what stands in the last."""
    found = list(_MARKED.finditer(answer))
    if not found:
        return None, None
    problem = trim(found[-1][1].strip())[0]  # without a label, and a solution whose beginning is certain
    return answer[: found[-1].start()].strip() or None, problem or None


def fault(parent: str, problem: str) -> str | None:
    """Why a problem is no harder one of its parent, as far as rules see it; None where they find nothing."""
    if (reason := reason_of(problem)) is not None:
        return reason
    if asks_for_proof(problem):
        return NO_ANSWER
    signed = Signature()({"problem": [parent, problem]})
    one, other = ({column: values[at] for column, values in signed.items()} for at in (0, 1))
    near_duplicates = NearDuplicates()
    near_duplicates.add("parent", one)
    return None if near_duplicates.find(other) is None else SAME_PROBLEM
