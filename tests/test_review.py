"""People's marks: made in the report, taken by the command, and what a build makes of them."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

from chromium import Opened, chromium
from conftest import Answers, Dying, small_recipe
from magpie_hf.building.build import build, first_problems
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.hub.release import released
from magpie_hf.models.model import resolve
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.report.write import report
from magpie_hf.review.marks import KEPT, Labels, Mark, bad_rows, kept_marks, take
from magpie_hf.review.precision import Share, Z, precision


@dataclass(frozen=True)
class Made:
    """A build over a fake engine, and the engine's answers."""

    answers: Answers
    recipe: Recipe
    folder: Path

    def rows(self) -> dict[str, dict[str, Any]]:
        """The published problems with their candidates, by id."""
        return rows_in(self.folder / "candidates")

    def dropped(self, reason: str) -> set[str]:
        found = rows_in(self.folder / "run" / "dropped", "*/*.parquet")
        return {name for name, row in found.items() if row["reason"] == reason}

    def take(self, marks: dict[str, str], *more: str) -> int:
        file = self.folder.parent / "marks.jsonl"
        lines = (json.dumps({"id": name, "mark": mark}) for name, mark in marks.items())
        file.write_text("".join(f"{line}\n" for line in lines))
        return main(["review", str(self.folder), "--marks", str(file), *more])

    def again(self, **how: Any) -> set[tuple[Any, int]]:
        """Build again; the problems and answers that the engine was asked for."""
        self.answers.requests.clear()
        build(how.pop("recipe", self.recipe), self.folder, **how)
        return sampled(self.answers)


def sampled(answers: Answers) -> set[tuple[Any, int]]:
    """The requests with a seed, which ratings have none of; each was made once."""
    seeded = [request for request in answers.requests if request[1]]
    assert len(set(seeded)) == len(seeded)
    return set(seeded)


def rows_in(folder: Path, pattern: str = "*.parquet") -> dict[str, dict[str, Any]]:
    return {
        row["id"]: row for file in sorted(folder.glob(pattern)) for row in pq.read_table(file).to_pylist()
    }


def recipe_of(model: Path, answers: Answers | None = None, count: int = 16) -> Recipe:
    answers = answers or Answers(resolve(str(model)), answers=3)
    return replace(small_recipe(answers, count=count), held_out=HeldOut(0.2))


@pytest.fixture(scope="module")
def original(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("original") / "out"
    build(recipe_of(demo_model), out)
    return out


@pytest.fixture
def made(demo_model: Path, original: Path, tmp_path: Path) -> Made:
    """A build of its own for each test."""
    answers = Answers(resolve(str(demo_model)), answers=3)
    shutil.copytree(original, tmp_path / "out")
    return Made(answers, recipe_of(demo_model, answers), tmp_path / "out")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_rows_marked_bad_are_replaced_and_nothing_is_asked_twice(
    made: Made, demo_model: Path, tmp_path: Path
) -> None:
    before, card = made.rows(), made.folder / "README.md"
    assert "No person and no proof system" in card.read_text()
    bad = {*list(before)[:3], *list(before)[-2:]}
    assert made.take({name: "bad" if name in bad else "good" for name in before}) == OK
    assert made.rows() == before, "marks alone change no row"
    with (
        pytest.raises(BadInput, match=r"still has 5 rows that are marked bad; run the build again"),
        released(made.folder, "user/name"),
    ):
        pass
    asked = made.again()
    after = made.rows()
    assert "**Of 32 rows read by a person, 27 were good (68 to 93 %).**" in card.read_text()
    assert len(after) == len(before) == 32
    assert set(before) - set(after) == bad == made.dropped("reviewed")
    assert Counter(row["domain"] for row in after.values()) == {"algebra": 16, "geometry": 16}
    assert all(after[name] == before[name] for name in set(before) & set(after)), "no other row changes"
    assert made.again() == set(), "a finished build asks for nothing"

    # The accepted rows follow from the samples and the marks, not from the way to them.
    answers = Answers(resolve(str(demo_model)), answers=3)
    clean = recipe_of(demo_model, answers)
    clean = replace(clean, acceptance=replace(clean.acceptance, reviewed=tuple(sorted(bad))))
    build(clean, tmp_path / "clean", shard_rows=16)
    assert rows_in(tmp_path / "clean" / "candidates") == after
    assert asked <= sampled(answers)

    larger = made.again(recipe=recipe_of(demo_model, made.answers, count=18))
    assert not larger & asked
    assert len(made.rows()) == 36
    assert made.dropped("reviewed") == bad, "an extended build keeps the marks"


def test_a_build_that_dies_while_it_replaces_rows_goes_on(made: Made, demo_model: Path) -> None:
    before = list(made.rows())
    made.take(dict.fromkeys(before[:8], "bad"))
    dying = Dying(resolve(str(demo_model)), answers=3)
    dying.left = 8
    with pytest.raises(EngineError):
        build(recipe_of(demo_model, dying), made.folder, shard_rows=8, shards_in_flight=2)
    made.again()
    assert len(made.rows()) == 32
    assert made.dropped("reviewed") == set(before[:8])


WRONG = {
    "torn": ('{"id": "{0}", "ma', "line 2 of FILE is no JSON, or torn; export the marks again"),
    "no object": ("[1]", "line 2 of FILE is no object with an id; give id, mark and note"),
    "no id": ('{"mark": "bad"}', "line 2 of FILE is no object with an id; give id, mark and note"),
    "value": (
        '{"id": "{0}", "mark": "awful"}',
        "line 2 of FILE: its mark is '\"awful\"'; give good, bad or withdrawn",
    ),
    "number": ('{"id": "{0}", "mark": 1}', "line 2 of FILE: its mark is '1'; give good, bad or withdrawn"),
    "note": (
        '{"id": "{0}", "mark": "bad", "note": 3}',
        "line 2 of FILE: its note is no text; write it in quotes",
    ),
    "half a character": (
        '{"id": "{0}", "mark": "good", "note": "\\ud83d"}',
        "line 2 of FILE: its note holds half a character; write it again",
    ),
    "field": (
        '{"id": "{0}", "makr": "bad"}',
        "line 2 of FILE has the field 'makr'; a mark has id, mark, note, by, at",
    ),
    "unknown": (
        '{"id": "algebra-9", "mark": "bad"}',
        "line 2 of FILE: FOLDER has no row with the id 'algebra-9'; give marks of this build",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_line_is_named_and_nothing_is_taken(
    wrong: str, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(iter(rows_in(original / "candidates")))
    line, expected = WRONG[wrong]
    file = tmp_path / "marks.jsonl"
    file.write_text(json.dumps({"id": name, "mark": "good"}) + "\n" + line.replace("{0}", name) + "\n")
    assert main(["review", str(original), "--marks", str(file)]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said == f"magpie-hf: {expected.replace('FILE', str(file)).replace('FOLDER', str(original))}\n"
    assert not (original / "run" / KEPT).exists()


def test_torn_marks_stop_a_build(made: Made) -> None:
    good, bad = list(made.rows())[:2]
    gone = min(rows_in(made.folder / "run" / "dropped", "*/*.parquet"))
    marks = {good: "good", bad: "bad", gone: "bad"}
    made.take(marks)
    with pytest.raises(BadInput, match="or marks that were not built yet"):
        first_problems(made.recipe, made.folder, 2, lambda rows: None)
    made.again()
    first_problems(made.recipe, made.folder, 2, lambda rows: None)
    kept = made.folder / "run" / KEPT
    shares = precision(kept_marks(kept.parent).values())
    kept.write_text(kept.read_text().replace('"bad"', '"good"'))
    with pytest.raises(BadInput, match=r"marks.json is torn, and .* take the marks again"):
        made.again()
    kept.unlink()
    made.take(marks)
    made.again()
    assert made.dropped("reviewed") == {bad}, "marks that are taken again hold"
    again = precision(kept_marks(kept.parent).values())
    for group in ("all", "domain", "dropped"):
        assert again[group] == shares[group]
    # A sample that was dropped when it was read, and is accepted by now.
    labels = Labels("algebra", 1.0, "correctness")
    take(made.folder, [Mark(gone, "good")], {gone: labels})
    assert kept_marks(kept.parent)[gone].labels == labels


def test_a_mark_is_withdrawn_with_or_without_its_note(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "out")
    first, second = list(rows_in(original / "candidates"))[:2]
    file = tmp_path / "marks.jsonl"

    def taken(*lines: dict[str, Any]) -> dict[str, Mark]:
        file.write_text("\ufeff" + "".join(json.dumps(line) + "\n" for line in lines))
        assert main(["review", str(tmp_path / "out"), "--marks", str(file)]) == OK
        return {name: one.mark for name, one in kept_marks(tmp_path / "out" / "run").items()}

    marks = taken({"id": first, "mark": "bad"}, {"id": second, "mark": "bad", "at": "2026-01-01"})
    assert marks[second].at == "2026-01-01"
    assert abs(datetime.fromisoformat(marks[first].at or "").timestamp() - time.time()) < 60
    marks = taken({"id": first, "mark": "withdrawn"}, {"id": second, "mark": "withdrawn", "note": "so-so"})
    assert set(marks) == {second}
    assert (marks[second].mark, marks[second].note) == (None, "so-so")
    assert bad_rows(tmp_path / "out" / "run") == ()


def test_the_interval_is_wilsons() -> None:
    for right, read in [(0, 1), (1, 1), (3, 10), (187, 200), (30, 30), (0, 400)]:
        low, high = Share(right, read).interval
        assert 0 <= low <= right / read <= high <= 1
        for bound in (low, high):  # where the score test just holds
            if 0 < bound < 1:
                off = abs(right / read - bound) / math.sqrt(bound * (1 - bound) / read)
                assert off == pytest.approx(Z, abs=1e-5)
    assert [round(100 * bound) for bound in Share(187, 200).interval] == [89, 96]


def test_the_precision_is_that_of_a_count_by_hand(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    rows = made.rows()
    gone = sorted(rows_in(made.folder / "run" / "dropped", "*/*.parquet").values(), key=lambda row: row["id"])
    marks = {name: "bad" if at % 3 == 0 else "good" for at, name in enumerate(rows)}
    marks |= {row["id"]: "good" if at else "bad" for at, row in enumerate(gone[:4])}
    made.take(marks, "--json")
    said = json.loads(capsys.readouterr().out)
    good = [row for name, row in rows.items() if marks[name] == "good"]
    assert said["to_replace"] == said["bad"] == len(rows) - len(good)
    found = said["precision"]
    assert (found["all"]["all"]["right"], found["all"]["all"]["read"]) == (len(good), len(rows))
    for domain in ("algebra", "geometry"):
        assert found["domain"][domain]["right"] == sum(row["domain"] == domain for row in good)
    for level, (least, below) in {"1.00": (1, 2), "0.75-0.99": (0.75, 1), "0.50-0.74": (0.5, 0.75)}.items():
        inside = [row for row in rows.values() if least <= (row["majority_share"] or -1) < below]
        right = sum(row in good for row in inside)
        if inside:
            assert (found["majority_share"][level]["right"], found["majority_share"][level]["read"]) == (
                right,
                len(inside),
            )
    for kind in {row["pair_kind"] for row in rows.values()} - {None}:
        assert found["pair"][kind]["right"] == sum(row["pair_kind"] == kind for row in good)
    assert sum(one["read"] for one in found["dropped"].values()) == 4
    assert sum(one["right"] for one in found["dropped"].values()) == 1


def test_a_sheet_stands_for_the_dataset_and_can_be_filled_in(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sheet(name: str, *more: str) -> list[dict[str, Any]]:
        file = tmp_path / name
        assert main(["review", str(made.folder), "--sample", "16", *more, "--to", str(file)]) == OK
        return [json.loads(line) for line in file.read_text().splitlines()]

    first = sheet("first")
    assert sheet("same", "--seed", "0") == first
    assert {row["id"] for row in sheet("other", "--seed", "1")} != {row["id"] for row in first}
    rows = made.rows()
    assert len({row["id"] for row in first}) == 16
    assert all(row["problem"] == rows[row["id"]]["problem"] for row in first)
    strata = Counter(map(stratum, rows.values()))
    assert set(map(stratum, first)) == set(strata)
    for one, size in Counter(map(stratum, first)).items():
        assert abs(size - strata[one] / 2) <= 1, "in proportion"
    assert main(["review", str(made.folder), "--sample", "16", "--to", str(tmp_path / "first")]) == BAD_INPUT
    assert "is there already, and may hold marks" in capsys.readouterr().err
    assert main(["review", str(made.folder), "--marks", str(tmp_path / "first")]) == BAD_INPUT
    assert "holds no mark" in capsys.readouterr().err
    filled = [row | {"mark": "good"} if at < 5 else row for at, row in enumerate(first)]
    (tmp_path / "first").write_text("".join(json.dumps(row) + "\n" for row in filled))
    assert main(["review", str(made.folder), "--marks", str(tmp_path / "first")]) == OK
    assert set(kept_marks(made.folder / "run")) == {row["id"] for row in first[:5]}


def stratum(row: dict[str, Any]) -> tuple[str, float | None]:
    """The domain of a row and the level of its majority share."""
    share = row["majority_share"]
    return row["domain"], None if share is None else max(
        least for least in (0, 0.5, 0.75, 1) if least <= share
    )


def exported(page: Page) -> list[dict[str, Any]]:
    with page.expect_download() as download:
        page.click("#export")
    return [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]


def shown_precision(page: Page) -> list[list[str]]:
    page.keyboard.press("1")
    return [text.split("\t") for text in page.locator("#precision tbody tr").all_inner_texts()]


def test_marks_go_from_keys_to_a_file_and_to_a_build(
    made: Made, browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = report(made.folder, tmp_path / "report.html").file
    one = Opened.at(browser, file)
    page, rows = one.page, made.rows()
    page.focus("#scroll")
    page.keyboard.press("j")
    page.wait_for_selector("#marking")  # the texts of the first rows are unpacked
    for key in "gjbjnw":
        page.keyboard.press(key)
    page.keyboard.type("rong")
    page.keyboard.press("Escape")
    for key in "jbb":  # the same key again takes the mark back
        page.keyboard.press(key)
    page.keyboard.press("j")
    page.keyboard.press("b")
    assert page.inner_text("#marked") == "4 marked: 1 good, 2 bad"
    assert page.locator(".item .first .badge").all_inner_texts() == ["good", "bad", "with a note", "bad"]
    page.select_option("#by-mark", "bad")
    assert page.inner_text("#found").startswith("2 of ")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click("#tab-rows")
    assert page.inner_text("#marked") == "4 marked: 1 good, 2 bad", "the browser keeps them"
    lines = exported(page)
    names = list(rows)
    assert [(line["mark"], line["note"]) for line in lines] == [
        ("good", ""),
        ("bad", ""),
        (None, "wrong"),
        ("bad", ""),
    ]
    assert {line["id"] for line in lines} <= set(names)
    bad = {line["id"] for line in lines if line["mark"] == "bad"}
    marks = tmp_path / "exported.jsonl"
    marks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["review", str(made.folder), "--marks", str(marks), "--json"]) == OK
    said = json.loads(capsys.readouterr().out)
    assert (said["new"], said["bad"]) == (4, 2)
    table = {
        (group, name): share for group, shares in said["precision"].items() for name, share in shares.items()
    }
    shown = shown_precision(page)
    assert len(shown) == len(table)
    for (group, name), cells in zip(table, shown, strict=True):
        share = table[group, name]
        assert cells[2:4] == [str(share["read"]), str(share["right"])]
        low, high = share["interval"]
        assert cells[5] == f"{low:.1%} – {high:.1%}".replace("%", " %")
    page.evaluate("() => localStorage.clear()")
    page.close()

    made.again()
    assert len(made.rows()) == 32
    assert set(rows) - set(made.rows()) == bad
    assert "**A person read 3 of the rows;" in (made.folder / "README.md").read_text()
    later = Opened.at(browser, report(made.folder, tmp_path / "later.html").file).page
    assert later.inner_text("#marked") == "4 marked: 1 good, 2 bad", "the page shows what the build has taken"
    assert shown_precision(later) == shown
    later.click("#tab-rows")
    later.select_option("#by-show", "dropped")
    later.select_option("#by-mark", "bad")
    later.focus("#scroll")
    for _ in bad:  # the list keeps the rows that it showed at first
        later.keyboard.press("j")
        later.wait_for_selector('#marking .bad[aria-pressed="true"]')
        later.keyboard.press("b")
    later.evaluate(
        """() => {
            const key = Object.keys(localStorage).find((name) => localStorage[name].includes('"own"'));
            const kept = JSON.parse(localStorage[key]);
            kept.own["algebra-9"] = { mark: "bad", note: "" };
            localStorage[key] = JSON.stringify(kept);
            dispatchEvent(new StorageEvent("storage", { key }));
        }"""
    )
    assert later.inner_text("#marked").startswith("2 marked: 1 good, 0 bad")
    assert "1 marks are of rows that are not here any more" in later.inner_text("#marked")
    lines = exported(later)
    assert {line["id"] for line in lines if line["mark"] == "withdrawn"} == bad
    assert len(lines) == 4
    later.evaluate("() => localStorage.clear()")
    later.close()

    marks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["review", str(made.folder), "--marks", str(marks)]) == OK
    told = capsys.readouterr().out
    assert all(f"{name}: was bad, is unmarked" in told for name in bad)
    assert made.again() == set()
    assert made.rows() == rows, "a mark that is taken back brings the row back"


def test_a_page_takes_a_file_of_marks_or_says_what_is_wrong(
    made: Made, browser: Browser, tmp_path: Path
) -> None:
    names = list(made.rows())
    file = tmp_path / "sheet.jsonl"
    lines = [{"id": name, "mark": "good" if at < 2 else "", "note": ""} for at, name in enumerate(names[:5])]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    one = Opened.at(browser, report(made.folder, tmp_path / "report.html").file)
    page = one.page
    page.set_input_files("#file", file)
    page.wait_for_function("() => document.getElementById('found').textContent.startsWith('5 ')")
    assert page.inner_text("#marked") == "2 marked: 2 good, 0 bad"
    for wrong, said in {
        '{"id": "algebra-9", "mark": "bad"}': "Line 2 of wrong.jsonl names a row that is not here",
        '{"id": "algebra-9", "ma': "Line 2 of wrong.jsonl is no mark",
        f'{{"id": "{names[0]}", "mark": "no"}}': "Line 2 of wrong.jsonl is no mark",
    }.items():
        (tmp_path / "wrong.jsonl").write_text(json.dumps(lines[4] | {"mark": "bad"}) + f"\n{wrong}\n")
        page.set_input_files("#file", tmp_path / "wrong.jsonl")
        page.wait_for_selector("#marked .note")
        assert said in page.inner_text("#marked")
        page.set_input_files("#file", file)
        page.wait_for_function("() => document.getElementById('marked').textContent.startsWith('2 ')")
    page.evaluate("() => localStorage.clear()")
    one.close()

    page = browser.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    page.click("#tab-rows")
    assert "This browser keeps no marks" in page.inner_text("#marked")
    page.close()
