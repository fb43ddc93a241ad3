"""Sampling settings by name: how the problems of a domain could be sampled.

Not here: sampling them, and which is best (sweep.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from magpie_hf.domains import Domain, with_sampling
from magpie_hf.errors import BadInput

DEFAULT_SETTINGS = (
    "default", "original", "t1.0", "t1.0-top_p0.95", "t1.0-min_p0.05", "t1.3-min_p0.05", "t1.3-min_p0.1",
    "t0.8", "default-first1.2",
)  # fmt: skip
HOW_TO_NAME = (
    "a name is default, original or t<temperature>, then -top_p<number>, -min_p<number> or"
    " -first<temperature> as wanted, such as t1.0-min_p0.05"
)
_FIELDS = {"first": "first_token"}  # where a name says less than the field of `Domain`
_NUMBER = r"\d+(?:\.\d+)?"
_NAME = re.compile(
    rf"(?:(?P<base>default|original)|t(?P<temperature>{_NUMBER}))"
    rf"(?P<more>(?:-(?:top_p|min_p|first){_NUMBER})*)"
)


@dataclass(frozen=True)
class Setting:
    """A way to sample problems.

    base: "default" (the domain's own values) or "original" (the same without cutting off unlikely tokens);
    changes: on top of that, fields of `Domain.instruction`, or "first_token" (the temperature of the first
    token), with their values.
    """

    name: str
    base: str = "default"
    changes: tuple[tuple[str, float], ...] = ()

    def of(self, domain: Domain) -> Domain:
        """The domain with this sampling. Raises BadInput for a value outside its range."""
        domain = with_sampling(domain, "original" if self.base == "original" else "default")
        changes: dict[str, Any] = dict(self.changes)
        first_token = changes.pop("first_token", domain.first_token)
        return replace(domain, first_token=first_token, instruction=replace(domain.instruction, **changes))

    @property
    def options(self) -> str:
        """The options of `magpie-hf build` that sample in this way."""
        changed = [f"{_option(name)} {value:g}" for name, value in self.changes]
        says_all = {"temperature", "top_p", "min_p"} <= dict(self.changes).keys()
        return " ".join(changed if says_all else [f"--sampling {self.base}", *changed])


def setting(name: str) -> Setting:
    """The setting of a name such as "default", "original", "t0.8" or "t1.0-top_p0.9-min_p0.05".

    Beside a temperature, top_p is 1 and min_p is 0 unless they are named. Raises BadInput for another name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name!r} is no sampling setting; {HOW_TO_NAME}")
    changes = (
        {} if found["base"] else {"temperature": float(found["temperature"]), "top_p": 1.0, "min_p": 0.0}
    )
    changes |= {
        _FIELDS.get(field, field): float(value)
        for field, value in re.findall(rf"-(top_p|min_p|first)({_NUMBER})", found["more"])
    }
    return Setting(name, found["base"] or "default", tuple(changes.items()))


def select_settings(names: Iterable[str]) -> tuple[Setting, ...]:
    """The settings of these names, in this order. Raises BadInput for an unknown or repeated one, or none."""
    chosen = [setting(name.strip()) for name in names]
    for at, one in enumerate(chosen):
        for other in chosen[:at]:
            if one.options == other.options:
                raise BadInput(f"the settings {other.name} and {one.name} are the same; name each once")
    if not chosen:
        raise BadInput(f"no sampling setting is named; {HOW_TO_NAME}")
    return tuple(chosen)


def _option(name: str) -> str:
    """The option of `magpie-hf build` that sets a changed value."""
    return "--first-token-temperature" if name == "first_token" else f"--instruction-{name.replace('_', '-')}"
