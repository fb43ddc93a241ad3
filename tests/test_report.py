"""The report: what it holds, that it runs nothing of a model's text, and how it works in a browser."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Features
from playwright.sync_api import Browser, Page

from chromium import Opened, chromium
from conftest import ROOT, Answers, Dying, small_recipe
from magpie_hf.building.build import build
from magpie_hf.cli.commands import report as command
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.dataset.folder import Folder
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import EngineError
from magpie_hf.models.model import resolve
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.progress.speed import read
from magpie_hf.report.columns import _fields
from magpie_hf.report.finding import sampled_of
from magpie_hf.report.messages import column_names
from magpie_hf.report.packing import LEAST, MOST, Room, cut, deflated
from magpie_hf.report.samples import length, shards
from magpie_hf.report.speed import speed
from magpie_hf.report.write import MEGABYTES, report
from magpie_hf.schema import CANDIDATES, OPINIONS, PUBLISHED, TIR, TOPIC, WITH_DELTA, WITH_REFERENCE
from magpie_hf.store.records import read_record
from magpie_hf.store.shards import write_record
from magpie_hf.text.language import use


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a report."""
    pages: list[Opened] = []

    def open_page(file: Path, view: str = "rows", **how: Any) -> Opened:
        pages.append(Opened.at(browser, file, view, **how))
        return pages[-1]

    yield open_page
    for one in pages:
        one.close()


@pytest.fixture(scope="module")
def built(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build with drops, cut answers, both kinds of pairs and rows that are held out."""
    out = tmp_path_factory.mktemp("built") / "out"
    recipe = replace(
        small_recipe(Answers(resolve(str(demo_model)), answers=3), count=30), held_out=HeldOut(0.2)
    )
    build(recipe, out)
    return out


@pytest.fixture(scope="module")
def page_file(built: Path) -> Path:
    return report(built, built.parent / "report.html").file


LONG = "0123456789" * 100_000
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script><!--",
    "<img src=x onerror='window.hacked = 1'>",
    "\\href{javascript:window.hacked=1}{click} and $\\href{javascript:window.hacked=1}{click}$",
    "$\\htmlData{x=1}{y}$ $\\includegraphics{https://example.org/x.png}$ $\\url{https://example.org}$",
    "unclosed $\\frac{1}{ and \\( x + and \\begin{align} y",
    "turned \u202egnorw\u202c and \u2066hidden\u2069 and \u200bnothing\ufeff",
    "null \x00 bell \x07 escape \x1b[31m",
    "{{style}} {{katex}} ]]> --> \u2028 \u2029",
    "$\\def\\a{\\a\\a}\\a$ $\\rule{1000em}{1000em}$",
]
FORMULAS = {
    "It costs $5 and $10 in all": [],
    "from $5-$10, or 10$ each": [],
    "Let $x$ be $5$ dollars": ["x", "5"],
    "so $ x^2 = 4 $ holds": ["x^2 = 4"],
    "an escaped \\$5 and $y_1$": ["y_1"],
    "\\(a+b\\), \\[c\\] and $$d$$.": ["a+b,", "c", "d."],
    "\\begin{align*} e &= f \\end{align*}": ["\\begin{align*} e &= f \\end{align*}"],
    "open $x and\n\nanother paragraph$ here": [],
    "$\\text{if $n$ is odd}$": ["\\text{if $n$ is odd}"],
    "\\begin{enumerate} \\item $z$ \\end{enumerate}": ["z"],
}  # fmt: skip


def changed(built: Path, to: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """A copy of the build whose rows of `candidates` are changed."""
    shutil.copytree(built, to)
    for file in (to / "candidates").glob("train-*.parquet"):
        table = pq.read_table(file)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    return to


def test_the_numbers_are_those_of_the_card(
    built: Path, page_file: Path, opened: Callable[..., Opened]
) -> None:
    folder = Folder(built)
    contents = folder.contents(built.glob("*/*.parquet"))
    page = opened(page_file, "overview").page
    assert page.locator(".katex").count() == 0, "nothing is typeset before a row is opened"
    rows = page.locator("#overview section").nth(0).locator("tbody tr").all_inner_texts()
    assert len(rows) == len(contents.tallies) == 2
    for text, (domain, tally) in zip(rows, contents.tallies.items(), strict=True):
        funnel = tally.funnel
        shown = [cell.replace(",", "") for cell in text.split("\t")]
        expected = [
            domain,
            funnel.samples.sampled,
            sum(funnel.samples.dropped.values()),
            funnel.problems,
            funnel.answered,
            funnel.sft,
            funnel.candidates,
        ]
        assert shown[:7] == list(map(str, expected))
        assert str(tally.pairs.count) in shown
    told = page.locator("#overview section").nth(1).inner_text()
    for tally in contents.tallies.values():
        for reason in (*tally.funnel.samples.dropped, *tally.funnel.cut_candidates, *tally.pairs.lost):
            assert reason in told
    made = sum(event["tokens"] for event in read(built) if event["event"] == "interval")
    assert f"{made:,} tokens in" in page.inner_text("#overview")
    names = page.locator("figcaption strong").all_inner_texts()
    assert {
        "Tokens of a problem",
        "Scores of candidates",
        "Score gaps of pairs",
        "Majority share of final answers",
        "Kind of pair",
    } <= set(names)
    assert page.locator("figure svg[role=img][aria-label]").count() >= 6
    assert page.locator("figure details table").count() >= 6, "each has its numbers as a table"


def test_a_row_shows_all_that_was_made_of_it(
    built: Path, page_file: Path, opened: Callable[..., Opened]
) -> None:
    (file,) = (built / "candidates").glob("train-*.parquet")
    row = next(
        row for row in pq.read_table(file).to_pylist() if row["pair_kind"] and row["solution_reason"] is None
    )
    one = opened(page_file)
    one.open(row["id"])
    one.page.click(".others summary")
    one.page.wait_for_selector(".others .candidate")
    text = one.page.text_content("#detail") or ""
    assert one.page.locator(".candidate").count() == len(row["candidates"]) == 3
    for number, candidate in enumerate(row["candidates"]):
        shown = one.page.locator(f"[data-candidate='{number}']")
        assert ("chosen" in shown.inner_text()) == (number == row["chosen_index"])
        assert ("rejected" in shown.inner_text()) == (number == row["rejected_index"])
        assert (
            f"{candidate['score']:.3f}" in shown.inner_text()
            if candidate["score"] is not None
            else candidate["reason"] in text
        )
    assert one.page.locator("#detail .katex").count() > 0
    assert one.page.locator("#detail .katex-error").count() == 0
    assert row["pair_kind"] in text
    assert "problem_temperature" in text


def test_dropped_samples_say_why(built: Path, page_file: Path, opened: Callable[..., Opened]) -> None:
    rows = [row for file in built.glob("run/dropped/*/*.parquet") for row in pq.read_table(file).to_pylist()]
    one = opened(page_file, "overview")
    one.page.click("text=length")
    one.page.wait_for_function("() => document.querySelector('.item.gone')")
    assert one.page.inner_text("#found").startswith(f"{sum(row['reason'] == 'length' for row in rows)} of ")
    one.page.click(".item")
    one.page.wait_for_selector("#detail .note.gone")
    assert "was truncated at the token limit" in one.page.inner_text("#detail")


def test_hostile_texts_are_shown_and_never_run(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    ids: list[str] = []

    def harm(rows: list[dict[str, Any]]) -> None:
        for row, text in zip(rows, [*HOSTILE, LONG], strict=False):
            ids.append(row["id"])
            row["problem"] = text
            for candidate in row["candidates"]:
                candidate |= {
                    "response": f"<think>{text}</think>{text}",
                    "reason": None,
                    "answer": text[:200],
                }

    one = opened(report(changed(built, tmp_path / "harmed", harm), tmp_path / "report.html").file)
    signs = re.compile(r"[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
    for row, text in zip(ids, HOSTILE, strict=False):
        shown = one.open(row)
        one.page.evaluate(
            "() => document.querySelectorAll('.thinking').forEach((one) => { one.open = true; })"
        )
        plain = signs.sub(lambda sign: f"U+{ord(sign[0]):04X}", text)
        if "$" not in text and "\\" not in text:
            assert plain in shown
        assert one.page.locator("#detail :is(script, img, a, iframe, object, embed)").count() == 0
    assert "unclosed $\\frac{1}{ and \\( x + and \\begin{align} y" in one.open(ids[5])
    assert f"{len(LONG) - MOST:,} characters are left out here" in one.open(ids[len(HOSTILE)])
    assert one.page.evaluate("() => window.hacked") is None
    assert one.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_refuses_what_is_not_its_own(page_file: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready]")
    refused = page.evaluate("""async () => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 1'>");
            const asked = await fetch("https://example.org").then(() => "answered", () => "refused");
            return [window.hacked, asked];
        }""")
    page.close()
    assert refused == [None, "refused"]


def test_formulas_are_found_and_money_is_not(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    ids: list[str] = []

    def put(rows: list[dict[str, Any]]) -> None:
        for row, text in zip(rows, FORMULAS, strict=False):
            ids.append(row["id"])
            row["problem"] = text

    one = opened(report(changed(built, tmp_path / "formulas", put), tmp_path / "report.html").file)
    for row, (text, formulas) in zip(ids, FORMULAS.items(), strict=True):
        one.open(row)
        found = one.page.locator(".problem annotation[encoding='application/x-tex']").all_text_contents()
        assert [tex.strip() for tex in found] == formulas, text


def test_search_filters_order_and_keys(built: Path, page_file: Path, opened: Callable[..., Opened]) -> None:
    one = opened(page_file)
    page = one.page
    (file,) = (built / "candidates").glob("train-*.parquet")
    rows = pq.read_table(file).to_pylist()
    found = lambda: int(page.inner_text("#found").split()[0].replace(",", ""))  # noqa: E731
    every = len(pq_rows(built))
    assert found() == every == 60
    assert 8 < page.locator(".item").count() < 40, "only what can be seen is there"
    page.select_option("#by-domain", "geometry")
    assert found() == 30
    page.select_option("#by-kind", "score")
    assert found() == sum(
        row["domain"] == "geometry" and row["pair_kind"] == "score" for row in pq_rows(built)
    )
    page.click("text=Reset")
    page.wait_for_function("() => document.getElementById('found').textContent.startsWith('60 ')")
    page.fill("#least-majority_share", "0.9")
    assert found() == sum((row["majority_share"] or 0) >= 0.9 for row in pq_rows(built)) > 0
    page.fill("#least-majority_share", "")
    word = rows[0]["problem"].split("rank ")[1].split()[0]
    page.fill("#search", f"RANK {word}")
    page.wait_for_function("() => document.getElementById('found').textContent.startsWith('1 ')")
    page.fill("#search", "boxed{")
    page.wait_for_function("() => document.getElementById('found').textContent.startsWith('0 ')")
    page.check("#everywhere")
    page.wait_for_function("() => /^[3-6]\\d /.test(document.getElementById('found').textContent)")
    page.fill("#search", "")
    page.wait_for_function("() => document.getElementById('found').textContent.startsWith('60 ')")
    page.click("#heads [data-by=score_gap]")
    score_gaps = [text.split("\n")[4] for text in page.locator(".item").all_inner_texts()]
    numbers = [float(text) for text in score_gaps if text != "–"]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers
    page.focus("#scroll")
    page.keyboard.press("j")
    first = page.get_attribute(".item[aria-selected=true]", "data-row")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute(".item[aria-selected=true]", "aria-posinset") == "2"
    page.keyboard.press("k")
    assert page.get_attribute(".item[aria-selected=true]", "data-row") == first
    page.keyboard.press("End")
    assert page.get_attribute(".item[aria-selected=true]", "aria-posinset") == "60"
    # A late search that finds the same rows.
    page.dispatch_event("#search", "input")
    page.wait_for_timeout(500)
    assert page.get_attribute(".item[aria-selected=true]", "aria-posinset") == "60", (
        "the list keeps its place"
    )
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'detail'")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.id === 'scroll'")
    page.keyboard.press("/")
    page.wait_for_function("() => document.activeElement.id === 'search'")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert "Next and previous row" in page.inner_text("#help")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert page.is_visible("#overview")
    assert page.is_hidden("#rows")


def pq_rows(built: Path) -> list[dict[str, Any]]:
    return [
        row for file in (built / "candidates").glob("*.parquet") for row in pq.read_table(file).to_pylist()
    ]


def test_light_and_dark(page_file: Path, opened: Callable[..., Opened]) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = opened(page_file, color_scheme="light").page
    dark = opened(page_file, color_scheme="dark").page
    first, second = light.evaluate(ground), dark.evaluate(ground)
    assert first != second
    light.click("#theme")
    dark.keyboard.press("t")
    assert (light.evaluate(ground), dark.evaluate(ground)) == (second, first)


def test_all_columns_are_in_sight_on_a_small_screen(page_file: Path, opened: Callable[..., Opened]) -> None:
    page = opened(page_file, "overview", viewport={"width": 1150, "height": 800}).page
    tables = (
        "() => [...document.querySelectorAll('.scrolling')].map(one => [one.scrollWidth, one.clientWidth])"
    )
    widths = page.evaluate(tables)
    assert len(widths) > 1
    assert all(whole == seen for whole, seen in widths)


def test_a_phone_shows_one_thing_at_a_time(page_file: Path, opened: Callable[..., Opened]) -> None:
    page = opened(page_file, "overview", viewport={"width": 360, "height": 740}).page
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    page.click("#tab-rows")
    assert page.is_hidden("#choices")
    page.click("#unfold")
    assert page.is_visible("#by-domain")
    page.click("#unfold")
    page.click(".item")
    page.wait_for_selector("#detail .problem")
    assert page.is_hidden("#scroll")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    page.click(".back")
    assert page.is_visible("#scroll")


def test_the_page_speaks_japanese(
    built: Path, tmp_path: Path, opened: Callable[..., Opened], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert main(["--lang", "ja", "report", str(built), "--out", str(tmp_path / "ja.html")]) == OK
    finally:
        use("en")
    assert "行" in capsys.readouterr().out
    page = opened(tmp_path / "ja.html", "overview").page
    assert page.get_attribute("html", "lang") == "ja"
    assert page.inner_text("#tab-overview") == "概要"
    assert "代数" in page.inner_text("#overview")
    assert "トークン数の上限で途切れています" in page.inner_text("#overview")
    page.click("#tab-rows")
    page.click(".item")
    page.wait_for_selector("#detail .problem")
    assert "公開する解答" in page.inner_text("#detail") or "公開する解答がありません" in page.inner_text(
        "#detail"
    )


def listed(page: Page) -> list[str]:
    """The ids of all listed rows, as the page exports them."""
    with page.expect_download() as saved:
        page.click("#export-ids")
    return [json.loads(line)["id"] for line in saved.value.path().read_text().splitlines()]


def waits(page: Page, count: int) -> None:
    """Wait until so many rows are listed, of what was asked for last."""
    page.wait_for_function(
        "count => { const found = document.getElementById('found');"
        " return found.ariaBusy === 'false' && found.textContent.startsWith(`${count} of `); }",
        arg=str(count),
    )


def test_filters_are_the_columns_of_the_schema(
    built: Path, page_file: Path, opened: Callable[..., Opened]
) -> None:
    page, rows = opened(page_file).page, pq_rows(built)
    solved = {
        row["id"]: row for file in built.glob("*/*_sft-*.parquet") for row in pq.read_table(file).to_pylist()
    }
    offered = set(
        page.locator("[data-filter]").evaluate_all("all => all.map(one => one.getAttribute('data-filter'))")
    )
    columns = {field.name for file in built.glob("candidates/*.parquet") for field in pq.read_schema(file)}
    texts = {"id", "problem", "candidates", "tags", "generation"}
    for name in columns - texts - {"chosen_index", "rejected_index", "pair_kind", "pair_reason"}:
        if len({str(row[name]) for row in rows}) > 1 and not isinstance(rows[0][name], str | None):
            assert name in offered, name
    page.click("#more")
    page.fill("#least-solution_tokens", "24")
    page.fill("#most-solution_tokens", "26")
    expected = {one for one, row in solved.items() if 24 <= row["solution_tokens"] <= 26}
    waits(page, len(expected))
    assert set(listed(page)) == expected
    assert 0 < len(expected) < len(rows)
    page.select_option("[id='by-candidates.reason']", "length")
    some = {
        row["id"] for row in rows if any(one["reason"] == "length" for one in row["candidates"])
    } & expected
    waits(page, len(some))
    assert "More filters (2 set)" in page.inner_text("#more")
    page.click("[data-chip='solution_tokens']")
    page.wait_for_selector("[data-chip='solution_tokens']", state="detached")
    assert set(listed(page)) == {
        row["id"] for row in rows if any(one["reason"] == "length" for one in row["candidates"])
    }
    page.click("[data-chip='candidates.reason']")
    page.fill("#sample", "7")
    page.click("#pick")
    waits(page, 7)
    picked = listed(page)
    assert len(set(picked)) == 7
    again = opened(Path(f"{page_file}"), at=page.url.partition("#")[2]).page
    waits(again, 7)
    assert listed(again) == picked, "a link leads to the same sample"


def test_every_column_of_the_package_has_a_word() -> None:
    """Those of problems and published answers, with all that a recipe can add to them."""
    more = [TOPIC, WITH_REFERENCE, *WITH_DELTA.values(), *OPINIONS.values()]
    columns = {name: kind for some in (CANDIDATES, PUBLISHED, *more) for name, kind in some.items()}
    names = {one.name.removeprefix("candidates.") for one in _fields(Features(columns).arrow_schema)}
    assert names <= column_names().keys()


def test_a_link_leads_to_a_row_and_its_filters_and_back(
    built: Path, page_file: Path, opened: Callable[..., Opened]
) -> None:
    page = opened(page_file, "overview").page
    page.click("#tab-rows")
    page.select_option("#by-domain", "geometry")
    waits(page, 30)
    page.fill("#search", "rank")
    page.wait_for_function("() => location.hash.includes('-find=rank')")
    page.click(".item >> nth=3")
    page.wait_for_function("() => location.hash.includes('-row=')")
    row = page.inner_text("#detail h2")
    linked = opened(page_file, at=page.url.partition("#")[2]).page
    linked.wait_for_function("row => document.querySelector('#detail h2')?.textContent === row", arg=row)
    assert linked.input_value("#by-domain") == "geometry"
    assert linked.input_value("#search") == "rank"
    page.go_back()
    page.wait_for_function("() => !document.querySelector('#detail h2')")
    assert page.input_value("#search") == "rank"
    page.go_back()
    page.wait_for_function("() => document.getElementById('search').value === ''")
    page.go_back()
    waits(page, 60)
    page.go_back()
    assert page.is_visible("#overview")
    page.go_forward()
    page.go_forward()
    waits(page, 30)
    for lost, said in (
        ("-row=nobody", "This report has no row nobody."),
        ("colour=red&sample=x&score=a..b", "colour, sample, score"),
    ):
        assert said in opened(page_file, at=lost).page.inner_text("#found")


def test_a_bar_of_any_chart_shows_its_rows(page_file: Path, opened: Callable[..., Opened]) -> None:
    page = opened(page_file, "overview").page
    charts = page.locator("figure").evaluate_all(
        """all => all.flatMap((figure, chart) =>
          [...figure.querySelectorAll("rect.choosing, button.bars")].map((bar, number) => [
              figure.querySelector("strong").textContent, chart, number,
              Number((bar.querySelector("title")?.textContent.split(": ")[1] ??
                bar.querySelector(".number").textContent).replace(/\\D.*/, "")),
            ]))"""
    )
    names = {name for name, *_ in charts}
    assert {
        "Tokens of a problem",
        "Tokens of a pair's texts",
        "Scores of candidates",
        "Kind of pair",
    } <= names
    assert {"Majority share of final answers", "Score gaps of pairs"} <= names
    for name, chart, number, count in charts[:: max(1, len(charts) // 20)]:
        page.evaluate(
            """([chart, number]) => document.querySelectorAll("figure")[chart]
              .querySelectorAll("rect.choosing, button.bars")[number]
              .dispatchEvent(new MouseEvent("click", {bubbles: true}))""",
            [chart, number],
        )
        page.wait_for_selector("#rows:not([hidden])")
        page.wait_for_function("() => document.querySelector('#active .chip')")
        found = int(page.inner_text("#found").split()[0])
        if name == "Scores of candidates":
            assert 0 < found <= count, "a row with two candidates there is one row"
        else:
            assert found == count, (name, number)
    page.keyboard.press("1")
    page.click("#overview tbody >> nth=0 >> button >> nth=0")
    assert page.input_value("#by-show") == "dropped"


def test_formulas_are_found_as_typed_and_by_regular_expressions(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    texts = [
        "Let $x^{77} + \\dfrac{1}{2} \\leq \\sqrt{ 5 }$.", "Is \\(y_{12}\\) an integer?", f"Of {'a' * 40}!",
        "全角 ３ の $\\pi$",
    ]  # fmt: skip
    ids: list[str] = []

    def put(rows: list[dict[str, Any]]) -> None:
        for row, text in zip(rows, texts, strict=False):
            ids.append(row["id"])
            row["problem"] = text

    page = opened(report(changed(built, tmp_path / "typed", put), tmp_path / "report.html").file).page
    typed = {
        "x^77": 0, "X^{77}+1/2": 0, "\\frac{1}{2}": 0, "x⁷⁷ + ½": 0, "<= sqrt(5)": 0, "≤": 0, "y_12": 1,
        "y_{12}": 1, "角 3": 3, "π": 3,
    }  # fmt: skip
    for text, place in typed.items():
        page.fill("#search", text)
        page.press("#search", "Enter")
        waits(page, 1)
        assert listed(page) == [ids[place]], text
    page.check("#regexp")
    for text, place in {r"y_\{\d+\}": 1, rf"^{ids[2]}$": 2}.items():
        page.fill("#search", text)
        waits(page, 1)
        assert listed(page) == [ids[place]]
    page.fill("#search", "x^(")
    page.wait_for_function("() => document.getElementById('found').textContent.includes('no regular')")
    began = time.monotonic()
    page.fill("#search", "(a+a+)+b")
    page.wait_for_timeout(500)
    assert page.evaluate("() => 1 + 1") == 2
    page.wait_for_function("() => document.getElementById('found').textContent.includes('too long')")
    assert time.monotonic() - began < 8
    page.fill("#search", "integer\\?")
    waits(page, 1)
    page.click(".item")
    page.wait_for_function("() => CSS.highlights.get('found')?.size === 1")


def test_what_a_reader_wants_next_is_not_that_of_a_slow_search(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    def put(rows: list[dict[str, Any]]) -> None:
        rows[0]["problem"], rows[1]["problem"] = f"Of {'a' * 40}!", "Is it an integer?"

    page = opened(report(changed(built, tmp_path / "slow", put), tmp_path / "report.html").file).page
    page.evaluate(
        "() => { const later = setTimeout; window.setTimeout = (f, ms) => later(f, ms === 3000 ? 600 : ms); }"
    )
    page.check("#regexp")
    page.fill("#search", "(a+a+)+b")
    page.wait_for_timeout(250)
    page.fill("#search", "")
    page.wait_for_timeout(800)
    waits(page, 60)
    page.fill("#search", "(a+a+)+b")
    page.wait_for_timeout(250)
    page.fill("#search", "integer\\?")
    waits(page, 1)
    # a number of the overview shows its rows, whatever was being searched
    page.fill("#search", "(a+a+)+b")
    page.wait_for_timeout(250)
    page.click("#tab-overview")
    page.locator("#overview tfoot button").first.click()
    page.wait_for_timeout(800)
    found = page.inner_text("#found")
    assert "too long" not in found
    assert not found.startswith("0 ")


def test_a_row_can_be_taken_along(built: Path, page_file: Path, opened: Callable[..., Opened]) -> None:
    one = opened(page_file, viewport={"width": 1400, "height": 900})
    page = one.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = next(row for row in pq_rows(built) if row["pair_kind"] and "$" in row["problem"])
    one.open(row["id"])

    def copied(what: str) -> str:
        page.click(f"[data-copy={what}]")
        page.wait_for_selector(f"[data-copy={what}]:text('copied')")
        text = page.evaluate("() => navigator.clipboard.readText()")
        assert isinstance(text, str)
        return text

    assert copied("id") == row["id"]
    assert copied("latex") == row["problem"]
    taken = json.loads(copied("json"))
    assert (taken["id"], taken["problem"]) == (row["id"], row["problem"])
    texts = [one["text"] for one in taken["candidates"] if "text" in one]
    assert texts == [one["response"] for one in row["candidates"] if one["response"] is not None]
    linked = opened(page_file, at=copied("link").partition("#")[2]).page
    linked.wait_for_selector(f"#detail h2:text-is('{row['id']}')")
    page.evaluate("() => getSelection().selectAllChildren(document.querySelector('.problem'))")
    page.keyboard.press("Control+c")
    assert page.evaluate("() => navigator.clipboard.readText()").strip() == row["problem"]

    # Chosen beside rejected, both wholly in sight, with the words marked in which they differ.
    boxes = [page.locator(f".pair > .{side}").bounding_box() for side in ("chosen", "rejected")]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 1400 for box in boxes)
    assert len({(box["y"], box["width"]) for box in boxes if box}) == 1
    assert page.evaluate(
        "() => { const one = document.querySelector('#detail'); return one.scrollWidth <= one.clientWidth; }"
    )
    chosen, rejected = (
        row["candidates"][row[f"{side}_index"]]["response"] for side in ("chosen", "rejected")
    )
    number = re.compile(r"\d{4,}")
    marked = page.locator(".pair mark").all_text_contents()
    for text in (chosen, rejected):
        assert any(number.findall(text)[0] in mark for mark in marked)
    assert not any("Text" in mark for mark in marked), "what both have is not marked"
    ground = "() => getComputedStyle(document.querySelector('.pair mark')).backgroundColor"
    before = page.evaluate(ground)
    page.keyboard.press("d")
    assert page.evaluate(ground) != before
    assert page.locator(".others .candidate").count() == 0
    page.click(".others summary")
    page.wait_for_selector(".others .candidate")
    assert page.locator(".others .candidate").count() == 1


def test_keys_before_the_page_works_are_not_lost(page_file: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script(
        """new MutationObserver((_, observer) => {
            if (!document.getElementById("worker")) return;
            observer.disconnect();
            for (const key of ["/", "r", "a", "n", "k"])
                document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        }).observe(document, { childList: true, subtree: true });"""
    )
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.input_value("#search") == "rank"
    assert page.is_visible("#rows")
    page.close()


def test_a_map_shows_samples_by_meaning(built: Path, tmp_path: Path, opened: Callable[..., Opened]) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    record = read_record(out / "run" / "build.json")
    for number, (domain, one) in enumerate(record["pipeline"].items()):
        one["samples"]["embed"] = "embed-0"
        (out / "run" / domain / "embed-0").mkdir()
        for file in (out / "run" / domain / one["samples"]["instruct"]).glob("*-*.arrow"):
            names = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()["id"].to_pylist()
            vectors = [[float(number), at / 1000, 0.0] if at else None for at, _ in enumerate(names)]
            table = pa.table({"embedding": pa.array(vectors, pa.list_(pa.float32()))})
            place = str(out / "run" / domain / "embed-0" / file.name)
            with pa.OSFile(place, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    write_record(out / "run" / "build.json", record)
    page = opened(report(out, tmp_path / "map.html").file, "overview").page
    page.select_option("#coloured-by", "reason")
    page.wait_for_selector(".map canvas")
    page.locator(".map").scroll_into_view_if_needed()
    box = page.locator(".map").bounding_box()
    assert box
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
    page.mouse.up()
    page.wait_for_function("() => !document.getElementById('found').textContent.startsWith('60 of')")
    left = {name.partition("-")[0] for name in listed(page)}
    assert len(left) == 1, "the first principal component tells the domains apart"
    assert page.input_value("#by-show") == "all"
    page.keyboard.press("1")
    page.locator(".map").scroll_into_view_if_needed()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    waits(page, 0)


def test_the_first_samples_can_be_seen(
    demo_model: Path, tmp_path: Path, opened: Callable[..., Opened], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has an answer yet: all samples are there, those that were dropped with their reasons."""
    out = tmp_path / "out"
    dying = Dying(resolve(str(demo_model)))
    dying.left = 12
    with pytest.raises(EngineError):
        build(small_recipe(dying, "algebra", count=20), out, shard_rows=8)
    made = report(out, tmp_path / "first.html")
    finished = sum(length(file) for one in sampled_of(out).values() for file in shards(one.instruct))
    assert made.rows == finished > 8
    page = opened(made.file).page
    waits(page, finished)
    page.select_option("#by-show", "waiting")
    waiting = listed(page)
    page.select_option("#by-show", "dropped")
    dropped = listed(page)
    assert len(waiting) + len(dropped) == finished
    assert waiting
    page.click(".item")
    page.wait_for_selector("#detail .note.gone")
    assert main(["show", str(out), "--split", "dropped", "-n", "999", "--json"]) == OK
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["id"] for row in said} == set(dropped)
    assert {row["reason"] for row in said} == {"length"}


def test_a_pair_with_a_smaller_models_answer(
    demo_model: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    answers = Answers(resolve(str(demo_model)), answers=1)
    small = Answers(replace(answers.model, name="other/small"), salt="small", answers=1, cut_every=0)
    recipe = replace(small_recipe(answers, "algebra", count=12), rejecter=FakeEngine(small.model, small))
    build(recipe, tmp_path / "out")
    (file,) = (tmp_path / "out" / "candidates").glob("train-*.parquet")
    table = pq.read_table(file)
    told = {"checker_answer": "7", "checked": "differs", "program_answer": "0", "program_agrees": "agrees"}
    for name, value in told.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    pq.write_table(table.append_column("objections", pa.array([2] * len(table), pa.int32())), file)
    row = next(row for row in table.to_pylist() if row["pair_kind"] == "delta")
    one = opened(report(tmp_path / "out", tmp_path / "delta.html").file)
    one.open(row["id"])
    shown = one.page.locator(".pair > .rejected").inner_text()
    assert "A smaller model's answer" in shown
    assert row["rejected_response"].split(":")[0] in shown
    assert f"{row['rejected_tokens']}" in shown
    text = one.page.inner_text("#detail")
    for words in ("differs (7)", "agrees (0)", "Looks that object 2", "delta, score gap –"):
        assert words in re.sub(r"\s+", " ", text), words


def test_answers_with_tools_stand_with_the_others(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    out, path = tmp_path / "out", "algebra_tir/train-00000-of-00001.parquet"
    shutil.copytree(built, out)
    (file,) = (out / "algebra").glob("train_sft-*.parquet")
    first = pq.read_table(file).to_pylist()[1]
    text = (
        "By a program:\n```python\nprint(7 * 7)  # $x$\n```\n```output\n49\n```\nSo $\\boxed{49}$, plainly."
    )
    row = {name: first.get(name) for name in TIR}
    row |= {"solution": text, "answer_rank": 1, "answer_count": 1, "runs": 3, "solution_tokens": 77}
    (out / "algebra_tir").mkdir()
    pq.write_table(pa.Table.from_pylist([row], schema=TIR.arrow_schema), out / path)
    record = read_record(out / "run" / "build.json")
    record["sums"][path] = next(iter(record["sums"].values()))
    write_record(out / "run" / "build.json", record)
    one = opened(report(out, tmp_path / "tools.html").file)
    one.open(first["id"])
    shown = re.sub(r"\s+", " ", one.page.locator(".tools").inner_text())
    assert shown.startswith("Answers with tools: 1 Answer 1 Programs run 3 Tokens 77 By a program: ```python")
    assert one.page.locator(".tools .katex").count() == 1, "none in the program"
    assert one.page.locator(".tools code").count() == 2
    one.page.check("#everywhere")
    one.page.fill("#search", "print(7 * 7)")
    waits(one.page, 1)


def test_a_dropped_sample_shows_the_easier_problem_that_it_was_made_of(
    built: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    file = next(out.glob("run/dropped/algebra/*.parquet"))
    table = pq.read_table(file)
    for name, value in {"parent": "Find $7y$ first.", "pass_rate_before": 0.75}.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    pq.write_table(table, file)
    one = opened(report(out, tmp_path / "harder.html").file)
    one.page.select_option("#by-show", "dropped")
    shown = re.sub(r"\s+", " ", one.open(table["id"][0].as_py()))
    assert "Pass rate before75 %" in shown
    assert "Made of an easier problemFind" in shown


def test_a_build_that_stopped_or_still_runs_shows_what_is_safe(
    demo_model: Path, tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    out = tmp_path / "out"
    dying = Dying(resolve(str(demo_model)), answers=3)
    dying.left = 130
    with pytest.raises(EngineError):
        build(small_recipe(dying, count=40), out, shard_rows=8, shards_in_flight=3)
    before = sorted(out.rglob("*"))
    made = report(out, tmp_path / "stopped.html")
    assert sorted(out.rglob("*")) == before, "nothing is left in the build"
    page = opened(made.file, "overview").page
    assert "The build stopped before its end." in page.inner_text("#overview")
    assert "The numbers are of rows that went through every stage" in page.inner_text("#overview")
    page.click("#tab-rows")
    assert 0 < int(page.inner_text("#found").split()[0]) < 120
    page.select_option("#by-show", "dropped")
    assert int(page.inner_text("#found").split()[0]) > 0
    with (out / "run" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert report(out, tmp_path / "running.html").rows == made.rows
    page = opened(tmp_path / "running.html", "overview").page
    assert "The build was running when this was written" in page.inner_text("#overview")


def test_what_was_cut_is_said(built: Path, tmp_path: Path, opened: Callable[..., Opened]) -> None:
    def lengthen(rows: list[dict[str, Any]]) -> None:
        for number, row in enumerate(rows):
            for candidate in row["candidates"]:
                noise = hashlib.shake_256(f"{number}{candidate['response']}".encode()).hexdigest(6_000)
                candidate |= {"response": f"BEGIN {noise} END", "reason": None}

    folder = changed(built, tmp_path / "long", lengthen)
    made = report(folder, tmp_path / "report.html", 1.6)
    assert 1.1e6 < made.size < 1.6e6
    assert 0 < made.cut <= made.texts
    whole = report(folder, tmp_path / "whole.html", MEGABYTES)
    assert whole.cut == 0
    one = opened(made.file, "overview")
    assert f"{made.cut:,} of {made.texts:,} texts are shown without their middle" in one.page.inner_text(
        "#overview"
    )
    one.page.click("#tab-rows")
    text = one.open(next(row["id"] for row in pq_rows(folder) if row["id"].startswith("geometry")))
    assert "characters are left out here" in text
    assert "BEGIN" in text
    assert "END" in text


def test_room_is_divided_and_kept_to() -> None:
    def rows(number: int) -> list[dict[str, Any]]:
        noise = [hashlib.shake_256(f"{number} {at}".encode()).hexdigest(20_000) for at in range(16)]
        return [{"text": noise[at][: 1000 * at], "thinking": noise[at + 8]} for at in range(8)]

    for size in (20_000, 200_000, 2_000_000):
        room, packed = Room(size, 80), []
        for number in range(10):
            some = rows(number)
            packed.append(room.pack(some, [(row, key) for row in some for key in row], 8))
        total = sum(map(len, packed))
        assert total <= size or room.cut == room.texts
        assert total > 0.8 * min(size, sum(len(deflated(rows(number))) for number in range(10)))
        texts = [
            value for data in packed for row in json.loads(zlib.decompress(data)) for value in row.values()
        ]
        assert all(isinstance(text, str) or len(text[0]) + len(text[2]) >= LEAST for text in texts)
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefghij", 3) == ["ab", 7, "j"]
    assert zlib.decompress(deflated(["\ud800"])).decode("utf-8", "surrogatepass") == '["\ud800"]'


def test_speed_is_sampled_over_time(tmp_path: Path) -> None:
    interval = {
        "event": "interval",
        "engine": "m",
        "seconds": 10.0,
        "running": 8.0,
        "requests": 3,
        "prompt_tokens": 5,
    }
    events = [
        {"event": "build", "at": 1000.0, "what": "began", "seconds": 0.0},
        {"event": "opened", "at": 1020.0, "engine": "m", "seconds": 20.0, "restart": False},
        *({**interval, "at": 1030.0 + 10 * number, "tokens": 1000} for number in range(10)),
        {"event": "opened", "at": 1150.0, "engine": "m", "seconds": 9.0, "restart": True},
        {**interval, "at": 1160.0, "tokens": 500},
        {"event": "build", "at": 90_000.0, "what": "began", "seconds": 0.0},
        {**interval, "at": 90_020.0, "tokens": 2000},
        {"event": "build", "at": 90_021.0, "what": "finished", "seconds": 21.0},
    ]
    lines = [json.dumps(event) for event in events]
    (tmp_path / "run").mkdir()
    torn = '{"event": "inter'
    (tmp_path / "run" / "speed.jsonl").write_text("\n".join([*lines[:3], torn + lines[0], *lines[3:], torn]))
    found = speed(tmp_path)
    assert found is not None
    assert found["total"] == 12_500
    assert found["seconds"] == pytest.approx(181), "the day between the builds is left out"
    assert sum(found["tokens"]) * found["seconds"] / len(found["tokens"]) == pytest.approx(12_500, rel=0.001)
    assert [mark["what"] for mark in found["marks"]] == ["began", "opened", "reopened", "began", "finished"]
    assert [mark["at"] for mark in found["marks"]] == pytest.approx([0, 20, 150, 160, 181])
    assert speed(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("harm", "words", "line"),
    [
        (None, ["nowhere"], "nowhere does not exist; give the --out folder of a build"),
        (None, ["."], "is empty; give the --out folder of a build"),
        (
            "newer",
            ["run"],
            (
                "run was made by a newer version of magpie_hf (0.1.0, format 99; this is 0.1.0, format 2);"
                " update magpie_hf"
            ),
        ),
        ("gone", ["run"], "is missing; run the build again, then look at it"),
        (
            "begun",
            ["run"],
            "the build in run has no finished samples yet (the first 64 of a domain come together); wait",
        ),
        ("plain", ["run", "--out", "run"], "run cannot be written (Is a directory); choose another --out"),
        ("plain", ["run", "--out", "run/README.md/x.html"], "cannot be written"),
        ("plain", ["run", "--out", "/proc/nowhere/x.html"], "cannot be written"),
        ("plain", ["run", "--max-megabytes", "0"], "--max-megabytes is 0; give a number above 0"),
        ("plain", ["run", "--max-megabytes", "nan"], "--max-megabytes is nan; give a number above 0"),
        ("plain", ["run", "--max-megabytes", "inf"], "--max-megabytes is inf; give a number above 0"),
        ("plain", ["run", "--max-megabytes", "0.5"], "--max-megabytes is 0.5, which is too little for"),
        ("plain", ["run", "--max-megabytes", "much"], "argument --max-megabytes: 'much' is not a number"),
    ],
)
def test_bad_input_is_one_line(
    harm: str | None,
    words: list[str],
    line: str,
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if harm:
        shutil.copytree(built, "run")
    if harm == "newer":
        provenance = read_record(Path("run/run/provenance.json"))
        write_record(Path("run/run/provenance.json"), {**provenance, "format": 99})
    if harm == "gone":
        next(Path("run/algebra").glob("*.parquet")).unlink()
    if harm == "begun":
        record = read_record(Path("run/run/build.json"))
        for folder in ("dropped", *record["pipeline"], "selection"):
            shutil.rmtree(Path("run/run") / folder)
        write_record(Path("run/run/build.json"), {**record, "finished": None})
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *words]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert line in error
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


def test_nothing_heavy_is_imported(built: Path, tmp_path: Path) -> None:
    script = (
        f"import sys\nfrom magpie_hf.cli.main import main\nassert main(['report', {str(built)!r}, '--out',"
        f" {str(tmp_path / 'r.html')!r}]) == 0\nheavy = {{'torch', 'vllm', 'transformers', 'ray',"
        " 'matplotlib'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=120, cwd=ROOT)


def test_the_default_of_the_command_is_that_of_the_function() -> None:
    assert command.DEFAULT == MEGABYTES


def test_katex_is_what_its_record_says() -> None:
    folder = ROOT / "magpie_hf" / "report" / "katex"
    sums = dict(
        re.findall(r"^\| ([\w./-]+) \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    files = [
        file for file in folder.rglob("*") if file.is_file() and file.name not in ("README.md", "LICENSE")
    ]
    assert {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    } == sums
