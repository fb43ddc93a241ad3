"""Many shards at once on one engine, until nothing is left to do.

Not here: the stages of a shard, and the files of its rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from magpie_hf.engines.base import Engine
from magpie_hf.errors import EngineError
from magpie_hf.run.local import Local
from magpie_hf.stage import Stage
from magpie_hf.store.rows import Rows


@dataclass
class Task:
    """Some rows and the steps that they go through.

    then: called with the finished rows, returns the tasks that follow. skip: returns whether the task is no
    longer needed. ahead: whether other tasks wait for this one; it then runs in a pool of its own, and does
    not queue behind the others.
    """

    steps: Sequence[Sequence[Stage]]
    rows: Rows
    then: Callable[[Rows], Iterable[Task]]
    skip: Callable[[], bool] = lambda: False
    ahead: bool = False


def session(local: Local, engine: Engine | None, tasks: Iterable[Task]) -> None:
    """Run the tasks, and those that follow from them, on one engine, and close it in the end.

    At most `local.width` tasks with `ahead` run at once, and as many without. Raises what a stage raises,
    and EngineError.
    """
    stopping = threading.Event()
    live = None if engine is None else local.open(engine)

    def chain(task: Task) -> Rows | None:
        rows = task.rows
        for stages in task.steps:
            if stopping.is_set():
                raise EngineError("the build is stopping")
            if task.skip():
                return None
            rows = local.extend(rows, stages)
        return rows

    pools = {
        ahead: ThreadPoolExecutor(local.width, thread_name_prefix="magpie-shard") for ahead in (True, False)
    }
    running: dict[Future[Rows | None], Task] = {pools[task.ahead].submit(chain, task): task for task in tasks}
    try:
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                if (rows := future.result()) is not None:
                    running |= {pools[more.ahead].submit(chain, more): more for more in task.then(rows)}
    finally:
        stopping.set()
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        # Closing the engine ends its requests with an error. A shard may open it again just then, so this
        # repeats until no shard runs.
        while True:
            if live is not None:
                live.close()
            waiting = [future for future in running if not future.done()]
            if not waiting:
                break
            wait(waiting, timeout=0.2)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turn the progress bars of `datasets` off: one for every shard would hide the lines of the build."""
    bars = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            enable_progress_bar()
