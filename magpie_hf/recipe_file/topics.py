"""A file of topics: of each domain, what problems are asked about, and who asks.

Not here: the texts that ask about them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magpie_hf.domains import Topic
from magpie_hf.errors import BadInput
from magpie_hf.recipe_file.nodes import Node, read_tree, unknown

# The fields of a topic, and what each takes.
FIELDS = {
    "topic": "what the problem is about",
    "japanese": "the same in Japanese, for Japanese texts",
    "weight": "how often it is chosen, beside the others",
    "persona": "who asks",
}


def read_topics(path: str, known: Iterable[str]) -> dict[str, tuple[Topic, ...]]:
    """The topics of a YAML file, by domain: a list each, of texts or of fields.

    known: the domains that there are. Raises BadInput, with the line, for a wrong file.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give --topics a file of topics") from error
    tree, domains = read_tree(content, path, "a file of topics", "algebra: [Rings]"), list(known)
    found: dict[str, tuple[Topic, ...]] = {}
    for key, (name, block) in tree.pairs().items():
        if key not in domains:
            raise unknown("", name, domains)
        if not block.is_list or not block.items():
            raise block.at(BadInput(f"{key} is {block.said}; give a list of topics"))
        topics = [_topic(f"{key}[{number}]", item) for number, item in enumerate(block.items())]
        said = [(topic.topic, topic.persona) for topic in topics]
        for item, one in zip(block.items(), said, strict=True):
            if said.count(one) > 1:
                raise item.at(BadInput(f"{key} names {one[0]!r} twice; name it once, with a weight"))
        found[key] = tuple(topics)
    return found


def _topic(where: str, item: Node) -> Topic:
    pairs = item.pairs() if item.is_mapping else {"topic": (item, item)}
    given: dict[str, Any] = {}
    for field, (at, value) in pairs.items():
        if field not in FIELDS:
            raise unknown(where, at, FIELDS)
        if field != "weight" and not (value.is_text and value.text.strip()):
            raise value.at(BadInput(f"{where}.{field} is {value.said}; give a text"))
        given[field] = value.value() if field == "weight" else " ".join(value.text.split())
    if "topic" not in given:
        raise item.at(BadInput(f"{where} has no topic; say what the problem is about"))
    try:
        return Topic(**given)
    except BadInput as error:
        raise item.at(error) from error
