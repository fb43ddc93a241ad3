"""The command line `magpie-hf`: reads the arguments, runs a command, and turns errors into exit codes.

Not here: what the commands do. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from magpie_hf.cli import menu
from magpie_hf.cli.commands import (
    build,
    calibrate,
    diff,
    plan,
    preview,
    publish,
    recipe,
    recipe_files,
    report,
    review,
    show,
    status,
    sweep,
)
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, FAILED, OK
from magpie_hf.cli.commands.parser import Parser, Version, translate
from magpie_hf.cli.environment import check_environment
from magpie_hf.errors import BadInput, EngineError, HubError, NothingMade, StepFailed
from magpie_hf.run.interrupts import INTERRUPTED
from magpie_hf.text.language import LANGUAGES, translated, use, wanted
from magpie_hf.text.terminal import encodable, open_missing_streams

if TYPE_CHECKING:
    from magpie_hf.recipe_file.reading import RecipeFile

COMMANDS = (build, plan, preview, calibrate, status, show, report, review, diff, sweep, publish, recipe)


def parser() -> Parser:
    """The command line of `magpie-hf`."""
    language: dict[str, Any] = {
        "choices": LANGUAGES,
        "help": "language of help and messages (default: the locale's)",
    }
    top = Parser(
        prog="magpie-hf",
        description="Builds synthetic mathematics datasets from an open aligned model (Magpie).",
    )
    top.add_argument("--version", action=Version, help="show the version and exit")
    top.add_argument("--lang", **language)
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", parser_class=Parser, help="without a command, a menu asks"
    )
    for command in COMMANDS:
        command.add(commands)
    for one in commands.choices.values():
        one.add_argument("--lang", default=argparse.SUPPRESS, **language)
    translate(top)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: done, 1: failed, 2: bad input, 3: done but a split of a domain is empty, 130: interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    recipe_file: RecipeFile | None = None
    open_missing_streams()
    encodable(sys.stdout, sys.stderr)
    try:
        use(wanted(arguments))
        words = parser()
        options = words.parse_args(arguments)
        if options.command is None:
            if (asked := menu.ask(words.parse_args)) is None:
                return OK
            options = asked
        check_environment()
        if recipe_files.is_recipe(options):
            recipe_file, options = recipe_files.with_recipe(words, arguments, options)
        code = int(options.run(options))
        sys.stdout.flush()  # raises BrokenPipeError here and not at exit, if the reader of a pipe has left
        return code
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BadInput as error:
        return _complain(recipe_file.located(error) if recipe_file else error, BAD_INPUT)
    except (EngineError, HubError, NothingMade, StepFailed) as error:
        return _complain(error, FAILED)
    except BrokenPipeError:  # the reader has left; /dev/null keeps Python from complaining again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        said = translated(str(error.strerror))
        where = f"{said} ({error.filename})" if error.filename else said
        if error.errno in (errno.EACCES, errno.EPERM):
            return _complain(
                BadInput(f"{where}; allow reading and writing there, or choose another folder"),
                BAD_INPUT,
            )
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            return _complain(BadInput(f"{where}; give another path"), BAD_INPUT)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
            raise
        return _complain(
            OSError(
                f"{where}; what is finished is safe: mend the disk or make room, and run the same command"
                " again"
            ),
            FAILED,
        )


def _complain(error: Exception, code: int) -> int:
    for fault in getattr(error, "faults", (error,)):
        print(f"magpie-hf: {' '.join(translated(str(fault)).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
