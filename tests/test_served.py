"""`--endpoint` on the command line, against scripted servers on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import PROBLEMS, Answers
from fake_server import FakeServer
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, INCOMPLETE, OK
from magpie_hf.cli.main import main
from magpie_hf.domains import DOMAINS
from magpie_hf.engines.base import Completion
from magpie_hf.engines.served.endpoint import share_out
from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling

LENIENT = ["--off-topic", "keep", "--min-quality", "very poor", "--unsolvable", "keep"]
SMALL = ["--domains", "algebra", "--count", "6", "--k", "3", *LENIENT]


def serving(model: Path, answers: Answers) -> FakeServer:
    """A server of the demo model that writes what `answers` does, problems at a domain's own temperature."""
    problems = {domain.instruction.temperature for domain in DOMAINS.values()}

    def complete(prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        said = answers(
            prompt,
            replace(sampling, temperature=PROBLEMS) if sampling.temperature in problems else sampling,
            seed,
        )
        return (
            replace(said, text=json.dumps(json.loads(said.text), separators=(",", ":")))
            if sampling.schema
            else said
        )

    server = FakeServer(model=model.name, max_model_len=8192)
    server.complete = complete
    return server


def test_a_build_over_servers(
    demo_model: Path, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(demo_model, answers) as one, serving(demo_model, answers) as other:
        words = [
            "build",
            "--model",
            str(demo_model),
            "--out",
            str(tmp_path / "out"),
            *SMALL,
            "--endpoint",
            one.url,
            "--endpoint",
            other.url,
        ]
        assert main(words) in (OK, INCOMPLETE), capsys.readouterr().err
        assert min(len(one.finished), len(other.finished)) > 0
        before = len(one.finished) + len(other.finished)
        assert main(words) in (OK, INCOMPLETE)
        assert len(one.finished) + len(other.finished) == before
    assert (tmp_path / "out" / "algebra").is_dir()


def test_each_server_takes_the_part_of_its_model(demo_model: Path, answers: Answers, tmp_path: Path) -> None:
    judge = tmp_path / "Judge"
    shutil.copytree(demo_model, judge, symlinks=True)
    (judge / "generation_config.json").write_text('{"eos_token_id": 2}')  # another model, by its files
    with serving(demo_model, answers) as one, serving(judge, answers) as other:
        words = [
            "build",
            "--model",
            str(demo_model),
            "--judge",
            str(judge),
            "--out",
            str(tmp_path / "out"),
            *SMALL,
        ]
        assert main([*words, "--endpoint", other.url, "--endpoint", one.url]) in (OK, INCOMPLETE)
        assert other.finished
        assert all(body["logprobs"] for body in other.finished), "the judge was asked for ratings alone"
        assert not any(body.get("logprobs") for body in one.finished)


def test_servers_that_will_not_do(
    demo_model: Path, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        serving(demo_model, answers) as server,
        FakeServer(model="other/model") as another,
        FakeServer() as web,
    ):
        web.models = "<!doctype html>\n<title>Welcome</title>"
        gone = FakeServer()
        with gone:
            pass
        small = FakeServer(model=demo_model.name, max_model_len=1024)
        with small:
            for words, message in (
                (
                    ["--endpoint", another.url],
                    f"{another.url[:-3]} serves other/model and not {demo_model.name}",
                ),
                (
                    ["--endpoint", server.url, "--endpoint", web.url],
                    f"{web.url[:-3]} is no vLLM server: it answered /v1/models with 200",
                ),
                (
                    ["--endpoint", gone.url],
                    (
                        f"{gone.url[:-3]} cannot be reached (connection refused) after 0.0 s; start it, wait"
                        " until"
                    ),
                ),
                (["--endpoint", small.url], "has room for 1024 tokens of prompt and completion and"),
                (
                    ["--endpoint", "host:8000"],
                    "is no address of a server; give one such as http://host:8000/v1",
                ),
                (["--endpoint", server.url, "--endpoint", server.url], "is given 2 times; give it once"),
                (
                    ["--endpoint", server.url, "--tensor-parallel-size", "2"],
                    "--endpoint uses servers instead; give one of them",
                ),
                (["--endpoint", server.url, "--patience", "0"], "patience is 0; give a number of seconds"),
                (
                    ["--endpoint", server.url, "--ray", "auto"],
                    "--ray runs engines on a cluster, so --endpoint has no effect",
                ),
                (["--ray-workers", "1:4"], "--ray-workers is 1:4 and --ray is missing; give --ray, too"),
                (
                    ["--ray", "auto", "--ray-workers", "4"],
                    "--ray-workers is '4'; give the fewest and the most, as in 1:4",
                ),
                (
                    ["--ray", "auto", "--ray-workers", "4:2"],
                    "the workers on Ray are 4 to 2; give two numbers from 1 on",
                ),
            ):
                assert (
                    main(
                        ["build", "--model", str(demo_model), "--out", str(tmp_path / "out"), *SMALL, *words]
                    )
                    == BAD_INPUT
                )
                error = capsys.readouterr().err
                assert error.count("\n") == 1
                assert message in error
                assert not (tmp_path / "out").exists()
        assert not server.requests


def test_a_model_that_no_server_serves() -> None:
    with FakeServer(model="a/b") as server:
        models = [Model("a/b", "1"), Model("c/d", "2")]
        with pytest.raises(
            BadInput, match="no server of c/d is given; start one with vllm serve, and give its address"
        ):
            share_out([server.url], models)
        assert share_out([server.url], models[:1]) == {models[0]: (server.url,)}
