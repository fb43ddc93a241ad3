"""The READMEs: short, in order, the same in both languages. Tables of the documents are computed from the
objects.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
import results
import yaml

from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import exit_codes, plan, report
from magpie_hf.cli.commands.brief import brief_of
from magpie_hf.domains import DOMAINS
from magpie_hf.models.known import KNOWN_MODELS
from magpie_hf.problems.benchmarks.names import PRESETS
from magpie_hf.problems.cleaning.rules import RULES
from magpie_hf.run import interrupts
from magpie_hf.schema import CANDIDATES_CONFIG, SIDES, TEXT_SPLITS
from magpie_hf.selection.reasons import OUTSIDE, SAMPLES
from magpie_hf.text import language
from magpie_hf.text.numbers import scaled
from pages import DOCS, FENCE, PAGES, TEXT, bare, commands, prose, sections

README, JAPANESE = TEXT["README.md"], TEXT["README.ja.md"]
MOST_WORDS = 1200


def domain_table() -> str:
    head = (
        "| no. | key | | problems at scale 1.0 | problem T | answer T | candidate T | subject"
        " |\n|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {number} | `{d.key}` | {d.japanese} | {d.count:,} | {d.instruction.temperature:.2f} |"
        f" {d.response.temperature:.2f} | {d.candidate.temperature:.2f} | {d.subject} |"
        for number, d in enumerate(DOMAINS.values(), start=1)
    ]
    total = f"\n\nTogether {sum(d.count for d in DOMAINS.values()):,} accepted problems."
    return head + "\n".join(rows) + total


def model_table() -> str:
    head = "| no. | repository | weights | reasoning | licence |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {m.number} | {m.repository} | {m.weight_gigabytes:.0f} GB | {'yes' if m.reasoning else 'no'} |"
        f" {m.licence} |"
        for m in KNOWN_MODELS.values()
    )


def reason_table() -> str:
    return "\n".join(f"| `{code}` | {meaning} |" for code, meaning in SAMPLES.items())


def japanese_domain_table() -> str:
    rows = domain_table().split("\n\n")[0].split("\n")[2:]
    head = "| 番号 | キー | | scale 1.0 での問題数 | 問題の T | 解答の T | 候補の T "
    head += "| 題材(モデルに伝える原文) |\n"
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
        f"| {m.number} | {m.repository} | {m.weight_gigabytes:.0f} GB | {'はい' if m.reasoning else 'いいえ'}"
        f" | {licences[m.number]} |"
        for m in KNOWN_MODELS.values()
    )


def japanese_reason_table() -> str:
    meanings = yaml.safe_load((ROOT / "cards" / "words.ja.yaml").read_text(encoding="utf-8"))["reasons"]
    return "\n".join(f"| `{code}` | {meanings[code]} |" for code in SAMPLES)


def bound_rows() -> str:
    """What larger bounds give in the README's build, at 4,096 tokens."""
    words = "build --model 6 --solver 1 --scale 0.1 --max-tokens 4096 --out nowhere"
    return "\n".join(
        f"| {one.tokens:,} | {one.final:,} | {one.truncated:.0%} | {scaled(one.generated)} |"
        f" {one.rows:,.0f} |"
        for one in brief_of(cli.parser().parse_args(words.split())).plan.bounds
    )


def bound_table() -> str:
    head = "| `--max-tokens` | extended | truncated | tokens in all | SFT rows of 4,400 problems |\n"
    return f"{head}|---|---|---|---|---|\n{bound_rows()}"


def japanese_bound_table() -> str:
    head = "| `--max-tokens` | 延長後 | 途切れる割合 | 全部のトークン数 | SFT の行(4,400 問のうち) |\n"
    return f"{head}|---|---|---|---|---|\n{bound_rows()}"


def test_every_reason_has_its_meaning() -> None:
    filtered = {
        "contaminated",
        "not_tagged",
        "not_alone",
        "unsolvable",
        "quality",
        "difficulty",
        "off_topic",
        "near_duplicate",
        "reviewed",
    }
    by_text = {
        "length",
        "context_full",
        "killed_engine",
        "withdrawn",
        "empty",
        "special_tokens",
        "broken_characters",
        "language",
    }
    answered = {"ill_posed", "not_harder", *OUTSIDE}
    assert set(SAMPLES) == {rule.reason for rule in RULES} | by_text | filtered | answered
    assert all(f"`{name}`" in TEXT["docs/filtering.md"] for name in PRESETS)


@pytest.mark.parametrize(
    ("table", "page"),
    [
        (domain_table, "docs/domains.md"),
        (model_table, "docs/domains.md"),
        (reason_table, "docs/filtering.md"),
        (bound_table, "docs/cost.md"),
        (results.table, "docs/benchmarks.md"),
        (japanese_domain_table, "docs/ja/details.md"),
        (japanese_model_table, "docs/ja/details.md"),
        (japanese_reason_table, "docs/ja/details.md"),
        (japanese_bound_table, "docs/ja/details.md"),
    ],
)
def test_tables_are_the_objects(table: Callable[[], str], page: str) -> None:
    assert table() in TEXT[page]


def test_the_readme_is_short_and_in_order() -> None:
    assert len(README.split()) <= MOST_WORDS
    order = [
        "# magpie_hf\n",
        "(docs/images/pipeline.svg)",
        "(docs/images/report.png)",
        "make demo ",
        "make test ",
        "load_dataset(",
        "| splits |",
        "pip install '.[vllm]'",
        "(docs/guide.md)",
    ]
    for text in (README, JAPANESE):
        at = [text.replace("split |", "splits |").index(part) for part in order]
        assert at == sorted(at)
        assert "run_math_generation.sh" in text
        (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert len([line for line in code.splitlines() if line]) <= 5


def test_the_table_of_splits_names_those_that_are_published() -> None:
    text = [f"{side}_{kind}" for side in SIDES for kind in TEXT_SPLITS]
    for page, heading in (("README.md", "What you get"), ("README.ja.md", "出来上がるもの")):
        rows = re.findall(r"^\| `(.*?)` \| (.*?) \|", sections(TEXT[page])[heading], flags=re.MULTILINE)
        found: dict[str, list[str]] = {}
        for config, splits in rows:
            found.setdefault(config, []).extend(re.findall(r"`(\w+)`", splits))
        assert sorted(found["default"]) == sorted(text)
        assert found["<domain>"] == []  # the same
        assert found["<domain>_rl"] == found[CANDIDATES_CONFIG] == list(SIDES)
        assert len(found) == 4


def test_the_pictures_are_sound() -> None:
    picture = (DOCS / "images" / "pipeline.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in picture
    assert not re.search(r"(?:href|src|url)\W+http", picture)
    page = (DOCS / "images" / "report.png").read_bytes()
    assert page.startswith(b"\x89PNG")
    assert len(page) < 250_000


def test_the_japanese_readme_says_the_same() -> None:
    """Section by section the same code, names, options and links, and in every row of a table the same
    figures.
    """
    assert sections(JAPANESE)[""].count("![") == sections(README)[""].count("![")
    for english, japanese in zip(sections(README).values(), sections(JAPANESE).values(), strict=True):
        the_same(english, japanese, links=True)


# A section of the Japanese details, and where the same stands in English: a page, and its sections (all of
# them, or these).
SAME: dict[str, tuple[str, tuple[str, ...]]] = {
    "作成": ("quickstart", ("Build",)),
    "終了コード": ("quickstart", ("Exit codes",)),
    "Python から": ("quickstart", ("From Python",)),
    "フォルダーの中身": ("quickstart", ("What lies in the folder",)),
    "分野": (
        "domains",
        ("Domains", "Where the counts come from", "A domain of your own", "Languages", "Topics"),
    ),
    "モデル": (
        "domains",
        (
            "Models",
            "Switches of the chat template",
            "Where a domain's text goes",
            "How the solver is sampled",
            "Which sampling suits a model",
        ),
    ),
    "レシピ": ("recipes", ()),
    "手持ちの問題": ("own-problems", ()),
    "問題の採用": ("filtering", ()),
    "答えとペア": ("answers", ()),
    "ラベルの確かさ": ("labels", ()),
    "問題の難しさ": ("difficulty", ()),
    "独自の工程": ("own-steps", ()),
    "見積もり": ("cost", ()),
    "複数の GPU": ("scale-out", ("Quantised models", "vLLM's own arguments", "Several machines: endpoints")),
    "公開": ("publishing", ()),
    "学習": ("trainers", ()),
    "実行中の表示": ("report", ("While it runs",)),
    "行と報告ページ": ("report", ("Look at rows", "The report")),
    "違い": ("report", ("Differences",)),
    "人による判定": ("review", ()),
    "止まったときは": ("reproducibility", ("When it stops", "What is guaranteed", "What is not guaranteed")),
    "測定": ("benchmarks", ()),
}


@pytest.mark.parametrize("heading", SAME)
def test_the_japanese_details_say_the_same(heading: str) -> None:
    name, wanted = SAME[heading]
    page = sections(TEXT[f"docs/{name}.md"])
    english = "\n".join(page[one] for one in wanted or page)
    the_same(english, sections(TEXT["docs/ja/details.md"])[heading], links=False)


def test_the_japanese_details_are_compared_whole() -> None:
    assert set(sections(TEXT["docs/ja/details.md"])) == {"", *SAME}


def test_the_japanese_guide_runs_the_same() -> None:
    english, japanese = (TEXT[page] for page in ("docs/guide.md", "docs/ja/guide.md"))
    assert _code(japanese) == _code(english)
    parts = sections(japanese)
    both = "\n".join(part for heading, part in parts.items() if heading not in ONLY_JAPANESE)
    assert names(both) == names(english)
    assert set(ONLY_JAPANESE) < set(parts)


ONLY_JAPANESE = ("用語", "困ったときは")


def the_same(english: str, japanese: str, links: bool) -> None:
    assert _code(japanese) == _code(english)
    assert names(japanese) == names(english)
    assert _figures(japanese) == _figures(english)
    if links:
        found = [set(re.findall(r"\]\((?!README)([^)]+)\)", text)) for text in (english, japanese)]
        assert found[0] == found[1]


def names(text: str) -> set[str]:
    """What stands in backticks outside blocks of code."""
    return set(re.findall(r"`[^`\n]+`", prose(text)))


def _code(text: str) -> list[str]:
    """The blocks of code without their comments."""
    return [bare(block) for _, block in FENCE.findall(text)]


def _figures(text: str) -> list[tuple[list[str], list[str]]]:
    """The figures in the last cell of each row of the tables, and the longer ones of the whole row; words
    may be figures in Japanese.
    """
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [
        (re.findall(r"\d[\d.%]*", row.split(" | ")[-1]), sorted(re.findall(r"\d[\d,.]*\d%?", row)))
        for row in rows
    ]


def test_what_is_said_of_commands_is_true() -> None:
    shown = [command for page in PAGES for command, _ in commands(page)]
    given = [
        cli.parser().parse_args(shlex.split(command)) for command in shown if command.startswith("plan ")
    ]
    assert {one.measure for one in given} == {None, plan.MEASURED}
    assert f"builds {plan.MEASURED} problems a domain" in TEXT["docs/cost.md"]
    assert f"1 分野 {plan.MEASURED} 問を作成" in TEXT["docs/ja/details.md"]
    assert f"below {report.DEFAULT} MB (`--max-megabytes`)" in " ".join(TEXT["docs/report.md"].split())
    assert f"{report.DEFAULT} MB に収まります(`--max-megabytes`)" in TEXT["docs/ja/details.md"]


def test_the_exit_codes_are_the_codes() -> None:
    assert (
        f"{exit_codes.OK} done, {exit_codes.FAILED} failed,"
        f" {exit_codes.BAD_INPUT} bad input (one line, nothing written),"
        f" {exit_codes.INCOMPLETE} done but a split is empty, {interrupts.INTERRUPTED} interrupted,"
        f" {interrupts.TERMINATED} terminated" in " ".join(TEXT["docs/quickstart.md"].split())
    )
    assert (
        f"{exit_codes.OK} 完了、{exit_codes.FAILED} 失敗、"
        f"{exit_codes.BAD_INPUT} 入力の誤り(一行で示し、何も書き込みません)、"
        f"{exit_codes.INCOMPLETE} 完了したが空の split がある、{interrupts.INTERRUPTED}"
        f" 割り込み、{interrupts.TERMINATED} 終了要求。" in TEXT["docs/ja/details.md"]
    )
