"""Which GPU a name means: as people write it, and nvidia-smi, rocm-smi, lspci and PyTorch; slices; and this
machine's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from magpie_hf import BadInput
from magpie_hf.models.gpu_names import gpu_named
from magpie_hf.models.gpus import GPUS, OTHERS
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.models.parallel import Need, choose, need_of
from magpie_hf.planning.here import local_gpus
from magpie_hf.planning.sizes import Size

MEANT = """
NVIDIA H100 80GB HBM3 | H100 80 GB
H100 | H100 80 GB
h100 sxm5 | H100 80 GB
NVIDIA_H100_80GB_HBM3 | H100 80 GB
DGX H100 | H100 80 GB
NVIDIA H100 PCIe | H100 PCIe 80 GB
NVIDIA H100 80GB HBM2e | H100 PCIe 80 GB
NVIDIA H100 NVL | H100 NVL 94 GB
NVIDIA H200 | H200 141 GB
NVIDIA H200 NVL | H200 NVL 141 GB
NVIDIA H20 | H20 96 GB
NVIDIA H20-3e | H20-3e 141 GB
GH100 [H20 HBM3e] | H20-3e 141 GB
NVIDIA H800 | H800 80 GB
NVIDIA GH200 480GB | GH200 96 GB
NVIDIA GH200 144G HBM3e | GH200 144 GB
NVIDIA B200 | B200 180 GB
B200 192 GB | B200 180 GB
NVIDIA GB200 | GB200 186 GB
GB200 NVL72 | GB200 186 GB
NVIDIA B300 SXM6 AC | B300 288 GB
NVIDIA GB10 | GB10 128 GB
DGX Spark | GB10 128 GB
NVIDIA A100-SXM4-40GB | A100 40 GB
NVIDIA A100-PCIE-40GB | A100 40 GB
NVIDIA A100-SXM4-80GB | A100 80 GB
NVIDIA A100 80GB PCIe | A100 80 GB
a100 80 | !
NVIDIA A800-SXM4-80GB | A800 80 GB
NVIDIA A800 40GB Active | A800 40 GB
NVIDIA A30 | A30 24 GB
NVIDIA A10 | A10 24 GB
NVIDIA A10G | A10G 24 GB
NVIDIA A40 | A40 48 GB
L4 | L4 24 GB
NVIDIA L4 | L4 24 GB
NVIDIA L40 | L40 48 GB
NVIDIA L40S | L40S 48 GB
Tesla T4 | T4 16 GB
Tesla V100-SXM2-32GB | V100 32 GB
Tesla V100-PCIE-16GB | V100 16 GB
NVIDIA GeForce RTX 4090 | RTX 4090 24 GB
rtx4090 | RTX 4090 24 GB
4090 | RTX 4090 24 GB
ＲＴＸ４０９０ | RTX 4090 24 GB
RTX 4090 ラップトップ | RTX 4090 Laptop 16 GB
RTX 4090 ゲーミング | !
NVIDIA GeForce RTX 4090 D | RTX 4090 D 24 GB
NVIDIA GeForce RTX 4090 Laptop GPU | RTX 4090 Laptop 16 GB
RTX 4090 mobile | RTX 4090 Laptop 16 GB
RTX 4090 16 GB | !
NVIDIA GeForce RTX 4070 Ti SUPER | RTX 4070 Ti Super 16 GB
NVIDIA GeForce RTX 3090 | RTX 3090 24 GB
GA102 [GeForce RTX 3090] | RTX 3090 24 GB
GA106 [GeForce RTX 3060 Lite Hash Rate] | RTX 3060 12 GB
AD106M [GeForce RTX 4070 Max-Q / Mobile] | RTX 4070 Laptop 8 GB
NVIDIA GeForce RTX 5090 | RTX 5090 32 GB
NVIDIA GeForce RTX 5090 Laptop GPU | RTX 5090 Laptop 24 GB
NVIDIA GeForce RTX 5090 D v2 | RTX 5090 D v2 24 GB
NVIDIA GeForce RTX 2080 SUPER | RTX 2080 Super 8 GB
NVIDIA GeForce RTX 2070 with Max-Q Design | !
NVIDIA GeForce RTX 5050 Laptop GPU | RTX 5050 Laptop 8 GB
NVIDIA RTX 5880 Ada Generation | RTX 5880 Ada 48 GB
NVIDIA RTX A2000 | RTX A2000 6 GB
NVIDIA RTX A2000 12GB | RTX A2000 12 GB
NVIDIA RTX A5000 Laptop GPU | RTX A5000 Laptop 16 GB
NVIDIA RTX A6000 | RTX A6000 48 GB
A6000 | RTX A6000 48 GB
NVIDIA RTX 6000 Ada Generation | RTX 6000 Ada 48 GB
Quadro RTX 6000 | Quadro RTX 6000 24 GB
RTX 6000 | !
NVIDIA RTX PRO 5000 Blackwell | RTX PRO 5000 48 GB
NVIDIA RTX PRO 6000 Blackwell Server Edition | RTX PRO 6000 96 GB
NVIDIA RTX PRO 6000 Blackwell Workstation Edition | RTX PRO 6000 Workstation 96 GB
RTX_PRO_6000_WS | RTX PRO 6000 Workstation 96 GB
RTX PRO 6000 S | RTX PRO 6000 96 GB
RTX 4000 Ada SFF | RTX 4000 SFF Ada 20 GB
RTX_4080S | RTX 4080 Super 16 GB
NvidiaTeslaT4 | T4 16 GB
RTX 6000 Pro Blackwell | RTX PRO 6000 96 GB
NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition | RTX PRO 6000 Max-Q 96 GB
AMD Instinct MI300X | MI300X 192 GB
AMD Instinct MI300X OAM | MI300X 192 GB
AMD Instinct MI300X VF | MI300X 192 GB
Aldebaran/MI200 [Instinct MI250X/MI250] | MI250X 64 GB
AMD Instinct MI210 | MI210 64 GB
AMD Instinct MI325X | MI325X 256 GB
AMD_Instinct_MI355_OAM | MI355X 288 GB
AMD Radeon RX 7900 XTX | RX 7900 XTX 24 GB
AMD Radeon PRO W7900 | PRO W7900 48 GB
AMD Radeon Pro W7900 Dual Slot | PRO W7900 48 GB
AMD Radeon Pro W7800 | PRO W7800 32 GB
Navi 31 [Radeon Pro W7800 48GB] | PRO W7800 48 GB
NVIDIA A100-SXM4-80GB MIG 3g.40gb | A100 80 GB MIG 3g.40gb
A100 MIG 3g.20gb | A100 40 GB MIG 3g.20gb
NVIDIA H100 80GB HBM3 MIG 1g.10gb+me | H100 80 GB MIG 1g.10gb
H200 1g.18gb | H200 141 GB MIG 1g.18gb
A30 MIG 2g.12gb | A30 24 GB MIG 2g.12gb
NVIDIA-A100-SXM4-80GB-MIG-1g.10gb-SHARED | A100 80 GB MIG 1g.10gb
NVIDIA GH200 480GB MIG 2g.24gb | GH200 96 GB MIG 2g.24gb
NVIDIA B200 MIG 3g.90gb | B200 180 GB MIG 3g.90gb
NVIDIA B300 SXM6 AC MIG 1g.34gb | B300 288 GB MIG 1g.34gb
NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb+gfx | RTX PRO 6000 96 GB MIG 1g.24gb
A100 MIG 5g.40gb | !
RTX 4090 MIG 1g.10gb | !
A100 | several
A100 MIG 1g.10gb | several
RTX 3080 | several
RTX 4060 Ti | several
A200 | !
NVIDIA A16-8Q | !
NVIDIA H100L-1-12C | !
AMD Radeon Graphics | !
Quadro RTX 5000 with Max-Q Design | !
GTX 1080 Ti | !
Tesla P100-PCIE-16GB | !
Apple M3 Max | !
Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M] | !
NVIDIA | !
8x H100 | count
H100:8 | count
2 × RTX 3090 | count
A100 40GB x4 | count
A100-SXM4-80GB*8 | count
8 H100 | count
x8 H100 | count
H100 (8x) | count
4090 x2 | count
A100-SXM4-80GB, 8x | count
8x H1000 | !
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in MEANT.strip().splitlines()]


@pytest.mark.parametrize(("text", "name"), ROWS)
def test_a_name_means_one_gpu_or_is_refused(text: str, name: str) -> None:
    refusals = {
        "!": "names no GPU that is known; the nearest are",
        "several": "names several GPUs; choose one",
        "count": r"give the name alone, and their number as --gpus \d$",
    }
    if (words := refusals.get(name)) is None:
        assert gpu_named(text).name == name
        return
    with pytest.raises(BadInput, match=words) as error:
        gpu_named(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("memory", [None, 80.0])
def test_an_empty_name_is_refused_also_with_a_memory(memory: float | None) -> None:
    with pytest.raises(BadInput, match="--gpu is empty; give the name"):
        gpu_named(" ", memory)


def test_the_table_is_large_and_every_name_in_it_is_its_own() -> None:
    assert len(ROWS) >= 60
    for gpu in (*GPUS, *OTHERS):
        assert gpu_named(gpu.name) == gpu
        assert min(gpu.gigabytes, gpu.teraflops, gpu.terabytes) > 0


@pytest.mark.parametrize(
    ("name", "bytes_reported"),
    [  # by torch.cuda.get_device_properties, and messages of PyTorch that a GPU is full
        ("H100 80 GB", 85_029_158_912),
        ("H100 PCIe 80 GB", 81_008 * 2**20),
        ("H20 96 GB", 97_285 * 2**20),
        ("B200 180 GB", 182_642 * 2**20),
        ("GB300 288 GB", 276.5 * 2**30),
        ("L4 24 GB", 22_563 * 2**20),
        ("T4 16 GB", 14_913 * 2**20),
        ("RTX 3060 12 GB", 11_907 * 2**20),
        ("RTX 4090 24 GB", 23.52 * 2**30),
        ("RTX 6000 Ada 48 GB", 47.4 * 2**30),
        ("RTX PRO 6000 96 GB", 97_247 * 2**20),
        ("V100 16 GB", 16.94e9),
        ("MI300X 192 GB", 196_592 * 2**20),
    ],
)
def test_memory_is_what_cuda_reports(name: str, bytes_reported: float) -> None:
    assert gpu_named(name).gigabytes * 1e9 == pytest.approx(bytes_reported, rel=0.003)


@pytest.mark.parametrize(
    ("names", "bits"),
    [
        ("V100 32 GB, A100 80 GB, MI250X, RX 7900 XTX", 16),
        ("L4, RTX 4090, H100, MI300X, MI355X, RX 9070 XT", 8),
        ("B200, RTX 5090, GB10", 4),
    ],
)
def test_which_gpus_multiply_fewer_bits_faster(names: str, bits: int) -> None:
    for gpu in map(gpu_named, names.split(", ")):
        assert gpu.fewest_bits == bits, gpu.name
        assert Size(32.0, Need("", 32.0), multiplied=8).times(gpu) == (2 if bits <= 8 else 1)


def test_a_slice_is_a_part_of_its_gpu() -> None:
    """A100-SXM4-80GB, 3g.40gb: 3 of 7 parts of the compute, half of the memory (nvidia-smi: 40,192 MiB)."""
    whole, part = gpu_named("A100 80GB"), gpu_named("A100 80GB MIG 3g.40gb")
    assert part.gigabytes == pytest.approx(40_192 * 2**20 / 1e9, rel=0.03)
    assert part.teraflops == pytest.approx(whole.teraflops * 3 / 7)
    assert part.terabytes == pytest.approx(whole.terabytes / 2)
    small = need_of(KNOWN_MODELS[6], part)
    with pytest.raises(BadInput, match=r"2 x A100 80 GB MIG 3g.40gb leave it 37 GB"):
        choose(small, [part] * 2)  # over which vLLM cannot split it


def test_memory_that_is_given_makes_any_name_good() -> None:
    unknown = gpu_named("Brand new 9000", 16)
    assert (unknown.name, unknown.teraflops) == ("Brand new 9000", 0)
    assert 0.9 * 16 < unknown.gigabytes / 1.073741824 < 16
    assert gpu_named("RTX 4090", 24) == gpu_named("RTX 4090")
    modded = gpu_named("RTX 4090", 48)
    assert (modded.teraflops, modded.name) == (gpu_named("RTX 4090").teraflops, "RTX 4090 (48 GB)")
    assert gpu_named("A100", 80) == gpu_named("A100 80 GB"), "the memory decides between several"


@pytest.mark.parametrize(
    ("name", "mebibytes", "known"),
    [
        ("NVIDIA H100 80GB HBM3", 81559, "H100 80 GB"),
        ("NVIDIA A100-SXM4-40GB", 40960, "A100 40 GB"),
        ("NVIDIA A100-SXM4-80GB", 81920, "A100 80 GB"),
        ("NVIDIA GeForce RTX 4090", 24564, "RTX 4090 24 GB"),
        ("NVIDIA GeForce RTX 4090", 49140, "NVIDIA GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16376, "RTX 4090 Laptop 16 GB"),
        ("Tesla V100-SXM2-32GB", 32768, "V100 32 GB"),
        ("Tesla T4", 15360, "T4 16 GB"),
        ("NVIDIA L4", 23034, "L4 24 GB"),
        ("NVIDIA L40S", 46068, "L40S 48 GB"),
        ("NVIDIA H200", 143771, "H200 141 GB"),
        ("NVIDIA Brand New", 100_000, "NVIDIA Brand New"),
    ],
)
def test_what_nvidia_smi_says_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mebibytes: int, known: str
) -> None:
    lost = f"{name}, [GPU is lost], [GPU is lost]"
    _smi(tmp_path, f"{name}, {mebibytes}, [N/A]\n{lost}\n{name}, {mebibytes}, Disabled\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu.name for gpu in local_gpus()] == [known, known]
    assert all(gpu.gigabytes == pytest.approx(mebibytes * 2**20 / 1e9, rel=0.06) for gpu in local_gpus())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert [gpu.name for gpu in local_gpus()] == [known, known]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert [gpu.name for gpu in local_gpus()] == [known]


@pytest.mark.parametrize(
    ("visible", "here"),
    [
        ("", ""),
        ("-1", ""),
        ("1, -1, 0", "L4 24 GB"),
        ("GPU-b", "L4 24 GB"),
        ("GPU-aa2,GPU-b,0", "T4 16 GB, L4 24 GB, T4 16 GB"),
        ("GPU-a", ""),
        ("9", ""),
    ],
)
def test_the_gpus_here_are_those_that_cuda_shows(
    visible: str, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = {"Tesla T4": "GPU-aa1", "NVIDIA L4": "GPU-bb1", "Tesla  T4": "GPU-aa2"}
    listed = "".join(f"GPU {at}: {name} (UUID: {uuid})\n" for at, (name, uuid) in enumerate(uuids.items()))
    _smi(
        tmp_path,
        "".join(f"{name}, 15360, [N/A]\n" for name in uuids).replace("L4, 15360", "L4, 23034"),
        listed,
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert ", ".join(gpu.name for gpu in local_gpus()) == here


def test_a_gpu_that_shares_the_machines_memory_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _smi(tmp_path, "NVIDIA GB10, [N/A], [N/A]\nNVIDIA Brand New, [N/A], [N/A]\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert local_gpus() == (gpu_named("DGX Spark"),)


def test_of_a_gpu_in_slices_one_slice_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)\n  MIG 3g.40gb     Device  0: (UUID: MIG-1)\n"
    _smi(tmp_path, "NVIDIA A100-SXM4-80GB, 81920, Enabled\n", listed)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert [gpu.name for gpu in local_gpus()] == ["A100 80 GB MIG 3g.40gb"]


def _smi(folder: Path, queried: str, listed: str = "") -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"""#!/bin/sh
if [ "$1" = -L ]; then printf '%s' '{listed}'; else printf '%s' '{queried}'; fi
""")
    program.chmod(0o755)
