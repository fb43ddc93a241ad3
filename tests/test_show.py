"""`magpie-hf show`: rows of a build on the terminal, whatever is in them, and whatever the terminal is."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import CANDIDATES, PROBLEMS, SOLUTIONS, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, FAILED, OK
from magpie_hf.cli.main import main
from magpie_hf.engines.base import Completion
from magpie_hf.models.model import resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.report.finding import Finished, Place, Shown
from magpie_hf.report.showing.layout import Layout
from magpie_hf.store.records import read_record
from magpie_hf.store.shards import write_record
from magpie_hf.text.language import use
from magpie_hf.text.terminal import console

HOSTILE = "\u202etxet $\\alpha$ [bold]x[/bold]"  # control characters are no part of any row


@dataclass
class Thinking(Answers):
    """Answers that think first, with formulas, and some samples that are no problems."""

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = super().__call__(prompt, sampling, seed)
        if sampling.temperature == PROBLEMS and seed % 4 == 0:
            return replace(
                completion, text="Hello! How are you today? My cat is called Tom.", finish_reason="stop"
            )
        if sampling.temperature in (SOLUTIONS, CANDIDATES) and completion.finish_reason == "stop":
            text = (
                f"<think>\nLet us see. {HOSTILE}\n</think>\n\nFirst $x^{{10}} \\leq \\frac{{1}}{{2}}$."
                f" {HOSTILE} {completion.text}"
            )
            return replace(completion, text=text)
        return completion


@pytest.fixture(scope="module")
def folder(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of two domains, with test splits and problems for reinforcement learning."""
    out = tmp_path_factory.mktemp("show") / "out"
    recipe = small_recipe(Thinking(resolve(str(demo_model)), answers=2), count=8)
    build(replace(recipe, rl_majority_share=0.1, held_out=HeldOut(0.3)), out)
    return out


def shown(folder: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["show", str(folder), *words]) == OK
    return capsys.readouterr().out


def rows_of(folder: Path, pattern: str) -> list[dict[str, object]]:
    return [
        row
        for file in sorted(folder.glob(pattern), key=lambda file: "test" in file.name)
        for row in pq.read_table(file).to_pylist()
    ]


def test_the_first_rows_come_from_each_domain_in_turn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown(folder, "-n", "4", capsys=capsys)
    expected = [
        rows_of(folder, f"{domain}/*_sft-*.parquet")[at]["id"]
        for at in (0, 1)
        for domain in ("algebra", "geometry")
    ]
    assert re.findall(r"^=== (\S+)  (?:train|test)_sft$", said, re.MULTILINE) == expected
    everything = shown(folder, "-n", "999", capsys=capsys)
    assert everything.count("=== ") == len(rows_of(folder, "*/*_sft-*.parquet"))
    assert "  test_sft\n" in everything


def test_a_row_says_what_is_in_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(row for row in rows_of(folder, "algebra/train_sft-*.parquet") if row["has_pair"])
    said = shown(folder, "--id", str(row["id"]), capsys=capsys)
    assert (
        f"answer 1 of 1 ({row['solution_tokens']:,} tokens)\n  [{len(str(row['thinking'])):,} characters of"
        " thinking; --thinking" in said
    )
    assert "  First x¹⁰ ≤ ¹⁄₂. " in said
    assert "Let us see" not in said
    assert f"final answer: {row['answer']}\n" in said
    assert f"majority share: {row['majority_share']:.0%} of {row['answer_votes']} votes" in said
    assert (
        f"pair: {row['pair_kind']}, chosen {row['score_chosen']:.2f}, rejected {row['score_rejected']:.2f},"
        " score gap " in said
    )
    thought = shown(folder, "--id", str(row["id"]), "--thinking", "--raw", capsys=capsys)
    assert "Let us see" in thought
    assert "First $x^{10} \\leq \\frac{1}{2}$." in thought


def test_every_split_can_be_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = (
        json.loads(line)
        for line in shown(folder, "--split", "prefs", "-n", "1", "--json", capsys=capsys).splitlines()
    )
    said = shown(folder, "--split", "prefs", "--id", row["id"], capsys=capsys)
    assert f"chosen: score {row['score_chosen']:.2f}, {row['chosen_tokens']} tokens\n" in said
    assert said.index("chosen: ") < said.index("rejected: ")
    (row,) = (
        json.loads(line)
        for line in shown(folder, "--split", "candidates", "-n", "1", "--json", capsys=capsys).splitlines()
    )
    said = shown(folder, "--split", "candidates", "--id", row["id"], capsys=capsys)
    assert len(re.findall(r"^candidate \d: ", said, re.MULTILINE)) == len(row["candidates"]) == 3
    assert f"candidate {row['chosen_index'] + 1}: chosen, " in said
    for one in row["candidates"]:
        assert (f"answer {one['answer']}" if one["answer"] else f"[incomplete: {one['reason']}]") in said
    assert "ground truth: $\\boxed{" in shown(folder, "--split", "rl", "-n", "1", capsys=capsys)
    dropped = shown(folder, "--split", "dropped", "-n", "999", "--domain", "geometry", capsys=capsys)
    assert "dropped: chat\n" in dropped
    assert "sample\n  Hello! How are you today?" in dropped
    assert "=== algebra-" not in dropped


def test_samples_can_be_seen_while_a_build_runs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled = [
        json.loads(line)
        for line in shown(folder, "--split", "samples", "-n", "999", "--json", capsys=capsys).splitlines()
    ]
    published = {row["id"]: row["problem"] for row in rows_of(folder, "candidates/*.parquet")}
    dropped = {row["id"]: row["reason"] for row in rows_of(folder, "run/dropped/*/*.parquet")}
    assert set(published) | set(dropped) <= {row["id"] for row in sampled}
    assert all(
        row["problem"] == published[row["id"]] and row["dropped"] is None
        for row in sampled
        if row["id"] in published
    )
    assert {row["dropped"] for row in sampled if row["id"] in dropped} == set(dropped.values())
    said = shown(
        folder,
        "--split",
        "samples",
        "--id",
        next(key for key, reason in dropped.items() if reason == "chat"),
        capsys=capsys,
    )
    assert "sample\n  Hello! How are you today?" in said
    assert "dropped: chat\n" in said
    shutil.copytree(folder / "run" / "algebra", tmp_path / "out" / "run" / "algebra")
    record = read_record(folder / "run" / "build.json")
    write_record(tmp_path / "out" / "run" / "build.json", {**record, "finished": None})
    assert shown(tmp_path / "out", "--split", "samples", "-n", "2", capsys=capsys).count("=== algebra-") == 2
    (shard,) = (tmp_path / "out" / "run" / "algebra").glob("clean-*/*.arrow")
    whole = pa.ipc.open_stream(pa.memory_map(str(shard))).read_all()
    before = shown(tmp_path / "out", "--split", "samples", "-n", "99", "--json", capsys=capsys)
    for at, stop in ((0, 4), (4, len(whole))):  # as where a build went on with smaller shards
        file = str(shard.with_name(f"{at:07d}-{stop:07d}.arrow"))
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole.slice(at, stop - at))
    shard.unlink()
    assert shown(tmp_path / "out", "--split", "samples", "-n", "99", "--json", capsys=capsys) == before
    for one in shard.parent.glob("*.arrow"):
        one.unlink()
    first = json.loads(shown(tmp_path / "out", "--split", "samples", "-n", "1", "--json", capsys=capsys))
    assert first["raw_instruction"]
    assert (first["problem"], first["dropped"]) == (None, None), "it was not cleaned yet"
    assert "=== algebra-" in shown(tmp_path / "out", "--split", "samples", capsys=capsys)
    shard.write_bytes(b"torn")
    for kind in ("samples", "dropped"):
        assert main(["show", str(tmp_path / "out"), "--split", kind]) == BAD_INPUT
        assert re.search(
            r"\.arrow cannot be read \(\w+\); run the build again, which writes it anew\n$",
            capsys.readouterr().err,
        )


def test_nothing_that_a_terminal_obeys_reaches_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--thinking"], ["--raw"], ["--json"], ["--split", "candidates"], ["--split", "prefs"]):
        said = shown(folder, "-n", "99", *words, capsys=capsys)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
        assert "\\u202e" in said
        assert "[bold]x[/bold]" in said


def test_a_terminal_that_knows_no_unicode_gets_latex(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["show", str(folder), "-n", "1"]) == OK
    assert b"  First $x^{10} \\leq \\frac{1}{2}$." in raw.getvalue()


def test_a_model_cannot_write_lines_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "id": "x",
        "problem": "p",
        "tags": {},
        "solution": "$1$\n=== y  test",
        "majority_share": None,
        "answer_votes": 0,
    }
    Layout(console()).show(Shown("rl", "train", row))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "=== x  train",
        "problem",
        "  p",
        "ground truth: $1$ === y test",
        "majority share: none (fewer than two candidates have an answer)",
        "",
    ]


def test_random_rows_are_the_same_for_a_seed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ids(*words: str) -> list[str]:
        return re.findall(r"^=== (\S+)", shown(folder, "-n", "6", *words, capsys=capsys), re.MULTILINE)

    assert ids("--seed", "1") == ids("--random", "--seed", "1") != ids()
    assert ids("--seed", "1") != ids("--seed", "2")
    assert len(set(ids("--random"))) == 6


def test_json_is_the_whole_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, *others = shown(folder, "-n", "1", "--json", capsys=capsys).splitlines()
    assert json.loads(line) == {"split": "train_sft", **rows_of(folder, "algebra/train_sft-*.parquet")[0]}
    assert not others


def test_rows_of_a_large_file_are_found_wherever_they_lie(tmp_path: Path) -> None:
    import pyarrow as pa

    file = tmp_path / "train_sft-00000-of-00001.parquet"
    pq.write_table(
        pa.table({"id": [f"id-{number}" for number in range(1000)], "messages": ["x"] * 1000}),
        file,
        row_group_size=150,
    )
    wanted = [999, 0, 149, 150, 151, 431, 432, 300]
    assert [
        shown.row
        for shown in Finished(tmp_path, {}, True).read(
            "sft", [Place(file, number) for number in wanted], whole=False
        )
    ] == [{"id": f"id-{number}"} for number in wanted]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-n", "0"], "-n is 0; give at least 1 row"),
        (["-n", "-3"], "-n is -3; give at least 1 row"),
        (["-n", "many"], "argument -n: 'many' is not a whole number"),
        (["--domain", "algbra"], "'algbra' is not a domain of the build in {folder}; did you mean algebra?"),
        (
            ["--domain", "alchemy"],
            "'alchemy' is not a domain of the build in {folder}; choose from algebra, geometry",
        ),
        (["--domain", ""], "'' is not a domain"),
        (["--id", "nobody"], "no row in sft has the id 'nobody'; leave out --id to see rows with their ids"),
        (["--split", "all"], "argument --split: invalid choice: 'all'"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(folder), *words]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.err.startswith(f"magpie-hf: {line.format(folder=folder)}")
    assert said.err.count("\n") == 1
    assert not said.out


def test_a_row_of_another_split_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dropped = json.loads(shown(folder, "--split", "dropped", "-n", "1", "--json", capsys=capsys))["id"]
    assert main(["show", str(folder), "--id", dropped]) == BAD_INPUT
    assert (
        f"no row in sft has the id '{dropped}'; it is in dropped, samples: choose one with --split"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", ["show", "status"])
@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("missing", "{folder} does not exist; give the --out folder of a build"),
        ("empty", "{folder} is empty; give the --out folder of a build"),
        ("a file", "{folder} is a file; give the --out folder of a build"),
        ("another's", "{folder} holds no build (no run/build.json); give the --out folder of a build"),
        ("torn", "{folder}/run/build.json cannot be read (JSONDecodeError); run the build again"),
        ("no object", "{folder}/run/build.json cannot be read (no JSON object); run the build again"),
        ("newer", "{folder} was made by a newer version of magpie_hf (99.0.0, format "),
        ("newer provenance", "{folder} was made by a newer version of magpie_hf (0.1.0, format "),
    ],
)
def test_a_folder_that_is_no_build_of_this_version(
    harm: str, line: str, command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    record = out / "run" / "build.json"
    if harm == "a file":
        out.write_text("text")
    elif harm != "missing":
        out.mkdir()
    if harm == "another's":
        (out / "thesis.tex").write_text("text")
    if harm in ("torn", "no object", "newer", "newer provenance"):
        shutil.copytree(folder / "run", out / "run", ignore=shutil.ignore_patterns("*.arrow"))
        text = json.dumps(read_record(record))
        new = {
            "torn": text[:200],
            "no object": "[1]",
            "newer": text.replace('"magpie_hf": "0.1.0"', '"magpie_hf": "99.0.0"'),
        }
        record.write_text(new.get(harm, text))
    if harm == "newer provenance":
        provenance = read_record(out / "run" / "provenance.json")
        write_record(out / "run" / "provenance.json", {**provenance, "format": provenance["format"] + 1})
    assert main([command, str(out)]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.err.startswith(f"magpie-hf: {line.format(folder=out)}")
    assert said.err.count("\n") == 1
    assert not said.out


def test_an_unfinished_build_says_what_there_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(
        folder, out, ignore=shutil.ignore_patterns("*.arrow", "algebra", "candidates", "*_rl", "geometry")
    )
    record = read_record(out / "run" / "build.json")
    del record["finished"]
    write_record(out / "run" / "build.json", record)
    assert main(["show", str(out)]) == BAD_INPUT
    assert f"{out} is not finished and has no rows in sft; it has nothing yet" in capsys.readouterr().err
    shutil.copytree(folder / "geometry", out / "geometry")
    assert main(["show", str(out), "-n", "1"]) == OK
    said = capsys.readouterr()
    assert said.out.startswith("=== geometry-")
    assert said.err == f"magpie-hf: {out} is not finished; these rows are of its last finished state\n"


def test_a_torn_file_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(folder, tmp_path / "out", ignore=shutil.ignore_patterns("*.arrow"))
    (file,) = (tmp_path / "out" / "algebra").glob("train_sft-*.parquet")
    file.write_bytes(file.read_bytes()[:-100])
    assert main(["show", str(tmp_path / "out")]) == BAD_INPUT
    assert (
        capsys.readouterr().err
        == f"magpie-hf: {file} cannot be read (ArrowInvalid); run the build again, which writes it anew\n"
    )


def test_rows_of_another_version_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path / "out", ignore=shutil.ignore_patterns("*.arrow"))
    for file in (tmp_path / "out").glob("*/*.parquet"):
        rows = pq.read_table(file)
        pq.write_table(rows.drop_columns("majority_share"), file)
    for command, line in (
        ("show", "lacks the column 'majority_share', so another version"),
        ("report", "cannot be read (KeyError)"),
    ):
        assert main([command, str(tmp_path / "out")]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert line in error


def test_a_pipe_that_is_closed_early_is_no_error_of_ours(folder: Path) -> None:
    for words in (
        ["show", str(folder), "-n", "99"],
        ["show", str(folder), "--json"],
        ["status", str(folder)],
    ):
        command = [sys.executable, "-m", "magpie_hf", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stderr
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == FAILED
        closed = subprocess.run(
            ["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, timeout=60, check=False
        )
        assert (closed.returncode, closed.stdout, closed.stderr) == (OK, b"", b"")


def test_japanese(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(["--lang", "ja", "show", str(folder), "-n", "1"]) == OK
    finally:
        use("en")
    said = capsys.readouterr().out
    assert "\n問題\n" in said
    assert "\n最終的な答え: " in said
