"""What a person reads, in English and Japanese: nothing that can be said is missing from the table, and
nothing in it is of no use.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import phrases
import pytest

from conftest import ROOT
from magpie_hf.card.stats import Answers, Funnel, Pairs, Samples
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands.display import _warnings
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.errors import BadInput
from magpie_hf.hub.lint.rows import RESERVED
from magpie_hf.models.gpus import GPUS
from magpie_hf.models.known import KNOWN_SCORERS
from magpie_hf.models.licences import DUTIES
from magpie_hf.models.parallel import Need, choose
from magpie_hf.planning.view import heading
from magpie_hf.progress.lines import Plain
from magpie_hf.run.status import TopicStatus
from magpie_hf.text.columns import folded, padded, width, wrapped
from magpie_hf.text.language import TABLE, _table, tr, translated, use, wanted
from magpie_hf.text.numbers import duration

sys.path.insert(0, str(ROOT / "builders"))

import hle_math

JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")
# Of argparse's words, those that somebody can come to see here.
ARGPARSE = (
    "usage: ",
    "positional arguments",
    "options",
    "show this help message and exit",
    "the following arguments are required: {0}",
    "unrecognized arguments: {0}",
    "argument {0}: {1}",
    "invalid choice: {0} (choose from {1})",
    "expected one argument",
    "ambiguous option: {0} could match {1}",
    "ignored explicit argument {0}",
)
ROLES = (
    "model",
    "solver",
    "judge",
    "scorer",
    "tagger",
    "embedder",
    "licence",
    "domain",
    "problems",
    "folder",
    "samples",
    "tokens",
    "time",
)


@pytest.fixture
def japanese() -> Iterator[None]:
    use("ja")
    yield
    use("en")


@pytest.fixture(autouse=True)
def english_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    yield
    use("en")


def test_everything_that_can_be_said_is_in_the_table() -> None:
    said = [(phrase.text, phrase.where) for phrase in (*phrases.said(), *phrases.raised(), *phrases.warned())]
    said += [
        (text, "argparse, roles, columns, models")
        for text in (*ARGPARSE, *ROLES, *RESERVED.values(), *phrases.known(), str(hle_math.__doc__))
    ]
    own = [(text, where) for text, where in said if re.search("[a-zA-Z]{2}", re.sub(r"{[^}]*}", "", text))]
    assert len(own) > 400
    assert not {text: where for text, where in own if text not in _table()}


def test_no_error_hides_its_text() -> None:
    """Those that tell what a function returned, which is among the phrases."""
    told = {
        "_too_large(need, gpus, gpu, utilization, tensor, data)",
        "plan.refusal",
        "self.selection.hopeless",
        "reason",
        "text",
    }
    assert {text[text.index("(") + 1 : -1] for text in phrases.unread()} == told


def test_every_text_of_the_command_line_is_in_the_table() -> None:
    texts = [text for text in phrases.shown() if text]
    use("ja")
    assert len(texts) > 100
    assert not [
        text
        for text in texts
        if not JAPANESE.search(translated(text)) and text != "auto, bfloat16, float16 or float32"
    ]
    assert not [text for text in texts if ("%(default)s" in text) != ("%(default)s" in translated(text))]


def test_the_table_holds_nothing_that_is_said_no_more() -> None:
    by_the_system = {os.strerror(number) for number in errno.errorcode}
    assert not set(_table()) - phrases.literals() - by_the_system


def test_nothing_is_translated_twice() -> None:
    keys = re.findall(
        r'^(?:\? )?("(?:[^"\\]|\\[\s\S])*"):?\s', TABLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(keys) == len(set(keys)) == len(_table())


def test_labels_of_lines_are_of_one_width(japanese: None) -> None:
    """What is said before a build begins: labels of eight columns and a space, as in English."""
    scorer = next(one.repository for one in KNOWN_SCORERS.values() if one.forbids)
    lines = heading(
        tuple(DOMAINS.values()), {"model": "a/b", "scorer": scorer, "embedder": "a/c"}, 5, "data/x"
    )
    label = re.compile(r"(?:work|disk|download|time|left|warning) +(?=[a-z{])")
    lines += [
        japanese for english, japanese in _table().items() if (at := label.match(english)) and at.end() == 9
    ]
    assert len(lines) > 20
    assert {width(found[0]) for line in lines if (found := re.match(r"\S+ +", line))} == {9}


def test_a_translation_has_the_fields_of_its_english() -> None:
    for english, japanese in _table().items():
        assert sorted(phrases.fields(english)) == sorted(
            field.removesuffix("!t") for field in phrases.fields(japanese)
        ), english


def test_words_that_stand_in_a_field_are_translated_there() -> None:
    for phrase in phrases.raised():
        for field, piece in phrase.pieces:
            assert f"{field}!t" in phrases.fields(_table()[phrase.text]), (
                f"{phrase.text!r} may hold {piece!r} ({phrase.where})"
            )


def test_every_pattern_is_found_again(japanese: None) -> None:
    """So no error is taken for another one, whatever its values are."""
    for english, translation in _table().items():
        if "{0}" in english:
            values = [f"«{number}»" for number in range(len(phrases.fields(english)))]
            assert translated(english.format(*values)) == translation.replace("!t}", "}").format(*values), (
                english
            )


def test_values_pass_unchanged_and_words_do_not(japanese: None) -> None:
    assert (
        translated("'a number' is not a domain; choose from algebra, one")
        == "'a number' という分野はありません。algebra, one から選んでください"
    )
    assert translated("nobody said this") == "nobody said this"
    need = (
        "model 1 (a/b) needs about 66 GB for its weights, so a GPU, and this machine has none; nothing was"
        " downloaded: "
    )
    assert translated(f"{need}use a GPU machine or a small model").startswith(
        "モデル 1(a/b)の重みは約 66 GB で GPU が必要ですが、"
    )
    text = "argument --k: 'x{0}' is not a whole number; see magpie-hf build --help"
    assert (
        translated(text)
        == "引数 --k: 'x{0}' は整数ではありません。magpie-hf build --help で使い方を確認できます"
    )


# Words that stay in a Japanese line: names, options, ids of rows and reasons, units.
IDS = re.compile(
    r"--[a-z-]+|[a-z_]+\.[a-z]+|[a-z]+_[a-z_]+|Built with|Improved using|[A-Z]\w*|\b(?:length|chat|pid|max)\b"
)


def english_in(line: str) -> list[str]:
    """The English words of a Japanese line."""
    return re.findall("[a-z]{2,}", IDS.sub("", line))


def test_lines_that_are_put_together_are_japanese_in_all_their_parts(japanese: None) -> None:
    samples = Samples(40, {"length": 3}, {}, 2, 1, 30, 15)
    funnel = Funnel(
        "数論",
        samples,
        problems=36,
        languages={"ja": 36},
        candidates=108,
        answered=30,
        unanswered={"length": 6},
        cut_candidates={"length": 9},
        unscored={},
        sft=30,
        pairs=20,
    )
    votes = Answers(
        {}, 30, 0.8, 1, {"majority": 20, "minority": 4, "no vote": 6}, {"no majority": 1, "undecided": 2}
    )
    pairs = Pairs({}, 0, {}, {"agrees": 1, "differs": 2, "undecided": 3})
    with pytest.raises(BadInput) as large:
        choose(Need("model 3 (a/b)", 99), [gpu for gpu in GPUS if gpu.name in ("RTX 4090 24 GB", "L4 24 GB")])
    lines = [
        funnel.line(),
        votes.line(),
        pairs.line().replace("delta", "").replace("chosen", ""),
        TopicStatus("数論", "素数", 10, 5, 1).line(),
        duration(30),
        duration(300),
        duration(36_000),
        translated(str(large.value)),
        translated(
            "http://1:2 cannot be reached (connection refused) after 0.1 s; start it again, or leave it out"
        ),
        translated("http://1:2 answered with no JSON: '<'; its requests go to others"),
        translated("/x cannot be written (No space left on device); choose another --out"),
        translated(
            "another build runs in /x, or is being published (pid 7 on ホスト since 2026-11-29 10:00:00);"
            " wait for it or choose another --out"
        ),
        translated("judge あ"),
        translated("reward model あ (max over steps)"),
        *(translated(duty) for duty in DUTIES.values()),
    ]
    assert not {line: words for line in lines if (words := english_in(line.replace("http:", "")))}
    assert all(JAPANESE.search(line) for line in lines)


def test_english_passes_as_it_is() -> None:
    assert tr("{count:,} rows", count=1200) == "1,200 rows"
    assert translated("a number") == "a number"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["build", "--colour"], "認識できない引数があります: --colour。magpie-hf build --help"),
        (["build"], "モデルが指定されていません。--model か、model を書いたレシピファイルを指定してください"),
        (["show"], "次の引数が必要です: folder。magpie-hf show --help で使い方を確認できます"),
        (["show", " "], "は存在しません。作成時に"),
        (["plan", "x.yaml", "--out", "y"], "x.yaml というファイルはありません"),
        (["build", "--model"], "引数 --model: 値を 1 つ指定してください"),
        (["build", "--model", "1", "--engine", "x"], "引数 --engine: 'x' は選べません"),
        (["build", "--model", "1", "--k", "x"], "引数 --k: 'x' は整数ではありません"),
        (["build", "--model", "1", "--near", "x"], "引数 --near: 'x' は数値ではありません"),
        (["build", "--model", "1", "--instruction", "2"], "--instruction が曖昧です"),
        (["build", "--model", "1", "--public=2"], "引数 --public: このオプションは値を取りません('2')"),
        (["sing"], "'sing' は選べません"),
        (["build", "--model", "7"], "モデル 7 はありません。1 から 6 の番号"),
        (["build", "--model", "1", "--scale", "0"], "規模が 0 です"),
        (["status", "nowhere"], "nowhere は存在しません。"),
        (["status", "--lang", "ja", "nowhere"], "nowhere は存在しません。"),
        ([], "メニューには端末が必要です"),
    ],
)
@pytest.mark.parametrize("how", ["option", "locale"])
def test_errors_are_in_japanese(
    arguments: list[str],
    line: str,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "locale":
        monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert main([*(["--lang", "ja"] if how == "option" else []), *arguments]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("magpie-hf: ")
    assert line in error
    assert error.count("\n") == 1


def test_warnings_are_in_japanese(japanese: None) -> None:
    out, err = io.StringIO(), io.StringIO()
    with _warnings(Plain(out, err).take):
        logging.getLogger("magpie_hf").warning(
            "torn records in %s: %d; what they held is asked again", "x.journal", 2
        )
    assert err.getvalue() == "x.journal に壊れた記録が 2 件あります。その分は生成し直します\n"


def test_the_language_is_the_options_or_the_locales() -> None:
    assert (
        wanted([], {})
        == wanted([], {"LANG": "C.UTF-8"})
        == wanted(["build", "--lang", "en"], {"LANG": "ja_JP.UTF-8"})
        == "en"
    )
    assert wanted(["build", "--lang=ja"], {}) == wanted([], {"LANG": "ja_JP.UTF-8", "LC_ALL": ""}) == "ja"
    assert wanted([], {"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}) == "en"
    with pytest.raises(BadInput, match="--lang is 'fr'; give one of en, ja"):
        wanted(["--lang", "fr"], {})


def test_help_is_japanese_and_fits_the_terminal(japanese: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    top = cli.parser()
    (commands,) = (action.choices for action in top._actions if action.dest == "command")
    assert isinstance(commands, dict)
    for parser in (top, *commands.values()):
        text = parser.format_help()
        assert text.startswith("使い方: magpie-hf")
        assert "\nオプション:\n" in text
        assert not re.search(r"show this|default:|options:", text)
        assert not [
            line
            for line in text.splitlines()
            if JAPANESE.search(line) and width(line) > 72 and "deepseek-ai" not in line
        ]


@pytest.mark.parametrize(
    ("environment", "words"), [({}, "examples: 1 1.0 1"), ({"LANG": "ja_JP.UTF-8"}, "例: 1 1.0 1")]
)
def test_hle_math_helps_in_both_languages(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "builders" / "hle_math.py")]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
    said, failed = (
        subprocess.run(
            [*script, *more],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for more in (["-h"], ["2", "0.5", "2"])
    )
    assert said.returncode == 0
    assert words in said.stdout
    assert failed.returncode == BAD_INPUT
    assert failed.stderr.startswith("hle_math.py: mode 2 ")
    assert bool(JAPANESE.search(failed.stderr)) == bool(JAPANESE.search(words))


def test_english_reads_no_table() -> None:
    script = (
        "import sys\nfrom magpie_hf.cli.main import main\n"
        "try: main(['build', '--help'])\nexcept SystemExit: assert 'yaml' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert TABLE.is_file()


def test_lines_end_where_japanese_lines_end() -> None:
    text = "問題を書くモデルです(既定値: 1)。Hub のリポジトリ、フォルダー、または番号。"
    for columns in range(12, 60):
        lines = wrapped(text, columns, "  ", "    ")
        assert "".join(line.strip() for line in lines).replace(" ", "") == text.replace(" ", "")
        assert all(width(line) <= columns for line in lines)
        assert not any(line.strip()[0] in "、。)ー" or line[-1] in "((" for line in lines)
    assert wrapped("plain words, as they are", 12) == ["plain words,", "as they are"]
    assert wrapped("", 12) == [""]
    assert padded("解答", 6) == "解答  "
    assert folded("disk     5 MB, and 59 GB\n         are free\nplain words", 20).split("\n") == [
        "disk     5 MB, and",
        "         59 GB",
        "         are free",
        "plain words",
    ]
    assert folded("- 上限は 4,096 トークン", 18) == "- 上限は 4,096\n  トークン"


def test_a_place_in_a_file_hides_no_translation(japanese: None) -> None:
    assert translated("r.yaml:7: 'selection.cuont' is no key; the nearest is selection.count") == (
        "r.yaml:7: 'selection.cuont' というキーはありません。最も近いのは selection.count です"
    )
    assert translated("数学/r.yaml:1: domains.x is '3'; give its fields, such as count") == (
        "数学/r.yaml:1: domains.x は '3' です。count などの項目を書いてください"
    )
    assert translated("r.yaml:1: nobody said this") == "r.yaml:1: nobody said this"
