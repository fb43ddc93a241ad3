"""ToolAnswers: a model answers in turns of text and Python, and what its code prints stands in the answer.

Not here: the sandbox, and the votes, with which these answers are never mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from textwrap import dedent
from typing import Any, ClassVar

from datasets import Features

from magpie_hf.answers.comparison import PROCESSES, Limits, compare
from magpie_hf.answers.extraction import final_answer
from magpie_hf.answers.programs.sandbox import Ran, Sandbox
from magpie_hf.answers.words import DIFFERENT, EQUAL
from magpie_hf.engines.base import Completion, Engine
from magpie_hf.engines.journal import current, spanning
from magpie_hf.models.chat import Chat, chat_of
from magpie_hf.models.sampling import Sampling
from magpie_hf.schema import ROUND, TOOL_ANSWERS
from magpie_hf.stage import Batch, Stage, fingerprint, identity, seed_of
from magpie_hf.stages.respond import recorded, response_of
from magpie_hf.stages.solving import Instruction, in_its_languages, instruction_for

MOST_RUNS, RUN_SECONDS, MOST_SHOWN = 8, 2, 200  # of an answer; of a processor each; characters of each output
END_OF_CODE = "```output"  # as models that were trained with tools write it after a block of code
INSTRUCTION = (
    "Solve the problem step by step, and compute with Python where that helps. Put each program into a block"
    " that begins with ```python and ends with ```, and write ```output in the next line: the program is run,"
    " and what it prints stands there. Each program runs alone, without input; it may import the standard"
    " library and sympy, and has to print what you want to know. At the end, put the final answer within"
    " \\boxed{}."
)
IN_JAPANESE = (
    "順を追って問題を解き、役に立つところでは Python で計算してください。プログラムはそれぞれ"
    " ```python で始まり ``` で終わるブロックに書き、その次の行に ```output と書いてください。"
    "するとプログラムが実行され、出力がそこに入ります。プログラムは一つずつ独立に、入力なしで実行されます。"
    "標準ライブラリと sympy を使えます。知りたい値は print で出力してください。"
    "最後に、最終的な答えを \\boxed{} の中に書いてください。"
)
TOO_MANY_RUNS, NOT_RUN = "too_many_runs", "code_not_run"  # why an answer is incomplete, beside a response's
_OPENING = re.compile(r"```(?:python3?|py)[ \t]*\n", re.IGNORECASE)
_CLOSING = re.compile(r"\n[ \t]*```\Z")  # in a list, a block may be indented as a whole
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_AGREES = {EQUAL: True, DIFFERENT: False}
Response = dict[str, Any]


@dataclass
class _Answer:
    """One answer that is being written: what the model was told besides the problem, its prompt's text, its
    seed, what it says so far, and its rounds.
    """

    told: str
    prompt: str
    seed: int
    text: str = ""
    rounds: list[Completion] = field(default_factory=list)
    runs: list[Ran] = field(default_factory=list)
    stopped: str | None = None

    @property
    def num_tokens(self) -> int:
        return sum(one.num_tokens for one in self.rounds)


@dataclass(frozen=True)
class ToolAnswers(Stage):
    """k answers with programs in them to each problem that has a label, in `tool_answers`; null for others.

    The label is a majority's answer with at least `min_majority_share`, or with by_reference the reference
    answer, where there is one. A round ends where a block of code ends; the program runs, and the next round
    goes on behind its output, at most MOST_RUNS times. The sampling's bound holds for all rounds together; a
    round that exceeds it is the last one. Columns: `schema.TOOL_ANSWERS`.

    What a program printed is kept in the journal with the round that wrote it, as another run of it might
    print something else, such as the time, and then everything behind it would be asked for again.
    """

    name: ClassVar[str] = "tool_answers"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("problem", "seed", "majority_answer", "majority_share")
    reads_too: ClassVar[tuple[str, ...]] = ("reference_answer",)

    engine: Engine
    sampling: Sampling
    k: int = 1
    min_majority_share: float = 0.0
    by_reference: bool = False
    instruction: Instruction = INSTRUCTION
    limits: Limits = field(default_factory=Limits)
    processes: int = field(default=PROCESSES, compare=False)

    @property
    def adds(self) -> Features:
        return Features(TOOL_ANSWERS)

    @property
    def reuse_key(self) -> str:
        short = replace(self.sampling, max_tokens=1)
        asked = replace(
            self, sampling=short, k=1, min_majority_share=0.0, by_reference=False, limits=Limits()
        )
        return fingerprint({**identity(asked), "version": 1})

    def reusable(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for answers in batch["tool_answers"]:
            for answer in answers or ():
                yield from map(recorded, answer["rounds"])
                for one, ran in zip(answer["rounds"], answer["runs"], strict=False):  # the last may run none
                    yield _run_key(one["request"]), [ran["output"], ran["ending"], ran["error"]]

    def run(self, batch: Batch) -> Batch:
        labels = self._labels(batch)
        chat = chat_of(self.engine.model)
        answers = {
            place: [
                _Answer(*prompt, seed_of(batch["seed"][place], self.name, n))
                for prompt in [self._prompt(chat, batch["problem"][place])]
                for n in range(self.k)
            ]
            for place, label in enumerate(labels)
            if label is not None
        }
        with spanning():
            self._write(chat, [answer for each in answers.values() for answer in each])
        asked = [(answer, labels[place]) for place, each in answers.items() for answer in each]
        with ThreadPoolExecutor(self.processes) as pool:
            made = iter(list(pool.map(lambda one: self._column(chat, *one), asked)))
        return {
            "tool_answers": [
                [next(made) for _ in answers[place]] if place in answers else None
                for place in range(len(labels))
            ]
        }

    def _labels(self, batch: Batch) -> list[str | None]:
        """The answer that each problem's answers should give; None where it is not known."""
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        return [label_of(row, self.min_majority_share, self.by_reference) for row in rows]

    def _prompt(self, chat: Chat, problem: str) -> tuple[str, str]:
        """What the model is told with a problem, and the prompt's text."""
        told = instruction_for(problem, self.instruction)
        return told, chat.closed_text([{"role": "user", "content": f"{problem}\n\n{told}"}])

    def _write(self, chat: Chat, answers: Sequence[_Answer]) -> None:
        """Ask for round after round, until each answer has ended."""
        stop = (*chat.end_texts, END_OF_CODE)
        sampling = replace(self.sampling, stop_token_ids=chat.end_ids, stop=stop)
        going = list(answers)
        while going:
            current().ahead = len(going)  # each may have a program to be run, and a round behind it
            prompts = [chat.ids(one.prompt + one.text) for one in going]
            seeds = [seed_of(one.seed, len(one.rounds)) if one.rounds else one.seed for one in going]
            for one, completion in zip(going, self.engine.complete(prompts, sampling, seeds), strict=True):
                one.text += completion.text
                one.rounds.append(completion)
            going = [one for one in going if self._goes_on(one)]
            sources = [str(code_at_the_end(one.rounds[-1].text)) for one in going]
            for one, ran in zip(going, self._run(going, sources), strict=True):
                one.runs.append(ran)
                one.text = with_output(one.text, ran)
            # An answer cannot go on behind an output that its chat would take for a mark of its own
            going = [one for one in going if not chat.special_pattern.search(shown_of(one.runs[-1]))]

    def _goes_on(self, answer: _Answer) -> bool:
        """Whether a program waits to be run."""
        last = answer.rounds[-1]
        if last.finish_reason != "stop":
            answer.stopped = last.finish_reason
        elif answer.num_tokens > self.sampling.max_tokens:
            answer.stopped = "length"
        elif code_at_the_end(last.text) is not None:
            if len(answer.runs) < MOST_RUNS:
                return True
            answer.stopped = TOO_MANY_RUNS
        return False

    def _run(self, answers: Sequence[_Answer], sources: Sequence[str]) -> list[Ran]:
        """What the programs print; those whose output the journal knows are not run again."""
        journal = current()
        keys = [_run_key(one.rounds[-1].request) for one in answers]
        known = {key: Ran(*found) for key in keys if (found := journal.get(key)) is not None}
        new = [(key, source) for key, source in zip(keys, sources, strict=True) if key not in known]
        if new:
            for (key, _), ran in zip(
                new, Sandbox.found().run_all([source for _, source in new], RUN_SECONDS), strict=True
            ):
                known[key] = Ran(ran.output[: MOST_SHOWN + 1], ran.ending, ran.error[:MOST_SHOWN])
                journal.record(key, [known[key].output, known[key].ending, known[key].error])
            journal.check()
        return [known[key] for key in keys]

    def _column(self, chat: Chat, answer: _Answer, label: str) -> Response:
        note, first = f"user: {answer.told}", answer.rounds[0]
        finish = "stop" if answer.stopped in (None, TOO_MANY_RUNS) else str(answer.stopped)
        read = response_of(
            chat, note, Completion(answer.text, finish, first.prompt_tokens, answer.num_tokens)
        )
        reason = answer.stopped or read["reason"]
        if reason is None and len(_OPENING.findall(answer.text)) != len(answer.runs):
            reason = NOT_RUN
        said = final_answer(read["answer_text"]) if reason is None else None
        relation = None if said is None else compare(said, label, self.limits, self.processes).relation
        return {
            "text": read["text"],
            "thinking": read["thinking"],
            "answer": said,
            "agrees": None if relation is None else _AGREES.get(relation),
            "reason": reason,
            "num_tokens": answer.num_tokens,
            "asked_with": note,
            "rounds": [{name: getattr(one, name) for name in ROUND} for one in answer.rounds],
            "runs": [{"output": one.output, "ending": one.ending, "error": one.error} for one in answer.runs],
        }


def tool_instruction(solving: Instruction) -> Instruction:
    """What asks for answers with programs, in the language in which `solving` asks for the others."""
    return in_its_languages(solving, INSTRUCTION, IN_JAPANESE)


def label_of(row: Mapping[str, Any], min_majority_share: float, by_reference: bool) -> str | None:
    """The answer that a problem's answers with tools should give; None where it is not known."""
    if by_reference and row.get("reference_answer") is not None:
        return str(row["reference_answer"])
    share, majority = row["majority_share"], row["majority_answer"]
    return majority if majority is not None and share >= min_majority_share else None


def code_at_the_end(text: str) -> str | None:
    """The program with which a text ends, also in a block that is still open; None for another end."""
    openings = list(_OPENING.finditer(text))
    if not openings:
        return None
    code = dedent(_CLOSING.sub("", text[openings[-1].end() :].rstrip()))
    return code if code.strip() and not _FENCE.search(code) else None


def with_output(text: str, ran: Ran) -> str:
    """A text that ends with this program, and behind it what the program printed, in a block of its own."""
    closing = "" if text.rstrip().endswith("```") else "\n```"
    return f"{text.rstrip()}{closing}\n{END_OF_CODE}\n{shown_of(ran)}\n```\n"


def shown_of(ran: Ran) -> str:
    """What stands in a text of what a program printed, and of how it ended."""
    output = ran.output.strip()
    shown = output if len(output) <= MOST_SHOWN else f"{output[:MOST_SHOWN]} …"
    ended = {"error": ran.error[:MOST_SHOWN], "time": f"stopped after {RUN_SECONDS} seconds"}
    shown = "\n".join(filter(None, (shown, ended.get(ran.ending)))) or "(nothing was printed)"
    return shown.replace("```", "'''")  # which would end the block


def _run_key(request: str) -> str:
    """The journal's key of what the program printed that this request's completion ends with."""
    return fingerprint("ran", request, RUN_SECONDS, MOST_SHOWN)
