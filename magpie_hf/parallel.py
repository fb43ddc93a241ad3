"""Which parallel sizes of a model fit which GPUs: arithmetic over parameter counts, and the choice. Not here: what a machine has (device.py).

Memory is counted in gigabytes of 10^9 bytes, in which vendors name it; CUDA reports a little more of every GPU below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.known import KNOWN_MODELS, KnownModel, KnownScorer

CONTEXT = 6144  # tokens of one whole request by the domains' defaults: 1,024 of what the model is told, 1,024 of problem, 4,096 of answer
SEQUENCES = 32  # whole requests at once that make a comfortable cache; most requests end far below the bound, so about twice as many run
OVERHEAD = 3.0  # GB a GPU for a step's activations, CUDA graphs and what is not split evenly; an assumption, not a measurement
UTILIZATION = 0.9  # share of a GPU's memory that vLLM is given; the rest is left to the CUDA context and to libraries
NODE = 8  # GPUs of one machine


@dataclass(frozen=True)
class Gpu:
    """A GPU: its memory, and its compute capability times ten (80 is Ampere), 0 where it is not known."""

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


@dataclass(frozen=True)
class Shape:
    """What of a model's config decides how it can be split, and how large its KV cache is.

    windowed layers keep the last `window` tokens alone. latent: values that a token keeps in a layer where all heads share them (MLA), which
    every GPU then holds whole; 0 for a cache by heads. longest: the model's own context, 0 where the config names none.
    """

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int = 0
    windowed: int = 0
    window: int = 0
    latent: int = 0
    longest: int = 0

    def refusal(self, tensor: int) -> str | None:
        """Why vLLM cannot split the model over this many GPUs, in its own terms; None where it can."""
        if self.heads % tensor:
            return f"does not divide its {self.heads} attention heads"
        if not self.latent and self.kv_heads % tensor and tensor % self.kv_heads:
            return f"neither divides its {self.kv_heads} key-value heads nor is a multiple of them"
        if self.feed_forward % tensor:
            return f"does not divide the {self.feed_forward:,} units of its feed-forward layers"
        return None

    def cache_gigabytes(self, tokens: int, tensor: int = 1, value_bytes: int = 2) -> float:
        """What the cache of one sequence of so many tokens takes on each of `tensor` GPUs; key-value heads are never halved."""
        values = self.latent or 2 * max(1, self.kv_heads // tensor) * self.head_size
        kept = (self.layers - self.windowed) * tokens + self.windowed * min(tokens, self.window)
        return values * kept * value_bytes / 1e9


# From the models' config.json. Experts of model 3 have 2,048 units and are split like the feed-forward layers of its first three layers.
SHAPES: dict[int, Shape] = {
    1: Shape(64, 40, 8, 128, feed_forward=27_648, longest=131_072),
    2: Shape(80, 64, 8, 128, feed_forward=28_672, longest=131_072),
    3: Shape(61, 128, 128, 192, feed_forward=2_048, latent=576, longest=163_840),
    4: Shape(62, 32, 16, 128, feed_forward=21_504, windowed=52, window=1024, longest=131_072),
    5: Shape(80, 64, 8, 128, feed_forward=29_568, longest=4096),
    6: Shape(64, 40, 8, 128, feed_forward=27_648, longest=32_768),
}


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a config.json tells, of the language model where it holds several; None where it names no layers or heads."""
    config = {**config, **(config.get("text_config") or {})}
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    if not layers or not heads:
        return None
    names = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num")
    kinds = list(config.get("layer_types") or ())
    latent = (config.get("kv_lora_rank") or 0) and config["kv_lora_rank"] + (config.get("qk_rope_head_dim") or 0)
    return Shape(
        layers,
        heads,
        next((config[name] for name in names if config.get(name)), heads),
        config.get("head_dim") or (config.get("hidden_size") or 0) // heads,
        feed_forward=config.get("moe_intermediate_size") or config.get("intermediate_size") or 0,
        windowed=kinds.count("sliding_attention"),
        window=config.get("sliding_window") or 0,
        latent=latent,
        longest=config.get("max_position_embeddings") or 0,
    )


@dataclass(frozen=True)
class Need:
    """What a model takes up: gigabytes of weights, and a shape, without which neither heads nor cache are counted."""

    title: str
    weights: float
    shape: Shape | None = None
    value_bytes: int = 2

    @property
    def context(self) -> int:
        return min(CONTEXT, self.shape.longest or CONTEXT) if self.shape else CONTEXT

    def cache(self, sequences: int = SEQUENCES, tensor: int = 1) -> float:
        """Gigabytes of cache on each of `tensor` GPUs for so many whole requests at once."""
        return sequences * self.shape.cache_gigabytes(self.context, tensor, self.value_bytes) if self.shape else 0.0

    def refusal(self, tensor: int) -> str | None:
        return self.shape.refusal(tensor) if self.shape else None

    def room(self, tensor: int, gpu: Gpu, utilization: float = UTILIZATION) -> int:
        """How many whole requests at once its cache has room for, at most SEQUENCES; 0 where the model does not fit."""
        free = utilization * gpu.gigabytes - self.weights / tensor - OVERHEAD
        one = self.cache(1, tensor)
        return max(0, int(min(SEQUENCES, free / one if one else (SEQUENCES if free > 0 else 0))))


def need_of(facts: KnownModel | KnownScorer, wide: bool = False) -> Need:
    """What a known model takes up. wide: as float32, of two bytes before."""
    factor = 2 if wide else 1
    shape = SHAPES[facts.number] if isinstance(facts, KnownModel) else None
    return Need(facts.title, facts.weight_gigabytes * factor, shape, 2 * factor)


@dataclass(frozen=True)
class Layout:
    """`data` engines side by side, each spread over `tensor` GPUs; `why` says so in one line."""

    tensor: int
    data: int
    why: str

    def __str__(self) -> str:
        return self.why


def sizes(need: Need, gpu: Gpu, most: int = NODE, utilization: float = UTILIZATION) -> dict[int, int]:
    """The tensor-parallel sizes up to `most` that fit, each with its room for whole requests; empty where none does."""
    split = [tensor for tensor in range(1, most + 1) if need.refusal(tensor) is None]
    return {tensor: room for tensor in split if (room := need.room(tensor, gpu, utilization))}


def choose(
    need: Need, gpus: Sequence[Gpu], utilization: float = UTILIZATION, tensor: int | None = None, data: int | None = None
) -> Layout:
    """How to lay a model out over these GPUs: the smallest tensor-parallel size with a comfortable cache, as often as it goes.

    Where no size is comfortable, the one with the most room. A size that is given is kept, and checked. The smallest GPU counts for all.
    Raises BadInput, before anything is loaded, where the GPUs do not suffice or the sizes do not go with the model.
    """
    if not gpus:
        raise BadInput(f"{need.title} is to be spread over GPUs, and there are none; use a machine with GPUs")
    gpu, count = min(gpus, key=lambda one: one.gigabytes), len(gpus)
    _check_given(need, count, tensor, data)
    fitting = sizes(need, gpu, count // (data or 1), utilization)
    if tensor is not None:
        fitting = {size: room for size, room in fitting.items() if size == tensor}
    if not fitting:
        raise BadInput(_too_large(need, gpus, gpu, utilization, tensor, data))
    best = max(fitting, key=lambda size: (fitting[size], -size))
    copies = data or count // best
    return Layout(best, copies, f"{_machine(gpus)}: {_told(need, best, copies, count, fitting[best], tensor is not None)}")


def _check_given(need: Need, count: int, tensor: int | None, data: int | None) -> None:
    for name, size in (("tensor", tensor), ("data", data)):
        if size is not None and size < 1:
            raise BadInput(f"{name} parallel size is {size}; give at least 1")
        if size is not None and size > count:
            raise BadInput(f"{name} parallel size {size} exceeds the {count} GPUs of this machine; give at most {count}")
    if tensor is not None and (why := need.refusal(tensor)):
        good = [size for size in range(1, count + 1) if need.refusal(size) is None]
        raise BadInput(f"tensor parallel size {tensor} of {need.title} {why}; give one of {', '.join(map(str, good))}")
    if tensor is not None and data is not None and tensor * data > count:
        raise BadInput(
            f"tensor parallel size {tensor} times data parallel size {data} is {tensor * data}, and this machine has {count} GPUs; "
            f"give a data parallel size of at most {count // tensor}"
        )


def _too_large(need: Need, gpus: Sequence[Gpu], gpu: Gpu, utilization: float, tensor: int | None, data: int | None) -> str:
    over = tensor or len(gpus) // (data or 1)
    more = next((size for size in sizes(need, gpu, 2 * NODE, utilization) if size > over), None)
    others = [f"{found} x {other.name}" for other in GPUS if (found := min(sizes(need, other), default=0))]
    ways = [*([f"{more} of these GPUs"] if more else []), *others]
    given = f" at tensor parallel size {tensor}" if tensor else f" for each of {data} engines" if data else ""
    return (
        f"{need.title} needs about {need.weights:.0f} GB for its weights, {OVERHEAD:.0f} GB a GPU to work in and {need.cache(1):.1f} GB a "
        f"request, and {_machine(gpus)} leave it {over * gpu.gigabytes * utilization:.0f} GB{given}; nothing was downloaded: "
        f"it would fit {' or '.join(ways) or 'no single machine'}, else use a smaller model"
    )


def _told(need: Need, tensor: int, data: int, count: int, room: int, given: bool) -> str:
    what = f"tensor-parallel {tensor}" if tensor > 1 else "one GPU an engine"
    beside = f", {data} engines side by side" if data > 1 else ""
    load = f"{need.weights:.0f} GB of weights"
    if need.shape:
        load += f" and {need.cache():.0f} GB of cache, which is {SEQUENCES} requests of {need.context:,} tokens,"
    if given:
        why = f", as given; there is room for {room} whole requests at once" if room < SEQUENCES else ", as given"
    elif room < SEQUENCES:
        why = f", because {load} fit no better; there is room for {room} whole requests at once"
    else:
        why = f", because {load} {'do not fit fewer' if tensor > 1 else 'fit one'}"
    idle = count - tensor * data
    return f"{what}{beside}{why}" + (f"; {idle} GPU{'s stay' if idle > 1 else ' stays'} idle" if idle else "")


def _machine(gpus: Sequence[Gpu]) -> str:
    return " and ".join(f"{count} x {name}" for name, count in Counter(gpu.name for gpu in gpus).items())


def table() -> str:
    """The six models and common GPUs as a Markdown table: the sizes that fit a machine of eight, in brackets those with a small cache."""

    def cell(model: KnownModel, gpu: Gpu) -> str:
        found = sizes(need_of(model), gpu)
        return ", ".join(str(size) if room >= SEQUENCES else f"({size})" for size, room in found.items()) or "none"

    models = KNOWN_MODELS.values()
    lines = ["| GPU | " + " | ".join(f"{model.number}: {model.weight_gigabytes:.0f} GB" for model in models) + " |"]
    lines += ["|---" * (len(models) + 1) + "|"]
    lines += [f"| {gpu.name} | " + " | ".join(cell(model, gpu) for model in models) + " |" for gpu in GPUS]
    return "\n".join(lines)
