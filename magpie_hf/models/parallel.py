"""Which parallel sizes of a model fit which GPUs, and the choice among them.

Not here: the GPUs of this machine.

Memory is in gigabytes of 10^9 bytes, as CUDA reports it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from magpie_hf.errors import BadInput
from magpie_hf.models.gpus import AMPERE, GPUS, Gpu
from magpie_hf.models.known import KNOWN_MODELS, KnownModel, KnownScorer
from magpie_hf.models.quantised import INT4_SHARE, SMALLER
from magpie_hf.models.shapes import SHAPES, Shape
from magpie_hf.text.language import tr

# Tokens of a full-length sequence with the default domains: 1,024 of instructions, 1,024 of problem, 4,096 of
# answer
CONTEXT = 6144
# Full-length sequences at once that count as a comfortable cache; most requests are shorter, so about twice
# as many run
SEQUENCES = 32
# GB per GPU for activations, CUDA graphs and what is not split evenly: an assumption, so that what fits by it
# fits; what is likely taken is less (planning/speeds.py)
OVERHEAD = 3.0
# The same without CUDA graphs and with prefills of at most TIGHT_BATCH tokens; an assumption, too
TIGHT_OVERHEAD = 1.5
TIGHT_BATCH = 2048
TIGHT_UTILIZATION = 0.95
LEAST_CONTEXT = 4096  # tokens below which a context is too short for a problem with its answer
UTILIZATION = 0.9  # share of a GPU's memory for vLLM; the CUDA context and libraries take the rest
NODE = 8  # GPUs of one machine
NO_FLOAT16 = (4,)  # numbered models that are numerically unstable in float16, so vLLM does not run them in it


@dataclass(frozen=True)
class Need:
    """The memory a model needs: gigabytes of weights, and the shape that gives its heads and cache.

    Without a shape, neither heads nor cache are counted. overhead: gigabytes on each GPU beside weights and
    cache. longest: the bound on the context, None for the model's own. wide: whether the weights have 16 bits
    or more. smaller: models of the same kind, with their weights. asked: tokens of the longest request, None
    where that is not known.
    """

    title: str
    weights: float
    shape: Shape | None = None
    value_bytes: int = 2
    overhead: float = OVERHEAD
    longest: int | None = None
    wide: bool = True
    smaller: tuple[tuple[str, float], ...] = ()
    asked: int | None = None

    @property
    def request(self) -> int:
        """Tokens of the longest request, for which vLLM must have room before it starts."""
        asked = self.asked or CONTEXT
        return min(asked, (self.shape and self.shape.longest) or asked, self.longest or asked)

    @property
    def context(self) -> int:
        """Tokens of a sequence, by which a comfortable cache counts: few requests reach a large bound."""
        return min(CONTEXT, self.request)

    def cache(self, sequences: int = SEQUENCES, tensor: int = 1) -> float:
        """Gigabytes of cache on each of `tensor` GPUs for this many full-length sequences at once."""
        return (
            sequences * self.shape.cache_gigabytes(self.context, tensor, self.value_bytes)
            if self.shape
            else 0.0
        )

    def refusal(self, tensor: int) -> str | None:
        return self.shape.refusal(tensor) if self.shape else None

    def free(self, tensor: int, gpu: Gpu, utilization: float = UTILIZATION) -> float:
        """Gigabytes of each GPU that are left for the cache; below 0 where the weights do not fit."""
        return utilization * gpu.gigabytes - self.weights / tensor - self.overhead

    def of_request(self, tensor: int = 1) -> float:
        """Gigabytes of cache on each of `tensor` GPUs for the longest request."""
        return self.shape.cache_gigabytes(self.request, tensor, self.value_bytes) if self.shape else 0.0

    def requests(self, tensor: int, gpu: Gpu, utilization: float = UTILIZATION) -> int:
        """How many of the longest requests fit at once; 0 where the model does not fit."""
        free, one = self.free(tensor, gpu, utilization), self.of_request(tensor)
        return max(0, int(free / one if one else (SEQUENCES if free > 0 else 0)))

    def sequences(self, tensor: int, gpu: Gpu, utilization: float = UTILIZATION) -> int:
        """How many sequences fit at once, at most SEQUENCES; 0 where the model or a request does not fit."""
        free, one = self.free(tensor, gpu, utilization), self.cache(1, tensor)
        if not self.requests(tensor, gpu, utilization):
            return 0
        return max(0, int(min(SEQUENCES, free / one if one else SEQUENCES)))


def need_of(info: KnownModel | KnownScorer, gpu: Gpu, wide: bool = False) -> Need:
    """What a known model needs on this GPU.

    wide: as float32, which vLLM uses for Gemma 3 on GPUs without bfloat16.
    """
    number = info.number if isinstance(info, KnownModel) else 0
    factor = 2 if wide or (number in NO_FLOAT16 and 0 < gpu.capability < AMPERE) else 1
    return Need(
        info.title,
        info.weight_gigabytes * factor,
        SHAPES.get(number),
        2 * factor,
        longest=info.context if isinstance(info, KnownScorer) else None,
        wide=getattr(info, "bytes_per_parameter", 2) >= 2,
        smaller=SMALLER.get(number, ()),
    )


def as_given(
    need: Need,
    settings: Sequence[tuple[str, str]],
    longest: int | None = None,
    asked: int | None = None,
) -> Need:
    """What a model needs with vLLM's own arguments, as names and JSON, with a bound on its context, and with
    the tokens of the longest request.
    """
    given = dict(settings)
    batch = given.get("max_num_batched_tokens", "")
    tight = given.get("enforce_eager") == "true" and batch.isdecimal() and int(batch) <= TIGHT_BATCH
    small = given.get("kv_cache_dtype", "").strip('"').startswith(("fp8", "int8"))
    return replace(
        need,
        overhead=TIGHT_OVERHEAD if tight else need.overhead,
        value_bytes=1 if small else need.value_bytes,
        longest=need.longest if longest is None else longest,
        asked=asked,
    )


@dataclass(frozen=True)
class Parallelism:
    """`data` engines side by side, each over `tensor` GPUs; `why` explains the choice in one line."""

    tensor: int
    data: int
    why: str

    def __str__(self) -> str:
        return self.why


def sizes(need: Need, gpu: Gpu, most: int = NODE, utilization: float = UTILIZATION) -> dict[int, int]:
    """The tensor-parallel sizes up to `most` that fit, with the full-length sequences that each has room for.

    Empty where none fits. A model is not split over slices of GPUs.
    """
    most = 1 if gpu.is_slice else most
    split = [tensor for tensor in range(1, most + 1) if need.refusal(tensor) is None]
    return {tensor: sequences for tensor in split if (sequences := need.sequences(tensor, gpu, utilization))}


def choose(
    need: Need,
    gpus: Sequence[Gpu],
    utilization: float = UTILIZATION,
    tensor: int | None = None,
    data: int | None = None,
) -> Parallelism:
    """The parallelism of a model on these GPUs: the smallest comfortable tensor size, as many engines as fit.

    Where no size has a comfortable cache, the one with the most sequences is taken. A given size is kept and
    checked. The GPU with the least memory counts for all. Raises BadInput, before anything is loaded, where
    the memory does not suffice or a size does not go with the model.
    """
    if not gpus:
        raise BadInput(f"{need.title} is to be spread over GPUs, and there are none; use a machine with GPUs")
    gpu, count = min(gpus, key=lambda one: one.gigabytes), len(gpus)
    _check_given(need, count, tensor, data)
    fitting = sizes(need, gpu, count // (data or 1), utilization)
    if tensor is not None:
        fitting = {size: sequences for size, sequences in fitting.items() if size == tensor}
    if not fitting:
        raise BadInput(_too_large(need, gpus, gpu, utilization, tensor, data))
    best = max(fitting, key=lambda size: (fitting[size], -size))
    copies = data or count // best
    return Parallelism(
        best,
        copies,
        f"{_machine(gpus)}: {_why(need, best, copies, count, fitting[best], tensor is not None)}",
    )


def _check_given(need: Need, count: int, tensor: int | None, data: int | None) -> None:
    for name, size in (("tensor", tensor), ("data", data)):
        if size is not None and size < 1:
            raise BadInput(f"{name} parallel size is {size}; give at least 1")
        if size is not None and size > count:
            raise BadInput(
                f"{name} parallel size {size} exceeds the {count} GPUs of this machine; give at most {count}"
            )
    if tensor is not None and (why := need.refusal(tensor)):
        good = [size for size in range(1, count + 1) if need.refusal(size) is None]
        raise BadInput(
            f"tensor parallel size {tensor} of {need.title} {why}; give one of {', '.join(map(str, good))}"
        )
    if tensor is not None and data is not None and tensor * data > count:
        raise BadInput(
            f"tensor parallel size {tensor} times data parallel size {data} is {tensor * data}, and this"
            f" machine has {count} GPUs; give a data parallel size of at most {count // tensor}"
        )


def _too_large(
    need: Need, gpus: Sequence[Gpu], gpu: Gpu, utilization: float, tensor: int | None, data: int | None
) -> str:
    over = 1 if gpu.is_slice else tensor or len(gpus) // (data or 1)
    more = next((size for size in sizes(need, gpu, 2 * NODE, utilization) if size > over), None)
    smallest: dict[int, Gpu] = {}  # by the number of GPUs needed
    for other in sorted(GPUS, key=lambda one: one.gigabytes):
        smallest.setdefault(min(sizes(need, other), default=0), other)
    within = _tight(need, gpu, over)
    shorter = _shorter(need, gpu, over, utilization)
    ways = [f"{_machine(gpus)} ({way})" for way in (shorter or within,) if way]
    ways += [tr("{count} of these GPUs", count=more)] if more else []
    ways += [f"{found} x {other.name}" for found, other in smallest.items() if found and found != more]
    given = f" at tensor parallel size {tensor}" if tensor else f" for each of {data} engines" if data else ""
    fits = tr(" or ").join(ways) or "no single machine"
    has = f"{_machine(gpus)} leave it {over * gpu.gigabytes * utilization:.0f} GB{given}"
    return (
        f"{need.title} needs about {_gigabytes(need.weights)} for its weights, {need.overhead:g} GB a GPU to"
        f" work in and {need.of_request():.1f} GB a request of {need.request:,} tokens, and {has}; nothing"
        f" was downloaded: it would fit {fits}, else use a smaller"
        f" model{_smaller(need, gpu, over, utilization)}"
    )


def _smaller(need: Need, gpu: Gpu, over: int, utilization: float) -> str:
    """The models of the same kind that fit, with their weights and what else they ask for.

    They count with the cache of the larger model, which is at least theirs.
    """
    copy = "AWQ/GPTQ 4-bit"
    known = need.smaller or (((copy, need.weights * INT4_SHARE),) if need.wide and need.shape else ())
    fitting = []
    for name, weights in known:
        other = replace(need, weights=weights)
        if sizes(other, gpu, over, utilization):
            fitting.append(f"{name} ({_gigabytes(weights)})")
        elif within := _tight(other, gpu, over):
            fitting.append(f"{name} ({_gigabytes(weights)}; {within})")
    return f": {', '.join(fitting)}" if fitting else ""


def _shorter(need: Need, gpu: Gpu, over: int, utilization: float) -> str:
    """The bound on the context with which a model fits that has no room for its longest request."""
    most = 1 if gpu.is_slice else over
    split = [tensor for tensor in range(1, most + 1) if need.refusal(tensor) is None]
    if not need.shape or not split:
        return ""
    token = need.of_request(max(split)) / need.request
    context = int(need.free(max(split), gpu, utilization) / token) // 256 * 256
    return f"--max-model-len {context}" if LEAST_CONTEXT <= context < need.request else ""


def _tight(need: Need, gpu: Gpu, over: int) -> str:
    """The options with which a model just fits, with the longest context left; "" where it does not."""
    split = [tensor for tensor in range(1, over + 1) if need.refusal(tensor) is None]
    if not need.shape or not split:
        return ""
    tensor = max(split)
    free = TIGHT_UTILIZATION * gpu.gigabytes - need.weights / tensor - TIGHT_OVERHEAD
    token = need.shape.cache_gigabytes(CONTEXT, tensor, need.value_bytes) / CONTEXT
    context = min(int(free / token) // 256 * 256, need.request)
    if context < LEAST_CONTEXT:
        return ""
    return (
        f"--gpu-memory-utilization {TIGHT_UTILIZATION} --max-model-len {context} --engine-arg"
        f" enforce_eager=true --engine-arg max_num_batched_tokens={TIGHT_BATCH}"
    )


def _why(need: Need, tensor: int, data: int, count: int, sequences: int, given: bool) -> str:
    what = tr("tensor-parallel {tensor}", tensor=tensor) if tensor > 1 else tr("one GPU an engine")
    beside = tr(", {data} engines side by side", data=data) if data > 1 else ""
    weights = tr("{size} of weights", size=_gigabytes(need.weights))
    load = weights
    if need.shape:
        cache = tr(
            "{size} of cache ({count} requests of {tokens:,} tokens)",
            size=_gigabytes(need.cache()),
            count=SEQUENCES,
            tokens=need.context,
        )
        load = tr("{weights} and {cache}", weights=weights, cache=cache)
    whole = (
        tr("{count} full-length sequences", count=sequences)
        if sequences > 1
        else tr("1 full-length sequence")
    )
    if given:
        why = (
            tr(", as given; there is room for {whole} at once", whole=whole)
            if sequences < SEQUENCES
            else tr(", as given")
        )
    elif sequences < SEQUENCES:
        why = tr(", with room for only {whole} at once beside {weights}", whole=whole, weights=weights)
    elif tensor == 1:
        why = tr(", because {load} fit one", load=load)
    else:
        why = (
            tr(", because {load} do not fit one", load=load)
            if tensor == 2
            else tr(", because {load} do not fit fewer", load=load)
        )
    idle = count - tensor * data
    return f"{what}{beside}{why}" + (
        tr("; {idle} GPUs stay idle", idle=idle) if idle > 1 else tr("; 1 GPU stays idle") if idle else ""
    )


def _gigabytes(size: float) -> str:
    return f"{size:.0f} GB" if size >= 10 else f"{size:.1f} GB"


def _machine(gpus: Sequence[Gpu]) -> str:
    return tr(" and ").join(f"{count} x {name}" for name, count in Counter(gpu.name for gpu in gpus).items())


def table() -> str:
    """The six models and common GPUs as a Markdown table of tensor-parallel sizes on a machine of eight GPUs.

    A size in brackets leaves a small cache.
    """

    def cell(model: KnownModel, gpu: Gpu) -> str:
        found = sizes(need_of(model, gpu), gpu)
        return (
            ", ".join(
                str(size) if sequences >= SEQUENCES else f"({size})" for size, sequences in found.items()
            )
            or "none"
        )

    models = KNOWN_MODELS.values()
    lines = [
        "| GPU | " + " | ".join(f"{model.number}: {model.weight_gigabytes:.0f} GB" for model in models) + " |"
    ]
    lines += ["|---" * (len(models) + 1) + "|"]
    lines += [f"| {gpu.name} | " + " | ".join(cell(model, gpu) for model in models) + " |" for gpu in GPUS]
    return "\n".join(lines)
