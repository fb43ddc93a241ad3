"""A recipe file on the command line: its values under the options that were given, which win.

Not here: what the file may say (recipe_file/).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from magpie_hf.errors import BadInput
from magpie_hf.recipe_file.places import ON_THE_HUB

if TYPE_CHECKING:
    from magpie_hf.recipe_file.reading import RecipeFile

ENDINGS = (".yaml", ".yml")


def is_recipe(options: argparse.Namespace) -> bool:
    """Whether the command was given a recipe file; `publish` takes one in the place of its folder."""
    place = getattr(options, "recipe", None)
    if place is None or options.command == "recipe":
        return False
    return options.command != "publish" or (place.endswith(ENDINGS) and not Path(place).is_dir())


def with_recipe(
    parser: argparse.ArgumentParser, arguments: Sequence[str], options: argparse.Namespace
) -> tuple[RecipeFile, argparse.Namespace]:
    """The recipe file that the options name, and the options with what it says.

    arguments: those that the options were parsed from. Raises BadInput for a file that cannot be read, and,
    with its line, for what is wrong in it.
    """
    from magpie_hf.recipe_file.reading import read

    commands = commands_of(parser)
    file = read(content_of(options.recipe), options.recipe, build_options(parser))
    command = commands[options.command]
    known = {action.dest for action in command._actions if action.option_strings}
    if options.command == "calibrate":
        known.remove("out")  # the file's is the build's
    at = list(arguments).index(options.command) + 1
    alone = command.parse_args(arguments[at:], argparse.Namespace(**dict.fromkeys(known)))  # without defaults
    given = {name: value for name in known if (value := getattr(alone, name)) is not None}
    merged = parser.parse_args([*arguments[:at], *file.arguments(known, given), *arguments[at:]])
    merged.blocks = dict(file.blocks)
    if {"scorer", "judge"} & set(given):
        merged.blocks.pop("scorer", None)
    if options.command == "publish":
        merged.built = parser.parse_args(["build", *file.arguments(build_options(parser), {})])
        merged.built.blocks = file.blocks
    return file, merged


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    found: Mapping[str, argparse.ArgumentParser] = next(
        action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return found


def build_options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The options of `build` that a recipe file can have, by name."""
    build = commands_of(parser)["build"]
    found: dict[str, argparse.Action] = {}
    for action in build._actions:
        if action.option_strings and action.dest not in ("help", "lang"):
            found.setdefault(action.dest, action)  # --json is short for a value of --progress
    return found


def content_of(place: str) -> bytes:
    """The bytes of a recipe file, from the disk or the Hub; of a larger one, one byte more than is read.

    Raises BadInput where there is none.
    """
    if place.startswith(ON_THE_HUB):
        from magpie_hf.hub.recipes import fetched

        return fetched(place)
    from magpie_hf.recipe_file.nodes import MOST_BYTES

    path = Path(place).expanduser()
    if not path.is_file():
        raise BadInput(f"{place} is no file; give a recipe file, or options alone")
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)
