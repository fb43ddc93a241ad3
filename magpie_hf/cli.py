"""magpie-hf: the command line, thin over the public functions. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from magpie_hf.commands import build, probe, publish, report, status
from magpie_hf.commands.exits import BAD_INPUT, FAILED
from magpie_hf.commands.options import Parser
from magpie_hf.errors import BadInput, EngineError, HubError, NothingMade
from magpie_hf.language import LANGUAGES, tr, use, wanted

COMMANDS = (build, status, report, probe, publish)


def parser() -> Parser:
    """The command line of `magpie-hf`."""
    top = Parser(prog="magpie-hf", description=tr("Builds synthetic mathematics datasets from an open aligned model (Magpie)."))
    top.add_argument("--lang", choices=LANGUAGES, help=tr("language of what is said here (default: the locale's)"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (0 done, 1 failed, 2 bad input, 3 done but a domain is empty, 130 interrupted)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        use(wanted(arguments))
        options = parser().parse_args(arguments)
        return int(options.run(options))
    except BadInput as error:
        return _complain(error, BAD_INPUT)
    except (EngineError, HubError, NothingMade) as error:
        return _complain(error, FAILED)
    except BrokenPipeError:  # whoever read the lines has left; Python would complain once more while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            raise
        where = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        return _complain(OSError(f"{where}; what is finished is safe: mend the disk or make room, and run the same command again"), FAILED)


def _complain(error: Exception, code: int) -> int:
    print(f"magpie-hf: {' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
