"""What a recipe names as `module:Class`: the class, and an object of it with the fields that are given.

Not here: what such an object must be able to do.

A module is found as Python itself finds it: among those that are installed or on PYTHONPATH, and in the
current folder only where `python -m magpie_hf` was run. Nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, shortened

# What an object of one's own is in a recipe file, for editors and for those who check such a file.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["use"],
    "additionalProperties": False,
    "properties": {
        "use": {"type": "string", "pattern": "^[A-Za-z_][\\w.]*:[A-Za-z_]\\w*$"},
        "with": {"type": "object"},
    },
}
_PLAIN: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
}


def needs_code(recipe: Any) -> list[str]:
    """Every "module:Class" that a recipe names, at any depth: a recipe without any runs no code of others."""
    return list(dict.fromkeys(_uses(recipe)))


def _uses(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        yield from (str(value) for key, value in part.items() if key == "use")
    if isinstance(part, Mapping | list | tuple):
        for inner in part.values() if isinstance(part, Mapping) else part:
            yield from _uses(inner)


def class_of(use: Any, where: str) -> type:
    """The class that is named "module:Class". Raises BadInput, beginning with `where`, if there is none."""
    module, colon, name = use.partition(":") if isinstance(use, str) else ("", "", "")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise BadInput(f"{where}: {shortened(use)} names no class; write it as module:Class")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise _no_module(error.name, where) from error
        raise _broken(module, where, error) from error
    except Exception as error:  # a module of the user's can raise anything
        raise _broken(module, where, error) from error
    kind = getattr(found, name, None)
    if isinstance(kind, type):
        return kind
    classes = [
        key for key, value in vars(found).items() if isinstance(value, type) and value.__module__ == module
    ]
    near = get_close_matches(name, classes, 3) or classes
    raise BadInput(
        f"{where}: {module} has no class {name}; it has {', '.join(near)}"
        if near
        else f"{where}: {module} has no class {name}, and no other; write one there"
    )


def _no_module(module: str, where: str) -> BadInput:
    if Path(f"{module}.py").exists() or Path(module, "__init__.py").exists():
        return BadInput(
            f"{where}: there is no module {module} among those that are installed or on PYTHONPATH; to take"
            " the one in this folder, run python -m magpie_hf"
        )
    return BadInput(
        f"{where}: there is no module {module}; install it, or put its folder on PYTHONPATH",
    )


def _broken(module: str, where: str, error: Exception) -> BadInput:
    return BadInput(f"{where}: the module {module} cannot be imported ({described(error)}); mend it")


def is_named(use: str) -> bool:
    """Whether a recipe can name a class so: one inside another class or function it cannot."""
    return re.fullmatch(SCHEMA["properties"]["use"]["pattern"], use) is not None


def is_frozen(thing: Any) -> bool:
    """Whether an object is a frozen dataclass, whose fields say all that it is."""
    made_with: Any = getattr(thing, "__dataclass_params__", None)
    return made_with is not None and bool(made_with.frozen)


def described(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def object_of(
    spec: Any, where: str, base: type | None = None, keys: Iterable[str] = SCHEMA["properties"]
) -> Any:
    """An object of the class `spec["use"]` with the fields `spec["with"]`.

    base: what the class must be derived from. keys: all that the part of the recipe can hold. Raises
    BadInput, beginning with the place in the recipe, for other keys, for a class that is not found or does
    not fit, and for fields that it does not take.
    """
    if not isinstance(spec, Mapping):
        raise BadInput(f"{where}: {shortened(spec)} names no class; write use: module:Class")
    for key in spec:
        if key not in keys:
            raise BadInput(f"{where}.{key}: there is no such key here; choose from {', '.join(keys)}")
    kind = class_of(spec.get("use"), f"{where}.use")
    if base is not None and not issubclass(kind, base):
        raise BadInput(
            f"{where}.use: {spec['use']} is no {base.__name__}; derive it from magpie_hf.{base.__name__}"
        )
    if not dataclasses.is_dataclass(kind):
        raise BadInput(
            f"{where}.use: {spec['use']} is no dataclass; decorate it with @dataclass(frozen=True)"
        )
    given = spec.get("with") or {}
    if not isinstance(given, Mapping):
        raise BadInput(f"{where}.with: {shortened(given)} names no fields; write each as name: value")
    values = _values(kind, given, spec["use"], f"{where}.with")
    try:
        return kind(**values)
    except Exception as error:  # the class may refuse its fields with any exception, or be abstract
        raise BadInput(f"{where}: {spec['use']} cannot be made ({described(error)}); mend it") from error


def _values(kind: type, given: Mapping[str, Any], use: str, where: str) -> dict[str, Any]:
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for name in given:
        if name not in known:
            named = get_close_matches(str(name), known, 1) or known
            raise BadInput(f"{where}.{name}: {use} has no such field; it has {', '.join(named) or 'none'}")
    nothing = dataclasses.MISSING
    if lacking := [
        name
        for name, field in known.items()
        if name not in given and field.default is nothing and field.default_factory is nothing
    ]:
        raise BadInput(f"{where}: {use} needs {', '.join(lacking)}; give it")
    values = {name: _frozen(value) for name, value in given.items()}
    for name, value in values.items():
        kinds = _PLAIN.get(_annotation(known[name]))
        if kinds and not (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
            raise BadInput(
                f"{where}.{name}: {shortened(value)} is no {_annotation(known[name])}; give one to {use}"
            )
        if kinds and float in kinds:
            values[name] = float(value)
    return values


def _annotation(field: dataclasses.Field[Any]) -> str:
    return field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")


def _frozen(value: Any) -> Any:
    """Lists as tuples: a stage is compared and hashed by its fields."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
