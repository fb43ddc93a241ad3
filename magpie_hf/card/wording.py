"""How a card is written: what a user may choose of it.

Not here: writing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wording:
    """How the card is written.

    language: "en" or "ja"; template: a Jinja template in place of the card's own; licences: of models whose
    licence is not known, each as "ID" (of all of them) or "MODEL=ID".
    """

    language: str = "en"
    template: Path | None = None
    licences: tuple[str, ...] = ()
