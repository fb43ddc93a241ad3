"""The GPUs of this machine, by nvidia-smi.

Not here: those that vLLM sees (engines/vllm/device.py), which takes torch.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

from magpie_hf.errors import BadInput
from magpie_hf.models.gpu_names import gpu_named, meant
from magpie_hf.models.gpus import Gpu

OTHERWISE = (
    0.12  # share by which a GPU's memory may differ from the table's and be meant: ECC takes up to 8 %
)
KEPT = 0.985  # of the memory that nvidia-smi says, what CUDA reports
SHARED = "[N/A]"  # the memory of a GPU that has the machine's, such as a GB10
VISIBLE = "CUDA_VISIBLE_DEVICES"


def local_gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine, by nvidia-smi; none where that is missing or fails.

    Of several, those that CUDA_VISIBLE_DEVICES names. Of a GPU that is cut into slices, one of them, as CUDA
    shows no more to a process.
    """
    lines = _asked("--query-gpu=name,memory.total,mig.mode.current", "--format=csv,noheader,nounits")
    found = [[part.strip() for part in line.rsplit(",", 2)] for line in lines if line.count(",") >= 2]
    if any(mode == "Enabled" for _, _, mode in found):
        return _slice()
    named = [_known(name, mebibytes) for name, mebibytes, _ in found]
    if (visible := os.environ.get(VISIBLE)) is not None:
        named = [named[number] for number in _numbers(visible) if number < len(named)]
    return tuple(gpu for gpu in named if gpu is not None)


def _numbers(visible: str) -> Iterator[int]:
    """The numbers of GPUs that are named by number or by the beginning of their UUID.

    As CUDA does, up to the first name that is none: nothing hides all GPUs, and so does -1.
    """
    lines = _asked("-L") if "GPU-" in visible else []
    listed = [re.match(r"GPU (\d+): .+\(UUID: (.+)\)", line) for line in lines]
    for name in visible.replace(" ", "").split(","):
        if name.isdecimal():
            yield int(name)
            continue
        found = [int(gpu[1]) for gpu in listed if gpu and name and gpu[2].startswith(name)]
        if len(found) != 1:
            return
        yield found[0]


def _asked(*words: str) -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def _slice() -> tuple[Gpu, ...]:
    """The first slice that nvidia-smi lists, below its GPU; none where it has none."""
    parent = ""
    for line in _asked("-L"):
        if gpu := re.match(r"GPU \d+: (.+?) \(UUID", line):
            parent = gpu[1]
        elif profile := re.match(r"\s+MIG (\S+)", line):
            try:
                return (gpu_named(f"{parent} MIG {profile[1]}"),)
            except BadInput:  # a profile that the table does not know
                return ()
    return ()


def _known(name: str, mebibytes: str) -> Gpu | None:
    """The GPU that nvidia-smi means: the name decides, then the nearest memory size."""
    if mebibytes == SHARED:
        found = meant(name)
        return found[0] if len(found) == 1 else None
    if not mebibytes.isdecimal():  # such as [GPU is lost]
        return None
    memory = float(mebibytes) * 2**20 * KEPT / 1e9
    near = min(meant(name), key=lambda gpu: abs(gpu.gigabytes - memory), default=Gpu(name, memory))
    if abs(near.gigabytes - memory) > OTHERWISE * memory:
        return replace(near, name=name, gigabytes=memory)
    return near
