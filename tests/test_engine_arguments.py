"""vLLM's own engine arguments: what is refused, what belongs to a model, and that vLLM gets them."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf import VLLM, BadInput, Model, Sampling, chat_of, resolve
from magpie_hf.card.method_tables import _numbers
from magpie_hf.card.provenance import models_of
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands.assembly import recipe_of
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.vllm import arguments
from magpie_hf.engines.vllm.arguments import keywords, read_arguments
from magpie_hf.models.gpus import GPUS
from magpie_hf.models.parallel import Need
from magpie_hf.models.shapes import SHAPES
from magpie_hf.planning.sizes import Size
from magpie_hf.planning.speeds import EFFICIENCIES, speed_on
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import Judge
from magpie_hf.stage import fingerprint

DRAFTS = 'speculative_config={"method": "ngram", "num_speculative_tokens": 2}'


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["kv_cache_dtyp=fp8"], "has no engine argument kv_cache_dtyp; the nearest are kv_cache_dtype"),
        (["zzz=1"], "vLLM has no engine argument zzz; choose a field of its EngineArgs"),
        (["max-model-len=9"], "max_model_len is set by magpie-hf itself; give --max-model-len instead"),
        (["trust_remote_code=true"], "trust_remote_code is set by magpie-hf itself; leave it out"),
        (["numbers:seed=3"], "seed is set by magpie-hf itself; give --seed instead"),
        (["tokens_only=true"], "give numbers:tokens_only if it does, speed:tokens_only if it only says"),
        (["speed:quantization=awq"], "quantization belongs to numbers, not to speed"),
        (["solver:quantization=awq"], "begins with solver:"),
        (["quantization"], "--engine-arg is 'quantization'; give name=value"),
        (['compilation_config={"mode": 3'], "torn JSON"),
        (["enable_chunked_prefill=False"], "whose value would be text; write false"),
        (["watermark=NaN"], "watermark is nan, which is no JSON"),
        ([DRAFTS.replace("2}", '2, "rejection_sample_method": "synthetic"}')], "'synthetic', with which"),
        ([DRAFTS], "min_p of algebra is 0.1, and vLLM drafts no tokens with a min_p"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["build", "plan"])
def test_a_wrong_argument_is_one_line_before_anything_is_loaded(
    command: str, given: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [command, "--model", "acme/absent", "--out", str(tmp_path / "out")]
    words += ["--domains", "algebra"]
    assert main([*words, *(word for one in given for word in ("--engine-arg", one))]) == BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert line in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_servers_have_arguments_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "build",
        "--model",
        "1",
        "--endpoint",
        "http://127.0.0.1:9/v1",
        "--engine-arg",
        "quantization=fp8",
    ]
    assert main(words) == BAD_INPUT
    assert "--endpoint uses servers with their own" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"kv-cache-dtype": "fp8", "block_size": 32}', "YAML", "JSON"])
def test_a_file_and_json_say_the_same_and_single_ones_win(text: str, tmp_path: Path) -> None:
    if text in ("YAML", "JSON"):
        (file := tmp_path / "arguments").write_text(
            "kv_cache_dtype: fp8\nblock-size: 32\n"
            if text == "YAML"
            else '{"block_size": 32, "kv_cache_dtype": "fp8"}'
        )
        text = str(file)
    found = read_arguments(text, [])
    assert found.numbers == (("kv_cache_dtype", '"fp8"'),)
    assert found.speed == (("block_size", "32"),)
    single = read_arguments(text, ["block-size=64", "kv_cache_dtype=null", "quantization=fp8"])
    assert keywords(single.numbers) == {"quantization": "fp8"}
    assert keywords(single.speed) == {"block_size": 64}


@pytest.mark.parametrize("text", ["absent.yaml", "[1", '{"a": ', "- a\n"])
def test_what_holds_no_arguments_is_refused(text: str, tmp_path: Path) -> None:
    if text[0] in "-[":
        (file := tmp_path / "arguments.yaml").write_text(text)
        text = str(file)
    with pytest.raises(BadInput, match="--engine-args "):
        read_arguments(text, [])


def test_the_table_says_what_this_vllm_knows() -> None:
    """Each name once, and each one a field of EngineArgs as vLLM itself has it."""
    from vllm import EngineArgs

    kinds = [arguments._NUMBERS, arguments._SPEED, set(arguments._OWN)]
    names = {name for kind in kinds for name in kind}
    assert len(names) == sum(map(len, kinds))
    fields = {field.name for field in dataclasses.fields(EngineArgs)}
    assert names <= fields
    assert arguments._vllm_fields() == fields, "the source is read as Python reads it"


def test_without_vllm_the_table_alone_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "_vllm_fields", frozenset)
    assert read_arguments(None, ["quantization=fp8"]).numbers
    with pytest.raises(BadInput, match="the nearest are quantization"):
        read_arguments(None, ["quantisation=fp8"])


def test_numbers_belong_to_a_model_where_they_are_set_and_speed_does_not() -> None:
    model = Model("acme/model", "f" * 40)
    old = {"is": "Model", "version": 1, "name": "acme/model", "revision": "f" * 40}
    assert fingerprint(model) == fingerprint(old | {"dtype": "auto", "max_length": None})
    other = replace(model, settings=(("kv_cache_dtype", '"fp8"'),))
    assert fingerprint(other) != fingerprint(model)
    assert VLLM(other) != VLLM(model)
    assert VLLM(model, speed=(("block_size", "32"),)) == VLLM(model)
    assert _numbers({"dtype": "auto"}) == "`auto`", "builds from before engine arguments"


def test_the_card_names_those_that_change_numbers(tiny_model: Path) -> None:
    given = '{"kv_cache_dtype": "fp8", "hf_overrides": {"a": 1}, "block_size": 32}'
    engine = VLLM(resolve(str(tiny_model), settings=read_arguments(given, []).numbers))
    (described,) = models_of(Recipe(engine, engine, Judge(engine), (DOMAINS["algebra"],)))
    assert described["settings"] == ['hf_overrides={"a":1}', "kv_cache_dtype=fp8"]
    assert _numbers(described).endswith("`kv_cache_dtype=fp8`")


def test_a_build_gives_them_to_every_engine(tiny_model: Path) -> None:
    words = ["build", "--model", str(tiny_model), "--domains", "algebra", "--decontaminate", "none"]
    words += ["--engine-args", '{"quantization": "fp8"}', "--engine-arg", "block_size=64"]
    options = cli.parser().parse_args([*words, "--instruction-min-p", "0", "--engine-arg", DRAFTS])
    for engine in recipe_of(options, domains_of(options), print).engines:
        assert isinstance(engine, VLLM)
        assert engine.model.settings == (("quantization", '"fp8"'),)
        given = engine.arguments(on_cpu=True)
        assert (given["quantization"], given["block_size"], given["max_num_seqs"]) == ("fp8", 64, 256)
        assert given["speculative_config"]["method"] == "ngram"
        assert engine.arguments(on_cpu=False)["max_num_seqs"] is None
        assert "speculative_config" not in replace(engine, runner="pooling").arguments(on_cpu=True)


def test_a_plan_counts_with_the_sequences_that_vllm_chooses() -> None:
    named = {gpu.name: gpu for gpu in GPUS}
    size = Size(7.0, Need("m", 14.0, SHAPES[6]))
    for name, chosen in {"H100 80 GB": 1024, "A100 80 GB": 256, "RTX 4090 24 GB": 256}.items():
        assert speed_on(size, named[name], 1, EFFICIENCIES[1]).sequences == chosen
        assert speed_on(size, named[name], 1, EFFICIENCIES[1], most=64).sequences == 64


def test_chunked_prefill_is_refused_on_the_cpu(tiny_model: Path) -> None:
    engine = VLLM(resolve(str(tiny_model)), speed=(("enable_chunked_prefill", "true"),))
    with pytest.raises(BadInput, match="enable_chunked_prefill is true"):
        engine.check()


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_vllm_runs_with_one_of_each_kind(tiny_model: Path) -> None:
    """Without the prefix cache the same words come, with another norm of the hidden states others."""
    model = resolve(str(tiny_model), dtype="float32", max_length=256)
    chat = chat_of(model)
    prompts = [chat.pre_query_prefix("You write problems."), chat.pre_query_prefix(None)]
    sampling = Sampling(temperature=0.0, max_tokens=12, stop_token_ids=chat.turn_end_ids)
    numbers = read_arguments(None, ['hf_overrides={"rms_norm_eps": 0.5}']).numbers
    speed = read_arguments(None, ["enable_prefix_caching=false"]).speed
    texts = []
    for engine in (
        VLLM(model, kv_cache_gigabytes=0.5),
        VLLM(model, kv_cache_gigabytes=0.5, speed=speed),
        VLLM(replace(model, settings=numbers), kv_cache_gigabytes=0.5),
    ):
        try:
            texts.append([one.text for one in engine.complete(prompts, sampling, [1, 2])])
        finally:
            engine.close()
    plain, faster, other = texts
    assert plain == faster
    assert plain != other
