"""What the terminal gets: lines that fit it, colours that it wants, and nothing that it would obey."""

from __future__ import annotations

import io

import pytest

from magpie_hf.text.terminal import console, encodable, harmless, is_terminal, print_table

HEAD = ("domain", "rows", "reasons")
ROWS = [("algebra", "1,234", "12 circular repetitions, 3 near-duplicates"), ("number_theory", "7", "")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(columns: int, monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), **environment}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    print_table(console(terminal), HEAD, ROWS, right=(1,))
    return terminal.getvalue()


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 80])
def test_a_table_fits_and_loses_no_word(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(columns, monkeypatch, NO_COLOR="1")
    lines = [line.rstrip() for line in text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()]
    assert all(len(line) <= columns for line in lines)
    words = " ".join(lines).split()
    for cell in (cell for row in ROWS for cell in row):
        assert all(word in words for word in cell.split())


def test_colours_are_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    def coloured(**environment: str) -> str:
        for name, value in {"TERM": "xterm-256color", **environment}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        console(terminal).print("red", style="red")
        return terminal.getvalue()

    assert coloured() == "\x1b[31mred\x1b[0m\n"
    assert coloured(TERM="dumb") == "red\n"
    assert coloured(NO_COLOR="1") == "red\n"


def test_a_dumb_terminal_of_40_columns_has_40(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "40")
    assert console(Terminal()).width == 40


def test_a_pipe_gets_whole_lines_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    pipe = io.StringIO()
    console(pipe).print("[bold]word[/] :smile: " * 100, style="red")
    assert pipe.getvalue() == "[bold]word[/] :smile: " * 100 + "\n"
    pipe = io.StringIO()
    print_table(console(pipe), HEAD, [*ROWS, ("geometry", "8", "word " * 100)], right=(1,))
    lines = pipe.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].rstrip() == "algebra        1,234  12 circular repetitions, 3 near-duplicates"


def test_what_an_encoding_lacks_becomes_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_table(console(stream), ("領域", "x"), [("∑", "\ud800")])
    stream.flush()
    assert raw.getvalue().split() == [b"??", b"x", b"?", b"?"]
    encodable(None, io.StringIO())  # these take everything


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x² → ∑ 数学\n\tnext", "x² → ∑ 数学\n\tnext"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("a\u202eb\u2066c\u200fd", "a\\u202eb\\u2066c\\u200fd"),
        ("one\r\ntwo\rthree\u2028four\x85", "one\ntwo\\rthree\\u2028four\\x85"),
        ("\x9b31m\ud800", "\\x9b31m\\ud800"),
        ("क्\u200dष", "क्\u200dष"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_stream_that_is_not_there_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    assert not is_terminal(None)
    assert not is_terminal(closed)
    assert is_terminal(Terminal())
