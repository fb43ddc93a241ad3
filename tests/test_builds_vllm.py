"""Whole builds of the tiny model on real vLLM: by a script, by the command line, stopped, and killed."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset

from chromium import Opened, chromium
from conftest import FAST, ROOT, outlived
from magpie_hf import chat_of, resolve
from magpie_hf.answers.programs.sandbox import Sandbox
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.engines import journal
from magpie_hf.errors import BadInput
from magpie_hf.progress.captured_output import LEVEL
from magpie_hf.progress.speed import read as read_speed
from magpie_hf.stages.solving import JAPANESE_INSTRUCTION
from magpie_hf.store.records import read_record
from tiny_model import JAPANESE

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs


def run(*command: str, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    given = {
        name: value for name, value in os.environ.items() if name != LEVEL
    }  # which an engine in this process has set
    done = subprocess.run(
        [sys.executable, *command],
        env=given,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode in codes, done.stderr[-2000:]
    return done.stdout


@pytest.mark.smoke
@pytest.mark.parametrize("form", ["llm_engine", "async_llm"])
def test_one_domain_end_to_end_and_again(form: str, tiny_model: Path, tmp_path: Path) -> None:
    """The recipe to copy, with options for a CPU: a build, then the same again, which loads no engine."""
    options = ["--model", str(tiny_model), "--dtype", "float32", "--engine", form, "--kv-cache-gb", "0.5"]
    short = ["--tagger", "none", "--max-tokens", "256", "--max-model-len", "4096"]
    recipe = ["build", str(ROOT / "recipes" / "own_domain.yaml"), "--out", "out", "--count", "3"]
    command = ["-m", "magpie_hf", *recipe, *options, *short]
    first = run(*command, cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert "instruct" in first
    assert first.count("of 4 trial answers") >= 1
    rows = load_dataset(str(tmp_path / "out"), "logic", split="train_sft", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == len(set(rows["id"])) > 0
    assert not any(chat_of(resolve(str(tiny_model))).special_pattern.search(row["solution"]) for row in rows)
    again = run(*command, cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert "trial answers" not in again
    assert again.splitlines()[-1] == first.splitlines()[-1]


def test_a_japanese_build_keeps_problems_and_no_greetings(japanese_model: Path, tmp_path: Path) -> None:
    options = ["--model", str(japanese_model), "--language", "ja", "--domains", "algebra", "--count", "8"]
    small = ["--k", "2", "--max-tokens", "400", "--instruction-max-tokens", "256", "--max-model-len", "4096"]
    judging = ["--tagger", "none", "--min-yield", "0", "--kv-cache-gb", "0.5", "--dtype", "float32"]
    command = ["-m", "magpie_hf", "build", *options, *small, *judging, "--decontaminate", "none"]
    said = run(*command, "--out", "out", cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert re.search(r"algebra +\d+ sampled -> 8 problems \(.*[1-9]\d* chat", said)
    files = [str(file) for file in (tmp_path / "out" / "algebra").glob("*_sft-*.parquet")]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 8
    assert set(rows["language"]) == {"ja"}
    assert {row["generation"]["asked_with"] for row in rows} == {f"user: {JAPANESE_INSTRUCTION}"}
    assert not set(rows["problem"]) & set(JAPANESE.chat)
    read = [row for row in rows if row["answer"]]
    assert len(read) >= 4
    for row in read:
        number = row["answer"].removesuffix("個")
        end = JAPANESE.ends[int(number) % len(JAPANESE.ends)]
        assert row["solution"].endswith(end.format(n=number))


def test_the_readme_example_runs(tiny_model: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text()
    (example,) = re.findall(r"```python\n(# A library.*?)```", text, flags=re.DOTALL)
    assert len(example.strip().splitlines()) <= 15
    model = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert model in example
    (tmp_path / "example.py").write_text(
        example.replace(f'"{model}"', f'{str(tiny_model)!r}, dtype="float32"')
    )
    assert "train_prefs" in run("example.py", cwd=tmp_path)


def test_the_command_line_with_a_second_model_as_solver(tiny_model: Path, tmp_path: Path) -> None:
    """Problems by one model, answers by another: each is loaded once, and the rows say who said what."""
    other = tmp_path / "other"
    other.mkdir()
    for file in tiny_model.iterdir():
        (other / file.name).symlink_to(file)
    (other / "generation_config.json").unlink()
    arguments = [
        "-m",
        "magpie_hf",
        "build",
        "--model",
        str(tiny_model),
        "--solver",
        str(other),
        "--domains",
        "algebra,calculus",
    ]
    small = [
        "--count",
        "3",
        "--k",
        "2",
        "--instruction-max-tokens",
        "96",
        "--max-tokens",
        "160",
        "--kv-cache-gb",
        "1",
        "--out",
        "out",
        "--rl-majority-share",
        "0.5",
        "--off-topic",
        "keep",
        "--min-quality",
        "very poor",
        "--unsolvable",
        "keep",
        *FAST,
    ]
    said = run(*arguments, *small, cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert re.search(r"algebra +\d+ sampled -> 3 problems", said)
    assert "INFO" not in said
    assert "Initializing a V1 LLM engine" in (tmp_path / "out" / "run" / "log.txt").read_text(), (
        "what vLLM says is in the log"
    )
    loaded = [event for event in read_speed(tmp_path / "out") if event["event"] in ("opened", "closed")]
    names = {event["engine"] for event in loaded if event["event"] == "closed"}
    assert (
        names
        == {event["engine"] for event in loaded if event["event"] == "opened"}
        == {tiny_model.name, "other"}
    )
    assert all(event["seconds"] > 0.1 for event in loaded if event["event"] == "opened")
    files = [str(file) for file in (tmp_path / "out").glob("*/train_*.parquet")]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) > 0
    for row in rows:
        assert row["generation"]["problem_model"] == tiny_model.name
        assert row["generation"]["response_model"] == "other"
    assert "finished" in run("-m", "magpie_hf", "status", "out", cwd=tmp_path)
    assert "report.html: " in run("-m", "magpie_hf", "report", "out", cwd=tmp_path)
    with chromium() as browser:
        opened = Opened.at(browser, tmp_path / "out" / "report.html")
        assert opened.page.inner_text("#found").startswith("6 of ")
        assert rows[0]["id"] in opened.open(rows[0]["id"])
        assert opened.page.locator("#detail .candidate").count() == 2
        opened.close()
    script = (
        "import sys; from magpie_hf.cli.main import main; main(sys.argv[1:]); print(sorted({'torch', 'vllm'}"
        " & set(sys.modules)))"
    )
    again = run("-c", script, *arguments[2:], *small, cwd=tmp_path)
    assert "rows of finished shards were found" in again
    assert "engine" not in again.split("sampled")[0], "nothing is made again"
    assert again.splitlines()[-1] == "[]", "and nothing heavy is loaded"


def test_the_published_answers_change_without_the_engine(tiny_model: Path, tmp_path: Path) -> None:
    """First the original's answer of its own, then the best candidate, in one folder."""
    out = tmp_path / "out"
    arguments = ["-m", "magpie_hf", "build", "--model", str(tiny_model), "--domains", "algebra", "--k", "3"]
    arguments += ["--count", "4", "--instruction-max-tokens", "96", "--max-tokens", "192", "--out", "out"]
    arguments += ["--kv-cache-gb", "1", "--tagger", "none", *FAST]

    def made(sft: str) -> tuple[list[dict[str, Any]], dict[str, set[str]]]:
        run(*arguments, "--sft", sft, cwd=tmp_path, codes=(OK, INCOMPLETE))
        rows = Dataset.from_parquet(
            [str(file) for file in out.glob("algebra/*_sft-*.parquet")], cache_dir=str(tmp_path / sft)
        )
        said = {
            row["id"]: {one["response"] for one in row["candidates"]} - {None}
            for file in out.glob("candidates/*.parquet")
            for row in Dataset.from_parquet(str(file), cache_dir=str(tmp_path / f"{sft}-candidates"))
        }
        return rows.to_list(), said

    def left() -> tuple[dict[str, str], dict[str, bytes], int]:
        opened = sum(event["event"] == "opened" for event in read_speed(out))
        shards = {str(file): file.read_bytes() for file in out.glob("run/algebra/candidates-*/*.arrow")}
        return results(out), shards, opened

    cold, said = made("cold")
    before = left()
    best, again = made("best")
    assert left() == before, "the same requests in the same shards, and no engine was opened"
    assert before[2] == 1
    assert again == said
    assert {row["id"] for row in best} == {key for key, texts in said.items() if texts}
    assert all(row["solution"] in said[row["id"]] for row in best)
    assert all(row["answer_checked"] != "minority" for row in (*cold, *best))
    assert {row["generation"]["response_temperature"] for row in best} == {
        row["generation"]["candidate_temperature"] for row in (*cold, *best)
    }


def test_stopped_by_a_signal_a_real_build_says_how_to_go_on(tiny_model: Path, tmp_path: Path) -> None:
    """Ctrl-C, then SIGTERM, in the middle of a build by the command line."""
    arguments = [
        "-m",
        "magpie_hf",
        "build",
        "--model",
        str(tiny_model),
        "--domains",
        "algebra",
        "--count",
        "40",
        "--k",
        "2",
        *FAST,
    ]
    small = [
        "--instruction-max-tokens",
        "64",
        "--max-tokens",
        "128",
        "--kv-cache-gb",
        "1",
        "--out",
        "out",
        "--shard-size",
        "4",
    ]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen(
            [sys.executable, *arguments, *small],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        before = results(tmp_path / "out")
        until(lambda known=before: len(results(tmp_path / "out")) > len(known) + 1, process)
        process.send_signal(number)
        began = time.monotonic()
        error = process.communicate(timeout=60)[1].decode()
        assert time.monotonic() - began < 5
        assert process.returncode == code
        assert error.strip().count("\n") == 0, "the last words alone"
        assert re.search(
            r"stopped; [\d,]+ rows of finished shards and [\d,]+ requests of others are safe in out. Go on"
            r" with: python ",
            error,
        )
        after = results(tmp_path / "out")
        assert before.items() <= after.items(), "what was finished is there as it was"
    assert "stopped before its end" in run("-m", "magpie_hf", "status", "out", cwd=tmp_path)


def test_killed_at_random_moments_a_real_build_ends_like_others(tiny_model: Path, tmp_path: Path) -> None:
    """A build from start to end, and one that is killed (kill -9) twice: the engine counts what it finished,
    and when.
    """
    rng = random.Random(3)
    builds = {"whole": [], "killed": [rng.randint(1, 6), rng.randint(12, 17)]}
    for name, moments in builds.items():
        log = tmp_path / f"{name}.log"
        command = [
            sys.executable,
            str(ROOT / "tests" / "real_build.py"),
            str(tiny_model),
            str(tmp_path / name),
            str(log),
        ]
        safe: set[str] = set()
        seen = 0
        for moment in [*moments, None]:
            with (tmp_path / "stderr").open("w") as stderr:
                process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=stderr)
            if moment is None:
                assert process.wait(540) == 0, (tmp_path / "stderr").read_text()[-2000:]
            else:
                until(lambda file=log, size=moment: len(finished(file)) >= size, process)
                process.kill()
            ended = time.time()
            process.wait()
            new = [key for key, _ in finished(log)[seen:]]
            assert len(new) == len(set(new))
            assert not safe & set(new), "no finished request is asked again"
            safe = {
                key for key, when in finished(log) if when < ended - 0.1
            }  # what came later was on its way to the disk
            seen += len(new)
    assert not [file for name in builds for file in outlived(tmp_path / name)], (
        "no journal outlives its shard"
    )
    sampled, texts = {}, {}
    for name in builds:
        sampled[name], beyond = samples(tmp_path / name)
        texts[name] = {key: text for key, text in results(tmp_path / name).items() if key not in beyond}
    assert sampled["whole"] == sampled["killed"], "the same rows from the same prompts and seeds"
    same = sum(texts["killed"].get(key) == text for key, text in texts["whole"].items())
    assert same >= 0.9 * len(texts["whole"]), "and but for the last bits of a logit the same words"


def until(reached: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Wait for something that the process does before it ends."""
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        assert process.poll() is None, "it is stopped in the middle"
        time.sleep(0.02)
    assert reached()


def finished(log: Path) -> list[tuple[str, float]]:
    """The requests that the engine finished, and when."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(line.split()[0], float(line.split()[1])) for line in lines]


def samples(out: Path) -> tuple[dict[str, str], set[str]]:
    """The request that each sample came from, up to the last that was needed; and the requests of those
    beyond.
    """
    filtered = {key: quota["filtered"] for key, quota in read_record(out / "run" / "selection.json").items()}
    needed, beyond = {}, set()
    for file in out.glob("run/*/instruct-*/*-*.arrow"):
        for number, row in enumerate(Dataset.from_file(str(file)), start=int(file.stem.split("-")[0])):
            if number < filtered[file.parent.parent.name]:
                needed[row["id"]] = row["request"]
            else:
                beyond.add(row["request"])
    return needed, beyond


def results(out: Path) -> dict[str, str]:
    """The texts of finished requests by key, in journals and shards."""
    found = {}
    for file in out.rglob("*.journal"):
        with contextlib.suppress(FileNotFoundError):  # its shard was finished meanwhile
            found |= {key: value[0].strip() for key, value in journal.read(file)[0].items()}
    for file in out.glob("run/*/*/*-*.arrow"):
        table = Dataset.from_file(str(file))
        if "parent" not in table.column_names:  # published rows, made of others
            continue
        if "raw_instruction" in table.column_names:
            found |= dict(
                zip(table["request"], (text.strip() for text in table["raw_instruction"]), strict=True)
            )
        for column in {"solutions", "candidates"} & set(table.column_names):
            found |= {one["request"]: one["text"] for row in table[column] for one in row or ()}
    return found


def test_a_checker_programs_and_looks(tiny_model: Path, tmp_path: Path) -> None:
    """The tiny model in all roles: it agrees with itself now and then, and writes no program."""
    try:
        Sandbox.found()
    except BadInput as refusal:  # as the build would say it
        pytest.skip(str(refusal))
    model = str(tiny_model)
    options = ["--model", model, "--tagger", "none", "--dtype", "float32", "--kv-cache-gb", "0.5"]
    short = ["--max-tokens", "256", "--max-model-len", "4096", "--k", "5", "--rl-majority-share", "0.3"]
    asked = ["--checker", model, "--program", model, "--objections", "--pairs-checked"]
    command = ["-m", "magpie_hf", "build", "--domains", "algebra", "--count", "12", "--out", "out"]
    run(*command, *options, *short, *asked, cwd=tmp_path, codes=(OK, INCOMPLETE))
    out, cache = str(tmp_path / "out"), str(tmp_path / "cache")
    problems = [row for split in load_dataset(out, "candidates", cache_dir=cache).values() for row in split]
    checked = {row["id"]: row["checked"] for row in problems}
    assert {"agrees", "differs"} <= set(checked.values())
    for row in problems:
        assert (row["checked"] is None) == (row["program_agrees"] is None) == (row["majority_answer"] is None)
        assert row["program_agrees"] in (None, "none")
        assert row["pair_kind"] != "correctness" or row["checked"] == "agrees"
        assert row["objections"] in (None, 0), "such a model gives no verdict"
    rewarded = load_dataset(out, "algebra_rl", cache_dir=cache)
    assert all(row["checked"] == "agrees" for split in rewarded.values() for row in split)
    again = run(*command, *options, *short, *asked, cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert "trial answers" not in again
