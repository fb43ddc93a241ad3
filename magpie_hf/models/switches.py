"""The switches of a chat template: variables of its own that it reads, such as enable_thinking.

Not here: rendering a template with their values (chat.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model, json_of, text_of

ROLES = ("model", "solver", "judge", "tagger")  # those that read a chat template
# What transformers gives to every template. The names of tools are left out, since no conversation has any.
_STANDARD = re.compile(
    r"messages|documents|add_generation_prompt|continue_final_message|raise_exception|strftime_now"
    r"|additional_special_tokens|\w+_token|\w*tools?(?:_\w+)?"
)
# Names for whether to think, or how much, and the values that say not to.
_THINKING = (
    "enable_thinking", "thinking", "think", "thinking_mode", "thinking_budget", "thinking_effort",
    "enable_reasoning", "reasoning", "reasoning_mode", "reasoning_effort",
)  # fmt: skip
_OFF = (False, 0, "", "none", "off", "no", "disabled", "no_think", "chat", "non-thinking")


def switches_of(model: Model) -> tuple[str, ...]:
    """The names of a model's switches, sorted; () where it has no template as text."""
    return _switches(template_of(model))


@lru_cache(maxsize=32)
def _switches(template: str) -> tuple[str, ...]:
    import jinja2
    from jinja2 import meta
    from jinja2.ext import Extension, LoopControlExtension

    class Generation(Extension):
        """A tag of transformers' around what an assistant wrote."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = jinja2.Environment(extensions=[LoopControlExtension, Generation])
    try:
        read = meta.find_undeclared_variables(environment.parse(template))
    except jinja2.TemplateError:  # said by the first rendering
        return ()
    return tuple(sorted(name for name in read - set(environment.globals) if not _STANDARD.fullmatch(name)))


def template_of(model: Model) -> str:
    """The text of the chat template; "" without one. No tokenizer is loaded, as a plan has no time for it."""
    if (text := text_of(model, "chat_template.jinja")) is not None:
        return text
    for name in ("tokenizer_config.json", "chat_template.json"):
        template = (json_of(model, name) or {}).get("chat_template")
        if isinstance(template, list):  # several, by name
            named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
            template = named.get("default")
        if isinstance(template, str):
            return template
    return ""


def with_chat_options(model: Model, values: Mapping[str, Any]) -> Model:
    """The model with these values of its switches, which are JSON. Raises BadInput for an unknown name."""
    if not values:
        return model
    names = switches_of(model)
    for name in values:
        if name not in names:
            raise BadInput(
                f"the chat template of {model.name} does not read {name!r}; choose from {', '.join(names)}"
                if names
                else f"the chat template of {model.name} does not read {name!r}, nor any other option; leave it"
                " out"
            )
    written = ((name, json.dumps(values[name], sort_keys=True)) for name in sorted(values))
    return replace(model, chat_options=tuple(written))


def values_of(model: Model) -> dict[str, Any]:
    """The values that were given to a model's switches, by name."""
    return {name: json.loads(value) for name, value in model.chat_options}


def thinks(model: Model) -> bool | None:
    """Whether the values given to a model's switches make it think; None where they say nothing of it."""
    said = [value for name, value in values_of(model).items() if name in _THINKING and value is not None]
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
    if value in ("True", "False", "None"):  # as text, all three are true to a template
        json_value = {"True": "true", "False": "false", "None": "null"}[value]
        raise BadInput(f"--chat-option is {text!r}, whose value would be text; write {json_value}")
    try:
        return role, name, json.loads(value, parse_constant=_no_number)
    except ValueError:
        return role, name, value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def options_for(
    given: Sequence[tuple[str | None, str, Any]], names: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The values for each role in the build, as parsed; what is given for one role goes before the others.

    names: the switches of each role's model. Without a role, an option is for all whose template has the
    name. Raises BadInput for a role that the build has not, and for a name that no template has.
    """
    found: dict[str, dict[str, Any]] = {role: {} for role in names}
    for role, name, value in sorted(given, key=lambda one: one[0] is not None):
        if role is not None and role not in names:
            raise BadInput(f"--chat-option names the {role}, and this build has none; leave it out")
        if role is not None:
            found[role][name] = value  # an unknown name is refused with the model's own
            continue
        having = [one for one, known in names.items() if name in known]
        if not having:
            every = sorted({one for known in names.values() for one in known})
            raise BadInput(
                f"no chat template of this build reads {name!r}; choose from {', '.join(every)}"
                if every
                else f"no chat template of this build reads {name!r}, nor any other option; leave it out"
            )
        for one in having:
            found[one][name] = value
    return found
