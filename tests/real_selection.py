"""A selection on real vLLM whose engine writes down each request that it finishes: real_selection.py MODEL
OUT LOG COUNT. A test kills it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from real_build import Logged

from magpie_hf import DOMAINS, Judge, Recipe, resolve
from magpie_hf.building.pipeline import Pipeline
from magpie_hf.dataset.folder import Folder
from magpie_hf.run.local import Local
from magpie_hf.run.session import no_progress_bars
from magpie_hf.selection.selection import Acceptance


def recipe(model: str, log: str, count: int) -> Recipe:
    """A domain whose problems are labelled by the model itself, which is too small to drop anything for its
    labels.
    """
    # In float32 another batch changes a logit in its seventh digit, which almost never changes a word.
    engine = Logged(
        resolve(model, dtype="float32"), context=2560, kv_cache_gigabytes=1, max_num_seqs=64, log=log
    )
    algebra = replace(
        DOMAINS["algebra"], count=count, instruction=replace(DOMAINS["algebra"].instruction, max_tokens=96)
    )
    lenient = Acceptance("keep", min_quality="very poor", drop_unsolvable=False)
    return Recipe(engine, engine, Judge(engine), (algebra,), k=2, tagger=engine, acceptance=lenient)


def selection(made: Recipe, out: Path, shard_rows: int) -> dict[str, list[tuple[str, str]]]:
    """The accepted problems of each domain: their ids and texts."""
    folder = Folder(out)
    with folder.claimed(made), no_progress_bars():
        filtered = Pipeline(made, Local(folder.run, shard_rows), folder).problems()
    found: dict[str, list[tuple[str, str]]] = {domain.key: [] for domain in made.domains}
    for part in sorted(filtered, key=lambda part: part.start):
        rows = part.read(["id", "problem", "accepted_as"]).to_pydict()
        for name, problem, accepted in zip(rows["id"], rows["problem"], rows["accepted_as"], strict=True):
            if accepted is not None:
                found[accepted].append((name, problem))
    return found


if __name__ == "__main__":
    print(json.dumps(selection(recipe(sys.argv[1], sys.argv[3], int(sys.argv[4])), Path(sys.argv[2]), 16)))
