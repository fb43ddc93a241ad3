"""Benchmarks: how they are named, loaded and pinned, which problems repeat them, and what is said where one
cannot be had.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import differing
from datasets import Dataset, DatasetDict, Features, Value
from many_problems import CHANGES, problems
from test_stage import Script, byte_model, id_of

from magpie_hf.engines.base import CONTEXT_FULL, KILLED_ENGINE, Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.engines.journal import Journal, keeping
from magpie_hf.errors import BadInput
from magpie_hf.limits import ASKED_FROM
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.benchmarks import hub as benchmarks_hub
from magpie_hf.problems.benchmarks import loading
from magpie_hf.problems.benchmarks.loading import load_benchmark, load_benchmarks
from magpie_hf.problems.benchmarks.names import PRESETS, Benchmark, Loaded, NotChecked, benchmarks_of
from magpie_hf.problems.benchmarks.overlap import Index
from magpie_hf.schema import EMBEDDING
from magpie_hf.selection.nearest import NearestBenchmark
from magpie_hf.stage import fingerprint
from magpie_hf.stages.decontaminate import Decontaminate
from magpie_hf.stages.recognise import Recognise
from magpie_hf.store.rows import Rows, in_memory, seed_rows

# A benchmark of our own: nobody else has these problems.
FAKE = [
    (
        "A gardener plants 17 rows of tulips with 23 bulbs in each row, and every ninth bulb is yellow. How"
        " many bulbs are yellow?"
    ),
    (
        r"Let $f(x) = x^3 - 6x^2 + 11x - 6$ and let $r, s, t$ be its roots. Find the value of $r^2 s + s^2 t"
        r" + t^2 r$ when $r < s < t$."
    ),
    (
        "Find the number of ordered pairs of positive integers $(m, n)$ such that $3m + 7n = 1000$ and $m$ is"
        " a multiple of 5."
    ),
    r"In a triangle with sides of length 13, 20 and 21 a circle touches the longest side and passes through"
    r" the opposite vertex; its "
    r"centre lies on the altitude to the longest side. Find the radius of the circle.",
    r"Evaluate $\int_0^1 x^2 \, dx$.",
    (
        "Let $S$ be a set of 12 points in the plane, no three on a line. Some of the segments between them"
        " are sampled so that every point is an end of exactly five segments. Prove that some triangle has"
        " exactly one or exactly two of its sides sampled."
    ),
    (
        "A frog sits at the bottom of a well that is 30 metres deep. Each day it climbs 5 metres, and each"
        " night it slides back 3 metres while it sleeps. On which day does the frog first reach the top of"
        " the well?"
    ),
    "Find the largest prime below 50.",
]

# A problem, and what it repeats: the row and the measure, or nothing.
HITS: list[tuple[str, int, str]] = [
    (FAKE[0], 0, "whole"),
    (
        (
            "a gardener plants 17 rows of tulips, with 23 bulbs in each row and every ninth bulb is yellow;"
            " how many bulbs are yellow"
        ),
        0,
        "whole",
    ),
    (
        (
            r"Let \(f(x)=x^{3}-6x^{2}+11x-6\) and let \(r,s,t\) be its roots. Find the value of"
            r" \(r^2s+s^2t+t^2r\) when \(r<s<t\)."
        ),
        1,
        "whole",
    ),
    (r"Evaluate \(\int_{0}^{1} x^{2}\,dx\)", 4, "whole"),
    ("find the largest prime below 50", 7, "whole"),
    ("Emma asks: " + FAKE[0], 0, "8-grams"),
    (
        FAKE[0]
        + " Explain your reasoning step by step, check the result by another method, and state which theorem"
        " of elementary number theory you have used in each of the steps that you have taken; then"
        " generalise the result to a garden of arbitrary shape.",
        0,
        "8-grams",
    ),
    (FAKE[0].replace("tulips", "roses"), 0, "8-grams"),
    (FAKE[1].replace("Find the value of", "Determine"), 1, "whole"),
    (FAKE[2].replace("1000", "2000"), 2, "8-grams"),
    (FAKE[3].replace("Find", "Compute"), 3, "whole"),
    (FAKE[3].replace("21", "22"), 3, "8-grams"),
    (FAKE[5].replace("$S$", "$T$").replace("12 points", "14 points"), 5, "8-grams"),
    (FAKE[6].replace("30", "40"), 6, "8-grams"),
    (FAKE[6].replace("30", "45").replace("climbs 5", "climbs 7").replace("back 3", "back 4"), 6, "8-grams"),
    (
        "Each day a frog climbs 5 metres. "
        + FAKE[6].replace("Each day it climbs 5 metres, and each night", "Each night"),
        6,
        "8-grams",
    ),
    (FAKE[5].replace("exactly five", "exactly seven").replace("12", "16").replace("$S$", "$X$"), 5, ""),
    (
        (
            "In a triangle with sides 13, 20 and 21 a circle passes through the vertex opposite to the"
            " longest side and touches that side; its centre lies on the altitude to the longest side. Find"
            " the radius of the circle."
        ),
        3,
        "",
    ),
]
CLEAN: list[str] = [
    "Find the number of ordered pairs of positive integers $(m, n)$ such that $m^2 + n^2 = 50$.",
    "Find the number of ordered pairs of positive integers $(a, b)$ with $\\gcd(a, b) = 6$ and $a + b = 96$.",
    "Find the number of ordered pairs of positive integers.",
    "Find the largest prime below 60.",
    "Find the largest prime factor of 50.",
    r"Evaluate $\int_0^1 x^3 \, dx$.",
    r"Evaluate $\int_0^2 x^2 \, dx$.",
    r"Let $f(x) = x^3 - 6x^2 + 11x - 6$. Find all critical points of $f$ and say which are maxima.",
    "A gardener plants 17 rows of tulips. It takes her 4 minutes to plant a row. How long does she need?",
    "A frog climbs 5 metres a day. How long does it take to climb 30 metres?",
    (
        "Let $S$ be a set of 12 points in the plane, no three on a line. How many triangles have their"
        " vertices in $S$?"
    ),
    "In a triangle with sides of length 13, 20 and 21 find the length of the altitude to the longest side.",
    "Prove that every finite integral domain is a field.",
    r"Let $G$ be a group of order 15. Prove that $G$ is cyclic.",
    "How many integers between 1 and 500 are multiples of 3 or 5?",
    "What is the probability of at least 3 heads in 5 tosses of a fair coin?",
    r"関数 $f(x)=x^2-4x+7$ の最小値を求めよ。",
    "Find x.",
    "",
    r"$$\sum_{k=1}^{n} k^3$$",
]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "_LOADED", {})
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """The benchmark as a folder with a jsonl file, as `load_dataset` reads it."""
    return jsonl(tmp_path / "fake", [{"id": number, "problem": text} for number, text in enumerate(FAKE)])


def jsonl(folder: Path, rows: list[dict[str, Any]], name: str = "test.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def loaded(spec: str | Path) -> Loaded:
    (benchmark,) = benchmarks_of(str(spec))
    found = load_benchmark(benchmark)
    assert isinstance(found, Loaded), found
    return found


# --- which problems repeat a benchmark's --------------------------------------------------------------------


def test_table(fake: Path) -> None:
    index = Index([loaded(fake)])
    wrong = []
    for text, row, measure in HITS:
        found = index.find(text)
        if found is None or not found.startswith(f"fake/{row} ({measure}"):
            wrong.append(f"{found}, not {row} {measure}: {text}")
    missed = len(wrong)
    wrong += [
        f"{found}, but it is clean: {text}" for text in CLEAN if (found := index.find(text)) is not None
    ]
    print(f"{len(HITS)} repeats, {missed} missed; {len(CLEAN)} clean ones, {len(wrong) - missed} wrongly hit")
    print("\n".join(wrong))
    assert missed <= 1  # a row told in other words, and in another order
    assert len(wrong) == missed


def test_cases_of_each_kind() -> None:
    assert differing("contamination") == []


def test_many_problems_in_eight_changes() -> None:
    """A benchmark of 300 problems: found whatever their letters and typesetting, and no other with their
    numbers.
    """
    made = problems()
    texts = tuple(text for text, _ in made)
    index = Index([Loaded(Benchmark("many", "/many"), texts, tuple(map(str, range(len(texts)))))])
    for name, change in CHANGES.items():
        changed = [(row, change(text)) for row, text in enumerate(texts) if change(text) != text]
        found = sum(str(index.find(text)).startswith(f"many/{row} (") for row, text in changed)
        print(f"{name}: {found} of {len(changed)} found")
        assert found >= (0.8 if name == "number" else 0.95) * len(changed)
    assert [hit for _, other in made if (hit := index.find(other)) is not None] == []


def test_a_hit_names_row_measure_and_share(fake: Path) -> None:
    index = Index([loaded(fake)])
    assert index.find(FAKE[4]) == "fake/4 (whole)"
    assert index.find("Emma asks: " + FAKE[0]) == "fake/0 (8-grams 1.00)"
    assert index.find(FAKE[0].replace("tulips", "roses")) == "fake/0 (8-grams 0.96)"


def test_the_first_of_equal_rows_is_named(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "first", [{"problem": "nothing alike"}, {"problem": FAKE[0]}])
    second = jsonl(tmp_path / "second", [{"problem": FAKE[0]}])
    assert Index([loaded(first), loaded(second)]).find(FAKE[0]) == "first/1 (whole)"
    assert Index([loaded(second), loaded(first)]).find("Emma asks: " + FAKE[0]) == "second/0 (8-grams 1.00)"


# --- the stage ----------------------------------------------------------------------------------------------


def test_stage_over_no_benchmark_loads_nothing() -> None:
    rows = Dataset.from_dict({"problem": ["Find $x$.", FAKE[0]]})
    assert Decontaminate()({"problem": rows["problem"][:]})["contaminated_by"] == [None, None]
    mapped = rows.map(Decontaminate(), batched=True, features=None)
    assert mapped["contaminated_by"][:] == [None, None]


def test_stage(fake: Path) -> None:
    stage = Decontaminate((loaded(fake).benchmark,))
    batch = {"problem": ["Find $y$.", FAKE[0], None], "dropped": [None, None, "empty"]}
    assert stage(batch)["contaminated_by"] == [None, "fake/0 (whole)", None]


def test_identity_is_what_is_compared(fake: Path, tmp_path: Path) -> None:
    stage = Decontaminate((loaded(fake).benchmark,))
    moved = jsonl(tmp_path / "moved", [])
    (moved / "test.jsonl").write_bytes((fake / "test.jsonl").read_bytes())
    elsewhere = Benchmark("fake", str(moved), revision=stage.benchmarks[0].revision)
    assert Decontaminate((elsewhere,)) == stage
    assert fingerprint(Decontaminate((elsewhere,))) == fingerprint(stage)
    others = [
        Decontaminate(),
        Decontaminate(stage.benchmarks, coverage=0.7),
        Decontaminate(stage.benchmarks, near=0.9),
        Decontaminate((Benchmark("fake", str(fake), revision="sha256:0"),)),
    ]
    assert len({fingerprint(one) for one in [stage, *others]}) == 5
    assert fingerprint(Decontaminate(stage.benchmarks, near=1)) == fingerprint(
        Decontaminate(stage.benchmarks, near=1.0)
    )


def test_a_pickled_stage_loads_its_benchmarks_anew(fake: Path) -> None:
    stage = Decontaminate((loaded(fake).benchmark,))
    script = (
        "import pickle, sys; print(pickle.load(sys.stdin.buffer)({'problem':"
        " sys.argv[1:]})['contaminated_by'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, FAKE[0]],
        input=pickle.dumps(stage),
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.decode().strip() == "['fake/0 (whole)']"


def test_stage_refuses_what_it_could_not_find_again(fake: Path) -> None:
    with pytest.raises(BadInput, match="fake is not pinned to a revision; give what load"):
        Decontaminate(benchmarks_of(str(fake)))
    for wrong in (0, 1.1, float("nan")):
        with pytest.raises(BadInput, match="coverage is"):
            Decontaminate(coverage=wrong)


def test_a_local_benchmark_that_changes_is_noticed(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = loaded(fake).benchmark
    jsonl(fake, [{"problem": "another"}])
    monkeypatch.setattr(loading, "_LOADED", {})
    with pytest.raises(BadInput, match="has changed since the build began"):
        load_benchmark(pinned)
    assert loaded(fake).benchmark != pinned


# --- by meaning ---------------------------------------------------------------------------------------------


def embedded(rows: Rows, vectors: list[list[float] | None]) -> Rows:
    columns = {
        "embedding": vectors,
        "embedding_reason": [None] * len(vectors),
        "embedding_request": ["r"] * len(vectors),
    }
    return rows.joined(EMBEDDING, in_memory("embed", Features(EMBEDDING), columns))


def test_the_nearest_row_of_a_benchmark_that_is_near_enough() -> None:
    texts = ("One.", "Two.", "Three.", "Two again.", "Without.")
    nearest = NearestBenchmark(
        [Loaded(Benchmark("exam", "/exam", revision="sha256:1"), texts, tuple("abcde"))]
    )
    vectors: list[list[float] | None] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    for start, stop in ((2, 5), (0, 2)):  # shards may come in any order
        part = nearest.rows("algebra", start, stop)
        assert part.read(["problem"])["problem"].to_pylist() == list(texts[start:stop])
        assert nearest.take(embedded(part, [*vectors, None][start:stop])) == []
    near, far = [0.0, 0.8, 0.6], [ASKED_FROM - 0.01, 0.0, 0.0]
    samples = embedded(seed_rows("algebra", 0, 0, 5), [near, far, None, near, near])
    flags = {
        "contaminated_by": [None, None, None, "exam/a (whole)", None],
        "dropped": [None, None, None, None, "empty"],
    }
    features = Features(dict.fromkeys(flags, Value("string")))
    found = nearest.joined(samples.joined(features, in_memory("flags", features, flags)))
    assert np.array_equal(found.digests(["nearest_benchmark"]), samples.digests(["nearest_benchmark"])), (
        "so that an unfinished build is published without the benchmarks"
    )
    assert found.read(["nearest_benchmark"])["nearest_benchmark"].to_pylist() == [
        {"row": "exam/b", "problem": "Two.", "similarity": 0.8},
        *[None] * 4,
    ]


def test_two_times_yes_is_the_same_problem(tmp_path: Path) -> None:
    model = byte_model("chatml", tmp_path / "chatml")
    yes, no = '{"same":"yes"}', '{ "same": "no" }'
    lines: list[str | Completion] = [
        *(yes, yes),
        *(yes, no),
        *(no, Completion(yes, "length", 9, 16)),
        *(Completion("", CONTEXT_FULL, 9000, 0), Completion("", KILLED_ENGINE, 9, 0)),
        *('{"same":["yes"]}', "yes"),
    ]
    script = Script(model, [*lines, lines[6]])
    stage = Recognise(FakeEngine(model, script), ())
    near = {"row": "exam/7", "problem": "How many {x} are there?", "similarity": 0.813}
    rows = {
        "problem": [f"Count {number}." for number in range(7)],
        "contaminated_by": [*[None] * 6, "amc/1 (whole)"],
        "nearest_benchmark": [*[near] * 5, None, near],
    }
    out = stage(rows)
    assert out["contaminated_by"] == ["exam/7 (by meaning 0.81)", *[None] * 5, "amc/1 (whole)"]
    assert [one and (one["verdicts"], one["reason"]) for one in out["recognised"]] == [
        (["yes", "yes"], None),
        (["yes", "no"], None),
        (["no", "invalid"], "invalid"),
        ([CONTEXT_FULL, KILLED_ENGINE], CONTEXT_FULL),
        (["invalid", "invalid"], "invalid"),
        None,
        None,
    ]
    expected = Sampling(
        temperature=0.0, max_tokens=16, stop_token_ids=(id_of(model, "<|im_end|>"),), schema=stage.schema
    )
    assert [(sampling, seed) for _, sampling, seed in script.asked] == [(expected, 0)] * 10
    question = script.asked[0][0].rpartition("<|im_start|>user")[2]
    assert question.index("Count 0.") < question.index("How many {x} are there?")
    question = script.asked[1][0].rpartition("<|im_start|>user")[2]
    assert question.index("How many {x} are there?") < question.index("Count 0.")
    exam = Benchmark("exam", "/exam", revision="sha256:1")
    other = Recognise(stage.engine, (exam,))
    assert (fingerprint(other) == fingerprint(stage), other.reuse_key == stage.reuse_key) == (False, True)
    with keeping(Journal(known=stage.reusable(out))):
        again = stage(rows)
    assert len(script.asked) == 11, "but for the one without room, which costs nothing"
    assert [one and one["verdicts"] for one in again["recognised"]] == [
        one and one["verdicts"] for one in out["recognised"]
    ]


# --- names and files ----------------------------------------------------------------------------------------


def test_names() -> None:
    assert benchmarks_of("all") == tuple(PRESETS.values())
    assert {
        "hle",
        "aime_2024",
        "aime_2025",
        "math_500",
        "amc",
        "olympiad_bench",
        "gsm8k",
        "omni_math",
        "putnam",
    } == set(PRESETS)
    assert benchmarks_of("MATH-500") == (PRESETS["math_500"],)
    (one,) = benchmarks_of("owner/some.name:main@v1.0#Question")
    assert (one.name, one.source, one.config, one.revision, one.column) == (
        "some.name",
        "owner/some.name",
        "main",
        "v1.0",
        "Question",
    )
    (plain,) = benchmarks_of("owner/name")
    assert (plain.config, plain.revision, plain.column) == (None, None, None)
    for text in ("nothing", "", "a b", "/no/such/folder", "owner/name/more", "./here"):
        with pytest.raises(BadInput, match="is no problem set: not one of all, hle") as caught:
            benchmarks_of(text)
        assert "\n" not in str(caught.value)


def test_every_layout_is_read(tmp_path: Path) -> None:
    rows = Dataset.from_list([{"Question": text, "answer": "1"} for text in FAKE])
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    rows.to_parquet(parquet / "train-00000-of-00001.parquet")
    rows.save_to_disk(str(tmp_path / "saved"))
    DatasetDict({"train": rows, "test": rows.select([3])}).save_to_disk(str(tmp_path / "two"))
    rows.to_csv(str(tmp_path / "table.csv"), index=False)
    folder = jsonl(tmp_path / "lines", rows.to_list())
    places = [
        parquet,
        tmp_path / "saved",
        parquet / "train-00000-of-00001.parquet",
        tmp_path / "table.csv",
        folder,
        folder / "test.jsonl",
    ]
    for place in places:
        found = loaded(place)
        assert found.texts == tuple(FAKE), place
        assert found.rows == tuple(map(str, range(len(FAKE))))
        assert str(found.benchmark.revision).startswith("sha256:")
    both = loaded(tmp_path / "two")
    assert both.rows[-1] == "test/0"
    assert both.rows[0] == "train/0"


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    """One file a year, as benchmarks are handed on: each with its own columns, some of another kind."""
    folder = jsonl(tmp_path / "exam", [{"Question": FAKE[0]}], "2023.jsonl")
    jsonl(folder, [{"problem": FAKE[1], "level": 3}, {"problem": FAKE[2], "level": 4}], "2024.jsonl")
    jsonl(folder / "more", [{"aufgabe": FAKE[3]}], "2025.jsonl")
    jsonl(folder, [], "empty.jsonl")
    (folder / "scan.pdf").write_bytes(b"%PDF")
    (folder / "README.md").write_text("What this is.")
    found = loaded(folder)
    assert dict(zip(found.rows, found.texts, strict=True)) == {
        "2023/0": FAKE[0],
        "2024/0": FAKE[1],
        "2024/1": FAKE[2],
    }
    assert Index([found]).find(FAKE[2]) == "exam/2024/1 (whole)"
    said = load_benchmarks([found.benchmark])
    assert said[0] == found
    reasons = {one.name: one.reason for one in said[1:] if isinstance(one, NotChecked)}
    assert set(reasons) == {"exam/empty.jsonl", "exam/more/2025.jsonl", "exam/scan.pdf"}
    assert "its columns are aufgabe: name one of them" in reasons["exam/more/2025.jsonl"]
    assert reasons["exam/scan.pdf"].startswith("scan.pdf is no .jsonl, .json, .parquet, .csv file")
    assert not any("\n" in reason for reason in reasons.values())


def test_column(tmp_path: Path) -> None:
    rows = [
        {"aufgabe": FAKE[0], "number": 3},
        {"aufgabe": " ", "number": 4},
        {"aufgabe": FAKE[1], "number": 5},
    ]
    place = jsonl(tmp_path / "deutsch", rows)
    with pytest.raises(BadInput) as caught:
        loaded(place)
    assert (
        str(caught.value)
        == "the problem set deutsch has no column of texts that is known by its name; its columns are"
        " aufgabe, number: name one of them, as in PATH#COLUMN"
    )
    named = loaded(f"{place}#aufgabe")
    assert named.texts == (FAKE[0], FAKE[1])
    assert named.rows == ("0", "2")  # an empty text keeps its number
    with pytest.raises(BadInput, match="no column 'number' of texts"):
        loaded(f"{place}#number")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json\n", "cannot be read"),
        ("", "cannot be read|holds no text"),
        ('{"problem": ""}\n', "holds no text"),
    ],
)
def test_files_that_are_no_benchmark(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(BadInput, match=message) as caught:
        loaded(tmp_path / "test.jsonl")
    assert "\n" not in str(caught.value)


def test_other_things_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        loaded(tmp_path / "empty")
    (tmp_path / "notes.docx").write_text("notes")
    with pytest.raises(BadInput, match=r"is no \.jsonl, \.json, \.parquet, \.csv file"):
        benchmarks_of(str(tmp_path / "notes.docx"))
    with pytest.raises(BadInput, match="does not exist any more"):
        load_benchmark(Benchmark("gone", str(tmp_path / "gone")))
    with pytest.raises(BadInput, match="no split 'dev', only test"):
        load_benchmark(Benchmark("fake", str(jsonl(tmp_path / "fake", [{"problem": "x"}])), splits=("dev",)))


# --- the Hub: the real client against a server on this machine ----------------------------------------------

TOKEN = "hf_" + "secret" * 5
SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"---\n{}\n---\n",
    "test.jsonl": "".join(json.dumps({"problem": text}) + "\n" for text in FAKE).encode(),
}


class Hub(BaseHTTPRequestHandler):
    """Some of the Hub: fake/open can be had, fake/gated shows what it is and no more, fake/closed not even
    that, fake/broken fails.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "fake/open" in path or "fake/gated" in path:
            self.serve(path.split("/"), "fake/gated" in path)
        elif "fake/closed" in path:
            self.answer(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        elif "fake/broken" in path:
            self.answer(500, b"down")
        else:
            self.answer(
                404 if TOKEN in self.headers.get("Authorization", "") else 401,
                b"",
                {"X-Error-Code": "RepoNotFound"},
            )

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(
            200,
            json.dumps(
                [entry(name) for name in FILES if name.replace("/", "%2F") in body or name in body]
            ).encode(),
        )

    def serve(self, parts: list[str], gated: bool) -> None:
        if "revision" in parts and parts[-1] not in ("main", "v1", SHA):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif "auth-check" in parts or (gated and "resolve" in parts):
            refused = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this dataset is restricted"}
            self.answer(403, b"", refused) if gated else self.answer(200, b"{}")
        elif "resolve" in parts:
            name = "/".join(parts[parts.index("resolve") + 2 :])
            headers = {"ETag": f'"{name}"', "X-Repo-Commit": SHA}
            (
                self.answer(200, FILES[name], headers)
                if name in FILES
                else self.answer(404, b"", {"X-Error-Code": "EntryNotFound", **headers})
            )
        elif "tree" in parts:
            under = "/".join(parts[parts.index("tree") + 2 :])
            self.answer(200, json.dumps([entry(name) for name in FILES if name.startswith(under)]).encode())
        else:
            info = {
                "id": "/".join(parts[3:5]),
                "sha": SHA,
                "gated": "manual" if gated else False,
                "private": False,
                "tags": [],
            }
            self.answer(
                200, json.dumps({**info, "siblings": [{"rfilename": name} for name in FILES]}).encode()
            )

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def entry(name: str) -> dict[str, Any]:
    return {"type": "file", "oid": "0" * 40, "size": len(FILES[name]), "path": name}


@contextmanager
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join(10)


def asked(specs: list[str], endpoint: str, home: Path, **more: str) -> list[list[str]]:
    """What `load_benchmark` says of benchmarks in a process of its own, whose Hub is the endpoint: [kind,
    text] each.
    """
    script = """
import json, sys
from magpie_hf.errors import BadInput
from magpie_hf.problems.benchmarks.names import NotChecked, benchmarks_of
from magpie_hf.problems.benchmarks.loading import load_benchmark
for spec in sys.argv[1:]:
    try:
        found = load_benchmark(benchmarks_of(spec)[0])
    except BadInput as error:
        said = ["BadInput", str(error)]
    else:
        if isinstance(found, NotChecked):
            said = ["NotChecked", found.reason]
        else:
            one = found.benchmark
            said = ["Loaded", f"{one.name} {one.revision} {len(found.texts)} {found.rows[-1]}"]
    print("said", json.dumps(said))
"""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        **more,
    }
    command = [sys.executable, "-c", script, *specs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    said = [
        json.loads(line.removeprefix("said "))
        for line in done.stdout.splitlines()
        if line.startswith("said ")
    ]
    assert len(said) == len(specs)
    for _, text in said:
        assert TOKEN not in text
        assert "\n" not in text
    return said


def test_the_hub(tmp_path: Path) -> None:
    specs = [
        "fake/open",
        "fake/open@v1",
        "fake/open@v2",
        "fake/open#answer",
        "fake/gated",
        "fake/closed",
        "fake/none",
        "fake/broken",
        "hle",
    ]
    with hub() as endpoint:
        said = dict(zip(specs, asked(specs, endpoint, tmp_path), strict=True))
    assert said["fake/open"] == ["Loaded", f"open {SHA} {len(FAKE)} {len(FAKE) - 1}"]
    assert said["fake/open@v1"] == said["fake/open"]
    assert said["fake/open@v2"][0] == "BadInput"
    assert said["fake/open@v2"][1].startswith(
        "the Hub has no dataset revision 'v2' of fake/open, or your token may not see it; check"
    )
    assert said["fake/open#answer"][0] == "BadInput"
    assert "name one of them, as in fake/open#COLUMN" in said["fake/open#answer"][1]
    for name in ("fake/gated", "fake/closed"):
        assert said[name] == [
            "NotChecked",
            (
                f"{name} is gated and this machine's login may not read it; accept its terms on its page and"
                " log in with `hf auth login`"
            ),
        ]
    assert said["fake/none"][0] == "BadInput"
    assert said["fake/none"][1].startswith(
        "the Hub has no dataset fake/none, or your token may not see it; check the name"
    )
    assert said["fake/broken"][0] == "NotChecked"
    assert said["fake/broken"][1] == "the Hub could not be reached (HfHubHTTPError)"
    assert said["hle"] == [
        "NotChecked",
        "the Hub does not show cais/hle to this machine's login",
    ]  # a preset is no mistake of the user's


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (said,) = asked(["fake/open"], closed, tmp_path)
        (offline,) = asked(["fake/open"], closed, tmp_path, HF_HUB_OFFLINE="1")
    assert said == ["NotChecked", "the Hub could not be reached (ConnectError)"]
    assert offline == ["NotChecked", "the Hub could not be reached (OfflineModeIsEnabled)"]


def test_a_hub_that_does_not_answer_is_asked_once(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole in the network: connections are taken, and nothing ever comes."""
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{hole.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(benchmarks_hub, "_SECONDS", 0.3)
        *presets, mine = load_benchmarks([*PRESETS.values(), *benchmarks_of(str(fake))])
        hole.settimeout(0.2)
        paths = []
        with contextlib.suppress(TimeoutError):
            while True:
                client, _ = hole.accept()
                with client:
                    paths.append(client.recv(4096).split()[1].decode())
    assert [path for path in paths if "/datasets/" in path] == ["/api/datasets/cais/hle"]
    assert [one.name for one in presets if isinstance(one, NotChecked)] == list(PRESETS)
    assert {one.reason for one in presets if isinstance(one, NotChecked)} == {
        "the Hub could not be reached (ReadTimeout)"
    }
    assert isinstance(mine, Loaded)
