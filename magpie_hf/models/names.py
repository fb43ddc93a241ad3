"""What a model argument names: a number, a repository or a folder, and a revision.

Not here: the model itself (model.py).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from magpie_hf.errors import BadInput
from magpie_hf.models.known import KNOWN_MODELS

_REVISION = re.compile(r"(.+)@(sha256:[0-9a-f]{40}|[\w.-]+(?:/[\w.-]+)*)")


def named_revision(text: str) -> tuple[str, str | None]:
    """A model argument without its revision, and the revision; `owner/name@revision` has one, as a folder may
    have the hash of its contents: `folder@sha256:...`.
    """
    form = _REVISION.fullmatch(text)
    return (form[1], form[2]) if form and not os.path.isdir(os.path.expanduser(text)) else (text, None)


def repository_or_folder(text: str) -> str:
    """The repository or folder that a model argument names, without a revision.

    A number gives its repository; anything else must be a folder or look like a repository. Uses no network.
    Raises BadInput otherwise.
    """
    text, revision = named_revision(text)
    if revision and revision.startswith("sha256:") and not os.path.isdir(os.path.expanduser(text)):
        raise BadInput(f"{text!r} is no folder here, and a recipe names a model in it; put the model there")
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        if int(text) not in KNOWN_MODELS:
            raise BadInput(
                f"model {text} is unknown; choose 1 to {max(KNOWN_MODELS)}, a Hub repository or a local"
                " folder"
            )
        return KNOWN_MODELS[int(text)].repository
    folder = Path(os.path.expanduser(text))
    if text and os.path.isdir(folder):
        return str(folder.resolve())
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text) and text[0] not in "./~":
        return text
    raise BadInput(
        f"{text!r} is no model: not a number from 1 to {max(KNOWN_MODELS)}, not an existing folder, not a Hub"
        " repository (owner/name)"
    )
