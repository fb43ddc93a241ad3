"""magpie-hf: the command line, thin over the public functions. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import multiprocessing
import os
import shlex
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from magpie_hf.domains import DOMAINS, MOST_ROWS, Domain, select
from magpie_hf.errors import BadInput, EngineError, NothingMade
from magpie_hf.heads import facts_of
from magpie_hf.known import KnownModel, KnownScorer, known
from magpie_hf.models import Model, repository_or_folder, resolve
from magpie_hf.options import domains as domains_of
from magpie_hf.options import parser, roles
from magpie_hf.settings import select_settings
from magpie_hf.status import status

if TYPE_CHECKING:
    from magpie_hf.engines.vllm import VLLM
    from magpie_hf.recipe import Recipe

OK, FAILED, BAD_INPUT, INCOMPLETE, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
HEADROOM = 1024  # tokens of a prompt beside problem and answer: system text, solving instruction, rubric


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (0 done, 1 failed, 2 bad input, 3 done but a domain is empty, 130 interrupted)."""
    try:
        options = parser().parse_args(arguments)
        return {"build": _build, "status": _status, "probe": _probe}[options.command](options)
    except BadInput as error:
        return _complain(error, BAD_INPUT)
    except (EngineError, NothingMade) as error:
        return _complain(error, FAILED)
    except BrokenPipeError:  # whoever read the lines has left; Python would complain once more while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            raise
        where = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        return _complain(OSError(f"{where}; what is finished is safe: mend the disk or make room, and run the same command again"), FAILED)


def _complain(error: Exception, code: int) -> int:
    print(f"magpie-hf: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _build(options: argparse.Namespace) -> int:
    domains = domains_of(options)
    sources = {role: repository_or_folder(name) for role, name in roles(options).items()}
    _check_engine(options, "shard_size", "shards_in_flight")
    if any(domain.count > MOST_ROWS for domain in domains):
        raise BadInput(f"{max(domain.count for domain in domains):,} problems a domain are too many; give at most {MOST_ROWS:,}")
    if options.k < 2:
        raise BadInput(f"k is {options.k}, so no pairs are possible; give at least 2 candidates")
    out = options.out or f"data/{sources['model'].rsplit('/', 1)[-1]}_{_named(domains)}"
    print("\n".join(_plan(domains, sources, options.k, out)), flush=True)
    _check_devices(options, sources.values())

    from magpie_hf.schema import RL_SPLIT, SPLITS
    from magpie_hf.walk import build

    with _stopping_at_once(Path(out).expanduser()):
        datasets = build(
            _recipe(options, domains),
            out,
            shard_rows=options.shard_size,
            shards_in_flight=options.shards_in_flight,
            say=lambda line: print(line, flush=True),
        )
    empty = [f"{key} ({split})" for key, splits in datasets.items() for split, rows in splits.items() if not len(rows)]
    made = {split: sum(len(splits.get(split, ())) for splits in datasets.values()) for split in (*SPLITS, RL_SPLIT)}
    rl = f" and {made[RL_SPLIT]:,} RL problems" if options.rl_agreement is not None else ""
    print(f"{made['train_sft']:,} SFT rows, {made['train_prefs']:,} pairs{rl} in {out}")
    if empty:
        print(f"magpie-hf: no row came of {', '.join(empty)}; draw more (--count) or raise --max-tokens", file=sys.stderr)
    return INCOMPLETE if empty else OK


def _check_engine(options: argparse.Namespace, *more: str) -> None:
    """Raises BadInput where an option that says how an engine runs, or one of `more`, is out of its range."""
    for name in (*more, "max_num_seqs", "tensor_parallel_size"):
        if getattr(options, name) < 1:
            raise BadInput(f"--{name.replace('_', '-')} is {getattr(options, name)}; give at least 1")
    if not 0 < options.gpu_memory_utilization <= 1:
        raise BadInput(f"--gpu-memory-utilization is {options.gpu_memory_utilization:g}; give a share above 0 and at most 1")


def _check_devices(options: argparse.Namespace, sources: Collection[str]) -> None:
    """Raises BadInput where this machine cannot run a model that is known, before the Hub is asked for anything."""
    if any(known(source) for source in sources):
        from magpie_hf.engines.device import check_device

        for source in sources:
            check_device(source, options.tensor_parallel_size)


@contextlib.contextmanager
def _stopping_at_once(out: Path | None) -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM with `_stop` for a while; signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda number, _: _stop(number, out)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, out: Path | None) -> NoReturn:
    """Ctrl-C or SIGTERM: end at once. Every finished request of a build is in its journal, so there is nothing to wait for."""
    from magpie_hf.engines.journal import flush

    signal.signal(number, lambda number, _: os._exit(_STOPPED[number]))  # a second one does not even wait for the words
    for child in multiprocessing.active_children():  # vLLM's processes, which hold nothing that is not on the disk
        child.kill()
    flush()
    program = ["magpie-hf"] if sys.argv[0].endswith("magpie-hf") else ["python", sys.argv[0]]
    command = shlex.join([*program, *sys.argv[1:]])
    state = "a probe keeps nothing. Begin again" if out is None else f"{_safe(out)}. Go on"
    print(f"\nmagpie-hf: stopped; {state} with: {command}", file=sys.stderr, flush=True)
    os._exit(_STOPPED[number])


_STOPPED: dict[int, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


def _safe(out: Path) -> str:
    """What is on the disk of a build, in a few words."""
    try:
        stages = status(out).stages
    except BadInput:  # it had not begun
        return "nothing was begun"
    rows, requests = sum(stage.rows for stage in stages), sum(stage.requests_under_way for stage in stages)
    return f"{rows:,} rows of finished shards and {requests:,} requests of others are safe in {out}"


def _status(options: argparse.Namespace) -> int:
    print("\n".join(status(Path(options.folder).expanduser()).lines()))
    return OK


def _probe(options: argparse.Namespace) -> int:
    """Exits with 3 where even the best setting yields so little that a build refuses to start."""
    settings, domains = select_settings(options.settings.split(",")), select(options.domains.split(","))
    if options.instruction_max_tokens is not None:
        bound = {"max_tokens": options.instruction_max_tokens}
        domains = tuple(replace(domain, instruction=replace(domain.instruction, **bound)) for domain in domains)
    _check_engine(options)
    _check_devices(options, [repository_or_folder(options.model)])
    model = resolve(options.model, revision=options.revision, dtype=options.dtype, max_length=options.max_model_len)

    from magpie_hf.probe import probe

    context = HEADROOM + max(domain.instruction.max_tokens for domain in domains)
    with _stopping_at_once(None), contextlib.closing(_vllm(options, model, context)) as engine:
        found = probe(engine, domains, settings, options.draws, options.seed)
    print(json.dumps(found.facts(), ensure_ascii=False, indent=2) if options.json else "\n".join(found.lines()))
    return INCOMPLETE if found.refused else OK


def _facts(source: str) -> KnownModel | KnownScorer | None:
    """What is known of a repository, or of a folder by its architecture."""
    return facts_of(Model(source, "", path=source)) if source and Path(source).is_dir() else known(source)


def _named(domains: Sequence[Domain]) -> str:
    return "all" if len(domains) == len(DOMAINS) else "-".join(domain.key for domain in domains)


def _plan(domains: Sequence[Domain], sources: dict[str, str], k: int, out: str) -> list[str]:
    def title(source: str) -> str:
        facts = _facts(source)
        if isinstance(facts, KnownScorer):
            return f"{source} ({facts.licence}; reads up to {facts.context:,} tokens)"
        return f"{source} (model {facts.number}; {facts.licence})" if facts else source

    lines = [f"model    {title(sources['model'])}"]
    lines += [f"{role:<8} {title(source)}" for role, source in sources.items() if source != sources["model"]]
    facts = _facts(sources.get("scorer", ""))
    lines += [f"licence  {facts.licence} of {facts.repository}: {facts.duty}"] if isinstance(facts, KnownScorer) and facts.forbids else []
    lines += [f"domain   {domain.key} {domain.count:,}" for domain in domains]
    lines += [f"problems {sum(domain.count for domain in domains):,}, {k} candidates each", f"folder   {out}"]
    return lines


def _vllm(options: argparse.Namespace, model: Model, context: int | None, runner: Literal["generate", "pooling"] = "generate") -> VLLM:
    """The engine of a model as the options want it."""
    from magpie_hf.engines.vllm import VLLM

    return VLLM(
        model,
        runner=runner,
        form=options.engine,
        context=context,
        tensor_parallel_size=options.tensor_parallel_size,
        gpu_memory_utilization=options.gpu_memory_utilization,
        kv_cache_gigabytes=options.kv_cache_gb,
        max_num_seqs=options.max_num_seqs,
    )


def _recipe(options: argparse.Namespace, domains: tuple[Domain, ...]) -> Recipe:
    from magpie_hf.harvest import Acceptance
    from magpie_hf.recipe import Recipe
    from magpie_hf.reward import RewardModel
    from magpie_hf.scorers import Judge
    from magpie_hf.stages.pair import Pair

    context = HEADROOM + max(
        domain.instruction.max_tokens + max(domain.response.max_tokens, domain.candidate.max_tokens) for domain in domains
    )

    engines: dict[str, VLLM] = {}
    for role, name in roles(options).items():
        revision = options.revision if role == "model" else None
        if name == options.model and role in ("solver", "judge", "tagger"):
            engines[role] = engines["model"]
            continue
        rates = role in ("scorer", "embedder")
        model = resolve(name, revision=revision, dtype=options.dtype, max_length=None if rates else options.max_model_len)
        # Another tokenizer may take more tokens for the same text.
        room = None if role == "embedder" else context if role in ("model", "solver") else context * 2
        engines[role] = _vllm(options, model, room, "pooling" if rates else "generate")
    read = options.scorer_reads
    scorer = RewardModel(engines["scorer"], read) if "scorer" in engines else Judge(engines["judge"], read=read)
    margin = scorer.least_margin if options.min_margin is None else options.min_margin
    return Recipe(
        engines["model"],
        engines["solver"],
        scorer,
        domains,
        options.k,
        options.seed,
        tagger=engines.get("tagger"),
        languages=tuple(dict.fromkeys(code.strip() for code in options.languages.split(","))),
        benchmarks=benchmarks,
        not_checked=not_checked,
        embedder=engines.get("embedder"),
        acceptance=Acceptance(
            options.off_domain, options.min_quality, options.min_difficulty, options.unsolvable == "drop", options.min_yield
        ),
        near=options.near,
        pair=Pair(options.min_agreement, margin, options.min_correctness_margin, options.max_length_ratio),
        rl_agreement=options.rl_agreement,
    )


if __name__ == "__main__":
    sys.exit(main())
