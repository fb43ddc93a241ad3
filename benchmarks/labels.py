"""Tokens of a checker, of programs and of answers with tools, by published label and as a share of a build.

Usage: labels.py MODEL [PROBLEMS] (default 60; MODEL gives the tokenizer and the chat template)

A scripted solver answers problems with known answers, right with a given chance, in as many tokens as a plan
assumes; a checker and a coder are right as often. What they are asked for, and what is published, is counted
in whole builds: one for each chance. No model runs, so nothing is timed.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import results

from magpie_hf import resolve
from magpie_hf.building.build import build
from magpie_hf.domains import own_domain
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.lengths import Law
from magpie_hf.planning.workload import PROGRAM, ROUNDS, SHORT_ANSWER
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.loading import load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.review.calibration.source import of_families
from magpie_hf.run.status import status
from magpie_hf.scorers.even import Even
from magpie_hf.stage import seed_of
from magpie_hf.stages.tool_answers import END_OF_CODE
from magpie_hf.stages.tool_trial import PROBLEMS

CHANCES = (0.83, 0.5, 0.25)  # of a right answer: easy, middling and hard problems
WRONG = ("100003", "100019", "100043")  # to which the others are clustered, the first twice as often
STAGES = {"second_opinion": "checker", "write_programs": "programs", "tool_answers": "tools"}


class Scripted:
    """Answers problems whose answers it knows, right with a chance, each answer from its own seed."""

    def __init__(self, model: Model, known: dict[str, str], chance: float, name: str) -> None:
        self.model, self.known, self.chance, self.name = model, known, chance, name
        self.decode = chat_of(model).tokenizer.decode

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        text = self.decode(prompt)
        problem = next((one for one in self.known if one in text), None)
        answer = PROBLEMS.get(next((one for one in PROBLEMS if one in text), ""), "0")
        if problem is not None:
            answer = self._said(self.known[problem], seed)
        program = f"```python\nprint({answer!r})\n```\n"
        if "one complete Python program" in text:
            return self._completion(program, PROGRAM, prompt, seed)
        if END_OF_CODE in sampling.stop:
            short = SHORT_ANSWER.times(1 / ROUNDS)
            if f"{END_OF_CODE}\n" not in text.rpartition("assistant")[2]:
                return self._completion(program, short, prompt, seed)
            printed = re.findall(r"```output\n(.*?)\n```", text)[-1]
            return self._completion(f"So it is $\\boxed{{{printed}}}$.", short, prompt, seed)
        return self._completion(f"So it is $\\boxed{{{answer}}}$.", SHORT_ANSWER, prompt, seed)

    def _said(self, answer: str, seed: int) -> str:
        if self._share(seed, "right") < self.chance:
            return answer
        return (WRONG[0], *WRONG)[int(4 * self._share(seed, "wrong"))]

    def _share(self, *parts: object) -> float:
        """A number from 0 to 1 that is the same for the same parts."""
        return (seed_of(self.name, *parts) + 0.5) / 2**48

    def _completion(self, text: str, law: Law, prompt: Sequence[int], seed: int) -> Completion:
        normal = NormalDist(math.log(law.median), law.spread)
        tokens = round(math.exp(normal.inv_cdf(self._share(seed, "length"))))
        return Completion(text, "stop", len(prompt), max(1, tokens))


def counted(model: Model, problems: int, chance: float) -> dict[str, float]:
    """The tokens of each stage of a build by its published labels and by all of its tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        source = of_families(Path(scratch), problems, 0, ("algebra", "discrete"), (1, 2))
        answers = {problem: one.answer for problem, one in source.known.items()}
        own = OwnProblems(source.place, answer=source.answer, domain=source.domain, as_given=True)
        solver, checker, coder = (
            FakeEngine(model if name == "solver" else replace(model, name=name), reply)
            for name in ("solver", "checker", "coder")
            for reply in [Scripted(model, answers, chance, name)]
        )
        domains = tuple(own_domain(str(key), count) for key, count in load(own).domains.items())
        recipe = Recipe(
            solver, solver, Even(), domains, held_out=HeldOut(0), problems=own, checker=checker,
            programmer=coder, rl_majority_share=0.5, tir=1,
        )  # fmt: skip
        out = Path(scratch) / "out"
        built = build(recipe, out)
        tokens = Counter[str]()
        for stage in status(out).stages:
            tokens[stage.label] += stage.tokens
        labels = sum(len(splits["train"]) for config, splits in built.items() if config.endswith("_rl"))
        rows = sum(len(splits["train"]) for config, splits in built.items() if config.endswith("_tir"))
    found: dict[str, float] = {"labels": labels, "tool_rows": rows}
    for stage, name in STAGES.items():
        found[f"{name}_a_label"] = tokens[stage] / labels
        found[f"{name}_share"] = tokens[stage] / tokens.total()
    return found


def main(model: str, problems: int) -> None:
    found = {str(chance): counted(resolve(model), problems, chance) for chance in CHANCES}
    for chance, one in found.items():
        print(f"answers right with {chance}: {one['labels']} confirmed labels of {problems} problems, and")
        for name in STAGES.values():
            a_label, share = one[f"{name}_a_label"], one[f"{name}_share"]
            print(f"  {name}: {a_label:,.0f} tokens a label, {share:.1%} of the build")
    results.record("labels", {"problems": problems, "chances": found})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
