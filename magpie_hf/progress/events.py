"""What happens in a build, as events that its observer gets.

Not here: who tells them (building.py, recorder.py), and what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True)
class PlanMade:
    """The plan of the build, as `magpie-hf plan --json` prints it; comes before `Planned`, if at all."""

    plan: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Finished rows of a stage that the folder already held, with the tokens and seconds that they took."""

    rows: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class DomainPlanned:
    """A domain of a build.

    target: problems to accept; samples, answers: its stages before and after the filtering, in order; found:
    what the folder already held, by stage; engines: the engine of each stage that has one; most_tokens: of a
    request, of stages with a bound; extended: stages that ask for more of truncated answers.
    """

    domain: str
    target: int
    samples: tuple[str, ...]
    answers: tuple[str, ...]
    found: Mapping[str, Found]
    engines: Mapping[str, str] = field(default_factory=dict)
    most_tokens: Mapping[str, int] = field(default_factory=dict)
    extended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """The folder is the build's, and its stages are known."""

    folder: str
    domains: tuple[DomainPlanned, ...]


@dataclass(frozen=True)
class ShardFinished:
    """Rows of one stage were made and are on the disk.

    seconds: with the wait for the engine; reasons: what went wrong, by count; dropped: rows that were dropped
    before this stage.
    """

    domain: str
    stage: str
    rows: int
    seconds: float
    tokens: int
    reasons: Mapping[str, int]
    dropped: int = 0


@dataclass(frozen=True)
class SelectionMoved:
    """Samples of a domain were filtered.

    filtered, accepted, target: samples so far, problems so far, and problems to accept; reasons: why samples
    were dropped, by count.
    """

    domain: str
    filtered: int
    accepted: int
    target: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class EngineOpened:
    """An engine was loaded. restart: in place of one that died."""

    engine: str
    seconds: float
    restart: bool


@dataclass(frozen=True)
class EngineClosed:
    """An engine was closed for good."""

    engine: str


@dataclass(frozen=True)
class Speed:
    """How fast a working engine is, in completion tokens a second; None where not known yet. It comes every
    second, and once more, with nothing running, when the engine falls idle.

    running: requests in flight; tokens: of finished requests of this build so far; now: over the last ten
    seconds by the engine's own counters, or else by the requests that finished last; average: over this
    build; best: the peak over 30 s of all builds in this folder; counted: by whom the tokens were;
    prompt_tokens: those read so far, where the engine counts without those its prefix cache held;
    unfinished_tokens: those that requests in flight have so far, an estimate where the engine does not count;
    working: requests of those in flight that the engine works on; cached_tokens: prompt tokens that its
    prefix cache held.
    """

    engine: str
    running: int
    tokens: int
    now: float | None
    average: float | None
    best: float | None
    counted: Literal["engine", "finished"] = "finished"
    prompt_tokens: int = 0
    unfinished_tokens: int = 0
    working: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class StageRequests:
    """Requests of one stage of a domain.

    rows, asked, done: of the shards under way, with rows that were dropped before, and requests that were
    answered before the build was stopped; answered, tokens, prompt_tokens: requests that this build has
    finished in all, and their tokens, with those of these shards that were answered before; truncated: those
    that did not stop by themselves; complete_tokens, log_tokens: of answers that did, whole: their tokens,
    and the sum of the natural logarithms of each one's; pace, knee: with n in flight, a token of those that
    finished last took pace * (knee + n) seconds, with its prompt, and a rating as long as one token; None
    before there are any; prompt_seconds: of a prompt token there, None where that is not seen; ahead:
    requests that may follow in these shards, as the next round of an answer with tools; unfinished_tokens:
    those that requests in flight have so far, by their pace; working: requests in flight that their engine
    works on, while others wait; cut: truncated answers of these shards that have not been asked to go on:
    pairs of tokens and how many have so many; longer: requests by which others were; longer_tokens: the
    tokens that those in flight had; longer_in_all, resumed_tokens: such requests of this build, and their
    part of prompt_tokens; anew: whether truncated answers begin anew, as where a server tells no token ids.
    """

    domain: str
    stage: str
    rows: int
    asked: int
    done: int
    answered: int
    tokens: int
    prompt_tokens: int
    complete_tokens: int
    log_tokens: float
    truncated: int = 0
    pace: float | None = None
    knee: float = 0.0
    prompt_seconds: float | None = None
    ahead: int = 0
    unfinished_tokens: float = 0.0
    working: int = 0
    cut: tuple[tuple[int, int], ...] = ()
    longer: int = 0
    longer_tokens: int = 0
    longer_in_all: int = 0
    resumed_tokens: int = 0
    anew: bool = False


@dataclass(frozen=True)
class UnderWay:
    """How far the requests of all stages are that have asked anything."""

    stages: tuple[StageRequests, ...]


@dataclass(frozen=True)
class Said:
    """A line for people: a note, a warning, an error that ends nothing, or the last line ("result")."""

    line: str
    kind: Literal["note", "warning", "error", "result"] = "note"


@dataclass(frozen=True)
class Ended:
    """The build has finished or stopped after so many seconds. error: what stopped it."""

    what: Literal["finished", "stopped"]
    seconds: float
    error: str | None


Event = (
    PlanMade
    | Planned
    | ShardFinished
    | SelectionMoved
    | EngineOpened
    | EngineClosed
    | Speed
    | UnderWay
    | Said
    | Ended
)


def name_of(event: type[Event]) -> str:
    """The name of an event in JSON, such as shard_finished."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event.__name__).lower()


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain JSON values: its name under "event", and its fields."""
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
