"""Benchmarks that problems must not repeat, by name and source.

Not here: their texts (loading.py), none of which is shipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from magpie_hf.errors import BadInput


@dataclass(frozen=True)
class Benchmark:
    """A dataset of problems.

    source: a Hub repository, or the absolute path of a folder or file; it does not compare once the benchmark
        is pinned.
    splits: () for all.
    column: the text column; None finds it by its name.
    revision: of a Hub repository, or `sha256:...` over the files of a local one; None until `load` pins it.
    """

    name: str
    source: str = field(compare=False)
    config: str | None = None
    splits: tuple[str, ...] = ()
    column: str | None = None
    revision: str | None = None

    @property
    def is_local(self) -> bool:
        return Path(self.source).is_absolute()


@dataclass(frozen=True)
class Loaded:
    """A pinned benchmark's problems, and the name of each row.

    rows: "17" each, or "test/17" with several splits or files. unread: the files of a folder that hold no
        problems, each with the reason.
    """

    benchmark: Benchmark
    texts: tuple[str, ...] = field(repr=False)
    rows: tuple[str, ...] = field(repr=False)
    unread: tuple[NotChecked, ...] = ()


@dataclass(frozen=True)
class NotChecked:
    """A benchmark that is unavailable, or a file of one, and why: it is gated, out of reach, or no table.

    A build reports it, or refuses to go on. offline: whether no answer came, as from a Hub without a network.
    """

    name: str
    reason: str
    offline: bool = field(default=False, compare=False)


# From the repositories' cards; without a column here, the text column is found by its name.
PRESETS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        Benchmark("hle", "cais/hle", splits=("test",), column="question"),
        Benchmark("aime_2024", "HuggingFaceH4/aime_2024", column="problem"),
        Benchmark("aime_2025", "yentinglin/aime_2025", column="problem"),
        Benchmark("math_500", "HuggingFaceH4/MATH-500", splits=("test",), column="problem"),
        Benchmark("amc", "AI-MO/aimo-validation-amc", column="problem"),
        Benchmark("olympiad_bench", "Hothan/OlympiadBench", config="OE_TO_maths_en_COMP", column="question"),
        Benchmark("gsm8k", "openai/gsm8k", config="main", splits=("test",), column="question"),
        Benchmark("omni_math", "KbsdJames/Omni-MATH", column="problem"),
        Benchmark("putnam", "Putnam-AXIOM/putnam-axiom-dataset-v1"),
    )
}
READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
_DIGEST = re.compile(r"(.+)@(sha256:[0-9a-f]{40})")
_HUB_NAME = re.compile(
    r"(?P<source>[\w-][\w.-]*/[\w.-]+)(?::(?P<config>[\w.-]+))?"
    r"(?:@(?P<revision>[\w./-]+))?(?:#(?P<column>[^#]+))?"
)


def benchmarks_of(text: str) -> tuple[Benchmark, ...]:
    """The benchmarks that a user's argument names.

    The argument is a preset, with `@revision` or without, "all", `owner/name[:config][@revision][#column]`,
    or a folder or file `PATH[@sha256:...][#column]`. Uses no network. Raises BadInput for anything else.
    """
    if text == "all":
        return tuple(PRESETS.values())
    word, _, revision = text.partition("@")
    if (preset := PRESETS.get(word.lower().replace("-", "_"))) is not None:
        return (replace(preset, revision=revision or None),)
    path, _, column = (text, "", "") if Path(text).expanduser().exists() else text.rpartition("#")
    path, digest = (form[1], form[2]) if (form := _DIGEST.fullmatch(path or text)) else (path, None)
    place = Path(path).expanduser()
    if path and place.exists():
        if place.is_file() and place.suffix not in READERS:
            raise BadInput(
                f"the problem set {path} is no {', '.join(READERS)} file; give one, or a folder that"
                " load_dataset reads"
            )
        return (
            Benchmark(
                place.stem if place.is_file() else place.resolve().name,
                str(place.resolve()),
                column=column or None,
                revision=digest,
            ),
        )
    if (match := _HUB_NAME.fullmatch(text)) is not None:
        return (
            Benchmark(
                match["source"].split("/")[1],
                match["source"],
                match["config"],
                (),
                match["column"],
                match["revision"],
            ),
        )
    raise BadInput(
        f"{text!r} is no problem set: not one of all, {', '.join(PRESETS)}, not an existing file or folder,"
        " not a Hub dataset (owner/name[:config][@revision][#column])"
    )


def place_and_columns(text: str) -> tuple[str, list[str]]:
    """A set's place and the columns behind its last "#", as in `openai/gsm8k:main#question,answer`.

    No columns where none are named.
    """
    if "#" not in text or Path(text).expanduser().exists():
        return text, []
    place, _, columns = text.rpartition("#")
    return place, [name.strip() for name in columns.split(",")]


def known_sets_of(text: str) -> tuple[Benchmark, ...]:
    """The sets of known problems that a user's argument names, as `benchmarks_of` takes it.

    A second column, of answers, may be named and is not read. Raises BadInput for anything else.
    """
    place, columns = place_and_columns(text)
    if len(columns) > 2 or not all(columns):
        raise BadInput(
            f"--known-set {text!r} names no column of problems; give the place, # and the column, as in"
            " openai/gsm8k:main#question"
        )
    return benchmarks_of("#".join([place, *columns[:1]]))
