"""Recipe files: every option has a place, wrong files are refused at their line, YAML's traps are none, and
the recipe that a dataset is published with asks the same requests again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_hub import WRITER

import magpie_hf
import pages
from conftest import ROOT, Answers, small_recipe
from loopback_hub import loopback_hub
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.commands.options import domains
from magpie_hf.cli.commands.own_problems import own_of
from magpie_hf.cli.commands.recipe_files import build_options, with_recipe
from magpie_hf.cli.main import main, parser
from magpie_hf.domains import DOMAINS
from magpie_hf.errors import BadInput
from magpie_hf.models.model import resolve
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.problems.own import loading
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.blocks import READERS
from magpie_hf.recipe_file.kinds import kind_of
from magpie_hf.recipe_file.nodes import MOST_BYTES, Dumper, read_tree
from magpie_hf.recipe_file.places import BLOCKS, GROUPS, LISTED, PAIRED, PLAIN, keys_of, place_of, places
from magpie_hf.recipe_file.reading import read
from magpie_hf.recipe_file.schema import schema
from magpie_hf.recipe_file.writing import beyond, said_of, text_of
from magpie_hf.run.outline import keys

WORDS = parser()
OPTIONS = build_options(WORDS)
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
PINNED = "0123456789abcdef0123456789abcdef01234567"


def test_every_option_of_build_has_one_place_and_every_place_an_option() -> None:
    """A new option needs a word in `places.GROUPS`."""
    assert set(places()) == set(OPTIONS)
    listed = [place for group in GROUPS for place in (f"{group}.{key}" for key in keys_of(group))]
    assert len(listed) == len(set(listed)) == len(OPTIONS) - 1  # that of --domains is a block
    assert {*BLOCKS, "scorer"} == set(READERS), "a scorer of one's own stands in its group"
    assert {*LISTED, *PAIRED} <= set(OPTIONS)


# Values that an option can have where others of its type cannot.
MODELS = ("model", "solver", "judge", "embedder", "checker", "program", "rejected_solver", "pass_model")
MODELS += ("harden_model",)
FITTING: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(MODELS, st.sampled_from(["6", "a/b", f"a/b@{PINNED}"])),
    "tagger": st.sampled_from(["none", "2", "owner/1e3"]),
    "languages": st.lists(st.sampled_from(["en", "no", "ja", "or"]), min_size=1, max_size=3, unique=True),
    "domains": st.lists(st.sampled_from(list(DOMAINS)), min_size=1, max_size=3, unique=True),
    "decontaminate": st.lists(st.sampled_from(["gsm8k", "hle@12ab", "x/y:main@1.0#text"]), min_size=1),
    "known_set": st.lists(st.sampled_from(["gsm8k@12ab", "x/y:main@1.0#text,answer"]), min_size=1),
    "sft": st.sampled_from(["best", "all", "cold", 3]),
    "k": st.integers(2, 9),
    "tir": st.integers(0, 256),
    "auto_extend": st.integers(0, 10),
    "count": st.integers(1, 10_000_000),
    **dict.fromkeys(("near", "scale", "top_p", "instruction_top_p", "candidate_top_p"), st.floats(0.01, 1)),
    "max_length_ratio": st.floats(1, 1e3),
    "pass_votes": st.integers(2, 256),
    "harden": st.integers(0, 2),
    **dict.fromkeys(("pass_rate", "rl_pass_rate"), st.sampled_from(["0:0.5", "0.1:0.8", "1:1"])),
    **dict.fromkeys(("max_tokens", "instruction_max_tokens"), st.integers(1, 10**6)),
}
TEXTS = st.sampled_from(
    ["no", "on", "0123", "1e3", "12:30:45", "~", "ä: b", "x #y", "- z", " s ", "null", "2.0"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def values(option: str, action: argparse.Action) -> st.SearchStrategy[Any]:
    kind = kind_of(option, action)
    if option in FITTING:
        return FITTING[option]
    if kind.shape == "flag":
        return st.just(True)
    if kind.choices:
        return st.sampled_from(kind.choices)
    if kind.number is not None:
        return st.integers(1, 10**9) if kind.number is int else st.floats(0.0, 0.99)
    if kind.shape == "list":
        return st.lists(TEXTS, min_size=1, max_size=3)
    if option == "model_license":
        return st.dictionaries(st.sampled_from(["a/b", "c"]), st.just("mit"), min_size=1)
    if option in PLAIN:
        return st.dictionaries(st.sampled_from(["level", "no"]), TEXTS, min_size=1)
    if kind.shape in ("pairs", "table"):
        return st.dictionaries(st.sampled_from(["x", "solver:y", "no"]), JSON, min_size=1, max_size=3)
    return TEXTS


def _chosen(options: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A value for each of these options as a file has it, without --scale beside --count."""
    one_of_both = [option for option in options if option != "scale" or "count" not in options]
    return st.fixed_dictionaries({option: values(option, OPTIONS[option]) for option in one_of_both})


SAID = st.lists(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=12, unique=True).flatmap(_chosen)


def argument(option: str, value: Any) -> list[str]:
    """The same value on the command line."""
    name, kind = f"--{option.replace('_', '-')}", kind_of(option, OPTIONS[option])
    if kind.shape == "flag":
        return [name]
    if kind.shape == "commas":
        return [f"{name}={','.join(value)}"]
    if option in PLAIN:
        return [f"{name}={key}={one}" for key, one in value.items()]
    if kind.shape == "pairs":
        return [
            f"{name}={key}={json.dumps(one, sort_keys=True, ensure_ascii=False)}"
            for key, one in value.items()
        ]
    if kind.shape == "table":
        return [f"{name}={json.dumps(value, sort_keys=True)}"]
    return [f"{name}={one}" for one in (value if kind.shape == "list" else [value])]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SAID, st.booleans())
@example({"chat_option": {"x": "1e3"}}, False)  # a number for the reader alone, not for YAML 1.1
def test_a_file_says_what_the_command_line_says(tmp_path: Path, options: dict[str, Any], flow: bool) -> None:
    groups: dict[str, Any] = {}
    for option, value in options.items():
        group, _, key = place_of(option).partition(".")
        groups.update({group: value} if not key else {group: {**groups.get(group, {}), key: value}})
    file = tmp_path / "recipe.yaml"
    text = yaml.dump(groups, Dumper=Dumper, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    file.write_text(text, encoding="utf-8")
    arguments = ["build", str(file)]
    _, by_file = with_recipe(WORDS, arguments, WORDS.parse_args(arguments))
    there = [word for option, value in options.items() for word in argument(option, value)]
    by_words = WORDS.parse_args([*arguments, *there])
    assert vars(by_file) == vars(by_words)
    file.write_text("answers: {k: 7, keep_minority: true}\nsampling: {seed: 3}\n")
    arguments += there  # options on the command line win over the file
    _, both = with_recipe(WORDS, arguments, WORDS.parse_args(arguments))
    left = {"k": 7, "seed": 3, "keep_minority": True}
    assert vars(both) == {
        **vars(by_words),
        **{name: one for name, one in left.items() if name not in options},
    }


def test_options_win_where_one_excludes_another_and_where_they_are_repeated(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "model: {name: 1, engine_arg: {block_size: 16, enforce_eager: true}}\nselection: {count: 9}\n"
        "run: {endpoint: [http://a:1/v1, http://b:1/v1]}\ndomains: [algebra]\n"
    )

    def merged(*more: str) -> argparse.Namespace:
        arguments = ["--lang", "en", "plan", *more[:2], str(file), *more[2:]]
        return with_recipe(WORDS, arguments, WORDS.parse_args(arguments))[1]

    assert merged().count == 9
    assert [domain.count for domain in domains(merged("--scale", "0.5"))] == [5000]
    assert merged("--endpoint", "http://c:1/v1").endpoint == ["http://c:1/v1"]
    assert merged("--engine-arg", "block_size=32").engine_arg == [
        "block_size=16",
        "enforce_eager=true",
        "block_size=32",  # of two the later counts
    ]


def test_options_win_over_what_they_exclude_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"

    def left(said: str, *more: str) -> dict[str, Any]:
        """The options that the file and these give, but for those that have their default."""
        file.write_text(f"{said}\n")
        arguments = ["plan", str(file), *more]
        _, merged = with_recipe(WORDS, arguments, WORDS.parse_args(arguments))
        plain = vars(WORDS.parse_args(["plan", str(file)]))
        return {name: one for name, one in vars(merged).items() if one != plain[name]}

    assert left("model: {name: 6, revision: abc}", "--model", "1") == {"model": "1"}
    assert left("model: {name: 6, revision: abc}", "--k", "3")["revision"] == "abc"
    assert left("scorer: {judge: 6}", "--scorer", "reward") == {"scorer": "reward"}
    assert left("scorer: {judge: 6}", "--scorer", "judge") == {"judge": "6"}
    assert left("scorer: reward", "--judge", "6") == {"judge": "6"}
    assert left("selection: {off_topic: move, count: 3}", "--tagger", "none") == {
        "tagger": "none",
        "count": 3,
    }
    assert left("selection: {off_topic: move}", "--tagger", "6") == {"tagger": "6", "off_topic": "move"}
    servers = "run: {tensor_parallel_size: 2}", "--endpoint", "http://c:1/v1"
    assert left(*servers) == {"endpoint": ["http://c:1/v1"]}
    assert left("problems: {dataset: a/b, revision: abc, column: x}", "--problems", "c/d") == {
        "problems": "c/d",
        "problem_column": "x",
    }


OWN = "model: 6\ndomains:\n  logic:\n    count: 7\n    subject: logic\n    system: A logician asks.\n"


def test_domains_of_ones_own_and_changed_ones(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        OWN + "    candidate: {top_k: 5}\n    first_token: 0.5\n"
        "  algebra: {count: 30, instruction: {min_p: 0.2}}\n  geometry:\n"
    )
    arguments = ["build", str(file)]
    _, options = with_recipe(WORDS, arguments, WORDS.parse_args(arguments))
    logic, algebra, geometry = domains(options)
    assert (logic.key, logic.count, logic.first_token, logic.candidate.top_k) == ("logic", 7, 0.5, 5)
    assert logic.origins_of("candidate")["top_k"] == "option"  # so the solver's own does not replace it
    assert algebra == replace(
        DOMAINS["algebra"], count=30, instruction=replace(DOMAINS["algebra"].instruction, min_p=0.2)
    )
    assert geometry == DOMAINS["geometry"]
    arguments += ["--domains", "logic", "--temperature", "0.3"]
    (one,) = domains(with_recipe(WORDS, arguments, WORDS.parse_args(arguments))[1])
    assert (one.response.temperature, one.count) == (0.3, 7)


# A recipe, its wrong line, and what is said of it.
WRONG = [
    ("model: 6\nproblems: {dataset: a/b, where: {x: [1]}}", 2, "problems.where.x is a list; give a text"),
    ("model: 6\nproblems: {file: a.csv}", 2, "'problems.file' is no key"),
    ("problems: {license: mit}", 1, "'problems.license' is no key; the nearest is problems.licence"),
    (f"answers:\n  k: {'1' * 5000}", 2, "answers.k is '1111"),
    ("modell: 6", 1, "'modell' is no key; the nearest is model"),
    ("temperature: 1", 1, "'temperature' is no key; the nearest is sampling.temperature"),
    (
        "model: 6\nsampling:\n  temprature: 1",
        3,
        "'sampling.temprature' is no key; the nearest is sampling.temperature",
    ),
    ("model: 6\nsampling:\n  k: 3", 3, "'sampling.k' is no key; the nearest is answers.k"),
    ("xyzzyq: 6", 1, "'xyzzyq' is no key; choose from model, solver, "),
    ("model: {name: 6, colour: red}", 1, "'model.colour' is no key; choose from name, revision, "),
    ("model: 7", 1, "model 7 is unknown; choose 1 to 6"),
    ("model: nowhere", 1, "'nowhere' is no model"),
    ("model:", 1, "model is empty; give some of its keys: name, "),
    ("model: {name: }", 1, "model.name has no value; give a text, or leave the key out"),
    ("model: [1, 2]", 1, "model is a list; give some of its keys"),
    ("model: {name: {x: y}}", 1, "model.name is a mapping; give a text"),
    ("model: true", 1, "model.name is 'true'; give a text"),
    ("model: {name: 6, dtype: float8}", 1, "model.dtype is 'float8'; give one of auto, bfloat16, "),
    ("model: {name: 6, max_model_len: 4k}", 1, "model.max_model_len is '4k'; give a whole number"),
    ("model: {name: 6, chat_option: {'a b': 1}}", 1, "--chat-option is 'a b=1'; give NAME=VALUE"),
    ("model: {name: 6, chat_option: {chef:a: 1}}", 1, "--chat-option is 'chef:a=1'; give NAME=VALUE"),
    ("model: 6\nsolver: a/b/c", 2, "'a/b/c' is no model"),
    ("model: 6\nscorer: {judge: 9}", 2, "model 9 is unknown"),
    ("model: 6\nscorer: {reads: thoughts}", 2, "scorer.reads is 'thoughts'; give one of answer, whole"),
    (
        "model: 6\nscorer: reward\nselection: {}\nanswers: 5",
        4,
        "answers is '5'; give some of its keys: k, sft",
    ),
    ("model: 6\nanswers:\n  k: five", 3, "answers.k is 'five'; give a whole number"),
    ("model: 6\nanswers:\n  k: 1", 3, "k is 1, so no pairs are possible"),
    ("model: 6\nanswers:\n  k: 3.5", 3, "answers.k is '3.5'; give a whole number"),
    ("model: 6\nanswers:\n  k: 1e3", 3, "answers.k is '1e3'; give a whole number"),
    ("model: 6\nanswers:\n  k: '5'", 3, "answers.k is '5'; give a whole number"),
    ("model: 6\nanswers:\n  k: 010", 3, "answers.k is '010'; give a whole number"),
    ("model: 6\nanswers:\n  k: yes", 3, "answers.k is 'yes'; give a whole number"),
    ("model: 6\nanswers:\n  k: [5]", 3, "answers.k is a list; give a whole number"),
    ("model: 6\nanswers:\n  k: 1000", 3, "k is 1000; give at most 256 candidates"),
    ("model: 6\nanswers:\n  sft: 0", 3, "sft is 0; choose best, all, cold, or"),
    ("model: 6\nanswers:\n  keep_minority: yes", 3, "answers.keep_minority is 'yes'; give true or false"),
    ("model: 6\nanswers:\n  keep_minority: 'true'", 3, "answers.keep_minority is 'true'; give true or false"),
    (
        "model: 6\nanswers:\n  k: 5\n  sft: best\n  k: 3",
        5,
        "k stands here again, and in line 3; keep one of them",
    ),
    ("model: 6\nmodel: 1", 2, "model stands here again, and in line 1"),
    ("model: 6\nsampling: {temperature: 2.5}", 2, "temperature is 2.5; give a number from 0 (greedy) to 2"),
    ("model: 6\nsampling: {temperature: .inf}", 2, "sampling.temperature is '.inf'; give a number"),
    ("model: 6\nsampling: {temperature: .nan}", 2, "sampling.temperature is '.nan'; give a number"),
    ("model: 6\nsampling: {temperature: 1e999}", 2, "sampling.temperature is '1e999'; give a number"),
    ("model: 6\nsampling: {candidate_top_p: 0}", 2, "top_p is 0; give a number above 0 and at most 1"),
    ("model: 6\nsampling: {max_tokens: 0}", 2, "max_tokens is 0; give a whole number of at least 1"),
    ("model: 6\nsampling: {preset: mine}", 2, "sampling.preset is 'mine'; give one of default, original"),
    (
        "model: 6\nsampling: {auto_extend: 11}",
        2,
        "auto_extend is 11; give a whole number from 0 (never) to 10",
    ),
    ("model: 6\nsampling: {first_token_temperature: 3}", 2, "first_token is 3"),
    ("model: 6\nselection: {languages: [en, xx]}", 2, "the languages are 'en, xx', and not all of them"),
    ("model: 6\nselection: {near: 2}", 2, "near is 2"),
    ("model: 6\nselection: {count: 0}", 2, "count is 0; give 1 to 10,000,000 problems a domain"),
    ("model: 6\nselection: {scale: 0}", 2, "scale is 0; give a positive number"),
    ("model: 6\nselection:\n  count: 5\n  scale: 2", 3, "--count is 5 and --scale is 2; give one of them"),
    ("model: 6\nselection: {decontaminate: [gsm8k, aime]}", 2, "'aime' is no problem set"),
    ("model: 6\nselection: {known_set: [gsm8k, a/b#]}", 2, "--known-set 'a/b#' names no column of problems"),
    ("model: 6\nselection: {known_set: gsm8k}", 2, "--known-set finds known problems by their meaning"),
    ("model: 6\nselection: {min_quality: fine}", 2, "selection.min_quality is 'fine'; give one of very poor"),
    ("model: 6\nselection: {min_yield: 1}", 2, "min_yield is 1; give a share from 0"),
    (
        "model: 6\nselection:\n  tagger: none\n  off_topic: move",
        4,
        "--off-topic is given and --tagger is none",
    ),
    (
        "model: 6\nscorer:\n  name: reward\n  judge: 1",
        4,
        "--judge is 1 and --scorer is reward; give one of them",
    ),
    (
        "model: 6\npairs: {max_length_ratio: 0.5}",
        2,
        "max_length_ratio is 0.5; give a finite number of at least 1",
    ),
    ("model: 6\npairs: {rl_majority_share: 2}", 2, "the majority share of the RL problems is 2"),
    ("model: 6\ntest: {share: 1}", 2, "the share of the test splits is 1"),
    ("model: 6\nrun:\n  shard_size: 0", 3, "--shard-size is 0; give at least 1"),
    ("model: 6\nrun:\n  server_kind: sglang", 3, "--server-kind is sglang and --endpoint is missing"),
    (
        "model: 6\nrun:\n  ray: auto\n  ray_workers: 3",
        4,
        "--ray-workers is '3'; give the fewest and the most",
    ),
    ("model: 6\npublish:\n  card_lang: fr", 3, "publish.card_lang is 'fr'; give one of en, ja"),
    ("model: 6\ndomains: [algebra, logic]", 2, "'logic' is not a domain; choose from algebra"),
    (
        "model: 6\ndomains:\n  logic: {count: 5}",
        3,
        "domains.logic has no subject; a domain of your own needs one",
    ),
    ("model: 6\ndomains:\n  lo gic: {count: 5}", 3, "domains.lo gic is no name for a domain; use letters"),
    ("model: 6\ndomains:\n  logic: 5", 3, "domains.logic is '5'; give its fields, such as count"),
    (
        "model: 6\ndomains:\n  algebra:\n    cuont: 5",
        4,
        "'domains.algebra.cuont' is no key; the nearest is domains.algebra.count",
    ),
    (
        "model: 6\ndomains:\n  algebra:\n    count: many",
        4,
        "domains.algebra.count is 'many'; give a whole number",
    ),
    ("model: 6\ndomains:\n  algebra:\n    system: ''", 4, "domains.algebra.system is ''; give a text"),
    ("model: 6\ndomains:\n  algebra:\n    first_token: hot", 4, "first_token is 'hot'"),
    (
        "model: 6\ndomains:\n  algebra:\n    response: 0.5",
        4,
        "domains.algebra.response is '0.5'; give values",
    ),
    ("model: 6\ndomains:\n  algebra:\n    response: {top_p: 3}", 4, "top_p is 3; give a number above 0"),
    (
        "model: 6\ndomains:\n  algebra:\n    response: {heat: 3}",
        4,
        "'domains.algebra.response.heat' is no key",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG, ids=[text for text, *_ in WRONG])
def test_a_wrong_recipe_is_refused_in_one_line_with_its_place(
    text: str, line: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(text + "\n", encoding="utf-8")
    assert main(["build", "r.yaml"]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"magpie-hf: r.yaml:{line}: {message}"), error
    assert error.count("\n") == 1
    assert os.listdir() == ["r.yaml"]


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS.encode(), ":2: *a0 is an alias; write out what it stands for"),
        (
            b"model: !!python/object/apply:os.system [ls]",
            ":1: 'tag:yaml.org,2002:python/object/apply:os.system' is a tag",
        ),
        (b"model: !!str 6", ":1: 'tag:yaml.org,2002:str' is a tag; give the plain value"),
        (
            b"model: 6\nanswers:\n\tk: 5",
            ":3: this is no YAML (found character '\\t' that cannot start any token)",
        ),
        ("model: Größe".encode("latin-1"), ":1: this is no UTF-8 text; save the file as UTF-8"),
        (b"model: 6\n\nanswers: {k: \xff}", ":3: this is no UTF-8 text"),
        (b"\xff\xfem\x00o\x00", ":1: this is no UTF-8 text"),
        (b"a: b\n" * (MOST_BYTES // 5 + 1), " has more than 200,000 bytes, so it is no recipe"),
        (b"", " is empty; give a recipe, such as `model: 1`"),
        (b"# nothing\n", " is empty"),
        (b"- model\n", ":1: a list stands where a recipe begins"),
        (b"model", ":1: 'model' stands where a recipe begins"),
        (b"a: [" * 30_000, " is nested too deeply"),
        (b"model: 6\n---\nmodel: 1\n", ":2: this is no YAML (but found another document)"),
        (b"model: 6\n? [a, b]\n: c\n", ":2: a list stands where a key belongs"),
        (b"model: 6\nanswers: {k: 5", ":2: this is no YAML"),
        (b"model: \x00", ":1: this is no YAML"),
        (b"<<: {model: 6}\n", ":1: '<<' is no key"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_yaml_can_do_to_a_reader(content: bytes, message: str) -> None:
    with pytest.raises(BadInput) as error:
        read(content, "r.yaml", OPTIONS)
    assert str(error.value).startswith(f"r.yaml{message}")
    assert len(str(error.value)) < 300


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    text = b"model: {name: 6, revision: 1e3}\nselection: {languages: [no, en]}\npublish: {tag: 2024-01-01}\n"
    words = read(text, "r.yaml", OPTIONS).words
    assert words["revision"] == ["--revision=1e3"]
    assert words["languages"] == ["--languages=no,en"]
    assert words["tag"] == ["--tag=2024-01-01"]
    assert read(b"\xef\xbb\xbfmodel: 6\r\n", "r.yaml", OPTIONS).words == {"model": ["--model=6"]}
    with pytest.raises(BadInput, match="'geo' is not a domain"):
        read(b"domains: [geo]\n", "r.yaml", OPTIONS)
    assert read(b"domains: [geo]\nproblems: mine.csv\n", "r.yaml", OPTIONS).words["domains"] == [
        "--domains=geo"
    ]
    tree = read_tree(b"a: [1e3, .5, on, 'null', null, 0x1F, -0.5]", "r.yaml")
    assert tree.value() == {"a": [1000.0, 0.5, "on", "null", None, "0x1F", -0.5]}


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (str(tmp_path), str(tmp_path / "none.yaml")):
        assert main(["plan", place]) == BAD_INPUT
        assert capsys.readouterr().err == (
            f"magpie-hf: {place} is no file; give a recipe file, or options alone\n"
        )
    assert main(["plan", "hf://models/a/b/recipe.yaml"]) == BAD_INPUT
    assert "give hf://datasets/user/name[@revision]/recipe.yaml" in capsys.readouterr().err


def test_the_recipes_of_the_documents_are_right() -> None:
    blocks = pages.blocks(pages.DOCS / "recipes.md", "yaml")
    assert len(blocks) == 3  # the second is the line for editors
    for block in blocks[::2]:
        assert read(block.encode(), "recipes.md", OPTIONS).words["model"]
    text = blocks[0].replace("  count:", "  cuont:").encode()
    with pytest.raises(BadInput) as error:
        read(text, "mine.yaml", OPTIONS)
    assert f"`{error.value}`" in pages.TEXT["docs/recipes.md"]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_plan_and_fit_the_schema(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), schema(OPTIONS))
    assert main(["plan", str(file), "--json"]) == OK
    plan = json.loads(capsys.readouterr().out)
    assert plan
    assert not list(tmp_path.iterdir())


def test_the_six_models_have_recipes() -> None:
    named = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in RECIPES]
    asked = {
        one.get("solver", one["model"]) for one in named if "solver" in one or isinstance(one["model"], str)
    }
    assert {known.repository for known in magpie_hf.KNOWN_MODELS.values()} <= asked


def test_the_schema_for_editors_is_what_the_code_says() -> None:
    written = json.loads((ROOT / "docs" / "recipe.schema.json").read_text(encoding="utf-8"))
    assert written == schema(OPTIONS), "run: python docs/reference.py"
    jsonschema.Draft7Validator.check_schema(written)
    for text, _, message in WRONG:
        if "is no key" in message:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(yaml.safe_load(text), written)


@pytest.fixture(scope="module")
def home(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, under a name that a recipe can give from there."""
    folder = tmp_path_factory.mktemp("alices-home")
    (folder / "models").mkdir()
    (folder / "models" / "small").symlink_to(demo_model.resolve(), target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def recipe(home: Path) -> Recipe:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        small = small_recipe(Answers(resolve("models/small"), answers=3), "algebra", count=12)
    logic = replace(small.domains[0], key="logic", subject="logic", system="A logician: asks, 'no' #1.")
    held_out = HeldOut(0.3, 4)
    return replace(
        small, domains=(*small.domains, logic), rl_majority_share=0.3, held_out=held_out, sft=2, seed=9
    )


@pytest.fixture(scope="module")
def out(home: Path, recipe: Recipe) -> Path:
    """The folder of a build with that recipe."""
    build(recipe, home / "data" / "small")
    return home / "data" / "small"


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own
def test_a_published_recipe_asks_the_same_requests_in_a_fresh_home(
    home: Path,
    recipe: Recipe,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from huggingface_hub import constants

    written = (out / "recipe.yaml").read_bytes()
    assert str(home).encode() not in written
    assert b"models/small@sha256:" in written
    assert main(["recipe", "show", str(out)]) == OK
    assert capsys.readouterr().out.encode() == written
    jsonschema.validate(yaml.safe_load(written), schema(OPTIONS))
    for name, value in {"HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.chdir(tmp_path)
    with loopback_hub({WRITER: ("ada", "write")}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        magpie_hf.publish(out, "ada/small", tag="v1", wording=magpie_hf.Wording(licences=("mit",)))
        files = hub.commits("ada/small")[-1].files
        assert files["recipe.yaml"].content == written
        assert "recipe.yaml" in json.loads(files["magpie_hf.json"].content)["files"]
        environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "fresh")}
        script = (
            "import json, pathlib, magpie_hf; from magpie_hf.run.outline import keys;"
            "run = pathlib.Path('run');"
            "recipe = magpie_hf.read_recipe('hf://datasets/ada/small@v1/recipe.yaml');"
            "print(json.dumps({one.key: keys(recipe, one, run) for one in recipe.domains}))"
        )
        again = subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, "HF_HUB_OFFLINE": "0"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert again.returncode == 0, again.stderr
        made = {one.key: keys(recipe, one, Path("run")) for one in recipe.domains}
        assert json.loads(again.stdout) == made
        hub.create("ada/big", False, {"recipe.yaml": b"a: b\n" * 400_000})
        hub.create("ada/run", False, {"recipe.yaml": b"model: 6\nrun: {endpoint: http://127.0.0.1:9/v1}\n"})
        hub.create("ada/push", False, {"recipe.yaml": b"publish: {push: ada/x, public: true}\n"})
        for place, message in (
            (
                "ada/small/recipe.yaml",
                ":6: 'models/small' is no folder here, and a recipe names a model in it",
            ),
            ("ada/none/recipe.yaml", ", or your token may not see it; check the name and `hf auth whoami`"),
            ("ada/small@v2/recipe.yaml", ", or your token may not see it"),
            ("ada/small/other.yaml", ", or your token may not see it"),
            ("ada/run/recipe.yaml", ":2: run says where a build runs or is published"),
            ("ada/push/recipe.yaml", ":1: publish says where a build runs or is published"),
            ("ada/big/recipe.yaml", " has more than 200,000 bytes, so it is no recipe"),
        ):
            assert main(["plan", f"hf://datasets/{place}"]) == BAD_INPUT
            error = capsys.readouterr().err
            assert f"hf://datasets/{place}{message}" in error
            assert error.count("\n") == 1
        assert not list(tmp_path.iterdir()) or os.listdir(tmp_path) == ["fresh"]


def test_a_local_model_of_other_contents_is_refused(
    recipe: Recipe, tmp_path: Path, demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = said_of(recipe)
    assert stated is not None
    (tmp_path / "models").mkdir()
    shutil.copytree(demo_model, tmp_path / "models" / "small", symlinks=True)
    file = tmp_path / "models" / "small" / "generation_config.json"
    content = file.read_text()
    file.unlink()
    file.write_text(content + " ")
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_bytes(text_of(stated))
    with pytest.raises(BadInput, match="small is another model than the one asked for"):
        magpie_hf.read_recipe("r.yaml")


def test_what_no_file_can_say_is_said(recipe: Recipe, tmp_path: Path) -> None:
    own = replace(recipe, instruction="Solve it in verse.", domains=recipe.domains[:1])
    assert beyond(recipe) is None
    said: list[str] = []
    build(own, tmp_path / "out", say=said.append)
    line = "no recipe.yaml is written, as a file cannot say its instruction or comparison of answers"
    assert line in said
    assert not (tmp_path / "out" / "recipe.yaml").exists()
    assert main(["recipe", "show", str(tmp_path / "out")]) == BAD_INPUT


def test_publish_takes_folder_and_name_from_the_recipe(
    home: Path,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    said = "model: models/small\ndomains: [algebra]\nrun: {out: data/small}\n"
    Path("r.yaml").write_text(f"{said}publish: {{push: ada/small, card_lang: ja}}\n")
    assert main(["publish", "r.yaml", "--to", str(tmp_path / "to"), "--model-license", "mit"]) == OK
    assert "ada/small" in (tmp_path / "to" / "README.md").read_text(encoding="utf-8")
    assert "データ" in (tmp_path / "to" / "README.md").read_text(encoding="utf-8")
    Path("r.yaml").write_text(said)
    assert main(["publish", "r.yaml"]) == BAD_INPUT
    assert capsys.readouterr().err == (
        "magpie-hf: no dataset on the Hub is named; give user/name behind the folder\n"
    )


def test_problems_of_ones_own(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read from a file, written as that of a build, and read again: the same problems, pinned."""
    monkeypatch.chdir(home)
    rows = [{"question": f"What is {n} + {n}?", "level": "hard" if n % 3 else "easy"} for n in range(9)]
    (home / "mine.jsonl").write_text("".join(json.dumps({**row, "solution": "4"}) + "\n" for row in rows))
    said = {
        "model": "models/small",
        "problems": {
            "dataset": "mine.jsonl",
            "column": "question",
            "answer": "solution",
            "where": {"level": "hard"},
            "use_reference": True,
        },
        "domains": ["algebra"],
        "sampling": {"temperature": 0.5},
        "selection": {"decontaminate": ["none"]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(said))
    recipe = magpie_hf.read_recipe(tmp_path / "mine.yaml")
    assert recipe.problems is not None
    assert recipe.problems.where == (("level", "hard"),)
    assert [domain.count for domain in recipe.domains] == [6]
    written = said_of(recipe)
    assert written is not None
    assert written["problems"] == {**said["problems"], "revision": recipe.problems.revision}
    jsonschema.validate(written, schema(OPTIONS))
    (tmp_path / "again.yaml").write_bytes(text_of(written))
    again = magpie_hf.read_recipe(tmp_path / "again.yaml")
    assert again.problems == recipe.problems
    assert again.problems is not None
    assert (again.problems.use_reference, again.domains) == (True, recipe.domains)
    (home / "mine.jsonl").write_text('{"question": "What is 1 + 1?", "level": "hard", "solution": "2"}\n')
    monkeypatch.setattr(loading, "_LOADED", {})  # as in another process
    assert main(["plan", str(tmp_path / "again.yaml")]) == BAD_INPUT
    capsys.readouterr()
    (tmp_path / "wrong.yaml").write_text(
        "model: models/small\nproblems: {dataset: mine.jsonl, column: text}\n"
    )
    assert main(["plan", str(tmp_path / "wrong.yaml")]) == BAD_INPUT
    assert f"{tmp_path / 'wrong.yaml'}:2: line 1 of mine.jsonl has no column" in capsys.readouterr().err
    (home / "gone.yaml").write_text("model: models/small\nproblems: gone.csv\nrun: {out: data/gone}\n")
    assert main(["publish", str(home / "gone.yaml"), "ada/x"]) == BAD_INPUT
    assert "data/gone does not exist" in capsys.readouterr().err
    two = ["--problems-where=level=easy", "--problems-where=level=hard"]
    loaded = own_of(WORDS.parse_args(["plan", "--problems=mine.jsonl", "--problem-column=question", *two]))
    assert loaded is not None
    assert loaded.own.where == (("level", "hard"),)
