"""The outline of a build: which stages ask which model, how often, and in which order.

Not here: the options from which it is made (inputs.py), and how much work it is (workload.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from magpie_hf.domains import Domain, longest_request
from magpie_hf.limits import MIN_YIELD
from magpie_hf.models.known import ARMORM, KnownModel, known
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import thinks

SAMPLING = ("instruct", "tag", "embed")  # stages before the filtering that ask a model
ANSWERS = ("solutions", "candidates")  # stages that answer a problem
# Stages that ask other models about the answers, or for others.
OPINIONS = ("tool_answers", "objections", "second_opinion", "write_programs", "pass_rate", "harden", "delta")
# What a harder problem goes through as a sample does.
IN_ROUNDS = ("tag", "embed", *ANSWERS, "objections", "second_opinion", "write_programs", "pass_rate")
SELECTED = ("tool_answers", "delta", "score")  # stages that answer accepted problems alone, also with a band
ANSWERING = (*ANSWERS, *OPINIONS, "score")  # stages after the filtering
PROMPT = 240  # tokens of a problem with the instruction around it, which the context holds beside the answer
LOOKS = 3  # at a doubtful problem
MOST_OPINIONS = 3  # answers of a checker to one problem
PROGRAMS = 2  # of one problem
MOST_ROUNDS = 9  # of an answer with tools


@dataclass(frozen=True)
class Cutting:
    """How a build is cut into shards: rows a shard, shards in flight, and the least yield that is assumed."""

    shard_rows: int = 256
    shards_in_flight: int = 8
    floor: float = MIN_YIELD


@dataclass(frozen=True)
class Phase:
    """A time for which one model is loaded.

    source: the model; stages: those that ask it; filtering: whether samples are filtered in this phase.
    """

    source: str
    stages: tuple[str, ...]
    filtering: bool


class Sampled(NamedTuple):
    """How the solver is asked in one stage for some domains, and where each value comes from."""

    stage: str
    domains: tuple[str, ...]
    sampling: Sampling
    origins: tuple[tuple[str, str], ...]

    @property
    def values(self) -> dict[str, float]:
        """The values by name, the bound last."""
        return {name: getattr(self.sampling, name) for name, _ in self.origins}

    @property
    def by_origin(self) -> dict[str, list[str]]:
        """Names of values by where they come from."""
        names: dict[str, list[str]] = {}
        for name, origin in self.origins:
            names.setdefault(origin, []).append(name)
        return names


@dataclass(frozen=True)
class Outline:
    """A build as far as a plan needs it: which stages ask which model, and how often.

    sources: the repository or folder of each role (model, solver, judge or scorer, tagger, embedder, checker,
    program, rejected, pass, hardener); k: candidates a problem; whole: whether the scorer reads the thinking,
    too; test_share: share of the test splits, from 0 to 1; rl: whether RL problems are exported; tir, sft,
    auto_extend, keep_minority: as in a Recipe; reasoning: whether the solver is a reasoning model; unread:
    why its files could not be read, "" where they were; context: tokens of the solver's own context, 0 where
    it is not known; chat: the settings of each role's chat template, as far as it is at hand; steer: as in a
    Recipe; place: where a domain's text goes, "" where that is not known; revisions: of the models whose
    revision is given; given: whether the problems are given, and not sampled; objections, pass_votes: as in a
    Recipe; own: names of steps of one's own that ask a model; band: whether samples are answered before they
    are accepted, as a band bounds their pass rates, and which; known: whether problems are compared with sets
    of known ones; harden: as in a Recipe, whose rounds count as more requests of the same stages;
    there: by domain, how many problems are given.
    """

    domains: tuple[Domain, ...]
    sources: Mapping[str, str]
    k: int
    seed: int
    whole: bool
    test_share: float
    rl: bool
    cutting: Cutting
    sft: str | int = "best"
    auto_extend: int = 1
    keep_minority: bool = False
    reasoning: bool = False
    unread: str = ""
    context: int = 0
    chat: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    steer: str | None = None
    place: str = ""
    revisions: Mapping[str, str] = field(default_factory=dict)
    given: bool = False
    objections: bool = False
    tir: int = 0
    pass_votes: int = 8
    band: tuple[float, float] | None = None
    known: bool = False
    harden: int = 0
    own: tuple[str, ...] = ()
    there: Mapping[str, int] = field(default_factory=dict)

    @property
    def sampling(self) -> list[Sampled]:
        """How the solver is asked: the ways that differ, each with its domains.

        The separate answer is asked for with `sft` "cold" alone.
        """
        found: dict[Sampled, list[str]] = {}
        for stage, step in (("solutions", "response"), ("candidates", "candidate")):
            for domain in self.domains if stage == "candidates" or self.sft == "cold" else ():
                one = Sampled(stage, (), getattr(domain, step), tuple(domain.origins_of(step).items()))
                found.setdefault(one, []).append(domain.key)
        return [one._replace(domains=tuple(keys)) for one, keys in found.items()]

    @property
    def writer_reasons(self) -> bool:
        """Whether the model that writes the problems is known to be a reasoning model."""
        writer = self.sources["model"]
        if self.given:
            return False
        if (switched := thinks(self.chat.get("model", {}))) is not None:
            return switched
        if writer == self.sources["solver"] and self.chat.get("model") == self.chat.get("solver"):
            return self.reasoning
        info = known(writer)
        return isinstance(info, KnownModel) and info.reasoning

    @property
    def scorer(self) -> str:
        return self.sources.get("judge") or self.sources["scorer"]

    @property
    def scorer_suffix(self) -> str:
        """The scorer's name in the names of the original's files."""
        return "judge" if "judge" in self.sources else "armorm" if self.scorer == ARMORM else "reward"

    @property
    def looker(self) -> str:
        """The role that looks at doubtful problems again."""
        return next(role for role in ("checker", "tagger", "solver") if role in self.sources)

    @property
    def maker(self) -> str:
        """The role that makes problems harder."""
        return "hardener" if "hardener" in self.sources else "solver"

    @property
    def stages(self) -> dict[str, str]:
        """The stages that ask a model, in the order of the pipeline, each with its model.

        Of a separate answer beside the candidates ("solutions") only sft "cold" makes use.
        """
        roles = {"instruct": "model", "tag": "tagger", "embed": "embedder"}
        if self.given:
            del roles["instruct"]
        if self.sft == "cold":
            roles["solutions"] = "solver"
        roles |= {"candidates": "solver"}
        if self.tir:
            roles["tool_answers"] = "solver"
        if self.objections:
            roles["objections"] = self.looker
        roles |= {"second_opinion": "checker", "write_programs": "program"}
        roles |= {"pass_rate": "pass"}
        if self.harden:
            roles["harden"] = self.maker
        roles |= {"delta": "rejected"}
        found = {stage: self.sources[role] for stage, role in roles.items() if role in self.sources}
        return {**found, "score": self.scorer}

    def of_samples(self, stage: str) -> bool:
        """Whether a stage asks about samples, and not about accepted problems alone."""
        return stage in SAMPLING or (self.band is not None and stage not in SELECTED)

    def each(self, stage: str) -> int:
        """Requests a row, at most."""
        each = {
            "candidates": self.k,
            "score": self.k,
            "tool_answers": self.tir * MOST_ROUNDS,
            "objections": LOOKS,
            "second_opinion": MOST_OPINIONS,
            "write_programs": PROGRAMS,
            "pass_rate": self.pass_votes,
            "harden": self.harden,
        }
        return each.get(stage, 1)

    def bound(self, domain: Domain, stage: str = "candidates") -> int:
        """Tokens of an answer in a domain, at most, with the doublings of a truncated one."""
        first = (domain.response if stage == "solutions" else domain.candidate).max_tokens
        bound = first << self.auto_extend
        return min(bound, max(1, self.context - PROMPT)) if self.context else bound

    def asked(self, source: str) -> int | None:
        """Tokens of a model's longest request, as its engine is opened; None for the model's own context."""
        roles = {role for role, name in self.sources.items() if name == source}
        if roles == {"embedder"}:
            return None
        longest = longest_request(self.domains, self.auto_extend)
        return longest if roles & {"model", "solver"} else 2 * longest

    def larger(self, factor: int) -> Outline:
        """The same build with `factor` times the bounds of the answers."""
        domains = tuple(
            replace(
                domain,
                response=replace(domain.response, max_tokens=domain.response.max_tokens * factor),
                candidate=replace(domain.candidate, max_tokens=domain.candidate.max_tokens * factor),
            )
            for domain in self.domains
        )
        return replace(self, domains=domains)

    @property
    def phases(self) -> list[Phase]:
        """The models in the order in which they are loaded.

        A model that samples, labels and answers does all of it in one phase.
        """
        stages = self.stages
        sampling = [stage for stage in SAMPLING if stage in stages]
        together = len({stages[stage] for stage in (*sampling, "candidates")}) == 1
        answers = [stage for stage in ANSWERS if stage in stages]
        groups = [[*sampling, *answers]] if together else [*([stage] for stage in sampling), answers]
        joined: list[list[str]] = []
        groups += [[stage] for stage in OPINIONS if stage in stages]
        for group in (*groups, ["score"]):
            last = joined[-1] if joined else []
            alike = together or not last or (last[-1] in SAMPLING) == (group[0] in SAMPLING)
            if last and alike and stages[last[-1]] == stages[group[0]]:
                last.extend(group)
            else:
                joined.append(list(group))
        return [
            Phase(stages[group[0]], tuple(group), number == 0 and group[0] in SAMPLING)
            for number, group in enumerate(joined)
        ]
