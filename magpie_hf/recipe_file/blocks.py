"""The blocks of a recipe file that no option says: domains, steps, rules and scorers of one's own.

Not here: the groups, whose keys are options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from magpie_hf.domains import (
    DOMAINS,
    MAX_PROBLEM_TOKENS,
    MAX_RESPONSE_TOKENS,
    MOST_ROWS,
    STEPS,
    TAIL_CUT,
    Domain,
)
from magpie_hf.errors import BadInput, Faults
from magpie_hf.limits import check_first_token
from magpie_hf.models.generation import OF_OPTION
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.recipe_file.nodes import Node, unknown
from magpie_hf.scorers.own import scorer_of
from magpie_hf.selection.rules import rules_of
from magpie_hf.stages.step import steps_of

# The fields of a domain, and what each takes.
FIELDS = {
    "japanese": "the name in Japanese",
    "count": "accepted problems",
    "subject": "the subject, as the tagger knows it",
    "system": "a text that describes the user who is about to ask, or a list of several",
    "first_token": "temperature of a problem's first token, sampled on its own; null: not on its own",
    "instruction": "how problems are sampled",
    "response": "how the separate answer is sampled",
    "candidate": "how the candidates are sampled",
}
TEXT = "text"  # the key of the text itself
# The fields of one of several texts, and what each takes.
TEXT_FIELDS = {
    TEXT: "the text",
    "weight": "how often it is chosen, beside the others; 1 where it is left out",
    "topic": "what it asks about",
    "persona": "who asks",
    "language": "the language that it asks in",
}
STEPS_OF = ("instruction", *STEPS)
VALUES = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "repetition_penalty")
_TEXTS = ("japanese", "subject")
_NEEDED = ("count", "subject", "system")
_PARTS = re.compile(r"\w+")  # of a place such as [0].with.name
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PROBLEMS = Sampling(temperature=1.2, min_p=TAIL_CUT, max_tokens=MAX_PROBLEM_TOKENS)
_ANSWERS = Sampling(temperature=0.0, max_tokens=MAX_RESPONSE_TOKENS)


def domains(block: Node) -> dict[str, Domain]:
    """The domains of a mapping from keys to fields; fields of a domain of the package replace its own.

    Values of the samplings stand against the solver's own, as options do. Raises BadInput for a wrong one.
    """
    return {key: _domain(key, name, fields) for key, (name, fields) in block.pairs().items()}


def _domain(key: str, name: Node, block: Node) -> Domain:
    if not _KEY.fullmatch(key):
        raise name.at(BadInput(f"domains.{key} is no name for a domain; use letters, digits, _ and -"))
    if not block.is_mapping and not (block.is_empty and key in DOMAINS):
        raise block.at(BadInput(f"domains.{key} is {block.said}; give its fields, such as count"))
    pairs = {} if block.is_empty else block.pairs()
    for field, (at, _) in pairs.items():
        if field not in FIELDS:
            raise unknown(f"domains.{key}", at, FIELDS)
    known = DOMAINS.get(key)
    if known is None and (missing := [field for field in _NEEDED if field not in pairs]):
        raise name.at(BadInput(f"domains.{key} has no {missing[0]}; a domain of your own needs one"))
    domain = known or Domain(key, 0, "", "", _PROBLEMS, _ANSWERS)
    for field, (_, value) in pairs.items():
        where = f"domains.{key}.{field}"
        if field == "system" and value.is_list:
            domain = replace(domain, texts=_texts(where, value))
        elif field == "system":
            domain = replace(domain, system=_text(where, value), texts=())
        elif field in _TEXTS:
            text: Any = {field: _text(where, value)}
            domain = replace(domain, **text)
        elif field == "count":
            domain = replace(domain, count=_count(where, value))
        elif field == "first_token":
            domain = replace(domain, first_token=_first_token(where, value))
        else:
            domain = _sampled(where, domain, field, value)
    return domain


def _text(where: str, value: Node) -> str:
    if not value.is_text or not value.text.strip():
        raise value.at(BadInput(f"{where} is {value.said}; give a text"))
    return value.text


def _texts(where: str, block: Node) -> tuple[SystemText, ...]:
    """Several system texts: each a text, or its fields."""
    found = []
    for number, item in enumerate(block.items()):
        place = f"{where}[{number}]"
        if not item.is_mapping:
            found.append(SystemText(_text(place, item)))
            continue
        pairs = item.pairs()
        for name, (at, _) in pairs.items():
            if name not in TEXT_FIELDS:
                raise unknown(place, at, TEXT_FIELDS)
        if TEXT not in pairs:
            raise item.at(BadInput(f"{place} has no {TEXT}; give the text"))
        given: dict[str, Any] = {
            name: value.value() if name == "weight" else _text(f"{place}.{name}", value)
            for name, (_, value) in pairs.items()
        }
        try:
            found.append(SystemText(given.pop(TEXT), **given))
        except BadInput as error:
            raise item.at(error) from error
    if not found:
        raise block.at(BadInput(f"{where} is empty; give a text, or several"))
    return tuple(found)


def _count(where: str, value: Node) -> int:
    count = value.value()
    if type(count) is not int or not 1 <= count <= MOST_ROWS:
        raise value.at(BadInput(f"{where} is {value.said}; give a whole number from 1 to {MOST_ROWS:,}"))
    return count


def _first_token(where: str, value: Node) -> float | None:
    if value.is_empty:
        return None
    try:
        check_first_token(given := value.value())
    except BadInput as error:
        raise value.at(error) from error
    return float(given)


def _sampled(where: str, domain: Domain, step: str, block: Node) -> Domain:
    if not block.is_mapping:
        raise block.at(BadInput(f"{where} is {block.said}; give values, such as temperature"))
    given: dict[str, Any] = {}
    for name, (at, value) in block.pairs().items():
        if name not in VALUES:
            raise unknown(where, at, VALUES)
        given[name] = value.value()
        try:
            Sampling(**{name: given[name]})
        except BadInput as error:
            raise value.at(error) from error
    if step not in STEPS:
        return replace(domain, instruction=replace(domain.instruction, **given))
    domain = domain.with_origins(step, dict.fromkeys(given, OF_OPTION))
    return domain.with_step(step, replace(getattr(domain, step), **given))


def _own(name: str, made: Callable[[Any, str], Any]) -> Callable[[Node], Any]:
    """A reader of what names classes of one's own; each fault has the line of what it is about."""

    def read(block: Node) -> Any:
        try:
            return made(block.value(), name)
        except BadInput as error:
            faults = error.faults if isinstance(error, Faults) else (error,)
            placed = [block.within(_PARTS.findall(_place(name, str(one)))).at(one) for one in faults]
            raise Faults(placed) from error

    return read


def _place(name: str, fault: str) -> str:
    """The place that a fault begins with, below the block: "[0].after"."""
    return fault.partition(": ")[0].removeprefix(name)


READERS: Mapping[str, Callable[[Node], Any]] = {
    "domains": domains,
    "steps": _own("steps", steps_of),
    "rules": _own("rules", rules_of),
    "scorer": _own("scorer", scorer_of),
}
