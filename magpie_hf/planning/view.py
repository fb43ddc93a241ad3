"""A plan in a few lines, as a build and the menu print it before anything begins, and its warnings.

Not here: its tables (tables.py), and its numbers (plan.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from magpie_hf.domains import Domain
from magpie_hf.models.generation import OF_ORIGINAL
from magpie_hf.models.heads import known_of
from magpie_hf.models.known import KnownModel, KnownScorer, known
from magpie_hf.models.model import Model
from magpie_hf.planning.bounds import Bound
from magpie_hf.planning.plan import Plan
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr, translated
from magpie_hf.text.numbers import count, duration, gigabytes, scaled, span

if TYPE_CHECKING:
    from magpie_hf.planning.outline import Outline

# Values of a sampling that change nothing.
_NEUTRAL = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
LEAST_COMPLETE = 0.5  # share of complete answers below which a plan warns


def heading(domains: Sequence[Domain], sources: Mapping[str, str], k: int, out: str) -> list[str]:
    """Models with their licences, domains with their counts, and the folder.

    sources: the repository or folder of each role.
    """
    lines = [("model", _title(sources["model"]))]
    lines += [(role, _title(source)) for role, source in sources.items() if source != sources["model"]]
    info = _info(sources.get("scorer", ""))
    if isinstance(info, KnownScorer) and info.forbids:
        values = {"licence": info.licence, "model": info.repository, "duty": info.duty}
        lines.append(("licence", tr("{licence} of {model}: {duty}", **values)))
    lines += [("domain", f"{domain.key} {domain.count:,}") for domain in domains]
    problems = sum(domain.count for domain in domains)
    lines += [("problems", tr("{count:,}, {k} candidates each", count=problems, k=k)), ("folder", out)]
    return [f"{padded(translated(label), 8)} {text}" for label, text in lines]


def _title(source: str) -> str:
    info = _info(source)
    if info is None:
        return source
    if isinstance(info, KnownScorer):
        return tr(
            "{model} ({licence}; reads up to {context:,} tokens)",
            model=source,
            licence=info.licence,
            context=info.context,
        )
    return tr("{model} (model {number}; {licence})", model=source, number=info.number, licence=info.licence)


def _info(source: str) -> KnownModel | KnownScorer | None:
    """What is known of a repository, or of a folder by its architecture."""
    return known_of(Model(source, "", path=source)) if source and Path(source).is_dir() else known(source)


def short(plan: Plan, here: bool = False) -> Iterator[str]:
    """Work, disk and time in a few lines. here: whether the build is to run on this machine."""
    requests = sum(load.requests.mid for load in plan.loads)
    tokens = (sum(load.tokens[at] for load in plan.left or plan.loads) for at in range(3))
    if plan.left:
        yield tr(
            "work     left: {left} of {requests} requests, {tokens} tokens to generate",
            left=scaled(sum(load.requests.mid for load in plan.left)),
            requests=scaled(requests),
            tokens=span(tokens, scaled),
        )
    else:
        yield tr(
            "work     {requests} requests, {tokens} tokens to generate",
            requests=scaled(requests),
            tokens=span(tokens, scaled),
        )
    disk = plan.disk
    yield from answers_lines(plan)
    yield tr(
        "disk     {run} while it builds, {published} published, {legacy} in the original's files; {free} are"
        " free",
        run=gigabytes(disk.run),
        published=gigabytes(disk.published),
        legacy=gigabytes(disk.legacy),
        free=gigabytes(disk.free),
    )
    if disk.weights:
        yield tr(
            "download {weights} of weights; {free} are free there",
            weights=gigabytes(disk.weights),
            free=gigabytes(disk.cache_free),
        )
    yield from _time(plan, here)


def answers_lines(plan: Plan) -> Iterator[str]:
    """What the bound of the answers gives, and what larger ones would, in two lines."""
    now, *larger = plan.bounds
    bound = bounded(now)
    yield tr(
        "answers  {truncated:.0%} truncated at {bound}: {rows} SFT rows are likely",
        truncated=now.truncated,
        bound=bound,
        rows=count(now.rows),
    )
    parts = [
        tr(
            "at {bound}: {truncated:.0%}, {tokens} tokens, {rows} rows",
            bound=count(one.tokens),
            truncated=one.truncated,
            tokens=scaled(one.generated),
            rows=count(one.rows),
        )
        for one in larger
    ]
    if not larger:
        parts = [tr("a larger bound gives no more: the model's context ends there")]
    yield f"{'':8} {'; '.join(parts)}"


def bounded(bound: Bound) -> str:
    """The bound of an answer, with the one that a truncated answer is extended to."""
    if bound.final == bound.tokens:
        return count(bound.tokens)
    return tr("{bound:,} (extended: {final:,})", bound=bound.tokens, final=bound.final)


def _time(plan: Plan, here: bool) -> Iterator[str]:
    machine = plan.machine
    if plan.seconds is not None and plan.seconds_left is not None:
        yield tr("time     {whole} on this machine, as measured", whole=span(plan.seconds, duration))
        if plan.seconds_left.mid < plan.seconds.mid - 1:
            yield tr("left     {left}; the rest is done", left=span(plan.seconds_left, duration))
    elif machine is not None and machine.hours is not None:
        yield tr(
            "time     {hours} on {count} x {gpu}, by the vendor's figures; magpie-hf plan --measure measures"
            " it",
            hours=span(machine.hours.times(3600), duration),
            count=machine.count,
            gpu=machine.gpu.name,
        )
    elif plan.elsewhere == "servers":
        yield tr("time     depends on the servers; magpie-hf plan --measure measures it")
    elif here and not plan.chosen and not plan.elsewhere:
        yield tr(
            "time     not known, as nvidia-smi shows no GPU here; magpie-hf plan --measure measures it, and"
            " --gpu plans for another machine"
        )
    elif any(one.hours for one in plan.machines):
        yield tr(
            "time     depends on the GPUs: magpie-hf plan compares some, --gpu names yours, and --measure"
            " measures"
        )
    else:
        yield tr("time     not known; magpie-hf plan --measure measures it")


def sampling_line(outline: Outline) -> str:
    """How candidates are sampled, and where the values come from; values that change nothing are left out.

    Where domains differ, a value stands as a range.
    """
    asked = [one for one in outline.sampling if one.stage == "candidates"]
    parts = []
    for origin, names in asked[0].by_origin.items():
        values = {name: sorted({one.values[name] for one in asked}) for name in names}
        said = [
            f"{name} {'-'.join(f'{value:g}' for value in sorted({values[name][0], values[name][-1]}))}"
            for name in names
            if values[name] != [_NEUTRAL.get(name)]
        ]
        if said:
            parts.append(f"{', '.join(said)} ({translated(origin)})")
    return f"{padded(tr('sampling'), 8)} {'; '.join(parts)}"


def chat_lines(outline: Outline) -> Iterator[str]:
    """What the chat templates are rendered with, and where a domain's text goes, if not as usual."""
    by_settings: dict[str, list[str]] = {}
    for role, settings in outline.chat.items():
        parts = (
            tr("{name} by default", name=name) if value is None else f"{name}={value}"
            for name, value in settings.items()
        )
        by_settings.setdefault(", ".join(parts), []).append(translated(role))
    for said, roles in by_settings.items():
        yield f"{padded(tr('chat'), 8)} {', '.join(roles)}: {said}"
    if outline.place == "user":
        said = tr("a domain's text begins the user's turn")
    elif outline.place == "none" and "tagger" in outline.sources:
        said = tr("no text names a domain; the tagger alone tells it, so expect to drop many samples")
    elif outline.place == "none":
        said = tr("no text names a domain, and no tagger tells it")
    else:
        return
    yield f"{padded(tr('steer'), 8)} {said}"


def warnings(plan: Plan) -> Iterator[str]:
    """What speaks against the build, a line each."""
    outline = plan.outline
    if outline.unread:
        yield tr(
            "warning  the sampling that {model} asks for is not known: {why}",
            model=outline.sources["solver"],
            why=outline.unread,
        )
    if outline.reasoning and any(OF_ORIGINAL in one.by_origin for one in outline.sampling):
        yield tr(
            "warning  {model} is a reasoning model, and the original's sampling makes such models repeat"
            " themselves endlessly; leave out --sampling original",
            model=outline.sources["solver"],
        )
    if plan.disk.is_short:
        yield tr("warning  the disk is too small for that; free some space, or choose another --out")
    if plan.disk.cache_is_short:
        yield tr(
            "warning  the disk is too small for the weights; free some space, or set HF_HOME to a larger one"
        )
    if plan.outline.writer_reasons:
        yield tr(
            "warning  {model} thinks first; such models answer well and write poor problems: give an instruct"
            " model as --model and this one as --solver",
            model=plan.outline.sources["model"],
        )
    if (now := plan.bounds[0]).truncated > 1 - LEAST_COMPLETE:
        yield tr(
            "warning  {share:.0%} of the answers are likely to be truncated at {bound:,} tokens and lost;"
            " raise --max-tokens",
            share=now.truncated,
            bound=now.final,
        )
    for model in plan.models:
        if model.why:
            yield tr("warning  the size of {model} is not known: {why}", model=model.source, why=model.why)
        if model.int4:
            yield tr(
                "warning  {model} is quantised to 4-bit integers ({method}): such a solver fell from 82.7 to"
                " 72.7 (OpenMathReasoning, table 9), an FP8 one not",
                model=model.source,
                method=model.int4,
            )
