"""The README's tables are computed from the objects, and its commands are those that exist."""

from __future__ import annotations

import re
import shlex

import pytest
import results
import yaml

from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import exit_codes as exits
from magpie_hf.cli.commands import options, plan, report
from magpie_hf.domains import DOMAINS
from magpie_hf.models.known import KNOWN_MODELS, known
from magpie_hf.problems.benchmarks.names import PRESETS
from magpie_hf.problems.cleaning.rules import RULES
from magpie_hf.reasons import SAMPLES
from magpie_hf.run import stopping
from magpie_hf.text import language

README = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")


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
    return "\n".join(f"| `{code}` | {meaning} |" for code, meaning in SAMPLES.items())


def japanese_domain_table() -> str:
    rows = domain_table().split("\n\n")[0].split("\n")[2:]
    head = "| 番号 | キー | | scale 1.0 での問題数 | 問題の T | 解答の T | 候補の T | 題材(モデルに伝える原文) |\n"
    return (
        f"{head}|---|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n合わせて {sum(d.count for d in DOMAINS.values()):,} 問を採用します。"
    )


def japanese_model_table() -> str:
    language.use("ja")
    licences = {m.number: language.translated(m.licence) for m in KNOWN_MODELS.values()}
    language.use("en")
    head = "| 番号 | リポジトリ | 重み | 推論モデル | ライセンス |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {m.number} | {m.repository} | {m.weight_gigabytes:.0f} GB | {'はい' if m.reasoning else 'いいえ'} | {licences[m.number]} |"
        for m in KNOWN_MODELS.values()
    )


def japanese_reason_table() -> str:
    meanings = yaml.safe_load((ROOT / "cards" / "words.ja.yaml").read_text(encoding="utf-8"))["reasons"]
    return "\n".join(f"| `{code}` | {meanings[code]} |" for code in SAMPLES)


def test_every_reason_has_its_meaning() -> None:
    filtered = {"contaminated", "not_tagged", "unsolvable", "quality", "difficulty", "off_topic", "near_duplicate"}
    assert (
        set(SAMPLES)
        == {rule.reason for rule in RULES} | {"length", "context_full", "killed_engine", "empty", "special_tokens", "language"} | filtered
    )
    assert all(f"`{name}`" in README for name in PRESETS)


@pytest.mark.parametrize("table", [domain_table, model_table, reason_table, results.table])
def test_tables_are_the_objects(table: object) -> None:
    assert callable(table)
    assert table() in README


@pytest.mark.parametrize("table", [japanese_domain_table, japanese_model_table, japanese_reason_table])
def test_tables_in_japanese_are_the_objects(table: object) -> None:
    assert callable(table)
    assert table() in JAPANESE


def test_the_japanese_readme_says_the_same() -> None:
    """Section by section the same code, names, options and links, and in every row of a table the same figures."""
    assert [part.count("\n### ") for part in _sections(JAPANESE)] == [part.count("\n### ") for part in _sections(README)]
    for english, japanese in zip(_sections(README), _sections(JAPANESE), strict=True):
        assert _code(japanese) == _code(english)
        assert set(re.findall(r"`[^`\n]+`", japanese)) == set(re.findall(r"`[^`\n]+`", english))
        links = [set(re.findall(r"\]\((?!README)([^)]+)\)", text)) for text in (english, japanese)]
        assert links[0] == links[1]
        assert _figures(japanese) == _figures(english)


def _sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.MULTILINE)


def _code(text: str) -> list[str]:
    """The blocks of code without their comments."""
    return [re.sub(r" *#.*", "", block) for block in re.findall(r"^```\w+\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)]


def _figures(text: str) -> list[tuple[list[str], list[str]]]:
    """The figures in the last cell of each row of the tables, and the longer ones of the whole row; words may be figures in Japanese."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [(re.findall(r"\d[\d.%]*", row.split(" | ")[-1]), sorted(re.findall(r"\d[\d,.]*\d%?", row))) for row in rows]


def test_every_build_command_parses_and_says_the_truth() -> None:
    commands = re.findall(r"^magpie-hf (build .*?)(?:  +# (.*))?$", README + JAPANESE, flags=re.MULTILINE)
    assert len(commands) >= 8
    for command, comment in commands:
        given = cli.parser().parse_args(shlex.split(command))
        count = sum(domain.count for domain in options.domains(given))
        if comment:
            facts = KNOWN_MODELS[int(given.model)]
            name = facts.repository.split("/")[1]
            assert comment in (f"{count:,} problems by {name}", f"{name} による {count:,} 問")
            assert known(facts.repository) is facts


def test_every_other_command_parses_and_does_what_is_said() -> None:
    commands = re.findall(r"^magpie-hf ((?:plan|show|report|publish) .*?)(?:  +#.*)?$", README + JAPANESE, flags=re.MULTILINE)
    given = [cli.parser().parse_args(shlex.split(command)) for command in commands]
    assert {one.command for one in given} == {"plan", "show", "report", "publish"}
    assert {one.measure for one in given if one.command == "plan"} == {None, plan.MEASURED}
    assert f"builds {plan.MEASURED} problems a domain" in README
    assert f"1 分野 {plan.MEASURED} 問を作成" in JAPANESE
    assert f"below {report.DEFAULT} MB (`--max-megabytes`)" in README
    assert f"{report.DEFAULT} MB に収まります(`--max-megabytes`)" in JAPANESE


def test_the_exit_codes_are_the_codes() -> None:
    assert (
        f"{exits.OK} done, {exits.FAILED} failed, {exits.BAD_INPUT} bad input (one line, nothing written), {exits.INCOMPLETE} done but "
        f"a split is empty, {stopping.INTERRUPTED} interrupted, {stopping.TERMINATED} terminated" in " ".join(README.split())
    )
    assert (
        f"{exits.OK} 完了、{exits.FAILED} 失敗、{exits.BAD_INPUT} 入力の誤り(一行で示し、何も書き込みません)、"
        f"{exits.INCOMPLETE} 完了したが空の split がある、{stopping.INTERRUPTED} 割り込み、{stopping.TERMINATED} 終了要求。" in JAPANESE
    )


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()
