"""Messages in the user's language: one table, keyed by the English text.

Not here: the words of a dataset card (cards/).

The code is written in English. `tr` translates a text where it is written. `translated` translates a finished
text by the pattern that it was made from: errors from the whole package, and help texts, which argparse wants
finished. So the code that raises an error needs no translation.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from magpie_hf.errors import BadInput

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
TABLE = Path(__file__).parent / "japanese.yaml"

_LOCATED = re.compile(r"(?P<place>.+?:\d+: )(?P<text>.+)", re.DOTALL)  # FILE:LINE: TEXT

_in_use: list[Language] = ["en"]


def tr(text: str, /, **values: Any) -> str:
    """The text in the language in use, with its {fields} filled in.

    text: English, as a literal, so that a test finds it in the table.
    """
    if _in_use[0] == "ja":
        return _FILLER.format(_table().get(text, text), **values) if values else _table().get(text, text)
    return text.format(**values) if values else text


def translated(text: str, language: str | None = None) -> str:
    """A finished text in a language, by the most specific pattern of the table that it matches.

    language: None for the one in use.

    A text without a pattern stays as it is. Field values pass unchanged, except those that the translation
    marks as {field!t}, which are translated in turn.
    """
    if (language or _in_use[0]) == "en":
        return text
    if (whole := _table().get(text)) is not None:
        return whole
    if located := _LOCATED.fullmatch(text):  # whatever stands behind a place in a file is told as without it
        said = translated(located["text"], "ja")
        if said != located["text"]:
            return f"{located['place']}{said}"
    for pattern in _patterns():
        if (values := pattern.values(text)) is not None:
            return _FILLER.vformat(pattern.translation, list(values.values()), values)
    return text


def use(language: Language) -> None:
    """Use this language from now on. A library's user who never calls this gets English."""
    _in_use[0] = language


def in_use() -> Language:
    """The language in use."""
    return _in_use[0]


def wanted(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Language:
    """The language of a command line: from --lang, or else from the locale.

    Raises BadInput for an unknown language.
    """
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        if name == "--lang" and (equals or at + 1 < len(arguments)):
            language = value if equals else arguments[at + 1]
            if language not in LANGUAGES:
                raise BadInput(f"--lang is {language!r}; give one of {', '.join(LANGUAGES)}")
            return language
    locale = next(
        (environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), ""
    )
    return "ja" if locale.startswith("ja") else "en"


class Pattern:
    """An English text with fields, and its translation."""

    def __init__(self, text: str, translation: str) -> None:
        self.translation = translation
        parts = list(string.Formatter().parse(text))
        self.pieces = [literal for literal, *_ in parts if literal]
        self.letters = sum(map(len, self.pieces))
        self._parts = [(literal, name) for literal, name, *_ in parts]

    def values(self, text: str) -> dict[str, str] | None:
        """The values of the fields, by name; None if the text does not match this pattern."""
        # Rules out most patterns, at a hundredth of the regular expression's cost.
        if not all(piece in text for piece in self.pieces):
            return None
        fields = "".join(
            re.escape(literal) + ("(.*?)" if name is not None else "") for literal, name in self._parts
        )
        found = re.fullmatch(fields, text, re.DOTALL)
        return found and dict(
            zip((name for _, name in self._parts if name is not None), found.groups(), strict=True)
        )


class _Filler(string.Formatter):
    def convert_field(self, value: Any, conversion: Any) -> Any:
        return translated(value, "ja") if conversion == "t" else super().convert_field(value, conversion)

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[str(key)]


_FILLER = _Filler()


@cache
def _table() -> dict[str, str]:
    import yaml

    # libyaml's loader, which not every build of PyYAML has, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(TABLE.read_text(encoding="utf-8"), loader))


@cache
def _patterns() -> list[Pattern]:
    patterns = [Pattern(text, translation) for text, translation in _table().items() if "{0}" in text]
    return sorted(patterns, key=lambda pattern: -pattern.letters)
