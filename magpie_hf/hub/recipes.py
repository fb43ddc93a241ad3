"""Fetching a recipe file from a dataset on the Hub.

Not here: reading it. No code of a repository runs.
"""

from __future__ import annotations

import re

from magpie_hf.errors import BadInput
from magpie_hf.hub.connection import bounded
from magpie_hf.hub.retry import retried
from magpie_hf.recipe_file.nodes import MOST_BYTES

_PLACE = re.compile(
    r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?"
    r"/(?P<path>(?:[\w-][\w.-]*/)*[\w-][\w.-]*)"
)


@bounded()
def fetched(place: str) -> bytes:
    """The bytes of `hf://datasets/user/name[@revision]/recipe.yaml`; of a larger file, one byte more than a
    recipe has.

    Raises BadInput for another form, and for a file that is not there; HubError where the Hub is silent.
    """
    from huggingface_hub import constants, get_session, get_token, hf_raise_for_status
    from huggingface_hub.errors import (
        EntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if (form := _PLACE.fullmatch(place)) is None:
        raise BadInput(
            f"{place} is no place of a recipe on the Hub; give hf://datasets/user/name[@revision]/recipe.yaml"
        )
    if constants.HF_HUB_OFFLINE:
        raise BadInput(f"{place} is on the Hub, and HF_HUB_OFFLINE is set; unset it, or give a file")
    url = f"{constants.ENDPOINT}/datasets/{form['repo']}/resolve/{form['revision'] or 'main'}/{form['path']}"
    headers = {"Authorization": f"Bearer {token}"} if (token := get_token()) else {}

    def read() -> bytes | None:
        content = b""
        with get_session().stream("GET", url, headers=headers) as response:
            if response.is_error:
                response.read()
            try:
                hf_raise_for_status(response)
            except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError):
                return None
            for part in response.iter_bytes():
                content += part
                if len(content) > MOST_BYTES:
                    break
        return content[: MOST_BYTES + 1]

    if (found := retried(f"reading {place}", read, lambda line: None)) is None:
        raise BadInput(
            f"the Hub has no {place}, or your token may not see it; check the name and `hf auth whoami`"
        )
    return found
