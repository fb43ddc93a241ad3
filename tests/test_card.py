"""The dataset card: true of the files, the same every time, in two languages, and harmless whatever stands in
the rows.
"""

from __future__ import annotations

import ast
import html
import importlib.util
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Timer
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta, nodes
from markdown_it import MarkdownIt

from conftest import ROOT, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.card import card, plots
from magpie_hf.card.markdown import code, escape, fence, final, link, quote, table
from magpie_hf.card.stats import Samples
from magpie_hf.dataset.folder import Folder
from magpie_hf.dataset.parquet import data_in
from magpie_hf.errors import BadInput
from magpie_hf.hub.lint.card import lint_card
from magpie_hf.models.known import ARMORM, KNOWN_SCORERS
from magpie_hf.models.model import resolve
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.review.calibration.record import Summary
from magpie_hf.schema import (
    CANDIDATES,
    CANDIDATES_CONFIG,
    OPINIONS,
    PUBLISHED,
    RL,
    TIR,
    TOPIC,
    WITH_DELTA,
    WITH_REFERENCE,
)
from magpie_hf.selection import reasons
from magpie_hf.store.splits import rows_of

PLOTS = True
REPO = "ada/sums"
Row = dict[str, Any]
Cells = dict[tuple[str, ...], str]


@pytest.fixture(scope="module")
def built(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of two domains with test splits and RL problems."""
    out = tmp_path_factory.mktemp("built")
    recipe = small_recipe(Answers(resolve(str(demo_model)), answers=3), count=24, k=5)
    build(replace(recipe, held_out=HeldOut(0.2, 3), rl_majority_share=0.3), out)
    return out


@pytest.fixture(scope="module")
def contents(built: Path) -> card.Contents:
    return Folder(built).contents(built.glob("*/*"))


@pytest.fixture
def plotless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plots, for what is about the text alone."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def text_of(contents: card.Contents, **options: Any) -> str:
    return card.files(contents, REPO, **options)["README.md"].decode()


def with_provenance(contents: card.Contents, **provenance: Any) -> card.Contents:
    return card.Contents({**contents.provenance, **provenance}, contents.samples, contents.data)


# --- what a card holds --------------------------------------------------------------------------------------


def front(text: str) -> Row:
    loaded: Row = yaml.safe_load(text.split("---\n", 2)[1])
    return loaded


def body(text: str) -> str:
    return text.split("---\n", 2)[2]


def headings(text: str) -> list[str]:
    tokens = MarkdownIt("commonmark").parse(body(text))
    return [f"{one.tag} {two.content}" for one, two in pairwise(tokens) if one.type == "heading_open"]


def fences(text: str) -> list[tuple[str, str]]:
    return [
        (token.info, token.content)
        for token in MarkdownIt("commonmark").parse(body(text))
        if token.type == "fence"
    ]


def cells(text: str) -> Cells:
    """Every number and every line of the card by its place: of tables by heading, row and column; of the
    metadata by its keys.
    """
    found: Cells = {}
    section, head, number = "", [], 0
    for line in body(text).split("\n"):
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("#"):
            section, number = line.lstrip("# "), 0
        if not row:
            head = []
            if line:
                found[section, f"line {number}"] = line
                number += 1
        elif not head:
            head = row
        elif not set(row[0]) <= set("-:"):
            name = " ".join(cell for cell in row if not re.match(r"[-\d—]", cell))[:60]
            found |= {
                (section, name, f"{column} {place}"): cell
                for place, (column, cell) in enumerate(zip(head, row, strict=True))
            }
    return {**found, **_leaves(front(text))}


def _leaves(value: Any, *place: str) -> Cells:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, inner in items for key, leaf in _leaves(inner, *place, str(name)).items()}
    return {("metadata", *place): str(value)}


def test_a_card_in_full(contents: card.Contents) -> None:
    text = text_of(contents)
    assert headings(text) == [
        "h1 Synthetic mathematics problems by SmolLM2-135M-Instruct",
        "h2 How to load",
        "h3 TRL and Unsloth",
        "h3 axolotl",
        "h3 LLaMA-Factory",
        "h3 OpenRLHF",
        "h3 NeMo RL",
        "h3 ms-swift",
        "h3 verl",
        "h2 Rows and tokens",
        "h2 Columns",
        "h2 One example per domain",
        "h3 algebra",
        "h3 geometry",
        "h2 From samples to pairs",
        "h2 Problems",
        "h3 Decontamination",
        "h2 Answers and pairs",
        "h2 Plots",
        "h2 How it was made",
        "h2 Intended use",
        "h2 Limits",
        "h2 Licence",
        "h2 Files",
        "h2 Citation",
    ]
    assert [config["config_name"] for config in front(text)["configs"]] == [
        "default",
        *("algebra", "algebra_rl", "geometry", "geometry_rl", "candidates"),
    ]
    assert [config["config_name"] for config in front(text)["configs"] if config.get("default")] == [
        "default"
    ]
    assert front(text)["size_categories"] == ["n<1K"]
    assert (front(text)["language"], front(text)["multilinguality"]) == (["en"], ["monolingual"])
    assert "48 mathematics problems in 2 domains" in text
    assert "{{" not in text.replace("{{{", "")
    assert "\n\n\n\n" not in text
    assert text.endswith(".\n")


@pytest.mark.parametrize("language", card.LANGUAGES)
def test_the_hub_would_take_it(contents: card.Contents, built: Path, language: str) -> None:
    files = card.files(contents, REPO, language=language)
    data = {
        f"{file.parent.name}/{file.name}": file
        for splits in contents.data.values()
        for split in splits.values()
        for file in split.files
    }
    assert lint_card(files.pop("README.md").decode(), {**files, **data}) == []


@pytest.mark.usefixtures("plotless")
def test_code_names_only_what_is_there(contents: card.Contents) -> None:
    text = text_of(contents)
    named = re.findall(r'load_dataset\("ada/sums"(?:, "(\w+)")?(?:, split="(\w+)")?\)', text)
    named += re.findall(r"name: (\w+)\n +split: (\w+)", text)
    named += [("", split) for split in re.findall(r"(?:_split |data_path: \S+\n +split: )(\w+)", text)]
    for language, source in fences(text):
        if language == "python":
            ast.parse(source)
        if language == "yaml":
            read = yaml.safe_load(source)
            assert REPO in (
                read["datasets"][0]["path"] if "datasets" in read else read["data"]["train"]["data_path"]
            )
        if language == "json":
            entries = json.loads(source)
            for entry in entries if isinstance(entries, list) else entries.values():
                assert REPO in (entry.get("hf_hub_url"), entry.get("hf_dataset_id"))
                [config], splits = entry.get("subsets", [""]), entry["split"]
                named += [(config, split) for split in (splits if isinstance(splits, list) else [splits])]
    assert len(named) == 23
    for config, split in named:
        assert split in ("", *contents.configs[config or "default"])
    files = [
        f"{file.parent.name}/{file.name}"
        for split in contents.data["algebra_rl"].values()
        for file in split.files
    ]
    assert re.findall(r'"data/([^"]+)"', text) == files


@pytest.mark.usefixtures("plotless")
def test_the_reward_for_verl_answers_in_threads(contents: card.Contents, tmp_path: Path) -> None:
    """verl calls it in threads, in which math-verify's own time limits raise (`make readers` runs verl)."""
    [code] = [source for language, source in fences(text_of(contents)) if source.startswith("# reward.py")]
    (tmp_path / "reward.py").write_text(code)
    spec = importlib.util.spec_from_file_location("custom_module", tmp_path / "reward.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    golds = [
        row["reward_model"]["ground_truth"]
        for split in contents.data["algebra_rl"].values()
        for row in rows_of(split, ["reward_model"])
    ]
    asked = [*((f"So it is $\\boxed{{{gold}}}$.", gold) for gold in golds), ("It is \\boxed{-17}.", golds[0])]
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda one: module.compute_score("magpie_hf/algebra", *one), asked))
    assert said == [1.0] * len(golds) + [0.0]
    workers = [worker for _ in range(4) if (worker := module.workers.get())]
    os.kill(workers[0].pid, signal.SIGSTOP)  # as one that hangs
    module.workers.put(workers[0])
    module.Timer = lambda seconds, end: Timer(seconds / 60, end)
    assert module.compute_score("magpie_hf/algebra", *asked[0]) == 0.0
    assert workers[0].wait() == -signal.SIGKILL
    module.Timer = Timer
    assert module.compute_score("magpie_hf/algebra", *asked[0]) == 1.0, "another one answers"
    for worker in (*workers, module.workers.get()):
        worker.kill()
        worker.communicate()


@pytest.mark.usefixtures("plotless")
def test_without_a_kind_of_rows_there_is_no_word_of_it(contents: card.Contents) -> None:
    data = {
        "geometry": {"train_sft": contents.data["geometry"]["train_sft"]},
        "candidates": contents.data["candidates"],
    }
    provenance = {**contents.provenance, "held_out": {"share": 0.0, "seed": 0}}
    for language in card.LANGUAGES:
        text = text_of(card.Contents(provenance, contents.samples, data), language=language)
        assert "SFTTrainer" in text
        for word in (
            "DPOTrainer",
            "GRPOTrainer",
            "verl",
            "argilla",
            "test_sft",
            "_rl",
            "eval_dataset",
            "magpie_prefs",
            "ORPO",
            "train_dpo",
            "rejected_key",
        ):
            assert word not in text
        assert [config["config_name"] for config in front(text)["configs"]] == [
            *("default", "geometry", "candidates")
        ]


def test_a_domain_without_a_row(contents: card.Contents) -> None:
    empty = {**contents.provenance["domains"][0], "key": "discrete"}
    samples = {**contents.samples, "discrete": Samples(7, {"length": 7}, {}, 0, 0, 0, 0)}
    provenance = {**contents.provenance, "domains": [empty, *contents.provenance["domains"]]}
    for language in card.LANGUAGES:
        files = card.files(card.Contents(provenance, samples, contents.data), REPO, language=language)
        text = files["README.md"].decode()
        assert "| `discrete` | — | 7 | 7 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |" in text
        assert "### discrete" not in text
        assert b"discrete: 0" in files["plots/scores.svg"]


@pytest.mark.usefixtures("plotless")
def test_numbers_are_those_of_the_files(contents: card.Contents) -> None:
    """Counted once more, in another way."""
    found = cells(text_of(contents))
    for domain in ("algebra", "geometry"):
        for split in ("train_sft", "test_sft", "train_prefs", "test_prefs"):
            rows = pq.read_table(contents.data[domain][split].files[0]).to_pylist()
            tokens = sorted(row["solution_tokens"] for row in rows)
            high = tokens[-(-95 * len(tokens) // 100) - 1]
            cell = (
                f"{sum(tokens):,} / {statistics.fmean(tokens):,.1f} / {statistics.median(tokens):,.1f} /"
                f" {high:,}"
            )
            assert found["Rows and tokens", f"`{domain}` `{split}`", "answer tokens 4"] == cell
            assert found["Rows and tokens", f"`{domain}` `{split}`", "rows 2"] == str(len(rows))
    rows = [
        row
        for split in contents.data["candidates"].values()
        for row in pq.read_table(split.files[0]).to_pylist()
    ]
    mine = [row for row in rows if row["domain"] == "algebra"]
    tries = [one for row in mine for one in row["candidates"]]
    assert found["From samples to pairs", "`algebra`", "problems 6"] == str(len(mine)) == "24"
    assert found["From samples to pairs", "`algebra`", "complete 10"] == str(
        sum(one["reason"] is None for one in tries)
    )
    majority_shares = [row["majority_share"] for row in mine if row["majority_share"] is not None]
    assert (
        found["Answers and pairs", "`algebra`", "mean majority share 6"]
        == f"{statistics.fmean(majority_shares):.2f}"
    )


# --- one row changed ----------------------------------------------------------------------------------------


def edited(
    contents: card.Contents,
    to: Path,
    config: str = "",
    split: str = "",
    index: int = 0,
    edit: Callable[[Row], Any] = dict,
) -> card.Contents:
    """The same files written anew, with one row edited."""
    for name, splits in contents.data.items():
        for key, rows in splits.items():
            old = pq.read_table(rows.files[0])
            values = old.to_pylist()
            if (name, key) == (config, split):
                edit(values[index])
            (to / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(values, old.schema), to / name / rows.files[0].name)
    return card.Contents(contents.provenance, contents.samples, data_in(to.glob("*/*"), contents.provenance))


def index_of(contents: card.Contents, config: str, split: str, where: Callable[[Row], bool]) -> int:
    """The first such row but for those that the card shows as examples."""
    rows = pq.read_table(contents.data[config][split].files[0]).to_pylist()
    return next(number for number, row in enumerate(rows) if number and where(row))


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """The places where two cards differ, and the plots that do. Not the size of the files, which compress."""
    one, two = (cells(files["README.md"].decode()) for files in (before, after))
    places = {
        key for key in one.keys() | two.keys() if one.get(key) != two.get(key) and "download_size" not in key
    }
    svgs = {
        path
        for path in before.keys() | after.keys()
        if path != "README.md" and before.get(path) != after.get(path)
    }
    return {": ".join(place) for place in places} | svgs


def _put(**values: Any) -> Callable[[Row], None]:
    return lambda row: row.update(values)


def _candidate(which: Callable[[Row], int], **values: Any) -> Callable[[Row], None]:
    return lambda row: row["candidates"][which(row)].update(values)


def _loser(row: Row) -> int:
    """A complete candidate that is in no pair."""
    taken = (row["chosen_index"], row["rejected_index"])
    return next(
        (
            place
            for place, one in enumerate(row["candidates"])
            if one["score"] is not None and place not in taken
        ),
        -1,
    )


def _pairless(row: Row) -> None:
    row.update(chosen_index=None, rejected_index=None, pair_kind=None, pair_reason="score_gap")


def is_style(row: Row) -> bool:
    return bool(row["domain"] == "algebra" and row["pair_kind"] == "score")


def has_loser(row: Row) -> bool:
    return bool(row["domain"] == "algebra" and row["pair_kind"] is not None and _loser(row) >= 0)


ROWS, FUNNEL, ANSWERS = (
    "Rows and tokens: `algebra` `{}`: {}",
    "From samples to pairs: `algebra`: {}",
    "Answers and pairs: `algebra`: {}",
)
SFT_TOKENS = "Rows and tokens: `algebra` `train_sft`: answer tokens 4"
CHANGES: dict[str, tuple[str, str, Callable[[Row], bool], Callable[[Row], None], set[str]]] = {
    "tokens of an answer": (
        "algebra",
        "train_sft",
        lambda row: True,
        _put(solution_tokens=5000),
        {SFT_TOKENS, "plots/answer_tokens.svg"},
    ),
    "tokens of a problem": (
        "algebra",
        "test_sft",
        lambda row: True,
        _put(problem_tokens=900),
        {ROWS.format("test_sft", "problem tokens 3"), "plots/problem_tokens.svg"},
    ),
    "tokens of a chosen answer": (
        "algebra",
        "train_prefs",
        lambda row: True,
        _put(chosen_tokens=3000),
        {ROWS.format("train_prefs", "chosen tokens 5")},
    ),
    "tokens of a candidate": (
        "candidates",
        "train",
        has_loser,
        _candidate(_loser, num_tokens=9000),
        {"Rows and tokens: `candidates` `train`: answer tokens 4"},
    ),
    "score of a candidate in no pair": (
        "candidates",
        "train",
        has_loser,
        _candidate(_loser, score=3.25),
        {"plots/scores.svg"},
    ),
    "score of a chosen one": (
        "candidates",
        "train",
        is_style,
        _candidate(lambda row: row["chosen_index"], score=50.0),
        {ANSWERS.format("their score gaps (quartiles) 5"), "plots/scores.svg", "plots/score_gaps.svg"},
    ),
    "majority_share": (
        "candidates",
        "test",
        lambda row: row["domain"] == "algebra" and row["majority_share"] == 0.5,
        _put(majority_share=1.0),
        {ANSWERS.format("mean majority share 6"), "plots/majority_share.svg"},
    ),
    "majority": (
        "candidates",
        "test",
        lambda row: row["domain"] == "algebra" and row["majority_answer"] is not None,
        _put(majority_answer=None),
        {ANSWERS.format("majorities 5")},
    ),
    "whether an answer agrees": (
        "algebra",
        "train_sft",
        lambda row: row["answer_checked"] == "majority",
        _put(answer_checked="minority"),
        {ANSWERS.format("SFT rows of the majority 8"), ANSWERS.format("of a minority 9")},
    ),
    "rank of an answer": (
        "algebra",
        "train_sft",
        lambda row: row["has_pair"],
        _put(answer_rank=2),
        {
            FUNNEL.format("answered 7"),
            ROWS.format("train_sft", "problem tokens 3"),
            *(
                ROWS.format("train_sft", f"{text} tokens {place}")
                for text, place in (("chosen", 5), ("rejected", 6))
            ),
            "plots/problem_tokens.svg",
        },
    ),
    "language": (
        "candidates",
        "train",
        lambda row: row["domain"] == "algebra",
        _put(language="ja"),
        {
            "Problems: `en`: `algebra` 1",
            *(f"Problems: `ja`: {column}" for column in ("language 0", "`algebra` 1", "`geometry` 2")),
            "metadata: language: 1",
            "metadata: multilinguality: 0",
            "Limits: line 5",
        },
    ),
    "pair": (
        "candidates",
        "train",
        is_style,
        _pairless,
        {
            FUNNEL.format("pairs 12"),
            *(
                f"From samples to pairs: pairs `score_gap` no two whose scores differ enough: {column}"
                for column in (
                    "left out 0",
                    "reason 1",
                    "meaning 2",
                    "`algebra` 3",
                    "`geometry` 4",
                )
            ),
            *(
                ANSWERS.format(column)
                for column in ("pairs 1", "score 4", "their score gaps (quartiles) 5", "chosen is longer 6")
            ),
            "plots/score_gaps.svg",
        },
    ),
    "a candidate that is cut": (
        "candidates",
        "train",
        has_loser,
        _candidate(_loser, reason="length"),
        {
            FUNNEL.format("complete 10"),
            FUNNEL.format("scored 11"),
            "From samples to pairs: candidates `length` was truncated at the token limit: `algebra` 3",
        },
    ),
    "a label": (
        "candidates",
        "train",
        lambda row: True,
        lambda row: row["tags"].update(difficulty="hard"),
        {
            f"Problems: difficulty `hard`: {column}"
            for column in ("label 0", "value 1", "`algebra` 2", "`geometry` 3")
        },
    ),
    "a text that no number is counted of": (
        "algebra",
        "train_sft",
        lambda row: True,
        _put(finish_reason="made"),
        set(),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_row_changes_every_number_that_depends_on_it_and_no_other(
    what: str, contents: card.Contents, tmp_path: Path
) -> None:
    config, split, where, edit, expected = CHANGES[what]
    before = card.files(edited(contents, tmp_path / "old"), REPO)
    index = index_of(contents, config, split, where)
    after = card.files(edited(contents, tmp_path / "new", config, split, index, edit), REPO)
    sizes = {
        place for place in changed(before, after) if re.search(r"num_bytes|dataset_size", place)
    }  # a text's length shows there alone
    loaded = (config, "default") if config in contents.samples else (config,)
    identities = {f"metadata: configs: {list(contents.configs).index(one)}: description" for one in loaded}
    in_all = {
        place.replace("`algebra`", "`default`")
        for place in expected
        if place.startswith("Rows and tokens: `algebra`")
    }
    assert changed(before, after) - sizes == {*expected, *in_all, *identities}


def test_a_row_of_another_domain(contents: card.Contents, tmp_path: Path) -> None:
    before = card.files(edited(contents, tmp_path / "old"), REPO)
    index = index_of(contents, "candidates", "train", is_style)
    after = card.files(
        edited(contents, tmp_path / "new", "candidates", "train", index, _put(domain="geometry")), REPO
    )
    places = changed(before, after)
    for domain in ("algebra", "geometry"):
        assert {
            f"Rows and tokens: `{domain}`: problems to train on 1",
            f"From samples to pairs: `{domain}`: problems 6",
        } <= places
        assert {
            f"Answers and pairs: `{domain}`: pairs 1",
            f"Answers and pairs: `{domain}`: score 4",
        } <= places
    assert {"Problems: `en`: `algebra` 1", "Problems: `en`: `geometry` 2"} <= places
    one, two = (cells(files["README.md"].decode()) for files in (before, after))
    assert int(one["From samples to pairs", "`algebra`", "problems 6"]) - 1 == int(
        two["From samples to pairs", "`algebra`", "problems 6"]
    )


@pytest.mark.usefixtures("plotless")
def test_thinking_is_warned_of_where_there_is_some(contents: card.Contents, tmp_path: Path) -> None:
    thought = edited(contents, tmp_path, "algebra", "train_sft", 3, _put(thinking="hm"))
    assert "<think>…</think>" not in text_of(contents)
    for language in card.LANGUAGES:
        assert "`<think>…</think>`" in text_of(thought, language=language)
        assert "DeepSeek-R1" in text_of(thought, language=language)


def test_the_same_bytes_every_time(contents: card.Contents, built: Path) -> None:
    again = Folder(built).contents(built.glob("*/*"))
    for language in card.LANGUAGES:
        assert card.files(contents, REPO, language=language) == card.files(again, REPO, language=language)


# --- hostile texts ------------------------------------------------------------------------------------------

HOSTILE = (
    "# A heading\n\n---\nlicense: mit\n---\n",
    "</blockquote><script>alert(1)</script><!-- ",
    "```\nends a fence\n````\n~~~",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "a\n:-\nb",
    "[link](javascript:alert(1)) ![image](https://example.org/x.png) <https://example.org>",
    "*em* **strong** _em_ `code` ~~gone~~ &lt;b&gt; &#60;i&#62;",
    "Setext\n===\n\n    indented code\n\n1. list\n- list\n+ list\n> quote\n",
    "{{ repo }} {% raw %} {# comment #}",
    "$x<y$ and $\\href{javascript:alert(1)}{x}$ $\\def\\a{\\a}\\a$ \\\\(not a formula\\\\) $$ never closed",
    "\\(a\\\\) [x](y)\\) $[x](https://example.org)$ $<img src=x onerror=alert(1)>$",
    "\u202edesrever\u202c\x1b[31m\x00\r\nline\rline\u2028line",
    "[^1]: a footnote\n[ref]: https://example.org\n<details>\n<summary>",
    "x" * 20_000,
    "$" * 5_000,
    "\\[" * 5_000,
)


@pytest.mark.usefixtures("plotless")
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_row_is_shown_and_does_nothing(text: str, contents: card.Contents, tmp_path: Path) -> None:
    hostile = edited(
        contents, tmp_path, "algebra", "train_sft", 0, _put(problem=text, solution=text, majority_answer=text)
    )
    for language in card.LANGUAGES:
        calm, after = (text_of(one, language=language) for one in (contents, hostile))
        assert front(after)["license"] == "cc-by-nc-4.0"
        assert kinds(after) == kinds(calm)
        assert len(after) < len(calm) + 60_000


def kinds(text: str) -> dict[str, int]:
    """How many there are of everything in a card that is more than text."""
    found: dict[str, int] = {}
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(body(text))
    for token in (inner for outer in tokens for inner in (outer, *(outer.children or []))):
        if token.type not in (
            "text",
            "inline",
            "softbreak",
            "hardbreak",
            "paragraph_open",
            "paragraph_close",
        ):
            found[token.type] = found.get(token.type, 0) + 1
    return found


def shown_text(markdown: str) -> str:
    """What a reader sees of it, in one line."""
    rendered = re.sub(
        r"<br />|</?(p|blockquote)>",
        " ",
        MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown),
    )
    assert "<" not in rendered
    return " ".join(html.unescape(rendered).split())


@given(
    st.text(
        st.characters(exclude_characters="\\$", exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"))
        | st.sampled_from("\n#-*_[]()<>&`|!~+=:.1")
    )
)
def test_any_text_is_shown_as_it_is(text: str) -> None:
    quoted, shown = quote(text, 10_000)
    assert shown == len(text.strip())
    assert shown_text(quoted) == " ".join(text.split())
    assert shown_text(escape(text)) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Let $x^2 < 3$.", r"Let \\(x^2 \lt 3\\)."),
        (r"So \(a_1\) and \[b \\ c\]", r"So \\(a_1\\) and $$ b \\ c $$"),
        ("$$\n\\frac{1}{2} % a remark\n= y\n$$", r"$$ \frac{1}{2} = y $$"),
        (
            r"\begin{align*} a &= b \\ c &= d \end{align*}",
            r"$$ \begin{align*} a &= b \\ c &= d \end{align*} $$",
        ),
        ("It costs $5 or $6.", "It costs &#36;5 or &#36;6."),
        (r"\$5 and \$6", "&#92;&#36;5 and &#92;&#36;6"),
        (r"$\href{x}{y}$", "&#36;&#92;href{x}{y}&#36;"),
        (r"$\gdef\x{y}$", r"&#36;&#92;gdef&#92;x{y}&#36;"),
        (r"$\left( x \right)$", r"\\(\left( x \right)\\)"),
        (r"\(a \\( b\)", r"\\(a \\ ( b\\)"),
        ("$a { b$", "&#36;a { b&#36;"),
        ("$a`b$ and $c`d$", "&#36;a&#96;b&#36; and &#36;c&#96;d&#36;"),
        ("$$a\n\nb$$", "&#36;&#36;a"),
    ],
)
def test_formulas_for_the_hub(text: str, shown: str) -> None:
    assert quote(text, 1000)[0].split("\n")[0].removeprefix("> ").rstrip() == shown


@pytest.mark.usefixtures("plotless")
def test_long_texts_are_cut_between_words_and_never_in_a_formula(
    contents: card.Contents, tmp_path: Path
) -> None:
    assert quote("one two three", 9) == ("> one two …  ", 7)
    assert quote("one $x + y + z$ two", 10) == ("> one …  ", 4)
    assert quote("one $x$ two", 8)[0] == "> one \\\\(x\\\\) …  "
    long = edited(contents, tmp_path, "algebra", "train_sft", 0, _put(solution="word $x$ " * 1000))
    shown = re.search(r"\*\*Answer\*\* \(([\d,]+) of ([\d,]+) characters\)", text_of(long))
    assert shown is not None
    assert int(shown[1].replace(",", "")) in range(card.MOST_OF_ANSWER - 20, card.MOST_OF_ANSWER + 1)
    assert shown[2] == "8,999"


@pytest.mark.usefixtures("plotless")
def test_hostile_names(contents: card.Contents) -> None:
    bad = "a | b <script> `x` [y](z)\n# h"
    models = [
        {**model, "name": bad, "revision": bad, "licence": {"name": bad, "duty": bad, "link": "javascript:x"}}
        for model in contents.provenance["models"]
    ]
    domains = [
        {**domain, "subject": bad, "japanese": bad, "pre_query_prefix": f"```\n{bad}"}
        for domain in contents.provenance["domains"]
    ]
    same = {
        "models": contents.provenance["models"],
        "benchmarks": [{"name": "x", "revision": "y", "rows": 1}],
        "not_checked": [{"name": "x", "reason": "y"}],
    }
    hostile = {
        "benchmarks": [{"name": bad, "revision": bad, "rows": 1}],
        "not_checked": [{"name": bad, "reason": bad}],
        "asked_with": f"````\n{bad}",
    }
    for language in card.LANGUAGES:
        calm = kinds(text_of(with_provenance(contents, **same), language=language))
        text = text_of(
            with_provenance(contents, models=models, domains=domains, **hostile), language=language
        )
        after = kinds(text)
        assert calm.pop("code_inline") > after.pop("code_inline")  # what is no plain name is text
        assert after == calm
        assert len(set(re.findall(r"^\|.*\|$", text, re.MULTILINE))) > 20


def test_markdown_pieces() -> None:
    assert code("a_b-1.0") == "`a_b-1.0`"
    assert code("a|b") == "a&#124;b"
    assert final(r"\frac{1}{2}", 20) == r"\\(\frac{1}{2}\\)"
    assert [final(text, 20) for text in ("12", "a|b", "{", "x" * 30)] == [
        "12",
        "a&#124;b",
        "{",
        "x" * 20 + " …",
    ]
    assert fence("a ``` b") == "````text\na ``` b\n````"
    assert link("MIT", "https://opensource.org/license/mit") == "[MIT](https://opensource.org/license/mit)"
    assert link("MIT", "javascript:x") == link("MIT", None) == "MIT"
    assert table(["a", "b"], [["x", "1"], ["y", "—"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | — |"


# --- languages ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plotless")
def test_both_languages_are_one_card(contents: card.Contents) -> None:
    english, japanese = (text_of(contents, language=language) for language in ("en", "ja"))
    assert front(english) == front(japanese)
    assert [heading[:2] for heading in headings(english)] == [heading[:2] for heading in headings(japanese)]
    assert fences(english) == fences(japanese)
    assert kinds(english) == kinds(japanese)
    assert numbers(english) == numbers(japanese)
    assert re.search("[ぁ-ん]", body(english)) is None


def numbers(text: str) -> list[str]:
    """The cells of all tables that begin with a digit."""
    return [
        cell
        for line in body(text).split("\n")
        if line.startswith("|")
        for cell in line.split(" | ")
        if cell[:1].isdigit()
    ]


def test_both_templates_use_the_same_variables() -> None:
    environment = card._environment()
    used = []
    for language in card.LANGUAGES:
        tree = environment.parse((card.FOLDER / f"dataset.{language}.md.jinja").read_text(encoding="utf-8"))
        paths = {_path(node) for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name))}
        used.append(
            (
                meta.find_undeclared_variables(tree),
                {path for path in paths if path and not path.startswith("domain.")},
            )
        )
    assert used[0] == used[1]


def _path(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    return None


def test_every_reason_and_every_column_has_a_meaning_in_both_languages() -> None:
    english, japanese = (card.words(language) for language in ("en", "ja"))
    assert set(reasons.REASONS) == set(japanese["reasons"]) == set(english["reasons"])
    opinions = [*TOPIC, *(name for columns in OPINIONS.values() for name in columns)]
    for words in (english, japanese):
        assert {kind: list(meanings) for kind, meanings in words["columns"].items()} == {
            "domain": [*PUBLISHED, *WITH_REFERENCE, *WITH_DELTA["texts"], *opinions],
            "candidates": [*CANDIDATES, *WITH_REFERENCE, *WITH_DELTA[CANDIDATES_CONFIG], *opinions],
            "rl": [*RL, *opinions],
            "tir": [*TIR, *WITH_REFERENCE, *opinions],
        }  # fmt: skip
    assert all(re.search("[ぁ-んァ-ヶ一-龠]", meaning) for meaning in japanese["reasons"].values())


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return len(value) if isinstance(value, list) else type(value)


def test_an_unknown_language(contents: card.Contents) -> None:
    with pytest.raises(BadInput, match=r"no card in the language 'fr'; choose one of en, ja"):
        card.files(contents, REPO, language="fr")


# --- licences, parts of builds, other provenance ------------------------------------------------------------


@pytest.mark.usefixtures("plotless")
def test_licences(contents: card.Contents) -> None:
    name = "mine"
    nobodys = with_provenance(
        contents, models=[{**model, "name": name, "licence": None} for model in contents.provenance["models"]]
    )
    assert f"| {name} | not stated | — | — |" in text_of(nobodys)
    assert f"| {name} | 記載なし | — | — |" in text_of(nobodys, language="ja")
    given = {name: {"name": "Apache-2.0", "duty": "attribution"}}
    assert f"| {name} | Apache-2.0 | attribution | who built it |" in text_of(nobodys, licences=given)
    japanese = card.files(nobodys, REPO, licences=given, language="ja")
    assert f"| {name} | Apache-2.0 | 帰属表示が必要です | 作成者 |" in japanese["README.md"].decode()
    assert japanese["LICENSE"] == card.files(nobodys, REPO, licences=given)["LICENSE"], "English in both"
    known = {
        "name": "MIT",
        "duty": "attribution",
        "link": "https://opensource.org/license/mit",
        "source": "known",
    }
    models = [
        {**model, "name": "org/model", "revision": "a" * 40, "licence": known}
        for model in contents.provenance["models"]
    ]
    text = text_of(with_provenance(contents, models=models))
    assert "| org/model | [MIT](https://opensource.org/license/mit) | attribution | magpie_hf |" in text
    given = {"org/model": {"name": "other", "duty": ""}}
    assert "| org/model | other | — | who built it |" in text_of(
        with_provenance(contents, models=models), licences=given
    )
    assert f"| [org/model](https://huggingface.co/org/model) | `{'a' * 40}` |" in text


@pytest.mark.usefixtures("plotless")
@pytest.mark.parametrize(("language", "word"), [("en", "forbids"), ("ja", "禁じられています")])
def test_what_a_scorers_licence_forbids_stands_beside_the_recipes_of_pairs(
    language: str, word: str, contents: card.Contents
) -> None:
    duty = KNOWN_SCORERS[ARMORM].duty
    models = [dict(model) for model in contents.provenance["models"]]
    models = [{**model, "steps": [step for step in model["steps"] if step != "scores"]} for model in models]
    armorm = {**models[0], "name": "org/ArmoRM", "steps": ["scores"]}
    for licence, times in (({"name": "llama3", "duty": duty}, 6), ({"name": "mit", "duty": "none"}, 0)):
        text = text_of(
            with_provenance(contents, models=[*models, {**armorm, "licence": licence}]), language=language
        )
        found = [line for line in text.split("\n") if line.startswith("**") and "org/ArmoRM" in line]
        assert len(found) == times
        assert all(word in line or duty in line for line in found)
        if times:
            recipes = (
                "DPOTrainer(",
                "chat_template.argilla_chat",
                '"ranking": true',
                "train_dpo",
                "BinaryPreferenceDataset",
                '"rejected": "rejected_messages"',
            )
            for recipe in recipes:
                before = text[: text.rindex("```", 0, text.index(recipe))]
                assert before.rstrip().endswith(found[0]), recipe


@pytest.mark.usefixtures("plotless")
def test_a_name_and_a_citation_of_its_own(contents: card.Contents) -> None:
    name = "Synthetic mathematics by SmolLM2-135M-Instruct (Magpie): algebra, geometry"
    for language in ("en", "ja"):
        text = text_of(contents, language=language)
        assert front(text)["pretty_name"] == name
        (cited,) = [code for info, code in fences(text) if info == "bibtex" and code.startswith("@misc{")]
        assert f"title        = {{{name}}},\n" in cited
        assert "author       = {ada},\n" in cited
        assert f"howpublished = {{\\url{{https://huggingface.co/datasets/{REPO}}}}},\n" in cited
        assert contents.provenance["versions"]["magpie-hf"] in cited
        assert cited.count("{") == cited.count("}")
    hostile = [{**model, "name": "org/a}{\\b"} for model in contents.provenance["models"]]
    (cited,) = [
        code
        for _, code in fences(text_of(with_provenance(contents, models=hostile)))
        if code.startswith("@misc{")
    ]
    assert cited.count("{") == cited.count("}")
    assert "title        = {Synthetic mathematics by ab (Magpie)" in cited
    assert (
        "author" not in card.files(contents, card.PLACEHOLDER)["README.md"].decode().split("@misc")[1][:300]
    )


@pytest.mark.usefixtures("plotless")
def test_what_a_calibration_says_of_the_labels(contents: card.Contents) -> None:
    numbers = Summary(0.5, 200, 150, 125, "ada/sums").to_card()
    known = with_provenance(contents, calibration=numbers, opinions=["checker"])
    text, japanese = (" ".join(text_of(known, language=one).split()) for one in ("en", "ja"))
    assert (
        "share of at least 0.5 were right in **83 %** (77 to 88) of 150 cases when the same solver answered"
        " 200 problems with known answers (ada/sums)." in text
    )
    assert "150 問のうち **83 %**(77〜88 %)が正解でした" in japanese
    for one, word in ((text, "calibration"), (japanese, "較正")):
        assert f"| {word} | 200 | 125 (62.5%) | 25 (12.5%) | 50 (25.0%) |" in one
    assert "known answers" not in text_of(contents)


def test_a_part_of_a_build_says_so(contents: card.Contents) -> None:
    part = {"algebra": (24, 1000), "geometry": (24, 24)}
    english, japanese = (
        body(text_of(contents, unfinished=part, language=language)) for language in card.LANGUAGES
    )
    assert "not finished" not in text_of(contents)
    assert (
        "> **This build is not finished.** It holds 24 of 1,000 problems of `algebra`, 24 of 24 problems of"
        " `geometry`." in english
    )
    assert "`algebra` が 1,000 問中 24 問" in japanese
    assert english.index("not finished") < english.index("## How to load")


@pytest.mark.usefixtures("plotless")
def test_tagger_embedder_benchmarks_and_openings(contents: card.Contents) -> None:
    (model,) = contents.provenance["models"]
    steps = ["problems", "answers", "labels", "embeddings", "comparisons", "scores"]
    provenance = {
        "models": [{**model, "steps": steps}],
        "domains": [{**domain, "first_token": 1.2} for domain in contents.provenance["domains"]],
        "benchmarks": [{"name": "exam", "revision": "b" * 40, "rows": 1234}],
        "not_checked": [
            {"name": "amc", "reason": "no network"},
            {"name": "hle", "reason": "it is gated"},
            {"name": "gsm8k", "reason": "no network"},
        ],
        "scorer": {**contents.provenance["scorer"], "objectives": ["one", "two"]},
    }
    samples = {
        key: replace(one, contaminated={"exam": 2}, tagged=30, on_domain=15)
        for key, one in contents.samples.items()
    }
    full = card.Contents({**contents.provenance, **provenance}, samples, contents.data)
    text = text_of(full)
    assert f"| exam | `{'b' * 40}` | 1,234 | 4 |" in text
    assert "- hle: **not checked**, it is gated." in text
    unread = [{"name": "hle", "reason": "the Hub could not be reached (no network)"}]
    japanese = text_of(with_provenance(full, not_checked=unread), language="ja")
    assert "- hle: **未確認**(Hub に接続できませんでした(no network))" in japanese
    assert "- amc, gsm8k: **not checked**, no network." in text
    assert "| `algebra` | 50.0% of 30 |" in text
    assert "at a temperature of its own: `algebra` 1.2, `geometry` 1.2." in text
    assert "hold, in this order: one, two." in text
    assert "close in the embeddings of" in text
    assert "the same in other words or in another language" in text
    for off_topic in ("drop", "move", "keep"):
        acceptance = {**contents.provenance["acceptance"], "off_topic": off_topic}
        for language in card.LANGUAGES:
            assert "`average`" in text_of(with_provenance(full, acceptance=acceptance), language=language)


# --- a user's template --------------------------------------------------------------------------------------

HEAD = "---\n{{ metadata }}\n---\n"


def test_a_template_of_the_users(contents: card.Contents, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text(
        HEAD + '{% import "parts.md.jinja" as parts with context %}\n# Mine: {{ repo }}\n\n{{ tables.funnel'
        " }}\n\n{{ parts.load() }}\n"
    )
    files = card.files(contents, REPO, template=template)
    text = files["README.md"].decode()
    assert front(text) == front(text_of(contents))
    assert "# Mine: ada/sums" in text
    assert "| `algebra` | — | 33 |" in text
    assert set(files) == set(card.files(contents, REPO))


BROKEN = {
    "an unknown variable": (
        HEAD + "\n{{ nothing }}\n",
        (
            r"line 5 of the template \S+ cannot be rendered \(UndefinedError: 'nothing' is undefined\);"
            r" correct it: the variables are calibration, "
        ),
    ),
    "an unknown part": (HEAD + "{{ tables.nothing }}\n", r"line 4 of .* has no attribute 'nothing'"),
    "a syntax error": (HEAD + "\n\n{% if %}\n", r"line 6 of .*TemplateSyntaxError"),
    "an unknown filter": (HEAD + "{{ repo | shout }}\n", r"line 4 of .*No filter named 'shout'"),
    "an error of an expression": (HEAD + "{{ 1 / 0 }}\n", r"line 4 of .*ZeroDivisionError"),
    "another file": (HEAD + '{% include "/etc/passwd" %}\n', r"line 4 of .*TemplateNotFound"),
    "the insides of Python": (HEAD + "{{ ''.__class__.__mro__ }}\n", r"line 4 of .*(unsafe|undefined)"),
    "a change of what others read": (HEAD + "{{ words.update({}) }}\n", r"line 4 of .*SecurityError"),
    "no metadata": ("# {{ repo }}\n", r"does not begin with the metadata"),
}


@pytest.mark.usefixtures("plotless")
@pytest.mark.parametrize("what", BROKEN)
def test_a_template_that_cannot_be_rendered(what: str, contents: card.Contents, tmp_path: Path) -> None:
    text, complaint = BROKEN[what]
    template = tmp_path / "mine.jinja"
    template.write_text(text)
    with pytest.raises(BadInput, match=complaint) as error:
        card.files(contents, REPO, template=template)
    assert "\n" not in str(error.value)


def test_every_name_that_a_template_is_given_is_listed(contents: card.Contents, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text(HEAD + "{{ [" + ", ".join(card.NAMES) + "] | length }} names")
    assert text_of(contents, template=template).endswith(f"{len(card.NAMES)} names\n")
    assert sorted(card.NAMES) == sorted({*card._variables(contents, REPO, "en", {}, {}), "plots"})


def test_a_template_is_checked_without_a_build(tmp_path: Path) -> None:
    for what in ("an unknown variable", "a syntax error", "an unknown filter"):
        text, complaint = BROKEN[what]
        (tmp_path / "mine.jinja").write_text(text)
        with pytest.raises(BadInput, match=complaint):
            card.check_template(tmp_path / "mine.jinja")


def test_a_template_that_cannot_be_read(contents: card.Contents, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "gone.jinja", tmp_path, tmp_path / "binary"):
        with pytest.raises(BadInput, match="cannot be read") as error:
            card.files(contents, REPO, template=path)
        assert "\n" not in str(error.value)


@pytest.mark.usefixtures("plotless")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "does not end within 1 seconds",
        ),
        ('{% set big = "x" * 4000000000 %}{{ big | length }}', "MemoryError"),
    ],
    ids=["time", "memory"],
)
def test_a_template_has_bounds(
    text: str, complaint: str, contents: card.Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magpie_hf.card.apart.SECONDS", 1.0)
    (tmp_path / "mine.jinja").write_text(HEAD + text)
    with pytest.raises(BadInput, match=complaint) as error:
        card.files(contents, REPO, template=tmp_path / "mine.jinja")
    assert "\n" not in str(error.value)


def test_templates_are_strict() -> None:
    with pytest.raises(jinja2.UndefinedError):
        card._environment().from_string("{{ nothing }}").render()


# --- plots --------------------------------------------------------------------------------------------------

SAMPLE = """
import hashlib, json, random, sys, warnings
warnings.simplefilter("error")
from magpie_hf.card import plots
sample = random.Random(0)
names = ["algebra", "calculus", "geometry", "statistics", "number_theory", "discrete"]
many = {name: {"a": [int(sample.lognormvariate(7, 1)) for _ in range(5000)]} for name in names}
kinds = ("correctness", "score")
two = {name: {kind: [sample.gauss(1, 1) for _ in range(2000)] for kind in kinds} for name in names}
made = plots.render([
    plots.Plot("many", "tokens", many, logarithmic=True),
    plots.Plot("two", "score gap", two),
    plots.Plot("none", "nothing", {"x": {"a": []}}),
    plots.Plot("one", "one", {"x": {"a": [1]}, "y": {}}),
    plots.Plot("zero", "zero", {"x": {"a": [0, 0, 9]}}, True, (0, 9)),
])
print(json.dumps({name: [len(svg), hashlib.sha256(svg).hexdigest()] for name, svg in made.items()}))
"""


def test_the_same_plots_in_two_processes(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\naxes.grid: True\n")
    outputs = []
    for seed, folder in (("1", ROOT), ("2", tmp_path)):
        environment = {
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": seed,
            "HOME": str(tmp_path),
            "MPLCONFIGDIR": str(tmp_path / "none"),
        }
        done = subprocess.run(
            [sys.executable, "-c", SAMPLE],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1]
    assert set(outputs[0]) == {"many", "two", "one", "zero"}
    assert all(size < 55_000 for size, _ in outputs[0].values())


def test_plots_of_a_build(contents: card.Contents) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    files = card.files(contents, REPO)
    assert dict(matplotlib.rcParams) == before
    names = ["problem_tokens", "answer_tokens", "scores", "score_gaps", "majority_share"]
    assert list(files) == ["README.md", "LICENSE", "recipe.yaml", *(f"plots/{name}.svg" for name in names)]
    for path, svg in files.items():
        if path.endswith(".svg"):
            assert f"]({path})" in files["README.md"].decode()
            assert svg.startswith(b"<?xml")
            assert b"algebra: " in svg
            assert b"dc:date" not in svg
            assert len(svg) < 50_000


def test_without_matplotlib_there_is_no_plot_and_somebody_says_so(
    contents: card.Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plots.missing() is None
    assert "## Plots" in text_of(contents)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'magpie-hf[plots]'" in str(plots.missing())
    for language, heading in (("en", "## Plots"), ("ja", "## 図")):
        files = card.files(contents, REPO, language=language)
        assert list(files) == ["README.md", "LICENSE", "recipe.yaml"]
        assert heading not in files["README.md"].decode()
        assert ".svg" not in files["README.md"].decode()


def test_a_build_writes_its_card_and_plots(contents: card.Contents, built: Path) -> None:
    record = json.loads((built / "run" / "build.json").read_text())
    assert len([path for path in record["files"] if path.endswith(".svg")]) == 5
    for path, content in card.files(contents, card.PLACEHOLDER).items():
        assert (built / path).read_bytes() == content


def test_the_version_goes_with_templates_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(card.FOLDER, tmp_path / "cards")
    assert len({card.version(card.FOLDER), card.version(tmp_path / "cards")}) == 1
    (tmp_path / "cards" / "words.ja.yaml").write_text("x: y")
    changed = card.version(tmp_path / "cards")
    assert changed != card.VERSION
    monkeypatch.setattr(plots, "VERSION", plots.VERSION + 1)
    assert card.version(tmp_path / "cards") != changed
