"""What `publish` and `build --push` share: checks, the upload, and the message on Ctrl-C.

Not here: the publishing itself (hub/).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.options import licence_of_data
from magpie_hf.errors import BadInput
from magpie_hf.run.interrupts import INTERRUPTED
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.card.wording import Wording
    from magpie_hf.hub.remote import Head
    from magpie_hf.recipe import Recipe

# Options of a build that say how it is published.
_OF_PUSH = (
    "public",
    "overwrite",
    "add",
    "tag",
    "card_lang",
    "card_template",
    "model_license",
)


def check_push(options: argparse.Namespace) -> Head | None:
    """The dataset to publish to, as it is. Raises BadInput if the build could not be published as the options
    say, before it begins.
    """
    if options.push is not None:
        from magpie_hf.card.card import check_template
        from magpie_hf.hub.push import check_target
        from magpie_hf.models.licences import parse_model_licences

        parse_model_licences(options.model_license)
        if options.card_template is not None:
            check_template(Path(options.card_template).expanduser())
        how = where(options)
        del how["add"]
        return check_target(options.push, **how)
    if given := [
        name for name, value in vars(options).items() if name in _OF_PUSH and value and value != "en"
    ]:
        raise BadInput(
            f"--{given[0].replace('_', '-')} is an option of publishing and --push is missing; "
            "give --push, too"
        )
    return None


def check_replaced(options: argparse.Namespace, head: Head | None, recipe: Recipe) -> None:
    """Raises BadInput where the dataset to publish to holds another build, which nothing says to replace."""
    from magpie_hf.card.provenance import provenance
    from magpie_hf.hub.builds import Build, beside
    from magpie_hf.hub.push import check_build

    if not options.overwrite:
        mine = Build(json.loads(json.dumps(provenance(recipe, licence_of_data(options)))))
        kept = beside(options.push, head.builds, mine) if options.add and head is not None else []
        check_build(options.push, head, mine.identity, kept)


def push_folder(options: argparse.Namespace, folder: Path, repo: str, partial: bool = False) -> None:
    from magpie_hf.hub.publish import publish

    pushed = publish(folder, repo, **where(options), wording=wording(options), partial=partial)
    said = tr("published") if pushed.committed else tr("unchanged")
    line = tr("{said}: {url} at commit {commit}", said=said, url=pushed.url, commit=pushed.commit)
    print(line + (tr(", tag {tag}", tag=pushed.tag) if pushed.tag else ""), flush=True)


@contextlib.contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Have Ctrl-C end the process at once, even while threads upload."""
    try:
        yield
    except KeyboardInterrupt:
        said = tr(
            "stopped; the Hub holds either the previous version or the whole new one. Run the command again"
        )
        print(f"\nmagpie-hf: {said}", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)


def where(options: argparse.Namespace) -> dict[str, Any]:
    from magpie_hf.hub.remote import check_way

    check_way(options.add, options.overwrite)
    return {
        "private": not options.public,
        "overwrite": options.overwrite,
        "add": options.add,
        "tag": options.tag,
        "say": say,
    }


def wording(options: argparse.Namespace) -> Wording:
    from magpie_hf.card.wording import Wording

    template = Path(options.card_template).expanduser() if options.card_template is not None else None
    return Wording(options.card_lang, template, tuple(options.model_license), licence_of_data(options))


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
