"""Synthetic mathematics datasets from open aligned models with the Magpie method.

Not here: code. Every public name is loaded from its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magpie_hf.building.build import build as build
    from magpie_hf.card.wording import Wording as Wording
    from magpie_hf.cli.from_python import read_recipe as read_recipe
    from magpie_hf.domains import DOMAINS as DOMAINS
    from magpie_hf.domains import Domain as Domain
    from magpie_hf.domains import solver_sampling as solver_sampling
    from magpie_hf.engines.base import Completion as Completion
    from magpie_hf.engines.base import Engine as Engine
    from magpie_hf.engines.fake import FakeEngine as FakeEngine
    from magpie_hf.engines.vllm.engine import VLLM as VLLM
    from magpie_hf.errors import BadInput as BadInput
    from magpie_hf.errors import EngineError as EngineError
    from magpie_hf.errors import HubError as HubError
    from magpie_hf.errors import LowYield as LowYield
    from magpie_hf.errors import NothingMade as NothingMade
    from magpie_hf.errors import StepFailed as StepFailed
    from magpie_hf.hub.publish import preview as preview
    from magpie_hf.hub.publish import publish as publish
    from magpie_hf.hub.publish import publish_to_folder as publish_to_folder
    from magpie_hf.hub.push import Pushed as Pushed
    from magpie_hf.hub.push import push as push
    from magpie_hf.models.chat import Chat as Chat
    from magpie_hf.models.chat import chat_of as chat_of
    from magpie_hf.models.data_licence import DataLicence as DataLicence
    from magpie_hf.models.known import DEFAULT_REWARD_MODEL as DEFAULT_REWARD_MODEL
    from magpie_hf.models.known import KNOWN_MODELS as KNOWN_MODELS
    from magpie_hf.models.model import Model as Model
    from magpie_hf.models.model import resolve as resolve
    from magpie_hf.models.sampling import Sampling as Sampling
    from magpie_hf.problems.benchmarks.loading import load_benchmark as load_benchmark
    from magpie_hf.problems.benchmarks.names import Benchmark as Benchmark
    from magpie_hf.problems.heldout import HeldOut as HeldOut
    from magpie_hf.problems.own.own import OwnProblems as OwnProblems
    from magpie_hf.recipe import Recipe as Recipe
    from magpie_hf.run.ray.cluster import RayCluster as RayCluster
    from magpie_hf.scorers.base import Score as Score
    from magpie_hf.scorers.base import Scorer as Scorer
    from magpie_hf.scorers.judge import Judge as Judge
    from magpie_hf.scorers.reward import RewardModel as RewardModel
    from magpie_hf.selection.rules import Rule as Rule
    from magpie_hf.selection.selection import Acceptance as Acceptance
    from magpie_hf.stage import Stage as Stage
    from magpie_hf.stages.step import Step as Step

_HOMES = {
    "building.build": ("build",),
    "models.chat": ("Chat", "chat_of"),
    "run.ray.cluster": ("RayCluster",),
    "domains": ("DOMAINS", "Domain", "solver_sampling"),
    "engines.base": ("Completion", "Engine"),
    "engines.fake": ("FakeEngine",),
    "engines.vllm.engine": ("VLLM",),
    "errors": ("BadInput", "EngineError", "HubError", "LowYield", "NothingMade", "StepFailed"),
    "selection.rules": ("Rule",),
    "selection.selection": ("Acceptance",),
    "problems.heldout": ("HeldOut",),
    "problems.own.own": ("OwnProblems",),
    "hub.push": ("Pushed", "push"),
    "models.data_licence": ("DataLicence",),
    "models.known": ("DEFAULT_REWARD_MODEL", "KNOWN_MODELS"),
    "models.model": ("Model", "resolve"),
    "problems.benchmarks.names": ("Benchmark",),
    "problems.benchmarks.loading": ("load_benchmark",),
    "hub.publish": ("preview", "publish", "publish_to_folder"),
    "recipe": ("Recipe",),
    "scorers.reward": ("RewardModel",),
    "models.sampling": ("Sampling",),
    "scorers.base": ("Score", "Scorer"),
    "scorers.judge": ("Judge",),
    "stage": ("Stage",),
    "stages.step": ("Step",),
    "card.wording": ("Wording",),
    "cli.from_python": ("read_recipe",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'magpie_hf' has no attribute {name!r}")
    import_module("magpie_hf.errors").in_one_line()
    value = getattr(import_module(f"magpie_hf.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
