"""Watching a build: its events, and what the views show on terminals, in pipes and to machines."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import re
import struct
import subprocess
import sys
import termios
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from terminal import CTRL_C, Terminal

from conftest import ROOT, Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import assembly
from magpie_hf.cli.commands import build as command
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import EngineError
from magpie_hf.progress import captured_output, lines
from magpie_hf.progress.captured_output import Log
from magpie_hf.progress.events import (
    DomainPlanned,
    Ended,
    Event,
    Planned,
    Said,
    SelectionMoved,
    ShardFinished,
    Speed,
    as_json,
    name_of,
)
from magpie_hf.progress.live import Live

FIELDS = {name_of(event): {"event", "at", *(one.name for one in fields(event))} for event in get_args(Event)}


def test_a_build_tells_what_happens_in_it(answers: Answers, tmp_path: Path) -> None:
    told, said = list[Event](), list[str]()
    build(small_recipe(answers), tmp_path, say=said.append, observer=told.append)
    planned = next(one for one in told if not isinstance(one, Said))
    assert isinstance(planned, Planned)
    assert [(one.domain, one.target) for one in planned.domains] == [("algebra", 12), ("geometry", 12)]
    assert planned.domains[0].samples + planned.domains[0].answers == (
        *("instruct", "clean", "signature"),
        *("candidates", "verify", "score", "pair"),
    )
    shards = [one for one in told if isinstance(one, ShardFinished)]
    for domain in ("algebra", "geometry"):
        last = [one for one in told if isinstance(one, SelectionMoved) and one.domain == domain][-1]
        assert (last.accepted, last.target) == (12, 12)
        assert last.filtered == 12 + sum(last.reasons.values())
        for stage in planned.domains[0].answers:
            assert (
                sum(one.rows for one in shards if (one.domain, one.stage) == (domain, stage)) == last.filtered
            )
    spoken = [one for one in told if isinstance(one, Said | ShardFinished)]
    assert len(said) == len(spoken)
    assert all(
        line == one.line if isinstance(one, Said) else one.stage in line
        for line, one in zip(said, spoken, strict=True)
    )
    assert isinstance(told[-1], Ended)
    assert (told[-1].what, told[-1].error) == ("finished", None)

    again = list[Event]()
    build(replace(small_recipe(answers), k=4), tmp_path, observer=again.append)
    assert isinstance(again[0], Planned)
    found = {stage for stage, found in again[0].domains[0].found.items() if found.rows}
    assert found == {"instruct", "clean", "signature"}
    assert {one.stage for one in again if isinstance(one, ShardFinished)} == {
        "candidates",
        "verify",
        "score",
        "pair",
    }


def test_a_watcher_that_fails_hears_no_more_and_harms_nothing(
    answers: Answers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = 0

    def fails(event: Event) -> None:
        nonlocal heard
        heard += 1
        raise RuntimeError("no")

    watched = build(small_recipe(answers), tmp_path / "watched", observer=fails)
    alone = build(small_recipe(answers), tmp_path / "alone")
    assert heard == 1
    assert "the observer of this build failed" in caplog.text
    assert watched["algebra"]["train_sft"].to_list() == alone["algebra"]["train_sft"].to_list()


def test_plain_lines_are_few(clock: list[float]) -> None:
    """A build of 200 shards in 100 seconds: a line each half minute, and what matters at once."""
    out, err = io.StringIO(), io.StringIO()
    view = lines.Plain(out, err)
    view.take(Planned("out", (DomainPlanned("algebra", 3000, ("instruct",), ("pair",), {}),)))
    for number in range(1, 201):
        clock[0] += 0.5
        view.take(ShardFinished("algebra", "instruct", 20, 1.0, 10, {}))
        view.take(ShardFinished("algebra", "pair", 20, 1.0, 10, {}))
        view.take(
            SelectionMoved(
                "algebra", 20 * number, min(3000, 16 * number), 3000, {"near_duplicate": 4 * number}
            )
        )
        view.take(Speed("it", 256, 10, 4200.0, 4000.0, 5000.0, "engine", working=256))
    view.take(Said("a warning", "warning"))
    assert err.getvalue() == "a warning\n"
    said = out.getvalue().splitlines()
    assert (
        said[0]
        == "[0:00:30] 944 of 3,000 problems accepted; 4,200 tokens/s now, 4,000 on average, 5,000 in the"
        " best 30 s (now 84% of it); 256 requests in flight; – left; dropped: 236 near_duplicate"
    )
    assert [line.split("] ")[1] for line in said if "tokens/s" not in line] == [
        "algebra: 3,000 problems of 3,760 samples",
        "instruct finished: 3,760 rows",
        "pair finished: 3,000 rows",
    ]
    assert len(said) <= 3 + 3


def shown(how: str, folder: Path, seconds: float = 0.0) -> list[str]:
    (folder / "run").mkdir(parents=True, exist_ok=True)
    return [sys.executable, str(ROOT / "tests" / "shown.py"), how, str(folder), str(seconds)]


@pytest.mark.parametrize(("columns", "cell"), [(120, "105/9,600"), (80, "105/9600"), (40, "630/70,400")])
def test_a_live_view_fits_its_terminal(columns: int, cell: str, tmp_path: Path) -> None:
    no_color = {"NO_COLOR": "1"} if columns == 40 else {}
    with Terminal(
        shown("auto", tmp_path, 1.5), tmp_path, columns, TERM="xterm-256color", **no_color
    ) as terminal:
        terminal.expect("1,234 SFT rows, 99 pairs in out")
        code, text = terminal.end()
    assert code == OK
    assert "noise" not in text
    assert (
        text.index("what is planned")
        < text.index("the engine died; it is started again")
        < text.index("engine restarts: 1")
    )
    assert text.rindex("\x1b[?25l") < text.rindex("\x1b[?25h"), "the cursor is there again"
    sampled = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines()
    last = sampled[max(at for at, line in enumerate(sampled) if line.startswith("stage")) :]
    assert any(line.startswith("instruct") and cell in line for line in last), last
    assert any(line.startswith("accepted") for line in last)
    assert ("         GB are free on the disk" in sampled) == (columns == 40), "lines end between words"
    assert not [line for line in last if "in flight" in line or "now" in line], "nothing runs any more"
    assert max(map(len, sampled)) <= columns
    assert (re.search(r"\x1b\[[0-9;]*3[1-7]m", text) is None) == (columns == 40), "NO_COLOR is heeded"


def test_what_matters_is_in_sight_however_many_stages_there_are() -> None:
    """Those that are equally far share a row where the terminal is too low for one each."""
    view = Live(stream := io.StringIO(), stream)
    samples = tuple(
        f"{name}_round{number}" for number in range(1, 11) for name in ("harden", "tag", "screen")
    )
    view._board.take(Planned("out", (DomainPlanned("algebra", 90, ("instruct", *samples), ("pair",), {}),)))
    for stage in ("instruct", *samples[:4]):
        view._board.take(ShardFinished("algebra", stage, 20, 1.0, 0, {}))
    view._board.take(Speed("it", 9, 0, 5.0, 4.0, None, "engine", working=9))
    for height, rows in ((24, 3), (50, 32)):
        view._console.size = (80, height)
        lines = [
            "".join(one.text for one in line).rstrip() for line in view._console.render_lines(view._render())
        ]
        assert len(lines) == rows + 6 < height
        assert lines[-1] == "9 requests in flight"
        assert lines[1].startswith("instruct – harden_round2  " if rows == 3 else "instruct  ")
        assert lines[rows].startswith("pair  ")


def test_a_terminal_without_a_size_gets_a_picture(tmp_path: Path) -> None:
    with Terminal(shown("live", tmp_path, 1.5), tmp_path, 0, TERM="xterm-256color") as terminal:
        terminal.expect("instruct")
        terminal.expect("1,234 SFT rows")


def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with Terminal(shown("live", tmp_path, 60), tmp_path, 80, TERM="xterm-256color") as terminal:
        terminal.expect("requests in flight")
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        terminal.expect("all domains")  # sampled for the new size
        terminal.type(CTRL_C)
        terminal.expect("magpie-hf: stopped; nothing was begun. Go on with: ")
        code, text = terminal.end()
    assert code == 130
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert text.rindex("\x1b[?25h") < text.rindex("stopped;"), "the last words stand below the view"


@pytest.mark.parametrize(("how", "out", "err"), [("auto", 5, 1), ("json", 19, 0), ("quiet", 1, 0)])
def test_noise_goes_to_the_log(how: str, out: int, err: int, tmp_path: Path) -> None:
    for _ in range(2 if how == "quiet" else 1):
        done = subprocess.run(shown(how, tmp_path), capture_output=True, text=True, timeout=60, check=True)
    assert "noise of" not in done.stdout + done.stderr
    assert (done.stdout.count("\n"), done.stderr.count("\n")) == (out, err), done.stdout
    assert "1,234 SFT rows" in done.stdout.splitlines()[-1]
    log = (tmp_path / "run" / captured_output.NAME).read_text().splitlines()
    part = ["noise of C", "noise of Python", "noise of a child", "the engine died; it is started again"]
    assert log[1:5] == part
    assert all(line.startswith("--- 20") for line in log[::5])
    assert len(log) == (10 if how == "quiet" else 5), "each run appends"


def test_a_reader_that_leaves_ends_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        shown("plain", tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (OK, "the engine died; it is started again\n")


@pytest.mark.parametrize("how", ["plain", "live", "json"])
def test_a_terminal_that_is_closed_ends_nothing(how: str, tmp_path: Path) -> None:
    """As where a connection breaks, and the build was begun with nohup."""
    command = ["/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *shown(how, tmp_path, 2)]
    with Terminal(command, tmp_path, TERM="xterm-256color") as terminal, open(os.devnull) as nothing:
        terminal.expect("what is planned")
        os.dup2(nothing.fileno(), terminal.master)
        assert terminal.process.wait(60) == OK
    assert "noise of a child" in (tmp_path / "run" / captured_output.NAME).read_text()


def test_a_full_disk_costs_the_log_and_nothing_else(tmp_path: Path) -> None:
    command = shown("plain", tmp_path)
    (tmp_path / "run" / captured_output.NAME).symlink_to("/dev/full")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    why = (
        "log.txt cannot be written (No space left on device), so what libraries say of this build is not"
        " kept\n"
    )
    assert done.stderr.endswith(f"{why}the engine died; it is started again\n")
    assert "1,234 SFT rows" in done.stdout.splitlines()[-1]


def test_streams_that_were_closed_before_the_start_are_empty_ones() -> None:
    script = (
        "import os, magpie_hf.text.terminal as t; t.open_missing_streams(); from"
        " magpie_hf.cli.commands.display import watching\nwith watching('plain') as show: show.result('nobody"
        " reads this')\nassert [os.readlink(f'/proc/self/fd/{number}') for number in (0, 1, 2)] =="
        " [os.devnull] * 3"
    )
    command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=True)


def test_a_log_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "_catch", lambda log: None)
    monkeypatch.setattr(captured_output, "LONGEST", 1000)
    monkeypatch.setattr(captured_output, "KEPT", 500)
    log = Log(sys.stdout, sys.stderr)
    log.keep(tmp_path / "log.txt")
    with (tmp_path / "log.txt").open("a") as writer:
        for number in range(200):
            writer.write(f"line {number}\n")
            writer.flush()
            log.trim()
    kept = (tmp_path / "log.txt").read_text().splitlines()
    assert kept == [f"line {number}" for number in range(200 - len(kept), 200)]
    assert 500 <= (tmp_path / "log.txt").stat().st_size <= 1000
    log.close()


@pytest.fixture
def faked(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The command line builds with an engine that answers from its seed, and makes captured_output."""

    def engine(model: Any) -> FakeEngine:
        def reply(prompt: Any, sampling: Any, seed: int) -> Completion:
            os.write(2, b"noise of an engine\n")
            return answers(prompt, sampling, seed)

        return FakeEngine(model, reply)

    monkeypatch.setattr(
        assembly, "engines_of", lambda options, specs: {spec: engine(spec[0]) for spec in specs}
    )
    monkeypatch.setattr(command, "check_devices", lambda options, sources: None)
    return answers


def arguments(model: Path, out: Path, *more: str) -> list[str]:
    small = ["--domains", "algebra", "--count", "8", "--k", "2", "--tagger", "none", "--test-share", "0"]
    return [
        "build",
        "--model",
        str(model),
        "--out",
        str(out),
        *small,
        "--instruction-temperature",
        "1.5",
        *more,
    ]


def test_events_are_json_on_stdout_and_nothing_else(
    faked: Answers, demo_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments(demo_model, tmp_path / "out", "--json")) == OK
    printed = capfd.readouterr()
    assert printed.err == ""
    events = [json.loads(line) for line in printed.out.splitlines()]
    for event in events:
        assert set(event) == FIELDS[event["event"]]
    names = [event["event"] for event in events]
    assert names[:2] == ["plan_made", "said"]
    assert set(events[0]["plan"]) >= {"rows", "stages", "models", "seconds"}
    assert set(names) >= {"said", "planned", "shard_finished", "selection_moved", "ended"}
    assert [event["kind"] for event in events if event["event"] == "said"][-1] == "result"
    assert "noise of an engine" in (tmp_path / "out" / "run" / captured_output.NAME).read_text()


def test_what_ends_a_build_is_one_line_that_names_the_log(
    faked: Answers,
    demo_model: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies(self: FakeEngine, prompt: Any, sampling: Any, seed: int) -> Any:
        raise EngineError("the engine died")

    monkeypatch.setattr(FakeEngine, "submit", dies)
    assert cli.main(arguments(demo_model, tmp_path / "out", "--quiet")) == 1
    log = tmp_path / "out" / "run" / captured_output.NAME
    assert capfd.readouterr() == ("", f"magpie-hf: the engine died; the log of it is {log}\n")
    monkeypatch.setattr(FakeEngine, "submit", None)  # which is a fault of the program
    with pytest.raises(TypeError):
        cli.main(arguments(demo_model, tmp_path / "out", "--quiet"))
    assert cli.main(arguments(demo_model, tmp_path / "out", "--progress", "live")) == BAD_INPUT
    assert "neither stdout nor stderr is a terminal" in capfd.readouterr().err
    logging.getLogger("magpie_hf").warning("after the command, all is as it was")
    os.write(2, b"this, too\n")
    assert capfd.readouterr().err.endswith("this, too\n")


def test_every_field_is_documented() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (.*) \|$", (ROOT / "docs" / "report.md").read_text(), flags=re.MULTILINE
    )
    documented = {name: text for name, text in rows if name in FIELDS}
    assert documented.keys() == FIELDS.keys()
    for name, text in documented.items():
        assert FIELDS[name] - {"event", "at"} <= set(re.findall(r"`(\w+)`", text)), name


def test_every_event_comes_to_plain_values() -> None:
    planned = Planned("out", (DomainPlanned("algebra", 10, ("instruct",), ("pair",), {}),))
    assert as_json(planned) == {
        "event": "planned",
        "folder": "out",
        "domains": [
            {
                "domain": "algebra",
                "target": 10,
                "samples": ["instruct"],
                "answers": ["pair"],
                "found": {},
                "engines": {},
                "most_tokens": {},
                "extended": [],
            }
        ],
    }
