"""The switches of a chat template: variables of its own that it reads, such as enable_thinking.

Not here: rendering a template with their values (template.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model, json_of, text_of
from magpie_hf.models.rendering import tried

ROLES = (
    "model",
    "solver",
    "judge",
    "tagger",
    "checker",
    "program",
    "rejected",
    "pass",
    "hardener",
)  # those that read a chat template
# Names for whether to think, or how much, and the values that say not to.
_THINKING = (
    "enable_thinking", "thinking", "think", "thinking_mode", "thinking_budget", "thinking_effort",
    "enable_reasoning", "reasoning", "reasoning_mode", "reasoning_effort",
)  # fmt: skip
# Those that templates compare with true or false: 0 is not false to `enable_thinking is false`.
_BOOLEAN = ("enable_thinking", "enable_reasoning", "thinking", "think")
_OFF = (False, 0, "", "none", "off", "no", "disabled", "no_think", "chat", "non-thinking")


def switches_of(model: Model) -> tuple[str, ...]:
    """The names of a model's switches, sorted; () where it has no template as text.

    Raises BadInput as `tried`.
    """
    template = template_of(model)
    return tried(template, model.name).switches if template else ()


def system_place_of(model: Model) -> str:
    """`Chat.system_place`, without a tokenizer; "" where the model has no template as text."""
    template = template_of(model)
    return tried(template, model.name).place if template else ""


def template_of(model: Model) -> str:
    """The text of the chat template; "" without one. No tokenizer is loaded, as a plan has no time for it."""
    if (text := text_of(model, "chat_template.jinja")) is not None:
        return text
    for name in ("tokenizer_config.json", "chat_template.json"):
        template = (json_of(model, name) or {}).get("chat_template")
        if isinstance(template, list):  # several, by name
            named = [one for one in template if isinstance(one, dict) and one.get("name") == "default"]
            template = named[-1].get("template") if named else None
        if isinstance(template, str):
            return template
    return ""


def with_chat_options(model: Model, values: Mapping[str, Any]) -> Model:
    """The model with these values of its switches, which are JSON. Raises BadInput for an unknown name."""
    if values:
        _check(model.name, values, switches_of(model))
    return replace(model, chat_options=written(values))


def written(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Values of switches as a model holds them."""
    return tuple((name, json.dumps(values[name], sort_keys=True)) for name in sorted(values))


def values_of(model: Model) -> dict[str, Any]:
    """The values that were given to a model's switches, by name."""
    return {name: json.loads(value) for name, value in model.chat_options}


def thinks(settings: Mapping[str, str | None]) -> bool | None:
    """Whether these settings of switches make a model think; None where they say nothing of it.

    settings: as `settings_of` returns them.
    """
    said = [json.loads(value) for name, value in settings.items() if name in _THINKING and value is not None]
    return all(value not in _OFF for value in said) if said else None


def settings_of(model: Model) -> dict[str, str | None]:
    """Each switch of a model with its value as JSON; None for the template's own default."""
    return {**dict.fromkeys(switches_of(model)), **dict(model.chat_options)}


def parse_chat_options(texts: Iterable[str]) -> list[tuple[str | None, str, Any]]:
    """The role (None for all), name and value of each text "[ROLE:]NAME=VALUE".

    Values are JSON, or else text. Raises BadInput for another form or role.
    """
    return [_parsed(text) for text in texts]


def _parsed(text: str) -> tuple[str | None, str, Any]:
    form = re.fullmatch(r"(?:(\w+):)?([A-Za-z_]\w*)=(.+)", text, re.DOTALL)
    if form is None or form[1] not in (None, *ROLES):
        raise BadInput(
            f"--chat-option is {text!r}; give NAME=VALUE or ROLE:NAME=VALUE, with one of the roles"
            f" {', '.join(ROLES)}"
        )
    role, name, value = form.groups()
    meant = {"true": "true", "false": "false", "none": "null", "null": "null"}.get(value.lower())
    if meant not in (None, value):  # as text, all of them are true to a template
        raise BadInput(f"--chat-option is {text!r}, whose value would be text; write {meant}")
    if name in _BOOLEAN and value.lower() in ("0", "1", "yes", "no", "on", "off"):
        meant = "true" if value.lower() in ("1", "yes", "on") else "false"
        raise BadInput(f"--chat-option is {text!r}, and {name} is true or false; write {meant}")
    try:
        return role, name, json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return role, name, value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def options_for(
    given: Sequence[tuple[str | None, str, Any]], switches: Mapping[str, tuple[str, Sequence[str]]]
) -> dict[str, dict[str, Any]]:
    """The values for each role in the build, as parsed; what is given for one role goes before the others.

    switches: the name of each role's model, and its switches. Without a role, an option is for all whose
    template has the name. Raises BadInput for a role that the build has not, and for a name that no template
    has.
    """
    found: dict[str, dict[str, Any]] = {role: {} for role in switches}
    for role, name, value in sorted(given, key=lambda one: one[0] is not None):
        if role is None:
            having = [one for one, (_, known) in switches.items() if name in known]
        elif role in switches:
            having = [role] if name in switches[role][1] else []
        else:
            raise BadInput(f"--chat-option is for the {role}, and this build has none; leave it out")
        if not having:
            asked = [switches[role]] if role else list(switches.values())
            models = ", ".join(dict.fromkeys(model for model, _ in asked))
            _check(models, [name], sorted({one for _, known in asked for one in known}))
        for one in having:
            found[one][name] = value
    return found


def _check(model: str, asked: Iterable[str], known: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            raise BadInput(
                f"the chat template of {model} does not read {name!r}; choose from {', '.join(known)}"
                if known
                else f"the chat template of {model} reads neither {name!r} nor any other option; leave it out"
            )
