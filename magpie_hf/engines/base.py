"""The seam between stages and whatever completes prompts. Engines know no chat template, no domain and no dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from magpie_hf.models import Model
from magpie_hf.sampling import Sampling

NO_ROOM = "no_room"  # the finish reason of a prompt that leaves the model no room for a single token


@dataclass(frozen=True)
class Completion:
    """What came of one request.

    finish_reason: "stop" (ended by itself), "length" (cut at max_tokens or at the model's limit) or "no_room" (never sent: the prompt
    fills the model's whole context). num_tokens counts the completion, with its end token. first: top log-probabilities of the
    first token as (token id, log-probability), likeliest first, where the sampling asked for them.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    num_tokens: int
    first: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Engine:
    """A spec of an engine: it compares and pickles by the model it runs. The live engine is opened by the first call."""

    model: Model

    def identity(self) -> Model:
        """What a model is belongs to the data; where it runs does not."""
        return self.model

    def complete(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """One completion a prompt, in order; blocks until all are done. Safe to call from many threads at once.

        Raises EngineError where the engine cannot start or dies.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raises BadInput where this engine cannot run its model here. Loads and downloads nothing."""

    def close(self) -> None:
        """Release the live engine, if one was opened. A later `complete` opens another."""
