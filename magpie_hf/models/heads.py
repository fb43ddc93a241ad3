"""The kind of a checkpoint's reward head, and whether all tensors are there.

Not here: loading weights; only config.json and the headers of the weight files are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from magpie_hf.errors import BadInput
from magpie_hf.models.known import ARMORM, KNOWN_SCORERS, KnownModel, KnownScorer, known
from magpie_hf.models.model import Model, config_of, json_of
from magpie_hf.models.weights import INDEX, check_index, shapes_of

# gated: ArmoRM.
# sequence: one value per text.
# last_token: one value per token, of which the last counts.
# steps: two logits at every step token.
Head = Literal["gated", "sequence", "last_token", "steps"]

ARMORM_ARCHITECTURE = "LlamaForRewardModelWithGating"
_HEADS: dict[str, Head] = {
    ARMORM_ARCHITECTURE: "gated",
    "Qwen2ForRewardModel": "last_token",
    "Qwen2ForProcessRewardModel": "steps",
}

# The 19 objectives of ArmoRM, in the order of its regression layer (the model's card and arXiv:2406.12845).
OBJECTIVES = (
    "helpsteer-helpfulness",
    "helpsteer-correctness",
    "helpsteer-coherence",
    "helpsteer-complexity",
    "helpsteer-verbosity",
    "ultrafeedback-overall_score",
    "ultrafeedback-instruction_following",
    "ultrafeedback-truthfulness",
    "ultrafeedback-honesty",
    "ultrafeedback-helpfulness",
    "beavertails-is_safe",
    "prometheus-score",
    "argilla-overall_quality",
    "argilla-judge_lm",
    "code-complexity",
    "code-style",
    "code-explanation",
    "code-instruction-following",
    "code-readability",
)
GATE_LAYERS = 3  # hidden layers of ArmoRM's gating network if its config names none

_LISTED = 12  # how many missing tensors a message names


@lru_cache(maxsize=32)
def head_of(model: Model) -> Head:
    """The kind of a reward model's head.

    Raises BadInput for a model that vLLM cannot score with.
    """
    config = config_of(model)
    named = architecture(model)
    if named in _HEADS:
        return _HEADS[named]
    if not named.endswith("ForSequenceClassification"):
        raise BadInput(
            f"{model.name} is no reward model that vLLM can score with (its architecture is"
            f" {named or 'not named'}); give ArmoRM, a *ForSequenceClassification with one label, or one of"
            " Qwen2.5-Math's reward models"
        )
    labels = config.get("num_labels") or len(config.get("id2label") or (0, 1))  # transformers' default is two
    if labels != 1:
        raise BadInput(
            f"{model.name} is a classifier with {labels} labels, so no reward model; give one with one label"
        )
    return "sequence"


def architecture(model: Model) -> str:
    """The first architecture that the model's config names; "" where it names none."""
    named = config_of(model).get("architectures")
    return str(named[0]) if named else ""


def known_of(model: Model) -> KnownModel | KnownScorer | None:
    """What is known of a model by its name, or by an architecture that only one known model has.

    The architecture finds a local folder, which has no known name.
    """
    return known(model.name) or (
        KNOWN_SCORERS[ARMORM] if architecture(model) == ARMORM_ARCHITECTURE else None
    )


def check_tensors(model: Model) -> None:
    """Raises BadInput, with the names, where a checkpoint lacks tensors or one of its files is torn.

    Reads headers alone. vLLM itself gives no error where a tensor is missing that it merges into another
    (such as mlp.up_proj), and would score with uninitialised memory.
    """
    if (present := _tensor_names(model)) is None:
        return
    if missing := sorted(set(_needed(head_of(model), config_of(model))) - present):
        some = ", ".join(missing[:_LISTED])
        listed = f"{some} and {len(missing) - _LISTED} more" if len(missing) > _LISTED else some
        raise BadInput(
            f"the weights of {model.name} lack {len(missing)} tensors that {architecture(model)} needs: "
            f"{listed}; download it again, or save it with its head"
        )


def _needed(head: Head, config: dict[str, Any]) -> Iterator[str]:
    """The tensors of the head, and of the trunk where the family's names are known here."""
    if head == "sequence":
        yield "score.weight"
    elif head == "gated":
        yield from ("regression_layer.weight", "reward_transform_matrix", "gating.logit_scale")
        for layer in range(int(config.get("gating_n_hidden", GATE_LAYERS)) + 1):
            yield from (f"gating.layers.{layer}.weight", f"gating.layers.{layer}.bias")
    else:
        yield from ("score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias")
    if (more := _FAMILIES.get(str(config.get("model_type")))) is not None:
        yield from ("model.embed_tokens.weight", "model.norm.weight")
        for layer in range(int(config.get("num_hidden_layers", 0))):
            yield from (f"model.layers.{layer}.{name}" for name in (*_LAYER, *more))


_LAYER = (
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.o_proj.weight",
    "mlp.gate_proj.weight",
    "mlp.up_proj.weight",
    "mlp.down_proj.weight",
)
_FAMILIES = {  # further tensors of a layer, by model_type
    "llama": (),
    "mistral": (),
    "qwen2": ("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
    "qwen3": ("self_attn.q_norm.weight", "self_attn.k_norm.weight"),
}


def _tensor_names(model: Model) -> set[str] | None:
    """The names of all tensors of a checkpoint; None where this needs a download or unpickling."""
    if model.path is None:
        index = (json_of(model, INDEX) or {}).get("weight_map")
        return set(index) if index else _hub_tensor_names(model)
    folder = Path(model.path)
    check_index(folder)
    files = sorted(folder.glob("*.safetensors"))
    return {name for file in files for name in shapes_of(file)} if files else None


def _hub_tensor_names(model: Model) -> set[str] | None:
    """The same for a Hub repository without an index: only the header of its one weight file is fetched."""
    import httpx2
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import (
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RemoteEntryNotFoundError,
        SafetensorsParsingError,
    )

    name = "model.safetensors"
    if isinstance(cached := try_to_load_from_cache(model.name, name, revision=model.revision), str):
        return set(shapes_of(Path(cached)))
    try:
        return set(HfApi().parse_safetensors_file_metadata(model.name, name, revision=model.revision).tensors)
    except RemoteEntryNotFoundError:
        return None
    except (HfHubHTTPError, OfflineModeIsEnabled, SafetensorsParsingError, httpx2.TransportError) as error:
        raise BadInput(
            f"the header of {name} of {model.name} cannot be read from the Hub ({type(error).__name__}); go"
            " online, or give a local folder"
        ) from error
