"""An engine that takes its time as a real one does: a step over c sequences takes step + c * sequence
seconds, whatever it says.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from magpie_hf.engines import meter
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.sampling import Sampling


@dataclass(frozen=True)
class Paced(FakeEngine):
    """A FakeEngine whose answers come at the pace of an engine with continuous batching.

    prompt: seconds that a prompt token takes; slots: how many requests it works on at a time, and two with
    other slots are two engines; load: seconds until it is open.
    """

    step: float = field(default=0.002, compare=False)
    sequence: float = field(default=0.0002, compare=False)
    prompt: float = field(default=0.0, compare=False)
    slots: float = math.inf
    load: float = field(default=0.2, compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        with _LOCK:
            if self not in _LIVE:
                with meter.loading(self.model.name):
                    time.sleep(self.load)
                _LIVE[self] = _Loop(self)
            live = _LIVE[self]
        future: Future[Completion] = Future()
        answer = super().submit(prompt, sampling, seed).result()
        live.inbox.put([answer.num_tokens, answer, future])
        return future

    def close(self) -> None:
        with _LOCK:
            live = _LIVE.pop(self, None)
        if live is not None:
            live.inbox.put(None)
            live.thread.join()

    @property
    def counted(self) -> tuple[int, int, int, int]:
        """Tokens made, prompt tokens read, and requests at work and waiting."""
        live = _LIVE.get(self)
        if live is None:
            return 0, 0, 0, 0
        return live.made, live.read, len(live.running), len(live.waiting) + live.inbox.qsize()


class _Loop:
    def __init__(self, engine: Paced) -> None:
        self.engine, self.inbox = engine, queue.SimpleQueue[list | None]()
        self.waiting, self.running = deque[list](), list[list]()
        self.made = self.read = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        due = time.monotonic()
        while True:
            while not self.inbox.empty() or not (self.running or self.waiting):
                if (item := self.inbox.get()) is None:
                    return
                if not (self.running or self.waiting):
                    due = time.monotonic()
                self.waiting.append(item)
            while self.waiting and len(self.running) < self.engine.slots:
                item = self.waiting.popleft()
                self.read += item[1].prompt_tokens
                due += self.engine.prompt * item[1].prompt_tokens
                self.running.append(item)
            due += self.engine.step + self.engine.sequence * len(self.running)
            time.sleep(max(0.0, due - time.monotonic()))
            for item in self.running:
                item[0] -= 1
            self.made += len(self.running)
            for item in [item for item in self.running if item[0] <= 0]:
                if item[2].set_running_or_notify_cancel():
                    item[2].set_result(item[1])
            self.running = [item for item in self.running if item[0] > 0]


_LIVE: dict[Paced, _Loop] = {}
_LOCK = threading.Lock()
