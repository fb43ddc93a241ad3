"""How fast an engine should be on a GPU nobody has measured: arithmetic and memory by the vendor's figures.

Not here: measured speeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from magpie_hf.models.parallel import OVERHEAD, UTILIZATION, Need
from magpie_hf.models.shapes import Gpu
from magpie_hf.planning.engine import MOST_SEQUENCES, Speed
from magpie_hf.planning.hardware import figures_of


class Efficiency(NamedTuple):
    """Shares of the vendor's FLOP/s and bandwidth that decoding reaches, and of FLOP/s that prompts reach;
    seconds of a step beside them, and gigabytes of weights a second that are loaded.
    """

    flops: float
    bandwidth: float
    prompts: float
    step: float
    loading: float


# Slow, likely, fast; assumptions from what vLLM is commonly seen to reach, not measurements of this package
EFFICIENCIES = (
    Efficiency(0.25, 0.45, 0.30, 0.020, 0.3),
    Efficiency(0.40, 0.65, 0.50, 0.008, 1.0),
    Efficiency(0.55, 0.80, 0.65, 0.004, 3.0),
)
START = 60.0  # seconds until an engine is open, beside its weights: compiling, CUDA graphs


@dataclass(frozen=True)
class Size:
    """A model as the arithmetic sees it: billions of parameters that a token goes through, and what it takes
    up.
    """

    active: float
    need: Need


ACTIVE = {
    3: 37.0
}  # of numbered models that are mixtures of experts: billions of parameters that one token goes through


def speed_on(
    size: Size,
    gpu: Gpu,
    tensor: int,
    how: Efficiency,
    utilization: float = UTILIZATION,
    most: int = MOST_SEQUENCES,
) -> Speed:
    """The speed of one engine on `tensor` such GPUs."""
    figures, need = figures_of(gpu), size.need
    flops, bandwidth = figures.teraflops * 1e12 * tensor, figures.terabytes * 1e12
    per_token = need.shape.cache_gigabytes(1, tensor, need.value_bytes) * 1e9 if need.shape else 0.0
    free = (utilization * gpu.gigabytes - need.weights / tensor - OVERHEAD) * 1e9
    return Speed(
        load=START + need.weights / how.loading,
        step=how.step + need.weights * 1e9 / (bandwidth * tensor * how.bandwidth),
        sequence=2 * size.active * 1e9 / (flops * how.flops),
        context=per_token / (bandwidth * how.bandwidth),
        prompt=2 * size.active * 1e9 / (flops * how.prompts),
        sequences=most,
        cache=free / per_token if per_token else float("inf"),
    )


def bare_hours(size: Size, tokens: float, gpu: Gpu, count: int = 1) -> float:
    """Hours of compute-bound minimum, at all of the vendor's FLOP/s of so many GPUs: no engine is faster than
    this.
    """
    return tokens * 2 * size.active * 1e9 / (figures_of(gpu).teraflops * 1e12 * count) / 3600
