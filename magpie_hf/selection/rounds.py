"""The rounds that make harder problems of those above a band of pass rates, as places of a recipe.

Not here: the stages themselves, and the recipe (recipe.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from magpie_hf.selection.places import Places, with_steps
from magpie_hf.stages.adopt import Adopt, ConfirmHarder
from magpie_hf.stages.again import Again
from magpie_hf.stages.harden import Harden
from magpie_hf.stages.step import Step


def rounds_of(
    rounds: int,
    harden: Harden,
    adopt: Adopt,
    band: tuple[float, float],
    again: Places,
    steps: Sequence[Step],
) -> Places:
    """In each round one call for problems that are still above the band, and all stages on what comes of it.

    harden, adopt: those of the first round. again: the places that a harder problem goes through as a sample
    does; stages of one's own stand there, too.
    """
    places: Places = []
    for number in range(1, rounds + 1):
        places.append(("", harden.engine, [[replace(harden, round=number)]]))
        places.append(("", None, [[replace(adopt, round=number)]]))
        places += [
            ("", engine, [[Again(stage, number) for stage in stages] for stages in steps_there])
            for engine, steps_there in with_steps(again, steps)
        ]
    return [*places, ("", None, [[ConfirmHarder(band)]])]
