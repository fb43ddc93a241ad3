"""A Llama for vLLM that says given texts and nothing else: each token it reads decides the next one.

Not here: a model that reads more than one token.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def scripted_model(folder: Path, like: Path, template: str, chains: Sequence[Sequence[int]]) -> Path:
    """The folder of a model with the tokenizer and the sizes of `like`, and a chat template of its own.

    chains: token ids, of which each is followed by the next; one that is followed by several may be followed
    by any of them, equally often. At most as many different ids as the model has dimensions.
    """
    folder.mkdir()
    for name in FILES:
        shutil.copy(like / name, folder / name)
    config = json.loads((like / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))

    width, wide = config["hidden_size"], config["intermediate_size"]
    heads, kept = (config[f"num_{kind}_heads"] * config["head_dim"] for kind in ("attention", "key_value"))
    embedded = np.zeros((config["vocab_size"], width), np.float32)
    head = np.zeros_like(embedded)
    known = list(dict.fromkeys(one for chain in chains for one in chain))
    assert len(known) <= width
    embedded[known, range(len(known))] = 1
    for chain in chains:
        for one, after in pairwise(chain):
            head[after, known.index(one)] = 8  # times the root of the width: no other token is ever sampled
    tensors = {"model.embed_tokens.weight": embedded, "lm_head.weight": head}
    tensors["model.norm.weight"] = np.ones(width, np.float32)
    for layer in range(config["num_hidden_layers"]):
        shapes = {
            "self_attn.q_proj": (heads, width),
            "self_attn.k_proj": (kept, width),
            "self_attn.v_proj": (kept, width),
            "self_attn.o_proj": (width, heads),
            "mlp.gate_proj": (wide, width),
            "mlp.up_proj": (wide, width),
            "mlp.down_proj": (width, wide),
        }
        for name, shape in shapes.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = np.zeros(shape, np.float32)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = np.ones(width, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
