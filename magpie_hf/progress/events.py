"""What happens in a build, as values that whoever watches it gets.

Not here: who tells, and what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Found:
    """Finished rows of a stage that lay in the folder, with the tokens and seconds that they took."""

    rows: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class DomainPlanned:
    """A domain: accepted problems that it is to have, its stages before (`samples`) and after the filtering,
    in order, and what was found.
    """

    domain: str
    target: int
    samples: tuple[str, ...]
    answers: tuple[str, ...]
    found: Mapping[str, Found]


@dataclass(frozen=True)
class Planned:
    """The folder is the build's, and its stages are known."""

    folder: str
    domains: tuple[DomainPlanned, ...]


@dataclass(frozen=True)
class ShardFinished:
    """Rows of one stage were made, and are safe. seconds: with those that it waited for the engine; reasons:
    what went wrong, by count.
    """

    domain: str
    stage: str
    rows: int
    seconds: float
    tokens: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class SelectionMoved:
    """Samples of a domain were filtered: how many in all, how many problems it has, and why others were
    dropped, by count.
    """

    domain: str
    filtered: int
    accepted: int
    target: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class EngineOpened:
    """An engine was loaded; restart: in place of one that died."""

    engine: str
    seconds: float
    restart: bool


@dataclass(frozen=True)
class EngineClosed:
    engine: str


@dataclass(frozen=True)
class Speed:
    """Completion tokens a second of an engine that is at work: in the last minute, on average in this build,
    and the most that it ever kept up in this folder (over at least half a minute). running: requests in
    flight. None: not known yet.
    """

    engine: str
    running: int
    tokens: int
    now: float | None
    average: float | None
    best: float | None


@dataclass(frozen=True)
class Said:
    """A line for people: a note, a warning, an error that ends nothing, or the last word ("result")."""

    line: str
    kind: Literal["note", "warning", "error", "result"] = "note"


@dataclass(frozen=True)
class Ended:
    """The build has "finished" or "stopped" after so many seconds; error: what stopped it."""

    what: Literal["finished", "stopped"]
    seconds: float
    error: str | None


Event = Planned | ShardFinished | SelectionMoved | EngineOpened | EngineClosed | Speed | Said | Ended


def name_of(event: type[Event]) -> str:
    """What an event is called in JSON: shard_finished."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event.__name__).lower()


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain values: its name under "event", and its fields."""
    return {"event": name_of(type(event)), **_plain(event)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return (
        {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        if hasattr(value, "__dataclass_fields__")
        else value
    )
