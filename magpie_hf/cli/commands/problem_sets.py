"""The problem sets that the options name: benchmarks, and sets of known problems.

Not here: reading them (problems/benchmarks/).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.names import Benchmark, NotChecked, benchmarks_of, known_sets_of
from magpie_hf.text.language import tr, translated


def benchmarks_named(options: argparse.Namespace) -> list[Benchmark]:
    """The benchmarks to decontaminate against, each once.

    Raises BadInput for an unknown name, and for --require-decontamination without a benchmark.
    """
    named = [text.strip() for text in options.decontaminate.split(",") if text.strip()]
    if not named:
        raise BadInput("--decontaminate names no benchmark; name some, such as all, or give none")
    wanted = [] if named == ["none"] else [one for text in named for one in benchmarks_of(text)]
    if options.require_decontamination and not wanted:
        raise BadInput(
            "--require-decontamination is given and --decontaminate is none; leave out one of them"
        )
    return list({(benchmark, benchmark.source): benchmark for benchmark in wanted}.values())


def pinned_benchmarks(
    options: argparse.Namespace, say: Callable[[str], None]
) -> tuple[tuple[Benchmark, ...], tuple[NotChecked, ...]]:
    """The benchmarks to decontaminate against, pinned, and those that cannot be loaded.

    say: gets one line for all that cannot be loaded for the same reason. Raises BadInput with
    --require-decontamination if one cannot be loaded.
    """
    from magpie_hf.problems.benchmarks.loading import load_benchmarks
    from magpie_hf.run.session import no_progress_bars

    wanted = benchmarks_named(options)
    with no_progress_bars():
        found = load_benchmarks(wanted)
    missing = tuple(one for one in found if isinstance(one, NotChecked))
    by_reason: dict[str, list[NotChecked]] = {}
    for one in missing:
        by_reason.setdefault(one.reason, []).append(one)
    names = {reason: ", ".join(one.name for one in those) for reason, those in by_reason.items()}
    if missing and options.require_decontamination:
        said = "; ".join(f"{names[reason]}: {translated(reason)}" for reason in by_reason)
        raise BadInput(
            f"{len(missing)} of {len(found)} benchmarks cannot be checked ({said}); mend that or "
            "leave them out"
        )
    for reason, those in by_reason.items():
        line = tr("benchmarks {names}: not checked, {reason}", names=names[reason], reason=reason)
        say(line + (tr("; go online, or give --decontaminate a folder") if those[0].offline else ""))
    return tuple(dict.fromkeys(one.benchmark for one in found if not isinstance(one, NotChecked))), missing


def known_sets_named(options: argparse.Namespace) -> list[Benchmark]:
    """The sets of known problems, each once. Raises BadInput for an unknown name, and without an embedder."""
    if options.known_set and options.embedder is None:
        raise BadInput("--known-set finds known problems by their meaning; give --embedder, too")
    wanted = [one for text in options.known_set for one in known_sets_of(text.strip())]
    return list({(known, known.source): known for known in wanted}.values())


def pinned_known_sets(options: argparse.Namespace) -> tuple[Benchmark, ...]:
    """The sets of known problems, pinned. Raises BadInput for one that cannot be read."""
    from magpie_hf.problems.benchmarks.loading import load_benchmarks
    from magpie_hf.run.session import no_progress_bars

    with no_progress_bars():
        found = load_benchmarks(known_sets_named(options))
    for one in found:
        if isinstance(one, NotChecked):
            raise BadInput(
                f"the problem set {one.name} cannot be read ({translated(one.reason)}); mend that, or leave"
                " it out"
            )
    return tuple(dict.fromkeys(one.benchmark for one in found if not isinstance(one, NotChecked)))
