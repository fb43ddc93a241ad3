"""What the benchmarks measured last (results.json), and the table of it in docs/benchmarks.md.

Run: results.py, which prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


def record(name: str, values: dict[str, Any]) -> None:
    """Keep a benchmark's values in place of its earlier ones."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(dict(sorted({**kept, name: values}.items())), indent=2) + "\n")


def kept(name: str) -> dict[str, Any]:
    """A benchmark's values of the last run; none before the first one."""
    return dict(json.loads(FILE.read_text()).get(name, {})) if FILE.exists() else {}


def table() -> str:
    """The results as a table in Markdown."""
    kept = json.loads(FILE.read_text())
    head = ["| benchmark | measures | result |", "|---|---|---|"]
    rows = [(name, *row) for name, lines in LINES.items() for row in lines(kept[name])]
    named = [
        (f"`{name}.py`" if at == 0 or rows[at - 1][0] != name else "", what, value)
        for at, (name, what, value) in enumerate(rows)
    ]
    return "\n".join([*head, *(f"| {name} | {what} | {value} |" for name, what, value in named)])


def _saturation(kept: dict[str, Any]) -> Iterator[Line]:
    ratio = kept["ratios"]
    yield (
        (
            f"generated tokens a second of a whole build of {kept['rows']} samples, by the best use of the"
            " machine"
        ),
        f"{ratio['build']:.2f}",
    )
    yield "the same for a build that is killed half-way and resumed", f"{ratio['killed_and_resumed']:.2f}"
    yield (
        "the original's loop: batches of 128, k calls; its models' loading not counted",
        f"{ratio['batches_of_128']:.2f}",
    )
    yield "the same with loading", f"{ratio['batches_of_128_with_loading']:.2f}"
    yield "its batches of 4, and of 2", f"{ratio['batches_of_4']:.2f}, {ratio['batches_of_2']:.2f}"


def _overhead(kept: dict[str, Any]) -> Iterator[Line]:
    small, large = kept["sizes"]
    yield (
        f"rows a second at {large['rows']:,} rows over an engine that answers at once",
        f"{large['rows_per_second']:.0f}",
    )
    yield (
        f"peak memory at {large['rows']:,} rows by that at {small['rows']:,}",
        f"{large['peak'] / small['peak']:.2f}",
    )


def _resume(kept: dict[str, Any]) -> Iterator[Line]:
    yield f"a finished build of {kept['rows']:,} rows, run again", f"{kept['again_seconds']:.0f} s"
    for kill in kept["kills"]:
        asked = (
            f"killed at {kill['at']:.0%} of {kept['requests']:,} requests: asked twice, and of these finished"
            " a second before"
        )
        yield asked, f"{kill['twice']}, {kill['old']}"


def _answers(kept: dict[str, Any]) -> Iterator[Line]:
    before, best, every = kept["before"], kept["best"], kept["all"]
    yield (
        f"{kept['problems']} problems with 5 candidates: rows of the separate answer, the best, all",
        f"{before['rows']}, {best['rows']}, {every['rows']}",
    )
    yield (
        "rows against the majority, of the same",
        f"{before['minority']}, {best['minority']}, {every['minority']}",
    )
    yield (
        "tokens of answers a row, by those of the separate answer: the best, all",
        ", ".join(f"{one['tokens_per_row'] / before['tokens_per_row']:.2f}" for one in (best, every)),
    )


def _selection(kept: dict[str, Any]) -> Iterator[Line]:
    made = (
        f"{kept['problems']:,} accepted problems of {kept['samples']:,} samples"
        f" ({kept['problems'] / kept['samples']:.0%})"
    )
    yield (
        f"{made} by an engine that answers at once: seconds, and again",
        f"{kept['seconds']:.0f}, {kept['again_seconds']:.0f}",
    )
    yield (
        f"the same, killed {kept['kills']} times and cut otherwise",
        "the same set" if kept["same"] else "another set",
    )


def _duplicates(kept: dict[str, Any]) -> Iterator[Line]:
    seconds, near_duplicates, contaminated = kept["seconds"], kept["near_duplicates"], kept["contaminated"]
    steps = f"{seconds['signature']:.0f}, {seconds['near_duplicates']:.0f}, {seconds['decontaminate']:.0f}"
    yield (
        (
            f"{kept['problems']:,} constructed problems signed, near-duplicates found, {kept['rows']:,}"
            " benchmark rows looked for: seconds"
        ),
        steps,
    )
    yield (
        "planted near-duplicates, said in another way: found, missed, wrong",
        f"{near_duplicates['found']:,}, {near_duplicates['missed']}, {near_duplicates['wrong']}",
    )
    hits = f"{contaminated['found']:,}, {contaminated['missed']}, {contaminated['wrong']}"
    yield "planted repeats of a benchmark: found, missed, wrong", hits
    same = [values for name, values in kept["changes"].items() if name not in ("number", "another problem")]
    other = [kept["changes"][name] for name in ("number", "another problem")]
    forms = "300 problems with other letters, capitals, both, typesetting, a word, politeness, order"
    for at, name in enumerate(("near-duplicates", "a benchmark's")):
        yield (
            f"{forms}: found as {name}",
            ", ".join(f"{values[at + 1] / values[0]:.0%}" for values in same),
        )
    yield (
        "300 with another number, and 300 others with equal numbers: taken for near-duplicates",
        ", ".join(str(values[1]) for values in other),
    )
    yield "300 others with equal numbers: taken for a benchmark's", str(other[1][2])
    yield "memory of the accepted problems", f"{kept['megabytes']['near_duplicates']:.0f} MB"


def _recovery(kept: dict[str, Any]) -> Iterator[Line]:
    yield "from an engine's death to its next token, by the time of a plain start", f"{kept['ratio']:.2f}"


def _endpoints(kept: dict[str, Any]) -> Iterator[Line]:
    yield "tokens a second over two vLLM servers, by a plain aiohttp client", f"{kept['ratio']:.2f}"


def _scaling(kept: dict[str, Any]) -> Iterator[Line]:
    both = f"{kept['equal']['8']:.2f}, {kept['one_slower']:.2f}"
    yield (
        "8 equal servers that are bounded in rate, and one of them at half speed, by the sum of their rates",
        both,
    )


def _scoring(kept: dict[str, Any]) -> Iterator[Line]:
    ratios = f"{kept['classifier']['ratio']:.1f}, {kept['armorm']['ratio']:.1f}"
    yield (
        "candidates a second by one-by-one scoring with transformers: a classifier, and ArmoRM's layout",
        ratios,
    )


def _verification(kept: dict[str, Any]) -> Iterator[Line]:
    whole = kept["seconds"] * 44_000 / kept["problems"] / 60
    yield (
        f"{kept['problems']:,} problems x 5 answers compared: seconds, and minutes for 44,000 by that",
        f"{kept['seconds']:.0f}, {whole:.0f}",
    )


def _report(kept: dict[str, Any]) -> Iterator[Line]:
    made, seen = (
        f"{kept['problems']:,} problems x 6 long answers as a page: processor seconds, megabytes",
        kept["browser"],
    )
    yield made, f"{kept['processor_seconds']:.0f}, {kept['megabytes']:.0f}"
    opened = f"{seen['interactive']:.1f}, {seen['last_row']:.1f}, {seen['search']:.1f}"
    yield "seconds in Chromium until it works, to the last row, and to search all problems", opened


def _labels(kept: dict[str, Any]) -> Iterator[Line]:
    names = ("checker", "programs", "tools")
    for chance, one in kept["chances"].items():
        what = (
            f"{kept['problems']} scripted problems, right with {chance}: tokens of a checker, of programs and"
            " of answers with tools for each confirmed label; their shares of the build"
        )
        tokens = ", ".join(f"{one[f'{name}_a_label']:,.0f}" for name in names)
        shares = ", ".join(f"{one[f'{name}_share']:.0%}" for name in names)
        yield what, f"{tokens}; {shares}"


def _planning(kept: dict[str, Any]) -> Iterator[Line]:
    for name, one in kept.items():
        what = (
            f"{name}: seconds of a build by those that a measurement of {one['measured']} problems a domain"
            " foresaw; tokens"
        )
        yield what, f"{one['ratio']:.2f}, {one['tokens']:.2f}"


def _time_left(kept: dict[str, Any]) -> Iterator[Line]:
    for name, one in kept.items():
        what = (
            f"{name}, a build of {one['seconds'] / 60:.0f} minutes: of the times left that its terminal"
            " showed from minute 2 on, those within 30% of the truth"
        )
        yield what, f"{one['right']} of {one['looks']}"


Line = tuple[str, str]
LINES: dict[str, Callable[[dict[str, Any]], Iterator[Line]]] = {
    "saturation": _saturation,
    "overhead": _overhead,
    "selection": _selection,
    "answers": _answers,
    "duplicates": _duplicates,
    "resume": _resume,
    "recovery": _recovery,
    "scoring": _scoring,
    "verification": _verification,
    "endpoints": _endpoints,
    "scaling": _scaling,
    "report": _report,
    "planning": _planning,
    "time_left": _time_left,
    "labels": _labels,
}

if __name__ == "__main__":
    print(table())
