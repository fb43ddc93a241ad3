"""A plan on the terminal: its tables, the few lines before a build, and the comparison with the build.

Not here: the numbers (plan.py, outcome.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from magpie_hf.domains import Domain
from magpie_hf.models.generation import OF_DOMAIN, OF_ORIGINAL
from magpie_hf.models.heads import known_of
from magpie_hf.models.known import KnownModel, KnownScorer, known
from magpie_hf.models.model import Model
from magpie_hf.planning.plan import Plan
from magpie_hf.text.columns import padded
from magpie_hf.text.language import tr, translated
from magpie_hf.text.numbers import count, dollars, duration, gigabytes, scaled, span
from magpie_hf.text.terminal import console, print_table

if TYPE_CHECKING:
    from magpie_hf.planning.outcome import Outcome
    from magpie_hf.planning.outline import Outline

Table = tuple[str, Sequence[str], Sequence[Sequence[str]], Sequence[int]]  # title, head, rows, right-aligned
# Values of a sampling that change nothing.
_NEUTRAL = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
LEAST_COMPLETE = 0.5  # share of complete answers below which a plan warns


# Before a build


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


def short(plan: Plan) -> Iterator[str]:
    """Work, disk and time in a few lines."""
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
    yield from _time(plan)


def answers_lines(plan: Plan) -> Iterator[str]:
    """What the bound of the answers gives, and what larger ones would, in two lines."""
    now, *larger = plan.bounds
    bound = count(now.tokens)
    if now.final != now.tokens:
        bound = tr("{bound:,} (extended: {final:,})", bound=now.tokens, final=now.final)
    yield tr(
        "answers  {truncated:.0%} truncated at {bound}: {rows} SFT rows are likely",
        truncated=now.truncated,
        bound=bound,
        rows=count(now.rows),
    )
    parts = (
        tr(
            "at {bound}: {truncated:.0%}, {tokens} tokens, {rows} rows",
            bound=count(one.tokens),
            truncated=one.truncated,
            tokens=scaled(one.generated),
            rows=count(one.rows),
        )
        for one in larger
    )
    yield f"{'':8} {'; '.join(parts)}"


def _time(plan: Plan) -> Iterator[str]:
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


# The whole plan


def show(plan: Plan) -> None:
    """Print the whole plan on standard output."""
    to = console()
    for table in (_rows, _files, _stages, _sampling, _bounds, _done, _models, _machines, _duties):
        title, head, rows, right = table(plan)
        if rows:
            to.print()
            to.print(title, style="bold")
            print_table(to, head, rows, right)
    to.print()
    for line in (*chat_lines(plan.outline), *short(plan), *warnings(plan), *_forbidden(plan)):
        to.print(line)
    to.print(tr("Assumptions:"), style="bold")
    for words in plan.estimates.words:
        to.print(f"- {words}")


def _forbidden(plan: Plan) -> Iterator[str]:
    for duty in plan.duties:
        if duty.forbids:
            yield tr("warning  the licence of {model} forbids: {duty}", model=duty.source, duty=duty.duty)


def _rows(plan: Plan) -> Table:
    named = (tr("domain"), tr("problems"), tr("samples"), tr("dropped"), tr("SFT train"), tr("SFT test"))
    head = [*named, tr("pairs"), *([tr("RL")] if plan.outline.rl else [])]
    rows = []
    for row in plan.rows:
        ranges = (row.samples, row.dropped, row.train, row.test, row.pairs, *([row.rl] if row.rl else []))
        rows.append([row.domain, count(row.problems), *(span(one, count) for one in ranges)])
    return tr("Rows"), head, rows, range(1, len(head))


def _files(plan: Plan) -> Table:
    head = [tr("domain"), *plan.rows[0].files]
    rows = [[row.domain, *(span(one, count) for one in row.files.values())] for row in plan.rows]
    return tr("Records in the original's files, by the ends of their names"), head, rows, range(1, len(head))


def _bounds(plan: Plan) -> Table:
    """What larger bounds give, with the hours where something tells them."""
    named = [tr("max-tokens"), tr("extended"), tr("truncated"), tr("tokens"), tr("SFT rows")]
    if any(one.hours is not None for one in plan.bounds):
        named.append(tr("hours"))
    rows = [
        [
            count(one.tokens),
            count(one.final),
            f"{one.truncated:.0%}",
            scaled(one.generated),
            count(one.rows),
            *([] if one.hours is None else [duration(one.hours * 3600)]),
        ]
        for one in plan.bounds
    ]
    return tr("What a larger bound gives (likely values)"), named, rows, range(len(named))


def _stages(plan: Plan) -> Table:
    head = [tr("stage"), tr("requests"), tr("prompt tokens"), tr("tokens"), tr("model")]
    rows = [
        [load.stage, *(span(one, scaled) for one in (load.requests, load.prompt, load.tokens)), load.source]
        for load in plan.loads
    ]
    return tr("Requests"), head, rows, (1, 2, 3)


def _sampling(plan: Plan) -> Table:
    names = [tr("temperature"), "top_p", "top_k", "min_p", tr("repetition penalty"), tr("max tokens")]
    rows = [
        [
            translated(one.stage),
            ", ".join(one.domains),
            *(f"{value:g}" if value < 1000 else count(value) for value in one.values.values()),
            "; ".join(
                f"{translated(origin)}: {', '.join(of)}"
                for origin, of in one.by_origin.items()
                if origin != OF_DOMAIN
            ),
        ]
        for one in plan.outline.sampling
    ]
    head = [tr("stage"), tr("domain"), *names, tr("values from (all others: the domain)")]
    return tr("Sampling of the solver"), head, rows, range(2, 8)


def _done(plan: Plan) -> Table:
    head = [tr("domain"), tr("stage"), tr("existing rows"), tr("kept"), tr("extra requests"), tr("why")]
    rows = [
        [
            one.domain,
            one.stage,
            count(one.rows),
            count(one.kept),
            count(one.asked),
            _why(one.why, one.under_way),
        ]
        for one in plan.reuse.stages
    ]
    return tr("Already done in {folder}", folder=plan.out), head, rows, (2, 3, 4)


def _why(why: str, under_way: int) -> str:
    kept = tr("{count:,} requests of unfinished shards are kept, too", count=under_way) if under_way else ""
    return "; ".join(filter(None, (why, kept)))


def _models(plan: Plan) -> Table:
    head = [tr("model"), tr("GPU"), tr("GPUs"), tr("request"), tr("at once"), tr("parallelism")]
    rows = [
        [
            fit.source,
            machine.gpu.name,
            str(machine.count),
            count(fit.length) if fit.sequences else "",
            count(fit.sequences) if fit.sequences else "",
            translated(fit.why),
        ]
        for machine in plan.machines
        for fit in machine.fits
    ]
    title = tr(
        "Memory (request: tokens of the longest one; at once: how many of them an engine has room for)"
    )
    return title, head, rows, (2, 3, 4)


def _machines(plan: Plan) -> Table:
    head = [tr("GPU"), tr("GPUs"), tr("hours"), tr("US dollars"), tr("compute-bound minimum")]
    rows = [
        [
            machine.gpu.name,
            str(machine.count),
            span(machine.hours.times(3600), duration),
            dollars(*machine.dollars) if machine.dollars else "",
            duration(machine.compute_bound * 3600),
        ]
        for machine in plan.machines
        if machine.hours is not None and machine.compute_bound is not None
    ]
    title = tr(
        "Hours and cost by the vendor's figures (25-55 % of their FLOP/s, 45-80 % of their bandwidth;"
        " compute-bound minimum: at 100 %)"
    )
    return title, head, rows, (1, 2, 3, 4)


def _duties(plan: Plan) -> Table:
    head = [tr("model"), tr("part"), tr("licence"), tr("what travels with the outputs")]
    unknown = tr("not known; see --model-license")
    rows = [
        [
            one.title,
            ", ".join(map(translated, one.roles)),
            translated(one.licence or unknown),
            translated(one.duty or ""),
        ]
        for one in plan.duties
    ]
    return tr("Licences"), head, rows, ()


# After a build


def show_outcome(outcome: Outcome) -> None:
    """Print a plan's numbers beside the actual ones."""
    to = console()
    word = {"rows": count, "tokens": scaled, "seconds": duration}
    rows = [
        [
            _named(one.what),
            word[one.unit](one.planned),
            word[one.unit](one.actual),
            "" if one.ratio is None else f"{one.ratio:.2f}",
        ]
        for one in outcome.numbers
    ]
    print_table(to, [tr("what"), tr("planned"), tr("actual"), tr("ratio")], rows, (1, 2, 3))
    if not outcome.finished:
        to.print(tr("the build has not finished"))


def _named(what: str) -> str:
    """What is compared, such as "samples algebra": its kind, and the domain or the stage."""
    kind, _, of = what.partition(" ")
    return f"{translated(kind)} {of}".rstrip()


def outcome_line(outcome: Outcome) -> str:
    """A plan's tokens and time beside the actual ones, in a line."""
    tokens = [one for one in outcome.numbers if one.unit == "tokens"]
    actual, planned = sum(one.actual for one in tokens), sum(one.planned for one in tokens)
    words = [tr("{actual} of {planned} tokens", actual=scaled(actual), planned=scaled(planned))]
    words += [
        tr(
            "{actual} of {planned} (ratio {ratio:.2f})",
            actual=duration(one.actual),
            planned=duration(one.planned),
            ratio=one.ratio,
        )
        for one in outcome.numbers
        if one.unit == "seconds" and one.ratio is not None
    ]
    return tr("actual vs. planned: {words}", words=", ".join([*words, *_because(outcome)]))


def _because(outcome: Outcome) -> Iterator[str]:
    """Why the tokens are far from the planned ones: rows, or what one took, in the stage that is farthest."""
    far = outcome.farthest()
    if far is None:
        return
    if abs(math.log(far.length)) >= abs(math.log(far.rows)):
        yield tr(
            "because a row of {stage} took {ratio:.1f} times the planned tokens",
            stage=translated(far.stage),
            ratio=far.length,
        )
    else:
        yield tr(
            "because {stage} had {ratio:.1f} times the planned rows",
            stage=translated(far.stage),
            ratio=far.rows,
        )
