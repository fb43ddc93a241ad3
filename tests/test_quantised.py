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
from magpie_hf.models.quantised import SMALLER, active, parameters, quantised
from magpie_hf.models.shapes import SHAPES
from magpie_hf.planning.sizes import Size, sized
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


@pytest.mark.parametrize(
    ("whole", "used", "config"),
    [  # the makers' figures: DeepSeek-R1, Qwen3-30B-A3B, gpt-oss-120b, Mixtral-8x7B; and one that is dense
        (
            671,
            37,
            {
                "num_hidden_layers": 61,
                "first_k_dense_replace": 3,
                "n_routed_experts": 256,
                "num_experts_per_tok": 8,
                "hidden_size": 7168,
                "moe_intermediate_size": 2048,
            },
        ),
        (
            30.5,
            3.3,
            {
                "num_hidden_layers": 48,
                "num_experts": 128,
                "num_experts_per_tok": 8,
                "decoder_sparse_step": 1,
                "hidden_size": 2048,
                "intermediate_size": 6144,
                "moe_intermediate_size": 768,
            },
        ),
        (
            117,
            5.1,
            {
                "num_hidden_layers": 36,
                "num_local_experts": 128,
                "num_experts_per_tok": 4,
                "hidden_size": 2880,
                "intermediate_size": 2880,
            },
        ),
        (
            46.7,
            12.9,
            {
                "num_hidden_layers": 32,
                "num_local_experts": 8,
                "num_experts_per_tok": 2,
                "hidden_size": 4096,
                "intermediate_size": 14336,
            },
        ),
        (32.8, 32.8, QWEN_32B),
    ],
)
def test_a_token_uses_the_chosen_experts_alone(whole: float, used: float, config: dict[str, int]) -> None:
    assert active(whole, config) == pytest.approx(used, abs=0.9)  # with the embeddings


def test_fewer_bits_are_multiplied_faster_where_the_gpu_can() -> None:
    for said, times in (({"quant_method": "fp8"}, (1, 2, 2)), (AWQ, (1, 1, 1))):
        found = quantised({"quantization_config": said})
        assert found is not None
        size = Size(1, Need("m", 1), found.multiplied)
        gpus = (NAMED["A100 80 GB"], NAMED["H100 80 GB"], NAMED["B200 180 GB"])
        assert tuple(map(size.times, gpus)) == times
    nvfp4 = sized(KNOWN_MODELS[3].repository, None).size
    assert nvfp4 is not None
    assert [nvfp4.times(NAMED[name]) for name in ("H100 80 GB", "B200 180 GB")] == [1, 4]


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
