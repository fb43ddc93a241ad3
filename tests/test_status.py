"""`magpie-hf status` and `show` on a pseudo-terminal, and the pace of a build."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magpie_hf.cli.commands import status as command
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.planning.outcome import planned_loads
from magpie_hf.run.pace import pace, tokens_left
from magpie_hf.run.status import status

TEXT = "A word, and $\\alpha \\leq \\frac{1}{2}$; " * 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build under way: 50 of 100 problems accepted out of 100 samples, solutions of 80 of them, one
    candidate shard in flight.
    """
    run = tmp_path / "out" / "run"
    stages = {"instruct": (100, 1_000), "solutions": (80, 8_000), "candidates": (40, 12_000), "score": (0, 0)}
    for label, (rows, tokens) in stages.items():
        (run / "algebra" / label).mkdir(parents=True)
        names = [f"{start:07d}-{start + 20:07d}" for start in range(0, rows, 20)]
        for name in names:
            (run / "algebra" / label / f"{name}.arrow").touch()
        shards = {
            name: {"rows": 20, "tokens": tokens // len(names), "seconds": 1.5, "reasons": {"length": 3}}
            for name in names
        }
        (run / "algebra" / label / "stage.json").write_text(
            json.dumps({"stage": {}, "reads": [], "shards": shards})
        )
    (run / "algebra" / "candidates" / "0000040-0000060.journal").write_bytes(b"one\ntwo\nthree\nfo")
    halves = {
        "samples": {"instruct": "instruct", "clean": "clean"},
        "answers": {label: label for label in list(stages)[1:]},
    }
    record = {
        "format": 2,
        "magpie_hf": "0.1.0",
        "name": "model",
        "seed": 7,
        "pipeline": {"algebra": {"count": 100, **halves}},
    }
    (run / "build.json").write_text(json.dumps(record))
    (run / "selection.json").write_text(
        json.dumps(
            {"algebra": {"filtered": 100, "accepted": 50, "reasons": {"truncated": 30, "near_duplicate": 20}}}
        )
    )
    return tmp_path / "out"


def interval(at: float, tokens: int, engine: str = "model", **more: object) -> str:
    mine = {
        "event": "interval",
        "at": at,
        "engine": engine,
        "seconds": 10.0,
        "running": 5,
        "requests": 5,
        "prompt_tokens": 9,
        "tokens": tokens,
    }
    return json.dumps({**mine, "tokens": tokens, **more}) + "\n"


def on_terminal(columns: int, *words: str, **environment: str) -> str:
    """What a command prints on a pseudo-terminal of so many columns."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")
    }
    command = [sys.executable, "-m", "magpie_hf", *words]
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env={**inherited, "TERM": "xterm-256color", **environment}
    ) as process:
        os.close(its)
        said = bytearray()
        while True:
            try:
                piece = os.read(mine, 65536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not piece:
                break
            said += piece
    os.close(mine)
    assert process.returncode == 0, said
    return said.decode().replace("\r\n", "\n")


def bare(said: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def test_status_on_a_terminal_is_a_table_that_fits(folder: Path) -> None:
    (folder / "run" / "speed.jsonl").write_text(interval(1000, 5_000))
    wide = on_terminal(120, "status", str(folder))
    assert "\x1b[" in wide
    lines = [line.rstrip() for line in bare(wide).splitlines()]
    assert lines[1].split() == ["domain", "stage", "rows", "tokens", "seconds", "kept", "reasons"]
    assert lines[2].split(maxsplit=3) == [
        "algebra",
        "selection",
        "50/100",
        "100 samples filtered, 50% accepted, 30 truncated, 20 near_duplicate",
    ]
    assert next(line for line in lines if " candidates " in line).split()[2:6] == [
        "20/100",  # half of the 40 samples were accepted
        "12,000",
        "3.0",
        "3",
    ]
    assert lines[-1].startswith("tokens/s: – now, 500 on average; about ")
    narrow = bare(on_terminal(40, "status", str(folder))).splitlines()
    assert all(len(line) <= 40 for line in narrow)
    assert "  tokens: 12,000" in narrow
    assert "\x1b[" not in on_terminal(100, "status", str(folder), TERM="dumb")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_terminal(100, "status", str(folder), NO_COLOR="1"))


def test_candidates_stand_side_by_side_where_there_is_room(folder: Path) -> None:
    candidate = {
        "response": f"<think>x</think>{TEXT}",
        "score": 4.25,
        "num_tokens": 7,
        "answer": "3",
        "in_majority": True,
        "reason": None,
    }
    row = {
        "id": "algebra-1",
        "domain": "algebra",
        "tags": None,
        "problem": TEXT,
        "candidates": [candidate] * 3,
        "chosen_index": 0,
    }
    row |= {
        "rejected_index": None,
        "pair_kind": None,
        "pair_reason": "score_gap",
        "majority_share": 1.0,
        "answer_votes": 3,
    }
    (folder / "candidates").mkdir()
    pq.write_table(
        pa.Table.from_pylist([{**row, "majority_answer": "3"}]),
        folder / "candidates" / "train-00000-of-00001.parquet",
    )
    record = folder / "run" / "build.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "finished": "x"}))
    for columns, abreast in ((130, 3), (90, 2), (60, 1), (40, 1)):
        lines = bare(on_terminal(columns, "show", str(folder), "--split", "candidates")).splitlines()
        assert all(len(line) <= columns for line in lines)
        assert max(line.count("candidate ") for line in lines) == abreast
        assert " ".join(lines).count("≤ ¹⁄₂") >= 36 or columns > 60
        assert not {"wor", "ord"} & set(" ".join(lines).split()), "a word is broken"


def test_status_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["selection"] == [
        {
            "domain": "algebra",
            "accepted": 50,
            "target": 100,
            "filtered": 100,
            "reasons": {"truncated": 30, "near_duplicate": 20},
        }
    ]
    assert [
        (stage["label"], stage["rows"], stage["problems"], stage["wanted"], stage["requests_under_way"])
        for stage in said["stages"]
    ] == [
        ("instruct", 100, None, None, 0),
        ("clean", 0, None, None, 0),
        ("solutions", 80, 40, 100, 0),
        ("candidates", 40, 20, 100, 3),
        ("score", 0, 0, 100, 0),
    ]
    assert (said["running"], said["finished"], said["pace"]) == (None, False, None)


def test_the_status_is_shown_again_until_the_build_ends(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that ends while its status is watched."""
    monkeypatch.setattr(command, "WATCH_SECONDS", 0.3)
    with (folder / "run" / "lock").open("w") as lock:
        lock.write("pid 1 on here")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        ending = threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN))
        ending.start()
        assert main(["status", str(folder), "--watch"]) == OK
        ending.join()
    states = [
        line.rpartition(", ")[2] for line in capsys.readouterr().out.splitlines() if line.startswith("model")
    ]
    assert len(states) >= 2
    assert states[-1] == "stopped before its end"
    assert all(state.startswith("running") for state in states[:-1])
    assert main(["status", str(folder), "--watch", "--json"]) == BAD_INPUT


def test_the_pace_is_what_the_engines_wrote(folder: Path) -> None:
    found = status(folder)
    # 100 more samples at 10 tokens, 120 more solutions at 100, 160 more candidates at 300; scores have not
    # begun
    assert tokens_left(found) == 100 * 10 + 120 * 100 + 160 * 300
    speed = folder / "run" / "speed.jsonl"
    assert pace(folder, found) is None
    speed.write_text(
        interval(1000, 1_000)
        + interval(1000, 3_000, "solver")
        + interval(2000, 1_500, earlier=[300, 200])
        + '{"event":"inter'
    )
    measured = pace(folder, found)
    assert measured is not None
    assert measured.average_tokens_per_second == 6_000 / 20  # two engines at once, and then one
    assert measured.tokens_per_second is None
    assert measured.seconds_left == 61_000 / 300
    with (folder / "run" / "lock").open("w") as lock:
        lock.write("pid 1 on here")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = pace(folder, status(folder))
    assert running is not None
    assert running.tokens_per_second == 170, (
        "the tokens of longer requests belong to the intervals before, too"
    )
    speed.write_text(
        '{"event": "interval"}\n[1]\n{"event": []}\n'
        + '{"event": "interval", "at": 1, "seconds": 1, "tokens": 2}\n'
        + "[" * 100_000
    )
    assert pace(folder, found) is None


def test_a_plan_tells_what_the_stages_that_have_not_begun_take(folder: Path) -> None:
    stages = {
        "instruct": (200, 2_000),
        "solutions": (100, 50),
        "candidates": (300, 90_000),
        "score": (300, 600),
    }
    plan = {
        "rows": [{"domain": "algebra", "problems": 100, "samples": [150, 200, 300]}],
        "stages": [
            {"stage": name, "requests": [0, requests, 0], "tokens": [0, tokens, 0]}
            for name, (requests, tokens) in stages.items()
        ],
    }
    (folder / "run" / "speed.jsonl").write_text(interval(1000, 5_000))
    assert planned_loads(folder) is None
    (folder / "run" / "plan.json").write_text(json.dumps({"format": 1, "plan": plan}))
    planned = planned_loads(folder)
    # three requests of a candidate's shard are known, one problem's worth
    left = 100 * 10 + 60 * 200 + (80 - 1) * 600 + 600
    assert tokens_left(status(folder), planned) == pytest.approx(left)
    shown = pace(folder, status(folder), planned)
    assert shown is not None
    assert shown.of_all
    assert shown.seconds_left == pytest.approx(left / 500)
    said = bare(on_terminal(120, "status", str(folder))).splitlines()[-1]
    assert said == "tokens/s: – now, 500 on average; about 2 min left"
    for stage in plan["stages"]:
        stage["rounds"] = [0.75, 0.25]
    (folder / "run" / "plan.json").write_text(json.dumps({"format": 1, "plan": plan}))
    loads = planned_loads(folder)
    assert loads is not None
    assert loads["candidates"] == (225, 67_500, 100)
    assert loads["candidates_round1"] == (75, 22_500, 100)
    plan["stages"][2] |= {
        "rows": "samples"
    }  # a band of pass rates has them answered before they are selected
    (folder / "run" / "plan.json").write_text(json.dumps({"format": 1, "plan": plan}))
    loads = planned_loads(folder)
    assert loads is not None
    assert loads["candidates"] == (225, 67_500, 200)
    assert loads["score"][2] == 100


def test_the_log_of_the_selection_tells_problems_from_dropped_samples(folder: Path) -> None:
    log = folder / "run" / "selection" / "log" / "algebra"
    log.mkdir(parents=True)
    record = folder / "run" / "build.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "selection": "log"}))
    accepted = ["algebra"] * 30 + [None] * 50 + ["algebra"] * 20
    for start, stop in ((0, 60), (60, 100)):
        table = pa.table({"accepted_as": accepted[start:stop]})
        file = str(log / f"{start:07d}-{stop:07d}.arrow")
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    answered = {one.label: (one.problems, one.wanted) for one in status(folder).stages if one.wanted}
    assert answered == {"solutions": (30, 100), "candidates": (30, 100), "score": (0, 100)}
    # of a piece that is torn, the share of accepted samples is assumed
    torn = log / "0000060-0000100.arrow"
    torn.write_bytes(torn.read_bytes()[:40])
    torn_too = {one.label: one.problems for one in status(folder).stages}
    assert torn_too["solutions"] == 30 + 20 // 2
    # nothing is left of a finished build, though its given problems were fewer than the count
    record.write_text(json.dumps({**json.loads(record.read_text()), "finished": "x"}))
    assert {one.wanted for one in status(folder).stages} == {None, 50}


def test_nothing_is_promised_before_a_problem_is_accepted(folder: Path) -> None:
    (folder / "run" / "selection.json").write_text(
        json.dumps({"algebra": {"filtered": 64, "accepted": 0, "reasons": {}}})
    )
    assert tokens_left(status(folder)) is None
