"""The concepts of each domain, of which a harder problem is to need one: its topics, or heads of MSC 2020.

Not here: topics of one's own (recipe_file/topics.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path

TOPICS = Path(__file__).with_name("topics.yaml")
# The sections of MSC 2020: "10D lattices" begins with no code, as there is no section 10
_SECTION = "0[013568]|1[1-9]|2[0268]|3[0-579]|4[0-79]|5[1-578]|6[0258]|7[0468]|8[0-356]|9[0-47]"
_CODE = re.compile(rf"^(?:{_SECTION})(?:[A-Z](?:\d\d|xx)?|-(?:0\d|1[01])|-XX)\s+(?=\S)")


def without_code(topic: str) -> str:
    """A topic without its code of MSC 2020."""
    return _CODE.sub("", topic, count=1)


def concepts_of(key: str, topics: Iterable[str | None]) -> tuple[str, ...]:
    """The concepts of a domain, each once: its own topics, else those of the package, by its key.

    A domain that the package does not know takes those of all others.
    """
    own = [topic for topic in topics if topic]
    return tuple(dict.fromkeys(map(without_code, own or heads().get(key) or chain(*heads().values()))))


@cache
def heads() -> dict[str, list[str]]:
    """The package's topics by domain."""
    import yaml  # not at the top: a plan, which needs no concept, is to begin at once

    found: dict[str, list[str]] = yaml.safe_load(TOPICS.read_text(encoding="utf-8"))
    return found
