"""magpie-hf preview: shows the first problems of a build and what they cost; the build goes on from them.

Not here: making them (building.py), and what the costs follow from (planning/costs.py).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from magpie_hf.cli.commands.assembly import check_devices, check_engine, cluster_of, recipe_of
from magpie_hf.cli.commands.brief import Brief, brief_of
from magpie_hf.cli.commands.build_options import add_options
from magpie_hf.cli.commands.display import Show, beside_rows
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import licence_of_data, number
from magpie_hf.cli.commands.upload import check_push
from magpie_hf.errors import BadInput
from magpie_hf.report.finding import Shown
from magpie_hf.text.language import tr

if TYPE_CHECKING:
    from magpie_hf.recipe import Recipe
    from magpie_hf.report.showing.layout import Layout
    from magpie_hf.store.rows import Rows

PROBLEMS = 8
MOST = 200  # each is a shard of its own


def add(commands: Any) -> None:
    """Add the command to the command line."""
    preview = commands.add_parser(
        "preview",
        help="show the first problems of a build and what they cost",
        description=(
            "Take the first problems of a build through every stage, and show each as soon as it is done: "
            "accepted ones with their answers, dropped ones with the reason, then what they cost and "
            "what the whole build would. Takes the options of build, which goes on from these rows."
        ),
    )
    add_options(preview)
    own = preview.add_argument_group("the preview")
    own.add_argument(
        "-n",
        type=number(int),
        default=PROBLEMS,
        metavar="N",
        help=f"how many problems, of all domains together (default: {PROBLEMS})",
    )
    own.add_argument(
        "--candidates", action="store_true", help="show all candidates of a problem, not its best answer"
    )
    own.add_argument(
        "--thinking", action="store_true", help="also show the model's thinking (default: only its length)"
    )
    own.add_argument("--raw", action="store_true", help="show LaTeX source instead of Unicode")
    own.add_argument(
        "--json", action="store_true", help="print one JSON object per row and a last one with the costs"
    )
    preview.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the plan in short, rows and costs on standard output; with --json rows and costs alone."""
    if not 1 <= options.n <= MOST:
        raise BadInput(f"-n is {options.n}; give 1 to {MOST} problems")
    if options.push is not None:
        raise BadInput("--push publishes a whole build, which a preview does not make; leave it out")
    check_push(options)
    domains = domains_of(options)
    check_engine(options, "shard_size", "shards_in_flight")
    made = brief_of(options)
    with beside_rows(options.json) as (show, stream):
        show.say("\n".join(made.lines))
        _preview(options, made, show, stream, partial(recipe_of, options, domains, show.say))
    return OK


def _preview(
    options: argparse.Namespace, made: Brief, show: Show, stream: TextIO, recipe_of: partial[Recipe]
) -> None:
    check_devices(options, made.outline.sources.values())
    cluster = cluster_of(options)

    from magpie_hf.building.build import first_problems
    from magpie_hf.planning.costs import costs_of
    from magpie_hf.report.showing.layout import Layout
    from magpie_hf.run.interrupts import stopping_at_once
    from magpie_hf.run.local import Local
    from magpie_hf.text.terminal import console

    to = console(stream)
    layout = Layout(to, options.raw or not to.encoding.startswith("utf"), options.thinking)
    out = made.plan.out
    with stopping_at_once(out, show.leave):
        recipe = recipe_of()

        def take(rows: Rows) -> None:
            for shown in shown_of(recipe, rows, options.candidates):
                if options.json:
                    print(json.dumps({"split": shown.split, **shown.row}), file=stream, flush=True)
                else:
                    _print(layout, shown, tokens_of(rows))

        first_problems(
            recipe,
            out,
            options.n,
            take,
            runner=cluster or Local,
            licence=licence_of_data(options),
            observer=show.take,
        )
    costs = costs_of(out)
    if options.json:
        print(json.dumps({"costs": asdict(costs)}), file=stream, flush=True)
    else:
        costs.show(to)
        to.print(tr("magpie-hf build with the same options goes on from here, in {folder}", folder=out))


def _print(layout: Layout, shown: Shown, tokens: int) -> None:
    layout.show(shown, tr("cost: {count:,} generated tokens", count=tokens))


def shown_of(recipe: Recipe, rows: Rows, candidates: bool = False) -> Iterator[Shown]:
    """What is shown of samples that went through everything, as the published rows or as dropped ones.

    An accepted problem is its best SFT row; all its candidates where it has none, or with `candidates`.
    """
    from magpie_hf.stages.exports.base import Export
    from magpie_hf.stages.exports.candidates import ExportCandidates
    from magpie_hf.stages.exports.dropped import export_dropped
    from magpie_hf.stages.exports.texts import ExportText

    def made_by(export: Export) -> list[dict[str, Any]]:
        made = export(rows.read(export.reads).to_pydict())
        return [dict(zip(made, values, strict=True)) for values in zip(*made.values(), strict=True)]

    dropped = export_dropped(rows, recipe.selects_by_answers)
    yield from (Shown("dropped", "dropped", row) for row in made_by(dropped))
    source = next(domain for domain in recipe.domains if domain.key == rows.domain)
    for domain in (one for one in recipe.domains if source in recipe.sources(one)):
        exports = recipe.exports(domain, source)
        texts = [one for one in exports if isinstance(one, ExportText) and one.text == "sft"]
        answered = set()
        for export in texts if not candidates else ():
            for row in (row for row in made_by(export) if row["answer_rank"] == 1):
                answered.add(row["id"])
                yield Shown("sft", export.split, row)
        for each in (one for one in exports if isinstance(one, ExportCandidates)):
            for row in (row for row in made_by(each) if row["id"] not in answered):
                yield Shown("candidates", each.split, row)


def tokens_of(rows: Rows) -> int:
    """The tokens that models wrote for these samples, without those of a judge."""
    total = 0
    asked = (
        "solutions",
        "candidates",
        "tool_answers",
        "objection_responses",
        "checker_responses",
        "program_texts",
        "pass_responses",
        "known_compared",
    )
    alone = ("tags", "rejected_response", "recognised", "harder_response")
    there = [column for column in (*alone, *asked) if column in rows.made]
    for row in rows.read(["raw_num_tokens", *there]).to_pylist():
        written = [row.get(column) for column in alone]
        written += [one for column in asked for one in row.get(column) or ()]
        total += (row["raw_num_tokens"] or 0) + sum(one["num_tokens"] or 0 for one in written if one)
    return total
