"""The recipe file that is published with a dataset.

Not here: what a recipe file says (recipe_file/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from magpie_hf.recipe_file.writing import text_of

RECIPE = "recipe.yaml"


def recipe_text(provenance: Mapping[str, Any]) -> bytes | None:
    """The recipe file of a build with this provenance; None where none can say it."""
    if not (said := provenance.get("recipe")):
        return None
    marks = provenance.get("reviewed") or {"read": 0, "good": 0}
    not_checked = ", ".join(one["name"] for one in provenance["not_checked"])
    return text_of(said, not_checked, marks["read"] - marks["good"])
