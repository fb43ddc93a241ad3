"""magpie-hf publish: publishes a build on the Hub, or writes it into a folder.

Not here: the upload (hub/).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from magpie_hf.cli.commands.assembly import named
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import add_card, add_licence, add_publishing, domains
from magpie_hf.cli.commands.upload import interrupted_at_once, push_folder, say, where, wording
from magpie_hf.errors import BadInput
from magpie_hf.models.names import repository_or_folder
from magpie_hf.text.language import tr


def add(commands: Any) -> None:
    """Add the command to the command line."""
    what = (
        "Publish a finished build on the Hub, as one commit to a private dataset. Run the "
        "command again after a failure: it uploads only what is missing."
    )
    publish = commands.add_parser("publish", help="publish a build on the Hub", description=what)
    publish.add_argument(
        "recipe",
        metavar="FOLDER",
        help="the --out folder of the build, or the recipe file (.yaml) that it was built from",
    )
    publish.add_argument(
        "repo",
        nargs="?",
        metavar="user/name",
        help="dataset on the Hub, created if it does not exist (default: push in the recipe file)",
    )
    publish.add_argument(
        "--partial",
        action="store_true",
        help="publish an unfinished build, too: the rows that went through every stage",
    )
    publish.add_argument(
        "--dry-run", action="store_true", help="show what would change on the Hub, and change nothing"
    )
    publish.add_argument(
        "--to",
        metavar="FOLDER",
        help="write the same files into a folder instead of the Hub; this needs no token",
    )
    add_publishing(publish)
    add_card(publish.add_argument_group("dataset card"))
    add_licence(publish.add_argument_group("licence of the data"), None)
    publish.set_defaults(run=run, built=None)


def _named(options: argparse.Namespace) -> tuple[Path, str]:
    """The folder of the build and the dataset, of which a recipe file may name both."""
    built, repo = options.built, options.repo
    if built is None:
        folder = Path(options.recipe).expanduser()
    else:
        from magpie_hf.planning.inputs import folder_of

        if built.model is None:
            raise BadInput("no model is given; give --model, or a recipe file with one")
        names = "" if built.out else named(domains(built))  # for which given problems are read
        folder = folder_of(built.out, repository_or_folder(built.model), names)
        repo = repo or built.push
    if repo is None and options.to:
        raise BadInput("the dataset has no name, which its card says; give user/name behind the folder")
    if repo is None:
        raise BadInput("no dataset on the Hub is named; give user/name behind the folder")
    return folder, repo


def run(options: argparse.Namespace) -> int:
    from magpie_hf.hub.publish import preview, publish_to_folder

    folder, repo = _named(options)
    how = {"wording": wording(options), "partial": options.partial}
    if options.to is not None and (
        options.dry_run or options.public or options.overwrite or options.add or options.tag
    ):
        raise BadInput(
            "--to writes a folder, so --dry-run, --public, --overwrite, --add and --tag have no effect; "
            "leave them out"
        )
    if options.to == "":
        raise BadInput("--to is empty; give a folder, or leave it out to publish on the Hub")
    with interrupted_at_once():
        if options.to is not None:
            change, rows = publish_to_folder(folder, repo, options.to, **how, say=say)
            print("\n".join([*change.lines(rows), tr("written to {folder}", folder=options.to)]))
        elif options.dry_run:
            change, rows = preview(folder, repo, **where(options), **how)
            print("\n".join([*change.lines(rows), tr("nothing was changed (--dry-run)")]))
        else:
            push_folder(options, folder, repo, options.partial)
    return OK
