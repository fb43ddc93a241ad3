"""Teller: tells those who watch a build what happens in it, one event at a time. Not here: the events."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from magpie_hf.progress.events import Event, Said, ShardFinished
from magpie_hf.text.language import tr

LOG = logging.getLogger("magpie_hf")
Watch = Callable[[Event], None]


class Teller:
    """Hands each event to `watch`, and to `say` the lines that some of them come to.

    Called in any thread of the build's. What `watch` raises is said, and it hears no more: no view is worth a build. `say` raises where it
    is called, once the work that it speaks of is safe.
    """

    def __init__(self, say: Callable[[str], None], watch: Watch | None) -> None:
        self._say, self._watch = say, watch
        self._telling = threading.RLock()  # a signal's handler may tell in the thread that tells already

    def __call__(self, event: Event) -> None:
        with self._telling:
            if self._watch is not None:
                try:
                    self._watch(event)
                except Exception:  # it is its user's code, and can fail in any way
                    self._watch = None
                    LOG.warning("what watches this build failed, and hears no more of it", exc_info=True)
            if isinstance(event, ShardFinished):
                values = {"domain": event.domain, "label": event.stage, "rows": event.rows, "seconds": event.seconds}
                self._say(tr("{domain:<14} {label:<11} {rows:>7,} rows {seconds:9.1f} s", **values))
            elif isinstance(event, Said):
                self._say(event.line)
