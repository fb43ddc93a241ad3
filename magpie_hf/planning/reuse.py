"""What a folder already holds, and what a build with these options would keep of it.

Not here: the rows themselves, and how much work is left (workload.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.outline import ANSWERING, ANSWERS, SAMPLING, Outline
from magpie_hf.planning.workload import MAJORITIES, ROUNDS
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.run.status import StageStatus, status
from magpie_hf.store.records import PROVENANCE, read_record, stage_record
from magpie_hf.text.language import tr

# The stages whose rows a stage reads.
_BEFORE = {
    "instruct": (),
    "tag": ("instruct",),
    "embed": ("instruct",),
    "solutions": ("instruct",),
    "candidates": ("instruct",),
    "tool_answers": ("candidates",),
    "objections": ("candidates",),
    "second_opinion": ("candidates",),
    "write_programs": ("candidates",),
    "pass_rate": ("candidates",),
    "harden": ("candidates",),
    "delta": ("candidates",),
    "score": ("candidates",),
}
_BOUND = "max_tokens"
_TEXT = "text"  # what a domain's samples are asked with
_FIELDS = tuple(one.name for one in fields(SystemText))


@dataclass(frozen=True)
class Done:
    """Rows of a domain that exist already: sampled, and answered by every stage."""

    sampled: int = 0
    answered: int = 0


@dataclass(frozen=True)
class Kept:
    """What becomes of one stage's finished rows in a domain; of answers, those of accepted problems.

    rows: that exist; kept: that stay, for which `asked` more requests are made, at `each` requests a row;
    why: what differs, "" where nothing does; under_way: requests that are kept of unfinished shards.
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
        """Rows that need no more requests."""
        return self.kept - math.ceil(self.asked / self.each) if self.kept else 0


@dataclass(frozen=True)
class Reuse:
    """What is kept of a folder, stage by stage.

    answering: the stages that answer a problem whole; selected: samples accepted and filtered, by domain.
    """

    stages: tuple[Kept, ...] = ()
    answering: tuple[str, ...] = ANSWERING
    selected: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def done(self) -> dict[str, Done]:
        """How much of each domain is done."""
        found: dict[str, dict[str, int]] = {}
        for one in self.stages:
            found.setdefault(one.domain, {})[one.stage] = one.whole
        return {
            domain: Done(
                min((kept[stage] for stage in SAMPLING if stage in kept), default=0),
                min(kept.get(stage, 0) for stage in self.answering),
            )
            for domain, kept in found.items()
        }


def reuse_of(outline: Outline, folder: Path) -> Reuse:
    """What the build would keep of `folder`, by the records of its stages; rows are not read.

    Nothing where the folder holds no build. Raises BadInput where it holds another one.
    """
    file = folder / "run" / "build.json"
    if not file.is_file():
        return Reuse()
    try:
        state = status(folder)
    except Torn:  # a build goes on from the rows that it finds itself
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
    record, banded_alike = read_record(file), _band_of(folder) == outline.band
    found: list[Kept] = []
    selected: dict[str, tuple[int, int]] = {}
    labels: set[str] = set()
    for domain in outline.domains:
        pipeline = record.get("pipeline", {}).get(domain.key, {})
        keys = {**pipeline.get("samples", {}), **pipeline.get("answers", {})}
        labels |= keys.keys()
        rows = {stage.label: stage for stage in state.stages if stage.domain == domain.key}
        quota = next(one for one in state.selection if one.domain == domain.key) if keys else None
        changes = _Changes()
        for stage in outline.stages:
            if stage in keys and stage in rows:
                part = folder / "run" / domain.key / keys[stage]
                found.append(_kept(outline, domain, rows[stage], part, changes))
        if quota and banded_alike and not any(changes.anew.get(stage) for stage in SAMPLING):
            selected[domain.key] = quota.accepted, quota.filtered
    # What was made harder, and in how many rounds, stands in the names of stages alone
    rounds = sum(label.startswith("harden_round") for label in labels)
    counted = [stage for stage in ANSWERING if stage != "harden" or rounds != outline.harden]
    if rounds != outline.harden:
        selected = {}
    return Reuse(tuple(found), tuple(stage for stage in counted if stage in outline.stages), selected)


@dataclass
class _Changes:
    """What changes in a domain.

    anew: why stages are made anew; asked: by stage, the further
    requests for existing rows, and why.
    """

    anew: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[int, str]] = field(default_factory=dict)


def _kept(outline: Outline, domain: Domain, state: StageStatus, folder: Path, changes: _Changes) -> Kept:
    """What becomes of one stage; `changes` takes in what that means for later stages."""
    stage, each = state.label, outline.each(state.label)
    rows = state.done
    before = next((why for one in _BEFORE[stage] if (why := changes.anew.get(one))), "")
    differing = _differing(outline, domain, stage, _identity(folder))
    bound, k, extend = (differing.pop(name, (0, 0)) for name in (_BOUND, "k", "auto_extend"))
    if differing or before:
        said = [tr("another system text")] if differing.pop(_TEXT, None) else []
        said += [f"{name} {old} → {new}" for name, (old, new) in differing.items()]
        why = before or ", ".join(said)
        changes.anew[stage] = why
        return Kept(domain.key, stage, rows, 0, rows * each, each, why, 0)
    asked, why = changes.asked.get("candidates", (0, "")) if stage == "score" else (0, "")
    if k[1] > k[0] and stage == "tool_answers":
        asked = round(rows * (k[1] - k[0]) * MAJORITIES * ROUNDS)
        why = tr("tir {old} → {new}: only the missing answers are asked for", old=k[0], new=k[1])
    elif k[1] > k[0]:
        asked = rows * (k[1] - k[0])
        why = tr("k {old} → {new}: only the missing candidates are generated", old=k[0], new=k[1])
        if stage == "pass_rate":
            why = tr("pass-votes {old} → {new}: only the missing answers are generated", old=k[0], new=k[1])
    if bound[1] > bound[0]:
        asked += state.reasons.get("length", 0)
        longer = tr(
            "max-tokens {old} → {new}: only truncated answers are continued", old=bound[0], new=bound[1]
        )
        why = "; ".join(filter(None, (why, longer)))
    elif extend[1] > extend[0]:
        asked += state.reasons.get("length", 0)
        longer = tr("auto-extend {old} → {new}: truncated answers go on", old=extend[0], new=extend[1])
        why = "; ".join(filter(None, (why, longer)))
    changes.asked[stage] = asked, why
    return Kept(domain.key, stage, rows, rows, min(asked, rows * each), each, why, state.requests_under_way)


def _band_of(folder: Path) -> tuple[float, float] | None:
    """The band of pass rates by which the samples in a folder were selected."""
    try:
        band = (read_record(folder / "run" / PROVENANCE).get("pass_rates") or {}).get("band")
    except (FileNotFoundError, Torn):
        return None
    return None if band is None else (band[0], band[1])


def _identity(folder: Path) -> Mapping[str, Any]:
    """What a stage was, by its record; {} where it has none yet. Raises Torn."""
    return dict((stage_record(folder) or {"stage": {}})["stage"])


def _differing(
    outline: Outline, domain: Domain, stage: str, was: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """By name, what the stage was and what the options ask for, where these differ."""
    if not was:
        return {}
    wanted: dict[str, Any] = {"model": Path(outline.stages[stage]).name}
    engine = was.get("engine") or (was.get("scorer") or {}).get("engine") or {}
    known: dict[str, Any] = {"model": Path(str(engine.get("name", ""))).name}
    if stage == "candidates":
        wanted["k"], known["k"] = outline.k, was.get("k")
    if stage == "tool_answers":
        wanted["k"], known["k"] = outline.tir, was.get("k")
    if stage == "pass_rate":
        wanted["k"], known["k"] = outline.pass_votes, was.get("votes")
    if stage in ANSWERS:
        wanted["auto_extend"], known["auto_extend"] = outline.auto_extend, was.get("auto_extend", 0)
    samplings = {"instruct": domain.instruction, "solutions": domain.response, "candidates": domain.candidate}
    samplings["tool_answers"] = domain.candidate
    if stage in samplings and isinstance(was.get("sampling"), Mapping):
        wanted |= _values(samplings[stage].identity())
        known |= _values(was["sampling"])
    if stage == "instruct":
        name = "first-token-temperature"
        wanted[name], known[name] = domain.first_token, was.get("first_token")
        wanted["steer"] = outline.steer if outline.steer in ("user", "none") else "default"
        texts = [tuple(one.get(name) for name in _FIELDS) for one in was.get("texts", ())]
        nowhere = was.get("system", "") is None and not texts
        known["steer"] = "none" if nowhere else was.get("place", "default")
        if "system" in was and known["steer"] == wanted["steer"] != "none":
            wanted[_TEXT] = list(map(astuple, domain.several)) or domain.system
            known[_TEXT] = texts or was["system"]
    others = {"objections": outline.looker, "second_opinion": "checker", "write_programs": "program"}
    others |= {"pass_rate": "pass", "harden": outline.maker, "delta": "rejected"}
    role = {"instruct": "model", "tag": "tagger", "score": "judge", **others}.get(stage, "solver")
    given = [(name, value) for name, value in outline.chat.get(role, {}).items() if value is not None]
    for which, options in ((wanted, sorted(given)), (known, engine.get("chat_options", ()))):
        which["chat-option"] = ", ".join(f"{name}={value}" for name, value in options) or "default"
    return {name: (known[name], wanted[name]) for name in wanted if known.get(name) != wanted[name]}


def _values(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sampling that a user or a model chooses; an identity without top_k has no limit."""
    names = ("temperature", "top_p", "min_p", "repetition_penalty", _BOUND)
    return {"top_k": identity.get("top_k", 0), **{name: identity[name] for name in names if name in identity}}
