"""What kind of reward head a checkpoint has, and whether its tensors are all there: from config.json and the headers of its weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from magpie_hf.errors import BadInput
from magpie_hf.models import Model, json_of

# gated: ArmoRM; sequence: one value of a whole text; last_token: the last of one value a token; steps: two logits at every step token.
Head = Literal["gated", "sequence", "last_token", "steps"]

ARMORM_ARCHITECTURE = "LlamaForRewardModelWithGating"
_HEADS: dict[str, Head] = {
    ARMORM_ARCHITECTURE: "gated",
    "Qwen2ForRewardModel": "last_token",
    "Qwen2ForProcessRewardModel": "steps",
}

# The 19 objectives of ArmoRM, in the order of its regression layer (the model's card and arXiv:2406.12845).
OBJECTIVES = (
    "helpsteer-helpfulness", "helpsteer-correctness", "helpsteer-coherence", "helpsteer-complexity", "helpsteer-verbosity",
    "ultrafeedback-overall_score", "ultrafeedback-instruction_following", "ultrafeedback-truthfulness", "ultrafeedback-honesty",
    "ultrafeedback-helpfulness", "beavertails-is_safe", "prometheus-score", "argilla-overall_quality", "argilla-judge_lm",
    "code-complexity", "code-style", "code-explanation", "code-instruction-following", "code-readability",
)  # fmt: skip
GATE_LAYERS = 3  # hidden layers of ArmoRM's gating network where its config does not say

_LISTED = 12  # missing tensors that a message names


@lru_cache(maxsize=32)
def head_of(model: Model) -> Head:
    """The kind of a reward model's head. Raises BadInput for what is none that vLLM can score with."""
    config = json_of(model, "config.json") or {}
    named = architecture(model)
    if named in _HEADS:
        return _HEADS[named]
    if not named.endswith("ForSequenceClassification"):
        raise BadInput(
            f"{model.name} is no reward model that vLLM can score with (its architecture is {named or 'not named'}); give ArmoRM, a "
            "*ForSequenceClassification with one label, or one of Qwen2.5-Math's reward models"
        )
    labels = config.get("num_labels") or len(config.get("id2label") or (0, 1))  # transformers' default is two
    if labels != 1:
        raise BadInput(f"{model.name} is a classifier with {labels} labels, so no reward model; give one with one label")
    return "sequence"


def architecture(model: Model) -> str:
    """The first architecture that the model's config names; "" where it names none."""
    named = (json_of(model, "config.json") or {}).get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def check_tensors(model: Model) -> None:
    """Raises BadInput, with the names, where the checkpoint lacks tensors that its reward head needs, or a file of it is torn.

    Reads headers alone. A repository that keeps its weights in one file is not looked at before it is downloaded: vLLM names what is
    missing there when it loads it.
    """
    if (present := _tensor_names(model)) is None:
        return
    if missing := sorted(set(_needed(head_of(model), json_of(model, "config.json") or {})) - present):
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise BadInput(
            f"the weights of {model.name} lack {len(missing)} tensors that {architecture(model)} needs: "
            f"{', '.join(missing[:_LISTED])}{more}; download it again, or save it with its head"
        )


def _needed(head: Head, config: dict[str, Any]) -> Iterable[str]:
    if head == "sequence":  # what is under the head differs from family to family, and vLLM names what it misses there
        return ["score.weight"]
    if head != "gated":
        return [f"score.{layer}.{what}" for layer in (0, 2) for what in ("weight", "bias")]
    gate = range(int(config.get("gating_n_hidden", GATE_LAYERS)) + 1)
    return [
        "regression_layer.weight",
        "reward_transform_matrix",
        "gating.logit_scale",
        *(f"gating.layers.{layer}.{what}" for layer in gate for what in ("weight", "bias")),
        "model.embed_tokens.weight",
        "model.norm.weight",
        *(f"model.layers.{layer}.{what}" for layer in range(int(config.get("num_hidden_layers", 0))) for what in _LLAMA_LAYER),
    ]


_LLAMA_LAYER = (
    "input_layernorm.weight", "post_attention_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight",
    "self_attn.v_proj.weight", "self_attn.o_proj.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
)  # fmt: skip


def _tensor_names(model: Model) -> set[str] | None:
    """The names of all tensors of a checkpoint; None where they cannot be told without downloading or unpickling the weights."""
    index = (json_of(model, "model.safetensors.index.json") or {}).get("weight_map")
    if model.path is None:
        return set(index) if index else None
    folder = Path(model.path)
    if gone := sorted({name for name in (index or {}).values() if not (folder / name).is_file()}):
        raise BadInput(f"{folder} lacks {', '.join(gone)}, which its index of weights names; download it again")
    files = sorted(folder.glob("*.safetensors"))
    return {name for file in files for name in _header(file)} if files else None


def _header(file: Path) -> list[str]:
    """Names of the tensors of a safetensors file: eight bytes with the length of a JSON object, the object, the numbers."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            size = file.stat().st_size - 8 - length
            entries = json.loads(stream.read(length) if size >= 0 else b"")
            tensors = {name: entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{file} is torn, or no safetensors file ({type(error).__name__} in its header); download it again") from error
    if size < max(tensors.values(), default=0):
        raise BadInput(f"{file} is torn: it is shorter than its header says; download it again")
    return list(tensors)
