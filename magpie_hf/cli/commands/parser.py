"""The argument parser, and its help in the language in use.

Not here: the options, which stay plain English where they are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from magpie_hf.errors import BadInput
from magpie_hf.text.columns import wrapped
from magpie_hf.text.language import translated


class Help(argparse.HelpFormatter):
    """argparse's help, with lines wrapped by display width, as Japanese needs."""

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

    def parse_known_args(self, *arguments: Any, **options: Any) -> Any:
        """Refuses what is left over here, where it is known which command's help to name."""
        found, rest = super().parse_known_args(*arguments, **options)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Refuses "--option=--", of which argparse makes an empty list."""
        if action.option_strings and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "expected one argument")
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        # Translated here, as the whole would be taken for argparse's message about a longer value.
        raise BadInput(f"{translated(message)}; see {self.prog} --help")


class Version(argparse.Action):
    """Prints the installed version and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version  # takes 30 ms, which other commands need not spend

        print(f"{parser.prog} {version('magpie-hf')}")
        parser.exit()


def translate(parser: argparse.ArgumentParser) -> None:
    """Translate all descriptions, headings and help texts of a finished parser and of its commands.

    Options are added in English, and argparse's own words are translated with them: argparse has no other
    hook, since its gettext domain belongs to the process. Metavars (MODEL, FOLDER) stay, as error messages
    name them.
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
