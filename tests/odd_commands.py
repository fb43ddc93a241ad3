"""Command lines with odd values: every option of every command, from a seed.

Not here: what a command says of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from typing import Any

from magpie_hf.cli.main import parser

NUMBERS = (
    "nan", "inf", "-inf", "-0", "0", "-1", "1", "2", "0.5", "1e400", "1e-400", "1_000", "٣", "१२", "0x10",
    "1.5", "1000000000", "99999999999999999999", "9" * 400, "9" * 5000, "-" + "9" * 30, "1e9", " 7 ", "1e308",
    "²", "+3",
)  # fmt: skip
TEXTS = (
    "", " ", "a", "xx", "none", "all", "\0", "a\0b", "a\nb", "\x1b[31m", "数学", "🙂", "\udc80", "a\udcffb",
    "é" * 300, "x" * 300, "x" * 5000, "/".join(["d"] * 500), "..", ".", "/", "~", "~nobody/x", "-", "--", "=",
    "a=b", "a:b=c", ",", "a,,b", "%s", "{0}", "{", "[1", '{"a": 1}', '{"a":' * 3000, "null", "a/b", "a/b/c",
    "/dev/null", "/proc/self/mem", "file", "file/x", "folder", "folder/x", "http://[::1", "ftp://x/",
    "http://127.0.0.1:9/v1", "http://127.0.0.1:99999/v1", "1:2", "2:1", "1:" + "9" * 30, ":", "cc-by-4.0",
    "other", "@", "#", "a@b#c",
)  # fmt: skip
FLAGS = ("--lang", "--version", "--help")


def odd_commands(count: int, seed: int, model: str) -> Iterator[list[str]]:
    """So many command lines; most name the model, so that what comes after it is reached."""
    dice = random.Random(seed)
    commands: dict[str, Any] = next(
        dict(action.choices) for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    names = list(commands)
    weighted = [*names, "build", "build", "plan", "plan"]
    for _ in range(count):
        name = dice.choice(weighted)
        yield [name, *_words(commands[name], dice, model)]


def _words(command: argparse.ArgumentParser, dice: random.Random, model: str) -> Iterator[str]:
    options = [action for action in command._actions if action.option_strings]
    named = {string: action for action in options for string in action.option_strings}
    chosen = dice.sample(options, min(len(options), dice.choice((0, 1, 1, 1, 2, 2, 3, 5))))
    if "--model" in named and named["--model"] not in chosen and dice.random() < 0.97:
        yield from ("--model", model)
    for action in chosen:
        string = action.option_strings[-1]
        if string in FLAGS and dice.random() < 0.9:
            continue
        if action.nargs == 0 or (action.nargs == "?" and dice.random() < 0.3):
            yield string
        else:
            yield f"{string}={_value(action, dice)}" if dice.random() < 0.8 else string
            if dice.random() < 0.1:
                yield _value(action, dice)
    for action in command._actions:
        if not action.option_strings and dice.random() < 0.95:
            yield _value(action, dice)


def _value(action: argparse.Action, dice: random.Random) -> str:
    if action.choices and dice.random() < 0.5:
        return str(dice.choice(list(action.choices)))
    numeric = action.type is not None
    return dice.choice(NUMBERS if numeric and dice.random() < 0.85 else (*TEXTS, *NUMBERS))
