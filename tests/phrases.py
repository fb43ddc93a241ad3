"""What the package can say, read out of its source: literals of `tr`, templates of errors, texts of options.

Not here: the translations.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.models.known import KNOWN_MODELS, KNOWN_SCORERS

# Whose text comes to the user, and the place of it among the arguments.
SPEAKERS = {
    **dict.fromkeys(
        (
            "BadInput",
            "Torn",
            "EngineError",
            "HubError",
            "NothingMade",
            "LowYield",
            "StepFailed",
            "ValueError",
            "OSError",
            "ArgumentTypeError",
        ),
        0,
    ),
    **dict.fromkeys(("Gone", "Garbled", "Busy", "Broken", "Refused", "retried", "_give_up"), 0),
    "NotChecked": 1,
    "_silent": 1,
    "complaint": 0,
    "_limit": 2,
    "_check_room": 2,
}
RETURNERS = (
    "_way_out",
    "shortage",
    "complaint",
    "_too_large",
    "refusal",
    "bos_note",
    "_warnings",
    "_check",
    "own_in",
)  # functions that return such a text
FILES = [*sorted((ROOT / "magpie_hf").rglob("*.py")), ROOT / "builders" / "hle_math.py"]


@dataclass(frozen=True)
class Phrase:
    """A text, with {0}, {1} ... for its values, and the pieces of text that stand in these: by the field, as
    phrases of their own.
    """

    text: str
    where: str
    pieces: tuple[tuple[int, str], ...] = ()


def fields(text: str) -> list[str]:
    """The names of a template's fields, in order; those with a `!t` behind them keep it."""
    return [
        f"{name}!t" if conversion == "t" else name
        for _, name, _, conversion in string.Formatter().parse(text)
        if name is not None
    ]


@cache
def said() -> tuple[Phrase, ...]:
    """The literals of `tr`."""
    found = []
    for file, call in _calls("tr"):
        text = call.args[0]
        assert isinstance(text, ast.Constant), f"{file}:{call.lineno} gives tr what is no literal"
        assert isinstance(text.value, str)
        found.append(Phrase(text.value, f"{file}:{call.lineno}"))
    return tuple(found)


@cache
def raised() -> tuple[Phrase, ...]:
    """The templates of errors and of what is told in them, and the pieces in these."""
    found = []
    for file, node in _told():
        scopes, where = _scopes(file, node), f"{file}:{node.lineno}"
        for text in _texts(node, scopes):
            pieces = tuple(_pieces(text, scopes))
            found += [
                Phrase(_template(text), where, tuple((field, _template(piece)) for field, piece in pieces))
            ]
            found += [Phrase(_template(piece), where) for _, piece in pieces]
    return tuple(found)


def _told() -> Iterator[tuple[Path, ast.expr]]:
    for file, call in _calls(*SPEAKERS):
        place = SPEAKERS[_name(call)]
        if len(call.args) > place and (
            _name(call) != "ValueError" or file.parent.name == "builders"
        ):  # else a fault of the program's own
            yield file, call.args[place]
    for file in FILES:
        for returner in ast.walk(_tree(file)):
            if isinstance(returner, ast.FunctionDef) and returner.name in RETURNERS:
                for node in ast.walk(returner):
                    if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
                        yield file, node.value


@cache
def warned() -> tuple[Phrase, ...]:
    """The templates of the package's own warnings."""
    found = []
    for file, call in _calls("warning"):
        text = call.args[0]
        assert isinstance(text, ast.Constant), f"{file}:{call.lineno} warns of what is no literal"
        found += [
            Phrase(template, f"{file}:{call.lineno}")
            for template in list(_of_percent(text.value)) or [text.value]
        ]
    return tuple(found)


def unread() -> list[str]:
    """Errors whose text nothing here finds a literal for."""
    calls = _calls("BadInput", "Torn", "EngineError", "HubError", "NothingMade", "LowYield")
    return [
        ast.unparse(call)
        for file, call in calls
        if call.args and not list(_texts(call.args[0], _scopes(file, call)))
    ]


@cache
def shown() -> tuple[str, ...]:
    """The texts of the command line as they are shown, with the values in them."""
    return tuple(_shown(cli.parser()))


def known() -> set[str]:
    """What data tells of models."""
    models = [*KNOWN_MODELS.values(), *KNOWN_SCORERS.values()]
    return {model.duty for model in models} | {model.licence for model in models if " " in model.licence}


@cache
def literals() -> frozenset[str]:
    """Every literal and template in the source, and in argparse's; what the table has besides is of no use
    any more.
    """
    found = set[str]()
    for source in [*map(_tree, FILES), ast.parse(inspect.getsource(argparse))]:
        for node in ast.walk(source):
            if isinstance(node, ast.JoinedStr) or (
                isinstance(node, ast.Constant) and isinstance(node.value, str)
            ):
                found |= {_template(node), *_of_percent(_template(node))}
    return frozenset(found)


def _of_percent(text: str) -> Iterator[str]:
    """%(name)s, %s, %r and %d, of argparse and logging, as numbered fields."""
    parts = re.split(r"%(?:\(\w+\))?[srd]", text)
    if len(parts) > 1:
        yield "".join(part + f"{{{number}}}" for number, part in enumerate(parts[:-1])) + parts[-1]


def _shown(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield parser.description or ""
    yield from (group.title or "" for group in parser._action_groups)
    for action in parser._actions:
        yield "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
        if isinstance(action, argparse._SubParsersAction):
            yield from (choice.help or "" for choice in action._choices_actions)
            for command in action.choices.values():
                yield from _shown(command)


@cache
def _functions(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node for node in ast.walk(_tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    for file in FILES:
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.Call) and _name(node) in names:
                yield file, node


def _name(call: ast.Call) -> str:
    return (
        call.func.id
        if isinstance(call.func, ast.Name)
        else call.func.attr
        if isinstance(call.func, ast.Attribute)
        else ""
    )


def _texts(node: ast.expr, scopes: Sequence[ast.AST] = ()) -> Iterator[ast.expr]:
    """The literals that an expression can be; for a name, those that are assigned to it in the scopes."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in _texts(value))
    elif isinstance(node, ast.Name):
        assigned = (
            one
            for scope in scopes
            for one in ast.walk(scope)
            if isinstance(one, ast.Assign) and _names(one, node.id)
        )
        yield from (text for one in assigned for text in _texts(one.value))


def _pieces(text: ast.expr, scopes: Sequence[ast.AST]) -> Iterator[tuple[int, ast.expr]]:
    """The words that can stand in a text's fields."""
    values = (
        [part.value for part in text.values if isinstance(part, ast.FormattedValue)]
        if isinstance(text, ast.JoinedStr)
        else []
    )
    for number, value in enumerate(values):
        yield from ((number, piece) for piece in _texts(value, scopes) if _has_words(_template(piece)))


def _has_words(text: str) -> bool:
    return " " in text and re.search(r"[a-z]{2}", text) is not None and not text.startswith("--")


def _names(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _scopes(file: Path, call: ast.expr) -> list[ast.AST]:
    """The functions around a call, and the module's own statements."""
    around = [node for node in _functions(file) if node.lineno <= call.lineno <= (node.end_lineno or 0)]
    return [*around, *(node for node in _tree(file).body if isinstance(node, ast.Assign))]


def _template(node: ast.expr) -> str:
    """A literal, in one line as errors are shown, with numbered fields."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr)
    number, text = 0, ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value).replace("{", "{{").replace("}", "}}")
        else:
            text, number = text + f"{{{number}}}", number + 1
    return text if number else text.replace("{{", "{").replace("}}", "}")
