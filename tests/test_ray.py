"""Builds on a Ray cluster that the tests start: the same datasets as in this process, whatever dies on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from conftest import Answers, outlived, small_recipe
from magpie_hf.cluster import OnRay, RayCluster
from magpie_hf.engines.base import Completion, Engine
from magpie_hf.engines.journal import request_keys
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models import resolve
from magpie_hf.recipe import Recipe
from magpie_hf.sampling import Sampling
from magpie_hf.scorers import Judge
from magpie_hf.walk import build

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Logged(Engine):
    """An engine that pickles: `Answers` as a reply, each request written down in a file with the process that answered it.

    seconds: how long a request takes; deadly: a file whose presence makes the process kill itself at its next request, and vanish.
    """

    log: str = field(default="", compare=False)
    seconds: float = field(default=0.0, compare=False)
    deadly: str = field(default="", compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        (key,) = request_keys(self.model, [prompt], sampling, [seed])
        if self.deadly and os.path.exists(self.deadly) and requests(self.log):
            os.unlink(self.deadly)
            os.kill(os.getpid(), 9)
        time.sleep(self.seconds)
        future: Future[Completion] = Future()
        future.set_result(Answers(self.model)(prompt, sampling, seed))
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{key} {os.getpid()}\n".encode())
        os.close(handle)
        return future


def requests(log: str) -> list[tuple[str, int]]:
    """The key and the process of every request that was answered."""
    try:
        lines = Path(log).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def recipe_of(engine: Engine, answers: Answers, count: int = 12) -> Recipe:
    return replace(small_recipe(answers, count=count), generator=engine, solver=engine, scorer=Judge(engine))
