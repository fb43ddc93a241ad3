"""An event loop in a background thread, and the jobs on it.

Not here: the work of the jobs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """A loop that runs until `stop`; it calls failed(error) for a job that raised."""

    def __init__(self, name: str, failed: Callable[[BaseException], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self._failed = failed
        self._jobs: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the loop; for other threads."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def job(self, job: Coroutine[Any, Any, None]) -> None:
        """Start a job in the background; on the loop."""
        task = self.loop.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self, *more: asyncio.Task[None]) -> None:
        """Cancel all jobs and these tasks, and wait until they have ended; on the loop."""
        tasks = [*self._jobs, *more]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
