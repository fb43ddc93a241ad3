"""Quantised repositories: what their config says, what a plan makes of it, and what fits a small GPU."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from magpie_hf import BadInput
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.models.gpus import GPUS
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.parallel import CONTEXT, SEQUENCES, Need, as_given, choose, need_of
from magpie_hf.models.quantised import SMALLER, parameters, quantised
from magpie_hf.models.shapes import SHAPES
from magpie_hf.planning.sizes import sized
from magpie_hf.text.language import translated, use

NAMED = {gpu.name: gpu for gpu in GPUS}
SMALL = NAMED["RTX 4090 24 GB"]
QWEN_32B = {
    "model_type": "qwen2",
    "hidden_size": 5120,
    "intermediate_size": 27648,
    "max_position_embeddings": 32768,
    "num_attention_heads": 40,
    "num_hidden_layers": 64,
    "num_key_value_heads": 8,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}
AWQ = {"bits": 4, "group_size": 128, "quant_method": "awq", "version": "gemm", "zero_point": True}
W4A16 = {
    "quant_method": "compressed-tensors",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}},
}


@pytest.fixture
def awq(tmp_path: Path) -> Path:
    """A folder with the config and the size of Qwen2.5-32B-Instruct-AWQ; its weights are a hole."""
    (folder := tmp_path / "qwen-32b-awq").mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN_32B | {"quantization_config": AWQ}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(19_330_000_000)
    return folder


@pytest.mark.parametrize(
    ("said", "bits", "int4"),
    [
        (AWQ, 4.16, True),
        ({"bits": 4, "quant_method": "gptq", "desc_act": False}, 4.16, True),
        ({"bits": 8, "quant_method": "gptq"}, 8, False),
        (W4A16, 4.16, True),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8, False),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5, False),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, 8, False),
        ({"quant_method": "mxfp4"}, 4.5, False),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.16, False),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8, False),
    ],
)
def test_a_config_says_how_weights_are_quantised(said: dict[str, object], bits: float, int4: bool) -> None:
    found = quantised({"quantization_config": said})
    assert found is not None
    assert (found.bits, found.int4) == (bits, int4)
    assert found == quantised({"text_config": {"quantization_config": said}})


@pytest.mark.parametrize("config", [{}, {"quantization_config": {"quant_method": "new"}}])
def test_what_is_not_known_is_not_guessed(config: dict[str, object]) -> None:
    assert quantised(config) is None


def test_parameters_are_those_of_the_published_models() -> None:
    """Sizes and parameters of the Qwen2.5-32B repositories on the Hub, in GB and billions."""
    assert parameters(19.33, QWEN_32B | {"quantization_config": AWQ}) == pytest.approx(32.8, rel=0.02)
    fp8 = QWEN_32B | {"quantization_config": {"quant_method": "fp8"}}
    assert parameters(34.3, fp8) == pytest.approx(32.8, rel=0.02)
    assert parameters(65.5, QWEN_32B) == pytest.approx(32.8, rel=0.02)
    for number, others in SMALLER.items():
        model = KNOWN_MODELS[number]
        assert all(weights < model.weight_gigabytes for _, weights in others)


def test_an_awq_32b_fits_one_small_gpu_with_the_options_that_are_named(
    awq: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "plan",
        "--model",
        str(awq),
        "--gpu",
        "rtx4090",
        "--gpus",
        "1",
        "--decontaminate",
        "none",
        "--json",
    ]
    assert main(words) == BAD_INPUT
    why = capsys.readouterr().err
    (named,) = re.findall(r"it would fit 1 x RTX 4090 24 GB \((--.*?)\)", why)
    assert "--max-model-len 10240" in named
    assert main([*words, *named.split()]) == 0
    (machine,) = json.loads(capsys.readouterr().out)["machines"]
    assert machine["fits"][0]["sequences"] == 1
    assert machine["hours"] is not None
    assert main([*words[:-1], *named.split()]) == 0
    assert "is quantised to 4-bit integers (awq)" in " ".join(capsys.readouterr().out.split())


def test_the_refusal_names_smaller_models_that_fit() -> None:
    with pytest.raises(BadInput) as error:
        choose(need_of(KNOWN_MODELS[1], SMALL), [SMALL])
    _, _, smaller = str(error.value).partition("else use a smaller model: ")
    assert re.findall(r"(\S+/\S+) \((\d+) GB", smaller) == [
        ("RedHatAI/DeepSeek-R1-Distill-Qwen-32B-quantized.w4a16", "19"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "15"),
    ]
    with pytest.raises(BadInput, match=r"smaller model: AWQ/GPTQ 4-bit \(12 GB\)$"):
        choose(Need("other", 40, SHAPES[1]), [SMALL])
    with pytest.raises(BadInput, match=r"else use a smaller model$"):
        choose(Need("other", 40, SHAPES[1], wide=False), [SMALL])
    use("ja")
    try:
        assert "RedHatAI/DeepSeek-R1-Distill-Qwen-32B-quantized.w4a16 (19 GB" in translated(str(error.value))
        assert "小さいモデル" in translated(str(error.value))
    finally:
        use("en")


def test_arguments_change_what_a_model_needs(awq: Path) -> None:
    need = need_of(KNOWN_MODELS[6], SMALL)
    fp8 = as_given(need, (("kv_cache_dtype", '"fp8"'),))
    assert fp8.cache(1) == need.cache(1) / 2
    tight = (("enforce_eager", "true"), ("max_num_batched_tokens", "2048"))
    assert as_given(need, tight).overhead < need.overhead
    assert as_given(need, (tight[0], ("max_num_batched_tokens", "8192"))).overhead == need.overhead
    assert as_given(need, (), 4096).context == 4096 < need.context == CONTEXT
    asked = as_given(need, (), asked=30_000)
    assert (asked.request, asked.context) == (30_000, CONTEXT), "long requests are rare"
    assert as_given(need, (), 8192, 30_000).request == 8192
    assert as_given(need, (), asked=3000).context == 3000
    large = NAMED["H100 80 GB"]
    assert as_given(replace(need, weights=30), (), 1024).sequences(1, large) == SEQUENCES
    found = sized(str(awq), None, (("kv_cache_dtype", '"fp8"'),))
    assert found.size is not None
    assert (found.int4, found.size.need.value_bytes) == ("awq", 1)
