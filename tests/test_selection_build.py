"""Selecting in a whole build over fake engines: labels, near-duplicates, benchmarks, moved problems, several
engines, and what lies in the run.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import DatasetDict, load_dataset
from samples import junk, labels, problem

from conftest import CANDIDATES, JUDGE, PROBLEMS, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.dataset.unfinished import finished_part
from magpie_hf.engines.base import Completion, Pooling
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import BadInput, LowYield
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.tokenizer import tokenizer_of
from magpie_hf.problems.benchmarks.loading import load_benchmark
from magpie_hf.problems.benchmarks.names import Benchmark, Loaded, NotChecked
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.writing import said_of
from magpie_hf.run.status import status
from magpie_hf.schema import DROPPED, SPLITS
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stage import seed_of
from magpie_hf.stages.recognise_known import RecogniseKnown


class Mixed(Answers):
    """Samples that are good in three of five, else no problem, a near-duplicate, or labelled as another
    domain, as poor or as nonsense.
    """

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.temperature == PROBLEMS:
            with self.lock:
                self.requests.append((sampling, seed))
            kind = seed % 10
            text = junk(seed) if kind == 0 else problem(kind) if kind == 1 else problem(seed)
            return Completion(text, "stop", len(prompt), 30)
        if sampling.schema:
            with self.lock:
                self.requests.append((sampling, seed))
            kind = sum(prompt) % 10
            text = (
                labels("geometry")
                if kind < 4
                else labels("algebra")
                if kind < 8
                else labels("algebra", quality="poor")
            )
            return Completion("I like it." if kind == 9 else text, "stop", len(prompt), 40)
        return super().__call__(prompt, sampling, seed)


@pytest.fixture
def mixed(demo_model: Path) -> Mixed:
    return Mixed(resolve(str(demo_model)))


def tagged(answers: Answers, acceptance: Acceptance, **changes: object) -> Recipe:
    recipe = small_recipe(answers, "algebra", "geometry", count=25, k=2)
    return replace(recipe, tagger=recipe.generator, acceptance=acceptance, **changes)


def ids(datasets: dict[str, DatasetDict], key: str) -> set[str]:
    return {row for split in SPLITS for row in datasets[key][split]["id"]}


def all_rows(datasets: dict[str, DatasetDict]) -> dict[str, list[dict[str, object]]]:
    return {
        f"{key} {split}": rows.to_list() for key, splits in datasets.items() for split, rows in splits.items()
    }


def dropped(out: Path, key: str) -> list[dict[str, object]]:
    rows = load_dataset(
        "parquet",
        data_files=str(out / "run" / "dropped" / key / "*.parquet"),
        split="train",
        cache_dir=str(out / "cache"),
    )
    assert rows.features == DROPPED
    return list(rows)


@pytest.mark.parametrize("off_topic", ["drop", "move", "keep"])
def test_exact_counts_and_what_was_dropped(mixed: Mixed, tmp_path: Path, off_topic: str) -> None:
    recipe = tagged(mixed, Acceptance(off_topic))  # type: ignore[arg-type]
    out = tmp_path / "out"
    built = build(recipe, out)
    for key in ("algebra", "geometry"):
        info = json.loads((out / key / "dataset_info.json").read_text())
        records = json.loads((out / f"{mixed.model.short_name}_{key}_ins.json").read_text())
        assert info["total_problems"] == len(records) == 25
        assert info["sampled"] - sum(info["dropped"].values()) - info["moved_away"] + info["moved_here"] == 25
        assert info["dropped"] == dict(
            sorted(Counter(str(row["reason"]) for row in dropped(out, key)).items())
        )
        for row in dropped(out, key):
            assert (row["near_duplicate"] is not None) == (row["reason"] == "near_duplicate")
            assert str(row["id"]).startswith(f"{key}-")
            assert row["raw_instruction"] is not None
        sampled_for = {str(record["id"]).split("-")[0] for record in records}
        assert sampled_for == ({"algebra", "geometry"} if off_topic == "move" else {key})
        for split in SPLITS:
            for row in built[key][split]:
                assert row["domain"] == key
                assert off_topic == "keep" or row["tags"]["domain"] == key
                assert row["tags"]["quality"] == "good"
    assert mixed.asked(CANDIDATES) == 50 * recipe.k, "only accepted problems are answered"
    assert not ids(built, "algebra") & ids(built, "geometry")
    reasons = {str(row["reason"]) for key in ("algebra", "geometry") for row in dropped(out, key)}
    assert {"near_duplicate", "quality", "not_tagged"} <= reasons
    if off_topic != "move":  # then a problem that moves to a domain that is full is dropped for it
        assert ("off_topic" in reasons) == (off_topic == "drop")
    card = (out / "README.md").read_text()
    assert re.search(r"^\| `algebra` \| [\d.]+% of \d+ \|", card, re.MULTILINE), (
        "the share of the tagged samples that are on the domain"
    )
    assert "The problems were **not checked** against benchmarks." in card
    again = build(recipe, out, shard_rows=7)
    assert all_rows(again) == all_rows(built)
    assert all_rows(
        build(
            replace(recipe, acceptance=Acceptance(off_topic)),
            tmp_path / "other",
            shard_rows=3,
            shards_in_flight=2,
        )
    ) == all_rows(built)  # type: ignore[arg-type]


def test_a_domain_that_others_fill_before_it_judges_a_sample_of_its_own(mixed: Mixed, tmp_path: Path) -> None:
    recipe = small_recipe(mixed, "geometry", "algebra", count=1, k=2)
    tagger = FakeEngine(
        mixed.model, lambda prompt, sampling, seed: labels("algebra" if len(prompt) % 2 else "geometry")
    )
    moving = replace(recipe, tagger=tagger, acceptance=Acceptance("move"))
    for seed in range(6):
        out = tmp_path / str(seed)
        built = build(replace(moving, seed=seed), out)
        for key in ("geometry", "algebra"):
            assert json.loads((out / key / "dataset_info.json").read_text())["total_problems"] == 1
        assert all_rows(build(replace(moving, seed=seed), out)) == all_rows(built)


def test_two_benchmarks_of_one_name_are_refused(mixed: Mixed) -> None:
    near_duplicates = (Benchmark("exam", "/a", revision="1"), Benchmark("exam", "/b", revision="2"))
    with pytest.raises(BadInput, match="two problem sets are called exam"):
        tagged(mixed, Acceptance(), benchmarks=near_duplicates)


def test_models_of_their_own_for_every_part_make_the_same_set(mixed: Mixed, tmp_path: Path) -> None:
    """With an engine a part, sampling goes in rounds, model by model; the accepted set is the same."""
    recipe = tagged(mixed, Acceptance())
    solver = FakeEngine(replace(mixed.model, revision="sha256:solver"), mixed)
    tagger = FakeEngine(replace(mixed.model, revision="sha256:tagger"), mixed)
    apart = replace(recipe, solver=solver, tagger=tagger, scorer=replace(recipe.scorer, engine=solver))
    together = build(recipe, tmp_path / "together")
    built = build(apart, tmp_path / "apart", shard_rows=8)
    assert {key: ids(built, key) for key in ("algebra", "geometry")} == {
        key: ids(together, key) for key in ("algebra", "geometry")
    }
    before = mixed.asked()
    assert all_rows(build(apart, tmp_path / "apart")) == all_rows(built)
    assert mixed.asked() == before


def test_other_rules_judge_the_same_samples_again(mixed: Mixed, tmp_path: Path) -> None:
    strict = tagged(
        mixed,
        Acceptance(),
    )
    build(strict, tmp_path / "out")
    mixed.requests.clear()
    lenient = build(replace(strict, acceptance=Acceptance(min_quality="poor")), tmp_path / "out")
    assert mixed.asked(PROBLEMS) == 0, "more is accepted of what was sampled"
    assert 0 < mixed.asked(CANDIDATES) < 50 * strict.k, "and only what was not accepted before is answered"
    fresh = replace(strict, acceptance=Acceptance(min_quality="poor"))
    assert all_rows(build(fresh, tmp_path / "fresh")) == all_rows(lenient)


def test_a_tagger_whose_answers_are_not_valid_ends_the_build_with_the_reason(
    answers: Answers, tmp_path: Path
) -> None:
    answers.domain = "astrology"
    with pytest.raises(
        LowYield,
        match=r"0 of 64 samples were accepted, below the floor of 2.0% \(\d+ not_tagged, \d+ length\)",
    ):
        build(tagged(answers, Acceptance()), tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()
    assert answers.asked(CANDIDATES) == answers.asked(JUDGE) - answers.asked(JUDGE) == 0
    quota, _ = status(tmp_path / "out").selection
    assert (quota.accepted, quota.filtered) == (0, 64)
    assert quota.reasons == dict(
        sorted(Counter(str(row["reason"]) for row in dropped(tmp_path / "out", "algebra")).items())
    )


def test_a_domain_that_yields_nothing_ends_the_build_and_keeps_the_other_ones(
    mixed: Mixed, tmp_path: Path
) -> None:
    recipe = tagged(mixed, Acceptance())
    barren = replace(
        recipe,
        tagger=FakeEngine(
            mixed.model, lambda prompt, sampling, seed: labels("algebra") if sampling.schema else ""
        ),
    )
    with pytest.raises(LowYield, match=r"geometry: 0 of 64 samples .*off_topic.*Examples: off_topic: '"):
        build(barren, tmp_path / "out")
    sampled = mixed.asked(PROBLEMS)
    build(tagged(mixed, Acceptance("keep")), tmp_path / "out")
    assert mixed.asked(PROBLEMS) == sampled, "what was sampled is there when the rules are changed"


def test_other_rules_embed_nothing_again(mixed: Mixed, minilm: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def rating(prompt: Sequence[int], pooling: Pooling) -> Sequence[float]:
        asked.append(len(prompt))
        return (1.0, 0.0)

    embedder = FakeEngine(resolve(str(minilm), chat=False), lambda *_: "", rating)
    recipe = replace(small_recipe(mixed, "algebra", k=2), embedder=embedder)
    build(recipe, tmp_path / "out")
    before = len(asked)
    build(replace(recipe, languages=("en",)), tmp_path / "out")
    assert len(asked) == before


def test_a_benchmark_of_several_splits_is_counted(mixed: Mixed, tmp_path: Path) -> None:
    recipe = small_recipe(mixed, "algebra", count=20, k=2)
    plain = build(recipe, tmp_path / "plain")
    (tmp_path / "exam").mkdir()
    for split, row in zip(("train", "test"), plain["algebra"]["train_sft"], strict=False):
        (tmp_path / "exam" / f"{split}.jsonl").write_text(json.dumps({"problem": row["problem"]}) + "\n")
    loaded = load_benchmark(Benchmark("exam", str(tmp_path / "exam")))
    assert isinstance(loaded, Loaded)
    build(replace(recipe, benchmarks=(loaded.benchmark,)), tmp_path / "out")
    assert f"| exam | `{loaded.benchmark.revision}` | 2 | 2 |" in (tmp_path / "out" / "README.md").read_text()


def test_benchmarks_are_looked_for(mixed: Mixed, tmp_path: Path) -> None:
    recipe = tagged(mixed, Acceptance("keep"))
    plain = build(recipe, tmp_path / "plain")
    stolen = [row["problem"] for row in list(plain["algebra"]["train_sft"])[:3]]
    file = tmp_path / "exam.jsonl"
    file.write_text("".join(json.dumps({"problem": text}) + "\n" for text in ["What is a number?", *stolen]))
    loaded = load_benchmark(Benchmark("exam", str(file)))
    assert isinstance(loaded, Loaded)
    missing = NotChecked("hle", "it is gated")
    out = tmp_path / "out"
    checked = build(replace(recipe, benchmarks=(loaded.benchmark,), not_checked=(missing,)), out)
    assert not {row["problem"] for row in checked["algebra"]["train_sft"]} & set(stolen)
    hits = [row for row in dropped(out, "algebra") if row["reason"] == "contaminated"]
    assert [row["problem"] for row in hits] == stolen
    assert all(str(row["contaminated_by"]).startswith("exam/") for row in hits)
    card = (out / "README.md").read_text()
    assert f"| exam | `{loaded.benchmark.revision}` | 4 | 3 |" in card
    assert "- hle: **not checked**, it is gated." in card


def test_a_benchmark_that_was_out_of_reach_is_checked_by_the_next_build(mixed: Mixed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = tagged(mixed, Acceptance("keep"))
    plain = build(replace(recipe, not_checked=(NotChecked("exam", "out of reach", True),)), out)
    stolen, *others = [row["problem"] for row in plain["algebra"]["train_sft"]]
    (tmp_path / "exam.jsonl").write_text(json.dumps({"problem": stolen}) + "\n")
    loaded = load_benchmark(Benchmark("exam", str(tmp_path / "exam.jsonl")))
    assert isinstance(loaded, Loaded)
    asked = len(mixed.requests)
    checked = build(replace(recipe, benchmarks=(loaded.benchmark,)), out)
    problems = [row["problem"] for row in checked["algebra"]["train_sft"]]
    assert stolen not in problems
    assert problems[: len(others)] == others
    seeded = [seed for _, seed in mixed.requests if seed]  # but for labels and scores: each has its own
    assert len(mixed.requests) > asked
    assert len(seeded) == len(set(seeded)), "nothing is asked again"


def test_a_benchmark_is_recognised_by_its_meaning(mixed: Mixed, minilm: Path, tmp_path: Path) -> None:
    """Only what lies near is asked about, twice, and only two times "yes" is a hit; all of it is kept."""
    encoder = resolve(str(minilm), chat=False)
    recipe = small_recipe(mixed, "algebra", count=12, k=2)
    seeds = [seed_of(seed_of(recipe.seed, "algebra", index), "instruct") for index in range(12)]
    stolen = [problem(seed) for seed in seeds if seed % 10 > 1][:3]
    exam = ["The same thing in words of its own.", "Something else in its place.", "Unlike anything of it."]
    file = tmp_path / "exam.jsonl"
    file.write_text("".join(json.dumps({"problem": text}) + "\n" for text in exam))
    loaded = load_benchmark(Benchmark("exam", str(file)))
    assert isinstance(loaded, Loaded)
    units = np.eye(4)
    ids = tokenizer_of(encoder)([*exam, *stolen])["input_ids"]
    vectors = [*units[:3], *(0.8 * unit + 0.6 * units[3] for unit in units[:3])]
    meaning = {tuple(one): vector for one, vector in zip(ids, vectors, strict=True)}
    embedded: list[tuple[int, ...]] = []
    asked: list[str] = []

    def rating(prompt: Sequence[int], pooling: Pooling) -> Sequence[float]:
        embedded.append(tuple(prompt))
        return list(meaning.get(tuple(prompt), units[3]))

    def reading(prompt: Sequence[int], sampling: Sampling, seed: int) -> str:
        if "same" not in str(sampling.schema):
            return labels("algebra")
        asked.append(tokenizer_of(mixed.model).decode(prompt))
        question = asked[-1].rpartition("</problem>\n\n<problem>")
        first = exam[0] in question[2] or stolen[0] in question[2]
        second = stolen[1] in question[2]
        return '{"same":"yes"}' if first or second else '{"same":"no"}' if exam[1] in question[2] else "Hm."

    recipe = replace(
        recipe,
        tagger=FakeEngine(mixed.model, reading),
        embedder=FakeEngine(encoder, lambda *_: "", rating),
        benchmarks=(loaded.benchmark,),
    )
    out = tmp_path / "out"
    built = build(recipe, out)
    hits = [row for row in dropped(out, "algebra") if row["reason"] == "contaminated"]
    assert [(row["problem"], row["contaminated_by"]) for row in hits] == [
        (stolen[0], "exam/0 (by meaning 0.80)")
    ]
    assert {*stolen[1:]} <= {row["problem"] for row in built["algebra"]["train_sft"]}
    card = (out / "README.md").read_text()
    assert f"| exam | `{loaded.benchmark.revision}` | 3 | 1 |" in card
    assert "the same in other words or in another language" in card
    assert len(asked) == 6, "in both orders, of each that lies near"
    assert all(embedded.count(tuple(one)) == 1 for one in ids[:3]), "the benchmark is embedded once"
    texts = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(text.encode() in whole for text in exam for whole in texts), "and its text is not kept"
    part = finished_part(out / "run", tmp_path)
    assert part.samples["algebra"].contaminated == {"exam": 1}, "an unfinished build is published as it is"
    ready = part.splits["algebra"]["train_sft"].dataset["id"]
    assert list(ready) == list(built["algebra"]["train_sft"]["id"])
    before = len(embedded)
    again = build(replace(recipe, near=0.9), out, shard_rows=7)
    assert all_rows(again) == all_rows(built)
    assert (len(asked), len(embedded)) == (6, before), "nothing is asked again, however the rows are cut"


def test_known_problems_are_named_and_kept(mixed: Mixed, minilm: Path, tmp_path: Path) -> None:
    """Only what is near enough is asked about, twice; the nearest one with two times "yes" is named."""
    encoder = resolve(str(minilm), chat=False)
    recipe = small_recipe(mixed, "algebra", count=7, k=2)
    seeds = [seed_of(seed_of(recipe.seed, "algebra", index), "instruct") for index in range(12)]
    stolen = [problem(seed) for seed in seeds if seed % 10 > 1][:5]
    known = ["Yes and yes.", "Yes and no.", "Not asked.", "No and no.", "No and no.", "Behind it.", "Hm."]
    file = tmp_path / "old.jsonl"
    file.write_text("".join(json.dumps({"problem": text}) + "\n" for text in known))
    loaded = load_benchmark(Benchmark("old", str(file)))
    assert isinstance(loaded, Loaded)
    units = np.eye(8)
    places = dict(
        zip(
            dict.fromkeys(known),
            [*units[:4], 0.93 * units[3] + 0.36756 * units[4], units[5]],
            strict=True,
        )
    )
    samples = [
        0.95 * units[0] + 0.31225 * units[6],
        0.92 * units[1] + 0.39192 * units[6],
        0.8 * units[2] + 0.6 * units[6],
        0.97 * units[3] + 0.24310 * units[6],
        0.91 * units[5] + 0.41461 * units[6],
    ]
    tokenizer = tokenizer_of(encoder)
    ids = tokenizer([*places, *stolen])["input_ids"]
    meaning = {tuple(one): vector for one, vector in zip(ids, [*places.values(), *samples], strict=True)}
    asked: list[str] = []

    def rating(prompt: Sequence[int], pooling: Pooling) -> Sequence[float]:
        return list(meaning.get(tuple(prompt), -units[7]))

    def reading(prompt: Sequence[int], sampling: Sampling, seed: int) -> str:
        if "same" not in str(sampling.schema):
            return labels("algebra")
        asked.append(tokenizer_of(mixed.model).decode(prompt).rpartition("</problem>\n\n<problem>")[2])
        whole = tokenizer_of(mixed.model).decode(prompt)[-2000:]
        if known[-1] in whole:
            return "Hm."
        behind = known[-2] in whole
        return '{"same":"yes"}' if known[0] in whole or behind or stolen[1] in asked[-1] else '{"same":"no"}'

    plain = replace(
        recipe, tagger=FakeEngine(mixed.model, reading), embedder=FakeEngine(encoder, lambda *_: "", rating)
    )
    out = tmp_path / "out"
    before = all_rows(build(plain, out))
    assert not asked
    answered = mixed.asked()
    built = build(replace(plain, known=(loaded.benchmark,)), out, shard_rows=3)
    assert mixed.asked() == answered, "a finished build answers nothing again, however its rows are cut"
    named = {
        row["problem"]: (row["nearest_known"], row["known_similarity"], row["known_same"])
        for rows in built["candidates"].values()
        for row in rows
    }
    assert [named[text] for text in stolen] == [
        ("old/0", 0.95, True),
        ("old/1", 0.92, False),
        ("old/2", 0.8, False),
        ("old/5", 0.9021, True),  # the nearer one, of which there are two, is another problem
        ("old/6", 0.91, None),
    ]
    assert {same for text, (_, _, same) in named.items() if text not in stolen} == {False}
    assert len(asked) == 10, "in both orders, of each pair that is near enough, and of two alike once"
    for split, rows in before.items():
        now = all_rows(built)[split]
        assert [{name: row[name] for name in old} for row, old in zip(now, rows, strict=True)] == rows
    texts = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(text.encode() in whole for text in known for whole in texts), "no text of theirs is kept"
    card = (out / "README.md").read_text()
    assert f"**2 of {len(named)}\nproblems ({200 / len(named):.1f} %)** are, up to their numbers" in card
    assert f"| old | `{loaded.benchmark.revision}` | 7 | 2 | {2 / len(named):.1%} |" in card
    finished = {"known_compared": [None, [], [{"verdicts": ["yes", "no"], "requests": ["one", "other"]}]]}
    reader = RecogniseKnown(FakeEngine(mixed.model, reading), ())
    assert [key for key, _ in reader.reusable(finished)] == ["one", "other"]
    stated = said_of(replace(plain, known=(loaded.benchmark,)))
    assert stated is not None
    assert stated["selection"]["known_set"] == [f"old.jsonl@{loaded.benchmark.revision}"]
    part = finished_part(out / "run", tmp_path)
    ready = part.splits["algebra"]["train_sft"].dataset
    assert list(ready["known_same"]) == list(built["algebra"]["train_sft"]["known_same"])
    with pytest.raises(BadInput, match="nothing embeds"):
        replace(recipe, known=(loaded.benchmark,))


def test_embeddings_give_each_problem_its_nearest_neighbour(
    mixed: Mixed, minilm: Path, tmp_path: Path
) -> None:
    def rating(prompt: Sequence[int], pooling: Pooling) -> Sequence[float]:
        angle = sum(prompt) % 1000 / 1000
        return (angle, (1 - angle**2) ** 0.5)

    embedder = FakeEngine(resolve(str(minilm), chat=False), lambda *_: "", rating)
    recipe = replace(tagged(mixed, Acceptance("keep")), embedder=embedder)
    out = tmp_path / "out"
    built = build(recipe, out)
    distances = [
        row["min_neighbor_distance"] for key in ("algebra", "geometry") for row in built[key]["train_sft"]
    ]
    assert all(0 <= distance < 0.5 for distance in distances)
    assert len(set(distances)) > 5
    card = (out / "README.md").read_text()
    for key in ("algebra", "geometry"):
        found = re.search(rf"^\| `{key}` \| 25 \| (0\.\d+) \| (\d+\.\d) \|$", card, re.MULTILINE)
        assert found is not None, "the card shows what the embeddings cover"
        assert 1 <= float(found[2]) <= 2, "all lie in a plane"
    before = mixed.asked()
    assert all_rows(build(recipe, out, shard_rows=9)) == all_rows(built)
    assert mixed.asked() == before
