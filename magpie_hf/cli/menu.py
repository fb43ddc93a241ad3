"""The menu of `magpie-hf` without arguments: asks for models, scale, domains and the bound of answers.

Not here: the build that follows.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from magpie_hf.cli.commands.assembly import check_devices
from magpie_hf.cli.commands.brief import brief_of
from magpie_hf.domains import DOMAINS, MOST_ROWS, scaled
from magpie_hf.errors import BadInput
from magpie_hf.models.known import KNOWN_MODELS, KnownModel, known
from magpie_hf.models.model import check_model_folder
from magpie_hf.models.names import repository_or_folder
from magpie_hf.text.columns import wrapped
from magpie_hf.text.language import in_use, tr, translated
from magpie_hf.text.numbers import count as counted
from magpie_hf.text.numbers import scaled as shortened
from magpie_hf.text.terminal import encodable, is_terminal

if TYPE_CHECKING:
    from magpie_hf.planning.bounds import Bound

SCALES = (0.1, 0.5, 1.0, 2.0)
# Reasoning models answer well and write poor problems, so an instruct model writes; both are about 66 GB.
WRITER, SOLVER = "6", "1"
FACTORS = ("1x", "2x", "4x")  # of a bound, as a plan compares them
LEAST_BOUND = 16  # tokens; a smaller number is no bound that anybody means
LEAVE = ("q", "quit")
YES, NO = ("y", "yes", "はい"), ("n", "no", "いいえ")

T = TypeVar("T")


class Left(Exception):
    """The user quits without a build."""


@dataclass
class _Wish:
    """What the user wants; bound: None for the default; gpu: what is planned for, None for this machine's."""

    model: str = WRITER
    solver: str = SOLVER
    scale: str = "1.0"
    domains: str | None = None
    bound: int | None = None
    gpu: str | None = None

    def arguments(self) -> list[str]:
        """The arguments of the build."""
        words = ["build", "--model", self.model]
        words += ["--solver", self.solver] if self.solver != self.model else []
        words += ["--scale", self.scale]
        words += ["--domains", self.domains] if self.domains is not None else []
        return words + (["--max-tokens", str(self.bound)] if self.bound is not None else [])


def ask(parse: Callable[[list[str]], argparse.Namespace]) -> argparse.Namespace | None:
    """Ask on this terminal for a build, and return its options; None if the user quits (q, Ctrl-D, or n).

    parse: turns the arguments into options, for the plan in short. Raises BadInput without a terminal and
    where vLLM cannot run at all, and KeyboardInterrupt on Ctrl-C.
    """
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise BadInput(
            "the menu needs a terminal; give a command, such as build --model 1 (magpie-hf --help)"
        )
    encodable(sys.stdin)
    from magpie_hf.engines.vllm.device import check_device

    on_cpu = check_device("")
    try:
        _say(tr("A dataset in five answers. Enter takes the value in brackets; q quits."))
        if on_cpu:
            _say(tr("This machine has no GPU: a small model can be built with, and larger ones planned."))
        wish = _Wish()
        for question in (_ask_model, _ask_solver, _ask_scale, _ask_domains):
            question(wish)
        _ask_bound(wish, brief_of(parse(wish.arguments())).plan.bounds)
        return _settled(wish, parse)
    except EOFError:
        print()
        return None
    except Left:
        return None


def _settled(wish: _Wish, parse: Callable[[list[str]], argparse.Namespace]) -> argparse.Namespace | None:
    """Show the plan, and again after each change, until it is to be built or not."""
    changes: dict[str, Callable[[_Wish], None]] = {
        "model": _ask_model,
        "solver": _ask_solver,
        "scale": _ask_scale,
        "domains": _ask_domains,
        "bound": lambda wish: _ask_bound(wish, _default_bounds(wish, parse)),
        "gpu": _ask_gpu,
    }
    while True:
        options = parse(wish.arguments())
        answer: str | None = None
        try:
            planned = brief_of(options, wish.gpu)
        except BadInput as error:  # an unknown GPU, or an option that the chosen model does not have
            _say(translated(str(error)))
            answer = "gpu" if wish.gpu is not None else "model"
            wish.gpu = None
        else:
            _say("")
            for line in planned.lines:
                _say(line, " " * 9, " " * 9 if line.startswith(" ") else "")
            runs = True
            try:
                check_devices(options, planned.outline.sources.values())
            except BadInput as error:
                runs = False
                _say("\n" + translated(str(error)))
            _say("\n" + tr("To change something, give its name: {names}.", names=_named(changes)))
            answer = _answer(tr("Build it (y/n)"), "y" if runs else "n", lambda text: _yes(text, changes))
        if answer in changes:
            changes[answer](wish)
            continue
        _say(tr("The same build without the menu:"))
        print(f"magpie-hf {shlex.join(wish.arguments())}\n", flush=True)  # unwrapped, to be copied
        sys.argv[1:] = wish.arguments()  # the command that a message on Ctrl-C repeats
        options.plan_shown = True
        return options if answer == "y" else None


def _default_bounds(wish: _Wish, parse: Callable[[list[str]], argparse.Namespace]) -> Sequence[Bound]:
    return brief_of(parse(replace(wish, bound=None).arguments())).plan.bounds


def _ask_model(wish: _Wish) -> None:
    models = [_label(model) for model in KNOWN_MODELS.values()]
    _list(
        tr("Which model writes the problems? An instruct model writes better ones than a reasoning model."),
        models,
        tr("or a Hub repository (owner/name), or a folder"),
    )
    before, wish.model = wish.model, _answer(tr("model"), wish.model, _model)
    if wish.solver == _usual_solver(before):  # else it was chosen
        wish.solver = _usual_solver(wish.model)


def _ask_solver(wish: _Wish) -> None:
    _list(tr("Which model answers them? Reasoning models answer best; the same model may do both."), [])
    wish.solver = _answer(tr("solver"), wish.solver, _model)


def _ask_scale(wish: _Wish) -> None:
    sizes = [(scale, sum(scaled(domain, scale).count for domain in DOMAINS.values())) for scale in SCALES]
    _list(
        tr("How many problems?"),
        [],
        *(tr("{scale}: {count:,} in all six domains", scale=scale, count=count) for scale, count in sizes),
    )
    wish.scale = _answer(tr("scale"), wish.scale, _scale)


def _ask_domains(wish: _Wish) -> None:
    _list(tr("In which domains?"), [tr("all six"), tr("one"), tr("several")])
    mode = _answer(tr("mode"), "1", _mode)
    if mode == "1":
        wish.domains = None
        return
    counts = [(domain, scaled(domain, float(wish.scale)).count) for domain in DOMAINS.values()]
    _list(
        "",
        [
            f"{domain.key}{f' {domain.japanese}' if in_use() == 'ja' else ''}: {count:,}"
            for domain, count in counts
        ],
    )
    if mode == "2":
        wish.domains = _answer(tr("domain"), "1", lambda text: _domains(text, 1))
    else:
        question = tr("domains, separated by commas")
        wish.domains = _answer(question, "1,2", lambda text: _domains(text, len(DOMAINS)))


def _ask_gpu(wish: _Wish) -> None:
    wish.gpu = _answer(tr("GPU to plan for, such as H100; here for this machine's"), "here", str)
    if _plain(wish.gpu) == "here":
        wish.gpu = None


def _ask_bound(wish: _Wish, bounds: Sequence[Bound]) -> None:
    """How long an answer may be. bounds: the default one, and multiples by FACTORS that give more."""
    lines = (
        tr(
            "{factor}  {tokens:,} tokens: {truncated:.0%} truncated, {rows} SFT rows, {generated} tokens in"
            " all",
            factor=factor,
            tokens=one.tokens,
            truncated=one.truncated,
            rows=counted(one.rows),
            generated=shortened(one.generated),
        )
        for factor, one in zip(FACTORS, bounds, strict=False)
    )
    title = tr(
        "How long may an answer be? A longer one goes on to twice the bound; what is longer still is lost."
    )
    _list(title, [], *lines)
    factors = ", ".join(FACTORS[: len(bounds)])
    tokens = _answer(
        tr("{factors} or tokens", factors=factors), FACTORS[0], lambda text: _tokens(text, bounds)
    )
    wish.bound = None if tokens == bounds[0].tokens else tokens


def _answer(question: str, default: str, read: Callable[[str], T]) -> T:
    """The answer as `read` parses it; asks again, with the BadInput of `read` as a hint, until it parses."""
    while True:
        text = input(f"{question} [{default}]: ").strip() or default
        if _plain(text) in LEAVE:
            raise Left
        try:
            return read(text)
        except BadInput as error:
            _say(translated(str(error)))


def _label(model: KnownModel) -> str:
    name = model.repository.split("/")[1]
    kind = tr("reasoning") if model.reasoning else tr("instruct")
    return tr(
        "{name}: {kind}, {size:.0f} GB, {licence}",
        name=name,
        kind=kind,
        size=model.weight_gigabytes,
        licence=model.licence,
    )


def _usual_solver(model: str) -> str:
    """The solver beside a model: SOLVER for a known one that answers at once, else the model itself."""
    info = known(repository_or_folder(model))
    return SOLVER if isinstance(info, KnownModel) and not info.reasoning else model


def _tokens(text: str, bounds: Sequence[Bound]) -> int:
    """The bound that is meant: a multiple of the first one, or a number of tokens."""
    plain = _plain(text).replace(",", "")
    for factor, one in zip(FACTORS, bounds, strict=False):
        if plain in (factor, factor.removesuffix("x")):
            return one.tokens
    if not plain.isdecimal() or int(plain) < LEAST_BOUND:
        factors = ", ".join(FACTORS[: len(bounds)])
        raise BadInput(f"the bound is {text!r}; give {factors} or at least {LEAST_BOUND} tokens")
    return int(plain)


def _model(text: str) -> str:
    text = _plain(text) if _plain(text).isdecimal() else text  # a path stays as it is
    if (folder := Path(repository_or_folder(text))).is_dir():
        check_model_folder(folder)
    return text


def _scale(text: str) -> str:
    try:
        scale = float(_plain(text))
    except ValueError:
        raise BadInput(f"scale is {text!r}; give a positive number such as 0.1, 0.5, 1.0 or 2.0") from None
    most = max(scaled(domain, scale).count for domain in DOMAINS.values())
    if most > MOST_ROWS:
        raise BadInput(f"{most:,} problems a domain are too many; give at most {MOST_ROWS:,}")
    return str(scale)


def _mode(text: str) -> str:
    if _plain(text) not in ("1", "2", "3"):
        raise BadInput(f"mode is {text!r}; choose 1 (all domains), 2 (one) or 3 (several)")
    return _plain(text)


def _domains(text: str, most: int) -> str:
    """The keys of the chosen domains, separated by commas, from numbers or keys."""
    keys = list(DOMAINS)
    words = [word for word in _plain(text).replace("、", ",").replace(" ", ",").split(",") if word]
    chosen = [keys[int(word) - 1] if word in map(str, range(1, len(keys) + 1)) else word for word in words]
    if not chosen or len(chosen) > most or len(set(chosen)) < len(chosen) or not set(chosen) <= set(keys):
        what = "one" if most == 1 else "some"
        raise BadInput(f"domain is {text!r}; choose {what} of 1 to {len(keys)}")
    return ",".join(chosen)


def _yes(text: str, changes: Collection[str]) -> str:
    """y, n, or the name of what is to be changed."""
    plain = _plain(text)
    if plain not in (*YES, *NO, *changes):
        raise BadInput(f"the answer is {text!r}; give y (yes), n (no) or one of {', '.join(changes)}")
    return plain if plain in changes else "y" if plain in YES else "n"


def _named(changes: Iterable[str]) -> str:
    """The words that are given to change something, with what they mean in Japanese."""
    if in_use() == "ja":
        return "、".join(f"{word}({translated(word)})" for word in changes)
    return ", ".join(changes)


def _list(title: str, numbered: Iterable[str], *more: str) -> None:
    _say(f"\n{title}" if title else "")
    for number, line in enumerate(numbered, start=1):
        _say(f"{number}  {line}", "     ", "  ")
    for line in more:
        _say(line, "     ", "  ")


def _say(text: str, later: str = "", first: str = "") -> None:
    for paragraph in text.split("\n"):
        print("\n".join(wrapped(paragraph, shutil.get_terminal_size().columns - 1, first, later)))


def _plain(text: str) -> str:
    """Lower case, with full-width digits and commas, which a Japanese keyboard writes, as ASCII."""
    return unicodedata.normalize("NFKC", text).strip().lower()
