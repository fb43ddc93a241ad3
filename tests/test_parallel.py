"""Which parallel sizes fit which GPUs: vLLM's rules for heads, memory counted by hand, the choice, and the
table of the page.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from conftest import ROOT
from magpie_hf import BadInput, Model
from magpie_hf.cli.main import parser
from magpie_hf.engines.vllm import device
from magpie_hf.models.gpus import GPUS, Gpu
from magpie_hf.models.known import KNOWN_MODELS, known
from magpie_hf.models.parallel import SEQUENCES, Need, Parallelism, choose, need_of, sizes, table
from magpie_hf.models.shapes import SHAPES, Shape, shape_of

NAMED = {gpu.name: gpu for gpu in GPUS}
H100 = NAMED["H100 80 GB"]


def laid_out(number: int, name: str, count: int, **given: int) -> Parallelism:
    return choose(need_of(KNOWN_MODELS[number], NAMED[name]), [NAMED[name]] * count, **given)


def test_the_cache_of_a_sequence_counted_by_hand() -> None:
    llama = SHAPES[2]
    assert llama.cache_gigabytes(1000) == pytest.approx(2 * 8 * 128 * 80 * 2 * 1000 / 1e9)
    assert llama.cache_gigabytes(1000, tensor=4) == llama.cache_gigabytes(1000) / 4
    assert llama.cache_gigabytes(1000, tensor=16) == llama.cache_gigabytes(1000) / 8, (
        "a key-value head is copied, never halved"
    )
    assert llama.cache_gigabytes(1000, value_bytes=4) == 2 * llama.cache_gigabytes(1000)
    assert SHAPES[3].cache_gigabytes(1000, tensor=8) == SHAPES[3].cache_gigabytes(1000), (
        "what all heads share lies on every GPU whole"
    )
    gemma = SHAPES[4]
    assert gemma.cache_gigabytes(5000) == pytest.approx(2 * 16 * 128 * (10 * 5000 + 52 * 1024) * 2 / 1e9)
    assert gemma.cache_gigabytes(500) == pytest.approx(2 * 16 * 128 * 62 * 500 * 2 / 1e9)


@pytest.mark.parametrize(
    ("shape", "good"),
    [
        (SHAPES[1], [1, 2, 4, 8]),  # 5 and 10 divide 40 heads, but not 8 key-value heads
        (Shape(30, 9, 3, 64, feed_forward=1536), [1, 3]),
        (Shape(30, 9, 3, 64, feed_forward=1537), [1]),
        (Shape(32, 24, 2, 64), [1, 2, 4, 6, 8, 12]),  # a multiple of the key-value heads is good, too
        (SHAPES[3], [1, 2, 4, 8, 16]),
    ],
)
def test_sizes_that_vllm_can_split_a_model_into(shape: Shape, good: list[int]) -> None:
    assert [tensor for tensor in range(1, 17) if shape.refusal(tensor) is None] == good


def test_room_is_what_weights_and_overhead_leave() -> None:
    need = Need("m", 60, Shape(10, 8, 8, 100, longest=1000))  # 32 MB of cache a request
    assert need.cache(1) == pytest.approx(0.032)
    assert need.sequences(1, Gpu("g", 70)) == 0
    assert need.sequences(1, Gpu("g", 70.1)) == 2  # 63.09 - 60 - 3 = 0.09
    assert need.sequences(1, Gpu("g", 70), utilization=0.91) == 21  # 63.7 - 63 = 0.7
    assert need.sequences(1, Gpu("g", 80)) == SEQUENCES
    assert need.sequences(2, Gpu("g", 36.9)) == 13  # 33.21 - 30 - 3 = 0.21, at 0.016 a request
    assert Need("m", 60).sequences(1, Gpu("g", 70)) == 0
    assert Need("m", 60).sequences(1, Gpu("g", 71)) == SEQUENCES, (
        "without a shape the weights alone are counted"
    )


@pytest.mark.parametrize(
    ("number", "name", "count", "expected"),
    [
        (1, "H100 80 GB", 4, (2, 2)),
        (1, "H100 80 GB", 1, (1, 1)),
        (1, "H200 141 GB", 8, (1, 8)),
        (1, "RTX 4090 24 GB", 8, (8, 1)),
        (2, "H100 80 GB", 8, (4, 2)),
        (2, "H100 80 GB", 6, (4, 1)),
        (3, "B200 180 GB", 8, (4, 2)),
        (3, "H100 80 GB", 8, (8, 1)),
        (4, "A100 40 GB", 8, (4, 2)),
        (4, "V100 32 GB", 8, (8, 1)),  # Gemma 3 runs there as float32 alone
        (5, "B200 180 GB", 1, (1, 1)),
    ],
)
def test_the_smallest_comfortable_size_as_often_as_it_goes(
    number: int, name: str, count: int, expected: tuple[int, int]
) -> None:
    parallelism = laid_out(number, name, count)
    assert (parallelism.tensor, parallelism.data) == expected


def test_the_line_says_what_was_chosen_and_why() -> None:
    assert (
        str(laid_out(1, "H100 80 GB", 4))
        == "4 x H100 80 GB: tensor-parallel 2, 2 engines side by side, because 66 GB of weights and 52 GB of"
        " cache (32 requests of 6,144 tokens) do not fit one"
    )
    assert "do not fit fewer" in str(laid_out(2, "H100 80 GB", 4))
    assert str(laid_out(4, "H200 141 GB", 3)).startswith(
        "3 x H200 141 GB: one GPU an engine, 3 engines side by side, because 55 GB"
    )
    assert (
        str(laid_out(1, "H100 80 GB", 1))
        == "1 x H100 80 GB: one GPU an engine, with room for only 4 full-length sequences at once beside 66"
        " GB of weights"
    )
    assert str(laid_out(2, "H100 80 GB", 5)).endswith("; 1 GPU stays idle")
    assert str(laid_out(2, "H100 80 GB", 6)).endswith("; 2 GPUs stay idle")
    assert str(laid_out(1, "H100 80 GB", 4, tensor=4)) == "4 x H100 80 GB: tensor-parallel 4, as given"
    mixed = choose(need_of(KNOWN_MODELS[1], H100), [H100, NAMED["H200 141 GB"]])
    assert (mixed.tensor, mixed.data) == (2, 1), "the smallest GPU counts for all"
    assert str(mixed).startswith("1 x H100 80 GB and 1 x H200 141 GB: ")


def test_sizes_that_are_given_are_kept() -> None:
    for given, expected in (
        ({"tensor": 1}, (1, 8)),
        ({"data": 1}, (2, 1)),
        ({"data": 2}, (2, 2)),
        ({"tensor": 8, "data": 1}, (8, 1)),
    ):
        parallelism = laid_out(1, "H100 80 GB", 8, **given)
        assert (parallelism.tensor, parallelism.data) == expected, given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tensor": 0}, "tensor parallel size is 0; give at least 1"),
        ({"data": -1}, "data parallel size is -1; give at least 1"),
        (
            {"tensor": 3},
            (
                r"tensor parallel size 3 of model 1 \(.*\) does not divide its 40 attention heads; give one"
                r" of 1, 2, 4$"
            ),
        ),
        (
            {"tensor": 5},
            (
                "tensor parallel size 5 .* neither divides its 8 key-value heads nor is a multiple of them;"
                " give one of 1, 2, 4$"
            ),
        ),
        ({"tensor": 8}, "tensor parallel size 8 exceeds the 6 GPUs of this machine; give at most 6$"),
        ({"data": 7}, "data parallel size 7 exceeds the 6 GPUs"),
        (
            {"tensor": 4, "data": 2},
            "4 times data parallel size 2 is 8, and this machine has 6 GPUs; give a data .* of at most 1$",
        ),
    ],
)
def test_sizes_that_do_not_go_are_bad_input(given: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        laid_out(1, "H100 80 GB", 6, **given)


def test_a_model_that_does_not_fit_is_bad_input_with_what_would() -> None:
    with pytest.raises(BadInput) as error:
        laid_out(3, "H100 80 GB", 4)
    assert (
        str(error.value)
        == "model 3 (nvidia/DeepSeek-R1-0528-FP4) needs about 403 GB for its weights, 3 GB a GPU to work in"
        " and 0.4 GB a request of 6,144 tokens, and 4 x H100 80 GB leave it 306 GB; nothing was downloaded:"
        " it would fit 8 of these GPUs or 4 x H200 141 GB, else use a smaller model"
    )
    with pytest.raises(
        BadInput,
        match=r"4 x H100 80 GB leave it 77 GB at tensor parallel size 1; .* it would fit 2 of these GPUs",
    ):
        laid_out(2, "H100 80 GB", 4, tensor=1)
    with pytest.raises(BadInput, match="leave it 77 GB for each of 4 engines"):
        laid_out(2, "H100 80 GB", 4, data=4)
    with pytest.raises(BadInput, match="it would fit no single machine, else use a smaller model"):
        choose(Need("a giant", 9999), [H100])
    with pytest.raises(BadInput, match="there are none"):
        choose(Need("a dwarf", 1), [])


# What vLLM reads in the models' own files, as far as it says how they are split.
CONFIGS: dict[int, dict[str, Any]] = {
    1: {
        "hidden_size": 5120,
        "intermediate_size": 27648,
        "max_position_embeddings": 131072,
        "num_attention_heads": 40,
        "num_hidden_layers": 64,
        "num_key_value_heads": 8,
        "sliding_window": 131072,
        "use_sliding_window": False,
    },
    2: {
        "head_dim": 128,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "max_position_embeddings": 131072,
        "num_attention_heads": 64,
        "num_hidden_layers": 80,
        "num_key_value_heads": 8,
    },
    3: {
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "max_position_embeddings": 163840,
        "num_attention_heads": 128,
        "num_hidden_layers": 61,
        "num_key_value_heads": 128,
    },
    4: {
        "text_config": {
            "head_dim": 128,
            "hidden_size": 5376,
            "intermediate_size": 21504,
            "num_attention_heads": 32,
            "num_hidden_layers": 62,
            "num_key_value_heads": 16,
            "sliding_window": 1024,
            "max_position_embeddings": 131072,
            "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 10 + ["sliding_attention"] * 2,
        }
    },
}


@pytest.mark.parametrize("number", CONFIGS)
def test_a_config_tells_the_shape(number: int) -> None:
    shape, expected = shape_of(CONFIGS[number]), SHAPES[number]
    assert shape is not None
    for tensor in (1, 2, 3, 5, 8, 16):
        assert (shape.refusal(tensor) is None) == (expected.refusal(tensor) is None)
        assert shape.cache_gigabytes(6144, tensor) == expected.cache_gigabytes(6144, tensor)
    assert shape.longest == expected.longest
    assert shape_of({"model_type": "mamba", "num_hidden_layers": 4}) is None


def test_layers_of_linear_attention_have_no_cache_that_grows() -> None:
    """Qwen3-Next-80B-A3B, whose config has the interval or each layer's kind: 24,576 bytes a token."""
    config = {
        "model_type": "qwen3_next",
        "head_dim": 256,
        "num_attention_heads": 16,
        "num_hidden_layers": 48,
        "num_key_value_heads": 2,
        "full_attention_interval": 4,
    }
    kinds = (["linear_attention"] * 3 + ["full_attention"]) * 12
    for one in (config, {**config, "full_attention_interval": None, "layer_types": kinds}):
        shape = shape_of(one)
        assert shape is not None
        assert shape.cache_gigabytes(1000) == pytest.approx(24_576e3 / 1e9)


def test_a_pattern_that_a_config_leaves_out_is_the_usual_one() -> None:
    text = {**CONFIGS[4]["text_config"], "model_type": "gemma3_text"}
    del text["layer_types"]
    for one in (text, {**text, "model_type": "cohere2", "sliding_window_pattern": 6}):
        assert shape_of({"text_config": one}) == shape_of(CONFIGS[4])
    without = shape_of({**text, "model_type": "qwen2"})
    assert without is not None
    assert without.windowed == 0


@dataclass
class Machine:
    """A machine with GPUs, as vLLM and torch tell of it."""

    gpus: Sequence[Gpu]

    def is_unspecified(self) -> bool:
        return False

    def is_cpu(self) -> bool:
        return False


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine([H100] * 4)
    monkeypatch.setattr(device, "_platform", lambda: found)
    monkeypatch.setattr(device, "local_gpus", lambda: tuple(found.gpus))
    return found


def model_folder(folder: Path, megabytes: float = 1, **config: Any) -> Model:
    (folder / "config.json").write_text(
        json.dumps({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, **config})
    )
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(int(megabytes * 1e6))
    return Model("small", "r", path=str(folder))


def test_a_known_model_is_placed_before_the_hub_is_asked(machine: Machine) -> None:
    name = KNOWN_MODELS[1].repository
    assert device.check_device(name) is False
    assert (device.place(Model(name, "r")).tensor, device.place(Model(name, "r")).data) == (2, 2)
    assert device.place(Model(name, "r", dtype="float32")).tensor == 4, "twice as wide"
    machine.gpus = [NAMED["V100 32 GB"]] * 2
    with pytest.raises(BadInput, match=r"2 x V100 32 GB leave it 61 GB.*nothing was downloaded"):
        device.check_device(name, None, None)
    scorer = known("Qwen/Qwen2.5-Math-RM-72B")
    assert scorer is not None
    with pytest.raises(BadInput, match="needs about 145 GB for its weights"):
        device.check_device(scorer.repository, None, None)


def test_any_other_model_is_placed_by_its_config_and_its_files(machine: Machine, tmp_path: Path) -> None:
    model = model_folder(tmp_path, 100)
    assert device.weights_gigabytes(model) == pytest.approx(0.1)
    assert (device.place(model).tensor, device.place(model).data) == (1, 4)
    with pytest.raises(
        BadInput,
        match="tensor parallel size 3 of small does not divide its 4 attention heads; give one of 1, 2, 4",
    ):
        device.place(model, tensor=3)
    with pytest.raises(BadInput, match="tensor parallel size 8 exceeds the 4 GPUs"):
        device.place(model, tensor=8)
    assert device.place(model, data=3).data == 3
    machine.gpus = [Gpu("tiny", 3.51, 75)] * 2  # 3.16 GB for vLLM
    assert device.place(model).tensor == 2, (
        "0.1 GB of weights, 3 GB to work in and 0.1 GB of cache do not fit one"
    )
    assert device.place(model_folder(tmp_path, 100, dtype="float32")).tensor == 1, (
        "vLLM halves what was stored as float32"
    )
    with pytest.raises(
        BadInput, match="dtype is bfloat16, which a tiny does not have; give float16, or auto"
    ):
        device.place(Model("small", "r", dtype="bfloat16", path=str(tmp_path)))


def test_a_model_of_unknown_size_is_not_guessed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "weights_gigabytes", lambda model: None)
    monkeypatch.setattr(
        device,
        "config_of",
        lambda model: {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64},
    )
    with pytest.raises(BadInput, match=r"the size of a/b is unknown.*give --tensor-parallel-size"):
        device.place(Model("a/b", "r"))
    assert device.place(Model("a/b", "r"), tensor=2).data == 2
    machine.gpus = [H100]
    assert device.place(Model("a/b", "r")).tensor == 1


def test_the_size_of_weights_is_read_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    indices: dict[str, Any] = {"model.safetensors.index.json": {"metadata": {"total_size": 15e9}}}
    monkeypatch.setattr(device, "json_of", lambda model, name: indices.get(name))
    assert device.weights_gigabytes(Model("a/b", "r")) == 15
    indices.clear()
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(
        huggingface_hub,
        "get_hf_file_metadata",
        lambda url: SimpleNamespace(size=2e9 if "/a/b/resolve/r/" in url else 0),
    )
    assert device.weights_gigabytes(Model("a/b", "r")) == 2

    def offline(url: str) -> None:
        raise OfflineModeIsEnabled

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", offline)
    assert device.weights_gigabytes(Model("a/b", "r")) is None


def test_gpus_are_read_from_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleNamespace(name="NVIDIA H100 80GB HBM3", total_memory=85_029_158_912, major=9, minor=0)
    cuda = SimpleNamespace(device_count=lambda: 2, get_device_properties=lambda number: told)
    monkeypatch.setitem(__import__("sys").modules, "torch", SimpleNamespace(cuda=cuda))
    assert device.local_gpus() == (Gpu("NVIDIA H100 80GB HBM3", 85.029158912, 90),) * 2


def test_the_page_holds_the_table_that_is_computed() -> None:
    page = (ROOT / "docs" / "scale-out.md").read_text()
    _, _, rest = page.partition("<!-- sizes: computed by magpie_hf.models.parallel.table() -->\n")
    held, mark, _ = rest.partition("\n<!-- end of sizes -->")
    assert mark
    assert held == table()
    for number, name in ((1, "H100 80 GB"), (3, "V100 32 GB"), (4, "V100 32 GB"), (5, "RTX 4090 24 GB")):
        row = next(line for line in held.splitlines() if line.startswith(f"| {name} "))
        cell = row.split("|")[number + 1].strip()
        found = sizes(need_of(KNOWN_MODELS[number], NAMED[name]), NAMED[name])
        assert cell == (
            ", ".join(
                f"{size}" if sequences == SEQUENCES else f"({size})" for size, sequences in found.items()
            )
            or "none"
        )


def test_the_page_gives_as_an_example_what_is_chosen() -> None:
    page = (ROOT / "docs" / "scale-out.md").read_text()
    for number, name, count in ((1, "H100 80 GB", 4), (2, "H100 80 GB", 6)):
        assert f"`{laid_out(number, name, count)}`" in page.replace("\n", " ")


def test_the_scripts_of_the_page_are_sound_shell() -> None:
    scripts = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "scale-out.md").read_text(), re.DOTALL)
    assert len(scripts) > 5
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=10)


def test_the_page_names_commands_that_the_parser_takes() -> None:
    scripts = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "scale-out.md").read_text(), re.DOTALL)
    lines = [
        line
        for script in scripts
        for line in script.replace("\\\n", " ").splitlines()
        if "magpie-hf " in line
    ]
    assert len(lines) == 13
    for line in lines:
        words = line.partition("magpie-hf ")[2].replace('"${endpoints[@]}"', "--endpoint http://a:8000/v1")
        parser().parse_args(shlex.split(words))
