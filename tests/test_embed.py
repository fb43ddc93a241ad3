"""Embeddings: the stage over an engine made from a function, and MiniLM on real vLLM against plain torch."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features
from test_near_duplicates import HELD_OUT, NEAR_DUPLICATES, PAIRS

from magpie_hf import VLLM, resolve
from magpie_hf.engines.base import NAN, Pooling, Rating
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.errors import BadInput
from magpie_hf.limits import ASKED_FROM
from magpie_hf.models.model import Model, own_max_length
from magpie_hf.problems.near_duplicates.index import SIMILAR, NearDuplicates, neighbour_distances
from magpie_hf.schema import EMBEDDING
from magpie_hf.stage import fingerprint
from magpie_hf.stages.embed import Embed
from magpie_hf.stages.signature import Signature

PROBLEMS = [
    "Find all real $x$ with $x^2 = 4$.",
    "Find all real $x$ with $x^3 = 4$.",
    "Prove that $\\sqrt{2}$ is irrational.",
    "x " * 1000,
    "最小値を求めよ。",
]


# A problem, and the same in other words or another language, or (False) another one of its topic
RETOLD = [
    (
        True,
        "Find the sum of all positive integers $n$ less than 100 that leave remainder 3 when divided by 7.",
        "Add up every whole number below one hundred whose remainder on division by seven is three.",
    ),
    (
        True,
        "A box holds 5 red and 7 blue marbles. Two are taken. What is the probability that both are red?",
        "Two marbles are picked from a bag with seven blue and five red ones. How likely are two red ones?",
    ),
    (
        True,
        "A farmer gets 16 eggs a day. She eats three, bakes with four, and sells the rest for \\$2 each. How"
        " much does she earn each day?",
        "Sixteen eggs come from a woman's chickens daily; 3 go into breakfast, 4 into muffins, and what"
        " remains is sold at two dollars an egg. What are her daily takings?",
    ),
    (
        True,
        "In how many ways can 8 people sit around a circular table?",
        "Eight guests sit down at a round table. Rotations count as the same. How many seatings are there?",
    ),
    (
        True,
        "Bestimme alle reellen Lösungen von $x^4 - 5x^2 + 4 = 0$.",
        "Find all real solutions of $x^4 - 5x^2 + 4 = 0$.",
    ),
    (
        False,
        "Find the area of the triangle with sides 13, 14 and 15.",
        "Find the perimeter of the triangle with vertices $(0,0)$, $(3,0)$ and $(0,4)$.",
    ),
    (False, "Prove that $\\sqrt 2 + \\sqrt 3$ is irrational.", "Prove that $\\pi$ is irrational."),
    (
        False,
        "Let $G$ be a group of order 15. Prove that $G$ is cyclic.",
        "Let $G$ be a group of order 21. How many elements of order 3 can it have?",
    ),
]


@pytest.fixture
def model(minilm: Path) -> Model:
    return resolve(str(minilm), dtype="float32", chat=False)


def fake(model: Model, asked: list[list[int]], bad: int = -1) -> FakeEngine:
    """An engine whose embedding tells a prompt's length, and that has none for prompt number `bad`."""

    def rating(prompt: Sequence[int], pooling: Pooling) -> Sequence[float] | Rating:
        assert pooling == Pooling("embedding")
        asked.append(list(prompt))
        return Rating((), NAN) if len(asked) - 1 == bad else (len(prompt) / 1024, 0.0)

    return FakeEngine(model, lambda *_: "", rating)


def test_stage(model: Model) -> None:
    asked: list[list[int]] = []
    rows = Embed(fake(model, asked, bad=1))(
        {"problem": [*PROBLEMS, None], "dropped": [None] * len(PROBLEMS) + ["empty"]}
    )
    assert rows["embedding_reason"] == [None, NAN, None, None, None, None]
    assert rows["embedding"][1] is None
    assert rows["embedding"][5] is None
    assert rows["embedding"][0] == [len(asked[0]) / 1024, 0.0]
    assert {ids[0] for ids in asked} == {101}  # [CLS]: the model's own special tokens
    assert {ids[-1] for ids in asked} == {102}
    declared = Dataset.from_dict(rows).cast_column("embedding", Features(EMBEDDING)["embedding"])
    assert declared.features["embedding_reason"].dtype == "string"


def test_a_long_problem_is_cut_to_what_the_model_reads(model: Model) -> None:
    asked: list[list[int]] = []
    short = Model(model.name, model.revision, model.dtype, 16, path=model.path)
    rows = Embed(fake(short, asked))({"problem": ["x " * 1000]})
    assert len(asked[0]) == 16
    assert rows["embedding_reason"] == [None]
    assert own_max_length(model) == 256  # sentence_bert_config.json; the positions would reach to 512


def test_what_was_embedded_is_not_asked_again(model: Model, tmp_path: Path) -> None:
    asked: list[list[int]] = []
    stage = Embed(fake(model, asked, bad=0))
    rows = {"problem": PROBLEMS[:3]}
    made = stage(dict(rows))
    assert len(asked) == 3
    with keeping(Journal(tmp_path / "journal", stage.reusable(made))):
        again = stage(dict(rows))
    assert len(asked) == 4  # the one that had none
    assert again["embedding"][1:] == made["embedding"][1:]
    assert stage.reuse_key == fingerprint(Embed(fake(model, [])))


def test_check(
    model: Model, minilm: Path, demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Embed(fake(model, [])).check()
    with pytest.raises(BadInput, match=r'embeds nothing; give it the runner "pooling"'):
        Embed(FakeEngine(model, lambda *_: "")).check()
    with pytest.raises(
        BadInput, match=r"is no model of embeddings \(its architecture is LlamaForCausalLM\); give an encoder"
    ):
        Embed(fake(resolve(str(demo_model)), [])).check()
    with monkeypatch.context() as patched:
        patched.setattr(
            "magpie_hf.stages.embed.find_spec",
            lambda name: None if name == "faiss" else importlib.util.find_spec(name),
        )
        with pytest.raises(
            BadInput, match=r"is not installed; pip install 'magpie-hf\[embeddings\]', or embed nothing"
        ):
            Embed(fake(model, [])).check()
    with pytest.raises(BadInput, match="has no chat template"):
        resolve(str(minilm))
    with pytest.raises(BadInput, match="larger than the 256 tokens"):
        resolve(str(minilm), max_length=512, chat=False)


def test_how_a_model_pools_is_part_of_what_it_is(minilm: Path, tmp_path: Path) -> None:
    shutil.copytree(minilm, tmp_path / "copy")
    copy = resolve(str(tmp_path / "copy"), chat=False)
    assert copy.revision == resolve(str(minilm), chat=False).revision
    pooling = tmp_path / "copy" / "1_Pooling" / "config.json"
    config = json.loads(pooling.read_text())
    pooling.write_text(
        json.dumps({**config, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    assert resolve(str(tmp_path / "copy"), chat=False).revision != copy.revision


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_minilm_on_vllm_is_minilm_in_torch(model: Model, by_torch: Callable[[list[str]], np.ndarray]) -> None:
    stage = Embed(VLLM(model, runner="pooling", kv_cache_gigabytes=0.25))
    stage.check()
    try:
        rows = stage({"problem": PROBLEMS})
        one_by_one = [stage({"problem": [problem]})["embedding"][0] for problem in PROBLEMS]
        alike = [
            "A sequence is given by $a_1 = 2$ and $a_{n+1} = 3a_n - 1$. Find its fifth term.",
            "Take the infinite recursive sequence with $a_1=2$ and $a_{n+1}=3a_n-1$. Find its fifth term.",
        ]
        pair = Signature()(stage({"problem": alike}))
        tables = [
            Signature()(stage({"problem": [text for _, *both in table for text in both]}))
            for table in (PAIRS, HELD_OUT)
        ]
        retold = stage({"problem": [text for _, *both in RETOLD for text in both]})["embedding"]
    finally:
        stage.engine.close()
    assert rows["embedding_reason"] == [None] * len(PROBLEMS)
    found = np.array(rows["embedding"])
    expected = by_torch(PROBLEMS)
    print(
        f"largest difference {np.abs(found - expected).max():.1e}; one by one"
        f" {np.abs(found - np.array(one_by_one)).max():.1e}"
    )
    assert np.allclose(found, expected, atol=1e-4)
    assert np.allclose(found, one_by_one, atol=1e-4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert neighbour_distances(found.astype(np.float32))[0] == pytest.approx(
        1 - found[0] @ found[1], abs=1e-5
    )  # x^2 and x^3
    one, other = ({column: values[row] for column, values in pair.items()} for row in (0, 1))
    assert np.dot(one["embedding"], other["embedding"]) > SIMILAR
    near_duplicates = NearDuplicates()
    near_duplicates.add("sequence", one)
    assert near_duplicates.find(other) == "sequence"  # which words alone do not find
    assert near_duplicates.find({**other, "embedding": None}) is None
    cosines = [float(np.dot(one, other)) for one, other in zip(retold[::2], retold[1::2], strict=True)]
    print(f"cosines of what is retold, and of others: {np.round(cosines, 2)}")
    assert [cosine > ASKED_FROM for cosine in cosines] == [same for same, *_ in RETOLD]
    for table, columns in zip((PAIRS, HELD_OUT), tables, strict=True):
        precision, reusable = quality(table, columns)
        print(f"{len(table)} pairs with embeddings: precision {precision:.2f}, reusable {reusable:.2f}")
        assert precision >= 0.95
        assert reusable >= 0.95


def quality(table: list[tuple[str, str, str]], columns: dict[str, list[Any]]) -> tuple[float, float]:
    """Precision and reusable over pairs whose problems stand one after the other in the columns."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    found, hits = 0, 0
    for (kind, one, _), first, second in zip(table, rows[::2], rows[1::2], strict=True):
        near_duplicates = NearDuplicates()
        near_duplicates.add(one, first)
        if near_duplicates.find(second) is not None:
            found += 1
            hits += kind in NEAR_DUPLICATES
    return hits / found, hits / sum(kind in NEAR_DUPLICATES for kind, _, _ in table)


@pytest.fixture
def by_torch(minilm: Path) -> Callable[[list[str]], np.ndarray]:
    """The mean of the last hidden states, at length 1, as the model's card computes it."""

    def embed(texts: list[str]) -> np.ndarray:
        import torch
        from transformers import AutoModel, AutoTokenizer

        tokenizer, encoder = (
            AutoTokenizer.from_pretrained(minilm),
            AutoModel.from_pretrained(minilm, dtype=torch.float32).eval(),
        )
        vectors = []
        for text in texts:
            given = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
            with torch.no_grad():
                mean = encoder(**given).last_hidden_state[0].mean(dim=0)
            vectors.append((mean / mean.norm()).numpy())
        return np.array(vectors)

    return embed
