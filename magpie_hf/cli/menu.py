"""The menu of `magpie-hf` without arguments: asks for models, scale, domains and the bound of answers.

Not here: the build that follows.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from magpie_hf.cli.commands.brief import brief_of
from magpie_hf.domains import DOMAINS, MOST_ROWS, scaled
from magpie_hf.errors import BadInput
from magpie_hf.models.known import KNOWN_MODELS, KnownModel, known
from magpie_hf.models.model import repository_or_folder
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


def ask(parse: Callable[[list[str]], argparse.Namespace]) -> list[str] | None:
    """Ask on this terminal for a build, and return its arguments; None if the user quits (q, Ctrl-D, or n).

    parse: turns the arguments into options, for the plan in short. Raises BadInput without a terminal, and
    KeyboardInterrupt on Ctrl-C.
    """
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise BadInput(
            "the menu needs a terminal; give a command, such as build --model 1 (magpie-hf --help)"
        )
    encodable(sys.stdin)
    try:
        _say(tr("A dataset in five answers. Enter takes the value in brackets; q quits."))
        arguments = _arguments()
        planned = brief_of(parse(arguments))
        if bound := _bound_of(planned.plan.bounds):
            arguments += bound
            planned = brief_of(parse(arguments))
        _say("")
        for line in planned.lines:
            _say(line, " " * 9)
        if not _answer(tr("Build it (y/n)"), "y", _yes):
            raise Left
    except EOFError:
        print()
        return None
    except Left:
        return None
    _say(tr("The same build without the menu:"))
    print(f"magpie-hf {shlex.join(arguments)}\n", flush=True)  # unwrapped, to be copied
    return arguments


def _arguments() -> list[str]:
    """The first four questions."""
    models = [_label(model) for model in KNOWN_MODELS.values()]
    _list(
        tr("Which model writes the problems? An instruct model writes better ones than a reasoning model."),
        models,
        tr("or a Hub repository (owner/name), or a folder"),
    )
    model = _answer(tr("model"), WRITER, _model)
    _list(tr("Which model answers them? Reasoning models answer best; the same model may do both."), [])
    solver = _answer(tr("solver"), SOLVER if _is_instruct(model) else model, _model)

    sizes = [(scale, sum(scaled(domain, scale).count for domain in DOMAINS.values())) for scale in SCALES]
    _list(
        tr("How many problems?"),
        [],
        *(tr("{scale}: {count:,} in all six domains", scale=scale, count=count) for scale, count in sizes),
    )
    scale = _answer(tr("scale"), "1.0", _scale)

    _list(tr("In which domains?"), [tr("all six"), tr("one"), tr("several")])
    mode = _answer(tr("mode"), "1", _mode)
    arguments = ["build", "--model", model, *(["--solver", solver] if solver != model else [])]
    arguments += ["--scale", scale]
    if mode == "1":
        return arguments
    counts = [(domain, scaled(domain, float(scale)).count) for domain in DOMAINS.values()]
    _list(
        "",
        [
            f"{domain.key}{f' {domain.japanese}' if in_use() == 'ja' else ''}: {count:,}"
            for domain, count in counts
        ],
    )
    if mode == "2":
        return [*arguments, "--domains", _answer(tr("domain"), "1", lambda text: _domains(text, 1))]
    return [
        *arguments,
        "--domains",
        _answer(tr("domains, separated by commas"), "1,2", lambda text: _domains(text, len(DOMAINS))),
    ]


def _bound_of(bounds: Sequence[Bound]) -> list[str]:
    """The last question: how long an answer may be; the argument for it, where it is not the default."""
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
        for factor, one in zip(FACTORS, bounds, strict=True)
    )
    title = tr(
        "How long may an answer be? A longer one goes on to twice the bound; what is longer still is lost."
    )
    _list(title, [], *lines)
    tokens = _answer(tr("1x, 2x, 4x or tokens"), FACTORS[0], lambda text: _tokens(text, bounds))
    return [] if tokens == bounds[0].tokens else ["--max-tokens", str(tokens)]


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


def _is_instruct(model: str) -> bool:
    """Whether a model is a known one that answers at once; of others nothing is known here."""
    info = known(repository_or_folder(model))
    return isinstance(info, KnownModel) and not info.reasoning


def _tokens(text: str, bounds: Sequence[Bound]) -> int:
    """The bound that is meant: a multiple of the first one, or a number of tokens."""
    plain = _plain(text).replace(",", "")
    for factor, one in zip(FACTORS, bounds, strict=True):
        if plain in (factor, factor.removesuffix("x")):
            return one.tokens
    if not plain.isdecimal() or int(plain) < LEAST_BOUND:
        raise BadInput(f"the bound is {text!r}; give 1x, 2x, 4x or at least {LEAST_BOUND} tokens")
    return int(plain)


def _model(text: str) -> str:
    text = _plain(text) if _plain(text).isdecimal() else text  # a path stays as it is
    repository_or_folder(text)
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


def _yes(text: str) -> bool:
    if _plain(text) not in (*YES, *NO):
        raise BadInput(f"the answer is {text!r}; give y (yes) or n (no)")
    return _plain(text) in YES


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
