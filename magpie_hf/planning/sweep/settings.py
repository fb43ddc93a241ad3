"""Sampling settings by name: how the problems of a domain could be drawn. Not here: drawing them, or telling which is best."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from magpie_hf.domains import Domain, sampled
from magpie_hf.errors import BadInput

DEFAULT_SETTINGS = (
    "house", "original", "t1.0", "t1.0-top_p0.95", "t1.0-min_p0.05", "t1.3-min_p0.05", "t1.3-min_p0.1", "t0.8", "house-opening1.2",
)  # fmt: skip
HOW_TO_NAME = (
    "a name is house, original or t<temperature>, then -top_p<number>, -min_p<number> or -opening<temperature> as wanted, "
    "such as t1.0-min_p0.05"
)
_NUMBER = r"\d+(?:\.\d+)?"
_NAME = re.compile(rf"(?:(?P<base>house|original)|t(?P<temperature>{_NUMBER}))(?P<more>(?:-(?:top_p|min_p|opening){_NUMBER})*)")


@dataclass(frozen=True)
class Setting:
    """A way to draw problems: what it changes of a domain, and the options of `magpie-hf build` that do the same.

    base: "house" (the domain's own values) or "original" (the same without the tail cut); changes: fields of `Domain.instruction`, or
    "opening" (the temperature of the first token), and their values, on top of that.
    """

    name: str
    base: str = "house"
    changes: tuple[tuple[str, float], ...] = ()

    def of(self, domain: Domain) -> Domain:
        """The domain, drawn in this way. Raises BadInput for a value outside its range."""
        domain = sampled(domain, "original" if self.base == "original" else "house")
        changes: dict[str, Any] = dict(self.changes)
        opening = changes.pop("opening", domain.opening)
        return replace(domain, opening=opening, instruction=replace(domain.instruction, **changes))

    @property
    def options(self) -> str:
        """The options of `magpie-hf build` that draw in this way."""
        changed = [f"--instruction-{name.replace('_', '-')} {value:g}" for name, value in self.changes]
        says_all = {"temperature", "top_p", "min_p"} <= dict(self.changes).keys()
        return " ".join(changed if says_all else [f"--sampling {self.base}", *changed])


def setting(name: str) -> Setting:
    """The setting that a name such as "house", "original", "t0.8" or "t1.0-top_p0.9-min_p0.05" stands for.

    A name with a temperature says all: top_p is 1 and min_p is 0 where it does not name them. Raises BadInput for anything else.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name!r} is no sampling setting; {HOW_TO_NAME}")
    changes = {} if found["base"] else {"temperature": float(found["temperature"]), "top_p": 1.0, "min_p": 0.0}
    changes |= {field: float(value) for field, value in re.findall(rf"-(top_p|min_p|opening)({_NUMBER})", found["more"])}
    return Setting(name, found["base"] or "house", tuple(changes.items()))


def select_settings(names: Iterable[str]) -> tuple[Setting, ...]:
    """The settings of these names, in the given order. Raises BadInput for an unknown or repeated one, or none at all."""
    chosen = [setting(name.strip()) for name in names]
    for at, one in enumerate(chosen):
        for other in chosen[:at]:
            if one.options == other.options:
                raise BadInput(f"the settings {other.name} and {one.name} are the same; name each once")
    if not chosen:
        raise BadInput(f"no sampling setting is named; {HOW_TO_NAME}")
    return tuple(chosen)
