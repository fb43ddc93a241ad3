"""Rows that harm training and claims that a card gets wrong: each is found in real files.

What is right gets no complaint.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from magpie_hf.card.sizes import SIZES, size_of
from magpie_hf.hub.lint.card import CARD_BYTES, front_matter, lint_card
from magpie_hf.hub.lint.complaints import LISTED
from magpie_hf.hub.lint.lists import TASKS, languages
from magpie_hf.hub.lint.messages import conversation_faults, pair_faults
from magpie_hf.hub.lint.rows import RESERVED, lint_rows
from magpie_hf.schema import FORBIDDEN, MESSAGE, PUBLISHED
from magpie_hf.text.language import use

Row = dict[str, Any]
FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "problem": datasets.Value("string"),
        "messages": [MESSAGE],
        "chosen": [MESSAGE],
        "rejected": [MESSAGE],
        "has_pair": datasets.Value("bool"),
        "score_gap": datasets.Value("float32"),
        "candidates": [{"response": datasets.Value("string"), "score": datasets.Value("float32")}],
    }
)


def talk(problem: str, answer: str, system: str | None = None) -> list[dict[str, Any]]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": problem}, {"role": "assistant", "content": answer}]


def row(number: int, pair: bool = True, **changes: Any) -> Row:
    problem = f"What is {number} + {number}?"
    good, bad = talk(problem, f"{2 * number}", "Be brief."), talk(problem, f"{2 * number + 1}", "Be brief.")
    return {
        "id": f"algebra-{number}",
        "problem": problem,
        "messages": good,
        "chosen": good,
        "rejected": bad if pair else good,
        "has_pair": pair,
        "score_gap": 0.5 if pair else None,
        "candidates": [{"response": "1", "score": 1.5}, {"response": "2", "score": None}],
    } | changes


def write(
    folder: Path, path: str, rows: list[Row], features: datasets.Features = FEATURES
) -> tuple[str, Path]:
    """A parquet file as `datasets` writes it."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=features.arrow_schema), file)
    return path, file


def good(folder: Path) -> dict[str, Path]:
    """Two domains, one of them with tests and two shards, reinforcement learning and candidates."""
    rl = datasets.Features(
        {"id": datasets.Value("string"), "problem": datasets.Value("string"), "prompt": [MESSAGE]}
    )
    candidates = datasets.Features(
        {
            "id": datasets.Value("string"),
            "problem": datasets.Value("string"),
            "label": datasets.Value("string"),
        }
    )
    asked = [
        {"id": f"{n}", "problem": f"Find {n}.", "prompt": [{"role": "user", "content": f"Find {n}."}]}
        for n in range(3)
    ]
    return dict(
        [
            write(folder, "algebra/train_sft-00000-of-00002.parquet", [row(1), row(2, False)]),
            write(folder, "algebra/train_sft-00001-of-00002.parquet", [row(3)]),
            write(folder, "algebra/train_prefs-00000-of-00001.parquet", [row(1), row(3)]),
            write(folder, "algebra/test_sft-00000-of-00001.parquet", [row(4), row(5, False)]),
            write(folder, "algebra/test_prefs-00000-of-00001.parquet", [row(4)]),
            write(folder, "algebra_rl/train-00000-of-00001.parquet", asked, rl),
            write(
                folder,
                "candidates/train-00000-of-00001.parquet",
                [{"id": "a", "problem": "Why?", "label": "x"}],
                candidates,
            ),
        ]
    )


def complaints(
    folder: Path, *rows: Row, split: str = "train_sft", features: datasets.Features = FEATURES
) -> list[str]:
    return lint_rows(dict([write(folder, f"algebra/{split}-00000-of-00001.parquet", list(rows), features)]))


def one(lines: list[str], *parts: str) -> None:
    """There is one complaint, and it says all of this in one line."""
    assert len(lines) == 1, lines
    assert "\n" not in lines[0]
    for part in parts:
        assert part in lines[0], lines[0]


# --- rows ---------------------------------------------------------------------------------------------------


def test_nothing_is_said_of_good_files(tmp_path: Path) -> None:
    assert lint_rows(good(tmp_path)) == []
    assert (
        lint_rows(
            {**good(tmp_path), "README.md": tmp_path / "README.md", "plots/length.svg": tmp_path / "none"}
        )
        == []
    )


def test_the_reserved_names_are_the_schemas() -> None:
    assert set(RESERVED) == FORBIDDEN


def test_the_published_columns_are_none_of_the_reserved(tmp_path: Path) -> None:
    filled = row(1) | dict.fromkeys(set(PUBLISHED) - set(row(1)))
    assert complaints(tmp_path, filled, features=PUBLISHED) == []


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_a_reserved_column_beside_pairs(tmp_path: Path, name: str) -> None:
    kind = [MESSAGE] if name in ("prompt", "completion") else datasets.Value("string")
    value = (
        [{"role": "user", "content": "Why?"}]
        if name == "prompt"
        else talk("", "Thus.")[1:]
        if name == "completion"
        else "x"
    )
    lines = complaints(tmp_path, row(1) | {name: value}, features=datasets.Features({**FEATURES, name: kind}))
    assert f"algebra/train_sft: a column {name} is not allowed here: {RESERVED[name]}" in lines
    assert len(lines) == 1 or name == "completion"


def test_columns_that_harm_in_company_alone(tmp_path: Path) -> None:
    text = datasets.Value("string")
    alone = datasets.Features(
        {"prompt": [MESSAGE], "completion": [MESSAGE], "label": datasets.Value("bool"), "margin": text}
    )
    values = {
        "prompt": [{"role": "user", "content": "Why?"}],
        "completion": talk("", "Thus.")[1:],
        "label": True,
        "margin": "x",
    }
    assert complaints(tmp_path, values, features=alone) == []
    del alone["prompt"]
    one(complaints(tmp_path, values, features=alone), "completion is not allowed here without prompt")


BROKEN: dict[str, tuple[Callable[[], Row], str]] = {
    "null": (lambda: row(1, messages=None), "messages is null"),
    "no message": (lambda: row(1, messages=[]), "messages holds no message"),
    "two users": (
        lambda: row(1, messages=[*talk("a", "b")[:1] * 2, *talk("a", "b")[1:]]),
        "the roles of messages are not",
    ),
    "an unknown role": (
        lambda: row(1, messages=[{"role": "human", "content": "a"}, *talk("a", "b")[1:]]),
        "the roles of messages are not",
    ),
    "a late system": (
        lambda: row(1, messages=[*talk("a", "b"), *talk("a", "b", "c")]),
        "the roles of messages are not",
    ),
    "no user": (
        lambda: row(1, messages=talk("a", "b", "c")[:1] + talk("a", "b")[1:]),
        "the roles of messages are not",
    ),
    "no role": (
        lambda: row(1, messages=[{"role": None, "content": "a"}, *talk("a", "b")[1:]]),
        "the roles of messages are not",
    ),
    "no end": (
        lambda: row(1, messages=talk("a", "b")[:1]),
        "the last message of messages is not the assistant's",
    ),
    "white space": (lambda: row(1, messages=talk("a", " \n\t")), "a message of messages has no text"),
    "no text": (lambda: row(1, messages=talk("", "b")), "a message of messages has no text"),
    "null text": (
        lambda: row(1, messages=[{"role": "user", "content": None}, *talk("a", "b")[1:]]),
        "a message of messages has no text",
    ),
    "other prompts": (
        lambda: row(1, rejected=talk("Why?", "No.", "Be brief.")),
        "differ before their last message",
    ),
    "other lengths": (
        lambda: row(1, rejected=talk("What is 1 + 1?", "3")),
        "differ before their last message",
    ),
    "no preference": (lambda: row(1, rejected=row(1)["chosen"]), "chosen equals rejected"),
    "a hidden pair": (
        lambda: row(1, rejected=row(1)["rejected"], has_pair=False),
        "has_pair is false, but chosen differs from rejected",
    ),
    "not repeated": (
        lambda: row(1, False, messages=talk("a", "b")),
        "has_pair is false, but chosen and rejected do not repeat messages",
    ),
    "unknown pair": (lambda: row(1, has_pair=None), "has_pair is null"),
    "no id": (lambda: row(1, id=None), "its id is null"),
    "not a number": (lambda: row(1, score_gap=float("nan")), "score_gap is NaN or infinite"),
    "infinite": (lambda: row(1, score_gap=float("-inf")), "score_gap is NaN or infinite"),
    "deep inside": (
        lambda: row(1, candidates=[{"response": "", "score": float("inf")}]),
        "candidates[].score is NaN or infinite",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_row_among_good_ones(tmp_path: Path, name: str) -> None:
    make, says = BROKEN[name]
    bad = make()
    place = "algebra/train_sft row 2:" if bad["id"] is None else "algebra/train_sft row algebra-1:"
    one(complaints(tmp_path, row(7), row(8, False), bad, row(9)), place, says)


def test_rows_beyond_a_batch_are_found_and_counted(tmp_path: Path) -> None:
    rows = [
        row(number, number % 3 != 0, id=None) if number % 100 == 99 else row(number) for number in range(1000)
    ]
    lines = complaints(tmp_path, *rows)
    assert lines == [
        *(f"algebra/train_sft row {number}: its id is null" for number in (99, 199, 299, 399, 499)),
        "and 5 more: its id is null",
    ]
    assert LISTED == 5


def test_a_split_of_preferences_without_a_pair(tmp_path: Path) -> None:
    one(
        complaints(tmp_path, row(1), row(2, False), split="train_prefs"),
        "row algebra-2",
        "has_pair is false in a split of preferences",
    )


def test_without_has_pair_every_row_is_a_pair(tmp_path: Path) -> None:
    features = datasets.Features({name: kind for name, kind in FEATURES.items() if name != "has_pair"})
    assert complaints(tmp_path, row(1), features=features) == []
    one(
        complaints(tmp_path, row(1), row(2, False), features=features),
        "row algebra-2",
        "chosen equals rejected",
    )
    del features["rejected"]
    one(complaints(tmp_path, row(1), features=features), "chosen is here without its counterpart")


def test_the_types_of_conversations(tmp_path: Path) -> None:
    text = datasets.Value("string")
    thinking = datasets.Features({**FEATURES, "messages": [{**MESSAGE, "thinking": text}]})
    one(
        complaints(tmp_path, row(1), features=thinking), "its messages hold thinking besides role and content"
    )
    plain = datasets.Features({**FEATURES, "messages": text})
    one(
        complaints(tmp_path, row(1, messages="Why?"), features=plain),
        "messages is string, which is no list of messages",
    )
    flag = datasets.Features({**FEATURES, "has_pair": text})
    one(complaints(tmp_path, row(1, has_pair="yes"), features=flag), "has_pair is string, not bool")


def test_ids_and_vectors(tmp_path: Path) -> None:
    vectors = datasets.Features(
        {"id": datasets.Value("int64"), "embedding": datasets.List(datasets.Value("float32"), length=2)}
    )
    rows = [
        {"id": 5, "embedding": [0.0, 1.0]},
        {"id": 6, "embedding": None},
        {"id": 7, "embedding": [0.0, float("nan")]},
    ]
    one(
        complaints(tmp_path, *rows, features=vectors),
        "algebra/train_sft row 7: embedding[] is NaN or infinite",
    )
    lists = datasets.Features({"id": datasets.List(datasets.Value("string")), "x": datasets.Value("float32")})
    lines = complaints(tmp_path, {"id": ["a"], "x": 1.0}, {"id": ["a"], "x": float("inf")}, features=lists)
    assert len(lines) == 2
    assert lines[0].startswith("algebra/train_sft: id is list<")
    assert lines[1].startswith("algebra/train_sft row 1: x is NaN")


def test_a_prompt_ends_with_the_user(tmp_path: Path) -> None:
    features = datasets.Features({"id": datasets.Value("string"), "prompt": [MESSAGE]})
    asked = {"id": "a", "prompt": talk("Why?", "Thus.", "Be brief.")[:2]}
    assert complaints(tmp_path, asked, features=features) == []
    answered = {"id": "b", "prompt": talk("Why?", "Thus.")}
    one(
        complaints(tmp_path, asked, answered, features=features),
        "row b",
        "the last message of prompt is not the user's",
    )


def test_an_id_twice_in_a_split_across_its_shards(tmp_path: Path) -> None:
    files = dict(
        [
            write(tmp_path, "algebra/train_sft-00000-of-00002.parquet", [row(1), row(2)]),
            write(tmp_path, "algebra/train_sft-00001-of-00002.parquet", [row(3), row(1)]),
            write(tmp_path, "algebra/train_prefs-00000-of-00001.parquet", [row(1)]),
        ]
    )
    one(lint_rows(files), "algebra/train_sft row algebra-1", "its id occurs in this split twice")


def test_the_answers_of_a_problem_share_its_id_and_differ_in_their_rank(tmp_path: Path) -> None:
    ranked = datasets.Features({**FEATURES, "answer_rank": datasets.Value("int32")})
    rows = [row(1, answer_rank=1), row(1, answer_rank=2), row(2, answer_rank=1), row(3, answer_rank=None)]
    assert complaints(tmp_path, *rows, features=ranked) == []
    one(
        complaints(tmp_path, *rows, row(1, answer_rank=2), features=ranked),
        "algebra/train_sft row algebra-1",
        "its id and answer_rank occur in this split twice",
    )


def test_a_problem_for_training_and_for_testing_in_any_configuration(tmp_path: Path) -> None:
    other = datasets.Features({"id": datasets.Value("string"), "problem": datasets.Value("string")})
    files = good(tmp_path)
    write(
        tmp_path,
        "candidates/train-00000-of-00001.parquet",
        [{"id": "x", "problem": " what IS\n4  + 4?"}],
        other,
    )
    one(
        lint_rows(files),
        "algebra/test_prefs row algebra-4 = candidates/train row x",
        "the problem is for testing and for training",
    )
    write(tmp_path, "candidates/train-00000-of-00001.parquet", [{"id": "x"}], other)
    assert lint_rows(files) == []  # a null problem repeats none
    without = datasets.Features({"id": datasets.Value("string")})
    write(tmp_path, "candidates/train-00000-of-00001.parquet", [{"id": "x"}], without)
    one(lint_rows(files), "candidates/train", "it has no column problem")


def test_features_of_a_configuration_are_one(tmp_path: Path) -> None:
    files = good(tmp_path)
    path = "algebra/train_prefs-00000-of-00001.parquet"
    reordered = datasets.Features({name: FEATURES[name] for name in [*list(FEATURES)[1:], "id"]})
    wider = datasets.Features({**FEATURES, "score_gap": datasets.Value("float64")})
    more = datasets.Features({**FEATURES, "extra": datasets.Value("string")})
    for features, says in (
        (reordered, "the columns are in another order"),
        (wider, "instead of"),
        (more, "extra is extra"),
    ):
        write(tmp_path, path, [row(1)], features)
        one(lint_rows(files), "algebra/train_prefs: its features differ from algebra/test_prefs", says)
    write(tmp_path, path, [row(1)])
    pq.write_table(pq.read_table(files[path]).replace_schema_metadata({}), files[path])
    one(
        lint_rows(files),
        "algebra/train_prefs",
        "the features that datasets wrote into the file are different",
    )


def test_a_shard_of_other_features(tmp_path: Path) -> None:
    files = good(tmp_path)
    path = "algebra/train_sft-00001-of-00002.parquet"
    write(
        tmp_path, path, [row(3)], datasets.Features({**FEATURES, "problem": datasets.Value("large_string")})
    )
    one(
        lint_rows(files),
        f"{path}: its features differ from the split's first file: problem is large_string instead of string",
    )


def test_names_and_shards(tmp_path: Path) -> None:
    def said(*paths: str) -> list[str]:
        return lint_rows(dict(write(tmp_path, path, [row(number)]) for number, path in enumerate(paths)))

    one(
        said("a/train-00001-of-00003.parquet", "a/train-00002-of-00003.parquet"),
        "a/train: shards 00000 of 00003 are missing",
    )
    one(
        said("a/train-00000-of-00001.parquet", "a/train-00001-of-00002.parquet"),
        "a/train: its files count 1 and 2 shards",
    )
    assert said("a/train-00003-of-00002.parquet")[-1].endswith("its number is not below its count of shards")
    one(said("a/train-sft-00000-of-00001.parquet"), "a/train-sft: a split's name may hold letters")
    assert said("a/train.sft-00000-of-00001.parquet") == []
    one(said("a*b/train-00000-of-00001.parquet"), "the configuration's name 'a*b' holds '*'")
    one(said("a/train.parquet"), "a/train.parquet: its name is not <config>/<split>")
    one(said("train-00000-of-00001.parquet"), "its name is not <config>/<split>")


def test_empty_and_broken_files(tmp_path: Path) -> None:
    one(complaints(tmp_path), "algebra/train_sft: it has no rows")
    path, file = write(
        tmp_path, "algebra/train_sft-00000-of-00001.parquet", [row(number) for number in range(50)]
    )
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    one(lint_rows({path: file}), f"{path}: it cannot be read as parquet (ArrowInvalid)")
    one(
        lint_rows({path: tmp_path / "gone.parquet"}),
        f"{path}: it cannot be read as parquet (FileNotFoundError)",
    )
    file.write_bytes(whole[:4] + b"\xff" * 400 + whole[404:])  # pages spoilt, footer whole
    one(lint_rows({path: file}), f"its file {file.name} cannot be read to its end")


ROLE = st.sampled_from(["system", "user", "assistant", "tool", None])
SAID = st.none() | st.fixed_dictionaries(
    {"role": ROLE, "content": st.sampled_from(["a", "b", "", " \u3000", None])}
)
RIGHT = st.sampled_from([talk("a", "b"), talk("a", "b", "c"), talk("a", "b") * 2, talk("a", "c")])
TALKS = st.lists(st.none() | RIGHT | st.lists(SAID, max_size=4), max_size=6)
LISTS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def slowly(name: str, value: list[dict[str, Any] | None] | None) -> list[bool]:
    """What `conversation_faults` yields, for one row, said in another way."""
    if not value:
        return [value is None, value is not None, False, False, False]
    roles = [message["role"] if message else None for message in value]
    turns = roles[1:] if roles[0] == "system" else roles
    texts = [message["content"] if message else None for message in value]
    return [
        False,
        False,
        turns != (["user", "assistant"] * len(turns))[: len(turns)],
        roles[-1] != ("user" if name == "prompt" else "assistant"),
        any(text is None or not text.strip() for text in texts),
    ]


@settings(deadline=None)
@given(rows=TALKS, name=st.sampled_from(["messages", "prompt"]), start=st.integers(0, 3))
def test_conversations_are_checked_as_if_one_by_one(rows: list[Any], name: str, start: int) -> None:
    masks = [mask for mask, _ in conversation_faults(name, pa.array(rows, LISTS)[start:])]
    assert [[bool(mask[number]) for mask in masks] for number in range(len(rows[start:]))] == [
        slowly(name, row) for row in rows[start:]
    ]


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(RIGHT, RIGHT, RIGHT, st.booleans()), max_size=6),
    preferences=st.booleans(),
    start=st.integers(0, 2),
)
def test_pairs_are_checked_as_if_one_by_one(
    rows: list[tuple[Any, Any, Any, bool]], preferences: bool, start: int
) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * 4
    kinds = [("chosen", LISTS), ("rejected", LISTS), ("messages", LISTS), ("has_pair", pa.bool_())]
    arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, kinds, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, [name for name, _ in kinds]).slice(start)
    said = [
        [bool(mask[number]) for mask, _ in pair_faults(batch, preferences)] for number in range(len(batch))
    ]
    expected = [
        [
            chosen[:-1] != rejected[:-1],
            False,
            not pair and chosen != rejected,
            not pair and chosen == rejected != messages,
            *([not pair] if preferences else []),
            pair and chosen == rejected,
        ]
        for chosen, rejected, messages, pair in rows[start:]
    ]
    assert said == expected


# --- card ---------------------------------------------------------------------------------------------------


def metadata(files: dict[str, Path]) -> dict[str, Any]:
    """What is true of `good`."""
    splits: dict[str, dict[str, list[str]]] = {}
    for path in files:
        config, name = path.split("/")
        splits.setdefault(config, {}).setdefault(name.split("-")[0], []).append(path)
    infos = []
    for config, its in splits.items():
        sizes = [
            {
                "name": name,
                "num_bytes": 100,
                "num_examples": sum(pq.read_metadata(files[path]).num_rows for path in paths),
            }
            for name, paths in its.items()
        ]
        first = files[next(iter(its.values()))[0]]
        infos.append(
            {
                "config_name": config,
                "features": datasets.Features.from_arrow_schema(pq.read_schema(first))._to_yaml_list(),
                "splits": sizes,
                "download_size": sum(files[path].stat().st_size for paths in its.values() for path in paths),
                "dataset_size": 100 * len(its),
            }
        )
    return {
        "language": ["en"],
        "license": "cc-by-nc-4.0",
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "multilinguality": ["monolingual"],
        "source_datasets": ["original"],
        "tags": ["synthetic"],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": split, "path": paths} for split, paths in its.items()],
            }
            | ({"default": True} if config == "algebra" else {})
            for config, its in splits.items()
        ],
        "dataset_info": infos,
    }


def card(front: dict[str, Any], body: str = "# Rows\n\n$\\frac{{1}}{2}$, \\({{x}}\\)\n") -> str:
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{body}"


def test_nothing_is_said_of_a_good_card(tmp_path: Path) -> None:
    files = good(tmp_path)
    front = metadata(files)
    assert lint_card(card(front), {**files, "plots/length.svg": b"<svg/>"}) == []
    front["license"] = ["mit", "cc-by-4.0"]
    front["language"] = "ja"
    front["configs"][0]["data_files"][0]["path"] = "algebra/train_sft-*.parquet"
    front["configs"][1]["data_files"][0]["path"] = ["**/algebra_rl/*-0000?-of-*.parquet"]
    front["source_datasets"] = ["extended|openai/gsm8k", "original"]
    assert lint_card(card(front), dict(files)) == []


def test_default_has_the_files_of_all_domains(tmp_path: Path) -> None:
    files = good(tmp_path) | dict(
        [write(tmp_path, "geometry/train_sft-00000-of-00001.parquet", [row(8)])]  # and no pairs
    )
    front = metadata(files)
    algebra, geometry = (
        next(one for one in front["configs"] if one["config_name"] == name)
        for name in ("algebra", "geometry")
    )
    algebra.pop("default")
    whole = deepcopy(algebra) | {"config_name": "default", "default": True}
    whole["data_files"][0]["path"] += geometry["data_files"][0]["path"]
    front["configs"].insert(0, whole)
    (info,) = [deepcopy(one) for one in front["dataset_info"] if one["config_name"] == "algebra"]
    info["config_name"] = "default"
    info["splits"][0]["num_examples"] += 1
    info["download_size"] += files["geometry/train_sft-00000-of-00001.parquet"].stat().st_size
    front["dataset_info"].insert(0, info)
    assert lint_card(card(front), dict(files)) == []
    rows = whole["data_files"][0]
    assert rows["split"] == "train_sft"
    last = rows["path"].pop()
    assert (
        f"README.md: default: train_sft lacks {last}, so load_dataset without a name would not load it"
        in (lint_card(card(front), dict(files)))
    )
    rows["path"] += [last, "candidates/train-00000-of-00001.parquet"]
    assert any(
        "default: train_sft names candidates/train-00000-of-00001.parquet, which is in the train_sft of no"
        in line
        for line in lint_card(card(front), dict(files))
    )
    rows["path"].pop()
    pairs = whole["data_files"].pop(1)
    assert any(f"default: {pairs['split']} lacks " in line for line in lint_card(card(front), dict(files)))


def test_a_card_loads_as_it_says(tmp_path: Path) -> None:
    """What passes is what `datasets` loads."""
    files = good(tmp_path / "repo")
    (tmp_path / "repo" / "README.md").write_text(card(metadata(files)))
    loaded = datasets.load_dataset(str(tmp_path / "repo"), "algebra", cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train_sft": 3,
        "train_prefs": 2,
        "test_sft": 2,
        "test_prefs": 1,
    }


Change = Callable[[dict[str, Any]], Any]
FALSE: dict[str, tuple[Change, str]] = {
    "a licence": (
        lambda front: front.update(license="apache2"),
        "'apache2', which is not on the Hub's list; did you mean apache-2.0?",
    ),
    "no licence": (lambda front: front.pop("license"), "license is missing"),
    "an unnamed licence": (
        lambda front: front.update(license="other"),
        "license is other, but license_name does not name it",
    ),
    "a language": (lambda front: front.update(language=["en-US"]), "language holds 'en-US'"),
    "Norwegian": (
        lambda front: front.update(language=[False]),
        "language holds False, which YAML does not read as text",
    ),
    "no language": (lambda front: front.update(language=[]), "language is empty"),
    "a size": (lambda front: front.update(size_categories=["about 40"]), "size_categories holds 'about 40'"),
    "another size": (
        lambda front: front.update(size_categories=["1K<n<10K"]),
        "has 3 rows and all files together 12: n<1K",
    ),
    "a task": (
        lambda front: front.update(task_categories=["text-generatoin"]),
        "did you mean text-generation?",
    ),
    "annotators": (
        lambda front: front.update(annotations_creators=["robots"]),
        "annotations_creators holds 'robots'",
    ),
    "writers": (
        lambda front: front.update(language_creators=["no-annotation"]),
        "language_creators holds 'no-annotation'",
    ),
    "languages": (lambda front: front.update(multilinguality="some"), "multilinguality holds 'some'"),
    "a source": (lambda front: front.update(source_datasets=["gsm8k"]), "source_datasets holds 'gsm8k'"),
    "a tag": (lambda front: front.update(tags=["math", 3]), "tags holds 3, which is no text"),
    "no configs": (lambda front: front.pop("configs") and front.pop("dataset_info"), "configs is no list"),
    "no default": (
        lambda front: front["configs"][0].pop("default"),
        "no configuration is marked default: true",
    ),
    "two defaults": (
        lambda front: front["configs"][1].update(default=True),
        "algebra and algebra_rl are all marked default: true",
    ),
    "a path": (
        lambda front: front["configs"][0]["data_files"][0]["path"].append("algebra/gone"),
        "which no published file matches",
    ),
    "one file left out": (
        lambda front: front["configs"][0]["data_files"][0]["path"].pop(),
        "is in no configuration, so",
    ),
    "one file twice": (
        lambda front: front["configs"][1]["data_files"][0].update(path=["algebra_rl/*", "candidates/*"]),
        "candidates/train-00000-of-00001.parquet is in each of algebra_rl/train and candidates/train",
    ),
    "a split's name": (
        lambda front: front["configs"][2]["data_files"][0].update(split="all-of-it"),
        "the split's name 'all-of-it'",
    ),
    "a split twice": (
        lambda front: front["configs"][0]["data_files"][1].update(split="train_sft"),
        "has the split train_sft twice",
    ),
    "a bare path": (
        lambda front: front["configs"][2].update(data_files=["candidates/*"]),
        "which is no split with its path",
    ),
    "no files": (lambda front: front["configs"][2].pop("data_files"), "data_files is no list"),
    "a config's name": (
        lambda front: front["configs"][2].update(config_name="a/b"),
        "the configuration's name 'a/b' holds '/'",
    ),
    "no info": (lambda front: front.pop("dataset_info"), "dataset_info is missing"),
    "no info of one": (lambda front: front["dataset_info"].pop(), "dataset_info lacks candidates"),
    "info of none": (
        lambda front: front["dataset_info"].append({"config_name": "x"}),
        "dataset_info has x, which is no configuration",
    ),
    "rows": (
        lambda front: front["dataset_info"][0]["splits"][0].update(num_examples=2),
        "train_sft is 2, but its files hold 3",
    ),
    "bytes": (
        lambda front: front["dataset_info"][0]["splits"][0].update(num_bytes=0),
        "num_bytes of train_sft is 0, which is no number above 0",
    ),
    "a download": (
        lambda front: front["dataset_info"][0].update(download_size=1),
        "download_size is 1, but its files have",
    ),
    "all bytes": (
        lambda front: front["dataset_info"][0].update(dataset_size=1),
        "dataset_size is 1, but its splits have 400 bytes",
    ),
    "no splits": (lambda front: front["dataset_info"][0].pop("splits"), "splits is no list of splits"),
    "other splits": (
        lambda front: front["dataset_info"][1]["splits"][0].update(name="test"),
        "its splits are test, but those of",
    ),
    "a feature": (
        lambda front: front["dataset_info"][0]["features"][0].update(dtype="int64"),
        "id is int64 instead of string",
    ),
    "one feature less": (
        lambda front: front["dataset_info"][0]["features"].pop(),
        "features are not those of algebra/train_sft-00000",
    ),
    "another order": (
        lambda front: front["dataset_info"][0]["features"].reverse(),
        "the columns are in another order",
    ),
    "no type": (
        lambda front: front["dataset_info"][0]["features"][0].update(dtype="text"),
        "features cannot be read (ValueError",
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_card_that_is_false(tmp_path: Path, name: str) -> None:
    files = good(tmp_path)
    front = deepcopy(metadata(files))
    change, says = FALSE[name]
    change(front)
    lines = lint_card(card(front), dict(files))
    assert any(says in line for line in lines), lines
    assert all(line.startswith("README.md: ") and "\n" not in line for line in lines)


def test_complaints_are_japanese_where_people_read_japanese(tmp_path: Path) -> None:
    use("ja")
    try:
        lines = [line for make, _ in BROKEN.values() for line in complaints(tmp_path, make())]
        lines += complaints(
            tmp_path,
            row(1) | {"label": "x"},
            features=datasets.Features({**FEATURES, "label": datasets.Value("string")}),
        )
        files = good(tmp_path)
        for change, _ in FALSE.values():
            front = deepcopy(metadata(files))
            change(front)
            lines += lint_card(card(front), dict(files))
    finally:
        use("en")
    assert len(lines) > len(BROKEN) + len(FALSE)
    said = [re.sub(r"^(README\.md|[\w/-]+( の行 [\w-]+)?): ", "", line) for line in lines]
    assert not [line for line in said if not re.search("[ぁ-ん]", line)]


def test_metadata_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one(lint_card("# A card\n", {}), "does not begin with metadata")
    one(lint_card("---\nlicense: mit\n", {}), "does not begin with metadata")
    one(lint_card("---\n- mit\n---\n", {}), "is no mapping")
    one(lint_card("---\nlicense: [mit\n---\n", {}), "is no YAML")
    one(lint_card("---\nlicense: mit\ndate: 2026-13-45\n---\n", {}), "is no YAML")
    known = yaml.SafeLoader.yaml_constructors
    monkeypatch.setattr(
        yaml.SafeLoader,
        "yaml_constructors",
        known | {"tag:yaml.org,2002:timestamp": known["tag:yaml.org,2002:str"]},
    )
    one(lint_card("---\nlicense: mit\ndate: 2026-13-45\n---\n", {}), "is no YAML")
    one(lint_card("---\n? [a, b]\n: c\n---\n", {}), "is no YAML")
    front, faults = front_matter("---\nlicense: mit\nconfigs:\n- a: 1\n  a: 2\nlicense: gpl\n---\n")
    assert front == {"license": "gpl", "configs": [{"a": 2}]}
    assert [fault.split(",")[0] for fault in faults] == [
        "its metadata has the key 'license' twice (line 6)",
        "its metadata has the key 'a' twice (line 5)",
    ]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["mit", "train", "a/b", "algebra"])
)
KEYS = st.sampled_from(
    [
        "config_name",
        "data_files",
        "split",
        "path",
        "features",
        "splits",
        "name",
        "num_bytes",
        "dtype",
        "list",
        "struct",
    ]
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "license",
    "language",
    "size_categories",
    "source_datasets",
    "tags",
    "configs",
    "dataset_info",
    "multilinguality",
]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(changes={"license": None, "dataset_info": {"config_name": "\r"}}, deep=None)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), NESTED, max_size=3),
    deep=st.none() | st.tuples(st.sampled_from(FIELDS[5:7]), KEYS, NESTED),
)
def test_whatever_a_card_says_gives_lines(
    tmp_path: Path, changes: dict[str, Any], deep: tuple[str, str, Any] | None
) -> None:
    files = (
        good(tmp_path)
        if not (tmp_path / "candidates").exists()
        else {file.relative_to(tmp_path).as_posix(): file for file in sorted(tmp_path.rglob("*.parquet"))}
    )
    front = metadata(files)
    if deep is not None:
        front[deep[0]][0][deep[1]] = deep[2]
    lines = lint_card(card({**front, **changes}), dict(files))
    assert all(line.startswith("README.md: ") and len(line.splitlines()) == 1 for line in lines)


def test_a_card_that_is_too_large_and_tokens(tmp_path: Path) -> None:
    files = good(tmp_path)
    front = metadata(files)
    one(lint_card(card(front, "x" * CARD_BYTES), dict(files)), "the Hub refuses large cards")
    token = "hf_" + "aB3" * 11
    lines = lint_card(
        card(front, f"`{token}`"),
        {**files, "magpie_hf.json": json.dumps({"token": token}).encode(), "a.svg": b"hf_short"},
    )
    assert len(lines) == 2
    assert "magpie_hf.json" in lines[1]
    assert not any(token in line for line in lines)


def test_the_lists() -> None:
    assert {"en", "ja", "zh", "ceb", "code", "multilingual"} <= languages()
    assert not {"klingon-x", "zh-CN", ""} & languages()
    assert [size_of(rows) for rows in (0, 999, 1000, 44_000, 10**12)] == [
        "n<1K",
        "n<1K",
        "1K<n<10K",
        "10K<n<100K",
        "n>1T",
    ]
    shipped = set(
        json.loads(
            (Path(datasets.__file__).parent / "utils" / "resources" / "size_categories.json").read_text()
        )
    )
    assert shipped - {"unknown"} == {name for _, name in SIZES}
    from datasets.utils.metadata import known_task_ids

    assert set(known_task_ids) - TASKS == {"conversational"}  # which the Hub has dropped since


def test_lint_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'vllm', 'datasets', 'transformers', 'huggingface_hub'}"
    code = (
        f"import sys, magpie_hf.hub.lint.rows, magpie_hf.hub.lint.card; print(sorted({heavy} &"
        " set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
