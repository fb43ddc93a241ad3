"""What is data: the six domains, sampling parameters, and what a model is."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from hypothesis import given
from hypothesis import strategies as st

from magpie_hf.domains import DOMAINS, scaled, select, with_sampling
from magpie_hf.errors import BadInput
from magpie_hf.models.digest import folder_digest
from magpie_hf.models.known import KNOWN_MODELS, known
from magpie_hf.models.model import Model, check_model_folder, own_max_length, resolve
from magpie_hf.models.names import repository_or_folder
from magpie_hf.models.sampling import Sampling
from magpie_hf.stage import canonical, fingerprint, identity

# --- domains ------------------------------------------------------------------------------------------------

# key, Japanese name, count, temperature of the problems, temperature of the answers
TABLE = [
    ("algebra", "代数", 10_000, 1.30, 0.05),
    ("calculus", "微積分", 10_000, 1.20, 0.0),
    ("geometry", "幾何", 6_000, 1.35, 0.05),
    ("statistics", "統計", 6_000, 1.10, 0.0),
    ("number_theory", "数論", 4_000, 1.25, 0.0),
    ("discrete", "離散数学", 8_000, 1.30, 0.05),
]


def test_the_domains_are_the_table() -> None:
    assert [
        (d.key, d.japanese, d.count, d.instruction.temperature, d.response.temperature)
        for d in DOMAINS.values()
    ] == TABLE
    assert list(DOMAINS) == [row[0] for row in TABLE]
    assert sum(domain.count for domain in DOMAINS.values()) == 44_000


@pytest.mark.parametrize(("key", "_name", "_count", "instruction_t", "response_t"), TABLE)
def test_the_samplings_of_a_domain(
    key: str, _name: str, _count: int, instruction_t: float, response_t: float
) -> None:
    domain = DOMAINS[key]
    assert domain.instruction == Sampling(temperature=instruction_t, top_p=1.0, min_p=0.1, max_tokens=1024)
    assert domain.response == Sampling(temperature=response_t, top_p=1.0, min_p=0.0, max_tokens=4096)
    assert domain.candidate == Sampling(temperature=0.8, top_p=0.95, min_p=0.0, max_tokens=4096)
    assert domain.first_token is None


def test_a_system_text_describes_a_user_of_its_own_field() -> None:
    systems = [domain.system for domain in DOMAINS.values()]
    assert len(set(systems)) == 6
    for domain in DOMAINS.values():
        assert domain.subject in domain.system
        assert "The user, " in domain.system
        assert "will ask you" in domain.system
        assert "enerate" not in domain.system, "an order to generate lowers the quality"


@pytest.mark.parametrize(
    ("key", "scale", "count"),
    [
        ("algebra", 1.0, 10_000),
        ("algebra", 2, 20_000),
        ("calculus", 0.5, 5_000),
        ("number_theory", 0.1, 400),
        ("geometry", 0.0123, 70),  # 73.8
        ("geometry", 0.0125, 80),  # 75: halves up
        ("geometry", 0.0124, 70),  # 74.4
        ("number_theory", 0.00625, 30),  # 25: halves up, not to even
        ("number_theory", 0.003, 10),  # 12
        ("algebra", 0.0001, 10),  # 1
        ("algebra", 5e-324, 10),
    ],
)
def test_counts_are_scaled_to_tens_and_at_least_ten(key: str, scale: float, count: int) -> None:
    domain = DOMAINS[key]
    assert scaled(domain, scale) == replace(domain, count=count)


@given(st.sampled_from(list(DOMAINS)), st.floats(min_value=0, max_value=1e6, exclude_min=True))
def test_any_scale_gives_the_nearest_ten(key: str, scale: float) -> None:
    count = scaled(DOMAINS[key], scale).count
    exact = DOMAINS[key].count * scale
    assert isinstance(count, int)
    assert count % 10 == 0
    assert count >= 10
    assert count == 10 or abs(count - exact) <= 5 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("scale", "shown"),
    [
        (0, "0"),
        (-0.0, "-0"),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_a_scale_that_is_no_positive_number_is_refused(scale: float, shown: str) -> None:
    with pytest.raises(BadInput) as refusal:
        scaled(DOMAINS["algebra"], scale)
    assert str(refusal.value) == f"scale is {shown}; give a positive number such as 0.1, 0.5, 1.0 or 2.0"


def test_a_scale_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^scale is 1e\+308"):
        scaled(DOMAINS["algebra"], 1e308)


def test_domains_are_selected_in_the_given_order() -> None:
    assert select(["discrete", " algebra "]) == (DOMAINS["discrete"], DOMAINS["algebra"])
    assert select(DOMAINS) == tuple(DOMAINS.values())


ALL = "algebra, calculus, geometry, statistics, number_theory, discrete"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["algebra", "alchemy"], f"'alchemy' is not a domain; choose from {ALL}"),
        (["Algebra"], f"'Algebra' is not a domain; choose from {ALL}"),
        ([""], f"'' is not a domain; choose from {ALL}"),
        (["geometry", "algebra", " geometry"], "domain geometry is named more than once; name each once"),
        ([], f"no domain is named; choose from {ALL}"),
    ],
)
def test_a_selection_that_is_none_is_refused(keys: list[str], line: str) -> None:
    with pytest.raises(BadInput) as refusal:
        select(keys)
    assert str(refusal.value) == line


@pytest.mark.parametrize(("key", "_name", "count", "instruction_t", "response_t"), TABLE)
def test_the_original_sampling_has_the_exact_values(
    key: str, _name: str, count: int, instruction_t: float, response_t: float
) -> None:
    domain = with_sampling(DOMAINS[key], "original")
    assert domain.instruction == Sampling(temperature=instruction_t, top_p=1.0, min_p=0.0, max_tokens=1024)
    assert domain.response == Sampling(temperature=response_t, top_p=1.0, min_p=0.0, max_tokens=4096)
    assert domain.candidate == Sampling(temperature=0.8, top_p=0.95, min_p=0.0, max_tokens=4096)
    assert domain.first_token is None
    assert replace(domain, instruction=DOMAINS[key].instruction) == DOMAINS[key], "nothing else differs"
    assert domain.count == count


def test_the_default_sampling_is_the_domains_own() -> None:
    for domain in DOMAINS.values():
        assert with_sampling(domain, "default") == domain
        assert with_sampling(domain, "default").instruction.min_p == 0.1
    with pytest.raises(BadInput, match=r"^sampling is 'wild'; choose default or original$"):
        with_sampling(DOMAINS["algebra"], "wild")  # type: ignore[arg-type]


# --- sampling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "temperature",
            -0.1,
            "temperature is -0.1; give a number from 0 (greedy) to 2, which is vLLM's limit",
        ),
        ("temperature", math.nan, "temperature is nan; give a finite number"),
        ("temperature", math.inf, "temperature is inf; give a finite number"),
        ("temperature", "hot", "temperature is 'hot'; give a finite number"),
        ("temperature", None, "temperature is None; give a finite number"),
        ("temperature", True, "temperature is True; give a finite number"),
        ("top_p", 0, "top_p is 0; give a number above 0 and at most 1"),
        ("top_p", 1.01, "top_p is 1.01; give a number above 0 and at most 1"),
        ("top_p", -0.5, "top_p is -0.5; give a number above 0 and at most 1"),
        ("top_p", math.nan, "top_p is nan; give a finite number"),
        ("min_p", -0.01, "min_p is -0.01; give a number from 0 to 1"),
        ("min_p", 1.5, "min_p is 1.5; give a number from 0 to 1"),
        ("repetition_penalty", 0, "repetition_penalty is 0; give a number above 0"),
        ("repetition_penalty", -1, "repetition_penalty is -1; give a number above 0"),
        ("max_tokens", 0, "max_tokens is 0; give a whole number of at least 1"),
        ("max_tokens", -5, "max_tokens is -5; give a whole number of at least 1"),
        ("max_tokens", 10.0, "max_tokens is 10.0; give a whole number of at least 1"),
        ("max_tokens", True, "max_tokens is True; give a whole number of at least 1"),
        ("max_tokens", "a\nb", "max_tokens is 'a\\nb'; give a whole number of at least 1"),
        ("schema", "{", "schema is '{', which is no JSON; give a JSON schema as text"),
        ("schema", {"type": "object"}, "schema is {'type': 'object'}; give a JSON schema as text"),
        ("schema", "[" * 9999, f"schema is {'[' * 60!r}, which is no JSON; give a JSON schema as text"),
        ("schema", '"object"', "schema is '\"object\"'; give a JSON schema, which is an object"),
        (
            "allowed_token_ids",
            (3, -1),
            "allowed_token_ids holds -1; give token ids, which are whole numbers from 0",
        ),
        (
            "allowed_token_ids",
            (2**31,),
            "allowed_token_ids holds 2147483648; give token ids, which are whole numbers from 0",
        ),
        (
            "allowed_token_ids",
            (True,),
            "allowed_token_ids holds True; give token ids, which are whole numbers from 0",
        ),
        (
            "allowed_token_ids",
            "ab",
            "allowed_token_ids holds 'a'; give token ids, which are whole numbers from 0",
        ),
    ],
)
def test_a_value_outside_its_range_is_refused_in_a_line(name: str, value: Any, line: str) -> None:
    with pytest.raises(BadInput) as refusal:
        Sampling(**{name: value})
    assert str(refusal.value) == line


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"top_p": 1},
        {"top_p": 1e-9},
        {"top_k": 0},
        {"min_p": 0},
        {"min_p": 1},
        {"repetition_penalty": 0.01},
        {"max_tokens": 1},
    ],
)
def test_the_ends_of_the_ranges_are_allowed(values: dict[str, Any]) -> None:
    sampling = Sampling(**values)
    assert {name: getattr(sampling, name) for name in values} == values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 1, "top_p": 1, "min_p": 0}, {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0}),
        ({"repetition_penalty": 2}, {"repetition_penalty": 2.0}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"temperature": 0.0}, {"temperature": -0.0}),
        ({"min_p": 0.0}, {"min_p": -0.0}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"stop_token_ids": (7, 3, 7)}, {"stop_token_ids": [3, 7]}),
        ({"allowed_token_ids": (7, 3, 7)}, {"allowed_token_ids": [3, 7]}),
        ({"stop": ("B:", "A:", "B:")}, {"stop": ["A:", "B:"]}),
    ],
)
def test_equal_samplings_have_equal_fingerprints(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Sampling(**one) == Sampling(**other)
    assert hash(Sampling(**one)) == hash(Sampling(**other))
    assert fingerprint(Sampling(**one)) == fingerprint(Sampling(**other))


@pytest.mark.parametrize("name", [field.name for field in fields(Sampling)])
def test_every_field_of_a_sampling_tells(name: str) -> None:
    other = {
        "temperature": 0.5,
        "top_p": 0.5,
        "min_p": 0.5,
        "max_tokens": 5,
        "repetition_penalty": 1.5,
        "logprobs": 5,
        "top_k": 5,
        "stop": ("B:",),
    }
    changed = Sampling(
        **{name: {**other, "stop_token_ids": (5,), "schema": "{}", "allowed_token_ids": (5,)}[name]}
    )
    assert changed != Sampling()
    assert fingerprint(changed) != fingerprint(Sampling())


def test_a_sampling_without_a_constraint_is_named_as_before_there_were_any() -> None:
    assert fingerprint(Sampling()) == "feee6187fcb34caa"


def test_a_sampling_has_one_constraint_at_most() -> None:
    with pytest.raises(
        BadInput,
        match="a sampling has a schema and allowed_token_ids, which do not go together; give one of them",
    ):
        Sampling(schema="{}", allowed_token_ids=(1,))


@pytest.mark.parametrize("stop", [("",), (7,), "A:"])
def test_a_stop_text_says_something(stop: Any) -> None:
    with pytest.raises(BadInput, match="give a list of texts that are not empty"):
        Sampling(stop=stop)


def test_many_allowed_tokens_make_no_key_slow() -> None:
    sampling = Sampling(allowed_token_ids=tuple(range(150_000)))
    assert len(canonical(identity(sampling))) < 400
    began = time.perf_counter()
    for bound in range(1, 21):
        identity(replace(sampling, max_tokens=bound))
    assert time.perf_counter() - began < 20 * 0.1  # measured: 15 ms each, once a batch


@given(st.lists(st.integers(0, 200_000)))
def test_stop_ids_are_sorted_and_unique(ids: list[int]) -> None:
    assert Sampling(stop_token_ids=tuple(ids)).stop_token_ids == tuple(sorted(set(ids)))


# --- the numbered models and what names a model -------------------------------------------------------------

REPOSITORIES = {
    1: "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    2: "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
    3: "nvidia/DeepSeek-R1-0528-FP4",
    4: "google/gemma-3-27b-it",
    5: "Qwen/Qwen2.5-Math-72B-Instruct",
    6: "Qwen/Qwen2.5-Coder-32B-Instruct",
}


def test_the_numbered_models() -> None:
    assert {number: model.repository for number, model in KNOWN_MODELS.items()} == REPOSITORIES
    assert [model.number for model in KNOWN_MODELS.values()] == [1, 2, 3, 4, 5, 6]
    assert [number for number, model in KNOWN_MODELS.items() if model.reasoning] == [1, 2, 3]
    assert known("google/gemma-3-27b-it") is KNOWN_MODELS[4]
    assert known("google/gemma-3-27b") is None
    assert KNOWN_MODELS[2].weight_gigabytes == pytest.approx(141.2)


@pytest.mark.parametrize(
    ("text", "repository"), [*((str(n), r) for n, r in REPOSITORIES.items()), ("02", REPOSITORIES[2])]
)
def test_a_number_names_a_repository(text: str, repository: str) -> None:
    assert repository_or_folder(text) == repository


@pytest.mark.parametrize("text", ["HuggingFaceTB/SmolLM2-135M-Instruct", "a/b", "o_o/x.y-z_1", "7b/8"])
def test_a_repository_names_itself(text: str) -> None:
    assert repository_or_folder(text) == text


def test_a_folder_is_named_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = str((tmp_path / "owner" / "name").resolve())
    assert repository_or_folder(folder) == folder
    assert repository_or_folder("./owner/name") == folder
    assert repository_or_folder("~/owner/name/") == folder
    assert repository_or_folder("owner/name") == folder, (
        "a folder that is there wins over a repository of the same name"
    )


@pytest.mark.parametrize("text", ["0", "7", "-1", "+9", "42"])
def test_an_unknown_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        repository_or_folder(text)
    assert str(refusal.value) == f"model {text} is unknown; choose 1 to 6, a Hub repository or a local folder"


@pytest.mark.parametrize(
    "text",
    [
        "gpt2",
        "./a/b",
        "../a/b",
        "/a/b",
        "~/a/b",
        ".a/b",
        "a/b/c",
        "a/",
        "/b",
        "a b/c",
        "a/b\n",
        "a\nb/c",
        "1.0",
        "https://huggingface.co/a/b",
    ],
)
def test_what_is_no_model_is_refused_in_a_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput) as refusal:
        repository_or_folder(text)
    assert (
        str(refusal.value)
        == f"{text!r} is no model: not a number from 1 to 6, not an existing folder, not a Hub repository"
        " (owner/name)"
    )


@pytest.mark.parametrize("text", ["~nobody-by-this-name/model", "m" * 300, "./" + "m" * 300])
def test_a_path_that_the_system_cannot_look_up_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no model"):
        repository_or_folder(text)


# --- model folders ------------------------------------------------------------------------------------------


def model_folder(folder: Path) -> Path:
    """A folder that has the files of a small model; none of them can be loaded."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 2048}))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def test_a_whole_model_folder_is_accepted(tmp_path: Path) -> None:
    check_model_folder(model_folder(tmp_path / "m"))


@pytest.mark.parametrize(
    ("removed", "written"),
    [
        (["model.safetensors"], {"pytorch_model.bin": "weights"}),
        (["config.json"], {"config.json": '{"architectures": ["LlamaForCausalLM"]}'}),
        (["tokenizer.json"], {}),
        (["tokenizer_config.json"], {}),
        (["tokenizer.json", "tokenizer_config.json"], {"tokenizer.model": "pieces"}),
        (["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"], {"tekken.json": "{}"}),
        (["chat_template.jinja"], {"tokenizer_config.json": '{"chat_template": "{{ messages }}"}'}),
        (["chat_template.jinja"], {"chat_template.json": '{"chat_template": "{{ messages }}"}'}),
        (["chat_template.jinja"], {"additional_chat_templates/tool.jinja": "{{ messages }}"}),
    ],
)
def test_other_ways_to_keep_a_model_are_accepted(
    removed: list[str], written: dict[str, str], tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "m")
    change(folder, removed, written)
    check_model_folder(folder)


@pytest.mark.parametrize(
    ("removed", "written", "line"),
    [
        (
            ["config.json"],
            {},
            "{folder} is not a model: it has no config.json; give a folder that save_pretrained wrote",
        ),
        (
            [],
            {"config.json": "{}"},
            (
                "{folder} is not a model: its config.json names no model_type; give a folder that"
                " save_pretrained wrote"
            ),
        ),
        ([], {"config.json": "[1]"}, "{folder}/config.json holds no JSON object; mend or replace the file"),
        (["model.safetensors"], {}, "{folder} is not a model: it holds no weights (*.safetensors or *.bin)"),
        (
            ["tokenizer.json", "tokenizer_config.json"],
            {},
            "{folder} has no tokenizer; save the tokenizer beside the weights with save_pretrained",
        ),
        (
            ["chat_template.jinja"],
            {},
            "{folder} has no chat template, so it has no user turn to open; give an aligned (instruct) model",
        ),
        (
            ["chat_template.jinja", "tokenizer_config.json"],
            {},
            "{folder} has no chat template, so it has no user turn to open; give an aligned (instruct) model",
        ),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(
    removed: list[str], written: dict[str, str], line: str, tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "m")
    change(folder, removed, written)
    with pytest.raises(BadInput) as refusal:
        check_model_folder(folder)
    assert str(refusal.value) == line.format(folder=folder)


@pytest.mark.parametrize("content", [b'{"model_type": "lla', b"\xff\xfe", b""])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_torn_file_is_refused_in_a_line(name: str, content: bytes, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    (folder / name).write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read as JSON") as refusal:
        check_model_folder(folder)
    assert str(refusal.value).startswith(f"{folder / name} cannot be read as JSON (")
    assert "\n" not in str(refusal.value)


def change(folder: Path, removed: list[str], written: dict[str, str]) -> None:
    for name in removed:
        (folder / name).unlink()
    for name, text in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_a_digest_stands_for_the_contents_alone(tmp_path: Path) -> None:
    one = model_folder(tmp_path / "one")
    digest = folder_digest(one)
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 40
    shutil.copytree(one, tmp_path / "zz" / "deep" / "other")
    assert folder_digest(tmp_path / "zz" / "deep" / "other") == digest, "the place makes no difference"
    os.utime(one / "model.safetensors", (1, 1))
    assert folder_digest(one) == digest, "nor does the time"
    (one / "README.md").write_text("a new page")
    assert folder_digest(one) == digest, "nor does what no model reads"


@pytest.mark.parametrize(
    ("removed", "written"),
    [
        ([], {"model.safetensors": "Weights"}),
        ([], {"config.json": '{"model_type": "llama"}'}),
        ([], {"chat_template.jinja": "{{ messages}} "}),
        ([], {"tokenizer.json": "[]"}),
        ([], {"generation_config.json": "{}"}),
        (["tokenizer_config.json"], {}),
        (["tokenizer_config.json"], {"special_tokens_map.json": "{}"}),
        (["tokenizer.json"], {"part/tokenizer.json": "{}"}),
    ],
)
def test_a_digest_changes_with_what_a_model_reads(
    removed: list[str], written: dict[str, str], tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "m")
    before = folder_digest(folder)
    change(folder, removed, written)
    assert folder_digest(folder) != before


@pytest.mark.parametrize("place", [0, (1 << 16) - 1, (7 << 20) - 5, (19 << 20) + 9])
def test_a_digest_sees_any_changed_mebibyte_of_large_weights(place: int, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    os.truncate(folder / "model.safetensors", 20 << 20)
    before = folder_digest(folder)
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(place)
        stream.write(b"!" * min(1 << 20, (20 << 20) - place))
    assert folder_digest(folder) != before


def test_large_weights_of_another_size_have_another_digest(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"")
    os.truncate(folder / "model.safetensors", 20 << 20)
    before = folder_digest(folder)
    os.truncate(folder / "model.safetensors", (20 << 20) + 1)
    assert folder_digest(folder) != before


# --- resolve ------------------------------------------------------------------------------------------------


def test_a_folder_resolves_to_name_and_digest(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "tiny").resolve()
    model = resolve(str(folder), dtype="float32", max_length=2048)
    assert model == Model("tiny", folder_digest(folder), "float32", 2048)
    assert model.path == model.source == str(folder)
    assert model.short_name == "tiny"
    assert model.hub_revision is None


def test_the_path_takes_no_part_in_what_a_model_is(tmp_path: Path) -> None:
    one = model_folder(tmp_path / "here" / "tiny")
    shutil.copytree(one, tmp_path / "there" / "tiny")
    here, there = resolve(str(one)), resolve(str(tmp_path / "there" / "tiny"))
    assert here.path != there.path
    assert here == there
    assert hash(here) == hash(there)
    assert fingerprint(here) == fingerprint(there)
    (one / "config.json").write_text('{"model_type": "gemma"}')
    assert resolve(str(one)) != there


def test_dtype_and_length_take_part_in_what_a_model_is(tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "tiny"))
    models = [resolve(folder), resolve(folder, dtype="bfloat16"), resolve(folder, max_length=100)]
    assert len(set(models)) == len({fingerprint(model) for model in models}) == 3


def test_a_commit_of_the_hub_needs_no_hub() -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    model = resolve("2", revision=commit)
    assert model == Model("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", commit)
    assert model.path is None
    assert model.source == "deepseek-ai/DeepSeek-R1-Distill-Llama-70B"
    assert model.short_name == "DeepSeek-R1-Distill-Llama-70B"
    assert model.hub_revision == commit


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"max_length": 2049}, "max length 2049 is larger than the 2048 tokens of tiny; give at most 2048"),
        ({"max_length": 0}, "max length is 0; give a number of tokens above 0"),
        ({"max_length": -1}, "max length is -1; give a number of tokens above 0"),
        ({"dtype": "int3"}, "dtype is 'int3'; choose from auto, bfloat16, float16, float32"),
        ({"dtype": ""}, "dtype is ''; choose from auto, bfloat16, float16, float32"),
    ],
)
def test_what_the_model_cannot_do_is_refused(options: dict[str, Any], line: str, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "tiny")
    with pytest.raises(BadInput) as refusal:
        resolve(str(folder), **options)
    assert str(refusal.value) == line


def test_a_folder_has_no_revision_to_choose(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "tiny").resolve()
    with pytest.raises(BadInput) as refusal:
        resolve(str(folder), revision="main")
    assert (
        str(refusal.value)
        == f"revision 'main' was given for the folder {folder}; a revision belongs to a Hub repository"
    )


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 8192}, 8192),
        ({"n_positions": 1024}, 1024),
        ({"max_seq_len": 512}, 512),
        ({"seq_length": 256}, 256),
        ({"text_config": {"max_position_embeddings": 131072}}, 131072),
        ({"max_position_embeddings": 10, "text_config": {"max_position_embeddings": 20}}, 10),
        ({"text_config": None}, None),
        ({}, None),
    ],
)
def test_a_models_own_length_is_in_its_config(
    config: dict[str, Any], length: int | None, tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "tiny")
    (folder / "config.json").write_text(json.dumps({"model_type": "x", **config}))
    assert own_max_length(Model("tiny", str(config), path=str(folder))) == length
    if length is None:
        assert resolve(str(folder), max_length=10**9).max_length == 10**9


def test_a_repository_is_pinned_to_the_commit_that_the_hub_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def model_info(_self: Any, repository: str, *, revision: str | None) -> huggingface_hub.ModelInfo:
        return huggingface_hub.ModelInfo(id=repository, sha={None: "f" * 40, "v2": "e" * 40}[revision])

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    assert resolve("acme/model") == Model("acme/model", "f" * 40)
    assert resolve("acme/model", revision="v2") == Model("acme/model", "e" * 40)


def test_without_a_network_the_cache_pins_the_revision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(tmp_path / ("d" * 40) / "config.json")
    )
    assert resolve("acme/model") == Model("acme/model", "d" * 40)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(BadInput) as refusal:
        resolve("acme/model")
    assert (
        str(refusal.value)
        == "cannot reach the Hub to pin the revision of acme/model, and it is not in the cache"
        " (OfflineModeIsEnabled); go online, or give a local folder"
    )


@pytest.mark.parametrize(
    "text", ["acme/two--dashes", "acme/-model", "acme/model.git", "acme/" + "m" * 97, "算数/model"]
)
def test_a_name_that_the_hub_forbids_is_refused_before_the_hub_is_asked(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_, **__: pytest.fail("the Hub was asked")
    )
    with pytest.raises(BadInput) as refusal:
        resolve(text)
    assert "\n" not in str(refusal.value)
