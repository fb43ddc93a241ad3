"""Which problems are held out for tests, decided by the problem alone, so that it never changes sides.

Not here: the splits.
"""

from __future__ import annotations

from dataclasses import dataclass

from magpie_hf.errors import BadInput

_SEEDS = 1 << 48  # how many values `seed_of` has


@dataclass(frozen=True)
class HeldOut:
    """A share of the problems, chosen by a hash of each one's normal form and by a seed of its own.

    So a problem keeps its side when a count is raised, in another build, and beside other problems. Datasets
    with the same seed can be mixed without training on each other's test problems. The share is met on
    average; of few problems, none may be held out.
    """

    share: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise BadInput(
                f"the share of the test splits is {self.share}; give one from 0 (no test splits) to below 1,"
                " such as 0.05"
            )
        object.__setattr__(self, "share", float(self.share))

    def __contains__(self, normal_hash: int) -> bool:
        """Whether the problem with this hash of its normal form (see `Signature`) is held out."""
        from magpie_hf.stage import seed_of  # takes a second to load, and a plan needs the share alone

        return seed_of(self.seed, "held out", normal_hash) < self.share * _SEEDS
