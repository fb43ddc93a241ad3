"""Metered: an engine that writes down when each request came and went, and of which stage it was.

Not here: what follows from that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from magpie_hf.engines.base import Completion, Engine, Pooling, Rating
from magpie_hf.engines.journal import current
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe


@dataclass(frozen=True)
class Asked:
    """One request: its domain and stage ("" outside of a build), when it came and went (monotonic seconds),
    and its tokens.
    """

    domain: str
    label: str
    began: float
    ended: float
    prompt: int
    tokens: int


@dataclass(frozen=True)
class Metered(Engine):
    """The engine `inner`, with a record of what it was asked. It is the same to whatever is made with it."""

    inner: Engine
    asked: list[Asked] = field(default_factory=list, compare=False)
    opened: list[float] = field(default_factory=list, compare=False)  # seconds that each opening took
    closed: list[float] = field(
        default_factory=list, compare=False
    )  # its times; empty after one opening means that it is open

    @property
    def max_length(self) -> int | None:
        return self.inner.max_length

    @property
    def rates(self) -> bool:
        return self.inner.rates

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        return self._timed(len(prompt), lambda: self.inner.submit(prompt, sampling, seed))

    def submit_rating(self, prompt: Sequence[int], pooling: Pooling) -> Future[Rating]:
        return self._timed(len(prompt), lambda: self.inner.submit_rating(prompt, pooling))

    def check(self) -> None:
        self.inner.check()

    def describe(self) -> str | None:
        return self.inner.describe()

    def close(self) -> None:
        self.inner.close()
        self.closed.append(time.monotonic())

    def _timed(self, prompt: int, start: Callable[[], Future[Any]]) -> Future[Any]:
        began = time.monotonic()
        future = start()
        if len(self.opened) == len(self.closed):  # the request that opens the engine waits for it
            self.opened.append(time.monotonic() - began)
        file = current().file
        domain, label = (file.parent.parent.name, file.parent.name.rpartition("-")[0]) if file else ("", "")
        future.add_done_callback(partial(self._note, domain, label, time.monotonic(), prompt))
        return future

    def _note(self, domain: str, label: str, began: float, prompt: int, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            tokens = getattr(future.result(), "num_tokens", 0)
            self.asked.append(Asked(domain, label, began, time.monotonic(), prompt, tokens))


def metered(recipe: Recipe) -> tuple[Recipe, dict[str, Metered]]:
    """The same recipe over metered engines, and these by the parts that they have."""
    made: dict[Engine, Metered] = {}

    def over(engine: Engine) -> Metered:
        return made.setdefault(engine, Metered(engine.model, engine))

    parts = {
        "model": recipe.generator,
        "solver": recipe.solver,
        "tagger": recipe.tagger,
        "embedder": recipe.embedder,
        "scorer": recipe.scorer.engine,
    }
    engines = {part: over(engine) for part, engine in parts.items() if engine is not None}
    scorer: Any = recipe.scorer
    changed = replace(
        recipe,
        generator=engines["model"],
        solver=engines["solver"],
        tagger=engines.get("tagger"),
        embedder=engines.get("embedder"),
        scorer=replace(scorer, engine=engines["scorer"]),
    )
    return changed, engines
