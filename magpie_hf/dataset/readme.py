"""The card as it stands in the folder of a build: the words of its user in it, and changes around them.

Not here: writing it anew (folder.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magpie_hf.card import card
from magpie_hf.card.own_words import rest_of, words_in
from magpie_hf.errors import BadInput
from magpie_hf.store.shards import sync

OWN_WORDS = "own_words.md"  # the user's words in the card, while the card is written anew
EDITED = "README.edited.md"  # a card that was changed outside their place; later ones are numbered from 2
UNDER_WAY = """---
configs:
- config_name: default
  data_files: this-dataset-is-being-written/run-the-build-again.parquet
---
This dataset is being written. If no build is running, run it again to finish it.
"""


@dataclass(frozen=True)
class Readme:
    """README.md of a folder. run: where copies of what its user wrote are kept."""

    folder: Path
    run: Path

    @property
    def file(self) -> Path:
        return self.folder / card.README

    def read(self) -> str:
        """The card; "" without one. Raises BadInput for one that is no UTF-8."""
        try:
            return self.file.read_text(encoding="utf-8") if self.file.is_file() else ""
        except UnicodeDecodeError as error:
            raise BadInput(f"{self.file} is no UTF-8 text; save it as UTF-8") from error

    @property
    def own_words(self) -> str:
        """The own words in the card, also where a build was killed while it wrote it; "" without any."""
        words = words_in(self.read())
        if words is None:
            kept = self.run / OWN_WORDS
            words = kept.read_text(encoding="utf-8", errors="replace") if kept.is_file() else ""
        return words

    def is_none_of(self, *cards: str | None) -> bool:
        """Whether a card is there that is none of these, each given as `rest_of` it."""
        return self.read() not in ("", UNDER_WAY) and rest_of(self.read()) not in cards

    def set_under_way(self) -> None:
        """Put a card in its place that names no data files."""
        self.file.write_text(UNDER_WAY, encoding="utf-8")

    def keep_words(self, words: str) -> None:
        """Keep own words while the card is written anew."""
        self._keep(OWN_WORDS, words)

    def keep_edited(self) -> Path:
        """Keep the card as it is beside earlier ones, and return the copy."""
        number = 1
        while True:
            copy = self.run / (EDITED if number == 1 else EDITED.replace(".md", f".{number}.md"))
            if not copy.exists():
                self._keep(copy.name, self.read())
            if copy.read_text(encoding="utf-8", errors="replace") == self.read():
                return copy
            number += 1

    def _keep(self, name: str, text: str) -> None:
        """Write a text of the user's into the run, whole or not at all; an empty one is removed."""
        file = self.run / name
        if not text:
            file.unlink(missing_ok=True)
            return
        aside = file.with_suffix(".tmp")
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        aside.replace(file)
