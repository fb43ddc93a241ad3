"""The plan in short, printed by a build and by the menu before anything begins.

Not here: the whole plan (commands/plan.py).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magpie_hf.cli.commands.assembly import check_rules, named, server_lines
from magpie_hf.cli.commands.options import domains as domains_of
from magpie_hf.cli.commands.options import roles

if TYPE_CHECKING:
    from magpie_hf.planning.outline import Outline
    from magpie_hf.planning.plan import Plan


@dataclass(frozen=True)
class Brief:
    """A build's outline and plan, and the lines to print."""

    outline: Outline
    plan: Plan
    lines: tuple[str, ...]


def brief_of(options: argparse.Namespace, gpu: str | None = None) -> Brief:
    """The plan in short of a build, from its options.

    gpu: the name of one to plan for. Raises BadInput for a name that is not known, and as `plan_of` does.
    """
    from magpie_hf.models.gpu_names import gpu_named
    from magpie_hf.planning.inputs import out_of, outline_of
    from magpie_hf.planning.plan import plan_of
    from magpie_hf.planning.view import chat_lines, heading, sampling_line, short, warnings

    domains = domains_of(options)
    check_rules(options, domains)
    outline = outline_of(options, domains, roles(options))
    out = out_of(options, outline, named(domains))
    plan = plan_of(options, outline, out, None if gpu is None else gpu_named(gpu))
    head = heading(domains, outline.sources, outline.k, options.out or str(out))
    said = (
        sampling_line(outline),
        *chat_lines(outline),
        *short(plan, here=True),
        *warnings(plan),
        *server_lines(options),
    )
    return Brief(outline, plan, (*head, *said))
