"""A plan's tables on the terminal.

Not here: the numbers (plan.py), and the few lines that a build prints (view.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from magpie_hf.models.generation import OF_DOMAIN
from magpie_hf.planning.plan import Plan
from magpie_hf.planning.view import bounded, chat_lines, short, warnings
from magpie_hf.planning.workload import Range
from magpie_hf.text.columns import folded
from magpie_hf.text.language import tr, translated
from magpie_hf.text.numbers import count, dollars, duration, scaled, span
from magpie_hf.text.terminal import console, print_table

Table = tuple[str, Sequence[str], Sequence[Sequence[str]], Sequence[int]]  # title, head, rows, right-aligned


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
        to.print(folded(line, to.width))
    to.print(tr("Assumptions:"), style="bold")
    for words in plan.estimates.words:
        to.print(folded(f"- {words}", to.width))


def _forbidden(plan: Plan) -> Iterator[str]:
    for duty in plan.duties:
        if duty.forbids:
            yield tr("warning  the licence of {model} forbids: {duty}", model=duty.source, duty=duty.duty)


def _rows(plan: Plan) -> Table:
    named = (tr("domain"), tr("problems"), tr("samples"), tr("dropped"))
    more = [name for name, there in (("rl", plan.outline.rl), ("tir", plan.outline.tir)) if there]
    head = [*named, "train_sft", "test_sft", "train_prefs", "test_prefs", *more]
    share, rows = plan.outline.test_share, []
    for row in plan.rows:
        pairs = (row.pairs.times(1 - share), row.pairs.times(share))
        others = [one for one in (row.rl, row.tir) if one is not None]
        test = [round(round(one, 3)) for one in row.test]  # so that the two sum up to the rows here, too
        whole = (round(train + held) for train, held in zip(row.train, row.test, strict=True))
        train = Range(*(sft - held for sft, held in zip(whole, test, strict=True)))
        ranges = (row.samples, row.dropped, train, Range(*test), *pairs, *others)
        rows.append([row.domain, count(row.problems), *(span(one, count) for one in ranges)])
    title = tr(
        "Rows, and those of the published files (parquet) by split: answers of at most {bound} tokens",
        bound=bounded(plan.bounds[0]),
    )
    return title, head, rows, range(1, len(head))


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
        for one in (plan.bounds if len(plan.bounds) > 1 else ())
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
            count(fit.length) if fit.length else "",
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
        "Hours and cost by the vendor's figures (25-60 % of their FLOP/s, 50-90 % of their bandwidth;"
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
