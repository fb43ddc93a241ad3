"""What an option takes in a recipe file, read off the command line's own parser.

Not here: its range.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from magpie_hf.errors import shortened
from magpie_hf.recipe_file.places import LISTED, PAIRED
from magpie_hf.text.language import tr

Shape = Literal["flag", "value", "list", "commas", "pairs", "table"]


@dataclass(frozen=True)
class Number:
    """Reads a number of the command line. Raises ArgumentTypeError for another text."""

    kind: type[int] | type[float]

    def __call__(self, text: str) -> int | float:
        try:
            return self.kind(text)
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{shortened(text)} is not {what}") from None


@dataclass(frozen=True)
class Kind:
    """What an option takes: its shape, and the type or the choices of one value."""

    shape: Shape
    number: type[int] | type[float] | None = None
    choices: tuple[str, ...] = ()
    parsed: Callable[[str], Any] = str

    @property
    def takes(self) -> str:
        """What may stand there, for a message."""
        if self.choices:
            return tr("one of {choices}", choices=", ".join(self.choices))
        if self.number is not None:
            return tr("a whole number") if self.number is int else tr("a number")
        if self.shape == "flag":
            return tr("true or false")
        if self.shape in ("list", "commas"):
            return tr("a text, or a list of texts")
        return tr("names and values") if self.shape in ("pairs", "table") else tr("a text")


def kind_of(option: str, action: argparse.Action) -> Kind:
    """What the option of this action takes."""
    if action.nargs == 0:
        return Kind("flag")
    parsed = action.type if callable(action.type) else str
    number = action.type.kind if isinstance(action.type, Number) else None
    shape: Shape = "value"
    if option in PAIRED:
        shape = "pairs"
    elif option in LISTED:
        shape = "commas"
    elif option == "engine_args":
        shape = "table"
    elif isinstance(action, argparse._AppendAction):
        shape = "list"
    return Kind(shape, number, tuple(map(str, action.choices or ())), parsed)
