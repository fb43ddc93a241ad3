"""Tells vLLM of ArmoRM, in each of its processes: this package's entry point `vllm.general_plugins`. Not here: the model itself."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from magpie_hf.errors import BadInput
from magpie_hf.heads import ARMORM_ARCHITECTURE

NAME = "magpie_hf"


def register() -> None:
    """Called by vLLM as it starts, in the main process and in those that it spawns. The model is imported when one is loaded."""
    from vllm import ModelRegistry

    ModelRegistry.register_model(ARMORM_ARCHITECTURE, "magpie_hf.engines.armorm:LlamaForRewardModelWithGating")


def check_plugin() -> None:
    """Raises BadInput where vLLM would not find the plug-in."""
    if NAME not in entry_points(group="vllm.general_plugins").names:
        raise BadInput("vLLM does not see this package's plug-in, which knows ArmoRM; install magpie-hf again with pip")
    allowed = os.environ.get("VLLM_PLUGINS")
    if allowed is not None and NAME not in allowed.split(","):
        raise BadInput(f"VLLM_PLUGINS is {allowed!r}, which keeps vLLM from loading ArmoRM; add {NAME} to it, or unset it")
