"""What the command line knows and Python can use: the recipe of a file.

Not here: building it (building.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magpie_hf.cli.commands.assembly import check_engine, check_rules, recipe_of
from magpie_hf.cli.commands.options import domains
from magpie_hf.cli.commands.recipe_files import with_recipe
from magpie_hf.cli.main import parser
from magpie_hf.errors import BadInput

if TYPE_CHECKING:
    from magpie_hf.recipe import Recipe


def read_recipe(path: str | Path) -> Recipe:
    """The recipe of a file, with its models pinned and its engines ready to be started.

    path: of a file, or `hf://datasets/user/name[@revision]/recipe.yaml`. Groups that say where it runs decide
    which engines it has; the group `publish` has no effect here. Raises BadInput, with the line, for what is
    wrong in the file, and for a model or benchmark that cannot be had.
    """
    words, arguments = parser(), ["build", str(path)]
    file, options = with_recipe(words, arguments, words.parse_args(arguments))
    try:
        if options.model is None:
            raise BadInput("no model is given; give --model, or a recipe file with one")
        chosen = domains(options)
        check_rules(options, chosen)
        check_engine(options, "shard_size", "shards_in_flight")
        return recipe_of(options, chosen, lambda line: None)
    except BadInput as error:
        raise file.located(error) from error
