"""Asking the Hub for small files with a bound on the time, and why it did not answer.

Not here: what it is asked for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model

PATIENCE = 5.0  # seconds to wait for the Hub
_T = TypeVar("_T")
LOOKING = "magpie-size"  # name of the thread that asks the Hub


def unresolved(source: str, revision: str | None) -> Model:
    folder = Path(source)
    if folder.is_dir():
        return Model(folder.name, "", path=source)
    return Model(source, revision or "main")


def why_not(error: Exception) -> str:
    """Why a model's files could not be read, in a line."""
    if isinstance(error, TimeoutError):
        return f"the Hub did not answer within {PATIENCE:.0f} seconds"
    first = next(iter(str(error).splitlines()), "")
    return first if isinstance(error, BadInput) else f"{type(error).__name__}: {first}"


def patiently(look: Callable[[], _T]) -> _T:
    """What a look-up on the Hub returns.

    Raises TimeoutError after PATIENCE seconds; the Hub's own client would retry for longer.
    """
    found: Future[_T] = Future()

    def run() -> None:
        try:
            _hush()
            found.set_result(look())
        except BaseException as error:  # raised where it is waited for
            found.set_exception(error)

    looking = threading.Thread(target=run, name=LOOKING, daemon=True)
    looking.start()
    try:
        return found.result(PATIENCE)
    except TimeoutError:
        if not found.done():  # else it is the look-up's own
            _given_up.add(looking)
        raise


_given_up: WeakSet[threading.Thread] = WeakSet()  # look-ups that nobody waits for any more


class _GivenUp(BaseException):
    """Ends such a look-up at its next retry."""


def _hush() -> None:
    """Keep the Hub's client from logging each retry; the result is reported in one line."""
    from huggingface_hub.utils.logging import get_logger

    get_logger()  # which makes the handlers
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    if threading.current_thread() in _given_up:
        # What it logs is that a request failed. Going on, it would close the connections that the whole
        # process shares, under the requests of other threads.
        raise _GivenUp
    return record.threadName != LOOKING
