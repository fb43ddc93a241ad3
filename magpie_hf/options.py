"""The words of the command line: its options, and the models and domains that they name. Not here: what is done with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from magpie_hf.domains import DOMAINS, Domain, sampled, scaled, select
from magpie_hf.errors import BadInput
from magpie_hf.known import ARMORM, DEFAULT_REWARD_MODEL, KNOWN_MODELS
from magpie_hf.labels import DIFFICULTIES, QUALITIES
from magpie_hf.limits import LANGUAGES, MIN_YIELD, NEAR
from magpie_hf.probing.settings import DEFAULT_SETTINGS, HOW_TO_NAME
from magpie_hf.problems.benchmarks import PRESETS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def _number(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None

    return parse


def parser() -> argparse.ArgumentParser:
    """The command line of `magpie-hf`."""
    whole, decimal = _number(int), _number(float)
    top = _Parser(prog="magpie-hf", description="Builds synthetic mathematics datasets from an open aligned model (Magpie).")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    build = commands.add_parser("build", help="build datasets", description="Build datasets. Run it again to go on or to change it.")
    models = ", ".join(f"{number} {model.repository}" for number, model in KNOWN_MODELS.items())

    what = build.add_argument_group("what to build")
    what.add_argument("--model", required=True, help=f"who writes the problems: a Hub repository, a folder, or a number: {models}")
    what.add_argument("--solver", help="who answers them (default: the model)")
    scorer = "judge (a chat model rates), reward (a reward model under a free licence), armorm, or a reward model's repository or folder"
    what.add_argument("--scorer", default="judge", help=f"what orders the candidates: {scorer} (default: judge)")
    what.add_argument("--judge", help="who rates the candidates where the scorer is judge (default: the solver)")
    what.add_argument("--scorer-reads", choices=("answer", "whole"), default="answer", help="answer: without the thinking (default)")
    what.add_argument("--revision", help="revision of the model on the Hub (default: its newest commit, which is recorded)")
    what.add_argument("--domains", default=",".join(DOMAINS), help="comma-separated (default: all six: %(default)s)")
    what.add_argument("--scale", type=decimal, default=1.0, help="times the domains' counts, to tens, at least 10 (default: 1.0)")
    what.add_argument("--count", type=whole, help="accepted problems per domain, in place of --scale")
    what.add_argument("--k", type=whole, default=5, help="candidates a problem (default: 5)")
    what.add_argument("--seed", type=whole, default=0, help="seed of the whole build (default: 0)")
    what.add_argument("--out", help="folder (default: data/<Model>_<domains>)")

    good = build.add_argument_group("which draws are accepted as problems")
    good.add_argument("--tagger", help="who labels them by domain, quality, difficulty and solvability (default: the model; none: nobody)")
    good.add_argument("--off-domain", choices=("drop", "move", "keep"), help="what the tagger puts elsewhere (default: drop)")
    good.add_argument("--min-quality", choices=QUALITIES, help="least quality by the tagger (default: average)")
    good.add_argument("--min-difficulty", choices=DIFFICULTIES, help=f"least difficulty (default: {DIFFICULTIES[0]})")
    good.add_argument("--unsolvable", choices=("drop", "keep"), help="what the tagger calls unsolvable (default: drop)")
    good.add_argument("--languages", default=",".join(LANGUAGES), help="comma-separated ISO 639-1 codes (default: %(default)s)")
    good.add_argument("--near", type=decimal, default=NEAR, help="share of common words from which two may be twins (default: %(default)s)")
    good.add_argument("--embedder", help="a sentence-embedding model that flags twins by meaning and gives min_neighbor_distance")
    good.add_argument(
        "--decontaminate",
        help=f"comma-separated benchmarks to look for: all, {', '.join(PRESETS)}, a Hub id (owner/name[:config][@revision][#column]), "
        "a folder or a file",
    )
    good.add_argument("--require-decontamination", action="store_true", help="fail where a benchmark cannot be read")
    good.add_argument("--min-yield", type=decimal, default=MIN_YIELD, help="give up below this share of accepted draws (%(default)s)")

    how = build.add_argument_group("sampling (each overrides the domain's value)")
    how.add_argument("--sampling", choices=("house", "original"), default="house", help="house: min_p cuts the tail of the problems")
    for name, kind in (("temperature", decimal), ("top-p", decimal), ("min-p", decimal), ("max-tokens", whole)):
        how.add_argument(f"--instruction-{name}", type=kind, help=f"{name} of the problems")
    how.add_argument("--instruction-opening", type=decimal, help="draw a problem's first token apart, a sentence's, at this temperature")
    for name, kind in (("temperature", decimal), ("top-p", decimal), ("min-p", decimal)):
        how.add_argument(f"--{name}", type=kind, help=f"{name} of the answers")
        how.add_argument(f"--candidate-{name}", type=kind, help=f"{name} of the candidates")
    how.add_argument("--max-tokens", type=whole, help="bound of answers and candidates")
    how.add_argument("--max-model-len", type=whole, help="bound of prompt and completion together (default: the model's own)")
    how.add_argument("--dtype", default="auto", help="auto, bfloat16, float16 or float32")

    rules = build.add_argument_group("pairs and problems with an agreed answer")
    rules.add_argument("--min-agreement", type=decimal, default=0.5, help="share of the votes that makes an answer right (default: 0.5)")
    rules.add_argument("--min-margin", type=decimal, help="least score margin of a style pair (default: the scorer's own)")
    rules.add_argument("--min-correctness-margin", type=decimal, help="least score margin of a correctness pair (default: none)")
    rules.add_argument("--max-length-ratio", type=decimal, default=4.0, help="tokens of a pair's longer text by the shorter (default: 4)")
    rules.add_argument("--rl-agreement", type=decimal, help="also make <domain>_rl, of problems with at least this share of the votes")

    tests = build.add_argument_group("problems that are held out for tests")
    tests.add_argument("--test-share", type=decimal, default=0.05, help="their share, in test_sft and test_prefs (default: 0.05; 0: none)")
    tests.add_argument("--test-seed", type=whole, default=0, help="chooses which; the same in all datasets that are mixed (default: 0)")

    after = build.add_argument_group("publish it when it is done, as magpie-hf publish does")
    after.add_argument("--push", metavar="user/name", help="the dataset on the Hub; checked before anything is built")
    _add_publishing(after)
    _add_card(after)

    where = build.add_argument_group("where and how fast (makes no difference to the rows)")
    _add_engine(where)
    where.add_argument("--ray", metavar="ADDRESS", help="run engines on this Ray cluster: auto, HOST:PORT of its head, or local")
    where.add_argument("--ray-workers", metavar="MIN:MAX", help="engines on the cluster at once (default: 1 to as many as fit)")
    where.add_argument("--shard-size", type=whole, default=256, help="rows a shard")
    where.add_argument("--shards-in-flight", type=whole, default=8, help="shards under way at once")

    state = commands.add_parser("status", help="how far a build is", description="How far a build is; works while it runs.")
    state.add_argument("folder", help="the --out folder of the build")
    _add_probe(commands)
    _add_publish(commands)
    return top


def _add_engine(where: argparse._ArgumentGroup) -> None:
    whole, decimal = _number(int), _number(float)
    where.add_argument("--engine", choices=("auto", "stepped", "async"), default="auto", help="form of the vLLM engine")
    where.add_argument("--tensor-parallel-size", type=whole, help="GPUs a model is spread over (default: as few as its weights need)")
    where.add_argument("--data-parallel-size", type=whole, help="engines side by side (default: as many as the GPUs have room for)")
    where.add_argument("--gpu-memory-utilization", type=decimal, default=0.9, help="share of the GPU's memory for vLLM")
    where.add_argument("--kv-cache-gb", type=decimal, help="memory of the KV cache in GiB (default: 2 on the CPU, vLLM's choice on GPUs)")
    where.add_argument("--max-num-seqs", type=whole, default=256, help="sequences that the engine runs at once")
    where.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="URL",
        help="a running vLLM server, such as http://host:8000/v1, in place of engines here; repeatable: each server takes the part of "
        "the model that it serves (a key for them: VLLM_API_KEY)",
    )
    where.add_argument("--patience", type=decimal, default=300.0, help="seconds for which no server may answer before a build fails")


def _add_probe(commands: Any) -> None:
    whole = _number(int)
    what = "Draw a few problems in several ways, and say which way yields most. Writes nothing to the disk."
    probe = commands.add_parser("probe", help="which sampling yields most problems", description=what)
    probe.add_argument("model", metavar="MODEL", help="who writes the problems: a number, a Hub repository or a folder, as in build")
    probe.add_argument("--domains", default=",".join(DOMAINS), help="comma-separated (default: all six: %(default)s)")
    probe.add_argument("--settings", default=",".join(DEFAULT_SETTINGS), help=f"comma-separated; {HOW_TO_NAME} (default: %(default)s)")
    probe.add_argument("--draws", type=whole, default=32, help="problems drawn per domain and setting (default: 32)")
    probe.add_argument("--seed", type=whole, default=0, help="seed of the draws, as in build (default: 0)")
    probe.add_argument("--instruction-max-tokens", type=whole, help="max-tokens of the problems (default: the domain's own)")
    probe.add_argument("--revision", help="revision of the model on the Hub (default: its newest commit)")
    probe.add_argument("--max-model-len", type=whole, help="bound of prompt and completion together (default: the model's own)")
    probe.add_argument("--dtype", default="auto", help="auto, bfloat16, float16 or float32")
    probe.add_argument("--json", action="store_true", help="print one JSON object in place of the report")
    _add_engine(probe.add_argument_group("where and how fast"))


def _add_publish(commands: Any) -> None:
    what = (
        "Publish a finished build on the Hub, as one commit to a private dataset. Run it again after a failure: it sends what is missing."
    )
    publish = commands.add_parser("publish", help="publish a build on the Hub", description=what)
    publish.add_argument("folder", help="the --out folder of the build")
    publish.add_argument("repo", metavar="user/name", help="the dataset on the Hub; it is made if it is not there")
    publish.add_argument("--partial", action="store_true", help="of a build that is not finished, publish what went through every stage")
    publish.add_argument("--dry-run", action="store_true", help="say what would change on the Hub, and change nothing")
    publish.add_argument(
        "--to", metavar="FOLDER", help="write the same files into a folder in place of the Hub, for which no token is needed"
    )
    _add_publishing(publish)
    _add_card(publish.add_argument_group("the card"))


def _add_publishing(where: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    where.add_argument("--public", action="store_true", help="make it public (default: private; a public one is refused)")
    where.add_argument("--overwrite", action="store_true", help="replace files there that magpie_hf did not write; others are left alone")
    where.add_argument("--tag", help="name this version, such as v1: load_dataset(..., revision='v1') goes on to load it")


def _add_card(where: argparse._ArgumentGroup) -> None:
    where.add_argument("--card-lang", choices=("en", "ja"), default="en", help="language of the card's prose (default: en)")
    where.add_argument("--card-template", metavar="FILE", help="a Jinja template in place of the card's own")
    where.add_argument(
        "--model-license",
        action="append",
        default=[],
        metavar="[MODEL=]ID",
        help="licence of a model that is not known: an id of the Hub's list, such as apache-2.0; for one model MODEL=ID, repeatable",
    )


SCORERS = {"reward": DEFAULT_REWARD_MODEL, "armorm": ARMORM}  # besides them, any reward model's repository or folder


def roles(options: argparse.Namespace) -> dict[str, str]:
    """Which model has which part in a build: model, solver, judge or scorer, and tagger and embedder where there are such."""
    solver = options.solver or options.model
    parts = {"model": options.model, "solver": solver}
    if options.scorer == "judge":
        parts["judge"] = options.judge or solver
    elif options.judge:
        raise BadInput(f"--judge is {options.judge} and --scorer is {options.scorer}; give one of them, as one thing orders the candidates")
    else:
        parts["scorer"] = SCORERS.get(options.scorer, options.scorer)
    if options.tagger != "none":
        parts["tagger"] = options.tagger or options.model
    if options.embedder:
        parts["embedder"] = options.embedder
    return parts


def domains(options: argparse.Namespace) -> tuple[Domain, ...]:
    """The domains of a build, with the values that options override."""
    if options.count is not None and options.count < 1:
        raise BadInput(f"count is {options.count}; give at least 1 problem a domain")
    chosen = []
    for domain in select(options.domains.split(",")):
        domain = sampled(scaled(domain, options.scale), options.sampling)
        if options.count is not None:
            domain = replace(domain, count=options.count)
        domain = replace(
            domain,
            opening=domain.opening if options.instruction_opening is None else options.instruction_opening,
            instruction=replace(domain.instruction, **_given(options, "instruction_", ("max_tokens",))),
            response=replace(domain.response, **_given(options, "", ("max_tokens",))),
            candidate=replace(domain.candidate, **_given(options, "candidate_"), **_given(options, "", ("max_tokens",), ())),
        )
        chosen.append(domain)
    return tuple(chosen)


def _given(
    options: argparse.Namespace, prefix: str, more: tuple[str, ...] = (), names: tuple[str, ...] = ("temperature", "top_p", "min_p")
) -> dict[str, Any]:
    values = {name: getattr(options, prefix + name) for name in (*names, *more)}
    return {name: value for name, value in values.items() if value is not None}
