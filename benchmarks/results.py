"""What the benchmarks measured last (results.json), and the README's table of it. Run: results.py, which prints the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


def record(name: str, values: dict[str, Any]) -> None:
    """Keep a benchmark's values in place of those that it measured before."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(dict(sorted({**kept, name: values}.items())), indent=2) + "\n")


def table() -> str:
    """The results as a table in Markdown."""
    kept = json.loads(FILE.read_text())
    full, house, again, death = kept["saturation"], kept["overhead"], kept["resume"], kept["recovery"]
    ratio = full["ratios"]
    small, large = house["sizes"]
    rows = [
        ("saturation.py", "generated tokens a second of a whole build, by the best use of the machine", f"{ratio['build']:.2f}"),
        ("", "the same for a build that is killed half-way and resumed", f"{ratio['killed_and_resumed']:.2f}"),
        ("", "the original's loop: batches of 128, k calls, loading its model for each step not counted", f"{ratio['batches_of_128']:.2f}"),
        ("", "the same with loading", f"{ratio['batches_of_128_with_loading']:.2f}"),
        ("", "its batches of 4, and of 2", f"{ratio['batches_of_4']:.2f}, {ratio['batches_of_2']:.2f}"),
        ("overhead.py", f"rows a second at {large['rows']:,} rows over an engine that answers at once", f"{large['rows_per_second']:.0f}"),
        ("", f"peak memory at {large['rows']:,} rows by that at {small['rows']:,}", f"{large['peak'] / small['peak']:.2f}"),
        ("", "share of that time that goes into turning texts into token ids", f"{house['tokenizing']:.0%}"),
        ("resume.py", f"a finished build of {again['rows']:,} rows, run again", f"{again['again_seconds']:.0f} s"),
        *(
            (
                "",
                f"killed at {kill['at']:.0%}: requests asked twice, and how many of them were a second old",
                f"{kill['twice']}, {kill['old']}",
            )
            for kill in again["kills"]
        ),
        ("recovery.py", "from an engine's death to its next token, by the time of a plain start", f"{death['ratio']:.2f}"),
    ]
    head = ["| benchmark | measures | result |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {name} | {what} | {value} |" for name, what, value in rows)])


if __name__ == "__main__":
    print(table())
