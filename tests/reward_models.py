"""Tiny reward models with the layouts of the published ones, and what they must say, computed in plain torch
one text at a time.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Regex, pre_tokenizers
from torch.nn.functional import silu, softmax
from transformers import PreTrainedTokenizerFast

from chat_formats import LLAMA, QWEN_MATH, byte_tokenizer

Tensors = dict[str, torch.Tensor]

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, HEAD = 128, 192, 2, 4, 2, 32
CONTEXT = 512
SIZES: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
GATING = {"gating_temperature": 10, "gating_hidden_dim": 48, "gating_n_hidden": 3}


def llama_tokenizer(
    special: tuple[str, ...] = LLAMA.special, template: str = LLAMA.template
) -> PreTrainedTokenizerFast:
    """Llama 3's format over bytes. As in the real one, two newlines are one token unless a third follows."""
    tokenizer = byte_tokenizer(template, special=special, bos=LLAMA.bos, eos=LLAMA.eos, joined=("ĊĊ",))
    newlines = pre_tokenizers.Split(Regex(r"\s*[\r\n]+|[^\r\n]+"), "isolated")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [newlines, pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    return tokenizer


def qwen_tokenizer(special: tuple[str, ...] = (*QWEN_MATH.special, "<extra_0>")) -> PreTrainedTokenizerFast:
    return byte_tokenizer(QWEN_MATH.template, special=special, eos=QWEN_MATH.eos)


def trunk(vocabulary: int, seed: int = 0, biases: bool = False) -> Tensors:
    """A Llama's (with biases: a Qwen2's) weights, of a size that gives texts scores which differ."""
    dice = torch.Generator().manual_seed(seed)

    def matrix(out: int, into: int) -> torch.Tensor:
        return torch.randn(out, into, generator=dice) * 1.5 / math.sqrt(into)

    tensors = {"model.embed_tokens.weight": torch.randn(vocabulary, HIDDEN, generator=dice)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        widths = {"q": HEADS * HEAD, "k": KV_HEADS * HEAD, "v": KV_HEADS * HEAD}
        tensors |= {
            f"{at}self_attn.{name}_proj.weight": matrix(width, HIDDEN) for name, width in widths.items()
        }
        if biases:
            tensors |= {
                f"{at}self_attn.{name}_proj.bias": torch.randn(width, generator=dice) / 4
                for name, width in widths.items()
            }
        tensors[f"{at}self_attn.o_proj.weight"] = matrix(HIDDEN, HEADS * HEAD)
        tensors |= {f"{at}mlp.{name}_proj.weight": matrix(INNER, HIDDEN) for name in ("gate", "up")}
        tensors[f"{at}mlp.down_proj.weight"] = matrix(HIDDEN, INNER)
        tensors |= {
            f"{at}{name}_layernorm.weight": 1 + torch.randn(HIDDEN, generator=dice) / 10
            for name in ("input", "post_attention")
        }
    tensors["model.norm.weight"] = 1 + torch.randn(HIDDEN, generator=dice) / 10
    return tensors


def armorm_tensors(vocabulary: int, seed: int = 0) -> Tensors:
    """The names and shapes of RLHFlow/ArmoRM-Llama3-8B-v0.1."""
    dice = torch.Generator().manual_seed(seed + 1)
    sizes = [HIDDEN, *[GATING["gating_hidden_dim"]] * GATING["gating_n_hidden"], 19]
    tensors = trunk(vocabulary, seed) | {
        "regression_layer.weight": torch.randn(19, HIDDEN, generator=dice) / math.sqrt(HIDDEN),
        "reward_transform_matrix": torch.eye(19) - torch.rand(19, 19, generator=dice) / 19,
        "gating.logit_scale": torch.tensor([1.25]),
    }
    for layer, (into, out) in enumerate(pairwise(sizes)):
        wide = (
            12 if layer == len(sizes) - 2 else 1.5
        )  # so that the gate differs from text to text in spite of its temperature
        tensors[f"gating.layers.{layer}.weight"] = (
            torch.randn(out, into, generator=dice) * wide / math.sqrt(into)
        )
        tensors[f"gating.layers.{layer}.bias"] = torch.randn(out, generator=dice) / 4
    return tensors


def save(
    folder: Path,
    architecture: str,
    tokenizer: PreTrainedTokenizerFast,
    tensors: Tensors,
    shards: int = 1,
    **config: Any,
) -> Path:
    """A checkpoint as the Hub holds it: a config of transformers 4, the weights in one file or in some with
    an index.
    """
    tokenizer.save_pretrained(folder)
    kind = "qwen2" if architecture.startswith("Qwen2") else "llama"
    settings = {
        "architectures": [architecture],
        "model_type": kind,
        "vocab_size": tensors["model.embed_tokens.weight"].shape[0],
        **SIZES,
    }
    (folder / "config.json").write_text(json.dumps({**settings, **config}))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder
    index: dict[str, str] = {}
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = {key: value for at, (key, value) in enumerate(tensors.items()) if at % shards == number}
        save_file(part, folder / name, {"format": "pt"})
        index |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def armorm(
    folder: Path,
    tensors: Tensors | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    **config: Any,
) -> Path:
    tokenizer = tokenizer or llama_tokenizer()
    tensors = tensors or armorm_tensors(
        len(tokenizer) + 3
    )  # the published one's vocabulary, too, is no round number
    code = {
        "auto_map": {"AutoModelForSequenceClassification": "modeling_custom.LlamaForRewardModelWithGating"}
    }
    return save(folder, "LlamaForRewardModelWithGating", tokenizer, tensors, 2, **GATING, **code, **config)


# --- what they must say -------------------------------------------------------------------------------------


def states(
    tensors: Mapping[str, torch.Tensor], ids: Sequence[int], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """The last hidden state of every token: a Llama or a Qwen2, written down from their papers."""

    def weight(name: str) -> torch.Tensor:
        return tensors[name].to(dtype)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + SIZES["rms_norm_eps"])).to(
            dtype
        ) * weight(name)

    def heads(x: torch.Tensor, name: str, count: int) -> torch.Tensor:
        projected = x @ weight(f"{name}.weight").T
        if f"{name}.bias" in tensors:
            projected = projected + weight(f"{name}.bias")
        return projected.view(len(ids), count, HEAD).transpose(0, 1)

    frequencies = SIZES["rope_theta"] ** (-torch.arange(0, HEAD, 2) / HEAD)
    angles = torch.outer(torch.arange(len(ids)), frequencies).repeat(1, 2)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        turned = torch.cat((-x[..., HEAD // 2 :], x[..., : HEAD // 2]), -1)
        return x * angles.cos().to(dtype) + turned * angles.sin().to(dtype)

    ahead = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    x = weight("model.embed_tokens.weight")[torch.tensor(list(ids))]
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        y = norm(x, f"{at}input_layernorm.weight")
        query = rotated(heads(y, f"{at}self_attn.q_proj", HEADS))
        key, value = (
            heads(y, f"{at}self_attn.{name}_proj", KV_HEADS).repeat_interleave(HEADS // KV_HEADS, 0)
            for name in "kv"
        )
        seen = (
            softmax((query @ rotated(key).transpose(1, 2)).float() / math.sqrt(HEAD) + ahead, -1).to(dtype)
            @ value
        )
        x = x + seen.transpose(0, 1).reshape(len(ids), -1) @ weight(f"{at}self_attn.o_proj.weight").T
        y = norm(x, f"{at}post_attention_layernorm.weight")
        gated = silu(y @ weight(f"{at}mlp.gate_proj.weight").T) * (y @ weight(f"{at}mlp.up_proj.weight").T)
        x = x + gated @ weight(f"{at}mlp.down_proj.weight").T
    return norm(x, "model.norm.weight").float()


Said = tuple[float, list[float], list[float]]


def armorm_says(
    tensors: Tensors, ids: Sequence[int], gate_at: int, dtype: torch.dtype = torch.float32
) -> Said:
    """Score, objectives and gate of one text, with the trunk in this type and the heads in float32."""
    return armorm_heads(tensors, states(tensors, ids, dtype), gate_at)


def armorm_heads(tensors: Tensors, state: torch.Tensor, gate_at: int) -> Said:
    """What the heads make of the last hidden state of every token."""
    rewards = tensors["regression_layer.weight"] @ state[-1]
    weights = state[gate_at]
    for layer in range(GATING["gating_n_hidden"] + 1):
        weights = tensors[f"gating.layers.{layer}.weight"] @ weights + tensors[f"gating.layers.{layer}.bias"]
        weights = weights if layer == GATING["gating_n_hidden"] else weights.clamp(min=0)
    gate = softmax(weights / GATING["gating_temperature"], -1) * tensors["gating.logit_scale"]
    return (
        float((gate * (rewards @ tensors["reward_transform_matrix"])).sum()),
        rewards.tolist(),
        gate.tolist(),
    )


def mlp_says(tensors: Tensors, ids: Sequence[int]) -> torch.Tensor:
    """What the two-layer head of Qwen2.5-Math's reward models says of every token."""
    hidden = (states(tensors, ids) @ tensors["score.0.weight"].T + tensors["score.0.bias"]).clamp(min=0)
    return hidden @ tensors["score.2.weight"].T + tensors["score.2.bias"]


def texts(prompts: int, k: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Problems, each k times, and as many different answers, none longer than the context together with its
    problem.
    """
    dice = random.Random(seed)

    def words(least: int, most: int) -> str:
        return " ".join(
            "".join(dice.choices("abcdexyz$\\{}^2+=", k=dice.randint(1, 7)))
            for _ in range(dice.randint(least, most))
        )

    problems = [words(8, 32) for _ in range(prompts)]
    answers = [f"{words(1, 10)}\n\n{words(1, 12)}\n\nSo {words(1, 6)}." for _ in range(prompts * k)]
    return [problem for problem in problems for _ in range(k)], answers
