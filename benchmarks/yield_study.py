"""Which sampling setting yields most problems, on a real model.

Run: yield_study.py MODEL [SAMPLES] (default 48). It runs `magpie-hf sweep` over all its settings and three
domains, of the lowest, a middle and the highest temperature, at most 192 tokens a sample. It prints its
report and the table of docs/benchmarks.md; without arguments, the table of the last run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import results

from magpie_hf import DOMAINS, VLLM, resolve
from magpie_hf.planning.sweep.sweep import Sweep, sweep

KEYS = ("statistics", "algebra", "geometry")
MOST_TOKENS = 192
CONTEXT = 512  # tokens; the pre-query prefixes of the package's domains have at most about 100


def measured(model: str, samples: int) -> Sweep:
    engine = VLLM(resolve(model), context=CONTEXT)
    domains = [
        replace(DOMAINS[key], instruction=replace(DOMAINS[key].instruction, max_tokens=MOST_TOKENS))
        for key in KEYS
    ]
    found = sweep(engine, domains, samples=samples)
    engine.close()
    return found


def kept(found: Sweep) -> dict[str, Any]:
    """The kept numbers of a sweep, without texts."""
    values = found.to_dict()
    names = (
        "samples",
        "ended_share",
        "usable_share",
        "diversity",
        "first_words",
        "score",
        "tokens",
        "reasons",
    )
    settings = {
        one["setting"]: {**{name: one["total"][name] for name in names}, "seconds": one["seconds"]}
        for one in values["settings"]
    }
    return {
        "model": values["model"],
        "domains": list(KEYS),
        "most_tokens": MOST_TOKENS,
        "seconds": values["seconds"],
        "settings": settings,
    }


def table(study: dict[str, Any]) -> str:
    """The study as a Markdown table, with a line on how it was made."""
    return "\n".join(_lines(study))


def _lines(study: dict[str, Any]) -> Iterator[str]:
    settings = study["settings"]
    samples = next(iter(settings.values()))["samples"]
    yield f"`python benchmarks/yield_study.py MODEL`: {samples} samples a setting with {study['model']},"
    yield f"in {', '.join(study['domains'])}, of at most {study['most_tokens']} tokens."
    yield ""
    yield (
        "| setting | ended | usable | distinct 3-grams | first words | usable x diversity | tokens a sample |"
        " seconds |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in settings.items():
        yield (
            f"| `{name}` | {one['ended_share']:.0%} | {one['usable_share']:.0%} | {one['diversity']:.2f} |"
            f" {one['first_words']} | {one['score']:.2f} | {one['tokens'] / one['samples']:.0f} |"
            f" {one['seconds']:.0f} |"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        study = measured(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 48)
        results.record("yield_study", kept(study))
        print("\n".join([*study.lines(), ""]))
    print(table(json.loads(results.FILE.read_text())["yield_study"]))
