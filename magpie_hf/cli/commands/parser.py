"""The parser, and its help in the language in use.

Not here: the options, which stay plain English where they are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from magpie_hf.errors import BadInput
from magpie_hf.text.columns import wrapped
from magpie_hf.text.language import translated


class Help(argparse.HelpFormatter):
    """argparse's help, with lines that end where a terminal's do in Japanese, too."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, translated("usage: ") if prefix is None else prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(wrapped(text, width, indent, indent))


class Parser(argparse.ArgumentParser):
    """A parser whose errors are BadInput."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": Help, **options})

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def translate(parser: argparse.ArgumentParser) -> None:
    """Put every description, heading and help text of a finished parser, and of its commands, into the
    language in use.

    So options are added in English, with values in their texts where they want, and argparse's own words are
    reached like ours. It has no other door: its gettext domain is the process's. Words that stand for values
    (MODEL, FOLDER) stay: error messages name them, too.
    """
    parser.description = parser.description and translated(parser.description)
    for group in parser._action_groups:
        group.title = group.title and translated(group.title)
    for action in parser._actions:
        action.help = action.help and translated(action.help)
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                choice.help = choice.help and translated(choice.help)
            for command in action.choices.values():
                translate(command)
