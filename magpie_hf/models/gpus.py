"""GPUs as the plan and the engines know them: memory and compute capability.

Not here: speed and price (planning/inputs.py), and which GPUs this machine has (engines/vllm/device.py).
"""

from __future__ import annotations

from dataclasses import dataclass

AMPERE = 80  # the first generation with bfloat16; below it vLLM runs a model as float16


@dataclass(frozen=True)
class Gpu:
    """A GPU: its memory in GB, and its compute capability times ten (80 is Ampere), 0 if unknown."""

    name: str
    gigabytes: float
    capability: int = 0


GPUS = (  # the vendor's figures
    Gpu("V100 32 GB", 32, 70),
    Gpu("A100 40 GB", 40, 80),
    Gpu("A100 80 GB", 80, 80),
    Gpu("RTX 4090 24 GB", 24, 89),
    Gpu("L40S 48 GB", 48, 89),
    Gpu("H100 80 GB", 80, 90),
    Gpu("H200 141 GB", 141, 90),
    Gpu("B200 180 GB", 180, 100),
    Gpu("RTX 5090 32 GB", 32, 120),
)
