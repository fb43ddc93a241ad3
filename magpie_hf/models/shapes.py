"""The shape of a model: heads, layers and the size of its cache, from its config.

Not here: GPUs (gpus.py), and how a model is split over them (parallel.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """The parts of a model's config that decide how it can be split and how large its KV cache is.

    layers: those whose cache grows with the tokens, so none of linear attention. windowed: layers that keep
        only the last `window` tokens.
    latent: values per token and layer where all heads share them (MLA), which every GPU then holds whole; 0
        for a cache per head.
    longest: the model's own context in tokens; 0 where the config names none.
    """

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int = 0
    windowed: int = 0
    window: int = 0
    latent: int = 0
    longest: int = 0

    def refusal(self, tensor: int) -> str | None:
        """Why vLLM cannot split the model over this many GPUs, in its own terms; None where it can."""
        if self.heads % tensor:
            return f"does not divide its {self.heads} attention heads"
        if not self.latent and self.kv_heads % tensor and tensor % self.kv_heads:
            return f"neither divides its {self.kv_heads} key-value heads nor is a multiple of them"
        if self.feed_forward % tensor:
            return f"does not divide the {self.feed_forward:,} units of its feed-forward layers"
        return None

    def cache_gigabytes(self, tokens: float, tensor: int = 1, value_bytes: int = 2) -> float:
        """Gigabytes of cache that one sequence of this many tokens takes on each of `tensor` GPUs.

        A key-value head is never split: with more GPUs than heads, each GPU holds one.
        """
        values = self.latent or 2 * max(1, self.kv_heads // tensor) * self.head_size
        kept = (self.layers - self.windowed) * tokens + self.windowed * min(tokens, self.window)
        return values * kept * value_bytes / 1e9


# Kinds of layers, as configs name them, whose state has one size however many tokens there are
_CONSTANT = ("linear_attention", "mamba", "mamba2", "recurrent", "conv", "moe")
# From the models' config.json. Experts of model 3 have 2,048 units and are split like the feed-forward layers
# of its first three layers.
SHAPES: dict[int, Shape] = {
    1: Shape(64, 40, 8, 128, feed_forward=27_648, longest=131_072),
    2: Shape(80, 64, 8, 128, feed_forward=28_672, longest=131_072),
    3: Shape(61, 128, 128, 192, feed_forward=2_048, latent=576, longest=163_840),
    4: Shape(62, 32, 16, 128, feed_forward=21_504, windowed=52, window=1024, longest=131_072),
    5: Shape(80, 64, 8, 128, feed_forward=29_568, longest=4096),
    6: Shape(64, 40, 8, 128, feed_forward=27_648, longest=32_768),
}


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a config.json describes, or its `text_config`; None without layers or heads."""
    config = {**config, **(config.get("text_config") or {})}
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    if not layers or not heads:
        return None
    names = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num")
    kinds = list(config.get("layer_types") or _patterned(config, layers))
    latent = (config.get("kv_lora_rank") or 0) and config["kv_lora_rank"] + (
        config.get("qk_rope_head_dim") or 0
    )
    return Shape(
        layers - sum(kind in _CONSTANT for kind in kinds),
        heads,
        next((config[name] for name in names if config.get(name)), heads),
        config.get("head_dim") or (config.get("hidden_size") or 0) // heads,
        feed_forward=_largest(config.get("moe_intermediate_size") or config.get("intermediate_size") or 0),
        windowed=kinds.count("sliding_attention"),
        window=config.get("sliding_window") or 0,
        latent=latent,
        longest=config.get("max_position_embeddings") or 0,
    )


def _patterned(config: Mapping[str, Any], layers: int) -> list[str]:
    """The kinds of layers of which every so many is of full attention; [] where a config says no such thing.

    Gemma 3's leaves out its pattern where it is the usual one.
    """
    usual = 6 if str(config.get("model_type")).startswith("gemma3") else 0
    if every := config.get("full_attention_interval"):
        other = "linear_attention"
    elif config.get("sliding_window") and (every := config.get("sliding_window_pattern") or usual):
        other = "sliding_attention"
    else:
        return []
    return ["full_attention" if at % every == 0 else other for at in range(1, layers + 1)]


def _largest(size: int | Sequence[int]) -> int:
    """A size that is one of each layer in some configs."""
    return size if isinstance(size, int) else max(size)
