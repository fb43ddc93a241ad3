"""The command line: what it plans, what it refuses, and that it stays light."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from conftest import ROOT
from magpie_hf.cli import main as cli
from magpie_hf.cli.commands import options
from magpie_hf.cli.commands.exit_codes import BAD_INPUT
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS

sys.path.insert(0, str(ROOT / "builders"))

from hle_math import build_arguments, confirmed


def domains(*arguments: str) -> tuple[object, ...]:
    return options.domains(cli.parser().parse_args(["build", "--model", "1", *arguments]))


@pytest.mark.parametrize(
    ("words", "model", "plan"),
    [
        ([], "1", dict(zip(DOMAINS, (10000, 10000, 6000, 6000, 4000, 8000), strict=True))),
        (["5", "0.5", "1"], "5", dict(zip(DOMAINS, (5000, 5000, 3000, 3000, 2000, 4000), strict=True))),
        (["2", "0.5", "2", "2"], "2", {"calculus": 5000}),
        (["4", "0.1", "2", "5"], "4", {"number_theory": 400}),
        (["1", "0.0001", "3", "1,6"], "1", {"algebra": 10, "discrete": 10}),
        (["6", "0.0123", "2", "3"], "6", {"geometry": 70}),
        (["3", "2.0", "2", "4"], "3", {"statistics": 12000}),
    ],
)  # fmt: skip
def test_the_original_arguments_mean_what_they_meant(
    words: list[str], model: str, plan: dict[str, int]
) -> None:
    given = cli.parser().parse_args(build_arguments(words))
    assert given.model == model
    assert {domain.key: domain.count for domain in options.domains(given)} == plan


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["2", "0.5", "4"], "mode is '4'; choose 1 (all domains), 2 (one) or 3 (some)"),
        (["2", "0.5", "2"], "mode 2 needs a domain: a number from 1 to 6"),
        (["2", "0.5", "1", "2"], "mode 1 takes no domain"),
        (["2", "0.5", "2", "7"], "domain is '7'; choose one of 1 to 6"),
        (["2", "0.5", "2", "1,2"], "domain is '1,2'; choose one of 1 to 6"),
        (["2", "0.5", "3", "1,,2"], "domain is '1,,2'; choose some of 1 to 6"),
        (["2", "0.5", "2", "2", "9"], "5 arguments are given; give at most 4: model, scale, mode, domain"),
    ],
)
def test_the_original_arguments_are_refused_in_a_line(words: list[str], line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        build_arguments(words)


def test_hle_math_prints_the_plan_before_it_asks_for_a_gpu(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "builders" / "hle_math.py"), "2", "0.5", "2", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "DeepSeek-R1-Distill-Llama-70B" in done.stdout
    assert "calculus 5,000" in done.stdout
    assert done.returncode == BAD_INPUT
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "magpie-hf: model 2 (deepseek-ai/DeepSeek-R1-Distill-Llama-70B) needs about 141 GB for its weights,"
        " so a GPU"
    )
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_flags_override_the_domains_values() -> None:
    (plain,) = domains("--domains", "geometry")
    (changed,) = domains(
        "--domains",
        "geometry",
        "--count",
        "7",
        "--temperature",
        "0.6",
        "--max-tokens",
        "99",
        "--instruction-min-p",
        "0.2",
        "--candidate-temperature",
        "0.9",
        "--candidate-top-p",
        "0.8",
        "--instruction-max-tokens",
        "55",
    )
    assert (plain.count, plain.response.temperature, plain.instruction.min_p) == (6000, 0.05, 0.1)
    assert changed.count == 7
    assert (changed.response.temperature, changed.response.max_tokens, changed.response.top_p) == (
        0.6,
        99,
        1.0,
    )
    assert (changed.candidate.temperature, changed.candidate.max_tokens, changed.candidate.top_p) == (
        0.9,
        99,
        0.8,
    )
    assert (changed.instruction.temperature, changed.instruction.max_tokens, changed.instruction.min_p) == (
        1.35,
        55,
        0.2,
    )
    (original,) = domains("--domains", "geometry", "--sampling", "original")
    assert (original.instruction.min_p, original.instruction.temperature) == (0.0, 1.35)


MODEL = "MODEL"  # stands for the demo model's folder


# Arguments, and what is said of them.
BAD = [
    (["--model", "7"], "model 7 is unknown; choose 1 to 6, a Hub repository or a local folder"),
    (["--model", "0"], "model 0 is unknown"),
    (["--model", "nowhere"], "'nowhere' is no model"),
    (["--model", "./nowhere/at-all"], "'./nowhere/at-all' is no model"),
    (["--model", MODEL, "--solver", "8"], "model 8 is unknown"),
    (["--model", MODEL, "--domains", "alchemy"], "'alchemy' is not a domain; choose from algebra, calculus"),
    (["--model", MODEL, "--domains", "algebra,algebra"], "domain algebra is named more than once"),
    (["--model", MODEL, "--domains", ""], "'' is not a domain"),
    (["--model", MODEL, "--scale", "0"], "scale is 0; give a positive number"),
    (["--model", MODEL, "--scale", "-1"], "scale is -1; give a positive number"),
    (["--model", MODEL, "--scale", "nan"], "scale is nan; give a positive number"),
    (["--model", MODEL, "--scale", "inf"], "scale is inf; give a positive number"),
    (["--model", MODEL, "--scale", "big"], "argument --scale: 'big' is not a number"),
    (["--model", MODEL, "--count", "0"], "count is 0; give at least 1 problem a domain"),
    (["--model", MODEL, "--count", "2.5"], "argument --count: '2.5' is not a whole number"),
    (["--model", MODEL, "--k", "1"], "k is 1, so no pairs are possible; give at least 2"),
    (["--model", MODEL, "--temperature", "-0.1"], "temperature is -0.1; give a number from 0 (greedy) to 2"),
    (["--model", MODEL, "--temperature", "2.1"], "temperature is 2.1; give a number from 0 (greedy) to 2"),
    (["--model", MODEL, "--instruction-temperature", "nan"], "temperature is nan; give a finite number"),
    (["--model", MODEL, "--top-p", "0"], "top_p is 0; give a number above 0"),
    (["--model", MODEL, "--max-tokens", "0"], "max_tokens is 0; give a whole number of at least 1"),
    (["--model", MODEL, "--max-model-len", "8193"], "max length 8193 is larger than the 8192 tokens of"),
    (["--model", MODEL, "--max-model-len", "0"], "--max-model-len is 0; give at least 1"),
    (["--model", MODEL, "--dtype", "int3"], "argument --dtype: invalid choice: 'int3'"),
    (["--model", MODEL, "--revision", "main"], "revision 'main' was given for the folder"),
    (["--model", MODEL, "--shard-size", "0"], "--shard-size is 0; give at least 1"),
    (["--model", MODEL, "--sampling", "wild"], "argument --sampling: invalid choice: 'wild'"),
    (["--model", MODEL, "--colour", "blue"], "unrecognized arguments: --colour"),
    (["--domains", "algebra"], "no model is given; give --model, or a recipe file with one"),
    (["--model", MODEL, "--tagger", "nowhere"], "'nowhere' is no model"),
    (["--model", MODEL, "--off-topic", "burn"], "argument --off-topic: invalid choice: 'burn'"),
    (["--model", MODEL, "--min-quality", "superb"], "argument --min-quality: invalid choice: 'superb'"),
    (["--model", MODEL, "--min-yield", "2"], "min_yield is 2; give a share from 0 to below 1"),
    (["--model", MODEL, "--near", "0"], "near is 0.0; give a share above 0 and at most 1"),
    (["--model", MODEL, "--languages", "en,Klingon"], "give codes of ISO 639-1, such as en and ja"),
    (
        ["--model", MODEL, "--first-token-temperature", "3"],
        "first_token is 3.0; give the first token's temperature, from 0 to 2",
    ),
    (
        ["--model", MODEL, "--embedder", MODEL],
        "is no model of embeddings (its architecture is LlamaForCausalLM)",
    ),
    (
        ["--model", MODEL, "--decontaminate", "nowhere"],
        "'nowhere' is no problem set: not one of all, hle, aime_2024",
    ),
    (["--model", MODEL, "--decontaminate", "./nowhere.jsonl"], "'./nowhere.jsonl' is no problem set"),
    (["--model", MODEL, "--decontaminate", " , "], "--decontaminate names no benchmark"),
    (
        ["--model", MODEL, "--tagger", "none", "--off-topic", "move"],
        "--off-topic is given and --tagger is none",
    ),
    (
        ["--model", MODEL, "--tagger", "none", "--unsolvable", "keep"],
        "--unsolvable is given and --tagger is none",
    ),
    (
        ["--model", MODEL, "--require-decontamination", "--decontaminate", "none"],
        "--require-decontamination is given and --decontaminate is none",
    ),
    (["--model", MODEL, "--out", "/proc/nowhere"], "/proc/nowhere cannot be written"),
]
UNSEEN = (
    "larger than the 8192 tokens",
    "was given for the folder",
    "no model of embeddings",
    "/proc/nowhere",
    "no model is given",
)


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        (command, *one)
        for command in ("build", "plan")
        for one in BAD
        if command == "build" or not any(part in one[1] for part in UNSEEN)
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    command: str,
    arguments: list[str],
    line: str,
    demo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A plan loads no model and writes nothing, so there are things that it can't see."""
    monkeypatch.chdir(tmp_path)
    code = main([command, *(str(demo_model) if word == MODEL else word for word in arguments)])
    error = capsys.readouterr().err
    assert code == BAD_INPUT
    assert error.count("\n") == 1, error
    assert error.startswith("magpie-hf: ")
    assert line in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["status", "--out", "x"], "unrecognized arguments: --out; see magpie-hf status --help"),
        (["build", "--yes"], "unrecognized arguments: --yes; see magpie-hf build --help"),
        (["--yes"], "unrecognized arguments: --yes; see magpie-hf --help"),
    ],
)
def test_what_is_not_known_names_the_help_of_its_command(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == BAD_INPUT
    assert capsys.readouterr().err == f"magpie-hf: {line}\n"


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("empty", "is not a model: it has no config.json"),
        ("no weights", "is not a model: it holds no weights"),
        ("no tokenizer", "has no tokenizer"),
        ("no template", "has no chat template, so it has no user turn to open"),
        ("torn config", "config.json cannot be read as JSON"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(
    harm: str,
    line: str,
    demo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in demo_model.iterdir() if harm != "empty" else ():
        (model / file.name).symlink_to(file)
    for name in {
        "no weights": ["model.safetensors"],
        "no tokenizer": ["tokenizer.json", "tokenizer_config.json"],
    }.get(harm, []):
        (model / name).unlink()
    if harm == "no template":
        (model / "chat_template.jinja").unlink()
    if harm == "torn config":
        (model / "config.json").unlink()
        (model / "config.json").write_text('{"model_type": "lla')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["build", "--model", str(model), "--count", "2"]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert line in error
    assert not list((tmp_path / "here").iterdir())


def test_a_benchmark_without_texts_is_refused(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.jsonl").write_text('{"number": 1, "points": 7}\n')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert (
        main(["build", "--model", str(demo_model), "--decontaminate", str(tmp_path / "mine.jsonl")])
        == BAD_INPUT
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert (
        "the problem set mine has no column of texts that is known by its name; its columns are number,"
        " points: name one" in error
    )
    assert not list((tmp_path / "here").iterdir())


def test_a_benchmark_that_must_be_checked_and_cannot_be_is_refused(demo_model: Path, tmp_path: Path) -> None:
    nowhere = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "home"),
    }
    words = ["--decontaminate", "gsm8k,hle", "--require-decontamination", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "magpie_hf", "build", "--model", str(demo_model), *words]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == BAD_INPUT
    assert done.stderr.count("\n") == 1
    assert (
        "2 of 2 benchmarks cannot be checked (gsm8k, hle: the Hub could not be reached (ConnectError))"
        in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_help_and_import_load_nothing_heavy() -> None:
    heavy = "{'torch', 'vllm', 'ray', 'transformers', 'datasets', 'huggingface_hub', 'numpy'}"
    for code in (
        "import magpie_hf",
        "from magpie_hf.cli.main import main\ntry: main(['build', '--help'])\nexcept SystemExit: pass",
    ):
        script = (
            f"import sys\n{code}\nassert not {heavy} & set(sys.modules), sorted({heavy} & set(sys.modules))"
        )
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


def test_every_public_name_can_be_imported() -> None:
    script = (
        "import magpie_hf\nfor name in magpie_hf.__all__: getattr(magpie_hf, name)\nassert"
        " callable(magpie_hf.build)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ('magpie_hf.resolve("no such/model/here")', ["script.py:2: 'no such/model/here' is no model"]),
        ("magpie_hf.BadInput\n1 / 0", ["Traceback (most recent call last):", "ZeroDivisionError"]),
    ],
)
def test_a_users_mistake_ends_a_script_with_one_line(script: str, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"import magpie_hf\n{script}\n")
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] in said[0]
    assert lines[-1] in said[-1]
    assert (len(said) == 1) == (len(lines) == 1)


def test_wheel_holds_cards_and_builders(tmp_path: Path) -> None:
    """Built, installed in another environment, run from another folder."""
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(wheel, check=True, timeout=300)
    (file,) = tmp_path.glob("magpie_hf-*.whl")
    names = {name.removeprefix("magpie_hf/") for name in zipfile.ZipFile(file).namelist()}
    assert {
        "report/assets/page.html",
        "report/katex/katex.min.js",
        "report/katex/fonts/KaTeX_Main-Regular.woff2",
        "text/japanese.yaml",
        "recipes/cpu.yaml",
    } <= names
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(site),
        str(file),
    ]
    subprocess.run(install, check=True, timeout=300)
    script = (
        "import json, magpie_hf.card.card, magpie_hf.builders.hle_math as h; from importlib.resources import"
        " files\nprint(json.dumps([str(magpie_hf.card.card.FOLDER), h.build_arguments(['2', '0.5', '2',"
        " '2']), sorted(f.name for f in files('magpie_hf.builders').iterdir() if f.name.endswith('.py'))]))"
    )
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command,
        cwd=tmp_path / "elsewhere",
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    cards, arguments, builders = json.loads(done.stdout)
    assert cards == str(site / "magpie_hf" / "cards")
    assert arguments[:5] == ["build", "--model", "2", "--scale", "0.5"]
    assert {"demo_model.py", "hle_math.py"} == set(builders)


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"magpie-hf {version('magpie-hf')}\n"


@pytest.mark.parametrize(
    ("words", "asks"),
    [(["1", "2"], True), (["1", "3"], True), (["1", "2.0"], False), (["1", "1.0", "2", "2"], False)],
)
def test_hle_math_asks_where_a_scale_may_be_meant_as_a_mode(words: list[str], asks: bool) -> None:
    """Tests have no terminal, so it refuses in place of asking."""
    if asks:
        with pytest.raises(ValueError, match=r"means scale .* problems in six domains; add --yes"):
            confirmed(words)
        assert confirmed([*words, "--domains", "algebra"])
    else:
        assert confirmed(words)
