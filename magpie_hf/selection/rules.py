"""Rules of one's own, by which samples are dropped that all other rules accept.

Not here: the package's own rules (selection.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from magpie_hf import named
from magpie_hf.errors import BadInput, Faults, StepFailed, shortened
from magpie_hf.selection.reasons import REASONS
from magpie_hf.stage import use_of
from magpie_hf.stages.guard import failed, own_in
from magpie_hf.stages.step import check_fields


@runtime_checkable
class Rule(Protocol):
    """A frozen dataclass that is called with a sample and returns the reason to drop it, or None.

    name: identifies it in messages. reads: the columns that it needs; the sample has these and `id`. reasons:
    every reason that it can return, with its meaning for the card. A `version` goes up when the same fields
    give other reasons. It is asked for samples that every other rule accepts, before near-duplicates are
    looked for.
    """

    name: str
    reads: tuple[str, ...]
    reasons: Mapping[str, str]

    def __call__(self, row: Mapping[str, Any]) -> str | None: ...


def check_rules(rules: Sequence[Any]) -> None:
    """Raises BadInput for a rule that lacks a part, for reasons that are taken, and for unfit fields."""
    seen: set[str] = set()
    for rule in rules:
        use = use_of(rule) or type(rule).__name__
        if not isinstance(rule, Rule) or not named.is_frozen(rule):
            raise BadInput(
                f"{use} is no rule; give a frozen dataclass with name, reads, reasons and a call that takes a"
                " row"
            )
        if not isinstance(rule.reads, tuple) or not all(isinstance(one, str) for one in rule.reads):
            raise BadInput(f"{use} reads {shortened(rule.reads)}; give a tuple of the columns that it reads")
        if not isinstance(rule.reasons, Mapping) or not rule.reasons:
            raise BadInput(f"the reasons of {use} are {shortened(rule.reasons)}; give each with its meaning")
        check_fields(rule)
        if taken := sorted((REASONS.keys() | seen) & rule.reasons.keys()):
            raise BadInput(f"{use} has the reason {taken[0]}, which exists already; give another name")
        seen |= rule.reasons.keys()


def reason_of(rules: Sequence[Rule], row: Mapping[str, Any]) -> str | None:
    """The first reason to drop a sample; None where all rules accept it.

    Raises StepFailed where a rule raises, or returns what is none of its reasons.
    """
    for rule in rules:
        try:
            reason = rule({column: row[column] for column in ("id", *rule.reads)})
        except Exception as error:  # a rule of the user's can raise anything
            raise _failed(rule, row, named.described(error)) from error
        if reason is not None and (not isinstance(reason, str) or reason not in rule.reasons):
            raise _failed(rule, row, f"{shortened(reason)} is none of its reasons")
        if reason is not None:
            return reason
    return None


def _failed(rule: Rule, row: Mapping[str, Any], what: str) -> StepFailed:
    return failed(own_in(rule), row["id"], what)


def rules_of(specs: Any, where: str = "rules") -> tuple[Rule, ...]:
    """The rules of a recipe file: a list of dicts with use and with, as in `named.SCHEMA`.

    Raises Faults, each of which begins with its place, such as "rules[0].use".
    """
    if not isinstance(specs, list | tuple):
        raise BadInput(f"{where}: {shortened(specs)} is no list; write each rule as an item of one")
    rules: list[Rule] = []
    faults: list[BadInput] = []
    for number, spec in enumerate(specs):
        try:
            rules.append(named.object_of(spec, f"{where}[{number}]"))
        except BadInput as fault:
            faults.append(fault)
            continue
        try:
            check_rules(rules[-1:])
        except BadInput as fault:
            faults.append(BadInput(f"{where}[{number}].use: {fault}"))
    if faults:
        raise Faults(faults)
    return tuple(rules)
