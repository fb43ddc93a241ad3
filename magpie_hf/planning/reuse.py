"""What a build's folder holds already, and what of it the options would keep: by the records of its stages. Not here: rows are not read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput
from magpie_hf.language import tr
from magpie_hf.planning.outline import Outline
from magpie_hf.planning.projection import Done
from magpie_hf.status import StageStatus, status

_BEFORE = {  # what each stage is made from
    "instruct": (),
    "tag": ("instruct",),
    "embed": ("instruct",),
    "solutions": ("instruct",),
    "candidates": ("instruct",),
    "score": ("candidates",),
}
_BOUND = "max_tokens"


@dataclass(frozen=True)
class Kept:
    """What becomes of one stage's finished rows in a domain: `kept` of them stay, for which `asked` more requests are made all the same, at
    `each` requests a row; `why` says what differs, "" where nothing does; under_way: requests kept of shards that are not finished."""

    domain: str
    stage: str
    rows: int
    kept: int
    asked: int
    each: int
    why: str
    under_way: int

    @property
    def whole(self) -> int:
        """Rows for which nothing more is asked, where all requests are shared out."""
        return self.kept - math.ceil(self.asked / self.each) if self.kept else 0


@dataclass(frozen=True)
class Reuse:
    """Of a folder: what is kept, and how much of each domain is done."""

    stages: tuple[Kept, ...] = ()

    @property
    def done(self) -> dict[str, Done]:
        found: dict[str, dict[str, int]] = {}
        for one in self.stages:
            found.setdefault(one.domain, {})[one.stage] = one.whole
        return {
            domain: Done(
                min((kept[stage] for stage in ("instruct", "tag", "embed") if stage in kept), default=0),
                min((kept.get(stage, 0) for stage in ("solutions", "candidates", "score")), default=0),
            )
            for domain, kept in found.items()
        }


def reuse_of(outline: Outline, folder: Path) -> Reuse:
    """What the build in `folder` would keep; nothing where there is none. Raises BadInput where it is another build's folder."""
    file = folder / "run" / "build.json"
    if not file.is_file():
        return Reuse()
    state = status(folder)
    if state.seed != outline.seed:
        raise BadInput(f"{folder} holds another build: its seed is {state.seed}, not {outline.seed}; choose another --out")
    if state.model not in (name := outline.sources["model"], Path(name).name):
        raise BadInput(f"{folder} holds another build: its model is {state.model}, not {name}; choose another --out")
    record = json.loads(file.read_text(encoding="utf-8"))
    found: list[Kept] = []
    for domain in outline.domains:
        keys = {**record["walk"].get(domain.key, {}).get("draws", {}), **record["walk"].get(domain.key, {}).get("answers", {})}
        rows = {stage.label: stage for stage in state.stages if stage.domain == domain.key}
        anew: dict[str, str] = {}
        for stage in outline.stages:
            if stage in keys and stage in rows:
                found.append(_kept(outline, domain, rows[stage], folder / "run" / domain.key / keys[stage], anew))
    return Reuse(tuple(found))


def _kept(outline: Outline, domain: Domain, rows: StageStatus, folder: Path, anew: dict[str, str]) -> Kept:
    """What becomes of one stage. anew: why each stage before it is made anew; this one is added to it, if it is."""
    stage, each = rows.label, outline.each(rows.label)
    before = next((why for one in _BEFORE[stage] if (why := anew.get(one))), "")
    identity = _identity(folder)
    differing = _differing(outline, domain, stage, identity) if identity else {}
    bound = differing.pop(_BOUND, None)
    fewer = differing.pop("k", None)
    if differing or before:
        anew[stage] = why = before or ", ".join(f"{name} {old} → {new}" for name, (old, new) in differing.items())
        return Kept(domain.key, stage, rows.rows, 0, rows.rows * each, each, why, 0)
    asked, words = 0, []
    if fewer and fewer[1] > fewer[0]:
        asked += rows.rows * (fewer[1] - fewer[0])
        words.append(tr("k {old} → {new}: only the missing ones are asked", old=fewer[0], new=fewer[1]))
    if bound and bound[1] > bound[0]:
        asked += rows.reasons.get("length", 0)
        words.append(tr("max-tokens {old} → {new}: only those that were cut are asked again", old=bound[0], new=bound[1]))
    return Kept(domain.key, stage, rows.rows, rows.rows, asked, each, "; ".join(words), rows.requests_under_way)


def _identity(folder: Path) -> Mapping[str, Any]:
    """What a stage was, by its record; {} where it has none yet."""
    file = folder / "stage.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["stage"]) if file.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} cannot be read ({type(error).__name__}); run the build again, which mends it") from error


def _differing(outline: Outline, domain: Domain, stage: str, was: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By name, what the stage was and what the options want, where that differs."""
    wanted: dict[str, Any] = {"model": Path(outline.stages[stage]).name}
    engine = was.get("engine") or (was.get("scorer") or {}).get("engine") or {}
    known: dict[str, Any] = {"model": Path(str(engine.get("name", ""))).name}
    if stage == "candidates":
        wanted["k"], known["k"] = outline.k, was.get("k")
    samplings = {"instruct": domain.instruction, "solutions": domain.response, "candidates": domain.candidate}
    if stage in samplings and isinstance(was.get("sampling"), Mapping):
        wanted |= _values(samplings[stage].identity())
        known |= _values(was["sampling"])
    if stage == "instruct":
        wanted["instruction-opening"], known["instruction-opening"] = domain.opening, was.get("opening")
    return {name: (known[name], wanted[name]) for name in wanted if known.get(name) != wanted[name]}


def _values(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sampling that a user chooses."""
    return {name: identity[name] for name in ("temperature", "top_p", "min_p", _BOUND) if name in identity}
