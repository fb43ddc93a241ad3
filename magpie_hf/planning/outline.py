"""Outline: what a build comes to as far as a plan needs it, without its stages: who asks whom, for what, how
often.

Not here: numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from magpie_hf.domains import Domain
from magpie_hf.planning.simulation import Cutting

SAMPLING = ("instruct", "tag", "embed")
ANSWERING = ("solutions", "candidates", "score")


@dataclass(frozen=True)
class Phase:
    """A time for which one model is loaded: the stages that are asked of it, and whether samples are
    filtered on the way.
    """

    source: str
    stages: tuple[str, ...]
    filtering: bool


@dataclass(frozen=True)
class Outline:
    """A build. sources: the repository or folder of each role (model, solver, judge or scorer, tagger,
    embedder).
    """

    domains: tuple[Domain, ...]
    sources: Mapping[str, str]
    k: int
    seed: int
    whole: bool  # whether the scorer reads the thinking, too
    test_share: float
    rl: bool
    cutting: Cutting

    @property
    def scorer(self) -> str:
        return self.sources.get("judge") or self.sources["scorer"]

    @property
    def stages(self) -> dict[str, str]:
        """The stages that ask a model, in the order of the pipeline, each with its model."""
        asked = {
            "instruct": "model",
            "tag": "tagger",
            "embed": "embedder",
            "solutions": "solver",
            "candidates": "solver",
        }
        found = {stage: self.sources[role] for stage, role in asked.items() if role in self.sources}
        return {**found, "score": self.scorer}

    def each(self, stage: str) -> int:
        """Requests a row."""
        return self.k if stage in ("candidates", "score") else 1

    @property
    def phases(self) -> list[Phase]:
        """The models in the order in which they are loaded. One that samples, labels and answers does so at
        once.
        """
        stages = self.stages
        sampling = [stage for stage in SAMPLING if stage in stages]
        together = len({stages[stage] for stage in (*sampling, "solutions")}) == 1
        groups = (
            [[*sampling, "solutions", "candidates"]]
            if together
            else [*([stage] for stage in sampling), ["solutions", "candidates"]]
        )
        groups.append(["score"])
        joined: list[list[str]] = []
        for group in groups:
            kind = [stage in SAMPLING for stage in group]
            last = joined[-1] if joined else []
            alike = together or not last or (last[-1] in SAMPLING) == kind[0]
            if last and alike and stages[last[-1]] == stages[group[0]]:
                last.extend(group)
            else:
                joined.append(list(group))
        return [Phase(stages[group[0]], tuple(group), group[0] == "instruct") for group in joined]
