"""Reading a recipe file: its keys become arguments of the command line, and its blocks become values.

Not here: fetching it (hub/recipes.py), and the checks between options.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.named import needs_code
from magpie_hf.recipe_file.blocks import READERS
from magpie_hf.recipe_file.checks import CHECKS
from magpie_hf.recipe_file.kinds import Kind, kind_of
from magpie_hf.recipe_file.nodes import Node, read_tree, unknown
from magpie_hf.recipe_file.places import (
    BEATS,
    BLOCKS,
    GROUPS,
    NAMED,
    NOT_FROM_THE_HUB,
    ON_THE_HUB,
    PLAIN,
    keys_of,
    place_of,
    places,
)

_BOTH_WAYS = ("yes", "no", "on", "off", "y", "n")  # true and false to YAML 1.1, words to YAML 1.2
_OPTION = re.compile(r"--([a-z][a-z-]*)")


@dataclass(frozen=True)
class RecipeFile:
    """What a recipe file says.

    words: by option, its arguments on a command line. blocks: what no option says. lines: where each option
    and block stands.
    """

    file: str
    words: Mapping[str, Sequence[str]]
    blocks: Mapping[str, Any]
    lines: Mapping[str, int]

    def arguments(self, options: Collection[str], given: Mapping[str, Any]) -> list[str]:
        """The arguments of those of these options that the file has.

        given: the options on the command line with their values, which go before those of the file.
        """
        said = [*given, *(f"{name}={value}" for name, value in given.items())]
        beaten = {option for one in said for option in BEATS.get(one, ())}
        if given.get("scorer") == "judge":
            beaten.discard("judge")
        return [
            word
            for option, words in self.words.items()
            if option in options and option not in beaten
            for word in words
        ]

    def located(self, error: BadInput) -> BadInput:
        """The error with the place of the first option that it names and this file has, if there is one.

        One about the rows of given problems names their source instead.
        """
        said = str(error)
        for name in _OPTION.findall(said):
            if (line := self.lines.get(name.replace("-", "_"))) is not None and not said.startswith(
                self.file
            ):
                return BadInput(f"{self.file}:{line}: {said}")
        source = "".join(self.words.get("problems", ())).partition("=")[2]
        names = filter(None, (source, Path(source).name))
        if not said.startswith(self.file) and any(name in said for name in names):
            return BadInput(f"{self.file}:{self.lines['problems']}: {said}")
        return error


def read(content: bytes, file: str, options: Mapping[str, argparse.Action]) -> RecipeFile:
    """What the recipe file says.

    file: its name in messages. options: those of `magpie-hf build`, by name. Raises BadInput, with the line,
    for the first key or value that is wrong.
    """
    tree = read_tree(content, file)
    words: dict[str, list[str]] = {}
    blocks: dict[str, Any] = {}
    lines: dict[str, int] = {}
    if file.startswith(ON_THE_HUB) and (code := needs_code(tree.value())):
        raise BadInput(
            f"{file} names code of somebody's own ({code[0]}), and none is run for a recipe of the Hub; read"
            " the file, save it, and build from the copy"
        )
    groups = tree.pairs()
    for group, (name, block) in groups.items():
        if group == "scorer" and block.is_mapping and "use" in block.pairs():
            lines[group], blocks[group] = name.line, READERS[group](block)
            continue
        if group in BLOCKS:
            lines[group] = name.line
            if block.is_mapping or group not in options:
                blocks[group] = READERS[group](block)
                if group in options:
                    words[group] = [f"--{group}={','.join(blocks[group])}"]
            else:  # domains of given problems are what their column holds
                words[group] = _words(group, block, options[group], checked="problems" not in groups)
            continue
        if group in NOT_FROM_THE_HUB and file.startswith(ON_THE_HUB):
            raise name.at(
                BadInput(
                    f"{group} says where a build runs or is published, which a recipe of the Hub cannot; read"
                    " the file, save it, and build from the copy"
                )
            )
        if group not in GROUPS:
            raise unknown("", name, [*GROUPS, *BLOCKS], places().values())
        for option, at, value in _of_group(group, block):
            lines[option] = at.line
            words[option] = _words(option, value, options[option])
    return RecipeFile(file, words, blocks, lines)


def _of_group(group: str, block: Node) -> list[tuple[str, Node, Node]]:
    """The options of a group, each with the nodes of its key and value."""
    keys = keys_of(group)
    if block.is_text and group in NAMED:
        return [(keys[NAMED[group]], block, block)]
    if not block.is_mapping:
        raise block.at(BadInput(f"{group} is {block.said}; give some of its keys: {', '.join(keys)}"))
    found = []
    for key, (name, value) in block.pairs().items():
        if key not in keys:
            elsewhere = [place for place in places().values() if place.rpartition(".")[2] == key]
            raise unknown(group, name, keys, elsewhere)
        found.append((keys[key], name, value))
    return found


def _words(option: str, value: Node, action: argparse.Action, checked: bool = True) -> list[str]:
    """The arguments that say this value. Raises BadInput, with the line, where the option cannot have it."""
    place, kind = place_of(option), kind_of(option, action)
    name = f"--{option.replace('_', '-')}"
    if value.is_empty:
        raise value.at(BadInput(f"{place} has no value; give {kind.takes}, or leave the key out"))
    if kind.shape == "flag":
        if value.is_quoted or value.text not in ("true", "false"):
            raise value.at(BadInput(f"{place} is {value.said}; give true or false"))
        return [name] if value.text == "true" else []
    if kind.shape == "pairs" and value.is_mapping:
        texts = [f"{key}={_json(f'{place}.{key}', option, one)}" for key, (_, one) in value.pairs().items()]
    elif kind.shape == "table" and value.is_mapping:
        texts = [json.dumps(value.value(), sort_keys=True)]
    elif kind.shape in ("pairs", "list", "commas") and value.is_list:
        texts = [_text(place, kind, one) for one in value.items()]
    else:
        texts = [_text(place, kind, value)]
    if kind.shape == "commas":
        texts = [",".join(texts)]
    for text in texts if checked else ():
        _check(option, kind, value, text)
    return [f"{name}={text}" for text in texts]


def _json(place: str, option: str, value: Node) -> str:
    if option not in PLAIN:
        return json.dumps(value.value(), sort_keys=True, ensure_ascii=False)
    if not value.is_text:
        raise value.at(BadInput(f"{place} is {value.said}; give a text"))
    return value.text


def _text(place: str, kind: Kind, value: Node) -> str:
    """The one value that stands there, as text. Raises BadInput where it is of another type."""
    wrong = value.at(BadInput(f"{place} is {value.said}; give {kind.takes}"))
    if not value.is_text or "\0" in value.text:
        raise wrong
    if kind.choices and value.text not in kind.choices:
        raise wrong
    if kind.number is not None:
        given: Any = None if value.is_quoted else value.value()
        fits = (int,) if kind.number is int else (int, float)
        if type(given) not in fits or len(value.text) > 40 or abs(float(given)) == float("inf"):
            raise wrong
    elif value.text in ("true", "false") and not value.is_quoted:
        raise wrong
    return value.text


def _check(option: str, kind: Kind, value: Node, text: str) -> None:
    if (check := CHECKS.get(option)) is not None:
        try:
            check(kind.parsed(text))
        except BadInput as error:
            raise value.at(error) from error
