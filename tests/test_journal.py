"""Nothing is lost and nothing is asked twice: the journal, changed minds, kills and torn files."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import DatasetDict

from conftest import Answers, outlived, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines import journal
from magpie_hf.engines.base import CONTEXT_FULL, Completion, record, within
from magpie_hf.engines.journal import Journal, keeping, request_keys
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe

PROBLEMS, SOLUTIONS, CANDIDATES, JUDGE = 1.5, 0.5, 0.75, 0.0
MODEL = Model("m", "r")


def rows(datasets: dict[str, DatasetDict]) -> dict[str, list[dict[str, object]]]:
    return {
        f"{key}/{split}": part.to_list() for key, splits in datasets.items() for split, part in splits.items()
    }


def resampled(recipe: Recipe, step: str, **changes: float) -> Recipe:
    return replace(
        recipe,
        domains=tuple(replace(d, **{step: replace(getattr(d, step), **changes)}) for d in recipe.domains),
    )


# --- the file -----------------------------------------------------------------------------------------------


def test_records_are_on_the_disk_when_the_journal_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.journal"
    values = {f"key{n}": ["Größe ∀x \ud800\n" * n, "stop", n, n, []] for n in range(50)}
    with keeping(Journal(file)) as _:
        for key, value in values.items():
            journal.current().record(key, value)
        assert journal.current().get("key7") == values["key7"]
    assert journal.read(file) == (values, 0)
    assert journal.current().get("key7") is None, "outside of a shard nothing is known"


def test_records_reach_the_file_within_a_second(tmp_path: Path) -> None:
    book = Journal(tmp_path / "a.journal")
    book.record("k", 1)
    time.sleep(0.3)
    assert journal.read(tmp_path / "a.journal") == ({"k": 1}, 0)
    book.close()


def test_a_disk_that_fails_once_is_told_and_stops_no_other_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(handle: int) -> int:
        raise OSError(24, "Too many open files")

    broken, whole = Journal(tmp_path / "a.journal"), Journal(tmp_path / "b.journal")
    with monkeypatch.context() as patch:
        patch.setattr("magpie_hf.engines.journal.os.dup", failing)
        broken.record("k", 1)
        time.sleep(1.2)
    with pytest.raises(OSError, match="Too many open files"):
        broken.close()
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(
        "magpie_hf.engines.journal.os.fsync", lambda handle: (synced.append(handle), real(handle))
    )
    whole.record("k", 1)
    time.sleep(1.2)
    assert synced, "the thread that syncs goes on"
    whole.close()


def test_a_tail_torn_at_any_byte_loses_the_last_record_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    with keeping(Journal(file)):
        for key in ("first", "second", "third"):
            journal.current().record(key, [key, "stop", 1, 2, []])
    whole = file.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for size in range(last, len(whole)):
        file.write_bytes(whole[:size])
        records, torn = journal.read(file)
        complete = size == len(whole) - 1  # all but the line's end
        assert list(records) == ["first", "second", "third"][: 3 if complete else 2], size
        assert torn == (0 if complete or size == last else 1), size
        with keeping(Journal(file)):
            journal.current().record("fourth", 4)
        records, _ = journal.read(file)
        assert {"first", "second", "fourth"} <= set(records), "what is appended behind a torn tail is read"


def test_keys_hold_all_that_determines_a_request_and_nothing_else() -> None:
    def key(model: Model = MODEL, prompt: tuple[int, ...] = (1, 2), seed: int = 3, **sampling: object) -> str:
        warm = Sampling(**{"temperature": 0.5, **sampling})  # type: ignore[arg-type]
        return request_keys(model, [prompt], warm, [seed])[0]

    others = [
        key(replace(MODEL, revision="s")),
        key(replace(MODEL, dtype="float32")),
        key(prompt=(1, 3)),
        key(prompt=(1,)),
        key(seed=4),
        key(temperature=0.6),
        key(top_p=0.9),
        key(min_p=0.1),
        key(stop_token_ids=(7,)),
        key(logprobs=3),
        key(repetition_penalty=1.1),
    ]
    assert len({key(), *others}) == len(others) + 1
    assert key(max_tokens=9) == key() == key(replace(MODEL, path="/elsewhere"))


@pytest.mark.parametrize(
    ("kept", "max_tokens", "longest", "now"),
    [
        (("stop", 10, 20), 20, None, ("stop", 20)),
        (("stop", 10, 20), 99, None, ("stop", 20)),
        (("stop", 10, 20), 19, None, ("length", 19)),
        (("length", 10, 20), 20, None, ("length", 20)),
        (("length", 10, 20), 8, None, ("length", 8)),
        (("length", 10, 20), 21, None, None),
        (("length", 10, 20), 21, 30, ("length", 20)),
        (("length", 10, 20), 21, 31, None),
        ((CONTEXT_FULL, 10, 0), 5, 10, (CONTEXT_FULL, 0)),
        ((CONTEXT_FULL, 10, 0), 5, 11, None),
        (("killed_engine", 10, 0), 5, None, ("killed_engine", 0)),
    ],
)
def test_what_a_kept_completion_is_under_another_bound(
    kept: tuple[str, int, int], max_tokens: int, longest: int | None, now: tuple[str, int] | None
) -> None:
    finish, prompt_tokens, num_tokens = kept
    found = within(Completion("text", finish, prompt_tokens, num_tokens), max_tokens, longest)
    assert (found and (found.finish_reason, found.num_tokens)) == now
    assert found is None or found.text == ("" if num_tokens > max_tokens else "text")


def test_the_same_request_at_once_is_asked_once(answers: Answers) -> None:
    engine = small_recipe(answers).generator
    one, two, three = engine.complete([[5], [5], [6]], Sampling(), [1, 1, 1])
    assert one == two != three
    assert answers.asked() == 2


# --- changed minds ------------------------------------------------------------------------------------------


def test_a_raised_k_asks_for_the_new_candidates_alone(answers: Answers, tmp_path: Path) -> None:
    recipe = small_recipe(answers, k=5)
    build(recipe, tmp_path / "out")
    answers.requests.clear()
    raised = build(replace(recipe, k=7), tmp_path / "out")
    problems = sum(len(domain["problems"]) for domain in problems_of(tmp_path / "out"))
    assert answers.asked(CANDIDATES) == 2 * problems
    assert 0 < answers.asked(JUDGE) <= 2 * problems, "only new candidates are rated"
    assert answers.asked() == answers.asked(CANDIDATES) + answers.asked(JUDGE)
    assert rows(raised) == rows(build(replace(recipe, k=7), tmp_path / "fresh"))
    answers.requests.clear()
    assert rows(build(recipe, tmp_path / "out")) == rows(build(replace(recipe, k=5), tmp_path / "out"))
    assert answers.asked() == 0, "a lowered k asks for nothing"


def problems_of(out: Path) -> list[dict[str, list[object]]]:
    return [{"problems": json.loads(file.read_text())} for file in out.glob("*_ins.json")]


@pytest.mark.parametrize(
    ("step", "temperature"), [("response", SOLUTIONS), ("candidate", CANDIDATES), ("instruction", PROBLEMS)]
)
def test_a_raised_bound_asks_for_what_was_cut_alone(
    answers: Answers, tmp_path: Path, step: str, temperature: float
) -> None:
    """Texts are 20 to 28 tokens long: 24 cuts some, 32 none but those that the engine itself cuts at whatever
    bound there is.
    """
    answers.cut_every = 0
    answers.bounded = True
    recipe = replace(small_recipe(answers, "algebra"), sft="cold")
    build(resampled(recipe, step, max_tokens=24), tmp_path / "out")
    first = answers.asked(temperature)
    answers.requests.clear()
    raised = build(resampled(recipe, step, max_tokens=32), tmp_path / "out")
    again = answers.asked(temperature)
    fresh = replace(answers, requests=[])
    cold = replace(small_recipe(fresh, "algebra"), sft="cold")
    whole = build(resampled(cold, step, max_tokens=32), tmp_path / "fresh")
    assert rows(raised) == rows(whole)
    assert 0 < again < first
    answers.requests.clear()
    lowered = build(resampled(recipe, step, max_tokens=24), tmp_path / "out")
    assert answers.asked() == 0, "a lowered bound asks for nothing"
    assert len(lowered["algebra"]["train_sft"]) <= len(raised["algebra"]["train_sft"])


def test_a_bound_lowered_before_it_was_ever_built_asks_for_nothing(answers: Answers, tmp_path: Path) -> None:
    answers.cut_every = 0
    answers.bounded = True
    recipe = small_recipe(answers, "algebra")
    build(resampled(recipe, "candidate", max_tokens=32), tmp_path / "out")
    answers.requests.clear()
    lowered = build(resampled(recipe, "candidate", max_tokens=24), tmp_path / "out")
    assert answers.asked() == 0
    fresh = replace(answers, requests=[])
    whole = build(resampled(small_recipe(fresh, "algebra"), "candidate", max_tokens=24), tmp_path / "fresh")
    assert rows(lowered) == rows(whole)


# --- kills --------------------------------------------------------------------------------------------------

SCRIPT = """
import hashlib, json, os, random, signal, sys, time
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from conftest import Answers, outlived, small_recipe
from magpie_hf import build, chat_of, resolve

model, out, log, kills = resolve(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
chat_of(model)  # everything heavy is loaded once, and each build is a fork

def child():
    answers = Answers(model)
    stream = open(log, "ab", buffering=0)
    def reply(prompt, sampling, seed):
        answer = answers(prompt, sampling, seed)
        time.sleep(0.0004)
        key = hashlib.sha256(json.dumps([list(prompt), sampling.temperature, seed]).encode()).hexdigest()
        stream.write(f"{key} {sampling.temperature:.2f}\\n".encode())
        return answer
    recipe = small_recipe(answers, "algebra", "geometry", count=40)
    engine = replace(recipe.generator, reply=reply)
    recipe = replace(recipe, generator=engine, solver=engine, scorer=replace(recipe.scorer, engine=engine))
    build(recipe, out, shard_rows=16, shards_in_flight=4)

rng = random.Random(7)
lines = lambda: os.path.getsize(log) // 70
open(log, "ab").close()
killed = early = 0
while True:
    pid = os.fork()
    if not pid:
        child()
        os._exit(0)
    moment = lines() + rng.randint(1, 30) if killed < kills else None
    while moment and lines() < moment and not early:
        early = os.waitpid(pid, os.WNOHANG)[0]
        time.sleep(0.0005)
    if early:
        break
    if moment is None:
        status = os.waitpid(pid, 0)[1]
        assert status == 0, status
        break
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    killed += 1
print(killed)
"""


def test_killed_at_twenty_random_moments_it_ends_in_the_same_dataset(
    answers: Answers, demo_model: Path, tmp_path: Path
) -> None:
    """kill -9 again and again; it is the engine that counts what it was asked, and it counts a request when
    it has finished it.
    """
    (tmp_path / "script.py").write_text(SCRIPT)
    log = tmp_path / "log"
    command = [
        sys.executable,
        "script.py",
        str(Path(__file__).parent),
        str(demo_model),
        str(tmp_path / "out"),
        str(log),
        "20",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "20\n", done.stderr[-2000:]
    asked = log.read_text().splitlines()
    expected = rows(build(small_recipe(answers, "algebra", "geometry", count=40), tmp_path / "whole"))
    answered = {line for line in asked if not line.endswith(f" {PROBLEMS:.2f}")}
    assert len(answered) == answers.asked() + answers.trials - answers.asked(PROBLEMS), (
        "the same requests in all but samples beyond need"
    )
    twice = len(asked) - len(set(asked))
    assert twice <= 20 * 8, (
        "beyond what was on its way from the engine to the journal, nothing is asked again"
    )
    before = answers.asked()
    assert rows(build(small_recipe(answers, "algebra", "geometry", count=40), tmp_path / "out")) == expected
    assert answers.asked() == before
    assert not outlived(tmp_path / "out"), "no journal outlives its shard"


def test_a_torn_shard_is_noticed_and_made_again(
    answers: Answers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = small_recipe(answers, "algebra")
    expected = rows(build(recipe, tmp_path / "out", shard_rows=4))
    (shard,) = (tmp_path / "out").glob("run/algebra/candidates-*/0000004-0000008.arrow")
    whole = shard.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 9):
        shard.write_bytes(whole[:size])
        answers.requests.clear()
        caplog.clear()
        assert rows(build(recipe, tmp_path / "out", shard_rows=4)) == expected
        assert answers.asked() == answers.asked(CANDIDATES) <= 12
        assert f"{shard} is torn" in caplog.text


def test_the_newest_files_torn_by_a_power_cut_are_made_again(
    answers: Answers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was written last may be short: shards, records, the published files and the build's own
    record.
    """
    recipe = small_recipe(answers, "algebra")
    expected = rows(build(recipe, tmp_path / "out", shard_rows=4))
    asked = answers.asked()
    files = sorted(
        (file for file in (tmp_path / "out").rglob("*") if file.is_file()),
        key=lambda file: file.stat().st_mtime_ns,
    )
    for torn in ([file] for file in files):
        for file in torn:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        assert rows(build(recipe, tmp_path / "out", shard_rows=4)) == expected, torn
    for size in (0, 7):
        for file in files[len(files) // 2 :]:
            file.write_bytes(file.read_bytes()[:size])
        assert rows(build(recipe, tmp_path / "out", shard_rows=4)) == expected
    assert "build.json is torn" in caplog.text
    assert answers.asked() > asked, "what stood in a torn shard alone is asked again"
    (tmp_path / "out" / "README.md").unlink()
    (tmp_path / "out" / "run" / "build.json").write_text("{}")
    build(small_recipe(answers, "algebra", count=8), tmp_path / "out", shard_rows=4)
    assert (tmp_path / "out" / "README.md").read_text().count("config_name: algebra") == 2


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # datasets leaves its file open
def test_a_full_disk_is_a_clear_error_and_loses_nothing(answers: Answers, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("only root may mount a small file system")
    recipe = small_recipe(answers, "algebra", count=150)
    try:
        with pytest.raises(OSError, match="No space left on device"):
            build(recipe, small / "out", shard_rows=32)
        finished = {key for file in small.rglob("*.journal") for key in journal.read(file)[0]}
        before = answers.asked()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        resumed = rows(build(recipe, small / "out", shard_rows=32))
        fresh = replace(answers, requests=[])
        assert resumed == rows(build(small_recipe(fresh, "algebra", count=150), tmp_path / "whole"))
        assert finished
        assert answers.asked() - before <= fresh.asked() - len(finished), (
            "what was journalled is not asked again"
        )
    finally:
        gc.collect()  # while the warnings about datasets' files are still ignored
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_recorded_completions_come_back_as_they_were() -> None:
    completion = Completion("x", "stop", 3, 4, ((5, -0.5), (6, -1.25)))
    kept = json.loads(json.dumps(record(completion)))
    assert within(Completion(*kept[:4], tuple(map(tuple, kept[4]))), 9, None) == completion
