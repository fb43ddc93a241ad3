"""ArmoRM as a vLLM model, without the repository's remote code.

Not here: the prompts, and the score made from the outputs.

The published checkpoint is a Llama with three heads (arXiv:2406.12845): 19 rewards read at the last token of
the answer, a matrix that removes the influence of length, and a gate that weighs them, read at the end of the
user's turn. So it needs two hidden states of one sequence, and vLLM returns only the last. Each is asked for
as a sequence of its own: the user's turn, and the whole. The first is a prefix of the second and the same for
all candidates of a problem, so prefix caching makes it almost free. Workers keep no state besides vLLM's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.pooler.activations import PoolerIdentity
from vllm.model_executor.layers.pooler.seqwise import pooler_for_classify
from vllm.model_executor.models.interfaces_base import default_pooling_type
from vllm.model_executor.models.llama import LlamaModel
from vllm.model_executor.models.utils import AutoWeightsLoader, maybe_prefix
from vllm.sequence import IntermediateTensors

from magpie_hf.models.heads import GATE_LAYERS, OBJECTIVES


class Gating(nn.Module):  # type: ignore[misc]
    """The weights of the objectives: an MLP, a softmax at a temperature, and a scale."""

    def __init__(
        self, features: int, hidden: int, layers: int, temperature: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.logit_scale = nn.Parameter(torch.empty(1, dtype=dtype), requires_grad=False)
        sizes = [features, *[hidden] * layers, len(OBJECTIVES)]
        self.layers = nn.ModuleList(nn.Linear(into, out, dtype=dtype) for into, out in pairwise(sizes))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            states = torch.relu(layer(states))
        return torch.softmax(last(states) / self.temperature, dim=-1) * self.logit_scale


@default_pooling_type(seq_pooling_type="LAST")
class LlamaForRewardModelWithGating(nn.Module):  # type: ignore[misc]
    """Values of a sequence at its last token: 19 rewards, the same 19 after the transform, and the gate.

    The heads compute in vLLM's head type, float32, whatever the trunk's type. LAST pooling allows chunked
    prefill and prefix caching.
    """

    is_pooling_model = True
    packed_modules_mapping: ClassVar[dict[str, list[str]]] = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config, dtype = vllm_config.model_config.hf_config, vllm_config.model_config.head_dtype
        count = len(OBJECTIVES)
        self.model = LlamaModel(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.regression_layer = nn.Linear(config.hidden_size, count, bias=False, dtype=dtype)
        self.reward_transform_matrix = nn.Parameter(
            torch.empty(count, count, dtype=dtype), requires_grad=False
        )
        self.gating = Gating(
            config.hidden_size,
            getattr(config, "gating_hidden_dim", 1024),
            getattr(config, "gating_n_hidden", GATE_LAYERS),
            getattr(config, "gating_temperature", 10),
            dtype,
        )
        self.pooler = pooler_for_classify(
            vllm_config.model_config.pooler_config, classifier=self._values, act_fn=PoolerIdentity()
        )

    def embed_input_ids(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model.embed_input_ids(input_ids)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.model(input_ids, positions, intermediate_tensors, inputs_embeds)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        loaded: set[str] = AutoWeightsLoader(self).load_weights(weights, mapper=LlamaModel.hf_to_vllm_mapper)
        return loaded

    def _values(self, states: torch.Tensor) -> torch.Tensor:
        rewards = self.regression_layer(states)
        return torch.cat((rewards, rewards @ self.reward_transform_matrix, self.gating(states)), dim=-1)
