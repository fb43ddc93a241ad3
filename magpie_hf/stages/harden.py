"""Harden: a reasoning model makes a harder problem of one that is too easy.

Not here: what becomes of it (adopt.py, again.py), and the concepts of the domains (problems/concepts.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.engines.base import Engine
from magpie_hf.limits import NEAR
from magpie_hf.models.chat import Message, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.cleaning.contained_solutions import without_label
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.schema import HARDER
from magpie_hf.stage import Batch, Stage, fingerprint, seed_of
from magpie_hf.stages.again import in_round, put
from magpie_hf.stages.clean import Clean
from magpie_hf.stages.cut import SOLUTION
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.signature import Signature

HARDEN = "harden"  # the key of its columns in `schema.OPINIONS`
NO_PROBLEM = "no_problem"  # the answer holds none, in marks
SAME_PROBLEM = "same_problem"  # it repeats the one that it was made of
NO_ANSWER = "no_answer"  # it asks for a proof
LANGUAGE = "language"  # it is not in that of its parent, or in none that is accepted
_STRICT = Clean(())  # what uncertain rules suspect is dropped
GUIDE = (
    "Here is a mathematics problem that a solver finds easy. Make one harder problem of it that cannot be"
    " solved without the concept named below: change what is given or what is asked, not only the numbers."
    " It must stand alone, ask exactly one question, give all that is needed, contradict itself nowhere, and"
    " have exactly one right answer that can be checked: a number or an expression, no proof. Write it in the"
    " language of the problem. First say in a few sentences what makes it harder, how it is solved, and why"
    " its answer is the only one. Then write the problem alone, without hints and without its solution,"
    " between <problem> and </problem>."
)
_EMPHASIS = re.compile(r"\A[*_]{2,3}\s*\n|\n\s*[*_]{2,3}\Z")  # of the marks themselves
# From the last opening mark: a rationale may speak of the mark, too
_MARKED = re.compile(r"<problem>((?:(?!<problem>).)*?)</problem>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Harden(Stage):
    """One call for each problem with a label that is too easy: rationale, then problem in marks.

    A problem is too easy if its pass rate is greater than `above`. The model is told the problem, its label,
    its pass rate, and one of `concepts`, chosen by the row's seed. Of several problems in marks the
    last counts. `harder_reason` says why there is none: the reason of an incomplete answer, "no_problem",
    "same_problem", "no_answer", "language", or that of a rule of cleaning. Whether it asks one question and
    can be solved is for the tagger to say, which reads it as it reads a sample.

    clean: how samples are cleaned; where uncertain rules only suspect them, they only suspect these, too.
    round: from the second on, only problems are asked for that were adopted in the one before; of all others
    the columns stay as they are. by_reference: whether a reference answer, where there is one, is the label;
    else it is the majority's. near: the share of common words from which a problem repeats its parent.
    """

    name: ClassVar[str] = "harden"
    version: ClassVar[int] = 3

    engine: Engine
    sampling: Sampling
    concepts: tuple[str, ...]
    above: float = 0.0
    clean: Clean = _STRICT
    round: int = 1
    by_reference: bool = field(default=False, metadata={"later": True})
    near: float = field(default=NEAR, metadata={"later": True})

    @property
    def label(self) -> str:
        return in_round(self.name, self.round)

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        before = ("round", *HARDER) if self.round > 1 else ()
        referred = ("reference_answer",) if self.by_reference else ()
        return ("problem", "seed", "majority_answer", *referred, "pass_rate", *before)

    @property
    def adds(self) -> Features:
        return Features(HARDER)

    @property
    def reuse_key(self) -> str:
        short = replace(self.sampling, max_tokens=1)
        return fingerprint({"is": self.name, "version": 1, "engine": self.engine, "sampling": short})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        yield from (recorded(one) for one in batch["harder_response"] if one is not None)

    def concept(self, seed: int) -> str:
        """The concept that a row's problem is to need."""
        return self.concepts[seed_of(seed, self.label, "concept") % len(self.concepts)]

    def conversation(self, row: Mapping[str, Any]) -> list[Message]:
        """The prompt for a row's problem."""
        said = [f"The problem:\n<problem>\n{row['problem']}\n</problem>"]
        said.append(f"Its answer: {self._label(row)}")
        said.append(f"The solver's share of right answers: {row['pass_rate']:.0%}")
        said.append(f"The concept: {self.concept(row['seed'])}")
        return [{"role": "user", "content": "\n\n".join([GUIDE, *said])}]

    def run(self, batch: Batch) -> Batch:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        asked = [row for row in rows if self._is_asked(row)]
        chat = chat_of(self.engine.model)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=chat.end_texts)
        prompts = chat.closed_prompts(map(self.conversation, asked))
        seeds = [seed_of(row["seed"], self.label, 0) for row in asked]
        completions = iter(self.engine.complete(prompts, sampling, seeds) if asked else ())
        made = [
            self._made(row, response_of(chat, f"user: {GUIDE}", next(completions)))
            if self._is_asked(row)
            else dict.fromkeys(HARDER)
            for row in rows
        ]
        return {column: [one[column] for one in made] for column in HARDER}

    def __call__(self, batch: Batch) -> Batch:
        places = self._places(batch)
        taken = {name: [values[at] for at in places] for name, values in batch.items()}
        made = self.run(taken) if places else {column: [] for column in HARDER}
        return {**batch, **put(batch, places, made)}

    def counted(self, batch: Batch, added: Batch) -> Batch:
        responses = (added["harder_response"][at] for at in self._places(batch))
        reasons = (added["harder_reason"][at] for at in self._places(batch))
        asked = [
            {"num_tokens": response["num_tokens"], "reason": reason}
            for response, reason in zip(responses, reasons, strict=True)
            if response is not None
        ]
        return {"harder_response": asked}

    def _places(self, batch: Batch) -> list[int]:
        """The rows that are not dropped, and were adopted in the round before."""
        none = [None] * len(batch["seed"])
        dropped, rounds = batch.get("dropped") or none, batch["round"] if self.round > 1 else none
        return [
            at
            for at, (gone, number) in enumerate(zip(dropped, rounds, strict=True))
            if gone is None and (number or 0) == self.round - 1
        ]

    def _is_asked(self, row: Mapping[str, Any]) -> bool:
        rate = row["pass_rate"]
        return self._label(row) is not None and rate is not None and rate > self.above

    def _label(self, row: Mapping[str, Any]) -> str | None:
        """The answer by which the pass rate was measured."""
        label: str | None = (row["reference_answer"] if self.by_reference else None) or row["majority_answer"]
        return label

    def _made(self, row: Mapping[str, Any], response: dict[str, Any]) -> dict[str, Any]:
        rationale, problem = parsed(response["answer_text"] or "")
        reason = response["reason"]
        if reason is None:
            known = self.clean, self.near
            reason = NO_PROBLEM if problem is None else fault(row["problem"], problem, *known)
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
    problem = without_label(
        _EMPHASIS.sub("", found[-1][1].strip()).strip()
    )  # a solution behind it is a fault, and not cut off
    return answer[: found[-1].start()].strip() or None, problem or None


def fault(parent: str, problem: str, clean: Clean = _STRICT, near: float = NEAR) -> str | None:
    """Why a problem is no harder one of its parent, as far as rules see it; None where they find nothing."""
    patterns = [chat_of(model).special_pattern for model in clean.models]
    _, _, trimmed, reason = clean.clean(problem, "stop", patterns)
    if reason is not None:
        return reason
    if SOLUTION in (trimmed or ""):  # in a sample it would be cut off
        return SOLUTION
    if asks_for_proof(problem):
        return NO_ANSWER
    languages = language_of(parent), language_of(problem)
    if None not in languages and languages[0] != languages[1]:
        return LANGUAGE
    signed = Signature()({"problem": [parent, problem]})
    one, other = ({column: values[at] for column, values in signed.items()} for at in (0, 1))
    near_duplicates = NearDuplicates(near)
    near_duplicates.add("parent", one)
    return None if near_duplicates.find(other) is None else SAME_PROBLEM
