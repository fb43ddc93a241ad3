"""What a person reads on the terminal, in their language: one table, by the English. Not here: the words of a dataset card (cards/)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from magpie_hf.errors import BadInput

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
TABLE = Path(__file__).parent / "japanese.yaml"

_in_use: list[Language] = ["en"]


def tr(text: str, /, **values: Any) -> str:
    """The text in the language in use, with its {fields} filled in. text: the English, a literal, so that a test finds it in the table."""
    text = _table().get(text, text) if _in_use[0] == "ja" else text
    return text.format(**values) if values else text


def use(language: Language) -> None:
    """From now on, say everything in this language. A library's user who says nothing gets English."""
    _in_use[0] = language


def in_use() -> Language:
    """The language in which things are said."""
    return _in_use[0]


def wanted(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Language:
    """The language that a command line asks for with --lang, or else the locale. Raises BadInput for one that there is none of."""
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        if name == "--lang" and (equals or at + 1 < len(arguments)):
            language = value if equals else arguments[at + 1]
            if language not in LANGUAGES:
                raise BadInput(f"--lang is {language!r}; give one of {', '.join(LANGUAGES)}")
            return language
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "ja" if locale.startswith("ja") else "en"


@cache
def _table() -> dict[str, str]:
    import yaml

    return dict(yaml.safe_load(TABLE.read_text(encoding="utf-8")))
