"""What a folder already holds, and what a build with these options would keep of it.

Not here: the rows themselves, and how much work is left (workload.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput, Torn
from magpie_hf.planning.outline import ANSWERING, ANSWERS, IN_ROUNDS, SAMPLING, Outline
from magpie_hf.planning.workload import MAJORITIES, ROUNDS, hardened_of
from magpie_hf.problems.concepts import concepts_of
from magpie_hf.problems.system_texts import SystemText
from magpie_hf.run.status import SelectionStatus, StageStatus, status
from magpie_hf.selection.reasons import OUTSIDE, inside_of
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
    "harden": ("candidates", "pass_rate"),
    "delta": ("candidates",),
    "score": ("candidates",),
}
_BOUND = "max_tokens"
_TEXT = "text"  # what a domain's samples are asked with
_BAND = "pass-rate"
_FIELDS = tuple(one.name for one in fields(SystemText))
HARDEN = "harden_round"  # of the stages' labels, before the number
_MOST_SEEDS = 10_000  # of samples whose texts are compared, for the share of all


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

    answering: the stages that answer a problem whole; selected: samples accepted and filtered, by domain;
    refiltered: by domain, the folder of the pass rates by which another band filters the same samples.
    """

    stages: tuple[Kept, ...] = ()
    answering: tuple[str, ...] = ANSWERING
    selected: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    refiltered: Mapping[str, Path] = field(default_factory=dict)

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
    refiltered: dict[str, Path] = {}
    for domain in outline.domains:
        pipeline = record.get("pipeline", {}).get(domain.key, {})
        keys = {**pipeline.get("samples", {}), **pipeline.get("answers", {})}
        rows = {stage.label: stage for stage in state.stages if stage.domain == domain.key}
        quota = next(one for one in state.selection if one.domain == domain.key) if keys else None
        changes = _Changes()
        kept: list[Kept] = []
        for stage in outline.stages:
            label = f"{HARDEN}1" if stage == "harden" else stage
            if label in keys and label in rows:
                part = folder / "run" / domain.key / keys[label]
                kept.append(_kept(outline, domain, stage, rows[label], part, changes))
        if quota is None:
            continue
        rounds = sum(label.startswith(HARDEN) for label in keys)
        found += _with_rounds(outline, kept, quota, 0 if "harden" in changes.anew else rounds)
        hardened_alike = rounds == outline.harden and "harden" not in changes.anew
        anew = any(changes.anew.get(stage) for stage in SAMPLING) or changes.texts
        rates = f"pass_rate_round{rounds}" if rounds else "pass_rate"
        if hardened_alike and not anew and banded_alike:
            selected[domain.key] = quota.accepted, quota.filtered
        elif hardened_alike and not anew and "pass_rate" not in changes.anew and rates in keys:
            refiltered[domain.key] = folder / "run" / domain.key / keys[rates]
    answering = tuple(stage for stage in ANSWERING if stage in outline.stages)
    return Reuse(tuple(found), answering, selected, refiltered)


def _with_rounds(
    outline: Outline, kept: Sequence[Kept], quota: SelectionStatus, rounds: int
) -> Sequence[Kept]:
    """What becomes of stages whose harder problems are not there: of all rounds, or of those behind `rounds`.

    quota: of the selection before; it tells how many samples were answered.
    """
    made = hardened_of(outline)[1] - hardened_of(replace(outline, harden=min(rounds, outline.harden)))[1]
    answered = inside_of(quota.accepted, quota.reasons)
    answered += sum(quota.reasons.get(reason, 0) for reason in OUTSIDE)
    if not made:
        return kept
    why = tr("harder problems are made anew")
    return [
        replace(
            one,
            asked=min(one.asked + round(answered * made) * one.each, one.rows * one.each),
            why="; ".join(filter(None, (one.why, why))),
        )
        if one.kept and one.stage in IN_ROUNDS
        else one
        for one in kept
    ]


@dataclass
class _Changes:
    """What changes in a domain.

    anew: why stages are made anew; asked: by stage, the further requests for existing rows, and why; texts:
    the share of the samples that another text of several asks for, which alone are made anew.
    """

    anew: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[int, str]] = field(default_factory=dict)
    texts: float = 0.0


def _kept(
    outline: Outline, domain: Domain, stage: str, state: StageStatus, folder: Path, changes: _Changes
) -> Kept:
    """What becomes of one stage; `changes` takes in what that means for later stages."""
    each, rows = outline.each(stage), state.done
    before = next((why for one in _BEFORE[stage] if (why := changes.anew.get(one))), "")
    differing = _differing(outline, domain, stage, _identity(folder))
    bound, k, extend = (differing.pop(name, (0, 0)) for name in (_BOUND, "k", "auto_extend"))
    band = differing.pop(_BAND, None)
    if _TEXT in differing and (other := _other_texts(outline.seed, domain.key, rows, *differing[_TEXT])) < 1:
        changes.texts = other
        del differing[_TEXT]
    if differing or before:
        said = [tr("another system text")] if differing.pop(_TEXT, None) else []
        said += [tr("other concepts")] if differing.pop("concepts", None) else []
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
    if band is not None:
        old, new = (":".join(f"{end:g}" for end in one) if one else tr("none") for one in band)
        again = tr("pass-rate {old} → {new}: the samples are filtered anew", old=old, new=new)
        why = "; ".join(filter(None, (why, again)))
    changes.asked[stage] = asked, why
    if changes.texts:
        asked += round(rows * changes.texts) * each
        texts = tr("another system text of {share:.0%} of the samples", share=changes.texts)
        why = "; ".join(filter(None, (why, texts)))
    return Kept(domain.key, stage, rows, rows, min(asked, rows * each), each, why, state.requests_under_way)


def _other_texts(seed: int, key: str, rows: int, was: Any, wanted: Any) -> float:
    """The share of a domain's samples that `wanted` asks for with another text than `was`.

    was, wanted: a text, or the fields of several.
    """
    from magpie_hf.stage import seed_of  # these load `datasets`, which other plans need not wait for
    from magpie_hf.stages.instruct import chosen

    before, after = (
        [SystemText(*one) for one in texts] if isinstance(texts, list) else [SystemText(texts)]
        for texts in (was, wanted)
    )
    seeds = [seed_of(seed, key, index) for index in range(min(rows, _MOST_SEEDS))]
    others = sum(chosen(before, one).system != chosen(after, one).system for one in seeds)
    return others / len(seeds) if seeds else 1.0


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
        wanted[_BAND], known[_BAND] = outline.band, tuple(was.get("band") or ()) or None
    if stage == "harden":
        topics = (text.topic for text in domain.texts)
        wanted["concepts"], known["concepts"] = concepts_of(domain.key, topics), tuple(was["concepts"])
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
