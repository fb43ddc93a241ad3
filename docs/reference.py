"""Writes docs/reference.md and docs/recipe.schema.json from the code: `python docs/reference.py`. Tests hold
that they are current.

Not here: how to use it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml
from datasets import Features, Value

from magpie_hf import schema
from magpie_hf.building.build import build
from magpie_hf.card.card import FOLDER as CARDS
from magpie_hf.cli.commands import exit_codes
from magpie_hf.cli.commands.recipe_files import build_options
from magpie_hf.cli.main import parser
from magpie_hf.dataset.readme import EDITED, OWN_WORDS
from magpie_hf.domains import Domain
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.served.endpoint import Endpoint
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning.measurements import MEASURED
from magpie_hf.planning.outcome import KEPT
from magpie_hf.problems.benchmarks.names import Benchmark
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.progress import captured_output, speed
from magpie_hf.recipe import Recipe
from magpie_hf.recipe_file.blocks import FIELDS
from magpie_hf.recipe_file.places import GROUPS, keys_of
from magpie_hf.recipe_file.schema import schema as schema_of
from magpie_hf.review import marks
from magpie_hf.run import interrupts
from magpie_hf.run.ray.cluster import RayCluster
from magpie_hf.scorers.judge import Judge
from magpie_hf.scorers.reward import RewardModel
from magpie_hf.selection.selection import Acceptance
from magpie_hf.stages.pair import Pair
from magpie_hf.stages.step import Step
from magpie_hf.store import records

FILE = Path(__file__).with_suffix(".md")
SCHEMA = Path(__file__).with_name("recipe.schema.json")
CONFIGURATIONS = (
    Recipe,
    Domain,
    Sampling,
    Acceptance,
    Pair,
    HeldOut,
    Step,
    Judge,
    RewardModel,
    Model,
    VLLM,
    Endpoint,
    RayCluster,
    FakeEngine,
    Benchmark,
)
COLUMNS = (
    ("`<domain>`", "`train_sft`, `test_sft`, `train_prefs`, `test_prefs`", "domain", schema.PUBLISHED),
    ("`candidates`", "`train`, `test`", "candidates", schema.CANDIDATES),
    ("`<domain>_rl`", "`train`, `test`", "rl", schema.RL),
    ("`<domain>_tir`", "`train`, `test`", "tir", schema.TIR),
)
# Columns that follow those, by the option that adds them.
MORE = {
    "--topics": schema.TOPIC,
    "--answer-column": schema.WITH_REFERENCE,
    "--rejected-solver": {name: one for of in schema.WITH_DELTA.values() for name, one in of.items()},
    "--checker": schema.OPINIONS["checker"],
    "--program": schema.OPINIONS["program"],
    "--objections": schema.OPINIONS["objections"],
    "--known-set": schema.OPINIONS["known"],
    "--pass-model": schema.OPINIONS["pass_rate"],
    "--harden": schema.OPINIONS["harden"],
}
FILES = (
    (
        records.RECORD,
        (
            "whose build this is, its stages' folders, the published files with their checksums, and whether"
            " it is finished"
        ),
    ),
    (records.PROVENANCE, "what determined the rows, for the card"),
    (
        records.SELECTED,
        "how many samples of each domain were filtered and accepted, and the reasons of the others",
    ),
    (records.SAMPLES, "the same of the finished build, for the card"),
    (OWN_WORDS, "your own words in the card, while the card is written anew"),
    (
        EDITED,
        "the card as you changed it outside the place for your own words; later ones have numbers",
    ),
    (speed.NAME, "what engines made while they ran, for `magpie-hf status` and the report"),
    (captured_output.NAME, "what engines and libraries wrote, run by run"),
    (KEPT, "the plan that the build began with, and how long each command ran, for `magpie-hf plan --out`"),
    (MEASURED, "what `magpie-hf plan --measure` measured"),
    (marks.KEPT, "people's marks, each with what the build said of the row; `magpie-hf review` writes it"),
    (marks.LOCK, "held while marks are taken"),
    (records.LOCK, "held by the build that runs here, and naming its process and host"),
    ("lock.<host>.<pid>.<n>", "the same where the file system has no locks"),
    (
        "<domain>/<stage>-<hash>/stage.json",
        "what the stage is, what it read, and rows, tokens, seconds and reasons of each shard",
    ),
    ("<domain>/<stage>-<hash>/<from>-<to>.arrow", "a finished shard: rows from (included) to (excluded)"),
    ("<domain>/<stage>-<hash>/<from>-<to>.journal", "finished requests of a shard that is under way"),
    (
        "<domain>/<stage>-<hash>/<from>-<to>.requests",
        "finished requests of a step of one's own, for its other versions",
    ),
    ("selection/<hash>/<domain>.arrow", "what was decided of each sample"),
    ("dropped/<domain>/train-*.parquet", "samples that were not accepted, with their reasons"),
)


def reference() -> str:
    """The whole page."""
    parts = [
        "# Reference",
        "Made from the code by `python docs/reference.py`; the [guide](guide.md) says how to use it.",
        "## Commands",
        *_commands(),
        "## Recipe file",
        (
            "Each key stands for an option of `magpie-hf build`, and takes what that takes;"
            " [Recipes](recipes.md) says how."
        ),
        _table(("group", "keys"), list(_groups())),
        "A domain under `domains` has these fields; those of a step are temperatures and the like.",
        _table(("field", "means"), [(f"`{field}`", what) for field, what in FIELDS.items()]),
        "## Exit codes",
        _table(("code", "means"), _exit_codes()),
        "## From Python",
        textwrap.fill(f"`magpie_hf.build{_signature(build)}`", 110),
        _text(build),
        "### Configurations",
        (
            "Frozen dataclasses of `magpie_hf`. What says only where and how fast something runs makes no"
            " difference to the rows."
        ),
        *(part for one in CONFIGURATIONS for part in _configuration(one)),
        "## Columns",
        *(part for one in COLUMNS for part in _columns(*one)),
        "### Columns that options add",
        "They follow those above, in the configurations that are named.",
        _table(("column", "type", "option", "in", "means"), list(_more())),
        "### Dropped samples",
        "`run/dropped/<domain>/*.parquet`, which are not published.",
        _table(("column", "type"), [(f"`{name}`", _type(kind)) for name, kind in schema.DROPPED.items()]),
        "## Files of a run",
        "Under `run/` in the `--out` folder. Everything beside `run/` is what is published.",
        _table(("file", "holds"), [(f"`{name}`", what) for name, what in FILES]),
    ]
    return "\n\n".join(part if part.startswith(("|", "#", "`")) else _kept(part) for part in parts) + "\n"


def _commands() -> Iterator[str]:
    whole = parser()
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    yield _table(("option", "means"), _options(whole._actions))
    for name, command in commands.choices.items():
        yield f"### magpie-hf {name}"
        yield str(command.description)
        for group in command._action_groups:
            if rows := _options(group._group_actions):
                yield f"**{group.title}**"
                yield _table(("option", "means"), rows)


def _groups() -> Iterator[tuple[str, str]]:
    for group in GROUPS:
        said = (
            f"`{key}`" if key == option else f"`{key}` (--{option.replace('_', '-')})"
            for key, option in keys_of(group).items()
        )
        yield f"`{group}`", ", ".join(said)
    yield "`domains`", "the keys of domains, as a list or as a mapping to their fields"


def _options(actions: Sequence[argparse.Action]) -> list[tuple[str, str]]:
    shown = [
        action
        for action in actions
        if not isinstance(action, (argparse._SubParsersAction, argparse._HelpAction))
        and action.help != argparse.SUPPRESS
    ]
    return [(_name(action), _help(action)) for action in shown]


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    choices = "" if action.choices is None else f" {{{','.join(map(str, action.choices))}}}"
    return f"`{', '.join(action.option_strings)}{choices or value}`"


def _help(action: argparse.Action) -> str:
    return ((action.help or "") % {**vars(action), "prog": "magpie-hf"}).replace(
        "<", r"\<"
    )  # Markdown would take it for a tag


def _exit_codes() -> list[tuple[str, str]]:
    codes = {
        exit_codes.OK: "done",
        exit_codes.FAILED: "failed: an engine, the Hub or the disk, or nothing could be made",
        exit_codes.BAD_INPUT: "bad input: one line says what, and nothing was written",
        exit_codes.INCOMPLETE: "done, but a split is empty",
        interrupts.INTERRUPTED: "interrupted (Ctrl-C); what is finished is safe",
        interrupts.TERMINATED: "terminated (SIGTERM); what is finished is safe",
    }
    return [(str(code), meaning) for code, meaning in codes.items()]


def _configuration(one: type) -> Iterator[str]:
    yield f"#### {one.__name__}"
    yield _text(one)
    yield _table(
        ("field", "type", "default"),
        [
            (f"`{field.name}`", _annotation(field.type), _default(field))
            for field in fields(one)
            if field.init
        ],
    )


def _text(one: Any) -> str:
    """A docstring as Markdown: its paragraphs, with `name: meaning` lines as a list."""
    lines = []
    for line in inspect.cleandoc(one.__doc__).splitlines():
        if line.startswith("  ") and lines:  # goes on
            lines[-1] += f" {line.strip()}"
        elif re.match(r"[a-z_]+(?:, [a-z_]+)*: ", line):
            lines += [*([""] if lines and lines[-1] and not lines[-1].startswith("- ") else []), f"- {line}"]
        else:
            lines += [*([""] if line and lines and lines[-1].startswith("- ") else []), line]
    return _wrapped("\n".join(lines))


def _kept(part: str) -> str:
    """A part of the page, wrapped where it is one long paragraph."""
    return part if "\n" in part else _wrapped(part)


def _wrapped(text: str) -> str:
    """Paragraphs and items of a list in lines of at most 110 characters."""
    blocks = re.split(r"\n(?=- )|\n\n", text)
    wrapped = [
        textwrap.fill(
            " ".join(block.split()),
            110,
            subsequent_indent="  " if block.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for block in blocks
    ]
    joined = ""
    for before, after in zip(["", *wrapped], wrapped, strict=False):
        tight = before.startswith("- ") and after.startswith("- ")
        joined += ("\n" if tight else "\n\n" if before else "") + after
    return joined


def _signature(function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    said = (
        one.name if one.default is one.empty else f"{one.name}={_value(one.default)}" for one in parameters
    )
    return f"({', '.join(said)})"


def _annotation(kind: Any) -> str:
    return f"`{kind if isinstance(kind, str) else getattr(kind, '__name__', kind)}`"


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return f"`{_value(field.default)}`"
    return "" if field.default_factory is MISSING else f"`{field.default_factory.__name__}()`"


def _value(value: Any) -> str:
    return getattr(value, "__name__", repr(value)).replace("<lambda>", "…")


def _columns(name: str, splits: str, kind: str, features: Features) -> Iterator[str]:
    meanings = yaml.safe_load((CARDS / "words.en.yaml").read_text(encoding="utf-8"))["columns"][kind]
    yield f"### Configuration {name}"
    yield f"Splits {splits}."
    yield _table(
        ("column", "type", "means"),
        [(f"`{column}`", _type(one), meanings[column]) for column, one in features.items()],
    )


def _more() -> Iterator[tuple[str, ...]]:
    words = yaml.safe_load((CARDS / "words.en.yaml").read_text(encoding="utf-8"))["columns"]
    for option, columns in MORE.items():
        for column, one in columns.items():
            kinds = [(name, kind) for name, _, kind, own in COLUMNS if column in words[kind].keys() - own]
            where = ", ".join(name for name, _ in kinds)
            yield f"`{column}`", _type(one), f"`{option}`", where, words[kinds[0][1]][column]


def _type(feature: Any) -> str:
    if isinstance(feature, Value):
        return str(feature.dtype)
    if isinstance(feature, dict):
        return f"{{{', '.join(f'{name}: {_type(one)}' for name, one in feature.items())}}}"
    return f"list of {_type(feature[0] if isinstance(feature, list) else feature.feature)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |"
        for line in lines
    )


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(schema_of(build_options(parser())), indent=1) + "\n", encoding="utf-8")
