"""The JSON schema of a recipe file, with which editors complete and check it as it is written.

Not here: ranges, and rules between keys, which only reading knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from magpie_hf import named
from magpie_hf.recipe_file.blocks import FIELDS, STEPS_OF, TEXT, TEXT_FIELDS, VALUES
from magpie_hf.recipe_file.kinds import Kind, kind_of
from magpie_hf.recipe_file.places import GROUPS, NAMED, keys_of
from magpie_hf.stages import step

_TEXT = {"type": ["string", "number"]}  # a commit of digits alone is text, too
_TEXTS = {"type": "array", "items": _TEXT}
_TABLE = {"type": "object"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}


def schema(options: Mapping[str, argparse.Action]) -> dict[str, Any]:
    """The schema. options: those of `magpie-hf build`, by name; their help describes the keys."""
    properties: dict[str, Any] = {}
    for group in GROUPS:
        keys = {key: _described(option, options[option]) for key, option in keys_of(group).items()}
        table = _object(keys)
        if (name := NAMED.get(group)) is not None:
            own = [named.SCHEMA] if group == "scorer" else []
            table = {"anyOf": [_TEXT, table, *own], "description": keys[name]["description"]}
        properties[group] = table
    listed = _described("domains", options["domains"])
    properties["domains"] = {
        "anyOf": [*listed.pop("anyOf"), {"type": "object", "additionalProperties": _domain()}],
        **listed,
    }
    properties |= {
        "steps": {
            "type": "array",
            "items": step.SCHEMA,
            "description": "stages of one's own",
        },
        "rules": {"type": "array", "items": named.SCHEMA, "description": "rules of one's own for a sample"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "recipe of magpie-hf build",
        **_object(properties),
    }


def _described(option: str, action: argparse.Action) -> dict[str, Any]:
    help_ = (action.help or "") % {**vars(action), "prog": "magpie-hf"}
    return {**_type(kind_of(option, action)), "description": help_}


def _type(kind: Kind) -> dict[str, Any]:
    if kind.shape == "flag":
        return {"type": "boolean"}
    if kind.choices:
        return {"enum": list(kind.choices)}
    if kind.number is not None:
        return _WHOLE if kind.number is int else _NUMBER
    if kind.shape in ("list", "commas"):
        return {"anyOf": [_TEXT, _TEXTS]}
    if kind.shape == "pairs":
        return {"anyOf": [_TEXT, _TEXTS, _TABLE]}
    return {"anyOf": [_TEXT, _TABLE]} if kind.shape == "table" else _TEXT


def _domain() -> dict[str, Any]:
    kinds = {
        field: {**(_NUMBER if field == "weight" else {"type": "string"}), "description": what}
        for field, what in TEXT_FIELDS.items()
    }
    text = {**_object(kinds), "required": [TEXT]}
    values = {name: _WHOLE if name in ("top_k", "max_tokens") else _NUMBER for name in VALUES}
    types: dict[str, Any] = {
        **{field: {"type": "string"} for field in FIELDS},
        "system": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, text]}}]
        },
        "count": _WHOLE,
        "first_token": {"type": ["number", "null"]},
        **{step: _object(values) for step in STEPS_OF},
    }
    whole = _object({field: {**types[field], "description": what} for field, what in FIELDS.items()})
    return {"anyOf": [{"type": "null"}, whole]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
