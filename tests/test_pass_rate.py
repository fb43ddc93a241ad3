"""Pass rates: how often another model gives a problem's label, and builds that count a band of them alone."""

from __future__ import annotations

import hashlib
import math
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from conftest import CANDIDATES, Answers, measured_by_itself, small_recipe
from magpie_hf.answers.proofs import asks_for_proof
from magpie_hf.building.build import build
from magpie_hf.card import card
from magpie_hf.dataset.folder import Folder
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, LowYield
from magpie_hf.limits import band_of
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.finished import left_of, refined, seen_in
from magpie_hf.planning.loads import loads_of
from magpie_hf.planning.outline import Cutting, Outline
from magpie_hf.planning.reuse import reuse_of
from magpie_hf.planning.workload import assumed
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.run.status import status
from magpie_hf.stages.exports.rl import ExportRL

Row = dict[str, Any]
BAND = (0.1, 0.8)
RATES = (0.0, 0.3, 0.6, 0.9, 1.0)  # pass rates of the scripted problems


def number_of(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def rate_of(prompt: Sequence[int]) -> float:
    """The probability with which the scripted model passes a problem."""
    return RATES[number_of(list(prompt), "rate") % len(RATES)]


def has_label(prompt: Sequence[int]) -> bool:
    return number_of(list(prompt), "label") % 8 != 0


@dataclass
class Solver(Answers):
    """All candidates give the problem's label; every eighth problem has none."""

    cut_every: int = 0

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        if sampling.temperature != CANDIDATES:
            return made
        answer = number_of(list(prompt), "label") % 1000 if has_label(prompt) else seed
        return replace(made, text=f"So \\boxed{{{answer}}}.")


@dataclass
class Passing(Answers):
    """Gives the label with the probability of the problem."""

    cut_every: int = 0

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        made = super().__call__(prompt, sampling, seed)
        right = number_of(list(prompt), seed) < rate_of(prompt) * 2**48
        label = number_of(list(prompt), "label") % 1000
        return replace(made, text=f"So \\boxed{{{label if right else label + 1}}}.")


@dataclass(frozen=True)
class Agreed:
    """A rule of one's own on the votes, which are there before the selection where a band needs them."""

    name: str = "agreed"
    reads: tuple[str, ...] = ("majority_share",)

    @property
    def reasons(self) -> dict[str, str]:
        return {"split_vote": "has no unanimous vote"}

    def __call__(self, row: Row) -> str | None:
        return None if row["majority_share"] == 1 else "split_vote"


def passing(solver: Answers, name: str = "small") -> Passing:
    return Passing(replace(solver.model, name=f"other/{name}"))


def recipe_of(
    solver: Answers, other: Answers, *keys: str, count: int = 24, band: tuple[float, float] | None = None
) -> Recipe:
    recipe = small_recipe(solver, *(keys or ("algebra",)), count=count)
    rules = replace(recipe.acceptance, pass_rate=band)
    return replace(recipe, pass_model=FakeEngine(other.model, other), acceptance=rules)


def rows_of(data: Any, config: str = "candidates", split: str = "train") -> dict[str, Row]:
    return {row["id"]: row for row in data[config][split].to_list()}


@pytest.fixture
def solver(demo_model: Path) -> Solver:
    return Solver(resolve(str(demo_model)))


def test_pass_rates_of_a_smaller_model_stand_in_all_rows(solver: Solver, tmp_path: Path) -> None:
    other, out = passing(solver), tmp_path / "out"
    plain = build(replace(recipe_of(solver, other), pass_model=None), out)
    before = len(solver.requests)
    recipe = replace(recipe_of(solver, other), rl_majority_share=0.5)
    data = build(recipe, out, shard_rows=7)
    assert len(solver.requests) == before, "the other model alone is asked"
    rows = rows_of(data)
    assert [*rows] == [*rows_of(plain)], "no row goes for its pass rate"
    labelled = {one: row for one, row in rows.items() if row["majority_answer"] is not None}
    assert 0 < len(labelled) < len(rows)
    for row in rows.values():
        assert row["pass_votes"] == (8 if row["id"] in labelled else None)
        assert (row["pass_rate"] is None) == (row["id"] not in labelled)
    assert 1.0 in {row["pass_rate"] for row in labelled.values()}
    assert other.asked() == 8 * len(labelled)
    assert {row["pass_rate"] for row in rows_of(data, "algebra", "train_sft").values()} == {
        row["pass_rate"] for row in rows.values()
    }

    assert "as too easy |" not in (out / "README.md").read_text(), "no band drops any"

    rl = rows_of(data, "algebra_rl")
    assert {*rl} == {one for one, row in labelled.items() if 0 < row["pass_rate"] < 1}
    kept = replace(recipe, easy_share=0.5, pass_votes=10)
    more = build(kept, out)
    assert len(solver.requests) == before
    assert other.asked() == 10 * len(labelled), "more votes ask for what is missing"
    known = rows_of(more)
    assert {row["pass_votes"] for row in known.values()} == {10, None}
    easy = {one for one, row in known.items() if row["pass_rate"] == 1}
    between = {one for one, row in known.items() if 0 < (row["pass_rate"] or 0) < 1}
    assert between < {*rows_of(more, "algebra_rl")} < between | easy


def test_rl_problems_are_bounded_by_their_pass_rates() -> None:
    def kept(**bounds: Any) -> list[float]:
        export = ExportRL("algebra", HeldOut(0), "train", 0.5, **bounds)
        row = {
            "id": "a", "index": 0, "problem": "p", "majority_answer": "7", "majority_share": 0.6, "seed": 3,
            "is_readable": True, "cluster_sizes": [3, 2], "mean_num_tokens": 9.0,
        }  # fmt: skip
        return [rate for rate in (0.0, 0.25, 0.5, 1.0) if export.rows({**row, "pass_rate": rate})]

    assert kept() == [0.25, 0.5]
    assert kept(pass_rate=(0.5, 1.0)) == [0.5, 1.0]
    assert kept(pass_rate=(0.0, 0.25)) == [0.0, 0.25]
    assert kept(pass_rate=(0.0, 0.25), easy_share=1.0) == [0.0, 0.25, 0.5, 1.0]
    assert kept(easy_share=1.0) == [0.25, 0.5, 1.0]


def share_inside(p: float, votes: int = 8) -> float:
    """The probability that a problem is inside BAND, by the two answers that come first."""
    least, most = math.ceil(BAND[0] * votes), math.floor(BAND[1] * votes)
    rest = votes - 2

    def chance(right: int, of: int) -> float:
        return math.comb(of, right) * p**right * (1 - p) ** (of - right) if 0 <= right <= of else 0.0

    first = {right: chance(right, 2) for right in (0, 1)}  # both right: too easy
    return sum(
        share * sum(chance(right - had, rest) for right in range(least, most + 1))
        for had, share in first.items()
    )


def samples_of(out: Path, key: str = "algebra") -> list[Row]:
    """All filtered samples that were dropped."""
    return pq.read_table(out / "run" / "dropped" / key).to_pylist()


def test_a_band_is_filled_exactly_in_the_order_of_samples(solver: Solver, tmp_path: Path) -> None:
    """The scripted model passes problems with known probabilities."""
    other, out, lines = passing(solver), tmp_path / "out", list[str]()
    recipe = recipe_of(solver, other, count=40, band=BAND)
    rows = rows_of(build(recipe, out, say=lines.append))
    assert len(rows) == 40
    assert all(BAND[0] <= row["pass_rate"] <= BAND[1] and row["pass_votes"] == 8 for row in rows.values())

    gone = samples_of(out)
    reasons = Counter(row["reason"] for row in gone)
    chat = chat_of(other.model)
    texts = [row["problem"] for row in (*rows.values(), *gone) if not asks_for_proof(row["problem"])]
    prompts = chat.closed_prompts(map(chat.solving_prompt, texts))
    labelled = [prompt for prompt in prompts if has_label(prompt)]
    expected = [share_inside(rate_of(prompt)) for prompt in labelled]
    spread = math.sqrt(sum(share * (1 - share) for share in expected))
    assert abs(40 - sum(expected)) < 3 * spread, (len(labelled), sum(expected), spread)
    assert reasons["no_label"] == len(rows) + len(gone) - len(labelled)
    assert reasons["no_label"] + reasons["too_easy"] + reasons["too_hard"] == len(gone)
    assert solver.asked(CANDIDATES) < 3 * (len(prompts) + 40), "proofs are not answered, and few are ahead"
    inside = 40 / (40 + len(gone))
    assert any(f"{inside:.0%} of the answered samples inside the band" in line for line in lines), lines
    said = " ".join(status(out).lines())
    assert f"{reasons['too_hard']} too_hard" in said
    assert f"; {inside:.0%} of the answered samples inside the band" in said
    english = " ".join((out / "README.md").read_text().split())
    assert "only problems with a pass rate from 0.1 to 0.8 count" in english
    assert f"| {reasons['too_hard']} | {reasons['too_easy']} | {inside:.1%} |" in english
    assert "other/small" in english
    japanese = card.files(Folder(out).contents(out.glob("*/*")), "a/b", language="ja")["README.md"].decode()
    assert "正答率が 0.1 以上 0.8 以下の問題だけを数えました" in japanese
    said = yaml.safe_load((out / "recipe.yaml").read_text())["difficulty"]
    assert (said["pass_rate"], said["pass_votes"]) == ("0.1:0.8", 8)
    stages = {one.label: one for one in status(out).stages}
    tokens = sum(one.tokens for one in stages.values()) / 40
    print(f"{tokens:,.0f} tokens an accepted problem")
    assert stages["score"].wanted is not None, "what stands before the selection has no target"
    assert stages["candidates"].wanted is None

    asked = len(solver.requests), other.asked()
    again = rows_of(build(recipe, out, shard_rows=17))
    assert (again, (len(solver.requests), other.asked())) == (rows, asked), "nothing is asked again"
    more = rows_of(build(replace(recipe, domains=(replace(recipe.domains[0], count=46),)), out))
    assert [*more][:40] == [*rows]
    assert len(more) == 46
    assert {seed for _, seed in other.requests[asked[1] :]}.isdisjoint(
        seed for _, seed in other.requests[: asked[1]]
    ), "a raised count asks for new samples alone"


@dataclass
class Objecting(Answers):
    """Calls every problem ill-posed that it is asked about."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        return replace(super().__call__(prompt, sampling, seed), text="So.\nVerdict: ill-posed")


def test_doubtful_problems_are_looked_at_before_the_band(solver: Solver, tmp_path: Path) -> None:
    """Those without a label have no majority, and so are doubtful."""
    looker = Objecting(replace(solver.model, name="other/checker"), cut_every=0)
    recipe = recipe_of(solver, passing(solver), count=10, band=BAND)
    recipe = replace(recipe, checker=FakeEngine(looker.model, looker), objections=True)
    out = tmp_path / "out"
    rows = rows_of(build(recipe, out))
    assert len(rows) == 10, "others take the place of those that are dropped"
    assert {row["objections"] for row in rows.values()} == {None}
    gone = samples_of(out)
    reasons = Counter(row["reason"] for row in gone)
    assert reasons["ill_posed"] > 0
    assert all(asks_for_proof(row["problem"]) for row in gone if row["reason"] == "no_label")


def test_a_plan_reads_a_folder_whose_samples_were_answered(solver: Solver, tmp_path: Path) -> None:
    other, out = passing(solver), tmp_path / "out"
    recipe = recipe_of(solver, other, count=12, band=BAND)
    accepted = rows_of(build(recipe, out))
    solved, gone = solver.asked(CANDIDATES), samples_of(out)
    name = solver.model.name
    roles = {**dict.fromkeys(("model", "solver", "judge"), name), "pass": other.model.name}
    some = (recipe.domains, roles, 3, 0, False, 0.0, False, Cutting(), "best", 0)
    outline = Outline(*some, band=BAND)
    of_samples = [stage for stage in outline.stages if outline.of_samples(stage)]
    assert of_samples == ["instruct", "candidates", "pass_rate"], "the score is of problems"
    assert not replace(outline, band=None).of_samples("candidates")
    kept = reuse_of(outline, out)
    assert {one.stage for one in kept.stages} == {"instruct", "candidates", "pass_rate", "score"}
    assert not [one for one in kept.stages if one.why or one.asked]
    seen = seen_in(out, kept)
    assert seen is not None
    assert seen.inside == (12, 12 + len(gone))
    estimates = refined(outline, assumed(outline), seen)
    loads = {load.stage: load for load in loads_of(outline, estimates)}
    assert loads["candidates"].requests.mid == pytest.approx(solved, rel=0.3)
    (asked,) = (one for one in status(out).stages if one.label == "pass_rate")
    tokens = asked.tokens / asked.rows * (12 + len(gone))  # a few samples were answered ahead
    assert loads["pass_rate"].tokens.mid == pytest.approx(tokens, rel=0.05)
    assert any("inside the band: measured" in words for words in estimates.words)
    assert all(load.requests.mid == 0 for load in left_of(outline, estimates, kept))
    more = reuse_of(replace(outline, pass_votes=12), out)
    (rate,) = (one for one in more.stages if one.stage == "pass_rate")
    assert rate.why == "pass-votes 8 → 12: only the missing answers are generated"
    other = reuse_of(replace(outline, band=(0.3, 0.5)), out)
    assert not other.selected, "another band selects anew"
    seen = seen_in(out, other, (0.3, 0.5))
    assert seen is not None
    known = [row["pass_rate"] for row in gone] + [row["pass_rate"] for row in accepted.values()]
    within = sum(rate is not None and 0.3 <= rate <= 0.5 for rate in known)
    (found, filtered), narrow = seen.yields["algebra"], replace(outline, band=(0.3, 0.5))
    assert within <= found <= within + filtered - len(known), "a few samples were answered ahead"
    estimates = refined(narrow, assumed(narrow), seen)
    missing = {load.stage: load.requests.mid for load in left_of(narrow, estimates, other)}
    assert missing["instruct"] == pytest.approx(12 / found * filtered - filtered, rel=0.2)
    estimates = refined(outline, assumed(outline), seen_in(out, kept) or seen)
    (rate,) = (one for one in other.stages if one.stage == "pass_rate")
    assert rate.why == "pass-rate 0.1:0.8 → 0.3:0.5: the samples are filtered anew"
    twice = replace(outline, domains=(replace(outline.domains[0], count=24),))
    left = {load.stage: load for load in left_of(twice, estimates, reuse_of(twice, out))}
    more = loads["candidates"].requests.mid  # a few samples were answered ahead
    assert left["candidates"].requests.mid == pytest.approx(more, rel=0.2)


def test_the_accepted_problems_do_not_depend_on_shards(solver: Solver, tmp_path: Path) -> None:
    """Two domains, a narrow band, and a rule that reads answers."""
    made = []
    for name, rows, flying in (("one", 7, 2), ("two", 50, 8)):
        recipe = recipe_of(solver, passing(solver), "algebra", "geometry", count=5, band=(0.2, 0.5))
        recipe = replace(recipe, acceptance=replace(recipe.acceptance, rules=(Agreed(),)))
        data = build(recipe, tmp_path / name, shard_rows=rows, shards_in_flight=flying)
        made.append({key: rows_of(data, key, "train_sft") for key in ("algebra", "geometry")})
    assert made[0] == made[1]
    assert [len(one) for one in made[0].values()] == [5, 5]


def test_a_band_that_no_problem_is_in_ends_the_build(solver: Solver, tmp_path: Path) -> None:
    recipe = recipe_of(solver, passing(solver), band=(0.87, 0.88))
    recipe = replace(recipe, acceptance=replace(recipe.acceptance, min_yield=0.2))
    with pytest.raises(
        LowYield, match=r"samples were accepted, below the floor of 20.0% .*too_easy.*too_hard"
    ):
        build(recipe, tmp_path / "out")


def test_bounds_that_nobody_measures_are_refused(solver: Solver) -> None:
    recipe = recipe_of(solver, passing(solver))
    rules = replace(recipe.acceptance, pass_rate=BAND)
    with pytest.raises(BadInput, match="no model measures pass rates; give --pass-model, too"):
        replace(recipe, pass_model=None, acceptance=rules)
    with pytest.raises(BadInput, match="for RL problems, and there are none; give --rl-majority-share"):
        replace(recipe, easy_share=0.1)
    with pytest.raises(BadInput, match="--pass-rate drops them all; leave out one"):
        replace(recipe, rl_majority_share=0.5, easy_share=0.1, acceptance=rules)
    for wrong in ("0.8:0.1", "0.5", "a:b", "0:2", "nan:1", "0.1:0.2:0.3"):
        with pytest.raises(BadInput, match="is no band of pass rates"):
            band_of(wrong)
    for odd in (0.5, "0.1:0.8", (0.1,)):
        with pytest.raises(BadInput, match="is no band of pass rates"):
            replace(recipe.acceptance, pass_rate=odd)
    assert replace(recipe.acceptance, pass_rate=[0, 1]) == replace(recipe.acceptance, pass_rate=(0.0, 1.0))
    with pytest.raises(BadInput, match="pass_votes is 1; give 2 to 256"):
        replace(recipe, pass_votes=1)
    with pytest.raises(BadInput, match="--pass-votes is given, and no model measures pass rates"):
        replace(recipe, pass_model=None, pass_votes=4)
    narrow = replace(recipe.acceptance, pass_rate=(0.9, 0.95))
    with pytest.raises(BadInput, match="no share of 8 answers is in --pass-rate; widen it"):
        replace(recipe, acceptance=narrow)
    assert replace(recipe, acceptance=narrow, pass_votes=16).acceptance.pass_rate == (0.9, 0.95)
    apart = {"rl_majority_share": 0.5, "acceptance": rules}
    with pytest.raises(BadInput, match="no share of 8 answers is in --pass-rate and in --rl-pass-rate"):
        replace(recipe, rl_pass_rate=(0.9, 1.0), **apart)
    with pytest.raises(BadInput, match="no share of 8 answers is in --pass-rate and in --rl-pass-rate"):
        replace(recipe, **apart | {"acceptance": replace(rules, pass_rate=(1.0, 1.0))})


@pytest.mark.vllm
def test_a_real_model_measures_itself(tiny_model: Path, tmp_path: Path) -> None:
    rows = measured_by_itself(tiny_model, tmp_path, "--max-tokens", "256", "--pass-rate", "0:0.9")
    assert all(row["pass_votes"] == 4 and row["pass_rate"] <= 0.9 for row in rows)
    assert all(row["majority_answer"] is not None for row in rows)


KILLED = """
import os, random, signal, sys, threading
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from magpie_hf.building.build import build
from magpie_hf.models.model import resolve
from test_pass_rate import BAND, Passing, Solver, passing, recipe_of

class Kills:
    left, lock = 0, threading.Lock()

    def __call__(self, prompt, sampling, seed):
        with Kills.lock:
            Kills.left -= 1
            if Kills.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(prompt, sampling, seed)

class KilledSolver(Kills, Solver): pass
class KilledPassing(Kills, Passing): pass

dice = random.Random(5)
for _ in range(10):
    Kills.left, rows = dice.randrange(10, 160), dice.choice((3, 8, 21, 64))
    if (child := os.fork()) == 0:
        solver = KilledSolver(resolve(sys.argv[2]))
        other = KilledPassing(passing(solver).model)
        build(recipe_of(solver, other, "algebra", count=16, band=BAND), Path(sys.argv[3]), shard_rows=rows)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.scale
def test_the_accepted_problems_outlive_any_kill(solver: Solver, tmp_path: Path) -> None:
    """Ten builds that are killed at random requests and go on in other shards, and with a raised count."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(solver.model.path), str(out)]
    ended = subprocess.run(command, timeout=500, check=True, capture_output=True, text=True).stdout.split()
    assert len(ended) == 10
    assert str(-signal.SIGKILL) in ended
    assert {*ended} <= {"0", str(-signal.SIGKILL)}
    whole = rows_of(build(recipe_of(solver, passing(solver), count=24, band=BAND), tmp_path / "whole"))
    other = passing(solver)
    first = rows_of(build(recipe_of(solver, other, count=16, band=BAND), out, shard_rows=11))
    assert list(first.values()) == list(whole.values())[:16]
    more = rows_of(build(recipe_of(solver, other, count=24, band=BAND), out, shard_rows=50))
    assert list(more.values()) == list(whole.values())
