"""The GPU that a name means, as people, nvidia-smi, rocm-smi, lspci and drivers write it; and MIG slices.

Not here: the GPUs themselves (gpus.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from unicodedata import normalize

from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import GPUS, OTHERS, SLICE, Gpu

KEPT = 0.97  # of the memory that a GPU is sold with, what CUDA reports of it: 92 to 100 %
NEAREST = 3  # names in a refusal
# Words that tell no GPU from another: makers, families, machines, memory, form factors, cooling, a limit on
# mining, and AMD's virtual functions, which have the whole GPU
_NOISE = re.compile(
    r"nvidia|amd|geforce|tesla|instinct|radeon|corporation|gpu|graphics|design|with|generation|oam|ac"
    r"|blackwell|server|edition|hbm\d\w?|gddr\d\w?|sxm\d?|[dh]gxs?|nvl4|nvl72|active|lc|dual|slot"
    r"|lite|hash|rate|[hv]f"
)
# Words for others: of the H100, only the PCIe card has HBM2e, and of the H20 only the H20-3e has HBM3e
_SAME = {"hbm2e": "pcie", "hbm3e": "3e", "ws": "workstation", "wk": "workstation"} | dict.fromkeys(
    ("mobile", "notebook", "ノート", "ラップトップ", "モバイル"), "laptop"
)
_OPTIONAL = ("pcie", "workstation", "3e")  # they tell some GPUs from their like, and of others mean nothing
# A name with how many there are, before it or behind it
_COUNTED = (
    re.compile(r"x?(?P<count>\d\d?) ?[x×*]? ?(?P<name>.+)"),
    re.compile(r"(?P<name>.+?) ?[(,]? ?[x×*:(,] ?(?P<count>\d\d?) ?[x×]?\)?"),
)
_SIZE = re.compile(r"(?<![\w.])(\d+) ?g(?:i?b)?(?!\w)")
_SLICED = re.compile(r"(?:\bmig[ -]?)?\b(\d)g\.(\d+)gb(?:[+.-]\w+)*")
# Spellings whose words are not those of the name, or whose size is none of its memory
_ALSO = {
    "A100 64 GB": ("A100 custom",),
    "GH200 96 GB": ("GH200 480GB", "GH200 120GB"),
    "GH200 144 GB": ("GH200 144G HBM3e",),
    "B200 180 GB": ("B200 192GB", "B200 183GB"),
    "GB200 186 GB": ("GB200 192GB", "GB200 189GB"),
    "B300 288 GB": ("B300 270GB", "B300 269GB"),
    "GB300 288 GB": ("GB300 279GB", "GB300 278GB"),
    "GB10 128 GB": ("DGX Spark",),
    "Quadro RTX 8000 48 GB": ("RTX 8000", "Q RTX 8000"),
    "RTX 4070 Super 12 GB": ("RTX 4070S",),
    "RTX 4070 Ti Super 16 GB": ("RTX 4070S Ti",),
    "RTX 4080 Super 16 GB": ("RTX 4080S",),
    "RTX 4000 SFF Ada 20 GB": ("RTX 4000 Ada SFF",),
    "RTX PRO 6000 96 GB": ("RTX 6000 PRO", "RTX PRO 6000 S"),
    "MI325X 256 GB": ("MI325",),
    "MI350X 288 GB": ("MI350",),
    "MI355X 288 GB": ("MI355",),
    "MI250X 64 GB": ("MI250X / MI250", "MI250X 128GB"),
    "MI250 64 GB": ("MI250 128GB",),
    "AI PRO R9700 32 GB": ("PRO R9700",),
}
# Whose name says the size wherever a driver writes it: without one, the GPU with another size is meant
_SIZED = ("RTX A2000 12 GB", "RTX PRO 5000 72 GB", "PRO W7800 48 GB")
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
    if not text.strip():
        raise BadInput("--gpu is empty; give the name of a GPU, such as H100")
    plain = text.replace("_", " ")
    sliced = _SLICED.search(plain.lower())
    found = list(_slices(plain, sliced)) if sliced else meant(plain)
    for counted in (one.fullmatch(plain.strip().lower()) for one in _COUNTED if not found):
        if counted and meant(counted["name"]):
            raise BadInput(
                f"--gpu is {text!r}; give the name alone, and their number as --gpus {counted['count']}"
            )
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
    fewer = (words.replace(word, "") for word in _OPTIONAL)
    for spelling in (words, *fewer, f"rtx{words}", f"rx{words}", f"pro{words}"):
        of_name = _NAMES.get(spelling, {})
        if known := [gpu for gpu, sizes in of_name.items() if _fits(gpu, size, sizes)]:
            return known
    return []


def _fits(gpu: Gpu, size: int | None, sizes: set[int]) -> bool:
    return gpu.name not in _SIZED if size is None else size in sizes


def _spelled(text: str) -> tuple[str, int | None]:
    """A name without what tells nothing, in one word; and the size that it says."""
    text = normalize("NFKC", re.sub(r"\((?:r|tm)\)|[®™_]|^nvidia(?:tesla)?", " ", text.lower()))
    text = re.sub(r"max-q ?/ ?mobile", "laptop", text)  # lspci's name of all laptop versions
    size = _SIZE.search(text)
    if size is not None:
        text = f"{text[: size.start()]} {text[size.end() :]}"
    words = (_SAME.get(word, word) for word in re.split(r"[\W_]+", text))
    return "".join(word for word in words if not _NOISE.fullmatch(word)), size and int(size[1])


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
        word, own = _spelled(gpu.name)
        sizes = [size for size in _NAMES[word][gpu] if abs(size - (own or 0)) <= 0.1 * size]
        eighths = {7: 8, 4: 4}.get(gpu.slices, 0)
        for share in _SHARES.get(gpu.slices, {}).get(parts, ()):
            if any(abs(size * share / eighths - gigabytes) <= 0.6 for size in sizes):
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
