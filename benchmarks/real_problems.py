"""What the rules make of problems that people wrote: real_problems.py FOLDER_OR_FILE_OR_HUB...

Every drop, trim, near-duplicate pair and contaminated problem is printed for reading, and then a line a set:
its problems, how many the rules drop (each is wrong unless the text is faulty) and for which reasons, its
near-duplicates, and how many repeat a problem of another set. Names are those that `--decontaminate` takes.
"""

from __future__ import annotations

import sys
from collections import Counter

from magpie_hf.errors import BadInput
from magpie_hf.limits import LANGUAGES
from magpie_hf.problems.benchmarks.loading import load_benchmarks
from magpie_hf.problems.benchmarks.names import Loaded, NotChecked, benchmarks_of
from magpie_hf.problems.benchmarks.overlap import Index
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.cleaning.rules import reason_of, trim
from magpie_hf.problems.near_duplicates.index import NearDuplicates
from magpie_hf.stages.signature import Signature


def cleaned(text: str) -> tuple[str, str | None]:
    """The problem that is left of a text, and the reason to drop it (None: it is kept)."""
    problem, _ = trim(text)
    reason = reason_of(problem)
    if reason is None and language_of(problem) not in (None, *LANGUAGES):
        reason = "language"
    return problem, reason


def measure(one: Loaded, others: list[Loaded]) -> str:
    """Prints what happens to the problems of one set; returns its line."""
    name, dropped, found = one.benchmark.name, Counter[str](), Counter[str]()
    accepted, index = NearDuplicates(), Index(others) if others else None
    kept: dict[str, str] = {}
    for row, text in zip(one.rows, one.texts, strict=True):
        problem, reason = cleaned(text.strip())
        if reason is not None:
            dropped[reason] += 1
            print(f"{name}/{row} {reason}: {text!r}")
            continue
        if problem != text.strip():
            found["trimmed"] += 1
            print(f"{name}/{row} trimmed: {text!r} -> {problem!r}")
        signed = {column: values[0] for column, values in Signature()({"problem": [problem]}).items()}
        if (near := accepted.find(signed)) is not None:
            found["near-duplicates"] += 1
            print(f"{name}/{row} repeats {near}: {problem!r} | {kept[near]!r}")
        else:
            accepted.add(row, signed)
            kept[row] = problem
        if index is not None and (hit := index.find(problem)) is not None:
            found["contaminated"] += 1
            print(f"{name}/{row} contaminated by {hit}: {problem!r}")
    share = dropped.total() / len(one.texts)
    return f"{name}: {len(one.texts)} problems, {share:.2%} dropped {dict(dropped)}, {dict(found)}"


def main(names: list[str]) -> int:
    """Measures every named set; returns the exit status."""
    try:
        sets = load_benchmarks(one for name in names for one in benchmarks_of(name))
    except BadInput as refusal:
        print(refusal, file=sys.stderr)
        return 2
    loaded = [one for one in sets if isinstance(one, Loaded)]
    lines = [measure(one, [other for other in loaded if other is not one]) for one in loaded]
    lines += [f"{one.name}: not read, {one.reason}" for one in sets if isinstance(one, NotChecked)]
    print("\n".join(lines))
    return 0 if loaded else 1


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
