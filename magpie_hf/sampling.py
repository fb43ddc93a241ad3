"""How a model is drawn from: the sampling parameters that determine a completion. Not here: the prompt, the seed, the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from magpie_hf.errors import BadInput


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters in vLLM's terms.

    temperature 0 is greedy; `min_p` drops tokens less likely than `min_p` times the likeliest; `max_tokens` bounds the completion;
    `logprobs` is the number of top log-probabilities wanted of the first token; `stop_token_ids` end the completion.

    Raises BadInput for a value outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    max_tokens: int = 1024
    repetition_penalty: float = 1.0
    logprobs: int = 0
    stop_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "min_p", "repetition_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise BadInput(f"{name} is {value!r}; give a finite number")
            object.__setattr__(self, name, float(value) + 0.0)  # 1 and 1.0 are the same sampling and must hash alike, as must -0.0 and 0
        if not 0 <= self.temperature <= 2:
            raise BadInput(f"temperature is {self.temperature:g}; give a number from 0 (greedy) to 2, which is vLLM's limit")
        if not 0 < self.top_p <= 1:
            raise BadInput(f"top_p is {self.top_p:g}; give a number above 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise BadInput(f"min_p is {self.min_p:g}; give a number from 0 to 1")
        if self.repetition_penalty <= 0:
            raise BadInput(f"repetition_penalty is {self.repetition_penalty:g}; give a number above 0")
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise BadInput(f"max_tokens is {self.max_tokens!r}; give a whole number of at least 1")
        if not 0 <= self.logprobs <= 20:
            raise BadInput(f"logprobs is {self.logprobs}; give a number from 0 to 20, which is vLLM's limit")
        object.__setattr__(self, "stop_token_ids", tuple(sorted(set(self.stop_token_ids))))
