"""The guide runs: its commands and its Python in their order, with an engine that makes answers up and a Hub
on this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import magpie_hf
import pages
from conftest import ROOT, Answers, problem
from loopback_hub import LoopbackHub, loopback_hub
from magpie_hf.cli.commands import assembly, build, plan, sweep
from magpie_hf.cli.commands.exit_codes import OK
from magpie_hf.cli.main import main
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.planning import measure as measuring
from magpie_hf.planning import plan as planning
from magpie_hf.planning.sizes import sized
from magpie_hf.planning.speeds import Speed

GUIDE = pages.DOCS / "guide.md"
# Other pages whose Python runs here, in the guide's folder; publishing.md's runs in test_publishing.py,
# contributing.md's in test_docs.py.
OTHERS = [pages.DOCS / "quickstart.md", pages.DOCS / "filtering.md"]
README_CODE = pages.blocks(pages.README, "python")
BLOCKS = [(kind, re.sub(r"\\\n\s*", "", text)) for kind, text in pages.FENCE.findall(pages.TEXTS[GUIDE])]
WRITER = "hf_" + "writer" * 5
SMALLER = {
    "--count 500": "--count 8",
    "--count 600": "--count 10",
    "--count 20": "--count 4",
    "--measure\n": "--measure 4\n",
    "count=50": "count=6",
    "user/name": "ada/sums",
    "data/demo": "data/mine",
}

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub's own, for each upload over LFS


@dataclass
class Guided(Answers):
    """Answers by the default temperatures: problems are sampled above 1."""

    answers: int = 2

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        completion = super().__call__(prompt, sampling, seed)
        if (
            sampling.temperature <= 1
            or sampling.schema
            or sampling.logprobs
            or completion.finish_reason != "stop"
        ):
            return completion
        return Completion(problem(seed), "stop", len(prompt), completion.num_tokens)


@pytest.fixture(scope="module")
def place(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which all of the guide but its training was run: every model is the demo model, and no
    model speaks.
    """
    folder = tmp_path_factory.mktemp("guide")
    with pytest.MonkeyPatch.context() as patch, loopback_hub({WRITER: ("ada", "write")}) as hub:
        patch.chdir(folder)
        (folder / "my-model").symlink_to(demo_model)
        pretend(patch, replace(resolve(str(demo_model)), name="Qwen/Qwen2.5-7B-Instruct"), hub)
        for kind, text in [
            *BLOCKS,
            *(("python", text) for page in OTHERS for text in pages.blocks(page, "python")),
        ]:
            for long, short in SMALLER.items():
                text = text.replace(long, short)
            if kind == "python" and "trl" not in text:
                exec(compile(text, "guide.md", "exec"), {"__name__": "__main__"})
            for command in re.findall(r"^magpie-hf (.*)$", text, re.MULTILINE) if kind == "sh" else ():
                assert main(shlex.split(command)) == OK, command
        assert "ada/sums" in hub.repositories
        yield folder


def pretend(patch: pytest.MonkeyPatch, model: Model, hub: LoopbackHub) -> None:
    """Engines from a function, one model for all names, and a Hub on this machine."""
    from huggingface_hub import constants

    def found(*_: object, **__: object) -> Model:
        return model

    engine = FakeEngine(model, Guided(model))
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    for module in (assembly, sweep):
        patch.setattr(module, "resolve", found)
        patch.setattr(module, "engines_of", lambda _, specs: dict.fromkeys(specs, engine))
    for module in (build, plan, sweep):
        patch.setattr(module, "check_devices", nothing)
    size, speed = sized(model.source, None), Speed(1.0, 0.01, 1e-5, 1e-8, 1e-5)
    patch.setattr(planning, "sized", lambda source, *_: replace(size, source=source))
    patch.setattr(
        measuring, "speed_of", lambda *_: (speed, ())
    )  # an engine without a step has no speed to measure
    patch.setattr(magpie_hf, "VLLM", lambda model, **_: engine, raising=False)
    patch.setattr(magpie_hf, "resolve", found, raising=False)
    for name, value in {
        "ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        patch.setattr(constants, name, value)
    patch.setenv("HF_TOKEN", WRITER)


def test_the_guide_leads_where_it_says(place: Path) -> None:
    assert {folder.name for folder in (place / "data").iterdir()} == {
        "mine",
        "small",
        "logic",
        "copy",
        "example",
    }
    pipeline = json.loads((place / "data" / "mine" / "run" / "build.json").read_text())["pipeline"]
    assert pipeline["algebra"]["count"] == 10, "the second build went on with the first one's folder"
    assert (
        json.loads((place / "data" / "mine" / "run" / "measured.json").read_text())["yields"]["algebra"][0]
        == 4
    )
    assert (place / "data" / "mine" / "report.html").is_file()


@pytest.mark.trainers
def test_the_trainers_train(place: Path, demo_model: Path) -> None:
    code = [text for kind, text in BLOCKS if kind == "python" and "trl" in text]
    code += [
        text.replace("data/demo", "data/mine").replace("SFTTrainer(", "trainer = SFTTrainer(")
        for text in README_CODE
    ]
    code = [
        text.replace("train_dataset=rows).train()", "train_dataset=rows)\ntrainer.train()") for text in code
    ]
    small = (
        "max_steps=1, max_length=256, use_cpu=True, bf16=False, report_to='none', save_strategy='no',"
        " disable_tqdm=True"
    )
    text = "\n".join(code).replace("Qwen/Qwen2.5-0.5B-Instruct", "tiny").replace("max_steps=100", small)
    text = (
        f"from training import make_model\nmake_model({str(demo_model)!r})\n{text}\nassert"
        " trainer.state.global_step == 1"
    )
    assert len(code) == text.count("max_steps=1,") == 3
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=place,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
