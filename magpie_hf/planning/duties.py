"""What the licences of a build's models ask for, once a model.

Not here: the texts of licences (models/licences.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from magpie_hf.models.heads import known_of
from magpie_hf.models.known import KnownModel, known
from magpie_hf.models.licences import licence_of, parse_model_licences
from magpie_hf.models.model import Model
from magpie_hf.planning.outline import Outline
from magpie_hf.text.language import tr


@dataclass(frozen=True)
class Duty:
    """A model, its roles, and what its licence asks for.

    licence, duty: the licence's name and what travels with the outputs, None where not known; forbids:
    whether the licence forbids this use.
    """

    source: str
    title: str
    roles: tuple[str, ...]
    licence: str | None
    duty: str | None
    forbids: bool


def duties_of(outline: Outline, given: Sequence[str]) -> list[Duty]:
    """The duties of each model, once a model; the Hub is not asked.

    given: the values of --model-license.
    """
    roles: dict[str, list[str]] = {}
    for role, source in outline.sources.items():
        roles.setdefault(source, []).append(role)
    return [_duty(source, tuple(parts), given) for source, parts in roles.items()]


def _duty(source: str, roles: tuple[str, ...], given: Sequence[str]) -> Duty:
    is_folder = Path(source).is_dir()
    model = Model(Path(source).name if is_folder else source, "main", path=source if is_folder else None)
    said = parse_model_licences(given)
    here = is_folder or known(source) is not None or said.of(model) is not None
    licence = licence_of(model, said) if here else None
    info = known_of(model) if here else None
    title = source
    if isinstance(info, KnownModel):
        title = tr("{model} (model {number})", model=source, number=info.number)
    if licence is None:
        return Duty(source, title, roles, None, None, False)
    return Duty(source, title, roles, licence.name, licence.duty, licence.forbids)
