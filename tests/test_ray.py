"""Builds on a Ray cluster that the tests start: the same datasets as in this process, whatever dies on the
way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict

from conftest import PROBLEMS, Answers, outlived, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines.base import Completion, Engine
from magpie_hf.engines.journal import request_keys
from magpie_hf.engines.vllm.engine import VLLM
from magpie_hf.errors import BadInput, EngineError, NothingMade
from magpie_hf.models.sampling import Sampling
from magpie_hf.recipe import Recipe
from magpie_hf.run.ray import cluster as clusters
from magpie_hf.run.ray.cluster import RayCluster
from magpie_hf.run.session import Task, session
from magpie_hf.scorers.judge import Judge
from magpie_hf.store.rows import open_table, seed_rows

pytest.importorskip("ray", reason="Ray is not installed; `make scale` installs it and runs these tests")

from magpie_hf.run.ray.pipeline import Size

pytestmark = [
    pytest.mark.scale,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning"
    ),  # Ray Data warns of fields of its own when it copies its settings
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ANSWERING = ThreadPoolExecutor(1)
CUT = {"shard_rows": 4, "shards_in_flight": 2}


@dataclass(frozen=True)
class Logged(Engine):
    """`Answers` as an engine that pickles. Each request that it answers is written down in `log`, with the
    process that did.

    fails_after: requests after which it has no power; seconds: how long each takes; trap: a file that, while
    it is there, is the end of a process in the midst of its work: "leave" ends the process, "for good" so
    that Ray does not start the worker again; "stay" leaves the trap for the next one.
    """

    log: str = field(default="", compare=False)
    fails_after: int | None = field(default=None, compare=False)
    seconds: float = field(default=0.002, compare=False)
    trap: str = field(default="", compare=False)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        if self.trap and len(requests(self.log)) > 10 and os.path.exists(self.trap):
            spring(self.trap)
        future: Future[Completion] = Future()
        ANSWERING.submit(self._answer, future, prompt, sampling, seed)
        return future

    def _answer(
        self, future: Future[Completion], prompt: Sequence[int], sampling: Sampling, seed: int
    ) -> None:
        time.sleep(self.seconds)
        if self.fails_after is not None and len(requests(self.log)) >= self.fails_after:
            future.set_exception(RuntimeError("no power"))
            return
        future.set_result(Answers(self.model)(prompt, sampling, seed))
        (key,) = request_keys(self.model, [prompt], sampling, [seed])
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(
            handle, f"{key} {sampling.temperature} {os.getpid()}\n".encode()
        )  # by now it is in the journal
        os.close(handle)


def spring(trap: str) -> None:
    kind = Path(trap).read_text()
    if kind != "stay":
        os.unlink(trap)
    if kind == "for good":
        import ray

        ray.kill(ray.get_runtime_context().current_actor, no_restart=True)
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)


def requests(log: str) -> list[tuple[str, float, int]]:
    """The key, the temperature and the process of every request that was answered."""
    try:
        lines = [line.split() for line in Path(log).read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [(key, float(temperature), int(process)) for key, temperature, process in lines]


def once(log: str) -> bool:
    keys = [key for key, _, _ in requests(log)]
    return len(keys) == len(set(keys)) > 0


def recipe_of(engine: Engine, answers: Answers, *keys: str) -> Recipe:
    return replace(small_recipe(answers, *keys), generator=engine, solver=engine, scorer=Judge(engine))


def content(datasets: dict[str, DatasetDict]) -> dict[str, Any]:
    """Rows, features and fingerprints."""
    splits = {f"{config}/{name}": split for config, of in datasets.items() for name, split in of.items()}
    return {name: (split.to_list(), split.features, split._fingerprint) for name, split in splits.items()}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", os.pathsep.join(path for path in sys.path if path)
        )  # where workers find the engine of this file
        cluster = Cluster()
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=100_000_000)
            yield cluster
        finally:
            import ray

            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def two(nodes: Any) -> RayCluster:
    return RayCluster(nodes.address, workers=(1, 2), silence=8, patience=60)


@pytest.fixture
def engine(answers: Answers, tmp_path: Path) -> Logged:
    return Logged(answers.model, log=str(tmp_path / "log"))


def local(answers: Answers, out: Path, *keys: str) -> dict[str, Any]:
    """What the same build makes in this process."""
    return content(build(small_recipe(answers, *keys), out, **CUT))


def test_a_build_on_ray_equals_one_in_this_process(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path
) -> None:
    recipe = recipe_of(replace(engine, seconds=0.02), answers)
    first = content(build(recipe, tmp_path / "ray", runner=two, **CUT))
    assert first == local(answers, tmp_path / "local")
    assert once(engine.log)
    assert not outlived(tmp_path / "ray")
    assert os.getpid() not in {process for _, _, process in requests(engine.log)}
    assert len({process for _, _, process in requests(engine.log)}) == 2, "the pipeline grew to both nodes"
    before = len(requests(engine.log))
    assert content(build(recipe, tmp_path / "ray", runner=two, **CUT)) == first
    assert content(build(recipe, tmp_path / "ray", **CUT)) == first
    assert len(requests(engine.log)) == before


@pytest.mark.parametrize("ray_first", [True, False])
def test_either_goes_on_with_what_the_other_began(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path, ray_first: bool
) -> None:
    first, second = ({"runner": two}, {}) if ray_first else ({}, {"runner": two})
    with pytest.raises(RuntimeError, match="no power"):
        build(recipe_of(replace(engine, fails_after=90), answers), tmp_path / "out", **first, **CUT)
    begun = len(requests(engine.log))
    assert list((tmp_path / "out").rglob("*.journal")), "a shard is under way"
    built = build(recipe_of(engine, answers), tmp_path / "out", **second, **CUT)
    assert content(built) == local(answers, tmp_path / "local")
    assert once(engine.log)
    assert len(requests(engine.log)) > begun
    assert not outlived(tmp_path / "out")


@pytest.mark.parametrize("how", ["leave", "for good"])
def test_a_worker_that_dies_is_survived(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path, how: str
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(how)
    built = build(
        recipe_of(replace(engine, trap=str(trap)), answers, "algebra"), tmp_path / "out", runner=two, **CUT
    )
    assert not trap.exists()
    assert content(built) == local(answers, tmp_path / "local", "algebra")
    assert once(engine.log), "what the dead one had finished is not asked again"
    assert not outlived(tmp_path / "out")


def test_a_shard_that_kills_every_worker_ends_the_build(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path
) -> None:
    (tmp_path / "trap").write_text("stay")
    with pytest.raises(EngineError, match="workers died of one shard; the last was to be on node "):
        build(
            recipe_of(replace(engine, trap=str(tmp_path / "trap")), answers, "algebra"),
            tmp_path / "out",
            runner=two,
            **CUT,
        )


def test_a_node_that_is_lost_is_survived(
    nodes: Any, two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path
) -> None:
    node = nodes.add_node(num_cpus=1, object_store_memory=100_000_000)
    seen: list[int] = []

    def say(line: str) -> None:
        if not seen and "candidates" in line:
            seen.append(len(requests(engine.log)))
            nodes.remove_node(node, allow_graceful=False)

    recipe = recipe_of(replace(engine, seconds=0.02), answers, "algebra")
    built = build(recipe, tmp_path / "out", runner=replace(two, workers=(3, 3)), say=say, **CUT)
    assert len(requests(engine.log)) > seen[0]
    assert content(built) == local(answers, tmp_path / "local", "algebra")
    assert once(engine.log)


def test_engines_take_turns_and_free_the_cluster(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path
) -> None:
    """The judge has an engine of its own here, and the cluster has room for one kind at a time."""
    other = replace(engine, model=replace(engine.model, max_length=8000))
    recipe = replace(recipe_of(engine, answers, "algebra"), scorer=Judge(other))
    built = build(recipe, tmp_path / "out", runner=replace(two, workers=(2, 2)), **CUT)
    ones = {process for _, temperature, process in requests(engine.log) if temperature == PROBLEMS}
    others = {process for _, temperature, process in requests(engine.log) if temperature == 0}
    assert ones
    assert others
    assert not ones & others
    assert content(built).keys() == local(answers, tmp_path / "local", "algebra").keys()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_does_not_fit_is_refused(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path
) -> None:
    recipe = recipe_of(engine, answers, "algebra")
    large = replace(two, cpus=64, patience=2)
    assert "Ray placed no worker within 2 s; one needs 64 CPUs" in refusal(
        lambda: build(recipe, tmp_path / "out", runner=large)
    )
    assert "context is -1" in refusal(
        lambda: build(recipe_of(Picky(answers.model), answers), tmp_path / "out", runner=two)
    )
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    runner, steps = large(tmp_path / "run"), recipe.samples(recipe.domains[0])[0][1]
    with pytest.raises(EngineError, match=r"for 2 s no worker has lived on Ray; one needs 64 CPUs"):
        session(runner, engine, [Task(steps, seed_rows("algebra", 0, 0, 4), lambda rows: [])])


@dataclass(frozen=True)
class Picky(Logged):
    def check(self) -> None:
        raise BadInput("context is -1; give a number above 0")


def test_a_node_that_does_not_fit_is_refused(
    two: RayCluster, engine: Logged, answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(engine, answers, "algebra")
    for sees, said in (
        (lambda beacon: (False, "1"), f"{tmp_path} is not seen by node "),
        (lambda beacon: (True, "0.0.7"), "has magpie-hf 0.0.7, and this one "),
        (
            lambda beacon: __import__("no_such_package"),
            "cannot run magpie-hf (ModuleNotFoundError: No module named 'no_such_package')",
        ),
    ):
        monkeypatch.setattr(clusters, "_sees", sees)
        assert said in refusal(lambda: build(recipe, tmp_path / "out", runner=two))
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_cluster_is_refused() -> None:
    """In another process, as this one is a driver of the tests' cluster."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        mute = f"127.0.0.1:{deaf.getsockname()[1]}"
        script = (
            "import sys\nfrom magpie_hf import BadInput\nfrom magpie_hf import"
            " cluster\ncluster.ANSWER_SECONDS = 3\nfor address in sys.argv[1:]:\n  try:"
            " cluster.RayCluster(address).connect()\n  except BadInput as error: print(error)"
        )
        addresses = ["127.0.0.1:1", "127.0.0.1:many", "ray://127.0.0.1:10001", mute]
        done = subprocess.run(
            [sys.executable, "-c", script, *addresses], capture_output=True, text=True, timeout=60, check=True
        )
    refused, many, client, silent = done.stdout.splitlines()
    assert done.stderr == ""
    assert refused.startswith("no Ray cluster answers at 127.0.0.1:1 (")
    assert "Connection refused" in refused
    assert "invalid literal" in many
    assert client.startswith(
        "ray://127.0.0.1:10001 is no head's address; run the build on a node of the cluster"
    )
    assert silent.startswith(
        f"no Ray cluster answers at {mute} (none within 3 s); start one with `ray start --head`"
    )


def test_workers_are_given_what_their_engine_needs(answers: Answers) -> None:
    large = VLLM(answers.model, tensor_parallel_size=4)
    gpus = [{"CPU": 4.0}, *[{"CPU": 96.0, "GPU": 8.0}] * 3, {"CPU": 96.0, "GPU": 2.0}]
    cpus = [{"CPU": 8.0}, {"CPU": 16.0, "memory": 1e9}]
    assert RayCluster().fitted(gpus, large, 8) == Size(1, 6, 1.0, 4.0, 8)
    assert RayCluster(workers=(2, 3)).fitted(gpus, large, 8) == Size(2, 3, 1.0, 4.0, 8)
    assert RayCluster().fitted(gpus, VLLM(answers.model), 8) == Size(1, 26, 1.0, 1.0, 8)
    assert RayCluster(gpus=0.5, cpus=12).fitted(gpus, VLLM(answers.model), 8) == Size(1, 28, 12, 0.5, 8)
    assert RayCluster().fitted(cpus, VLLM(answers.model), 2) == Size(1, 3, 8.0, 0.0, 2)
    assert RayCluster().fitted([{"CPU": 4.0}], VLLM(answers.model), 2).most == 1


def test_settings_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the workers on Ray are 3 to 2; give" in refusal(lambda: RayCluster(workers=(3, 2)))
    assert "the workers on Ray are 0 to 2; give" in refusal(lambda: RayCluster(workers=(0, 2)))
    assert "the patience with workers on Ray is nan s; give" in refusal(
        lambda: RayCluster(patience=float("nan"))
    )
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    assert "pip install 'magpie-hf[ray]'" in refusal(RayCluster().connect)


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")  # of torch and vLLM
def test_a_build_on_vllm_on_ray_equals_one_in_this_process(
    nodes: Any, tiny_model: Path, tmp_path: Path
) -> None:
    from real_build import Logged as LoggedVLLM

    from magpie_hf import DOMAINS, resolve

    model = resolve(str(tiny_model), dtype="float32")  # in which another batch almost never changes a word
    steps = {"instruction": 64, "response": 128, "candidate": 128}
    samplings = {
        step: replace(getattr(DOMAINS["algebra"], step), max_tokens=bound) for step, bound in steps.items()
    }
    domain = replace(DOMAINS["algebra"], count=3, **samplings)
    made, asked = {}, {}
    for name, runner in (
        ("ray", {"runner": RayCluster(nodes.address, workers=(1, 1), cpus=1)}),
        ("local", {}),
    ):
        log = tmp_path / f"{name}.log"
        engine = LoggedVLLM(model, context=1024, kv_cache_gigabytes=1, max_num_seqs=32, log=str(log))
        with contextlib.suppress(
            NothingMade
        ):  # so short answers may all be cut; every row that was made is compared
            build(Recipe(engine, engine, Judge(engine), (domain,), k=2), tmp_path / name, **CUT, **runner)
        run = tmp_path / name / "run"
        made[name] = {
            str(file.relative_to(run)): open_table(file).to_pylist()
            for file in run.glob("algebra/*-*/*.arrow")
        }
        asked[name] = {line.split()[0] for line in log.read_text().splitlines()}
    both = made["ray"].keys() & made["local"].keys()
    assert {"instruct", "candidates"} <= {Path(file).parent.name.rpartition("-")[0] for file in both}
    assert {file: made["ray"][file] for file in both} == {file: made["local"][file] for file in both}
    ahead = made["ray"].keys() ^ made["local"].keys()
    assert all("instruct-" in file or "clean-" in file or "sign-" in file for file in ahead), (
        "only samples that nobody needed differ"
    )
    assert len(asked["ray"] & asked["local"]) > 20
