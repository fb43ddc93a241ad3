"""An engine made from a function, for tests and dry runs of a pipeline.

Not here: any model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from magpie_hf.engines.base import Completion, Engine, Pooling, Rating, finite
from magpie_hf.models.sampling import Sampling

Reply = Callable[[Sequence[int], Sampling, int], str | Completion]
Rate = Callable[[Sequence[int], Pooling], Sequence[float] | Rating]


@dataclass(frozen=True)
class FakeEngine(Engine):
    """Answers every request with `reply(prompt_ids, sampling, seed)`.

    reply: returns a text that ended by itself, or a whole Completion.
    rating: `rating(prompt_ids, pooling)`, if given, returns values or a whole Rating.

    The functions take no part in the identity: the model's name and revision stand for them.
    """

    reply: Reply = field(compare=False)
    rating: Rate | None = field(default=None, compare=False)

    @property
    def rates(self) -> bool:
        return self.rating is not None

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        future: Future[Completion] = Future()
        answer = self.reply(prompt, sampling, seed)
        if not isinstance(answer, Completion):
            answer = Completion(answer, "stop", len(prompt), len(answer.split()) + 1)
        future.set_result(answer)
        return future

    def submit_rating(self, prompt: Sequence[int], pooling: Pooling) -> Future[Rating]:
        if self.rating is None:
            return super().submit_rating(prompt, pooling)
        future: Future[Rating] = Future()
        values = self.rating(prompt, pooling)
        future.set_result(values if isinstance(values, Rating) else finite(values))
        return future
