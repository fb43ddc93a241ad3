"""The ways in which a build or a publication can fail.

Not here: mistakes of a model, which are data in a column.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from types import TracebackType


class BadInput(ValueError):
    """A user's mistake, in one line: the state, the value, the remedy.

    The command line prints it and exits with 2.
    """


class Faults(BadInput):
    """Several mistakes of a user's, in a line each; `faults` has them one by one."""

    def __init__(self, faults: Iterable[BadInput]) -> None:
        self.faults = tuple(one for fault in faults for one in getattr(fault, "faults", (fault,)))
        super().__init__("\n".join(map(str, self.faults)))


class Torn(BadInput):
    """An unreadable record in a build's folder, such as a power cut leaves; a build writes it again."""


class EngineError(RuntimeError):
    """An engine could not be started, or died with requests in flight."""


class StepFailed(RuntimeError):
    """Code of the user's own (a stage, a scorer or a rule) raised, or made what no column holds.

    The message names it, the row and the fault, in one line.
    """


class NothingMade(RuntimeError):
    """A build ended without a single row to publish; the message says where the rows went."""


class LowYield(NothingMade):
    """Too few samples are accepted, or answers complete, to go on; the message says why, with examples."""


class HubError(RuntimeError):
    """The Hub refused a step or could not be reached after several tries; the message names the step."""


def shortened(value: object) -> str:
    """A value for a message, in at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"a number of {value.bit_length():,} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_one_line() -> None:
    """Have Python end a script with one line, and no traceback, where a user's mistake ends it.

    Other exceptions, and a hook that somebody has set, stay as they are.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _hook


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, (BadInput, NothingMade, HubError)):
        sys.__excepthook__(kind, error, trace)
        return
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == script]
    where = f"{script}:{lines[-1]}: " if lines else ""
    for fault in getattr(error, "faults", (error,)):
        print(f"{where}{' '.join(str(fault).split())}", file=sys.stderr)
