"""Broadcast: hands a build's events to its observer, one at a time.

Not here: the events (events.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from magpie_hf.progress.events import Event, Said, ShardFinished
from magpie_hf.text.language import tr

LOG = logging.getLogger("magpie_hf")
Observer = Callable[[Event], None]


class Broadcast:
    """Hands each event to `observer`, and the lines of some events to `say`.

    Called in any thread of the build. An observer that raises gets a warning and no more events: the build
    goes on. What `say` raises is passed on, after the work that it tells of is on the disk.
    """

    def __init__(self, say: Callable[[str], None], observer: Observer | None) -> None:
        self._say, self._observer = say, observer
        self._lock = threading.RLock()  # a signal's handler may run in the thread that holds it

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self._observer is not None:
                try:
                    self._observer(event)
                except Exception:  # it is its user's code, and can fail in any way
                    self._observer = None
                    LOG.warning("the observer of this build failed, and gets no more events", exc_info=True)
            if isinstance(event, ShardFinished):
                values = {
                    "domain": event.domain,
                    "label": event.stage,
                    "rows": event.rows,
                    "seconds": event.seconds,
                }
                self._say(tr("{domain:<14} {label:<11} {rows:>7,} rows {seconds:9.1f} s", **values))
            elif isinstance(event, Said):
                self._say(event.line)
