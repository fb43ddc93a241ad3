"""What a build's folder holds already, and what of it the options would keep: by the records of its stages.

Not here: rows are not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.outline import ANSWERING, Outline
from magpie_hf.planning.projection import Done
from magpie_hf.run.status import StageStatus, status
from magpie_hf.text.language import tr

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
    """What becomes of one stage's finished rows in a domain, of answers those of accepted problems.

    kept: those that stay, for which `asked` more requests are made all the same, at `each` requests a row;
    why: what differs, "" where nothing does; under_way: requests kept of shards that are not finished.
    """

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
    """What the build in `folder` would keep; nothing where there is none. Raises BadInput where it is another
    build's folder.
    """
    file = folder / "run" / "build.json"
    if not file.is_file():
        return Reuse()
    try:
        state = status(folder)
    except Torn:  # a build goes on from what it finds itself
        return Reuse()
    if state.seed != outline.seed:
        raise BadInput(
            f"{folder} holds another build: its seed is {state.seed}, not {outline.seed}; choose another"
            " --out"
        )
    if state.model not in (name := outline.sources["model"], Path(name).name):
        raise BadInput(
            f"{folder} holds another build: its model is {state.model}, not {name}; choose another --out"
        )
    record = json.loads(file.read_text(encoding="utf-8"))
    found: list[Kept] = []
    for domain in outline.domains:
        pipeline = record.get("pipeline", {}).get(domain.key, {})
        keys = {**pipeline.get("samples", {}), **pipeline.get("answers", {})}
        rows = {stage.label: stage for stage in state.stages if stage.domain == domain.key}
        quota = next(one for one in state.selection if one.domain == domain.key) if keys else None
        changes = _Changes(quota.accepted / max(1, quota.filtered) if quota else 1.0)
        for stage in outline.stages:
            if stage in keys and stage in rows:
                found.append(
                    _kept(outline, domain, rows[stage], folder / "run" / domain.key / keys[stage], changes)
                )
    return Reuse(tuple(found))


@dataclass
class _Changes:
    """Of a domain: the share of its samples that is accepted; why stages are made anew; and, by stage, the
    requests that are made for rows that are there.
    """

    share: float
    anew: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[int, str]] = field(default_factory=dict)


def _kept(outline: Outline, domain: Domain, state: StageStatus, folder: Path, changes: _Changes) -> Kept:
    """What becomes of one stage."""
    stage, each = state.label, outline.each(state.label)
    rows = round(state.rows * changes.share) if stage in ANSWERING else state.rows
    before = next((why for one in _BEFORE[stage] if (why := changes.anew.get(one))), "")
    differing = _differing(outline, domain, stage, _identity(folder))
    bound, k = differing.pop(_BOUND, (0, 0)), differing.pop("k", (0, 0))
    if differing or before:
        changes.anew[stage] = why = before or ", ".join(
            f"{name} {old} → {new}" for name, (old, new) in differing.items()
        )
        return Kept(domain.key, stage, rows, 0, rows * each, each, why, 0)
    asked, why = changes.asked.get("candidates", (0, "")) if stage == "score" else (0, "")
    if k[1] > k[0]:
        asked, why = (
            rows * (k[1] - k[0]),
            tr("k {old} → {new}: only the missing ones are asked", old=k[0], new=k[1]),
        )
    if bound[1] > bound[0]:
        asked += state.reasons.get("length", 0)
        why = "; ".join(
            one
            for one in (
                why,
                tr("max-tokens {old} → {new}: only what was cut is asked again", old=bound[0], new=bound[1]),
            )
            if one
        )
    changes.asked[stage] = asked, why
    return Kept(domain.key, stage, rows, rows, min(asked, rows * each), each, why, state.requests_under_way)


def _identity(folder: Path) -> Mapping[str, Any]:
    """What a stage was, by its record; {} where it has none yet."""
    file = folder / "stage.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["stage"]) if file.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{file} cannot be read ({type(error).__name__}); run the build again, which mends it"
        ) from error


def _differing(
    outline: Outline, domain: Domain, stage: str, was: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """By name, what the stage was and what the options want, where that differs."""
    if not was:
        return {}
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
        wanted["first-token-temperature"], known["first-token-temperature"] = (
            domain.first_token,
            was.get("first_token"),
        )
    return {name: (known[name], wanted[name]) for name in wanted if known.get(name) != wanted[name]}


def _values(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sampling that a user chooses."""
    return {name: identity[name] for name in ("temperature", "top_p", "min_p", _BOUND) if name in identity}
