"""What the run of a build keeps for its card: provenance, samples, marks of people and a calibration.

Not here: how each of them came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magpie_hf.card.contents import Contents
from magpie_hf.card.stats import Samples
from magpie_hf.dataset.parquet import data_in
from magpie_hf.errors import BadInput
from magpie_hf.review.calibration.record import kept, summary_of
from magpie_hf.review.marks import kept_marks
from magpie_hf.review.precision import precision
from magpie_hf.store.records import FORMAT, PROVENANCE, SAMPLES, read_record, torn


def provenance_in(run: Path) -> dict[str, Any]:
    """How the rows were made, how many of them people read, and what a calibration says of their labels.

    Raises BadInput where that cannot be read, or has another format.
    """
    provenance = _read(run / PROVENANCE)
    if provenance.get("format") != FORMAT or "sft" not in provenance:
        raise BadInput(f"{run / PROVENANCE} is of another version of magpie_hf; run the build again")
    for share in precision(kept_marks(run).values())["all"].values():
        provenance["reviewed"] = {"read": share.read, "good": share.right}
    if (record := kept(run)) is not None:
        least = provenance["pairing"]["min_majority_share"]
        if (numbers := summary_of(record, least).to_card()) is not None:
            provenance["calibration"] = numbers
    return provenance


def samples_in(run: Path) -> dict[str, Any]:
    """The numbers of each domain's samples, as plain values. Raises BadInput where they cannot be read."""
    return _read(run / SAMPLES)


def contents_in(run: Path, files: Iterable[Path]) -> Contents:
    """The contents of a card: the data files among `files`, and the provenance and samples in the run.

    Raises BadInput where provenance or samples cannot be read.
    """
    provenance, found = provenance_in(run), samples_in(run)
    try:
        samples = {domain["key"]: Samples(**found[domain["key"]]) for domain in provenance["domains"]}
    except (KeyError, TypeError) as error:
        raise BadInput(f"{run / SAMPLES} is not what this version writes; run the build again") from error
    return Contents(provenance, samples, data_in(files, provenance))


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_record(file)
    except FileNotFoundError as error:
        raise torn(file, type(error).__name__) from error
