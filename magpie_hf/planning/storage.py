"""Disk that a build needs, and what is free there.

Not here: memory of GPUs.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from magpie_hf.planning.belief import Belief
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.workload import rows_of

BYTES = 3.4  # of text a token of English mathematics
KEPT = 1_900  # bytes of a row of the run beside its texts: signature, digests, tags, keys
# Times the texts of answers that the run holds them: as they came, apart in thinking and answer, and as
# published rows
COPIES = 3.6
PACKED = 0.45  # size of a published text by its own
LEGACY = 2.2  # times the candidates' texts that the original's JSON files hold them


@dataclass(frozen=True)
class Disk:
    """Bytes: of the run's folder while it builds, of what is published, of the original's JSON files, of
    weights that must be downloaded and of the space that is free in the folder's place, and in the cache's.
    """

    run: float
    published: float
    legacy: float
    weights: float
    free: float
    cache_free: float

    @property
    def is_short(self) -> bool:
        """Whether the build does not fit; weights have a place of their own."""
        return self.run + self.published + self.legacy > self.free

    @property
    def cache_is_short(self) -> bool:
        """Whether the weights do not fit there."""
        return self.weights > self.cache_free


def disk_of(outline: Outline, belief: Belief, out: Path, weights: dict[str, float | None]) -> Disk:
    """What the build will take. weights: gigabytes of each model, None where nobody knows."""
    rows = rows_of(outline, belief)
    samples, problems = sum(one.samples.mid for one in rows), sum(one.problems for one in rows)
    mean = {
        stage: sum(one.tokens for one in example) / max(1, len(example)) * BYTES
        for stage, example in belief.examples[1].items()
    }
    candidates = outline.k * mean["candidates"]
    answers = problems * (mean["solutions"] + candidates)
    run = samples * (2 * mean["instruct"] + KEPT) + COPIES * answers + problems * KEPT
    legacy = problems * (2 * mean["solutions"] + LEGACY * candidates)
    missing = sum(size * 1e9 for source, size in weights.items() if size is not None and not _is_here(source))
    return Disk(run, PACKED * answers, legacy, missing, _free(out), _free(_cache()))


def _cache() -> Path:
    """Where huggingface_hub keeps models."""
    home = os.environ.get(
        "HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    )
    return Path(os.environ.get("HF_HUB_CACHE", os.path.join(home, "hub"))).expanduser()


def _is_here(source: str) -> bool:
    return Path(source).is_dir() or any(
        (_cache() / f"models--{source.replace('/', '--')}" / "snapshots").glob("*/*.safetensors*")
    )


def _free(path: Path) -> float:
    ground = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
    return float(shutil.disk_usage(ground).free)
