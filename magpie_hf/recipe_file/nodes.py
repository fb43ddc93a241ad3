"""A YAML text as a tree of nodes that know their line, without what YAML can do to a reader.

Not here: which keys a recipe has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from magpie_hf.errors import BadInput, shortened
from magpie_hf.text.language import tr

MOST_BYTES = 200_000  # of a recipe; six domains with all their texts take 8,000
MOST_DIGITS = 100  # of a number; of 4,300 Python reads none
_CORE = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?|-?\.\d+")


@dataclass(frozen=True)
class Node:
    """A node of the tree: a text, a list or a mapping, at a line of a file."""

    file: str
    line: int
    node: yaml.Node

    def at(self, error: BadInput) -> BadInput:
        """The error with the place of this node in front."""
        return BadInput(f"{self.file}:{self.line}: {error}")

    @property
    def is_text(self) -> bool:
        """Whether it is one value."""
        return isinstance(self.node, yaml.ScalarNode) and not self.is_empty

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands there, or null."""
        return self.node.tag == f"{_CORE}null"

    @property
    def is_quoted(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.node.style is not None

    @property
    def text(self) -> str:
        """The value as it is written, so that `no` is a word, and 0123 and 1e3 stay what they are."""
        return str(self.node.value)

    @property
    def said(self) -> str:
        """The value for a message."""
        if self.is_mapping:
            return tr("a mapping")
        if self.is_list:
            return tr("a list")
        return tr("empty") if self.is_empty else shortened(self.text)

    def items(self) -> list[Node]:
        """The items of a list."""
        return [self._child(one) for one in self.node.value]

    def pairs(self) -> dict[str, tuple[Node, Node]]:
        """The keys of a mapping, each with its node and its value's. Raises BadInput for one twice."""
        found: dict[str, tuple[Node, Node]] = {}
        for key, value in self.node.value:
            name = self._child(key)
            if not name.is_text:
                raise name.at(
                    BadInput(f"{name.said} stands where a key belongs; give a word before the colon")
                )
            if name.text in found:
                first = found[name.text][0].line
                raise name.at(
                    BadInput(f"{name.text} stands here again, and in line {first}; keep one of them")
                )
            found[name.text] = name, self._child(value)
        return found

    def within(self, parts: Iterable[str]) -> Node:
        """The node that these keys and numbers of items lead to, as far as there is one."""
        node = self
        for part in parts:
            if node.is_mapping and part in (pairs := node.pairs()):
                node = pairs[part][1]
            elif node.is_list and part.isdecimal() and int(part) < len(node.node.value):
                node = node.items()[int(part)]
            else:
                break
        return node

    def value(self) -> Any:
        """The value as plain JSON: true, false, null and numbers as JSON has them, all else as text."""
        if self.is_mapping:
            return {key: one.value() for key, (_, one) in self.pairs().items()}
        if self.is_list:
            return [one.value() for one in self.items()]
        if self.is_quoted:
            return self.text
        if self.is_empty:
            return None
        if self.text in ("true", "false"):
            return self.text == "true"
        if len(self.text) > MOST_DIGITS:
            return self.text
        if _WHOLE.fullmatch(self.text):
            return int(self.text)
        return float(self.text) if _DECIMAL.fullmatch(self.text) else self.text

    def _child(self, node: yaml.Node) -> Node:
        return Node(self.file, node.start_mark.line + 1, node)


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases, which can make a gigabyte of a line, and tags, which name types."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(line, BadInput(f"*{event.anchor} is an alias; write out what it stands for"))
        if getattr(event, "tag", None) is not None:
            raise _Refused(line, BadInput(f"{shortened(event.tag)} is a tag; give the plain value"))
        return super().compose_node(parent, index)


class Dumper(yaml.SafeDumper):
    """Writes what `Node.value` reads again: a text that is a number there, such as 1e3, is quoted."""

    def represent_text(self, text: str) -> yaml.Node:
        style = "'" if _DECIMAL.fullmatch(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, Dumper.represent_text)


class _Refused(Exception):
    def __init__(self, line: int, error: BadInput) -> None:
        self.line, self.error = line, error


def read_tree(content: bytes, file: str, what: str = "a recipe", example: str = "model: 1") -> Node:
    """The tree of a YAML file, a mapping. Raises BadInput for what is none.

    file, what, example: its name in messages, what it holds, and how that begins.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"{file} has more than {MOST_BYTES:,} bytes, so it is no recipe; give a recipe file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(f"{file}:{line}: this is no UTF-8 text; save the file as UTF-8") from error
    try:
        node: Any = yaml.compose(text, Loader=_Loader)
    except _Refused as refused:
        raise BadInput(f"{file}:{refused.line}: {refused.error}") from None
    except RecursionError:
        raise BadInput(f"{file} is nested too deeply; give a recipe file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text[: getattr(error, "position", 0)].count("\n") + 1
        what = getattr(error, "problem", None) or getattr(error, "reason", "") or type(error).__name__
        raise BadInput(f"{file}:{line}: this is no YAML ({what}); mend the line") from error
    if node is None:
        raise BadInput(f"{file} is empty; give {what}, such as `{example}`")
    tree = Node(file, node.start_mark.line + 1, node)
    if not tree.is_mapping:
        raise tree.at(BadInput(f"{tree.said} stands where {what} begins; give keys, such as `{example}`"))
    return tree


def unknown(where: str, name: Node, known: Iterable[str], elsewhere: Iterable[str] = ()) -> BadInput:
    """The error for a key that does not exist, with the nearest one.

    where: the keys above it, "" for none. known: the keys that may stand there. elsewhere: places of others.
    """
    whole = f"{where}.{name.text}" if where else name.text
    if where and (near := difflib.get_close_matches(name.text, known := [*known], 1, 0.75)):
        nearest = f"{where}.{near[0]}"
        return name.at(BadInput(f"{shortened(whole)} is no key; the nearest is {nearest}"))
    places = [*(f"{where}.{one}" if where else one for one in known), *elsewhere]
    words = {one.rpartition(".")[2]: one for one in reversed(places)}
    if near := difflib.get_close_matches(name.text, [*words, *places], 1, 0.6):
        return name.at(
            BadInput(f"{shortened(whole)} is no key; the nearest is {words.get(near[0], near[0])}")
        )
    return name.at(BadInput(f"{shortened(whole)} is no key; choose from {', '.join(known)}"))
