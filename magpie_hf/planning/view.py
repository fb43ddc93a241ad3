"""A plan on the terminal: tables, and the few lines before a build.

Not here: the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from magpie_hf.planning.belief import Range
from magpie_hf.planning.words import count, dollars, duration, gigabytes, million, span
from magpie_hf.text.language import tr, translated
from magpie_hf.text.terminal import console, print_table

if TYPE_CHECKING:
    from magpie_hf.planning.machines import Machine
    from magpie_hf.planning.outcome import Outcome
    from magpie_hf.planning.plan import Plan

Cells = Sequence[Sequence[str]]
LEAST_COMPLETE = 0.5  # the share of complete answers below which a plan warns


def show(plan: Plan) -> None:
    """Print the whole plan on standard output."""
    to = console()
    for title, head, rows, right in (
        _rows(plan),
        _stages(plan),
        _done(plan),
        _models(plan),
        _machines(plan),
        _duties(plan),
    ):
        if rows:
            to.print()
            to.print(title, style="bold")
            print_table(to, head, rows, right)
    to.print()
    for line in (*short(plan), *warnings(plan), *_forbidden(plan)):
        to.print(line)
    to.print(tr("Assumptions:"), style="bold")
    for words in plan.belief.words:
        to.print(f"- {words}")


def short(plan: Plan) -> Iterator[str]:
    """Work, disk and time in a few lines."""
    requests = sum(load.requests.mid for load in plan.loads)
    tokens = [sum(load.tokens[at] for load in plan.loads) for at in range(3)]
    yield tr(
        "work     {requests} requests, {tokens} tokens to generate",
        requests=million(requests),
        tokens=span(Range(*tokens), million),
    )
    disk = plan.disk
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
    if plan.whole is not None and plan.left is not None:
        yield tr("time     {whole} on this machine, by the measurement", whole=span(plan.whole, duration))
        if plan.left.mid < plan.whole.mid - 1:
            yield tr("left     {left} of it, as the rest is done", left=span(plan.left, duration))
    elif (best := _best(plan.machines)) is not None and best.hours is not None:
        yield tr(
            "time     such as {hours} on {count} x {gpu}, by the vendor's figures; a measurement (magpie-hf"
            " plan --measure) measures it",
            hours=span(best.hours.times(3600), duration),
            count=best.count,
            gpu=best.gpu.name,
        )
    else:
        yield tr("time     not known; a measurement (magpie-hf plan --measure) measures it")


def show_outcome(outcome: Outcome) -> None:
    """Print a plan's numbers beside what they came to."""
    to = console()
    word = {"rows": count, "tokens": million, "seconds": duration}
    rows = [
        [
            _named(one.what),
            word[one.unit](one.planned),
            word[one.unit](one.came),
            "" if one.ratio is None else f"{one.ratio:.2f}",
        ]
        for one in outcome.numbers
    ]
    print_table(to, [tr("what"), tr("planned"), tr("came"), tr("ratio")], rows, (1, 2, 3))
    if not outcome.finished:
        to.print(tr("the build has not come to its end"))


def _named(what: str) -> str:
    """What is compared, such as "samples algebra": its kind, and the domain or the stage."""
    kind, _, of = what.partition(" ")
    return f"{translated(kind)} {of}".rstrip()


def outcome_line(outcome: Outcome) -> str:
    """The plan and what came of it, in a line."""
    tokens = [
        sum(one.planned for one in outcome.numbers if one.unit == "tokens"),
        sum(one.came for one in outcome.numbers if one.unit == "tokens"),
    ]
    words = [tr("{came} of {planned} tokens", came=million(tokens[1]), planned=million(tokens[0]))]
    words += [
        tr(
            "{came} of {planned} (ratio {ratio:.2f})",
            came=duration(one.came),
            planned=duration(one.planned),
            ratio=one.ratio,
        )
        for one in outcome.numbers
        if one.unit == "seconds" and one.ratio is not None
    ]
    return tr("came of the plan: {words}", words=", ".join(words))


def warnings(plan: Plan) -> Iterator[str]:
    """What should give a user pause."""
    if plan.disk.is_short:
        yield tr("warning  the disk is too small for that; make room, or choose another --out")
    if plan.disk.cache_is_short:
        yield tr("warning  the disk is too small for the weights; make room, or set HF_HOME to a larger one")
    if (complete := plan.belief.complete.mid) < LEAST_COMPLETE:
        bound = max(
            max(domain.response.max_tokens, domain.candidate.max_tokens) for domain in plan.outline.domains
        )
        yield tr(
            "warning  {cut:.0%} of the answers are likely to be cut at {bound:,} tokens, and are lost; raise"
            " --max-tokens",
            cut=1 - complete,
            bound=bound,
        )
    for model in plan.models:
        if model.why:
            yield tr("warning  the size of {model} is not known: {why}", model=model.source, why=model.why)


def _forbidden(plan: Plan) -> Iterator[str]:
    for duty in plan.duties:
        if duty.forbids:
            yield tr("warning  the licence of {model} forbids: {duty}", model=duty.source, duty=duty.duty)


def _rows(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
    head = [
        tr("domain"),
        tr("problems"),
        tr("samples"),
        tr("dropped"),
        tr("SFT train"),
        tr("SFT test"),
        tr("pairs"),
    ]
    rl = plan.outline.rl
    rows = [
        [
            row.domain,
            count(row.problems),
            *(span(one, count) for one in (row.samples, row.dropped, row.train, row.test, row.pairs)),
        ]
        + ([span(row.rl, count)] if row.rl else [])
        for row in plan.rows
    ]
    return tr("Rows"), [*head, *([tr("RL")] if rl else [])], rows, range(1, len(head) + rl)


def _stages(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
    head = [tr("stage"), tr("requests"), tr("prompt tokens"), tr("tokens"), tr("model")]
    rows = [
        [load.stage, *(span(one, million) for one in (load.requests, load.prompt, load.tokens)), load.source]
        for load in plan.loads
    ]
    return tr("Requests"), head, rows, (1, 2, 3)


def _done(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
    head = [tr("domain"), tr("stage"), tr("rows there"), tr("kept"), tr("asked all the same"), tr("why")]
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
    return tr("Done already in {folder}", folder=plan.out), head, rows, (2, 3, 4)


def _why(why: str, under_way: int) -> str:
    return "; ".join(
        one
        for one in (
            why,
            tr("{count:,} requests of unfinished shards are kept, too", count=under_way) if under_way else "",
        )
        if one
    )


def _models(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
    head = [tr("model"), tr("GPU"), tr("GPUs"), tr("max sequences"), tr("parallelism")]
    rows = [
        [
            fit.source,
            machine.gpu.name,
            str(machine.count),
            str(fit.sequences) if fit.sequences else tr("none"),
            translated(fit.why),
        ]
        for machine in plan.machines
        for fit in machine.fits
    ]
    return (
        tr("Memory (max sequences: full-length sequences at once; {few} are comfortable)", few=32),
        head,
        rows,
        (2, 3),
    )


def _machines(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
    head = [tr("GPU"), tr("GPUs"), tr("hours"), tr("US dollars"), tr("compute-bound minimum")]
    rows = [
        [
            machine.gpu.name,
            str(machine.count),
            span(machine.hours.times(3600), duration),
            dollars(*machine.dollars),
            duration(machine.bare * 3600),
        ]
        for machine in plan.machines
        if machine.hours is not None and machine.dollars is not None and machine.bare is not None
    ]
    title = tr(
        "Hours and cost by the vendor's figures (25-55 % of their FLOP/s, 45-80 % of their bandwidth;"
        " compute-bound minimum: at 100 %)"
    )
    return title, head, rows, (1, 2, 3, 4)


def _duties(plan: Plan) -> tuple[str, Sequence[str], Cells, Sequence[int]]:
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


def _best(machines: Sequence[Machine]) -> Machine | None:
    """The machine with the fewest hours of those on which it all fits."""
    return min(
        (one for one in machines if one.hours is not None),
        key=lambda one: one.hours.mid if one.hours else 0.0,
        default=None,
    )
