"""Quantised weights: what a config says of them, how many parameters they hold, and known smaller models.

Not here: which GPUs they fit (parallel.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Bits of a parameter with its share of the scales: one of 16 bits, and a zero point, for each 128 values; of
# NVFP4 one of 8 bits for each 16
BITS = {4: 4.16, 8: 8.0}
NVFP4 = 4.5
INT4_SHARE = 0.3  # of the bytes of 16-bit weights: 4.16 bits, and embeddings that stay as they are


@dataclass(frozen=True)
class Quantised:
    """How weights are quantised: the method that the config names, bits a parameter, and whether as int4.

    multiplied: bits in which a GPU that can multiplies them; integers alone are widened to 16 first.
    """

    method: str
    bits: float
    int4: bool = False
    multiplied: int = 16


def quantised(config: Mapping[str, Any]) -> Quantised | None:
    """How a config.json says that the weights are quantised; None where it says nothing that is known."""
    said = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if not isinstance(said, Mapping):
        return None
    method = str(said.get("quant_method") or "").lower()
    groups = said.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights = first.get("weights") if isinstance(first, Mapping) else None  # compressed-tensors
    weights = weights if isinstance(weights, Mapping) else {}
    algorithm = str(said.get("quant_algo") or "").upper()  # of modelopt
    bits = said.get("bits") or said.get("w_bit") or weights.get("num_bits")
    if method == "bitsandbytes":
        bits = 4 if said.get("load_in_4bit") else 8
    elif "FP4" in algorithm or "fp4" in method:
        bits = 4
    elif "fp8" in method or "FP8" in algorithm:
        bits = 8
    if not isinstance(bits, int) or bits not in BITS:
        return None
    is_float = "FP4" in algorithm or "fp4" in method or weights.get("type") == "float"
    if bits == 4 and is_float:
        return Quantised(method, NVFP4, multiplied=4)
    is_float |= "fp8" in method or "FP8" in algorithm
    return Quantised(method, BITS[bits], bits == 4 and method != "bitsandbytes", 8 if is_float else 16)


def parameters(gigabytes: float, config: Mapping[str, Any]) -> float:
    """Billions of parameters in weights of this size; embeddings and head stay at 16 bits when quantised."""
    found = quantised(config)
    if found is None:
        stored = 4 if "float32" in str(config.get("dtype") or config.get("torch_dtype")) else 2
        return gigabytes / stored
    whole = {**config, **(config.get("text_config") or {})}
    tables = 1 if whole.get("tie_word_embeddings") else 2
    kept = tables * (whole.get("vocab_size") or 0) * (whole.get("hidden_size") or 0) / 1e9
    kept = min(kept, gigabytes / 2)
    return kept + (gigabytes - 2 * kept) * 8 / found.bits


def active(billions: float, config: Mapping[str, Any]) -> float:
    """Billions of parameters that a token uses: of a mixture of experts, all but the experts not chosen."""
    whole = {**config, **(config.get("text_config") or {})}

    def first(*names: str) -> int:
        return next((int(whole[name]) for name in names if isinstance(whole.get(name), int)), 0)

    experts = first("num_experts", "n_routed_experts", "num_local_experts")
    chosen = first("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk")
    width = first("moe_intermediate_size", "intermediate_size")
    layers = (first("num_hidden_layers") - first("first_k_dense_replace")) / max(
        1, first("decoder_sparse_step")
    )
    idle = layers * max(0, experts - chosen) * 3 * first("hidden_size") * width / 1e9
    return billions - idle if chosen and idle < billions else billions


# Smaller models of the same kind as a numbered one, with gigabytes of weights, by parameters and bits: an FP8
# and an int4 copy, then siblings
SMALLER: dict[int, tuple[tuple[str, float], ...]] = {
    1: (
        ("RedHatAI/DeepSeek-R1-Distill-Qwen-32B-FP8-dynamic", 34.3),
        ("RedHatAI/DeepSeek-R1-Distill-Qwen-32B-quantized.w4a16", 19.3),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", 29.5),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", 15.2),
    ),
    2: (
        ("RedHatAI/DeepSeek-R1-Distill-Llama-70B-FP8-dynamic", 72.7),
        ("RedHatAI/DeepSeek-R1-Distill-Llama-70B-quantized.w4a16", 39.8),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", 16.1),
    ),
    4: (
        ("RedHatAI/gemma-3-27b-it-FP8-dynamic", 29.3),
        ("RedHatAI/gemma-3-27b-it-quantized.w4a16", 17.0),
        ("google/gemma-3-12b-it", 24.4),
        ("google/gemma-3-4b-it", 8.6),
    ),
    5: (("Qwen/Qwen2.5-Math-7B-Instruct", 15.2), ("Qwen/Qwen2.5-Math-1.5B-Instruct", 3.1)),
    6: (
        ("Qwen/Qwen2.5-Coder-32B-Instruct-AWQ", 19.3),
        ("Qwen/Qwen2.5-Coder-14B-Instruct", 29.5),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", 15.2),
    ),
}
