"""How large a model is, for plans: what is known of it, else what its folder or the Hub says, else why nobody
knows.

Not here: speeds.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from magpie_hf.engines.vllm.device import weights_gigabytes
from magpie_hf.errors import BadInput
from magpie_hf.models.known import KnownModel, known
from magpie_hf.models.model import Model, json_of
from magpie_hf.models.parallel import Need, need_of
from magpie_hf.models.shapes import Gpu, shape_of
from magpie_hf.planning.roofline import ACTIVE, Size

PATIENCE = 5.0  # seconds that the Hub is waited for
LOOKING = "magpie-size"  # the thread that asks it


@dataclass(frozen=True)
class Sized:
    """A model's size on a GPU, or why it is not known."""

    source: str
    size: Size | None
    why: str = ""

    @property
    def weights(self) -> float | None:
        return self.size.need.weights if self.size else None

    def on(self, gpu: Gpu) -> Size | None:
        """Its size on this GPU, where a known model may take up more."""
        facts = known(self.source)
        return replace(self.size, need=need_of(facts, gpu)) if self.size and facts else self.size


def sized(source: str, revision: str | None) -> Sized:
    """The size of a model. The Hub is asked for a small file or two of a repository that is not known, and
    waited for only shortly.
    """
    if (facts := known(source)) is not None:
        number = facts.number if isinstance(facts, KnownModel) else 0
        return Sized(source, Size(ACTIVE.get(number, facts.parameters), need_of(facts, Gpu("", 0))))
    model = Model(source, revision or "main", path=source if Path(source).is_dir() else None)
    try:
        weights, config = _looked_up(model)
    except TimeoutError:
        return Sized(source, None, f"the Hub did not answer within {PATIENCE:.0f} seconds")
    except (
        OSError,
        ValueError,
    ) as error:  # huggingface_hub's, of a Hub that says no, and of a name that it does not allow; BadInput
        first = next(iter(str(error).splitlines()), "")
        return Sized(
            source, None, first if isinstance(error, BadInput) else f"{type(error).__name__}: {first}"
        )
    if weights is None:
        return Sized(source, None, "it has no index of its weights")
    stored = 4 if "float32" in str(config.get("dtype") or config.get("torch_dtype")) else 2
    active = (
        weights / stored
    )  # a mixture of experts may need less than all of its parameters; that is not told by its config
    return Sized(source, Size(active, Need(model.short_name, weights, shape_of(config))))


def _looked_up(model: Model) -> tuple[float | None, dict[str, Any]]:
    """Gigabytes of a model's weights, and its config. Raises TimeoutError after `PATIENCE`: the Hub's client
    tries again for longer.
    """
    found: Future[tuple[float | None, dict[str, Any]]] = Future()

    def look() -> None:
        try:
            _hush()
            found.set_result((weights_gigabytes(model), json_of(model, "config.json") or {}))
        except BaseException as error:  # raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=look, name=LOOKING, daemon=True).start()
    return found.result(PATIENCE)


def _hush() -> None:
    """Keep the Hub's client from telling each new try of a look-up; what came of it is said in one line."""
    from huggingface_hub.utils.logging import get_logger

    get_logger()  # which makes the handlers
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    return record.threadName != LOOKING
