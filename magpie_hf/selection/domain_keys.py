"""Whether the domains of a recipe can stand beside each other: their keys name folders and configurations.

Not here: what a domain is (domains.py), which is read where no table of columns is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from magpie_hf.domains import MOST_ROWS, Domain
from magpie_hf.errors import BadInput
from magpie_hf.schema import SUFFIXES, TAKEN


def check_domains(domains: Sequence[Domain]) -> None:
    """Raises BadInput for no domain, a key twice or that names no folder, and a count out of its range."""
    keys = [domain.key for domain in domains]
    if not keys or len({key.lower() for key in keys}) < len(keys):
        raise BadInput(f"the domains are {', '.join(keys) or 'none'}; name at least one, and each once")
    for domain in domains:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", domain.key) or domain.key.lower() in TAKEN:
            raise BadInput(
                f"the domain key {domain.key!r} cannot name a folder and a configuration; use letters,"
                " digits, _ and -"
            )
        for suffix in SUFFIXES:
            if domain.key.removesuffix(suffix) in set(keys) - {domain.key}:
                raise BadInput(
                    f"the domain key {domain.key!r} names the configuration {suffix} of another domain;"
                    " choose another key"
                )
        if not 1 <= domain.count <= MOST_ROWS:
            raise BadInput(f"the count of {domain.key} is {domain.count}; give 1 to {MOST_ROWS:,}")
