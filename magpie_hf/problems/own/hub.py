"""Datasets of problems on the Hub: pinned to a commit, their licence, their rows.

Not here: files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.hub import pin, unavailable
from magpie_hf.problems.benchmarks.names import Benchmark, NotChecked
from magpie_hf.problems.own.files import Row, check_columns
from magpie_hf.problems.own.own import SPLIT, OwnProblems


def pinned(own: OwnProblems) -> OwnProblems:
    """The problems with the commit that their revision names now.

    Raises BadInput for a dataset that the Hub does not have, withholds, or cannot be asked for.
    """
    name, _ = own.repository
    found = pin(Benchmark(name, name, revision=own.revision))
    if isinstance(found, NotChecked):
        raise BadInput(f"the problems {own.source} cannot be read: {found.reason}; mend that, or give a file")
    return replace(own, revision=found.revision)


def licences_of(own: OwnProblems) -> tuple[list[str], str]:
    """The licences on the dataset's card, ids in small letters, and the name that it gives one without an id.

    No id where it says that it is unknown.
    """
    from huggingface_hub import HfApi

    try:
        card = HfApi().dataset_info(own.repository[0], revision=own.revision, timeout=10.0).card_data
    except unavailable() as error:
        raise BadInput(
            f"the card of {own.source} cannot be read ({type(error).__name__}); try again, or give a file"
        ) from error
    stated = card.get("license") if card is not None else None
    several = stated if isinstance(stated, list) else [stated]
    ids = [one.strip().lower() for one in several if isinstance(one, str)]
    name = card.get("license_name") if card is not None else None
    return [one for one in ids if one not in ("", "unknown")], str(name or "")


def rows_of(own: OwnProblems, columns: Collection[str]) -> Iterator[Row]:
    """The rows of the split, with these columns. Raises BadInput as `files.rows_of` does."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    name, config = own.repository
    split = own.split or SPLIT
    try:
        splits = load_dataset(name, config, revision=own.revision)
    except unavailable() as error:
        raise BadInput(
            f"the problems {own.source} cannot be read ({type(error).__name__}); try again, or give a file"
        ) from error
    except (ValueError, OSError, RuntimeError, DatasetGenerationError) as error:
        first = next(iter(str(error).splitlines()), "")[:160]
        raise BadInput(
            f"the problems {own.source} cannot be read ({type(error).__name__}: {first}); name a"
            f" configuration, as in {name}:CONFIG, or give a file"
        ) from error
    if split not in splits:
        raise BadInput(
            f"{own.source} has no split {split!r}, only {', '.join(splits)}; name one with --problems-split"
        )
    rows = splits[split]
    check_columns(f"{own.source} ({split})", columns, rows.column_names)
    yield from rows.select_columns(list(columns))
