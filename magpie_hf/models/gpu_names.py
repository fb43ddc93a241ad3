"""The GPU that a name means, as people, nvidia-smi, rocm-smi, lspci and drivers write it; and MIG slices.

Not here: the GPUs themselves (gpus.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher

from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import GPUS, OTHERS, SLICE, Gpu

KEPT = 0.97  # of the memory that a GPU is sold with, what CUDA reports of it: 92 to 100 %
NEAREST = 3  # names in a refusal
# Words that tell no GPU from another: makers, families, memory, and form factors
_NOISE = re.compile(
    r"nvidia|amd|geforce|tesla|instinct|radeon|corporation|gpu|graphics|design|with|generation|oam|ac"
    r"|blackwell|workstation|server|edition|hbm\d\w?|gddr\d\w?|sxm\d?"
)
_LAPTOP = ("mobile", "notebook")
_SIZE = re.compile(r"(?<![\w.])(\d+) ?g(?:i?b)?(?!\w)")
_SLICED = re.compile(r"(?:\bmig[ -]?)?\b(\d)g\.(\d+)gb(?:\+\w+)*")
# Spellings whose words are not those of the name, or whose size is none of its memory
_ALSO = {
    "A100 64 GB": ("A100 custom",),
    "GH200 96 GB": ("GH200 480GB", "GH200 120GB"),
    "GH200 144 GB": ("GH200 144G HBM3e",),
    "B200 180 GB": ("B200 192GB", "B200 183GB"),
    "GB200 186 GB": ("GB200 192GB", "GB200 189GB"),
    "B300 288 GB": ("B300 270GB",),
    "GB300 288 GB": ("GB300 279GB",),
    "GB10 128 GB": ("DGX Spark",),
    "Quadro RTX 8000 48 GB": ("RTX 8000",),
    "RTX 4090 D 24 GB": ("RTX 4090D",),
    "MI250X 64 GB": ("MI250X / MI250", "MI250X 128GB"),
    "MI250 64 GB": ("MI250 128GB",),
}
# By the slices of a GPU: parts of its compute, with parts of its memory (eighths where the slices are seven)
_SHARES: dict[int, dict[int, tuple[int, ...]]] = {
    7: {1: (1, 2), 2: (2,), 3: (4,), 4: (4,), 7: (8,)},
    4: {1: (1,), 2: (2,), 4: (4,)},
}


def gpu_named(text: str, gibibytes: float | None = None) -> Gpu:
    """The GPU of this name; case, spaces, the maker and a missing "GB" do not matter.

    gibibytes: its memory as its vendor states it, which makes any name good; without speed where the name is
    not known. Raises BadInput for a name that fits none or several.
    """
    sliced = _SLICED.search(text.lower())
    found = list(_slices(text, sliced)) if sliced else meant(text)
    if gibibytes is not None:
        memory = gibibytes * KEPT * 2**30 / 1e9
        near = min(found, key=lambda one: abs(one.gigabytes - memory), default=Gpu(text, memory))
        if abs(near.gigabytes - memory) <= 0.08 * memory:
            return near
        return replace(near, name=f"{text} ({gibibytes:g} GB)", gigabytes=memory, slices=0)
    if not found:
        raise BadInput(
            f"--gpu is {text!r}, which names no GPU that is known; the nearest are"
            f" {', '.join(_nearest(text))}: choose one, or give its memory with --gpu-memory, too"
        )
    if len(found) > 1:
        raise BadInput(
            f"--gpu is {text!r}, which names several GPUs; choose one of"
            f" {', '.join(gpu.name for gpu in found)}"
        )
    return found[0]


def meant(text: str) -> list[Gpu]:
    """The GPUs that a name without a slice may mean."""
    if bracket := re.search(r"\[(.+)\]", text):  # as lspci and rocm-smi write, after the name of the chip
        text = bracket[1]
    words, size = _spelled(text)
    for spelling in (words, words.replace("pcie", ""), f"rtx{words}", f"rx{words}", f"pro{words}"):
        of_name = _NAMES.get(spelling, {})
        if known := [gpu for gpu, sizes in of_name.items() if size is None or size in sizes]:
            return known
    return []


def _spelled(text: str) -> tuple[str, int | None]:
    """A name without what tells nothing, in one word; and the size that it says."""
    text = re.sub(r"\((?:r|tm)\)|[®™]", " ", text.lower())
    size = _SIZE.search(text)
    if size is not None:
        text = f"{text[: size.start()]} {text[size.end() :]}"
    words = (word for word in re.split(r"[^a-z0-9]+", text) if not _NOISE.fullmatch(word))
    return "".join("laptop" if word in _LAPTOP else word for word in words), size and int(size[1])


def _names() -> dict[str, dict[Gpu, set[int]]]:
    """By spelling, the GPUs and the sizes that may stand beside it."""
    found: dict[str, dict[Gpu, set[int]]] = {}
    for gpu in (*GPUS, *OTHERS):
        _, own = _spelled(gpu.name)
        for spelling in (gpu.name, *_ALSO.get(gpu.name, ())):
            word, size = _spelled(spelling)
            sizes = found.setdefault(word, {}).setdefault(gpu, set())
            sizes.update(one for one in (own, size) if one is not None)
    return found


_NAMES = _names()


def _slices(text: str, sliced: re.Match[str]) -> Iterator[Gpu]:
    """The slices of this profile, such as 3g.40gb: parts of the compute, and GB."""
    rest = f"{text[: sliced.start()]} {text[sliced.end() :]}"
    parts, gigabytes = int(sliced[1]), int(sliced[2])
    for gpu in meant(re.sub(r"(?i)\bmig\b|\bdevice\s*\d*:?", " ", rest)):
        size = _spelled(gpu.name)[1] or 0
        eighths = {7: 8, 4: 4}.get(gpu.slices, 0)
        for share in _SHARES.get(gpu.slices, {}).get(parts, ()):
            if abs(size * share / eighths - gigabytes) <= 0.6:
                yield Gpu(
                    f"{gpu.name}{SLICE}{parts}g.{gigabytes}gb",
                    gpu.gigabytes * share / eighths * KEPT,
                    gpu.capability,
                    gpu.teraflops * parts / gpu.slices,
                    gpu.terabytes * share / eighths,
                )


def _nearest(text: str) -> list[str]:
    """The names that are most like this one."""
    words = _spelled(_SLICED.sub(" ", text.lower()))[0]

    def alike(gpu: Gpu) -> float:
        return SequenceMatcher(None, _spelled(gpu.name)[0], words).ratio()

    return [gpu.name for gpu in sorted((*GPUS, *OTHERS), key=alike, reverse=True)[:NEAREST]]
