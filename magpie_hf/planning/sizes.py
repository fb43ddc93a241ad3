"""Models' sizes: parameters that a token uses, and the memory that a model takes up.

Not here: the GPUs that hold it (machines.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from magpie_hf.engines.vllm.arguments import Settings
from magpie_hf.engines.vllm.device import weights_gigabytes
from magpie_hf.models.gpus import Gpu
from magpie_hf.models.known import KnownModel, known
from magpie_hf.models.model import config_of
from magpie_hf.models.parallel import Need, as_given, need_of
from magpie_hf.models.quantised import active, parameters, quantised
from magpie_hf.models.shapes import shape_of
from magpie_hf.planning.asking import patiently, unresolved, why_not

ACTIVE = {3: 37.0}  # billions of parameters a token uses, for numbered models that are mixtures of experts
NVFP4 = (3,)  # numbered models in it


@dataclass(frozen=True)
class Size:
    """A model's size: billions of parameters that one token uses, and the memory that it takes up.

    multiplied: bits in which its weights are multiplied, by a GPU that can.
    """

    active: float
    need: Need
    multiplied: int = 16

    def times(self, gpu: Gpu) -> int:
        """How many times the 16-bit FLOP/s this GPU reaches with such weights."""
        can = gpu.fewest_bits
        return 16 // max(self.multiplied, can) if self.multiplied >= can else 1


@dataclass(frozen=True)
class Sized:
    """A model with its size, or with the reason why the size is not known.

    settings, longest: vLLM's own arguments, and the bound on its context. int4: the method of weights that
    are quantised to integers of four bits.
    """

    source: str
    size: Size | None
    why: str = ""
    settings: Settings = ()
    longest: int | None = None
    int4: str = ""

    @property
    def weights(self) -> float | None:
        """Gigabytes of weights; None where not known."""
        return self.size.need.weights if self.size else None

    def on(self, gpu: Gpu) -> Size | None:
        """Its size on this GPU: some known models take up more on older ones."""
        info = known(self.source)
        if self.size is None or info is None:
            return self.size
        return replace(
            self.size, need=as_given(need_of(info, gpu), self.settings, self.longest, self.size.need.asked)
        )


def sized(
    source: str,
    revision: str | None,
    settings: Settings = (),
    longest: int | None = None,
    asked: int | None = None,
) -> Sized:
    """The size of a model, with vLLM's own arguments, a bound on its context, and its longest request.

    A known model needs no look-up. Of another one the Hub is asked for a small file or two, for at most
    PATIENCE seconds.
    """
    if (info := known(source)) is not None:
        number = info.number if isinstance(info, KnownModel) else 0
        need = as_given(need_of(info, Gpu("", 0)), settings, longest, asked)
        return Sized(
            source,
            Size(ACTIVE.get(number, info.parameters), need, 4 if number in NVFP4 else 16),
            "",
            settings,
            longest,
        )
    model = unresolved(source, revision)
    try:
        weights, config = patiently(lambda: (weights_gigabytes(model), config_of(model)))
    except (OSError, ValueError) as error:  # huggingface_hub's, of a refusal or a name that it does not allow
        return Sized(source, None, why_not(error))
    if weights is None:
        return Sized(source, None, "it has no index of its weights")
    used, how = active(parameters(weights, config), config), quantised(config)
    wide = "quantization_config" not in config
    need = as_given(Need(model.short_name, weights, shape_of(config), wide=wide), settings, longest, asked)
    return Sized(
        source,
        Size(used, need, how.multiplied if how else 16),
        "",
        settings,
        longest,
        how.method if how and how.int4 else "",
    )
