"""The real thing: the small model on real vLLM, in both forms of the engine, and whole builds."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset

from chromium import Opened, chromium
from conftest import FAST, ROOT, outlived
from magpie_hf import VLLM, EngineError, Model, Sampling, chat_of, resolve
from magpie_hf.commands.exits import INCOMPLETE, OK
from magpie_hf.domains import DOMAINS
from magpie_hf.engines import journal
from magpie_hf.engines import vllm as engines
from magpie_hf.engines.base import NO_ROOM
from magpie_hf.progress.speed import read as read_speed
from magpie_hf.scorers import Judge

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]  # vLLM and torch warn at import; that is theirs

CONTEXT = 512


@pytest.fixture(scope="module", params=["stepped", "async"])
def engine(request: pytest.FixtureRequest, demo_model: Path) -> Iterator[VLLM]:
    engine = VLLM(resolve(str(demo_model), dtype="float32", max_length=CONTEXT), form=request.param, kv_cache_gigabytes=1, max_num_seqs=64)
    yield engine
    engine.close()
    assert not engines._LIVE


def test_completions_keep_order_seeds_ends_and_counts(engine: VLLM) -> None:
    chat = chat_of(engine.model)
    prompts = [chat.open_turn(domain.system) for domain in DOMAINS.values()] * 4
    sampling = Sampling(temperature=1.2, min_p=0.1, max_tokens=48, stop_token_ids=chat.turn_end_ids)
    seeds = list(range(1000, 1000 + len(prompts)))
    first = engine.complete(prompts, sampling, seeds)
    assert [completion.prompt_tokens for completion in first] == [len(prompt) for prompt in prompts]
    assert {completion.finish_reason for completion in first} == {"stop", "length"}
    for completion in first:
        assert (completion.num_tokens == 48) or completion.finish_reason == "stop"
        assert completion.text
        assert "<|im_end|>" not in completion.text, "the end token is counted, and is not part of the text"
    assert len({completion.text for completion in first}) > len(prompts) // 2
    assert engine.complete(prompts, sampling, seeds) == first, "the same requests, the same words"
    other = engine.complete(prompts, sampling, [seed + 1 for seed in seeds])
    assert sum(a.text != b.text for a, b in zip(first, other, strict=True)) > len(prompts) // 2


def test_a_prompt_without_room_is_a_reason_and_a_full_context_is_a_cut(engine: VLLM) -> None:
    token = chat_of(engine.model).open_turn(None)[-1]
    sampling = Sampling(temperature=0.0, max_tokens=300)
    full, over, nearly, fine = engine.complete([[token] * CONTEXT, [token] * 9999, [token] * (CONTEXT - 3), [token] * 9], sampling, [1] * 4)
    assert (full.finish_reason, over.finish_reason) == (NO_ROOM, NO_ROOM)
    assert (full.text, full.num_tokens) == ("", 0)
    assert nearly.finish_reason == "length"
    assert nearly.num_tokens <= 4
    assert fine.num_tokens > 4


def test_special_tokens_in_a_text_are_seen(engine: VLLM) -> None:
    chat = chat_of(engine.model)
    prompt = chat.closed_prompt([{"role": "user", "content": "Say hello."}])
    (plain,) = engine.complete([prompt], Sampling(temperature=0.0, max_tokens=60, stop_token_ids=()), [1])
    assert not chat.special_pattern.search(plain.text)
    sampling = Sampling(temperature=2.0, max_tokens=200, stop_token_ids=chat.end_ids)
    noisy = engine.complete([chat.open_turn(None)] * 8, sampling, range(8))
    assert any(chat.special_pattern.search(completion.text) for completion in noisy), "noise holds special tokens, and they are kept"


def test_the_judge_tells_a_right_answer_from_nonsense(engine: VLLM) -> None:
    judge = Judge(engine)
    problem = "What is 2 + 3?"
    scores = judge([problem] * 2 + ["x " * 3000], ["2 + 3 = 5, so the answer is \\boxed{5}.", "Bananas. Bananas.", "y"])
    assert all(score.score is not None and 1 <= score.score <= 5 for score in scores[:2])
    assert scores[0].score != scores[1].score
    assert (scores[2].score, scores[2].reason) == (None, NO_ROOM)


def test_an_engine_that_was_closed_or_killed_is_opened_again_and_nothing_is_lost(engine: VLLM) -> None:
    """The core of the async form is a process, and is killed with requests in flight; the stepped form has none, and is closed."""
    prompt = chat_of(engine.model).open_turn(None)
    sampling = Sampling(temperature=0.0, max_tokens=8)
    before = engine.complete([prompt] * 2, sampling, [1, 1])
    if engine.form == "async":
        (core,) = multiprocessing.active_children()
        killer = threading.Timer(1.0, core.kill)
        killer.start()
        completions = engine.complete([prompt] * 48, Sampling(temperature=1.0, min_p=0.1, max_tokens=64), range(48))
        assert not core.is_alive()
        (another,) = multiprocessing.active_children()
        assert another.pid != core.pid
        assert all(completion.finish_reason in ("stop", "length") and completion.text for completion in completions)
    else:
        engine.close()
        engine.close()
    assert engine.complete([prompt] * 2, sampling, [1, 1]) == before


def test_closing_with_requests_in_flight_fails_them_at_once(engine: VLLM) -> None:
    """The last of the tests that share an engine."""
    prompt = chat_of(engine.model).open_turn(None)
    engine.complete([prompt], Sampling(max_tokens=2), [0])
    futures = [engine.submit(prompt, Sampling(temperature=2.0, max_tokens=400), seed) for seed in range(16)]
    engine.close()
    for future in futures:
        assert future.exception(timeout=5) is None or isinstance(future.exception(), EngineError)
    assert any(future.exception() for future in futures)


def test_an_engine_does_not_outlive_a_build_that_was_killed(demo_model: Path, tmp_path: Path) -> None:
    """After kill -9 vLLM's core would hold its device for ever, and the same command again would find it taken."""
    script = f"""
        import multiprocessing, sys, time
        from magpie_hf import VLLM, Sampling, resolve
        if __name__ == "__main__":
            engine = VLLM(resolve({str(demo_model)!r}, dtype="float32"), form="async", context={CONTEXT}, kv_cache_gigabytes=1)
            engine.complete([[1, 2, 3]], Sampling(max_tokens=2), [0])
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            time.sleep(60)
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    process = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    assert children
    assert all(map(runs, children))
    process.kill()
    process.wait()  # and not for the end of its output, which its children hold
    process.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(runs, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(runs, children))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_weights_that_cannot_be_loaded_are_one_clear_error(demo_model: Path, tmp_path: Path) -> None:
    for file in demo_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    model = Model("torn", "sha256:0", path=str(tmp_path))
    engine = VLLM(model, context=CONTEXT, kv_cache_gigabytes=1)
    with pytest.raises(EngineError, match="vLLM cannot start torn: "):
        engine.complete([[1, 2]], Sampling(max_tokens=2), [1])
    assert engine not in engines._LIVE


def run(*command: str, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode in codes, done.stderr[-2000:]
    return done.stdout


def test_one_domain_end_to_end_and_again(demo_model: Path, tmp_path: Path) -> None:
    """The builder to copy, changed as a user would for a CPU: a build, then the same again, which loads no engine."""
    text = (ROOT / "builders" / "one_domain.py").read_text()
    assert "resolve(sys.argv[1])" in text
    assert "max_tokens=1024" in text
    text = text.replace("resolve(sys.argv[1])", 'resolve(sys.argv[1], dtype="float32")').replace("max_tokens=1024", "max_tokens=256")
    (tmp_path / "one_domain.py").write_text(text)
    command = ["one_domain.py", str(demo_model), "out", "3"]
    first = run(*command, cwd=tmp_path)
    assert "instruct" in first
    assert "train_prefs" in first
    rows = load_dataset(str(tmp_path / "out"), "logic", split="train_sft", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == len(set(rows["id"])) > 0
    assert not any(chat_of(resolve(str(demo_model))).special_pattern.search(row["solution"]) for row in rows)
    again = run(*command, cwd=tmp_path)
    assert "instruct" not in again
    assert again.splitlines()[-8:] == first.splitlines()[-8:]


def test_the_readme_example_runs(demo_model: Path, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```python\n(# A library.*?)```", text, flags=re.DOTALL)
    assert len(example.strip().splitlines()) <= 15
    model = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert model in example
    (tmp_path / "example.py").write_text(example.replace(f'"{model}"', f'{str(demo_model)!r}, dtype="float32"'))
    assert "train_prefs" in run("example.py", cwd=tmp_path)


def test_the_command_line_with_a_second_model_as_solver(demo_model: Path, tmp_path: Path) -> None:
    """Problems by one model, answers by another: both are loaded, once each, and the rows say who said what."""
    other = tmp_path / "other"
    other.mkdir()
    for file in demo_model.iterdir():
        (other / file.name).symlink_to(file)
    (other / "generation_config.json").unlink()
    arguments = ["-m", "magpie_hf", "build", "--model", str(demo_model), "--solver", str(other), "--domains", "algebra,calculus"]
    small = ["--count", "6", "--k", "2", "--instruction-max-tokens", "96", "--max-tokens", "256", "--kv-cache-gb", "1", "--out", "out",
             "--rl-agreement", "0.5", "--off-domain", "keep", "--min-quality", "very poor", "--unsolvable", "keep", *FAST]  # fmt: skip
    said = run(*arguments, *small, cwd=tmp_path, codes=(OK, INCOMPLETE))
    assert re.search(r"algebra +\d+ drawn -> 6 problems", said)
    assert "INFO" not in said
    assert "Initializing a V1 LLM engine" in (tmp_path / "out" / "run" / "log.txt").read_text(), "what vLLM says is in the log"
    loaded = [event for event in read_speed(tmp_path / "out") if event["event"] in ("opened", "closed")]
    names = {event["engine"] for event in loaded if event["event"] == "closed"}
    assert names == {event["engine"] for event in loaded if event["event"] == "opened"} == {demo_model.name, "other"}
    assert all(event["seconds"] > 0.1 for event in loaded if event["event"] == "opened")
    files = [str(file) for file in (tmp_path / "out").glob("*/train_*.parquet")]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) > 0
    for row in rows:
        assert row["generation"]["problem_model"] == demo_model.name
        assert row["generation"]["response_model"] == "other"
    assert "finished" in run("-m", "magpie_hf", "status", "out", cwd=tmp_path)
    assert "report.html: " in run("-m", "magpie_hf", "report", "out", cwd=tmp_path)
    with chromium() as browser:
        opened = Opened.at(browser, tmp_path / "out" / "report.html")
        assert opened.page.inner_text("#found").startswith("12 of ")
        assert rows[0]["id"] in opened.open(rows[0]["id"])
        assert opened.page.locator("#detail .candidate").count() == 2
        opened.close()
    script = "import sys; from magpie_hf.cli import main; main(sys.argv[1:]); print(sorted({'torch', 'vllm'} & set(sys.modules)))"
    again = run("-c", script, *arguments[2:], *small, cwd=tmp_path)
    assert "rows of finished shards were found" in again
    assert "engine" not in again.split("drawn")[0], "nothing is made again"
    assert again.splitlines()[-1] == "[]", "and nothing heavy is loaded"


def test_stopped_by_a_signal_a_real_build_says_how_to_go_on(demo_model: Path, tmp_path: Path) -> None:
    """Ctrl-C, then SIGTERM, in the middle of a build by the command line."""
    arguments = ["-m", "magpie_hf", "build", "--model", str(demo_model), "--domains", "algebra", "--count", "8", "--k", "2", *FAST]
    small = ["--instruction-max-tokens", "64", "--max-tokens", "128", "--kv-cache-gb", "1", "--out", "out", "--shard-size", "4"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen([sys.executable, *arguments, *small], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        before = results(tmp_path / "out")
        until(lambda known=before: len(results(tmp_path / "out")) > len(known) + 1, process)
        process.send_signal(number)
        began = time.monotonic()
        error = process.communicate(timeout=60)[1].decode()
        assert time.monotonic() - began < 5
        assert process.returncode == code
        assert error.strip().count("\n") == 0, "the last words alone"
        assert re.search(
            r"stopped; [\d,]+ rows of finished shards and [\d,]+ requests of others are safe in out. Go on with: python ", error
        )
        after = results(tmp_path / "out")
        assert before.items() <= after.items(), "what was finished is there as it was"
    assert "stopped before its end" in run("-m", "magpie_hf", "status", "out", cwd=tmp_path)


def test_killed_at_random_moments_a_real_build_ends_like_others(demo_model: Path, tmp_path: Path) -> None:
    """A build from start to end, and one that is killed (kill -9) three times: the engine counts what it finished, and when."""
    rng = random.Random(3)
    builds = {"whole": [], "killed": [rng.randint(1, 10), rng.randint(15, 25), rng.randint(30, 45)]}
    for name, moments in builds.items():
        log = tmp_path / f"{name}.log"
        command = [sys.executable, str(ROOT / "tests" / "real_build.py"), str(demo_model), str(tmp_path / name), str(log)]
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
            safe = {key for key, when in finished(log) if when < ended - 0.1}  # what came later was on its way to the disk
            seen += len(new)
    assert not [file for name in builds for file in outlived(tmp_path / name)], "no journal outlives its shard"
    drawn, texts = {}, {}
    for name in builds:
        drawn[name], beyond = draws(tmp_path / name)
        texts[name] = {key: text for key, text in results(tmp_path / name).items() if key not in beyond}
    assert drawn["whole"] == drawn["killed"], "the same rows from the same prompts and seeds"
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


def draws(out: Path) -> tuple[dict[str, str], set[str]]:
    """The request that each draw came from, up to the last that was needed; and the requests of those beyond."""
    judged = {key: lane["judged"] for key, lane in json.loads((out / "run" / "harvest.json").read_text()).items()}
    needed, beyond = {}, set()
    for file in out.glob("run/*/instruct-*/*-*.arrow"):
        for number, row in enumerate(Dataset.from_file(str(file)), start=int(file.stem.split("-")[0])):
            if number < judged[file.parent.parent.name]:
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
            found |= dict(zip(table["request"], (text.strip() for text in table["raw_instruction"]), strict=True))
        for column in {"solutions", "candidates"} & set(table.column_names):
            found |= {one["request"]: one["text"] for row in table[column] for one in row or ()}
    return found


def test_placement_is_no_part_of_an_engine(demo_model: Path) -> None:
    engine = VLLM(resolve(str(demo_model)))
    assert replace(engine, form="async", max_num_seqs=3, tensor_parallel_size=8) == engine
    assert os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") is None, "the stepped engine leaves the environment as it found it"
