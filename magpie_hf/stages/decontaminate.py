"""Decontaminate: names the benchmark row that a problem repeats.

Not here: dropping problems, and benchmarks that could not be loaded.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.loading import loaded_again
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.problems.benchmarks.overlap import COVERAGE, NEAR, Index
from magpie_hf.schema import CONTAMINATION
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Decontaminate(Stage):
    """The benchmark row that each problem repeats, and the measure; see `problems.benchmarks.overlap.Index`.

    benchmarks: pinned, as `load_benchmark(benchmark).benchmark` is. The stage is a spec: the first comparison
    loads their texts and builds the index, once in a process. A pickled copy loads them again.
    """

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("problem",)

    benchmarks: tuple[Benchmark, ...] = ()
    coverage: float = COVERAGE
    near: float = NEAR

    def __post_init__(self) -> None:
        for name in ("coverage", "near"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} is {getattr(self, name)}; give a share above 0 and at most 1")
            object.__setattr__(self, name, float(getattr(self, name)))
        for benchmark in self.benchmarks:
            if benchmark.revision is None:
                raise BadInput(
                    f"the benchmark {benchmark.name} is not pinned to a revision; give what load_benchmark()"
                    " made of it"
                )

    @property
    def adds(self) -> Features:
        return Features(CONTAMINATION)

    def run(self, batch: Batch) -> Batch:
        if not self.benchmarks:
            return {"contaminated_by": [None] * len(batch["problem"])}
        index = _index_of(self)
        return {"contaminated_by": [index.find(problem) for problem in batch["problem"]]}


def _index_of(stage: Decontaminate) -> Index:
    with _MAKING:
        if stage not in _INDEXES:
            _INDEXES[stage] = Index(list(map(loaded_again, stage.benchmarks)), stage.coverage, stage.near)
        return _INDEXES[stage]


_INDEXES: dict[Decontaminate, Index] = {}
_MAKING = threading.Lock()
