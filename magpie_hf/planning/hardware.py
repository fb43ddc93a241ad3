"""GPUs as plans need them: the vendor's speeds, prices, and what this machine has.

Not here: what fits (parallel.py).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from magpie_hf.errors import BadInput
from magpie_hf.models.shapes import GPUS, Gpu


@dataclass(frozen=True)
class Figures:
    """Dense 16-bit TFLOP/s and TB/s of memory by the vendor's data sheet, and US dollars an hour, rented: the
    least and the most.
    """

    teraflops: float
    terabytes: float
    dollars: tuple[float, float]


FIGURES = {  # prices: a rough range of what clouds asked in 2026; --price says it better
    "V100 32 GB": Figures(125, 0.9, (0.4, 3.0)),
    "A100 40 GB": Figures(312, 1.555, (0.9, 3.0)),
    "A100 80 GB": Figures(312, 2.039, (1.2, 4.0)),
    "RTX 4090 24 GB": Figures(165, 1.008, (0.3, 0.8)),
    "L40S 48 GB": Figures(362, 0.864, (0.8, 2.0)),
    "H100 80 GB": Figures(989, 3.35, (2.0, 6.0)),
    "H200 141 GB": Figures(989, 4.8, (2.5, 7.0)),
    "B200 180 GB": Figures(2250, 8.0, (4.0, 10.0)),
    "RTX 5090 32 GB": Figures(209, 1.792, (0.5, 1.2)),
}


def figures_of(gpu: Gpu) -> Figures:
    return FIGURES[gpu.name]


def gpu_named(text: str) -> Gpu:
    """The common GPU of this name; case, spaces and a missing "GB" do not matter. Raises BadInput for one
    that is not known.
    """
    wanted = _plain(text)
    exact = [gpu for gpu in GPUS if wanted in (_plain(gpu.name), _plain(gpu.name).removesuffix("gb"))]
    found = exact or [gpu for gpu in GPUS if wanted and _plain(gpu.name).startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(gpu.name for gpu in found or GPUS)
        raise BadInput(
            f"--gpu is {text!r}, which names {'several GPUs' if found else 'no GPU that is known'}; choose"
            f" one of {names}"
        )
    return found[0]


def local_gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine, by nvidia-smi; none where it is not there or fails, or where it names one
    that is not known here.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [_known(*line.rpartition(",")[::2]) for line in said.splitlines() if "," in line]
    return tuple(gpu for gpu in found if gpu is not None)


def _known(name: str, mebibytes: str) -> Gpu | None:
    """The common GPU that nvidia-smi means: of those whose first words it names, the one whose memory is
    nearest; None of no memory.
    """
    if not mebibytes.strip().isdecimal():  # [N/A]
        return None
    alike = [gpu for gpu in GPUS if _plain(re.sub(r" \d+ GB$", "", gpu.name)) in _plain(name)]
    return min(alike, key=lambda gpu: abs(gpu.gigabytes - float(mebibytes) * 2**20 / 1e9), default=None)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
