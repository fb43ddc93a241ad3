"""The options of given problems, and the domains that follow from them.

Not here: reading the problems (problems/own/).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from magpie_hf.domains import DOMAINS, Domain, own_domain
from magpie_hf.errors import BadInput
from magpie_hf.limits import PASS_VOTES
from magpie_hf.models.names import repository_or_folder
from magpie_hf.problems.system_texts import accepted

if TYPE_CHECKING:
    from magpie_hf.problems.own.loading import Loaded

ONE_DOMAIN = "problems"  # where nothing tells domains apart
_NAMES = (
    "problem_column", "answer_column", "domain_column", "problems_split", "problems_where",
    "problems_revision", "problems_licence", "problems_as_given", "use_reference",
)  # fmt: skip
_SAMPLING = (
    "steer", "scale", "first_token_temperature", "instruction_temperature", "instruction_top_p",
    "instruction_min_p", "instruction_max_tokens",
)  # fmt: skip


def add_own_problems(where: argparse._ArgumentGroup) -> None:
    where.add_argument(
        "--problems",
        metavar="FILE_OR_REPO",
        help=(
            "problems to answer, in place of sampled ones: a .jsonl, .json, .parquet or .csv file, a folder "
            "of such files, or user/name[:config] on the Hub"
        ),
    )
    where.add_argument("--problem-column", metavar="COLUMN", help="column of the problems (default: problem)")
    where.add_argument(
        "--answer-column",
        metavar="COLUMN",
        help="column of reference answers, or of solutions that end with one; votes are compared with them",
    )
    where.add_argument(
        "--use-reference",
        action="store_true",
        help="an answer is correct if it equals the reference, whatever the vote says",
    )
    where.add_argument(
        "--domain-column", metavar="COLUMN", help="column of the domains (default: all are of one domain)"
    )
    where.add_argument(
        "--problems-split", metavar="SPLIT", help="split of a dataset on the Hub (default: train)"
    )
    where.add_argument(
        "--problems-where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="take only rows with this value; repeatable: all must hold, of a column the last",
    )
    where.add_argument(
        "--problems-revision",
        metavar="REVISION",
        help="revision on the Hub (default: its newest commit, which is recorded)",
    )
    where.add_argument(
        "--problems-licence",
        metavar="ID",
        help="licence of the problems: an id of the Hub's list (default: as their card on the Hub states)",
    )
    where.add_argument(
        "--problems-as-given",
        action="store_true",
        help="drop nothing but empty problems and exact doubles: no rules, near-duplicates or benchmarks",
    )


def own_of(options: argparse.Namespace) -> Loaded | None:
    """The given problems, read once a command; None where they are sampled.

    Raises BadInput for options that do not fit, for a licence that forbids it, and as `load`.
    """
    if options.problems is None:
        if given := [name for name in _NAMES if getattr(options, name)]:
            raise BadInput(
                f"--{given[0].replace('_', '-')} is given and --problems is missing; give --problems, too"
            )
        return None
    if (kept := getattr(options, "own_problems", None)) is not None:
        found: Loaded = kept
        return found
    from magpie_hf.models.data_licence import check_source
    from magpie_hf.problems.own.loading import load
    from magpie_hf.problems.own.own import PROBLEM, OwnProblems, parse_where
    from magpie_hf.run.session import no_progress_bars

    _check(options)
    own = OwnProblems(
        options.problems,
        options.problem_column or PROBLEM,
        options.answer_column,
        options.domain_column,
        options.problems_split,
        tuple(dict(map(parse_where, options.problems_where)).items()),  # of a column the later value
        options.problems_revision,
        options.problems_as_given,
        options.use_reference,
        options.problems_licence,
    )
    with no_progress_bars():
        loaded = load(own)
    check_source(own.name, loaded.licence, own.licence)
    options.own_problems = loaded
    return own_of(options)


def _check(options: argparse.Namespace) -> None:
    """Raises BadInput for options of sampling, and for what problems as they are given cannot have."""
    if options.solver and repository_or_folder(options.solver) != repository_or_folder(options.model or ""):
        raise BadInput(
            f"--solver is {options.solver}, and with --problems no other model writes; give it as --model"
        )
    if given := [name for name in _SAMPLING if getattr(options, name) is not None]:
        raise BadInput(
            f"--{given[0].replace('_', '-')} is for sampled problems, and --problems gives them; leave it out"
        )
    if not options.problems_as_given:
        return
    dropping = {
        "tagger": options.tagger not in (None, "none"),
        "decontaminate": options.decontaminate not in ("all", "none"),
        "objections": options.objections,
    }
    if name := next((name for name, given in dropping.items() if given), None):
        raise BadInput(f"--problems-as-given drops nothing, and --{name} would; leave out one of them")


def unsampled(options: argparse.Namespace) -> None:
    """Take back all options on sampling, labelling and scoring, for problems that are answered alone."""
    for name in (*_SAMPLING, "off_topic", "min_quality", "min_difficulty", "unsolvable", "embedder", "push"):
        setattr(options, name, None)
    options.tagger, options.decontaminate, options.require_decontamination = "none", "none", False
    options.scorer, options.min_score_gap, options.min_correctness_score_gap = "judge", None, None
    options.use_reference, options.rejected_solver, options.chosen = False, None, "best"
    options.objections, options.tir, options.known_set = False, None, []
    options.pass_model = options.pass_rate = options.rl_pass_rate = None
    options.easy_share, options.pass_votes = 0.0, PASS_VOTES
    options.topics, options.languages = None, ",".join(accepted(options.languages))
    options.harden, options.harden_model = 0, None


def with_defaults(options: argparse.Namespace) -> None:
    """Fill in what differs for given problems: no tagger unless one is named, and no benchmarks as given."""
    if options.problems is None:
        return
    if options.tagger is None:
        options.tagger = "none"
    if options.problems_as_given:
        options.decontaminate = "none"
    if options.tagger != "none" and options.off_topic is None:
        sorts = options.domain_column is None and "," in options.domains
        options.off_topic = "move" if sorts else "keep"


def own_domains(options: argparse.Namespace, loaded: Loaded) -> tuple[Domain, ...]:
    """The domains of given problems, with as many as there are or --count, whichever is less.

    A column names them, or --domains names the one that all are of; of several, the tagger finds out. A
    recipe file may define them.
    """
    named = [key.strip() for key in options.domains.split(",")]
    all_six = named == list(DOMAINS)
    if loaded.own.domain is not None:
        there = {str(key): count for key, count in loaded.domains.items()}
        if not all_six:
            if missing := [key for key in named if key not in there]:
                raise BadInput(
                    f"column {loaded.own.domain!r} names no problem of {missing[0]!r}; its values are"
                    f" {', '.join(there)}"
                )
            there = {key: there[key] for key in named}
    elif len(named) == 1:
        there = {named[0]: len(loaded.problems)}
    elif options.tagger != "none":
        there = dict.fromkeys(named, len(loaded.problems))
    elif all_six:
        there = {ONE_DOMAIN: len(loaded.problems)}
    else:
        raise BadInput(
            f"nothing says which of {', '.join(named)} a problem belongs to; give --domain-column, --tagger"
            " or one domain"
        )
    defined, most = options.blocks.get("domains", {}), options.count
    made = []
    for key, count in there.items():
        domain = defined.get(key) or own_domain(key, count)
        made.append(replace(domain, count=min(count, domain.count if most is None else most)))
    return tuple(made)
