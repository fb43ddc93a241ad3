"""Runs a stage that holds code of the user's own: a fault is traced to its row, and values fit their columns.

Not here: which stages there are.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from datasets import Features

from magpie_hf.errors import BadInput, EngineError, StepFailed
from magpie_hf.named import described
from magpie_hf.stage import Batch, Stage, use_of
from magpie_hf.stages.again import repeated
from magpie_hf.stages.score import ScoreCandidates

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # faults of nobody's code


class Fault(Exception):
    """A fault of code of one's own: whose, in which row of the batch, and what it was."""

    def __init__(self, whose: str, row: int, what: str) -> None:
        super().__init__(whose, row, what)
        self.whose, self.row, self.what = whose, row, what

    def at(self, identifier: str) -> StepFailed:
        """The error for the user, with the id of the row."""
        return failed(self.whose, identifier, self.what)


def failed(whose: str, identifier: str, what: str) -> StepFailed:
    """The error for a fault in the row with this id."""
    return StepFailed(
        f"{whose} failed at the row {identifier} ({what}); what is finished is safe: mend it, and run the"
        " same command again"
    )


def own_in(thing: Any) -> str:
    """What a stage or a rule has of code of one's own, such as "the step difficulty (mine:Difficulty)"."""
    thing = repeated(thing)
    if isinstance(thing, ScoreCandidates):
        return f"the scorer {use}" if (use := use_of(thing.scorer)) else ""
    if not (use := use_of(thing)):
        return ""
    return f"the step {thing.name} ({use})" if isinstance(thing, Stage) else f"the rule {thing.name} ({use})"


def guarded(stage: Stage, batch: Batch) -> Batch:
    """What the stage makes of the batch. Raises Fault where code of one's own fails, or makes other types."""
    if not (whose := own_in(stage)):
        return stage(batch)
    try:
        out = stage(batch)
    except Exception as error:
        if _is_others(error):
            raise
        raise _traced(whose, stage, batch, error) from error
    for column, field in zip(stage.adds, Features(stage.adds).arrow_schema, strict=True):
        out[column] = _stored(whose, out[column], field.type, column)
    return out


def _is_others(error: Exception) -> bool:
    return isinstance(error, EngineError | BadInput) or (isinstance(error, OSError) and error.errno in _DISK)


def _traced(whose: str, stage: Stage, batch: Batch, error: Exception) -> Fault:
    """The fault at the first row that raises alone; at the batch's first where none does.

    Requests that were finished are in the shard's journal, and are not sent again.
    """
    for row in range(len(next(iter(batch.values())))):
        try:
            stage({column: [values[row]] for column, values in batch.items()})
        except Exception as alone:
            if _is_others(alone):
                raise
            return Fault(whose, row, described(alone))
    return Fault(whose, 0, f"{described(error)}; of several rows together")


def _stored(whose: str, values: list[Any], kind: pa.DataType, column: str) -> list[Any]:
    """The values as Arrow stores them, so that they are the same when they are read again."""
    try:
        stored: list[Any] = pa.array(values, kind).to_pylist()
        at = next((row for row, value in enumerate(stored) if not _is_finite(value)), None)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        at = _first(values, lambda value: pa.array([value], kind))
        stored = []
    if at is not None:
        raise Fault(whose, at, f"{column} is {values[at]!r:.60}, which is no {kind}")
    return stored


def _first(values: list[Any], fits: Callable[[Any], Any]) -> int:
    for row, value in enumerate(values):
        try:
            fits(value)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return row
    return 0


def _is_finite(value: Any) -> bool:
    """Whether a value holds no number that JSON has no word for."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_finite, inner))
