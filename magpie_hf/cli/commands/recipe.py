"""magpie-hf recipe show: prints the recipe file of a build.

Not here: what stands in it (recipe_file/).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.errors import BadInput


def add(commands: Any) -> None:
    """Add the command to the command line."""
    what = (
        "Print the recipe of a build: all that determines its rows, with pinned revisions, as a file that"
        " `magpie-hf build` takes."
    )
    recipe = commands.add_parser("recipe", help="print the recipe file of a build", description=what)
    recipe.add_argument("what", choices=("show",), metavar="show", help="what to do: show")
    recipe.add_argument("folder", help="the --out folder of the build")
    recipe.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from magpie_hf.card.recipe import recipe_text
    from magpie_hf.dataset.folder import Folder
    from magpie_hf.run.status import status

    folder = Path(options.folder).expanduser()
    status(folder)  # raises where there is no build
    if (text := recipe_text(Folder(folder).provenance)) is None:
        raise BadInput(
            f"the build in {folder} has no recipe that a file can say; it was made in Python, or by an"
            " earlier version: then run it again"
        )
    print(text.decode(), end="")
    return OK
