"""The whole difference of two sides: recipe, rows and numbers.

Not here: how it is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from magpie_hf.report.differences.rows import SplitDifference, split_difference
from magpie_hf.report.differences.sides import Place, Side
from magpie_hf.report.differences.values import Changed, number_differences, recipe_differences
from magpie_hf.text.language import tr


@dataclass(frozen=True)
class Difference:
    """What changed from `before` to `after`, by their names.

    recipe, numbers: values that differ. splits: every split of either side. same: those whose files are equal
    to the byte. notes: what a reader should know, in lines.
    """

    before: str
    after: str
    recipe: Changed
    splits: tuple[SplitDifference, ...]
    numbers: Changed
    same: frozenset[Place]
    notes: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        return not (self.recipe or self.numbers) and all(one.is_none for one in self.splits)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "before": self.before,
            "after": self.after,
            "equal": self.is_none,
            "recipe": self.recipe,
            "splits": [asdict(one) for one in self.splits],
            "numbers": self.numbers,
            "notes": list(self.notes),
        }


def difference_of(before: Side, after: Side, most: int) -> Difference:
    """What changed. most: examples of changed, added and removed rows of each split.

    A split whose files are equal to the byte is not read, and not fetched from the Hub. Raises BadInput as
    `split_difference` does, and what reading a side raises.
    """
    places = list(dict.fromkeys([*before.places, *after.places]))
    same = {
        place
        for place in places
        if place in before.places and place in after.places and before.sums(place) == after.sums(place)
    }
    splits = []
    for place in places:
        if place in same:
            splits.append(SplitDifference(*place, None, None))
            continue
        old, new = (side.split(place) if place in side.places else None for side in (before, after))
        splits.append(split_difference(*place, old, new, most))
    samples = [[one.samples for one in side.builds] for side in (before, after)]
    alike = len(same) == len(places) and samples[0] == samples[1]
    numbers = {} if alike else number_differences(before, after)
    notes = (*before.notes, *after.notes, *_unknown(before), *_unknown(after))
    recipe = recipe_differences(before, after)
    return Difference(before.name, after.name, recipe, tuple(splits), numbers, frozenset(same), notes)


def _unknown(side: Side) -> list[str]:
    if side.builds or side.notes:
        return []
    return [tr("{name} does not say how it was made, so rows alone are compared", name=side.name)]
