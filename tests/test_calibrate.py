"""Calibration: a scripted solver whose labels' precision is known, on problems with known answers."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from conftest import is_trial, small_domain
from magpie_hf.cli.commands.calibrate import calibrated
from magpie_hf.domains import own_domain
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own.loading import load
from magpie_hf.problems.own.own import OwnProblems
from magpie_hf.recipe import Recipe
from magpie_hf.review.calibration.measuring import SHARES as LEVELS
from magpie_hf.review.calibration.source import KnownAnswers, of_families
from magpie_hf.scorers.even import Even

K = 5
# The chance of each final answer: the right one, one that wrong ways often lead to, and three rarer ones.
SHARES = (0.5, 0.3, 0.1, 0.06, 0.04)
WRONG = ("100003", "100019", "100043", "100049")


class Scripted:
    """Answers the problems of the families with the chances of SHARES, each answer from its own seed."""

    def __init__(self, model: Model, source: KnownAnswers, log: Path | None = None, most: int = -1) -> None:
        self.model, self.asked, self.log, self.most = model, Counter[int](), log, most
        chat = chat_of(model)
        prompts = chat.closed_prompts(chat.solving_prompt(one) for one in source.known)
        self.known = {tuple(ids): one for ids, one in zip(prompts, source.known.values(), strict=True)}

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> str:
        if is_trial(self.model, prompt):
            return "It is \\boxed{1}."
        self.asked[seed] += 1
        if self.log is not None:
            if self.asked.total() > self.most:
                signal.raise_signal(signal.SIGKILL)
            with self.log.open("a") as log:
                log.write(f"{seed}\n")
        answer = self.known[tuple(prompt)].answer
        chance = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:6], "big") / 2**48
        for share, said in zip(SHARES, (answer, *WRONG), strict=True):
            if (chance := chance - share) < 0:
                return f"Therefore the answer is $\\boxed{{{said}}}$."
        return "Therefore the answer is $\\boxed{100049}$."


def recipe(model: Model, source: KnownAnswers, reply: Any, count: int, k: int = K) -> Recipe:
    own = OwnProblems(source.place, answer=source.answer, domain=source.domain, as_given=True)
    engine = FakeEngine(model, reply)
    domains = tuple(
        small_domain(own_domain(str(key), count), count) for key, count in load(own).domains.items()
    )
    return Recipe(engine, engine, Even(), domains, k, held_out=HeldOut(0), auto_extend=0, problems=own)


def truth(least: float) -> tuple[float, float]:
    """Precision of labels from this majority share on, and their share of all problems, by enumeration."""
    labels = right = 0.0
    for votes in product(range(len(SHARES)), repeat=K):
        (best, size), *rest = Counter(votes).most_common()
        if size < 2 or (rest and rest[0][1] == size) or size / K < least:
            continue
        chance = prod(SHARES[vote] for vote in votes)
        labels += chance
        right += chance * (best == 0)
    return right / labels, right


def test_the_precision_found_is_the_truth_at_five_levels(demo_model: Path, tmp_path: Path) -> None:
    model, count = resolve(str(demo_model)), 120
    source = of_families(tmp_path, count, 0, (), (1, 2, 3))
    solver = Scripted(model, source)
    record = calibrated(recipe(model, source, solver, count), tmp_path / "out", source, {"seed": 0})
    assert record["problems"] == count
    assert len(solver.asked) == K * count
    levels = [one for one in record["levels"] if not one["opinions"]]
    assert [one["majority_share"] for one in levels] == list(LEVELS)
    for one in levels:
        precision, found = truth(one["majority_share"])
        low, high = one["precision_interval"]
        assert low <= precision <= high, one
        low, high = one["found_interval"]
        assert low <= found <= high, one
    assert levels[0]["precision"] < levels[3]["precision"] < 1
    assert record["reader"]["misread"] == record["reader"]["mistaken"] == 0
    assert record["reader"]["complete"] == K * count
    assert {
        group: sum(one["problems"] for one in parts.values()) for group, parts in record["groups"].items()
    } == {"domain": count, "family": count, "level": count}
    assert record["pairs"]["correctness"] > record["pairs"]["chosen_right"] > 0


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from magpie_hf.cli.commands.calibrate import calibrated
from magpie_hf.models.model import resolve
from magpie_hf.review.calibration.source import of_families
from test_calibrate import Scripted, recipe

model, scratch, most = resolve(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
source = of_families(scratch, 24, 0, ("algebra", "discrete"), (1, 2))
solver = Scripted(model, source, scratch / "asked", most)
calibrated(recipe(model, source, solver, 24), scratch / "out", source, {"seed": 0})
"""


def test_a_calibration_that_was_killed_goes_on_and_more_problems_ask_for_more_alone(
    demo_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(demo_model), str(tmp_path), "60"]
    assert subprocess.run(command, timeout=200, check=False).returncode == -signal.SIGKILL
    model, domains = resolve(str(demo_model)), ("algebra", "discrete")
    source, out = of_families(tmp_path, 24, 0, domains, (1, 2)), tmp_path / "out"
    assert not (out / "run" / "calibration.json").exists()

    solver = Scripted(model, source)
    record = calibrated(recipe(model, source, solver, 24), out, source, {"seed": 0})
    before = Counter(map(int, (tmp_path / "asked").read_text().split()))
    assert set(before | solver.asked) == set(solver.asked) | set(before)
    assert len(before | solver.asked) == K * 24
    assert sum((before & solver.asked).values()) < 60, "some of what was finished is not asked again"

    whole = of_families(tmp_path, 24, 0, domains, (1, 2))
    fresh = calibrated(
        recipe(model, whole, Scripted(model, whole), 24), tmp_path / "fresh", whole, {"seed": 0}
    )
    assert record == fresh

    more = of_families(tmp_path, 30, 0, domains, (1, 2))
    solver = Scripted(model, more)
    assert calibrated(recipe(model, more, solver, 30), out, more, {"seed": 0})["problems"] == 30
    assert solver.asked.total() == K * 6
