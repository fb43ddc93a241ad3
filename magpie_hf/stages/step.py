"""A stage of one's own at a named place of the pipeline, and the splits that its columns reach.

Not here: where it stands among the other stages of a recipe.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from datasets import Features, Value

from magpie_hf import named
from magpie_hf.errors import BadInput, Faults, shortened
from magpie_hf.schema import CANDIDATES, FORBIDDEN, PUBLISHED, RL
from magpie_hf.stage import Stage, canonical, identity, use_of

# Where a stage of one's own can stand: after the samples, the cleaning, the tagger, the selection, the
# candidates, the vote, the scores and the pairs.
PLACES = ("sample", "clean", "tag", "accepted", "respond", "verify", "score", "pair")
# The splits that its columns can reach, each of train and test: `sft` and `prefs` of every domain, its
# problems for RL, and `candidates` over all domains.
SPLITS = ("sft", "prefs", "rl", "candidates")
ROLES = ("model", "solver", "tagger", "embedder", "scorer")  # whose engine its field `engine` can name
SCHEMA: dict[str, Any] = {
    **named.SCHEMA,
    "required": ["use", "after"],
    "properties": {
        **named.SCHEMA["properties"],
        "after": {"enum": list(PLACES)},
        "to": {"type": "array", "items": {"enum": list(SPLITS)}, "uniqueItems": True},
        "describe": {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
    },
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Columns of every shard, and those of the published rows.
_TAKEN = frozenset(("parent", "digest", *PUBLISHED, *CANDIDATES, *RL))
_TYPES = re.compile(r"bool|u?int(8|16|32|64)|float(32|64)|string|large_string")

OwnColumn = tuple[str, str, bool]  # its name, its type as JSON, and whether a split has its values


@dataclass(frozen=True)
class Step:
    """A stage of one's own, `stage`, that stands after one of the package's.

    after: "sample", "clean", "tag", "accepted", "respond", "verify", "score" or "pair"; several at one place
    run in the order of the recipe. to: the splits that its columns reach, of "sft", "prefs", "rl" and
    "candidates"; none keeps them in the run, where later steps and rules read them. describe: what each of
    its columns means, for the card; needed for columns that reach a split.

    The stage may have a field `engine`: the engine of a role, or the role's name, which is one of "model",
    "solver", "tagger", "embedder" and "scorer".

    Raises BadInput for a stage that cannot be cached, sent to other processes, or stored as Arrow.
    """

    stage: Stage
    after: str
    to: tuple[str, ...] = ()
    describe: tuple[tuple[str, str], ...] | Mapping[str, str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", tuple(self.to))
        object.__setattr__(self, "describe", tuple(dict(self.describe).items()))
        check_stage(self.stage)
        columns = list(self.stage.adds)
        if faults := list(_misplaced(self.name, self.after, self.to, self.means, columns)):
            raise faults[0]

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def means(self) -> dict[str, str]:
        """What each of its columns means."""
        return dict(self.describe)

    @property
    def engine(self) -> Any:
        """The engine of its stage, or the name of its role; None where it asks no model."""
        return getattr(self.stage, "engine", None)


def check_stage(stage: Any) -> None:
    """Raises BadInput for a stage of one's own that cannot be cached, sent to other processes, or stored."""
    use = use_of(stage) or type(stage).__name__
    if not isinstance(stage, Stage):
        raise BadInput(f"{use} is no Stage; derive it from magpie_hf.Stage")
    if not named.is_frozen(stage):
        raise BadInput(f"{use} is no frozen dataclass; decorate it with @dataclass(frozen=True)")
    name, reads = getattr(stage, "name", None), getattr(stage, "reads", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(
            f"the name of {use} is {shortened(name)}, and a folder is called so; give small letters, digits"
            " and _"
        )
    if not isinstance(reads, tuple) or not reads or not all(isinstance(one, str) for one in reads):
        raise BadInput(f"{use} reads {shortened(reads)}; give a tuple of the columns that it reads")
    check_fields(stage)
    try:
        adds = Features(stage.adds)
        unfit = [column for column, feature in adds.items() if not _is_plain(feature)]
    except Exception as error:  # `adds` is the user's code, and `datasets` takes not every type
        raise BadInput(
            f"{use} adds columns whose types are none of Arrow ({named.described(error)}); give Features of"
            " Value, lists and dicts"
        ) from error
    if unfit:
        raise BadInput(
            f"{use} adds {unfit[0]} as {shortened(adds[unfit[0]])}; give a Value of bool, int, float or"
            " string, or lists and dicts of them"
        )
    if not adds:
        raise BadInput(f"{use} adds no column; give at least one")
    for column in adds:
        if not _NAME.fullmatch(column):
            raise BadInput(f"{use} adds a column {column!r}; name it with small letters, digits and _")
        if column in FORBIDDEN:
            raise BadInput(f"{use} adds {column}, by which TRL's trainers train otherwise; give another name")
        if column in _TAKEN:
            raise BadInput(f"{use} adds {column}, which exists already; give another name")


def check_fields(thing: Any) -> None:
    """Raises BadInput for fields that have no stable identity, or cannot be sent to another process."""
    use = use_of(thing) or type(thing).__name__
    values = {field.name: getattr(thing, field.name) for field in fields(thing) if field.name != "engine"}
    compared = {field.name for field in fields(thing) if field.compare}
    for name, value in values.items():
        try:
            if name in compared:
                hash(value)
                identity(value)
            pickle.dumps(value)
        except Exception as error:  # pickle raises what the value's own code raises
            raise BadInput(
                f"the field {name} of {use} cannot be kept or sent to another process"
                f" ({named.described(error)}); give plain values, such as a path instead of an open file"
            ) from error
    try:
        pickle.dumps(type(thing))
    except (pickle.PicklingError, AttributeError) as error:
        raise BadInput(f"{use} is defined within a function; define it at the top of a module") from error


def steps_of(specs: Any, where: str = "steps") -> tuple[Step, ...]:
    """The steps of a recipe file: a list of dicts with use, after, to, describe and with, as in SCHEMA.

    Raises Faults, each of which begins with its place, such as "steps[0].after".
    """
    if not isinstance(specs, list | tuple):
        raise BadInput(f"{where}: {shortened(specs)} is no list; write each step as an item of one")
    steps, faults = [], []
    for number, spec in enumerate(specs):
        try:
            steps.append(_step(spec, f"{where}[{number}]"))
        except BadInput as fault:
            faults.append(fault)
    if faults:
        raise Faults(faults)
    return tuple(steps)


def _step(spec: Any, where: str) -> Step:
    faults: list[BadInput] = []
    stage: Any = None
    try:
        stage = named.object_of(spec, where, Stage, SCHEMA["properties"])
        check_stage(stage)
    except BadInput as fault:
        if not isinstance(spec, Mapping):
            raise
        faults.append(fault if stage is None else BadInput(f"{where}.use: {fault}"))
    to, means = spec.get("to") or (), spec.get("describe") or {}
    if not isinstance(to, list | tuple):
        faults.append(BadInput(f"{where}.to: {shortened(to)} is no list; choose from {', '.join(SPLITS)}"))
        to = ()
    if not isinstance(means, Mapping):
        wrong = BadInput(f"{where}.describe: {shortened(means)} is no description; write column: meaning")
        faults.append(wrong)
        means, to = {}, ()
    faults += _misplaced(where, spec.get("after"), to, means, None if faults else list(stage.adds))
    if faults:
        raise Faults(faults)
    return Step(stage, spec["after"], tuple(to), means)


def _misplaced(
    where: str, after: Any, to: Sequence[Any], means: Mapping[Any, Any], columns: Sequence[str] | None
) -> Iterator[BadInput]:
    """What is wrong with the place of a step, its splits and its descriptions. columns: None if unknown."""
    if after not in PLACES:
        yield BadInput(f"{where}.after: {shortened(after)} is no place; choose from {', '.join(PLACES)}")
    for split in to:
        if split not in SPLITS:
            yield BadInput(f"{where}.to: {shortened(split)} is no split; choose from {', '.join(SPLITS)}")
    for column, meaning in means.items():
        if columns is not None and column not in columns:
            yield BadInput(
                f"{where}.describe.{column}: the stage adds no such column; it adds {', '.join(columns)}"
            )
        if not isinstance(meaning, str) or not meaning.strip():
            yield BadInput(
                f"{where}.describe.{column}: {shortened(meaning)} is no description; write what it means"
            )
    for column in columns or ():
        if to and column not in means:
            yield BadInput(
                f"{where}.describe: {column} has no description; write one, which the card will show"
            )


def own_columns(steps: Iterable[Step], config: Sequence[str], split: str) -> tuple[OwnColumn, ...]:
    """The columns of one's own in a split. config: the splits that have the same columns as this one."""
    return tuple(
        (column, canonical(feature), split in step.to)
        for step in steps
        if set(step.to) & set(config)
        for column, feature in Features(step.stage.adds).to_dict().items()
    )


def _is_plain(feature: Any) -> bool:
    """Whether a type is what a column holds in every reader: truth, numbers, text, lists and dicts."""
    if isinstance(feature, dict):
        return bool(feature) and all(map(_is_plain, feature.values()))
    if isinstance(feature, list):
        return len(feature) == 1 and _is_plain(feature[0])
    if isinstance(feature, Value):
        return _TYPES.fullmatch(feature.dtype) is not None
    return type(feature).__name__ in ("List", "Sequence") and _is_plain(feature.feature)
