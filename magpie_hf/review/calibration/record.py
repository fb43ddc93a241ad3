"""The record of a calibration: in the run that made it, and in those of builds by the same solver.

Not here: the numbers (measuring.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, Torn
from magpie_hf.review.precision import Share
from magpie_hf.store.records import CALIBRATED, RUN, UNREADABLE, read_record
from magpie_hf.store.shards import write_record

KEPT = CALIBRATED
FORMAT = 1


def described(source: Mapping[str, Any], solver: str, k: int, votes: Sequence[str]) -> dict[str, Any]:
    """What a calibration is of, beside its numbers.

    source: of its problems. solver: its name and revision. votes: `Recipe.votes`.
    """
    return {"format": FORMAT, "source": dict(source), "solver": solver, "k": k, "votes": list(votes)}


def keep(run: Path, record: Mapping[str, Any]) -> None:
    """Write the record into a run, whole or not at all."""
    run.mkdir(parents=True, exist_ok=True)
    write_record(run / KEPT, dict(record))


def kept(run: Path) -> dict[str, Any] | None:
    """The record of a calibration in a run; None without one. Raises BadInput where it cannot be read."""
    try:
        record = read_record(run / KEPT)
        if record["format"] != FORMAT:
            raise BadInput(f"{run / KEPT} is of another version of magpie_hf; calibrate again")
        summary_of(record, 0.0)
    except FileNotFoundError:
        return None
    except BadInput as error:
        if isinstance(error, Torn):
            raise _torn(run) from error
        raise
    except UNREADABLE as error:
        raise _torn(run) from error
    return record


def _torn(run: Path) -> BadInput:
    return BadInput(f"{run / KEPT} is torn; remove it, and calibrate again")


def calibration_of(folder: Path, solver: str, votes: Sequence[str]) -> dict[str, Any]:
    """The record in the --out folder of a calibration, for a build by this solver with these votes.

    Raises BadInput where there is none, or where the solver, its sampling or the number of its answers is
    another.
    """
    if (record := kept(folder / RUN)) is None:
        raise BadInput(
            f"{folder} holds no finished calibration (no {RUN}/{KEPT}); give the --out folder of magpie-hf"
            " calibrate"
        )
    if not fits(record, votes):
        other = record["solver"] if record["solver"] != solver else "another sampling or number of answers"
        raise BadInput(
            f"the calibration in {folder} is of {other}, and says nothing of this build's answers; calibrate"
            " with the options of the build"
        )
    return record


def fits(record: Mapping[str, Any], votes: Sequence[str]) -> bool:
    """Whether a build with these votes asks for them as the calibration did."""
    return set(votes) <= set(record["votes"])


@dataclass(frozen=True)
class Summary:
    """Labels from a majority share on: how many of so many problems have one, and how many are right."""

    least: float
    problems: int
    labels: int
    right: int
    source: str | None  # of the problems; None for the families of this package

    def to_card(self) -> dict[str, Any] | None:
        """The numbers of a card's line, shares as percentages; None without labels."""
        if not self.labels:
            return None
        low, high = Share(self.right, self.labels).interval
        return {
            "least": self.least,
            "problems": self.problems,
            "labels": self.labels,
            "right": self.right,
            "share": round(100 * self.right / self.labels),
            "low": round(100 * low),
            "high": round(100 * high),
            "source": self.source,
        }


def summary_of(record: Mapping[str, Any], least: float) -> Summary:
    """The numbers of a calibration's labels from this majority share on."""
    trusted = [(labels, right) for share, labels, right in record["shares"] if share >= least]
    return Summary(
        float(least),
        int(record["problems"]),
        sum(labels for labels, _ in trusted),
        sum(right for _, right in trusted),
        record["source"].get("name"),
    )
