"""A plan and its build: kept in `run/plan.json` while the build runs, compared when it is over.

Not here: making a plan (plan.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.measurements import read_json
from magpie_hf.planning.outline import SAMPLING
from magpie_hf.progress.events import Event, Planned
from magpie_hf.run.pace import Load
from magpie_hf.run.status import Status, status
from magpie_hf.selection.hardened import without_round

LOG = logging.getLogger("magpie_hf")
FORMAT = 1  # of run/plan.json; goes up when the file means something else
KEPT = "plan.json"
NEAR = (0.7, 1.4)  # actual tokens by planned ones, between which nothing needs a word
EVERY = 2.0  # seconds between two writings of how long a build has run


class Keeping:
    """An observer that keeps a build's plan and running time in its folder; it passes events on to `then`.

    The plan that a build began with stays, whatever is planned when it goes on; a build with another `said`
    in the same folder gets its own. began: when the command began (monotonic seconds). Seconds are added up
    over commands; a killed one loses at most the last EVERY seconds. A torn plan is written anew. Raises
    BadInput for a plan of a newer version.
    """

    def __init__(
        self,
        out: Path,
        plan: Mapping[str, Any],
        said: Mapping[str, Any],
        then: Callable[[Event], None],
        began: float,
    ) -> None:
        self._file, self._then = out / "run" / KEPT, then
        self._began, self._kept = began, 0.0
        self._record: dict[str, Any] = {
            "format": FORMAT,
            "said": dict(said),
            "plan": dict(plan),
            "sessions": [0.0],
        }
        try:
            before = read_json(self._file, FORMAT) or {}
        except Torn:
            before = {}
            LOG.warning(
                "%s is torn (the disk or the power failed while it was written); it is written again",
                self._file,
            )
        if before.get("said") == self._record["said"] and isinstance(before.get("sessions"), list):
            self._record = {**before, "sessions": [*before["sessions"], 0.0]}

    def take(self, event: Event) -> None:
        """Pass an event on, and now and then write down the time, once the folder is this build's.

        Must be called one event at a time.
        """
        self._then(event)
        if isinstance(event, Planned) or (self._kept and time.monotonic() - self._kept > EVERY):
            try:
                self.keep()
            except OSError as error:  # no reason to show nothing more, or to build nothing
                self._kept = 0.0
                LOG.warning(
                    "%s cannot be written (%s); that is tried again at the end of this build",
                    self._file,
                    error.strerror,
                )

    def keep(self) -> None:
        """Write the record."""
        from magpie_hf.store.shards import write_json

        self._record["sessions"][-1] = round(time.monotonic() - self._began, 1)
        write_json(self._file, self._record)
        self._kept = time.monotonic()


@dataclass(frozen=True)
class Compared:
    """One number of a plan and the actual one; unit: "rows", "tokens" or "seconds"."""

    what: str
    unit: str
    planned: float
    actual: float

    def __post_init__(self) -> None:
        if not isinstance(self.planned, int | float):
            raise TypeError(self.planned)

    @property
    def ratio(self) -> float | None:
        """The actual number by the planned one."""
        return self.actual / self.planned if self.planned else None


class Far(NamedTuple):
    """A stage with its rows, and the tokens of one, as shares of the planned ones."""

    stage: str
    rows: float
    length: float


@dataclass(frozen=True)
class Outcome:
    """A plan compared with its build.

    finished: whether the build is; sessions: commands that it took so far; rows: by stage, whether it asks
    about "samples" or about accepted "problems".
    """

    finished: bool
    sessions: int
    numbers: tuple[Compared, ...]
    rows: Mapping[str, str]

    def farthest(self) -> Far | None:
        """The stage whose tokens are farthest from the planned ones; None where all of them are near."""
        tokens = [one for one in self.numbers if one.unit == "tokens" and one.planned]
        planned, actual = sum(one.planned for one in tokens), sum(one.actual for one in tokens)
        if not actual or NEAR[0] <= actual / planned <= NEAR[1] or (actual < planned and not self.finished):
            return None
        one = max(tokens, key=lambda one: abs(one.actual - one.planned))
        stage = one.what.partition(" ")[2]
        rows = [of for of in self.numbers if of.what.startswith(f"{self.rows[stage]} ")]
        ratio = sum(of.actual for of in rows) / max(1e-9, sum(of.planned for of in rows))
        return Far(stage, ratio, one.actual / one.planned / ratio) if ratio else None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        numbers = [{**asdict(one), "ratio": one.ratio} for one in self.numbers]
        return {"format": FORMAT, "finished": self.finished, "sessions": self.sessions, "numbers": numbers}


def outcome_of(folder: Path) -> Outcome:
    """The plan of the build in `folder`, compared with the build.

    Raises BadInput where there is no build, or none with a plan.
    """
    state = status(folder)
    record = read_json(folder / "run" / KEPT, FORMAT)
    if record is None:
        raise BadInput(
            f"{folder} holds a build without a plan (no run/{KEPT}); give --model and the build's options to"
            " make one"
        )
    try:
        plan, sessions = record["plan"], record["sessions"]
        numbers = tuple(_numbers(plan, sum(sessions), state))
        return Outcome(state.finished, len(sessions), numbers, _rows(plan))
    except (KeyError, TypeError, IndexError) as error:
        raise BadInput(
            f"{folder / 'run' / KEPT} is not a valid plan ({error!r}); remove it, and the next build writes"
            " another"
        ) from error


def planned_loads(folder: Path) -> dict[str, Load] | None:
    """What each stage asks for in the whole build in `folder`, by its plan; None without one."""
    try:
        record = read_json(folder / "run" / KEPT, FORMAT)
        if record is None:
            return None
        plan = record["plan"]
        rows = {
            "problems": sum(row["problems"] for row in plan["rows"]),
            "samples": sum(row["samples"][1] for row in plan["rows"]),
        }
        asks, loads = _rows(plan), {}
        for one in plan["stages"]:
            for number, share in enumerate(one.get("rounds", [1.0])):
                stage = f"{one['stage']}_round{number}" if number else one["stage"]
                of = rows[asks[one["stage"]]]
                loads[stage] = Load(share * one["requests"][1], share * one["tokens"][1], of)
        return loads
    except (BadInput, Torn, KeyError, TypeError, IndexError):  # of another version, or edited: as without it
        return None


def _rows(plan: Mapping[str, Any]) -> dict[str, str]:
    """By stage, whether it asks about samples or about problems; older plans did not tell."""
    return {
        one["stage"]: one.get("rows", "samples" if one["stage"] in SAMPLING else "problems")
        for one in plan["stages"]
    }


def _numbers(plan: Mapping[str, Any], seconds: float, state: Status) -> list[Compared]:
    planned = {row["domain"]: row for row in plan["rows"]}
    numbers = []
    for quota in state.selection:
        if (row := planned.get(quota.domain)) is not None:
            numbers.append(Compared(f"problems {quota.domain}", "rows", row["problems"], quota.accepted))
            numbers.append(Compared(f"samples {quota.domain}", "rows", row["samples"][1], quota.filtered))
    for stage in plan["stages"]:
        tokens = sum(one.tokens for one in state.stages if without_round(one.label) == stage["stage"])
        if tokens:
            numbers.append(Compared(f"tokens {stage['stage']}", "tokens", stage["tokens"][1], tokens))
    if plan["seconds"]["left"] is not None:
        numbers.append(Compared("time", "seconds", plan["seconds"]["left"][1], seconds))
    return numbers
