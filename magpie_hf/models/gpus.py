"""GPUs as the plan and the engines know them: memory, compute capability, and what vendors say of speed.

Not here: their names as people and drivers write them (gpu_names.py), prices, and the GPUs of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

AMPERE = 80  # the first generation with bfloat16; below it vLLM runs a model as float16
FASTER = {4: 100, 8: 89}  # bits of floating point that NVIDIA's multiply faster than 16, by capability
SLICE = " MIG "  # in the name of a slice of a GPU


@dataclass(frozen=True)
class Gpu:
    """A GPU: its memory in GB, and its compute capability times ten (80 is Ampere), 0 if unknown.

    teraflops: dense 16-bit TFLOP/s, summed in 32 bits; terabytes: TB/s of memory; 0 where not known. slices:
    into how many parts its compute can be cut (MIG), 0 for none. bits: the fewest bits of floating point that
    it multiplies faster than 16, where its capability does not say so.
    """

    name: str
    gigabytes: float
    capability: int = 0
    teraflops: float = 0.0
    terabytes: float = 0.0
    slices: int = 0
    bits: int = 16

    @property
    def fewest_bits(self) -> int:
        """The fewest bits of floating point that it multiplies faster than 16; 16 for none."""
        return next((bits for bits, least in FASTER.items() if self.capability >= least), self.bits)

    @property
    def is_slice(self) -> bool:
        """Whether it is a part of a GPU, over which no model can be split together with another part."""
        return SLICE in self.name


def _gpu(name: str, gibibytes: float, *figures: float, slices: int = 0, bits: int = 16) -> Gpu:
    """A GPU by the GiB that CUDA or HIP reports, its capability, TFLOP/s and TB/s."""
    capability, teraflops, terabytes = figures
    return Gpu(name, gibibytes * 2**30 / 1e9, int(capability), teraflops, terabytes, slices, bits)


# Memory is what PyTorch prints of such a GPU on Linux: less than nvidia-smi says, of which the driver keeps a
# part (since driver 570 some 0.1 GiB more: the later figure is taken); where no message was found, it is
# taken from its like. The rest is from the vendors' data sheets. Where they give "AI TOPS" (4 bits,
# sparse), it is an eighth of those, and a sixteenth on a GeForce, which sums in 32 bits at half the speed.
# Laptops count at the boost clock that the vendor states. Capabilities of AMD's count otherwise, so they are
# left out.
GPUS = (  # those that a plan compares where none is named
    _gpu("V100 32 GB", 31.73, 70, 125, 0.9),
    _gpu("A100 40 GB", 39.39, 80, 312, 1.555, slices=7),
    _gpu("A100 80 GB", 79.15, 80, 312, 2.039, slices=7),
    _gpu("RTX 4090 24 GB", 23.52, 89, 165, 1.008),
    _gpu("L40S 48 GB", 44.4, 89, 362, 0.864),
    _gpu("H100 80 GB", 79.19, 90, 989, 3.35, slices=7),
    _gpu("H200 141 GB", 139.81, 90, 989, 4.8, slices=7),
    _gpu("B200 180 GB", 178.35, 100, 2250, 8.0, slices=7),
    _gpu("RTX 5090 32 GB", 31.36, 120, 209, 1.792),
)
OTHERS = (
    # Data centres
    _gpu("V100 16 GB", 15.77, 70, 125, 0.9),
    _gpu("V100S 32 GB", 31.73, 70, 130, 1.134),
    _gpu("T4 16 GB", 14.57, 75, 65, 0.32),
    _gpu("A2 16 GB", 14.54, 86, 18, 0.2),
    _gpu("A10 24 GB", 22.07, 86, 125, 0.6),
    _gpu("A10G 24 GB", 22.06, 86, 70, 0.6),
    _gpu("A16 16 GB", 14.54, 86, 18, 0.2),
    _gpu("A30 24 GB", 23.6, 80, 165, 0.933, slices=4),
    _gpu("A40 48 GB", 44.35, 86, 150, 0.696),
    _gpu("A100 64 GB", 63.4, 80, 312, 1.64, slices=7),
    _gpu("A800 40 GB", 39.39, 80, 312, 1.555, slices=7),
    _gpu("A800 80 GB", 79.15, 80, 312, 2.039, slices=7),
    _gpu("L4 24 GB", 22.03, 89, 121, 0.3),
    _gpu("L20 48 GB", 44.42, 89, 119, 0.864),
    _gpu("L40 48 GB", 44.42, 89, 181, 0.864),
    _gpu("H20 96 GB", 95.0, 90, 148, 4.0, slices=7),
    _gpu("H20-3e 141 GB", 139.8, 90, 148, 4.8, slices=7),
    _gpu("H100 PCIe 80 GB", 79.1, 90, 756, 2.0, slices=7),
    _gpu("H100 NVL 94 GB", 93.1, 90, 835, 3.9, slices=7),
    _gpu("H800 80 GB", 79.19, 90, 989, 3.35, slices=7),
    _gpu("H800 PCIe 80 GB", 79.1, 90, 756, 2.0, slices=7),
    _gpu("H200 NVL 141 GB", 139.8, 90, 836, 4.8, slices=7),
    _gpu("GH200 96 GB", 94.5, 90, 989, 4.0, slices=7),
    _gpu("GH200 144 GB", 139.8, 90, 989, 4.9, slices=7),
    _gpu("GB200 186 GB", 184.3, 100, 2500, 8.0, slices=7),
    _gpu("B300 288 GB", 267.7, 103, 2250, 8.0, slices=7),
    _gpu("GB300 288 GB", 276.5, 103, 2500, 8.0, slices=7),
    _gpu("GB10 128 GB", 119.7, 121, 125, 0.273),
    # Workstations
    _gpu("TITAN V 12 GB", 11.77, 70, 110, 0.653),
    _gpu("TITAN RTX 24 GB", 23.65, 75, 130, 0.672),
    _gpu("Quadro RTX 5000 16 GB", 15.55, 75, 89, 0.448),
    _gpu("Quadro RTX 6000 24 GB", 23.65, 75, 130, 0.672),
    _gpu("Quadro RTX 8000 48 GB", 47.25, 75, 130, 0.672),
    _gpu("RTX A2000 6 GB", 5.65, 86, 32, 0.288),
    _gpu("RTX A2000 12 GB", 11.65, 86, 32, 0.288),
    _gpu("RTX A4000 16 GB", 15.61, 86, 77, 0.448),
    _gpu("RTX A4500 20 GB", 19.58, 86, 95, 0.64),
    _gpu("RTX A5000 24 GB", 23.53, 86, 111, 0.768),
    _gpu("RTX A5500 24 GB", 23.53, 86, 136, 0.768),
    _gpu("RTX A6000 48 GB", 47.4, 86, 155, 0.768),
    _gpu("RTX 2000 Ada 16 GB", 15.6, 89, 48, 0.224),
    _gpu("RTX 4000 Ada 20 GB", 19.6, 89, 107, 0.36),
    _gpu("RTX 4000 SFF Ada 20 GB", 19.6, 89, 77, 0.28),
    _gpu("RTX 4500 Ada 24 GB", 23.5, 89, 159, 0.432),
    _gpu("RTX 5000 Ada 32 GB", 31.5, 89, 261, 0.576),
    _gpu("RTX 5880 Ada 48 GB", 47.4, 89, 277, 0.96),
    _gpu("RTX 6000 Ada 48 GB", 47.4, 89, 364, 0.96),
    _gpu("RTX PRO 2000 16 GB", 15.5, 120, 68, 0.288),
    _gpu("RTX PRO 4000 SFF 24 GB", 23.5, 120, 96, 0.432),
    _gpu("RTX PRO 4000 24 GB", 23.5, 120, 147, 0.672),
    _gpu("RTX PRO 4500 32 GB", 31.36, 120, 211, 0.896),
    _gpu("RTX PRO 5000 48 GB", 47.3, 120, 258, 1.344),
    _gpu("RTX PRO 5000 72 GB", 71.13, 120, 258, 1.344),
    # Of the RTX PRO 6000, the Server Edition, the slower one, where the edition is not said
    _gpu("RTX PRO 6000 96 GB", 94.97, 120, 480, 1.597, slices=4),
    _gpu("RTX PRO 6000 Workstation 96 GB", 94.97, 120, 500, 1.792, slices=4),
    _gpu("RTX PRO 6000 Max-Q 96 GB", 94.97, 120, 438, 1.792, slices=4),
    # Desktops
    _gpu("RTX 2060 6 GB", 5.65, 75, 26, 0.336),
    _gpu("RTX 2060 Super 8 GB", 7.65, 75, 29, 0.448),
    _gpu("RTX 2070 8 GB", 7.65, 75, 30, 0.448),
    _gpu("RTX 2070 Super 8 GB", 7.65, 75, 36, 0.448),
    _gpu("RTX 2080 8 GB", 7.65, 75, 40, 0.448),
    _gpu("RTX 2080 Super 8 GB", 7.65, 75, 45, 0.496),
    _gpu("RTX 2080 Ti 11 GB", 10.57, 75, 54, 0.616),
    _gpu("RTX 3050 8 GB", 7.66, 86, 18, 0.224),
    _gpu("RTX 3060 12 GB", 11.63, 86, 26, 0.36),
    _gpu("RTX 3060 Ti 8 GB", 7.66, 86, 32, 0.448),
    _gpu("RTX 3070 8 GB", 7.64, 86, 41, 0.448),
    _gpu("RTX 3070 Ti 8 GB", 7.66, 86, 43, 0.608),
    _gpu("RTX 3080 10 GB", 9.64, 86, 60, 0.76),
    _gpu("RTX 3080 12 GB", 11.63, 86, 61, 0.912),
    _gpu("RTX 3080 Ti 12 GB", 11.63, 86, 68, 0.912),
    _gpu("RTX 3090 24 GB", 23.56, 86, 71, 0.936),
    _gpu("RTX 3090 Ti 24 GB", 23.54, 86, 80, 1.008),
    _gpu("RTX 4060 8 GB", 7.62, 89, 30, 0.272),
    _gpu("RTX 4060 Ti 8 GB", 7.62, 89, 44, 0.288),
    _gpu("RTX 4060 Ti 16 GB", 15.58, 89, 44, 0.288),
    _gpu("RTX 4070 12 GB", 11.6, 89, 58, 0.504),
    _gpu("RTX 4070 Super 12 GB", 11.6, 89, 71, 0.504),
    _gpu("RTX 4070 Ti 12 GB", 11.6, 89, 80, 0.504),
    _gpu("RTX 4070 Ti Super 16 GB", 15.58, 89, 88, 0.672),
    _gpu("RTX 4080 16 GB", 15.58, 89, 97, 0.717),
    _gpu("RTX 4080 Super 16 GB", 15.58, 89, 104, 0.736),
    _gpu("RTX 4090 D 24 GB", 23.54, 89, 147, 1.008),
    _gpu("RTX 5050 8 GB", 7.6, 120, 26, 0.32),
    _gpu("RTX 5060 8 GB", 7.6, 120, 38, 0.448),
    _gpu("RTX 5060 Ti 8 GB", 7.6, 120, 47, 0.448),
    _gpu("RTX 5060 Ti 16 GB", 15.46, 120, 47, 0.448),
    _gpu("RTX 5070 12 GB", 11.5, 120, 62, 0.672),
    _gpu("RTX 5070 Ti 16 GB", 15.45, 120, 88, 0.896),
    _gpu("RTX 5080 16 GB", 15.5, 120, 113, 0.96),
    _gpu("RTX 5090 D 32 GB", 31.36, 120, 148, 1.792),
    _gpu("RTX 5090 D v2 24 GB", 23.4, 120, 148, 1.344),
    # Laptops
    _gpu("RTX 3060 Laptop 6 GB", 5.65, 86, 22, 0.336),
    _gpu("RTX 3070 Laptop 8 GB", 7.66, 86, 32, 0.448),
    _gpu("RTX 3070 Ti Laptop 8 GB", 7.67, 86, 33, 0.448),
    _gpu("RTX 3080 Laptop 8 GB", 7.66, 86, 38, 0.448),
    _gpu("RTX 3080 Laptop 16 GB", 15.62, 86, 38, 0.448),
    _gpu("RTX 3080 Ti Laptop 16 GB", 15.6, 86, 47, 0.512),
    _gpu("RTX 4050 Laptop 6 GB", 5.65, 89, 18, 0.192),
    _gpu("RTX 4060 Laptop 8 GB", 7.62, 89, 23, 0.256),
    _gpu("RTX 4070 Laptop 8 GB", 7.62, 89, 31, 0.256),
    _gpu("RTX 4080 Laptop 12 GB", 11.6, 89, 50, 0.432),
    _gpu("RTX 4090 Laptop 16 GB", 15.58, 89, 66, 0.576),
    _gpu("RTX 5050 Laptop 8 GB", 7.6, 120, 15, 0.384),
    _gpu("RTX 5060 Laptop 8 GB", 7.6, 120, 19, 0.384),
    _gpu("RTX 5070 Laptop 8 GB", 7.6, 120, 26, 0.384),
    _gpu("RTX 5070 Ti Laptop 12 GB", 11.5, 120, 34, 0.672),
    _gpu("RTX 5080 Laptop 16 GB", 15.5, 120, 46, 0.896),
    _gpu("RTX 5090 Laptop 24 GB", 23.4, 120, 64, 0.896),
    _gpu("RTX A4000 Laptop 8 GB", 7.66, 86, 69, 0.384),
    _gpu("RTX A5000 Laptop 16 GB", 15.6, 86, 77, 0.448),
    _gpu("RTX A5500 Laptop 16 GB", 15.6, 86, 89, 0.512),
    _gpu("RTX 3500 Ada Laptop 12 GB", 11.6, 89, 63, 0.432),
    _gpu("RTX 4000 Ada Laptop 12 GB", 11.6, 89, 99, 0.432),
    _gpu("RTX 5000 Ada Laptop 16 GB", 15.6, 89, 165, 0.576),
    # AMD; of an MI250, one of its two dies, as HIP shows it. The MI350X and MI355X multiply MXFP4, too, but
    # not NVFP4, in which most models of four bits are published
    _gpu("MI100 32 GB", 31.98, 0, 185, 1.229),
    _gpu("MI210 64 GB", 63.98, 0, 181, 1.638),
    _gpu("MI250 64 GB", 63.98, 0, 181, 1.638),
    _gpu("MI250X 64 GB", 63.98, 0, 191, 1.638),
    _gpu("MI300A 128 GB", 125.6, 0, 981, 5.3, bits=8),
    _gpu("MI300X 192 GB", 191.69, 0, 1307, 5.3, bits=8),
    _gpu("MI325X 256 GB", 255.69, 0, 1307, 6.0, bits=8),
    _gpu("MI350X 288 GB", 287.98, 0, 2307, 8.0, bits=8),
    _gpu("MI355X 288 GB", 287.98, 0, 2516, 8.0, bits=8),
    _gpu("RX 7900 GRE 16 GB", 15.98, 0, 92, 0.576),
    _gpu("RX 7900 XT 20 GB", 19.98, 0, 103, 0.8),
    _gpu("RX 7900 XTX 24 GB", 23.98, 0, 123, 0.96),
    _gpu("RX 9070 16 GB", 15.92, 0, 145, 0.64, bits=8),
    _gpu("RX 9070 XT 16 GB", 15.92, 0, 195, 0.64, bits=8),
    _gpu("PRO W7800 32 GB", 31.98, 0, 90, 0.576),
    _gpu("PRO W7800 48 GB", 47.98, 0, 90, 0.864),
    _gpu("PRO W7900 48 GB", 47.98, 0, 123, 0.864),
    _gpu("AI PRO R9700 32 GB", 31.86, 0, 191, 0.64, bits=8),
)
