"""magpie-hf status: how far a build is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from magpie_hf.commands.exits import OK
from magpie_hf.status import status


def add(commands: Any) -> None:
    """Add the command to the command line."""
    state = commands.add_parser("status", help="how far a build is", description="How far a build is; works while it runs.")
    state.add_argument("folder", help="the --out folder of the build")
    state.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    print("\n".join(status(Path(options.folder).expanduser()).lines()))
    return OK
