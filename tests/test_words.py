"""Words that only this project used in their sense are gone: the field's own terms stand in their place.

Not here: whether a text is well written. A word may stand where it has its ordinary meaning, in the files or
phrases that are named beside it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READ = {".py", ".md", ".yaml", ".yml", ".jinja", ".js", ".html", ".css", ".toml", ".svg", ""}
# Where problems stand as texts: urns are drawn from there, and walks are random.
PROBLEMS = (
    "tests/problem_table.py|tests/test_(near_duplicates|clean|answers)\\.py"
    "|benchmarks/(duplicates|samples)\\.py"
    "|magpie_hf/problems/cleaning/|magpie_hf/answers/words\\.py|magpie_hf/stages/tag\\.py"
)
# The word as it was, the term that took its place, and where it may stand: a file, or a phrase around it.
RETIRED = [
    (r"draws?|drawn|drawing", "sample, sampled, sampling", rf"{PROBLEMS}|data\.draw\("),
    (r"harvest\w*", "selection", ""),
    (r"walks?", "pipeline", rf"{PROBLEMS}|ast\.walk\(|os\.walk\("),
    (r"lanes?", "quota", ""),
    (r"twins?", "near-duplicate", ""),
    (r"kin|kindred", "reuse key", ""),
    (r"recall(?:s|ed)?", "reusable", rf"{PROBLEMS}|answers/proofs|precision"),
    (r"gauges?|crew|tellers?|telling", "meter, workers, observer", PROBLEMS),
    (r"leaks?", "contains_solution", ""),
    (r"off[-_ ]domain", "off-topic", ""),
    (r"open turns?|opening of (?:a|the) (?:user's )?turn", "pre-query prefix", ""),
    (r"first token apart|instruction[-_]opening", "first-token sampling", ""),
    (r"reckon(?:ed|s|ing)?", "assumptions", PROBLEMS),
    (r"arithmetic alone", "compute-bound minimum", ""),
    (r"whole requests?", "full-length sequence", ""),
    (r"judged", "filtered", ""),
    (r"facts|decisions", "provenance, selection log", rf"{PROBLEMS}|decisions that need a model"),
    (r"style pairs?|style のペア", "score pair", ""),
    (r"margins|score margins?|min[-_](?:correctness[-_])?margin|least[-_]margin", "score gap", ""),
    (r"agreements?|(?:answer|min|rl)[-_]agreement", "majority share", "Data (License )?Agreement"),
    (r"answer[-_]class(?:es)?|class[-_]sizes", "answer cluster", ""),
    (r"stepped", "llm_engine", ""),
    (r"magpie-hf probe|plan --probe|--probe|probe\.json", "sweep, plan --measure", ""),
    (r"no_room", "context_full", ""),
    (r"CheckSolution|\bSign\(", "verify_solution, signature", ""),
    (r"the house|house(?:'s)? sampling|sampling house", "default", PROBLEMS),
    (
        r"held against n|hangs on|came of the plan|best half minute|trains wrongly|loses nothing",
        "plain English",
        "",
    ),
]


def texts() -> dict[str, list[str]]:
    """The lines of all files that people read, by path."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    own = {"tests/test_words.py", "tests/test_old_format.py"}  # the words themselves; a record that had them
    chosen = [
        name for name in names if Path(name).suffix in READ and "/katex/" not in name and name not in own
    ]
    return {name: (ROOT / name).read_text().splitlines() for name in chosen if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    return texts()


@pytest.mark.parametrize(("word", "term", "allowed"), RETIRED, ids=[term for _, term, _ in RETIRED])
def test_a_retired_word_is_gone(lines: dict[str, list[str]], word: str, term: str, allowed: str) -> None:
    pattern = re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.IGNORECASE)
    fine = re.compile(allowed) if allowed else None
    found = [
        f"{name}:{number}: {line.strip()[:90]}"
        for name, text in lines.items()
        for number, line in enumerate(text, 1)
        if pattern.search(line) and not (fine and (fine.search(name) or fine.search(line)))
    ]
    assert not found, f"say {term}:\n" + "\n".join(found)


def test_no_line_is_longer_than_110_characters(lines: dict[str, list[str]]) -> None:
    """Tables and generated pages aside, whose rows cannot be broken."""
    found = [
        f"{name}:{number}: {len(line)}"
        for name, text in lines.items()
        for number, line in enumerate(text, 1)
        if len(line) > 110 and not line.lstrip().startswith(("|", "<"))
    ]
    assert not found, "\n".join(found)
