"""The disk that a build needs, for its rows and for the weights of its models.

Not here: what the rows are (workload.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from magpie_hf.planning.outline import OPINIONS, Outline
from magpie_hf.planning.sizes import Sized
from magpie_hf.planning.workload import PROBLEM, Estimates, rows_of

BYTES = 3.4  # of text a token of English mathematics
ROW_BYTES = 1_900  # of a row of the run beside its texts: signature, digests, tags, keys
# How often the run holds the texts of answers: raw, split into thinking and answer, and as published rows.
COPIES = 3.9
OTHERS = 2  # and those of answers with tools and of other models: raw, and as they were read
AGAIN = 1.6  # the same for each round of harder problems, which keeps those of all rows beside the new ones
PACKED = 0.5  # size of what is published, by that of the texts of all answers
LEGACY = 2.2  # how often the original's JSON files hold the candidates' texts


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk.

    run: the run's folder while the build runs; published: what is published; legacy: the original's JSON
    files; weights: to download; free, cache_free: free space where the build and where the weights go.
    """

    run: float
    published: float
    legacy: float
    weights: float
    free: float
    cache_free: float

    @property
    def is_short(self) -> bool:
        """Whether the build does not fit; weights go elsewhere."""
        return self.run + self.published + self.legacy > self.free

    @property
    def cache_is_short(self) -> bool:
        """Whether the weights do not fit."""
        return self.weights > self.cache_free


def disk_of(outline: Outline, estimates: Estimates, out: Path, models: Sequence[Sized]) -> Disk:
    """The disk that the build will need, and what is free."""
    rows = rows_of(outline, estimates)
    samples, problems = sum(one.samples.mid for one in rows), sum(one.problems for one in rows)
    mean = {
        stage: sum(one.tokens for one in example) / max(1, len(example)) * BYTES
        for stage, example in estimates.examples[1].items()
    }
    candidates = estimates.each["candidates"] * mean["candidates"]
    published = sum(one.train.mid + one.test.mid for one in rows) * mean["candidates"] / problems
    answers = problems * (candidates + mean.get("solutions", published))
    problem = mean.get("instruct", PROBLEM.median * BYTES)
    copies = COPIES + AGAIN * outline.harden
    asked = [stage for stage in OPINIONS if stage in mean]
    others = problems * sum(estimates.each[stage] * mean[stage] for stage in asked)
    run = samples * (2 * problem + ROW_BYTES) + copies * answers + OTHERS * others + problems * ROW_BYTES
    legacy = problems * (2 * mean.get("solutions", mean["candidates"]) + LEGACY * candidates)
    missing = sum(one.weights * 1e9 for one in models if one.weights is not None and not _is_here(one.source))
    return Disk(run, PACKED * answers, legacy, missing, _free(out), _free(_cache()))


def _cache() -> Path:
    """Where huggingface_hub keeps models, which is not imported for that."""
    home = os.environ.get(
        "HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    )
    return Path(os.environ.get("HF_HUB_CACHE", os.path.join(home, "hub"))).expanduser()


def _is_here(source: str) -> bool:
    snapshots = _cache() / f"models--{source.replace('/', '--')}" / "snapshots"
    return Path(source).is_dir() or any(snapshots.glob("*/*.safetensors*"))


def _free(path: Path) -> float:
    ground = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
    return float(shutil.disk_usage(ground).free)
