"""Wording: what a user chooses about the card's text.

Not here: writing the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magpie_hf.models.data_licence import DataLicence


@dataclass(frozen=True)
class Wording:
    """How the card is written.

    language: "en" or "ja". template: a Jinja template in place of the package's. licences: for models whose
    licence is not known, "ID" (for all of them) or "MODEL=ID". licence: of the data, in place of the one that
    the build recorded.
    """

    language: str = "en"
    template: Path | None = None
    licences: tuple[str, ...] = ()
    licence: DataLicence | None = None
