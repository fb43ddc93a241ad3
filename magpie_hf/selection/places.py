"""The places of a recipe's stages, with those of one's own among them: passes by engine, and their checks.

Not here: the package's stages themselves (recipe.py), and running them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from magpie_hf.engines.base import Engine
from magpie_hf.errors import BadInput, shortened
from magpie_hf.schema import COLD, OPTIONAL, SEED, SELECTION
from magpie_hf.selection.hardened import without_round
from magpie_hf.selection.rules import Rule
from magpie_hf.stage import Stage, use_of
from magpie_hf.stages.again import repeated
from magpie_hf.stages.guard import own_in
from magpie_hf.stages.step import ROLES, Step
from magpie_hf.store.rows import NO_TOPIC

Thing = TypeVar("Thing")
# One pass per engine; a pass is a list of steps in order; the stages of a step run side by side.
Passes = list[tuple[Engine | None, list[list[Stage]]]]
Steps = list[list[Stage]]
# The same by place; "" is one at which no stage of one's own can stand.
Places = list[tuple[str, Engine | None, list[list[Stage]]]]
# Names that folders and files of a run begin with.
_TAKEN = (
    "selection",
    "seeds",
    "trial",
    "tool_trial",
    "absent",
    NO_TOPIC,
    "not_asked",
    "neighbours",
    "dropped",
)
_EXPORTS = ("train_", "test_", "as_")  # of the folders of splits, in which stale files are removed


def passes_of(places: Places, steps: Sequence[Step]) -> Passes:
    """The passes over all places, with the stages of one's own behind the places that they name.

    A pass that needs no engine joins the one before it, or, at the beginning, the one after it.
    """
    merged: Passes = []
    for engine, stages in with_steps(places, steps):
        if merged and engine is None:
            merged[-1] = (merged[-1][0], [*merged[-1][1], *stages])
        elif merged and merged[-1][0] is None:
            merged[-1] = (engine, [*merged[-1][1], *stages])
        elif engine is not None or stages:
            merged.append((engine, stages))
    return merged


def with_steps(places: Places, steps: Sequence[Step]) -> Passes:
    """What stands at these places, one after the other, with the stages of one's own behind them."""
    found: Passes = []
    for place, engine, stages in places:
        found.append((engine, stages))
        found += [(step.engine, [[step.stage]]) for step in steps if step.after == place]
    return found


def by_engine(passes: Mapping[str, Passes]) -> list[tuple[Engine | None, dict[str, Steps]]]:
    """The passes of all domains, with adjacent passes of one engine merged.

    A pass that needs no engine joins the pass before it.
    """
    merged: list[tuple[Engine | None, dict[str, Steps]]] = []
    for one in zip(*passes.values(), strict=True):
        engine, steps = one[0][0], {key: part[1] for key, part in zip(passes, one, strict=True)}
        if merged and engine in (None, merged[-1][0]):
            merged[-1] = (merged[-1][0], {key: merged[-1][1][key] + steps[key] for key in steps})
        else:
            merged.append((engine, steps))
    return merged


def with_engine(thing: Thing, roles: Mapping[str, Engine | None]) -> Thing:
    """An object of one's own whose field `engine` is that of the role that it names. Raises BadInput."""
    engine: Any = getattr(thing, "engine", None)
    if not isinstance(engine, str) or not is_dataclass(thing):
        return thing
    if engine not in roles:
        known = get_close_matches(engine, ROLES, 1) or [role for role in ROLES if role in roles]
        raise BadInput(f"the engine of {use_of(thing)} is {engine!r}; choose from {', '.join(known)}")
    if (found := roles[engine]) is None:
        raise BadInput(
            f"the engine of {use_of(thing)} is the {engine}'s, and this build has none; choose another role"
        )
    if "engine" not in {field.name for field in fields(thing)}:
        raise BadInput(f"engine is no field of {use_of(thing)}; declare it as one")
    return replace(thing, engine=found)  # type: ignore[type-var]


def check_places(
    steps: Sequence[Step],
    rules: Sequence[Rule],
    samples: Passes,
    answers: Passes,
    engines: Sequence[Engine],
) -> None:
    """Raises BadInput for what stages and rules of one's own cannot find, or make, at their places.

    samples, answers: the passes before and after the selection. engines: those of the roles.
    """
    own = {step.stage: step for step in steps}
    placed = [stage for passes in (samples, answers) for stage in _stages(passes)]
    labels = [*_TAKEN, *(stage.label for stage in placed)]
    for step in steps:
        if step.stage not in placed:
            raise BadInput(
                f"the step {step.name} stands after {step.after}, which this build does not have; choose"
                " another place"
            )
        taken = step.name.startswith(_EXPORTS) or without_round(step.name) != step.name
        if labels.count(step.name) > 1 or taken:
            raise BadInput(f"the step {step.name} has the name of another stage; give another name")
        if step.engine is not None and step.engine not in engines:
            raise BadInput(
                f"the engine of the step {step.name} is {shortened(step.engine)}, which has no role in the"
                " build; give it a role's"
            )
    there: dict[str, str] = dict.fromkeys(SEED, "seeds")  # the column, and the stage that made it
    for passes in (samples, answers):
        for stage in _stages(passes):
            if stage in own:
                _check_reads(own_in(stage), stage.reads, there, placed)
                if again := [column for column in stage.adds if column in _every(placed, stage)]:
                    raise BadInput(
                        f"the step {stage.name} adds {again[0]}, which exists already; give another name"
                    )
            there |= dict.fromkeys(stage.adds, stage.label)
        if passes is samples:
            for rule in rules:
                _check_reads(own_in(rule), rule.reads, there, placed)
            there |= dict.fromkeys(SELECTION, "the selection")


def _check_reads(whose: str, reads: Sequence[str], there: Mapping[str, str], placed: Sequence[Stage]) -> None:
    """Raises BadInput where a column that is read is not there yet, or never."""
    for column in reads:
        if column in there:
            continue
        if later := next((stage.label for stage in placed if column in stage.adds), None):
            raise BadInput(f"{whose} reads {column}, which is there only after {later}; place it later")
        near = get_close_matches(column, there, 3) or there
        raise BadInput(f"{whose} reads {column}, which is not there; there are {', '.join(near)}")


def _every(placed: Sequence[Stage], but: Stage) -> set[str]:
    """The columns that other stages of the pipeline make, also of other recipes."""
    others = {column for stage in placed if repeated(stage) != but for column in stage.adds}
    return {*others, *SEED, *SELECTION, *OPTIONAL, *COLD}


def _stages(passes: Passes) -> Iterator[Stage]:
    return (stage for _, steps in passes for stages in steps for stage in stages)
