"""The README's tables are computed from the objects, and its commands are those that exist."""

from __future__ import annotations

import re
import shlex

import pytest
import results

from conftest import ROOT
from magpie_hf import cli, stopping
from magpie_hf.commands import exits, options
from magpie_hf.domains import DOMAINS
from magpie_hf.known import KNOWN_MODELS, known
from magpie_hf.problems.benchmarks import PRESETS
from magpie_hf.problems.rules import RULES
from magpie_hf.reasons import DRAWS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def domain_table() -> str:
    head = "| no. | key | | problems at scale 1.0 | problem T | answer T | candidate T | subject |\n|---|---|---|---|---|---|---|---|\n"
    rows = [
        f"| {number} | `{d.key}` | {d.japanese} | {d.count:,} | {d.instruction.temperature:.2f} | {d.response.temperature:.2f} "
        f"| {d.candidate.temperature:.2f} | {d.subject} |"
        for number, d in enumerate(DOMAINS.values(), start=1)
    ]
    total = f"\n\nTogether {sum(d.count for d in DOMAINS.values()):,} accepted problems."
    return head + "\n".join(rows) + total


def model_table() -> str:
    head = "| no. | repository | weights | reasoning | licence |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {m.number} | {m.repository} | {m.weight_gigabytes:.0f} GB | {'yes' if m.reasoning else 'no'} | {m.licence} |"
        for m in KNOWN_MODELS.values()
    )


def reason_table() -> str:
    return "\n".join(f"| `{code}` | {meaning} |" for code, meaning in DRAWS.items())


def test_every_reason_has_its_meaning() -> None:
    judged = {"contaminated", "not_tagged", "unsolvable", "quality", "difficulty", "off_domain", "twin"}
    assert (
        set(DRAWS)
        == {rule.reason for rule in RULES} | {"length", "no_room", "killed_engine", "empty", "special_tokens", "language"} | judged
    )
    assert all(f"`{name}`" in README for name in PRESETS)


@pytest.mark.parametrize("table", [domain_table, model_table, reason_table, results.table])
def test_tables_are_the_objects(table: object) -> None:
    assert callable(table)
    assert table() in README


def test_every_build_command_parses_and_says_the_truth() -> None:
    commands = re.findall(r"^magpie-hf (build .*?)(?:  +# (.*))?$", README, flags=re.MULTILINE)
    assert len(commands) >= 2
    for command, comment in commands:
        given = cli.parser().parse_args(shlex.split(command))
        count = sum(domain.count for domain in options.domains(given))
        if comment:
            facts = KNOWN_MODELS[int(given.model)]
            assert comment == f"{count:,} problems by {facts.repository.split('/')[1]}"
            assert known(facts.repository) is facts


def test_the_exit_codes_are_the_codes() -> None:
    assert (
        f"{exits.OK} done, {exits.FAILED} failed, {exits.BAD_INPUT} bad input (one line, nothing written), {exits.INCOMPLETE} done but "
        f"a split is empty, {stopping.INTERRUPTED} interrupted, {stopping.TERMINATED} terminated" in " ".join(README.split())
    )


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()
