"""magpie-hf: the command line, thin over the public functions. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.domains import MOST_ROWS, select
from magpie_hf.errors import BadInput, EngineError, HubError, NothingMade
from magpie_hf.making import HEADROOM, Spec, check_devices, check_engine, cluster_of, engines_of, named, plan, recipe_of
from magpie_hf.models import repository_or_folder, resolve
from magpie_hf.options import domains as domains_of
from magpie_hf.options import parser, roles
from magpie_hf.probing.settings import select_settings
from magpie_hf.status import status
from magpie_hf.stopping import INTERRUPTED, stopping_at_once

if TYPE_CHECKING:
    from magpie_hf.wording import Wording

OK, FAILED, BAD_INPUT, INCOMPLETE = 0, 1, 2, 3
_OF_PUSH = ("public", "overwrite", "tag", "card_lang", "card_template", "model_license")  # options of a build that say how it is published


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (0 done, 1 failed, 2 bad input, 3 done but a domain is empty, 130 interrupted)."""
    try:
        options = parser().parse_args(arguments)
        return {"build": _build, "status": _status, "probe": _probe, "publish": _publish}[options.command](options)
    except BadInput as error:
        return _complain(error, BAD_INPUT)
    except (EngineError, HubError, NothingMade) as error:
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
    check_engine(options, "shard_size", "shards_in_flight")
    if any(domain.count > MOST_ROWS for domain in domains):
        raise BadInput(f"{max(domain.count for domain in domains):,} problems a domain are too many; give at most {MOST_ROWS:,}")
    if options.k < 2:
        raise BadInput(f"k is {options.k}, so no pairs are possible; give at least 2 candidates")
    out = options.out or f"data/{sources['model'].rsplit('/', 1)[-1]}_{named(domains)}"
    print("\n".join(plan(domains, sources, options.k, out)), flush=True)
    check_devices(options, sources.values())
    cluster = cluster_of(options)
    _check_push(options)

    from magpie_hf.facts import models_of
    from magpie_hf.licences import licences_for
    from magpie_hf.runners import Local
    from magpie_hf.schema import SIDES, TEXT_SPLITS
    from magpie_hf.stages.export import ExportRL
    from magpie_hf.walk import build

    with stopping_at_once(Path(out).expanduser()):
        recipe = recipe_of(options, domains)
        if options.push is not None:
            licences_for(models_of(recipe), options.model_license)  # raises where one is missing
        datasets = build(
            recipe,
            out,
            shard_rows=options.shard_size,
            shards_in_flight=options.shards_in_flight,
            runner=cluster or Local,
            say=_say,
        )
    sizes = {(key, split): len(rows) for key, splits in datasets.items() for split, rows in splits.items()}
    empty = [f"{key} ({split})" for (key, split), size in sizes.items() if not size and split.startswith("train")]
    sft, pairs = (sum(size for (_, split), size in sizes.items() if split.endswith(text)) for text in TEXT_SPLITS)
    problems = sum(size for (key, split), size in sizes.items() if key.endswith(ExportRL.suffix) and split in SIDES)
    rl = f" and {problems:,} RL problems" if options.rl_agreement is not None else ""
    print(f"{sft:,} SFT rows, {pairs:,} pairs{rl} in {out}")
    if empty:
        print(f"magpie-hf: no row came of {', '.join(empty)}; draw more (--count) or raise --max-tokens", file=sys.stderr)
    if options.push is not None:
        _push(options, Path(out).expanduser(), options.push)
    return INCOMPLETE if empty else OK


def _status(options: argparse.Namespace) -> int:
    print("\n".join(status(Path(options.folder).expanduser()).lines()))
    return OK


def _probe(options: argparse.Namespace) -> int:
    """Exits with 3 where even the best setting yields so little that a build refuses to start."""
    settings, domains = select_settings(options.settings.split(",")), select(options.domains.split(","))
    if options.instruction_max_tokens is not None:
        bound = {"max_tokens": options.instruction_max_tokens}
        domains = tuple(replace(domain, instruction=replace(domain.instruction, **bound)) for domain in domains)
    check_engine(options)
    check_devices(options, [repository_or_folder(options.model)])
    model = resolve(options.model, revision=options.revision, dtype=options.dtype, max_length=options.max_model_len)

    from magpie_hf.probing.probe import probe

    context = HEADROOM + max(domain.instruction.max_tokens for domain in domains)
    spec: Spec = (model, context, "generate")
    with stopping_at_once(None), contextlib.closing(engines_of(options, [spec])[spec]) as engine:
        found = probe(engine, domains, settings, options.draws, options.seed)
    print(json.dumps(found.facts(), ensure_ascii=False, indent=2) if options.json else "\n".join(found.lines()))
    return INCOMPLETE if found.refused else OK


def _publish(options: argparse.Namespace) -> int:
    from magpie_hf.publishing import preview, publish_to_folder

    folder, how = Path(options.folder).expanduser(), {"wording": _wording(options), "partial": options.partial}
    if options.to is not None and (options.dry_run or options.public or options.overwrite or options.tag):
        raise BadInput("--to writes a folder, so --dry-run, --public, --overwrite and --tag say nothing; leave them out")
    if options.to == "":
        raise BadInput("--to is empty; give a folder, or leave it out to publish on the Hub")
    with _interrupted_at_once():
        if options.to is not None:
            change, rows = publish_to_folder(folder, options.repo, options.to, **how, say=_say)
            print("\n".join([*change.lines(rows), f"written to {options.to}"]))
        elif options.dry_run:
            change, rows = preview(folder, options.repo, **_where(options), **how)
            print("\n".join([*change.lines(rows), "nothing was changed (--dry-run)"]))
        else:
            _push(options, folder, options.repo, options.partial)
    return OK


def _push(options: argparse.Namespace, folder: Path, repo: str, partial: bool = False) -> None:
    from magpie_hf.publishing import publish

    with _interrupted_at_once():
        pushed = publish(folder, repo, **_where(options), wording=_wording(options), partial=partial)
    said = "published" if pushed.committed else "unchanged"
    print(f"{said}: {pushed.url} at commit {pushed.commit}{f', tag {pushed.tag}' if pushed.tag else ''}", flush=True)


@contextlib.contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Ctrl-C ends the process at once, whatever its threads upload."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            "\nmagpie-hf: stopped; what was published before is still there, or the new version whole. Run the command again",
            file=sys.stderr,
            flush=True,
        )
        os._exit(INTERRUPTED)


def _check_push(options: argparse.Namespace) -> None:
    """Raises BadInput where what is about to be built could not be published as the options say."""
    if options.push is not None:
        from magpie_hf.card import check_template
        from magpie_hf.hub import check_target
        from magpie_hf.licences import parse_model_licences

        parse_model_licences(options.model_license)
        if options.card_template is not None:
            check_template(Path(options.card_template).expanduser())
        check_target(options.push, **_where(options))
    elif given := [name for name, value in vars(options).items() if name in _OF_PUSH and value and value != "en"]:
        raise BadInput(f"--{given[0].replace('_', '-')} says how to publish, and --push does not say where; give it, too")


def _where(options: argparse.Namespace) -> dict[str, Any]:
    return {"private": not options.public, "overwrite": options.overwrite, "tag": options.tag, "say": _say}


def _wording(options: argparse.Namespace) -> Wording:
    from magpie_hf.wording import Wording

    template = Path(options.card_template).expanduser() if options.card_template is not None else None
    return Wording(options.card_lang, template, tuple(options.model_license))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
