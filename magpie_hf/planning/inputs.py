"""What a plan starts from: the build that was asked for, its models' sizes, GPUs and licences.

Not here: how much work that makes (workload.py), and how fast an engine does it (speeds.py).
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

from magpie_hf.domains import Domain, sampled_as
from magpie_hf.engines.vllm.arguments import Settings, read_arguments
from magpie_hf.engines.vllm.device import weights_gigabytes
from magpie_hf.errors import BadInput
from magpie_hf.limits import MIN_YIELD
from magpie_hf.models.generation import GENERATION_CONFIG, is_reasoning
from magpie_hf.models.gpus import GPUS, Gpu
from magpie_hf.models.heads import known_of
from magpie_hf.models.known import ARMORM, KnownModel, known
from magpie_hf.models.licences import licence_of, parse_model_licences
from magpie_hf.models.model import (
    Model,
    check_files,
    config_of,
    json_of,
    longest,
    named_revision,
    repository_or_folder,
)
from magpie_hf.models.parallel import Need, as_given, need_of
from magpie_hf.models.quantised import parameters, quantised
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.shapes import shape_of
from magpie_hf.models.switches import (
    ROLES,
    options_for,
    parse_chat_options,
    switches_of,
    system_place_of,
    thinks,
    written,
)
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.text.language import tr

SAMPLING = ("instruct", "tag", "embed")  # stages before the filtering that ask a model
ANSWERS = ("solutions", "candidates")  # stages that answer a problem
# Stages that ask other models about the answers, or for others.
OPINIONS = ("objections", "second_opinion", "write_programs", "pass_rate", "delta")
ANSWERING = (*ANSWERS, *OPINIONS, "score")  # stages after the filtering
# Options on which lengths and yields depend.
_DECIDING = (
    "revision", "dtype", "sampling", "instruction_temperature", "instruction_top_p", "instruction_min_p",
    "instruction_max_tokens", "first_token_temperature", "temperature", "top_p", "min_p",
    "candidate_temperature", "candidate_top_p", "candidate_min_p", "max_tokens", "max_model_len",
    "auto_extend", "sft", "scorer_reads", "off_topic", "min_quality", "min_difficulty", "unsolvable",
    "languages", "near", "decontaminate",
)  # fmt: skip
# Those of given problems.
_OF_GIVEN = (
    "problems", "problem_column", "answer_column", "domain_column", "problems_split", "problems_where",
    "problems_revision", "problems_as_given", "use_reference",
)  # fmt: skip
PATIENCE = 5.0  # seconds to wait for the Hub
_T = TypeVar("_T")
LOOKING = "magpie-size"  # name of the thread that asks the Hub
PROMPT = 240  # tokens of a problem with the instruction around it, which the context holds beside the answer
LOOKS = 3  # at a doubtful problem
MOST_OPINIONS = 3  # answers of a checker to one problem
PROGRAMS = 2  # of one problem
ACTIVE = {3: 37.0}  # billions of parameters a token uses, for numbered models that are mixtures of experts


# The build


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
    program, rejected, pass);
    k: candidates a problem; whole: whether the scorer reads the thinking, too; test_share: share of the test
    splits, from 0 to 1; rl: whether RL problems are exported; sft, auto_extend, keep_minority: as in a
    Recipe; reasoning: whether the solver is a reasoning model; unread: why its files could not be read, ""
    where they were; context: tokens of the solver's own context, 0 where it is not known; chat: the settings
    of each role's chat template, as far as it is at hand; steer: as in a Recipe; place: where a domain's text
    goes, "" where that is not known; revisions: of the models whose revision is given; given: whether the
    problems are given, and not sampled; objections, pass_votes: as in a Recipe; band: whether samples are
    answered before they are accepted, as a band bounds their pass rates.
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
    pass_votes: int = 8
    band: bool = False

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
        if self.objections:
            roles["objections"] = self.looker
        roles |= {"second_opinion": "checker", "write_programs": "program"}
        roles |= {"pass_rate": "pass", "delta": "rejected"}
        found = {stage: self.sources[role] for stage, role in roles.items() if role in self.sources}
        return {**found, "score": self.scorer}

    def each(self, stage: str) -> int:
        """Requests a row, at most."""
        each = {
            "candidates": self.k,
            "score": self.k,
            "objections": LOOKS,
            "second_opinion": MOST_OPINIONS,
            "write_programs": PROGRAMS,
            "pass_rate": self.pass_votes,
        }
        return each.get(stage, 1)

    def bound(self, domain: Domain, stage: str = "candidates") -> int:
        """Tokens of an answer in a domain, at most, with the doublings of a truncated one."""
        first = (domain.response if stage == "solutions" else domain.candidate).max_tokens
        bound = first << self.auto_extend
        return min(bound, max(1, self.context - PROMPT)) if self.context else bound

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


def outline_of(options: argparse.Namespace, domains: tuple[Domain, ...], roles: Mapping[str, str]) -> Outline:
    """The outline of the build that the options describe, with the solver's own sampling in its domains.

    roles: the model of each role, as the user named it. Raises BadInput for a test share outside its range.
    """
    sources = {role: repository_or_folder(name) for role, name in roles.items()}
    for folder in filter(Path.is_dir, map(Path, sources.values())):
        check_files(folder)
    revisions = {sources[role]: named for role in sources if (named := named_revision(roles[role])[1])}
    if options.revision:
        revisions[sources["model"]] = options.revision
    chat = _chat_settings(options, sources, revisions)
    domains, reasoning, unread = _solver_sampling(
        options, domains, sources["solver"], revisions, chat.get("solver", {})
    )
    writer = _at_hand(sources["model"], revisions.get(sources["model"]))
    return Outline(
        domains,
        sources,
        options.k,
        options.seed,
        options.scorer_reads == "whole",
        HeldOut(options.test_share).share,
        options.rl_majority_share is not None,
        Cutting(options.shard_size, options.shards_in_flight, options.min_yield),
        options.sft,
        options.auto_extend,
        options.keep_minority,
        reasoning,
        unread,
        chat=chat,
        steer=options.steer,
        place=_place(options, writer),
        revisions=revisions,
        given=options.problems is not None,
        objections=options.objections,
        pass_votes=options.pass_votes,
        band=options.pass_rate is not None,
    )


def _place(options: argparse.Namespace, writer: Model | None) -> str:
    """Where a domain's text goes; "" where that is not known, or nothing is sampled."""
    if options.problems is not None:
        return ""
    return options.steer or (system_place_of(writer) if writer else "")


def _chat_settings(
    options: argparse.Namespace, sources: Mapping[str, str], revisions: Mapping[str, str]
) -> dict[str, dict[str, str | None]]:
    """Each role's `settings_of` its model. Raises BadInput for chat options that fit no template, and for a
    template that does not end.

    The Hub is asked for a template only if options are given. Where it does not answer they are planned with
    unchecked, and without options nothing is known.
    """
    given = parse_chat_options(options.chat_option)
    switches: dict[str, tuple[str, Sequence[str]]] = {}
    for role in ROLES:
        if role not in sources:
            continue
        source, names = sources[role], [name for _, name, _ in given]
        revision = revisions.get(source)
        if (model := _at_hand(source, revision)) is not None:
            names = list(switches_of(model))
        elif given:
            with suppress(OSError, ValueError):
                names = list(_patiently(partial(switches_of, _unresolved(source, revision))))
        switches[role] = source, names
    values = options_for(given, switches)
    return {
        role: {**dict.fromkeys(names), **dict(written(values[role]))}
        for role, (_, names) in switches.items()
        if names
    }


def _at_hand(source: str, revision: str | None) -> Model | None:
    """The model where its files are on this machine: its folder, or the one in the cache; else None.

    The cache is not asked for known models, whose plans load no Hub client unless options are given.
    """
    if Path(source).is_dir():
        return _unresolved(source, revision)
    if known(source):
        return None
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(source, "tokenizer_config.json", revision=revision)
    return Model(source, revision or "main", path=str(Path(file).parent)) if isinstance(file, str) else None


def _solver_sampling(
    options: argparse.Namespace,
    domains: tuple[Domain, ...],
    source: str,
    revisions: Mapping[str, str],
    chat: Mapping[str, str | None],
) -> tuple[tuple[Domain, ...], bool, str]:
    """The domains as `domains.solver_sampling`, whether the solver is a reasoning model, and why not known.

    A known model needs no look-up. Of another one the Hub is asked for small files, for at most PATIENCE
    seconds; without them the domains' own values are planned with.
    """
    given = tuple((name, value) for name, value in chat.items() if value is not None)
    unresolved = _unresolved(source, revisions.get(source))
    model = replace(unresolved, max_length=options.max_model_len, chat_options=given)
    config: Mapping[str, Any] | None
    if isinstance(info := known(source), KnownModel):
        config, reasoning, context = dict(info.generation), is_reasoning(model), options.max_model_len
    else:
        try:
            config, reasoning, context = _patiently(
                lambda: (json_of(model, GENERATION_CONFIG), is_reasoning(model), longest(model))
            )
        except (OSError, ValueError) as error:
            return domains, False, _why(error)
    return sampled_as(domains, config, model.name, reasoning, context), reasoning, ""


def said_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """The options on which lengths and yields depend, as plain values.

    A measurement serves every build for which these are equal.
    """
    said = {"sources": dict(outline.sources), **{name: getattr(options, name) for name in _DECIDING}}
    # Left out where not given, so that earlier measurements still serve
    numbers = dict(read_arguments(options.engine_args, options.engine_arg).numbers)
    kind = "" if options.server_kind == "vllm" else options.server_kind
    later = {
        "chat_option": options.chat_option,
        "steer": options.steer,
        "settings": numbers,
        "server_kind": kind,
        "revisions": {name: one for name, one in outline.revisions.items() if one != options.revision},
        "domains": {key: repr(domain) for key, domain in options.blocks.get("domains", {}).items()},
        **{name: getattr(options, name) for name in _OF_GIVEN},
    }
    return {**said, **{name: value for name, value in later.items() if value}}


def build_of(options: argparse.Namespace, outline: Outline) -> dict[str, Any]:
    """What tells one build of a folder from another: the options of `said_of`, counts and candidates."""
    counts = {domain.key: domain.count for domain in outline.domains}
    return {**said_of(options, outline), "k": outline.k, "counts": counts}


def out_of(options: argparse.Namespace, outline: Outline, named: str) -> Path:
    """The folder of the build."""
    return folder_of(options.out, outline.sources["model"], named)


def folder_of(out: str | None, source: str, named: str) -> Path:
    """The folder of a build of this model, and of domains that are named so."""
    return Path(out or f"data/{source.rsplit('/', 1)[-1]}_{named}").expanduser()


# Models' sizes


@dataclass(frozen=True)
class Size:
    """A model's size: billions of parameters that one token uses, and the memory that it takes up."""

    active: float
    need: Need


@dataclass(frozen=True)
class Sized:
    """A model with its size, or with the reason why the size is not known.

    settings, longest: vLLM's own arguments, and the bound on its context. int4: the method of weights that
    are quantised to integers of four bits.
    """

    source: str
    size: Size | None
    why: str = ""
    settings: Settings = ()
    longest: int | None = None
    int4: str = ""

    @property
    def weights(self) -> float | None:
        """Gigabytes of weights; None where not known."""
        return self.size.need.weights if self.size else None

    def on(self, gpu: Gpu) -> Size | None:
        """Its size on this GPU: some known models take up more on older ones."""
        info = known(self.source)
        if self.size is None or info is None:
            return self.size
        return replace(self.size, need=as_given(need_of(info, gpu), self.settings, self.longest))


def sized(source: str, revision: str | None, settings: Settings = (), longest: int | None = None) -> Sized:
    """The size of a model, with vLLM's own arguments and a bound on its context.

    A known model needs no look-up. Of another one the Hub is asked for a small file or two, for at most
    PATIENCE seconds.
    """
    if (info := known(source)) is not None:
        number = info.number if isinstance(info, KnownModel) else 0
        need = as_given(need_of(info, Gpu("", 0)), settings, longest)
        return Sized(source, Size(ACTIVE.get(number, info.parameters), need), "", settings, longest)
    model = _unresolved(source, revision)
    try:
        weights, config = _patiently(lambda: (weights_gigabytes(model), config_of(model)))
    except (OSError, ValueError) as error:  # huggingface_hub's, of a refusal or a name that it does not allow
        return Sized(source, None, _why(error))
    if weights is None:
        return Sized(source, None, "it has no index of its weights")
    # Too high for a mixture of experts, whose active part no config tells
    active, how = parameters(weights, config), quantised(config)
    wide = "quantization_config" not in config
    need = as_given(Need(model.short_name, weights, shape_of(config), wide=wide), settings, longest)
    return Sized(source, Size(active, need), "", settings, longest, how.method if how and how.int4 else "")


def _unresolved(source: str, revision: str | None) -> Model:
    folder = Path(source)
    if folder.is_dir():
        return Model(folder.name, "", path=source)
    return Model(source, revision or "main")


def _why(error: Exception) -> str:
    """Why a model's files could not be read, in a line."""
    if isinstance(error, TimeoutError):
        return f"the Hub did not answer within {PATIENCE:.0f} seconds"
    first = next(iter(str(error).splitlines()), "")
    return first if isinstance(error, BadInput) else f"{type(error).__name__}: {first}"


def _patiently(look: Callable[[], _T]) -> _T:
    """What a look-up on the Hub returns.

    Raises TimeoutError after PATIENCE seconds; the Hub's own client would retry for longer.
    """
    found: Future[_T] = Future()

    def run() -> None:
        try:
            _hush()
            found.set_result(look())
        except BaseException as error:  # raised where it is waited for
            found.set_exception(error)

    looking = threading.Thread(target=run, name=LOOKING, daemon=True)
    looking.start()
    try:
        return found.result(PATIENCE)
    except TimeoutError:
        if not found.done():  # else it is the look-up's own
            _given_up.add(looking)
        raise


_given_up: WeakSet[threading.Thread] = WeakSet()  # look-ups that nobody waits for any more


class _GivenUp(BaseException):
    """Ends such a look-up at its next retry."""


def _hush() -> None:
    """Keep the Hub's client from logging each retry; the result is reported in one line."""
    from huggingface_hub.utils.logging import get_logger

    get_logger()  # which makes the handlers
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    if threading.current_thread() in _given_up:
        # What it logs is that a request failed. Going on, it would close the connections that the whole
        # process shares, under the requests of other threads.
        raise _GivenUp
    return record.threadName != LOOKING


# GPUs


@dataclass(frozen=True)
class Figures:
    """What a GPU's vendor states, and what clouds ask for it.

    teraflops: dense 16-bit TFLOP/s; terabytes: TB/s of memory; dollars: US dollars an hour, least and most.
    """

    teraflops: float
    terabytes: float
    dollars: tuple[float, float]


FIGURES = {  # prices: a rough range of what clouds asked in 2026; --price is more exact
    "V100 32 GB": Figures(125, 0.9, (0.4, 3.0)),
    "A100 40 GB": Figures(312, 1.555, (0.9, 3.0)),
    "A100 80 GB": Figures(312, 2.039, (1.2, 4.0)),
    "RTX 4090 24 GB": Figures(165, 1.008, (0.3, 0.8)),
    "L40S 48 GB": Figures(362, 0.864, (0.8, 2.0)),
    "H100 80 GB": Figures(989, 3.35, (2.0, 6.0)),
    "H200 141 GB": Figures(989, 4.8, (2.5, 7.0)),
    "B200 180 GB": Figures(2250, 8.0, (4.0, 10.0)),
    "RTX 5090 32 GB": Figures(209, 1.792, (0.5, 1.2)),
}


def gpu_named(text: str) -> Gpu:
    """The common GPU of this name; case, spaces and a missing "GB" do not matter.

    Raises BadInput for a name that fits none or several.
    """
    wanted = _plain(text)
    exact = [gpu for gpu in GPUS if wanted in (_plain(gpu.name), _plain(gpu.name).removesuffix("gb"))]
    found = exact or [gpu for gpu in GPUS if wanted and _plain(gpu.name).startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(gpu.name for gpu in found or GPUS)
        raise BadInput(
            f"--gpu is {text!r}, which names {'several GPUs' if found else 'no GPU that is known'}; choose"
            f" one of {names}"
        )
    return found[0]


def local_gpus() -> tuple[Gpu, ...]:
    """The known GPUs of this machine, by nvidia-smi; none where that is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [_known(*line.rpartition(",")[::2]) for line in said.splitlines() if "," in line]
    return tuple(gpu for gpu in found if gpu is not None)


def _known(name: str, mebibytes: str) -> Gpu | None:
    """The common GPU that nvidia-smi means: the name decides, then the nearest memory size."""
    if not mebibytes.strip().isdecimal():  # [N/A]
        return None
    alike = [gpu for gpu in GPUS if _plain(re.sub(r" \d+ GB$", "", gpu.name)) in _plain(name)]
    return min(alike, key=lambda gpu: abs(gpu.gigabytes - float(mebibytes) * 2**20 / 1e9), default=None)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


# Licences


@dataclass(frozen=True)
class Duty:
    """A model, its roles, and what its licence asks for.

    licence, duty: the licence's name and what travels with the outputs, None where not known; forbids:
    whether the licence forbids this use.
    """

    source: str
    title: str
    roles: tuple[str, ...]
    licence: str | None
    duty: str | None
    forbids: bool


def duties_of(outline: Outline, given: Sequence[str]) -> list[Duty]:
    """The duties of each model, once a model; the Hub is not asked.

    given: the values of --model-license.
    """
    roles: dict[str, list[str]] = {}
    for role, source in outline.sources.items():
        roles.setdefault(source, []).append(role)
    return [_duty(source, tuple(parts), given) for source, parts in roles.items()]


def _duty(source: str, roles: tuple[str, ...], given: Sequence[str]) -> Duty:
    is_folder = Path(source).is_dir()
    model = Model(Path(source).name if is_folder else source, "main", path=source if is_folder else None)
    said = parse_model_licences(given)
    here = is_folder or known(source) is not None or said.of(model) is not None
    licence = licence_of(model, said) if here else None
    info = known_of(model) if here else None
    title = source
    if isinstance(info, KnownModel):
        title = tr("{model} (model {number})", model=source, number=info.number)
    if licence is None:
        return Duty(source, title, roles, None, None, False)
    return Duty(source, title, roles, licence.name, licence.duty, licence.forbids)
