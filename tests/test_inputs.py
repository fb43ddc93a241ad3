"""Broken model folders and odd command lines: one line each, before anything is loaded, and no hang.

The engine is not started: `test_what_vllm_alone_sees_is_one_line` does that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from broken_models import TEMPLATES, broken_models, cases, content, sound_model, value
from odd_commands import odd_commands

from magpie_hf.cli.commands.exit_codes import BAD_INPUT, FAILED, OK
from magpie_hf.cli.main import main
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.limits import KNOWN_LANGUAGES
from magpie_hf.models import rendering
from magpie_hf.models.model import Model, config_of
from magpie_hf.models.rendering import tried
from magpie_hf.models.shapes import shape_of
from magpie_hf.problems.cleaning.language import _detector

REACHED = "the engine was reached"
COMMIT = "d" * 40
# What a build can do without, and what vLLM alone knows
SOUND = {
    "hidden_size None",
    "num_attention_heads None",
    "num_hidden_layers None",
    "num_key_value_heads None",
    "vocab_size None",
    "max_position_embeddings None",
    "architectures ['many']",
    "model_type 'many'",
    "dtype 7",
    "dtype 'many'",
    "dtype ['many']",
    "dtype {'many': 1}",
    "dtype [None]",
    "dtype 1.5",
    "dtype True",
    "text_config {'many': 1}",
    "quantization_config {'many': 1}",
    "layer_types ['many']",
    "model_type unknown",
    "weights of int4 with texts",
    "top_k -1",
    "index with a size of text",
    "index with a text for metadata",
    "tokenizer_class 7",
    "tokenizer_class ['many']",
    "tokenizer_class {'many': 1}",
    "tokenizer_class True",
    "no end of turn",
    "tokenizer with code",
    "added templates are a file",
    "card with a recursive front matter",
    "card with a deep front matter",
    "template has a NUL",
}


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, where no engine starts and a template has a second."""

    def reached(_: VLLM) -> None:
        raise EngineError(REACHED)

    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(VLLM, "_open", reached)
    monkeypatch.setattr(rendering, "SECONDS", 0.4)
    return here


def build(model: Path, out: Path, *more: str) -> list[str]:
    small = ["--domains", "algebra", "--count", "2", "--decontaminate", "none", "--tagger", "none"]
    return ["build", "--model", str(model), *small, "--out", str(out), *more]


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.scale)])
def test_a_broken_model_is_one_line(
    step: int, quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each folder, a plan says nothing or one line, and a build one line before it loads anything.

    Every tenth folder is quick.
    """
    for name, model in broken_models(tmp_path, step):
        assert main(["plan", "--model", str(model)]) in (OK, BAD_INPUT), name
        said = capsys.readouterr().err
        assert said.count("\n") <= 1, (name, said)
        code = main(build(model, quick / "out"))
        said = capsys.readouterr().err
        assert said.count("\n") == 1, (name, said)
        if name in SOUND:
            assert code == FAILED, (name, said)
            assert REACHED in said, (name, said)
        else:
            assert code == BAD_INPUT, (name, said)
            assert not (quick / "out").exists(), name
        shutil.rmtree(quick / "out", ignore_errors=True)


def test_the_sound_model_is_sound(quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = sound_model(tmp_path / "model")
    assert main(build(model, quick / "out")) == FAILED
    assert REACHED in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("weights are a pointer", "is a pointer of Git LFS and no weights; run `git lfs pull` in its folder"),
        ("weights end early", "is torn: it is shorter than its header says; download it again"),
        (
            "weights of a smaller vocabulary",
            "have 200 rows of embeddings, and its config.json says a vocab_size",
        ),
        (
            "vocabulary smaller than the tokenizer's",
            "has token 258, and the vocab_size in its config.json is 200",
        ),
        (
            "hidden_size 'many'",
            "hidden_size in the config.json of model is 'many', which is not a whole number",
        ),
        ("num_attention_heads 0", "num_attention_heads in the config.json of model is 0, which is not"),
        ("config.json is deep", "config.json cannot be read as JSON (maximum recursion depth exceeded"),
        (
            "weights are a pipe",
            "model.safetensors is no file; remove it, or put the model's own in its place",
        ),
        ("card is a pipe", "README.md is no file; remove it"),
        ("config.json is a link to nowhere", "config.json is no file (a broken link); remove it"),
        (
            "template loops for ever",
            "the chat template of model does not end within 0.4 seconds; use another",
        ),
        ("template loops over an answer", "the chat template of model does not end within 0.4 seconds"),
        (
            "template allocates",
            "the chat template of model takes more than 512 MB of memory; use another model",
        ),
        ("template writes megabytes", "writes 10,000,086 characters for a conversation of a few words"),
        ("template has surrogates", "'utf-8' codec can't encode character"),
        ("template loops over a long text", "the chat template of model does not end within 0.4 seconds"),
        ("template loops over a word", "the chat template of model does not end within 0.4 seconds"),
        ("named templates with a list for a name", "the tokenizer of model cannot be loaded"),
        ("model_max_length of text", "has the model_max_length 'many', which is no number"),
        ("weights with endless offsets", "is torn, or no safetensors file (OverflowError in its header)"),
        ("weights with a text for a shape", "is torn, or no safetensors file (ValueError in its header)"),
        ("index that names a long file", "is no index of weights (OSError); download it again"),
    ],
)
def test_the_line_says_what_is_wrong(
    name: str, line: str, quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = sound_model(tmp_path / "model")
    dict(cases())[name](model)
    assert main(build(model, quick / "out")) == BAD_INPUT
    assert line in capsys.readouterr().err


def test_a_template_that_ends_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it reads is known without rendering it here."""
    source = "{% if think %}a{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    assert tried(source, "m") == (("think",), "system")
    began = time.monotonic()
    assert tried(source, "m").place == "system"
    assert time.monotonic() - began < 0.01
    assert (
        tried("{% for m in messages %}{{ m.content }}{% endfor %}{{ raise_exception('x') }}", "m").place
        == "user"
    )
    monkeypatch.setattr(rendering, "SECONDS", 0.4)
    with pytest.raises(BadInput, match="does not end within"):
        tried("{% if long %}" + TEMPLATES["loops for ever"] + "{% endif %}", "m", {"long": True})


def test_layers_of_different_sizes_count_with_the_largest(tmp_path: Path) -> None:
    """Gemma 3n and Hunyuan list the sizes of their feed-forward layers."""
    model = sound_model(tmp_path / "model")
    value("config.json", intermediate_size=[8192, 16384])(model)
    shape = shape_of(config_of(Model("model", "", path=str(model))))
    assert shape is not None
    assert shape.feed_forward == 16384


# Command lines


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--k", "1000000000"], "k is 1000000000; give at most 256 candidates"),
        (["--k", "9" * 400], f"k is {'9' * 57}...; give at most 256 candidates"),
        (["--max-length-ratio", "inf"], "max_length_ratio is inf; give a finite number of at least 1"),
        (["--patience", "nan"], "--patience is nan; give a number of seconds above 0"),
        (["--languages", "en,xx"], "the languages are 'en, xx', and not all of them can be told; give codes"),
        (["--count", "2", "--scale", "0.1"], "--count is 2 and --scale is 0.1; give one of them"),
        (["--max-num-seqs", "9" * 20], f"--max-num-seqs is {'9' * 20}; give at most 100,000,000"),
        (["--instruction-max-tokens", "9" * 20], f"max_tokens is {'9' * 20}; give a whole number"),
        (["--out", "x" * 300], "File name too long"),
        (["--out", "/".join(["d" * 9] * 500)], "File name too long"),
        (["--engine-args", '{"a":' * 3000], '--engine-args \'{"a":'),
        (["--card-template=--"], "argument --card-template: expected one argument"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "build"])
def test_a_value_that_no_build_can_have_is_one_line(
    command: str,
    words: list[str],
    line: str,
    quick: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = sound_model(tmp_path / "model")
    assert main([command, "--model", str(model), *words]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert line in said
    assert not list(quick.iterdir())


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.scale)])
def test_odd_command_lines_end_in_a_line(
    count: int,
    quick: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    model = sound_model(tmp_path / "model")
    (quick / "file").write_text("a")
    (quick / "folder").mkdir()
    for words in odd_commands(count, count, str(model)):
        began = time.monotonic()
        try:
            code = main(words)
        except SystemExit as end:  # of --help and --version
            code = int(str(end.code))
        said = capsys.readouterr().err
        assert code in (OK, FAILED, BAD_INPUT, 3), words
        assert code != BAD_INPUT or said.count("\n") == 1, (words, said)
        assert time.monotonic() - began < 60, words


def test_the_languages_are_those_of_the_detector() -> None:
    labels = _detector().detect("Find all primes below one hundred", model="lite", k=1000, threshold=-1.0)
    assert {str(one["lang"]) for one in labels} == KNOWN_LANGUAGES


# Real vLLM


@pytest.mark.vllm
@pytest.mark.scale
def test_a_cached_snapshot_without_an_optional_file_is_enough_offline(
    tiny_model: Path, tmp_path: Path
) -> None:
    """For vLLM's own loading, too: generation_config.json is absent, in a process that never was online."""
    snapshot = tmp_path / "hub/models--acme--tiny/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file in tiny_model.iterdir():
        if file.name not in ("generation_config.json", "README.md"):
            (snapshot / file.name).symlink_to(file)
    (refs := tmp_path / "hub/models--acme--tiny/refs").mkdir()
    (refs / "main").write_text(COMMIT)
    script = (
        "from magpie_hf import VLLM, Sampling, resolve;"
        "engine = VLLM(resolve('acme/tiny', dtype='float32'), context=256, kv_cache_gigabytes=0.1);"
        "done = engine.submit([1, 4093, 198], Sampling(max_tokens=4), 0).result();"
        "print('tokens', done.num_tokens); engine.close()"
    )
    kept = {name: text for name, text in os.environ.items() if name not in ("HF_HUB_CACHE", "HF_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "tokens 4" in done.stdout, done.stderr[-2000:]


@pytest.mark.vllm
@pytest.mark.parametrize(
    "harm",
    [
        value("config.json", model_type="llama9000", architectures=["Llama9000ForCausalLM"]),
        value("config.json", num_key_value_heads=None),
        content("generation_config.json", json.dumps({"eos_token_id": 258, "many": [[]]})),
    ],
    ids=["unknown", "heads", "sound"],
)
def test_what_vllm_alone_sees_is_one_line(
    harm: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = sound_model(tmp_path / "model")
    harm(model)  # type: ignore[operator]
    short = ["--max-tokens", "8", "--instruction-max-tokens", "8", "--kv-cache-gb", "0.1"]
    assert main(build(model, tmp_path / "out", *short)) == FAILED
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(("magpie-hf: vLLM cannot start model: ", "magpie-hf: algebra: 0 of ")), last
