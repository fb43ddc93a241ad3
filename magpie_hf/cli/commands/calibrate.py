"""magpie-hf calibrate: a solver answers problems with known answers; shows how often its labels are right.

Not here: the numbers (calibration/), and the stages, which are those of a build.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.cli.commands.assembly import check_devices, check_engine, check_rules, cluster_of, recipe_of
from magpie_hf.cli.commands.build_options import add_options
from magpie_hf.cli.commands.display import beside_rows
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import number, roles
from magpie_hf.cli.commands.own_problems import unsampled
from magpie_hf.domains import DOMAINS
from magpie_hf.errors import BadInput
from magpie_hf.problems.system_texts import shares
from magpie_hf.text.language import tr, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from magpie_hf.recipe import Recipe
    from magpie_hf.review.calibration.source import KnownAnswers
    from magpie_hf.store.rows import Rows

# Options of build that have an effect here.
EFFECTIVE = frozenset(
    "help recipe model solver revision chat_option domains k languages sft seed out problems_split"
    " problems_where problems_revision sampling temperature top_p min_p candidate_temperature candidate_top_p"
    " candidate_min_p max_tokens auto_extend max_model_len dtype checker program pairs_checked"
    " min_majority_share max_length_ratio engine_args engine_arg engine tensor_parallel_size"
    " data_parallel_size gpu_memory_utilization kv_cache_gb max_num_seqs endpoint server_kind patience ray"
    " ray_workers shard_size shards_in_flight".split()
)
COUNT, LEVELS = 200, "1,2,3"
MOST = 100_000


def add(commands: Any) -> None:
    """Add the command to the command line."""
    calibrate = commands.add_parser(
        "calibrate",
        help="show how often a solver's labels are right, on problems with known answers",
        description=(
            "Let a solver answer problems whose answers are known, through the stages of a build, and show "
            "how often the majority's answer is right. It takes all options of build; those below have an "
            "effect here. Run it again to resume it."
        ),
        conflict_handler="resolve",
    )
    add_options(calibrate)
    for action in calibrate._actions:
        if action.dest not in EFFECTIVE:
            action.help = argparse.SUPPRESS
    own = calibrate.add_argument_group("the calibration")
    own.add_argument(
        "--count",
        dest="known_count",
        type=number(int),
        default=COUNT,
        help="how many problems, of all domains together, chosen by --seed (default: 200)",
    )
    own.add_argument(
        "--levels", help="comma-separated levels of the problems: 3 is the hardest (default: 1,2,3)"
    )
    own.add_argument(
        "--known",
        metavar="FILE_OR_REPO",
        help=(
            "problems with answers to take instead: a file, or user/name[:config] on the Hub, with "
            "#PROBLEM,ANSWER for its columns, as in openai/gsm8k:main#question,answer"
        ),
    )
    own.add_argument("--json", action="store_true", help="print one JSON object")
    calibrate.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print how often labels are right; with --json the whole record."""
    from magpie_hf.planning.inputs import folder_of
    from magpie_hf.review.calibration.source import levels_of, of_families, of_set

    if (solver := options.solver or options.model) is None:
        raise BadInput("no solver is given; give --solver, or a recipe file with one")
    if not 1 <= options.known_count <= MOST:
        raise BadInput(f"--count is {options.known_count}; give 1 to {MOST:,} problems")
    if options.problems is not None:
        raise BadInput("--problems is for builds, and calibrate has problems of its own; give --known")
    rows = (options.problems_split, *options.problems_where, options.problems_revision)
    if options.known is None and any(rows):
        raise BadInput("--problems-split, -where and -revision are of a set; give --known, or leave them out")
    if options.known is not None and options.levels is not None:
        raise BadInput("--levels is of problems that code makes; leave out --levels or --known")
    out = folder_of(options.out, solver, "calibration")
    with tempfile.TemporaryDirectory() as scratch:
        if options.known is not None:
            source = of_set(
                Path(scratch), options.known, options.known_count, options.seed, **_which(options)
            )
            about = {"seed": options.seed}
        else:
            levels, domains = levels_of(options.levels or LEVELS), options.domains.split(",")
            wanted = [domain.strip() for domain in domains]
            source = of_families(Path(scratch), options.known_count, options.seed, wanted, levels)
            about = {"seed": options.seed, "levels": list(levels), "domains": wanted}
        _as_build(options, solver, source)
        record = _calibrated(options, out, source, about)
    if options.json:
        print(json.dumps(record, ensure_ascii=False, indent=2))
    else:
        _print(record)
    return OK


def _which(options: argparse.Namespace) -> dict[str, Any]:
    """Which rows of the set of --known are meant, by the options of given problems, which are then unset."""
    from magpie_hf.problems.own.own import parse_where

    which = {
        "split": options.problems_split,
        "where": tuple(dict(map(parse_where, options.problems_where)).items()),
        "revision": options.problems_revision,
    }
    options.problems_split, options.problems_where, options.problems_revision = None, [], None
    return which


def _as_build(options: argparse.Namespace, solver: str, source: KnownAnswers) -> None:
    """Turn the options into those of a build of the known problems by the solver alone."""
    if solver != options.model:
        options.revision = None
    options.model, options.solver, options.judge = solver, None, None
    other = ("model:", "judge:", "tagger:", "rejected:")  # whose roles are the solver's here, or nobody's
    chat = [one for one in options.chat_option if not one.startswith(other)]
    own = [one for one in chat if one.startswith("solver:")]
    options.chat_option = [*chat, *(one.replace("solver:", "model:", 1) for one in own)]
    options.asked_for = shares(options.languages)
    unsampled(options)
    options.blocks = {name: part for name, part in options.blocks.items() if name == "domains"}
    options.problems, options.problems_as_given = source.place, True
    options.problem_column, options.answer_column = source.problem, source.answer
    options.domain_column = source.domain
    options.count = options.known_count
    if source.domain is None:
        options.domains = ",".join(DOMAINS)


def _calibrated(
    options: argparse.Namespace, out: Path, source: KnownAnswers, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Run the stages, and return the record, which is kept in the run."""
    domains = domains_of(options)
    check_engine(options, "shard_size", "shards_in_flight")
    check_rules(options, domains)
    with beside_rows(options.json) as (show, _):
        check_devices(options, roles(options).values())
        if options.program:
            from magpie_hf.answers.programs.sandbox import Sandbox

            Sandbox.found()  # before any model is loaded
        recipe = _recipe(partial(recipe_of, options, domains, show.say), options.asked_for)
        show.say(
            tr(
                "{count:,} problems with known answers, {k} answers each by {model}, in {out}",
                count=sum(domain.count for domain in domains),
                k=recipe.k,
                model=recipe.solver.model.name,
                out=out,
            )
        )
        from magpie_hf.run.interrupts import stopping_at_once
        from magpie_hf.run.local import Local

        cluster = cluster_of(options)
        with stopping_at_once(out, show.leave):
            return calibrated(
                recipe,
                out,
                source,
                about,
                shard_rows=options.shard_size,
                runner=cluster or Local,
                observer=show.take,
            )


def _recipe(made: partial[Recipe], asked: Collection[str]) -> Recipe:
    """The recipe without what the vote does not need.

    asked: the languages that the build asks in by their shares, none without: its solver is told in them.
    """
    from magpie_hf.scorers.even import Even
    from magpie_hf.stages.solving import instruction_in

    recipe = made()
    pair = replace(recipe.pairing, min_score_gap=0.0, min_correctness_score_gap=None)
    told = instruction_in(asked) if asked else recipe.instruction
    return replace(recipe, scorer=Even(), pair=pair, instruction=told)


def calibrated(
    recipe: Recipe, out: Path, source: KnownAnswers, about: Mapping[str, Any], **how: Any
) -> dict[str, Any]:
    """The record of a calibration by this recipe, made once all its rows are there. how: as in `build`."""
    from magpie_hf.building.build import first_problems
    from magpie_hf.review.calibration.measuring import OPINIONS, READS, measured, outcome
    from magpie_hf.review.calibration.record import described, keep
    from magpie_hf.store.records import CALIBRATION, RUN

    parts: list[Rows] = []
    count = sum(domain.count for domain in recipe.domains)
    first_problems(recipe, out, count, parts.append, purpose=CALIBRATION, **{"shard_rows": 256, **how})
    outcomes = []
    for part in parts:
        columns = (*READS, *(name for name in OPINIONS if name in part.made))
        for row in part.read(columns).to_pylist():
            groups = source.groups(row["problem"] or "", part.domain)
            if row["accepted_as"] is not None and (one := outcome(row, groups)) is not None:
                outcomes.append(one)
    if not outcomes:
        raise BadInput("none of the problems has a known answer that is read; name another column of answers")
    model = recipe.solver.model
    record = {
        **described({**about, **source.named}, f"{model.name}@{model.revision}", recipe.k, recipe.votes),
        **measured(outcomes, recipe.pairing.min_majority_share),
    }
    keep(out / RUN, record)
    return record


def _print(record: Mapping[str, Any]) -> None:
    from magpie_hf.review.calibration.measuring import OPINIONS
    from magpie_hf.text.terminal import console, print_table

    to = console()
    head = (
        tr("what"),
        "",
        tr("labels"),
        tr("right"),
        tr("precision"),
        tr("95 % interval"),
        tr("of all problems"),
    )
    titles = {"domain": tr("domain"), "family": tr("family"), "level": tr("level")}
    table = [
        _line(_level(one["majority_share"]), _sides(one["opinions"], OPINIONS), one)
        for one in record["levels"]
    ]
    table += [
        _line(titles[group], name, one)
        for group in ("domain", "level", "family")
        for name, one in record["groups"].get(group, {}).items()
    ]
    print_table(to, head, table, right=(2, 3, 4, 5, 6))
    print(
        tr(
            "Domains, levels and families are of labels at majority share >= {least:g}. {problems:,}"
            " problems; what nothing shows to be right counts as wrong.",
            least=record["least"],
            problems=record["problems"],
        )
    )
    pairs, reader = record["pairs"], record["reader"]
    print(
        tr(
            "{pairs:,} correctness pairs: chosen is right in {chosen:,}, rejected is wrong in {rejected:,}",
            pairs=pairs["correctness"],
            chosen=pairs["chosen_right"],
            rejected=pairs["rejected_wrong"],
        )
    )
    print(
        tr(
            "the answers' reader: of {complete:,} complete answers {unread:,} without a final answer"
            " ({right:,} of these end with the right value), {misread:,} right ones not read as equal,"
            " {mistaken:,} wrong ones read as equal",
            complete=reader["complete"],
            unread=reader["unread"],
            right=reader["unread_right"],
            misread=reader["misread"],
            mistaken=reader["mistaken"],
        )
    )


def _level(least: float) -> str:
    return tr("majority share >= {share:g}", share=least) if least else tr("any majority")


def _sides(opinions: list[str], titles: Mapping[str, str]) -> str:
    return ", ".join(translated(titles[one]) for one in opinions)


def _line(title: str, name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    interval = one["precision_interval"]
    bounds = "" if interval is None else "{:.1%} – {:.1%}".format(*interval)
    return (
        title,
        name,
        f"{one['labels']:,}",
        f"{one['right']:,}",
        share(one["precision"]),
        bounds,
        share(one["found"]),
    )
