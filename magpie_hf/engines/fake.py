"""An engine made from a function, for tests and dry runs of a pipeline. No model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from magpie_hf.engines.base import Completion, Engine
from magpie_hf.sampling import Sampling

Reply = Callable[[Sequence[int], Sampling, int], str | Completion]


@dataclass(frozen=True)
class FakeEngine(Engine):
    """Answers every request with `reply(prompt_ids, sampling, seed)`: a text that ended by itself, or a whole Completion.

    The function takes no part in the identity: the model's name and revision stand for what it says.
    """

    reply: Reply = field(compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        future: Future[Completion] = Future()
        answer = self.reply(prompt, sampling, seed)
        if not isinstance(answer, Completion):
            answer = Completion(answer, "stop", len(prompt), len(answer.split()) + 1)
        future.set_result(answer)
        return future
