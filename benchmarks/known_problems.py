"""How known problems are found again among 20,000: known_problems.py PLANTED EMBEDDER SET... [--reader MODEL]

PLANTED is gsmplus_testmini.jsonl of GSM-Plus, whose problems are changed ones of GSM8K's test set. 200 of
these seeds come once in other words ("problem understanding") and once with other numbers ("numerical
substitution"), which are known ones, and once asked backwards ("reversing operation") and once with a step
more ("adding operation"), which are none, though near. SETs are named as for `--known-set`; GSM8K's test set
must be one of them. Every tenth of their problems that is no seed is taken out and comes as a problem that is
not known; of the others at most 20,000 are the known ones. Prints, for several cosines, what a reader is
asked about: how many of each kind have a known problem among the five nearest from that cosine on, and for
how many of these it is the right one. With a reader, also precision and recall of what it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.limits import KNOWN_FROM, MOST_KNOWN
from magpie_hf.models.model import resolve
from magpie_hf.problems.benchmarks.loading import load_benchmark
from magpie_hf.problems.benchmarks.names import Loaded, known_sets_of
from magpie_hf.selection.nearest import NearestKnown
from magpie_hf.stages.embed import EmbedKnown
from magpie_hf.stages.recognise_known import RecogniseKnown

SEEDS, KNOWN = 200, 20_000
KINDS = {  # of the planted: whether it is a known problem
    "problem understanding": True,
    "numerical substitution": True,
    "reversing operation": False,
    "adding operation": False,
}
CLEAN = "not known"
COSINES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def planted(file: Path) -> list[tuple[str, str, str]]:
    """(kind, problem, seed) of the first seeds that have every kind."""
    changes: dict[str, dict[str, str]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        changes.setdefault(row["seed_question"].strip(), {})[row["perturbation_type"]] = row["question"]
    whole = [(seed, found) for seed, found in changes.items() if KINDS.keys() <= found.keys()][:SEEDS]
    return [(kind, found[kind], seed) for seed, found in whole for kind in KINDS]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("planted", type=Path)
    parser.add_argument("embedder")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--reader")
    options = parser.parse_args()
    loaded = [load_benchmark(one) for text in options.sets for one in known_sets_of(text)]
    texts = list(
        dict.fromkeys(text.strip() for one in loaded if isinstance(one, Loaded) for text in one.texts)
    )
    rows = planted(options.planted)
    seeds = {seed for _, _, seed in rows}
    if missing := seeds - set(texts):
        sys.exit(f"{len(missing)} of {len(seeds)} seeds are in none of the sets; name GSM8K's test set, too")
    taken = set([text for text in texts if text not in seeds][::10])
    known = sorted((text for text in texts if text not in taken), key=lambda text: text not in seeds)[:KNOWN]
    rows += [(CLEAN, text, "") for text in sorted(taken)]
    print(f"{len(known):,} known problems, {len(seeds)} seeds among them; {len(rows):,} problems")

    embedder = VLLM(
        resolve(options.embedder, chat=False, dtype="float32"), runner="pooling", kv_cache_gigabytes=0.25
    )
    stage = EmbedKnown(embedder)
    try:
        embedded = [stage({"problem": part})["embedding"] for part in (known, [row[1] for row in rows])]
    finally:
        embedder.close()
    nearest = _Known(known, embedded[0])
    near = [[(cosine, known[at]) for cosine, at in found] for found in nearest.found(embedded[1], MOST_KNOWN)]

    print("| kind | problems | " + " | ".join(f">= {cosine}" for cosine in COSINES) + " |")
    for kind in (*KINDS, CLEAN):
        those = [(seed, found) for (name, _, seed), found in zip(rows, near, strict=True) if name == kind]
        cells = []
        for least in COSINES:
            asked = [(seed, [text for cosine, text in found if cosine >= least]) for seed, found in those]
            right = sum(seed in found for seed, found in asked)
            cells.append(
                f"{sum(bool(found) for _, found in asked)}" + (f", right {right}" if kind in KINDS else "")
            )
        print(f"| {kind} | {len(those)} | " + " | ".join(cells) + " |")
    if options.reader:
        read(options.reader, rows, near)


def read(model: str, rows: list[tuple[str, str, str]], near: list[list[tuple[float, str]]]) -> None:
    """Print precision and recall of what the reader says at the cosine of a build."""
    engine = VLLM(resolve(model), context=4096, max_num_seqs=64)
    neighbours = [
        [
            {"row": text, "problem": text, "similarity": cosine}
            for cosine, text in found
            if cosine >= KNOWN_FROM
        ]
        for found in near
    ]
    stage = RecogniseKnown(engine, ())
    try:
        problems = [problem for _, problem, _ in rows]
        said = stage({"problem": problems, "known_neighbours": neighbours})
    finally:
        engine.close()
    hits = [
        (kind, name == seed)
        for (kind, _, seed), same, name in zip(rows, said["known_same"], said["nearest_known"], strict=True)
        if same
    ]
    there = [kind for kind, *_ in rows if KINDS.get(kind)]
    right = sum(KINDS.get(kind, False) and named for kind, named in hits)
    pairs = sum(map(len, said["known_compared"]))
    print(f"{model}: {pairs} pairs asked about, {len(hits)} said to be known")
    print(f"precision {right / max(1, len(hits)):.3f}, recall {right / len(there):.3f}")


class _Known(NearestKnown):
    """The known problems with embeddings that are there already."""

    def __init__(self, texts: list[str], embeddings: list[list[float] | None]) -> None:
        self.problems, self.labels = texts, texts
        self._embedded = {0: pa.array(embeddings, pa.list_(pa.float32()))}

    def found(self, embeddings: list[Any], most: int) -> list[list[tuple[float, int]]]:
        return list(self._near(embeddings, most, -1.0))


if __name__ == "__main__":
    main()
