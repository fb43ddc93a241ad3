"""What a build will take: the plan of known models, what it refuses, what it finds done, and what it says
after a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import ROOT
from magpie_hf.cli.commands.brief import brief_of
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main, parser
from magpie_hf.domains import DOMAINS
from magpie_hf.models.known import ARMORM, KNOWN_MODELS
from magpie_hf.planning import here, outline


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, on a machine without GPUs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(here.shutil, "which", lambda _: None)
    return tmp_path


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["plan", *words, "--json"]) == OK
    return json.loads(capsys.readouterr().out)


def test_the_arithmetic_of_44000_problems_takes_more_than_30_hours_on_one_a100(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The original says 2 to 4 hours, or 15 to 20."""
    plan = planned(capsys, "--model", "1", "--gpu", "A100 80 GB", "--gpus", "2")
    (machine,) = plan["machines"]
    tokens = sum(stage["tokens"][1] for stage in plan["stages"])
    by_hand = tokens * 2 * 32.8e9 / 312e12 / 3600
    assert machine["compute_bound"] == pytest.approx(by_hand / 2)
    assert by_hand > 30
    assert machine["hours"][0] > machine["compute_bound"], "no engine is faster than its arithmetic"
    assert sum(row["problems"] for row in plan["rows"]) == 44_000


@pytest.mark.parametrize("number", KNOWN_MODELS)
def test_every_known_model_has_a_plan_without_the_network(
    number: int, nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    plan = planned(capsys, "--model", str(number))
    assert [row["problems"] for row in plan["rows"]] == [domain.count for domain in DOMAINS.values()]
    assert [stage["stage"] for stage in plan["stages"]] == ["instruct", "tag", "candidates", "score"]
    requests = {stage["stage"]: stage["requests"][1] for stage in plan["stages"]}
    assert requests["candidates"] == 220_000
    assert requests["score"] <= requests["candidates"], "a candidate that was cut is not scored"
    assert plan["machines"], "it fits some machine of eight common GPUs"
    for machine in plan["machines"]:
        low, likely, high = machine["hours"]
        assert machine["compute_bound"] < low < likely < high
        assert machine["dollars"][0] <= machine["dollars"][1]
    assert plan["seconds"] == {"whole": None, "left": None}, "nothing was measured"
    now, *larger = plan["bounds"]
    assert len(larger) == (0 if number == 5 else 2), "the context of model 5 leaves no more"
    assert now["generated"] == pytest.approx(sum(stage["tokens"][1] for stage in plan["stages"]))
    assert [one["tokens"] for one in larger] == [2 * now["tokens"], 4 * now["tokens"]][: len(larger)]
    assert now["rows"] > 0
    for before, one in pairwise(plan["bounds"]):
        assert 1 > before["truncated"] >= one["truncated"] >= 0
        assert before["generated"] <= one["generated"]
        assert round(before["rows"]) <= round(one["rows"]) <= 44_000
    assert now["hours"] is None, "none of the machines is the user's"
    assert not plan["chosen"]
    for row in plan["rows"]:
        problems, answered, two, scored = row["files"].values()
        assert problems == [row["problems"]] * 3
        assert answered == pytest.approx([row["train"][at] + row["test"][at] for at in range(3)])
        assert all(few <= many + 1e-6 for few, many in zip(two, answered, strict=True))
        assert scored == two
        assert [name.removeprefix("_ins") for name in row["files"]] == [
            ".json",
            "_res.json",
            "_5res.json",
            "_5res_judge.json",
        ]
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("number", KNOWN_MODELS)
def test_every_known_model_has_a_plan_as_text(
    number: int, nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["plan", "--model", str(number)]) == OK
    said = capsys.readouterr().out
    assert "time     depends on the GPUs" in said
    bounds = planned(capsys, "--model", str(number))["bounds"]
    if len(bounds) > 1:
        _, head, *rows = said[said.index("What a larger bound gives") :].splitlines()[:5]
        assert head.split() == ["max-tokens", "extended", "truncated", "tokens", "SFT", "rows"]
        assert [line.split()[0] for line in rows] == [f"{one['tokens']:,}" for one in bounds]
        assert [line.split()[4] for line in rows] == [f"{one['rows']:,.0f}" for one in bounds]
    warned = f"warning  {KNOWN_MODELS[number].repository} thinks first"
    assert (warned in said) == KNOWN_MODELS[number].reasoning


def test_servers_have_their_weights_and_their_own_speed(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--model", "1", "--domains", "algebra"]
    assert planned(capsys, *words)["disk"]["weights"] > 6e10
    servers = [*words, "--endpoint", "http://127.0.0.1:9/v1"]
    plan = planned(capsys, *servers)
    assert (plan["disk"]["weights"], plan["elsewhere"]) == (0, "servers")
    assert main(["plan", *servers]) == OK
    said = capsys.readouterr().out
    assert "time     depends on the servers; magpie-hf plan --measure measures it" in said
    assert "download" not in said
    (nowhere / "huge").mkdir()
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        shutil.copy(ROOT / ".demo" / "SmolLM2-135M-Instruct" / name, nowhere / "huge")
    with (nowhere / "huge" / "model.safetensors").open("wb") as file:
        file.truncate(9 * 10**12)  # which takes no room on the disk
    huge = ["--model", str(nowhere / "huge"), "--domains", "algebra"]
    assert main(["plan", *huge]) == BAD_INPUT, "it fits no machine that is known"
    assert planned(capsys, *huge, "--endpoint", "http://127.0.0.1:9/v1")["machines"] == []


def test_a_build_without_a_gpu_is_told_no_hours_of_gpus(nowhere: Path) -> None:
    parse = parser().parse_args
    model = str(ROOT / ".demo" / "SmolLM2-135M-Instruct")
    for more, said in (
        ([], "time     not known, as nvidia-smi shows no GPU here; magpie-hf plan --measure measures it"),
        (["--endpoint", "http://127.0.0.1:9/v1"], "time     depends on the servers;"),
        (["--ray", "auto"], "time     depends on the GPUs: "),
    ):
        lines = brief_of(parse(["build", "--model", model, "--domains", "algebra", *more])).lines
        assert [line for line in lines if line.startswith(said)], more


def test_more_answers_need_more_disk(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "1", "--domains", "algebra"]
    disk = {tir: planned(capsys, *words, "--tir", tir)["disk"] for tir in ("0", "2", "4")}
    added = disk["2"]["run"] - disk["0"]["run"]
    assert added > 0.1 * disk["0"]["run"]
    assert disk["4"]["run"] - disk["2"]["run"] == pytest.approx(added)


def test_a_separate_answer_is_planned_with_sft_cold_alone(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "6", "--solver", "1", "--max-tokens", "4096", "--auto-extend", "0"]
    plans = {sft: planned(capsys, *words, "--sft", sft) for sft in ("cold", "best", "2", "all")}
    requests = {
        sft: {stage["stage"]: stage["requests"][1] for stage in plan["stages"]} for sft, plan in plans.items()
    }
    assert requests["cold"]["solutions"] == 44_000
    assert "solutions" not in requests["best"]
    tokens = {sft: plan["bounds"][0]["generated"] for sft, plan in plans.items()}
    assert tokens["best"] < 0.85 * tokens["cold"]
    rows = {sft: plan["bounds"][0]["rows"] for sft, plan in plans.items()}
    assert rows["cold"] < rows["best"] < rows["2"] < rows["all"] < 220_000
    kept = planned(capsys, *words, "--sft", "all", "--keep-minority")["bounds"][0]
    assert kept["rows"] == pytest.approx(220_000 * (1 - kept["truncated"]), rel=0.001)


def test_answers_that_go_on_count_to_their_last_bound(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "6", "--solver", "1", "--max-tokens"]
    extended = planned(capsys, *words, "2048", "--auto-extend", "2")["bounds"]
    longer = planned(capsys, *words, "8192", "--auto-extend", "0")["bounds"]
    assert [one["final"] for one in extended] == [one["tokens"] for one in longer]
    for name in ("truncated", "generated", "rows"):
        assert [one[name] for one in extended] == pytest.approx([one[name] for one in longer])
    small = planned(capsys, "--model", "6", "--max-tokens", "16384", "--auto-extend", "1")["bounds"]
    assert [one["final"] for one in small] == [32_768 - outline.PROMPT], "no more than the model has"


def test_a_bound_beyond_the_context_is_what_the_context_leaves(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Model 5 has 4,096 tokens in all."""
    (only,) = planned(capsys, "--model", "5", "--max-tokens", "4096")["bounds"]
    assert only["tokens"] == only["final"] == 4096 - outline.PROMPT
    assert main(["plan", "--model", "5", "--max-tokens", "4096"]) == 0
    said = capsys.readouterr().out
    assert "0% truncated at 3,856: 44,000 SFT rows" in said
    assert "a larger bound gives no more" in said
    assert "extended" not in said
    assert "What a larger bound gives" not in said


def test_the_rows_of_a_small_build_sum_up_in_the_table(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--model", "6", "--domains", "algebra", "--count", "10"]) == OK
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("algebra"))
    assert re.split(r"\s{2,}", row)[4:6] == ["10", "0"]


def test_a_scorer_reads_no_more_than_its_context(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ArmoRM has 8,192 tokens; the size of its cache is not known, so neither is how many fit at once."""
    words = ("--model", "6", "--solver", "1", "--scorer", "armorm", "--gpu", "H100 80 GB")
    (machine,) = planned(capsys, *words)["machines"]
    lengths = {fit["source"]: (fit["length"], fit["sequences"] > 0) for fit in machine["fits"]}
    assert lengths == {
        KNOWN_MODELS[6].repository: (32_768, True),
        KNOWN_MODELS[1].repository: (34_816, True),
        "RLHFlow/ArmoRM-Llama3-8B-v0.1": (8192, False),
    }


def test_more_gpus_take_fewer_hours_and_a_price_is_a_price(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "6", "--gpu", "h100", "--price", "2.5"]
    (four,), (eight,) = (planned(capsys, *words, "--gpus", count)["machines"] for count in ("4", "8"))
    assert 1.5 < four["hours"][1] / eight["hours"][1] < 2.5
    for machine, count in ((four, 4), (eight, 8)):
        assert machine["dollars"] == pytest.approx(
            [machine["hours"][0] * count * 2.5, machine["hours"][2] * count * 2.5]
        )


def test_what_a_licence_forbids_is_said(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--model", "6", "--scorer", "armorm"]) == OK
    said = capsys.readouterr().out
    assert f"the licence of {ARMORM} forbids: its clause 1.b.v forbids using outputs" in said
    plan = planned(capsys, "--model", "6", "--scorer", "armorm")
    assert [(duty["source"], duty["forbids"]) for duty in plan["duties"]] == [
        (KNOWN_MODELS[6].repository, False),
        (ARMORM, True),
    ]


@pytest.mark.parametrize(
    ("words", "cut"),
    [
        ("1 --max-tokens 4096 --auto-extend 0", "at 4,096"),
        ("1 --max-tokens 1024", "at 2,048"),
        ("1 --max-tokens 16384", ""),
        ("6", ""),
        ("6 --max-tokens 200", "at 400"),
    ],
)
def test_a_bound_that_most_answers_would_meet_is_warned_of(
    words: str, cut: str, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--model", *words.split()]) == OK
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"of the answers are likely to be truncated {cut} tokens and lost; raise --max-tokens" in said
    ) == bool(cut)


def test_a_model_that_nobody_can_be_asked_about_is_planned_without_its_size(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["plan", "--model", "somebody/something"]) == OK
    said = capsys.readouterr().out
    assert "the size of somebody/something is not known: " in said
    assert "time     not known" in said
    assert "whether somebody/something thinks first is not known" in " ".join(said.split())
    plan = planned(capsys, "--model", "somebody/something", "--gpu", "H100")
    low, likely, high = next(one["tokens"] for one in plan["stages"] if one["stage"] == "candidates")
    assert high / likely > 3 > likely / low, "a solver that thinks writes six times the tokens"
    assert plan["machines"][0]["hours"] is None


def test_a_hub_that_cannot_be_reached_is_said_once(tmp_path: Path) -> None:
    there = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "magpie_hf", "plan", "--model", "somebody/something"]
    done = subprocess.run(
        command,
        env={**os.environ, **there},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert "the size of somebody/something is not known: " in done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--model", "1", "--gpu", "A200"],
            "--gpu is 'A200', which names no GPU that is known; the nearest are A100 40 GB, A100 80 GB,",
        ),
        (
            ["--model", "1", "--gpu", "A100"],
            "--gpu is 'A100', which names several GPUs; choose one of A100 40 GB, A100 80 GB",
        ),
        (["--model", "1", "--gpu", ""], "--gpu is empty; give the name of a GPU"),
        (["--model", "1", "--gpus", "2"], "--gpus is 2 and --gpu is missing; give --gpu, too"),
        (["--model", "1", "--gpu-memory", "16"], "--gpu-memory is 16 and --gpu is missing; give --gpu, too"),
        (["--model", "1", "--gpu", "x", "--gpu-memory", "0"], "--gpu-memory is 0; give GB of one GPU"),
        (
            ["--model", "1", "--gpu", "H100", "--gpus", "1"],
            "GB a request of 34,816 tokens, and 1 x H100 80 GB leave it 77 GB; nothing was downloaded: it"
            " would fit 1 x H100 80 GB (--max-model-len 30208) or 2 of these GPUs",
        ),
        (
            ["--model", "1", "--gpu", "RTX 4090 Laptop", "--gpus", "2"],
            "2 x RTX 4090 Laptop 16 GB leave it 30 GB; nothing was downloaded: it would fit",
        ),
        (["--model", "1", "--gpu", "H100", "--gpus", "0"], "--gpus is 0; give at least 1"),
        (["--model", "1", "--price", "-1"], "--price is -1; give US dollars per GPU hour"),
        (["--model", "1", "--price", "nan"], "--price is nan; give US dollars per GPU hour"),
        (["--model", "1", "--price", "dear"], "argument --price: 'dear' is not a number"),
        (["--model", "1", "--k", "1"], "k is 1, so no pairs are possible; give at least 2 candidates"),
        (
            ["--model", "1", "--scale", "1e9"],
            "10,000,000,000,000 problems a domain are too many; give at most 10,000,000",
        ),
        (["--model", "1", "--test-share", "2"], "the share of the test splits is 2.0; give one from 0"),
        (["--model", "1", "--measure", "0"], "--measure is 0; give at least 1 problem per domain"),
        (
            ["--model", "1", "--measure", "3", "--push", "me/it"],
            "--measure measures a small build, and --push would publish it",
        ),
        (
            ["--model", "1", "--measure", "3", "--ray", "auto"],
            "--measure works on this machine or with --endpoint",
        ),
        ([], "neither --model nor --out is given"),
        (["--out", "nowhere"], "nowhere does not exist; give the --out folder of a build"),
        (["--out", "empty"], "empty is empty; give the --out folder of a build"),
        (["--out", "unplanned"], "unplanned holds a build without a plan"),
        (
            ["--out", "newer"],
            "plan.json was written by a newer magpie_hf (format 99, and this one reads 1); update it",
        ),
        (["--out", "torn"], "plan.json cannot be read (JSONDecodeError); remove it, and it is made anew"),
        (["--model", "1", "--out", "torn"], "measured.json is not a valid measurement (AttributeError("),
        (["--model", "1", "--out", "newer"], "measured.json was written by a newer magpie_hf (format 99"),
        (
            ["--model", "1", "--out", "unplanned", "--seed", "5"],
            "unplanned holds another build: its seed is 0, not 5",
        ),
        (
            ["--model", "2", "--out", "unplanned"],
            "unplanned holds another build: its model is deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    nowhere: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    (nowhere / "empty").mkdir()
    for name in ("unplanned", "newer", "torn"):
        (nowhere / name / "run").mkdir(parents=True)
        (nowhere / name / "run" / "build.json").write_text(
            json.dumps({"name": KNOWN_MODELS[1].repository, "seed": 0, "format": 2, "pipeline": {}})
        )
    for name in ("plan.json", "measured.json"):
        (nowhere / "newer" / "run" / name).write_text('{"format": 99}')
    (nowhere / "torn" / "run" / "plan.json").write_text('{"format": 1, "pl')
    (nowhere / "torn" / "run" / "measured.json").write_text(
        '{"format": 2, "date": "", "said": {}, "speeds": []}'
    )
    assert main(["plan", *words]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert line in error


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'torch', 'vllm', 'ray', 'transformers', 'datasets', 'huggingface_hub', 'numpy', 'pyarrow'}"
    script = (
        "import sys\nfrom magpie_hf.cli.main import main\n"
        f"assert main(['plan', '--model', '1', '--out', {str(tmp_path / 'x')!r}]) == 0\n"
        f"assert not {heavy} & set(sys.modules), sorted({heavy} & set(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("columns", [40, 100])
def test_it_fits_a_terminal_without_colours(tmp_path: Path, columns: int) -> None:
    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "magpie_hf",
        "plan",
        "--model",
        "1",
        "--gpu",
        "h200",
        "--out",
        str(tmp_path / "x"),
    ]
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave, env=environment, cwd=ROOT):
        os.close(slave)
        said = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(master, 4096):
                said += part
    os.close(master)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()
    assert max(map(len, lines)) <= columns
    assert "Traceback" not in said.decode()
    assert "algebra" in said.decode()
    assert not re.search(rb"\x1b\[(3|4|9)\d", said), "no colours"


def test_a_pipe_that_is_closed_early_is_no_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m magpie_hf plan --model 1 --out {tmp_path / 'x'} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1
